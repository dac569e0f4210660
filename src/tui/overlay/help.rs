//! The help: every key of the key map in use, those that work here first,
//! narrowed by typing. Generated, so that it cannot be wrong.

use crossterm::event::KeyEvent;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};
use unicode_width::UnicodeWidthStr;

use super::{Outcome, popup};
use crate::tui::{
    action::{ACTIONS, Action, Context},
    field::Field,
    state::{Shared, State},
    theme::Theme,
};

#[derive(Debug, Clone)]
pub struct Help {
    /// Contexts in the order of their sections.
    contexts: Vec<Context>,
    query: Field,
    /// The first line in sight.
    top: usize,
}

/// A line of the help.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Row {
    Heading(&'static str),
    Keys { keys: String, doc: &'static str },
    Blank,
}

impl Help {
    pub fn new(state: &State) -> Self {
        let (mut contexts, _) = state.listening();
        contexts.push(Context::Global);
        contexts.retain(|context| *context != Context::Overlay);
        for context in Context::ALL {
            if !contexts.contains(context) {
                contexts.push(*context);
            }
        }
        Self {
            contexts,
            query: Field::default(),
            top: 0,
        }
    }

    fn rows(&self, shared: &Shared) -> Vec<Row> {
        let query = self.query.text().to_lowercase();
        let mut rows = Vec::new();
        for context in &self.contexts {
            let mut section = Vec::new();
            for row in ACTIONS {
                let keys = shared.keymap.keys_of(row.action, *context).join("  ");
                let text = format!("{keys} {} {}", row.doc, row.name).to_lowercase();
                if !keys.is_empty() && text.contains(&query) {
                    section.push(Row::Keys { keys, doc: row.doc });
                }
            }
            if !section.is_empty() {
                rows.push(Row::Heading(context.title()));
                rows.append(&mut section);
                rows.push(Row::Blank);
            }
        }
        rows.pop();
        rows
    }

    pub fn on_action(&mut self, action: Action, shared: &Shared) -> Outcome {
        let last = self.rows(shared).len().saturating_sub(1);
        self.top = match action {
            Action::Back if self.query.is_empty() => return Outcome::close(Vec::new()),
            Action::Back => {
                self.query.clear();
                0
            }
            Action::OverlayUp => self.top.saturating_sub(1),
            Action::OverlayDown => (self.top + 1).min(last),
            Action::OverlayPageUp => self.top.saturating_sub(10),
            Action::OverlayPageDown => (self.top + 10).min(last),
            _ => self.top,
        };
        Outcome::stay()
    }

    pub fn on_key(&mut self, key: KeyEvent, _shared: &Shared) -> Outcome {
        if self.query.on_key(key) {
            self.top = 0;
        }
        Outcome::stay()
    }

    pub fn on_paste(&mut self, text: &str, _shared: &Shared) -> Outcome {
        self.query.insert(text);
        self.top = 0;
        Outcome::stay()
    }

    pub fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let room = popup(frame, area, 96, area.height, "Keys", theme);
        let [query, _, list] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(0),
        ])
        .areas(room);
        if self.query.is_empty() {
            let hint = format!("Type to search · key map: {}", shared.keymap.name);
            frame.render_widget(Span::styled(hint, theme.muted), query);
        }
        self.query.draw(frame, query, theme.text, true);
        let rows = self.rows(shared);
        if rows.is_empty() {
            frame.render_widget(Span::styled("No key matches.", theme.muted), list);
            return;
        }
        // The last page is the end: no scrolling into emptiness.
        self.top = self
            .top
            .min(rows.len().saturating_sub(usize::from(list.height)));
        let visible = rows.iter().skip(self.top).take(usize::from(list.height));
        let widest = rows.iter().map(Row::key_width).max().unwrap_or(0).min(24);
        let lines: Vec<Line> = visible.map(|row| row.line(widest, theme)).collect();
        frame.render_widget(Paragraph::new(lines), list);
    }
}

impl Row {
    fn key_width(&self) -> usize {
        match self {
            Self::Keys { keys, .. } => keys.width(),
            _ => 0,
        }
    }

    fn line(&self, widest: usize, theme: &Theme) -> Line<'_> {
        match self {
            Self::Blank => Line::default(),
            Self::Heading(title) => Line::styled(*title, theme.heading),
            Self::Keys { keys, doc } => {
                let gap = widest.saturating_sub(keys.width()) + 2;
                Line::from(vec![
                    Span::styled(keys.as_str(), theme.key),
                    Span::raw(" ".repeat(gap)),
                    Span::raw(*doc),
                ])
            }
        }
    }
}
