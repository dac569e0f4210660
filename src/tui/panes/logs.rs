//! The log pane: the newest records live, narrowed by level, text and request.
//!
//! Holds its own references to the records, so that drawing never waits for
//! the log. Invariant: `shown` are the records that the filter lets through,
//! oldest first; `selected` is a place in it whenever it is not empty.

mod row;

use std::{collections::VecDeque, sync::Arc};

use crossterm::event::KeyEvent;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};
use tracing::Level;

use crate::tui::{
    action::{Action, Context},
    field::Field,
    message::{Effect, Message, Notice},
    pane::{Pane, PaneId},
    state::Shared,
    text::{text_width, wrap_text},
    theme::Theme,
    types::{LogFilter, LogRecord},
    units,
};

/// Records kept here; the log's ring holds as many.
const CAPACITY: usize = 10_000;
/// Lines at most for the selected record's whole text.
const DETAIL: u16 = 6;
const LEVELS: [Level; 5] = [
    Level::ERROR,
    Level::WARN,
    Level::INFO,
    Level::DEBUG,
    Level::TRACE,
];

#[derive(Debug)]
pub struct LogsPane {
    records: VecDeque<Arc<LogRecord>>,
    filter: LogFilter,
    shown: VecDeque<Arc<LogRecord>>,
    selected: usize,
    /// The first line in sight.
    top: usize,
    /// Whether the newest line stays selected.
    follow: bool,
    /// The filter's text while it is being typed.
    field: Option<Field>,
    /// Rows of the list when it was last drawn.
    rows: usize,
}

impl Default for LogsPane {
    fn default() -> Self {
        Self {
            records: VecDeque::new(),
            filter: LogFilter::new(Level::INFO, ""),
            shown: VecDeque::new(),
            selected: 0,
            top: 0,
            follow: true,
            field: None,
            rows: 10,
        }
    }
}

impl LogsPane {
    fn add(&mut self, record: &Arc<LogRecord>) {
        if self.records.len() == CAPACITY {
            let gone = self.records.pop_front();
            let first = self.shown.front().map(|record| record.seq);
            if first.is_some() && first == gone.map(|record| record.seq) {
                self.shown.pop_front();
                self.selected = self.selected.saturating_sub(1);
                self.top = self.top.saturating_sub(1);
            }
        }
        if self.filter.matches(record) {
            self.shown.push_back(record.clone());
        }
        self.records.push_back(record.clone());
        if self.follow {
            self.selected = self.last();
        }
    }

    fn last(&self) -> usize {
        self.shown.len().saturating_sub(1)
    }

    /// Filters anew; the selected record stays selected, or its neighbour.
    fn refilter(&mut self) {
        let seq = self.selected().map_or(0, |record| record.seq);
        let matching = self
            .records
            .iter()
            .filter(|record| self.filter.matches(record));
        self.shown = matching.cloned().collect();
        let place = self.shown.partition_point(|record| record.seq < seq);
        self.selected = if self.follow {
            self.last()
        } else {
            place.min(self.last())
        };
    }

    fn selected(&self) -> Option<&Arc<LogRecord>> {
        self.shown.get(self.selected)
    }

    fn select(&mut self, place: usize) {
        self.selected = place.min(self.last());
        self.follow = self.selected == self.last();
    }

    fn set_level(&mut self, step: isize) {
        let now = LEVELS.iter().position(|level| *level == self.filter.level);
        let next = now
            .unwrap_or(2)
            .saturating_add_signed(step)
            .min(LEVELS.len() - 1);
        self.filter.level = LEVELS[next];
        self.refilter();
    }

    fn set_text(&mut self, text: &str) {
        self.filter.set_text(text);
        self.refilter();
    }

    /// One level back: the request, then the text, then to the newest line.
    fn back(&mut self) {
        if self.filter.request.take().is_some() {
            self.refilter();
        } else if !self.filter.text().is_empty() {
            self.set_text("");
        } else {
            self.select(self.last());
        }
    }

    fn focus_request(&mut self) -> Vec<Effect> {
        let Some(record) = self.selected() else {
            return Vec::new();
        };
        match record.request.clone() {
            Some(request) => {
                self.filter.request = match self.filter.request.take() {
                    Some(_) => None,
                    None => Some(request),
                };
                self.follow = false;
                self.refilter();
                Vec::new()
            }
            None => vec![Effect::Notify(Notice::info(
                "This line belongs to no request.",
            ))],
        }
    }

    fn copy(&self) -> Vec<Effect> {
        let record = self.selected();
        record
            .map(|record| Effect::Copy(row::plain(record)))
            .into_iter()
            .collect()
    }

    fn save(&self) -> Vec<Effect> {
        let Some(newest) = self.shown.back() else {
            return vec![Effect::Notify(Notice::info("There are no lines to save."))];
        };
        let mut text = String::new();
        for record in &self.shown {
            text.push_str(&row::plain(record));
            text.push('\n');
        }
        let name = newest.time.format("log-%Y%m%d-%H%M%S.txt").to_string();
        vec![Effect::SaveText { name, text }]
    }

    fn draw_status(&self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let right = self.status(area.width, theme);
        let width = u16::try_from(right.width())
            .unwrap_or(u16::MAX)
            .min(area.width);
        let [left, place] =
            Layout::horizontal([Constraint::Min(0), Constraint::Length(width)]).areas(area);
        frame.render_widget(right, place);
        let [mark, text] =
            Layout::horizontal([Constraint::Length(3), Constraint::Min(0)]).areas(left);
        frame.render_widget(Span::styled(" / ", theme.key), mark);
        match &self.field {
            Some(field) => field.draw(frame, text, theme.text, shared.has_keys(PaneId::Logs)),
            None if self.filter.text().is_empty() => {
                frame.render_widget(Span::styled("filter", theme.muted), text);
            }
            None => frame.render_widget(Span::styled(self.filter.text(), theme.accent), text),
        }
    }

    /// Level, request, lines and following, as far as there is room.
    fn status(&self, width: u16, theme: &Theme) -> Line<'static> {
        let mut right = Line::default();
        if width >= 60 {
            let level = self.filter.level.as_str().to_lowercase();
            right.push_span(Span::styled(format!("{level} and graver"), theme.muted));
        }
        if let Some(request) = &self.filter.request {
            right.push_span(Span::styled(format!("  request {request}"), theme.accent));
        }
        if width >= 60 {
            let (some, all) = (self.shown.len() as u64, self.records.len() as u64);
            let lines = match some == all {
                true => format!("  {} lines", units::count(all)),
                false => format!("  {} of {} lines", units::count(some), units::count(all)),
            };
            right.push_span(Span::styled(lines, theme.muted));
        }
        right.push_span(match self.follow {
            true => Span::styled("  following ", theme.ok),
            false => Span::styled("  standing  ", theme.warn),
        });
        right
    }

    /// The text of the selected line when it does not fit its line.
    fn detail(&self, width: u16, theme: &Theme) -> Vec<Line<'static>> {
        let Some(record) = self.selected().filter(|_| !self.follow) else {
            return Vec::new();
        };
        let mut text = record.message.clone();
        for (name, value) in &record.fields {
            text.push_str(&format!("\n{name} = {value}"));
        }
        if !text.contains('\n') && text_width(&text) + row::prefix(width) <= usize::from(width) {
            return Vec::new();
        }
        wrap_text(&text, theme.text, usize::from(width).saturating_sub(2))
    }

    fn draw_list(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        self.rows = usize::from(area.height).max(1);
        if self.shown.is_empty() {
            let text = match self.records.is_empty() {
                true => "Nothing has been logged yet.",
                false => "No line passes the filter. Esc clears it, + shows more detail.",
            };
            let line = Line::styled(format!("   {text}"), theme.muted);
            frame.render_widget(line, area);
            return;
        }
        self.top = self
            .top
            .min(self.selected)
            .min(self.shown.len().saturating_sub(self.rows));
        if self.selected >= self.top + self.rows {
            self.top = self.selected + 1 - self.rows;
        }
        let focused = shared.focus == PaneId::Logs;
        let visible = self.shown.iter().enumerate().skip(self.top).take(self.rows);
        let lines: Vec<Line> = visible
            .map(|(place, record)| {
                let line = row::line(record, area.width, theme);
                match (place == self.selected, focused) {
                    (false, _) => line,
                    (true, true) => row::mark(line, theme.selection),
                    (true, false) => row::mark(line, theme.selection_dim),
                }
            })
            .collect();
        frame.render_widget(Paragraph::new(lines), area);
    }
}

impl Pane for LogsPane {
    fn id(&self) -> PaneId {
        PaneId::Logs
    }

    fn contexts(&self) -> Vec<Context> {
        match self.field {
            Some(_) => vec![Context::Filter, Context::List],
            None => vec![Context::Logs, Context::List],
        }
    }

    fn typing(&self) -> bool {
        self.field.is_some()
    }

    fn on_action(&mut self, action: Action, _shared: &Shared) -> Vec<Effect> {
        let (selected, rows) = (self.selected, self.rows);
        match action {
            Action::ListUp => self.select(selected.saturating_sub(1)),
            Action::ListDown => self.select(selected + 1),
            Action::ListPageUp => self.select(selected.saturating_sub(rows)),
            Action::ListPageDown => self.select(selected + rows),
            Action::ListFirst => self.select(0),
            Action::ListLast => self.select(self.last()),
            Action::ListFilter => self.field = Some(Field::new(self.filter.text())),
            Action::FilterApply => self.field = None,
            Action::FilterClear => {
                self.field = None;
                self.set_text("");
            }
            Action::LogsFollow if self.follow => self.follow = false,
            Action::LogsFollow => self.select(self.last()),
            Action::LogsLevelUp => self.set_level(1),
            Action::LogsLevelDown => self.set_level(-1),
            Action::LogsRequest => return self.focus_request(),
            Action::LogsCopy => return self.copy(),
            Action::LogsSave => return self.save(),
            Action::Back => self.back(),
            _ => {}
        }
        Vec::new()
    }

    fn on_key(&mut self, key: KeyEvent, _shared: &Shared) -> Vec<Effect> {
        if let Some(field) = &mut self.field
            && field.on_key(key)
        {
            let text = field.text().to_owned();
            self.set_text(&text);
        }
        Vec::new()
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if let Some(field) = &mut self.field {
            field.insert(text);
            let text = field.text().to_owned();
            self.set_text(&text);
        }
        Vec::new()
    }

    fn on_message(&mut self, message: &Message, _shared: &Shared) -> Vec<Effect> {
        if let Message::Logs(records) = message {
            for record in records {
                self.add(record);
            }
        }
        Vec::new()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let detail = self.detail(area.width, theme);
        let room = DETAIL.min(area.height / 3);
        let height = u16::try_from(detail.len()).unwrap_or(room).min(room);
        let problem = u16::from(self.filter.problem().is_some());
        let [status, problem, list, rule, below] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(problem),
            Constraint::Min(1),
            Constraint::Length(u16::from(height > 0)),
            Constraint::Length(height),
        ])
        .areas(area);
        self.draw_status(frame, status, theme, shared);
        if let Some(text) = self.filter.problem() {
            frame.render_widget(Span::styled(format!("   {text}"), theme.warn), problem);
        }
        self.draw_list(frame, list, theme, shared);
        if height > 0 {
            let line = "─".repeat(usize::from(rule.width));
            frame.render_widget(Span::styled(line, theme.border), rule);
            let inset = Rect {
                x: below.x + 1,
                width: below.width.saturating_sub(1),
                ..below
            };
            frame.render_widget(Paragraph::new(detail), inset);
        }
    }

    fn hints(&self, _shared: &Shared) -> Vec<Action> {
        match self.field {
            Some(_) => vec![Action::FilterApply, Action::FilterClear],
            None => vec![
                Action::ListFilter,
                Action::LogsRequest,
                Action::LogsLevelUp,
                Action::LogsLevelDown,
                Action::LogsFollow,
                Action::LogsCopy,
                Action::LogsSave,
                Action::Back,
            ],
        }
    }
}

#[cfg(test)]
mod tests;
