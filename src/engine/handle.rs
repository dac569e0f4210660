//! The engine's only public face: a handle that is `Clone + Send + Sync`.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::types::*;

/// What the rest of the program may know of the model in use.
#[derive(Debug)]
pub struct LoadedModel {
    pub id: String,
    pub family: String,
    /// Such as "8-bit g64", "bf16".
    pub quantisation: String,
    pub parameters: u64,
    pub weight_bytes: u64,
    pub context_length: usize,
    pub vocab_size: usize,
}

pub(super) enum Command {
    Submit {
        id: RequestId,
        request: Box<Request>,
        events: mpsc::Sender<Event>,
    },
    Cancel(RequestId),
    Load {
        source: ModelSource,
        reply: oneshot::Sender<Result<Arc<LoadedModel>, EngineError>>,
    },
    Unload {
        reply: oneshot::Sender<()>,
    },
}

/// Reaches the engine thread. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    pub(super) commands: std::sync::mpsc::Sender<Command>,
    pub(super) stats: watch::Receiver<EngineStats>,
    pub(super) model: watch::Receiver<Option<Arc<LoadedModel>>>,
}

/// The events of one request. Dropping it cancels the request.
pub struct RequestStream {
    pub id: RequestId,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) commands: std::sync::mpsc::Sender<Command>,
}
