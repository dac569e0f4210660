//! How many cells a text takes, and cutting or filling it to a number of cells.
//! Counts as ratatui does: grapheme cluster by grapheme cluster.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells of one grapheme cluster: 0, 1 or 2.
pub fn grapheme_width(grapheme: &str) -> usize {
    if grapheme.len() == 1 {
        return usize::from(!grapheme.as_bytes()[0].is_ascii_control());
    }
    grapheme.width().min(2)
}

/// Cells of a line of text.
pub fn text_width(text: &str) -> usize {
    if text.is_ascii() {
        return text.bytes().filter(|b| !b.is_ascii_control()).count();
    }
    text.graphemes(true).map(grapheme_width).sum()
}

/// The longest prefix of `text` that takes at most `width` cells.
pub fn clip(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += grapheme_width(grapheme);
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// `text` in at most `width` cells; what does not fit ends in `…`.
pub fn fit(text: &str, width: usize) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    let mut out = clip(text, width - 1).trim_end().to_owned();
    out.push('…');
    out
}

/// `text` in exactly `width` cells, filled on the right.
pub fn pad_right(text: &str, width: usize) -> String {
    let mut out = fit(text, width);
    let missing = width.saturating_sub(text_width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// `text` in exactly `width` cells, filled on the left.
pub fn pad_left(text: &str, width: usize) -> String {
    let out = fit(text, width);
    let missing = width.saturating_sub(text_width(&out));
    format!("{}{out}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_and_joined_characters_count_as_drawn() {
        assert_eq!(text_width("漢字"), 4);
        assert_eq!(text_width("é"), 1);
        assert_eq!(text_width("👩‍👩‍👧"), 2);
        assert_eq!(fit("漢字かな", 5), "漢字…");
        assert_eq!(pad_right("漢", 4), "漢  ");
        assert_eq!(pad_left("12", 4), "  12");
        assert_eq!(fit("abc", 0), "");
    }

    proptest! {
        #[test]
        fn fitted_text_is_never_wider(text in "\\PC{0,30}", width in 0usize..20) {
            prop_assert!(text_width(&fit(&text, width)) <= width);
            prop_assert_eq!(text_width(&pad_right(&text, width)), width);
            prop_assert!(text.starts_with(clip(&text, width)));
        }
    }
}
