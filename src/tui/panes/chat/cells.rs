//! Messages of a conversation as cells of the transcript.

use std::{collections::BTreeSet, time::Duration};

use chrono::Local;

use super::{long, turn::tool_cell};
use crate::tui::{
    transcript::{Cell, Kind, Progress, Thought, ToolState},
    types::*,
};

/// The cells of the branch that is shown. Results of tools are shown with the
/// calls that they answer.
/// `omitted` are messages that are not sent any more.
pub(super) fn all(conversation: &Conversation, omitted: &BTreeSet<NodeId>) -> Vec<Cell> {
    let path = conversation.path();
    let mut cells = Vec::with_capacity(path.len());
    let last = path.iter().rposition(|node| omitted.contains(&node.id));
    for (at, node) in path.iter().enumerate() {
        if node.message.role != Role::Tool {
            let mut cell = message(node, Some(&path[at + 1..]), conversation);
            if omitted.contains(&node.id) {
                cell.set_note(&format!("▲ {}", note(node, conversation)));
            }
            cells.push(cell);
        }
        if last == Some(at) {
            let here = path.iter().filter(|node| omitted.contains(&node.id));
            cells.push(long::mark(here.count()));
        }
    }
    cells
}

/// One message; `later` are those that follow it.
pub(super) fn message(node: &Node, later: Option<&[&Node]>, conversation: &Conversation) -> Cell {
    let message = &node.message;
    let facts = node.answer.as_ref();
    let (kind, name) = match message.role {
        Role::User => (Kind::User, "You"),
        Role::Assistant => (
            Kind::Answer,
            facts.map_or("model", |facts| facts.model.as_str()),
        ),
        Role::System | Role::Tool => (Kind::System, "System"),
    };
    let mut cell = Cell::new(node.id.0, kind, name, &note(node, conversation));
    if let Some(text) = &message.reasoning {
        cell.set_thought(Some(Thought {
            text: crate::tui::text::sanitise(text).into_owned(),
            tokens: facts.map_or(0, |facts| facts.thinking_tokens),
            elapsed: facts.map(|facts| Duration::from_millis(facts.thinking_ms)),
            open: false,
        }));
    }
    cell.push(&message.content);
    for call in &message.tool_calls {
        cell.add_tool(tool_cell(call, result_of(call, later.unwrap_or(&[]))));
    }
    cell.finish(Progress::Done(facts.map_or(String::new(), figures)));
    cell
}

/// What became of a call: only its text is kept, not how long it took.
fn result_of(call: &ToolCall, later: &[&Node]) -> ToolState {
    let results = later
        .iter()
        .take_while(|node| node.message.role == Role::Tool);
    let mut results = results.filter(|node| node.message.tool_call_id.as_deref() == Some(&call.id));
    match results.next() {
        Some(node) => ToolState::Done {
            text: node.message.content.clone(),
            is_error: false,
            elapsed: None,
        },
        None => ToolState::Refused,
    }
}

/// Whether it is pinned, the branch and the time, such as `‹2/3› 10:41`.
pub(super) fn note(node: &Node, conversation: &Conversation) -> String {
    let time = node.created.with_timezone(&Local).format("%H:%M");
    let pin = if node.pinned { "◆ pinned " } else { "" };
    match conversation.version(node.id) {
        Some((number, count)) if count > 1 => format!("{pin}‹{number}/{count}› {time}"),
        _ => format!("{pin}{time}"),
    }
}

/// The line below an answer.
pub(super) fn figures(facts: &AnswerFacts) -> String {
    let mut parts = Vec::new();
    match facts.completion_tokens {
        0 => {}
        1 => parts.push("1 token".into()),
        count => parts.push(format!("{count} tokens")),
    }
    if facts.tokens_per_second > 0.0 {
        parts.push(format!("{} tok/s", rate(facts.tokens_per_second)));
    }
    if facts.first_token_ms > 0 {
        parts.push(format!("first {} ms", facts.first_token_ms));
    }
    if facts.cached_tokens > 0 {
        parts.push(format!("{} cached", facts.cached_tokens));
    }
    match facts.cut.as_deref() {
        Some("cancelled") => parts.push("stopped".into()),
        Some("length") => parts.push("cut off at the limit of tokens".into()),
        Some(reason) => parts.push(reason.to_owned()),
        None => {}
    }
    parts.join(" · ")
}

/// Tokens a second: whole from ten on.
pub(super) fn rate(rate: f64) -> String {
    if rate < 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}
