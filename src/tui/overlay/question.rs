//! Questions: yes or no, and one line of text.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use super::{Outcome, popup};
use crate::tui::{
    action::Action, field::Field, message::Effect, state::Shared, theme::Theme, types::ApiState,
};

/// The title by which the question of quitting is known.
pub const QUIT: &str = "Quit Maquette?";

/// A yes-or-no question. Enter or `y` does `yes`; Esc or `n` does nothing.
#[derive(Debug, Clone)]
pub struct Confirm {
    pub title: String,
    pub question: String,
    pub yes: Vec<Effect>,
}

/// Asks before the program ends, and says what would end with it.
pub fn quit(shared: &Shared) -> Confirm {
    let running = shared.stats.running.len();
    let mut parts = Vec::new();
    if running > 0 {
        parts.push(format!(
            "{running} running request{} would stop.",
            if running == 1 { "" } else { "s" }
        ));
    }
    if let ApiState::On { address, .. } = shared.api {
        parts.push(format!("The API at {address} would stop."));
    }
    if parts.is_empty() {
        parts.push("Nothing is running. Chats are saved.".into());
    }
    Confirm {
        title: QUIT.into(),
        question: parts.join(" "),
        yes: vec![Effect::Quit],
    }
}

impl Confirm {
    pub fn on_action(&mut self, action: Action) -> Outcome {
        match action {
            Action::OverlayAccept => Outcome::close(std::mem::take(&mut self.yes)),
            Action::Back => Outcome::close(Vec::new()),
            _ => Outcome::stay(),
        }
    }

    pub fn on_key(&mut self, key: KeyEvent) -> Outcome {
        match key.code {
            KeyCode::Char('y' | 'Y') => self.on_action(Action::OverlayAccept),
            KeyCode::Char('n' | 'N') => self.on_action(Action::Back),
            _ => Outcome::stay(),
        }
    }

    pub fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let room = popup(frame, area, 56, 6, &self.title, theme);
        let [text, keys] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(room);
        let question = Paragraph::new(self.question.as_str()).wrap(Wrap { trim: true });
        frame.render_widget(question, text);
        let line = Line::from(vec![
            Span::styled("Enter", theme.key),
            Span::styled(" or ", theme.muted),
            Span::styled("y", theme.key),
            Span::raw(" yes    "),
            Span::styled("Esc", theme.key),
            Span::styled(" or ", theme.muted),
            Span::styled("n", theme.key),
            Span::raw(" no"),
        ]);
        frame.render_widget(line, keys);
    }
}

/// A question for one line of text.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub title: String,
    pub question: String,
    pub field: Field,
    /// What the answer belongs to, such as the id of the chat to rename.
    pub subject: String,
    /// Makes effects of the subject and the text.
    pub then: fn(subject: &str, text: &str) -> Vec<Effect>,
}

impl Prompt {
    pub fn on_action(&mut self, action: Action) -> Outcome {
        match action {
            Action::OverlayAccept if self.field.text().trim().is_empty() => Outcome::stay(),
            Action::OverlayAccept => {
                Outcome::close((self.then)(&self.subject, self.field.text().trim()))
            }
            Action::Back => Outcome::close(Vec::new()),
            _ => Outcome::stay(),
        }
    }

    pub fn on_key(&mut self, key: KeyEvent) -> Outcome {
        self.field.on_key(key);
        Outcome::stay()
    }

    pub fn on_paste(&mut self, text: &str) -> Outcome {
        self.field.insert(text.trim());
        Outcome::stay()
    }

    pub fn draw(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let room = popup(frame, area, 72, 6, &self.title, theme);
        let [text, field] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(room);
        let question = Paragraph::new(self.question.as_str()).wrap(Wrap { trim: true });
        frame.render_widget(question.style(theme.muted), text);
        let [mark, field] =
            Layout::horizontal([Constraint::Length(2), Constraint::Min(0)]).areas(field);
        frame.render_widget(Span::styled("›", theme.accent), mark);
        self.field.draw(frame, field, theme.text, true);
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn yes_and_no() {
        let confirm = Confirm {
            title: "Delete?".into(),
            question: String::new(),
            yes: vec![Effect::Unload],
        };
        let press = |c| {
            let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            confirm.clone().on_key(key)
        };
        assert_eq!(press('y').effects.len(), 1);
        assert!(press('n').close && press('n').effects.is_empty());
        assert!(!press('x').close);
    }

    #[test]
    fn an_empty_answer_is_none() {
        let mut prompt = Prompt {
            title: String::new(),
            question: String::new(),
            field: Field::new("  "),
            subject: "id".into(),
            then: |subject, text| vec![Effect::Download(format!("{subject}/{text}"))],
        };
        assert!(!prompt.on_action(Action::OverlayAccept).close);
        prompt.on_paste("name\n");
        let outcome = prompt.on_action(Action::OverlayAccept);
        assert!(matches!(&outcome.effects[..], [Effect::Download(id)] if id == "id/name"));
    }
}
