//! Asking for an answer and taking it in as it streams.

use std::time::Duration;

use serde_json::Value;

use super::{ChatPane, calls, cells, notify};
use crate::tui::{
    message::{Effect, TurnId},
    state::Shared,
    transcript::{Cell, Kind, Progress, ToolCell, ToolState},
    types::*,
};

/// An answer being made. Its message joins the conversation when it is over.
pub(super) struct Turn {
    pub id: TurnId,
    /// The cell it is shown in, under the id that its message will get.
    pub cell: u64,
    pub model: String,
    pub message: ChatMessage,
    pub prompt_tokens: usize,
    pub cached_tokens: usize,
    pub tokens: usize,
    thinking_tokens: usize,
}

impl ChatPane {
    /// Asks for an answer to the conversation as it is.
    pub(super) fn ask(&mut self, shared: &Shared) -> Vec<Effect> {
        self.turns += 1;
        let id = TurnId(self.turns);
        let model = shared
            .model
            .as_ref()
            .map_or("model", |model| model.id.as_str());
        let cell = self.conversation.next_id();
        let note = shared.now.format("%H:%M").to_string();
        // An answer that failed before its first word left only a cell.
        self.transcript.truncate_from(cell);
        let mut shown = Cell::new(cell, Kind::Answer, model, &note);
        shown.set_progress(Progress::Queued(0));
        self.transcript.push(shown);
        self.turn = Some(Turn {
            id,
            cell,
            model: model.to_owned(),
            message: ChatMessage::new(Role::Assistant, ""),
            prompt_tokens: 0,
            cached_tokens: 0,
            tokens: 0,
            thinking_tokens: 0,
        });
        let tools = match self.offers_tools {
            true => calls::offers(shared)
                .into_iter()
                .map(|offer| offer.spec)
                .collect(),
            false => Vec::new(),
        };
        let (messages, pinned) = self.messages_to_send();
        let request = ChatRequest {
            messages,
            overflow: Some(self.long.overflow()),
            pinned,
            tools,
            thinking: self.thinking,
            options: GenerationOptions {
                priority: Priority::INTERACTIVE,
                ..GenerationOptions::default()
            },
            ..ChatRequest::default()
        };
        vec![Effect::Ask {
            turn: id,
            request: Box::new(request),
        }]
    }

    pub(super) fn started(&mut self, id: TurnId, model: &str, omitted: &[usize]) {
        if let Some(turn) = self.turn.as_mut().filter(|turn| turn.id == id) {
            turn.model = model.to_owned();
            if let Some(cell) = self.transcript.cell_mut(turn.cell) {
                cell.set_name(model);
            }
            self.note_omitted(omitted);
        }
    }

    /// Takes in what has come. Events of a turn that was stopped are late.
    pub(super) fn answer(
        &mut self,
        id: TurnId,
        events: &[AnswerEvent],
        shared: &Shared,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for event in events {
            let Some(turn) = self.turn.as_mut().filter(|turn| turn.id == id) else {
                break;
            };
            let Some(cell) = self.transcript.cell_mut(turn.cell) else {
                break;
            };
            match event {
                AnswerEvent::Queued { ahead } => cell.set_progress(Progress::Queued(*ahead)),
                AnswerEvent::Prefill {
                    done,
                    total,
                    cached,
                } => {
                    turn.prompt_tokens = *total;
                    turn.cached_tokens = *cached;
                    cell.set_progress(Progress::Prefill(*done, *total));
                }
                AnswerEvent::Delta { segments, .. } => {
                    turn.tokens += 1;
                    cell.set_progress(Progress::Streaming);
                    segments.iter().for_each(|segment| turn.take(segment, cell));
                }
                AnswerEvent::Finished {
                    segments,
                    reason,
                    usage,
                    timings,
                } => {
                    segments.iter().for_each(|segment| turn.take(segment, cell));
                    let facts = turn.facts(*reason, *usage, *timings);
                    effects.extend(self.end(facts, None, shared));
                }
                AnswerEvent::Failed(error) => {
                    let facts = AnswerFacts {
                        cut: Some(error.to_string()),
                        ..turn.facts_so_far()
                    };
                    effects.extend(self.end(facts, Some(error.to_string()), shared));
                    effects.extend(self.overflow_question(error));
                }
            }
        }
        effects
    }

    /// Closes the turn at once; what comes later is dropped.
    pub(super) fn stop_turn(&mut self) -> Option<Vec<Effect>> {
        let turn = self.turn.as_ref()?;
        let id = turn.id;
        let facts = AnswerFacts {
            cut: Some("cancelled".into()),
            ..turn.facts_so_far()
        };
        self.close(facts, None);
        self.calls = calls::Calls::default();
        Some(vec![Effect::StopAnswer(id), self.save()])
    }

    fn end(&mut self, facts: AnswerFacts, failed: Option<String>, shared: &Shared) -> Vec<Effect> {
        let whole = failed.is_none();
        let Some(message) = self.close(facts, failed) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        if whole {
            effects.extend(self.begin_calls(&message.tool_calls, shared));
        }
        effects.push(self.save());
        effects
    }

    /// Moves the answer into the conversation. Nothing to move gives `None`.
    fn close(&mut self, facts: AnswerFacts, failed: Option<String>) -> Option<ChatMessage> {
        let turn = self.turn.take()?;
        let message = turn.message;
        let empty = message.content.is_empty()
            && message.tool_calls.is_empty()
            && message.reasoning.is_none();
        if let Some(cell) = self.transcript.cell_mut(turn.cell) {
            cell.end_thought(Duration::from_millis(facts.thinking_ms));
            cell.finish(match failed {
                Some(reason) => Progress::Failed(reason),
                None if empty && facts.cut.is_none() => {
                    Progress::Done("The model said nothing.".into())
                }
                None => Progress::Done(cells::figures(&facts)),
            });
        }
        if empty {
            return None;
        }
        let id = self.conversation.push(message.clone());
        // The node was pushed just now, so it is there.
        let _ = self.conversation.set_answer(id, facts);
        if let Some(node) = self.conversation.node(id) {
            let note = cells::note(node, &self.conversation);
            if let Some(cell) = self.transcript.cell_mut(id.0) {
                cell.set_note(&note);
            }
        }
        Some(message)
    }

    /// Tokens of the context that the conversation takes, as far as is known.
    pub(super) fn context_used(&self) -> usize {
        if let Some(turn) = self.turn.as_ref().filter(|turn| turn.prompt_tokens > 0) {
            return turn.prompt_tokens + turn.tokens;
        }
        let facts = self
            .conversation
            .path()
            .into_iter()
            .rev()
            .find_map(|node| node.answer.as_ref());
        facts.map_or(0, |facts| facts.prompt_tokens + facts.completion_tokens)
    }

    pub(super) fn toggle_thinking(&mut self) -> Vec<Effect> {
        self.thinking = match self.thinking {
            None => Some(true),
            Some(true) => Some(false),
            Some(false) => None,
        };
        notify(match self.thinking {
            None => "The model's own way decides whether it thinks first.",
            Some(true) => "The model thinks before it answers.",
            Some(false) => "The model answers without thinking first.",
        })
    }
}

impl Turn {
    fn take(&mut self, segment: &Segment, cell: &mut Cell) {
        match segment {
            Segment::Reasoning(text) => {
                self.thinking_tokens += 1;
                self.message
                    .reasoning
                    .get_or_insert_default()
                    .push_str(text);
                cell.push_thought(text);
            }
            Segment::Content(text) => {
                // Models put empty lines between the thought and the answer.
                let text = match self.message.content.is_empty() {
                    true => text.trim_start_matches(['\n', ' ']),
                    false => text,
                };
                self.message.content.push_str(text);
                cell.push(text);
            }
            Segment::ToolCall(call) => {
                self.message.tool_calls.push(call.clone());
                cell.add_tool(tool_cell(call, ToolState::Asking));
            }
        }
    }

    fn facts_so_far(&self) -> AnswerFacts {
        AnswerFacts {
            model: self.model.clone(),
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            completion_tokens: self.tokens,
            thinking_tokens: self.thinking_tokens,
            ..AnswerFacts::default()
        }
    }

    fn facts(&self, reason: AnswerFinish, usage: Usage, timings: Timings) -> AnswerFacts {
        let cut = match reason {
            AnswerFinish::Stop | AnswerFinish::ToolCalls => None,
            AnswerFinish::Length => Some("length".to_owned()),
            AnswerFinish::Cancelled => Some("cancelled".to_owned()),
        };
        let share = self.thinking_tokens as f64 / usage.completion_tokens.max(1) as f64;
        AnswerFacts {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
            tokens_per_second: timings.decode_rate(usage.completion_tokens),
            first_token_ms: timings.first_token.as_millis() as u64,
            thinking_ms: (timings.decode.as_millis() as f64 * share.min(1.0)) as u64,
            cut,
            ..self.facts_so_far()
        }
    }
}

/// A call as it is shown.
pub(super) fn tool_cell(call: &ToolCall, state: ToolState) -> ToolCell {
    let pretty = serde_json::to_string_pretty(&call.arguments).unwrap_or_default();
    ToolCell {
        id: call.id.clone(),
        name: crate::tui::text::sanitise_line(&call.name),
        arguments: crate::tui::text::sanitise_line(&one_line(&call.arguments)),
        pretty: crate::tui::text::sanitise(&pretty).into_owned(),
        state,
        open: false,
    }
}

fn one_line(arguments: &Value) -> String {
    match arguments {
        Value::Object(map) if map.is_empty() => String::new(),
        other => other.to_string(),
    }
}
