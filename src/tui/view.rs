//! Draws the state: header, panes, footer, notices, overlays. Decides what to
//! leave out where there is little room.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Borders, Clear, Paragraph, Wrap},
};
use unicode_width::UnicodeWidthStr;

use super::{
    action::Action,
    field::clip,
    keymap::show_sequence,
    message::Level,
    pane::PaneId,
    state::{Shared, State, Toast},
    theme::Theme,
    types::ApiState,
};

/// Below this nothing useful fits.
const SMALLEST: (u16, u16) = (40, 10);
/// Two panes side by side need this many columns.
const SPLIT_WIDTH: u16 = 100;

/// Draws one frame. Only caches inside the state change.
pub fn draw(frame: &mut Frame, state: &mut State) {
    let area = frame.area();
    let theme = state.theme.clone();
    frame.render_widget(Block::new().style(theme.text), area);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        draw_too_small(frame, area, &theme);
        return;
    }
    let [header, body, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_header(frame, header, state, &theme);
    draw_panes(frame, body, state, &theme);
    for overlay in &mut state.overlays {
        overlay.draw(frame, body, &theme, &state.shared);
    }
    draw_toasts(frame, body, state.toasts.make_contiguous(), &theme);
    draw_footer(frame, footer, state, &theme);
}

fn draw_too_small(frame: &mut Frame, area: Rect, theme: &Theme) {
    let (columns, rows) = SMALLEST;
    let text = format!(
        "Maquette needs {columns}×{rows} cells to draw.\nThis terminal has {}×{}.",
        area.width, area.height
    );
    let paragraph = Paragraph::new(text)
        .alignment(Alignment::Center)
        .wrap(Wrap { trim: true })
        .style(theme.muted);
    let middle = Rect {
        y: area.y + area.height.saturating_sub(2) / 2,
        height: area.height.min(2),
        ..area
    };
    frame.render_widget(paragraph, middle);
}

fn draw_panes(frame: &mut Frame, body: Rect, state: &mut State, theme: &Theme) {
    let right = state.right.filter(|_| body.width >= SPLIT_WIDTH);
    let Some(right) = right else {
        let pane = state.panes.get_mut(state.shared.focus);
        pane.draw(frame, body, theme, &state.shared);
        return;
    };
    let [a, line, b] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Fill(1),
    ])
    .areas(body);
    let border = Block::new()
        .borders(Borders::LEFT)
        .border_style(theme.border);
    frame.render_widget(border, line);
    for (id, area) in [(state.left, a), (right, b)] {
        let [title, room] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        let focused = id == state.shared.focus;
        let mark = if focused { "▸ " } else { "  " };
        let style = if focused { theme.focus } else { theme.muted };
        let text = format!("{mark}{} {}", id.number(), id.title());
        frame.render_widget(Span::styled(text, style), title);
        state
            .panes
            .get_mut(id)
            .draw(frame, room, theme, &state.shared);
    }
}

/// Name, panes, model and API, in the fullest form that fits.
fn draw_header(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    frame.render_widget(Block::new().style(theme.bar), area);
    let width = usize::from(area.width);
    for detail in (0..=4).rev() {
        let left = header_left(state, theme, detail);
        let right = header_right(&state.shared, theme, detail);
        if left.width() + right.width() + 2 <= width || detail == 0 {
            frame.render_widget(left, area);
            let taken = u16::try_from(right.width()).unwrap_or(area.width);
            let taken = taken.min(area.width);
            let place = Rect {
                x: area.right() - taken,
                width: taken,
                ..area
            };
            frame.render_widget(right, place);
            return;
        }
    }
}

fn header_left(state: &State, theme: &Theme, detail: u8) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    if detail >= 3 {
        spans.push(Span::styled("maquette   ", theme.accent));
    }
    for id in PaneId::ALL {
        if id != PaneId::Chat {
            spans.push(Span::raw(if detail >= 2 { "  " } else { " " }));
        }
        let focused = id == state.shared.focus;
        let text = match detail >= 2 || focused {
            true => format!("{} {}", id.number(), id.title()),
            false => id.number().to_string(),
        };
        let style = match () {
            () if focused => theme
                .focus
                .add_modifier(ratatui::style::Modifier::UNDERLINED),
            () if Some(id) == state.right || id == state.left => theme.text.patch(theme.bar),
            () => theme.muted,
        };
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

fn header_right(shared: &Shared, theme: &Theme, detail: u8) -> Line<'static> {
    let mut spans = Vec::new();
    match (&shared.stats.loading, &shared.model) {
        (Some((id, done)), _) => {
            let name = clip(short_name(id), if detail >= 3 { 40 } else { 14 });
            spans.push(Span::styled(format!("{} ", shared.spinner()), theme.accent));
            spans.push(Span::raw(format!("{name} {:.0}%", done * 100.0)));
        }
        (None, Some(model)) => {
            let name = clip(short_name(&model.id), if detail >= 3 { 40 } else { 20 });
            spans.push(Span::styled(name.to_owned(), theme.model));
            if detail >= 2 && !model.quantisation.is_empty() {
                spans.push(Span::raw(format!(" {}", model.quantisation)));
            }
            if detail >= 3 {
                spans.push(Span::styled(
                    format!(" · {}", shared.device.backend),
                    theme.muted,
                ));
            }
        }
        (None, None) => spans.push(Span::styled("no model", theme.muted)),
    }
    spans.push(Span::raw(if detail >= 3 { "   " } else { "  " }));
    spans.extend(api_spans(&shared.api, theme, detail));
    spans.push(Span::raw(" "));
    Line::from(spans)
}

fn api_spans(api: &ApiState, theme: &Theme, detail: u8) -> Vec<Span<'static>> {
    let (dot, style, text) = match api {
        ApiState::Off => ("○", theme.muted, String::new()),
        ApiState::On { address, live, .. } => {
            let live = if *live > 0 {
                format!(" · {live} live")
            } else {
                String::new()
            };
            ("●", theme.ok, format!(" {address}{live}"))
        }
        ApiState::Failed(_) => ("✗", theme.error, " failed".into()),
    };
    let mut spans = vec![Span::styled(dot, style)];
    if detail >= 1 {
        spans.push(Span::styled(
            " API",
            if text.is_empty() {
                theme.muted
            } else {
                theme.bar
            },
        ));
    }
    if detail >= 4 {
        spans.push(Span::raw(text));
    }
    spans
}

/// The part of a model's id after its owner.
fn short_name(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(_, name)| name)
}

/// The keys of what has the focus: as many as fit, the most useful first.
fn draw_footer(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    frame.render_widget(Block::new().style(theme.bar), area);
    let (contexts, typing) = state.listening();
    let hints = match state.overlays.last() {
        Some(overlay) => overlay.hints(),
        None => state.panes.get(state.shared.focus).hints(&state.shared),
    };
    let key = |action| state.shared.keymap.key_for(action, &contexts, typing);
    let right = match key(Action::Help) {
        Some(keys) if state.overlays.is_empty() => hint(keys, "help", theme),
        _ => Vec::new(),
    };
    let right_width: usize = right.iter().map(Span::width).sum();
    let mut room = usize::from(area.width).saturating_sub(right_width + 3);
    let mut spans = vec![Span::raw(" ")];
    if !state.pending.is_empty() {
        spans.push(Span::styled(show_sequence(&state.pending), theme.key));
        spans.push(Span::styled(" …  ", theme.muted));
    }
    room = room.saturating_sub(spans.iter().map(Span::width).sum());
    let palette = [Action::Palette];
    let all = hints
        .into_iter()
        .chain(palette.into_iter().filter(|_| state.overlays.is_empty()));
    for action in all {
        let Some(keys) = key(action) else { continue };
        let mut parts = hint(keys, action.doc().label, theme);
        parts.push(Span::raw("   "));
        let width: usize = parts.iter().map(Span::width).sum();
        if width > room + 3 {
            continue;
        }
        room = room.saturating_sub(width);
        spans.extend(parts);
    }
    frame.render_widget(Line::from(spans), area);
    let taken = u16::try_from(right_width + 1).unwrap_or(0).min(area.width);
    let place = Rect {
        x: area.right() - taken,
        width: taken,
        ..area
    };
    frame.render_widget(Line::from(right), place);
}

fn hint(keys: String, label: &'static str, theme: &Theme) -> Vec<Span<'static>> {
    vec![
        Span::styled(keys, theme.key),
        Span::styled(format!(" {label}"), theme.muted),
    ]
}

/// Notices, newest lowest, in the corner above the footer.
fn draw_toasts(frame: &mut Frame, body: Rect, toasts: &[Toast], theme: &Theme) {
    let mut bottom = body.bottom();
    for toast in toasts.iter().rev() {
        let (mark, style) = match toast.notice.level {
            Level::Info => ("·", theme.accent),
            Level::Warn => ("!", theme.warn),
            Level::Error => ("✗", theme.error),
        };
        let widest = usize::from(body.width).saturating_sub(6).min(72);
        let options = textwrap::Options::new(widest);
        let rows = textwrap::wrap(&toast.notice.text, options);
        let width = rows.iter().map(|row| row.width()).max().unwrap_or(0);
        let (Ok(width), Ok(height)) = (u16::try_from(width + 4), u16::try_from(rows.len())) else {
            continue;
        };
        if height > bottom.saturating_sub(body.y) {
            return;
        }
        bottom -= height;
        let place = Rect {
            x: body.right().saturating_sub(width + 1),
            y: bottom,
            width,
            height,
        };
        let lines: Vec<Line> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| {
                let mark = if index == 0 { mark } else { " " };
                Line::from(vec![
                    Span::styled(format!(" {mark} "), style),
                    Span::raw(row.to_string()),
                ])
            })
            .collect();
        frame.render_widget(Clear, place);
        frame.render_widget(Paragraph::new(lines).style(theme.selection_dim), place);
    }
}
