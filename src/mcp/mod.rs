//! Tools from other programs: clients of the Model Context Protocol.
//!
//! Starts the servers of `mcp.json` as child processes, keeps their tools
//! listed, calls them, and ends them with Maquette. A broken file or server
//! is a state to show and never an obstacle.

mod arguments;
mod file;
mod locate;
mod server;
mod tools;
mod types;

pub use arguments::check_arguments;
pub use file::problems;
pub use tools::Tools;
pub use types::{McpError, ServerState, ServerStatus, ToolInfo, ToolOutcome};
