//! Keeps the order of the modules: each may use those above it, never those
//! below, and the front ends do not know each other.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// From the bottom up.
const ORDER: [&str; 13] = [
    "config",
    "telemetry",
    "mlx",
    "text",
    "cache",
    "models",
    "engine",
    "library",
    "chat",
    "mcp",
    "workstation",
    "server",
    "tui",
];

/// Siblings: neither may use the other, and both see `workstation` alone.
const FRONT_ENDS: [&str; 2] = ["server", "tui"];

/// Crates that draw or read keys belong to the screen alone.
const SCREEN_CRATES: [&str; 2] = ["ratatui", "crossterm"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Every `crate::NAME` and `crate::{NAME…` of a file, without comments.
fn used_modules(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut used = Vec::new();
    for (place, _) in code.match_indices("crate::") {
        let before = code[..place].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[place + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => used.extend(top_names(list)),
            None => used.push(first_name(rest)),
        }
    }
    used
}

fn first_name(text: &str) -> String {
    let name = text.trim_start();
    name.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The first names of a braced list, up to its closing brace.
fn top_names(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut item = String::new();
    let mut items = Vec::new();
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            c => item.push(c),
        }
    }
    items.push(item);
    let names = items.iter().map(|item| first_name(item));
    names.filter(|name| !name.is_empty()).collect()
}

fn allowed(from: &str, to: &str) -> bool {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let (Some(from_place), Some(to_place)) = (place(from), place(to)) else {
        return true;
    };
    if from == to {
        return true;
    }
    if FRONT_ENDS.contains(&from) {
        return to == "workstation";
    }
    to_place < from_place
}

#[test]
fn modules_use_only_those_above_them() {
    let mut wrong = Vec::new();
    for module in ORDER {
        let mut files = Vec::new();
        rust_files(&source().join(module), &mut files);
        assert!(!files.is_empty(), "src/{module} has no files");
        for file in files {
            let text = fs::read_to_string(&file).expect("a readable source file");
            for used in used_modules(&text) {
                if !allowed(module, &used) {
                    wrong.push(format!("{} uses crate::{used}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_screen_draws() {
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    // The commands ask for the terminal's size and write to it as a stream.
    let front_ends = [source().join("tui"), source().join("cli")];
    for file in files
        .iter()
        .filter(|file| !front_ends.iter().any(|folder| file.starts_with(folder)))
    {
        let text = fs::read_to_string(file).expect("a readable source file");
        for name in SCREEN_CRATES {
            let used = text.contains(&format!("{name}::"));
            assert!(!used, "{} uses {name}", file.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable source file");
        let tests = file.file_name().is_some_and(|name| name == "tests.rs");
        assert!(
            tests || text.starts_with("//!"),
            "{} has no `//!`",
            file.display()
        );
    }
}

#[test]
fn the_reader_of_use_lines_reads() {
    let text = "use crate::engine::X;\nuse crate::{chat::Y, mcp::{A, B}, server};\n// crate::tui\n";
    assert_eq!(used_modules(text), ["engine", "chat", "mcp", "server"]);
    assert!(!allowed("engine", "chat") && allowed("chat", "engine"));
    assert!(!allowed("tui", "engine") && !allowed("tui", "server"));
}
