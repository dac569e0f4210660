//! Numbers as the screen shows them: powers of ten, one decimal, the unit with
//! its number.

/// Such as `640 kB`, `2.3 GB`, `132 GB`.
pub fn bytes(count: u64) -> String {
    let (value, unit) = match count {
        0..1_000 => return format!("{count} B"),
        1_000..1_000_000 => (count as f64 / 1e3, "kB"),
        1_000_000..1_000_000_000 => (count as f64 / 1e6, "MB"),
        _ => (count as f64 / 1e9, "GB"),
    };
    format!("{} {unit}", short(value))
}

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
    format!("{}/s", bytes(rate.max(0.0) as u64))
}

/// Such as `40,960`.
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
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
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(2_310_000_000), "2.3 GB");
        assert_eq!(bytes(132_000_000_000), "132 GB");
        assert_eq!(parameters(7_300_000), "7.3 M");
        assert_eq!(parameters(596_000_000), "0.6 B");
        assert_eq!(parameters(235_000_000_000), "235 B");
        assert_eq!(parameters(0), "");
        assert_eq!(speed(48_000_000.0), "48.0 MB/s");
        assert_eq!(grouped(40960), "40,960");
        assert_eq!(grouped(512), "512");
    }
}
