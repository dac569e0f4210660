//! The list of chats: beside the conversation where there is room, above it
//! where there is not.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, BorderType, Borders, Clear},
};

use crate::tui::{
    action::Action,
    message::Effect,
    overlay::{Confirm, Overlay},
    state::Shared,
    text::{pad_right, sanitise_line},
    theme::Theme,
    types::ChatSummary,
};

/// From this width on the list stands beside the conversation.
const WIDE: u16 = 110;
const WIDTH: u16 = 26;

#[derive(Debug, Default)]
pub(super) struct ChatList {
    /// Whether it lies over the conversation, where it has no room beside it.
    pub open: bool,
    /// Whether it was hidden, where it has room.
    hidden: bool,
    selected: usize,
    top: usize,
    /// What new chats begin with.
    pub system_prompt: String,
}

impl ChatList {
    pub fn shown(&self, width: u16, shared: &Shared) -> bool {
        if width >= WIDE {
            !self.hidden && !shared.chats.is_empty()
        } else {
            self.open
        }
    }

    /// Whether the list takes room from the conversation.
    pub fn beside(&self, width: u16, shared: &Shared) -> bool {
        width >= WIDE && self.shown(width, shared)
    }

    /// Shows or hides it; true when it is to be seen now.
    pub fn toggle(&mut self, width: u16, shared: &Shared) -> bool {
        if width >= WIDE {
            self.hidden = self.shown(width, shared);
        } else {
            self.open = !self.open;
        }
        self.shown(width, shared)
    }

    pub fn select(&mut self, id: &str, shared: &Shared) {
        if let Some(at) = shared.chats.iter().position(|chat| chat.id == id) {
            self.selected = at;
        }
        self.clamp(shared);
    }

    pub fn clamp(&mut self, shared: &Shared) {
        self.selected = self.selected.min(shared.chats.len().saturating_sub(1));
    }

    pub fn selected<'s>(&self, shared: &'s Shared) -> Option<&'s ChatSummary> {
        shared.chats.get(self.selected)
    }

    pub fn step(&mut self, action: Action, shared: &Shared) {
        self.selected = match action {
            Action::ListUp => self.selected.saturating_sub(1),
            Action::ListDown => self.selected + 1,
            Action::ListPageUp => self.selected.saturating_sub(10),
            Action::ListPageDown => self.selected + 10,
            Action::ListFirst => 0,
            Action::ListLast => usize::MAX,
            _ => self.selected,
        };
        self.clamp(shared);
    }

    pub fn ask_to_delete(&self, chat: &ChatSummary) -> Vec<Effect> {
        vec![Effect::Open(Overlay::Confirm(Confirm {
            title: "Delete the chat".into(),
            question: format!(
                "Delete \"{}\" with all its branches?",
                sanitise_line(&chat.title)
            ),
            yes: vec![Effect::DeleteChat(chat.id.clone())],
        }))]
    }

    /// Draws the list and returns what is left for the conversation.
    pub fn draw(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        current: &str,
        focused: bool,
        theme: &Theme,
        shared: &Shared,
    ) -> Rect {
        let beside = self.beside(area.width, shared);
        let width = if beside {
            WIDTH
        } else {
            area.width.min(WIDTH + 14)
        };
        let place = Rect { width, ..area };
        let border = if focused { theme.focus } else { theme.border };
        let block = match beside {
            true => Block::new().borders(Borders::RIGHT),
            false => Block::bordered().border_type(BorderType::Plain),
        };
        let block = block.border_style(border).title(Span::styled(
            " Chats ",
            if focused { theme.focus } else { theme.heading },
        ));
        let inner = block.inner(place);
        frame.render_widget(Clear, place);
        frame.render_widget(block.style(theme.text), place);
        // With only a border at the side, the title has a line to itself.
        let inner = if beside {
            Rect {
                y: place.y + 1,
                height: place.height.saturating_sub(1),
                ..inner
            }
        } else {
            inner
        };
        self.draw_rows(frame, inner, current, focused, theme, shared);
        match beside {
            true => Rect {
                x: area.x + width,
                width: area.width - width,
                ..area
            },
            false => area,
        }
    }

    fn draw_rows(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        current: &str,
        focused: bool,
        theme: &Theme,
        shared: &Shared,
    ) {
        let rows = usize::from(area.height);
        if rows == 0 {
            return;
        }
        if shared.chats.is_empty() {
            frame.render_widget(Span::styled(" Nothing is kept yet.", theme.muted), area);
        }
        self.top = self
            .top
            .min(self.selected)
            .max((self.selected + 1).saturating_sub(rows));
        for (row, (at, chat)) in shared
            .chats
            .iter()
            .enumerate()
            .skip(self.top)
            .take(rows)
            .enumerate()
        {
            let mark = if chat.id == current { "● " } else { "  " };
            let room = usize::from(area.width).saturating_sub(4);
            let title = pad_right(&sanitise_line(&chat.title), room);
            let style = match (at == self.selected, focused) {
                (true, true) => theme.selection,
                (true, false) if chat.id == current => theme.selection_dim,
                _ => theme.text,
            };
            let line = Line::from(vec![
                Span::styled(format!(" {mark}"), theme.accent),
                Span::raw(title),
                Span::raw(" "),
            ]);
            let place = Rect {
                y: area.y + row as u16,
                height: 1,
                ..area
            };
            frame.render_widget(line.style(style), place);
        }
    }
}
