//! Settings in layers: built-in values, then the file, then this session.
//!
//! Each key is checked on its own against the table, so that one bad line
//! costs one setting. Writing back changes one key and keeps comments, order
//! and everything the program does not know.

use std::{fs, io, path::PathBuf};

use toml_edit::{DocumentMut, Item, Table, Value, de::from_document};

use super::{
    ConfigError, Paths, Problem, SettingDoc, Settings,
    file::write_atomically,
    read::{MODELS, Values, nearest_key, read},
};

/// The settings in force and where they come from.
#[derive(Debug, Clone)]
pub struct SettingsStore {
    path: PathBuf,
    /// Checked values only, one layer above the other.
    file: Values,
    session: Vec<(&'static str, Value)>,
    settings: Settings,
}

impl SettingsStore {
    /// Reads the file, which may be missing.
    pub fn load(paths: &Paths) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let path = paths.settings_toml.clone();
        let file = match fs::read_to_string(&path) {
            Ok(text) => read(&path, &text, &mut problems),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Values::default(),
            Err(error) => {
                problems.push(Problem::new(
                    &path,
                    format!(
                        "the file could not be read ({error}); the built-in settings are used."
                    ),
                ));
                Values::default()
            }
        };
        let mut store = Self {
            path,
            file,
            session: Vec::new(),
            settings: Settings::default(),
        };
        store.settings = store.merge();
        (store, problems)
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets `key` until Maquette ends.
    pub fn set_for_session(
        &mut self,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<(), ConfigError> {
        let (key, value) = check(key, &value.into())?;
        put(&mut self.session, key, value);
        self.settings = self.merge();
        Ok(())
    }

    /// Sets `key` and writes it to the file, whose other text stays as it is.
    /// On an error neither the file nor the settings in force change.
    pub fn save(&mut self, key: &str, value: impl Into<Value>) -> Result<(), ConfigError> {
        let value = value.into();
        let (key, checked) = check(key, &value)?;
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        let text = with_key(&self.path, &text, key, value)?;
        write_atomically(&self.path, text.as_bytes()).map_err(|source| ConfigError::Write {
            path: self.path.clone(),
            source,
        })?;
        put(&mut self.file.general, key, checked);
        self.session.retain(|(known, _)| *known != key);
        self.settings = self.merge();
        Ok(())
    }

    fn merge(&self) -> Settings {
        let mut document = DocumentMut::new();
        for (key, value) in self.file.general.iter().chain(&self.session) {
            insert(&mut document, key, value.clone());
        }
        for (model, key, value) in &self.file.models {
            document[MODELS][model.as_str()][key] = Item::Value(value.clone());
        }
        // Every value has passed the table's check, which a test holds against
        // the fields of `Settings`.
        from_document(document).unwrap_or_else(|error| {
            tracing::error!(%error, "settings do not fit their table");
            Settings::default()
        })
    }
}

fn put(layer: &mut Vec<(&'static str, Value)>, key: &'static str, value: Value) {
    layer.retain(|(known, _)| *known != key);
    layer.push((key, value));
}

/// The table's own key and the value in the form `Settings` reads.
fn check(key: &str, value: &Value) -> Result<(&'static str, Value), ConfigError> {
    let doc = SettingDoc::find(key).ok_or_else(|| ConfigError::UnknownKey {
        key: key.to_owned(),
        nearest: nearest_key(key),
    })?;
    let accepted = doc
        .kind
        .accept(value)
        .ok_or_else(|| ConfigError::BadValue {
            key: key.to_owned(),
            found: value.to_string().trim().to_owned(),
            allowed: doc.kind.allowed(),
        })?;
    Ok((doc.key, accepted))
}

/// `text` with one key changed.
fn with_key(
    path: &std::path::Path,
    text: &str,
    key: &str,
    value: Value,
) -> Result<String, ConfigError> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let message = format!("this is not TOML ({})", error.message());
        ConfigError::Broken(Problem::new(path, message).span(text, error.span()))
    })?;
    if let Some((section, _)) = key.split_once('.')
        && document
            .get(section)
            .is_some_and(|item| !item.is_table_like())
    {
        let problem = Problem::new(path, "this is not a section").key(section);
        return Err(ConfigError::Broken(problem));
    }
    insert(&mut document, key, value);
    Ok(document.to_string())
}

/// Puts a value at a key of one or two parts. The caller has made sure that a
/// section's name is not in use for a plain value.
fn insert(document: &mut DocumentMut, key: &str, value: Value) {
    let (table, name): (&mut dyn toml_edit::TableLike, &str) = match key.split_once('.') {
        None => (document.as_table_mut(), key),
        Some((section, name)) => {
            let item = document
                .entry(section)
                .or_insert_with(|| Item::Table(Table::new()));
            match item.as_table_like_mut() {
                Some(table) => (table, name),
                None => return,
            }
        }
    };
    match table.get_mut(name).and_then(Item::as_value_mut) {
        // Keeps the comment at the end of the line.
        Some(old) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(name, Item::Value(value));
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
