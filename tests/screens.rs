//! What every pane and overlay looks like, at three sizes, with fixed facts.
//!
//! Pictures are of the characters alone; roles and colours have their own
//! tests beside the themes.

use std::{path::Path, sync::Arc, time::Duration};

use chrono::{Local, TimeZone};
use crossterm::event::KeyEvent;
use maquette::tui::{
    keymap::{Keymap, chord},
    message::{Message, Notice},
    state::State,
    theme::{self, Depth},
    types::*,
    update::update,
    view,
};
use ratatui::{Terminal, backend::TestBackend};
use tracing::Level;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

fn screen(size: (u16, u16)) -> State {
    let theme = theme::file::load("dark", Path::new("/nonexistent"), Depth::True).theme;
    let device = DeviceInfo {
        name: "8 cores".into(),
        backend: Backend::Cpu,
        memory_total: 32_000_000_000,
        memory_available: 22_000_000_000,
        threads: 8,
        unified_memory: true,
    };
    let keymap = Arc::new(Keymap::built_in());
    let mut state = State::new(keymap, Arc::new(theme), device, size);
    state.themes = vec!["dark".into(), "light".into(), "ansi".into()];
    state
}

fn keys(state: &mut State, keys: &str) {
    for chord in chord::parse_sequence(keys).expect("keys that exist") {
        let key = KeyEvent::new(chord.code, chord.modifiers);
        update(state, Message::Key(key));
    }
}

fn typed(state: &mut State, text: &str) {
    for c in text.chars() {
        keys(state, &c.to_string());
    }
}

/// The whole screen as text.
fn picture(state: &mut State) -> String {
    let (width, height) = state.shared.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal
        .draw(|frame| view::draw(frame, state))
        .expect("a frame");
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let mut x = 0;
        let mut row = String::new();
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            // A wide character's second cell is not shown.
            x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol).max(1))
                .expect("a cell");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn at_sizes(name: &str, make: impl Fn(&mut State)) {
    for (width, height) in SIZES {
        let mut state = screen((width, height));
        make(&mut state);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), picture(&mut state));
    }
}

fn model_in_use(state: &mut State) {
    let model = ModelInUse {
        id: "mlx-community/Qwen3-4B-4bit".into(),
        family: "qwen3".into(),
        quantisation: "4-bit g64".into(),
        parameters: 4_000_000_000,
        weight_bytes: 2_300_000_000,
        context_length: 40_960,
        vocab_size: 151_936,
    };
    update(state, Message::Model(Some(Arc::new(model))));
}

fn api_on(state: &mut State) {
    let api = ApiState::On {
        address: "127.0.0.1:8421".parse().expect("an address"),
        live: 2,
        served: 17,
    };
    update(state, Message::Api(api));
    state.toasts.clear();
}

/// Level, target, message, request, fields.
type Line<'a> = (
    Level,
    &'a str,
    &'a str,
    Option<&'a str>,
    &'a [(&'a str, &'a str)],
);

fn records() -> Vec<Arc<LogRecord>> {
    let lines: [Line; 7] = [
        (
            Level::INFO,
            "workstation",
            "started",
            None,
            &[("device", "CPU")],
        ),
        (
            Level::DEBUG,
            "engine::step",
            "prefill chunk",
            Some("r7"),
            &[("tokens", "512")],
        ),
        (
            Level::INFO,
            "engine",
            "request arrived",
            Some("r7"),
            &[("prompt", "612")],
        ),
        (Level::WARN, "stderr", "ggml: 警告 slow path", None, &[]),
        (
            Level::ERROR,
            "mcp",
            "the server `files` died: exit status 1",
            None,
            &[],
        ),
        (
            Level::INFO,
            "engine",
            "request finished",
            Some("r7"),
            &[("tokens", "212"), ("rate", "148")],
        ),
        (
            Level::INFO,
            "server",
            "GET /v1/models 200",
            Some("r8"),
            &[("ms", "1")],
        ),
    ];
    let records = lines.into_iter().enumerate().map(|(index, line)| {
        let (level, target, message, request, fields) = line;
        let seq = index as u64 + 1;
        let day = chrono::NaiveDate::from_ymd_opt(2026, 7, 14).expect("a day");
        let time = day
            .and_hms_milli_opt(10, 41, index as u32, 250)
            .expect("a time");
        Arc::new(LogRecord {
            seq,
            time: Local
                .from_local_datetime(&time)
                .earliest()
                .expect("a local time"),
            level,
            target: format!("maquette::{target}"),
            message: message.into(),
            fields: fields
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
            request: request.map(Into::into),
        })
    });
    records.collect()
}

fn running(id: u64, state: &'static str, tokens: usize) -> RunningRequest {
    RunningRequest {
        id: RequestId(id),
        state,
        prompt_tokens: 612,
        cached_tokens: 512,
        completion_tokens: tokens,
        tokens_per_second: if tokens > 0 { 148.2 } else { 0.0 },
        age: Duration::from_millis(1400 * id),
    }
}

/// Half a minute of an engine that answers.
fn busy_engine(state: &mut State) {
    let start = Local
        .timestamp_opt(1_800_000_000, 0)
        .earliest()
        .expect("a time");
    for second in 0..30u64 {
        let decoding = second >= 5;
        let mut stats = EngineStats {
            model: Some("guide".into()),
            running: vec![running(1, "decode", 148), running(2, "prefill", 0)],
            waiting: usize::from(second % 10 > 6),
            bytes: ByteStats {
                weights: 2_300_000_000,
                kv: 20_000_000 * second,
                kv_running: 5_000_000 * second,
                active: 2_400_000_000 + 20_000_000 * second,
                reusable: 100_000_000,
                peak: 3_100_000_000,
                limit: 22_000_000_000,
            },
            pages: PageStats {
                page_tokens: 64,
                used: 12 + second as usize,
                cached: 40,
                free: 900,
                evicted: 3,
            },
            cache: CacheStats {
                prefix: PrefixCounters {
                    memory_hits: 7,
                    disk_hits: 1,
                    memory_tokens: 3840,
                    disk_tokens: 1280,
                    misses: 1,
                    ended_other_tokens: 2,
                    ..PrefixCounters::default()
                },
                disk: DiskCounters {
                    on: true,
                    writing: true,
                    stored_bytes: 1_400_000_000,
                    limit: 10_000_000_000,
                    written_pages: 61,
                    queued: 2,
                    ..DiskCounters::default()
                },
                ..CacheStats::default()
            },
            ..EngineStats::default()
        };
        stats.measures.last_batch = 2;
        stats.measures.last_first_token = Some(Duration::from_millis(412));
        stats.totals = Totals {
            requests: 9,
            prompt_tokens: 6120,
            prefilled_tokens: 100 * second.min(8),
            cached_tokens: 5120,
            generated_tokens: if decoding { 148 * (second - 4) } else { 0 },
            proposed_tokens: 800,
            accepted_tokens: 592,
            prefill_micros: 90_000 * second.min(8),
            decode_micros: if decoding {
                1_000_000 * (second - 4)
            } else {
                0
            },
            ..Totals::default()
        };
        update(state, Message::Stats(Arc::new(stats)));
        let now = start + chrono::Duration::seconds(second as i64);
        update(state, Message::Tick(now));
    }
}

#[test]
fn logs() {
    at_sizes("logs", |state| {
        update(state, Message::Logs(records()));
        keys(state, "alt-3 + up up");
    });
}

#[test]
fn logs_while_typing_a_filter() {
    at_sizes("logs_filter", |state| {
        update(state, Message::Logs(records()));
        keys(state, "alt-3 /");
        typed(state, "request");
    });
}

#[test]
fn logs_without_any() {
    at_sizes("logs_empty", |state| keys(state, "alt-3"));
}

#[test]
fn cache() {
    at_sizes("cache", |state| {
        model_in_use(state);
        api_on(state);
        busy_engine(state);
        keys(state, "alt-4");
    });
}

#[test]
fn cache_at_rest() {
    at_sizes("cache_idle", |state| keys(state, "alt-4"));
}

#[test]
fn palette() {
    at_sizes("palette", |state| {
        keys(state, "alt-3 ctrl-p");
        typed(state, "theme");
    });
}

#[test]
fn help() {
    at_sizes("help", |state| keys(state, "alt-3 f1"));
}

#[test]
fn themes() {
    at_sizes("themes", |state| keys(state, "alt-3 f6"));
}

#[test]
fn quitting() {
    at_sizes("quit", |state| {
        api_on(state);
        keys(state, "alt-3 ctrl-q");
    });
}

#[test]
fn notices() {
    at_sizes("notices", |state| {
        keys(state, "alt-3");
        let long = "/home/me/.config/maquette/keymaps/default.toml:3: there is no action `app.hlep`. Did you mean `app.help`?";
        for notice in [
            Notice::info("Copied 212 characters through the terminal (OSC 52)"),
            Notice::warn(long),
            Notice::error("guide was not loaded: 日本語 out of memory"),
        ] {
            update(state, Message::Notice(notice));
        }
    });
}

#[test]
fn a_model_being_loaded() {
    at_sizes("loading", |state| {
        let stats = EngineStats {
            loading: Some(("mlx-community/Qwen3-4B-4bit".into(), 0.42)),
            ..EngineStats::default()
        };
        update(state, Message::Stats(Arc::new(stats)));
        keys(state, "alt-3");
    });
}

#[test]
fn side_by_side() {
    let mut state = screen((120, 40));
    update(&mut state, Message::Logs(records()));
    busy_engine(&mut state);
    keys(&mut state, "alt-4 alt-3 f4");
    insta::assert_snapshot!(picture(&mut state));
}

#[test]
fn too_small() {
    let mut state = screen((30, 6));
    insta::assert_snapshot!(picture(&mut state));
}

/// No size, however odd, may panic or draw outside of the screen.
#[test]
fn any_size_draws() {
    for width in [1, 2, 5, 20, 39, 40, 41, 60, 99, 100, 101, 200, 300] {
        for height in [1, 2, 3, 9, 10, 11, 15, 16, 17, 30, 50, 100] {
            for pane in 1..=5 {
                let mut state = screen((width, height));
                model_in_use(&mut state);
                api_on(&mut state);
                update(&mut state, Message::Logs(records()));
                busy_engine(&mut state);
                update(
                    &mut state,
                    Message::Notice(Notice::error("日本語 ".repeat(80))),
                );
                keys(&mut state, &format!("alt-{pane}"));
                picture(&mut state);
                keys(&mut state, "f4");
                picture(&mut state);
                for overlay in ["f1", "ctrl-p", "f6", "ctrl-q"] {
                    keys(&mut state, overlay);
                    picture(&mut state);
                    keys(&mut state, "esc");
                }
            }
        }
    }
}

/// The screen survives any keys in any order.
#[test]
fn any_keys_are_survived() {
    let names = [
        "a",
        "j",
        "k",
        "G",
        "g",
        "/",
        "?",
        "1",
        "3",
        "4",
        "+",
        "-",
        "s",
        "f",
        "y",
        "enter",
        "esc",
        "tab",
        "shift-tab",
        "up",
        "down",
        "left",
        "right",
        "home",
        "end",
        "pageup",
        "pagedown",
        "backspace",
        "delete",
        "space",
        "alt-1",
        "alt-2",
        "alt-3",
        "alt-4",
        "alt-5",
        "ctrl-p",
        "f1",
        "f3",
        "f4",
        "f5",
        "f6",
        "ctrl-n",
        "ctrl-o",
        "ctrl-t",
        "alt-enter",
        "ctrl-l",
        "x",
        "r",
        "i",
        "d",
        "[",
        "]",
    ];
    let mut state = screen((80, 24));
    update(&mut state, Message::Logs(records()));
    busy_engine(&mut state);
    // A small generator of our own: the same keys in every run.
    let mut seed = 0x2545_f491_u64;
    for step in 0..4000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        keys(&mut state, names[(seed % names.len() as u64) as usize]);
        if step % 8 == 0 {
            picture(&mut state);
        }
    }
}
