//! Stop strings, found across the borders of tokens.
//!
//! Invariant: text that might be the beginning of a stop string is held back,
//! and nothing else is.

/// Watches one answer's text.
#[derive(Debug, Default)]
pub(super) struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What came of some text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Text that is certainly part of the answer.
    pub text: String,
    /// The stop string that ended the answer.
    pub stop: Option<String>,
}

impl StopMatcher {
    pub fn new(stops: &[String]) -> Self {
        Self {
            stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(),
            held: String::new(),
        }
    }

    pub fn push(&mut self, text: &str) -> Passed {
        self.held.push_str(text);
        let stops = self.stops.iter();
        let first = stops
            .filter_map(|stop| Some((self.held.find(stop.as_str())?, stop)))
            .min_by_key(|(at, stop)| (*at, std::cmp::Reverse(stop.len())));
        if let Some((at, stop)) = first {
            let stop = Some(stop.clone());
            let text = self.held[..at].to_owned();
            self.held.clear();
            return Passed { text, stop };
        }
        let hold = self.hold_from();
        let kept = self.held.split_off(hold);
        Passed {
            text: std::mem::replace(&mut self.held, kept),
            stop: None,
        }
    }

    /// The held text, when the answer ends otherwise.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the longest beginning of a stop string at the end begins.
    fn hold_from(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let end = self.held.len();
        (end.saturating_sub(longest)..end)
            .filter(|at| self.held.is_char_boundary(*at))
            .find(|at| {
                let tail = &self.held[*at..];
                self.stops.iter().any(|stop| stop.starts_with(tail))
            })
            .unwrap_or(end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut matcher = StopMatcher::new(&stops);
        let mut text = String::new();
        for piece in pieces {
            let passed = matcher.push(piece);
            text.push_str(&passed.text);
            if passed.stop.is_some() {
                return (text, passed.stop);
            }
        }
        text.push_str(&matcher.finish());
        (text, None)
    }

    #[test]
    fn stops_across_borders_and_keeps_what_only_looked_alike() {
        assert_eq!(
            run(&["END"], &["a E", "N", "D b"]),
            ("a ".into(), Some("END".into()))
        );
        assert_eq!(run(&["END"], &["a E", "N", "x"]), ("a ENx".into(), None));
        assert_eq!(
            run(&["éé"], &["é", "xéé"]),
            ("éx".into(), Some("éé".into()))
        );
        assert_eq!(
            run(&["ab", "abc"], &["xabc"]),
            ("x".into(), Some("abc".into()))
        );
        assert_eq!(run(&["", "b"], &["ab"]), ("a".into(), Some("b".into())));
    }

    #[test]
    fn holds_back_no_more_than_it_must() {
        let mut matcher = StopMatcher::new(&["\nUser:".to_owned()]);
        assert_eq!(matcher.push("Hello\nUs").text, "Hello");
        assert_eq!(matcher.push("eless").text, "\nUseless");
    }

    proptest! {
        #[test]
        fn the_borders_do_not_matter(
            pieces in prop::collection::vec("[abé]{0,4}", 0..8),
            stops in prop::collection::vec("[abé]{1,3}", 1..3),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let parts: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let text = pieces.concat();
            let expected = stops.iter().filter_map(|s| text.find(s)).min();
            // The first stop to be complete ends the answer, whatever might
            // have begun before it.
            let (out, stop) = run(&stops, &parts);
            match expected {
                None => prop_assert_eq!((out, stop), (text, None)),
                Some(_) => prop_assert!(text.starts_with(&(out + &stop.unwrap()))),
            }
        }
    }
}
