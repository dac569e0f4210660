//! The cache pane: speed, load, memory and cache hits over the last minutes,
//! the tiers of the prefix cache, the page map, and the running requests.
//!
//! Samples are taken once a second while something changes, and a little
//! longer so that curves come down to rest; then the pane is still.

mod history;
mod pages;
mod requests;
mod tiers;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    symbols::Marker,
    text::{Line, Span},
    widgets::{Axis, Chart, Dataset, GraphType},
};

use self::history::{History, Sample};
use unicode_width::UnicodeWidthStr;

use crate::tui::{
    action::{Action, Context},
    message::{Effect, Message},
    pane::{Pane, PaneId},
    state::Shared,
    text::fit,
    theme::Theme,
    types::ByteStats,
    units,
};

/// Minutes that the charts can show.
const SPANS: [u16; 3] = [2, 10, 30];
/// Below this the charts become lines of text.
const CHART_HEIGHT: u16 = 16;
/// From here on the four charts stand in one row.
const ONE_ROW: u16 = 110;

#[derive(Debug, Default)]
pub struct CachePane {
    history: History,
    /// A place in `SPANS`.
    span: usize,
}

/// Two curves on one scale, and how its top is written.
struct Panel {
    title: &'static str,
    curves: [Curve; 2],
    scale: fn(f64) -> String,
}

/// A curve: its name, its value now, its style and what it shows of a sample.
struct Curve {
    name: &'static str,
    now: String,
    style: Style,
    value: fn(&Sample) -> f64,
}

impl CachePane {
    /// Whether the charts still change with every second.
    pub fn moving(&self, shared: &Shared) -> bool {
        self.history.moving(&shared.stats)
    }

    fn panels(&self, theme: &Theme) -> [Panel; 4] {
        let now = self.history.last();
        let curve = |name, now, style, value| Curve {
            name,
            now,
            style,
            value,
        };
        let panel = |title, scale, curves| Panel {
            title,
            curves,
            scale,
        };
        let load = |value: f64| units::count(value as u64);
        let size = |value: f64| units::bytes(value as u64);
        [
            panel(
                "tokens a second",
                units::rate,
                [
                    curve("prefill", units::rate(now.prefill), theme.chart1, |s| {
                        s.prefill
                    }),
                    curve("decode", units::rate(now.decode), theme.chart2, |s| {
                        s.decode
                    }),
                ],
            ),
            panel(
                "requests",
                load,
                [
                    curve("running", now.running.to_string(), theme.chart3, |s| {
                        s.running as f64
                    }),
                    curve("waiting", now.waiting.to_string(), theme.chart5, |s| {
                        s.waiting as f64
                    }),
                ],
            ),
            panel(
                "memory",
                size,
                [
                    curve("live", units::bytes(now.active), theme.chart4, |s| {
                        s.active as f64
                    }),
                    curve("KV", units::bytes(now.kv), theme.chart2, |s| s.kv as f64),
                ],
            ),
            panel(
                "prompt tokens a second",
                units::rate,
                [
                    curve("cached", units::rate(now.cached), theme.chart3, |s| {
                        s.cached
                    }),
                    curve("computed", units::rate(now.computed), theme.chart6, |s| {
                        s.computed
                    }),
                ],
            ),
        ]
    }

    fn draw_charts(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let columns = if area.width >= ONE_ROW { 4 } else { 2 };
        let rows = 4 / columns;
        let lines = Layout::vertical(vec![Constraint::Fill(1); rows]).split(area);
        let mut panels = self.panels(theme).into_iter();
        for line in lines.iter() {
            let cells = Layout::horizontal(vec![Constraint::Fill(1); columns]).split(*line);
            for (cell, panel) in cells.iter().zip(panels.by_ref()) {
                self.draw_panel(frame, *cell, &panel, theme);
            }
        }
    }

    fn draw_panel(&self, frame: &mut Frame, area: Rect, panel: &Panel, theme: &Theme) {
        let Panel {
            title,
            curves,
            scale,
        } = panel;
        let area = Rect {
            x: area.x + 1,
            width: area.width.saturating_sub(2),
            ..area
        };
        let [head, legend, body] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(1),
        ])
        .areas(area);
        let seconds = f64::from(SPANS[self.span]) * 60.0;
        let points: Vec<Vec<(f64, f64)>> = curves
            .iter()
            .map(|curve| self.history.points(seconds, curve.value))
            .collect();
        let all = points.iter().flatten().map(|(_, y)| *y);
        let top = all.fold(1.0, f64::max);
        let ends = [
            format!("{} · {} min", scale(top), SPANS[self.span]),
            scale(top),
        ];
        frame.render_widget(head_line(title, &ends, head.width, theme), head);
        frame.render_widget(legend_line(curves, theme), legend);
        let datasets = points
            .iter()
            .zip(curves)
            .map(|(points, curve)| {
                Dataset::default()
                    .marker(Marker::Braille)
                    .graph_type(GraphType::Line)
                    .style(curve.style)
                    .data(points)
            })
            .collect();
        let axis = |bounds| Axis::default().bounds(bounds).style(theme.border);
        let chart = Chart::new(datasets)
            .x_axis(axis([-seconds, 0.0]))
            .y_axis(axis([0.0, top * 1.05]))
            .legend_position(None);
        frame.render_widget(chart, body);
    }

    /// The numbers of the charts, where there is no room for curves.
    fn draw_numbers(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        for (row, panel) in self.panels(theme).into_iter().enumerate() {
            let Ok(row) = u16::try_from(row) else { return };
            if row >= area.height {
                return;
            }
            let place = Rect {
                y: area.y + row,
                height: 1,
                ..area
            };
            let mut line = Line::from(" ");
            line.extend(legend_line(&panel.curves, theme).spans);
            frame.render_widget(line, place);
        }
    }

    /// What is counted since the start, and the memory's limit.
    fn draw_totals(&self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let totals = &shared.stats.totals;
        let ByteStats {
            weights,
            active,
            peak,
            limit,
            ..
        } = shared.stats.bytes;
        let prompt = totals.cached_tokens + totals.prefilled_tokens;
        let measures = &shared.stats.measures;
        let first = measures
            .last_first_token
            .map_or("–".into(), units::duration);
        let accepted = match totals.proposed_tokens {
            0 => None,
            all => Some(("accepted", units::percent(totals.accepted_tokens, all))),
        };
        let first = [
            ("batch", measures.last_batch.to_string()),
            ("first token", first),
        ];
        let parts = [
            (
                "prompt from cache",
                units::percent(totals.cached_tokens, prompt),
            ),
            (
                "memory",
                format!("{} of {}", units::bytes(active), units::bytes(limit)),
            ),
            ("peak", units::bytes(peak)),
            ("weights", units::bytes(weights)),
            ("requests", units::count(totals.requests)),
            (
                "generated",
                format!("{} tokens", units::count(totals.generated_tokens)),
            ),
        ];
        let mut line = Line::from(" ");
        for (name, value) in first.into_iter().chain(accepted).chain(parts) {
            let part = [
                Span::styled(format!("{name} "), theme.muted),
                Span::raw(value),
                Span::raw("   "),
            ];
            let width: usize = part.iter().map(Span::width).sum();
            if line.width() + width > usize::from(area.width) + 3 {
                break;
            }
            line.extend(part);
        }
        frame.render_widget(line, area);
    }
}

/// A chart's name at the left and the first of `ends` at the right that leaves
/// it room; the last one if none does.
fn head_line<'a>(title: &str, ends: &[String], width: u16, theme: &Theme) -> Line<'a> {
    let width = usize::from(width);
    let room = |end: &String| width.saturating_sub(end.width() + 2);
    let roomy = ends.iter().find(|end| room(end) >= title.width());
    let end = roomy.or(ends.last()).cloned().unwrap_or_default();
    let title = fit(title, room(&end));
    let gap = width.saturating_sub(title.width() + end.width());
    Line::from(vec![
        Span::styled(title, theme.heading),
        Span::raw(" ".repeat(gap)),
        Span::styled(end, theme.muted),
    ])
}

fn legend_line(curves: &[Curve], theme: &Theme) -> Line<'static> {
    let mut line = Line::default();
    for curve in curves {
        line.push_span(Span::styled("━ ", curve.style));
        line.push_span(Span::styled(format!("{} ", curve.name), theme.muted));
        line.push_span(Span::raw(format!("{}   ", curve.now)));
    }
    line
}

impl Pane for CachePane {
    fn id(&self) -> PaneId {
        PaneId::Cache
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::Cache]
    }

    fn on_action(&mut self, action: Action, _shared: &Shared) -> Vec<Effect> {
        if action == Action::CacheSpan {
            self.span = (self.span + 1) % SPANS.len();
        }
        Vec::new()
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        if let Message::Tick(now) = message {
            self.history.sample(*now, &shared.stats);
        }
        Vec::new()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let charts = match area.height {
            height if height < CHART_HEIGHT => 4,
            height if area.width >= ONE_ROW => (height / 3).clamp(8, 14),
            height => (height / 2).clamp(10, 20),
        };
        let [charts, totals, tiers, map, table] = Layout::vertical([
            Constraint::Length(charts),
            Constraint::Length(1),
            Constraint::Length(tiers::height(area.height, &shared.stats.cache)),
            Constraint::Length(pages::height(area.height)),
            Constraint::Min(0),
        ])
        .areas(area);
        match area.height < CHART_HEIGHT {
            true => self.draw_numbers(frame, charts, theme),
            false => self.draw_charts(frame, charts, theme),
        }
        self.draw_totals(frame, totals, theme, shared);
        tiers::draw(frame, tiers, &shared.stats.cache, theme);
        pages::draw(frame, map, &shared.stats.pages, theme);
        requests::draw(frame, table, &shared.stats, theme);
    }

    fn hints(&self, _shared: &Shared) -> Vec<Action> {
        vec![Action::CacheSpan, Action::ApiToggle, Action::UnloadModel]
    }
}
