//! What the rest of the program sees of tool servers.

use std::time::Duration;

use serde_json::Value;

/// A server of `mcp.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerState {
    pub name: String,
    /// The command with its arguments, as one line to show.
    pub command: String,
    pub state: ServerStatus,
    /// In the server's order; empty unless it is ready.
    pub tools: Vec<ToolInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerStatus {
    Starting,
    Ready,
    /// Why, in a sentence or two.
    Failed(String),
    /// Disabled in `mcp.json`.
    Off,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ToolInfo {
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    /// The JSON Schema of its arguments, an object.
    pub schema: Value,
}

/// What a call brought back.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutcome {
    /// The text parts of the result; other parts are named in brackets.
    pub text: String,
    /// The JSON-RPC exchange: the request as `request`, the result as `result`.
    pub raw: Value,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    pub elapsed: Duration,
}

/// Why a tool could not be called. A tool that ran and failed is an outcome.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum McpError {
    #[error("there is no tool server `{name}` in mcp.json.{}", suggestion(.nearest))]
    UnknownServer {
        name: String,
        nearest: Option<String>,
    },
    #[error("the server `{server}` has no tool `{tool}`.{}", suggestion(.nearest))]
    UnknownTool {
        server: String,
        tool: String,
        nearest: Option<String>,
    },
    #[error("the server `{server}` is not ready: {reason}")]
    NotReady { server: String, reason: String },
    #[error("the arguments of `{tool}` do not fit its schema: {problem}")]
    Arguments { tool: String, problem: String },
    #[error("`{tool}` gave no answer within {seconds} seconds and was cancelled.")]
    Timeout { tool: String, seconds: u64 },
    #[error("the server `{server}` refused the call of `{tool}`: {reason}")]
    Refused {
        server: String,
        tool: String,
        reason: String,
    },
    #[error("the server `{server}` ended during the call of `{tool}`. Restart it to try again.")]
    Died { server: String, tool: String },
}

fn suggestion(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!(" Did you mean `{name}`?"),
        None => String::new(),
    }
}
