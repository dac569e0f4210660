//! The names of all numbers at `/metrics`, which of them move, and what an
//! answer tells of proposed tokens.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    fixture,
    requests::{COMPLETIONS, with},
};

/// Whoever watches a server relies on these: a name that goes is a break.
const FAMILIES: [(&str, &str); 39] = [
    ("maquette_batch_size", "gauge"),
    ("maquette_build_info", "gauge"),
    ("maquette_decode_seconds_total", "counter"),
    ("maquette_disk_cache_bytes", "gauge"),
    ("maquette_disk_cache_limit_bytes", "gauge"),
    ("maquette_disk_cache_pages_total", "counter"),
    ("maquette_disk_cache_rejects_total", "counter"),
    ("maquette_generated_tokens_total", "counter"),
    ("maquette_http_requests_in_flight", "gauge"),
    ("maquette_http_requests_total", "counter"),
    ("maquette_inter_token_latency_seconds", "histogram"),
    ("maquette_kv_page_evictions_total", "counter"),
    ("maquette_kv_page_tokens", "gauge"),
    ("maquette_kv_pages", "gauge"),
    ("maquette_memory_bytes", "gauge"),
    ("maquette_memory_limit_bytes", "gauge"),
    ("maquette_memory_peak_bytes", "gauge"),
    ("maquette_model_info", "gauge"),
    ("maquette_preemptions_total", "counter"),
    ("maquette_prefill_seconds_total", "counter"),
    ("maquette_prefill_tokens_total", "counter"),
    ("maquette_prefix_cache_ends_total", "counter"),
    ("maquette_prefix_cache_hits_total", "counter"),
    ("maquette_prefix_cache_misses_total", "counter"),
    ("maquette_prefix_cache_reused_tokens_total", "counter"),
    ("maquette_prompt_tokens_total", "counter"),
    ("maquette_queue_seconds", "histogram"),
    ("maquette_ram_cache_bytes", "gauge"),
    ("maquette_ram_cache_limit_bytes", "gauge"),
    ("maquette_ram_cache_pages_total", "counter"),
    ("maquette_request_duration_seconds", "histogram"),
    ("maquette_requests_ended_total", "counter"),
    ("maquette_requests_running", "gauge"),
    ("maquette_requests_total", "counter"),
    ("maquette_requests_waiting", "gauge"),
    ("maquette_speculation_accepted_tokens_total", "counter"),
    ("maquette_speculation_proposed_tokens_total", "counter"),
    ("maquette_step_batch_size", "histogram"),
    ("maquette_time_to_first_token_seconds", "histogram"),
];

/// Text that goes on as it did before.
fn list(length: usize) -> Value {
    let line = "Press Ctrl-C to quit.\nPress F1 for help.\nPress Alt-2 for the library.\n";
    json!({
        "prompt": line.repeat(length), "max_tokens": 60, "ignore_eos": true, "temperature": 0,
    })
}

fn scrape() -> String {
    let (status, text) = fixture().get_text("/metrics");
    assert_eq!(status, 200);
    text
}

/// Sums of each family's samples; of histograms how many there were.
fn sums(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let name = name.split('{').next().unwrap();
        if name.ends_with("_bucket") || name.ends_with("_sum") {
            continue;
        }
        let family = name.strip_suffix("_count").unwrap_or(name);
        *sums.entry(family.to_owned()).or_default() += value.parse::<f64>().unwrap();
    }
    sums
}

/// What `/metrics` says when nothing runs any more.
fn at_rest() -> BTreeMap<String, f64> {
    let stats = fixture().workstation.engine_stats();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let before = stats.borrow().clone();
        std::thread::sleep(Duration::from_millis(300));
        let quiet = before.running.is_empty() && before.cache.disk.queued == 0;
        if quiet && *stats.borrow() == before {
            return sums(&scrape());
        }
        assert!(Instant::now() < deadline, "the engine does not rest");
    }
}

#[test]
fn every_family_is_there_with_help_and_type_and_no_other() {
    fixture().get("/health");
    let text = scrape();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = BTreeSet::new();
    for pair in lines.windows(2) {
        let Some(help) = pair[0].strip_prefix("# HELP ") else {
            continue;
        };
        let (name, help) = help.split_once(' ').unwrap();
        assert!(help.len() > 8 && help.ends_with('.'), "{}", pair[0]);
        let kind = pair[1].strip_prefix(&format!("# TYPE {name} "));
        found.insert((
            name,
            kind.unwrap_or_else(|| panic!("{} has no type", pair[1])),
        ));
    }
    assert_eq!(found, FAMILIES.into_iter().collect());
    let sampled = sums(&text);
    for (name, _) in FAMILIES {
        assert!(sampled.contains_key(name), "{name} has no sample");
    }
}

#[test]
fn answers_move_the_numbers_and_tell_of_proposals() {
    let before = at_rest();
    // Whole and as a stream; the same again is found in the cache.
    let (mut accepted, mut rejected) = (0, 0);
    for (length, stream) in [(6, false), (7, true), (6, true), (7, false)] {
        let usage = usage(&list(length), stream);
        let details = &usage["completion_tokens_details"];
        accepted += details["accepted_prediction_tokens"].as_u64().unwrap();
        rejected += details["rejected_prediction_tokens"].as_u64().unwrap();
        assert_eq!(usage["completion_tokens"], 60);
    }
    for stream in [false, true] {
        let without = with(list(9), json!({"speculation": "off"}));
        let details = &usage(&without, stream)["completion_tokens_details"];
        assert_eq!(details["accepted_prediction_tokens"], 0);
        assert_eq!(details["rejected_prediction_tokens"], 0);
    }
    assert!(accepted > 0, "{rejected} were rejected");
    let after = at_rest();
    let more = |name: &str| after[name] - before[name];
    assert_eq!(
        more("maquette_speculation_proposed_tokens_total"),
        (accepted + rejected) as f64
    );
    assert_eq!(
        more("maquette_speculation_accepted_tokens_total"),
        accepted as f64
    );
    assert_eq!(more("maquette_requests_total"), 6.0);
    assert_eq!(more("maquette_requests_ended_total"), 6.0);
    assert_eq!(more("maquette_generated_tokens_total"), 360.0);
    for name in [
        "maquette_decode_seconds_total",
        "maquette_http_requests_total",
        "maquette_inter_token_latency_seconds",
        "maquette_prefill_seconds_total",
        "maquette_prefill_tokens_total",
        "maquette_prefix_cache_ends_total",
        "maquette_prefix_cache_hits_total",
        "maquette_prefix_cache_reused_tokens_total",
        "maquette_prompt_tokens_total",
        "maquette_queue_seconds",
        "maquette_request_duration_seconds",
        "maquette_step_batch_size",
        "maquette_time_to_first_token_seconds",
    ] {
        assert!(more(name) > 0.0, "{name} stands still");
    }
    for name in [
        "maquette_batch_size",
        "maquette_build_info",
        "maquette_http_requests_in_flight",
        "maquette_kv_page_tokens",
        "maquette_kv_pages",
        "maquette_memory_bytes",
        "maquette_memory_limit_bytes",
        "maquette_memory_peak_bytes",
        "maquette_model_info",
    ] {
        assert!(after[name] > 0.0, "{name} is nothing");
    }
}

/// The usage of an answer, streamed or whole.
fn usage(request: &Value, stream: bool) -> Value {
    if !stream {
        let (status, body) = fixture().post(COMPLETIONS, request);
        assert_eq!(status, 200, "{body}");
        return body["usage"].clone();
    }
    let streaming = json!({"stream": true, "stream_options": {"include_usage": true}});
    let events = fixture().stream(COMPLETIONS, &with(request.clone(), streaming));
    let [.., last, done] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(done, "[DONE]");
    let last: Value = serde_json::from_str(last).unwrap();
    last["usage"].clone()
}
