//! A form from a JSON Schema, and arguments from the form. Simple values have
//! fields of their own; whatever else a schema may ask for is typed as JSON,
//! for one field or for all arguments at once.

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::{Map, Value};

use super::entry::{Entry, Kind};
use crate::tui::{composer::Composer, types::ToolInfo};

#[derive(Debug, Default)]
pub(super) struct Form {
    server: String,
    tool: Option<ToolInfo>,
    pub entries: Vec<Entry>,
    pub focused: usize,
    /// All arguments as JSON instead of field by field.
    pub raw: Option<Composer>,
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
