//! The HTTP API as clients see it: a real server, a real model, real requests.

mod support;

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all};
use maquette::{server::ENDPOINTS, workstation::ApiState};
use serde_json::{Value, json};
use support::{
    fixture,
    requests::{CHAT, COMPLETIONS, ask, with},
};

#[test]
fn every_endpoint_of_the_table_is_there() {
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{id}", "guide");
        let (status, body) = match endpoint.method {
            // Not everything is JSON: `/metrics` is a text of its own.
            "GET" => fixture().get_text(&path),
            _ => {
                let (status, body) = fixture().post(&path, &json!({}));
                (status, body.to_string())
            }
        };
        assert!(status == 200 || status == 400, "{path}: {status} {body}");
    }
}

#[test]
fn health_and_models_name_the_guide() {
    let (status, health) = fixture().get("/health");
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert_eq!(health["model"], "guide");
    assert_eq!(health["state"], "ready");
    let (_, list) = fixture().get("/v1/models");
    assert_eq!(list["object"], "list");
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert!(ids.contains(&&json!("guide")), "{list}");
    let (status, model) = fixture().get("/v1/models/guide");
    assert_eq!((status, &model["object"]), (200, &json!("model")));
    let (status, error) = fixture().get("/v1/models/no/such");
    assert_eq!(
        (status, &error["error"]["code"]),
        (404, &json!("model_not_found"))
    );
}

#[test]
fn a_chat_is_answered_whole() {
    let (status, body) = fixture().post(CHAT, &ask("Which key quits Maquette?"));
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "guide");
    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["role"], "assistant");
    assert!(!choice["message"]["content"].as_str().unwrap().is_empty());
    assert!(["stop", "length"].contains(&choice["finish_reason"].as_str().unwrap()));
    let usage = &body["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert!(count("prompt_tokens") > 4);
    assert!(count("completion_tokens") <= 24);
    assert_eq!(
        count("total_tokens"),
        count("prompt_tokens") + count("completion_tokens")
    );
    assert!(usage["prompt_tokens_details"]["cached_tokens"].is_u64());
}

#[test]
fn a_streamed_chat_says_the_same() {
    let request = ask("How do I start the API?");
    let (_, whole) = fixture().post(CHAT, &request);
    let streaming = json!({"stream": true, "stream_options": {"include_usage": true}});
    let events = fixture().stream(CHAT, &with(request, streaming));
    assert_eq!(events.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"]);
    let [.., last, usage] = chunks.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        last["choices"][0]["finish_reason"],
        whole["choices"][0]["finish_reason"]
    );
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"]["completion_tokens"],
        whole["usage"]["completion_tokens"]
    );
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
}

#[test]
fn a_completion_has_as_many_tokens_and_logprobs_as_asked_for() {
    let request = json!({
        "prompt": "Maquette", "max_tokens": 7, "temperature": 0, "ignore_eos": true, "logprobs": 2,
    });
    let (status, body) = fixture().post(COMPLETIONS, &request);
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["usage"]["completion_tokens"], 7);
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    let logprobs = &body["choices"][0]["logprobs"];
    for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        assert_eq!(logprobs[name].as_array().unwrap().len(), 7, "{name}");
    }
    let first = &logprobs["token_logprobs"][0];
    assert!(first.as_f64().unwrap() <= 0.0);
    let best = logprobs["top_logprobs"][0].as_object().unwrap();
    assert_eq!(best.len(), 2);
    let most = best
        .values()
        .map(|p| p.as_f64().unwrap())
        .fold(f64::MIN, f64::max);
    assert_eq!(first.as_f64().unwrap(), most, "greedy takes the likeliest");
    let events = fixture().stream(COMPLETIONS, &with(request, json!({"stream": true})));
    let text: String = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str::<Value>(event).unwrap())
        .map(|chunk| chunk["choices"][0]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(text, body["choices"][0]["text"]);
}

#[test]
fn token_prompts_seeds_and_stops_are_followed() {
    let post = |extra| {
        let base = json!({"prompt": [5, 6, 7], "max_tokens": 12, "ignore_eos": true});
        let (status, body) = fixture().post(COMPLETIONS, &with(base, extra));
        assert_eq!(status, 200, "{body}");
        body["choices"][0]["text"].as_str().unwrap().to_owned()
    };
    let seeded = || post(json!({"seed": 7, "temperature": 1.5}));
    assert_eq!(seeded(), seeded());
    let plain = post(json!({"temperature": 0}));
    let stop: String = plain.trim_start().chars().skip(2).take(2).collect();
    let stopped = post(json!({"temperature": 0, "stop": [stop]}));
    assert_eq!(stopped, plain.split(&stop).next().unwrap());
    let banned = post(json!({"temperature": 0, "max_tokens": 1}));
    assert!(plain.starts_with(&banned));
}

#[test]
fn chats_have_logprobs_in_their_own_form() {
    let extra = json!({"logprobs": true, "top_logprobs": 3, "max_tokens": 5});
    let (status, body) = fixture().post(CHAT, &with(ask("Hello"), extra));
    assert_eq!(status, 200, "{body}");
    let content = body["choices"][0]["logprobs"]["content"]
        .as_array()
        .unwrap();
    assert_eq!(
        Some(content.len() as u64),
        body["usage"]["completion_tokens"].as_u64()
    );
    assert_eq!(content[0]["top_logprobs"].as_array().unwrap().len(), 3);
    assert!(content[0]["bytes"].is_array());
}

#[test]
fn a_client_that_leaves_frees_the_engine() {
    let fixture = fixture();
    let body = json!({
        "prompt": [5, 6], "max_tokens": 900, "ignore_eos": true, "stream": true, "temperature": 0,
    });
    fixture.runtime.block_on(async {
        let cancelled = || fixture.workstation.engine_stats().borrow().totals.cancelled;
        let before = cancelled();
        let request = fixture
            .client
            .post(fixture.url(COMPLETIONS))
            .body(body.to_string());
        let mut stream = request.send().await.unwrap().bytes_stream();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        let deadline = Instant::now() + Duration::from_secs(10);
        while cancelled() == before {
            assert!(Instant::now() < deadline, "the request still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn twenty_clients_at_once_are_all_answered() {
    let fixture = fixture();
    let served = || match *fixture.workstation.api().borrow() {
        ApiState::On { served, .. } => served,
        _ => panic!("the API is on"),
    };
    let before = served();
    fixture.runtime.block_on(async {
        let requests = (0..20).map(|number| {
            let body = with(
                ask(&format!("What is {number} + 1?")),
                json!({"stream": number % 2 == 0}),
            );
            let request = fixture
                .client
                .post(fixture.url(CHAT))
                .body(body.to_string());
            async move {
                let response = request.send().await.unwrap();
                assert_eq!(response.status().as_u16(), 200);
                response.text().await.unwrap()
            }
        });
        for (number, text) in join_all(requests).await.into_iter().enumerate() {
            match number % 2 {
                0 => assert!(text.ends_with("data: [DONE]\n\n"), "{text}"),
                _ => assert!(text.contains("\"finish_reason\""), "{text}"),
            }
        }
    });
    assert!(served() >= before + 20);
}
