//! Pickers of the frame: the command palette and the themes.

use super::{Picker, PickerItem};
use crate::tui::{
    action::{ACTIONS, ActionDoc, Context},
    message::Effect,
    state::State,
};

pub const PALETTE: &str = "Palette";
pub const THEMES: &str = "Themes";

/// Every action that stands by itself, and every model that can be loaded.
pub fn palette(state: &State) -> Picker {
    let (contexts, typing) = state.listening();
    let key = |row: &ActionDoc| {
        let map = &state.shared.keymap;
        let here = map.key_for(row.action, &contexts, typing);
        here.or_else(|| map.keys_of(row.action, row.context).into_iter().next())
            .unwrap_or_default()
    };
    let actions = ACTIONS.iter().filter(|row| stands_alone(row.context));
    let mut items: Vec<PickerItem> = actions
        .map(|row| PickerItem {
            label: row.doc.trim_end_matches('.').into(),
            detail: format!("{}  {:>6}", row.name, key(row)),
            effects: vec![Effect::Do(row.action)],
            preview: None,
        })
        .collect();
    let models = state
        .shared
        .models
        .iter()
        .filter(|model| model.problem.is_none());
    items.extend(models.map(|model| PickerItem {
        label: format!("Load {}", model.id),
        detail: format!("model  {}", model.quantisation),
        effects: vec![Effect::Load(model.id.clone())],
        preview: None,
    }));
    Picker::new(PALETTE, "Type to search actions and models", items)
}

/// Movement and answers mean nothing without what they move in.
fn stands_alone(context: Context) -> bool {
    !matches!(
        context,
        Context::List | Context::Filter | Context::Form | Context::Overlay
    )
}

pub fn themes(state: &State) -> Picker {
    let current = &state.theme.name;
    let items: Vec<PickerItem> = state
        .themes
        .iter()
        .map(|name| PickerItem {
            label: name.clone(),
            detail: if name == current {
                "in use".into()
            } else {
                String::new()
            },
            effects: vec![Effect::UseTheme(name.clone())],
            preview: Some(Effect::ShowTheme(name.clone())),
        })
        .collect();
    let selected = items.iter().position(|item| item.label == *current);
    let mut picker =
        Picker::new(THEMES, "Type to search themes", items).select(selected.unwrap_or(0));
    picker.undo = vec![Effect::ShowTheme(current.clone())];
    picker
}
