//! The pure heart of the screen: a message changes the state and asks for
//! effects. No input, no output, no clock but the message's own.

use crossterm::event::{KeyEvent, KeyEventKind};

use super::{
    action::{Action, Context},
    keymap::Lookup,
    message::{Effect, Level, Message, Notice},
    overlay::{Outcome, Overlay},
    pane::PaneId,
    state::{State, Toast},
    types::ApiState,
};

/// How many notices are shown at once.
const TOASTS: usize = 3;

/// Changes the state by what happened; the effects are to be done in order.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    let effects = match message {
        Message::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(key) => on_key(state, key),
        Message::Paste(text) => on_paste(state, &text),
        Message::Notice(notice) => vec![Effect::Notify(notice)],
        message => {
            let mut effects = learn(state, &message);
            for id in PaneId::ALL {
                effects.extend(state.panes.get_mut(id).on_message(&message, &state.shared));
            }
            effects
        }
    };
    let effects = settle(state, effects);
    state.shared.covered = !state.overlays.is_empty();
    effects
}

fn on_key(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let mut keys = std::mem::take(&mut state.pending);
    keys.push(key.into());
    let (contexts, typing) = state.listening();
    match state.shared.keymap.lookup(&contexts, typing, &keys) {
        Lookup::Action(action) => on_action(state, action),
        Lookup::Prefix => {
            state.pending = keys;
            Vec::new()
        }
        // A sequence that leads nowhere is dropped whole.
        Lookup::None if keys.len() > 1 => Vec::new(),
        Lookup::None => match state.overlays.last_mut() {
            Some(overlay) => {
                let outcome = overlay.on_key(key, &state.shared);
                apply(state, outcome)
            }
            None => {
                let pane = state.panes.get_mut(state.shared.focus);
                pane.on_key(key, &state.shared)
            }
        },
    }
}

fn on_paste(state: &mut State, text: &str) -> Vec<Effect> {
    match state.overlays.last_mut() {
        Some(overlay) => {
            let outcome = overlay.on_paste(text, &state.shared);
            apply(state, outcome)
        }
        None => {
            let pane = state.panes.get_mut(state.shared.focus);
            pane.on_paste(text, &state.shared)
        }
    }
}

fn apply(state: &mut State, outcome: Outcome) -> Vec<Effect> {
    if outcome.close {
        state.overlays.pop();
    }
    outcome.effects
}

/// Does what the frame itself can do and hands the rest to the overlay or to
/// the pane that has the focus.
fn on_action(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::PaneChat => show(state, PaneId::Chat),
        Action::PaneLibrary => show(state, PaneId::Library),
        Action::PaneLogs => show(state, PaneId::Logs),
        Action::PaneCache => show(state, PaneId::Cache),
        Action::PaneTools => show(state, PaneId::Tools),
        Action::Palette => toggle(state, Overlay::is_palette, Overlay::palette),
        Action::Help => toggle(state, Overlay::is_help, Overlay::help),
        Action::ThemePicker => toggle(state, Overlay::is_themes, Overlay::themes),
        Action::Stop => stop(state),
        Action::Quit => ask_to_quit(state),
        Action::Suspend => vec![Effect::Suspend],
        Action::Redraw => vec![Effect::Redraw],
        Action::Split => {
            state.split();
            Vec::new()
        }
        Action::SplitFocus => focus_other_side(state),
        Action::ApiToggle => match state.shared.api {
            ApiState::On { .. } => vec![Effect::StopApi],
            _ => vec![Effect::StartApi],
        },
        Action::UnloadModel => vec![Effect::Unload],
        _ => match state.overlays.last_mut() {
            Some(overlay) => {
                let outcome = overlay.on_action(action, &state.shared);
                apply(state, outcome)
            }
            None => {
                let pane = state.panes.get_mut(state.shared.focus);
                pane.on_action(action, &state.shared)
            }
        },
    }
}

fn show(state: &mut State, id: PaneId) -> Vec<Effect> {
    let effects = close_all(state);
    state.show(id);
    effects
}

/// Closes the overlays as Esc would, so that each can undo what it previews.
fn close_all(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    while let Some(mut overlay) = state.overlays.pop() {
        effects.extend(overlay.on_action(Action::Back, &state.shared).effects);
    }
    effects
}

fn focus_other_side(state: &mut State) -> Vec<Effect> {
    if let Some(right) = state.right {
        let other = if state.shared.focus == right {
            state.left
        } else {
            right
        };
        state.show(other);
    }
    Vec::new()
}

fn toggle(state: &mut State, is: fn(&Overlay) -> bool, make: fn(&State) -> Overlay) -> Vec<Effect> {
    if state.overlays.last().is_some_and(is) {
        return close_all(state);
    }
    let overlay = make(state);
    state.overlays.push(overlay);
    Vec::new()
}

/// Ctrl-C: stops what runs here, else what runs elsewhere, else asks to quit;
/// once asked, it is the answer.
fn stop(state: &mut State) -> Vec<Effect> {
    if state.overlays.last().is_some_and(Overlay::is_quit) {
        return vec![Effect::Quit];
    }
    let first = state.shared.focus;
    for id in std::iter::once(first).chain(PaneId::ALL) {
        if let Some(effects) = state.panes.get_mut(id).stop(&state.shared) {
            return effects;
        }
    }
    ask_to_quit(state)
}

fn ask_to_quit(state: &mut State) -> Vec<Effect> {
    if !state.overlays.iter().any(Overlay::is_quit) {
        state.overlays.push(Overlay::quit(&state.shared));
    }
    Vec::new()
}

/// Brings what the message says into what all panes share.
fn learn(state: &mut State, message: &Message) -> Vec<Effect> {
    let shared = &mut state.shared;
    match message {
        Message::Resize(columns, rows) => shared.size = (*columns, *rows),
        Message::Beat => shared.beat = shared.beat.wrapping_add(1),
        Message::Tick(now) => {
            shared.now = *now;
            for toast in &mut state.toasts {
                toast.seconds = toast.seconds.saturating_sub(1);
            }
            state.toasts.retain(|toast| toast.seconds > 0);
        }
        Message::Theme(theme) => state.theme = theme.clone(),
        Message::Models(models) => shared.models = models.clone(),
        Message::Model(model) => shared.model = model.clone(),
        Message::Stats(stats) => shared.stats = stats.clone(),
        Message::Downloads(downloads) => shared.downloads = downloads.clone(),
        Message::Servers(servers) => shared.servers = servers.clone(),
        Message::Chats(chats) => shared.chats = chats.clone(),
        Message::Api(api) => return learn_api(state, api),
        Message::LoadFailed { id, reason } => {
            let text = format!("{id} was not loaded: {reason}");
            return vec![Effect::Notify(Notice::error(text))];
        }
        Message::Copied(result) => return vec![said(result.clone())],
        Message::Saved(result) => {
            let text = result.clone();
            let text = text.map(|path| format!("Saved as {}", path.display()));
            return vec![said(text)];
        }
        _ => {}
    }
    Vec::new()
}

fn said(result: Result<String, String>) -> Effect {
    Effect::Notify(match result {
        Ok(text) => Notice::info(text),
        Err(text) => Notice::error(text),
    })
}

fn learn_api(state: &mut State, api: &ApiState) -> Vec<Effect> {
    let before = std::mem::replace(&mut state.shared.api, api.clone());
    let notice = match (before, api) {
        (ApiState::On { .. }, ApiState::On { .. }) => return Vec::new(),
        (_, ApiState::On { address, .. }) => {
            Notice::info(format!("The API answers at http://{address}/v1"))
        }
        (ApiState::On { .. }, ApiState::Off) => Notice::info("The API is off"),
        (_, ApiState::Failed(reason)) => Notice::error(reason.clone()),
        _ => return Vec::new(),
    };
    vec![Effect::Notify(notice)]
}

/// Carries out the effects that only concern the state, in their order, and
/// returns the others.
fn settle(state: &mut State, effects: Vec<Effect>) -> Vec<Effect> {
    let mut outside = Vec::new();
    let mut queue = std::collections::VecDeque::from(effects);
    while let Some(effect) = queue.pop_front() {
        match effect {
            Effect::Do(action) => {
                let mut more = Vec::new();
                if let Some(pane) = home(action) {
                    more.extend(show(state, pane));
                }
                more.extend(on_action(state, action));
                prepend(&mut queue, more);
            }
            Effect::Open(overlay) => state.overlays.push(overlay),
            Effect::InsertInChat(text) => {
                state.show(PaneId::Chat);
                let more = state.panes.chat.on_insert(&text, &state.shared);
                prepend(&mut queue, more);
            }
            Effect::Notify(notice) => {
                toast(state, notice.clone());
                // The runtime writes it to the log.
                outside.push(Effect::Notify(notice));
            }
            effect => outside.push(effect),
        }
    }
    outside
}

fn prepend(queue: &mut std::collections::VecDeque<Effect>, effects: Vec<Effect>) {
    for effect in effects.into_iter().rev() {
        queue.push_front(effect);
    }
}

/// The pane that an action belongs to, for those chosen from the palette.
fn home(action: Action) -> Option<PaneId> {
    match action.doc().context {
        Context::Chat | Context::Composer | Context::Transcript | Context::Chats => {
            Some(PaneId::Chat)
        }
        Context::Library => Some(PaneId::Library),
        Context::Logs => Some(PaneId::Logs),
        Context::Cache => Some(PaneId::Cache),
        Context::Tools => Some(PaneId::Tools),
        _ => None,
    }
}

fn toast(state: &mut State, notice: Notice) {
    state.toasts.retain(|toast| toast.notice != notice);
    let seconds = match notice.level {
        Level::Info => 4,
        Level::Warn => 8,
        Level::Error => 12,
    };
    state.toasts.push_back(Toast { notice, seconds });
    while state.toasts.len() > TOASTS {
        state.toasts.pop_front();
    }
}

#[cfg(test)]
mod tests;
