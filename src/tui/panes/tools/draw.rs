//! The picture of the tool console.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span, Text},
    widgets::{Block, Borders},
};

use super::{Part, Row, ToolsPane};
use crate::tui::{
    pane::PaneId,
    state::Shared,
    text::{Wrap, fit, pad_right, sanitise, sanitise_line, text_width, wrap, wrap_text},
    theme::Theme,
    transcript::seconds,
    types::*,
};

impl ToolsPane {
    pub(super) fn draw_pane(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        theme: &Theme,
        shared: &Shared,
    ) {
        if area.height < 4 || area.width < 30 {
            return;
        }
        if shared.servers.is_empty() {
            self.draw_beginning(frame, area, theme);
            return;
        }
        let keys = shared.has_keys(PaneId::Tools);
        let left = if area.width >= 100 { 34 } else { 26 };
        let [list, right] =
            Layout::horizontal([Constraint::Length(left), Constraint::Min(1)]).areas(area);
        let focused = keys && self.part == Part::List;
        let border = if focused { theme.focus } else { theme.border };
        let block = Block::new().borders(Borders::RIGHT).border_style(border);
        let inner = block.inner(list);
        frame.render_widget(block, list);
        self.draw_list(frame, inner, focused, theme, shared);
        let right = Rect {
            x: right.x + 1,
            width: right.width.saturating_sub(2),
            ..right
        };
        match self.tool(shared) {
            Some((server, tool)) => {
                let (server, tool) = (server.name.clone(), tool.clone());
                self.draw_tool(frame, right, &server, &tool, theme, shared);
            }
            None => self.draw_server(frame, right, theme, shared),
        }
    }

    /// Without servers: how to set one up.
    fn draw_beginning(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let place = Rect {
            x: area.x + 3,
            y: area.y + 1,
            width: area.width.saturating_sub(6),
            height: area.height - 1,
        };
        let width = usize::from(place.width).min(90);
        let path = match self.config.as_os_str().is_empty() {
            true => "mcp.json in Maquette's configuration folder".into(),
            false => sanitise_line(&self.config.display().to_string()),
        };
        let mut lines = vec![
            Line::styled("No tool servers yet", theme.heading),
            Line::default(),
        ];
        lines.extend(wrap_text(
            "Tools are programs that speak the Model Context Protocol. Name them in",
            theme.text,
            width,
        ));
        lines.push(Line::styled(format!("  {path}"), theme.accent));
        lines.push(Line::default());
        for line in [
            "{",
            "  \"mcpServers\": {",
            "    \"files\": {",
            "      \"command\": \"npx\",",
            "      \"args\": [\"-y\", \"@modelcontextprotocol/server-filesystem\", \".\"]",
            "    }",
            "  }",
            "}",
        ] {
            lines.push(Line::styled(format!("  {line}"), theme.code_block));
        }
        lines.push(Line::default());
        lines.extend(wrap_text(
            "Then press L to read the file.",
            theme.text,
            width,
        ));
        frame.render_widget(Text::from(lines), place);
    }

    fn draw_list(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        focused: bool,
        theme: &Theme,
        shared: &Shared,
    ) {
        let rows = self.rows(shared);
        let window = self.cursor.window(rows.len(), area.height.into());
        for (number, at) in window.enumerate() {
            let place = Rect {
                y: area.y + number as u16,
                height: 1,
                ..area
            };
            let line = match rows[at] {
                Row::Server(server) => {
                    server_line(&shared.servers[server], area.width.into(), theme, shared)
                }
                Row::Tool(server, tool) => {
                    let name = sanitise_line(&shared.servers[server].tools[tool].name);
                    Line::from(format!(
                        "    {}",
                        pad_right(&name, usize::from(area.width).saturating_sub(4))
                    ))
                }
            };
            let style = match (at == self.cursor.selected, focused) {
                (true, true) => theme.selection,
                (true, false) => theme.selection_dim,
                _ => theme.text,
            };
            frame.render_widget(line.style(style), place);
        }
    }

    fn draw_server(&self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let Some(server) = self.server(shared) else {
            return;
        };
        let width = area.width.into();
        let mut lines = vec![Line::styled(
            fit(&sanitise_line(&server.name), width),
            theme.heading,
        )];
        lines.extend(wrap_text(&sanitise(&server.command), theme.muted, width));
        lines.push(Line::default());
        let (text, style) = match &server.state {
            ServerStatus::Starting => ("It is being started.".to_owned(), theme.muted),
            ServerStatus::Ready => (
                format!("Ready, with {} tools.", server.tools.len()),
                theme.ok,
            ),
            ServerStatus::Failed(reason) => (sanitise(reason).into_owned(), theme.error),
            ServerStatus::Off => ("Disabled in mcp.json.".to_owned(), theme.muted),
        };
        lines.extend(wrap_text(&text, style, width));
        frame.render_widget(Text::from(lines), area);
    }

    fn draw_tool(
        &mut self,
        frame: &mut Frame,
        area: Rect,
        server: &str,
        tool: &ToolInfo,
        theme: &Theme,
        shared: &Shared,
    ) {
        let width = usize::from(area.width);
        let title = tool.title.as_deref().unwrap_or(&tool.name);
        let mut head = vec![Line::from(vec![
            Span::styled(fit(&sanitise_line(title), width), theme.heading),
            Span::styled(
                fit(&format!("  {}", sanitise_line(server)), 24),
                theme.muted,
            ),
        ])];
        let about: Vec<_> = wrap_text(sanitise(&tool.description).trim(), theme.text, width)
            .into_iter()
            .take(5)
            .collect();
        head.extend(about);
        head.push(Line::default());
        let head_rows = (head.len() as u16).min(area.height);
        frame.render_widget(
            Text::from(head),
            Rect {
                height: head_rows,
                ..area
            },
        );
        let rest = Rect {
            y: area.y + head_rows,
            height: area.height - head_rows,
            ..area
        };
        let form_rows = match &self.form.raw {
            Some(editor) => editor.height(rest.width).clamp(3, 12) + 2,
            None => self.form.entries.len() as u16 + 1,
        };
        let result = self.shown_call().is_some();
        let form_rows = form_rows.min(if result { rest.height / 2 } else { rest.height });
        let [form, below] =
            Layout::vertical([Constraint::Length(form_rows), Constraint::Min(0)]).areas(rest);
        self.draw_form(frame, form, theme, shared);
        if result {
            self.draw_result(frame, below, theme, shared);
        }
    }

    fn draw_result(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        let Some(call) = self.shown_call() else {
            return;
        };
        if area.height == 0 {
            return;
        }
        let focused = self.part == Part::Result && shared.has_keys(PaneId::Tools);
        let width = usize::from(area.width);
        let (word, style) = match &call.result {
            None => (format!("{} running", shared.spinner()), theme.muted),
            Some(Err(_)) => ("failed".to_owned(), theme.error),
            Some(Ok(outcome)) if outcome.is_error => (
                format!("error in {}", seconds(outcome.elapsed)),
                theme.error,
            ),
            Some(Ok(outcome)) => (format!("result in {}", seconds(outcome.elapsed)), theme.ok),
        };
        let place = self.shown.map_or(1, |at| self.calls.len() - at);
        let text = format!(
            " · {} · {} of {}{} ",
            sanitise_line(&call.tool),
            place,
            self.calls.len(),
            if self.raw { " · raw" } else { "" }
        );
        let border = if focused { theme.focus } else { theme.border };
        let room = width.saturating_sub(text_width(&word) + text_width(&text) + 5);
        let rule = Line::from(vec![
            Span::styled("── ", border),
            Span::styled(word, style),
            Span::styled(text, theme.muted),
            Span::styled("─".repeat(room), border),
        ]);
        frame.render_widget(rule, Rect { height: 1, ..area });
        let body = Rect {
            y: area.y + 1,
            height: area.height - 1,
            ..area
        };
        let result = self.result_text().unwrap_or_default();
        let failed = matches!(
            self.shown_call().and_then(|c| c.result.as_ref()),
            Some(Err(_))
        );
        let style = if failed { theme.error } else { theme.text };
        let mode = if self.raw {
            Wrap::Anywhere
        } else {
            Wrap::Words
        };
        let lines = wrap(
            &[Span::styled(sanitise(result.trim_end()), style)],
            width,
            mode,
        );
        let most = lines.len().saturating_sub(usize::from(body.height));
        self.scroll = self.scroll.min(most);
        let shown: Vec<_> = lines
            .into_iter()
            .skip(self.scroll)
            .take(body.height.into())
            .collect();
        frame.render_widget(Text::from(shown), body);
    }
}

fn server_line(
    server: &ServerState,
    width: usize,
    theme: &Theme,
    shared: &Shared,
) -> Line<'static> {
    let (mark, style, word) = match &server.state {
        ServerStatus::Ready => ("●", theme.ok, server.tools.len().to_string()),
        ServerStatus::Starting => (shared.spinner(), theme.warn, "starting".into()),
        ServerStatus::Failed(_) => ("✗", theme.error, "failed".into()),
        ServerStatus::Off => ("○", theme.muted, "off".into()),
    };
    let room = width.saturating_sub(word.len() + 5);
    Line::from(vec![
        Span::styled(format!(" {mark} "), style),
        Span::raw(pad_right(&sanitise_line(&server.name), room)),
        Span::styled(format!(" {word} "), theme.muted),
    ])
}
