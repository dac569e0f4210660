//! The view on long and growing conversations.

use std::time::{Duration, Instant};

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{cell::CellStyles, *};
use crate::tui::markdown::Styles;

fn view(transcript: &mut Transcript, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    transcript.set_view(
        width.into(),
        height.into(),
        &Styles::plain(),
        &CellStyles::default(),
        "⠋",
    );
    transcript.draw(area, &mut buffer, Style::new());
    let rows = (0..height).map(|y| {
        (0..width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    });
    rows.map(|row| row.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn numbered(lines: usize) -> String {
    (1..=lines).map(|n| format!("line {n}\n\n")).collect()
}

fn cells(count: u64) -> Vec<Cell> {
    let cell = |id| {
        let kind = if id % 2 == 0 {
            Kind::User
        } else {
            Kind::Answer
        };
        Cell::finished(id, kind, "Name", "", &format!("message {id}"))
    };
    (0..count).map(cell).collect()
}

fn chat(messages: u64) -> Transcript {
    let mut transcript = Transcript::default();
    transcript.replace(cells(messages));
    transcript
}

#[test]
fn the_view_follows_the_end_only_while_it_is_there() {
    let mut transcript = Transcript::default();
    transcript.push(Cell::new(1, Kind::Answer, "guide", ""));
    for n in 1..50 {
        transcript
            .cell_mut(1)
            .expect("the cell")
            .push(&format!("line {n}\n\n"));
        assert!(view(&mut transcript, 40, 10).contains(&format!("line {n}")));
    }
    transcript.scroll(-20);
    assert!(!transcript.follows());
    let before = view(&mut transcript, 40, 10);
    transcript
        .cell_mut(1)
        .expect("the cell")
        .push(&numbered(30));
    assert_eq!(view(&mut transcript, 40, 10), before);
    transcript.scroll(1000);
    assert!(transcript.follows());
    assert!(view(&mut transcript, 40, 10).ends_with("line 30"));
}

#[test]
fn paging_reaches_both_ends_and_misses_nothing() {
    let mut transcript = chat(60);
    view(&mut transcript, 40, 10);
    transcript.to_start();
    let mut seen = String::new();
    for _ in 0..100 {
        seen += &view(&mut transcript, 40, 10);
        if transcript.follows() {
            break;
        }
        transcript.page(1);
    }
    seen += &view(&mut transcript, 40, 10);
    assert!(transcript.follows());
    for id in 0..60 {
        assert!(seen.contains(&format!("message {id}")), "{id}");
    }
    for _ in 0..100 {
        transcript.page(-1);
    }
    assert!(view(&mut transcript, 40, 10).starts_with("  Name"));
    assert!(view(&mut transcript, 40, 10).contains("message 0"));
}

#[test]
fn a_change_of_width_keeps_the_place() {
    let mut transcript = Transcript::default();
    let text: String = (0..200).map(|n| format!("word{n} ")).collect();
    transcript.push(Cell::finished(1, Kind::Answer, "guide", "", &text));
    transcript.push(Cell::finished(2, Kind::Answer, "guide", "", &numbered(40)));
    view(&mut transcript, 60, 8);
    transcript.show(1, 12);
    let first = |screen: &str| -> usize {
        let word = screen
            .split("word")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        word.and_then(|n| n.trim().parse().ok())
            .expect("a word in sight")
    };
    let before = first(&view(&mut transcript, 60, 8));
    let after = first(&view(&mut transcript, 34, 8));
    assert!(before.abs_diff(after) < 20, "{before} became {after}");
}

#[test]
fn selection_walks_and_scrolls_through_long_messages() {
    let mut transcript = chat(4);
    transcript.push(Cell::finished(9, Kind::Answer, "guide", "", &numbered(30)));
    view(&mut transcript, 40, 10);
    transcript.select_by(-1);
    assert_eq!(transcript.selected().map(|c| c.id), Some(9));
    let mut steps = 0;
    while transcript.selected().map(|c| c.id) == Some(9) {
        transcript.select_by(-1);
        steps += 1;
        assert!(steps < 30);
    }
    assert!(steps > 5, "the long message was skipped in {steps} steps");
    assert_eq!(transcript.selected().map(|c| c.id), Some(3));
    assert!(view(&mut transcript, 40, 10).contains("▌   message 3"));
}

#[test]
fn search_goes_round() {
    let mut transcript = chat(30);
    view(&mut transcript, 40, 10);
    assert!(transcript.find("MESSAGE 2", true));
    assert_eq!(transcript.selected().map(|c| c.id), Some(29));
    assert!(transcript.find("message 2", false));
    assert_eq!(transcript.selected().map(|c| c.id), Some(2));
    assert!(view(&mut transcript, 40, 10).contains("message 2"));
    assert!(!transcript.find("nowhere", false));
}

#[test]
fn folds_open_and_close() {
    let mut cell = Cell::new(1, Kind::Answer, "guide", "10:41");
    cell.push_thought("I should ");
    cell.push_thought("look.");
    cell.end_thought(Duration::from_millis(800));
    cell.push("Found it.");
    cell.add_tool(ToolCell {
        id: "c1".into(),
        name: "search_models".into(),
        arguments: r#"{"query":"qwen3"}"#.into(),
        pretty: "{\n  \"query\": \"qwen3\"\n}".into(),
        state: ToolState::Done {
            text: "a\nb".into(),
            is_error: false,
            elapsed: Some(Duration::from_millis(312)),
        },
        open: false,
    });
    cell.finish(Progress::Done("12 tokens".into()));
    let mut transcript = Transcript::default();
    transcript.push(cell);
    insta::assert_snapshot!(view(&mut transcript, 70, 8));
    transcript.cell_mut(1).expect("the cell").toggle_fold();
    insta::assert_snapshot!(view(&mut transcript, 70, 14));
}

#[test]
fn a_replaced_branch_keeps_the_place_where_it_can() {
    let mut transcript = chat(40);
    view(&mut transcript, 40, 10);
    transcript.show(10, 0);
    let before = view(&mut transcript, 40, 10);
    transcript.replace(cells(30));
    assert_eq!(view(&mut transcript, 40, 10), before);
    transcript.replace(cells(5));
    assert!(transcript.follows());
}

/// About 100k tokens of mixed Markdown.
fn long_text() -> String {
    let block = "Some **prose** with `code` and a [link](http://a.b) that runs over a line or two of the pane, as answers do, \
                 and then on.\n\n- one item of a list\n- another, longer one with *emphasis* in it\n\n```text\nlet value = compute(1, 2);\n\
                 let other = value + 1;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n";
    block.repeat(400_000 / block.len())
}

/// Time that this thread has computed, where the system says so (to some
/// milliseconds); what others compute does not count. Elsewhere clock time.
fn computed() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|field| field.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// The figures of the frame and of streaming, against the design's bounds. Run
/// with `--release --include-ignored --nocapture` to see them.
#[test]
#[ignore = "measures time: needs a release build"]
fn long_chats_stay_within_their_time() {
    let text = long_text();
    let turns = || {
        let pieces = (0..).zip(text.as_bytes().chunks(4_000));
        let cell = |(id, piece)| {
            Cell::finished(
                id,
                Kind::Answer,
                "guide",
                "10:41",
                &String::from_utf8_lossy(piece),
            )
        };
        pieces.map(cell).collect()
    };
    let p99 = frames(turns);
    let p99_single = frames(|| vec![Cell::finished(1, Kind::Answer, "guide", "10:41", &text)]);

    let mut streamed = Transcript::default();
    streamed.push(Cell::new(1, Kind::Answer, "guide", ""));
    let (styles, roles) = (Styles::plain(), CellStyles::default());
    let begin = computed();
    for token in text.as_bytes().chunks(4) {
        let cell = streamed.cell_mut(1).expect("the cell");
        cell.push(&String::from_utf8_lossy(token));
        streamed.set_view(200, 50, &styles, &roles, "");
        streamed.first_line();
    }
    let total = computed() - begin;
    println!("frame p99: {p99:?} in turns, {p99_single:?} in one message; 100k tokens: {total:?}");
    assert!(p99 <= Duration::from_millis(2) && p99_single <= Duration::from_millis(2));
    assert!(total <= Duration::from_secs(1));
}

/// The 99th of a hundred frames by time, going up and down by pages. Each
/// frame counts as fast as the fastest of several runs drew it, so that other
/// programs do not count.
fn frames(cells: impl Fn() -> Vec<Cell>) -> Duration {
    let area = Rect::new(0, 0, 200, 50);
    let (styles, roles) = (Styles::plain(), CellStyles::default());
    let mut best = vec![Duration::MAX; 400];
    for _ in 0..7 {
        let mut transcript = Transcript::default();
        transcript.replace(cells());
        for (number, best) in best.iter_mut().enumerate() {
            let begin = Instant::now();
            let mut buffer = Buffer::empty(area);
            transcript.set_view(200, 50, &styles, &roles, "");
            if number > 0 {
                transcript.page(if number % 100 < 60 { -1 } else { 1 });
            }
            transcript.draw(area, &mut buffer, Style::new());
            *best = begin.elapsed().min(*best);
        }
    }
    // The very first frame lays the end out; opening a chat is not a frame.
    best.remove(0);
    best.sort();
    best[best.len() * 99 / 100]
}
