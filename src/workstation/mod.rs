//! Owns the engine, the library, the chats and the tools: the one interface
//! that the screen and the HTTP server call. Neither reaches below it, so the
//! types of the modules below that they need are re-exported here.
//!
//! Everything here may be called from any thread; what is `async` needs the
//! tokio runtime that `start` was called on.

mod answer;
mod api;
mod disk_cache;
mod generate;
mod overflow;
mod resident;
mod sampling;
mod shelf;
pub mod types;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use api::ApiControl;
use resident::{Held, Resident};
use shelf::Shelf;

pub use answer::AnswerStream;
pub use api::{ApiCall, ApiServer, RunningApi, Starting};
pub use disk_cache::{clear_cache, stored_models};
pub use resident::GUIDE;
pub use sampling::MOST_LOGPROBS;
pub use types::*;

pub use crate::{
    cache::disk::{ModelUsage, Swept},
    chat::{
        AnswerFacts, Changes, ChatStore, ChatSummary, Conversation, ConversationHead, Node, NodeId,
        SearchHit, StoreError, TreeError,
    },
    config::{ConfigError, Overflow, Paths, Problem, Settings, Speculation, nearest},
    engine::{
        ByteStats, CacheStats, DiskCounters, EngineError, EngineStats, FinishReason, Histogram,
        KvMode, KvQuality, LoadedModel, Measures, PageStats, PrefixCounters, Priority, RamCounters,
        RejectCounters, RequestId, RunningRequest, SamplingParams, Timings, TokenEvent,
        TokenLogprob, Totals, Usage,
    },
    library::{Download, DownloadStatus, Downloads, Fit, ModelEntry, Origin, TemplateFacts},
    mcp::{McpError, ServerState, ServerStatus, ToolInfo, ToolOutcome, Tools},
    mlx::{Backend, DeviceInfo},
    telemetry::{LogFilter, LogRecord, LogRing, Telemetry, install_panic_hook, stderr},
    text::conversation::{Message, Role, Segment, ToolCall, ToolSpec},
};

use crate::{
    config::{ModelSettings, SettingsStore},
    engine::{DiskOptions, EngineHandle, EngineOptions, ModelSource},
    library, mlx,
};

/// How long the end of the program may wait for the cache to be stored.
const STORING: Duration = Duration::from_secs(3);

/// The models that have a way of their own to keep keys and values.
fn kv_modes(settings: &Settings) -> BTreeMap<String, KvMode> {
    let models = settings.models.iter();
    let mode = |model: &ModelSettings| model.kv_mode.as_deref()?.parse().ok();
    models
        .filter_map(|(name, model)| Some((name.clone(), mode(model)?)))
        .collect()
}

/// The workstation. Cheap to clone; the last clone to go stops everything.
#[derive(Clone)]
pub struct Workstation {
    inner: Arc<Inner>,
}

struct Inner {
    paths: Paths,
    settings: Arc<Settings>,
    problems: Vec<Problem>,
    logs: LogRing,
    chats: ChatStore,
    downloads: Downloads,
    /// Started when somebody first looks.
    tools: OnceLock<Tools>,
    engine: EngineHandle,
    resident: Resident,
    /// What is loaded when nothing is and no model is named; `None` is the guide.
    default_model: Mutex<Option<ModelSource>>,
    shelf: Arc<Shelf>,
    api: ApiControl,
}

impl Workstation {
    /// Starts the engine thread and the library's first scan, and loads
    /// nothing: the first frame waits for neither. `server` makes the HTTP API
    /// when it is asked for. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When not even a database in memory can be had for the chats.
    pub fn start(
        paths: Paths,
        settings: Settings,
        problems: Vec<Problem>,
        telemetry: &Telemetry,
        server: Arc<dyn ApiServer>,
    ) -> Result<Self, WorkstationError> {
        let engine = EngineHandle::start(EngineOptions {
            max_sequences: settings.engine.max_sequences,
            queue_limit: settings.engine.queue_limit,
            prefill_chunk: settings.engine.prefill_chunk,
            step_tokens: settings.engine.step_tokens,
            deterministic: settings.engine.deterministic,
            context_limit: settings.engine.context_limit,
            memory_limit: settings.engine.memory_limit,
            speculation: settings.engine.speculation,
            draft_tokens: settings.engine.draft_tokens,
            prefix_cache_bytes: settings.cache.memory_limit,
            ram_cache_bytes: settings.cache.ram_limit,
            // What the settings' table lists is known; anything else was refused.
            kv_mode: settings.cache.kv_mode.parse().unwrap_or_default(),
            kv_modes: kv_modes(&settings),
            disk_kv_mode: settings.cache.disk_kv_mode.parse().unwrap_or_default(),
            disk_cache: settings.cache.disk.then(|| DiskOptions {
                folder: paths.kv_pages.clone(),
                limit: settings.cache.disk_limit,
            }),
            ..EngineOptions::default()
        });
        let chats = ChatStore::open(&paths.chats_db)
            .or_else(|error| ChatStore::in_memory(Some(error.to_string())))
            .map_err(|error| WorkstationError::Storage(error.to_string()))?;
        let shelf = Arc::new(Shelf::start(shelf::scanner(&paths, &settings)));
        let downloads = Downloads::start();
        tokio::spawn(shelf::rescan_after(downloads.watch(), Arc::clone(&shelf)));
        let inner = Inner {
            downloads,
            settings: Arc::new(settings),
            problems,
            logs: telemetry.logs(),
            chats,
            tools: OnceLock::new(),
            resident: Resident::new(engine.clone()),
            engine,
            default_model: Mutex::new(None),
            shelf,
            api: ApiControl::new(server),
            paths,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Ends what runs: the API, then the tool servers; what was computed last
    /// is stored. What is left ends with the last clone.
    pub async fn stop(&self) {
        self.inner.api.stop().await;
        if let Some(tools) = self.inner.tools.get() {
            tools.stop().await;
        }
        let idle = self.engine_stats().borrow().loading.is_none();
        if idle
            && tokio::time::timeout(STORING, self.store_cache())
                .await
                .is_err()
        {
            tracing::warn!("the disk is slow: some of the cache is not stored");
        }
    }

    /// Waits until what requests have computed so far is on the disk.
    pub async fn store_cache(&self) {
        self.inner.engine.flush().await;
    }

    /// What the model in use makes of a text in every way to keep keys and
    /// values; see [`EngineHandle::compare_kv`].
    ///
    /// # Errors
    /// As there.
    pub async fn compare_kv(
        &self,
        tokens: Vec<u32>,
        generate: usize,
    ) -> Result<Vec<KvQuality>, WorkstationError> {
        Ok(self.inner.engine.compare_kv(tokens, generate).await?)
    }

    /// The models on this machine, anew after every scan.
    pub fn models(&self) -> watch::Receiver<Arc<Vec<ModelEntry>>> {
        self.inner.shelf.models()
    }

    /// The models once the first scan is done.
    pub async fn scanned_models(&self) -> Arc<Vec<ModelEntry>> {
        self.inner.shelf.scanned().await
    }

    /// Looks for models again, in the background; `models()` brings the result.
    pub fn rescan(&self) {
        self.inner.shelf.rescan();
    }

    /// Loads a model by its id or folder, in place of the one in use, also
    /// when it is the same. Progress is in `engine_stats().loading`.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be loaded; then no model is
    /// in use, or still the one before.
    pub async fn load(&self, id_or_path: &str) -> Result<Arc<LoadedModel>, WorkstationError> {
        let source = self.source(id_or_path).await?;
        let draft = self.draft().await?;
        Ok(self.inner.resident.take(source, draft, true).await?.model)
    }

    /// The model in use if it is the one named; loads it otherwise. `None`
    /// means the model in use, or the guide when there is none. Names are ids
    /// here, never paths: requests from outside come this way.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be loaded.
    pub async fn ensure_model(
        &self,
        id: Option<&str>,
    ) -> Result<Arc<LoadedModel>, WorkstationError> {
        Ok(self.hold(id).await?.model)
    }

    /// As `ensure_model`; the model stays in use while the result lives.
    async fn hold(&self, id: Option<&str>) -> Result<Held, WorkstationError> {
        if let Some(held) = self.inner.resident.held(id).await {
            return Ok(held);
        }
        let default = self.default_model();
        let source = match (id, default) {
            (None, Some(source)) => source,
            (Some(id), Some(source)) if source.id() == id => source,
            (id, _) => self.find(id.unwrap_or(GUIDE)).await?,
        };
        let draft = self.draft().await?;
        self.inner.resident.take(source, draft, false).await
    }

    /// The draft model of the settings, if tokens are to come from one. Without
    /// one that must be there nothing can be loaded; where it only may be, its
    /// absence is logged.
    async fn draft(&self) -> Result<Option<ModelSource>, WorkstationError> {
        let engine = &self.inner.settings.engine;
        let Some(name) = engine.draft_model.as_deref() else {
            return Ok(None);
        };
        if !engine.speculation.drafts() {
            return Ok(None);
        }
        match self.source(name).await {
            Ok(source) => Ok(Some(source)),
            Err(error) if engine.speculation == Speculation::Auto => {
                tracing::warn!(%error, "`engine.draft_model` is not used");
                Ok(None)
            }
            Err(error) => Err(WorkstationError::BadRequest(format!(
                "`engine.draft_model`: {error}"
            ))),
        }
    }

    /// Chooses, by id or folder, what is loaded when nothing is and no model is
    /// named. Loads nothing.
    ///
    /// # Errors
    /// When there is no such model.
    pub async fn set_default_model(&self, id_or_path: &str) -> Result<(), WorkstationError> {
        let source = self.source(id_or_path).await?;
        let mut default = lock(&self.inner.default_model);
        *default = Some(source);
        Ok(())
    }

    /// Loads random weights in the shape of a config.json, for measuring.
    ///
    /// # Errors
    /// When the file describes no supported model, or memory is short.
    pub async fn load_random(
        &self,
        config: &Path,
        bits: Option<u32>,
    ) -> Result<Arc<LoadedModel>, WorkstationError> {
        let name = config.file_stem().unwrap_or(config.as_os_str());
        let source = ModelSource::Random {
            id: format!("random-{}", name.to_string_lossy()),
            config: config.to_owned(),
            bits,
        };
        let draft = self.draft().await?;
        Ok(self.inner.resident.take(source, draft, true).await?.model)
    }

    fn default_model(&self) -> Option<ModelSource> {
        lock(&self.inner.default_model).clone()
    }

    /// The model that a person's words mean: an id, the end of one, or a folder.
    async fn source(&self, wanted: &str) -> Result<ModelSource, WorkstationError> {
        match self.find(wanted).await {
            Err(WorkstationError::UnknownModel(_)) => {}
            found => return found,
        }
        let models = self.inner.shelf.scanned().await;
        if resident::is_path(wanted) {
            return resident::source_at(Path::new(wanted), &models);
        }
        let entry = library::resolve(&models, wanted, shelf::room(&self.inner.settings))
            .map_err(|error| WorkstationError::BadRequest(error.to_string()))?;
        resident::source_of(&entry)
    }

    /// Where the model with this id is.
    async fn find(&self, id: &str) -> Result<ModelSource, WorkstationError> {
        if id == GUIDE {
            let path = self.guide_folder().await?;
            return Ok(ModelSource::Folder {
                id: GUIDE.to_owned(),
                path,
            });
        }
        let models = self.inner.shelf.scanned().await;
        let entry = models.iter().find(|entry| entry.id == id);
        let entry = entry.ok_or_else(|| WorkstationError::UnknownModel(id.to_owned()))?;
        resident::source_of(entry)
    }

    /// Frees the model in use.
    pub async fn unload(&self) -> Result<(), WorkstationError> {
        self.inner.resident.release().await;
        Ok(())
    }

    /// The model in use.
    pub fn model(&self) -> watch::Receiver<Option<Arc<LoadedModel>>> {
        self.inner.engine.model()
    }

    /// Numbers of the engine, a few times a second while something happens.
    pub fn engine_stats(&self) -> watch::Receiver<EngineStats> {
        self.inner.engine.stats()
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

    /// The MCP servers and their tools. The servers start with the first call,
    /// which must be made within a tokio runtime: commands that use no tools
    /// start no programs.
    pub fn tools(&self) -> &Tools {
        self.inner
            .tools
            .get_or_init(|| Tools::start(&self.inner.paths))
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
        Arc::clone(&self.inner.settings)
    }

    /// Problems of the settings file, found at the start.
    pub fn problems(&self) -> &[Problem] {
        &self.inner.problems
    }

    /// Writes a setting of text into the user's file, for the next start; the
    /// rest of the file stays as it is. May wait for the disk.
    ///
    /// # Errors
    /// When there is no such setting, or the file cannot be changed.
    pub fn save_setting(&self, key: &str, text: &str) -> Result<(), ConfigError> {
        let (mut store, _) = SettingsStore::load(&self.inner.paths);
        store.save(key, text)
    }

    pub fn paths(&self) -> &Paths {
        &self.inner.paths
    }

    /// The device and the memory it has free now. Takes about a millisecond.
    pub fn device(&self) -> DeviceInfo {
        mlx::device_info()
    }

    /// The folder of the model that comes with Maquette.
    pub async fn guide_folder(&self) -> Result<PathBuf, WorkstationError> {
        let paths = self.inner.paths.clone();
        tokio::task::spawn_blocking(move || library::guide_folder(&paths))
            .await
            .map_err(|error| WorkstationError::Internal(error.to_string()))?
            .map_err(|error| WorkstationError::Storage(error.to_string()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
