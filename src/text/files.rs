//! Reading the small JSON files beside a model's weights.

use std::{fs, io::ErrorKind, path::Path};

use serde_json::Value;

use super::TextError;

/// The text of `path`, or `None` where there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, TextError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TextError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// The JSON object in `path`, or `null` where there is no such file.
pub(super) fn read_json(path: &Path) -> Result<Value, TextError> {
    let Some(text) = read_text(path)? else {
        return Ok(Value::Null);
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| malformed(path, error))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(malformed(path, "it must hold a JSON object"))
    }
}

pub(super) fn malformed(path: &Path, reason: impl ToString) -> TextError {
    TextError::Malformed {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// A special token's text: a string, or an object with `content`.
pub(super) fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}
