//! One event of the log.

use std::fmt;

use chrono::{DateTime, Local};
use tracing::Level;

/// One event, complete in itself.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// Counts from 1, without gaps, in the order of arrival.
    pub seq: u64,
    pub time: DateTime<Local>,
    pub level: Level,
    /// The module that speaks, `stderr`, or `mcp::<server>`.
    pub target: String,
    /// Without control characters, so that it can be shown as it is.
    pub message: String,
    pub fields: Vec<(String, String)>,
    /// The request it belongs to, such as `r12`.
    pub request: Option<String>,
}

impl fmt::Display for LogRecord {
    /// The line that is copied and saved.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.format("%Y-%m-%d %H:%M:%S%.3f");
        write!(f, "{time} {:5} {}", self.level.as_str(), self.target)?;
        if let Some(request) = &self.request {
            write!(f, " [{request}]")?;
        }
        write!(f, " {}", self.message)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

/// Replaces what would move a terminal's cursor or change its state; a tab
/// becomes a space, a line end a visible mark.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '⏎',
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_everything() {
        let record = LogRecord {
            seq: 1,
            time: Local::now(),
            level: Level::WARN,
            target: "maquette::engine".into(),
            message: "slow step".into(),
            fields: vec![("ms".into(), "120".into())],
            request: Some("r3".into()),
        };
        let line = record.to_string();
        assert!(
            line.ends_with("WARN  maquette::engine [r3] slow step ms=120"),
            "{line}"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_screen() {
        assert_eq!(printable("a\x1b[2Jb\tc\nd"), "a\u{fffd}[2Jb c⏎d");
    }
}
