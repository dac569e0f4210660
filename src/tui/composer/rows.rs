//! Which part of the text stands on which row. Unlike wrapping for reading,
//! every character belongs to exactly one row, so that the cursor has a place.

use unicode_segmentation::UnicodeSegmentation;

use crate::tui::text::{TAB, grapheme_width};

/// Bytes `begin..end` of the text; a line feed belongs to no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub begin: usize,
    pub end: usize,
}

/// Cells of some characters; `special` gives those of placeholders.
pub(super) fn width(text: &str, special: &dyn Fn(char) -> Option<usize>) -> usize {
    text.graphemes(true).map(|g| one(g, special)).sum()
}

fn one(grapheme: &str, special: &dyn Fn(char) -> Option<usize>) -> usize {
    match grapheme {
        "\t" => TAB,
        _ => grapheme
            .chars()
            .next()
            .and_then(special)
            .unwrap_or_else(|| grapheme_width(grapheme)),
    }
}

/// Breaks the text at line feeds, and after spaces where it is too wide. A
/// row's last space may stand beyond the edge; there is always a row.
pub(super) fn rows(text: &str, width: usize, special: &dyn Fn(char) -> Option<usize>) -> Vec<Row> {
    let mut out = Vec::new();
    let mut begin = 0;
    let mut used = 0;
    // After the latest space of this row, and the cells up to there.
    let mut space = None;
    for (at, grapheme) in text.grapheme_indices(true) {
        if grapheme == "\n" {
            out.push(Row { begin, end: at });
            (begin, used, space) = (at + 1, 0, None);
            continue;
        }
        let cells = one(grapheme, special);
        // One cell stays free, where the cursor stands after the last character.
        if used + cells >= width && used > 0 && grapheme != " " {
            let (cut, before) = space.unwrap_or((at, used));
            out.push(Row { begin, end: cut });
            (begin, used, space) = (cut, used - before, None);
        }
        used += cells;
        if grapheme == " " {
            space = Some((at + 1, used));
        }
    }
    out.push(Row {
        begin,
        end: text.len(),
    });
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(text: &str, width: usize) -> Vec<&str> {
        rows(text, width, &|_| None)
            .iter()
            .map(|row| &text[row.begin..row.end])
            .collect()
    }

    #[test]
    fn rows_break_after_spaces() {
        for (text, width, expected) in [
            ("", 10, vec![""]),
            ("one two three", 9, vec!["one two ", "three"]),
            ("a\n\nb\n", 9, vec!["a", "", "b", ""]),
            ("abcdefgh", 5, vec!["abcd", "efgh"]),
            ("漢字漢字", 6, vec!["漢字", "漢字"]),
        ] {
            assert_eq!(show(text, width), expected, "{text:?} at {width}");
        }
    }

    proptest! {
        #[test]
        fn every_character_has_one_row(text in "[ a-z\n漢é👩‍👧]{0,80}", width in 3usize..20) {
            let rows = rows(&text, width, &|_| None);
            let mut at = 0;
            for row in &rows {
                prop_assert!(row.begin == at || (row.begin == at + 1 && text.as_bytes()[at] == b'\n'));
                prop_assert!(super::width(text[row.begin..row.end].trim_end_matches(' '), &|_| None) <= width);
                at = row.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
