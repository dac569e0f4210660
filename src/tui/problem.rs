//! What is wrong with a key-map or theme file, in words for its owner.

use std::{fmt, ops::Range};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the name of a built-in one.
    pub file: String,
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    pub message: String,
}

impl Problem {
    pub fn new(file: String, message: String) -> Self {
        Self {
            file,
            line: 0,
            message,
        }
    }

    /// Orders the problems of a file by line; files stay together.
    pub fn by_place(a: &Self, b: &Self) -> std::cmp::Ordering {
        (&a.file, a.line).cmp(&(&b.file, b.line))
    }

    /// The line of a byte range of the file's text.
    pub fn at(mut self, text: &str, span: Option<Range<usize>>) -> Self {
        self.line = span.map_or(0, |span| {
            let before = text.get(..span.start).unwrap_or(text);
            before.matches('\n').count() + 1
        });
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}
