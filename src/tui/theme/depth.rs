//! How many colours the terminal shows, and the nearest of them to any colour.

use ratatui::style::Color;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// No colours: NO_COLOR is set, or the terminal has none.
    Mono,
    /// The terminal's own sixteen.
    Ansi,
    /// xterm's 256.
    Indexed,
    /// Red, green and blue of 8 bits each.
    True,
}

impl Depth {
    /// Reads the environment's NO_COLOR, COLORTERM and TERM.
    pub fn detect() -> Self {
        Self::from_environment(|name| std::env::var(name).ok())
    }

    fn from_environment(get: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name| get(name).unwrap_or_default().to_ascii_lowercase();
        let (color_term, term) = (value("COLORTERM"), value("TERM"));
        const TRUE: [&str; 6] = ["direct", "kitty", "alacritty", "wezterm", "ghostty", "foot"];
        if !value("NO_COLOR").is_empty() || term == "dumb" {
            Self::Mono
        } else if ["truecolor", "24bit"]
            .iter()
            .any(|name| color_term.contains(name))
            || TRUE.iter().any(|name| term.contains(name))
        {
            Self::True
        } else if term.contains("256") {
            Self::Indexed
        } else {
            Self::Ansi
        }
    }

    /// The nearest colour that this depth has.
    pub fn reduce(self, color: Color) -> Color {
        match (self, color) {
            (Self::Mono, _) => Color::Reset,
            (Self::True, color) => color,
            (Self::Indexed, Color::Rgb(r, g, b)) => Color::Indexed(nearest_indexed([r, g, b])),
            (Self::Ansi, Color::Rgb(r, g, b)) => nearest_ansi([r, g, b]),
            (Self::Ansi, Color::Indexed(index)) if index < 16 => ANSI[usize::from(index)].0,
            (Self::Ansi, Color::Indexed(index)) => nearest_ansi(indexed(index)),
            (_, color) => color,
        }
    }
}

/// xterm's values of the sixteen.
const ANSI: [(Color, [u8; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [205, 0, 0]),
    (Color::Green, [0, 205, 0]),
    (Color::Yellow, [205, 205, 0]),
    (Color::Blue, [0, 0, 238]),
    (Color::Magenta, [205, 0, 205]),
    (Color::Cyan, [0, 205, 205]),
    (Color::Gray, [229, 229, 229]),
    (Color::DarkGray, [127, 127, 127]),
    (Color::LightRed, [255, 0, 0]),
    (Color::LightGreen, [0, 255, 0]),
    (Color::LightYellow, [255, 255, 0]),
    (Color::LightBlue, [92, 92, 255]),
    (Color::LightMagenta, [255, 0, 255]),
    (Color::LightCyan, [0, 255, 255]),
    (Color::White, [255, 255, 255]),
];

/// The levels of the 6×6×6 cube.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Red, green and blue of an index from 16 on.
fn indexed(index: u8) -> [u8; 3] {
    match index {
        16..=231 => {
            let cell = usize::from(index - 16);
            [CUBE[cell / 36], CUBE[cell / 6 % 6], CUBE[cell % 6]]
        }
        232..=255 => [8 + 10 * (index - 232); 3],
        _ => ANSI[usize::from(index)].1,
    }
}

fn nearest_indexed(wanted: [u8; 3]) -> u8 {
    (16..=255)
        .min_by_key(|index| distance(wanted, indexed(*index)))
        .unwrap_or(15)
}

fn nearest_ansi(wanted: [u8; 3]) -> Color {
    let nearest = ANSI.iter().min_by_key(|(_, rgb)| distance(wanted, *rgb));
    nearest.map_or(Color::Reset, |(color, _)| *color)
}

/// Squared distance, weighted by how strongly the eye sees each primary.
fn distance(a: [u8; 3], b: [u8; 3]) -> i32 {
    let square = |i: usize| (i32::from(a[i]) - i32::from(b[i])).pow(2);
    2 * square(0) + 4 * square(1) + 3 * square(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(pairs: &[(&str, &str)]) -> Depth {
        Depth::from_environment(|name| {
            let pair = pairs.iter().find(|(known, _)| *known == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_decides() {
        assert_eq!(detect(&[("TERM", "xterm-256color")]), Depth::Indexed);
        assert_eq!(
            detect(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]),
            Depth::True
        );
        assert_eq!(
            detect(&[("TERM", "xterm-kitty"), ("NO_COLOR", "1")]),
            Depth::Mono
        );
        assert_eq!(
            detect(&[("TERM", "xterm-kitty"), ("NO_COLOR", "")]),
            Depth::True
        );
        assert_eq!(detect(&[("TERM", "linux")]), Depth::Ansi);
        assert_eq!(detect(&[]), Depth::Ansi);
    }

    #[test]
    fn the_nearest_colour_is_taken() {
        let grey = Color::Rgb(118, 118, 118);
        assert_eq!(Depth::Indexed.reduce(grey), Color::Indexed(243));
        assert_eq!(Depth::Ansi.reduce(Color::Rgb(250, 10, 10)), Color::LightRed);
        assert_eq!(Depth::Ansi.reduce(Color::Indexed(196)), Color::LightRed);
        assert_eq!(Depth::Mono.reduce(grey), Color::Reset);
        assert_eq!(Depth::Ansi.reduce(Color::Cyan), Color::Cyan);
    }
}
