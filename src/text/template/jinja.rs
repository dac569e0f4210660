//! Jinja as transformers sets it up for chat templates.

use std::{fmt, sync::LazyLock};

use minijinja::{
    Environment, Error, ErrorKind, Output, State,
    syntax::SyntaxConfig,
    value::{Kwargs, Rest, Value, ValueKind},
};
use regex::Regex;
use serde::Deserialize;
use serde_json::Value as Json;

/// transformers' `{% generation %}` marks the assistant's tokens for training;
/// for a prompt it is a block without effect.
pub(super) fn without_generation_blocks(source: &str) -> String {
    static OPEN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*generation\s*([-+]?)%\}").ok());
    static CLOSE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*endgeneration\s*([-+]?)%\}").ok());
    let (Some(open), Some(close)) = (&*OPEN, &*CLOSE) else {
        return source.to_owned();
    };
    let source = open.replace_all(source, "{%$1 if true $2%}");
    close.replace_all(&source, "{%$1 endif $2%}").into_owned()
}

pub(super) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(python_format);
    environment.add_filter("tojson", to_json);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    // A template that loops for ever must not hang the program.
    environment.set_fuel(Some(20_000_000));
    Ok(environment)
}

/// Constants as Python writes them; undefined is nothing.
fn python_format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(()),
        ValueKind::None => Ok(out.write_str("None")?),
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "True" } else { "False" })?),
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// `json.dumps(value, ensure_ascii=False, indent=…)`: Python's separators, no
/// HTML escapes.
fn to_json(value: &Value, positional: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let named: Option<Value> = kwargs.get("indent")?;
    let _: Option<bool> = kwargs.get("ensure_ascii")?;
    let _: Option<Value> = kwargs.get("separators")?;
    let sorted: Option<bool> = kwargs.get("sort_keys")?;
    kwargs.assert_all_used()?;
    let indent = named
        .or_else(|| positional.first().cloned())
        .and_then(|value| usize::try_from(value).ok());
    let mut json = Json::deserialize(value.clone()).map_err(|error| {
        Error::new(ErrorKind::BadSerialization, "tojson: the value is not JSON").with_source(error)
    })?;
    if sorted == Some(true) {
        json.sort_all_objects();
    }
    let mut text = String::new();
    write_json(&mut text, &json, indent, 0);
    Ok(text)
}

fn write_json(out: &mut String, value: &Json, indent: Option<usize>, depth: usize) {
    let new_line = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    let separator = if indent.is_some() { "," } else { ", " };
    match value {
        Json::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { separator } else { "" });
                new_line(out, depth + 1);
                write_json(out, item, indent, depth + 1);
            }
            new_line(out, depth);
            out.push(']');
        }
        Json::Object(fields) if !fields.is_empty() => {
            out.push('{');
            for (i, (name, item)) in fields.iter().enumerate() {
                out.push_str(if i > 0 { separator } else { "" });
                new_line(out, depth + 1);
                out.push_str(&Json::from(name.as_str()).to_string());
                out.push_str(": ");
                write_json(out, item, indent, depth + 1);
            }
            new_line(out, depth);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Marks an error as the template's own, to be told from a fault in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Refusal(message)))
}

pub(super) fn refusal(error: &Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(Refusal(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        cause = error.source();
    }
    None
}

fn strftime_now(format: &str) -> Result<String, Error> {
    use fmt::Write as _;
    let mut text = String::new();
    write!(text, "{}", chrono::Local::now().format(format)).map_err(|_| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now: unknown format {format:?}"),
        )
    })?;
    Ok(text)
}
