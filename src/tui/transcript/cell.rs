//! One message with everything that belongs to it: who and when, thoughts,
//! text, tool calls, errors and figures. It keeps the sources and remembers the
//! lines drawn from them; `lines` draws all but the text.

use std::time::Duration;

use ratatui::{style::Style, text::Line};

use crate::tui::{
    markdown::{CodeBlock, Document, Highlighter, Styles},
    text::{sanitise_into, sanitise_line},
};

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Answer,
    System,
}

/// How far an answer is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Waiting behind this many others.
    Queued(usize),
    /// Tokens of the prompt read, of all.
    Prefill(usize, usize),
    Streaming,
    /// Small print below the finished answer; may be empty.
    Done(String),
    Failed(String),
}

/// What the model thought before it answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thought {
    pub text: String,
    pub tokens: usize,
    pub elapsed: Option<Duration>,
    pub open: bool,
}

/// A tool call that the model made.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCell {
    pub id: String,
    pub name: String,
    /// JSON on one line, and laid out.
    pub arguments: String,
    pub pretty: String,
    pub state: ToolState,
    pub open: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ToolState {
    /// Nobody has allowed it yet.
    Asking,
    Running,
    Refused,
    Done {
        text: String,
        is_error: bool,
        elapsed: Option<Duration>,
    },
}

/// The roles a cell needs besides those of its Markdown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CellStyles {
    pub muted: Style,
    pub user: Style,
    pub model: Style,
    pub thought: Style,
    pub tool: Style,
    pub warn: Style,
    pub error: Style,
}

/// What laying out needs.
pub struct Context<'a> {
    pub styles: &'a Styles,
    pub roles: &'a CellStyles,
    pub highlighter: &'a Highlighter,
    pub spinner: &'a str,
}

pub struct Cell {
    /// The message's id in its conversation.
    pub id: u64,
    pub kind: Kind,
    pub(super) name: String,
    /// At the right of the first line, such as the time.
    pub(super) note: String,
    pub(super) body: Document,
    pub(super) thought: Option<Thought>,
    pub(super) tools: Vec<ToolCell>,
    pub(super) progress: Progress,
    /// Counts changes of everything but the body.
    version: u64,
    drawn_for: Option<(usize, u64, u64)>,
    head: Vec<Line<'static>>,
    foot: Vec<Line<'static>>,
    pub(super) body_lines: usize,
}

impl Cell {
    pub fn new(id: u64, kind: Kind, name: &str, note: &str) -> Self {
        Self {
            id,
            kind,
            name: sanitise_line(name),
            note: sanitise_line(note),
            body: Document::default(),
            thought: None,
            tools: Vec::new(),
            progress: Progress::Streaming,
            version: 0,
            drawn_for: None,
            head: Vec::new(),
            foot: Vec::new(),
            body_lines: 0,
        }
    }

    /// A message that is complete.
    pub fn finished(id: u64, kind: Kind, name: &str, note: &str, text: &str) -> Self {
        let mut cell = Self::new(id, kind, name, note);
        cell.push(text);
        cell.finish(Progress::Done(String::new()));
        cell
    }

    pub fn push(&mut self, text: &str) {
        // With the first word the thought is over.
        self.version += u64::from(self.body.is_empty());
        self.body.push(text);
    }

    pub fn push_thought(&mut self, text: &str) {
        let thought = self.thought.get_or_insert_default();
        sanitise_into(text, &mut thought.text);
        thought.tokens += 1;
        self.version += 1;
    }

    /// The thought has ended, after this time.
    pub fn end_thought(&mut self, elapsed: Duration) {
        if let Some(thought) = self.thought.as_mut().filter(|t| t.elapsed.is_none()) {
            thought.elapsed = Some(elapsed);
            self.version += 1;
        }
    }

    pub fn set_thought(&mut self, thought: Option<Thought>) {
        self.thought = thought;
        self.version += 1;
    }

    pub fn thought(&self) -> Option<&Thought> {
        self.thought.as_ref()
    }

    pub fn add_tool(&mut self, tool: ToolCell) {
        self.tools.push(tool);
        self.version += 1;
    }

    pub fn tools(&self) -> &[ToolCell] {
        &self.tools
    }

    /// Changes the state of the call with this id.
    pub fn set_tool(&mut self, id: &str, state: ToolState) {
        if let Some(tool) = self.tools.iter_mut().find(|tool| tool.id == id) {
            tool.state = state;
            self.version += 1;
        }
    }

    pub fn set_note(&mut self, note: &str) {
        self.note = sanitise_line(note);
        self.version += 1;
    }

    pub fn set_name(&mut self, name: &str) {
        self.name = sanitise_line(name);
        self.version += 1;
    }

    pub fn set_progress(&mut self, progress: Progress) {
        if self.progress != progress {
            self.progress = progress;
            self.version += 1;
        }
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn finish(&mut self, progress: Progress) {
        self.body.finish();
        self.set_progress(progress);
    }

    /// The Markdown source.
    pub fn source(&self) -> &str {
        self.body.source()
    }

    /// Opens or closes everything that folds.
    pub fn toggle_fold(&mut self) {
        let any_closed =
            self.thought.as_ref().is_some_and(|t| !t.open) || self.tools.iter().any(|t| !t.open);
        if let Some(thought) = &mut self.thought {
            thought.open = any_closed;
        }
        for tool in &mut self.tools {
            tool.open = any_closed;
        }
        self.version += 1;
    }

    /// Whether a spinner turns in it.
    pub fn waits(&self) -> bool {
        let before_text = matches!(self.progress, Progress::Queued(_) | Progress::Prefill(..));
        before_text
            || self
                .tools
                .iter()
                .any(|tool| tool.state == ToolState::Running)
    }

    /// Brings the lines up to date and returns how many there are, with the
    /// empty line that parts this cell from the next.
    pub fn layout(&mut self, width: usize, context: &Context) -> usize {
        self.body_lines = self.body.layout(width, context.styles, context.highlighter);
        let key = Some((width, context.styles.id, self.version));
        if self.drawn_for != key || self.waits() {
            self.drawn_for = key;
            self.head = self.head_lines(width, context);
            self.foot = self.foot_lines(width, context);
        }
        self.height()
    }

    pub fn height(&self) -> usize {
        self.head.len() + self.body_lines + self.foot.len() + 1
    }

    /// The lines from `from` on, at the last layout; all but the first are
    /// drawn indented.
    pub fn lines(&self, from: usize) -> impl Iterator<Item = &Line<'static>> {
        let head = self.head.iter().skip(from);
        let body = self.body.lines(from.saturating_sub(self.head.len()));
        let foot = self
            .foot
            .iter()
            .skip(from.saturating_sub(self.head.len() + self.body_lines));
        head.chain(body).chain(foot)
    }

    /// The code blocks with the cell's line that each begins on.
    pub fn codes(&self) -> Vec<CodeBlock> {
        let head = self.head.len();
        let moved = |mut code: CodeBlock| {
            code.line += head;
            code
        };
        self.body.codes().map(moved).collect()
    }
}
