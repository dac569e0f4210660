//! Writes a text in the user's editor. The caller gives the terminal back
//! first and takes it again afterwards.

use std::{env, io, process::ExitStatus};

use tokio::process::Command;

#[derive(Debug, thiserror::Error)]
pub enum EditorError {
    #[error("neither $VISUAL nor $EDITOR names an editor. Set one of them, such as EDITOR=nano.")]
    None,
    #[error("`{editor}` could not be started: {source}. Check $VISUAL and $EDITOR.")]
    Start { editor: String, source: io::Error },
    #[error("`{editor}` ended with {status}, so the text was left as it was.")]
    Failed { editor: String, status: ExitStatus },
    #[error("the file for the editor could not be used: {0}")]
    File(#[from] io::Error),
}

/// The text as the editor left it, without its last line end.
pub async fn edit(text: &str) -> Result<String, EditorError> {
    let set = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL")
        .or_else(|| set("EDITOR"))
        .ok_or(EditorError::None)?;
    edit_with(&editor, text).await
}

async fn edit_with(editor: &str, text: &str) -> Result<String, EditorError> {
    let path = env::temp_dir().join(format!("maquette-{}.md", uuid::Uuid::new_v4()));
    tokio::fs::write(&path, text).await?;
    let outcome = run(editor, &path).await;
    let edited = tokio::fs::read_to_string(&path).await;
    // A file left behind in the temporary folder is no reason to fail.
    let _ = tokio::fs::remove_file(&path).await;
    outcome?;
    let edited = edited?;
    Ok(edited.strip_suffix('\n').unwrap_or(&edited).to_owned())
}

async fn run(editor: &str, path: &std::path::Path) -> Result<(), EditorError> {
    // The variables may hold arguments, as in `code --wait`.
    let mut words = editor.split_whitespace();
    let program = words.next().ok_or(EditorError::None)?;
    let status = Command::new(program).args(words).arg(path).status().await;
    let status = status.map_err(|source| EditorError::Start {
        editor: editor.into(),
        source,
    })?;
    match status.success() {
        true => Ok(()),
        false => Err(EditorError::Failed {
            editor: editor.into(),
            status,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_text_comes_back_changed() {
        let folder = tempfile::tempdir().unwrap();
        let written = folder.path().join("written");
        std::fs::write(&written, "two\nline\n").unwrap();
        // `cp FILE` is an editor that needs no terminal.
        let editor = format!("cp {}", written.display());
        let text = edit_with(&editor, "one").await.unwrap();
        assert_eq!(text, "two\nline");
    }

    #[tokio::test]
    async fn a_missing_or_failing_editor_is_named() {
        let missing = edit_with("no-such-editor", "x").await.unwrap_err();
        assert!(missing.to_string().contains("no-such-editor"), "{missing}");
        let failing = edit_with("false", "x").await.unwrap_err();
        assert!(failing.to_string().contains("ended with"), "{failing}");
    }
}
