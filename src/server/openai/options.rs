//! The parameters that chat and plain completion share: sampling, length,
//! stop strings, streaming.
//!
//! Types are checked here; the workstation checks ranges, which are the same
//! for every front end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    errors::ApiError,
    fields::{Fields, wrong_type},
};
use crate::workstation::{GenerationOptions, KvMode, Priority, SamplingOverrides, Speculation};

/// OpenAI's own limit.
const MOST_STOPS: usize = 4;

/// How the answer is to be delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    pub stream: bool,
    /// Send usage after the last delta of a stream.
    pub include_usage: bool,
}

/// Members that identify, label or bill a request and change no answer.
const HARMLESS: [&str; 8] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    // A guess that only makes answers faster where it is used.
    "prediction",
];

/// Takes the shared members, except `max_tokens` and `logprobs`, whose forms
/// differ between the two endpoints.
pub fn shared(fields: &mut Fields) -> Result<GenerationOptions, ApiError> {
    fields.harmless(&HARMLESS);
    fields.only(
        "n",
        &[json!(1)],
        "one answer a request is what Maquette makes; send the request again for another.",
    )?;
    Ok(GenerationOptions {
        model: fields.string("model")?,
        priority: priority(fields)?,
        sampling: sampling(fields)?,
        max_tokens: None,
        stop: stop(fields)?,
        stop_tokens: stop_tokens(fields)?,
        ignore_eos: fields.bool("ignore_eos")?.unwrap_or(false),
        logprobs: None,
        kv_mode: kv_mode(fields)?,
        cache_salt: fields.string("cache_salt")?.unwrap_or_default(),
        speculation: speculation(fields)?,
    })
}

/// Changes the speed alone, never the answer.
fn speculation(fields: &mut Fields) -> Result<Option<Speculation>, ApiError> {
    let Some(name) = fields.string("speculation")? else {
        return Ok(None);
    };
    Speculation::named(&name).map(Some).ok_or_else(|| {
        let names = Speculation::NAMES.map(|(name, _)| name).join(", ");
        let message = format!("`speculation` is \"{name}\"; it is one of {names}.");
        ApiError::parameter("speculation", message)
    })
}

/// How keys and values are kept: by name, by bits, or both.
fn kv_mode(fields: &mut Fields) -> Result<Option<KvMode>, ApiError> {
    let bits = fields.integer("kv_bits")?;
    // Nothing has less than no bits.
    let bits = bits.map(|bits| u64::try_from(bits).unwrap_or(0));
    let name = fields.string("kv_mode")?;
    KvMode::choose(name.as_deref(), bits)
        .map_err(|error| ApiError::parameter("kv_mode", format!("`kv_mode`: {error}.")))
}

/// A lower number goes earlier, as in vLLM; chats on the screen have -10.
fn priority(fields: &mut Fields) -> Result<Priority, ApiError> {
    let limit = i64::from(Priority::LIMIT);
    let given = fields.integer("priority")?.unwrap_or(0);
    match i8::try_from(given) {
        Ok(priority) if given.abs() <= limit => Ok(Priority(priority)),
        _ => {
            let message = format!(
                "`priority` is {given}; it is a whole number from -{limit} to {limit}, and lower \
                 numbers go earlier."
            );
            Err(ApiError::parameter("priority", message))
        }
    }
}

fn sampling(fields: &mut Fields) -> Result<SamplingOverrides, ApiError> {
    Ok(SamplingOverrides {
        temperature: fields.f32("temperature")?,
        top_k: top_k(fields)?,
        top_p: fields.f32("top_p")?,
        min_p: fields.f32("min_p")?,
        repetition_penalty: fields.f32("repetition_penalty")?,
        presence_penalty: fields.f32("presence_penalty")?,
        frequency_penalty: fields.f32("frequency_penalty")?,
        logit_bias: logit_bias(fields)?,
        seed: fields.integer("seed")?.map(|seed| seed as u64),
    })
}

/// Other servers write "off" as -1.
fn top_k(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    match fields.integer("top_k")? {
        None => Ok(None),
        Some(-1) => Ok(Some(0)),
        Some(k) => u32::try_from(k).map(Some).map_err(|_| {
            let message = format!("`top_k` is {k}; it is a whole number of at least 0 (0 is off).");
            ApiError::parameter("top_k", message)
        }),
    }
}

fn logit_bias(fields: &mut Fields) -> Result<BTreeMap<u32, f32>, ApiError> {
    let Some(map) = fields.object("logit_bias")? else {
        return Ok(BTreeMap::new());
    };
    map.into_iter()
        .map(|(token, bias)| {
            let path = format!("logit_bias.{token}");
            let id = token.parse().map_err(|_| {
                let message = format!("`{path}`: the names of `logit_bias` are token ids.");
                ApiError::parameter("logit_bias", message)
            })?;
            match bias.as_f64() {
                Some(bias) => Ok((id, bias as f32)),
                None => Err(wrong_type(&path, &bias, "a number")),
            }
        })
        .collect()
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let stops = match fields.value("stop") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items
            .into_iter()
            .enumerate()
            .map(|(i, item)| match item {
                Value::String(text) => Ok(text),
                other => Err(wrong_type(&format!("stop[{i}]"), &other, "a string")),
            })
            .collect::<Result<_, _>>()?,
        Some(other) => {
            return Err(wrong_type(
                "stop",
                &other,
                "a string or an array of strings",
            ));
        }
    };
    if stops.len() > MOST_STOPS {
        let message = format!(
            "`stop` has {} strings; at most {MOST_STOPS} are allowed.",
            stops.len()
        );
        return Err(ApiError::parameter("stop", message));
    }
    if stops.iter().any(String::is_empty) {
        let message = "`stop` holds an empty string, which would end every answer at once.";
        return Err(ApiError::parameter("stop", message));
    }
    Ok(stops)
}

fn stop_tokens(fields: &mut Fields) -> Result<Vec<u32>, ApiError> {
    let items = fields.array("stop_token_ids")?.unwrap_or_default();
    token_ids("stop_token_ids", &items)
}

/// An array of token ids.
pub fn token_ids(path: &str, items: &[Value]) -> Result<Vec<u32>, ApiError> {
    items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            let id = item.as_u64().and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| wrong_type(&format!("{path}[{i}]"), item, "a token id"))
        })
        .collect()
}

/// Takes `stream` and `stream_options`.
pub fn delivery(fields: &mut Fields) -> Result<Delivery, ApiError> {
    let stream = fields.bool("stream")?.unwrap_or(false);
    let mut include_usage = false;
    if let Some(options) = fields.value("stream_options") {
        if !stream {
            let message = "`stream_options` is only allowed when `stream` is true.";
            return Err(ApiError::parameter("stream_options", message));
        }
        let mut options = Fields::of_value("stream_options", options)?;
        include_usage = options.bool("include_usage")?.unwrap_or(false);
        // Padding of chunks: nothing of the answer.
        options.harmless(&["include_obfuscation"]);
        options.finish()?;
    }
    Ok(Delivery {
        stream,
        include_usage,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::of_body(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_shared_members_are_read() {
        let mut request = fields(json!({
            "model": "guide", "temperature": 0, "top_k": -1, "seed": -3, "n": 1,
            "priority": -5, "kv_mode": "turbo", "kv_bits": 3, "cache_salt": "me", "speculation": "off", "stop": ["a", "b"], "logit_bias": {"7": -100}, "user": "me", "metadata": {"a": "b"},
        }));
        let options = shared(&mut request).unwrap();
        assert_eq!(options.model.as_deref(), Some("guide"));
        assert_eq!(options.priority, Priority(-5));
        assert_eq!(
            options.kv_mode.map(|mode| mode.to_string()).as_deref(),
            Some("turbo-3")
        );
        assert_eq!(options.cache_salt, "me");
        assert_eq!(options.sampling.temperature, Some(0.0));
        assert_eq!(options.sampling.top_k, Some(0));
        assert_eq!(options.sampling.seed, Some(-3i64 as u64));
        assert_eq!(options.sampling.logit_bias, BTreeMap::from([(7, -100.0)]));
        assert_eq!(options.stop, ["a", "b"]);
        assert_eq!(options.speculation, Some(Speculation::Off));
        request.finish().unwrap();
    }

    #[test]
    fn refusals_name_the_parameter() {
        let cases = [
            (json!({"n": 2}), "n"),
            (json!({"stop": 3}), "stop"),
            (json!({"stop": ["a", 3]}), "stop[1]"),
            (json!({"stop": ""}), "stop"),
            (json!({"stop": ["1", "2", "3", "4", "5"]}), "stop"),
            (json!({"logit_bias": {"x": 1}}), "logit_bias"),
            (json!({"logit_bias": {"1": "x"}}), "logit_bias.1"),
            (json!({"top_k": -2}), "top_k"),
            (json!({"priority": 101}), "priority"),
            (json!({"priority": -1000}), "priority"),
            (json!({"priority": "high"}), "priority"),
            (json!({"kv_mode": "tiny"}), "kv_mode"),
            (json!({"kv_bits": 5}), "kv_mode"),
            (json!({"kv_mode": "turbo-4", "kv_bits": 8}), "kv_mode"),
            (json!({"cache_salt": 3}), "cache_salt"),
            (json!({"speculation": "on"}), "speculation"),
            (json!({"speculation": 3}), "speculation"),
            (json!({"stop_token_ids": [1, "x"]}), "stop_token_ids[1]"),
        ];
        for (body, name) in cases {
            let error = shared(&mut fields(body.clone())).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(name), "{body}");
            assert_eq!(error.status.as_u16(), 400);
        }
    }

    #[test]
    fn stream_options_need_a_stream() {
        let error = delivery(&mut fields(json!({"stream_options": {}}))).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("stream_options"));
        let body = json!({"stream": true, "stream_options": {"include_usage": true}});
        let expected = Delivery {
            stream: true,
            include_usage: true,
        };
        assert_eq!(delivery(&mut fields(body)).unwrap(), expected);
    }
}
