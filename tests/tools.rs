//! Tool servers as the workstation meets them: real child processes over
//! standard input and output, good ones and bad ones.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use maquette::{
    config::Paths,
    mcp::{McpError, ServerState, ServerStatus, Tools},
};
use serde_json::{Value, json};

/// The example server; cargo builds it before the tests run.
fn clock() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its path");
    let profile = test.ancestors().nth(2).expect("target/debug/deps/test");
    profile.join("examples/mcp_clock")
}

struct World {
    _home: tempfile::TempDir,
    paths: Paths,
    tools: Tools,
}

impl World {
    fn new(servers: Value) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let paths = Paths::under(home.path());
        write(&paths, &servers);
        Self {
            tools: Tools::start(&paths),
            _home: home,
            paths,
        }
    }

    /// Waits until a server is in a state.
    async fn until(&self, server: &str, state: impl Fn(&ServerState) -> bool) -> ServerState {
        let mut servers = self.tools.servers();
        let found = |list: &std::sync::Arc<Vec<ServerState>>| {
            list.iter().any(|it| it.name == server && state(it))
        };
        let wait = tokio::time::timeout(Duration::from_secs(60), servers.wait_for(found)).await;
        let list = wait
            .expect("in time")
            .expect("the servers are watched")
            .clone();
        list.iter()
            .find(|it| it.name == server)
            .expect("it was there")
            .clone()
    }

    async fn ready(&self, server: &str) -> ServerState {
        self.until(server, |it| it.state == ServerStatus::Ready)
            .await
    }

    /// The reason that a server has failed for.
    async fn failed(&self, server: &str) -> String {
        let state = self.until(server, |it| matches!(it.state, ServerStatus::Failed(_)));
        match state.await.state {
            ServerStatus::Failed(reason) => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn write(paths: &Paths, servers: &Value) {
    let text = json!({"mcpServers": servers}).to_string();
    std::fs::create_dir_all(&paths.config).expect("a folder");
    std::fs::write(&paths.mcp_json, text).expect("a file");
}

fn shell(script: &str) -> Value {
    json!({"command": "sh", "args": ["-c", script]})
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_checked_and_called() {
    let world = World::new(json!({"clock": {"command": clock()}}));
    let server = world.ready("clock").await;
    let names: Vec<_> = server.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert!(
        names.contains(&"add") && names.contains(&"echo"),
        "{names:?}"
    );
    let add = server.tools.iter().find(|tool| tool.name == "add").unwrap();
    assert_eq!(add.description, "Add two numbers.");
    assert_eq!(add.schema["required"], json!(["a", "b"]));

    let call = |tool: &'static str, arguments| world.tools.call("clock", tool, arguments);
    let sum = call("add", json!({"a": 2, "b": 40.5})).await.unwrap();
    assert_eq!((sum.text.as_str(), sum.is_error), ("42.5", false));
    assert_eq!(sum.raw["request"]["params"]["name"], "add");
    assert_eq!(sum.raw["result"]["content"][0]["text"], "42.5");
    let echo = call("echo", json!({"text": "grüße\n\u{1f600}"}))
        .await
        .unwrap();
    assert_eq!(echo.text, "grüße\n\u{1f600}");
    let now = call("now", Value::Null).await.unwrap();
    assert!(now.text.starts_with("20"), "{}", now.text);

    let failed = call("fail", json!({})).await.unwrap();
    assert!(failed.is_error && failed.text == "this tool always fails");
    let error = call("add", json!({"a": 1})).await.unwrap_err().to_string();
    assert!(error.contains("`b` is missing"), "{error}");
    let error = call("ad", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("Did you mean `add`?"), "{error}");
    let error = world
        .tools
        .call("clok", "add", json!({}))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("Did you mean `clock`?"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_told_of_and_started_again() {
    let world = World::new(json!({"clock": {"command": clock()}}));
    world.ready("clock").await;
    let error = world
        .tools
        .call("clock", "crash", json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, McpError::Died { .. }), "{error}");
    let reason = world.failed("clock").await;
    assert!(
        reason.contains("exit status 3") && reason.contains("about to crash"),
        "{reason}"
    );
    let error = world
        .tools
        .call("clock", "now", json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, McpError::NotReady { .. }), "{error}");
    world.tools.restart("clock").unwrap();
    world.ready("clock").await;
    assert!(world.tools.call("clock", "now", json!({})).await.is_ok());
    assert!(world.tools.restart("missing").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_servers_fail_each_for_its_own_reason_and_alone() {
    let world = World::new(json!({
        "clock": {"command": clock()},
        "missing": {"command": "no-such-program-anywhere"},
        "folder": {"command": "sh", "cwd": "/no/such/folder"},
        "quits": shell("echo no licence >&2; exit 7"),
        "refuses": shell(r#"read -r line; echo '{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"not today"}}'; cat >/dev/null"#),
        "off": {"command": "false", "disabled": true},
        "odd": {"command": 7},
    }));
    let missing = world.failed("missing").await;
    assert!(
        missing.contains("`no-such-program-anywhere` was not found"),
        "{missing}"
    );
    let folder = world.failed("folder").await;
    assert!(
        folder.contains("/no/such/folder does not exist"),
        "{folder}"
    );
    let quits = world.failed("quits").await;
    assert!(
        quits.contains("exit status 7") && quits.contains("no licence"),
        "{quits}"
    );
    let refuses = world.failed("refuses").await;
    assert!(refuses.contains("not today"), "{refuses}");
    let odd = world.failed("odd").await;
    assert!(
        odd.contains("mcpServers.odd.command: the number 7"),
        "{odd}"
    );
    world.until("off", |it| it.state == ServerStatus::Off).await;
    world.ready("clock").await;
    let names: Vec<_> = world
        .tools
        .servers()
        .borrow()
        .iter()
        .map(|it| it.name.clone())
        .collect();
    assert_eq!(
        names,
        [
            "clock", "missing", "folder", "quits", "refuses", "off", "odd"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_the_protocol_does_no_harm() {
    let script = format!(
        "echo hello; echo '{{not json'; exec '{}'",
        clock().display()
    );
    let world = World::new(json!({"noisy": shell(&script)}));
    world.ready("noisy").await;
    assert!(world.tools.call("noisy", "now", json!({})).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_garbage_never_gets_ready_and_ends_when_told() {
    let world = World::new(json!({"noise": shell("while :; do echo garbage; sleep 0.01; done")}));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let state = world.tools.servers().borrow()[0].state.clone();
    assert_eq!(state, ServerStatus::Starting);
    let start = Instant::now();
    world.tools.stop().await;
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_leaves_the_server_working() {
    let world = World::new(json!({"clock": {"command": clock()}}));
    world.ready("clock").await;
    let call = world.tools.call("clock", "wait", json!({"seconds": 60}));
    assert!(
        tokio::time::timeout(Duration::from_millis(200), call)
            .await
            .is_err()
    );
    let sum = world
        .tools
        .call("clock", "add", json!({"a": 1, "b": 1}))
        .await
        .unwrap();
    assert_eq!(sum.text, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn reloading_starts_and_ends_only_what_changed() {
    let world = World::new(json!({"a": {"command": clock()}, "b": {"command": clock()}}));
    world.ready("a").await;
    world.ready("b").await;
    write(
        &world.paths,
        &json!({"a": {"command": clock()}, "c": {"command": clock()}}),
    );
    assert_eq!(world.tools.reload(), None);
    let a = world.tools.servers().borrow()[0].state.clone();
    assert_eq!(a, ServerStatus::Ready, "it was not touched");
    world.ready("c").await;
    assert_eq!(world.tools.servers().borrow().len(), 2);
    std::fs::write(&world.paths.mcp_json, "{").unwrap();
    let problem = world.tools.reload().expect("a problem");
    assert!(problem.to_string().contains("mcp.json:1:"), "{problem}");
    assert_eq!(world.tools.problem(), Some(problem));
    assert!(
        world.tools.call("c", "now", json!({})).await.is_ok(),
        "the servers stay"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_running_after_the_tools_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    // A server that ignores the end of its input and polite signals, and has
    // a child of its own.
    let script = format!(
        "trap '' TERM; sleep 600 & echo $! >> '{0}'; echo $$ >> '{0}'; while :; do sleep 0.1; done",
        pids.display()
    );
    let world = World::new(json!({"stubborn": shell(&script)}));
    let pids = loop {
        let text = std::fs::read_to_string(&pids).unwrap_or_default();
        match text.lines().count() {
            2 => break text,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let start = Instant::now();
    drop(world);
    for pid in pids.lines() {
        while alive(pid) {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{pid} is still there"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whether a process exists and is more than an entry waiting to be read.
fn alive(pid: &str) -> bool {
    let output = std::process::Command::new("ps")
        .args(["-o", "stat=", "-p", pid])
        .output();
    let output = output.expect("ps");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}
