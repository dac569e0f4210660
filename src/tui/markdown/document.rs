//! A Markdown text that may still be growing, and its lines at one width.
//!
//! A block is settled once another block follows it: nothing that is appended
//! can change it any more, so it is laid out once. Only what comes after the
//! last settled block is parsed again when text arrives. A text that defines
//! link references is the exception, as a definition may change any block: it is
//! laid out as a whole when it is finished.
//!
//! Invariant: the lines are those of laying out the same source at once (for a
//! text with link definitions, once it is finished).

use ratatui::text::Line;

use super::{
    highlight::Highlighter,
    layout::{Layout, Output},
    parse::parse,
    styles::Styles,
};
use crate::tui::text::sanitise_into;

/// A code block as it was written, and the line its box begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeBlock {
    pub line: usize,
    pub language: String,
    pub text: String,
}

/// One settled block, or the unsettled rest.
#[derive(Default)]
struct Part {
    /// Where its source begins.
    begin: usize,
    /// The line of the document it begins on.
    line: usize,
    output: Output,
}

/// See the module's description.
#[derive(Default)]
pub struct Document {
    source: String,
    finished: bool,
    settled: Vec<Part>,
    rest: Part,
    /// Bytes of the source whose blocks have been settled, and how much of the
    /// source had been looked at.
    settled_to: usize,
    seen: usize,
    definitions: bool,
    /// Width, styles and finish state that the lines are for.
    drawn_for: Option<(usize, u64, bool)>,
    generation: u64,
}

impl Document {
    /// A text that is complete.
    pub fn finished(source: &str) -> Self {
        let mut document = Self::default();
        document.push(source);
        document.finish();
        document
    }

    /// Appends text; control characters are made harmless.
    pub fn push(&mut self, text: &str) {
        sanitise_into(text, &mut self.source);
    }

    /// Nothing more will come.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// Brings the lines up to date and returns how many there are.
    pub fn layout(&mut self, width: usize, styles: &Styles, highlighter: &Highlighter) -> usize {
        let finished = self.finished && self.definitions;
        let drawn_for = Some((width, styles.id, finished));
        if self.drawn_for != drawn_for {
            self.drawn_for = drawn_for;
            self.settled.clear();
            self.rest = Part::default();
            self.settled_to = 0;
            self.seen = 0;
        }
        let layout = Layout {
            styles,
            highlighter,
        };
        if self.seen < self.source.len() {
            self.settle(width, &layout);
            self.redraw_rest(width, &layout);
            self.seen = self.source.len();
            if self.finished && self.definitions && !finished {
                return self.layout(width, styles, highlighter);
            }
        } else if self.generation != highlighter.generation() {
            self.recolour(width, &layout);
        }
        self.generation = highlighter.generation();
        self.height()
    }

    /// The number of lines at the last layout.
    pub fn height(&self) -> usize {
        self.rest.line + self.rest.output.lines.len()
    }

    /// The lines from `from` on, at the last layout.
    pub fn lines(&self, from: usize) -> impl Iterator<Item = &Line<'static>> {
        let first = self
            .settled
            .partition_point(|part| part.line <= from)
            .saturating_sub(1);
        let parts = self
            .settled
            .iter()
            .skip(first)
            .chain(std::iter::once(&self.rest));
        let begin = self
            .settled
            .get(first)
            .map_or(self.rest.line, |part| part.line);
        parts
            .flat_map(|part| &part.output.lines)
            .skip(from.saturating_sub(begin))
    }

    /// The code blocks, in order, at the last layout.
    pub fn codes(&self) -> impl Iterator<Item = CodeBlock> + '_ {
        let parts = self.settled.iter().chain(std::iter::once(&self.rest));
        parts.flat_map(|part| {
            part.output.codes.iter().map(move |code| CodeBlock {
                line: part.line + code.line,
                ..code.clone()
            })
        })
    }

    /// Moves the blocks that are complete out of the rest.
    fn settle(&mut self, width: usize, layout: &Layout) {
        let whole = self.finished && self.definitions;
        let tail = &self.source[self.settled_to..];
        let Some(complete) = tail.rfind('\n').map(|at| &tail[..=at]) else {
            return;
        };
        // Nothing can have ended before the first new line feed.
        if !self.source[self.seen.max(self.settled_to)..].contains('\n') {
            return;
        }
        let parsed = parse(if whole { tail } else { complete }, layout.styles);
        self.definitions |= parsed.definitions;
        let Some(&(last, _)) = parsed.blocks.last() else {
            return;
        };
        let base = self.settled_to;
        let kept = parsed.blocks.len() - usize::from(!whole);
        for (begin, block) in parsed.blocks.iter().take(kept) {
            if *begin >= last && !whole {
                break;
            }
            let line = self.rest.line;
            let mut output = Output::default();
            add(&mut output, line, layout.block(block, width));
            self.rest.line += output.lines.len();
            self.settled.push(Part {
                begin: base + begin,
                line,
                output,
            });
        }
        self.settled_to = if whole {
            self.source.len()
        } else {
            base + last
        };
    }

    fn redraw_rest(&mut self, width: usize, layout: &Layout) {
        let parsed = parse(&self.source[self.settled_to..], layout.styles);
        self.definitions |= parsed.definitions;
        let mut output = Output::default();
        for (_, block) in &parsed.blocks {
            add(&mut output, self.rest.line, layout.block(block, width));
        }
        self.rest.begin = self.settled_to;
        self.rest.output = output;
    }

    /// Colours have arrived: draws the parts that wait for some again. Their
    /// lines stay as many as they were.
    fn recolour(&mut self, width: usize, layout: &Layout) {
        let whole = self.finished && self.definitions;
        let ends: Vec<usize> = self
            .settled
            .iter()
            .skip(1)
            .map(|part| part.begin)
            .chain([self.settled_to])
            .collect();
        if whole && self.settled.iter().any(|part| part.output.pending) {
            let parsed = parse(&self.source, layout.styles);
            for (part, (_, block)) in self.settled.iter_mut().zip(&parsed.blocks) {
                recolour_part(part, block, width, layout);
            }
            return;
        }
        for (part, end) in self.settled.iter_mut().zip(ends) {
            if part.output.pending {
                let parsed = parse(&self.source[part.begin..end], layout.styles);
                if let Some((_, block)) = parsed.blocks.first() {
                    recolour_part(part, block, width, layout);
                }
            }
        }
        if self.rest.output.pending {
            self.redraw_rest(width, layout);
        }
    }
}

fn recolour_part(part: &mut Part, block: &super::parse::Block, width: usize, layout: &Layout) {
    if !part.output.pending {
        return;
    }
    let mut output = Output::default();
    add(&mut output, part.line, layout.block(block, width));
    part.output = output;
}

/// Appends a block, parted by an empty line from what is before it: `before`
/// lines and those of `output`.
fn add(output: &mut Output, before: usize, block: Output) {
    if block.lines.is_empty() {
        return;
    }
    if before > 0 || !output.lines.is_empty() {
        output.lines.push(Line::default());
    }
    output.append(block);
}
