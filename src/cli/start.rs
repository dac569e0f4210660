//! What commands do first: folders, settings, log, workstation.

use std::{
    io::{IsTerminal, stderr},
    sync::Arc,
};

use tokio::task::JoinHandle;
use tracing::Level;

use super::output::{CliError, note};
use crate::{
    config::{Paths, Problem, Settings},
    server::HttpServer,
    telemetry::Telemetry,
    workstation::Workstation,
};

/// What every command has.
pub struct Started {
    pub paths: Paths,
    pub settings: Settings,
    pub problems: Vec<Problem>,
    pub telemetry: Telemetry,
}

/// Finds folders and settings and starts the log.
pub fn start(capture_stderr: bool) -> Result<Started, CliError> {
    let paths = Paths::discover()?;
    paths.create()?;
    let (settings, problems) = Settings::load(&paths);
    let level = settings.log.level.into();
    let telemetry = Telemetry::start(&paths, level, capture_stderr);
    Ok(Started {
        paths,
        settings,
        problems,
        telemetry,
    })
}

/// As `start`, for commands without the screen: settings problems go to
/// standard error, and log lines of `console` and graver if there is one.
pub fn headless(console: Option<Level>) -> Result<Started, CliError> {
    let started = start(false)?;
    for problem in &started.problems {
        tracing::warn!("{problem}");
        note(format_args!("maquette: {problem}\n"));
    }
    started.telemetry.set_console(console);
    Ok(started)
}

/// Starts a workstation, works with it, and ends in order whatever came of it.
pub async fn with_workstation(
    started: Started,
    work: impl AsyncFnOnce(&Workstation) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let server = Arc::new(HttpServer);
    let (paths, settings) = (started.paths, started.settings);
    let problems = started.problems;
    let workstation = Workstation::start(paths, settings, problems, &started.telemetry, server)?;
    let outcome = work(&workstation).await;
    workstation.stop().await;
    outcome
}

/// Loads the model, with its progress on standard error where a person looks.
pub async fn load(workstation: &Workstation, model: Option<&str>) -> Result<(), CliError> {
    if let Some(model) = model {
        workstation.set_default_model(model).await?;
    }
    let progress = stderr().is_terminal().then(|| show_loading(workstation));
    let loaded = workstation.ensure_model(None).await;
    if let Some(progress) = progress {
        progress.abort();
        note("\r\x1b[K");
    }
    loaded?;
    Ok(())
}

fn show_loading(workstation: &Workstation) -> JoinHandle<()> {
    let mut stats = workstation.engine_stats();
    tokio::spawn(async move {
        loop {
            if let Some((id, part)) = &stats.borrow_and_update().loading {
                note(format_args!("\r\x1b[KLoading {id}: {:.0} %", part * 100.0));
            }
            if stats.changed().await.is_err() {
                return;
            }
        }
    })
}
