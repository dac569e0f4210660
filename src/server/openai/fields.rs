//! Reads the members of a request object one by one, so that each refusal
//! names the member, and so that none is ignored unseen.
//!
//! `null` counts as absent everywhere, as in OpenAI's own API. What has not
//! been taken when [`Fields::finish`] is called is refused by name.

use serde_json::{Map, Value};

use super::errors::ApiError;

/// The members of one JSON object that are still to be read.
pub struct Fields {
    /// Where the object lies in the request, such as `messages[2].`.
    prefix: String,
    map: Map<String, Value>,
}

type Read<T> = Result<T, ApiError>;

impl Fields {
    /// The request's own members.
    pub fn of_body(body: &[u8]) -> Read<Self> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self {
                prefix: String::new(),
                map,
            }),
            Ok(other) => Err(ApiError::request(format!(
                "the request body is {}; a JSON object is expected.",
                kind(&other)
            ))),
            Err(error) => Err(ApiError::request(format!(
                "the request body is not valid JSON: {error}."
            ))
            .code("invalid_json")),
        }
    }

    /// The members of `value`, which lies at `path`.
    pub fn of_value(path: &str, value: Value) -> Read<Self> {
        match value {
            Value::Object(map) => Ok(Self {
                prefix: format!("{path}."),
                map,
            }),
            other => Err(wrong_type(path, &other, "an object")),
        }
    }

    /// The full name of a member, for messages.
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Takes a member as it is.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        // The order of the rest does not matter here.
        self.map.swap_remove(name).filter(|value| !value.is_null())
    }

    pub fn string(&mut self, name: &str) -> Read<Option<String>> {
        self.take(name, "a string", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    pub fn bool(&mut self, name: &str) -> Read<Option<bool>> {
        self.take(name, "true or false", |value| value.as_bool().ok_or(value))
    }

    pub fn f32(&mut self, name: &str) -> Read<Option<f32>> {
        self.take(name, "a number", |value| {
            value.as_f64().map(|number| number as f32).ok_or(value)
        })
    }

    /// A whole number of at least 0.
    pub fn count(&mut self, name: &str) -> Read<Option<usize>> {
        self.take(name, "a whole number of at least 0", |value| {
            let count = whole(&value).and_then(|number| usize::try_from(number).ok());
            count.ok_or(value)
        })
    }

    /// A whole number of either sign.
    pub fn integer(&mut self, name: &str) -> Read<Option<i64>> {
        self.take(name, "a whole number", |value| {
            let integer = whole(&value).and_then(|number| i64::try_from(number).ok());
            integer.ok_or(value)
        })
    }

    pub fn array(&mut self, name: &str) -> Read<Option<Vec<Value>>> {
        self.take(name, "an array", |value| match value {
            Value::Array(items) => Ok(items),
            other => Err(other),
        })
    }

    pub fn object(&mut self, name: &str) -> Read<Option<Map<String, Value>>> {
        self.take(name, "an object", |value| match value {
            Value::Object(map) => Ok(map),
            other => Err(other),
        })
    }

    /// A member that must be there.
    pub fn require<T>(&self, name: &str, value: Option<T>) -> Read<T> {
        value.ok_or_else(|| {
            let path = self.path(name);
            ApiError::parameter(&path, format!("`{path}` is missing."))
                .code("missing_required_parameter")
        })
    }

    /// Members that change nothing of the answer.
    pub fn harmless(&mut self, names: &[&str]) {
        for name in names {
            self.map.swap_remove(*name);
        }
    }

    /// Takes a member that may only have the value it would have had anyway.
    pub fn only(&mut self, name: &str, allowed: &[Value], reason: &str) -> Read<()> {
        let path = self.path(name);
        match self.value(name) {
            Some(value) if !allowed.contains(&value) => {
                Err(ApiError::unsupported(&path, format!("`{path}`: {reason}")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what nobody has taken.
    pub fn finish(self) -> Read<()> {
        match self.map.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => {
                let path = self.path(name);
                let message = format!(
                    "`{path}` is not a parameter that Maquette knows; leave it out, \
                     since ignoring it could change the answer."
                );
                Err(ApiError::parameter(&path, message).code("unknown_parameter"))
            }
        }
    }

    fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Read<Option<T>> {
        let path = self.path(name);
        self.value(name)
            .map(|value| read(value).map_err(|other| wrong_type(&path, &other, expected)))
            .transpose()
    }
}

/// Whole numbers, also those written as `5.0`.
fn whole(value: &Value) -> Option<i128> {
    if let Some(number) = value.as_i64() {
        return Some(number.into());
    }
    if let Some(number) = value.as_u64() {
        return Some(number.into());
    }
    let number = value.as_f64()?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i128)
}

/// 400 for a member of the wrong type.
pub fn wrong_type(path: &str, found: &Value, expected: &str) -> ApiError {
    let message = format!("`{path}` is {}; {expected} is expected.", kind(found));
    ApiError::parameter(path, message).code("invalid_type")
}

/// A value in words, with the value itself where that is short.
pub fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() <= 40 => format!("the string {text:?}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::of_body(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn wrong_types_name_the_member_and_both_types() {
        let error = fields(json!({"seed": "x"})).integer("seed").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("seed"));
        assert_eq!(
            error.message,
            "`seed` is the string \"x\"; a whole number is expected."
        );
        assert!(fields(json!({"n": 1.5})).count("n").is_err());
        assert!(fields(json!({"n": -1})).count("n").is_err());
        assert_eq!(fields(json!({"n": 2.0})).count("n").unwrap(), Some(2));
    }

    #[test]
    fn null_is_absent() {
        let mut fields = fields(json!({"stop": null, "strange": null}));
        assert_eq!(fields.string("stop").unwrap(), None);
        fields.finish().unwrap();
    }

    #[test]
    fn what_is_left_is_refused_by_its_full_name() {
        let mut outer = fields(json!({"options": {"colour": 3}}));
        let inner = outer.value("options").unwrap();
        let inner = Fields::of_value("options", inner).unwrap();
        let error = inner.finish().unwrap_err();
        assert_eq!(error.param.as_deref(), Some("options.colour"));
        outer.finish().unwrap();
    }

    #[test]
    fn broken_json_says_where() {
        let error = Fields::of_body(b"{\"a\": }").err().unwrap();
        assert_eq!(error.code, Some("invalid_json"));
        assert!(
            error.message.contains("line 1 column 7"),
            "{}",
            error.message
        );
        assert!(
            Fields::of_body(b"[1]")
                .err()
                .unwrap()
                .message
                .contains("an array")
        );
    }
}
