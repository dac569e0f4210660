//! The picture of the library: a line for filter and order, the table, and the
//! details of the selected line.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{
    LibraryPane,
    columns::{BAR, Columns, header},
    rows,
    rows::Row,
};
use crate::tui::{
    pane::PaneId,
    state::Shared,
    text::{fit, pad_left, pad_right, sanitise, sanitise_line, text_width, wrap_text},
    theme::Theme,
    types::*,
    units::{bytes, count},
    widgets::parameters,
};

const DETAILS: u16 = 5;

impl LibraryPane {
    pub(super) fn draw_pane(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        theme: &Theme,
        shared: &Shared,
    ) {
        if area.height < 4 || area.width < 24 {
            return;
        }
        let rows = self.rows(shared);
        let details = if area.height >= 14 { DETAILS } else { 0 };
        let [top, head, table, below] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(1),
            Constraint::Length(details),
        ])
        .areas(area);
        let shown = rows
            .iter()
            .filter(|row| matches!(row, Row::Model(_)))
            .count();
        self.draw_top(frame, top, shown, theme, shared);
        let columns = Columns::new(area.width.into());
        frame.render_widget(header(&columns).style(theme.muted), head);
        if rows.is_empty() {
            self.draw_nothing(frame, table, theme, shared);
            return;
        }
        let window = self.cursor.window(rows.len(), table.height.into());
        for (number, at) in window.enumerate() {
            let place = Rect {
                y: table.y + number as u16,
                height: 1,
                ..table
            };
            let selected = at == self.cursor.selected;
            let line = row_line(&rows[at], &columns, selected, theme, shared);
            let style = match (
                selected,
                shared.has_keys(PaneId::Library) && !self.filtering,
            ) {
                (true, true) => theme.selection,
                (true, false) => theme.selection_dim,
                _ => theme.text,
            };
            frame.render_widget(line.style(style), place);
        }
        if let Some(row) = rows.get(self.cursor.selected).filter(|_| details > 0) {
            draw_details(frame, below, row, theme, shared);
        }
    }

    fn draw_top(
        &self,
        frame: &mut Frame,
        area: Rect,
        shown: usize,
        theme: &Theme,
        shared: &Shared,
    ) {
        let all = shared.models.len();
        let count = if shown == all {
            format!("{all} {}", if all == 1 { "model" } else { "models" })
        } else {
            format!("{shown} of {all} models")
        };
        let right = fit(
            &format!("{count}   sort: {} ", self.sort.label()),
            usize::from(area.width) / 2 + 8,
        );
        let width = text_width(&right) as u16;
        let place = Rect {
            x: area.x + area.width.saturating_sub(width),
            width,
            ..area
        };
        frame.render_widget(Span::styled(right, theme.muted), place);
        let typing = self.filtering || !self.filter.is_empty();
        let label = if typing { " / " } else { " / to filter" };
        frame.render_widget(
            Span::styled(
                label,
                if self.filtering {
                    theme.focus
                } else {
                    theme.muted
                },
            ),
            area,
        );
        if typing {
            let field = Rect {
                x: area.x + 3,
                width: area.width.saturating_sub(width + 4),
                ..area
            };
            let active = self.filtering && shared.has_keys(PaneId::Library);
            self.filter.draw(frame, field, theme.text, active);
        }
    }

    fn draw_nothing(&self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let text = match shared.models.is_empty() {
            true => {
                "No model has been found yet. Press d to download one by its name on the Hugging Face Hub."
            }
            false => "No model matches the filter. Esc clears it.",
        };
        let place = Rect {
            x: area.x + 3,
            width: area.width.saturating_sub(6),
            ..area
        };
        let lines = wrap_text(text, theme.muted, place.width.into());
        frame.render_widget(ratatui::text::Text::from(lines), place);
    }
}

fn row_line(
    row: &Row,
    columns: &Columns,
    selected: bool,
    theme: &Theme,
    shared: &Shared,
) -> Line<'static> {
    let mark = if selected { " ▸ " } else { "   " };
    let mut spans = vec![Span::styled(mark, theme.accent)];
    let mut column = |text: String, style: Style, width: usize| {
        if width > 0 {
            spans.push(Span::styled(pad_right(&text, width), style));
            spans.push(Span::raw(" "));
        }
    };
    let plain = Style::new();
    column(name(row.id(), columns.name), plain, columns.name);
    let place = sanitise_line(&row.place(shared));
    match row {
        Row::Model(model) => {
            column(sanitise_line(&model.family), theme.muted, columns.family);
            column(
                pad_left(&parameters(model.parameters), columns.parameters),
                plain,
                columns.parameters,
            );
            column(
                sanitise_line(&model.quantisation),
                theme.muted,
                columns.quantisation,
            );
            column(
                pad_left(&bytes(model.weight_bytes), columns.size),
                plain,
                columns.size,
            );
            let used = place.starts_with('●') || place.starts_with("loading");
            let style = match (used, &model.problem) {
                (true, _) => theme.ok,
                (false, Some(_)) => theme.error,
                (false, None) => theme.muted,
            };
            fits(model, columns.fits, theme, &mut spans);
            spans.push(Span::styled(fit(&place, columns.place), style));
        }
        Row::Download(download) => {
            column(String::new(), plain, columns.family);
            column(String::new(), plain, columns.parameters);
            column(String::new(), plain, columns.quantisation);
            let size = if download.total > 0 {
                bytes(download.total)
            } else {
                String::new()
            };
            column(pad_left(&size, columns.size), plain, columns.size);
            let share = download.done as f64 / download.total.max(1) as f64;
            let width = columns.fits.min(BAR);
            bar(share, width, theme.accent, theme, &mut spans);
            spans.push(Span::raw(" ".repeat(
                (columns.fits + usize::from(columns.fits > 0)).saturating_sub(width),
            )));
            let style = match download.status {
                DownloadStatus::Failed(_) => theme.error,
                DownloadStatus::Running => theme.accent,
                _ => theme.muted,
            };
            spans.push(Span::styled(fit(&place, columns.place), style));
        }
    }
    Line::from(spans)
}

/// The whole name, or without its owner where that is too long.
fn name(id: &str, width: usize) -> String {
    let id = sanitise_line(id);
    match id.split_once('/') {
        Some((_, short)) if text_width(&id) > width => short.to_owned(),
        _ => id,
    }
}

/// The share of memory that the model takes, as a bar and in figures.
fn fits(model: &ModelEntry, width: usize, theme: &Theme, spans: &mut Vec<Span<'static>>) {
    if width == 0 {
        return;
    }
    let facts = &model.fit;
    if facts.needed == 0 {
        spans.push(Span::raw(" ".repeat(width + 1)));
        return;
    }
    if !facts.fits() {
        let text = match width > 20 {
            true => format!("too large: {}", needed_of(facts)),
            false => "too large".into(),
        };
        spans.push(Span::styled(pad_right(&text, width + 1), theme.warn));
        return;
    }
    let figures = needed_of(facts);
    if width > 20 {
        bar(facts.share(), BAR, theme.gauge, theme, spans);
        spans.push(Span::styled(
            pad_right(&format!(" {figures}"), width - BAR + 1),
            theme.muted,
        ));
    } else {
        spans.push(Span::styled(pad_right(&figures, width + 1), theme.muted));
    }
}

/// Such as `3.1 of 22 GB`.
fn needed_of(facts: &Fit) -> String {
    let short = |count: u64| match count as f64 / 1e9 {
        gb if gb < 0.1 => "<0.1".to_owned(),
        gb if gb < 9.95 => format!("{gb:.1}"),
        gb => format!("{gb:.0}"),
    };
    format!("{} of {} GB", short(facts.needed), short(facts.available))
}

fn bar(share: f64, width: usize, style: Style, theme: &Theme, spans: &mut Vec<Span<'static>>) {
    let full = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    spans.push(Span::styled("█".repeat(full), style));
    spans.push(Span::styled("░".repeat(width - full), theme.border));
}

fn draw_details(frame: &mut Frame, area: Rect, row: &Row, theme: &Theme, shared: &Shared) {
    let title = " details ";
    let rule = format!(
        "──{title}{}",
        "─".repeat(usize::from(area.width).saturating_sub(title.len() + 2))
    );
    let width = usize::from(area.width).saturating_sub(6);
    let mut lines = vec![Line::styled(rule, theme.border)];
    let mut text = |text: &str, style: Style| {
        lines.extend(
            wrap_text(&sanitise(text), style, width)
                .into_iter()
                .map(|mut line| {
                    line.spans.insert(0, Span::raw("   "));
                    line
                }),
        );
    };
    if let Some(download) = row.download(shared) {
        text(&rows::download_facts(download), theme.text);
        if let DownloadStatus::Failed(reason) = &download.status {
            text(reason, theme.error);
        }
    }
    if let Row::Model(model) = row {
        if let Some(problem) = &model.problem {
            text(problem, theme.error);
        }
        text(&model_facts(model), theme.text);
        text(&model.path.display().to_string(), theme.muted);
    }
    frame.render_widget(ratatui::text::Text::from(lines), area);
}

fn model_facts(model: &ModelEntry) -> String {
    let yes = |it: bool| if it { "yes" } else { "no" };
    let mut parts = Vec::new();
    if model.context_length > 0 {
        parts.push(format!("context {}", count(model.context_length as u64)));
    }
    match model.template.present {
        true => parts.push(format!(
            "tools {} · thinking {}",
            yes(model.template.tools),
            yes(model.template.thinking)
        )),
        false if model.supported => parts.push("no chat template: it continues texts".into()),
        false => {}
    }
    let needs = &model.fit;
    if needs.needed > 0 {
        let kv = format!(
            "KV at {} {}",
            super::super::chat::tokens(needs.context),
            bytes(needs.kv)
        );
        parts.push(format!(
            "weights {} + {kv} + work {}",
            bytes(needs.weights),
            bytes(needs.work)
        ));
    }
    parts.push(model.origin.to_string());
    parts.join(" · ")
}
