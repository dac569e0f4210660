//! A form from a JSON Schema, and arguments from the form. Simple values have
//! fields of their own; whatever else a schema may ask for is typed as JSON,
//! for one field or for all arguments at once.

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::{Map, Value};

use crate::tui::{composer::Composer, field::Field, text::sanitise_line, types::ToolInfo};

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
    key: String,
    pub name: String,
    pub description: String,
    pub required: bool,
    pub kind: Kind,
    pub field: Field,
    /// The place of what is chosen.
    choice: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Form {
    server: String,
    tool: Option<ToolInfo>,
    pub entries: Vec<Entry>,
    pub focused: usize,
    /// All arguments as JSON instead of field by field.
    pub raw: Option<Composer>,
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
    fn new(key: &str, schema: &Value, required: bool, given: Option<&Value>) -> Self {
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

    fn choose(&mut self, step: isize) {
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

impl Form {
    /// The form of a tool, filled with `given` arguments.
    pub fn new(server: &str, tool: &ToolInfo, given: Option<&Value>) -> Self {
        let required: Vec<&str> = match tool.schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let entries = match tool.schema.get("properties") {
            Some(Value::Object(properties)) => properties
                .iter()
                .map(|(key, schema)| {
                    Entry::new(
                        key,
                        schema,
                        required.contains(&key.as_str()),
                        given.and_then(|it| it.get(key)),
                    )
                })
                .collect(),
            _ => Vec::new(),
        };
        Self {
            server: server.to_owned(),
            tool: Some(tool.clone()),
            entries,
            focused: 0,
            raw: None,
        }
    }

    pub fn is_for(&self, server: &str, tool: &ToolInfo) -> bool {
        self.server == server && self.tool.as_ref() == Some(tool)
    }

    /// Whether there is nothing to fill in.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn step(&mut self, step: isize) {
        match &mut self.raw {
            Some(editor) => {
                let code = if step < 0 { KeyCode::Up } else { KeyCode::Down };
                editor.on_key(KeyEvent::from(code));
            }
            None => {
                let count = self.entries.len().max(1) as isize;
                self.focused = (self.focused as isize + step).rem_euclid(count) as usize;
            }
        }
    }

    pub fn on_key(&mut self, key: KeyEvent) {
        if let Some(editor) = &mut self.raw {
            editor.on_key(key);
            return;
        }
        let Some(entry) = self.entries.get_mut(self.focused) else {
            return;
        };
        match (&entry.kind, key.code) {
            (Kind::Choice(_), KeyCode::Left) => entry.choose(-1),
            (Kind::Choice(_), KeyCode::Right | KeyCode::Char(' ')) => entry.choose(1),
            (Kind::Choice(_), KeyCode::Backspace | KeyCode::Delete) => entry.choice = None,
            (Kind::Choice(choices), KeyCode::Char(c)) => {
                let begins = |value: &Value| {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    text.to_lowercase().starts_with(c.to_ascii_lowercase())
                };
                entry.choice = choices.iter().position(begins).or(entry.choice);
            }
            _ => drop(entry.field.on_key(key)),
        }
    }

    pub fn paste(&mut self, text: &str) {
        match (&mut self.raw, self.entries.get_mut(self.focused)) {
            (Some(editor), _) => editor.insert(text),
            (None, Some(entry)) if !matches!(entry.kind, Kind::Choice(_)) => {
                entry.field.insert(text)
            }
            _ => {}
        }
    }

    /// The arguments, or the first thing that is wrong.
    pub fn arguments(&self) -> Result<Value, String> {
        if let Some(editor) = &self.raw {
            return parse_object(&editor.message());
        }
        let mut map = Map::new();
        for entry in &self.entries {
            match entry.value() {
                Ok(Some(value)) => drop(map.insert(entry.key.clone(), value)),
                Ok(None) => {}
                Err(problem) => return Err(format!("{}: {problem}", entry.name)),
            }
        }
        Ok(Value::Object(map))
    }

    /// Puts the focus where the first problem is.
    pub fn go_to_problem(&mut self) {
        if let Some(at) = self.entries.iter().position(|entry| entry.value().is_err()) {
            self.focused = at;
        }
    }

    /// All arguments as JSON, or back to fields. What is typed is kept; going
    /// back needs JSON that can be read.
    pub fn toggle_raw(&mut self) -> Result<(), String> {
        match self.raw.take() {
            None => {
                let mut map = Map::new();
                for entry in &self.entries {
                    if let Ok(Some(value)) = entry.value() {
                        map.insert(entry.key.clone(), value);
                    }
                }
                let mut editor = Composer::default();
                editor.set(&serde_json::to_string_pretty(&Value::Object(map)).unwrap_or_default());
                self.raw = Some(editor);
                Ok(())
            }
            Some(editor) => match (parse_object(&editor.message()), self.tool.take()) {
                (Ok(given), Some(tool)) => {
                    *self = Self::new(&self.server.clone(), &tool, Some(&given));
                    Ok(())
                }
                (Err(problem), tool) => {
                    self.tool = tool;
                    self.raw = Some(editor);
                    Err(problem)
                }
                (Ok(_), None) => Ok(()),
            },
        }
    }

    /// What is wrong with the JSON that is being typed.
    pub fn raw_problem(&self) -> Option<String> {
        self.raw
            .as_ref()
            .and_then(|editor| parse_object(&editor.message()).err())
    }
}

fn parse_object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("The arguments are a JSON object: {…}.".into()),
        Err(error) => Err(format!("This is not JSON: {error}.")),
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

    #[test]
    fn strange_schemas_give_a_form_all_the_same() {
        for schema in [
            json!(null),
            json!({"properties": 3}),
            json!({"properties": {"a": null}, "required": "a"}),
            json!({"properties": {"a": {"enum": []}}}),
        ] {
            let tool = ToolInfo {
                name: "t".into(),
                title: None,
                description: String::new(),
                schema,
            };
            let mut form = Form::new("s", &tool, None);
            form.step(1);
            form.on_key(KeyEvent::from(KeyCode::Right));
            form.on_key(KeyEvent::from(KeyCode::Char('x')));
            assert!(form.arguments().is_ok() || !form.entries.is_empty());
        }
    }
}
