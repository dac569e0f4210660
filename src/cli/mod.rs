//! The command line: what each command reads, prints and returns.
//!
//! The only part of the program that prints. Exit codes: 0 done, 1 failed with
//! one line on standard error, 2 wrong usage. A reader that closes the pipe
//! ends a command quietly.

mod args;
mod bench;
mod cache;
mod chat;
mod convert;
mod doctor;
mod facts;
mod kv_modes;
mod models;
mod output;
mod pull;
mod reuse;
mod screen;
mod serve;
mod start;
mod table;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use output::{CliError, fail};

/// Runs the program and ends the process with its exit code.
pub fn main() -> ExitCode {
    // Prints help or a usage message itself and exits with 0 or 2.
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            fail(&format!(
                "the program's threads could not be started: {error}"
            ));
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(run(cli.command)) {
        Ok(()) | Err(CliError::ClosedPipe) => 0,
        Err(CliError::Failed(message)) => {
            fail(&message);
            1
        }
    };
    crate::mlx::leave(code)
}

async fn run(command: Option<Command>) -> Result<(), CliError> {
    match command {
        None => screen::run().await,
        Some(Command::Serve(args)) => serve::run(args).await,
        Some(Command::Chat(args)) => chat::run(args).await,
        Some(Command::Models(args)) => models::run(args).await,
        Some(Command::Pull(args)) => pull::run(args).await,
        Some(Command::Convert(args)) => convert::run(args).await,
        Some(Command::Bench(args)) => bench::run(args).await,
        Some(Command::Cache(command)) => cache::run(command).await,
        Some(Command::Doctor(args)) => doctor::run(args),
        Some(Command::Facts) => facts::run(),
    }
}
