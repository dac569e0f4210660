//! The HTTP API as clients see it: a real server, a real model, real requests.

mod support;

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all};
use maquette::{
    server::{ENDPOINTS, HttpServer},
    workstation::{ApiServer, ApiState},
};
use serde_json::{Value, json};
use support::fixture;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

fn ask(text: &str) -> Value {
    json!({
        "model": "guide", "temperature": 0, "max_tokens": 24,
        "messages": [{"role": "user", "content": text}],
    })
}

fn with(mut body: Value, extra: Value) -> Value {
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[test]
fn every_endpoint_of_the_table_is_there() {
    for endpoint in ENDPOINTS {
        let path = endpoint.path.replace("{id}", "guide");
        let (status, body) = match endpoint.method {
            "GET" => fixture().get(&path),
            _ => fixture().post(&path, &json!({})),
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

/// Status, `param` and a part of the message for each wrong request.
#[test]
fn wrong_requests_are_refused_by_name() {
    let completion = |extra| with(json!({"prompt": "a", "max_tokens": 2}), extra);
    let cases: Vec<(&str, Value, u16, Value, &str)> = vec![
        (CHAT, json!({}), 400, json!("messages"), "missing"),
        (
            CHAT,
            with(ask("x"), json!({"temperature": 3})),
            400,
            json!("temperature"),
            "from 0 to 2",
        ),
        (
            CHAT,
            with(ask("x"), json!({"temperature": "hot"})),
            400,
            json!("temperature"),
            "a number",
        ),
        (
            CHAT,
            with(ask("x"), json!({"top_p": 1.5})),
            400,
            json!("top_p"),
            "from 0 to 1",
        ),
        (
            CHAT,
            with(ask("x"), json!({"max_tokens": 0})),
            400,
            json!("max_tokens"),
            "at least 1",
        ),
        (
            CHAT,
            with(ask("x"), json!({"n": 2})),
            400,
            json!("n"),
            "one answer",
        ),
        (
            CHAT,
            with(
                ask("x"),
                json!({"response_format": {"type": "json_object"}}),
            ),
            400,
            json!("response_format"),
            "json_object",
        ),
        (
            CHAT,
            with(ask("x"), json!({"tool_choice": "required"})),
            400,
            json!("tool_choice"),
            "required",
        ),
        (
            CHAT,
            with(ask("x"), json!({"grammar": "x"})),
            400,
            json!("grammar"),
            "not a parameter",
        ),
        (
            CHAT,
            with(ask("x"), json!({"model": "gpt-9"})),
            404,
            json!("model"),
            "guide",
        ),
        (
            CHAT,
            with(ask("x"), json!({"logit_bias": {"999999": 1}})),
            400,
            json!("logit_bias"),
            "no such token",
        ),
        (
            COMPLETIONS,
            completion(json!({"echo": true})),
            400,
            json!("echo"),
            "echo",
        ),
        (
            COMPLETIONS,
            completion(json!({"presence_penalty": 9})),
            400,
            json!("presence_penalty"),
            "-2 to 2",
        ),
        (
            COMPLETIONS,
            completion(json!({"prompt": [99999999]})),
            400,
            json!(null),
            "99999999",
        ),
        (
            COMPLETIONS,
            completion(json!({"prompt": ""})),
            400,
            json!(null),
            "empty",
        ),
    ];
    for (path, body, status, param, part) in cases {
        let (found, answer) = fixture().post(path, &body);
        let error = &answer["error"];
        assert_eq!(
            (found, &error["param"]),
            (status, &param),
            "{body} -> {answer}"
        );
        assert_eq!(error["type"], "invalid_request_error");
        assert!(
            error["message"].as_str().unwrap().contains(part),
            "{answer}"
        );
    }
}

#[test]
fn what_no_handler_sees_gets_an_error_object_too() {
    let (status, body) = fixture().post_text(CHAT, "{\"messages\": [".to_owned());
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("invalid_json"))
    );
    let (status, body) = fixture().get("/v1/nothing");
    assert_eq!(
        (status, &body["error"]["code"]),
        (404, &json!("unknown_path"))
    );
    let (status, body) = fixture().get(CHAT);
    assert_eq!(
        (status, &body["error"]["code"]),
        (405, &json!("method_not_allowed"))
    );
    let large = " ".repeat(40 << 20);
    let (status, body) = fixture().post_text(CHAT, large);
    assert_eq!(
        (status, &body["error"]["code"]),
        (413, &json!("request_too_large"))
    );
}

#[test]
fn a_prompt_longer_than_the_context_is_refused_whole_and_streamed() {
    let tokens = vec![5; 200_000];
    for stream in [false, true] {
        let body = json!({"prompt": tokens, "stream": stream});
        let (status, answer) = fixture().post(COMPLETIONS, &body);
        assert_eq!(status, 400);
        assert_eq!(answer["error"]["code"], "context_length_exceeded");
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("200000")
        );
    }
}

#[test]
fn ids_come_back_and_foreign_pages_are_kept_out() {
    let fixture = fixture();
    fixture.runtime.block_on(async {
        let request = fixture.client.get(fixture.url("/health"));
        let response = request
            .header("x-request-id", "mine-7")
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["x-request-id"], "mine-7");
        let request = fixture.client.get(fixture.url("/v1/models"));
        let response = request
            .header("origin", "https://evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 403);
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin")
        );
        let request = fixture.client.get(fixture.url("/v1/models"));
        let response = request
            .header("origin", "http://localhost:3000")
            .send()
            .await
            .unwrap();
        assert_eq!(
            response.headers()["access-control-allow-origin"],
            "http://localhost:3000"
        );
    });
}

#[test]
fn a_key_is_asked_for_when_there_is_one() {
    let fixture = fixture();
    fixture.runtime.block_on(async {
        let workstation = fixture.workstation.clone();
        let key = Some("secret".to_owned());
        let api = HttpServer
            .start(workstation, "127.0.0.1".into(), 0, key)
            .await
            .unwrap();
        let url = format!("http://{}/v1/models", api.address());
        let get = |key: &str| fixture.client.get(&url).bearer_auth(key).send();
        assert_eq!(get("secret").await.unwrap().status().as_u16(), 200);
        let refused = get("wrong").await.unwrap();
        assert_eq!(refused.status().as_u16(), 401);
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["error"]["code"], "invalid_api_key");
        api.stop().await;
        assert!(
            get("secret").await.is_err(),
            "a stopped server listens no more"
        );
    });
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
