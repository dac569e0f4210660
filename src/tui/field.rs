//! A one-line text field: filters, the palette's query, questions. Holds text
//! and cursor; moves by grapheme, so that no key can split a character.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::Span,
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    text: String,
    /// A byte index into `text` at a grapheme's border.
    cursor: usize,
}

impl Field {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let cursor = text.len();
        Self { text, cursor }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn set(&mut self, text: impl Into<String>) {
        *self = Self::new(text);
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Inserts text at the cursor; line ends and control characters become spaces.
    pub fn insert(&mut self, text: &str) {
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.text.insert_str(self.cursor, &clean);
        self.cursor += clean.len();
    }

    /// Edits by a key. True when the text changed.
    pub fn on_key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('u') if control => return self.remove(0, self.cursor),
            KeyCode::Char('k') if control => return self.remove(self.cursor, self.text.len()),
            KeyCode::Char('w') if control => return self.remove(self.word_left(), self.cursor),
            KeyCode::Char('h') if control => return self.remove(self.left(), self.cursor),
            KeyCode::Backspace if alt || control => {
                return self.remove(self.word_left(), self.cursor);
            }
            KeyCode::Backspace => return self.remove(self.left(), self.cursor),
            KeyCode::Delete => return self.remove(self.cursor, self.right()),
            KeyCode::Left if control || alt => self.cursor = self.word_left(),
            KeyCode::Right if control || alt => self.cursor = self.word_right(),
            KeyCode::Left => self.cursor = self.left(),
            KeyCode::Right => self.cursor = self.right(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Char(c) if !control && !alt => {
                self.insert(c.encode_utf8(&mut [0; 4]));
                return true;
            }
            _ => {}
        }
        false
    }

    fn remove(&mut self, from: usize, to: usize) -> bool {
        self.text.replace_range(from..to, "");
        self.cursor = from;
        from != to
    }

    fn left(&self) -> usize {
        let before = &self.text[..self.cursor];
        before
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(index, _)| index)
    }

    fn right(&self) -> usize {
        let after = &self.text[self.cursor..];
        self.cursor + after.graphemes(true).next().map_or(0, str::len)
    }

    fn word_left(&self) -> usize {
        let before = &self.text[..self.cursor];
        let mut words = before.unicode_word_indices();
        words.next_back().map_or(0, |(index, _)| index)
    }

    fn word_right(&self) -> usize {
        let after = &self.text[self.cursor..];
        let mut words = after.unicode_word_indices();
        match words.next() {
            Some((index, word)) => self.cursor + index + word.len(),
            None => self.text.len(),
        }
    }

    /// Draws the field on the first line of `area`, scrolled so that the cursor
    /// is in sight, and sets the terminal's cursor when `active`.
    pub fn draw(&self, frame: &mut Frame, area: Rect, style: Style, active: bool) {
        if area.is_empty() {
            return;
        }
        let room = usize::from(area.width).saturating_sub(1);
        let (start, column) = self.window(room);
        let shown = clip(&self.text[start..], usize::from(area.width));
        let line = Rect { height: 1, ..area };
        frame.render_widget(Span::styled(shown, style), line);
        if active {
            let x = area.x.saturating_add(u16::try_from(column).unwrap_or(0));
            frame.set_cursor_position(Position::new(x, area.y));
        }
    }

    /// Where the visible part begins, and the cursor's column in it.
    fn window(&self, room: usize) -> (usize, usize) {
        let before = &self.text[..self.cursor];
        let mut column = 0;
        let mut start = self.cursor;
        for (index, grapheme) in before.grapheme_indices(true).rev() {
            if column + grapheme.width() > room {
                break;
            }
            column += grapheme.width();
            start = index;
        }
        (start, column)
    }
}

/// As much of the text's beginning as fits into `width` columns.
pub fn clip(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (index, grapheme) in text.grapheme_indices(true) {
        used += grapheme.width();
        if used > width {
            return &text[..index];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut Field, code: KeyCode, modifiers: KeyModifiers) {
        field.on_key(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn graphemes_are_never_split() {
        let mut field = Field::new("a👩‍👩‍👧é");
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(field.text(), "a👩‍👩‍👧");
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(field.text(), "a");
        press(&mut field, KeyCode::Left, KeyModifiers::NONE);
        press(&mut field, KeyCode::Char('ü'), KeyModifiers::NONE);
        assert_eq!(field.text(), "üa");
    }

    #[test]
    fn words_and_ends() {
        let mut field = Field::new("one two  three");
        press(&mut field, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(field.text(), "one two  ");
        press(&mut field, KeyCode::Char('a'), KeyModifiers::CONTROL);
        press(&mut field, KeyCode::Right, KeyModifiers::CONTROL);
        press(&mut field, KeyCode::Char('k'), KeyModifiers::CONTROL);
        assert_eq!(field.text(), "one");
    }

    #[test]
    fn pasted_line_ends_become_spaces() {
        let mut field = Field::default();
        field.insert("a\nb\tc");
        assert_eq!(field.text(), "a b c");
    }

    #[test]
    fn the_cursor_stays_in_the_window() {
        let field = Field::new("日本語テキスト");
        assert_eq!(field.window(5), ("日本語テキ".len(), 4));
        assert_eq!(Field::new("ab").window(5), (0, 2));
        assert_eq!(clip("日本", 3), "日");
    }
}
