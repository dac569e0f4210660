//! Blocks to lines of a width. Containers draw their mark before the lines of
//! what they hold; a container too deep for the width draws none.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{
    document::CodeBlock,
    highlight::{Highlighter, Lookup, Roles},
    parse::{Block, Inline, Item},
    styles::Styles,
    table,
};
use crate::tui::text::{Wrap, fit, text_width, wrap};

/// Below this many cells of content, marks and boxes are left out.
const NARROW: usize = 12;

/// The lines of some blocks, and where code begins in them.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub lines: Vec<Line<'static>>,
    pub codes: Vec<CodeBlock>,
    /// Whether colours are still to come.
    pub pending: bool,
}

impl Output {
    pub fn append(&mut self, mut other: Output) {
        for code in &mut other.codes {
            code.line += self.lines.len();
        }
        self.lines.append(&mut other.lines);
        self.codes.append(&mut other.codes);
        self.pending |= other.pending;
    }

    /// Puts `first` before the first line and `rest` before the others.
    fn prefix(&mut self, first: Span<'static>, rest: Span<'static>) {
        for (number, line) in self.lines.iter_mut().enumerate() {
            let mark = if number == 0 { &first } else { &rest };
            line.spans.insert(0, mark.clone());
        }
    }
}

pub(super) struct Layout<'a> {
    pub styles: &'a Styles,
    pub highlighter: &'a Highlighter,
}

impl Layout<'_> {
    pub fn block(&self, block: &Block, width: usize) -> Output {
        match block {
            Block::Paragraph(text) | Block::Heading(text) => self.paragraph(text, width),
            Block::Code {
                language,
                text,
                closed,
            } => self.code(language, text, *closed, width),
            Block::Quote { label, blocks } => self.quote(*label, blocks, width),
            Block::List {
                start,
                loose,
                items,
            } => self.list(*start, *loose, items, width),
            Block::Table { alignment, rows } => Output {
                lines: table::lines(alignment, rows, width, self.styles),
                ..Output::default()
            },
            Block::Rule => Output {
                lines: vec![Line::styled("─".repeat(width), self.styles.border)],
                ..Output::default()
            },
        }
    }

    fn blocks(&self, blocks: &[Block], width: usize, parted: bool) -> Output {
        let mut output = Output::default();
        for (number, block) in blocks.iter().enumerate() {
            if number > 0 && parted {
                output.lines.push(Line::default());
            }
            output.append(self.block(block, width));
        }
        output
    }

    fn paragraph(&self, text: &Inline, width: usize) -> Output {
        Output {
            lines: wrap(text, width, Wrap::Words),
            ..Output::default()
        }
    }

    fn quote(&self, label: Option<&'static str>, blocks: &[Block], width: usize) -> Output {
        let inner = width.saturating_sub(2);
        let narrow = inner < NARROW;
        let mut output = Output::default();
        if let Some(label) = label {
            output
                .lines
                .push(Line::styled(label, self.styles.headings[2]));
        }
        output.append(self.blocks(blocks, if narrow { width } else { inner }, true));
        for line in &mut output.lines {
            for span in &mut line.spans {
                span.style = self.styles.quote.patch(span.style);
            }
        }
        if !narrow {
            let bar = Span::styled("▎ ", self.styles.border);
            output.prefix(bar.clone(), bar);
        }
        output
    }

    fn list(&self, start: Option<u64>, loose: bool, items: &[Item], width: usize) -> Output {
        let last = start.map(|first| first.saturating_add(items.len() as u64).saturating_sub(1));
        let digits = last.map_or(0, |last| last.to_string().len());
        let mut output = Output::default();
        for (number, item) in items.iter().enumerate() {
            if number > 0 && loose {
                output.lines.push(Line::default());
            }
            let (mark, style) = match (item.task, start) {
                (Some(true), _) => ("✓ ".to_owned(), self.styles.done),
                (Some(false), _) => ("☐ ".to_owned(), self.styles.marker),
                (None, Some(first)) => {
                    let number = first.saturating_add(number as u64);
                    (format!("{number:>digits$}. "), self.styles.marker)
                }
                (None, None) => ("• ".to_owned(), self.styles.marker),
            };
            output.append(self.item(item, mark, style, loose, width));
        }
        output
    }

    fn item(&self, item: &Item, mark: String, style: Style, loose: bool, width: usize) -> Output {
        let taken = text_width(&mark);
        let inner = width.saturating_sub(taken);
        if inner < NARROW {
            return self.blocks(&item.blocks, width, loose);
        }
        let mut output = self.blocks(&item.blocks, inner, loose);
        if output.lines.is_empty() {
            output.lines.push(Line::default());
        }
        let rest = Span::raw(" ".repeat(taken));
        output.prefix(Span::styled(mark, style), rest);
        output
    }

    /// A box with the language on its upper edge. It stays open at the bottom
    /// while the end of the block is still to come.
    fn code(&self, language: &str, text: &str, closed: bool, width: usize) -> Output {
        let (colours, pending) = match closed {
            true => match self.highlighter.lookup(language, text) {
                Lookup::Ready(roles) => (Some(roles), false),
                Lookup::Pending => (None, true),
                Lookup::Plain => (None, false),
            },
            false => (None, false),
        };
        let boxed = width >= NARROW;
        let inner = if boxed { width - 4 } else { width };
        let mut lines = Vec::new();
        if boxed {
            lines.push(self.edge('┌', '┐', language, width));
        }
        for (number, line) in text.split('\n').enumerate() {
            let spans = self.code_line(line, number, colours.as_deref());
            let wrapped = wrap(&spans, inner, Wrap::Anywhere);
            if boxed {
                lines.extend(wrapped.into_iter().map(|line| self.boxed(line, inner)));
            } else {
                lines.extend(wrapped);
            }
        }
        if boxed && closed {
            lines.push(self.edge('└', '┘', "", width));
        }
        let code = CodeBlock {
            line: 0,
            language: language.to_owned(),
            text: text.to_owned(),
        };
        Output {
            lines,
            codes: vec![code],
            pending,
        }
    }

    fn code_line<'t>(
        &self,
        line: &'t str,
        number: usize,
        colours: Option<&Roles>,
    ) -> Vec<Span<'t>> {
        match colours.and_then(|roles| roles.get(number)) {
            Some(pieces) => pieces
                .iter()
                .map(|(role, range)| Span::styled(&line[range.clone()], self.styles.syntax(*role)))
                .collect(),
            None => vec![Span::styled(line, self.styles.block)],
        }
    }

    fn edge(&self, left: char, right: char, label: &str, width: usize) -> Line<'static> {
        let border = self.styles.border;
        if label.is_empty() {
            return Line::styled(format!("{left}{}{right}", "─".repeat(width - 2)), border);
        }
        let label = fit(label, width - 6);
        let rest = width - 4 - text_width(&label);
        Line::from(vec![
            Span::styled(format!("{left} "), border),
            Span::styled(label, self.styles.label),
            Span::styled(format!(" {}{right}", "─".repeat(rest)), border),
        ])
    }

    fn boxed(&self, mut line: Line<'static>, inner: usize) -> Line<'static> {
        let missing = inner.saturating_sub(line.width());
        line.spans.insert(0, Span::styled("│ ", self.styles.border));
        if missing > 0 {
            line.spans
                .push(Span::styled(" ".repeat(missing), self.styles.block));
        }
        line.spans.push(Span::styled(" │", self.styles.border));
        line
    }
}
