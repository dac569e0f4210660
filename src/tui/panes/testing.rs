//! A screen without a terminal, for the tests of panes: keys and messages go in
//! through the real `update` and key map, effects and a picture come out.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};

use crate::tui::{
    keymap::{Keymap, chord},
    message::{Effect, Message},
    pane::PaneId,
    state::State,
    theme::Theme,
    types::*,
    update::update,
};

pub struct Screen {
    pub state: State,
    /// What was asked for since it was last taken.
    pub effects: Vec<Effect>,
}

impl Screen {
    pub fn new(pane: PaneId) -> Self {
        let device = DeviceInfo {
            backend: Backend::Cpu,
            name: "Test CPU".into(),
            memory_total: 24_000_000_000,
            memory_available: 22_000_000_000,
            threads: 8,
            unified_memory: true,
        };
        let keymap = Arc::new(Keymap::built_in());
        let mut state = State::new(keymap, Arc::new(Theme::plain("test")), device, (120, 40));
        state.show(pane);
        Self {
            state,
            effects: Vec::new(),
        }
    }

    pub fn send(&mut self, message: Message) {
        let effects = update(&mut self.state, message);
        self.effects.extend(effects);
    }

    /// Presses keys by their names in key maps, such as `alt-enter`.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for chord in chord::parse_sequence(keys).expect("keys that exist") {
            self.send(Message::Key(KeyEvent::new(chord.code, chord.modifiers)));
        }
        self
    }

    pub fn typed(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.send(Message::Key(KeyEvent::new(
                KeyCode::Char(c),
                KeyModifiers::NONE,
            )));
        }
        self
    }

    pub fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The focused pane on an area of this size; times of day are hidden.
    pub fn picture(&mut self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
        let theme = self.state.theme.clone();
        let shared = self.state.shared.clone();
        let pane = self.state.panes.get_mut(shared.focus);
        terminal
            .draw(|frame| pane.draw(frame, frame.area(), &theme, &shared))
            .expect("a frame");
        let buffer = terminal.backend().buffer();
        let row = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        };
        let text: Vec<String> = (0..height).map(|y| row(y).trim_end().to_owned()).collect();
        let time = regex::Regex::new(r"\b\d\d:\d\d\b").expect("a pattern");
        time.replace_all(&text.join("\n"), "10:41").into_owned()
    }
}
