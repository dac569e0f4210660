//! Which records the log pane shows.

use regex::{Regex, RegexBuilder, escape};
use tracing::Level;

use super::LogRecord;

/// A choice of records by level, text and request. All must agree.
#[derive(Debug, Clone)]
pub struct LogFilter {
    /// The most verbose level shown.
    pub level: Level,
    /// Only this request's records.
    pub request: Option<String>,
    pattern: Option<Regex>,
    text: String,
    problem: Option<String>,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self::new(Level::TRACE, "")
    }
}

impl LogFilter {
    /// `text` is a regular expression over the whole line (target, request,
    /// message, fields). It ignores case unless it has a capital letter. One
    /// that is not valid, as while it is being typed, is searched for as it
    /// stands; `problem` says so.
    pub fn new(level: Level, text: &str) -> Self {
        let mut filter = Self {
            level,
            request: None,
            pattern: None,
            text: String::new(),
            problem: None,
        };
        filter.set_text(text);
        filter
    }

    pub fn set_text(&mut self, text: &str) {
        self.text = text.to_owned();
        self.problem = None;
        self.pattern = None;
        if text.is_empty() {
            return;
        }
        let compiled = compile(text).or_else(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim();
            let reason = reason.trim_start_matches("error: ");
            self.problem = Some(format!(
                "not a regular expression ({reason}); searched for as plain text"
            ));
            compile(&escape(text))
        });
        // Plain text of an absurd length can still be too big to compile.
        self.pattern = compiled.ok();
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with the text as a regular expression.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether the record is shown.
    pub fn matches(&self, record: &LogRecord) -> bool {
        record.level <= self.level
            && (self.request.is_none() || self.request == record.request)
            && self.matches_text(record)
    }

    fn matches_text(&self, record: &LogRecord) -> bool {
        let Some(pattern) = &self.pattern else {
            return true;
        };
        pattern.is_match(&record.message)
            || pattern.is_match(&record.target)
            || record
                .request
                .as_deref()
                .is_some_and(|it| pattern.is_match(it))
            || record
                .fields
                .iter()
                .any(|(name, value)| pattern.is_match(&format!("{name}={value}")))
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(!pattern.chars().any(char::is_uppercase))
        .size_limit(1 << 20)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: Level, message: &str, request: Option<&str>) -> LogRecord {
        LogRecord {
            seq: 1,
            time: chrono::Local::now(),
            level,
            target: "maquette::engine".into(),
            message: message.into(),
            fields: vec![("tokens".into(), "64".into())],
            request: request.map(str::to_owned),
        }
    }

    #[test]
    fn a_level_includes_the_graver_ones() {
        let filter = LogFilter::new(Level::WARN, "");
        assert!(filter.matches(&record(Level::ERROR, "x", None)));
        assert!(filter.matches(&record(Level::WARN, "x", None)));
        assert!(!filter.matches(&record(Level::INFO, "x", None)));
    }

    #[test]
    fn text_is_found_in_every_part() {
        let record = record(Level::INFO, "Prefill done", Some("r7"));
        for text in ["prefill", "engine", "r7", "tokens=6[0-9]", "pre.*done"] {
            assert!(
                LogFilter::new(Level::TRACE, text).matches(&record),
                "{text}"
            );
        }
        assert!(!LogFilter::new(Level::TRACE, "PREFILL").matches(&record));
        assert!(!LogFilter::new(Level::TRACE, "decode").matches(&record));
    }

    #[test]
    fn an_unfinished_expression_is_plain_text() {
        let filter = LogFilter::new(Level::TRACE, "f(x");
        assert!(filter.problem().unwrap().contains("plain text"));
        assert!(filter.matches(&record(Level::INFO, "call f(x)", None)));
        assert!(!filter.matches(&record(Level::INFO, "fx", None)));
    }

    #[test]
    fn one_request_alone() {
        let filter = LogFilter {
            request: Some("r7".into()),
            ..LogFilter::default()
        };
        assert!(filter.matches(&record(Level::INFO, "x", Some("r7"))));
        assert!(!filter.matches(&record(Level::INFO, "x", Some("r70"))));
        assert!(!filter.matches(&record(Level::INFO, "x", None)));
    }
}
