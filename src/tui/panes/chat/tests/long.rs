//! Chats that outgrow the context: the question, what is left out, pins.

use super::*;
use crate::tui::overlay::Overlay;

/// Two exchanges, and a question that is too long.
fn outgrown() -> (Screen, TurnId) {
    let mut screen = screen();
    exchange(&mut screen, "one", "first");
    exchange(&mut screen, "two", "second");
    screen.typed("three").keys("enter");
    let (turn, request) = asked(&mut screen);
    assert_eq!(request.overflow, Some(Overflow::Ask));
    let error = WorkstationError::Outgrown {
        prompt: 8000,
        context: 8192,
    };
    events(&mut screen, turn, vec![AnswerEvent::Failed(error)]);
    (screen, turn)
}

fn started(screen: &mut Screen, turn: TurnId, omitted: &[usize]) {
    screen.send(Message::AnswerStarted {
        turn,
        model: "guide".into(),
        omitted: omitted.to_vec(),
    });
}

fn answered(screen: &mut Screen, turn: TurnId) {
    let parts = vec![
        delta(Segment::Content("third".into())),
        finished(AnswerFinish::Stop),
    ];
    events(screen, turn, parts);
    screen.take();
}

#[test]
fn the_user_is_asked_and_the_choice_is_for_this_chat() {
    let (mut screen, _) = outgrown();
    assert!(
        matches!(screen.state.overlays.last(), Some(Overlay::Picker(picker))
        if picker.title == "Too long: 8k of 8k tokens" && picker.items.len() == 3)
    );
    screen.take();
    screen.keys("enter");
    let (turn, request) = asked(&mut screen);
    assert!(screen.state.overlays.is_empty());
    assert_eq!(request.overflow, Some(Overflow::Drop));
    assert_eq!(request.messages.len(), 5);
    started(&mut screen, turn, &[0, 1]);
    let picture = screen.picture(80, 24);
    assert!(
        picture.contains("▲ not sent any more: 2 messages"),
        "{picture}"
    );
    assert!(picture.contains("▲2"), "{picture}");
    answered(&mut screen, turn);
    // The whole chat is offered again: what goes is decided anew.
    screen.typed("four").keys("enter");
    let (_, request) = asked(&mut screen);
    assert_eq!(request.messages.len(), 7);
    assert!(screen.picture(80, 40).contains("third"));
    screen
        .keys("ctrl-c")
        .keys("ctrl-n")
        .typed("x")
        .keys("enter");
    assert_eq!(asked(&mut screen).1.overflow, Some(Overflow::Ask));
}

#[test]
fn nothing_is_sent_when_the_question_is_left() {
    let (mut screen, _) = outgrown();
    screen.take();
    screen.keys("esc");
    assert!(screen.state.overlays.is_empty());
    assert!(screen.take().is_empty());
    assert!(
        screen
            .picture(100, 30)
            .contains("this chat has 8000 tokens")
    );
}

#[test]
fn what_slid_out_stays_out_until_a_pin_brings_it_back() {
    let (mut screen, _) = outgrown();
    screen.take();
    screen.keys("down enter");
    let (turn, request) = asked(&mut screen);
    assert_eq!(request.overflow, Some(Overflow::Slide));
    started(&mut screen, turn, &[0, 1]);
    answered(&mut screen, turn);
    screen.typed("four").keys("enter");
    let (turn, request) = asked(&mut screen);
    let first = (Role::User, "two");
    assert_eq!((texts(&request)[0], request.messages.len()), (first, 5));
    started(&mut screen, turn, &[0, 1]);
    let picture = screen.picture(80, 40);
    assert!(
        picture.contains("▲ not sent any more: 4 messages"),
        "{picture}"
    );
    answered(&mut screen, turn);
    screen.keys("tab up up up up up up up up p");
    let kept = saved(&mut screen).expect("a pin is kept");
    assert!(kept.path()[0].pinned);
    let picture = screen.picture(80, 40);
    assert!(picture.contains("◆ pinned"), "{picture}");
    screen.keys("i").typed("five").keys("enter");
    let (_, request) = asked(&mut screen);
    assert_eq!((request.messages.len(), request.pinned), (9, vec![0]));
}

#[test]
fn the_system_prompt_has_a_place_of_its_own() {
    let mut screen = screen();
    screen.state.panes.chat.set_system_prompt("Be brief.");
    screen.state.panes.chat.set_overflow(Overflow::Drop);
    exchange(&mut screen, "one", "first");
    screen.keys("tab up p i").typed("two").keys("enter");
    let (turn, request) = asked(&mut screen);
    assert_eq!(request.overflow, Some(Overflow::Drop));
    assert_eq!(
        (texts(&request)[0].0, request.pinned),
        (Role::System, vec![1])
    );
    started(&mut screen, turn, &[]);
    assert!(!screen.picture(80, 24).contains('▲'));
}
