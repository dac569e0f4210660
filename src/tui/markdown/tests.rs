//! Documents as a reader sees them, and the rule that streaming changes nothing.

use proptest::prelude::*;
use ratatui::text::Line;

use super::{Document, Highlighter, Styles};
use crate::tui::text::text_width;

fn lines_of(document: &mut Document, width: usize) -> Vec<Line<'static>> {
    let count = document.layout(width, &Styles::plain(), &Highlighter::inline());
    let lines: Vec<_> = document.lines(0).cloned().collect();
    assert_eq!(lines.len(), count);
    lines
}

fn text(line: &Line) -> String {
    line.spans
        .iter()
        .map(|span| span.content.as_ref())
        .collect()
}

fn show(source: &str, width: usize) -> String {
    let mut document = Document::finished(source);
    let lines: Vec<_> = lines_of(&mut document, width)
        .iter()
        .map(|l| text(l).trim_end().to_owned())
        .collect();
    lines.join("\n")
}

#[test]
fn every_construct_is_drawn() {
    insta::assert_snapshot!(show(include_str!("testdata/all.md"), 60));
}

#[test]
fn every_construct_fits_a_narrow_pane() {
    insta::assert_snapshot!(show(include_str!("testdata/all.md"), 24));
}

#[test]
fn code_blocks_are_handed_out_as_written() {
    let mut document = Document::finished(
        "a\n\n```rust\nfn f() {\n\tg();\n}\n```\n\n- x\n\n  ```sh\n  ls\n  ```\n",
    );
    lines_of(&mut document, 40);
    let codes: Vec<_> = document.codes().collect();
    assert_eq!(codes.len(), 2);
    assert_eq!(codes[0].text, "fn f() {\n\tg();\n}");
    assert_eq!((codes[0].language.as_str(), codes[0].line), ("rust", 2));
    assert_eq!(codes[1].text, "ls");
    let first = document
        .lines(codes[1].line)
        .next()
        .map(text)
        .unwrap_or_default();
    assert!(first.contains("┌ sh"), "{first}");
}

#[test]
fn control_characters_never_get_through() {
    for source in [
        "a\x1b[2Jb",
        "`a\x1b]0;x\x07`",
        "```\n\x1b[31m\n```",
        "&#27;[2J &#x9b;",
        "[x](http://a/&#27;c)",
        "<b\x1b[0m>",
    ] {
        let mut document = Document::finished(source);
        for line in lines_of(&mut document, 40) {
            assert!(
                !text(&line).chars().any(char::is_control),
                "{source:?} gave {line:?}"
            );
        }
    }
}

#[test]
fn deep_nesting_is_survived() {
    for mark in [">", "> ", "- ", "1. ", "*", "[", "![", "`", "<a>", "**a "] {
        let source = mark.repeat(5000) + "x";
        assert!(!show(&source, 40).is_empty(), "{mark}");
    }
}

#[test]
fn lines_can_be_read_from_anywhere() {
    let mut document = Document::finished(include_str!("testdata/all.md"));
    let all = lines_of(&mut document, 50);
    for from in 0..=all.len() {
        let rest: Vec<_> = document.lines(from).cloned().collect();
        assert_eq!(rest, all[from..], "from {from}");
    }
}

#[test]
fn a_later_definition_reaches_an_earlier_link() {
    let mut document = Document::default();
    for piece in [
        "See [the page][p].\n\n",
        "More.\n\n",
        "[p]: http://a.b/c\n",
        "\nEnd.\n",
    ] {
        document.push(piece);
        lines_of(&mut document, 60);
    }
    document.finish();
    let lines = lines_of(&mut document, 60);
    assert_eq!(text(&lines[0]), "See the page (http://a.b/c).");
}

#[test]
fn colours_that_arrive_later_change_no_line_count() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let highlighter = Highlighter::background(move || sender.send(()).unwrap_or(()));
    let source = "a\n\n```rust\nfn f() {}\n```\n\nb\n\n- c\n\n  ```rust\n  let x = 1;\n  ```\n";
    let mut document = Document::finished(source);
    let styles = Styles::plain();
    let before = document.layout(40, &styles, &highlighter);
    for _ in 0..2 {
        receiver
            .recv_timeout(std::time::Duration::from_secs(20))
            .expect("colours");
    }
    assert_eq!(document.layout(40, &styles, &highlighter), before);
    let late: Vec<_> = document.lines(0).cloned().collect();
    assert_eq!(late, lines_of(&mut Document::finished(source), 40));
}

/// Bits of Markdown that interact badly when cut at the wrong place.
fn fragment() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "\n",
        "\n\n",
        "\n\n\n",
        " ",
        "    ",
        "\t",
        "- ",
        "* ",
        "+ ",
        "1. ",
        "2) ",
        "- [ ] ",
        "- [x] ",
        "> ",
        ">",
        "# ",
        "## ",
        "---",
        "***",
        "===",
        "```",
        "```rust\n",
        "~~~",
        "````",
        "`",
        "``",
        "**",
        "*",
        "_",
        "__",
        "~~",
        "|",
        "| a | b |\n",
        "|---|--:|\n",
        "[a](b)",
        "[a]",
        "](",
        "![",
        "<div>",
        "</div>",
        "<!--",
        "-->",
        "<pre>",
        "<br>",
        "&amp;",
        "&#27;",
        "\\",
        "  \n",
        "漢字",
        "👩‍👩‍👧",
        "word",
        "let x = 1;",
        "http://a.b",
        "<http://a.b>",
        "> [!NOTE]\n",
        "1",
        "-",
        ".",
        "\r\n",
        "<?",
        "<script>",
        "$x$",
        "  - ",
        "   1. ",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => "[ -~]{1,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn streaming_gives_the_same_lines(
        pieces in prop::collection::vec(fragment(), 0..40),
        width in 8usize..50,
    ) {
        let mut streamed = Document::default();
        for piece in &pieces {
            streamed.push(piece);
            lines_of(&mut streamed, width);
        }
        streamed.finish();
        let got = lines_of(&mut streamed, width);
        let whole = lines_of(&mut Document::finished(&pieces.concat()), width);
        for line in &got {
            prop_assert!(text_width(&text(line)) <= width, "{:?} is wider than {width}", text(line));
        }
        prop_assert_eq!(got, whole);
    }

    #[test]
    fn settled_blocks_equal_one_parse(pieces in prop::collection::vec(fragment(), 0..40)) {
        let source = pieces.concat();
        let styles = Styles::plain();
        let whole = super::parse::parse(&super::super::text::sanitise(&source), &styles);
        prop_assume!(!whole.definitions);
        let highlighter = Highlighter::inline();
        let layout = super::layout::Layout { styles: &styles, highlighter: &highlighter };
        let mut expected = Vec::new();
        for (_, block) in &whole.blocks {
            let lines = layout.block(block, 40).lines;
            if !expected.is_empty() && !lines.is_empty() {
                expected.push(Line::default());
            }
            expected.extend(lines);
        }
        let mut streamed = Document::default();
        for piece in &pieces {
            streamed.push(piece);
            lines_of(&mut streamed, 40);
        }
        let got = lines_of(&mut streamed, 40);
        prop_assert_eq!(got, expected);
    }
}
