//! Numbers that belong to models: parameters, download speeds.

use crate::tui::units;

/// Such as `7.3 M`, `0.6 B`, `235 B`; nothing for 0.
pub fn parameters(count: u64) -> String {
    match count {
        0 => String::new(),
        1..100_000_000 => format!("{} M", short(count as f64 / 1e6)),
        _ => format!("{} B", short(count as f64 / 1e9)),
    }
}

/// Bytes a second.
pub fn speed(rate: f64) -> String {
    format!("{}/s", units::bytes(rate.max(0.0) as u64))
}

fn short(value: f64) -> String {
    if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_one_decimal() {
        assert_eq!(parameters(7_300_000), "7.3 M");
        assert_eq!(parameters(596_000_000), "0.6 B");
        assert_eq!(parameters(235_000_000_000), "235 B");
        assert_eq!(parameters(0), "");
        assert_eq!(speed(48_000_000.0), "48.0 MB/s");
    }
}
