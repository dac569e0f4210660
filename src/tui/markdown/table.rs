//! Tables: columns as wide as what they hold, narrowed fairly to fit the
//! width, cells wrapped. Where not even narrow columns fit, each row becomes a
//! short list of "header: value".

use pulldown_cmark::Alignment;
use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{parse::Inline, styles::Styles};
use crate::tui::text::{Wrap, wrap};

/// Cells between two columns: ` │ `.
const GAP: usize = 3;
/// The narrowest column worth drawing.
const NARROWEST: usize = 6;

pub(super) fn lines(
    alignment: &[Alignment],
    rows: &[Vec<Inline>],
    width: usize,
    styles: &Styles,
) -> Vec<Line<'static>> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if columns == 0 {
        return Vec::new();
    }
    let natural: Vec<usize> = (0..columns)
        .map(|c| {
            rows.iter()
                .map(|row| cell_width(row, c))
                .max()
                .unwrap_or(0)
                .max(1)
        })
        .collect();
    let Some(widths) = column_widths(&natural, width) else {
        return as_lists(rows, width, styles);
    };
    let mut out = Vec::new();
    let wrapped = natural != widths;
    for (number, row) in rows.iter().enumerate() {
        if number == 1 {
            out.push(rule(&widths, "─", "┼", styles));
        } else if number > 1 && wrapped {
            out.push(rule(&widths, "┈", "┼", styles));
        }
        let over = if number == 0 {
            styles.table_header
        } else {
            Style::new()
        };
        out.extend(row_lines(row, &widths, alignment, over, styles));
    }
    if rows.len() == 1 {
        out.push(rule(&widths, "─", "┼", styles));
    }
    out
}

fn cell_width(row: &[Inline], column: usize) -> usize {
    row.get(column)
        .map_or(0, |cell| cell.iter().map(Span::width).sum())
}

/// The widths that fit, taking from the widest columns first; `None` when
/// columns would get too narrow to read.
fn column_widths(natural: &[usize], width: usize) -> Option<Vec<usize>> {
    let available = width.checked_sub(GAP * (natural.len() - 1))?;
    if natural.iter().sum::<usize>() <= available {
        return Some(natural.to_vec());
    }
    if natural.iter().map(|&n| n.min(NARROWEST)).sum::<usize>() > available {
        return None;
    }
    // The largest cap under which all columns fit.
    let total = |cap: usize| natural.iter().map(|&n| n.min(cap)).sum::<usize>();
    let (mut low, mut high) = (NARROWEST, available);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if total(middle) <= available {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let mut widths: Vec<usize> = natural.iter().map(|&n| n.min(low)).collect();
    let mut spare = available - widths.iter().sum::<usize>();
    for (width, &wanted) in widths.iter_mut().zip(natural) {
        if spare > 0 && *width < wanted {
            *width += 1;
            spare -= 1;
        }
    }
    Some(widths)
}

fn rule(widths: &[usize], line: &str, cross: &str, styles: &Styles) -> Line<'static> {
    let mut text = String::new();
    for (number, &width) in widths.iter().enumerate() {
        if number > 0 {
            text.push_str(line);
            text.push_str(cross);
            text.push_str(line);
        }
        text.push_str(&line.repeat(width));
    }
    Line::styled(text, styles.border)
}

fn row_lines(
    row: &[Inline],
    widths: &[usize],
    alignment: &[Alignment],
    over: Style,
    styles: &Styles,
) -> Vec<Line<'static>> {
    let empty = Inline::new();
    let cells: Vec<Vec<Line<'static>>> = widths
        .iter()
        .enumerate()
        .map(|(c, &width)| wrap(row.get(c).unwrap_or(&empty), width, Wrap::Words))
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let mut out = Vec::with_capacity(height);
    for number in 0..height {
        let mut spans = Vec::new();
        for (column, &width) in widths.iter().enumerate() {
            if column > 0 {
                spans.push(Span::styled(" │ ", styles.border));
            }
            let line = cells[column].get(number).cloned().unwrap_or_default();
            let missing = width.saturating_sub(line.width());
            let left = match alignment.get(column) {
                Some(Alignment::Right) => missing,
                Some(Alignment::Center) => missing / 2,
                _ => 0,
            };
            push_space(&mut spans, left);
            spans.extend(line.spans.into_iter().map(|mut span| {
                span.style = span.style.patch(over);
                span
            }));
            if column + 1 < widths.len() {
                push_space(&mut spans, missing - left);
            }
        }
        out.push(Line::from(spans));
    }
    out
}

fn push_space(spans: &mut Vec<Span<'static>>, cells: usize) {
    if cells > 0 {
        spans.push(Span::raw(" ".repeat(cells)));
    }
}

fn as_lists(rows: &[Vec<Inline>], width: usize, styles: &Styles) -> Vec<Line<'static>> {
    let (header, body) = match rows.split_first() {
        Some((header, body)) if !body.is_empty() => (header.as_slice(), body),
        _ => (&[] as &[Inline], rows),
    };
    let mut out = Vec::new();
    for (number, row) in body.iter().enumerate() {
        if number > 0 {
            out.push(Line::default());
        }
        for (column, cell) in row.iter().enumerate() {
            let mut spans: Inline = Vec::new();
            if let Some(name) = header.get(column).filter(|name| !name.is_empty()) {
                spans.extend(
                    name.iter().map(|s| {
                        Span::styled(s.content.clone(), s.style.patch(styles.table_header))
                    }),
                );
                spans.push(Span::styled(": ", styles.label));
            }
            spans.extend(cell.iter().cloned());
            out.extend(wrap(&spans, width, Wrap::Words));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_give_way_fairly() {
        assert_eq!(column_widths(&[3, 4], 20), Some(vec![3, 4]));
        assert_eq!(column_widths(&[3, 40], 20), Some(vec![3, 14]));
        assert_eq!(column_widths(&[30, 40], 23), Some(vec![10, 10]));
        assert_eq!(column_widths(&[30, 40], 24), Some(vec![11, 10]));
        assert_eq!(column_widths(&[30, 40], 12), None);
        assert_eq!(column_widths(&[3; 10], 20), None);
    }
}
