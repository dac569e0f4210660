//! An answer in the making: the engine's events, with the text of its tokens
//! parsed into reasoning, content and tool calls.
//!
//! The stream holds the engine's stream itself, with no task in between:
//! dropping it cancels the work at once, and a token reaches its reader without
//! a further hop.

use super::{AnswerEvent, AnswerFinish};
use crate::{
    engine::{Event, Finish, RequestId, RequestStream, TokenEvent},
    text::{AnswerParser, conversation::Segment},
};

/// The answer being made. Dropping it cancels the work.
pub struct AnswerStream {
    pub id: RequestId,
    /// The id of the model that answers.
    pub model: String,
    /// The places of the request's messages that were not sent, ascending.
    pub omitted: Vec<usize>,
    events: RequestStream,
    reader: Reader,
}

impl AnswerStream {
    pub(super) fn new(model: String, events: RequestStream, parser: Option<AnswerParser>) -> Self {
        Self {
            id: events.id,
            model,
            omitted: Vec::new(),
            events,
            reader: Reader {
                parser,
                called: false,
            },
        }
    }

    pub(super) fn with_omitted(mut self, omitted: Vec<usize>) -> Self {
        self.omitted = omitted;
        self
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<AnswerEvent> {
        let event = self.events.next().await?;
        Some(self.reader.read(event))
    }

    /// Ends the answer early; what is ready still comes, and then `Finished`
    /// with the reason `Cancelled`.
    pub fn cancel(&self) {
        self.events.cancel();
    }
}

/// Reads the engine's events. Without a parser all text is content.
struct Reader {
    parser: Option<AnswerParser>,
    /// Whether a tool has been called.
    called: bool,
}

impl Reader {
    fn read(&mut self, event: Event) -> AnswerEvent {
        match event {
            Event::Queued { ahead } => AnswerEvent::Queued { ahead },
            Event::Prefill {
                done,
                total,
                cached,
            } => AnswerEvent::Prefill {
                done,
                total,
                cached,
            },
            Event::Token(token) => self.delta(token),
            Event::Finished(finish) => self.finished(finish),
            Event::Failed(error) => AnswerEvent::Failed(error.into()),
        }
    }

    fn delta(&mut self, token: TokenEvent) -> AnswerEvent {
        let segments = self.segments(&token.text);
        AnswerEvent::Delta { token, segments }
    }

    fn finished(&mut self, finish: Finish) -> AnswerEvent {
        let mut segments = self.segments(&finish.text);
        if let Some(parser) = &mut self.parser {
            let rest = parser.finish();
            segments.extend(self.noted(rest));
        }
        let reason = match AnswerFinish::from(finish.reason) {
            AnswerFinish::Stop if self.called => AnswerFinish::ToolCalls,
            reason => reason,
        };
        AnswerEvent::Finished {
            segments,
            reason,
            usage: finish.usage,
            timings: finish.timings,
        }
    }

    fn segments(&mut self, text: &str) -> Vec<Segment> {
        let segments = match &mut self.parser {
            _ if text.is_empty() => Vec::new(),
            Some(parser) => parser.push(text),
            None => vec![Segment::Content(text.to_owned())],
        };
        self.noted(segments)
    }

    fn noted(&mut self, segments: Vec<Segment>) -> Vec<Segment> {
        self.called |= segments
            .iter()
            .any(|segment| matches!(segment, Segment::ToolCall(_)));
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{FinishReason, Timings, Usage};

    fn token(text: &str) -> Event {
        Event::Token(TokenEvent {
            token: 1,
            text: text.to_owned(),
            logprob: None,
            top_logprobs: Vec::new(),
        })
    }

    fn end(text: &str, reason: FinishReason) -> Event {
        Event::Finished(Finish {
            reason,
            text: text.to_owned(),
            stop_string: None,
            usage: Usage::default(),
            timings: Timings::default(),
        })
    }

    fn read(reader: &mut Reader, events: Vec<Event>) -> (Vec<Segment>, Option<AnswerFinish>) {
        let mut all = Vec::new();
        let mut last = None;
        for event in events {
            match reader.read(event) {
                AnswerEvent::Delta { segments, .. } => all.extend(segments),
                AnswerEvent::Finished {
                    segments, reason, ..
                } => {
                    all.extend(segments);
                    last = Some(reason);
                }
                _ => {}
            }
        }
        (all, last)
    }

    #[test]
    fn a_call_changes_the_reason_and_text_held_back_still_comes() {
        let mut reader = Reader {
            parser: Some(AnswerParser::new(false, true)),
            called: false,
        };
        let call = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
        let (segments, reason) = read(
            &mut reader,
            vec![token("Yes. "), token(""), end(call, FinishReason::Stop)],
        );
        assert_eq!(reason, Some(AnswerFinish::ToolCalls));
        assert!(matches!(&segments[0], Segment::Content(text) if text.starts_with("Yes.")));
        assert!(matches!(segments.last(), Some(Segment::ToolCall(call)) if call.name == "f"));
    }

    #[test]
    fn without_a_parser_tags_are_text() {
        let mut reader = Reader {
            parser: None,
            called: false,
        };
        let (segments, reason) = read(
            &mut reader,
            vec![token("<think>"), end("x", FinishReason::Length)],
        );
        let text = |text: &str| Segment::Content(text.to_owned());
        assert_eq!(segments, [text("<think>"), text("x")]);
        assert_eq!(reason, Some(AnswerFinish::Length));
    }
}
