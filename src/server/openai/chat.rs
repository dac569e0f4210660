//! `POST /v1/chat/completions`: a conversation in, the assistant's turn out,
//! whole or as server-sent events.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::HeaderName,
    response::{IntoResponse, Response},
};
use futures_util::Stream;
use serde_json::{Value, json};

use super::{
    answer::{self, Envelope, Started, first, usage},
    chat_request::parse,
    errors::ApiError,
    logprobs, sse,
};
use crate::{
    server::scope::RequestScope,
    workstation::{AnswerEvent, Segment, ToolCall, Workstation},
};

/// How many messages `"truncation": "auto"` left out.
const OMITTED: HeaderName = HeaderName::from_static("x-maquette-omitted-messages");

/// Answers a conversation.
pub async fn complete(
    State(workstation): State<Workstation>,
    Extension(scope): Extension<Arc<RequestScope>>,
    body: Body,
) -> Result<Response, ApiError> {
    let (request, delivery) = parse(&answer::body(body).await?)?;
    scope.generating(delivery.stream);
    let stream = answer::start(workstation.chat(request).await, &workstation)?;
    scope.model(&stream.model);
    let omitted = stream.omitted.len();
    let answer = first(stream).await?;
    let envelope = Envelope::new("chatcmpl", &answer.stream.model);
    if delivery.stream {
        let chunks = chunks(answer, envelope, delivery.include_usage, scope);
        return Ok(with_omitted(sse::response(chunks), omitted));
    }
    let whole = whole(answer, envelope, &scope).await?;
    Ok(with_omitted(whole, omitted))
}

/// Says in a header how many messages were left out, if any.
fn with_omitted(mut response: Response, omitted: usize) -> Response {
    if omitted > 0 {
        response.headers_mut().insert(OMITTED, omitted.into());
    }
    response
}

/// The whole answer as one object.
async fn whole(
    mut answer: Started,
    envelope: Envelope,
    scope: &RequestScope,
) -> Result<Response, ApiError> {
    let mut turn = Turn::default();
    loop {
        match answer.next().await {
            Some(AnswerEvent::Delta { token, segments }) => {
                turn.logprobs.extend(logprobs::chat_entry(&token));
                turn.extend(segments);
            }
            Some(AnswerEvent::Finished {
                segments,
                reason,
                usage: counts,
                ..
            }) => {
                turn.extend(segments);
                scope.finished(&counts, reason);
                let reason = answer::finish_reason(reason)?;
                let mut body = envelope.object("chat.completion");
                body["choices"] = json!([{
                    "index": 0,
                    "message": turn.message(),
                    "logprobs": turn.logprobs(),
                    "finish_reason": reason,
                }]);
                body["usage"] = usage(&counts);
                return Ok(Json(body).into_response());
            }
            Some(AnswerEvent::Failed(error)) => return Err(error.into()),
            Some(AnswerEvent::Queued { .. } | AnswerEvent::Prefill { .. }) => {}
            None => return Err(answer::cut_off()),
        }
    }
}

/// The assistant's turn as it grows.
#[derive(Default)]
struct Turn {
    reasoning: String,
    content: String,
    calls: Vec<ToolCall>,
    logprobs: Vec<Value>,
}

impl Turn {
    fn extend(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            match segment {
                Segment::Reasoning(text) => self.reasoning += &text,
                Segment::Content(text) => self.content += &text,
                Segment::ToolCall(call) => self.calls.push(call),
            }
        }
    }

    fn message(&self) -> Value {
        // A turn of calls alone has no content.
        let content = match self.content.is_empty() && !self.calls.is_empty() {
            true => Value::Null,
            false => self.content.as_str().into(),
        };
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if !self.reasoning.is_empty() {
            message["reasoning_content"] = self.reasoning.as_str().into();
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = self.calls.iter().map(call_object).collect();
        }
        message
    }

    fn logprobs(&self) -> Value {
        match self.logprobs.is_empty() {
            true => Value::Null,
            false => json!({"content": self.logprobs, "refusal": null}),
        }
    }
}

fn call_object(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.to_string()},
    })
}

/// The answer as chunks: the role, the deltas, the reason it ended, usage.
fn chunks(
    mut answer: Started,
    envelope: Envelope,
    include_usage: bool,
    scope: Arc<RequestScope>,
) -> impl Stream<Item = Result<Value, ApiError>> + Send {
    async_stream::try_stream! {
        let mut chunks = Chunks { envelope, include_usage, calls: 0, logprobs: Vec::new() };
        yield chunks.chunk(json!({"role": "assistant", "content": ""}), Value::Null);
        loop {
            match answer.next().await {
                Some(AnswerEvent::Delta { token, segments }) => {
                    chunks.logprobs.extend(logprobs::chat_entry(&token));
                    for segment in segments {
                        yield chunks.delta(segment);
                    }
                }
                Some(AnswerEvent::Finished { segments, reason, usage: counts, .. }) => {
                    for segment in segments {
                        yield chunks.delta(segment);
                    }
                    scope.finished(&counts, reason);
                    let reason = answer::finish_reason(reason)?;
                    yield chunks.chunk(json!({}), reason.into());
                    if include_usage {
                        yield chunks.envelope.usage_chunk("chat.completion.chunk", &counts);
                    }
                    break;
                }
                Some(AnswerEvent::Failed(error)) => Err(ApiError::from(error))?,
                Some(AnswerEvent::Queued { .. } | AnswerEvent::Prefill { .. }) => {}
                None => Err(answer::cut_off())?,
            }
        }
    }
}

struct Chunks {
    envelope: Envelope,
    include_usage: bool,
    /// Calls sent so far.
    calls: usize,
    /// Of tokens whose text has not been sent yet.
    logprobs: Vec<Value>,
}

impl Chunks {
    fn delta(&mut self, segment: Segment) -> Value {
        let delta = match segment {
            Segment::Content(text) => json!({"content": text}),
            Segment::Reasoning(text) => json!({"reasoning_content": text}),
            Segment::ToolCall(call) => {
                let mut object = call_object(&call);
                object["index"] = self.calls.into();
                self.calls += 1;
                json!({"tool_calls": [object]})
            }
        };
        self.chunk(delta, Value::Null)
    }

    fn chunk(&mut self, delta: Value, finish_reason: Value) -> Value {
        let logprobs = match self.logprobs.is_empty() {
            true => Value::Null,
            false => json!({"content": std::mem::take(&mut self.logprobs), "refusal": null}),
        };
        let mut chunk = self.envelope.object("chat.completion.chunk");
        chunk["choices"] = json!([{
            "index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason,
        }]);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}
