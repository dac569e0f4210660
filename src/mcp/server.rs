//! One tool server: its process, its connection, its end.
//!
//! Invariants: the process and its descendants end with this task, whatever
//! ends it; nothing here waits without a limit.

use std::{
    collections::VecDeque,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmcp::{
    ClientHandler, Peer, RoleClient,
    model::{ClientCapabilities, ClientConfig, Implementation},
    service::{
        ClientInitializeError, MaybeSendFuture, NotificationContext, RunningService, ServiceError,
        serve_client,
    },
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::Notify,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{ServerStatus, ToolInfo, file::ServerSpec};

/// How long a server may take from its start to its list of tools. The first
/// start of one that is fetched by a package runner takes its time.
const START: Duration = Duration::from_secs(60);

/// How long a server has to end by itself, and then once more on request.
const GRACE: Duration = Duration::from_millis(700);

/// How many of the last lines of standard error are kept for a message.
const LINES_KEPT: usize = 5;

/// A line of standard error longer than this is cut.
const LONGEST_LINE: u64 = 8 << 10;

type Service = RunningService<RoleClient, Client>;

/// What the task tells of its server.
pub(super) trait Observer: Send + Sync + 'static {
    fn status(&self, server: &str, status: ServerStatus);
    fn ready(&self, server: &str, peer: Peer<RoleClient>, tools: Vec<ToolInfo>);
}

/// Runs a server until it ends or `stop` is cancelled, and says what happens.
pub(super) async fn run(spec: ServerSpec, observer: Arc<dyn Observer>, stop: CancellationToken) {
    let name = spec.name.clone();
    observer.status(&name, ServerStatus::Starting);
    let ended = tokio::select! {
        ended = supervise(&spec, &*observer) => ended,
        () = stop.cancelled() => return,
    };
    tracing::warn!(target: "mcp", server = name, "{ended}");
    observer.status(&name, ServerStatus::Failed(ended));
}

/// Starts the server and stays with it; returns why it came to an end.
/// Dropping the future ends the server.
async fn supervise(spec: &ServerSpec, observer: &dyn Observer) -> String {
    let (mut process, pipes) = match Process::spawn(spec) {
        Ok(spawned) => spawned,
        Err(reason) => return reason,
    };
    let last = LastLines::default();
    let errors = tokio::spawn(read_errors(spec.name.clone(), pipes.stderr, last.clone()));
    let changed = Arc::new(Notify::new());
    let client = Client {
        server: spec.name.clone(),
        changed: changed.clone(),
    };
    let started = timeout(START, connect(client, pipes.stdout, pipes.stdin)).await;
    let reason = match started {
        Ok(Ok((service, tools))) => {
            tracing::info!(target: "mcp", server = spec.name, tools = tools.len(), "ready");
            observer.ready(&spec.name, service.peer().clone(), tools);
            stay(spec, observer, service, &changed).await;
            "the server ended".to_owned()
        }
        Ok(Err(Start::Closed)) => "the server ended before it was ready".to_owned(),
        Ok(Err(Start::Refused(reason))) => format!("the server refused to start: {reason}"),
        Err(_) => format!(
            "the server did not answer within {} seconds; it may not speak MCP on its standard output",
            START.as_secs()
        ),
    };
    let status = process.end().await;
    // Its last words may still be on their way.
    let _ = timeout(GRACE, errors).await;
    let said = last.text();
    let said = match said.as_str() {
        "" => String::new(),
        said => format!(" It said: {said}"),
    };
    format!("{reason}{status}.{said}")
}

/// Follows the list of tools until the connection ends.
async fn stay(spec: &ServerSpec, observer: &dyn Observer, service: Service, changed: &Notify) {
    let peer = service.peer().clone();
    let waiting = service.waiting();
    tokio::pin!(waiting);
    loop {
        tokio::select! {
            _ = &mut waiting => return,
            () = changed.notified() => {
                if let Ok(Ok(tools)) = timeout(START, list_tools(&peer)).await {
                    observer.ready(&spec.name, peer.clone(), tools);
                }
            }
        }
    }
}

enum Start {
    Closed,
    Refused(String),
}

async fn connect(
    client: Client,
    stdout: ChildStdout,
    stdin: ChildStdin,
) -> Result<(Service, Vec<ToolInfo>), Start> {
    let service = serve_client(client, (stdout, stdin)).await;
    let service = service.map_err(|error| match error {
        ClientInitializeError::ConnectionClosed(_)
        | ClientInitializeError::TransportError { .. } => Start::Closed,
        error => Start::Refused(error.to_string()),
    })?;
    let tools = list_tools(service.peer()).await;
    let tools = tools.map_err(|error| match error {
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => Start::Closed,
        error => Start::Refused(error.to_string()),
    })?;
    Ok((service, tools))
}

async fn list_tools(peer: &Peer<RoleClient>) -> Result<Vec<ToolInfo>, ServiceError> {
    let has_tools = |info: Arc<rmcp::model::ServerPeerInfo>| info.capabilities.tools.is_some();
    if !peer.peer_info().is_some_and(has_tools) {
        return Ok(Vec::new());
    }
    let tools = peer.list_all_tools().await?;
    let tools = tools.into_iter().map(|tool| ToolInfo {
        title: tool
            .title
            .or(tool.annotations.and_then(|notes| notes.title)),
        name: tool.name.into_owned(),
        description: tool.description.unwrap_or_default().into_owned(),
        schema: Value::Object((*tool.input_schema).clone()),
    });
    Ok(tools.collect())
}

/// Our side of the conversation.
struct Client {
    server: String,
    changed: Arc<Notify>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("maquette", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), us)
    }

    fn on_tool_list_changed(
        &self,
        _: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + MaybeSendFuture + '_ {
        self.changed.notify_one();
        std::future::ready(())
    }

    // Out of the protocol's newest version, in use by most servers.
    #[expect(deprecated)]
    fn on_logging_message(
        &self,
        message: rmcp::model::LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + MaybeSendFuture + '_ {
        let text = match message.data {
            Value::String(text) => text,
            data => data.to_string(),
        };
        tracing::info!(target: "mcp", server = self.server, "{text}");
        std::future::ready(())
    }
}

struct Pipes {
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

/// The process with its descendants, which end when this is dropped.
struct Process {
    child: Child,
    /// `None` once it has been signalled for the last time.
    group: Option<Pid>,
}

impl Process {
    fn spawn(spec: &ServerSpec) -> Result<(Self, Pipes), String> {
        let mut command = Command::new(&spec.command);
        command
            .args(&spec.args)
            .envs(&spec.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = &spec.cwd {
            command.current_dir(folder);
        }
        // A group of its own: keys pressed in the terminal do not reach it,
        // and what it has started ends with it.
        command.process_group(0);
        let child = command.spawn();
        let mut child = child.map_err(|error| cannot_start(spec, &error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let process = Self { child, group };
        match pipes {
            (Some(stdin), Some(stdout), Some(stderr)) => {
                let pipes = Pipes {
                    stdin,
                    stdout,
                    stderr,
                };
                Ok((process, pipes))
            }
            _ => Err("its standard streams could not be connected.".to_owned()),
        }
    }

    /// Ends the process, gently first, and says how it ended: nothing, or
    /// such as " with exit status 1". Its input is closed already.
    async fn end(&mut self) -> String {
        let status = match timeout(GRACE, self.child.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                self.signal(Signal::TERM);
                let _ = timeout(GRACE, self.child.wait()).await;
                None
            }
        };
        self.kill();
        match status {
            Some(status) if !status.success() => match status.code() {
                Some(code) => format!(" with exit status {code}"),
                None => format!(" ({status})"),
            },
            _ => String::new(),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Fails only when nobody is left to be signalled.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Ends whatever is left of it at once.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.group = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn cannot_start(spec: &ServerSpec, error: &std::io::Error) -> String {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let command = &spec.command;
    match (error.kind(), &spec.cwd) {
        (NotFound, Some(folder)) if !std::path::Path::new(folder).is_dir() => {
            format!("its folder {folder} does not exist. Correct `cwd` in mcp.json.")
        }
        (NotFound, _) => format!(
            "the command `{command}` was not found. Install it, or correct `command` in mcp.json."
        ),
        (PermissionDenied, _) => {
            format!(
                "`{command}` may not be run. Make it executable, or correct `command` in mcp.json."
            )
        }
        _ => format!("`{command}` could not be started: {error}."),
    }
}

/// The last lines of a server's standard error.
#[derive(Clone, Default)]
struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_KEPT {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        lines.join(" / ")
    }
}

/// Copies standard error to the log, line by line, until it is closed.
async fn read_errors(server: String, stderr: ChildStderr, last: LastLines) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(LONGEST_LINE);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            tracing::info!(target: "mcp", server, "{text}");
            last.push(text);
        }
    }
}
