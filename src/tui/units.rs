//! Numbers as people read them: sizes in powers of ten with one decimal,
//! counts with separators, times that need no arithmetic.

use std::time::Duration;

/// `2.3 GB`, `140 MB`, `512 B`. One decimal below a hundred.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match value < 99.95 {
        true => format!("{value:.1} {}", UNITS[unit]),
        false => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0.4`, `12.5`, `148`, `12,040`: tokens a second.
pub fn rate(value: f64) -> String {
    match value {
        v if v.is_nan() || v < 0.05 => "0".into(),
        v if v < 99.95 => format!("{v:.1}"),
        v => count(v.round() as u64),
    }
}

/// `38 ms`, `1.4 s`, `2 min 05 s`, `3 h 12 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.as_millis() < 1000 => format!("{} ms", time.as_millis()),
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A share as `62%`; nothing of nothing is 0%.
pub fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "0%".into(),
        _ => format!("{:.0}%", part as f64 / whole as f64 * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let shown: Vec<String> = [
            0,
            999,
            1000,
            999_949,
            2_300_000_000,
            140_000_000_000,
            u64::MAX,
        ]
        .into_iter()
        .map(bytes)
        .collect();
        assert_eq!(
            shown,
            [
                "0 B", "999 B", "1.0 kB", "1000 kB", "2.3 GB", "140 GB", "18447 PB"
            ]
        );
    }

    #[test]
    fn counts_and_rates() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1234567), "1,234,567");
        assert_eq!(rate(0.01), "0");
        assert_eq!(rate(12.34), "12.3");
        assert_eq!(rate(12_040.4), "12,040");
        assert_eq!(rate(f64::NAN), "0");
    }

    #[test]
    fn times_and_shares() {
        let shown = |millis| duration(Duration::from_millis(millis));
        assert_eq!(shown(38), "38 ms");
        assert_eq!(shown(1400), "1.4 s");
        assert_eq!(shown(125_000), "2 min 05 s");
        assert_eq!(shown(11_520_000), "3 h 12 min");
        assert_eq!(percent(0, 0), "0%");
        assert_eq!(percent(5, 8), "62%");
    }
}
