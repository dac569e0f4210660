//! A log record as one line: time, level, request, target, message, fields.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use tracing::Level;

use crate::tui::{
    text::{fit, pad_right, sanitise_line},
    theme::Theme,
    types::LogRecord,
};

/// Narrower screens leave out the target and the milliseconds.
const WIDE: u16 = 100;

/// Columns before the message.
pub fn prefix(width: u16) -> usize {
    if width >= WIDE { 45 } else { 22 }
}

pub fn line(record: &LogRecord, width: u16, theme: &Theme) -> Line<'static> {
    let wide = width >= WIDE;
    let time = record
        .time
        .format(if wide { "%H:%M:%S%.3f" } else { "%H:%M:%S" });
    let style = level_style(record.level, theme);
    let mut spans = vec![
        Span::raw(" "),
        Span::styled(format!("{time} "), theme.muted),
        Span::styled(format!("{:<5} ", record.level.as_str()), style),
    ];
    let request = record.request.as_deref().unwrap_or("");
    spans.push(Span::styled(pad_right(&fit(request, 5), 6), theme.accent));
    if wide {
        let target = record
            .target
            .strip_prefix("maquette::")
            .unwrap_or(&record.target);
        spans.push(Span::styled(pad_right(&fit(target, 18), 19), theme.muted));
    }
    let grave = record.level <= Level::WARN;
    let text = sanitise_line(&record.message);
    spans.push(Span::styled(text, if grave { style } else { Style::new() }));
    for (name, value) in &record.fields {
        let value = sanitise_line(value);
        spans.push(Span::styled(format!("  {name}={value}"), theme.muted));
    }
    Line::from(spans)
}

/// The line as the selected one.
pub fn mark(mut line: Line<'static>, style: Style) -> Line<'static> {
    if let Some(first) = line.spans.first_mut() {
        *first = Span::raw("▸");
    }
    // One colour for the whole line: its own may not stand out on it.
    for span in &mut line.spans {
        span.style = Style::new();
    }
    line.style(style)
}

fn level_style(level: Level, theme: &Theme) -> Style {
    match level {
        Level::ERROR => theme.error,
        Level::WARN => theme.warn,
        Level::INFO => theme.ok,
        _ => theme.muted,
    }
}

/// The whole record on one line, for files and clipboards.
pub fn plain(record: &LogRecord) -> String {
    let time = record.time.format("%Y-%m-%dT%H:%M:%S%.3f%:z");
    let mut out = format!("{time} {:<5} {}: ", record.level.as_str(), record.target);
    if let Some(request) = &record.request {
        out.push_str(&format!("[{request}] "));
    }
    out.push_str(&sanitise_line(&record.message));
    for (name, value) in &record.fields {
        out.push_str(&format!(" {name}={}", sanitise_line(value)));
    }
    out
}
