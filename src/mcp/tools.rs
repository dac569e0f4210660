//! All tool servers, and the calls of their tools.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use rmcp::{
    Peer, RoleClient,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ResourceContents,
    },
    service::ServiceError,
};
use serde_json::{Map, Value, json};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    McpError, ServerState, ServerStatus, ToolInfo, ToolOutcome, check_arguments,
    file::{self, ServerSpec},
    server::{self, Observer},
};
use crate::config::{Paths, Problem, nearest};

/// How long a tool may take.
const CALL: Duration = Duration::from_secs(120);

/// How long `stop` waits for all servers together.
const STOP: Duration = Duration::from_secs(3);

type States = Arc<Vec<ServerState>>;

/// The tool servers of `mcp.json`. Cheap to clone; the last clone to go ends
/// them all.
#[derive(Clone)]
pub struct Tools {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    runtime: Handle,
    states: watch::Sender<States>,
    problem: Mutex<Option<Problem>>,
    servers: Mutex<HashMap<String, Running>>,
}

/// A server's task.
struct Running {
    spec: ServerSpec,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
    peer: Option<Peer<RoleClient>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Tools {
    /// Reads `mcp.json` and starts its servers in the background. Must be
    /// called within a tokio runtime, which then runs them.
    pub fn start(paths: &Paths) -> Self {
        let tools = Self {
            inner: Arc::new(Inner {
                path: paths.mcp_json.clone(),
                runtime: Handle::current(),
                states: watch::Sender::default(),
                problem: Mutex::default(),
                servers: Mutex::default(),
            }),
        };
        tools.reload();
        tools
    }

    /// Follows the servers and their tools, in the order of `mcp.json`.
    pub fn servers(&self) -> watch::Receiver<States> {
        self.inner.states.subscribe()
    }

    /// What is wrong with `mcp.json` as a whole, if anything.
    pub fn problem(&self) -> Option<Problem> {
        lock(&self.inner.problem).clone()
    }

    /// Reads `mcp.json` again: new and changed servers start, those that are
    /// gone end, the others stay as they are. A broken file changes nothing.
    pub fn reload(&self) -> Option<Problem> {
        let file = file::read(&self.inner.path);
        *lock(&self.inner.problem) = file.problem.clone();
        if let Some(problem) = file.problem {
            tracing::warn!(target: "mcp", "{problem}");
            return Some(problem);
        }
        let mut servers = lock(&self.inner.servers);
        let mut states = Vec::new();
        let mut kept = HashMap::new();
        let before = self.inner.states.borrow().clone();
        for (name, entry) in file.servers {
            let old = servers.remove(&name);
            match entry {
                Ok(spec) if spec.disabled => states.push(state(&spec, ServerStatus::Off)),
                Ok(spec) => {
                    let same = old.as_ref().is_some_and(|old| old.spec == spec);
                    let current = before.iter().find(|state| state.name == name);
                    match (current, old) {
                        (Some(current), Some(old)) if same => {
                            states.push(current.clone());
                            kept.insert(name, old);
                        }
                        (_, old) => {
                            states.push(state(&spec, ServerStatus::Starting));
                            kept.insert(name, self.launch(spec, old));
                        }
                    }
                }
                Err(problem) => states.push(ServerState {
                    name,
                    command: String::new(),
                    state: ServerStatus::Failed(problem.to_string()),
                    tools: Vec::new(),
                }),
            }
        }
        // Those left in the old map are gone from the file and end here.
        *servers = kept;
        self.inner.states.send_replace(Arc::new(states));
        None
    }

    /// Ends a server, if it still runs, and starts it again.
    pub fn restart(&self, name: &str) -> Result<(), McpError> {
        let mut servers = lock(&self.inner.servers);
        let Some(old) = servers.remove(name) else {
            return Err(self.unknown(name));
        };
        let spec = old.spec.clone();
        self.inner.update(name, |state| {
            state.state = ServerStatus::Starting;
            state.tools.clear();
        });
        let new = self.launch(spec, Some(old));
        servers.insert(name.to_owned(), new);
        Ok(())
    }

    /// Ends every server and waits for their ends, at most a few seconds.
    pub async fn stop(&self) {
        let servers: Vec<_> = lock(&self.inner.servers).drain().collect();
        let tasks = servers.into_iter().filter_map(|(_, mut server)| {
            server.stop.cancel();
            server.task.take()
        });
        let all = futures_util::future::join_all(tasks.collect::<Vec<_>>());
        let _ = timeout(STOP, all).await;
    }

    /// Calls a tool. The arguments, an object or null, are checked against the
    /// tool's schema first. Dropping the future cancels the call.
    pub async fn call(
        &self,
        server: &str,
        tool: &str,
        arguments: Value,
    ) -> Result<ToolOutcome, McpError> {
        let (peer, arguments) = self.prepare(server, tool, arguments)?;
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = json!({"method": "tools/call", "params": params});
        let start = Instant::now();
        tracing::info!(target: "mcp", server, tool, "call");
        let answer = timeout(CALL, peer.call_tool_once(params)).await;
        let elapsed = start.elapsed();
        let refused = |reason: String| McpError::Refused {
            server: server.to_owned(),
            tool: tool.to_owned(),
            reason,
        };
        match answer {
            Err(_) => Err(McpError::Timeout {
                tool: tool.to_owned(),
                seconds: CALL.as_secs(),
            }),
            Ok(Ok(CallToolResponse::Complete(result))) => Ok(outcome(request, &result, elapsed)),
            Ok(Ok(_)) => Err(refused(
                "it asks for further input, which Maquette cannot give yet.".to_owned(),
            )),
            Ok(Err(ServiceError::TransportClosed | ServiceError::TransportSend(_))) => {
                Err(McpError::Died {
                    server: server.to_owned(),
                    tool: tool.to_owned(),
                })
            }
            Ok(Err(ServiceError::McpError(error))) => Err(refused(error.message.into_owned())),
            Ok(Err(error)) => Err(refused(error.to_string())),
        }
    }

    /// Everything that can be known to be wrong before the call.
    fn prepare(
        &self,
        server: &str,
        tool: &str,
        arguments: Value,
    ) -> Result<(Peer<RoleClient>, Map<String, Value>), McpError> {
        let states = self.inner.states.borrow().clone();
        let state = states.iter().find(|state| state.name == server);
        let state = state.ok_or_else(|| self.unknown(server))?;
        let not_ready = |reason: &str| McpError::NotReady {
            server: server.to_owned(),
            reason: reason.to_owned(),
        };
        match &state.state {
            ServerStatus::Ready => {}
            ServerStatus::Starting => return Err(not_ready("it is starting.")),
            ServerStatus::Failed(reason) => return Err(not_ready(reason)),
            ServerStatus::Off => return Err(not_ready("it is disabled in mcp.json.")),
        }
        let info = state.tools.iter().find(|info| info.name == tool);
        let info = info.ok_or_else(|| McpError::UnknownTool {
            server: server.to_owned(),
            tool: tool.to_owned(),
            nearest: nearest(tool, state.tools.iter().map(|info| info.name.as_str()))
                .map(str::to_owned),
        })?;
        let arguments = match arguments {
            Value::Null => Value::Object(Map::new()),
            arguments => arguments,
        };
        let problem = |problem| McpError::Arguments {
            tool: tool.to_owned(),
            problem,
        };
        check_arguments(&info.schema, &arguments).map_err(problem)?;
        let Value::Object(arguments) = arguments else {
            return Err(problem("a JSON object is expected.".to_owned()));
        };
        let servers = lock(&self.inner.servers);
        let peer = servers.get(server).and_then(|it| it.peer.clone());
        Ok((peer.ok_or_else(|| not_ready("it is ending."))?, arguments))
    }

    fn unknown(&self, name: &str) -> McpError {
        let states = self.inner.states.borrow();
        let names = states.iter().map(|state| state.name.as_str());
        McpError::UnknownServer {
            name: name.to_owned(),
            nearest: nearest(name, names).map(str::to_owned),
        }
    }

    /// Starts a server's task once the one before it has ended.
    fn launch(&self, spec: ServerSpec, before: Option<Running>) -> Running {
        let stop = CancellationToken::new();
        // Weak: the tasks do not keep the servers alive.
        let observer = Arc::new(Watcher(Arc::downgrade(&self.inner)));
        let (its_spec, its_stop) = (spec.clone(), stop.clone());
        let task = self.inner.runtime.spawn(async move {
            if let Some(mut before) = before {
                before.stop.cancel();
                if let Some(task) = before.task.take() {
                    let _ = task.await;
                }
            }
            server::run(its_spec, observer, its_stop).await;
        });
        Running {
            spec,
            stop,
            task: Some(task),
            peer: None,
        }
    }
}

impl Inner {
    fn update(&self, name: &str, change: impl FnOnce(&mut ServerState)) {
        self.states.send_modify(|states| {
            let states = Arc::make_mut(states);
            if let Some(state) = states.iter_mut().find(|state| state.name == name) {
                change(state);
            }
        });
    }
}

/// Writes down what the servers' tasks tell.
struct Watcher(Weak<Inner>);

impl Observer for Watcher {
    fn status(&self, server: &str, status: ServerStatus) {
        let Some(inner) = self.0.upgrade() else {
            return;
        };
        if let Some(running) = lock(&inner.servers).get_mut(server) {
            running.peer = None;
        }
        inner.update(server, |state| {
            state.state = status;
            state.tools.clear();
        });
    }

    fn ready(&self, server: &str, peer: Peer<RoleClient>, tools: Vec<ToolInfo>) {
        let Some(inner) = self.0.upgrade() else {
            return;
        };
        if let Some(running) = lock(&inner.servers).get_mut(server) {
            running.peer = Some(peer);
        }
        inner.update(server, |state| {
            state.state = ServerStatus::Ready;
            state.tools = tools;
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn state(spec: &ServerSpec, status: ServerStatus) -> ServerState {
    ServerState {
        name: spec.name.clone(),
        command: spec.line(),
        state: status,
        tools: Vec::new(),
    }
}

fn outcome(request: Value, result: &CallToolResult, elapsed: Duration) -> ToolOutcome {
    let mut parts: Vec<String> = result.content.iter().map(shown).collect();
    if let (true, Some(value)) = (parts.is_empty(), &result.structured_content) {
        parts.push(format!("{value:#}"));
    }
    ToolOutcome {
        text: parts.join("\n"),
        raw: json!({"request": request, "result": result}),
        is_error: result.is_error.unwrap_or(false),
        elapsed,
    }
}

/// A part of a result as text; what is none is named.
fn shown(part: &ContentBlock) -> String {
    match part {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => format!("[image, {}]", image.mime_type),
        ContentBlock::Audio(audio) => format!("[audio, {}]", audio.mime_type),
        ContentBlock::ResourceLink(link) => format!("[{}]", link.uri),
        ContentBlock::Resource(resource) => match &resource.resource {
            ResourceContents::TextResourceContents { text, .. } => text.clone(),
            ResourceContents::BlobResourceContents { uri, .. } => format!("[{uri}]"),
            _ => "[a resource]".to_owned(),
        },
        _ => "[a part of an unknown kind]".to_owned(),
    }
}
