//! The request object of `POST /v1/chat/completions`.

use serde_json::{Map, Value, json};

use super::{
    errors::ApiError,
    fields::{Fields, wrong_type},
    messages,
    options::{self, Delivery},
};
use crate::workstation::{ChatRequest, Overflow};

/// OpenAI's own limit.
const MOST_LOGPROBS: usize = 20;

/// Reads the request.
pub fn parse(body: &[u8]) -> Result<(ChatRequest, Delivery), ApiError> {
    let mut fields = Fields::of_body(body)?;
    let messages = messages::messages(&mut fields)?;
    let tools = messages::tools(&mut fields)?;
    let delivery = options::delivery(&mut fields)?;
    let mut options = options::shared(&mut fields)?;
    options.max_tokens = match fields.count("max_completion_tokens")? {
        Some(most) => {
            fields.harmless(&["max_tokens"]);
            Some(most)
        }
        None => fields.count("max_tokens")?,
    };
    options.logprobs = logprobs_of(&mut fields)?;
    response_format(&mut fields)?;
    let (thinking, template_kwargs) = thinking(&mut fields)?;
    fields.only("modalities", &[json!(["text"])], "answers are text.")?;
    fields.only(
        "verbosity",
        &[json!("medium")],
        "the length cannot be chosen.",
    )?;
    for name in ["audio", "web_search_options"] {
        fields.only(name, &[], "Maquette does not have it.")?;
    }
    let overflow = truncation(&mut fields)?;
    fields.finish()?;
    let request = ChatRequest {
        messages,
        tools,
        thinking,
        template_kwargs,
        overflow,
        pinned: Vec::new(),
        options,
    };
    Ok((request, delivery))
}

fn logprobs_of(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let wanted = fields.bool("logprobs")?.unwrap_or(false);
    match fields.count("top_logprobs")? {
        None => Ok(wanted.then_some(0)),
        Some(0) if !wanted => Ok(None),
        Some(_) if !wanted => {
            let message = "`top_logprobs` needs `logprobs` to be true.";
            Err(ApiError::parameter("top_logprobs", message))
        }
        Some(count) if count > MOST_LOGPROBS => {
            let message = format!(
                "`top_logprobs` is {count}; it is a whole number from 0 to {MOST_LOGPROBS}."
            );
            Err(ApiError::parameter("top_logprobs", message))
        }
        Some(count) => Ok(Some(count)),
    }
}

/// What to do with a conversation that is too long, under the name that
/// OpenAI's Responses have for it.
fn truncation(fields: &mut Fields) -> Result<Option<Overflow>, ApiError> {
    match fields.string("truncation")?.as_deref() {
        None | Some("disabled") => Ok(None),
        Some("auto") => Ok(Some(Overflow::Drop)),
        Some(other) => {
            let message = format!(
                "`truncation` is {other:?}; it is \"auto\", which leaves out the oldest turns of a \
                 conversation that is too long, or \"disabled\"."
            );
            Err(ApiError::parameter("truncation", message))
        }
    }
}

fn response_format(fields: &mut Fields) -> Result<(), ApiError> {
    let Some(format) = fields.value("response_format") else {
        return Ok(());
    };
    let mut format = Fields::of_value("response_format", format)?;
    let kind = format.string("type")?;
    match format.require("type", kind)?.as_str() {
        "text" => format.finish(),
        other => {
            let message = format!(
                "`response_format.type` is {other:?}: Maquette cannot hold an answer to a format; \
                 use \"text\"."
            );
            Err(ApiError::unsupported("response_format", message))
        }
    }
}

/// Whether the model thinks first, from the three ways clients say it.
fn thinking(fields: &mut Fields) -> Result<(Option<bool>, Map<String, Value>), ApiError> {
    let mut kwargs = fields.object("chat_template_kwargs")?.unwrap_or_default();
    let path = "chat_template_kwargs.enable_thinking";
    let mut thinking = match kwargs.shift_remove("enable_thinking") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(on)) => Some(on),
        Some(other) => return Err(wrong_type(path, &other, "true or false")),
    };
    thinking = thinking.or(fields.bool("enable_thinking")?);
    if let Some(effort) = fields.string("reasoning_effort")? {
        let on = match effort.as_str() {
            "none" => false,
            "minimal" | "low" | "medium" | "high" | "xhigh" => true,
            other => {
                let message = format!(
                    "`reasoning_effort` is {other:?}; it is one of none, minimal, low, medium, \
                     high and xhigh."
                );
                return Err(ApiError::parameter("reasoning_effort", message));
            }
        };
        thinking = thinking.or(Some(on));
        // Templates that know levels read it; for the others it is on or off.
        kwargs
            .entry("reasoning_effort")
            .or_insert_with(|| effort.into());
    }
    Ok((thinking, kwargs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(extra: Value) -> Result<(ChatRequest, Delivery), ApiError> {
        let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        parse(body.to_string().as_bytes())
    }

    #[test]
    fn thinking_is_read_from_each_of_its_forms() {
        let thinking = |body| read(body).unwrap().0.thinking;
        assert_eq!(thinking(json!({})), None);
        assert_eq!(thinking(json!({"reasoning_effort": "none"})), Some(false));
        assert_eq!(thinking(json!({"reasoning_effort": "low"})), Some(true));
        assert_eq!(thinking(json!({"enable_thinking": true})), Some(true));
        let kwargs = json!({"chat_template_kwargs": {"enable_thinking": false, "x": 1}});
        let request = read(kwargs).unwrap().0;
        assert_eq!(request.thinking, Some(false));
        assert_eq!(request.template_kwargs.get("x"), Some(&json!(1)));
    }

    #[test]
    fn both_names_of_the_length_are_read() {
        let length = |body| read(body).unwrap().0.options.max_tokens;
        assert_eq!(length(json!({})), None);
        assert_eq!(length(json!({"max_tokens": 5})), Some(5));
        assert_eq!(
            length(json!({"max_tokens": 5, "max_completion_tokens": 7})),
            Some(7)
        );
    }

    #[test]
    fn refusals_name_the_parameter() {
        let cases = [
            (
                json!({"response_format": {"type": "json_object"}}),
                "response_format",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
                "response_format",
            ),
            (json!({"response_format": "text"}), "response_format"),
            (json!({"top_logprobs": 3}), "top_logprobs"),
            (
                json!({"logprobs": true, "top_logprobs": 21}),
                "top_logprobs",
            ),
            (json!({"logprobs": 3}), "logprobs"),
            (json!({"truncation": "yes"}), "truncation"),
            (json!({"reasoning_effort": "huge"}), "reasoning_effort"),
            (
                json!({"chat_template_kwargs": {"enable_thinking": 1}}),
                "chat_template_kwargs.enable_thinking",
            ),
            (json!({"functions": []}), "functions"),
            (json!({"verbosity": "low"}), "verbosity"),
            (json!({"guided_json": {}}), "guided_json"),
            (json!({"stream": "yes"}), "stream"),
            (json!({"max_tokens": 1.5}), "max_tokens"),
        ];
        for (body, name) in cases {
            let error = read(body.clone()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(name), "{body}");
            assert_eq!(error.status.as_u16(), 400);
        }
        read(json!({"response_format": {"type": "text"}, "modalities": ["text"]})).unwrap();
        let overflow = |body| read(body).unwrap().0.overflow;
        assert_eq!(overflow(json!({})), None);
        assert_eq!(overflow(json!({"truncation": "disabled"})), None);
        assert_eq!(
            overflow(json!({"truncation": "auto"})),
            Some(Overflow::Drop)
        );
    }
}
