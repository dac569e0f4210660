//! The tool console: the servers of `mcp.json` and their tools, a form made from
//! a tool's schema, and what a call brought back.
//!
//! `form` makes arguments from what is typed, `draw` the picture.
//!
//! Invariant: a call is made only by the user's key, and never with arguments
//! that do not fit the form.

mod draw;
mod draw_form;
mod entry;
mod focus;
mod form;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::{Frame, layout::Rect};
use serde_json::Value;

use crate::tui::{
    action::{Action, Context},
    message::{CallId, Effect, Message, Notice},
    pane::{Pane, PaneId},
    state::Shared,
    theme::Theme,
    types::*,
    widgets::Cursor,
};
use form::Form;

/// Calls that are remembered.
const HISTORY: usize = 50;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    List,
    Form,
    Result,
}

/// A line of the list, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Server(usize),
    Tool(usize, usize),
}

/// A call that was made.
#[derive(Debug, Clone)]
struct Call {
    id: CallId,
    server: String,
    tool: String,
    arguments: Value,
    /// `None` while it runs.
    result: Option<Result<ToolOutcome, String>>,
}

#[derive(Debug, Default)]
pub struct ToolsPane {
    part: Part,
    cursor: Cursor,
    form: Form,
    calls: Vec<Call>,
    /// The call that is shown, from the newest; `None` shows none.
    shown: Option<usize>,
    made: u64,
    raw: bool,
    scroll: usize,
    /// Where servers are set up, to tell newcomers.
    config: PathBuf,
}

impl ToolsPane {
    /// The path of `mcp.json`, for the explanation when there are no servers.
    pub fn set_config(&mut self, path: PathBuf) {
        self.config = path;
    }

    fn rows(&self, shared: &Shared) -> Vec<Row> {
        let tools = |(at, server): (usize, &ServerState)| {
            let count = server.tools.len();
            std::iter::once(Row::Server(at)).chain((0..count).map(move |tool| Row::Tool(at, tool)))
        };
        shared.servers.iter().enumerate().flat_map(tools).collect()
    }

    fn selected(&self, shared: &Shared) -> Option<Row> {
        self.rows(shared).get(self.cursor.selected).copied()
    }

    fn server<'s>(&self, shared: &'s Shared) -> Option<&'s ServerState> {
        match self.selected(shared)? {
            Row::Server(at) | Row::Tool(at, _) => shared.servers.get(at),
        }
    }

    fn tool<'s>(&self, shared: &'s Shared) -> Option<(&'s ServerState, &'s ToolInfo)> {
        match self.selected(shared)? {
            Row::Server(_) => None,
            Row::Tool(server, tool) => {
                let server = shared.servers.get(server)?;
                Some((server, server.tools.get(tool)?))
            }
        }
    }

    /// Makes the form for the selected tool, unless it is there already.
    fn fit_form(&mut self, shared: &Shared) {
        let Some((server, tool)) = self.tool(shared) else {
            self.form = Form::default();
            return;
        };
        let (server, tool) = (server.name.clone(), tool.clone());
        if self.form.is_for(&server, &tool) {
            return;
        }
        // What was sent last is where one mostly begins again.
        let same = |call: &&Call| call.server == server && call.tool == tool.name;
        let last = self
            .calls
            .iter()
            .rev()
            .find(same)
            .map(|call| call.arguments.clone());
        self.form = Form::new(&server, &tool, last.as_ref());
        self.shown = self.calls.iter().rev().position(|call| same(&call));
        self.scroll = 0;
    }

    fn activate(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some((server, _)) = self.tool(shared) else {
            return self.explain(shared);
        };
        if server.state != ServerStatus::Ready {
            return notify(Notice::warn(format!(
                "The server {} is not ready.",
                server.name
            )));
        }
        if self.form.is_empty() {
            return self.submit(shared);
        }
        self.part = Part::Form;
        Vec::new()
    }

    fn explain(&self, shared: &Shared) -> Vec<Effect> {
        match self.server(shared).map(|server| &server.state) {
            Some(ServerStatus::Failed(reason)) => notify(Notice::error(reason.clone())),
            Some(ServerStatus::Off) => notify(Notice::info("This server is disabled in mcp.json.")),
            _ => Vec::new(),
        }
    }

    fn submit(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some((server, tool)) = self.tool(shared) else {
            return Vec::new();
        };
        let arguments = match self.form.arguments() {
            Ok(arguments) => arguments,
            Err(problem) => {
                self.form.go_to_problem();
                return notify(Notice::warn(problem));
            }
        };
        if self.running().is_some() {
            return notify(Notice::info("A call is running. Stop it, or wait for it."));
        }
        self.made += 1;
        let call = Call {
            id: CallId(self.made),
            server: server.name.clone(),
            tool: tool.name.clone(),
            arguments,
            result: None,
        };
        let effect = Effect::CallTool {
            call: call.id,
            server: call.server.clone(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
        };
        self.calls.push(call);
        if self.calls.len() > HISTORY {
            self.calls.remove(0);
        }
        self.shown = Some(0);
        self.scroll = 0;
        vec![effect]
    }

    fn running(&self) -> Option<&Call> {
        self.calls.last().filter(|call| call.result.is_none())
    }

    fn shown_call(&self) -> Option<&Call> {
        self.shown.and_then(|at| self.calls.iter().rev().nth(at))
    }

    /// The result's text, or the exchange as JSON.
    fn result_text(&self) -> Option<String> {
        let call = self.shown_call()?;
        match call.result.as_ref()? {
            Err(reason) => Some(reason.clone()),
            Ok(outcome) if self.raw => serde_json::to_string_pretty(&outcome.raw).ok(),
            Ok(outcome) => Some(outcome.text.clone()),
        }
    }

    fn history(&mut self, step: isize) {
        if let Some(last) = self.calls.len().checked_sub(1) {
            let at = self.shown.map_or(0, |at| at.saturating_add_signed(step));
            self.shown = Some(at.min(last));
            self.scroll = 0;
        }
    }
}

fn notify(notice: Notice) -> Vec<Effect> {
    vec![Effect::Notify(notice)]
}

impl Pane for ToolsPane {
    fn id(&self) -> PaneId {
        PaneId::Tools
    }

    fn contexts(&self) -> Vec<Context> {
        match self.part {
            Part::Form => vec![Context::Form],
            Part::List | Part::Result => vec![Context::Tools, Context::List],
        }
    }

    fn typing(&self) -> bool {
        self.part == Part::Form
    }

    fn on_action(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::Back => self.part = Part::List,
            Action::FocusNext => self.next_part(1),
            Action::FocusPrevious => self.next_part(-1),
            Action::FormNext => self.form.step(1),
            Action::FormPrevious => self.form.step(-1),
            Action::FormRaw => {
                if let Err(problem) = self.form.toggle_raw() {
                    return notify(Notice::warn(problem));
                }
            }
            Action::FormSubmit => return self.submit(shared),
            Action::ToolsCall => return self.activate(shared),
            Action::ToolsRaw => {
                self.raw = !self.raw;
                self.scroll = 0;
            }
            Action::ToolsOlder => self.history(1),
            Action::ToolsNewer => self.history(-1),
            Action::ToolsRestart => {
                if let Some(server) = self.server(shared) {
                    return vec![Effect::RestartServer(server.name.clone())];
                }
            }
            Action::ToolsReload => {
                return vec![
                    Effect::ReloadTools,
                    Effect::Notify(Notice::info("Reading mcp.json again.")),
                ];
            }
            Action::ToolsCopy => return self.result_text().map(Effect::Copy).into_iter().collect(),
            Action::ToolsInsert => {
                return self
                    .result_text()
                    .map(Effect::InsertInChat)
                    .into_iter()
                    .collect();
            }
            action => self.list_action(action, shared),
        }
        Vec::new()
    }

    fn on_key(&mut self, key: KeyEvent, _shared: &Shared) -> Vec<Effect> {
        if self.part == Part::Form && key.code != KeyCode::Esc {
            self.form.on_key(key);
        }
        Vec::new()
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if self.part == Part::Form {
            self.form.paste(text);
        }
        Vec::new()
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::Servers(_) => {
                self.cursor.clamp(self.rows(shared).len());
                self.fit_form(shared);
                if self.form.is_empty() && self.part == Part::Form {
                    self.part = Part::List;
                }
            }
            Message::ToolCalled { call, result } => {
                if let Some(made) = self.calls.iter_mut().find(|made| made.id == *call) {
                    made.result = Some(result.clone());
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn stop(&mut self, _shared: &Shared) -> Option<Vec<Effect>> {
        let id = self.running()?.id;
        if let Some(call) = self.calls.last_mut() {
            call.result = Some(Err("The call was stopped.".into()));
        }
        Some(vec![Effect::CancelTool(id)])
    }

    fn animated(&self, shared: &Shared) -> bool {
        self.running().is_some()
            || shared
                .servers
                .iter()
                .any(|server| server.state == ServerStatus::Starting)
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, shared: &Shared) {
        self.draw_pane(frame, area, theme, shared);
    }

    fn hints(&self, shared: &Shared) -> Vec<Action> {
        let mut hints = match self.part {
            Part::Form => {
                return vec![
                    Action::FormSubmit,
                    Action::FormNext,
                    Action::FormRaw,
                    Action::Back,
                ];
            }
            Part::Result => vec![
                Action::ToolsRaw,
                Action::ToolsCopy,
                Action::ToolsInsert,
                Action::ToolsOlder,
                Action::ToolsNewer,
            ],
            Part::List if shared.servers.is_empty() => return vec![Action::ToolsReload],
            Part::List => vec![
                Action::ToolsCall,
                Action::FocusNext,
                Action::ToolsRestart,
                Action::ToolsReload,
            ],
        };
        if self.running().is_some() {
            hints.insert(0, Action::Stop);
        }
        hints
    }
}
