//! From what a request sets to what the engine is told: the layers of sampling
//! values, and the ranges they must lie in.

use super::{GenerationOptions, WorkstationError};
use crate::{
    config::ChatSettings,
    engine::{EngineError, GenerationDefaults, LoadedModel, Request, SamplingParams},
};

/// The most alternatives that log-probabilities are given for.
pub const MOST_LOGPROBS: usize = 20;

/// The most token biases of one request.
const MOST_BIASES: usize = 1024;

/// The engine's request for `prompt`: the request's own values, then those of
/// the settings, then the model's, then the built-in ones.
///
/// # Errors
/// Names the first value that is out of its range, with the range.
pub(super) fn request(
    prompt: Vec<u32>,
    options: GenerationOptions,
    settings: &ChatSettings,
    model: &LoadedModel,
) -> Result<Request, WorkstationError> {
    check_prompt(&prompt, model)?;
    let sampling = merge(&options, settings, &model.defaults);
    check(&sampling, &options, model.vocab_size)?;
    Ok(Request {
        prompt,
        max_tokens: options.max_tokens.or(settings.max_tokens),
        priority: options.priority,
        sampling,
        stop: options.stop,
        stop_tokens: options.stop_tokens,
        ignore_eos: options.ignore_eos,
        logprobs: options.logprobs,
        special_text: false,
        kv_mode: options.kv_mode,
        cache_salt: options.cache_salt,
        speculation: options.speculation,
    })
}

fn check_prompt(prompt: &[u32], model: &LoadedModel) -> Result<(), WorkstationError> {
    if prompt.is_empty() {
        return Err(EngineError::EmptyPrompt.into());
    }
    if let Some(token) = prompt
        .iter()
        .find(|&&token| token as usize >= model.vocab_size)
    {
        return Err(WorkstationError::BadRequest(format!(
            "the prompt holds the token {token}; the tokens of `{}` are 0 to {}.",
            model.id,
            model.vocab_size.saturating_sub(1)
        )));
    }
    // One position is left for the first token of the answer.
    if prompt.len() >= model.context_length {
        return Err(EngineError::PromptTooLong {
            prompt: prompt.len(),
            context: model.context_length,
        }
        .into());
    }
    Ok(())
}

fn merge(
    options: &GenerationOptions,
    settings: &ChatSettings,
    model: &GenerationDefaults,
) -> SamplingParams {
    let own = &options.sampling;
    let built_in = SamplingParams::default();
    SamplingParams {
        temperature: own
            .temperature
            .or(settings.temperature)
            .or(model.temperature)
            .unwrap_or(built_in.temperature),
        top_p: own
            .top_p
            .or(settings.top_p)
            .or(model.top_p)
            .unwrap_or(built_in.top_p),
        top_k: own.top_k.or(model.top_k).unwrap_or(built_in.top_k),
        min_p: own.min_p.or(model.min_p).unwrap_or(built_in.min_p),
        repetition_penalty: own
            .repetition_penalty
            .or(model.repetition_penalty)
            .unwrap_or(built_in.repetition_penalty),
        presence_penalty: own.presence_penalty.unwrap_or(built_in.presence_penalty),
        frequency_penalty: own.frequency_penalty.unwrap_or(built_in.frequency_penalty),
        penalty_context: built_in.penalty_context,
        logit_bias: own.logit_bias.clone(),
        seed: own.seed,
    }
}

fn check(
    sampling: &SamplingParams,
    options: &GenerationOptions,
    vocabulary: usize,
) -> Result<(), WorkstationError> {
    let ranges = [
        (
            "temperature",
            sampling.temperature,
            0.0..=2.0,
            "it must lie from 0 to 2.",
        ),
        (
            "top_p",
            sampling.top_p,
            0.0..=1.0,
            "it must lie from 0 to 1.",
        ),
        (
            "min_p",
            sampling.min_p,
            0.0..=1.0,
            "it must lie from 0 to 1.",
        ),
        (
            "repetition_penalty",
            sampling.repetition_penalty,
            0.01..=10.0,
            "it must lie from 0.01 to 10.",
        ),
        (
            "presence_penalty",
            sampling.presence_penalty,
            -2.0..=2.0,
            "it must lie from -2 to 2.",
        ),
        (
            "frequency_penalty",
            sampling.frequency_penalty,
            -2.0..=2.0,
            "it must lie from -2 to 2.",
        ),
    ];
    for (parameter, value, range, expected) in ranges {
        // NaN lies in no range.
        if !range.contains(&value) {
            return Err(out_of_range(parameter, value, expected));
        }
    }
    if options.max_tokens == Some(0) {
        return Err(out_of_range("max_tokens", 0, "it must be at least 1."));
    }
    if let Some(count) = options.logprobs.filter(|&count| count > MOST_LOGPROBS) {
        return Err(out_of_range("logprobs", count, "it must lie from 0 to 20."));
    }
    if options.stop.iter().any(String::is_empty) {
        return Err(out_of_range(
            "stop",
            "an empty string",
            "it must hold text.",
        ));
    }
    if sampling.logit_bias.len() > MOST_BIASES {
        let count = format!("{} tokens", sampling.logit_bias.len());
        return Err(out_of_range(
            "logit_bias",
            count,
            "it may name at most 1024 tokens.",
        ));
    }
    for (&token, &bias) in &sampling.logit_bias {
        if !(-100.0..=100.0).contains(&bias) {
            return Err(out_of_range(
                "logit_bias",
                format!("{bias} for token {token}"),
                "each bias must lie from -100 to 100.",
            ));
        }
        if token as usize >= vocabulary {
            return Err(out_of_range(
                "logit_bias",
                format!("set for token {token}"),
                "the model has no such token.",
            ));
        }
    }
    Ok(())
}

fn out_of_range(
    parameter: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> WorkstationError {
    EngineError::BadParameter {
        parameter,
        value: value.to_string(),
        expected,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::workstation::SamplingOverrides;

    fn refusal(sampling: SamplingOverrides) -> Option<String> {
        let options = GenerationOptions {
            sampling,
            ..GenerationOptions::default()
        };
        let merged = merge(
            &options,
            &ChatSettings::default(),
            &GenerationDefaults::default(),
        );
        let error = check(&merged, &options, 100).err();
        error.map(|error| error.to_string())
    }

    #[test]
    fn each_layer_yields_to_the_one_above() {
        let mut options = GenerationOptions::default();
        let mut settings = ChatSettings::default();
        let mut model = GenerationDefaults::default();
        let merged = |o: &_, s: &_, m: &_| merge(o, s, m).temperature;
        assert_eq!(merged(&options, &settings, &model), 0.7);
        model.temperature = Some(0.6);
        assert_eq!(merged(&options, &settings, &model), 0.6);
        settings.temperature = Some(0.5);
        assert_eq!(merged(&options, &settings, &model), 0.5);
        options.sampling.temperature = Some(0.0);
        assert_eq!(merged(&options, &settings, &model), 0.0);
    }

    #[test]
    fn ranges_are_named() {
        let cases = [
            (
                SamplingOverrides {
                    temperature: Some(2.1),
                    ..Default::default()
                },
                "temperature is 2.1",
            ),
            (
                SamplingOverrides {
                    temperature: Some(f32::NAN),
                    ..Default::default()
                },
                "temperature is NaN",
            ),
            (
                SamplingOverrides {
                    top_p: Some(-0.1),
                    ..Default::default()
                },
                "from 0 to 1",
            ),
            (
                SamplingOverrides {
                    min_p: Some(1.5),
                    ..Default::default()
                },
                "min_p",
            ),
            (
                SamplingOverrides {
                    repetition_penalty: Some(0.0),
                    ..Default::default()
                },
                "repetition_penalty",
            ),
            (
                SamplingOverrides {
                    presence_penalty: Some(3.0),
                    ..Default::default()
                },
                "from -2 to 2",
            ),
            (
                SamplingOverrides {
                    frequency_penalty: Some(-3.0),
                    ..Default::default()
                },
                "frequency_penalty",
            ),
            (
                SamplingOverrides {
                    logit_bias: BTreeMap::from([(3, 101.0)]),
                    ..Default::default()
                },
                "101 for token 3",
            ),
            (
                SamplingOverrides {
                    logit_bias: BTreeMap::from([(100, 1.0)]),
                    ..Default::default()
                },
                "no such token",
            ),
        ];
        for (sampling, part) in cases {
            let message =
                refusal(sampling.clone()).unwrap_or_else(|| panic!("{sampling:?} passed"));
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(refusal(SamplingOverrides::default()), None);
    }
}
