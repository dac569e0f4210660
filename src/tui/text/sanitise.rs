//! Turns foreign text into text that cannot steer the terminal. Control
//! characters become visible pictures, so that nothing is silently lost;
//! characters that reorder a line invisibly are dropped.

use std::borrow::Cow;

/// `text` without control characters, except line feeds and tabs.
///
/// Carriage returns vanish, other C0 controls and DEL become their pictures
/// (`␛` for escape), C1 controls and the bidirectional overrides become `�`.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if !text.chars().any(needs_care) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    sanitise_into(text, &mut out);
    Cow::Owned(out)
}

/// As [`sanitise`], appending to `out`. Works on any split of a text.
pub fn sanitise_into(text: &str, out: &mut String) {
    for c in text.chars() {
        if !needs_care(c) {
            out.push(c);
        } else if c != '\r' {
            out.push(picture(c));
        }
    }
}

/// For a single line: line feeds and tabs become spaces too.
pub fn sanitise_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    sanitise_into(text, &mut out);
    out.replace(['\n', '\t'], " ")
}

fn needs_care(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || reorders(c)
        || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Embeddings, overrides and isolates: they let a text look unlike what it is.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn picture(c: char) -> char {
    match c as u32 {
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'),
        0x7f => '\u{2421}',
        _ => '\u{fffd}',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(sanitise("a\x1b[31mb\x07"), "a␛[31mb␇");
        assert_eq!(sanitise("a\r\nb\tc"), "a\nb\tc");
        assert_eq!(sanitise("\u{9b}31m\u{202e}x"), "\u{fffd}31m\u{fffd}x");
        assert_eq!(sanitise_line("a\nb\tc"), "a b c");
    }

    #[test]
    fn clean_text_is_borrowed() {
        assert!(matches!(sanitise("plain – 漢字\n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_control_character_survives(text in "\\PC*|[\\x00-\\x9f]{0,40}", at in 0usize..40) {
            let clean = sanitise(&text);
            prop_assert!(clean.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            // A split changes nothing.
            let cut = text.char_indices().map(|(i, _)| i).nth(at).unwrap_or(text.len());
            let mut parts = String::new();
            sanitise_into(&text[..cut], &mut parts);
            sanitise_into(&text[cut..], &mut parts);
            prop_assert_eq!(parts, clean.into_owned());
        }
    }
}
