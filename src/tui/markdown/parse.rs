//! Markdown source to a tree of blocks with styled inline text.
//!
//! Containers nested deeper than [`DEPTH`] are flattened into their parent, so
//! that neither laying out nor dropping a tree can exhaust the stack.

use std::ops::Range;

use pulldown_cmark::{
    Alignment, CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd,
};
use ratatui::{style::Style, text::Span};

use super::{
    source::{alert, fence_closed, is_line_break, language},
    styles::Styles,
};
use crate::tui::text::{sanitise, sanitise_line};

const DEPTH: usize = 16;

pub(super) type Inline = Vec<Span<'static>>;

#[derive(Debug, PartialEq)]
pub(super) enum Block {
    Paragraph(Inline),
    Heading(Inline),
    Code {
        language: String,
        text: String,
        /// Whether its end is in the source: highlighting waits for it.
        closed: bool,
    },
    Quote {
        label: Option<&'static str>,
        blocks: Vec<Block>,
    },
    List {
        /// The first number of an ordered list.
        start: Option<u64>,
        /// Whether blank lines part the items.
        loose: bool,
        items: Vec<Item>,
    },
    Table {
        alignment: Vec<Alignment>,
        /// The first row is the header.
        rows: Vec<Vec<Inline>>,
    },
    Rule,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Item {
    pub task: Option<bool>,
    pub blocks: Vec<Block>,
}

/// The blocks at the top level, each with where its first line begins.
pub(super) struct Parsed {
    pub blocks: Vec<(usize, Block)>,
    /// Whether the source defines link references: they may change any block.
    pub definitions: bool,
}

pub(super) fn parse(source: &str, styles: &Styles) -> Parsed {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let parser = Parser::new_ext(source, options);
    let definitions = parser.reference_definitions().iter().next().is_some();
    let mut builder = Builder::new(source, styles);
    for (event, range) in parser.into_offset_iter() {
        builder.event(event, range);
    }
    builder.flush_paragraph();
    while !builder.open.is_empty() {
        builder.close();
    }
    Parsed {
        blocks: builder.top,
        definitions,
    }
}

/// A container that is still open.
enum Open {
    Quote(Option<&'static str>, Vec<Block>),
    List(Option<u64>, bool, Vec<Item>),
    Item(Item),
}

struct Builder<'a> {
    source: &'a str,
    styles: &'a Styles,
    top: Vec<(usize, Block)>,
    open: Vec<Open>,
    /// Containers beyond [`DEPTH`] that were flattened and not yet closed.
    flattened: usize,
    /// Where the top-level block being built begins.
    begin: usize,
    inline: Inline,
    inline_styles: Vec<Style>,
    /// Start of the text in `inline`, and the address, of the open links.
    links: Vec<(usize, String, bool)>,
    code: Option<(String, String, bool)>,
    html: bool,
    table: Option<(Vec<Alignment>, Vec<Vec<Inline>>)>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str, styles: &'a Styles) -> Self {
        Self {
            source,
            styles,
            top: Vec::new(),
            open: Vec::new(),
            flattened: 0,
            begin: 0,
            inline: Vec::new(),
            inline_styles: vec![styles.text],
            links: Vec::new(),
            code: None,
            html: false,
            table: None,
        }
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.text(&text)
            }
            Event::Code(text) => self.styled(&text, self.style().patch(self.styles.code)),
            Event::Html(text) => self.styled(&text, self.styles.html),
            Event::InlineHtml(text) if is_line_break(&text) => self.raw("\n", self.style()),
            Event::InlineHtml(text) => self.styled(&text, self.style().patch(self.styles.html)),
            Event::FootnoteReference(text) => self.styled(&format!("[^{text}]"), self.styles.url),
            Event::SoftBreak => self.raw(" ", self.style()),
            Event::HardBreak => self.raw("\n", self.style()),
            Event::Rule => {
                self.block_begins(&range);
                self.add(Block::Rule);
            }
            Event::TaskListMarker(done) => {
                if let Some(Open::Item(item)) = self.open.last_mut() {
                    item.task = Some(done);
                }
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Paragraph => {
                self.block_begins(&range);
                for open in self.open.iter_mut().rev() {
                    match open {
                        Open::Item(_) => {}
                        Open::List(_, loose, _) => {
                            *loose = true;
                            break;
                        }
                        Open::Quote(..) => break,
                    }
                }
            }
            Tag::Heading { level, .. } => {
                self.block_begins(&range);
                let level = match level {
                    HeadingLevel::H1 => 0,
                    HeadingLevel::H2 => 1,
                    _ => 2,
                };
                self.inline_styles.push(self.styles.headings[level]);
            }
            Tag::CodeBlock(kind) => {
                self.block_begins(&range);
                let language = match &kind {
                    CodeBlockKind::Fenced(info) => language(info),
                    CodeBlockKind::Indented => String::new(),
                };
                let fenced = matches!(kind, CodeBlockKind::Fenced(_));
                let closed = !fenced || fence_closed(&self.source[range]);
                self.code = Some((language, String::new(), closed));
            }
            Tag::HtmlBlock => {
                self.block_begins(&range);
                self.html = true;
            }
            Tag::BlockQuote(kind) => self.open(&range, Open::Quote(kind.map(alert), Vec::new())),
            Tag::List(start) => self.open(&range, Open::List(start, false, Vec::new())),
            Tag::Item => self.open(&range, Open::Item(Item::default())),
            Tag::Table(alignment) => {
                self.block_begins(&range);
                self.table = Some((alignment, Vec::new()));
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some((_, rows)) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            Tag::Emphasis => self.push_style(self.styles.emphasis),
            Tag::Strong => self.push_style(self.styles.strong),
            Tag::Strikethrough => self.push_style(self.styles.strike),
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => {
                let shown = matches!(link_type, LinkType::Autolink | LinkType::Email);
                self.links
                    .push((self.inline.len(), sanitise_line(&dest_url), shown));
                self.push_style(self.styles.link);
            }
            Tag::Image { dest_url, .. } => {
                self.raw("image: ", self.style().patch(self.styles.label));
                self.links
                    .push((self.inline.len(), sanitise_line(&dest_url), false));
                self.push_style(self.styles.link);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.flush_paragraph(),
            TagEnd::Heading(_) => {
                self.inline_styles.pop();
                let text = std::mem::take(&mut self.inline);
                self.add(Block::Heading(text));
            }
            TagEnd::CodeBlock => {
                if let Some((language, mut text, closed)) = self.code.take() {
                    if text.ends_with('\n') {
                        text.pop();
                    }
                    self.add(Block::Code {
                        language,
                        text,
                        closed,
                    });
                }
            }
            TagEnd::HtmlBlock => {
                self.html = false;
                while self.inline.last_mut().is_some_and(|last| {
                    let kept = last.content.trim_end_matches('\n').len();
                    last.content.to_mut().truncate(kept);
                    kept == 0
                }) {
                    self.inline.pop();
                }
                self.flush_paragraph();
            }
            TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item => {
                self.flush_paragraph();
                if self.flattened > 0 {
                    self.flattened -= 1;
                } else {
                    self.close();
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(row) = self.table.as_mut().and_then(|(_, rows)| rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                if let Some((alignment, rows)) = self.table.take() {
                    self.add(Block::Table { alignment, rows });
                }
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => self.pop_style(),
            TagEnd::Link | TagEnd::Image => {
                self.pop_style();
                self.end_link();
            }
            _ => {}
        }
    }

    fn end_link(&mut self) {
        let Some((from, url, shown)) = self.links.pop() else {
            return;
        };
        let text: String = self
            .inline
            .iter()
            .skip(from)
            .map(|s| s.content.as_ref())
            .collect();
        if !shown && !url.is_empty() && text != url {
            self.raw(&format!(" ({url})"), self.style().patch(self.styles.url));
        }
    }

    fn style(&self) -> Style {
        self.inline_styles
            .last()
            .copied()
            .unwrap_or(self.styles.text)
    }

    fn push_style(&mut self, over: Style) {
        self.inline_styles.push(self.style().patch(over));
    }

    fn pop_style(&mut self) {
        if self.inline_styles.len() > 1 {
            self.inline_styles.pop();
        }
    }

    fn text(&mut self, text: &str) {
        match &mut self.code {
            Some((_, code, _)) => code.push_str(&sanitise(text)),
            None => self.styled(text, self.style()),
        }
    }

    fn styled(&mut self, text: &str, style: Style) {
        self.raw(&sanitise(text), style);
    }

    fn raw(&mut self, text: &str, style: Style) {
        self.inline.push(Span::styled(text.to_owned(), style));
    }

    /// A block starts: text of a tight item before it becomes a paragraph.
    fn block_begins(&mut self, range: &Range<usize>) {
        self.flush_paragraph();
        if self.open.is_empty() {
            let line = self.source[..range.start]
                .rfind('\n')
                .map_or(0, |at| at + 1);
            self.begin = line;
        }
    }

    fn open(&mut self, range: &Range<usize>, container: Open) {
        self.block_begins(range);
        if self.open.len() >= DEPTH {
            self.flattened += 1;
        } else {
            self.open.push(container);
        }
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::Quote(label, blocks)) => self.add(Block::Quote { label, blocks }),
            Some(Open::List(start, loose, items)) => self.add(Block::List {
                start,
                loose,
                items,
            }),
            Some(Open::Item(item)) => match self.open.last_mut() {
                Some(Open::List(_, _, items)) => items.push(item),
                _ => item.blocks.into_iter().for_each(|block| self.add(block)),
            },
            None => {}
        }
    }

    fn flush_paragraph(&mut self) {
        if self.inline.is_empty() || self.table.is_some() {
            return;
        }
        let text = std::mem::take(&mut self.inline);
        self.add(Block::Paragraph(text));
    }

    fn add(&mut self, block: Block) {
        match self.open.last_mut() {
            Some(Open::Quote(_, blocks)) => blocks.push(block),
            Some(Open::Item(item)) => item.blocks.push(block),
            Some(Open::List(_, _, items)) => items.push(Item {
                task: None,
                blocks: vec![block],
            }),
            None => self.top.push((self.begin, block)),
        }
    }
}
