//! Keys and events in; the conversation, the effects and the picture out.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::tui::{
    message::{CallId, Effect, Message, TurnId},
    pane::PaneId,
    panes::testing::Screen,
    types::*,
};

mod long;
mod tools;

fn screen() -> Screen {
    let mut screen = Screen::new(PaneId::Chat);
    screen.send(Message::Model(Some(Arc::new(model("guide")))));
    screen
}

fn model(id: &str) -> ModelInUse {
    ModelInUse {
        id: id.into(),
        family: "qwen3".into(),
        quantisation: "8-bit g64".into(),
        parameters: 7_000_000,
        weight_bytes: 7_500_000,
        context_length: 8192,
        vocab_size: 4096,
    }
}

fn summary(id: &str, title: &str) -> ChatSummary {
    ChatSummary {
        id: id.into(),
        title: title.into(),
        created: chrono::DateTime::UNIX_EPOCH,
        updated: chrono::DateTime::UNIX_EPOCH,
        messages: 2,
    }
}

fn delta(segment: Segment) -> AnswerEvent {
    let token = TokenEvent {
        token: 0,
        text: String::new(),
        logprob: None,
        top_logprobs: Vec::new(),
    };
    AnswerEvent::Delta {
        token,
        segments: vec![segment],
    }
}

fn finished(reason: AnswerFinish) -> AnswerEvent {
    AnswerEvent::Finished {
        segments: Vec::new(),
        reason,
        usage: Usage {
            prompt_tokens: 900,
            cached_tokens: 512,
            completion_tokens: 212,
            ..Usage::default()
        },
        timings: Timings {
            decode: Duration::from_millis(1426),
            first_token: Duration::from_millis(38),
            ..Timings::default()
        },
    }
}

/// The turn that was asked for last, and its request.
fn tool_call(id: &str, name: &str) -> Segment {
    Segment::ToolCall(ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: json!({"a": 1}),
    })
}

fn asked(screen: &mut Screen) -> (TurnId, ChatRequest) {
    let effects = screen.take();
    let ask = effects.into_iter().find_map(|effect| match effect {
        Effect::Ask { turn, request } => Some((turn, *request)),
        _ => None,
    });
    ask.expect("an answer was asked for")
}

fn events(screen: &mut Screen, turn: TurnId, events: Vec<AnswerEvent>) {
    screen.send(Message::Answer { turn, events });
}

/// Asks and lets the model answer with this text.
fn exchange(screen: &mut Screen, question: &str, answer: &str) {
    screen.typed(question).keys("enter");
    let (turn, _) = asked(screen);
    screen.send(Message::AnswerStarted {
        turn,
        model: "guide".into(),
        omitted: Vec::new(),
    });
    let parts = [
        delta(Segment::Content(answer.into())),
        finished(AnswerFinish::Stop),
    ];
    events(screen, turn, parts.into());
    screen.take();
}

fn texts(request: &ChatRequest) -> Vec<(Role, &str)> {
    request
        .messages
        .iter()
        .map(|message| (message.role, message.content.as_str()))
        .collect()
}

fn saved(screen: &mut Screen) -> Option<Conversation> {
    screen
        .take()
        .into_iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::SaveChat(conversation) => Some(*conversation),
            _ => None,
        })
}

const ANSWER: &str = "Open the **library** with `Alt-2`, press `/` and type a name, then *Enter* on the model and `d`. \
From a shell:\n\n```sh\nmaquette pull mlx-community/Qwen3-4B-4bit  # 2.3 GB\n```\n\n1. It is kept in the Hugging Face cache\n2. \
It can be paused\n   - and continued\n\n| Model | Size | Fits |\n|:--|--:|:-:|\n| Qwen3-0.6B-8bit | 0.6 GB | yes |\n| Qwen3-4B-4bit | 2.3 GB | yes |\n";

#[test]
fn a_question_is_asked_answered_and_kept() {
    let mut screen = screen();
    screen
        .typed("How big?")
        .keys("alt-enter")
        .typed("Really.")
        .keys("enter");
    let (turn, request) = asked(&mut screen);
    assert_eq!(texts(&request), [(Role::User, "How big?\nReally.")]);
    events(
        &mut screen,
        turn,
        vec![AnswerEvent::Prefill {
            done: 10,
            total: 20,
            cached: 0,
        }],
    );
    assert!(screen.state.animated());
    events(
        &mut screen,
        turn,
        vec![
            delta(Segment::Content("\n\nVery ".into())),
            delta(Segment::Content("big.".into())),
        ],
    );
    assert!(!screen.state.animated());
    events(&mut screen, turn, vec![finished(AnswerFinish::Stop)]);
    let kept = saved(&mut screen).expect("the chat is saved");
    let path: Vec<_> = kept
        .path()
        .iter()
        .map(|node| node.message.content.clone())
        .collect();
    assert_eq!(path, ["How big?\nReally.", "Very big."]);
    assert_eq!(
        kept.path()[1]
            .answer
            .as_ref()
            .map(|facts| facts.completion_tokens),
        Some(212)
    );
    screen.typed("And then?").keys("enter");
    let (_, request) = asked(&mut screen);
    assert_eq!(request.messages.len(), 3);
}

#[test]
fn stopping_keeps_what_is_there_and_ignores_what_comes_late() {
    let mut screen = screen();
    screen.typed("Tell me").keys("enter");
    let (turn, _) = asked(&mut screen);
    events(
        &mut screen,
        turn,
        vec![delta(Segment::Content("Once upon".into()))],
    );
    screen.keys("ctrl-c");
    let effects = screen.take();
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::StopAnswer(id) if *id == turn))
    );
    events(
        &mut screen,
        turn,
        vec![
            delta(Segment::Content(" a time".into())),
            finished(AnswerFinish::Cancelled),
        ],
    );
    assert!(screen.take().is_empty());
    let picture = screen.picture(80, 22);
    assert!(
        picture.contains("Once upon") && !picture.contains("a time"),
        "{picture}"
    );
    assert!(picture.contains("1 token · stopped"), "{picture}");
    // Nothing runs any more: the next one asks whether to quit.
    screen.keys("ctrl-c");
    assert_eq!(screen.state.overlays.len(), 1);
}

#[test]
fn nothing_is_sent_while_an_answer_is_being_made_or_without_text() {
    let mut screen = screen();
    screen.keys("enter");
    assert!(screen.take().is_empty());
    screen.typed("one").keys("enter");
    asked(&mut screen);
    screen.typed("two").keys("enter");
    assert!(
        !screen
            .take()
            .iter()
            .any(|effect| matches!(effect, Effect::Ask { .. }))
    );
    assert!(screen.picture(80, 22).contains("❯ two"));
}

#[test]
fn a_failed_answer_is_shown_and_can_be_asked_for_again() {
    let mut screen = screen();
    screen.typed("hello").keys("enter");
    let (turn, _) = asked(&mut screen);
    let error = WorkstationError::Engine(EngineError::PromptTooLong {
        prompt: 9000,
        context: 8192,
    });
    events(&mut screen, turn, vec![AnswerEvent::Failed(error)]);
    insta::assert_snapshot!("error_80x22", screen.picture(80, 22));
    screen.keys("tab r");
    let (_, request) = asked(&mut screen);
    assert_eq!(texts(&request), [(Role::User, "hello")]);
}

#[test]
fn regenerating_and_editing_make_branches() {
    let mut screen = screen();
    exchange(&mut screen, "first", "one");
    exchange(&mut screen, "second", "two");
    screen.keys("tab r");
    let (turn, request) = asked(&mut screen);
    assert_eq!(texts(&request).last(), Some(&(Role::User, "second")));
    events(
        &mut screen,
        turn,
        vec![
            delta(Segment::Content("two again".into())),
            finished(AnswerFinish::Stop),
        ],
    );
    assert!(screen.picture(80, 22).contains("‹2/2›"));
    screen.take();
    // The last question of the user is edited; the first stays.
    screen.keys("tab tab e");
    assert!(
        screen
            .picture(80, 22)
            .contains("Editing an earlier message")
    );
    screen.typed(", please").keys("enter");
    let (turn, request) = asked(&mut screen);
    assert_eq!(
        texts(&request),
        [
            (Role::User, "first"),
            (Role::Assistant, "one"),
            (Role::User, "second, please")
        ]
    );
    events(
        &mut screen,
        turn,
        vec![
            delta(Segment::Content("here".into())),
            finished(AnswerFinish::Stop),
        ],
    );
    // Back to the branch before.
    screen.keys("tab up [");
    let kept = saved(&mut screen).expect("the choice is kept");
    let path: Vec<_> = kept
        .path()
        .iter()
        .map(|node| node.message.content.clone())
        .collect();
    assert_eq!(path, ["first", "one", "second", "two again"]);
}

#[test]
fn escape_leaves_an_edit_and_the_transcript() {
    let mut screen = screen();
    exchange(&mut screen, "first", "one");
    screen.keys("tab e");
    screen.keys("esc");
    assert!(!screen.picture(80, 22).contains("Editing"));
    screen.typed("new").keys("enter");
    let (_, request) = asked(&mut screen);
    assert_eq!(request.messages.len(), 3);
}

#[test]
fn deleting_needs_the_key_twice() {
    let mut screen = screen();
    exchange(&mut screen, "first", "one");
    screen.keys("tab x");
    assert!(saved(&mut screen).is_none());
    screen.keys("up x");
    assert!(
        saved(&mut screen).is_none(),
        "another message needs two presses of its own"
    );
    screen.keys("x");
    assert!(saved(&mut screen).is_some_and(|chat| chat.is_empty()));
}

#[test]
fn copying_takes_the_message_or_a_block_as_written() {
    let copied = |screen: &mut Screen| {
        screen.take().into_iter().find_map(|effect| match effect {
            Effect::Copy(text) => Some(text),
            _ => None,
        })
    };
    let mut screen = screen();
    exchange(&mut screen, "q", "plain");
    screen.picture(80, 22);
    screen.keys("tab y");
    assert_eq!(copied(&mut screen).as_deref(), Some("plain"));
    exchange_after(&mut screen, ANSWER);
    screen.picture(80, 40);
    screen.keys("tab y");
    assert_eq!(copied(&mut screen), None);
    assert!(screen.picture(80, 40).contains(" a  ┌ sh"));
    screen.keys("a");
    assert_eq!(
        copied(&mut screen).as_deref(),
        Some("maquette pull mlx-community/Qwen3-4B-4bit  # 2.3 GB")
    );
    screen.keys("y y");
    assert_eq!(copied(&mut screen).as_deref(), Some(ANSWER));
}

fn exchange_after(screen: &mut Screen, answer: &str) {
    screen.keys("esc");
    exchange(screen, "next", answer);
}

#[test]
fn chats_are_listed_opened_renamed_and_deleted() {
    let mut screen = screen();
    let chats = vec![
        summary("a", "Downloading a model"),
        summary("b", "Rust lifetimes"),
    ];
    screen.send(Message::Chats(Arc::new(chats)));
    screen.picture(80, 22);
    screen.keys("ctrl-o");
    insta::assert_snapshot!("chats_80x22", screen.picture(80, 22));
    screen.keys("down enter");
    assert!(
        screen
            .take()
            .iter()
            .any(|effect| matches!(effect, Effect::OpenChat(id) if id == "b"))
    );
    let mut opened = Conversation::new("");
    opened.push(ChatMessage::new(Role::User, "What is a lifetime?"));
    screen.send(Message::ChatOpened(Box::new(opened)));
    assert!(screen.picture(80, 22).contains("What is a lifetime?"));
    screen.keys("ctrl-o x enter");
    assert!(
        screen
            .take()
            .iter()
            .any(|effect| matches!(effect, Effect::DeleteChat(_)))
    );
    screen.keys("ctrl-n");
    assert!(!screen.picture(80, 22).contains("lifetime?"));
}

#[test]
fn a_welcome_offers_questions_by_number() {
    let mut screen = screen();
    insta::assert_snapshot!("empty_80x22", screen.picture(80, 22));
    insta::assert_snapshot!("empty_120x38", screen.picture(120, 38));
    screen.keys("2 enter");
    let (_, request) = asked(&mut screen);
    assert_eq!(
        texts(&request),
        [(Role::User, "What can I do in the five panes?")]
    );
    // A digit in a text is a digit.
    let mut screen = self::screen();
    screen.typed("a1").keys("enter");
    assert_eq!(texts(&asked(&mut screen).1), [(Role::User, "a1")]);
}

#[test]
fn searching_finds_a_message_and_goes_on() {
    let mut screen = screen();
    for n in 0..8 {
        exchange(
            &mut screen,
            &format!("question {n}"),
            if n == 2 { "the needle" } else { "hay" },
        );
    }
    screen.picture(80, 12);
    screen.keys("tab /").typed("Needle").keys("enter");
    assert!(screen.picture(80, 12).contains("the needle"));
    screen.keys("/").typed("nowhere").keys("enter");
    assert_eq!(screen.state.toasts.len(), 1);
}

#[test]
fn the_editor_gets_the_text_and_gives_it_back() {
    let mut screen = screen();
    screen.typed("draft").keys("ctrl-g");
    assert!(matches!(&screen.take()[..], [Effect::Edit(text)] if text == "draft"));
    screen.send(Message::Edited("better draft\n".into()));
    screen.keys("enter");
    assert_eq!(texts(&asked(&mut screen).1), [(Role::User, "better draft")]);
}

#[test]
fn streaming_and_finished_answers_look_right() {
    let mut screen = screen();
    screen
        .typed("How do I download a larger model?")
        .keys("enter");
    let (turn, _) = asked(&mut screen);
    screen.send(Message::AnswerStarted {
        turn,
        model: "guide".into(),
        omitted: Vec::new(),
    });
    events(
        &mut screen,
        turn,
        vec![AnswerEvent::Prefill {
            done: 256,
            total: 900,
            cached: 128,
        }],
    );
    insta::assert_snapshot!("prefill_80x22", screen.picture(80, 22));
    events(
        &mut screen,
        turn,
        vec![
            delta(Segment::Reasoning("They want a model.".into())),
            delta(Segment::Reasoning(" I know how.".into())),
        ],
    );
    let cut = ANSWER.find("pull").expect("the command");
    events(
        &mut screen,
        turn,
        vec![delta(Segment::Content(ANSWER[..cut].into()))],
    );
    let running = RunningRequest {
        id: RequestId(1),
        state: "decode",
        prompt_tokens: 900,
        cached_tokens: 128,
        completion_tokens: 40,
        tokens_per_second: 148.4,
        age: Duration::from_secs(1),
    };
    let stats = EngineStats {
        running: vec![running],
        ..EngineStats::default()
    };
    screen.send(Message::Stats(Arc::new(stats)));
    insta::assert_snapshot!("streaming_80x22", screen.picture(80, 22));
    events(
        &mut screen,
        turn,
        vec![
            delta(Segment::Content(ANSWER[cut..].into())),
            finished(AnswerFinish::Stop),
        ],
    );
    screen.typed("and how much memory will it need?");
    insta::assert_snapshot!("answer_80x30", screen.picture(80, 30));
    let chats = vec![summary("a", "Downloading a model")];
    screen.send(Message::Chats(Arc::new(chats)));
    insta::assert_snapshot!("answer_120x38", screen.picture(120, 38));
    screen.keys("tab space");
    insta::assert_snapshot!("thinking_open_120x38", screen.picture(120, 38));
}

#[test]
fn control_characters_of_the_model_never_reach_the_screen() {
    let mut screen = screen();
    screen.typed("x").keys("enter");
    let (turn, _) = asked(&mut screen);
    let evil = "\x1b[2J\x1b]52;c;aGk=\x07";
    let parts = [
        Segment::Reasoning(evil.into()),
        Segment::Content(evil.into()),
        tool_call("c\x1b", "t\x1b[1m"),
    ];
    let parts = parts
        .map(delta)
        .into_iter()
        .chain([finished(AnswerFinish::Stop)]);
    events(&mut screen, turn, parts.collect());
    screen.keys("tab space");
    let picture = screen.picture(80, 30);
    assert!(
        !picture.chars().any(|c| c.is_control() && c != '\n'),
        "{picture:?}"
    );
    assert!(picture.contains("␛[2J"));
}
