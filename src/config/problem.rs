//! What can be wrong with a configuration file, in words for its owner.

use std::{fmt, io, ops::Range, path::PathBuf};

/// One thing that is wrong with a user's file. Shown, never fatal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    /// Line and column, both from 1, where the file has such a place.
    pub place: Option<(usize, usize)>,
    /// The dotted key, such as `api.port`.
    pub key: Option<String>,
    /// What was found and what is allowed, as a sentence.
    pub message: String,
}

impl Problem {
    pub fn new(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            place: None,
            key: None,
            message: message.into(),
        }
    }

    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.place = Some((line, column));
        self
    }

    /// Sets the place from a byte range of the file's text.
    pub fn span(self, text: &str, span: Option<Range<usize>>) -> Self {
        let Some(span) = span else { return self };
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        self.at(line, column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a configuration could not be found or changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "there is no home folder for Maquette's files. Set HOME, or MAQUETTE_HOME to a folder of your choice."
    )]
    NoHome,
    #[error("{} could not be written: {source}. Check the permissions and the space left.", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} could not be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("there is no setting `{key}`.{}", suggestion(.nearest))]
    UnknownKey {
        key: String,
        nearest: Option<String>,
    },
    #[error("{key} cannot be {found}: {allowed}")]
    BadValue {
        key: String,
        found: String,
        allowed: String,
    },
    #[error("{0}. It was left as it is: correct it by hand first.")]
    Broken(Problem),
}

fn suggestion(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!(" Did you mean `{name}`?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_becomes_line_and_column_in_characters() {
        let text = "a = 1\nß = 2\n";
        let start = text.find('2').unwrap();
        let problem = Problem::new("s.toml", "wrong")
            .key("ß")
            .span(text, Some(start..start + 1));
        assert_eq!(problem.to_string(), "s.toml:2:5: ß: wrong");
    }
}
