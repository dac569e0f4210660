//! Reads values out of a config.json with messages that name the file and key.
//!
//! JSON `null` counts as absent, as in the transformers library. Not
//! responsible for what the values mean: see `families`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ModelError;

/// A config.json, or an object inside one.
#[derive(Debug, Clone)]
pub struct Config {
    path: PathBuf,
    /// Dotted path of this object within the file, with a trailing dot.
    prefix: String,
    values: Map<String, Value>,
}

/// Reads and parses a JSON file.
///
/// # Errors
/// When the file cannot be read or is not JSON.
pub fn read_json(path: &Path) -> Result<Value, ModelError> {
    let text = std::fs::read_to_string(path).map_err(|e| ModelError::Unreadable {
        path: path.to_owned(),
        reason: e.to_string(),
    })?;
    let parsed = serde_json::from_str(&text);
    let parsed = parsed.or_else(|error| match without_infinity(&text) {
        Some(text) => serde_json::from_str(&text).map_err(|_| error),
        None => Err(error),
    });
    parsed.map_err(|e| ModelError::Json {
        path: path.to_owned(),
        line: e.line(),
        column: e.column(),
        reason: e.to_string(),
    })
}

/// Python writes `Infinity`, which JSON does not have; here it becomes a number
/// that is infinite once it is an f32. `None` where there is none.
fn without_infinity(text: &str) -> Option<String> {
    const WORD: &str = "Infinity";
    let (mut result, mut quoted, mut rest) = (String::new(), false, text);
    while let Some(at) = rest.find(['"', '\\', 'I']) {
        let (before, found) = rest.split_at(at);
        result.push_str(before);
        let taken = match found.as_bytes()[0] {
            b'I' if !quoted && found.starts_with(WORD) => {
                result.push_str("1e300");
                rest = &found[WORD.len()..];
                continue;
            }
            b'"' => {
                quoted = !quoted;
                1
            }
            // What is escaped ends no text.
            b'\\' => found.chars().take(2).map(char::len_utf8).sum(),
            _ => 1,
        };
        result.push_str(&found[..taken]);
        rest = &found[taken..];
    }
    result.push_str(rest);
    (result != text).then_some(result)
}

impl Config {
    /// # Errors
    /// When the file cannot be read, is not JSON or is not an object.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        match read_json(path)? {
            Value::Object(values) => Ok(Self {
                path: path.to_owned(),
                prefix: String::new(),
                values,
            }),
            other => Err(ModelError::Unreadable {
                path: path.to_owned(),
                reason: format!("expected a JSON object, found {}", kind(&other)),
            }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// Gives `key` a value unless it has one.
    pub fn default(&mut self, key: &str, value: Value) {
        if self.get(key).is_none() {
            self.values.insert(key.to_owned(), value);
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// An error about `key` of this object.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Config {
            path: self.path.clone(),
            key: format!("{}{key}", self.prefix),
            problem: problem.into(),
        }
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, ModelError> {
        value.ok_or_else(|| self.error(key, "is missing"))
    }

    fn read_as<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        self.get(key)
            .map(|value| {
                read(value)
                    .ok_or_else(|| self.error(key, format!("is {value}: expected {expected}")))
            })
            .transpose()
    }

    /// A whole number that counts something: from 1 to 2²⁴, far above any real
    /// model and small enough that products of three do not overflow.
    pub fn size_or_none(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.read_as(key, "a whole number from 1 to 16777216", |value| {
            value
                .as_u64()
                .filter(|n| (1..=1 << 24).contains(n))
                .map(|n| n as usize)
        })
    }

    /// A whole number that may be zero.
    pub fn count_or_none(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.read_as(key, "a whole number up to 16777216", |value| {
            let number = value.as_u64().filter(|n| *n <= 1 << 24);
            number.map(|n| n as usize)
        })
    }

    pub fn size(&self, key: &str) -> Result<usize, ModelError> {
        let value = self.size_or_none(key)?;
        self.required(key, value)
    }

    pub fn number_or_none(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.read_as(key, "a number", |value| {
            value.as_f64().filter(|n| n.is_finite())
        })
    }

    pub fn number(&self, key: &str) -> Result<f64, ModelError> {
        let value = self.number_or_none(key)?;
        self.required(key, value)
    }

    /// A number above zero.
    pub fn positive(&self, key: &str) -> Result<f64, ModelError> {
        let number = self.number(key)?;
        if number > 0.0 {
            return Ok(number);
        }
        Err(self.error(key, format!("is {number}: expected a number above 0")))
    }

    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        let value = self.read_as(key, "true or false", Value::as_bool)?;
        Ok(value.unwrap_or(default))
    }

    pub fn text_or_none(&self, key: &str) -> Result<Option<&str>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.error(key, format!("is {other}: expected a text"))),
        }
    }

    pub fn text(&self, key: &str) -> Result<&str, ModelError> {
        let value = self.text_or_none(key)?;
        self.required(key, value)
    }

    pub fn texts_or_none(&self, key: &str) -> Result<Option<Vec<String>>, ModelError> {
        self.read_as(key, "a list of texts", |value| {
            let list = value.as_array()?.iter();
            list.map(|item| item.as_str().map(str::to_owned)).collect()
        })
    }

    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, ModelError> {
        let numbers = self.read_as(key, "a list of numbers", |value| {
            let list = value.as_array()?.iter();
            list.map(Value::as_f64).collect()
        })?;
        self.required(key, numbers)
    }

    /// A list of objects.
    pub fn objects(&self, key: &str) -> Result<Vec<Self>, ModelError> {
        let objects = self.read_as(key, "a list of objects", |value| {
            let list = value.as_array()?.iter();
            list.map(|item| item.as_object().cloned()).collect()
        })?;
        let objects: Vec<_> = self.required(key, objects)?;
        let object = |(index, values)| Self {
            path: self.path.clone(),
            prefix: format!("{}{key}[{index}].", self.prefix),
            values,
        };
        Ok(objects.into_iter().enumerate().map(object).collect())
    }

    /// A list of whole numbers that count something.
    pub fn sizes(&self, key: &str) -> Result<Vec<usize>, ModelError> {
        let expected = "a list of whole numbers from 1 to 16777216";
        let sizes = self.read_as(key, expected, |value| {
            let size = |item: &Value| {
                let number = item.as_u64().filter(|n| (1..=1 << 24).contains(n));
                number.map(|n| n as usize)
            };
            value.as_array()?.iter().map(size).collect()
        })?;
        self.required(key, sizes)
    }

    pub fn object_or_none(&self, key: &str) -> Result<Option<Self>, ModelError> {
        let values = self.read_as(key, "an object", |value| value.as_object().cloned())?;
        Ok(values.map(|values| Self {
            path: self.path.clone(),
            prefix: format!("{}{key}.", self.prefix),
            values,
        }))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
