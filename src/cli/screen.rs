//! `maquette` without a command: the screen.

use std::io::{IsTerminal, stdin, stdout};

use super::{
    output::CliError,
    start::{start, with_workstation},
};
use crate::tui;

/// Opens the screen and returns when the user quits.
pub async fn run() -> Result<(), CliError> {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(CliError::Failed(
            "the screen needs a terminal. Use `maquette chat -p TEXT` in pipes, and \
             `maquette --help` for the other commands."
                .to_owned(),
        ));
    }
    with_workstation(start(true)?, async |workstation| {
        Ok(tui::run(workstation.clone()).await?)
    })
    .await
}
