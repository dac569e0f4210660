//! The picture of a tool's form.

use ratatui::{
    Frame,
    layout::{Alignment, Rect},
    text::{Line, Span},
};

use super::{Part, ToolsPane, entry::Entry};
use crate::tui::{
    composer::ComposerStyles,
    pane::PaneId,
    state::Shared,
    text::{fit, pad_right, text_width},
    theme::Theme,
};

impl ToolsPane {
    pub(super) fn draw_form(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        theme: &Theme,
        shared: &Shared,
    ) {
        let active = self.part == Part::Form && shared.has_keys(PaneId::Tools);
        if area.height == 0 {
            return;
        }
        if self.form.raw.is_some() {
            return self.draw_raw(frame, area, active, theme);
        }
        if self.form.is_empty() {
            frame.render_widget(
                Span::styled("It takes no arguments. Enter calls it.", theme.muted),
                area,
            );
            return;
        }
        let rows = usize::from(area.height.saturating_sub(1)).max(1);
        let first = (self.form.focused + 1).saturating_sub(rows);
        let names = self
            .form
            .entries
            .iter()
            .map(|entry| text_width(&entry.name) + 1)
            .max()
            .unwrap_or(0)
            .min(24);
        for (number, entry) in self.form.entries.iter().enumerate().skip(first).take(rows) {
            let place = Rect {
                y: area.y + (number - first) as u16,
                height: 1,
                ..area
            };
            let focused = active && number == self.form.focused;
            draw_entry(frame, place, entry, names, focused, active, theme);
        }
        if let Some(entry) = self.form.entries.get(self.form.focused).filter(|_| active) {
            let place = Rect {
                y: area.y + (self.form.entries.len() - first).min(rows) as u16,
                height: 1,
                ..area
            };
            if place.y < area.y + area.height {
                let text = fit(&format!("  {}", entry.description), area.width.into());
                frame.render_widget(Span::styled(text, theme.muted), place);
            }
        }
    }

    fn draw_raw(&mut self, frame: &mut Frame, area: Rect, active: bool, theme: &Theme) {
        let problem = self.form.raw_problem();
        let Some(editor) = &mut self.form.raw else {
            return;
        };
        let styles = ComposerStyles {
            text: theme.text,
            placeholder: theme.muted,
            paste: theme.accent,
        };
        let field = Rect {
            height: area.height.saturating_sub(1),
            ..area
        };
        editor.draw(frame, field, &styles, "{}", active);
        let (text, style) = match &problem {
            Some(problem) => (problem.as_str(), theme.error),
            None => ("All arguments as JSON", theme.muted),
        };
        let place = Rect {
            y: area.y + field.height,
            height: 1,
            ..area
        };
        frame.render_widget(Span::styled(fit(text, area.width.into()), style), place);
    }
}

fn draw_entry(
    frame: &mut Frame,
    area: Rect,
    entry: &Entry,
    names: usize,
    focused: bool,
    active: bool,
    theme: &Theme,
) {
    let mark = if focused { "▸ " } else { "  " };
    let needed = if entry.required { "*" } else { " " };
    let name = pad_right(
        &format!("{}{needed}", fit(&entry.name, names.saturating_sub(1))),
        names,
    );
    let problem = entry.value().err().filter(|_| active);
    // Empty fields that are needed are no fault before one has been there.
    let note = match &problem {
        Some(problem) if focused || problem != "needed" => (problem.clone(), theme.error),
        _ => (entry.kind.label(), theme.muted),
    };
    let room = usize::from(area.width);
    let note_text = fit(&note.0, (room / 2).saturating_sub(4));
    let note_width = text_width(&note_text) as u16;
    let label_style = if focused { theme.focus } else { theme.text };
    let label = Line::from(vec![
        Span::styled(mark, theme.accent),
        Span::styled(name, label_style),
        Span::raw(" "),
    ]);
    let label_width = (label.width() as u16).min(area.width);
    frame.render_widget(label, area);
    let right = Rect {
        x: area.x + area.width.saturating_sub(note_width),
        width: note_width.min(area.width),
        ..area
    };
    frame.render_widget(Span::styled(note_text, note.1), right);
    let field = Rect {
        x: area.x + label_width,
        width: area.width.saturating_sub(label_width + note_width + 2),
        ..area
    };
    match entry.chosen() {
        Some(chosen) => {
            let text = if chosen.is_empty() {
                "—".to_owned()
            } else {
                chosen
            };
            let style = if focused { theme.selection } else { theme.text };
            frame.render_widget(
                Span::styled(fit(&format!(" {text} "), field.width.into()), style),
                field,
            );
        }
        None => {
            let underline = "·"
                .repeat(usize::from(field.width).saturating_sub(text_width(entry.field.text())));
            let dots = Line::from(underline)
                .alignment(Alignment::Right)
                .style(theme.border);
            frame.render_widget(dots, field);
            entry.field.draw(frame, field, theme.text, focused);
        }
    }
}
