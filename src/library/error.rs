//! What can go wrong with the library.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("there is no model `{wanted}` on this machine.{} {}", list(.similar), hint(.wanted))]
    NotFound {
        wanted: String,
        similar: Vec<String>,
    },
    #[error("`{id}` is not the name of a model on the hub. It has the form `organisation/name`.")]
    BadId { id: String },
    #[error("there is no download of `{id}`.")]
    NoDownload { id: String },
    #[error("the guide could not be unpacked into {}: {source}. Check the permissions and the space left.", folder.display())]
    Guide { folder: PathBuf, source: io::Error },
    #[error("the hub cannot be used: {0}")]
    Hub(String),
}

fn list(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        _ => format!(" Similar: {}.", similar.join(", ")),
    }
}

fn hint(wanted: &str) -> String {
    let id = match wanted.contains('/') {
        true => wanted,
        false => "organisation/name",
    };
    format!("`maquette models` lists those there are; `maquette pull {id}` downloads one.")
}
