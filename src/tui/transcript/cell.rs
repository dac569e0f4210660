//! One message with everything that belongs to it: who and when, thoughts,
//! text, tool calls, errors and figures. It keeps the sources and remembers the
//! lines drawn from them.

use std::time::Duration;

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use crate::tui::{
    markdown::{CodeBlock, Document, Highlighter, Styles},
    text::{Wrap, fit, sanitise, sanitise_into, sanitise_line, text_width, wrap, wrap_text},
};

/// Lines of a tool's result that an open fold shows.
const RESULT_LINES: usize = 200;

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
    name: String,
    /// At the right of the first line, such as the time.
    note: String,
    body: Document,
    thought: Option<Thought>,
    tools: Vec<ToolCell>,
    progress: Progress,
    /// Counts changes of everything but the body.
    version: u64,
    drawn_for: Option<(usize, u64, u64)>,
    head: Vec<Line<'static>>,
    foot: Vec<Line<'static>>,
    body_lines: usize,
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

    fn head_lines(&self, width: usize, context: &Context) -> Vec<Line<'static>> {
        let roles = context.roles;
        let name_style = match self.kind {
            Kind::User => roles.user,
            Kind::Answer => roles.model,
            Kind::System => roles.muted,
        };
        let summary = self
            .thought
            .as_ref()
            .map(|thought| thought_summary(thought, self.body.is_empty()));
        // The first line stands two cells further left than the others.
        let room = width + 2;
        let right = [summary.clone().unwrap_or_default(), self.note.clone()];
        let right: Vec<_> = right
            .iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect();
        let right = fit(&right.join("   "), room.saturating_sub(8));
        let name = fit(
            &self.name,
            room.saturating_sub(text_width(&right) + 2).max(4),
        );
        let space = room.saturating_sub(text_width(&name) + text_width(&right));
        let mut lines = vec![Line::from(vec![
            Span::styled(name, name_style.add_modifier(Modifier::BOLD)),
            Span::raw(" ".repeat(space)),
            Span::styled(right, roles.muted),
        ])];
        if let Some(thought) = self.thought.as_ref().filter(|t| t.open) {
            let text = thought.text.trim();
            let bar = Span::styled("┆ ", roles.muted);
            for mut line in wrap_text(text, roles.thought, width.saturating_sub(2)) {
                line.spans.insert(0, bar.clone());
                lines.push(line);
            }
            lines.push(Line::default());
        }
        lines
    }

    fn foot_lines(&self, width: usize, context: &Context) -> Vec<Line<'static>> {
        let roles = context.roles;
        let mut lines = Vec::new();
        for tool in &self.tools {
            if self.body_lines > 0 && lines.is_empty() {
                lines.push(Line::default());
            }
            self.tool_lines(tool, width, context, &mut lines);
        }
        match &self.progress {
            Progress::Queued(ahead) => {
                let text = match ahead {
                    0 => "waiting".to_owned(),
                    _ => format!("waiting behind {ahead}"),
                };
                lines.push(Line::styled(
                    fit(&format!("{} {text}", context.spinner), width),
                    roles.muted,
                ));
            }
            Progress::Prefill(done, total) => {
                let text = match total {
                    0 => format!("{} reading the conversation", context.spinner),
                    _ => format!(
                        "{} reading the conversation: {done} of {total} tokens",
                        context.spinner
                    ),
                };
                lines.push(Line::styled(fit(&text, width), roles.muted));
            }
            Progress::Streaming => {}
            Progress::Done(figures) if figures.is_empty() => {}
            Progress::Done(figures) => lines.push(Line::styled(fit(figures, width), roles.muted)),
            Progress::Failed(reason) => {
                let spans = [
                    Span::styled("✗ ", roles.error),
                    Span::styled(sanitise(reason), roles.error),
                ];
                lines.extend(wrap(&spans, width, Wrap::Words));
            }
        }
        lines
    }

    fn tool_lines(
        &self,
        tool: &ToolCell,
        width: usize,
        context: &Context,
        lines: &mut Vec<Line<'static>>,
    ) {
        let roles = context.roles;
        let mark = if tool.open { "▾" } else { "▸" };
        let (outcome, style) = tool_outcome(&tool.state, context);
        let room = width.saturating_sub(text_width(&outcome) + text_width(&tool.name) + 5);
        let arguments = if tool.open {
            String::new()
        } else {
            fit(&tool.arguments, room)
        };
        let spans = vec![
            Span::styled(format!("{mark} "), roles.muted),
            Span::styled(
                fit(&tool.name, width.saturating_sub(4)),
                roles.tool.add_modifier(Modifier::BOLD),
            ),
            Span::styled(format!(" {arguments}"), roles.muted),
            Span::styled(format!("  {outcome}"), style),
        ];
        lines.extend(wrap(&spans, width, Wrap::Words));
        if !tool.open {
            return;
        }
        let bar = Span::styled("┆ ", roles.muted);
        let mut block = |text: &str, style: Style| {
            for mut line in wrap(
                &[Span::styled(text, style)],
                width.saturating_sub(2),
                Wrap::Anywhere,
            ) {
                line.spans.insert(0, bar.clone());
                lines.push(line);
            }
        };
        block(&tool.pretty, roles.tool);
        if let ToolState::Done { text, is_error, .. } = &tool.state {
            let text = sanitise(text);
            let style = if *is_error {
                roles.error
            } else {
                context.styles.text
            };
            let shown: Vec<&str> = text.trim_end().lines().take(RESULT_LINES).collect();
            block(&shown.join("\n"), style);
            let hidden = text.trim_end().lines().count() - shown.len();
            if hidden > 0 {
                block(&format!("… {hidden} more lines"), roles.muted);
            }
        }
    }
}

fn thought_summary(thought: &Thought, alone: bool) -> String {
    let mark = if thought.open { "▾" } else { "▸" };
    let tokens = thought.tokens;
    match thought.elapsed {
        Some(time) => format!("{mark} thought for {} ({tokens} tokens)", seconds(time)),
        None if alone => format!("{mark} thinking ({tokens} tokens)"),
        None => format!("{mark} thought ({tokens} tokens)"),
    }
}

fn tool_outcome(state: &ToolState, context: &Context) -> (String, Style) {
    let roles = context.roles;
    match state {
        ToolState::Asking => ("waits for your approval".into(), roles.warn),
        ToolState::Running => (format!("{} running", context.spinner), roles.muted),
        ToolState::Refused => ("refused".into(), roles.warn),
        ToolState::Done {
            text,
            is_error,
            elapsed,
        } => {
            let time = elapsed.map_or(String::new(), |time| format!("  {}", seconds(time)));
            let lines = text.trim().lines().count();
            let first = sanitise_line(text.trim().lines().next().unwrap_or("no text"));
            let short = match lines {
                0 | 1 => fit(&first, 32),
                _ => format!("{lines} lines"),
            };
            let style = if *is_error { roles.error } else { roles.muted };
            (format!("→ {short}{time}"), style)
        }
    }
}

/// Such as `38 ms` or `1.4 s`.
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.1 => format!("{:.0} ms", s * 1000.0),
        s if s < 100.0 => format!("{s:.1} s"),
        s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s % 60.0),
    }
}
