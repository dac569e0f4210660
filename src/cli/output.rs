//! Standard output and standard error for the commands.
//!
//! `println!` panics when a pipe's reader is gone; these functions return
//! [`CliError::ClosedPipe`] instead, which ends a command quietly.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// Why a command ends early.
#[derive(Debug)]
pub enum CliError {
    /// One line for standard error; exit code 1.
    Failed(String),
    /// Nobody reads the output any more.
    ClosedPipe,
}

impl<E: std::error::Error> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Writes to standard output, at once.
pub fn write(text: impl Display) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => CliError::ClosedPipe,
            _ => CliError::Failed(format!("the output could not be written: {error}")),
        })
}

/// Writes a line to standard output.
pub fn line(text: impl Display) -> Result<(), CliError> {
    write(format_args!("{text}\n"))
}

/// Writes JSON to standard output.
pub fn json(value: &serde_json::Value) -> Result<(), CliError> {
    line(format_args!("{value:#}"))
}

/// Writes to standard error. What cannot be said there cannot be said at all.
pub fn note(text: impl Display) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{text}").and_then(|()| err.flush());
}

/// Says why the program failed.
pub fn fail(message: &str) {
    note(format_args!("maquette: {message}\n"));
}
