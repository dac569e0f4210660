//! `maquette pull`: a model from the hub, with its progress.
//!
//! What has come stays when the command is stopped; the next one goes on there.

use std::io::{IsTerminal, stderr};

use serde_json::json;

use super::{
    args::PullArgs,
    output::{self, CliError, note},
    start::{headless, with_workstation},
    table,
};
use crate::workstation::{Download, DownloadStatus, Workstation};

/// Downloads and says where the model lies.
pub async fn run(args: PullArgs) -> Result<(), CliError> {
    let started = headless(None)?;
    with_workstation(started, async |workstation| pull(workstation, &args).await).await
}

async fn pull(workstation: &Workstation, args: &PullArgs) -> Result<(), CliError> {
    let shows = stderr().is_terminal();
    let mut list = workstation.downloads().watch();
    workstation.downloads().add(&args.id)?;
    loop {
        let ours = |downloads: &[Download]| downloads.iter().find(|it| it.id == args.id).cloned();
        let download = ours(&list.borrow_and_update());
        match download.as_ref().map(|download| &download.status) {
            Some(DownloadStatus::Done(folder)) => {
                clear(shows);
                let folder = folder.display();
                return match args.json {
                    true => output::json(&json!({"id": args.id, "path": folder.to_string()})),
                    false => output::line(format_args!("{} is in {folder}", args.id)),
                };
            }
            Some(DownloadStatus::Failed(reason)) => {
                clear(shows);
                return Err(CliError::Failed(reason.clone()));
            }
            Some(_) if shows => progress(download.as_ref()),
            _ => {}
        }
        if list.changed().await.is_err() {
            return Err(CliError::Failed("the download stopped.".to_owned()));
        }
    }
}

fn clear(shows: bool) {
    if shows {
        note("\r\x1b[K");
    }
}

fn progress(download: Option<&Download>) {
    let Some(download) = download else { return };
    let part = match download.total {
        0 => 0.0,
        total => download.done as f64 / total as f64 * 100.0,
    };
    note(format_args!(
        "\r\x1b[K{part:3.0} %  {} of {}  {}/s  {} of {} files",
        table::bytes(download.done),
        table::bytes(download.total),
        table::bytes(download.speed as u64),
        download.files_done,
        download.files,
    ));
}
