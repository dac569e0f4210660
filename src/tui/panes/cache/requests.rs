//! The table of running requests.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Rect},
    text::Text,
    widgets::{Cell, Row, Table},
};

use crate::tui::{
    theme::Theme,
    types::{EngineStats, RunningRequest},
    units,
};

/// Narrower tables keep only what changes.
const WIDE: u16 = 64;

/// A column: its name, its width, whether it holds numbers, its value.
type Column = (&'static str, u16, bool, fn(&RunningRequest) -> String);

const COLUMNS: [Column; 7] = [
    ("request", 8, false, |r| r.id.to_string()),
    ("state", 9, false, |r| r.state.to_owned()),
    ("tokens", 8, true, |r| {
        units::count(r.completion_tokens as u64)
    }),
    ("tok/s", 8, true, |r| units::rate(r.tokens_per_second)),
    ("prompt", 8, true, |r| units::count(r.prompt_tokens as u64)),
    ("cached", 8, true, |r| {
        units::percent(r.cached_tokens as u64, r.prompt_tokens as u64)
    }),
    ("age", 10, true, |r| units::duration(r.age)),
];

pub fn draw(frame: &mut Frame, area: Rect, stats: &EngineStats, theme: &Theme) {
    if area.height < 2 {
        return;
    }
    let columns = if area.width < WIDE {
        &COLUMNS[..4]
    } else {
        &COLUMNS[..]
    };
    let header = columns
        .iter()
        .map(|(name, _, right, _)| aligned((*name).to_owned(), *right));
    let row = |request: &RunningRequest| {
        let cell = |column: &Column| aligned(column.3(request), column.2);
        Row::new(columns.iter().map(cell).collect::<Vec<_>>())
    };
    let mut rows: Vec<Row> = stats.running.iter().map(row).collect();
    if stats.waiting > 0 {
        let text = format!("{} more", stats.waiting);
        let cells = [Cell::new(text), Cell::new("waiting")];
        rows.push(Row::new(cells).style(theme.muted));
    }
    if rows.is_empty() {
        rows.push(Row::new([Cell::new("none")]).style(theme.muted));
    }
    let widths = columns
        .iter()
        .map(|(_, width, ..)| Constraint::Length(*width));
    let table = Table::new(rows, widths).header(Row::new(header).style(theme.heading));
    let area = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(1),
        ..area
    };
    frame.render_widget(table, area);
}

fn aligned(text: String, right: bool) -> Cell<'static> {
    let side = if right {
        Alignment::Right
    } else {
        Alignment::Left
    };
    Cell::new(Text::from(text).alignment(side))
}
