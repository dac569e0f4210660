//! What the tests of commands and of the HTTP API share: homes of their own,
//! and one server with the guide.

#![allow(dead_code, reason = "each test program uses its own part")]

pub mod requests;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, LazyLock},
};

use maquette::{
    config::{Paths, Settings},
    server::HttpServer,
    telemetry::Telemetry,
    workstation::Workstation,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The folder of the model that every test can have.
pub const GUIDE_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/guide");

/// One workstation with one server, shared by all tests of a program.
pub struct Fixture {
    pub runtime: Runtime,
    pub workstation: Workstation,
    pub address: SocketAddr,
    pub client: reqwest::Client,
    _home: TempDir,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let home = tempfile::tempdir().expect("a temporary folder");
    let runtime = Runtime::new().expect("a runtime");
    let workstation = runtime.block_on(async { workstation(home.path()) });
    let address = runtime
        .block_on(workstation.start_api(Some("127.0.0.1"), Some(0)))
        .expect("the API starts");
    runtime
        .block_on(workstation.ensure_model(None))
        .expect("the guide loads");
    Fixture {
        runtime,
        workstation,
        address,
        client: reqwest::Client::new(),
        _home: home,
    }
});

pub fn fixture() -> &'static Fixture {
    &FIXTURE
}

fn workstation(home: &Path) -> Workstation {
    let paths = Paths::under(home);
    paths.create().expect("folders");
    let telemetry = Telemetry::start(&paths, tracing::Level::INFO, false);
    let server = Arc::new(HttpServer);
    Workstation::start(paths, Settings::default(), Vec::new(), &telemetry, server)
        .expect("the workstation starts")
}

impl Fixture {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Posts JSON; status and JSON of the answer.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_text(path, body.to_string())
    }

    pub fn post_text(&self, path: &str, body: String) -> (u16, Value) {
        self.runtime.block_on(async {
            let request = self.client.post(self.url(path)).body(body);
            let response = request.send().await.expect("an answer");
            let status = response.status().as_u16();
            (status, response.json().await.expect("JSON"))
        })
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.get_text(path);
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    pub fn get_text(&self, path: &str) -> (u16, String) {
        self.runtime.block_on(async {
            let response = self.client.get(self.url(path)).send().await;
            let response = response.expect("an answer");
            let status = response.status().as_u16();
            (status, response.text().await.expect("text"))
        })
    }

    /// Posts JSON and reads a whole stream of events: the data of each.
    pub fn stream(&self, path: &str, body: &Value) -> Vec<String> {
        self.runtime.block_on(async {
            let request = self.client.post(self.url(path)).body(body.to_string());
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status().as_u16(), 200);
            let kind = response.headers()["content-type"].to_str().unwrap();
            assert!(kind.starts_with("text/event-stream"), "{kind}");
            events(&response.text().await.expect("a stream"))
        })
    }
}

/// The data of every event of a stream.
pub fn events(text: &str) -> Vec<String> {
    text.split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .map(str::to_owned)
        .collect()
}
