//! The HTTP API through the official `openai` Python client.
//!
//! Runs only where `MAQUETTE_TEST_PYTHON` names a Python with the `openai`
//! package, since Maquette itself needs none.

mod support;

use std::process::Command;

use support::fixture;

#[test]
fn the_official_client_understands_every_answer() {
    let Some(python) = std::env::var_os("MAQUETTE_TEST_PYTHON") else {
        eprintln!("skipped: MAQUETTE_TEST_PYTHON is not set");
        return;
    };
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/openai_client.py"
    );
    let output = Command::new(python)
        .arg(script)
        .arg(fixture().url("/v1"))
        .output()
        .expect("MAQUETTE_TEST_PYTHON runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
