use chrono::{Local, TimeZone};

use super::*;
use crate::tui::{message::Message, panes::testing::Screen};

fn record(seq: u64, level: Level, message: &str, request: Option<&str>) -> Arc<LogRecord> {
    let time = Local.timestamp_opt(1_800_000_000 + seq as i64, 0).unwrap();
    Arc::new(LogRecord {
        seq,
        time,
        level,
        target: "maquette::engine".into(),
        message: message.into(),
        fields: Vec::new(),
        request: request.map(Into::into),
    })
}

fn screen() -> Screen {
    let mut screen = Screen::new(PaneId::Logs);
    screen.send(Message::Logs(vec![
        record(1, Level::INFO, "model loaded", None),
        record(2, Level::DEBUG, "step of 3 rows", Some("r7")),
        record(3, Level::INFO, "request arrived", Some("r7")),
        record(4, Level::WARN, "cache is full", None),
        record(5, Level::INFO, "request finished", Some("r7")),
    ]));
    screen
}

fn shown(screen: &Screen) -> Vec<u64> {
    screen
        .state
        .panes
        .logs
        .shown
        .iter()
        .map(|record| record.seq)
        .collect()
}

#[test]
fn levels_narrow_and_widen() {
    let mut screen = screen();
    assert_eq!(shown(&screen), [1, 3, 4, 5]);
    screen.keys("+");
    assert_eq!(shown(&screen), [1, 2, 3, 4, 5]);
    screen.keys("- -");
    assert_eq!(shown(&screen), [4]);
    screen.keys("- - - -");
    assert_eq!(shown(&screen), [0; 0]);
}

#[test]
fn text_filters_while_it_is_typed_and_escape_clears() {
    let mut screen = screen();
    screen.keys("/");
    screen.typed("arr|fin");
    assert_eq!(shown(&screen), [3, 5]);
    screen.keys("enter");
    assert!(!screen.state.panes.logs.typing());
    assert_eq!(shown(&screen), [3, 5]);
    screen.keys("esc");
    assert_eq!(shown(&screen), [1, 3, 4, 5]);
}

#[test]
fn a_broken_expression_is_searched_as_text() {
    let mut screen = screen();
    screen.keys("/");
    screen.typed("(cache");
    assert_eq!(shown(&screen), [0; 0]);
    assert!(screen.state.panes.logs.filter.problem().is_some());
}

#[test]
fn enter_shows_the_request_and_escape_all() {
    let mut screen = screen();
    screen.keys("enter");
    assert_eq!(shown(&screen), [3, 5]);
    screen.keys("+");
    assert_eq!(shown(&screen), [2, 3, 5]);
    screen.keys("esc");
    assert_eq!(shown(&screen), [1, 2, 3, 4, 5]);
}

#[test]
fn following_ends_with_moving_up_and_begins_at_the_end() {
    let mut screen = screen();
    screen.keys("up");
    assert!(!screen.state.panes.logs.follow);
    screen.send(Message::Logs(vec![record(6, Level::INFO, "more", None)]));
    assert_eq!(screen.state.panes.logs.selected, 2);
    screen.keys("G");
    assert!(screen.state.panes.logs.follow);
    screen.send(Message::Logs(vec![record(7, Level::INFO, "more", None)]));
    assert_eq!(screen.state.panes.logs.selected, 5);
}

#[test]
fn the_oldest_go_when_it_is_full() {
    let mut screen = Screen::new(PaneId::Logs);
    let many = (1..=CAPACITY as u64 + 5).map(|seq| record(seq, Level::INFO, "x", None));
    screen.send(Message::Logs(many.collect()));
    let logs = &screen.state.panes.logs;
    assert_eq!((logs.records.len(), logs.shown.len()), (CAPACITY, CAPACITY));
    assert_eq!(logs.shown.front().unwrap().seq, 6);
    assert_eq!(logs.selected, CAPACITY - 1);
}

#[test]
fn copying_and_saving_give_plain_text() {
    let mut screen = screen();
    screen.keys("y");
    assert!(matches!(
        &screen.effects[..],
        [Effect::Copy(text)] if text.contains("INFO  maquette::engine: [r7] request finished")
    ));
    screen.effects.clear();
    screen.keys("s");
    assert!(matches!(
        &screen.effects[..],
        [Effect::SaveText { name, text }] if name.ends_with(".txt") && text.lines().count() == 4
    ));
}
