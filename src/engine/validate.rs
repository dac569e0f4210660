//! Requests are checked before they cost anything.

use super::{
    handle::LoadedModel,
    types::{EngineError, Request},
};
use crate::cache::Scheme;

/// The most alternatives a position can have log-probabilities for.
const MAX_LOGPROBS: usize = 100;

/// # Errors
/// What is wrong with `request` for `model`.
pub(super) fn validate(request: &Request, model: &LoadedModel) -> Result<(), EngineError> {
    if request.prompt.is_empty() {
        return Err(EngineError::EmptyPrompt);
    }
    if request.prompt.len() >= model.context_length {
        return Err(EngineError::PromptTooLong {
            prompt: request.prompt.len(),
            context: model.context_length,
        });
    }
    let known = |token: u32| (token as usize) < model.vocab_size;
    let unknown = request.prompt.iter().find(|token| !known(**token));
    check("prompt", unknown.is_none(), || {
        (
            format!("a list with the token {}", unknown.unwrap_or(&0)),
            "token ids must be below the model's vocabulary size.",
        )
    })?;
    Scheme::check(request.kv_mode.unwrap_or_default(), &model.kv_layers)?;
    let s = &request.sampling;
    let numbers = [
        (
            "temperature",
            s.temperature,
            0.0..=f32::MAX,
            "it must be 0 or more.",
        ),
        ("top_p", s.top_p, 0.0..=1.0, "it must lie from 0 to 1."),
        ("min_p", s.min_p, 0.0..=1.0, "it must lie from 0 to 1."),
        (
            "repetition_penalty",
            s.repetition_penalty,
            f32::MIN_POSITIVE..=f32::MAX,
            "it must be more than 0.",
        ),
        (
            "presence_penalty",
            s.presence_penalty,
            f32::MIN..=f32::MAX,
            "it must be a number.",
        ),
        (
            "frequency_penalty",
            s.frequency_penalty,
            f32::MIN..=f32::MAX,
            "it must be a number.",
        ),
    ];
    for (parameter, value, range, expected) in numbers {
        check(parameter, range.contains(&value), || {
            (value.to_string(), expected)
        })?;
    }
    let bias = s.logit_bias.iter();
    let bad_bias = bias
        .clone()
        .find(|(token, value)| !known(**token) || !value.is_finite());
    check("logit_bias", bad_bias.is_none(), || {
        (
            format!("{bad_bias:?}"),
            "its tokens must be below the vocabulary size and its values finite.",
        )
    })?;
    let logprobs = request.logprobs.unwrap_or(0);
    check("logprobs", logprobs <= MAX_LOGPROBS, || {
        (logprobs.to_string(), "it must be at most 100.")
    })
}

fn check(
    parameter: &'static str,
    good: bool,
    problem: impl FnOnce() -> (String, &'static str),
) -> Result<(), EngineError> {
    if good {
        return Ok(());
    }
    let (value, expected) = problem();
    Err(EngineError::BadParameter {
        parameter,
        value,
        expected,
    })
}
