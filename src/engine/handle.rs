//! The engine's only public face: a handle that is `Clone + Send + Sync`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    model::{DeviceLoader, Loader},
    outbox::CHANNEL,
    quality::KvQuality,
    thread::Engine,
    types::*,
    validate::validate,
};
use crate::{
    cache::KvLayer,
    text::{ChatTemplate, Tokenizer},
};

/// What the rest of the program may know of the model in use.
#[derive(Debug)]
pub struct LoadedModel {
    pub id: String,
    pub family: String,
    /// Such as "8-bit g64", "bf16".
    pub quantisation: String,
    pub parameters: u64,
    pub weight_bytes: u64,
    /// Tokens of prompt and answer together, the engine's limit included.
    pub context_length: usize,
    pub vocab_size: usize,
    /// What each layer keeps of a token.
    pub kv_layers: Vec<KvLayer>,
    pub tokenizer: Arc<Tokenizer>,
    /// `None` for a model that only continues texts.
    pub template: Option<ChatTemplate>,
    pub defaults: GenerationDefaults,
    /// The id of the draft model that proposes tokens for it.
    pub draft: Option<String>,
}

pub(super) enum Command {
    Submit(Submission),
    Cancel(RequestId),
    /// A reader has room again.
    Wake,
    Load {
        source: ModelSource,
        draft: Option<ModelSource>,
        reply: oneshot::Sender<Result<Arc<LoadedModel>, EngineError>>,
    },
    Unload {
        reply: oneshot::Sender<()>,
    },
    /// Store all pages that the disk does not have.
    Flush {
        reply: oneshot::Sender<()>,
    },
    /// Read a text in every way to keep keys and values.
    CompareKv {
        tokens: Vec<u32>,
        generate: usize,
        reply: oneshot::Sender<Result<Vec<KvQuality>, EngineError>>,
    },
}

/// A request on its way to the engine thread.
pub(super) struct Submission {
    pub id: RequestId,
    pub request: Request,
    pub events: mpsc::Sender<Event>,
    pub starved: Arc<AtomicBool>,
    pub arrived: std::time::Instant,
}

/// Reaches the engine thread. Cheap to clone; the thread ends when the last
/// handle and the last stream are gone.
#[derive(Clone)]
pub struct EngineHandle {
    commands: std::sync::mpsc::Sender<Command>,
    stats: watch::Receiver<EngineStats>,
    model: watch::Receiver<Option<Arc<LoadedModel>>>,
    /// Requests that were submitted and do not run yet.
    waiting: Arc<AtomicUsize>,
    queue_limit: usize,
}

impl EngineHandle {
    /// Starts the engine thread, without a model.
    pub fn start(options: EngineOptions) -> Self {
        Self::start_with(options, DeviceLoader)
    }

    pub(super) fn start_with(options: EngineOptions, loader: impl Loader) -> Self {
        let (commands, receiver) = std::sync::mpsc::channel();
        let (stats_sender, stats) = watch::channel(EngineStats::default());
        let (model_sender, model) = watch::channel(None);
        let waiting = Arc::new(AtomicUsize::new(0));
        let queue_limit = options.queue_limit;
        let engine = {
            let waiting = Arc::clone(&waiting);
            move || Engine::new(options, loader, stats_sender, model_sender, waiting).run(receiver)
        };
        // Without its thread every command is answered with `Stopped`.
        if let Err(error) = thread::Builder::new().name("engine".into()).spawn(engine) {
            tracing::error!(%error, "the engine thread could not be started");
        }
        Self {
            commands,
            stats,
            model,
            waiting,
            queue_limit,
        }
    }

    /// Hands a request in; its events come from the stream.
    ///
    /// # Errors
    /// When no model is loaded, a value is out of range, the prompt is empty or
    /// longer than the context, or too many requests wait already.
    pub fn submit(&self, request: Request) -> Result<RequestStream, EngineError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let model = self.model.borrow().clone().ok_or(EngineError::NoModel)?;
        validate(&request, &model)?;
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst);
        if waiting >= self.queue_limit {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(EngineError::QueueFull { waiting });
        }
        let id = RequestId(NEXT.fetch_add(1, Ordering::Relaxed));
        let (sender, events) = mpsc::channel(CHANNEL);
        let starved = Arc::new(AtomicBool::new(false));
        let submission = Submission {
            id,
            request,
            events: sender,
            starved: Arc::clone(&starved),
            arrived: std::time::Instant::now(),
        };
        self.commands
            .send(Command::Submit(submission))
            .map_err(|_| EngineError::Stopped)?;
        Ok(RequestStream {
            id,
            events,
            starved,
            commands: self.commands.clone(),
        })
    }

    /// Loads a model in place of the one in use, after the requests that were
    /// submitted before have ended. The old model stays if this fails, unless
    /// memory does not hold both. Progress is in [`EngineStats::loading`].
    ///
    /// # Errors
    /// When the model cannot be loaded or does not fit into memory.
    pub async fn load(&self, source: ModelSource) -> Result<Arc<LoadedModel>, EngineError> {
        self.load_with_draft(source, None).await
    }

    /// As [`Self::load`], with a draft model for speculation. An engine whose
    /// speculation wants none leaves it alone; one with
    /// [`Speculation::Auto`] goes on without a draft that does not fit.
    ///
    /// # Errors
    /// Also when the draft cannot be loaded or has another vocabulary.
    pub async fn load_with_draft(
        &self,
        source: ModelSource,
        draft: Option<ModelSource>,
    ) -> Result<Arc<LoadedModel>, EngineError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Load {
            source,
            draft,
            reply,
        };
        self.commands
            .send(command)
            .map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// Frees the model in use, after the requests submitted before have ended.
    pub async fn unload(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Unload { reply }).is_ok() {
            // An engine that has stopped holds no model either.
            let _ = answer.await;
        }
    }

    /// Waits until everything that ended sequences have left is on the disk, if
    /// pages are stored there.
    pub async fn flush(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Flush { reply }).is_ok() {
            // An error means that there is nobody left to do so.
            let _ = answer.await;
        }
    }

    /// What the model makes of `tokens`, and of a continuation by `generate`
    /// more, in every way to keep keys and values. Nothing else runs meanwhile.
    ///
    /// # Errors
    /// When no model is loaded, the text is too long for it, or a step fails.
    pub async fn compare_kv(
        &self,
        tokens: Vec<u32>,
        generate: usize,
    ) -> Result<Vec<KvQuality>, EngineError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::CompareKv {
            tokens,
            generate,
            reply,
        };
        self.commands
            .send(command)
            .map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// Numbers, a few times a second while something happens.
    pub fn stats(&self) -> watch::Receiver<EngineStats> {
        self.stats.clone()
    }

    /// The model in use.
    pub fn model(&self) -> watch::Receiver<Option<Arc<LoadedModel>>> {
        self.model.clone()
    }
}

/// The events of one request. Dropping it cancels the request.
pub struct RequestStream {
    pub id: RequestId,
    events: mpsc::Receiver<Event>,
    starved: Arc<AtomicBool>,
    commands: std::sync::mpsc::Sender<Command>,
}

impl std::fmt::Debug for RequestStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RequestStream").field(&self.id).finish()
    }
}

impl RequestStream {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.taken();
        event
    }

    /// [`Self::next`] for threads outside an async runtime.
    pub fn blocking_next(&mut self) -> Option<Event> {
        let event = self.events.blocking_recv();
        self.taken();
        event
    }

    /// Stops the work; `Finished` with what there is follows.
    pub fn cancel(&self) {
        let _ = self.commands.send(Command::Cancel(self.id));
    }

    fn taken(&self) {
        if self.starved.swap(false, Ordering::SeqCst) {
            let _ = self.commands.send(Command::Wake);
        }
    }
}

impl Drop for RequestStream {
    fn drop(&mut self) {
        self.events.close();
        self.cancel();
    }
}
