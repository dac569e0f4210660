//! Shapes of the services below while their modules are being filled in; each
//! goes when its own module is there, and `workstation` then re-exports that.
#![allow(dead_code)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::watch;

/// `mlx::DeviceInfo`.
#[derive(Debug, Clone, Default)]
pub struct DeviceInfo {
    pub name: String,
    pub backend: &'static str,
    pub memory_total: u64,
    pub memory_available: u64,
    pub threads: usize,
}

/// `library::Fit`, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fit {
    pub needed: u64,
    pub available: u64,
}

/// `library::ModelEntry`.
#[derive(Debug, Clone, Default)]
pub struct ModelEntry {
    pub id: String,
    pub path: PathBuf,
    pub origin: String,
    pub family: String,
    pub supported: bool,
    pub parameters: u64,
    pub quantisation: String,
    pub weight_bytes: u64,
    pub context_length: usize,
    pub fit: Fit,
    pub problem: Option<String>,
}

/// `library::Downloads`.
pub struct Downloads;

/// `mcp::ServerStatus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerStatus {
    Starting,
    Ready,
    Failed(String),
    Off,
}

/// `mcp::ToolInfo`.
#[derive(Debug, Clone)]
pub struct ToolInfo {
    pub name: String,
    pub title: Option<String>,
    pub description: String,
    pub schema: Value,
}

/// `mcp::ServerState`.
#[derive(Debug, Clone)]
pub struct ServerState {
    pub name: String,
    pub command: String,
    pub state: ServerStatus,
    pub tools: Vec<ToolInfo>,
}

/// `mcp::ToolOutcome`.
#[derive(Debug, Clone)]
pub struct ToolOutcome {
    pub text: String,
    pub raw: Value,
    pub is_error: bool,
    pub elapsed: Duration,
}

/// `mcp::Tools`.
pub struct Tools {
    servers: watch::Receiver<Arc<Vec<ServerState>>>,
}

impl Tools {
    pub fn servers(&self) -> watch::Receiver<Arc<Vec<ServerState>>> {
        self.servers.clone()
    }
}

/// `chat::ChatStore`.
pub struct ChatStore;
