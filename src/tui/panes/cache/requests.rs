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

pub fn draw(frame: &mut Frame, area: Rect, stats: &EngineStats, theme: &Theme) {
    if area.height < 2 {
        return;
    }
    let names = [
        "request", "state", "prompt", "cached", "tokens", "tok/s", "age",
    ];
    let header = Row::new(names.iter().enumerate().map(|(column, name)| {
        // Numbers stand at the right of their columns, and so do their names.
        aligned((*name).to_owned(), column > 1)
    }));
    let mut rows: Vec<Row> = stats.running.iter().map(row).collect();
    if stats.waiting > 0 {
        let text = format!("{} waiting", stats.waiting);
        rows.push(Row::new([Cell::new(""), Cell::new(text)]).style(theme.muted));
    }
    if rows.is_empty() {
        let idle = Row::new([Cell::new("none"), Cell::new("")]);
        rows.push(idle.style(theme.muted));
    }
    let widths = [8, 10, 8, 8, 8, 8, 10].map(Constraint::Length);
    let table = Table::new(rows, widths).header(header.style(theme.heading));
    let area = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(1),
        ..area
    };
    frame.render_widget(table, area);
}

fn row(request: &RunningRequest) -> Row<'static> {
    Row::new([
        aligned(request.id.to_string(), false),
        aligned(request.state.to_owned(), false),
        aligned(units::count(request.prompt_tokens as u64), true),
        aligned(
            units::percent(request.cached_tokens as u64, request.prompt_tokens as u64),
            true,
        ),
        aligned(units::count(request.completion_tokens as u64), true),
        aligned(units::rate(request.tokens_per_second), true),
        aligned(units::duration(request.age), true),
    ])
}

fn aligned(text: String, right: bool) -> Cell<'static> {
    let side = if right {
        Alignment::Right
    } else {
        Alignment::Left
    };
    Cell::new(Text::from(text).alignment(side))
}
