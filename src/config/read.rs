//! Reads `settings.toml` key by key, so that one bad line costs one setting.

use std::{ops::Range, path::Path};

use toml_edit::{Document, Item, Value};

use super::{
    Problem, SettingDoc,
    nearest::nearest,
    table::{MODEL_TABLE, TABLE},
};

/// The section of settings of single models.
pub(super) const MODELS: &str = "models";

/// Valid values, by their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    pub general: Vec<(&'static str, Value)>,
    /// Of single models: name, key and value.
    pub models: Vec<(String, &'static str, Value)>,
}

/// The valid values of a file; the rest goes to `problems`.
pub(super) fn read(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Values {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let message = format!(
                "this is not TOML ({}); the built-in settings are used.",
                error.message().lines().collect::<Vec<_>>().join(", ")
            );
            problems.push(Problem::new(path, message).span(text, error.span()));
            return Values::default();
        }
    };
    let mut reader = Reader {
        path,
        text,
        problems,
        values: Values::default(),
    };
    reader.table("", document.as_table());
    reader.values
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    values: Values,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &dyn toml_edit::TableLike) {
        for (name, item) in table.iter() {
            let key = join(prefix, name);
            let key_span = table.key(name).and_then(|key| key.span());
            if key == MODELS {
                self.models(item);
                continue;
            }
            let is_section = TABLE
                .iter()
                .any(|doc| doc.key.starts_with(&format!("{key}.")));
            match (SettingDoc::find(&key), item.as_table_like()) {
                (Some(doc), _) => self.value(doc, item),
                (None, Some(inner)) if is_section => self.table(&key, inner),
                (None, _) if is_section => {
                    let message = format!(
                        "{} was found where a section `[{key}]` with further keys is expected.",
                        shown(item)
                    );
                    self.problem(&key, message, item.span());
                }
                (None, _) => self.unknown(&key, key_span.or(item.span())),
            }
        }
    }

    /// Sections of single models.
    fn models(&mut self, item: &Item) {
        let sections = item.as_table_like();
        let expected = "where sections such as `[models.\"NAME\"]` are expected.";
        let Some(sections) = sections else {
            let message = format!("{} was found {expected}", shown(item));
            return self.problem(MODELS, message, item.span());
        };
        for (model, section) in sections.iter() {
            let key = format!("{MODELS}.\"{model}\"");
            let Some(table) = section.as_table_like() else {
                let message = format!("{} was found {expected}", shown(section));
                self.problem(&key, message, section.span());
                continue;
            };
            for (name, item) in table.iter() {
                let key = join(&key, name);
                match SettingDoc::of_model(name) {
                    Some(doc) => {
                        if let Some(value) = self.accept(&key, doc, item) {
                            let value = (model.to_owned(), doc.key, value);
                            self.values.models.push(value);
                        }
                    }
                    None => {
                        let names: Vec<_> = MODEL_TABLE.iter().map(|doc| doc.key).collect();
                        let message = format!(
                            "models have no such setting. There are: {}. Put quotes around a \
                             name with dots.",
                            names.join(", ")
                        );
                        self.problem(&key, message, item.span());
                    }
                }
            }
        }
    }

    fn value(&mut self, doc: &'static SettingDoc, item: &Item) {
        if let Some(value) = self.accept(doc.key, doc, item) {
            self.values.general.push((doc.key, value));
        }
    }

    fn accept(&mut self, key: &str, doc: &'static SettingDoc, item: &Item) -> Option<Value> {
        match item.as_value().and_then(|value| doc.kind.accept(value)) {
            Some(value) => Some(value),
            None => {
                let message = format!(
                    "{} was found where {} The built-in value ({}) is used.",
                    shown(item),
                    doc.kind.allowed(),
                    doc.default
                );
                self.problem(key, message, item.span());
                None
            }
        }
    }

    fn unknown(&mut self, key: &str, span: Option<Range<usize>>) {
        let message = match nearest_key(key) {
            Some(near) => format!("there is no such setting. Did you mean `{near}`?"),
            None => {
                let keys: Vec<_> = TABLE.iter().map(|doc| doc.key).collect();
                format!("there is no such setting. There are: {}.", keys.join(", "))
            }
        };
        self.problem(key, message, span);
    }

    fn problem(&mut self, key: &str, message: String, span: Option<Range<usize>>) {
        let problem = Problem::new(self.path, message)
            .key(key)
            .span(self.text, span);
        self.problems.push(problem);
    }
}

fn join(prefix: &str, name: &str) -> String {
    match prefix {
        "" => name.to_owned(),
        _ => format!("{prefix}.{name}"),
    }
}

/// A value as it stands in the file, shortened for a message.
fn shown(item: &Item) -> String {
    match item.as_value() {
        Some(value) => {
            let text = value.to_string();
            let text = text.trim();
            match text.char_indices().nth(40) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text.to_owned(),
            }
        }
        None => "a section".into(),
    }
}

/// The nearest key, or the nearest by its last part ("port" means "api.port").
pub(super) fn nearest_key(key: &str) -> Option<String> {
    let keys = TABLE.iter().map(|doc| doc.key);
    let by_key = nearest(key, keys.clone());
    let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let by_name = || {
        let name = nearest(key.rsplit('.').next()?, keys.clone().map(last))?;
        keys.clone().find(|key| last(key) == name)
    };
    by_key.or_else(by_name).map(str::to_owned)
}
