//! The lines of a cell around its text: who and when, thoughts, tool calls,
//! figures.

use std::time::Duration;

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::cell::{Cell, Context, Kind, Progress, Thought, ToolCell, ToolState};
use crate::tui::text::{Wrap, fit, sanitise, sanitise_line, text_width, wrap, wrap_text};

/// Lines of a tool's result that an open fold shows.
const RESULT_LINES: usize = 200;

impl Cell {
    pub(super) fn head_lines(&self, width: usize, context: &Context) -> Vec<Line<'static>> {
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

    pub(super) fn foot_lines(&self, width: usize, context: &Context) -> Vec<Line<'static>> {
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
