//! Changing the text by keys.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation;

use super::{Composer, PASTES, Snapshot, UNDO, rows};

impl Composer {
    /// Edits by a key. False when the key means nothing here.
    pub fn on_key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let vertical = matches!(key.code, KeyCode::Up | KeyCode::Down);
        if !vertical {
            self.aim = None;
        }
        match key.code {
            KeyCode::Char(c) if control => return self.control(c),
            KeyCode::Char(c) if alt => return self.meta(c),
            KeyCode::Char(c) => self.type_char(c),
            KeyCode::Backspace if alt || control => self.cut(self.word_left(), self.cursor),
            KeyCode::Backspace => self.remove(self.left(), self.cursor),
            KeyCode::Delete if alt || control => self.cut(self.cursor, self.word_right()),
            KeyCode::Delete => self.remove(self.cursor, self.right()),
            KeyCode::Left if alt || control => self.go(self.word_left()),
            KeyCode::Right if alt || control => self.go(self.word_right()),
            KeyCode::Left => self.go(self.left()),
            KeyCode::Right => self.go(self.right()),
            KeyCode::Home if control => self.go(0),
            KeyCode::End if control => self.go(self.text.len()),
            KeyCode::Home => self.go(self.line_start()),
            KeyCode::End => self.go(self.line_end()),
            KeyCode::Up => return self.up(),
            KeyCode::Down => return self.down(),
            _ => return false,
        }
        true
    }

    fn control(&mut self, c: char) -> bool {
        match c {
            'a' => self.go(self.line_start()),
            'e' => self.go(self.line_end()),
            'b' => self.go(self.left()),
            'f' => self.go(self.right()),
            'h' => self.remove(self.left(), self.cursor),
            'd' => self.remove(self.cursor, self.right()),
            'w' => self.cut(self.word_left(), self.cursor),
            'u' => self.cut(self.line_start(), self.cursor),
            'k' => {
                let end = self.line_end();
                self.cut(
                    self.cursor,
                    if end == self.cursor {
                        self.right()
                    } else {
                        end
                    },
                );
            }
            'y' => {
                let cut = self.cut.clone();
                self.save();
                self.insert_raw(&cut);
            }
            // Terminals send the same byte for Ctrl-_, Ctrl-/ and Ctrl-7.
            '_' | '/' | '7' => self.undo(),
            _ => return false,
        }
        true
    }

    fn meta(&mut self, c: char) -> bool {
        match c {
            'b' => self.go(self.word_left()),
            'f' => self.go(self.word_right()),
            'd' => self.cut(self.cursor, self.word_right()),
            'z' => self.undo(),
            'Z' => self.redo(),
            _ => return false,
        }
        true
    }

    fn type_char(&mut self, c: char) {
        if c.is_control() || PASTES.contains(&c) {
            return;
        }
        // A word is undone at once.
        if !self.typing || c == ' ' {
            self.save();
        }
        self.typing = true;
        self.insert_raw(c.encode_utf8(&mut [0; 4]));
    }

    /// One row up; at the first row into the history, when that cannot lose a
    /// place in the text.
    fn up(&mut self) -> bool {
        let rows = self.rows();
        let (row, column) = self.place(&rows);
        let browsing = self.recalled.is_some() && (row == 0 || self.cursor == self.text.len());
        if self.text.is_empty() || self.cursor == 0 || browsing {
            return self.history_previous();
        }
        match row {
            0 => self.go(0),
            _ => self.aim_at(&rows[row - 1], column),
        }
        true
    }

    fn down(&mut self) -> bool {
        let rows = self.rows();
        let (row, column) = self.place(&rows);
        if row + 1 < rows.len() {
            self.aim_at(&rows[row + 1], column);
        } else if self.recalled.is_some() {
            return self.history_next();
        } else {
            self.go(self.text.len());
        }
        true
    }

    fn aim_at(&mut self, row: &rows::Row, column: usize) {
        let aim = *self.aim.get_or_insert(column);
        let mut used = 0;
        let text = &self.text[row.begin..row.end];
        let last_of_wrapped = row.end < self.text.len() && !self.text[row.end..].starts_with('\n');
        let mut target = row.begin;
        for (at, grapheme) in text.grapheme_indices(true) {
            if used >= aim {
                break;
            }
            used += rows::width(grapheme, &|c| self.label_width(c));
            let after = row.begin + at + grapheme.len();
            // The end of a wrapped row is the beginning of the next.
            if after < row.end || !last_of_wrapped {
                target = after;
            }
        }
        self.cursor = target;
        self.typing = false;
    }

    pub(super) fn insert_raw(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    fn go(&mut self, cursor: usize) {
        self.cursor = cursor;
        self.typing = false;
    }

    fn remove(&mut self, from: usize, to: usize) {
        if from < to {
            self.save();
            self.typing = false;
            self.text.replace_range(from..to, "");
            self.cursor = from;
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.text[from..to].to_owned();
            self.remove(from, to);
        }
    }

    /// Remembers the present text before it changes.
    pub(super) fn save(&mut self) {
        let now = Snapshot {
            text: self.text.clone(),
            cursor: self.cursor,
        };
        self.redo.clear();
        self.undo.push_back(now);
        if self.undo.len() > UNDO {
            self.undo.pop_front();
        }
    }

    fn undo(&mut self) {
        if let Some(before) = self.undo.pop_back() {
            let now = self.restore(before);
            self.redo.push(now);
        }
    }

    fn redo(&mut self) {
        if let Some(after) = self.redo.pop() {
            let now = self.restore(after);
            self.undo.push_back(now);
        }
    }

    fn restore(&mut self, snapshot: Snapshot) -> Snapshot {
        self.typing = false;
        Snapshot {
            cursor: std::mem::replace(&mut self.cursor, snapshot.cursor),
            text: std::mem::replace(&mut self.text, snapshot.text),
        }
    }

    fn left(&self) -> usize {
        let mut before = self.text[..self.cursor].grapheme_indices(true);
        before.next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        let after = self.text[self.cursor..].graphemes(true).next();
        self.cursor + after.map_or(0, str::len)
    }

    fn word_left(&self) -> usize {
        let before = &self.text[..self.cursor];
        let mut words = before.split_word_bound_indices();
        let word = words.rfind(|(_, word)| !word.trim().is_empty());
        word.map_or(0, |(at, _)| at)
    }

    fn word_right(&self) -> usize {
        let after = &self.text[self.cursor..];
        let mut words = after.split_word_bound_indices();
        let word = words.find(|(_, word)| !word.trim().is_empty());
        word.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..]
            .find('\n')
            .map_or(self.text.len(), |at| self.cursor + at)
    }
}
