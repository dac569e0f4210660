use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What came out: reasoning, content, calls.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    reasoning: String,
    content: String,
    calls: Vec<(String, Value)>,
}

impl Answer {
    fn add(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            match segment {
                Segment::Reasoning(text) => self.reasoning.push_str(&text),
                Segment::Content(text) => self.content.push_str(&text),
                Segment::ToolCall(call) => self.calls.push((call.name, call.arguments)),
            }
        }
    }
}

fn answer(mut parser: AnswerParser, pieces: &[&str]) -> Answer {
    let mut answer = Answer::default();
    for piece in pieces {
        answer.add(parser.push(piece));
    }
    answer.add(parser.finish());
    answer
}

struct Case {
    thinking: bool,
    text: &'static str,
    reasoning: &'static str,
    content: &'static str,
    calls: Vec<(&'static str, Value)>,
}

fn case(text: &'static str, reasoning: &'static str, content: &'static str) -> Case {
    Case {
        thinking: false,
        text,
        reasoning,
        content,
        calls: Vec::new(),
    }
}

fn cases() -> Vec<Case> {
    let call = |text, content, calls| Case {
        calls,
        ..case(text, "", content)
    };
    vec![
        case("Hello é<b>", "", "Hello é<b>"),
        case("", "", ""),
        case("  indented", "", "  indented"),
        case("<think>\nwhy\n</think>\n\nbecause", "why\n", "because"),
        case("\n<think></think>x", "", "x"),
        case("<think>no end", "no end", ""),
        case("<think>a </thin b", "a </thin b", ""),
        case("say <think> aloud", "", "say <think> aloud"),
        case("lone</think>\nrest </think>", "", "lonerest </think>"),
        Case {
            thinking: true,
            ..case("\nopened\n</think>\n\nhi", "opened\n", "hi")
        },
        call(
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"é</tool_call>\\\"\"}}\n</tool_call>",
            "",
            vec![("f", json!({"x": "é</tool_call>\""}))],
        ),
        call(
            "I look.<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call> done",
            "I look.done",
            vec![("f", json!({"a": 1})), ("g", json!({}))],
        ),
        call(
            "<tool_call>[{\"name\":\"f\"},{\"name\":\"g\",\"parameters\":{\"b\":null}}]</tool_call>",
            "",
            vec![("f", json!({})), ("g", json!({"b": null}))],
        ),
        call("<tool_call>{\"name\":\"f\"}", "", vec![("f", json!({}))]),
        case(
            "<tool_call>{\"name\": }</tool_call> so",
            "",
            "<tool_call>{\"name\": }</tool_call> so",
        ),
        case(
            "<tool_call>{\"arguments\":{}}</tool_call>",
            "",
            "<tool_call>{\"arguments\":{}}</tool_call>",
        ),
        case(
            "<tool_call>{\"name\":\"f\",\"arguments\":3}</tool_call>",
            "",
            "<tool_call>{\"name\":\"f\",\"arguments\":3}</tool_call>",
        ),
        case(
            "<tool_call>{\"name\": \"f\nmore <tool_call> text",
            "",
            "<tool_call>{\"name\": \"f\nmore <tool_call> text",
        ),
        case("<tool_call></tool_call>", "", "<tool_call></tool_call>"),
        case("<tool_call>{\"na", "", "<tool_call>{\"na"),
        Case {
            calls: vec![("f", json!({}))],
            ..case(
                "<think>hm</think>\n\n<tool_call>{\"name\":\"f\"}</tool_call>\n",
                "hm",
                "",
            )
        },
    ]
}

#[test]
fn every_case_split_at_every_byte() {
    for case in cases() {
        let expected = Answer {
            reasoning: case.reasoning.into(),
            content: case.content.into(),
            calls: case
                .calls
                .iter()
                .map(|(n, a)| ((*n).to_owned(), a.clone()))
                .collect(),
        };
        let make = || AnswerParser::new(case.thinking, true);
        assert_eq!(answer(make(), &[case.text]), expected, "{:?}", case.text);
        for at in (0..=case.text.len()).filter(|at| case.text.is_char_boundary(*at)) {
            let (a, b) = case.text.split_at(at);
            assert_eq!(answer(make(), &[a, b]), expected, "{a:?} | {b:?}");
        }
        let single: Vec<String> = case.text.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(answer(make(), &single), expected, "single: {:?}", case.text);
    }
}

#[test]
fn calls_are_text_where_no_tools_were_offered() {
    let text = "<tool_call>{\"name\":\"f\"}</tool_call>";
    assert_eq!(
        answer(AnswerParser::new(false, false), &[text]).content,
        text
    );
}

#[test]
fn a_prompt_that_opens_thinking_is_recognised() {
    let template = ChatTemplate::from_source("x", Default::default()).unwrap();
    let parser = AnswerParser::for_template(&template, "<|im_start|>assistant\n<think>\n", false);
    assert_eq!(answer(parser, &["a</think>b"]).reasoning, "a");
    let closed = AnswerParser::for_template(&template, "<think>\n\n</think>\n\n", false);
    assert_eq!(answer(closed, &["ab"]).content, "ab");
}

#[test]
fn little_is_held_back() {
    let mut parser = AnswerParser::new(false, true);
    assert_eq!(parser.push("Hello <"), [Segment::Content("Hello ".into())]);
    assert_eq!(parser.push("tool_cal"), []);
    assert_eq!(
        parser.push("led>"),
        [Segment::Content("<tool_called>".into())]
    );
}

proptest! {
    /// Whatever the text and wherever it is cut, the same comes out, and with
    /// markers and white space aside nothing is lost.
    #[test]
    fn nothing_is_lost(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<think>", "</think>", "<tool_call>", "</tool_call>", "{\"name\":\"f\"", "}", "\"",
            "\n", " ", "<", "é", "x", "\\",
        ]), 0..24),
        cuts in prop::collection::vec(0usize..200, 0..6),
        thinking: bool,
    ) {
        let text = parts.concat();
        let whole = answer(AnswerParser::new(thinking, true), &[&text]);
        let mut cuts: Vec<usize> = cuts.into_iter()
            .map(|at| at.min(text.len()))
            .filter(|at| text.is_char_boundary(*at))
            .collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&str> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        prop_assert_eq!(&answer(AnswerParser::new(thinking, true), &pieces), &whole);
        let count = |text: &str, what: char| text.matches(what).count();
        let out = format!("{}{}", whole.reasoning, whole.content);
        prop_assert_eq!(count(&out, 'é'), count(&text, 'é'));
        prop_assert_eq!(count(&out, 'x'), count(&text, 'x'));
        prop_assert_eq!(count(&out, 'f') + whole.calls.len(), count(&text, 'f'));
    }
}
