//! One keypress with its modifiers, as key-map files write it: `ctrl-p`,
//! `alt-enter`, `f1`, `G`, `/`.
//!
//! Invariant: a chord is normal, so that equal keypresses are equal chords: a
//! letter carries its case and never Shift, Back-Tab is Shift-Tab.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
pub struct Chord {
    pub code: KeyCode,
    pub modifiers: KeyModifiers,
}

/// Why a chord could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChordError {
    #[error(
        "there is no key `{0}`. Keys are single characters, f1 to f12, enter, esc, tab, space, \
         backspace, delete, insert, up, down, left, right, home, end, pageup and pagedown, \
         after ctrl-, alt- or shift-"
    )]
    UnknownKey(String),
    #[error("terminals send `{0}` as `{1}`: bind that instead")]
    Indistinct(String, &'static str),
    #[error("many terminals cannot send `{0}`: leave out the Shift or use another letter")]
    Unsendable(String),
    #[error("there is no key in it")]
    Empty,
}

const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("space", KeyCode::Char(' ')),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
];

impl Chord {
    pub fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let known = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let mut modifiers = modifiers & known;
        let code = match code {
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            KeyCode::Char(c) => {
                let shift = modifiers.contains(KeyModifiers::SHIFT);
                modifiers -= KeyModifiers::SHIFT;
                let control = modifiers.contains(KeyModifiers::CONTROL);
                match (control, shift) {
                    // Control letters have no case in most terminals.
                    (true, _) => KeyCode::Char(c.to_ascii_lowercase()),
                    (false, true) => KeyCode::Char(c.to_ascii_uppercase()),
                    (false, false) => KeyCode::Char(c),
                }
            }
            other => other,
        };
        Self { code, modifiers }
    }

    /// Whether this is a character that a text field would insert.
    pub fn is_text(&self) -> bool {
        matches!(self.code, KeyCode::Char(_))
            && !self
                .modifiers
                .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
    }

    /// Whether a text field uses this key to move or delete.
    pub fn is_editing(&self) -> bool {
        use KeyCode::*;
        matches!(self.code, Left | Right | Home | End | Backspace | Delete)
    }

    pub fn parse(text: &str) -> Result<Self, ChordError> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(ChordError::Empty);
        }
        // A lone `-`, or the `-` of `ctrl--`, is the key itself.
        while let Some((prefix, key)) = rest
            .split_once('-')
            .filter(|(p, k)| !p.is_empty() && !k.is_empty())
        {
            modifiers |= match prefix.to_ascii_lowercase().as_str() {
                "ctrl" | "c" => KeyModifiers::CONTROL,
                "alt" | "meta" | "m" | "a" => KeyModifiers::ALT,
                "shift" | "s" => KeyModifiers::SHIFT,
                _ => return Err(ChordError::UnknownKey(text.into())),
            };
            rest = key;
        }
        let code = key_code(rest).ok_or_else(|| ChordError::UnknownKey(text.into()))?;
        sendable(text, code, modifiers)?;
        Ok(Self::new(code, modifiers))
    }
}

fn key_code(name: &str) -> Option<KeyCode> {
    let mut characters = name.chars();
    if let (Some(c), None) = (characters.next(), characters.next()) {
        return (!c.is_control()).then_some(KeyCode::Char(c));
    }
    let lower = name.to_ascii_lowercase();
    if let Some(number) = lower.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()) {
        return (1..=12).contains(&number).then_some(KeyCode::F(number));
    }
    NAMED
        .iter()
        .find(|(known, _)| *known == lower)
        .map(|(_, code)| *code)
}

/// Refuses chords that look like others, or like nothing, on a plain terminal.
fn sendable(text: &str, code: KeyCode, modifiers: KeyModifiers) -> Result<(), ChordError> {
    let control = modifiers.contains(KeyModifiers::CONTROL);
    let shift = modifiers.contains(KeyModifiers::SHIFT);
    let indistinct = |same| Err(ChordError::Indistinct(text.into(), same));
    match code {
        KeyCode::Char('i' | 'I') if control => indistinct("tab"),
        KeyCode::Char('m' | 'M') if control => indistinct("enter"),
        KeyCode::Char('h' | 'H') if control => indistinct("backspace"),
        KeyCode::Char('[') if control => indistinct("esc"),
        KeyCode::Enter if control || shift => indistinct("enter"),
        KeyCode::Tab if control => indistinct("tab"),
        KeyCode::Esc if control || shift => indistinct("esc"),
        KeyCode::Char(_) if control && shift => Err(ChordError::Unsendable(text.into())),
        KeyCode::Char(c) if control && !(c.is_ascii_alphabetic() || c == ' ') => {
            Err(ChordError::Unsendable(text.into()))
        }
        _ => Ok(()),
    }
}

impl From<KeyEvent> for Chord {
    fn from(key: KeyEvent) -> Self {
        Self::new(key.code, key.modifiers)
    }
}

/// As people read it: `Ctrl-P`, `Alt-Enter`, `F1`, `g`, `G`.
impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let control = self.modifiers.contains(KeyModifiers::CONTROL);
        if control {
            f.write_str("Ctrl-")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            f.write_str("Alt-")?;
        }
        if self.modifiers.contains(KeyModifiers::SHIFT) {
            f.write_str("Shift-")?;
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(c) if control => write!(f, "{}", c.to_ascii_uppercase()),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(number) => write!(f, "F{number}"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::Up => f.write_str("↑"),
            KeyCode::Down => f.write_str("↓"),
            KeyCode::Left => f.write_str("←"),
            KeyCode::Right => f.write_str("→"),
            code => write!(f, "{code}"),
        }
    }
}

/// A chord sequence such as `g g` or `ctrl-x ctrl-c`.
pub fn parse_sequence(text: &str) -> Result<Vec<Chord>, ChordError> {
    let chords: Vec<Chord> = text
        .split_whitespace()
        .map(Chord::parse)
        .collect::<Result<_, _>>()?;
    match chords.is_empty() {
        true => Err(ChordError::Empty),
        false => Ok(chords),
    }
}

/// A sequence as people read it.
pub fn show_sequence(chords: &[Chord]) -> String {
    let words: Vec<String> = chords.iter().map(Chord::to_string).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_read_and_show() {
        for (text, shown) in [
            ("ctrl-p", "Ctrl-P"),
            ("alt-1", "Alt-1"),
            ("f1", "F1"),
            ("G", "G"),
            ("shift-g", "G"),
            ("-", "-"),
            ("alt--", "Alt--"),
            ("shift-tab", "Shift-Tab"),
            ("alt-enter", "Alt-Enter"),
            ("space", "Space"),
            ("C-M-x", "Ctrl-Alt-X"),
        ] {
            assert_eq!(Chord::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn keypresses_equal_their_chords() {
        let back_tab = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(Chord::from(back_tab), Chord::parse("shift-tab").unwrap());
        let capital = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(Chord::from(capital), Chord::parse("G").unwrap());
        let question = KeyEvent::new(KeyCode::Char('?'), KeyModifiers::SHIFT);
        assert_eq!(Chord::from(question), Chord::parse("?").unwrap());
    }

    #[test]
    fn what_a_terminal_cannot_send_is_refused() {
        for text in [
            "ctrl-i",
            "ctrl-m",
            "ctrl-shift-p",
            "shift-enter",
            "ctrl-1",
            "hyper-x",
            "f13",
            "ctrl-",
            "",
        ] {
            assert!(Chord::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sequences() {
        let chords = parse_sequence("ctrl-x ctrl-c").unwrap();
        assert_eq!(show_sequence(&chords), "Ctrl-X Ctrl-C");
        assert!(parse_sequence("  ").is_err());
    }
}
