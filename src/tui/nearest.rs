//! Suggestions for misspelt names.

use crate::workstation::nearest;

/// " Did you mean `x`?" when a known name is near, and nothing otherwise.
pub fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(wanted, known) {
        Some(name) => format!(" Did you mean `{name}`?"),
        None => String::new(),
    }
}
