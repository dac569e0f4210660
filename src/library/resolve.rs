//! From what a person typed to a model.

use std::path::Path;

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};

use super::{LibraryError, ModelEntry, Room, scan::describe_folder};
use crate::config::nearest;

/// How many similar ids a message names.
const SUGGESTIONS: usize = 3;

/// The model with this id, ignoring case if need be; or by its name without
/// the organisation when only one has it; or the folder at this path.
pub fn resolve(
    entries: &[ModelEntry],
    id_or_path: &str,
    room: Room,
) -> Result<ModelEntry, LibraryError> {
    let wanted = id_or_path.trim();
    let by = |same: &dyn Fn(&str) -> bool| {
        let mut matching = entries.iter().filter(|entry| same(&entry.id));
        let first = matching.next();
        first.filter(|_| matching.next().is_none()).cloned()
    };
    let lower = wanted.to_lowercase();
    let last = |id: &str| id.rsplit('/').next().map(str::to_lowercase);
    let found = by(&|id| id == wanted)
        .or_else(|| by(&|id| id.to_lowercase() == lower))
        .or_else(|| by(&|id| last(id).as_deref() == Some(lower.as_str())));
    if let Some(entry) = found {
        return Ok(entry);
    }
    let path = Path::new(wanted);
    if !wanted.is_empty() && path.is_dir() {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let known = entries.iter().find(|entry| entry.path == absolute);
        return Ok(known
            .cloned()
            .unwrap_or_else(|| describe_folder(&absolute, room)));
    }
    Err(LibraryError::NotFound {
        wanted: wanted.to_owned(),
        similar: similar(entries, wanted),
    })
}

/// Ids that look like what was typed, the best first.
fn similar(entries: &[ModelEntry], wanted: &str) -> Vec<String> {
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let pattern = Pattern::parse(wanted, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut scored: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let id = Utf32Str::new(&entry.id, &mut buffer);
            Some((pattern.score(id, &mut matcher)?, &entry.id))
        })
        .collect();
    scored.sort_by_key(|(score, id)| (std::cmp::Reverse(*score), id.len()));
    let mut ids: Vec<String> = scored.into_iter().map(|(_, id)| id.clone()).collect();
    if ids.is_empty() {
        // The matcher wants every letter in order; a typing error has others.
        let names = entries.iter().map(|entry| entry.id.as_str());
        ids.extend(nearest(wanted, names).map(str::to_owned));
    }
    ids.truncate(SUGGESTIONS);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        available: 1 << 30,
        kv_number: 2,
    };

    fn entries() -> Vec<ModelEntry> {
        let ids = [
            "guide",
            "mlx-community/Qwen3-4B-4bit",
            "mlx-community/Qwen3-0.6B-8bit",
            "a/twin",
            "b/twin",
        ];
        let entry = |id: &&str| ModelEntry {
            id: id.to_string(),
            ..ModelEntry::default()
        };
        ids.iter().map(entry).collect()
    }

    fn found(wanted: &str) -> String {
        resolve(&entries(), wanted, ROOM).unwrap().id
    }

    fn message(wanted: &str) -> String {
        resolve(&entries(), wanted, ROOM).unwrap_err().to_string()
    }

    #[test]
    fn ids_are_found_in_whole_and_by_name() {
        assert_eq!(found("guide"), "guide");
        assert_eq!(found(" GUIDE "), "guide");
        assert_eq!(
            found("mlx-community/qwen3-4b-4bit"),
            "mlx-community/Qwen3-4B-4bit"
        );
        assert_eq!(found("qwen3-0.6b-8bit"), "mlx-community/Qwen3-0.6B-8bit");
        assert_eq!(found("b/twin"), "b/twin");
    }

    #[test]
    fn what_is_not_there_brings_similar_ids() {
        assert!(message("qwen3-4b").contains("mlx-community/Qwen3-4B-4bit"));
        assert!(message("giude").contains("guide"));
        assert!(message("twin").contains("a/twin") && message("twin").contains("b/twin"));
        assert!(message("").contains("maquette models"), "{}", message(""));
        assert!(
            message("zzz").contains("maquette pull"),
            "{}",
            message("zzz")
        );
    }

    #[test]
    fn a_folder_is_a_model_too() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/guide");
        let entry = resolve(&[], guide.to_str().unwrap(), ROOM).unwrap();
        assert_eq!(entry.path, guide);
        assert_eq!(entry.family, "qwen3");
    }
}
