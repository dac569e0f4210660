//! Key-map files: TOML tables by context, each `"keys" = "action"`.
//!
//! ```toml
//! inherits = "default"     # a built-in map; "none" starts without keys
//! [list]
//! "g g" = "list.first"
//! "x" = "none"             # takes a key away
//! ```
//!
//! Nothing in a file can keep the program from starting: what cannot be used
//! is left out and reported with file and line, the rest keeps working.

use std::{ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{Chord, Keymap, chord};
use crate::tui::{
    action::{ACTIONS, Action, Context},
    nearest::did_you_mean,
    problem::Problem,
};

const FLAVOURS: &[(&str, &str)] = &[
    ("default", include_str!("../../../keymaps/default.toml")),
    ("vim", include_str!("../../../keymaps/vim.toml")),
    ("emacs", include_str!("../../../keymaps/emacs.toml")),
];

/// A key map and what was wrong with its files.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    pub keymap: Keymap,
    pub problems: Vec<Problem>,
}

/// The names of the built-in maps.
pub fn names() -> impl Iterator<Item = &'static str> {
    FLAVOURS.iter().map(|(name, _)| *name)
}

/// Loads the map that is called `name`: the built-in one, with the user's
/// `NAME.toml` in `folder` laid over it.
pub fn load(name: &str, folder: &Path) -> Loaded {
    let mut loaded = Loaded {
        keymap: Keymap::built_in(),
        problems: Vec::new(),
    };
    let built_in = built_in(name);
    if let Some(text) = built_in {
        merge(&mut loaded, &format!("{name}.toml"), text);
    }
    let path = folder.join(format!("{name}.toml"));
    let file = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => merge(&mut loaded, &file, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if built_in.is_none() {
                let known: Vec<_> = names().collect();
                loaded.problems.push(Problem::new(
                    file,
                    format!(
                        "there is no such key map, so the default keys are used. Built in are: {}",
                        known.join(", ")
                    ),
                ));
            }
        }
        Err(error) => loaded.problems.push(Problem::new(
            file,
            format!("the file cannot be read, so it is left out: {error}"),
        )),
    }
    keep_a_way_out(&mut loaded);
    loaded.keymap.name = name.into();
    loaded
}

fn built_in(name: &str) -> Option<&'static str> {
    FLAVOURS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Lays one file over the map. Later files win over earlier ones.
pub fn merge(loaded: &mut Loaded, file: &str, text: &str) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { loaded, file, text };
    for error in errors {
        reader.problem(error.span(), error.message().into());
    }
    reader.read(table.get_ref());
    loaded.problems.sort_by(Problem::by_place);
}

/// A map without a key to stop or quit would trap its user.
fn keep_a_way_out(loaded: &mut Loaded) {
    let map = &mut loaded.keymap;
    if map.keys_of(Action::Stop, Context::Global).is_empty() {
        if let Ok(keys) = chord::parse_sequence("ctrl-c") {
            map.bind(Context::Global, keys, Action::Stop);
        }
        loaded.problems.push(Problem::new(
            map.name.clone(),
            "no key was left for app.stop, so Ctrl-C keeps doing it".into(),
        ));
    }
}

struct Reader<'a> {
    loaded: &'a mut Loaded,
    file: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn problem(&mut self, span: Option<Range<usize>>, message: String) {
        let problem = Problem::new(self.file.into(), message).at(self.text, span);
        self.loaded.problems.push(problem);
    }

    fn read(&mut self, table: &DeTable<'_>) {
        if let Some(base) = table.get("inherits") {
            self.inherit(base);
        }
        for (name, section) in table.iter() {
            let context = match name.get_ref().as_ref() {
                "inherits" => continue,
                name => Context::parse(name),
            };
            match (context, section.get_ref()) {
                (Some(context), DeValue::Table(bindings)) => self.section(context, bindings),
                (Some(_), _) => self.problem(
                    Some(section.span()),
                    format!("`{}` must be a table of keys", name.get_ref()),
                ),
                (None, _) => {
                    let known = Context::ALL.iter().map(|c| c.name());
                    let hint = did_you_mean(name.get_ref(), known);
                    self.problem(
                        Some(name.span()),
                        format!("there is no context `{}`.{hint}", name.get_ref()),
                    );
                }
            }
        }
    }

    fn inherit(&mut self, base: &Spanned<DeValue<'_>>) {
        let name = match base.get_ref() {
            DeValue::String(name) => name.as_ref(),
            _ => "",
        };
        if name == "none" {
            self.loaded.keymap = Keymap::default();
        } else if name == "default" {
            self.loaded.keymap = Keymap::built_in();
        } else if let Some(text) = built_in(name) {
            self.loaded.keymap = Keymap::built_in();
            merge(self.loaded, &format!("{name}.toml"), text);
        } else {
            self.problem(
                Some(base.span()),
                "`inherits` is one of default, vim, emacs and none".into(),
            );
        }
    }

    fn section(&mut self, context: Context, bindings: &DeTable<'_>) {
        let mut seen: Vec<Vec<Chord>> = Vec::new();
        for (keys, action) in bindings.iter() {
            let Some(chords) = self.chords(context, keys) else {
                continue;
            };
            let clash =
                |other: &&Vec<Chord>| other.starts_with(&chords) || chords.starts_with(other);
            if let Some(other) = seen.iter().find(clash) {
                let other = chord::show_sequence(other);
                self.problem(
                    Some(keys.span()),
                    format!(
                        "`{}` collides with {other}, which this table binds too: it is left out",
                        keys.get_ref()
                    ),
                );
                continue;
            }
            if self.bind(context, &chords, action) {
                seen.push(chords);
            }
        }
    }

    fn chords(&mut self, context: Context, keys: &Spanned<DeString<'_>>) -> Option<Vec<Chord>> {
        let chords = match chord::parse_sequence(keys.get_ref()) {
            Ok(chords) => chords,
            Err(error) => {
                self.problem(Some(keys.span()), format!("`{}`: {error}", keys.get_ref()));
                return None;
            }
        };
        let writes = matches!(context, Context::Composer | Context::Filter | Context::Form);
        if writes && chords.first().is_some_and(Chord::is_text) {
            self.problem(
                Some(keys.span()),
                format!(
                    "`{}` is needed for typing here: bind a key with ctrl- or alt-, or a named one",
                    keys.get_ref()
                ),
            );
            return None;
        }
        Some(chords)
    }

    /// False when the action is not one.
    fn bind(&mut self, context: Context, keys: &[Chord], action: &Spanned<DeValue<'_>>) -> bool {
        let name = match action.get_ref() {
            DeValue::String(name) => name.as_ref(),
            _ => {
                self.problem(
                    Some(action.span()),
                    "an action is a text such as \"app.help\", or \"none\"".into(),
                );
                return false;
            }
        };
        if name == "none" {
            self.loaded.keymap.unbind(context, keys);
            return true;
        }
        let Some(action_id) = Action::parse(name) else {
            let hint = did_you_mean(name, ACTIONS.iter().map(|row| row.name));
            self.problem(
                Some(action.span()),
                format!("there is no action `{name}`.{hint}"),
            );
            return false;
        };
        self.loaded.keymap.bind(context, keys.to_vec(), action_id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::Lookup;

    fn merged(text: &str) -> Loaded {
        let mut loaded = Loaded {
            keymap: Keymap::built_in(),
            problems: Vec::new(),
        };
        merge(&mut loaded, "my.toml", text);
        loaded
    }

    fn act(loaded: &Loaded, context: Context, keys: &str) -> Lookup {
        let keys = chord::parse_sequence(keys).unwrap();
        loaded.keymap.lookup(&[context], false, &keys)
    }

    #[test]
    fn built_in_files_have_no_problems() {
        for name in names() {
            let loaded = load(name, Path::new("/nonexistent"));
            assert_eq!(loaded.problems, [], "{name}");
        }
    }

    #[test]
    fn keys_are_added_and_taken_away() {
        let loaded = merged("[global]\n\"ctrl-k\" = \"app.palette\"\n\"ctrl-p\" = \"none\"\n");
        assert_eq!(loaded.problems, []);
        assert_eq!(
            act(&loaded, Context::Global, "ctrl-k"),
            Lookup::Action(Action::Palette)
        );
        assert_eq!(act(&loaded, Context::Global, "ctrl-p"), Lookup::None);
        assert_eq!(
            act(&loaded, Context::Global, "f1"),
            Lookup::Action(Action::Help)
        );
    }

    #[test]
    fn every_problem_has_its_line_and_the_rest_works() {
        let loaded = merged(
            "[global]\n\"ctrl-k\" = \"app.palete\"\n\"ctrl-i\" = \"app.help\"\n\"f2\" = \"app.help\"\n\
             \"f9\" = 3\n[lists]\n\"x\" = \"list.up\"\n[composer]\n\"a\" = \"chat.send\"\n",
        );
        let shown: Vec<String> = loaded.problems.iter().map(Problem::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"));
        assert_eq!(
            act(&loaded, Context::Global, "f2"),
            Lookup::Action(Action::Help)
        );
    }

    #[test]
    fn collisions_in_one_table_are_reported() {
        let loaded = merged("[list]\n\"g\" = \"list.first\"\n\"g g\" = \"list.last\"\n");
        assert_eq!(loaded.problems.len(), 1);
        assert_eq!(loaded.problems[0].line, 3);
        assert_eq!(
            act(&loaded, Context::List, "g"),
            Lookup::Action(Action::ListFirst)
        );
    }

    #[test]
    fn a_broken_line_leaves_the_others() {
        let loaded = merged("[global]\n\"f2\" = \n\"f9\" = \"app.help\"\n");
        assert!(!loaded.problems.is_empty());
        assert_eq!(loaded.problems[0].line, 2);
        assert_eq!(
            act(&loaded, Context::Global, "f9"),
            Lookup::Action(Action::Help)
        );
    }

    #[test]
    fn inheriting_starts_from_that_map() {
        let loaded = merged("inherits = \"none\"\n[global]\n\"f2\" = \"app.help\"\n");
        assert_eq!(act(&loaded, Context::Global, "f1"), Lookup::None);
        assert_eq!(
            act(&loaded, Context::Global, "f2"),
            Lookup::Action(Action::Help)
        );
        assert_eq!(merged("inherits = \"emax\"").problems[0].line, 1);
    }

    #[test]
    fn a_user_file_lies_over_the_built_in_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("default.toml"),
            "[global]\n\"ctrl-c\" = \"none\"\n\"f2\" = \"app.help\"\n",
        )
        .unwrap();
        let loaded = load("default", folder.path());
        assert_eq!(
            act(&loaded, Context::Global, "f2"),
            Lookup::Action(Action::Help)
        );
        // The way out stays, and it is said.
        assert_eq!(
            act(&loaded, Context::Global, "ctrl-c"),
            Lookup::Action(Action::Stop)
        );
        assert_eq!(loaded.problems.len(), 1);
    }

    #[test]
    fn an_unknown_map_falls_back_to_the_default_keys() {
        let loaded = load("dvorak", Path::new("/nonexistent"));
        assert_eq!(loaded.problems.len(), 1);
        assert_eq!(
            act(&loaded, Context::Global, "f1"),
            Lookup::Action(Action::Help)
        );
    }
}
