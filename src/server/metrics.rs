//! `GET /metrics`: the engine's and the API's numbers for Prometheus.
//!
//! Counters count from the start of the program, those of HTTP requests from
//! the start of the API.

mod text;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension,
    extract::State,
    http::{HeaderName, Method, header},
};

use crate::workstation::{ApiState, EngineStats, Workstation};
use text::Page;

/// How many requests each route answered with each status.
#[derive(Debug, Default)]
pub struct HttpCounters {
    requests: Mutex<BTreeMap<(&'static str, String, u16), u64>>,
}

impl HttpCounters {
    /// Counts a request that is over. `route` is the pattern that matched, so
    /// that clients cannot make up ever new ones.
    pub fn count(&self, method: &Method, route: Option<&str>, status: u16) {
        let key = (
            method_name(method),
            route.unwrap_or("none").to_owned(),
            status,
        );
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(key).or_default() += 1;
    }

    fn write(&self, page: &mut Page) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let statuses: Vec<String> = requests.keys().map(|key| key.2.to_string()).collect();
        let labels: Vec<_> = requests
            .keys()
            .zip(&statuses)
            .map(|((method, route, _), status)| {
                [
                    ("method", *method),
                    ("route", route.as_str()),
                    ("status", status.as_str()),
                ]
            })
            .collect();
        let counts = requests.values().map(|count| *count as f64);
        let samples: Vec<_> = labels.iter().map(<[_; 3]>::as_slice).zip(counts).collect();
        page.counter(
            "maquette_http_requests_total",
            "HTTP requests answered; status 499 is a client that left.",
            &samples,
        );
    }
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// All numbers as text.
pub async fn metrics(
    State(workstation): State<Workstation>,
    Extension(http): Extension<Arc<HttpCounters>>,
) -> ([(HeaderName, &'static str); 1], String) {
    let stats = workstation.engine_stats().borrow().clone();
    let mut page = Page::default();
    about(&mut page, &stats);
    load(&mut page, &stats);
    requests(&mut page, &stats);
    tokens(&mut page, &stats);
    prefix_cache(&mut page, &stats);
    memory(&mut page, &stats);
    latencies(&mut page, &stats);
    let live = match *workstation.api().borrow() {
        ApiState::On { live, .. } => live,
        ApiState::Off | ApiState::Failed(_) => 0,
    };
    let help = "HTTP requests being answered now, this one included.";
    page.gauge(
        "maquette_http_requests_in_flight",
        help,
        &[(&[], live as f64)],
    );
    http.write(&mut page);
    ([(header::CONTENT_TYPE, text::CONTENT_TYPE)], page.finish())
}

fn about(page: &mut Page, stats: &EngineStats) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.gauge(
        "maquette_build_info",
        "The version that runs.",
        &[(&version, 1.0)],
    );
    let model = stats.model.as_deref().map(|id| [("model", id)]);
    let samples: Vec<_> = model.iter().map(|label| (label.as_slice(), 1.0)).collect();
    page.gauge("maquette_model_info", "The model in use, if any.", &samples);
}

fn load(page: &mut Page, stats: &EngineStats) {
    let mut gauge = |name, help, value: usize| page.gauge(name, help, &[(&[], value as f64)]);
    gauge(
        "maquette_requests_waiting",
        "Requests in the queue.",
        stats.waiting,
    );
    gauge(
        "maquette_requests_running",
        "Requests being computed.",
        stats.running.len(),
    );
    gauge(
        "maquette_batch_size",
        "Requests in the latest step.",
        stats.measures.last_batch,
    );
    page.histogram(
        "maquette_step_batch_size",
        "Requests in each step.",
        &stats.measures.batch,
    );
}

fn requests(page: &mut Page, stats: &EngineStats) {
    let totals = &stats.totals;
    page.counter(
        "maquette_requests_total",
        "Requests that the engine took in.",
        &[(&[], totals.requests as f64)],
    );
    page.counter(
        "maquette_requests_ended_total",
        "Requests by how they ended.",
        &[
            (&[("outcome", "finished")], totals.finished as f64),
            (&[("outcome", "cancelled")], totals.cancelled as f64),
            (&[("outcome", "failed")], totals.failed as f64),
        ],
    );
    page.counter(
        "maquette_preemptions_total",
        "How often a request gave its memory up to go on later.",
        &[(&[], totals.preempted as f64)],
    );
}

fn tokens(page: &mut Page, stats: &EngineStats) {
    let totals = &stats.totals;
    let mut counter = |name, help, value: f64| page.counter(name, help, &[(&[], value)]);
    counter(
        "maquette_prompt_tokens_total",
        "Tokens of the prompts that were begun, reused ones included.",
        totals.prompt_tokens as f64,
    );
    counter(
        "maquette_prefill_tokens_total",
        "Tokens of prompts that were computed.",
        totals.prefilled_tokens as f64,
    );
    counter(
        "maquette_generated_tokens_total",
        "Tokens of answers.",
        totals.generated_tokens as f64,
    );
    counter(
        "maquette_speculation_proposed_tokens_total",
        "Tokens that were proposed ahead of the model.",
        totals.proposed_tokens as f64,
    );
    counter(
        "maquette_speculation_accepted_tokens_total",
        "Proposed tokens that the model took.",
        totals.accepted_tokens as f64,
    );
    counter(
        "maquette_prefill_seconds_total",
        "Time of steps with tokens of prompts in them.",
        totals.prefill_micros as f64 / 1e6,
    );
    counter(
        "maquette_decode_seconds_total",
        "Time of steps with tokens of answers alone.",
        totals.decode_micros as f64 / 1e6,
    );
}

fn prefix_cache(page: &mut Page, stats: &EngineStats) {
    let prefix = &stats.cache.prefix;
    page.counter(
        "maquette_prefix_cache_hits_total",
        "Prompts of which some tokens were found, by where.",
        &[
            (&[("tier", "memory")], prefix.memory_hits as f64),
            (&[("tier", "ram")], prefix.ram_hits as f64),
            (&[("tier", "disk")], prefix.disk_hits as f64),
        ],
    );
    page.counter(
        "maquette_prefix_cache_reused_tokens_total",
        "Tokens of prompts that were not computed again, by where they were found.",
        &[
            (&[("tier", "memory")], prefix.memory_tokens as f64),
            (&[("tier", "ram")], prefix.ram_tokens as f64),
            (&[("tier", "disk")], prefix.disk_tokens as f64),
        ],
    );
    page.counter(
        "maquette_prefix_cache_misses_total",
        "Prompts of which nothing was found.",
        &[(&[], prefix.misses as f64)],
    );
    page.counter(
        "maquette_prefix_cache_ends_total",
        "Why no more of a prompt was found: no_page, nothing follows what was found; \
         other_tokens, something else does; evicted, it was given up.",
        &[
            (&[("reason", "no_page")], prefix.ended_no_page as f64),
            (
                &[("reason", "other_tokens")],
                prefix.ended_other_tokens as f64,
            ),
            (&[("reason", "evicted")], prefix.ended_evicted as f64),
        ],
    );
    pages(page, stats);
    ram(page, stats);
    disk(page, stats);
}

fn pages(page: &mut Page, stats: &EngineStats) {
    let pages = &stats.pages;
    page.gauge(
        "maquette_kv_pages",
        "Pages of keys and values by state.",
        &[
            (&[("state", "used")], pages.used as f64),
            (&[("state", "cached")], pages.cached as f64),
            (&[("state", "free")], pages.free as f64),
        ],
    );
    page.gauge(
        "maquette_kv_page_tokens",
        "Tokens of a page.",
        &[(&[], pages.page_tokens as f64)],
    );
    page.counter(
        "maquette_kv_page_evictions_total",
        "Cached pages given up for others.",
        &[(&[], pages.evicted as f64)],
    );
}

fn ram(page: &mut Page, stats: &EngineStats) {
    let ram = &stats.cache.ram;
    page.gauge(
        "maquette_ram_cache_bytes",
        "Bytes of pages in the host's memory, beside a device with its own.",
        &[(&[], ram.bytes as f64)],
    );
    page.gauge(
        "maquette_ram_cache_limit_bytes",
        "Bytes that pages in the host's memory may have; 0 where there are none.",
        &[(&[], ram.limit as f64)],
    );
    page.counter(
        "maquette_ram_cache_pages_total",
        "Pages of the host's memory by what happened to them.",
        &[
            (&[("event", "read")], ram.read_pages as f64),
            (&[("event", "stored")], ram.stored_pages as f64),
            (&[("event", "evicted")], ram.evicted_pages as f64),
        ],
    );
}

fn disk(page: &mut Page, stats: &EngineStats) {
    let disk = &stats.cache.disk;
    page.gauge(
        "maquette_disk_cache_bytes",
        "Bytes of pages on the disk.",
        &[(&[], disk.stored_bytes as f64)],
    );
    page.gauge(
        "maquette_disk_cache_limit_bytes",
        "Bytes that pages on the disk may have.",
        &[(&[], disk.limit as f64)],
    );
    page.counter(
        "maquette_disk_cache_pages_total",
        "Pages of the disk by what happened to them; lost ones were never written.",
        &[
            (&[("event", "read")], disk.read_pages as f64),
            (&[("event", "written")], disk.written_pages as f64),
            (&[("event", "evicted")], disk.evicted_pages as f64),
            (&[("event", "lost")], disk.lost_pages as f64),
        ],
    );
    let rejects = &disk.rejects;
    page.counter(
        "maquette_disk_cache_rejects_total",
        "Files of pages that could not be used, by reason.",
        &[
            (&[("reason", "checksum")], rejects.checksum as f64),
            (&[("reason", "foreign")], rejects.foreign as f64),
            (&[("reason", "truncated")], rejects.truncated as f64),
            (&[("reason", "version")], rejects.version as f64),
            (&[("reason", "io")], rejects.io as f64),
        ],
    );
}

fn memory(page: &mut Page, stats: &EngineStats) {
    let bytes = &stats.bytes;
    page.gauge(
        "maquette_memory_bytes",
        "Bytes by what they hold: weights, kv (kv_running of it by running requests); active and \
         reusable are all that MLX holds.",
        &[
            (&[("kind", "weights")], bytes.weights as f64),
            (&[("kind", "kv")], bytes.kv as f64),
            (&[("kind", "kv_running")], bytes.kv_running as f64),
            (&[("kind", "active")], bytes.active as f64),
            (&[("kind", "reusable")], bytes.reusable as f64),
        ],
    );
    page.gauge(
        "maquette_memory_peak_bytes",
        "The most bytes ever active.",
        &[(&[], bytes.peak as f64)],
    );
    page.gauge(
        "maquette_memory_limit_bytes",
        "Bytes that the engine may use.",
        &[(&[], bytes.limit as f64)],
    );
}

fn latencies(page: &mut Page, stats: &EngineStats) {
    let measures = &stats.measures;
    let mut histogram = |name, help, values| page.histogram(name, help, values);
    histogram(
        "maquette_queue_seconds",
        "From the request to its first step.",
        &measures.queued,
    );
    histogram(
        "maquette_time_to_first_token_seconds",
        "From the request to its first token.",
        &measures.first_token,
    );
    histogram(
        "maquette_inter_token_latency_seconds",
        "From a token of a request to its next.",
        &measures.inter_token,
    );
    histogram(
        "maquette_request_duration_seconds",
        "From the request to the end of its answer.",
        &measures.request,
    );
}
