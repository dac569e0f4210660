//! Wraps styled spans to a number of cells.
//!
//! Invariants: no line is wider than the width asked for (which is at least
//! [`MINIMUM`], what the widest character needs); no character but white space
//! at a break is lost; styles stay with their characters.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;

use super::width::grapheme_width;

/// Cells between tab stops.
pub const TAB: usize = 4;
/// The narrowest line there is.
const MINIMUM: usize = 2;

/// Where a line may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// Between words, and beside wide characters; white space at a break goes.
    Words,
    /// Anywhere; every character stays (for code).
    Anywhere,
}

/// Breaks `spans` into lines of at most `width` cells. A line feed ends a line.
pub fn wrap(spans: &[Span<'_>], width: usize, mode: Wrap) -> Vec<Line<'static>> {
    let mut builder = Builder::new(width.max(MINIMUM), mode);
    for span in spans {
        for grapheme in span.content.graphemes(true) {
            match grapheme {
                "\n" | "\r\n" => builder.line_feed(),
                "\t" => builder.tab(span.style),
                _ => builder.push(grapheme, span.style),
            }
        }
    }
    builder.finish()
}

/// As [`wrap`] for text of one style.
pub fn wrap_text(text: &str, style: Style, width: usize) -> Vec<Line<'static>> {
    wrap(&[Span::styled(text, style)], width, Wrap::Words)
}

/// Adjacent characters of one style.
#[derive(Default)]
struct Run {
    spans: Vec<Span<'static>>,
    width: usize,
}

impl Run {
    fn push(&mut self, grapheme: &str, style: Style, width: usize) {
        self.width += width;
        if let Some(last) = self.spans.last_mut()
            && last.style == style
        {
            last.content.to_mut().push_str(grapheme);
            return;
        }
        self.spans.push(Span::styled(grapheme.to_owned(), style));
    }

    fn append(&mut self, other: &mut Run) {
        self.width += std::mem::take(&mut other.width);
        for span in other.spans.drain(..) {
            match self.spans.last_mut() {
                Some(last) if last.style == span.style => {
                    last.content.to_mut().push_str(&span.content)
                }
                _ => self.spans.push(span),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.width = 0;
    }

    fn take_line(&mut self) -> Line<'static> {
        self.width = 0;
        Line::from(std::mem::take(&mut self.spans))
    }
}

/// The line so far is `line`, then the white space `gap`, then the unfinished
/// `word`; only what is in `line` is sure to stay on it.
struct Builder {
    width: usize,
    mode: Wrap,
    lines: Vec<Line<'static>>,
    line: Run,
    gap: Run,
    word: Run,
    /// Whether this line began at a soft break: its leading spaces go.
    continued: bool,
}

impl Builder {
    fn new(width: usize, mode: Wrap) -> Self {
        Self {
            width,
            mode,
            lines: Vec::new(),
            line: Run::default(),
            gap: Run::default(),
            word: Run::default(),
            continued: false,
        }
    }

    fn column(&self) -> usize {
        self.line.width + self.gap.width + self.word.width
    }

    fn tab(&mut self, style: Style) {
        for _ in 0..TAB - self.column() % TAB {
            self.push(" ", style);
        }
    }

    fn push(&mut self, grapheme: &str, style: Style) {
        let width = grapheme_width(grapheme);
        if self.mode == Wrap::Anywhere {
            if self.line.width + width > self.width {
                self.soft_break();
            }
            self.line.push(grapheme, style, width);
        } else if grapheme == " " {
            self.settle_word();
            self.gap.push(grapheme, style, width);
        } else {
            if width == 2 {
                self.settle_word();
            }
            self.push_word(grapheme, style, width);
            if width == 2 {
                self.settle_word();
            }
        }
    }

    fn push_word(&mut self, grapheme: &str, style: Style, width: usize) {
        if self.column() + width > self.width && !(self.line.is_empty() && self.gap.is_empty()) {
            // The word moves to the next line, the gap before it goes. An
            // indented first word leaves no empty line behind.
            self.gap.clear();
            if !self.line.is_empty() {
                self.soft_break();
            }
        }
        if self.column() + width > self.width {
            self.line.append(&mut self.word);
            self.soft_break();
        }
        self.word.push(grapheme, style, width);
    }

    /// What is in `word` fits: it joins the line for good.
    fn settle_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        if self.continued && self.line.is_empty() {
            self.gap.clear();
        }
        self.line.append(&mut self.gap);
        self.line.append(&mut self.word);
    }

    fn soft_break(&mut self) {
        let line = self.line.take_line();
        self.lines.push(line);
        self.continued = true;
    }

    fn line_feed(&mut self) {
        self.settle_word();
        self.gap.clear();
        let line = self.line.take_line();
        self.lines.push(line);
        self.continued = false;
    }

    fn finish(mut self) -> Vec<Line<'static>> {
        self.settle_word();
        if !self.line.is_empty() || self.lines.is_empty() {
            let line = self.line.take_line();
            self.lines.push(line);
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::{Color, Stylize};

    use super::*;
    use crate::tui::text::text_width;

    fn plain(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|line| line.spans.iter().map(|s| s.content.as_ref()).collect())
            .collect()
    }

    #[test]
    fn lines_break_where_a_reader_expects() {
        for (text, width, expected) in [
            ("the quick brown fox", 10, vec!["the quick", "brown fox"]),
            ("one  two", 20, vec!["one  two"]),
            ("a\nb", 10, vec!["a", "b"]),
            ("abcdefghij", 4, vec!["abcd", "efgh", "ij"]),
            ("x abcdefghij", 4, vec!["x", "abcd", "efgh", "ij"]),
            ("漢字かな交じり", 6, vec!["漢字か", "な交じ", "り"]),
            ("go 漢字", 5, vec!["go 漢", "字"]),
            ("", 5, vec![""]),
            ("a\tb", 10, vec!["a   b"]),
            ("👩‍👩‍👧👩‍👩‍👧 ok", 4, vec!["👩‍👩‍👧👩‍👩‍👧", "ok"]),
        ] {
            let lines = wrap(&[Span::raw(text)], width, Wrap::Words);
            assert_eq!(plain(&lines), expected, "{text:?} at {width}");
        }
    }

    #[test]
    fn code_keeps_every_space() {
        let lines = wrap(&[Span::raw("    let  x;")], 6, Wrap::Anywhere);
        assert_eq!(plain(&lines), ["    le", "t  x;"]);
    }

    #[test]
    fn styles_follow_their_characters() {
        let spans = [
            Span::raw("ab "),
            "cd".bold(),
            Span::raw("ef gh").fg(Color::Red),
        ];
        let lines = wrap(&spans, 7, Wrap::Words);
        assert_eq!(plain(&lines), ["ab cdef", "gh"]);
        assert_eq!(lines[0].spans[1], "cd".bold());
        assert_eq!(lines[1].spans[0], Span::raw("gh").fg(Color::Red));
    }

    fn letters(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(
            parts in prop::collection::vec("[ -~\n\t漢字é👩‍👧🇫🇷]{0,24}|\\PC{0,12}", 0..6),
            width in 2usize..30,
            code in any::<bool>(),
        ) {
            let spans: Vec<_> = parts
                .iter()
                .enumerate()
                .map(|(i, part)| Span::styled(part.as_str(), Style::new().fg(Color::Indexed(i as u8))))
                .collect();
            let mode = if code { Wrap::Anywhere } else { Wrap::Words };
            let lines = plain(&wrap(&spans, width, mode));
            for line in &lines {
                prop_assert!(text_width(line) <= width, "{line:?} is wider than {width}");
            }
            prop_assert_eq!(letters(&lines.concat()), letters(&parts.concat()));
        }

        #[test]
        fn code_loses_not_even_white_space(text in "[ -~漢字]{0,60}", width in 2usize..20) {
            let lines = plain(&wrap(&[Span::raw(text.as_str())], width, Wrap::Anywhere));
            prop_assert_eq!(lines.concat(), text);
        }
    }
}
