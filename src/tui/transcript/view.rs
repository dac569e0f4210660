//! The window on the cells: which lines are in sight, scrolling, selection.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Widget,
};

use super::cell::{Cell, CellStyles, Context};
use crate::tui::{
    markdown::{CodeBlock, Highlighter, Styles},
    text::text_width,
};

/// Cells left of the text: the selection's bar and the indentation.
const INDENT: usize = 4;
/// Names stand this far from the left.
const HEAD_INDENT: usize = 2;
/// Text is not set wider than this: longer lines are hard to read.
const MEASURE: usize = 112;

/// A line of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub id: u64,
    pub line: usize,
}

/// A code block in sight and the row of the view that its box begins on.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeAt {
    pub row: usize,
    pub code: CodeBlock,
}

pub struct Transcript {
    pub(super) cells: Vec<Cell>,
    /// The first line in sight; `None` follows the end.
    pub(super) top: Option<Anchor>,
    pub(super) selected: Option<u64>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) styles: Styles,
    pub(super) roles: CellStyles,
    pub(super) highlighter: Highlighter,
    pub(super) spinner: &'static str,
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new(Highlighter::inline())
    }
}

impl Transcript {
    pub fn new(highlighter: Highlighter) -> Self {
        Self {
            cells: Vec::new(),
            top: None,
            selected: None,
            width: 80,
            height: 24,
            styles: Styles::plain(),
            roles: CellStyles::default(),
            highlighter,
            spinner: "",
        }
    }

    pub fn set_highlighter(&mut self, highlighter: Highlighter) {
        self.highlighter = highlighter;
    }

    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub fn push(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    pub fn cell_mut(&mut self, id: u64) -> Option<&mut Cell> {
        // What changes is mostly the last message.
        self.cells.iter_mut().rev().find(|cell| cell.id == id)
    }

    pub fn cell(&self, id: u64) -> Option<&Cell> {
        self.cells.iter().rev().find(|cell| cell.id == id)
    }

    /// Shows other messages: another chat or another branch. The place stays
    /// where its message is still there.
    pub fn replace(&mut self, cells: Vec<Cell>) {
        self.cells = cells;
        let there = |id: u64| self.cells.iter().any(|cell| cell.id == id);
        self.top = self.top.filter(|anchor| there(anchor.id));
        self.selected = self.selected.filter(|&id| there(id));
    }

    /// Takes the last cell away, if it has this id.
    pub fn take_last(&mut self, id: u64) -> Option<Cell> {
        self.cells.pop_if(|cell| cell.id == id)
    }

    /// Removes the cells from `id` on.
    pub fn truncate_from(&mut self, id: u64) {
        if let Some(index) = self.index(id) {
            let cells = std::mem::take(&mut self.cells);
            self.replace(cells.into_iter().take(index).collect());
        }
    }

    pub fn selected(&self) -> Option<&Cell> {
        self.selected.and_then(|id| self.cell(id))
    }

    pub fn follows(&self) -> bool {
        self.top.is_none()
    }

    /// Whether a spinner turns in a cell.
    pub fn waits(&self) -> bool {
        self.cells.last().is_some_and(Cell::waits)
    }

    /// Takes over the size of the area and the styles for what follows.
    pub fn set_view(
        &mut self,
        width: usize,
        height: usize,
        styles: &Styles,
        roles: &CellStyles,
        spinner: &'static str,
    ) {
        let measure = width.saturating_sub(INDENT + 1).clamp(2, MEASURE);
        if measure != self.width {
            let before = self
                .top
                .and_then(|a| self.cell(a.id))
                .map_or(1, Cell::height)
                .max(1);
            self.width = measure;
            self.take_styles(styles, roles);
            if let Some(anchor) = self.top
                && let Some(index) = self.index(anchor.id)
            {
                let line = anchor.line * self.layout(index) / before;
                self.top = Some(Anchor { line, ..anchor });
            }
        }
        self.take_styles(styles, roles);
        self.height = height.max(1);
        self.spinner = spinner;
    }

    fn take_styles(&mut self, styles: &Styles, roles: &CellStyles) {
        if self.styles.id != styles.id {
            self.styles = styles.clone();
            self.roles = roles.clone();
        }
    }

    /// The code blocks that begin in sight, from the top.
    pub fn codes_in_sight(&mut self) -> Vec<CodeAt> {
        let Some(mut at) = self.first_line() else {
            return Vec::new();
        };
        let mut row = 0;
        let mut found = Vec::new();
        while row < self.height && at.0 < self.cells.len() {
            let height = self.layout(at.0);
            for code in self.cells[at.0].codes() {
                if code.line >= at.1 && row + code.line - at.1 < self.height {
                    found.push(CodeAt {
                        row: row + code.line - at.1,
                        code,
                    });
                }
            }
            row += height - at.1;
            at = (at.0 + 1, 0);
        }
        found
    }

    /// Draws what is in sight; `mark` is the style of the selection's bar.
    pub fn draw(&mut self, area: Rect, buffer: &mut Buffer, mark: Style) {
        let Some(mut at) = self.first_line() else {
            return;
        };
        let mut row = 0;
        let rows = usize::from(area.height);
        while row < rows && at.0 < self.cells.len() {
            let height = self.layout(at.0);
            let cell = &self.cells[at.0];
            let selected = self.selected == Some(cell.id);
            let shown = (height - at.1).min(rows - row);
            for (number, line) in cell.lines(at.1).take(shown).enumerate() {
                let indent = if at.1 + number == 0 {
                    HEAD_INDENT
                } else {
                    INDENT
                };
                draw_line(line, indent, area, row + number, buffer);
            }
            if selected {
                for number in 0..shown.min((height - 1).saturating_sub(at.1)) {
                    draw_line(
                        &Line::from(Span::styled("▌", mark)),
                        0,
                        area,
                        row + number,
                        buffer,
                    );
                }
            }
            row += shown;
            at = (at.0 + 1, 0);
        }
        if !self.follows() {
            let text = " ↓ more below ";
            let line = Line::styled(text, self.roles.muted);
            let indent = usize::from(area.width).saturating_sub(text_width(text) + 1);
            draw_line(&line, indent, area, rows.saturating_sub(1), buffer);
        }
    }

    pub(super) fn index(&self, id: u64) -> Option<usize> {
        self.cells.iter().rposition(|cell| cell.id == id)
    }

    /// Lays a cell out and returns its height.
    pub(super) fn layout(&mut self, index: usize) -> usize {
        let context = Context {
            styles: &self.styles,
            roles: &self.roles,
            highlighter: &self.highlighter,
            spinner: self.spinner,
        };
        self.cells
            .get_mut(index)
            .map_or(0, |cell| cell.layout(self.width, &context))
    }
}

fn draw_line(line: &Line, indent: usize, area: Rect, row: usize, buffer: &mut Buffer) {
    let (Ok(indent), Ok(row)) = (u16::try_from(indent), u16::try_from(row)) else {
        return;
    };
    if indent >= area.width || row >= area.height {
        return;
    }
    let place = Rect {
        x: area.x + indent,
        y: area.y + row,
        width: area.width - indent,
        height: 1,
    };
    line.render(place, buffer);
}
