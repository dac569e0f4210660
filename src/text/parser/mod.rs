//! An answer's text becomes reasoning, content and tool calls.
//!
//! Incremental: text goes in as it is generated, segments come out at once.
//! Of content and reasoning at most the longest marker less one byte is held
//! back; a tool call is held until it is complete. No text is lost: a call
//! that cannot be understood comes back as content. Only the white space next
//! to a marker belongs to the marker.
//!
//! Tool-call formats live in files of their own (`hermes`).

mod hermes;
mod marker;

use std::mem;

use marker::Scan;

use super::{ChatTemplate, conversation::Segment};

const THINK: &str = "<think>";
const END_THINK: &str = "</think>";

/// White space held while it is unclear whether `<think>` follows.
const MAX_LEADING_SPACE: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Start,
    Reasoning,
    Content,
    /// Inside a tool call, after its opening marker.
    Call,
}

/// The parser of one answer.
#[derive(Debug)]
pub struct AnswerParser {
    state: State,
    /// Text not emitted yet; in `Call`, everything since the marker.
    buffer: String,
    /// The white space that comes next belongs to the marker before it.
    trim: bool,
    /// Whether thinking may still begin, or end without having begun.
    may_think: bool,
    tools: bool,
}

impl AnswerParser {
    /// A parser for an answer to `prompt`, the text that `template` made.
    /// Calls are looked for only if `tools` were offered. The answer begins
    /// inside the reasoning if the prompt ends with an open `<think>`.
    pub fn for_template(template: &ChatTemplate, prompt: &str, tools: bool) -> Self {
        let opened = prompt.trim_end().ends_with(THINK);
        let mut parser = Self::new(opened, tools);
        // An unpaired </think> means something only where templates use it.
        parser.may_think |= template.source().contains(END_THINK);
        parser
    }

    /// A parser that begins inside the reasoning if `thinking`.
    pub fn new(thinking: bool, tools: bool) -> Self {
        Self {
            state: if thinking {
                State::Reasoning
            } else {
                State::Start
            },
            buffer: String::new(),
            trim: thinking,
            may_think: true,
            tools,
        }
    }

    /// The segments that `text` completes.
    pub fn push(&mut self, text: &str) -> Vec<Segment> {
        self.buffer.push_str(text);
        let mut segments = Vec::new();
        while self.step(&mut segments) {}
        segments
    }

    /// What was held back, when no more text follows.
    pub fn finish(&mut self) -> Vec<Segment> {
        let mut segments = Vec::new();
        let rest = mem::take(&mut self.buffer);
        match self.state {
            State::Call => match hermes::parse(&rest) {
                Ok(calls) => segments.extend(calls.into_iter().map(Segment::ToolCall)),
                Err(_) => self.emit(&format!("{}{rest}", hermes::OPEN), &mut segments),
            },
            _ => self.emit(&rest, &mut segments),
        }
        segments
    }

    /// Does what the buffer allows; whether to look again.
    fn step(&mut self, segments: &mut Vec<Segment>) -> bool {
        if self.trim && self.state != State::Call {
            let text = self.buffer.trim_start();
            self.trim = text.is_empty();
            self.buffer.drain(..self.buffer.len() - text.len());
        }
        match self.state {
            State::Start => self.step_start(),
            State::Reasoning => self.step_text(&[END_THINK], segments),
            State::Content => {
                let markers: &[&str] = match (self.tools, self.may_think) {
                    (true, true) => &[hermes::OPEN, END_THINK],
                    (true, false) => &[hermes::OPEN],
                    (false, true) => &[END_THINK],
                    (false, false) => &[],
                };
                self.step_text(markers, segments)
            }
            State::Call => self.step_call(segments),
        }
    }

    fn step_start(&mut self) -> bool {
        let text = self.buffer.trim_start();
        let leading = self.buffer.len() - text.len();
        if text.starts_with(THINK) {
            self.buffer.drain(..leading + THINK.len());
            (self.state, self.trim) = (State::Reasoning, true);
            return true;
        }
        if THINK.starts_with(text) && leading <= MAX_LEADING_SPACE {
            return false;
        }
        self.state = State::Content;
        true
    }

    /// Emits text up to the next of `markers` and passes it.
    fn step_text(&mut self, markers: &[&'static str], segments: &mut Vec<Segment>) -> bool {
        match marker::scan(&self.buffer, markers) {
            Scan::Found { at, marker } => {
                let text: String = self.buffer.drain(..at).collect();
                self.emit(&text, segments);
                self.buffer.drain(..marker.len());
                self.trim = true;
                if marker == END_THINK {
                    self.may_think = false;
                    self.state = State::Content;
                } else {
                    self.state = State::Call;
                }
                true
            }
            Scan::HoldFrom(at) => {
                let text: String = self.buffer.drain(..at).collect();
                self.emit(&text, segments);
                false
            }
        }
    }

    fn step_call(&mut self, segments: &mut Vec<Segment>) -> bool {
        let Some(end) = hermes::end_of_call(&self.buffer) else {
            return false;
        };
        let body: String = self.buffer.drain(..end.at).collect();
        match hermes::parse(&body) {
            Ok(calls) => {
                self.buffer.drain(..end.marker);
                segments.extend(calls.into_iter().map(Segment::ToolCall));
                self.trim = true;
            }
            Err(_) => {
                let close: String = self.buffer.drain(..end.marker).collect();
                self.emit(&format!("{}{body}{close}", hermes::OPEN), segments);
                self.trim = false;
            }
        }
        self.state = State::Content;
        true
    }

    fn emit(&mut self, text: &str, segments: &mut Vec<Segment>) {
        if text.is_empty() {
            return;
        }
        let reasoning = self.state == State::Reasoning;
        match (segments.last_mut(), reasoning) {
            (Some(Segment::Reasoning(last)), true) | (Some(Segment::Content(last)), false) => {
                last.push_str(text);
            }
            (_, true) => segments.push(Segment::Reasoning(text.to_owned())),
            (_, false) => segments.push(Segment::Content(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
