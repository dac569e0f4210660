//! What the HTTP API refuses, and how: a real server, wrong requests.

mod support;

use maquette::{server::HttpServer, workstation::ApiServer};
use serde_json::{Value, json};
use support::{
    fixture,
    requests::{CHAT, COMPLETIONS, ask, with},
};

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
