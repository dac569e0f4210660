//! Tool calls in the Hermes format:
//! `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.

use serde_json::{Deserializer, Map, Value};
use uuid::Uuid;

use crate::text::conversation::ToolCall;

pub(super) const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// Where a call ends, and how long the marker there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub at: usize,
    pub marker: usize,
}

/// The end of the call at the beginning of `text`, or `None` while it may go
/// on. A closing marker inside a JSON string is part of the string; a line
/// break inside a string, which JSON does not allow, ends the attempt.
pub(super) fn end_of_call(text: &str) -> Option<End> {
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'\n' if in_string => return Some(End { at, marker: 0 }),
            b'<' if !in_string && text[at..].starts_with(CLOSE) => {
                return Some(End {
                    at,
                    marker: CLOSE.len(),
                });
            }
            _ => {}
        }
    }
    None
}

/// The calls in the text between the markers: one or more JSON objects, or a
/// list of them.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn parse(text: &str) -> Result<Vec<ToolCall>, String> {
    let mut calls = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(|error| error.to_string())? {
            Value::Array(list) => {
                for value in list {
                    calls.push(call(value)?);
                }
            }
            value => calls.push(call(value)?),
        }
    }
    match calls.is_empty() {
        true => Err("there is no call".into()),
        false => Ok(calls),
    }
}

fn call(value: Value) -> Result<ToolCall, String> {
    let Value::Object(mut fields) = value else {
        return Err("a call must be a JSON object".into());
    };
    let Some(Value::String(name)) = fields.remove("name") else {
        return Err("a call needs a name".into());
    };
    let arguments = match fields
        .remove("arguments")
        .or_else(|| fields.remove("parameters"))
    {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(Value::String(text)) => {
            serde_json::from_str(&text).map_err(|error| error.to_string())?
        }
        Some(value) => value,
    };
    if !arguments.is_object() {
        return Err("arguments must be a JSON object".into());
    }
    Ok(ToolCall {
        id: format!("call_{}", Uuid::new_v4().simple()),
        name,
        arguments,
    })
}
