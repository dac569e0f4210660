//! `maquette doctor`: what Maquette found on this machine.

use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{
    args::DoctorArgs,
    output::{self, CliError},
    table, terminal,
};
use crate::{
    config::{Paths, Settings, huggingface_cache},
    mcp, mlx,
    tui::{
        keymap,
        theme::{self, Depth},
    },
};

/// A heading and its findings.
struct Section {
    name: &'static str,
    findings: Vec<(String, String)>,
}

/// Prints the findings. Problems are findings too: the command succeeds.
pub fn run(args: DoctorArgs) -> Result<(), CliError> {
    let paths = Paths::discover()?;
    let sections = [
        device(),
        folders(&paths),
        terminal_section(),
        settings(&paths),
    ];
    if args.json {
        return output::json(&object(&sections));
    }
    for (i, section) in sections.iter().enumerate() {
        if i > 0 {
            output::line("")?;
        }
        output::line(section.name)?;
        let rows = section.findings.iter();
        let width = rows.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, finding) in rows {
            output::line(format_args!("  {name:width$}  {finding}"))?;
        }
    }
    Ok(())
}

fn object(sections: &[Section]) -> Value {
    let section = |section: &Section| {
        let findings = section.findings.iter();
        let map: Map<_, _> = findings
            .map(|(name, finding)| (name.clone(), json!(finding)))
            .collect();
        (section.name.to_lowercase(), Value::Object(map))
    };
    Value::Object(sections.iter().map(section).collect())
}

fn device() -> Section {
    let device = mlx::device_info();
    let memory = format!(
        "{} free of {}",
        table::bytes(device.memory_available),
        table::bytes(device.memory_total)
    );
    let pairs = [
        ("Maquette", env!("CARGO_PKG_VERSION").to_owned()),
        ("MLX", mlx::device::mlx_version()),
        ("backend", device.backend.to_string()),
        ("device", device.name),
        ("threads", device.threads.to_string()),
        ("CPU features", cpu_features()),
        ("memory", memory),
        (
            "system",
            format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
    ];
    Section {
        name: "Device",
        findings: owned(pairs),
    }
}

fn owned<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    let pairs = pairs.into_iter();
    pairs.map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Those that kernels choose by.
fn cpu_features() -> String {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    #[cfg(target_arch = "aarch64")]
    let known = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
        (
            "dotprod",
            std::arch::is_aarch64_feature_detected!("dotprod"),
        ),
        ("bf16", std::arch::is_aarch64_feature_detected!("bf16")),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(&str, bool); 0] = [];
    let found: Vec<_> = known
        .iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| *name)
        .collect();
    match found.is_empty() {
        true => "none of those asked for".to_owned(),
        false => found.join(" "),
    }
}

fn folders(paths: &Paths) -> Section {
    let own = [
        ("config", &paths.config),
        ("data", &paths.data),
        ("cache", &paths.cache),
        ("models", &paths.models),
        ("logs", &paths.logs),
    ];
    let mut findings: Vec<_> = own
        .into_iter()
        .map(|(name, path)| {
            (
                name.to_owned(),
                format!("{} ({})", path.display(), state(path)),
            )
        })
        .collect();
    let hub = huggingface_cache();
    let hub_state = match hub.is_dir() {
        true => "found",
        false => "not there",
    };
    findings.push((
        "Hugging Face".to_owned(),
        format!("{} ({hub_state})", hub.display()),
    ));
    Section {
        name: "Folders",
        findings,
    }
}

/// Whether files can be written there, found out by writing one.
fn state(folder: &Path) -> String {
    if !folder.exists() {
        return "not there yet".to_owned();
    }
    let probe = folder.join(format!(".maquette-doctor-{}", std::process::id()));
    match OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => match fs::remove_file(&probe) {
            Ok(()) => "writable".to_owned(),
            Err(error) => format!("files cannot be removed: {error}"),
        },
        Err(error) => format!("not writable: {error}"),
    }
}

fn terminal_section() -> Section {
    let facts = terminal::facts(|name| std::env::var(name).ok()).into_iter();
    Section {
        name: "Terminal",
        findings: facts.map(|(name, text)| (name.to_owned(), text)).collect(),
    }
}

/// A file, and what its absence means.
fn file(path: &Path, without: &str) -> String {
    match path.exists() {
        true => path.display().to_string(),
        false => format!("{} (not there: {without})", path.display()),
    }
}

fn settings(paths: &Paths) -> Section {
    let (settings, problems) = Settings::load(paths);
    let mut problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let keymap = keymap::file::load(&settings.keymap, &paths.keymaps);
    problems.extend(keymap.problems.iter().map(ToString::to_string));
    let theme = theme::file::load(&settings.theme, &paths.themes, Depth::detect());
    problems.extend(theme.problems.iter().map(ToString::to_string));
    problems.extend(
        mcp::problems(&paths.mcp_json)
            .iter()
            .map(ToString::to_string),
    );
    let pairs = [
        ("file", file(&paths.settings_toml, "built-in settings")),
        ("theme", settings.theme),
        ("key map", settings.keymap),
        ("tools", file(&paths.mcp_json, "no MCP servers")),
    ];
    let mut findings = owned(pairs);
    if problems.is_empty() {
        findings.push(("problems".to_owned(), "none".to_owned()));
    }
    for (i, problem) in problems.into_iter().enumerate() {
        findings.push((format!("problem {}", i + 1), problem));
    }
    Section {
        name: "Settings",
        findings,
    }
}
