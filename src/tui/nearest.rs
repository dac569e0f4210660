//! Suggestions for misspelt names.

/// " Did you mean `x`?" when a known name is near, and nothing otherwise.
pub fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = known
        .into_iter()
        .map(|name| (distance(wanted, name), name))
        .filter(|(edits, name)| *edits <= (wanted.len().max(name.len()) / 3).max(1))
        .min_by_key(|(edits, _)| *edits);
    match near {
        Some((_, name)) => format!(" Did you mean `{name}`?"),
        None => String::new(),
    }
}

/// Insertions, deletions and replacements between two texts.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_not() {
        let known = ["app.help", "app.quit", "list.up"];
        assert_eq!(did_you_mean("app.hlep", known), " Did you mean `app.help`?");
        assert_eq!(did_you_mean("something", known), "");
    }
}
