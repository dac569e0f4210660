//! What both generating endpoints share: the envelope around answers, usage,
//! the reasons an answer ended, and the start of an answer.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{body::Body, http::StatusCode};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::errors::ApiError;
use crate::{
    server::MAX_BODY_BYTES,
    workstation::{AnswerEvent, AnswerFinish, AnswerStream, Usage, Workstation, WorkstationError},
};

/// Bytes of too large a body that are read and thrown away.
const MOST_DISCARDED: usize = 8 * MAX_BODY_BYTES;

/// What every object of one answer repeats.
pub struct Envelope {
    id: String,
    created: u64,
    model: String,
}

impl Envelope {
    /// A new answer of `model`; `prefix` is the kind of its id.
    pub fn new(prefix: &str, model: &str) -> Self {
        Self {
            id: format!("{prefix}-{}", uuid::Uuid::new_v4().simple()),
            created: unix_time(SystemTime::now()),
            model: model.to_owned(),
        }
    }

    /// An object of the given kind, without choices.
    pub fn object(&self, kind: &str) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": concat!("maquette-", env!("CARGO_PKG_VERSION")),
        })
    }

    /// The chunk after the last, which carries usage and no choice.
    pub fn usage_chunk(&self, kind: &str, counts: &Usage) -> Value {
        let mut chunk = self.object(kind);
        chunk["choices"] = json!([]);
        chunk["usage"] = usage(counts);
        chunk
    }
}

/// Seconds since 1970.
pub fn unix_time(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// The `usage` object.
pub fn usage(counts: &Usage) -> Value {
    json!({
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.completion_tokens,
        "total_tokens": counts.prompt_tokens + counts.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": counts.cached_tokens},
        "completion_tokens_details": {
            "accepted_prediction_tokens": counts.accepted_tokens,
            "rejected_prediction_tokens": counts.proposed_tokens - counts.accepted_tokens,
        },
    })
}

/// OpenAI's word for why an answer ended; a cancelled one is an error.
pub fn finish_reason(reason: AnswerFinish) -> Result<&'static str, ApiError> {
    match reason {
        AnswerFinish::Stop => Ok("stop"),
        AnswerFinish::Length => Ok("length"),
        AnswerFinish::ToolCalls => Ok("tool_calls"),
        AnswerFinish::Cancelled => Err(ApiError::server(
            StatusCode::SERVICE_UNAVAILABLE,
            "the answer was cancelled in Maquette before it was complete.",
        )
        .code("cancelled")),
    }
}

/// For an engine that went away without a last event.
pub fn cut_off() -> ApiError {
    ApiError::server(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the engine stopped before the answer was complete; see Maquette's log.",
    )
    .code("engine_stopped")
}

/// Reads the request's body. One that is too large is read to its end all the
/// same, within bounds: many clients see the refusal only after they have sent
/// everything.
pub async fn body(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut length = 0;
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part =
            part.map_err(|_| ApiError::request("the request body could not be read to its end."))?;
        length += part.len();
        if length <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&part);
        } else if length <= MOST_DISCARDED {
            bytes = Vec::new();
        } else {
            break;
        }
    }
    if length > MAX_BODY_BYTES {
        let most = MAX_BODY_BYTES >> 20;
        let message =
            format!("the request body is larger than {most} MiB, the most that Maquette reads.");
        return Err(ApiError::request(message)
            .code("request_too_large")
            .status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(bytes)
}

/// The answer, or the refusal; an unknown model's names those there are.
pub fn start(
    answer: Result<AnswerStream, WorkstationError>,
    workstation: &Workstation,
) -> Result<AnswerStream, ApiError> {
    answer.map_err(|error| match error {
        WorkstationError::UnknownModel(id) => {
            ApiError::model_not_found(&id, &super::models::ids(workstation))
        }
        other => other.into(),
    })
}

/// An answer whose first event is there.
pub struct Started {
    pub stream: AnswerStream,
    first: Option<AnswerEvent>,
}

impl Started {
    /// The next event, the first one first.
    pub async fn next(&mut self) -> Option<AnswerEvent> {
        match self.first.take() {
            Some(event) => Some(event),
            None => self.stream.next().await,
        }
    }
}

/// Waits for the first event, so that a refusal by the engine still gets its
/// own status and does not arrive as an event of a successful response.
pub async fn first(mut stream: AnswerStream) -> Result<Started, ApiError> {
    match stream.next().await {
        Some(AnswerEvent::Failed(error)) => Err(error.into()),
        Some(first) => Ok(Started {
            stream,
            first: Some(first),
        }),
        None => Err(cut_off()),
    }
}
