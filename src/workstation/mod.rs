//! Owns the engine, the library, the chats and the tools: the one interface
//! that the screen and the HTTP server call. Neither reaches below it, so the
//! types of the modules below that they need are re-exported here.
//!
//! Everything here may be called from any thread; what is `async` needs the
//! tokio runtime that `start` was called on.

mod api;
mod standins;
pub mod types;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::sync::watch;

use api::ApiControl;
pub use api::{ApiCall, ApiServer, RunningApi, Starting};
pub use standins::*;
pub use types::*;

pub use crate::{
    config::{Paths, Problem, Settings},
    engine::{
        ByteStats, EngineError, EngineStats, FinishReason, LoadedModel, PageStats, RequestId,
        RunningRequest, SamplingParams, Timings, TokenEvent, TokenLogprob, Totals, Usage,
    },
    telemetry::{LogFilter, LogRecord, LogRing, Telemetry},
    text::conversation::{Message, Role, Segment, ToolCall, ToolSpec},
};

// What the screen needs of the terminal's other user, native code that prints.
pub use crate::{
    config::nearest,
    telemetry::{install_panic_hook, stderr},
};

/// The workstation. Cheap to clone; the last clone to go stops everything.
#[derive(Clone)]
pub struct Workstation {
    inner: Arc<Inner>,
}

struct Inner {
    paths: Paths,
    settings: watch::Sender<Arc<Settings>>,
    problems: Vec<Problem>,
    device: DeviceInfo,
    logs: LogRing,
    chats: ChatStore,
    downloads: Downloads,
    tools: Tools,
    models: watch::Receiver<Arc<Vec<ModelEntry>>>,
    model: watch::Receiver<Option<Arc<LoadedModel>>>,
    stats: watch::Receiver<EngineStats>,
    api: ApiControl,
}

impl Workstation {
    /// Starts the engine thread, the library's first scan and the MCP servers,
    /// and loads nothing: the first frame waits for none of it. `server` makes
    /// the HTTP API when it is asked for.
    pub fn start(
        _paths: Paths,
        _settings: Settings,
        _problems: Vec<Problem>,
        _telemetry: &Telemetry,
        _server: Arc<dyn ApiServer>,
    ) -> Result<Self, WorkstationError> {
        Err(unfinished())
    }

    /// Answers a conversation. Loads the model the request names (the one in
    /// use, or the guide, when it names none).
    pub async fn chat(&self, _request: ChatRequest) -> Result<AnswerStream, WorkstationError> {
        Err(unfinished())
    }

    /// Continues a text, without a chat template.
    pub async fn complete(
        &self,
        _request: CompletionRequest,
    ) -> Result<AnswerStream, WorkstationError> {
        Err(unfinished())
    }

    /// How many tokens the conversation takes with the model in use.
    pub async fn count_tokens(&self, _request: &ChatRequest) -> Result<usize, WorkstationError> {
        Err(unfinished())
    }

    /// The models on this machine, anew after every scan.
    pub fn models(&self) -> watch::Receiver<Arc<Vec<ModelEntry>>> {
        self.inner.models.clone()
    }

    /// Looks for models again, in the background; `models()` brings the result.
    pub fn rescan(&self) {}

    /// Loads a model by its id or folder, in place of the one in use. Progress
    /// is in `engine_stats().loading`.
    pub async fn load(&self, _id_or_path: &str) -> Result<Arc<LoadedModel>, WorkstationError> {
        Err(unfinished())
    }

    /// The model in use if it is the one named; loads it otherwise. `None`
    /// means the model in use, or the guide when there is none.
    pub async fn ensure_model(
        &self,
        _id_or_path: Option<&str>,
    ) -> Result<Arc<LoadedModel>, WorkstationError> {
        Err(unfinished())
    }

    /// Frees the model in use.
    pub async fn unload(&self) -> Result<(), WorkstationError> {
        Err(unfinished())
    }

    /// The model in use.
    pub fn model(&self) -> watch::Receiver<Option<Arc<LoadedModel>>> {
        self.inner.model.clone()
    }

    /// Numbers of the engine, a few times a second while something happens.
    pub fn engine_stats(&self) -> watch::Receiver<EngineStats> {
        self.inner.stats.clone()
    }

    /// The state of the HTTP API.
    pub fn api(&self) -> watch::Receiver<ApiState> {
        self.inner.api.state()
    }

    /// Serves the HTTP API at the given address; `None` takes the settings'.
    /// Port 0 takes a free port. Returns the address listened on.
    pub async fn start_api(
        &self,
        host: Option<&str>,
        port: Option<u16>,
    ) -> Result<SocketAddr, WorkstationError> {
        let api = self.settings().api.clone();
        let host = host.map_or(api.host, str::to_owned);
        let port = port.unwrap_or(api.port);
        let control = &self.inner.api;
        control.start(self.clone(), host, port, api.api_key).await
    }

    /// Stops the HTTP API: no new requests; those running are given a moment.
    pub async fn stop_api(&self) -> Result<(), WorkstationError> {
        self.inner.api.stop().await;
        Ok(())
    }

    /// Counts one request of the API as live until the returned value goes.
    pub fn api_call(&self) -> ApiCall {
        self.inner.api.call()
    }

    /// The MCP servers and their tools.
    pub fn tools(&self) -> &Tools {
        &self.inner.tools
    }

    pub fn logs(&self) -> LogRing {
        self.inner.logs.clone()
    }

    pub fn chats(&self) -> &ChatStore {
        &self.inner.chats
    }

    /// The queue of downloads; a finished one makes the library scan again.
    pub fn downloads(&self) -> &Downloads {
        &self.inner.downloads
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        self.inner.settings.borrow().clone()
    }

    /// Problems of the settings file, found at the start.
    pub fn problems(&self) -> &[Problem] {
        &self.inner.problems
    }

    pub fn paths(&self) -> &Paths {
        &self.inner.paths
    }

    pub fn device(&self) -> DeviceInfo {
        self.inner.device.clone()
    }

    /// The folder of the model that comes with Maquette.
    pub fn guide_folder(&self) -> Result<PathBuf, WorkstationError> {
        Err(unfinished())
    }
}

fn unfinished() -> WorkstationError {
    WorkstationError::BadRequest("the services below are not there yet".to_owned())
}
