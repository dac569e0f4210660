//! Conversations that outgrew the context: which messages are still sent.
//!
//! A turn is a user's message with all that follows it up to the next one, so
//! that calls of tools keep their results. Turns go whole, the oldest first.
//! Messages of the system, turns with a pinned message and the newest turn
//! always stay. Nothing here knows how tokens are counted.

use super::{Message, Overflow, Role};

/// The answer has at least this part of the context to itself.
const ANSWER_SHARE: usize = 8;
/// And this part after sliding, so that the next few turns fit as well and the
/// prefix before them is found in the cache.
const SLIDE_SHARE: usize = 4;

/// What is left of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trimmed {
    /// Places of the messages that are not sent, ascending.
    pub omitted: Vec<usize>,
    /// Tokens of the others. More than was asked for only where no further
    /// turn may go.
    pub tokens: usize,
}

/// How many tokens of a context are for the prompt before something is done,
/// and how many afterwards.
pub(super) fn limits(
    overflow: Overflow,
    context: usize,
    max_tokens: Option<usize>,
) -> (usize, usize) {
    let answer = (context / ANSWER_SHARE)
        .min(max_tokens.unwrap_or(usize::MAX))
        .max(1);
    let before = context.saturating_sub(answer);
    let after = match overflow {
        Overflow::Slide => before.min(context - context.div_ceil(SLIDE_SHARE)),
        Overflow::Ask | Overflow::Refuse | Overflow::Drop => before,
    };
    (before, after)
}

/// Leaves out as few of the oldest turns as it takes for the rest to have at
/// most `limit` tokens. `pinned[i]` belongs to `messages[i]`; what is missing
/// is not pinned. `count` must not grow when messages go.
///
/// # Errors
/// Those of `count`.
pub(super) fn trim<E>(
    messages: &[Message],
    pinned: &[bool],
    limit: usize,
    mut count: impl FnMut(&[Message]) -> Result<usize, E>,
) -> Result<Trimmed, E> {
    let turns = droppable(messages, pinned);
    let mut attempt = |dropped: usize| {
        let omitted: Vec<usize> = turns[..dropped].concat();
        let tokens = count(&without(messages, &omitted))?;
        Ok(Trimmed { omitted, tokens })
    };
    // The least number of turns that fits lies above `few` and up to `many`.
    let mut best = attempt(0)?;
    if best.tokens <= limit || turns.is_empty() {
        return Ok(best);
    }
    let (mut few, mut many) = (0, turns.len());
    best = attempt(many)?;
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        let tried = attempt(middle)?;
        match tried.tokens <= limit {
            true => (many, best) = (middle, tried),
            false => few = middle,
        }
    }
    Ok(best)
}

/// The messages but those at the places `omitted`, which ascend.
pub(super) fn without(messages: &[Message], omitted: &[usize]) -> Vec<Message> {
    let all = messages.iter().enumerate();
    let kept = all.filter(|(place, _)| omitted.binary_search(place).is_err());
    kept.map(|(_, message)| message.clone()).collect()
}

/// The places of each turn that may go, oldest first.
fn droppable(messages: &[Message], pinned: &[bool]) -> Vec<Vec<usize>> {
    let mut turns: Vec<Vec<usize>> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        match (message.role, turns.last_mut()) {
            (Role::System, _) => {}
            (Role::Assistant | Role::Tool, Some(turn)) => turn.push(place),
            _ => turns.push(vec![place]),
        }
    }
    // The newest turn is the question itself.
    turns.pop();
    let is_pinned = |place: &usize| pinned.get(*place).copied().unwrap_or(false);
    turns.retain(|turn| !turn.iter().any(is_pinned));
    turns
}

#[cfg(test)]
#[path = "overflow_tests.rs"]
mod tests;
