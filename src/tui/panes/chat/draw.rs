//! The picture of the chat pane: list, transcript, questions, composer.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{ChatPane, Part, cells};
use crate::tui::{
    action::Action,
    pane::{Pane, PaneId},
    state::Shared,
    text::{fit, sanitise_line, wrap_text},
    theme::Theme,
};

/// Questions for the first chat, to the guide and to any other model.
const TO_GUIDE: [&str; 3] = [
    "How do I download a larger model?",
    "What can I do in the five panes?",
    "How do I use the API from Python?",
];
const TO_OTHERS: [&str; 3] = [
    "Explain what a KV cache is, in five sentences.",
    "Write a Rust function that reverses the words of a line.",
    "Plan a weekend in a city I have never been to.",
];
/// Cells of the context gauge.
const GAUGE: usize = 6;
/// The composer's prompt.
const PROMPT: &str = " ❯ ";

impl ChatPane {
    pub(super) fn draw_pane(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        theme: &Theme,
        shared: &Shared,
    ) {
        self.dress.wear(theme);
        self.dress.width = area.width;
        if area.height < 4 || area.width < 16 {
            return;
        }
        let beside = self.chats.beside(area.width, shared);
        let main = match beside {
            true => self.draw_chats(frame, area, theme, shared),
            false => area,
        };
        let keys = shared.has_keys(PaneId::Chat);
        let prompt = PROMPT.chars().count() as u16;
        let most = (main.height / 3).max(1);
        let rows = self
            .composer
            .height(main.width.saturating_sub(prompt + 1))
            .clamp(1, most);
        let question = u16::from(self.question_line(theme, shared, 10).is_some());
        let [above, asked, rule, below] = Layout::vertical([
            Constraint::Min(1),
            Constraint::Length(question),
            Constraint::Length(1),
            Constraint::Length(rows),
        ])
        .areas(main);
        if self.transcript.is_empty() {
            self.draw_welcome(frame, above, theme, shared);
        } else {
            self.draw_transcript(frame, above, theme, shared);
        }
        if let Some(line) = self.question_line(theme, shared, asked.width.into()) {
            frame.render_widget(line, asked);
        }
        self.draw_rule(frame, rule, theme, shared);
        self.draw_find(frame, asked, theme, keys);
        let active = keys && self.part == Part::Composer && self.find.is_none();
        let mark = if self.part == Part::Composer {
            theme.focus
        } else {
            theme.muted
        };
        frame.render_widget(Span::styled(PROMPT, mark), below);
        let field = Rect {
            x: below.x + prompt,
            width: below.width.saturating_sub(prompt + 1),
            ..below
        };
        let hint = match self.editing {
            Some(_) => "",
            None if self.transcript.is_empty() => "Ask something",
            None => "Go on",
        };
        self.composer
            .draw(frame, field, &self.dress.composer, hint, active);
        if !beside && self.chats.shown(area.width, shared) {
            self.draw_chats(frame, above, theme, shared);
        }
    }

    fn draw_chats(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        theme: &Theme,
        shared: &Shared,
    ) -> Rect {
        let focused = self.part == Part::Chats && shared.has_keys(PaneId::Chat);
        let current = self.conversation.id.clone();
        self.chats
            .draw(frame, area, &current, focused, theme, shared)
    }

    fn draw_transcript(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let spinner = shared.spinner();
        let (styles, roles) = (&self.dress.styles, &self.dress.cells);
        self.transcript.set_view(
            area.width.into(),
            area.height.into(),
            styles,
            roles,
            spinner,
        );
        self.transcript.draw(area, frame.buffer_mut(), theme.focus);
        for (letter, row, _) in self.copying.iter().flat_map(|labels| &labels.codes) {
            let row = *row as u16;
            if row < area.height {
                let place = Rect {
                    x: area.x,
                    y: area.y + row,
                    width: 4.min(area.width),
                    height: 1,
                };
                frame.render_widget(Span::styled(format!(" {letter} "), theme.selection), place);
            }
        }
    }

    /// What needs an answer or explains what Enter will do.
    fn question_line(&self, theme: &Theme, shared: &Shared, width: usize) -> Option<Line<'static>> {
        if self.find.is_some() {
            return Some(Line::default());
        }
        let key = |action: Action| {
            let contexts = self.contexts();
            shared
                .keymap
                .key_for(action, &contexts, self.typing())
                .unwrap_or_else(|| action.name().to_owned())
        };
        if let Some((name, arguments)) = self.calls.question() {
            let keys = format!(
                "{} allow  {} refuse ",
                key(Action::ChatToolAllow),
                key(Action::ChatToolRefuse)
            );
            let text = format!(
                " Run {} {}?",
                sanitise_line(name),
                sanitise_line(&arguments)
            );
            let text = fit(&text, width.saturating_sub(keys.chars().count() + 2));
            return Some(Line::from(vec![
                Span::styled(text, theme.warn),
                Span::raw("  "),
                Span::styled(keys, theme.key),
            ]));
        }
        self.editing.map(|_| {
            let text = format!(
                " Editing an earlier message: {} sends it in a branch, {} leaves it",
                key(Action::ChatSend),
                key(Action::Back)
            );
            Line::styled(fit(&text, width), theme.warn)
        })
    }

    fn draw_find(&self, frame: &mut Frame, area: Rect, theme: &Theme, keys: bool) {
        let Some(field) = &self.find else { return };
        let label = " Search: ";
        frame.render_widget(Span::styled(label, theme.key), area);
        let taken = (label.len() as u16).min(area.width);
        let place = Rect {
            x: area.x + taken,
            width: area.width - taken,
            ..area
        };
        field.draw(frame, place, theme.text, keys);
    }

    /// The line above the composer: on it stand the state of the chat and how
    /// much of the context is used.
    fn draw_rule(&self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let style = if self.part == Part::Composer {
            theme.focus
        } else {
            theme.border
        };
        let line = "─".repeat(area.width.into());
        frame.render_widget(
            Span::styled(line, style.remove_modifier(ratatui::style::Modifier::BOLD)),
            area,
        );
        let spans = self.state_spans(theme, shared, area.width.into());
        let right = Line::from(spans).alignment(Alignment::Right);
        let width = (right.width() as u16).min(area.width);
        let place = Rect {
            x: area.x + area.width - width,
            width,
            ..area
        };
        frame.render_widget(right, place);
    }

    fn state_spans(&self, theme: &Theme, shared: &Shared, width: usize) -> Vec<Span<'static>> {
        let mut words = Vec::new();
        if let Some(turn) = &self.turn
            && let Some(running) = shared.stats.running.last()
            && running.tokens_per_second > 0.0
        {
            words.push(format!(
                "{} tokens · {} tok/s",
                turn.tokens,
                cells::rate(running.tokens_per_second)
            ));
        }
        match self.thinking {
            Some(true) => words.push("thinking on".into()),
            Some(false) => words.push("thinking off".into()),
            None => {}
        }
        if self.offers_tools {
            words.push("tools on".into());
        }
        let mut spans = vec![Span::styled(
            format!(" {}", fit(&words.join(" · "), width.saturating_sub(30))),
            theme.muted,
        )];
        let total = shared
            .model
            .as_ref()
            .map_or(0, |model| model.context_length);
        if total > 0 {
            let used = self.context_used();
            let share = used as f64 / total as f64;
            let full = ((share * GAUGE as f64).ceil() as usize).min(GAUGE);
            let style = match share {
                s if s > 0.95 => theme.error,
                s if s > 0.8 => theme.warn,
                _ => theme.gauge,
            };
            let gap = if words.is_empty() { "ctx " } else { "  ctx " };
            spans.push(Span::styled(gap, theme.muted));
            spans.push(Span::styled("█".repeat(full), style));
            spans.push(Span::styled("░".repeat(GAUGE - full), theme.border));
            spans.push(Span::styled(
                format!(" {}/{} ", tokens(used), tokens(total)),
                theme.muted,
            ));
            if !self.long.omitted.is_empty() {
                let text = format!("▲{} ", self.long.omitted.len());
                spans.push(Span::styled(text, theme.warn));
            }
        }
        spans
    }

    fn examples(&self, shared: &Shared) -> [&'static str; 3] {
        let guide = shared
            .model
            .as_ref()
            .is_none_or(|model| model.id == "guide");
        if guide { TO_GUIDE } else { TO_OTHERS }
    }

    /// The example question that a digit means in a chat that is empty.
    pub(super) fn example(&self, key: KeyEvent, shared: &Shared) -> Option<&'static str> {
        let open = self.transcript.is_empty() && self.composer.is_empty();
        let number = match key.code {
            KeyCode::Char(c) if open && key.modifiers.is_empty() => c.to_digit(10)? as usize,
            _ => return None,
        };
        self.examples(shared).get(number.checked_sub(1)?).copied()
    }

    fn draw_welcome(&self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let width = usize::from(area.width.saturating_sub(6)).min(76);
        let mut lines = vec![
            Line::styled("Maquette", theme.heading.patch(theme.accent)),
            Line::default(),
        ];
        lines.extend(wrap_text(&self.welcome(shared), theme.text, width));
        lines.push(Line::default());
        for (number, question) in self.examples(shared).iter().enumerate() {
            lines.push(Line::from(vec![
                Span::styled(format!(" {}  ", number + 1), theme.key),
                Span::styled(fit(question, width.saturating_sub(4)), theme.text),
            ]));
        }
        lines.push(Line::default());
        lines.extend(self.key_lines(theme, shared));
        let height = (lines.len() as u16).min(area.height);
        let place = Rect {
            x: area.x + (area.width.saturating_sub(width as u16)) / 2,
            y: area.y + (area.height - height) / 3,
            width: (width as u16).min(area.width),
            height,
        };
        frame.render_widget(ratatui::text::Text::from(lines), place);
    }

    fn welcome(&self, shared: &Shared) -> String {
        let beginning = "Chat with language models that run on this machine and nowhere else.";
        match (&shared.stats.loading, &shared.model) {
            (Some((id, share)), _) => format!(
                "{beginning} {} is being loaded: {:.0} %.",
                sanitise_line(id),
                share * 100.0
            ),
            (None, Some(model)) if model.id == "guide" => {
                format!(
                    "{beginning} The guide is loaded: a small model that knows Maquette. Type a question, or a number:"
                )
            }
            (None, Some(model)) => format!(
                "{beginning} {} is loaded. Type a question, or a number:",
                sanitise_line(&model.id)
            ),
            (None, None) => format!(
                "{beginning} Type a question, or a number; the guide is loaded when it is needed:"
            ),
        }
    }

    /// The main keys, two a line, from the key map.
    fn key_lines(&self, theme: &Theme, shared: &Shared) -> Vec<Line<'static>> {
        let actions = [
            (Action::ChatSend, "send"),
            (Action::PaneLibrary, "library of models"),
            (Action::ChatNewLine, "new line"),
            (Action::Palette, "all actions"),
            (Action::FocusNext, "read and copy"),
            (Action::Help, "help"),
        ];
        let contexts = self.contexts();
        let cell = |&(action, text): &(Action, &str)| -> Vec<Span<'static>> {
            let key = shared
                .keymap
                .key_for(action, &contexts, self.typing())
                .unwrap_or_default();
            vec![
                Span::styled(format!("{key:>10}  "), theme.key),
                Span::styled(format!("{text:<18}"), theme.muted),
            ]
        };
        actions
            .chunks(2)
            .map(|pair| {
                Line::from(pair.iter().flat_map(cell).collect::<Vec<_>>()).style(Style::new())
            })
            .collect()
    }
}

/// Such as `812`, `1.2k`, `41k`; lengths of contexts are round in powers of two.
pub(in crate::tui::panes) fn tokens(count: usize) -> String {
    match count {
        0..1000 => count.to_string(),
        _ if count.is_multiple_of(1024) => format!("{}k", count / 1024),
        1000..10_000 => format!("{:.1}k", count as f64 / 1000.0).replace(".0k", "k"),
        10_000..1_000_000 => format!("{}k", count / 1000),
        _ => format!("{:.1}M", count as f64 / 1e6),
    }
}
