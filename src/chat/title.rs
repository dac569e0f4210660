//! A title from the words of a message.

/// Characters of a title at most.
const TITLE_LENGTH: usize = 48;

/// The first line of a text, shortened at a word.
pub(super) fn title_from(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let Some(line) = line else {
        return "New chat".to_owned();
    };
    let line: String = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((cut, _)) = line.char_indices().nth(TITLE_LENGTH) else {
        return line;
    };
    let short = &line[..cut];
    let short = match short.rsplit_once(' ') {
        Some((words, _)) if words.chars().count() > TITLE_LENGTH / 2 => words,
        _ => short,
    };
    format!("{}…", short.trim_end_matches([',', '.', ':', ';', ' ']))
}
