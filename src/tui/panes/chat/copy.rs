//! Copying: the message at once, or a choice by letters when there is code.

use crossterm::event::{KeyCode, KeyEvent};

use super::{ChatPane, notify};
use crate::tui::message::Effect;

/// What each letter copies, and the row of the view that it stands on.
pub(super) struct Labels {
    pub codes: Vec<(char, usize, String)>,
    message: String,
}

impl ChatPane {
    /// Copies the selected message, or the last. With code in sight a letter
    /// chooses between the code blocks and, by the same key, the message.
    pub(super) fn copy(&mut self) -> Vec<Effect> {
        let cell = self
            .transcript
            .selected()
            .or_else(|| self.transcript.cells().last());
        let Some(message) = cell.map(|cell| cell.source().to_owned()) else {
            return Vec::new();
        };
        let letters = ('a'..='z').filter(|letter| *letter != 'y');
        let codes = self.transcript.codes_in_sight();
        let codes: Vec<_> = letters
            .zip(codes)
            .map(|(letter, at)| (letter, at.row, at.code.text))
            .collect();
        if codes.is_empty() {
            return vec![Effect::Copy(message)];
        }
        self.copying = Some(Labels { codes, message });
        notify("A letter copies that code block, y the whole message.")
    }

    pub(super) fn copy_label(&mut self, key: KeyEvent, labels: Labels) -> Vec<Effect> {
        let KeyCode::Char(letter) = key.code else {
            return Vec::new();
        };
        if letter == 'y' {
            return vec![Effect::Copy(labels.message)];
        }
        let code = labels
            .codes
            .into_iter()
            .find(|(label, ..)| *label == letter);
        code.map_or(Vec::new(), |(_, _, text)| vec![Effect::Copy(text)])
    }
}
