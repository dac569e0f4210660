//! The log of a whole process: what native code prints, panics, the file.
//!
//! One test, because a process has one standard error and one panic hook.

use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use maquette::{
    config::Paths,
    telemetry::{LogRecord, Telemetry, install_panic_hook, stderr},
};
use tracing::Level;

/// Whether a panic is the end of the screen.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Prints as native code does: past Rust's own handles.
fn print(text: &str) {
    let script = format!("echo '{text}' >&2");
    let status = Command::new("sh").args(["-c", &script]).status();
    assert!(status.expect("sh").success());
}

fn wait_for(telemetry: &Telemetry, wanted: impl Fn(&LogRecord) -> bool) -> LogRecord {
    let start = Instant::now();
    loop {
        let records = telemetry.logs().snapshot();
        if let Some(record) = records.iter().find(|record| wanted(record)) {
            return LogRecord::clone(record);
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{records:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn everything_ends_up_in_the_log_and_nothing_on_the_screen() {
    let home = tempfile::tempdir().unwrap();
    let screen = home.path().join("screen");
    let terminal = fs::File::create(&screen).unwrap();
    let real = rustix::io::dup(rustix::stdio::stderr()).unwrap();
    rustix::stdio::dup2_stderr(&terminal).unwrap();
    let shown = || fs::read_to_string(&screen).unwrap();

    let paths = Paths::under(home.path());
    let telemetry = Telemetry::start(&paths, Level::INFO, true);
    tracing::info!(target: "maquette::test", request = "r1", "hello");
    tracing::debug!(target: "maquette::test", "not yet");
    print("native words");
    let record = wait_for(&telemetry, |it| it.message == "native words");
    assert_eq!(
        (record.target.as_str(), record.level),
        ("stderr", Level::WARN)
    );
    assert_eq!(shown(), "");

    telemetry.set_level(Level::DEBUG);
    tracing::debug!(target: "maquette::test", "now");
    let messages = telemetry.logs().snapshot();
    let messages: Vec<_> = messages.iter().map(|it| it.message.as_str()).collect();
    assert!(
        messages.contains(&"now") && !messages.contains(&"not yet"),
        "{messages:?}"
    );

    // Another program has the terminal for a while.
    assert!(stderr::release());
    assert!(!stderr::release(), "once is enough");
    print("for the person");
    assert_eq!(shown(), "for the person\n");
    stderr::capture().unwrap();
    stderr::real()
        .unwrap()
        .write_all(b"past the capture\n")
        .unwrap();
    print("captured again");
    wait_for(&telemetry, |it| it.message == "captured again");
    assert_eq!(shown(), "for the person\npast the capture\n");

    // The test runner captures what its own hook prints; the usual hook writes
    // to standard error like this one.
    std::panic::set_hook(Box::new(|info| {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{info}");
    }));
    install_panic_hook(|| ENDS.load(Ordering::SeqCst));
    let unlucky = |text: &'static str| {
        let thread = std::thread::Builder::new().name("unlucky".into());
        assert!(
            thread
                .spawn(move || panic!("{text}"))
                .unwrap()
                .join()
                .is_err()
        );
    };
    unlucky("survived");
    let record = wait_for(&telemetry, |it| it.target == "panic");
    assert!(record.message.contains("`unlucky`"), "{record}");
    assert!(!shown().contains("survived"), "{}", shown());
    ENDS.store(true, Ordering::SeqCst);
    unlucky("thirteen");
    wait_for(&telemetry, |it| it.message.contains("thirteen"));
    assert!(
        shown().contains("thirteen"),
        "the usual report: {}",
        shown()
    );

    rustix::stdio::dup2_stderr(&real).unwrap();
    let file = log_file(&paths.logs);
    for text in [
        "hello",
        "request=",
        "native words",
        "now",
        "captured again",
        "thirteen",
    ] {
        assert!(file.contains(text), "{text} is not in the file:\n{file}");
    }
    assert!(!file.contains("not yet"));
    assert!(Telemetry::start(&paths, Level::WARN, false).level() == Level::WARN);
}

fn log_file(folder: &Path) -> String {
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .filter_map(Result::ok)
        .collect();
    assert_eq!(files.len(), 1);
    fs::read_to_string(files[0].path()).unwrap()
}
