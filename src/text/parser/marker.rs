//! Finding markers in text that is still growing.

/// What a text holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// The first marker begins at byte `at`.
    Found { at: usize, marker: &'static str },
    /// No marker; from this byte on one may be beginning.
    HoldFrom(usize),
}

/// Looks for the first of `markers`, which must be ASCII.
pub(super) fn scan(text: &str, markers: &[&'static str]) -> Scan {
    let first = markers
        .iter()
        .filter_map(|marker| Some((text.find(marker)?, *marker)))
        .min_by_key(|(at, _)| *at);
    if let Some((at, marker)) = first {
        return Scan::Found { at, marker };
    }
    let longest = markers.iter().map(|marker| marker.len()).max().unwrap_or(1);
    let from = text.len().saturating_sub(longest - 1);
    let hold = (from..text.len())
        .filter(|at| text.is_char_boundary(*at))
        .find(|at| {
            markers
                .iter()
                .any(|marker| marker.starts_with(&text[*at..]))
        })
        .unwrap_or(text.len());
    Scan::HoldFrom(hold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_and_holds_beginnings() {
        let markers = ["<think>", "<tool_call>"];
        let at = |text| scan(text, &markers);
        assert_eq!(
            at("a<tool_call><think>"),
            Scan::Found {
                at: 1,
                marker: "<tool_call>"
            }
        );
        assert_eq!(at("é<thin"), Scan::HoldFrom(2));
        assert_eq!(at("<tool<"), Scan::HoldFrom(5));
        assert_eq!(at("<thing"), Scan::HoldFrom(6));
        assert_eq!(scan("<t", &[]), Scan::HoldFrom(2));
    }
}
