//! What must hold of every shortened conversation.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

fn message(role: Role, tokens: usize) -> Message {
    Message::new(role, "x".repeat(tokens))
}

/// A token a letter and two around each message, three for the answer.
fn count(messages: &[Message]) -> Result<usize, Infallible> {
    Ok(3 + messages
        .iter()
        .map(|it| it.content.len() + 2)
        .sum::<usize>())
}

fn trimmed(messages: &[Message], pinned: &[bool], limit: usize) -> Trimmed {
    let Ok(trimmed) = trim(messages, pinned, limit, count);
    trimmed
}

/// System; question, answer; question, call, result, answer; question.
fn chat() -> Vec<Message> {
    use Role::{Assistant, System, Tool, User};
    [
        System, User, Assistant, User, Assistant, Tool, Assistant, User,
    ]
    .map(|role| message(role, 8))
    .to_vec()
}

#[test]
fn what_fits_is_left_alone() {
    assert_eq!(trimmed(&chat(), &[], 83).omitted, [0; 0]);
}

#[test]
fn whole_turns_go_the_oldest_first_and_as_few_as_possible() {
    let omitted = |limit| trimmed(&chat(), &[], limit).omitted;
    assert_eq!(omitted(82), [1, 2]);
    assert_eq!(omitted(63), [1, 2]);
    // A call goes with its result.
    assert_eq!(omitted(62), [1, 2, 3, 4, 5, 6]);
    let least = trimmed(&chat(), &[], 5);
    assert_eq!((least.omitted.len(), least.tokens), (6, 23));
}

#[test]
fn a_pin_keeps_its_turn() {
    let mut pinned = [false; 8];
    pinned[2] = true;
    assert_eq!(trimmed(&chat(), &pinned, 82).omitted, [3, 4, 5, 6]);
    pinned[5] = true;
    let all = trimmed(&chat(), &pinned, 82);
    assert_eq!((all.omitted.len(), all.tokens), (0, 83));
}

#[test]
fn the_limits_leave_room_for_the_answer() {
    assert_eq!(limits(Overflow::Drop, 4096, None), (3584, 3584));
    assert_eq!(limits(Overflow::Slide, 4096, None), (3584, 3072));
    assert_eq!(limits(Overflow::Drop, 4096, Some(16)), (4080, 4080));
    assert_eq!(limits(Overflow::Drop, 1, None), (0, 0));
}

fn any_chat() -> impl Strategy<Value = (Vec<Message>, Vec<bool>)> {
    let role = prop_oneof![
        1 => Just(Role::System), 4 => Just(Role::User),
        4 => Just(Role::Assistant), 2 => Just(Role::Tool),
    ];
    let one = (role, 0usize..60, prop::bool::weighted(0.15));
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let messages = all.iter().map(|(role, tokens, _)| message(*role, *tokens));
        (
            messages.collect(),
            all.iter().map(|(.., pinned)| *pinned).collect(),
        )
    })
}

proptest! {
    #[test]
    fn every_shortened_chat_is_a_chat((messages, pinned) in any_chat(), limit in 0usize..1500) {
        let result = trimmed(&messages, &pinned, limit);
        let rest = without(&messages, &result.omitted);
        let Ok(tokens) = count(&rest);
        prop_assert_eq!(result.tokens, tokens);
        prop_assert!(result.omitted.windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
        prop_assert_eq!(rest.len() + result.omitted.len(), messages.len());
        // Never above the limit while something could still go.
        let turns = droppable(&messages, &pinned);
        if tokens > limit {
            prop_assert_eq!(&result.omitted, &turns.concat());
        }
        for &place in &result.omitted {
            prop_assert!(messages[place].role != Role::System && !pinned[place]);
        }
        if let Some(newest) = messages.iter().rposition(|it| it.role == Role::User) {
            prop_assert!(result.omitted.iter().all(|place| *place < newest));
        }
        // A call that stays has its results, and a result its call.
        for pair in 1..messages.len() {
            if messages[pair].role == Role::Tool && messages[pair - 1].role != Role::System {
                let gone = |place: usize| result.omitted.contains(&place);
                prop_assert_eq!(gone(pair), gone(pair - 1));
            }
        }
        // One turn less would not have been enough.
        let dropped = turns.iter().filter(|turn| result.omitted.contains(&turn[0])).count();
        if dropped > 0 {
            let Ok(more) = count(&without(&messages, &turns[..dropped - 1].concat()));
            prop_assert!(more > limit);
        }
    }

    #[test]
    fn sliding_leaves_a_quarter(context in 4usize..100_000, most in prop::option::of(1usize..9000)) {
        let (before, after) = limits(Overflow::Slide, context, most);
        prop_assert!(after <= before && before < context);
        prop_assert!(context - after >= context / 4);
    }
}
