//! One field of a form: what its schema allows, what is typed, and the value
//! or the fault of it.

use serde_json::Value;

use crate::tui::{field::Field, text::sanitise_line};

/// What a field takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text,
    Integer {
        least: Option<i64>,
        most: Option<i64>,
    },
    Number {
        least: Option<f64>,
        most: Option<f64>,
    },
    /// One of these, chosen by keys.
    Choice(Vec<Value>),
    /// Anything that the schema's own words describe.
    Json(String),
}

#[derive(Debug)]
pub(super) struct Entry {
    /// As in the arguments, and as it is shown.
    pub key: String,
    pub name: String,
    pub description: String,
    pub required: bool,
    pub kind: Kind,
    pub field: Field,
    /// The place of what is chosen.
    pub choice: Option<usize>,
}

impl Kind {
    fn of(schema: &Value) -> Self {
        if let Some(Value::Array(choices)) = schema.get("enum") {
            return Self::Choice(choices.clone());
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => Self::Text,
            Some("boolean") => Self::Choice(vec![Value::Bool(true), Value::Bool(false)]),
            Some("integer") => Self::Integer {
                least: schema.get("minimum").and_then(Value::as_i64),
                most: schema.get("maximum").and_then(Value::as_i64),
            },
            Some("number") => Self::Number {
                least: schema.get("minimum").and_then(Value::as_f64),
                most: schema.get("maximum").and_then(Value::as_f64),
            },
            Some(other) => Self::Json(other.to_owned()),
            None => Self::Json("any JSON".into()),
        }
    }

    /// What is expected, in a word or two.
    pub fn label(&self) -> String {
        let range = |low: Option<String>, high: Option<String>| match (low, high) {
            (Some(low), Some(high)) => format!(" {low} to {high}"),
            (Some(low), None) => format!(" from {low}"),
            (None, Some(high)) => format!(" to {high}"),
            (None, None) => String::new(),
        };
        match self {
            Self::Text => "text".into(),
            Self::Integer { least, most } => format!(
                "integer{}",
                range(least.map(|n| n.to_string()), most.map(|n| n.to_string()))
            ),
            Self::Number { least, most } => format!(
                "number{}",
                range(least.map(|n| n.to_string()), most.map(|n| n.to_string()))
            ),
            Self::Choice(_) => "◂ ▸ to choose".into(),
            Self::Json(what) => format!("{what}, as JSON"),
        }
    }
}

impl Entry {
    pub fn new(key: &str, schema: &Value, required: bool, given: Option<&Value>) -> Self {
        let kind = Kind::of(schema);
        let given = given.or_else(|| schema.get("default"));
        let choice = match &kind {
            Kind::Choice(choices) => choices.iter().position(|choice| Some(choice) == given),
            _ => None,
        };
        let text = match given {
            None => String::new(),
            Some(Value::String(text)) if kind == Kind::Text => text.clone(),
            Some(value) => value.to_string(),
        };
        let description = schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or("");
        Self {
            key: key.to_owned(),
            name: sanitise_line(key),
            description: sanitise_line(description),
            required,
            field: Field::new(sanitise_line(&text)),
            kind,
            choice,
        }
    }

    /// What is chosen, as text.
    pub fn chosen(&self) -> Option<String> {
        let Kind::Choice(choices) = &self.kind else {
            return None;
        };
        Some(match self.choice.and_then(|at| choices.get(at)) {
            Some(Value::String(text)) => sanitise_line(text),
            Some(value) => value.to_string(),
            None => String::new(),
        })
    }

    /// The value, `None` when it is left out, or what is wrong with it.
    pub fn value(&self) -> Result<Option<Value>, String> {
        let text = self.field.text();
        let missing = match &self.kind {
            Kind::Choice(_) => self.choice.is_none(),
            Kind::Text => text.is_empty(),
            _ => text.trim().is_empty(),
        };
        if missing {
            return match self.required {
                true => Err("needed".into()),
                false => Ok(None),
            };
        }
        let value = match &self.kind {
            Kind::Text => Value::String(text.to_owned()),
            Kind::Choice(choices) => self
                .choice
                .and_then(|at| choices.get(at))
                .cloned()
                .unwrap_or(Value::Null),
            Kind::Integer { least, most } => {
                let number: i64 = text
                    .trim()
                    .parse()
                    .map_err(|_| "not a whole number".to_owned())?;
                if least.is_some_and(|least| number < least)
                    || most.is_some_and(|most| number > most)
                {
                    return Err(format!("out of range: {}", self.kind.label()));
                }
                Value::from(number)
            }
            Kind::Number { least, most } => {
                let number: f64 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
                if least.is_some_and(|least| number < least)
                    || most.is_some_and(|most| number > most)
                {
                    return Err(format!("out of range: {}", self.kind.label()));
                }
                serde_json::Number::from_f64(number)
                    .map(Value::Number)
                    .ok_or("not a finite number")?
            }
            Kind::Json(what) => {
                let value: Value =
                    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
                let fits = match what.as_str() {
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    _ => true,
                };
                if !fits {
                    return Err(format!("not an {what}"));
                }
                value
            }
        };
        Ok(Some(value))
    }

    pub fn choose(&mut self, step: isize) {
        let Kind::Choice(choices) = &self.kind else {
            return;
        };
        // One place more than there are choices: that for none.
        let places = choices.len() as isize + isize::from(!self.required);
        if places == 0 {
            return;
        }
        let at = self.choice.map_or(-1, |at| at as isize);
        let none = choices.len() as isize;
        let from = if at < 0 && !self.required { none } else { at };
        let next = match (from, step) {
            (-1, -1) => none - 1,
            _ => (from + step).rem_euclid(places),
        };
        self.choice = usize::try_from(next).ok().filter(|at| *at < choices.len());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(schema: Value, required: bool, text: &str) -> Entry {
        let mut entry = Entry::new("key", &schema, required, None);
        entry.field.set(text);
        entry
    }

    #[test]
    fn values_are_checked_while_typing() {
        for (schema, required, text, expected) in [
            (
                json!({"type": "string"}),
                true,
                "a b",
                Ok(Some(json!("a b"))),
            ),
            (json!({"type": "string"}), true, "", Err("needed")),
            (json!({"type": "string"}), false, "", Ok(None)),
            (
                json!({"type": "integer", "minimum": 1}),
                true,
                " 7 ",
                Ok(Some(json!(7))),
            ),
            (
                json!({"type": "integer", "minimum": 1}),
                true,
                "0",
                Err("out of range: integer from 1"),
            ),
            (
                json!({"type": "integer"}),
                true,
                "1.5",
                Err("not a whole number"),
            ),
            (
                json!({"type": "number", "maximum": 2.5}),
                true,
                "2.5",
                Ok(Some(json!(2.5))),
            ),
            (
                json!({"type": "number"}),
                true,
                "inf",
                Err("not a finite number"),
            ),
            (
                json!({"type": "array"}),
                true,
                "[1, 2]",
                Ok(Some(json!([1, 2]))),
            ),
            (json!({"type": "array"}), true, "{}", Err("not an array")),
            (json!({}), false, "null", Ok(Some(json!(null)))),
        ] {
            let got = entry(schema.clone(), required, text).value();
            assert_eq!(
                got,
                expected.map_err(str::to_owned),
                "{schema} with {text:?}"
            );
        }
        assert!(
            entry(json!({"type": "object"}), true, "{")
                .value()
                .is_err_and(|e| e.starts_with("not JSON"))
        );
    }

    #[test]
    fn choices_go_round_and_may_be_left_out() {
        let schema = json!({"enum": ["red", "green"]});
        let mut needed = entry(schema.clone(), true, "");
        let mut free = entry(schema, false, "");
        let chosen = |entry: &mut Entry, step| {
            entry.choose(step);
            entry.chosen().unwrap_or_default()
        };
        assert_eq!(
            [1, 1, 1].map(|step| chosen(&mut needed, step)),
            ["red", "green", "red"]
        );
        assert_eq!(
            [1, 1, 1, 1].map(|step| chosen(&mut free, step)),
            ["red", "green", "", "red"]
        );
        assert_eq!(
            chosen(&mut entry(json!({"type": "boolean"}), true, ""), -1),
            "false"
        );
    }
}
