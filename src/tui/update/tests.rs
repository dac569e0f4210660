//! Keys and messages in, state and effects out.

use std::sync::Arc;

use chrono::Local;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyEventState, KeyModifiers};

use super::*;
use crate::tui::{
    keymap::{Keymap, chord},
    overlay::{Confirm, Picker, PickerItem},
    pane::Pane,
    theme::Theme,
    types::{Backend, DeviceInfo, EngineStats, RequestId, RunningRequest},
};

fn state() -> State {
    let theme = Arc::new(Theme::plain("dark"));
    let keymap = Arc::new(Keymap::built_in());
    let device = DeviceInfo {
        backend: Backend::Cpu,
        name: "Test CPU".into(),
        memory_total: 24_000_000_000,
        memory_available: 22_000_000_000,
        threads: 8,
        unified_memory: true,
    };
    let mut state = State::new(keymap, theme, device, (80, 24));
    state.themes = vec!["dark".into(), "light".into()];
    state
}

fn keys(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for chord in chord::parse_sequence(keys).unwrap() {
        let key = KeyEvent::new(chord.code, chord.modifiers);
        effects.extend(update(state, Message::Key(key)));
    }
    effects
}

fn address() -> ApiState {
    ApiState::On {
        address: "127.0.0.1:8421".parse().unwrap(),
        live: 0,
        served: 0,
    }
}

#[test]
fn every_pane_is_one_chord_away_from_every_other() {
    for from in PaneId::ALL {
        for to in PaneId::ALL {
            let mut state = state();
            state.show(from);
            assert!(keys(&mut state, &format!("alt-{}", to.number())).is_empty());
            assert_eq!(state.shared.focus, to, "from {from:?}");
        }
    }
}

#[test]
fn digits_are_text_in_the_composer_and_panes_elsewhere() {
    let mut state = state();
    keys(&mut state, "2");
    assert_eq!(state.shared.focus, PaneId::Chat);
    keys(&mut state, "alt-3 2");
    assert_eq!(state.shared.focus, PaneId::Library);
}

#[test]
fn overlays_open_close_and_cover() {
    for (open, is) in [
        ("ctrl-p", Overlay::is_palette as fn(&Overlay) -> bool),
        ("f1", Overlay::is_help),
        ("f6", Overlay::is_themes),
        ("ctrl-q", Overlay::is_quit),
    ] {
        let mut state = state();
        keys(&mut state, open);
        assert!(state.overlays.last().is_some_and(is), "{open}");
        assert!(state.shared.covered && !state.shared.has_keys(PaneId::Chat));
        keys(&mut state, "esc");
        assert!(state.overlays.is_empty() && !state.shared.covered, "{open}");
    }
}

#[test]
fn escape_never_leaves() {
    let mut state = state();
    for _ in 0..5 {
        let effects = keys(&mut state, "esc");
        assert!(!effects.iter().any(|e| matches!(e, Effect::Quit)));
    }
}

#[test]
fn quitting_asks() {
    let mut state = state();
    assert!(keys(&mut state, "ctrl-q").is_empty());
    assert!(keys(&mut state, "n").is_empty());
    assert!(state.overlays.is_empty());
    assert!(matches!(keys(&mut state, "ctrl-q y")[..], [Effect::Quit]));
    keys(&mut state, "ctrl-q");
    assert!(matches!(keys(&mut state, "enter")[..], [Effect::Quit]));
}

#[test]
fn stopping_asks_when_nothing_runs_and_the_second_is_the_answer() {
    let mut state = state();
    assert!(keys(&mut state, "ctrl-c").is_empty());
    assert!(state.overlays.last().is_some_and(Overlay::is_quit));
    assert!(matches!(keys(&mut state, "ctrl-c")[..], [Effect::Quit]));
}

#[test]
fn the_question_says_what_would_end() {
    let mut state = state();
    let mut stats = EngineStats::default();
    stats.running.push(RunningRequest {
        id: RequestId(1),
        state: "decode",
        prompt_tokens: 1,
        cached_tokens: 0,
        completion_tokens: 1,
        tokens_per_second: 1.0,
        age: std::time::Duration::ZERO,
    });
    update(&mut state, Message::Stats(Arc::new(stats)));
    update(&mut state, Message::Api(address()));
    keys(&mut state, "ctrl-q");
    let Some(Overlay::Confirm(Confirm { question, .. })) = state.overlays.last() else {
        panic!("no question");
    };
    assert!(
        question.contains("1 running request would stop"),
        "{question}"
    );
    assert!(question.contains("127.0.0.1:8421"), "{question}");
}

#[test]
fn the_api_is_switched_by_its_state() {
    let mut state = state();
    assert!(matches!(keys(&mut state, "f5")[..], [Effect::StartApi]));
    let told = update(&mut state, Message::Api(address()));
    assert!(matches!(&told[..], [Effect::Notify(n)] if n.text.contains("127.0.0.1:8421")));
    assert!(matches!(keys(&mut state, "f5")[..], [Effect::StopApi]));
    let told = update(
        &mut state,
        Message::Api(ApiState::Failed("port in use".into())),
    );
    assert!(matches!(&told[..], [Effect::Notify(n)] if n.level == Level::Error));
    assert!(matches!(keys(&mut state, "f5")[..], [Effect::StartApi]));
}

#[test]
fn counting_live_requests_is_no_news() {
    let mut state = state();
    update(&mut state, Message::Api(address()));
    assert!(update(&mut state, Message::Api(address())).is_empty());
}

#[test]
fn notices_pass() {
    let mut state = state();
    update(&mut state, Message::Notice(Notice::info("saved")));
    assert!(state.ticking());
    for _ in 0..4 {
        assert_eq!(state.toasts.len(), 1);
        update(&mut state, Message::Tick(Local::now()));
    }
    assert!(state.toasts.is_empty() && !state.ticking());
}

#[test]
fn equal_notices_do_not_pile_up_and_many_push_the_oldest_out() {
    let mut state = state();
    for text in ["a", "b", "b", "c", "d"] {
        update(&mut state, Message::Notice(Notice::warn(text)));
    }
    let texts: Vec<&str> = state
        .toasts
        .iter()
        .map(|t| t.notice.text.as_str())
        .collect();
    assert_eq!(texts, ["b", "c", "d"]);
}

#[test]
fn the_palette_runs_actions_of_other_panes_there() {
    let mut state = state();
    keys(&mut state, "ctrl-p");
    update(&mut state, Message::Paste("cache.span".into()));
    keys(&mut state, "enter");
    assert_eq!(state.shared.focus, PaneId::Cache);
    assert!(state.overlays.is_empty());
}

#[test]
fn an_effect_opens_an_overlay_whose_choice_has_effects() {
    let mut state = state();
    let item = PickerItem {
        label: "one".into(),
        effects: vec![Effect::Load("one".into())],
        ..PickerItem::default()
    };
    let picker = Overlay::Picker(Picker::new("Pick", "", vec![item]));
    let effects = settle(&mut state, vec![Effect::Open(picker)]);
    assert!(effects.is_empty());
    assert!(matches!(&keys(&mut state, "enter")[..], [Effect::Load(id)] if id == "one"));
}

#[test]
fn themes_show_while_selected_and_come_back() {
    let mut state = state();
    keys(&mut state, "f6");
    let shown = keys(&mut state, "down");
    assert!(matches!(&shown[..], [Effect::ShowTheme(name)] if name == "light"));
    let back = keys(&mut state, "esc");
    assert!(matches!(&back[..], [Effect::ShowTheme(name)] if name == "dark"));
    keys(&mut state, "f6 down");
    let chosen = keys(&mut state, "enter");
    assert!(matches!(&chosen[..], [Effect::UseTheme(name)] if name == "light"));
}

#[test]
fn leaving_a_theme_preview_for_another_pane_undoes_it() {
    let mut state = state();
    keys(&mut state, "f6 down");
    let effects = keys(&mut state, "alt-3");
    assert!(matches!(&effects[..], [Effect::ShowTheme(name)] if name == "dark"));
    assert_eq!(state.shared.focus, PaneId::Logs);
}

#[test]
fn two_panes_side_by_side() {
    let mut state = state();
    keys(&mut state, "alt-3 f4");
    assert_eq!(
        (state.left, state.right),
        (PaneId::Logs, Some(PaneId::Chat))
    );
    keys(&mut state, "f3");
    assert_eq!(state.shared.focus, PaneId::Chat);
    // Another pane takes the focused side; one in sight only takes the focus.
    keys(&mut state, "alt-4");
    assert_eq!(
        (state.left, state.right),
        (PaneId::Logs, Some(PaneId::Cache))
    );
    keys(&mut state, "alt-3");
    assert_eq!(
        (state.left, state.right),
        (PaneId::Logs, Some(PaneId::Cache))
    );
    keys(&mut state, "f4");
    assert_eq!((state.left, state.right), (PaneId::Logs, None));
}

#[test]
fn released_keys_do_nothing() {
    let mut state = state();
    let key = KeyEvent {
        code: KeyCode::F(1),
        modifiers: KeyModifiers::NONE,
        kind: KeyEventKind::Release,
        state: KeyEventState::NONE,
    };
    update(&mut state, Message::Key(key));
    assert!(state.overlays.is_empty());
}

#[test]
fn a_sequence_waits_and_a_wrong_one_is_dropped() {
    let mut map = Keymap::built_in();
    map.bind(
        Context::Global,
        chord::parse_sequence("ctrl-x ctrl-c").unwrap(),
        Action::Quit,
    );
    let mut state = state();
    state.shared.keymap = Arc::new(map);
    keys(&mut state, "ctrl-x");
    assert_eq!(state.pending.len(), 1);
    keys(&mut state, "ctrl-y");
    assert!(state.pending.is_empty() && state.overlays.is_empty());
    keys(&mut state, "ctrl-x ctrl-c");
    assert!(state.overlays.last().is_some_and(Overlay::is_quit));
}

#[test]
fn idle_means_no_beats_and_no_ticks() {
    let mut state = state();
    assert!(!state.animated() && !state.ticking());
    let mut stats = EngineStats {
        loading: Some(("guide".into(), 0.5)),
        ..EngineStats::default()
    };
    update(&mut state, Message::Stats(Arc::new(stats.clone())));
    assert!(state.animated());
    stats.loading = None;
    update(&mut state, Message::Stats(Arc::new(stats)));
    assert!(!state.animated());
}

#[test]
fn help_lists_what_works_here_first() {
    let mut state = state();
    keys(&mut state, "alt-3 ?");
    assert!(state.overlays.last().is_some_and(Overlay::is_help));
    // `?` is text in the help's own field.
    keys(&mut state, "?");
    assert!(state.overlays.last().is_some_and(Overlay::is_help));
    keys(&mut state, "f1");
    assert!(state.overlays.is_empty());
}

#[test]
fn the_panes_own_numbers_agree() {
    let state = state();
    for id in PaneId::ALL {
        assert_eq!(state.panes.get(id).id(), id);
    }
    let pane: &dyn Pane = state.panes.get(PaneId::Chat);
    assert!(!pane.contexts().is_empty());
}
