//! A list to choose from, narrowed by fuzzy typing.

use crossterm::event::KeyEvent;
use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{Outcome, popup};
use crate::tui::{
    action::Action,
    field::{Field, clip},
    message::Effect,
    text::fit,
    theme::Theme,
};

#[derive(Debug, Clone, Default)]
pub struct Picker {
    pub title: String,
    /// Shown in the empty query.
    pub prompt: String,
    pub query: Field,
    pub items: Vec<PickerItem>,
    /// Places in `items` of those that match, best first.
    shown: Vec<usize>,
    /// A place in `shown`.
    selected: usize,
    /// The first line in sight.
    top: usize,
    /// Done when nothing is chosen.
    pub undo: Vec<Effect>,
}

#[derive(Debug, Clone, Default)]
pub struct PickerItem {
    pub label: String,
    /// Muted, at the right; also searched.
    pub detail: String,
    /// Done when the item is chosen.
    pub effects: Vec<Effect>,
    /// Done while it is selected.
    pub preview: Option<Effect>,
}

impl Picker {
    pub fn new(
        title: impl Into<String>,
        prompt: impl Into<String>,
        items: Vec<PickerItem>,
    ) -> Self {
        Self {
            title: title.into(),
            prompt: prompt.into(),
            shown: (0..items.len()).collect(),
            items,
            ..Self::default()
        }
    }

    /// Selects an item by its place in `items`.
    pub fn select(mut self, index: usize) -> Self {
        self.selected = index.min(self.shown.len().saturating_sub(1));
        self
    }

    pub fn selected(&self) -> Option<&PickerItem> {
        self.shown
            .get(self.selected)
            .map(|index| &self.items[*index])
    }

    pub fn on_action(&mut self, action: Action) -> Outcome {
        let page = 10;
        let last = self.shown.len().saturating_sub(1);
        self.selected = match action {
            Action::Back => return Outcome::close(std::mem::take(&mut self.undo)),
            Action::OverlayAccept => {
                return match self.selected() {
                    Some(item) => Outcome::close(item.effects.clone()),
                    None => Outcome::stay(),
                };
            }
            Action::OverlayUp if self.selected == 0 => last,
            Action::OverlayUp => self.selected - 1,
            Action::OverlayDown if self.selected >= last => 0,
            Action::OverlayDown => self.selected + 1,
            Action::OverlayPageUp => self.selected.saturating_sub(page),
            Action::OverlayPageDown => (self.selected + page).min(last),
            _ => return Outcome::stay(),
        };
        self.preview()
    }

    pub fn on_key(&mut self, key: KeyEvent) -> Outcome {
        match self.query.on_key(key) {
            true => self.narrow(),
            false => Outcome::stay(),
        }
    }

    pub fn on_paste(&mut self, text: &str) -> Outcome {
        self.query.insert(text);
        self.narrow()
    }

    fn preview(&self) -> Outcome {
        let preview = self.selected().and_then(|item| item.preview.clone());
        Outcome {
            close: false,
            effects: preview.into_iter().collect(),
        }
    }

    fn narrow(&mut self) -> Outcome {
        self.shown = rank(self.query.text(), self.items.iter());
        self.selected = 0;
        self.top = 0;
        self.preview()
    }

    pub fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let height = u16::try_from(self.items.len()).unwrap_or(u16::MAX);
        let room = popup(
            frame,
            area,
            88,
            height.saturating_add(4).min(20),
            &self.title,
            theme,
        );
        let [query, _, list] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(0),
        ])
        .areas(room);
        if self.query.is_empty() {
            frame.render_widget(Span::styled(&self.prompt, theme.muted), query);
        }
        self.query.draw(frame, query, theme.text, true);
        if self.shown.is_empty() {
            frame.render_widget(Span::styled("Nothing matches.", theme.muted), list);
            return;
        }
        let rows = usize::from(list.height);
        self.top = self.top.min(self.selected);
        if self.selected >= self.top + rows {
            self.top = self.selected + 1 - rows.min(self.selected + 1);
        }
        for (row, index) in self.shown.iter().skip(self.top).take(rows).enumerate() {
            let y = list.y + u16::try_from(row).unwrap_or(0);
            let selected = self.top + row == self.selected;
            let line = self.items[*index].line(list.width, selected, theme);
            frame.render_widget(
                line,
                Rect {
                    y,
                    height: 1,
                    ..list
                },
            );
        }
    }
}

impl PickerItem {
    fn line(&self, width: u16, selected: bool, theme: &Theme) -> Line<'_> {
        let width = usize::from(width);
        let mark = if selected { "▸ " } else { "  " };
        // What is at the right tells items apart; it gives way only to half.
        let detail = clip(&self.detail, width / 2);
        let room = width.saturating_sub(2 + detail.width() + 2);
        let label = fit(&self.label, room);
        let gap = width.saturating_sub(2 + label.width() + detail.width());
        let line = Line::from(vec![
            Span::raw(mark),
            Span::raw(label),
            Span::raw(" ".repeat(gap)),
            Span::styled(detail, if selected { Style::new() } else { theme.muted }),
        ]);
        line.style(if selected {
            theme.selection
        } else {
            theme.text
        })
    }
}

/// Places of the items that match the query, the best first; all, in their
/// order, when the query is empty.
fn rank<'a>(query: &str, items: impl Iterator<Item = &'a PickerItem>) -> Vec<usize> {
    let pattern = Pattern::parse(query, CaseMatching::Smart, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, usize)> = Vec::new();
    for (index, item) in items.enumerate() {
        let text = format!("{} {}", item.label, item.detail);
        let haystack = Utf32Str::new(&text, &mut buffer);
        if let Some(score) = pattern.score(haystack, &mut matcher) {
            scored.push((score, index));
        }
    }
    // Letters scattered over a sentence match almost anything.
    let best = scored.iter().map(|(score, _)| *score).max().unwrap_or(0);
    scored.retain(|(score, _)| *score * 4 > best * 3 || best == 0);
    scored.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
    scored.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    fn picker() -> Picker {
        let item = |label: &str| PickerItem {
            label: label.into(),
            effects: vec![Effect::Load(label.into())],
            ..PickerItem::default()
        };
        Picker::new(
            "Models",
            "",
            vec![item("guide"), item("qwen3-4b"), item("llama-8b")],
        )
    }

    #[test]
    fn typing_narrows_and_enter_chooses() {
        let mut picker = picker();
        for c in "qw4".chars() {
            picker.on_key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
        let outcome = picker.on_action(Action::OverlayAccept);
        assert!(outcome.close);
        assert!(matches!(&outcome.effects[..], [Effect::Load(id)] if id == "qwen3-4b"));
    }

    #[test]
    fn the_selection_goes_round() {
        let mut picker = picker();
        picker.on_action(Action::OverlayUp);
        assert_eq!(picker.selected().unwrap().label, "llama-8b");
        picker.on_action(Action::OverlayDown);
        assert_eq!(picker.selected().unwrap().label, "guide");
    }

    #[test]
    fn nothing_matching_chooses_nothing() {
        let mut picker = picker();
        picker.on_paste("zzz");
        assert!(!picker.on_action(Action::OverlayAccept).close);
    }
}
