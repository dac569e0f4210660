//! Plain tables and numbers for people.

use unicode_width::UnicodeWidthStr;

/// Lines with columns as wide as their widest cell, two spaces apart. Columns
/// in `right` are aligned to the right.
pub fn lines(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    all.iter()
        .map(|row| {
            let cells = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(i, (cell, width))| {
                    let space = " ".repeat(width - cell.width());
                    match right.contains(&i) {
                        true => format!("{space}{cell}"),
                        false => format!("{cell}{space}"),
                    }
                });
            let line = cells.collect::<Vec<_>>().join("  ");
            line.trim_end().to_owned()
        })
        .collect()
}

/// Bytes in units of 1000, such as "4.3 GB".
pub fn bytes(count: u64) -> String {
    scaled(count, &["B", "kB", "MB", "GB", "TB"])
}

/// A number of parameters, such as "596M" or "8.2B".
pub fn parameters(count: u64) -> String {
    scaled(count, &["", "K", "M", "B", "T"]).replace(' ', "")
}

fn scaled(count: u64, units: &[&str]) -> String {
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95);
    format!("{value:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["guide".into(), "7 MB".into()],
            vec!["日本".into(), "12 GB".into()],
        ];
        let lines = lines(&["id", "size"], &rows, &[1]);
        assert_eq!(lines, ["id      size", "guide   7 MB", "日本   12 GB"]);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(7_552_400), "7.6 MB");
        assert_eq!(bytes(999_999_999), "1.0 GB");
        assert_eq!(parameters(596_049_920), "596M");
        assert_eq!(parameters(8_190_735_360), "8.2B");
    }
}
