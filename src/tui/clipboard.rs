//! Copies text to a clipboard, over SSH too, and says which way it went.
//!
//! The terminal is asked by OSC 52, which it does not answer: so the notice
//! says where the text was sent, never that it arrived. Inside tmux, tmux is
//! given the text first; it keeps it as a buffer and hands it on.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command};

/// Terminals drop longer sequences, some of them silently.
const LONGEST: usize = 74_000;

/// How a text may be sent to the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// tmux has it and sends it on.
    Tmux,
    /// By OSC 52, to be written by who owns the terminal.
    Terminal,
    /// Not at all, for this reason.
    Refused(String),
}

/// Gives the text to tmux where there is one; otherwise says how to go on.
pub async fn route(text: &str) -> Route {
    if std::env::var_os("TMUX").is_some() && load_tmux_buffer(text).await {
        return Route::Tmux;
    }
    refuse_too_long(text).unwrap_or(Route::Terminal)
}

fn refuse_too_long(text: &str) -> Option<Route> {
    let length = text.len();
    (length > LONGEST).then(|| {
        Route::Refused(format!(
            "{length} bytes are more than terminals take at once ({LONGEST}). Save them to a file instead."
        ))
    })
}

async fn load_tmux_buffer(text: &str) -> bool {
    let child = Command::new("tmux")
        .args(["load-buffer", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = child else { return false };
    if let Some(mut input) = child.stdin.take()
        && input.write_all(text.as_bytes()).await.is_err()
    {
        return false;
    }
    child.wait().await.is_ok_and(|status| status.success())
}

/// The notice for a text that went this way.
pub fn describe(text: &str, way: &str) -> String {
    let characters = text.chars().count();
    let lines = text.lines().count();
    match lines {
        0 | 1 => format!("Copied {characters} characters {way}"),
        _ => format!("Copied {lines} lines {way}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_terminal_takes_is_refused() {
        assert_eq!(refuse_too_long("short"), None);
        assert!(matches!(
            refuse_too_long(&"x".repeat(LONGEST + 1)),
            Some(Route::Refused(_))
        ));
    }

    #[test]
    fn the_notice_counts() {
        assert_eq!(describe("añb", "to x"), "Copied 3 characters to x");
        assert_eq!(describe("a\nb", "to x"), "Copied 2 lines to x");
    }
}
