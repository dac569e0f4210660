//! `POST /v1/completions`: a text or its tokens in, the continuation out, whole
//! or as server-sent events.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::Stream;
use serde_json::{Value, json};

use super::{
    answer::{self, Envelope, Started, first, usage},
    errors::ApiError,
    fields::{Fields, kind, wrong_type},
    logprobs::CompletionLogprobs,
    options::{self, Delivery},
    sse,
};
use crate::{
    server::scope::RequestScope,
    workstation::{AnswerEvent, CompletionRequest, Prompt, Segment, Workstation},
};

/// OpenAI allows 5 here and 20 in chats; nothing speaks against 20.
const MOST_LOGPROBS: usize = 20;

/// OpenAI's default for this endpoint.
const DEFAULT_MAX_TOKENS: usize = 16;

/// Continues a text.
pub async fn complete(
    State(workstation): State<Workstation>,
    Extension(scope): Extension<Arc<RequestScope>>,
    body: Body,
) -> Result<Response, ApiError> {
    let (request, delivery) = parse(&answer::body(body).await?)?;
    scope.generating(delivery.stream);
    let logprobs = request.options.logprobs.is_some();
    let stream = answer::start(workstation.complete(request).await, &workstation)?;
    scope.model(&stream.model);
    let answer = first(stream).await?;
    let envelope = Envelope::new("cmpl", &answer.stream.model);
    if delivery.stream {
        let chunks = Chunks {
            envelope,
            include_usage: delivery.include_usage,
            logprobs: logprobs.then(CompletionLogprobs::default),
        };
        return Ok(sse::response(chunks.stream(answer, scope)));
    }
    whole(answer, envelope, logprobs, &scope).await
}

/// Reads the request.
fn parse(body: &[u8]) -> Result<(CompletionRequest, Delivery), ApiError> {
    let mut fields = Fields::of_body(body)?;
    let given = fields.value("prompt");
    let prompt = prompt(fields.require("prompt", given)?)?;
    let delivery = options::delivery(&mut fields)?;
    let mut options = options::shared(&mut fields)?;
    options.max_tokens = Some(fields.count("max_tokens")?.unwrap_or(DEFAULT_MAX_TOKENS));
    options.logprobs = fields.count("logprobs")?;
    if let Some(count) = options.logprobs.filter(|&count| count > MOST_LOGPROBS) {
        let message =
            format!("`logprobs` is {count}; it is a whole number from 0 to {MOST_LOGPROBS}.");
        return Err(ApiError::parameter("logprobs", message));
    }
    fields.only(
        "best_of",
        &[json!(1)],
        "one answer a request is what Maquette makes.",
    )?;
    fields.only(
        "echo",
        &[json!(false)],
        "the prompt is not repeated in the answer.",
    )?;
    fields.only(
        "suffix",
        &[json!("")],
        "Maquette continues a text and does not fill gaps.",
    )?;
    fields.finish()?;
    Ok((CompletionRequest { prompt, options }, delivery))
}

/// One prompt: a text, token ids, or an array that holds one of these.
fn prompt(value: Value) -> Result<Prompt, ApiError> {
    let items = match value {
        Value::String(text) => return Ok(Prompt::Text(text)),
        Value::Array(items) => items,
        other => {
            return Err(wrong_type(
                "prompt",
                &other,
                "a string or an array of token ids",
            ));
        }
    };
    match items.as_slice() {
        [] => {
            let message = "`prompt` is empty; at least one token is needed.";
            Err(ApiError::parameter("prompt", message))
        }
        [Value::String(text)] => Ok(Prompt::Text(text.clone())),
        [Value::Array(ids)] => options::token_ids("prompt[0]", ids).map(Prompt::Tokens),
        [Value::String(_) | Value::Array(_), ..] => {
            let message = format!(
                "`prompt` holds {} prompts; send one a request, several requests at once.",
                items.len()
            );
            Err(ApiError::unsupported("prompt", message))
        }
        [Value::Number(_), ..] => options::token_ids("prompt", &items).map(Prompt::Tokens),
        [other, ..] => {
            let message = format!(
                "`prompt[0]` is {}; a string or a token id is expected.",
                kind(other)
            );
            Err(ApiError::parameter("prompt", message).code("invalid_type"))
        }
    }
}

/// The text of segments; without a parser there is only content.
fn text(segments: Vec<Segment>) -> String {
    segments
        .into_iter()
        .map(|segment| match segment {
            Segment::Content(text) | Segment::Reasoning(text) => text,
            Segment::ToolCall(call) => call.arguments.to_string(),
        })
        .collect()
}

/// The whole continuation as one object.
async fn whole(
    mut answer: Started,
    envelope: Envelope,
    with_logprobs: bool,
    scope: &RequestScope,
) -> Result<Response, ApiError> {
    let mut content = String::new();
    let mut logprobs = CompletionLogprobs::default();
    loop {
        match answer.next().await {
            Some(AnswerEvent::Delta { token, segments }) => {
                logprobs.push(&token);
                content += &text(segments);
            }
            Some(AnswerEvent::Finished {
                segments,
                reason,
                usage: counts,
                ..
            }) => {
                content += &text(segments);
                scope.finished(&counts, reason);
                let mut body = envelope.object("text_completion");
                body["choices"] = json!([{
                    "index": 0,
                    "text": content,
                    "logprobs": if with_logprobs { logprobs.take() } else { Value::Null },
                    "finish_reason": answer::finish_reason(reason)?,
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

/// Makes the chunks of a streamed continuation.
struct Chunks {
    envelope: Envelope,
    include_usage: bool,
    logprobs: Option<CompletionLogprobs>,
}

impl Chunks {
    fn stream(
        mut self,
        mut answer: Started,
        scope: Arc<RequestScope>,
    ) -> impl Stream<Item = Result<Value, ApiError>> + Send {
        async_stream::try_stream! {
            loop {
                match answer.next().await {
                    Some(AnswerEvent::Delta { token, segments }) => {
                        if let Some(logprobs) = &mut self.logprobs {
                            logprobs.push(&token);
                        }
                        let text = text(segments);
                        // A token without text still has its log-probability.
                        if !text.is_empty() || self.logprobs.is_some() {
                            yield self.chunk(text, Value::Null);
                        }
                    }
                    Some(AnswerEvent::Finished { segments, reason, usage: counts, .. }) => {
                        scope.finished(&counts, reason);
                        let reason = answer::finish_reason(reason)?;
                        yield self.chunk(text(segments), reason.into());
                        if self.include_usage {
                            yield self.envelope.usage_chunk("text_completion", &counts);
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

    fn chunk(&mut self, text: String, finish_reason: Value) -> Value {
        let logprobs = match &mut self.logprobs {
            Some(logprobs) if !logprobs.is_empty() => logprobs.take(),
            _ => Value::Null,
        };
        let mut chunk = self.envelope.object("text_completion");
        chunk["choices"] = json!([{
            "index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish_reason,
        }]);
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<(CompletionRequest, Delivery), ApiError> {
        parse(value.to_string().as_bytes())
    }

    #[test]
    fn every_form_of_one_prompt_is_read() {
        let tokens = |body| match read(body).unwrap().0.prompt {
            Prompt::Tokens(tokens) => tokens,
            Prompt::Text(text) => panic!("{text:?} is no token prompt"),
        };
        assert_eq!(tokens(json!({"prompt": [1, 2]})), [1, 2]);
        assert_eq!(tokens(json!({"prompt": [[3]]})), [3]);
        for prompt in [json!("Hi"), json!(["Hi"])] {
            let request = read(json!({"prompt": prompt})).unwrap().0;
            assert!(matches!(request.prompt, Prompt::Text(text) if text == "Hi"));
            assert_eq!(request.options.max_tokens, Some(DEFAULT_MAX_TOKENS));
        }
    }

    #[test]
    fn refusals_name_the_parameter() {
        let cases = [
            (json!({}), "prompt"),
            (json!({"prompt": []}), "prompt"),
            (json!({"prompt": ["a", "b"]}), "prompt"),
            (json!({"prompt": [1, -2]}), "prompt[1]"),
            (json!({"prompt": "a", "echo": true}), "echo"),
            (json!({"prompt": "a", "best_of": 2}), "best_of"),
            (json!({"prompt": "a", "suffix": "b"}), "suffix"),
            (json!({"prompt": "a", "logprobs": 21}), "logprobs"),
            (json!({"prompt": "a", "max_tokens": "x"}), "max_tokens"),
            (json!({"prompt": "a", "guided_json": {}}), "guided_json"),
        ];
        for (body, name) in cases {
            let error = read(body.clone()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(name), "{body}");
            assert_eq!(error.status.as_u16(), 400);
        }
    }
}
