//! Answering: from a conversation or a text to the engine's request.
//!
//! Templates and tokenizers may take a while on long prompts, so both run
//! aside from the threads that serve.

use std::sync::Arc;

use super::{
    AnswerStream, ChatRequest, CompletionRequest, Overflow, Prompt, Workstation, WorkstationError,
    overflow, sampling,
};
use crate::{
    engine::LoadedModel,
    text::{AnswerParser, TemplateInput, TextError},
};

impl Workstation {
    /// Answers a conversation. Loads the model that the request names; without
    /// a name it is the one in use, or the guide when there is none.
    ///
    /// # Errors
    /// When there is no such model or it cannot be loaded, when its template
    /// refuses the conversation, and when a value is out of its range.
    pub async fn chat(&self, mut request: ChatRequest) -> Result<AnswerStream, WorkstationError> {
        let held = self.hold(request.options.model.as_deref()).await?;
        let model = Arc::clone(&held.model);
        let settings = self.settings();
        request.thinking = request.thinking.or(settings.chat.thinking);
        let options = std::mem::take(&mut request.options);
        let most = options.max_tokens.or(settings.chat.max_tokens);
        let prepared = aside(move || prepare_fitting(&model, request, most)).await??;
        let request = sampling::request(prepared.tokens, options, &settings.chat, &held.model)?;
        let events = self.inner.engine.submit(request)?;
        let answer = AnswerStream::new(held.model.id.clone(), events, Some(prepared.parser));
        Ok(answer.with_omitted(prepared.omitted))
    }

    /// Continues a text, without a chat template.
    ///
    /// # Errors
    /// As for `chat`.
    pub async fn complete(
        &self,
        request: CompletionRequest,
    ) -> Result<AnswerStream, WorkstationError> {
        let held = self.hold(request.options.model.as_deref()).await?;
        let tokens = match request.prompt {
            Prompt::Tokens(tokens) => tokens,
            Prompt::Text(text) => {
                let tokenizer = Arc::clone(&held.model.tokenizer);
                aside(move || tokenizer.encode(&text, true))
                    .await?
                    .map_err(|error| refused(&held.model, &error))?
            }
        };
        let settings = self.settings();
        let request = sampling::request(tokens, request.options, &settings.chat, &held.model)?;
        let events = self.inner.engine.submit(request)?;
        Ok(AnswerStream::new(held.model.id.clone(), events, None))
    }

    /// How many tokens the conversation takes with the model in use; 0 without
    /// one.
    ///
    /// # Errors
    /// When the model's template refuses the conversation.
    pub async fn count_tokens(&self, request: ChatRequest) -> Result<usize, WorkstationError> {
        let Some(model) = self.model().borrow().clone() else {
            return Ok(0);
        };
        let prepared = aside(move || prepare(&model, &request)).await??;
        Ok(prepared.tokens.len())
    }
}

/// Runs what may take long on a thread of its own.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WorkstationError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        WorkstationError::Internal(format!("preparing the prompt failed: {error}"))
    })
}

/// A conversation as the engine takes it.
struct Prepared {
    tokens: Vec<u32>,
    parser: AnswerParser,
    /// Places of the messages that are not sent.
    omitted: Vec<usize>,
}

/// The prompt of as much of the conversation as the request wants sent.
fn prepare_fitting(
    model: &LoadedModel,
    mut request: ChatRequest,
    max_tokens: Option<usize>,
) -> Result<Prepared, WorkstationError> {
    let whole = prepare(model, &request)?;
    let (prompt, context) = (whole.tokens.len(), model.context_length);
    let overflow = request.overflow.unwrap_or(Overflow::Refuse);
    let (before, after) = overflow::limits(overflow, context, max_tokens);
    if overflow == Overflow::Refuse || prompt <= before {
        return Ok(whole);
    }
    if overflow == Overflow::Ask {
        return Err(WorkstationError::Outgrown { prompt, context });
    }
    let mut pinned = vec![false; request.messages.len()];
    for place in &request.pinned {
        if let Some(pinned) = pinned.get_mut(*place) {
            *pinned = true;
        }
    }
    let messages = std::mem::take(&mut request.messages);
    let trimmed = overflow::trim(&messages, &pinned, after, |rest| {
        request.messages = rest.to_vec();
        prepare(model, &request).map(|prepared| prepared.tokens.len())
    })?;
    let prompt = trimmed.tokens;
    if prompt >= context {
        return Err(WorkstationError::NothingToDrop { prompt, context });
    }
    request.messages = overflow::without(&messages, &trimmed.omitted);
    tracing::info!(
        omitted = trimmed.omitted.len(),
        prompt,
        context,
        "a chat was shortened"
    );
    Ok(Prepared {
        omitted: trimmed.omitted,
        ..prepare(model, &request)?
    })
}

/// The prompt's tokens and the parser of its answer.
fn prepare(model: &LoadedModel, request: &ChatRequest) -> Result<Prepared, WorkstationError> {
    let template = model.template.as_ref().ok_or_else(|| {
        WorkstationError::BadRequest(format!(
            "the model `{}` has no chat template: it continues texts and does not chat. \
             Use /v1/completions, or load a model made for chat.",
            model.id
        ))
    })?;
    let input = TemplateInput {
        messages: &request.messages,
        tools: &request.tools,
        thinking: request.thinking,
        generation_prompt: true,
        kwargs: Some(&request.template_kwargs),
    };
    let prompt = template
        .render(input)
        .map_err(|error| refused(model, &error))?;
    // The template writes the special tokens itself.
    let tokens = model
        .tokenizer
        .encode(&prompt, false)
        .map_err(|error| refused(model, &error))?;
    let parser = AnswerParser::for_template(template, &prompt, !request.tools.is_empty());
    Ok(Prepared {
        tokens,
        parser,
        omitted: Vec::new(),
    })
}

fn refused(model: &LoadedModel, error: &TextError) -> WorkstationError {
    match error {
        TextError::Refused(_) | TextError::Template { .. } => WorkstationError::Template {
            model: model.id.clone(),
            reason: error.to_string(),
        },
        _ => WorkstationError::BadRequest(error.to_string()),
    }
}
