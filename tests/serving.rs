//! The server under load: what `/metrics` says, clients that leave at every
//! stage, clients that never read, and a long queue.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Fixture, fixture};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

const COMPLETIONS: &str = "/v1/completions";

/// These tests watch the numbers of one engine: one at a time.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A sample's name and labels, as written.
type Samples = BTreeMap<String, f64>;

fn scrape(fixture: &Fixture) -> Samples {
    let text = fixture.runtime.block_on(async {
        let response = fixture.client.get(fixture.url("/metrics")).send().await;
        let response = response.expect("an answer");
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        response.text().await.expect("text")
    });
    parse(&text)
}

/// Reads the text format strictly: every sample belongs to the family that was
/// announced last, names and labels are well formed, nothing comes twice.
fn parse(text: &str) -> Samples {
    assert!(text.ends_with('\n'));
    let mut families = BTreeSet::new();
    let mut family = (String::new(), String::new());
    let mut samples = Samples::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help text");
            assert!(help.ends_with('.'), "{line}");
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let (same, kind) = kind.split_once(' ').unwrap();
            assert_eq!(same, name);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(families.insert(name.to_owned()), "{name} twice");
            family = (name.to_owned(), kind.to_owned());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().expect("a number");
        let name = series.split('{').next().unwrap();
        check_labels(&series[name.len()..]);
        let rest = name.strip_prefix(family.0.as_str()).expect("its family");
        match family.1.as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&rest), "{line}"),
            _ => assert_eq!(rest, "", "{line}"),
        }
        assert!(name.starts_with("maquette_"));
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{name}"
        );
        assert!(
            samples.insert(series.to_owned(), value).is_none(),
            "{series}"
        );
    }
    check_histograms(&samples, &families);
    samples
}

fn check_labels(labels: &str) {
    if labels.is_empty() {
        return;
    }
    let inner = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    for label in inner.split("\",") {
        let (name, value) = label.split_once("=\"").expect("a label");
        assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{labels}");
        assert!(!value.trim_end_matches('"').contains('"'), "{labels}");
    }
}

/// Buckets grow, and the last one holds all.
fn check_histograms(samples: &Samples, families: &BTreeSet<String>) {
    for family in families {
        let Some(count) = samples.get(&format!("{family}_count")) else {
            continue;
        };
        let prefix = format!("{family}_bucket{{le=\"");
        let mut buckets: Vec<(f64, f64)> = samples
            .iter()
            .filter_map(|(series, value)| {
                let bound = series.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                Some((bound.replace("+Inf", "inf").parse().unwrap(), *value))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{family}");
    }
}

/// Waits until nothing runs or waits; running bytes are none then. Also until
/// the engine sleeps: a test program must not end while it stores pages.
fn at_rest(fixture: &Fixture) {
    let stats = fixture.workstation.engine_stats();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = stats.borrow().clone();
        if now.running.is_empty() && now.waiting == 0 && now.bytes.kv_running == 0 {
            assert_eq!(now.pages.used, 0);
            std::thread::sleep(Duration::from_millis(250));
            if *stats.borrow() == now && now.cache.disk.queued == 0 {
                return;
            }
        }
        assert!(Instant::now() < deadline, "{now:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn request(prompt_tokens: usize, max_tokens: usize, stream: bool) -> Value {
    // Never the same prompt twice: what is measured is computing it.
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(7);
    let salt = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let prompt: Vec<usize> = (0..prompt_tokens)
        .map(|i| 10 + (i * salt + salt) % 2000)
        .collect();
    json!({
        "prompt": prompt, "max_tokens": max_tokens, "ignore_eos": true, "temperature": 0,
        "stream": stream,
    })
}

#[test]
fn metrics_follow_a_request() {
    let _turn = alone();
    let fixture = fixture();
    at_rest(fixture);
    let before = scrape(fixture);
    let (status, body) = fixture.post(COMPLETIONS, &request(100, 6, false));
    assert_eq!(status, 200, "{body}");
    fixture.stream(COMPLETIONS, &request(50, 5, true));
    let (status, _) = fixture.post(COMPLETIONS, &json!({"prompt": ""}));
    assert_eq!(status, 400);
    fixture.get("/no/such/path");
    let finished = || fixture.workstation.engine_stats().borrow().totals.finished as f64;
    let was = before["maquette_requests_ended_total{outcome=\"finished\"}"];
    wait_for("the numbers", || finished() == was + 2.0);
    at_rest(fixture);
    let after = scrape(fixture);
    let more = |series: &str| {
        let was = before.get(series).copied().unwrap_or(0.0);
        after
            .get(series)
            .unwrap_or_else(|| panic!("{series}: {after:?}"))
            - was
    };
    assert_eq!(more("maquette_requests_total"), 2.0);
    assert_eq!(
        more("maquette_requests_ended_total{outcome=\"finished\"}"),
        2.0
    );
    assert_eq!(more("maquette_prompt_tokens_total"), 150.0);
    assert_eq!(more("maquette_prefill_tokens_total"), 150.0);
    assert_eq!(more("maquette_generated_tokens_total"), 11.0);
    assert_eq!(more("maquette_time_to_first_token_seconds_count"), 2.0);
    assert_eq!(more("maquette_inter_token_latency_seconds_count"), 9.0);
    assert_eq!(more("maquette_request_duration_seconds_count"), 2.0);
    assert_eq!(more("maquette_queue_seconds_count"), 2.0);
    assert!(more("maquette_step_batch_size_count") >= 11.0);
    assert!(more("maquette_prefill_seconds_total") > 0.0);
    assert!(more("maquette_decode_seconds_total") > 0.0);
    assert_eq!(more("maquette_prefix_cache_misses_total"), 2.0);
    assert_eq!(
        more("maquette_prefix_cache_hits_total{tier=\"memory\"}"),
        0.0
    );
    let ends = ["no_page", "other_tokens", "evicted"].map(|reason| {
        more(&format!(
            "maquette_prefix_cache_ends_total{{reason=\"{reason}\"}}"
        ))
    });
    assert_eq!(ends.iter().sum::<f64>(), 2.0);
    let http = |status: u16, route: &str| {
        let method = if route == "none" { "GET" } else { "POST" };
        more(&format!(
            "maquette_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
        ))
    };
    assert_eq!(http(200, COMPLETIONS), 2.0);
    assert_eq!(http(400, COMPLETIONS), 1.0);
    assert_eq!(http(404, "none"), 1.0);
    assert_eq!(after["maquette_requests_running"], 0.0);
    assert_eq!(after["maquette_http_requests_in_flight"], 1.0);
    assert_eq!(after["maquette_model_info{model=\"guide\"}"], 1.0);
    assert!(after["maquette_memory_bytes{kind=\"weights\"}"] > 1e6);
    assert!(after["maquette_memory_limit_bytes"] > 1e6);
}

/// Sends a request on a connection of its own and returns the connection.
async fn send(fixture: &Fixture, body: &Value) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // The client's kernel buffers little for one that does not read.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(fixture.address).await.unwrap();
    let body = body.to_string();
    let text = format!(
        "POST {COMPLETIONS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

fn cancelled(fixture: &Fixture) -> u64 {
    fixture.workstation.engine_stats().borrow().totals.cancelled
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn clients_that_leave_at_any_stage_free_everything() {
    let _turn = alone();
    let fixture = fixture();
    for stream in [true, false] {
        at_rest(fixture);
        let before = cancelled(fixture);
        let stats = fixture.workstation.engine_stats();
        // Reading a long prompt.
        let reading = fixture
            .runtime
            .block_on(send(fixture, &request(3500, 500, stream)));
        wait_for("the prompt to be begun", || {
            stats
                .borrow()
                .running
                .iter()
                .any(|it| it.state == "prefill")
        });
        drop(reading);
        wait_for("the reader to be gone", || cancelled(fixture) == before + 1);
        at_rest(fixture);
        // In the middle of an answer.
        let decoding = fixture
            .runtime
            .block_on(send(fixture, &request(3, 3900, stream)));
        wait_for("an answer", || {
            stats
                .borrow()
                .running
                .iter()
                .any(|it| it.completion_tokens > 2)
        });
        drop(decoding);
        wait_for("the answer to be gone", || cancelled(fixture) == before + 2);
        at_rest(fixture);
    }
}

#[test]
fn one_that_never_reads_stalls_nobody() {
    let _turn = alone();
    let fixture = fixture();
    at_rest(fixture);
    let deaf = fixture
        .runtime
        .block_on(send(fixture, &request(3, 4000, true)));
    for _ in 0..3 {
        let (status, body) = fixture.post(COMPLETIONS, &request(30, 10, false));
        assert_eq!(
            (status, &body["usage"]["completion_tokens"]),
            (200, &json!(10))
        );
    }
    drop(deaf);
    at_rest(fixture);
}

#[test]
fn a_conversation_that_is_too_long_is_refused_or_shortened() {
    let _turn = alone();
    let fixture = fixture();
    let turn = |number: usize| {
        let words = format!("Tell me about the number {number} and the library. ").repeat(60);
        [
            json!({"role": "user", "content": words}),
            json!({"role": "assistant", "content": "It is a number."}),
        ]
    };
    let mut messages = vec![json!({"role": "system", "content": "Be brief."})];
    messages.extend((0..12).flat_map(turn));
    messages.push(json!({"role": "user", "content": "Which key quits Maquette?"}));
    let mut body = json!({"messages": messages, "max_tokens": 8, "temperature": 0});
    let (status, refused) = fixture.post("/v1/chat/completions", &body);
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("context_length_exceeded"))
    );
    body["truncation"] = json!("auto");
    let (omitted, answer) = fixture.runtime.block_on(async {
        let request = fixture.client.post(fixture.url("/v1/chat/completions"));
        let response = request
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        let omitted = response.headers()["x-maquette-omitted-messages"]
            .to_str()
            .unwrap()
            .to_owned();
        (
            omitted.parse::<usize>().unwrap(),
            response.json::<Value>().await.unwrap(),
        )
    });
    assert!(omitted > 0 && omitted < 24 && omitted % 2 == 0, "{omitted}");
    assert!(
        answer["usage"]["prompt_tokens"].as_u64().unwrap() < 4096,
        "{answer}"
    );
    // A newest message that alone is too long cannot be helped.
    body["messages"] = json!([{"role": "user", "content": "number ".repeat(6000)}]);
    let (status, refused) = fixture.post("/v1/chat/completions", &body);
    assert_eq!(status, 400);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("the newest message"), "{message}");
    at_rest(fixture);
}

#[test]
fn a_queue_of_256_drains_and_memory_comes_back() {
    let _turn = alone();
    let fixture = fixture();
    at_rest(fixture);
    let before = fixture.workstation.engine_stats().borrow().clone();
    let answered = fixture.runtime.block_on(async {
        let requests = (0..256).map(|number| async move {
            let body = request(20 + number % 100, 4 + number % 13, number % 2 == 0);
            let mut stream = send(fixture, &body).await;
            let mut answer = Vec::new();
            let mut part = [0; 4096];
            loop {
                match stream.read(&mut part).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => answer.extend_from_slice(&part[..count]),
                }
                let text = String::from_utf8_lossy(&answer);
                if text.contains("[DONE]") || text.contains("\"usage\"") {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&answer).into_owned();
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        });
        join_all(requests).await.len()
    });
    assert_eq!(answered, 256);
    at_rest(fixture);
    let after = fixture.workstation.engine_stats().borrow().clone();
    assert_eq!(after.totals.finished - before.totals.finished, 256);
    assert_eq!(after.totals.failed, before.totals.failed);
    // What is still held is kept for later prompts, and counted as that.
    let held = after.bytes.active - before.bytes.active.min(after.bytes.active);
    assert!(held <= after.bytes.kv + (8 << 20), "{held} {after:?}");
}
