//! The commands as a shell sees them: the real executable, its output, its exit
//! code.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use support::GUIDE_FOLDER;
use tempfile::TempDir;

/// A home of its own for the executable, which finds no model of this machine.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maquette"));
        command
            .args(args)
            .env("MAQUETTE_HOME", self.0.path())
            .env("HF_HUB_CACHE", self.0.path().join("hub"))
            .env_remove("MAQUETTE_API_KEY")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the executable runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout: {}\nstderr: {}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// Fails with one line on standard error that holds `part`.
#[track_caller]
fn assert_fails(output: &Output, part: &str) {
    assert_code(output, 1);
    let message = text(&output.stderr);
    let last = message.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("maquette: ") && last.contains(part),
        "{message}"
    );
}

#[test]
fn help_lists_the_commands() {
    let output = Home::new().run(&["--help"]);
    assert_code(&output, 0);
    let help = text(&output.stdout);
    for command in ["serve", "chat", "models", "pull", "bench", "doctor"] {
        assert!(help.contains(command), "{command} is missing in\n{help}");
    }
    assert!(!help.contains("facts"));
}

#[test]
fn wrong_flags_are_usage_errors() {
    let home = Home::new();
    for args in [
        &["--colour"][..],
        &["serve", "--port", "99999"],
        &["chat"],
        &["bench", "--random-weights"],
        &["chat", "-p", "x", "--temperature", "warm"],
    ] {
        assert_code(&home.run(args), 2);
    }
}

#[test]
fn without_a_terminal_the_screen_says_so() {
    assert_fails(&Home::new().run(&[]), "needs a terminal");
}

#[test]
fn models_are_listed_for_people_and_programs() {
    let home = Home::new();
    let output = home.run(&["models"]);
    assert_code(&output, 0);
    assert!(
        text(&output.stdout)
            .lines()
            .any(|line| line.starts_with("guide "))
    );
    let output = home.run(&["models", "--json"]);
    assert_code(&output, 0);
    let models: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(models[0]["id"], "guide");
    assert_eq!(models[0]["family"], "qwen3");
    assert_eq!(models[0]["supported"], true);
}

#[test]
fn a_question_is_answered_on_a_pipe() {
    let home = Home::new();
    let args = [
        "chat",
        "-p",
        "Which key opens the help?",
        "--temperature",
        "0",
    ];
    let output = home.run(&args);
    assert_code(&output, 0);
    let answer = text(&output.stdout);
    assert!(
        answer.trim().len() > 3 && answer.ends_with('\n'),
        "{answer:?}"
    );
    assert!(
        !answer.contains('\x1b') && !answer.contains("<think>"),
        "{answer:?}"
    );
    let mut child = home
        .command(&[
            "chat",
            "-p",
            "-",
            "--temperature",
            "0",
            "--model",
            GUIDE_FOLDER,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the executable runs");
    let mut stdin = child.stdin.take().expect("standard input");
    stdin
        .write_all(b"Which key opens the help?\n")
        .expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("the end");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), answer, "by argument and by pipe");
}

#[test]
fn a_reader_that_leaves_ends_the_answer_quietly() {
    let home = Home::new();
    let mut child = home
        .command(&[
            "chat",
            "-p",
            "Tell me all about the panes.",
            "--temperature",
            "0",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executable runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the end");
    assert_code(&output, 0);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn what_cannot_work_fails_with_one_line() {
    let home = Home::new();
    let folder = home.0.path().join("nothing");
    let missing = folder.display().to_string();
    assert_fails(
        &home.run(&["chat", "-p", "x", "--model", &missing]),
        "no such folder",
    );
    assert_fails(
        &home.run(&["chat", "-p", "x", "--model", "no/such-model"]),
        "no/such-model",
    );
    assert_fails(&home.run(&["chat", "-p", " "]), "empty");
    assert_fails(
        &home.run(&["chat", "-p", "x", "--temperature", "9"]),
        "from 0 to 2",
    );
    std::fs::create_dir(&folder).expect("a folder");
    assert_fails(
        &home.run(&["chat", "-p", "x", "--model", &missing]),
        "config.json",
    );
    assert_fails(
        &home.run(&["serve", "--host", "0.0.0.0", "--port", "0"]),
        "API key",
    );
}

#[test]
fn a_port_in_use_is_said_before_anything_is_loaded() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let output = Home::new().run(&["serve", "--port", &port]);
    assert_fails(&output, &format!("port {port} on 127.0.0.1 is in use"));
}

#[test]
fn a_server_serves_until_it_is_told_to_stop() {
    let home = Home::new();
    let mut child = home
        .command(&["serve", "--port", "0", "--api-key", "secret"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the executable runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("standard output");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert!(
        line.starts_with("Serving guide at http://127.0.0.1:"),
        "{line}"
    );
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("http"))
        .expect("a URL");
    let url = format!("{}/models", url.trim_end_matches('.'));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let status = |key: &'static str| {
        let get = reqwest::Client::new().get(&url).bearer_auth(key).send();
        runtime.block_on(get).expect("an answer").status().as_u16()
    };
    assert_eq!((status("secret"), status("other")), (200, 401));
    terminate(&child);
    assert_eq!(wait(&mut child), Some(0));
}

fn terminate(child: &Child) {
    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill runs").success());
}

/// The exit code, within the time that an orderly end may take.
fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(status) = child.try_wait().expect("a status") {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().expect("the end");
            panic!("the server does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn bench_measures_the_guide() {
    let args = [
        "bench",
        "--prompt-tokens",
        "32",
        "--generate-tokens",
        "8",
        "--runs",
        "1",
        "--json",
    ];
    let output = Home::new().run(&args);
    assert_code(&output, 0);
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for name in [
        "prefill_tokens_per_second",
        "decode_tokens_per_second",
        "first_token_seconds",
    ] {
        assert!(
            figures[name].as_f64().is_some_and(|figure| figure > 0.0),
            "{figures}"
        );
    }
}

#[test]
fn the_doctor_and_the_facts_speak_of_this_program() {
    let home = Home::new();
    // The first command that needs the folders makes them; the doctor does not.
    assert!(text(&home.run(&["doctor"]).stdout).contains("not there yet"));
    assert_code(&home.run(&["models"]), 0);
    let output = home.run(&["doctor"]);
    assert_code(&output, 0);
    let report = text(&output.stdout);
    for part in [
        "backend",
        "memory",
        "MLX",
        "writable",
        "TERM",
        &home.0.path().display().to_string(),
    ] {
        assert!(report.contains(part), "{part} is missing in\n{report}");
    }
    let settings = home.0.path().join("config/settings.toml");
    std::fs::write(settings, "[api]\nport = \"x\"\n").expect("written");
    let report = text(&home.run(&["doctor"]).stdout);
    assert!(report.contains("settings.toml:2:8: api.port"), "{report}");
    let tools = home.0.path().join("config/mcp.json");
    std::fs::write(tools, r#"{"mcpServers": {"clock": {"args": []}}}"#).expect("written");
    let report = text(&home.run(&["doctor"]).stdout);
    assert!(report.contains("mcp.json:1:"), "{report}");
    assert!(report.contains("clock"), "{report}");
    let output = home.run(&["facts"]);
    assert_code(&output, 0);
    let facts: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(facts["panes"].as_array().map(Vec::len), Some(5));
    assert!(
        facts["actions"]
            .as_array()
            .is_some_and(|actions| actions.len() > 20)
    );
    assert!(facts["commands"].to_string().contains("--api-key"));
}
