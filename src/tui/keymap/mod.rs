//! Which keys do what, and where. Made from the built-in tables and the user's
//! files by `file`; looked up at every keypress.
//!
//! Invariant: within a context no sequence is bound twice and none begins
//! another, so that a lookup never has to wait for a key that may not come.

pub mod chord;
pub mod file;

use std::collections::BTreeMap;

pub use chord::{Chord, show_sequence};
pub use file::Loaded;

use super::action::{ACTIONS, Action, Context};

/// What the keys typed so far mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Action(Action),
    /// The beginning of a longer sequence.
    Prefix,
    None,
}

/// A binding of one context. Order is that of the files, for help and footer.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    pub keys: Vec<Chord>,
    pub action: Action,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keymap {
    pub name: String,
    bindings: BTreeMap<Context, Vec<Binding>>,
}

impl Keymap {
    /// The default keys of the table of actions.
    pub fn built_in() -> Self {
        let mut map = Self {
            name: "default".into(),
            bindings: BTreeMap::new(),
        };
        for row in ACTIONS {
            for keys in row.keys {
                // A test holds that every key of the table can be read.
                if let Ok(keys) = chord::parse_sequence(keys) {
                    map.bind(row.context, keys, row.action);
                }
            }
        }
        map
    }

    /// Binds a sequence, in place of what it did before in this context.
    pub fn bind(&mut self, context: Context, keys: Vec<Chord>, action: Action) {
        self.unbind(context, &keys);
        let list = self.bindings.entry(context).or_default();
        list.push(Binding { keys, action });
    }

    /// Takes a sequence, and every binding it collides with, out of a context.
    /// Returns what was bound.
    pub fn unbind(&mut self, context: Context, keys: &[Chord]) -> Vec<Binding> {
        let Some(list) = self.bindings.get_mut(&context) else {
            return Vec::new();
        };
        let (gone, kept) = list
            .drain(..)
            .partition(|b| b.keys.starts_with(keys) || keys.starts_with(&b.keys));
        *list = kept;
        gone
    }

    pub fn clear(&mut self, context: Context) {
        self.bindings.remove(&context);
    }

    /// The bindings of a context.
    pub fn bindings(&self, context: Context) -> &[Binding] {
        self.bindings.get(&context).map_or(&[], Vec::as_slice)
    }

    /// What the keys mean in these contexts, innermost first; `Global` last.
    ///
    /// While `typing`, characters and editing keys belong to the text field,
    /// unless the innermost context binds them or a sequence has begun.
    pub fn lookup(&self, contexts: &[Context], typing: bool, keys: &[Chord]) -> Lookup {
        let to_field = typing
            && keys.len() == 1
            && keys
                .iter()
                .all(|chord| chord.is_text() || chord.is_editing());
        let reach = if to_field { 1 } else { contexts.len() };
        let global = (!to_field).then_some(Context::Global);
        for context in contexts.iter().copied().take(reach).chain(global) {
            for binding in self.bindings(context) {
                if binding.keys == keys {
                    return Lookup::Action(binding.action);
                }
                if binding.keys.starts_with(keys) {
                    return Lookup::Prefix;
                }
            }
        }
        Lookup::None
    }

    /// The first key of an action that works in these contexts, as people
    /// read it. Keys that a text field would take are left out while `typing`.
    pub fn key_for(&self, action: Action, contexts: &[Context], typing: bool) -> Option<String> {
        let all = contexts.iter().copied().chain([Context::Global]);
        for context in all {
            for binding in self.bindings(context).iter().filter(|b| b.action == action) {
                if self.lookup(contexts, typing, &binding.keys) == Lookup::Action(action) {
                    return Some(show_sequence(&binding.keys));
                }
            }
        }
        None
    }

    /// Every key of an action in a context, as people read them.
    pub fn keys_of(&self, action: Action, context: Context) -> Vec<String> {
        self.bindings(context)
            .iter()
            .filter(|b| b.action == action)
            .map(|b| show_sequence(&b.keys))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chords(text: &str) -> Vec<Chord> {
        chord::parse_sequence(text).unwrap()
    }

    #[test]
    fn every_default_key_can_be_sent_and_reached() {
        let map = Keymap::built_in();
        for row in ACTIONS {
            for keys in row.keys {
                let sequence =
                    chord::parse_sequence(keys).unwrap_or_else(|e| panic!("{keys}: {e}"));
                assert_eq!(
                    map.lookup(&[row.context], false, &sequence),
                    Lookup::Action(row.action),
                    "{} on {keys}: bound twice?",
                    row.name
                );
            }
        }
    }

    #[test]
    fn inner_contexts_win_and_global_is_last() {
        let map = Keymap::built_in();
        let list = [Context::Library, Context::List];
        let act =
            |contexts: &[Context], typing, keys: &str| map.lookup(contexts, typing, &chords(keys));
        assert_eq!(
            act(&list, false, "enter"),
            Lookup::Action(Action::LibraryLoad)
        );
        assert_eq!(act(&list, false, "j"), Lookup::Action(Action::ListDown));
        assert_eq!(act(&list, false, "2"), Lookup::Action(Action::PaneLibrary));
        assert_eq!(act(&list, false, "ctrl-y"), Lookup::None);
    }

    #[test]
    fn text_fields_keep_their_characters() {
        let map = Keymap::built_in();
        let contexts = [Context::Composer, Context::Chat];
        let act = |keys: &str| map.lookup(&contexts, true, &chords(keys));
        assert_eq!(act("?"), Lookup::None);
        assert_eq!(act("1"), Lookup::None);
        assert_eq!(act("home"), Lookup::None);
        assert_eq!(act("alt-1"), Lookup::Action(Action::PaneChat));
        assert_eq!(act("enter"), Lookup::Action(Action::ChatSend));
        assert_eq!(act("f1"), Lookup::Action(Action::Help));
    }

    #[test]
    fn sequences_wait_for_their_end() {
        let mut map = Keymap::built_in();
        map.bind(Context::List, chords("g g"), Action::ListFirst);
        let act = |keys: &str| map.lookup(&[Context::List], false, &chords(keys));
        assert_eq!(act("g"), Lookup::Prefix);
        assert_eq!(act("g g"), Lookup::Action(Action::ListFirst));
        assert_eq!(act("g x"), Lookup::None);
    }

    #[test]
    fn footers_show_only_keys_that_work() {
        let map = Keymap::built_in();
        let typing = [Context::Composer, Context::Chat];
        assert_eq!(
            map.key_for(Action::PaneLogs, &typing, true).as_deref(),
            Some("Alt-3")
        );
        assert_eq!(map.key_for(Action::LibraryLoad, &typing, true), None);
        assert_eq!(
            map.key_for(Action::Help, &[Context::List], false)
                .as_deref(),
            Some("F1")
        );
    }
}
