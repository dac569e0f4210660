//! Keys in, text and cursor out. `|` marks the cursor.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::{Terminal, backend::TestBackend};

use super::*;

/// Keys by name, such as `ctrl-w`; anything else is typed.
fn press(composer: &mut Composer, keys: &[&str]) {
    for &key in keys {
        let (modifiers, name) = match key.split_once('-') {
            Some(("ctrl", name)) => (KeyModifiers::CONTROL, name),
            Some(("alt", name)) => (KeyModifiers::ALT, name),
            _ => (KeyModifiers::NONE, key),
        };
        let code = match name {
            "left" => KeyCode::Left,
            "right" => KeyCode::Right,
            "up" => KeyCode::Up,
            "down" => KeyCode::Down,
            "home" => KeyCode::Home,
            "end" => KeyCode::End,
            "back" => KeyCode::Backspace,
            "del" => KeyCode::Delete,
            "newline" => {
                composer.newline();
                continue;
            }
            text if modifiers.is_empty() => {
                for c in text.chars() {
                    composer.on_key(KeyEvent::new(KeyCode::Char(c), modifiers));
                }
                continue;
            }
            text => KeyCode::Char(text.chars().next().unwrap_or(' ')),
        };
        composer.on_key(KeyEvent::new(code, modifiers));
    }
}

fn shown(composer: &Composer) -> String {
    let mut text = composer.text.clone();
    text.insert(composer.cursor, '|');
    text
}

fn composer(width: usize) -> Composer {
    Composer {
        width,
        ..Composer::default()
    }
}

#[test]
fn keys_edit_the_text() {
    for (keys, expected) in [
        (&["hello world", "ctrl-w"][..], "hello |"),
        (&["a b", "left", "left", "x"], "ax| b"),
        (&["one", "newline", "two", "up", "x"], "onex|\ntwo"),
        (&["one two", "alt-b", "alt-b", "alt-d"], "| two"),
        (
            &["one two", "ctrl-a", "ctrl-k", "ctrl-y", "ctrl-y"],
            "one twoone two|",
        ),
        (&["ab", "newline", "cd", "ctrl-u", "back"], "ab|"),
        (&["漢字👩‍👩‍👧", "back"], "漢字|"),
        (&["漢字", "left", "del"], "漢|"),
        (&["a", "newline", "b", "home", "back"], "a|b"),
        (&["abc", "ctrl-left", "right"], "a|bc"),
        (&["one two", "ctrl-7"], "one|"),
        (&["one two", "ctrl-7", "ctrl-7", "alt-Z"], "one|"),
        (&["one", "ctrl-w", "ctrl-_"], "one|"),
    ] {
        let mut composer = composer(40);
        press(&mut composer, keys);
        assert_eq!(shown(&composer), expected, "{keys:?}");
    }
}

#[test]
fn up_and_down_keep_the_column_through_short_and_wrapped_rows() {
    let mut composer = composer(11);
    press(
        &mut composer,
        &["a long line here", "newline", "x", "newline", "another"],
    );
    press(&mut composer, &["up"]);
    assert_eq!(shown(&composer), "a long line here\nx|\nanother");
    press(&mut composer, &["up"]);
    assert_eq!(shown(&composer), "a long line he|re\nx\nanother");
    press(&mut composer, &["up", "down", "down", "down"]);
    assert_eq!(shown(&composer), "a long line here\nx\nanother|");
}

#[test]
fn the_history_is_reached_from_an_empty_or_untouched_text() {
    let mut composer = composer(40);
    for message in ["first", "second\nof two lines", "third"] {
        composer.set(message);
        assert_eq!(composer.take(), message);
    }
    press(&mut composer, &["up"]);
    assert_eq!(shown(&composer), "third|");
    press(&mut composer, &["up", "up"]);
    assert_eq!(shown(&composer), "first|");
    press(&mut composer, &["up"]);
    assert_eq!(shown(&composer), "first|");
    press(&mut composer, &["down", "down", "down"]);
    assert_eq!(shown(&composer), "|");
    // Text in the middle of being written is not replaced by mistake ...
    press(&mut composer, &["draft", "up"]);
    assert_eq!(shown(&composer), "|draft");
    // ... and comes back after looking.
    press(&mut composer, &["up", "up", "down", "down"]);
    assert_eq!(shown(&composer), "draft|");
}

#[test]
fn a_large_paste_is_one_thing_until_it_is_sent() {
    let large = "x".repeat(4200);
    let lines = "y\n".repeat(120);
    let mut composer = composer(60);
    press(&mut composer, &["see "]);
    composer.paste(&large);
    press(&mut composer, &[" and "]);
    composer.paste(&lines);
    assert_eq!(composer.text.chars().count(), 11);
    press(
        &mut composer,
        &["left", "left", "left", "left", "left", "left", "back"],
    );
    assert_eq!(composer.message(), format!("see  and {lines}"));
    press(&mut composer, &["ctrl-7"]);
    assert_eq!(composer.message(), format!("see {large} and {lines}"));
    assert_eq!(
        composer.take(),
        format!("see {large} and {lines}").trim_end()
    );
    press(&mut composer, &["up"]);
    assert!(composer.text.chars().count() == 1 && composer.message().len() > 4000);
}

#[test]
fn small_pastes_are_typed_and_made_harmless() {
    let mut composer = composer(40);
    composer.paste("a\r\nb\x1b[31m\u{f0000}");
    assert_eq!(composer.message(), "a\nb␛[31m");
}

#[test]
fn it_draws_with_the_cursor_where_the_text_goes() {
    let mut terminal = Terminal::new(TestBackend::new(30, 3)).expect("a test terminal");
    let mut composer = Composer::default();
    composer.set("one\n漢字 and some more words to wrap");
    composer.paste(&"z".repeat(2000));
    let styles = ComposerStyles::default();
    terminal
        .draw(|frame| composer.draw(frame, frame.area(), &styles, "hint", true))
        .expect("a frame");
    insta::assert_snapshot!(terminal.backend());
    assert_eq!(
        terminal.get_cursor_position().ok(),
        Some(Position::new(21, 2))
    );
    assert_eq!(composer.height(30), 3);
}

#[test]
fn a_megabyte_is_pasted_at_once() {
    let text = "lorem ipsum dolor\n".repeat(60_000);
    let mut composer = composer(40);
    let begin = std::time::Instant::now();
    composer.paste(&text);
    assert_eq!(composer.height(40), 1);
    assert!(begin.elapsed() < std::time::Duration::from_secs(1));
    assert_eq!(composer.message(), text);
}

proptest! {
    #[test]
    fn no_key_breaks_it(keys in prop::collection::vec(prop::sample::select(vec![
        "a", " ", "漢", "é", "👩‍👩‍👧", "newline", "left", "right", "up", "down", "home", "end", "back", "del", "ctrl-w",
        "ctrl-k", "ctrl-u", "ctrl-y", "ctrl-7", "alt-Z", "alt-b", "alt-f", "alt-d", "ctrl-left", "ctrl-right",
    ]), 0..60), width in 3usize..20) {
        let mut composer = composer(width);
        composer.remember("an earlier message");
        for (at, key) in keys.iter().enumerate() {
            if at == 20 {
                composer.paste(&"p".repeat(1500));
            }
            press(&mut composer, &[key]);
            prop_assert!(composer.text.is_char_boundary(composer.cursor));
            let (row, _) = composer.place(&composer.rows());
            prop_assert!(row < composer.rows().len());
        }
    }
}
