//! Small facts read off the source of a block.

use pulldown_cmark::BlockQuoteKind;

use crate::tui::text::sanitise_line;

pub(super) fn is_line_break(html: &str) -> bool {
    let inner = html.trim_start_matches('<').trim_end_matches('>');
    inner
        .trim_end_matches('/')
        .trim()
        .eq_ignore_ascii_case("br")
}

/// The first word of a fence's info string, such as `rust` of `rust,ignore`.
pub(super) fn language(info: &str) -> String {
    let end = info
        .find(|c: char| !(c.is_alphanumeric() || "+#-_.".contains(c)))
        .unwrap_or(info.len());
    sanitise_line(&info[..end])
}

/// Whether the source of a fenced block ends in the fence that closes it.
pub(super) fn fence_closed(source: &str) -> bool {
    let quoted = |c: char| c.is_whitespace() || c == '>';
    let mut lines = source.trim_end().lines();
    let opening = lines.next().unwrap_or("").trim_start_matches(quoted);
    let Some(fence) = opening.chars().next() else {
        return false;
    };
    let length = opening.chars().take_while(|&c| c == fence).count();
    let Some(last) = lines.next_back() else {
        return false;
    };
    let last = last.trim_start_matches(quoted).trim_end();
    last.chars().count() >= length && last.chars().all(|c| c == fence)
}

pub(super) fn alert(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "Note",
        BlockQuoteKind::Tip => "Tip",
        BlockQuoteKind::Important => "Important",
        BlockQuoteKind::Warning => "Warning",
        BlockQuoteKind::Caution => "Caution",
    }
}
