//! Why a download ended early: what happened and what to do, for its owner.

use std::{io, path::Path};

use hf_hub::HFError;

/// Words for the user.
pub(super) type Failure = String;

/// Whether trying again may help.
pub(super) fn is_passing(error: &HFError) -> bool {
    match error {
        HFError::Request { .. } | HFError::Xet { .. } | HFError::RateLimited { .. } => true,
        HFError::Http { context } => context.status.is_server_error(),
        HFError::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::TimedOut | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

pub(super) fn disk(error: &io::Error, cache: &Path) -> Failure {
    let folder = cache.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!(
                "there is no space left for {folder}. Free some, or set HF_HOME to a folder on another disk, and resume."
            )
        }
        _ => format!("{folder} could not be written: {error}. Check its permissions and resume."),
    }
}

/// One sentence on what happened, one on what to do.
pub(super) fn explain(error: &HFError, id: &str, endpoint: &str) -> Failure {
    match error {
        HFError::AuthRequired { .. } => format!(
            "`{id}` does not exist, or it is private or gated. Check the name; accept its terms at {endpoint}/{id} and set HF_TOKEN to your access token."
        ),
        HFError::Forbidden { .. } => format!(
            "your account may not read `{id}`. Accept its terms at {endpoint}/{id}; HF_TOKEN has to be a token of the account that did."
        ),
        HFError::RepoNotFound { .. } | HFError::RevisionNotFound { .. } => {
            format!("there is no model `{id}` on {endpoint}. Check the name, capitals included.")
        }
        HFError::EntryNotFound { path, .. } => {
            format!("`{id}` lists {path} but the hub does not have it. Try again later.")
        }
        HFError::RateLimited { retry_after, .. } => match retry_after {
            Some(wait) => format!(
                "the hub asks to wait {} seconds. Resume then.",
                wait.as_secs()
            ),
            None => "the hub asks to wait. Resume in a few minutes.".to_owned(),
        },
        HFError::Http { context } => format!(
            "the hub answered {}{}. Try again later.",
            context.status.as_u16(),
            context
                .server_message
                .as_ref()
                .map_or(String::new(), |said| format!(" ({said})"))
        ),
        HFError::Request { .. } | HFError::Io(_) | HFError::Xet { .. } => format!(
            "{endpoint} could not be reached ({}). Check the network, or set HF_ENDPOINT to a mirror, and resume; what has come stays.",
            cause(error)
        ),
        other => format!("the hub's answer could not be used: {other}. Try again later."),
    }
}

/// The innermost reason, which says more than "error sending request".
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
