//! The multi-line text in which a message is written. Moves and deletes by
//! grapheme, wraps by word, remembers what can be undone and what was sent.
//!
//! A large paste is kept apart: it stands in the text as one character of a
//! private range, is drawn as `[Paste 1: 4.2 kB, 120 lines]`, is moved over and
//! deleted as a whole, and becomes its text again when the message is taken.
//!
//! Not here: sending, keys that the key map binds.

mod edit;
mod rows;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};

use crate::tui::text::{sanitise, text_width};
use rows::{Row, rows};

/// A paste larger than this stands in the text as a placeholder.
const LARGE_CHARS: usize = 1000;
const LARGE_LINES: usize = 10;
/// Messages remembered for the history, and steps for undo.
const HISTORY: usize = 200;
const UNDO: usize = 200;
/// Placeholders are characters from here on.
const PASTES: std::ops::RangeInclusive<char> = '\u{f0000}'..='\u{ffffd}';

/// The styles it is drawn with.
#[derive(Debug, Clone, Copy, Default)]
pub struct ComposerStyles {
    pub text: Style,
    pub placeholder: Style,
    pub paste: Style,
}

/// Text and cursor at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Snapshot {
    text: String,
    cursor: usize,
}

#[derive(Debug, Default)]
pub struct Composer {
    text: String,
    /// A byte index at a grapheme's border.
    cursor: usize,
    pastes: Vec<String>,
    /// The column that moving up and down aims at.
    aim: Option<usize>,
    undo: VecDeque<Snapshot>,
    redo: Vec<Snapshot>,
    /// Whether the last change was typing, which is undone together.
    typing: bool,
    /// What was cut last.
    cut: String,
    history: VecDeque<String>,
    /// The place in the history, from the newest, while looking through it.
    recalled: Option<usize>,
    /// What was being written before looking through the history.
    draft: String,
    width: usize,
    /// The first row in sight.
    scroll: usize,
}

impl Composer {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The message with its pastes, as it will be sent.
    pub fn message(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        for c in self.text.chars() {
            match self.paste_of(c) {
                Some(paste) => out.push_str(paste),
                None => out.push(c),
            }
        }
        out
    }

    /// Takes the message out and remembers it for the history.
    pub fn take(&mut self) -> String {
        let message = self.message().trim_end().to_owned();
        self.remember(&message);
        self.text.clear();
        self.cursor = 0;
        self.pastes.clear();
        self.undo.clear();
        self.redo.clear();
        self.recalled = None;
        self.scroll = 0;
        self.typing = false;
        message
    }

    /// Adds a message to the history, newest last.
    pub fn remember(&mut self, message: &str) {
        if message.trim().is_empty() || self.history.back().is_some_and(|last| last == message) {
            return;
        }
        self.history.push_back(message.to_owned());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// Replaces the whole text; can be undone.
    pub fn set(&mut self, text: &str) {
        self.save();
        self.typing = false;
        self.text = clean(text);
        self.cursor = self.text.len();
    }

    /// Inserts text at the cursor as if typed.
    pub fn insert(&mut self, text: &str) {
        self.save();
        self.typing = false;
        self.insert_raw(&clean(text));
    }

    pub fn newline(&mut self) {
        self.insert("\n");
    }

    /// Inserts a paste: large ones as a placeholder.
    pub fn paste(&mut self, text: &str) {
        let text = clean(text);
        let large = text.len() > LARGE_CHARS && text.chars().nth(LARGE_CHARS).is_some()
            || text.bytes().filter(|&b| b == b'\n').count() >= LARGE_LINES;
        let token = char::from_u32(*PASTES.start() as u32 + self.pastes.len() as u32)
            .filter(|c| PASTES.contains(c));
        match token {
            Some(token) if large => {
                self.save();
                self.typing = false;
                self.pastes.push(text);
                self.insert_raw(token.encode_utf8(&mut [0; 4]));
            }
            _ => self.insert(&text),
        }
    }

    /// Puts an earlier message into the composer; true when there is one.
    pub fn history_previous(&mut self) -> bool {
        let next = self.recalled.map_or(0, |at| at + 1);
        if next >= self.history.len() {
            return false;
        }
        if self.recalled.is_none() {
            self.draft = self.message();
        }
        self.recall(Some(next));
        true
    }

    /// Goes back towards what was being written.
    pub fn history_next(&mut self) -> bool {
        match self.recalled {
            None => return false,
            Some(0) => self.recall(None),
            Some(at) => self.recall(Some(at - 1)),
        }
        true
    }

    fn recall(&mut self, at: Option<usize>) {
        self.recalled = at;
        let text = match at {
            Some(at) => self.history[self.history.len() - 1 - at].clone(),
            None => std::mem::take(&mut self.draft),
        };
        self.text.clear();
        self.cursor = 0;
        self.pastes.clear();
        self.undo.clear();
        self.redo.clear();
        self.typing = false;
        if text.chars().count() > LARGE_CHARS {
            self.pastes.push(text);
            self.insert_raw(PASTES.start().encode_utf8(&mut [0; 4]));
        } else {
            self.insert_raw(&text);
        }
    }

    /// Rows that the text takes at this width.
    pub fn height(&self, width: u16) -> u16 {
        let rows = rows(&self.text, usize::from(width), &|c| self.label_width(c));
        u16::try_from(rows.len()).unwrap_or(u16::MAX)
    }

    /// Draws the text, scrolled so that the cursor is in sight, and puts the
    /// terminal's cursor there when `active`. `hint` stands in an empty one.
    pub fn draw(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        styles: &ComposerStyles,
        hint: &str,
        active: bool,
    ) {
        if area.is_empty() {
            return;
        }
        self.width = usize::from(area.width);
        let rows = self.rows();
        let (row, column) = self.place(&rows);
        let height = usize::from(area.height);
        self.scroll = self
            .scroll
            .min(row)
            .max((row + 1).saturating_sub(height))
            .min(rows.len().saturating_sub(height));
        for (number, row) in rows.iter().skip(self.scroll).take(height).enumerate() {
            let line = Rect {
                y: area.y + number as u16,
                height: 1,
                ..area
            };
            frame.render_widget(self.row_line(row, styles), line);
        }
        if self.text.is_empty() {
            frame.render_widget(Span::styled(hint, styles.placeholder), area);
        }
        if active {
            let x = area.x + (column.min(self.width - 1)) as u16;
            let y = area.y + (row - self.scroll) as u16;
            frame.set_cursor_position(Position::new(x, y));
        }
    }

    fn row_line(&self, row: &Row, styles: &ComposerStyles) -> Line<'static> {
        let mut spans: Vec<Span> = Vec::new();
        let mut plain = String::new();
        for c in self.text[row.begin..row.end].chars() {
            match self.paste_of(c) {
                Some(_) => {
                    if !plain.is_empty() {
                        spans.push(Span::styled(std::mem::take(&mut plain), styles.text));
                    }
                    spans.push(Span::styled(self.label(c), styles.paste));
                }
                None if c == '\t' => plain.push_str("    "),
                None => plain.push(c),
            }
        }
        spans.push(Span::styled(plain, styles.text));
        Line::from(spans)
    }

    fn rows(&self) -> Vec<Row> {
        rows(&self.text, self.width.max(2), &|c| self.label_width(c))
    }

    /// The cursor's row and column.
    fn place(&self, rows: &[Row]) -> (usize, usize) {
        let row = rows
            .partition_point(|row| row.begin <= self.cursor)
            .saturating_sub(1);
        let begin = rows.get(row).map_or(0, |row| row.begin);
        let before = &self.text[begin..self.cursor.max(begin)];
        (row, rows::width(before, &|c| self.label_width(c)))
    }

    fn paste_of(&self, c: char) -> Option<&String> {
        PASTES
            .contains(&c)
            .then(|| {
                self.pastes
                    .get((c as u32 - *PASTES.start() as u32) as usize)
            })
            .flatten()
    }

    fn label(&self, c: char) -> String {
        let Some(paste) = self.paste_of(c) else {
            return String::new();
        };
        let number = c as u32 - *PASTES.start() as u32 + 1;
        let size = match paste.len() {
            bytes if bytes < 1000 => format!("{bytes} B"),
            bytes if bytes < 1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
            bytes => format!("{:.1} MB", bytes as f64 / 1e6),
        };
        match paste.trim_end().lines().count() {
            0 | 1 => format!("[Paste {number}: {size}]"),
            lines => format!("[Paste {number}: {size}, {lines} lines]"),
        }
    }

    /// Cells of a placeholder; `None` for ordinary characters.
    fn label_width(&self, c: char) -> Option<usize> {
        self.paste_of(c).map(|_| text_width(&self.label(c)))
    }
}

/// Pasted text without control characters and without our own placeholders.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    sanitise(&text)
        .chars()
        .filter(|c| !PASTES.contains(c))
        .collect()
}
