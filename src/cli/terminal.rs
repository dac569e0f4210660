//! What the environment says of the terminal. Asks the terminal nothing, so
//! that the doctor never waits for an answer that does not come.

use std::io::{IsTerminal, stdin, stdout};

/// Facts in the order to show, as names and findings.
pub fn facts(variable: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let term = variable("TERM").unwrap_or_else(|| "not set".to_owned());
    let program = variable("TERM_PROGRAM").map(|name| match variable("TERM_PROGRAM_VERSION") {
        Some(version) => format!("{name} {version}"),
        None => name,
    });
    vec![
        ("TERM", term.clone()),
        ("program", program.unwrap_or_else(|| "unknown".to_owned())),
        ("colours", colours(&term, &variable).to_owned()),
        ("size", size()),
        ("multiplexer", multiplexer(&term, &variable).to_owned()),
        ("connection", connection(&variable).to_owned()),
        ("keyboard", keyboard(&term, &variable).to_owned()),
        ("characters", characters(&variable)),
    ]
}

fn colours(term: &str, variable: &impl Fn(&str) -> Option<String>) -> &'static str {
    if variable("NO_COLOR").is_some() {
        return "none (NO_COLOR is set)";
    }
    let truecolor = variable("COLORTERM")
        .is_some_and(|value| value == "truecolor" || value == "24bit")
        || term.ends_with("-direct")
        || is_modern(term, variable);
    match term {
        _ if truecolor => "24 bit",
        "dumb" | "not set" => "none",
        _ if term.contains("256color") => "256",
        _ => "16",
    }
}

/// Terminals that are known for 24-bit colour and the kitty keyboard protocol.
fn is_modern(term: &str, variable: &impl Fn(&str) -> Option<String>) -> bool {
    let program = variable("TERM_PROGRAM").unwrap_or_default();
    [
        "xterm-kitty",
        "xterm-ghostty",
        "foot",
        "foot-extra",
        "alacritty",
        "wezterm",
    ]
    .contains(&term)
        || ["ghostty", "WezTerm", "iTerm.app", "kitty"].contains(&program.as_str())
        || variable("KITTY_WINDOW_ID").is_some()
}

fn size() -> String {
    if !stdout().is_terminal() && !stdin().is_terminal() {
        return "no terminal".to_owned();
    }
    match crossterm::terminal::size() {
        Ok((columns, rows)) => format!("{columns} x {rows}"),
        Err(_) => "unknown".to_owned(),
    }
}

fn multiplexer(term: &str, variable: &impl Fn(&str) -> Option<String>) -> &'static str {
    if variable("TMUX").is_some() {
        "tmux"
    } else if variable("ZELLIJ").is_some() {
        "zellij"
    } else if variable("STY").is_some() || term.starts_with("screen") {
        "screen"
    } else {
        "none"
    }
}

fn connection(variable: &impl Fn(&str) -> Option<String>) -> &'static str {
    if variable("MOSH_CONNECTION").is_some() {
        "mosh"
    } else if variable("SSH_CONNECTION")
        .or_else(|| variable("SSH_TTY"))
        .is_some()
    {
        "SSH"
    } else {
        "local"
    }
}

fn keyboard(term: &str, variable: &impl Fn(&str) -> Option<String>) -> &'static str {
    let hidden = multiplexer(term, variable) != "none";
    match is_modern(term, variable) {
        true if hidden => "the terminal knows the kitty protocol; the multiplexer may hide it",
        true => "kitty protocol",
        false => "plain (Alt-Enter and Ctrl-J start a new line)",
    }
}

fn characters(variable: &impl Fn(&str) -> Option<String>) -> String {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variable(name));
    match locale {
        Some(locale) if locale.to_lowercase().replace('-', "").contains("utf8") => {
            "UTF-8".to_owned()
        }
        Some(locale) => format!("{locale} (not UTF-8: borders may look wrong)"),
        None => "no locale is set (borders may look wrong)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], name: &str) -> String {
        let variable = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        };
        let facts = facts(variable);
        facts.into_iter().find(|(fact, _)| *fact == name).unwrap().1
    }

    #[test]
    fn features_come_from_the_environment() {
        assert_eq!(found(&[("TERM", "xterm-256color")], "colours"), "256");
        assert_eq!(
            found(&[("TERM", "xterm-kitty")], "keyboard"),
            "kitty protocol"
        );
        let direct = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")];
        assert_eq!(found(&direct, "colours"), "24 bit");
        assert_eq!(found(&[("TMUX", "/tmp/x,1,0")], "multiplexer"), "tmux");
        assert_eq!(found(&[("SSH_TTY", "/dev/pts/1")], "connection"), "SSH");
        assert_eq!(found(&[("LANG", "C.UTF-8")], "characters"), "UTF-8");
        assert_eq!(
            found(&[("TERM", "xterm"), ("NO_COLOR", "1")], "colours"),
            "none (NO_COLOR is set)"
        );
    }
}
