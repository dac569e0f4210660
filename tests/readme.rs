//! The README's tables of keys, commands, folders and settings are the program's own.
//!
//! `UPDATE_README=1 cargo test --test readme` writes them anew, on Linux: the
//! README shows the folders there.
#![cfg(target_os = "linux")]

use std::{fmt::Write as _, process::Command};

use serde_json::Value;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

#[test]
fn tables_follow_the_program() {
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_maquette"))
        .arg("facts")
        .env("HOME", home.path())
        .env_remove("MAQUETTE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CACHE_HOME")
        .output()
        .expect("the program runs");
    let facts: Value = serde_json::from_slice(&output.stdout).expect("facts are JSON");
    let written = std::fs::read_to_string(README).expect("there is a README");
    let mut made = written.clone();
    for (name, table) in [
        ("keys", keys(&facts)),
        ("commands", commands(&facts)),
        ("folders", folders(&facts)),
        ("settings", settings(&facts)),
    ] {
        made = replace(&made, name, &table);
    }
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(README, &made).expect("the README can be written");
    } else {
        assert!(
            written == made,
            "README.md is behind the program: `UPDATE_README=1 cargo test --test readme`"
        );
    }
}

/// Replaces what stands between the marks `name:begin` and `name:end`.
fn replace(text: &str, name: &str, table: &str) -> String {
    let begin = text.find(&format!("<!-- {name}:begin")).expect("a mark");
    let start = begin + text[begin..].find("-->").expect("the mark's end") + 3;
    let end = text.find(&format!("<!-- {name}:end")).expect("an end mark");
    format!("{}\n{table}{}", &text[..start], &text[end..])
}

fn keys(facts: &Value) -> String {
    let mut table = String::from("| where | keys |\n|---|---|\n");
    for (context, label) in [
        ("global", "everywhere"),
        ("chat", "chat"),
        ("composer", "writing"),
        ("transcript", "reading"),
        ("library", "library"),
        ("logs", "logs"),
        ("tools", "tools"),
        ("list", "lists"),
    ] {
        let actions = rows(facts, "actions")
            .iter()
            .filter(|a| a["context"] == context);
        let keys: Vec<String> = actions.filter_map(key).collect();
        let _ = writeln!(table, "| {label} | {} |", keys.join(" · "));
    }
    table
}

fn key(action: &Value) -> Option<String> {
    let chord = action["keys"][0].as_str()?;
    let spelt: Vec<String> = chord
        .split('-')
        .map(|part| {
            if part.len() > 1 {
                capital(part)
            } else {
                part.into()
            }
        })
        .collect();
    let doc = action["doc"].as_str()?.trim_end_matches('.');
    let mut doc = doc.chars();
    let first = doc.next()?.to_lowercase();
    let keys = if chord == "-" {
        "-".into()
    } else {
        spelt.join("-")
    };
    Some(format!("`{keys}` {first}{}", doc.as_str()))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn commands(facts: &Value) -> String {
    let mut table = String::from("| command | what it does |\n|---|---|\n");
    for command in rows(facts, "commands") {
        let text = |key: &str| command[key].as_str().unwrap_or_default().to_owned();
        let _ = writeln!(
            table,
            "| `{}` | {} |",
            text("usage").replace('|', "\\|"),
            text("doc")
        );
    }
    table
}

fn folders(facts: &Value) -> String {
    let mut table = String::from("| folder | what is in it |\n|---|---|\n");
    for folder in rows(facts, "folders") {
        let text = |key: &str| folder[key].as_str().unwrap_or_default().to_owned();
        let _ = writeln!(table, "| `{}` | {} |", text("path"), text("doc"));
    }
    table
}

fn settings(facts: &Value) -> String {
    let mut table = String::from("| setting | built-in value | meaning |\n|---|---|---|\n");
    for setting in rows(facts, "settings") {
        let text = |key: &str| {
            setting[key]
                .as_str()
                .unwrap_or_default()
                .replace('|', "\\|")
        };
        let (key, default, doc) = (text("key"), text("default"), text("doc"));
        let _ = writeln!(table, "| `{key}` | {default} | {doc} |");
    }
    table
}

fn rows<'a>(facts: &'a Value, name: &str) -> &'a [Value] {
    facts[name].as_array().expect("a table")
}
