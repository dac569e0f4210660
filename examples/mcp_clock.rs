//! A small tool server to try the tools pane with: the time, sums, an echo.
//!
//! Build it with `cargo build --example mcp_clock` and name it in `mcp.json`:
//!
//! ```json
//! {"mcpServers": {"clock": {"command": "target/debug/examples/mcp_clock"}}}
//! ```
//!
//! The tools `fail`, `wait` and `crash` show what the pane does with trouble.

use std::{fs::File, io, os::fd::AsFd, time::Duration};

use rmcp::{
    ServerHandler, ServiceExt,
    handler::server::wrapper::Parameters,
    model::{CallToolResult, ContentBlock},
    schemars::{self, JsonSchema},
    tool, tool_handler, tool_router,
};
use serde::Deserialize;

#[derive(Clone)]
struct Clock;

#[derive(Deserialize, JsonSchema)]
struct Text {
    /// What to say again.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Sum {
    a: f64,
    b: f64,
}

#[derive(Deserialize, JsonSchema)]
struct Wait {
    /// How long to wait.
    seconds: f64,
}

#[tool_router]
impl Clock {
    #[tool(description = "The local date and time.")]
    async fn now(&self) -> String {
        chrono::Local::now().format("%Y-%m-%d %H:%M:%S").to_string()
    }

    #[tool(description = "Say the text again.")]
    async fn echo(&self, Parameters(Text { text }): Parameters<Text>) -> String {
        text
    }

    #[tool(description = "Add two numbers.")]
    async fn add(&self, Parameters(Sum { a, b }): Parameters<Sum>) -> String {
        (a + b).to_string()
    }

    #[tool(description = "Fail, as a tool does that could not do its work.")]
    async fn fail(&self) -> CallToolResult {
        CallToolResult::error(vec![ContentBlock::text("this tool always fails")])
    }

    #[tool(description = "Answer after a while.")]
    async fn wait(&self, Parameters(Wait { seconds }): Parameters<Wait>) -> String {
        let seconds = seconds.clamp(0.0, 3600.0);
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        format!("waited {seconds} s")
    }

    #[tool(description = "End the server in the middle of the call.")]
    async fn crash(&self) -> String {
        eprintln!("about to crash");
        std::process::exit(3)
    }
}

#[tool_handler]
impl ServerHandler for Clock {}

/// A standard stream as an asynchronous file.
fn stream(fd: impl AsFd) -> io::Result<tokio::fs::File> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    Ok(tokio::fs::File::from_std(File::from(fd)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    eprintln!("the clock is ticking");
    let streams = (stream(io::stdin())?, stream(io::stdout())?);
    let running = Clock.serve(streams).await?;
    running.waiting().await?;
    Ok(())
}
