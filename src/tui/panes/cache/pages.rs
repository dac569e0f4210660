//! The page map: KV pages by state, one cell a page while they fit.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::tui::{theme::Theme, types::PageStats, units};

/// Rows of the map with its heading, for a pane of this height.
pub fn height(pane: u16) -> u16 {
    match pane {
        0..12 => 2,
        12..30 => 4,
        _ => 6,
    }
}

pub fn draw(frame: &mut Frame, area: Rect, pages: &PageStats, theme: &Theme) {
    let total = pages.used + pages.cached + pages.free;
    let mut lines = vec![heading(pages, total, theme)];
    let width = usize::from(area.width).saturating_sub(2);
    let cells = width * usize::from(area.height).saturating_sub(1);
    if total > 0 && cells > 0 {
        let map = cells_of(pages, cells);
        for row in map.chunks(width.max(1)) {
            lines.push(row_line(row, theme));
        }
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn heading(pages: &PageStats, total: usize, theme: &Theme) -> Line<'static> {
    let mut line = Line::from(vec![Span::raw(" "), Span::styled("pages", theme.heading)]);
    if total == 0 {
        line.push_span(Span::styled("   none until a model is loaded", theme.muted));
        return line;
    }
    let parts = [
        (Cell::Used, "used", pages.used),
        (Cell::Cached, "kept", pages.cached),
        (Cell::Free, "free", pages.free),
    ];
    for (cell, name, count) in parts {
        line.push_span(Span::raw("   "));
        line.push_span(cell.span(1, theme));
        line.push_span(Span::styled(format!(" {name} "), theme.muted));
        line.push_span(Span::raw(units::count(count as u64)));
    }
    let rest = format!("   of {} tokens each", pages.page_tokens);
    line.push_span(Span::styled(rest, theme.muted));
    if pages.evicted > 0 {
        let evicted = format!("   {} evicted", units::count(pages.evicted));
        line.push_span(Span::styled(evicted, theme.muted));
    }
    line
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Used,
    Cached,
    Free,
}

impl Cell {
    fn span(self, times: usize, theme: &Theme) -> Span<'static> {
        match self {
            Self::Used => Span::styled("█".repeat(times), theme.chart1),
            Self::Cached => Span::styled("▒".repeat(times), theme.chart3),
            Self::Free => Span::styled("·".repeat(times), theme.muted),
        }
    }
}

/// At most this many cells: one a page, or several pages a cell, rounded so
/// that no state that exists is lost.
fn cells_of(pages: &PageStats, cells: usize) -> Vec<Cell> {
    let total = pages.used + pages.cached + pages.free;
    let each = total.div_ceil(cells).max(1);
    let mut map = Vec::new();
    for (cell, count) in [
        (Cell::Used, pages.used),
        (Cell::Cached, pages.cached),
        (Cell::Free, pages.free),
    ] {
        map.extend(std::iter::repeat_n(cell, count.div_ceil(each)));
    }
    map.truncate(cells);
    map
}

fn row_line(row: &[Cell], theme: &Theme) -> Line<'static> {
    let mut line = Line::from(" ");
    for run in row.chunk_by(|a, b| a == b) {
        line.push_span(run[0].span(run.len(), theme));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_a_page_while_they_fit() {
        let pages = PageStats {
            used: 2,
            cached: 1,
            free: 3,
            ..PageStats::default()
        };
        let map = cells_of(&pages, 10);
        assert_eq!(map.len(), 6);
        assert_eq!(map.iter().filter(|cell| **cell == Cell::Used).count(), 2);
    }

    #[test]
    fn few_pages_of_many_stay_in_sight() {
        let pages = PageStats {
            used: 1,
            cached: 0,
            free: 100_000,
            ..PageStats::default()
        };
        let map = cells_of(&pages, 100);
        assert!(map.len() <= 100);
        assert_eq!(map[0], Cell::Used);
    }
}
