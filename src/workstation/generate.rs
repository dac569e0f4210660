//! Answering: from a conversation or a text to the engine's request.
//!
//! Templates and tokenizers may take a while on long prompts, so both run
//! aside from the threads that serve.

use std::sync::Arc;

use super::{
    AnswerStream, ChatRequest, CompletionRequest, Prompt, Workstation, WorkstationError, sampling,
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
        let (tokens, parser) = aside(move || prepare(&model, &request)).await??;
        let request = sampling::request(tokens, options, &settings.chat, &held.model)?;
        let events = self.inner.engine.submit(request)?;
        Ok(AnswerStream::new(
            held.model.id.clone(),
            events,
            Some(parser),
        ))
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
        let (tokens, _) = aside(move || prepare(&model, &request)).await??;
        Ok(tokens.len())
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

/// The prompt's tokens and the parser of its answer.
fn prepare(
    model: &LoadedModel,
    request: &ChatRequest,
) -> Result<(Vec<u32>, AnswerParser), WorkstationError> {
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
    Ok((tokens, parser))
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
