//! The tools that a model asks for: which are offered, asking the user, running
//! what was allowed, and going on with the results.
//!
//! Invariant: a call leaves as an effect only from `allow_call`, which only the
//! user's key reaches.

use super::{ChatPane, notify};
use crate::tui::{
    message::{CallId, Effect},
    state::Shared,
    transcript::ToolState,
    types::*,
};

/// Calls of the chat are numbered from here, those of the console from 0.
const FIRST: u64 = 1 << 32;

/// A tool as the model knows it, and where it is.
pub(super) struct Offer {
    pub spec: ToolSpec,
    pub server: String,
    pub tool: String,
}

/// The tools of all servers that are ready. A name that two servers use is
/// made unique by its server's.
pub(super) fn offers(shared: &Shared) -> Vec<Offer> {
    let ready = |server: &&ServerState| server.state == ServerStatus::Ready;
    let all = || {
        let servers = shared.servers.iter().filter(ready);
        servers.flat_map(|server| server.tools.iter().map(move |tool| (server, tool)))
    };
    let twice = |name: &str| all().filter(|(_, tool)| tool.name == name).count() > 1;
    let offer = |(server, tool): (&ServerState, &ToolInfo)| Offer {
        spec: ToolSpec {
            name: match twice(&tool.name) {
                true => format!("{}_{}", server.name, tool.name),
                false => tool.name.clone(),
            },
            description: tool.description.clone(),
            parameters: tool.schema.clone(),
        },
        server: server.name.clone(),
        tool: tool.name.clone(),
    };
    all().map(offer).collect()
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Asking,
    Running(CallId),
    /// The text that goes back to the model.
    Over(String),
}

#[derive(Debug, Clone)]
struct Call {
    call: ToolCall,
    server: String,
    tool: String,
    stage: Stage,
}

/// The calls of the last answer, until each is over.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// The cell that shows them.
    cell: u64,
    made: u64,
}

impl Calls {
    pub fn asking(&self) -> bool {
        self.next_asking().is_some()
    }

    /// The name and arguments of the call that waits for the user.
    pub fn question(&self) -> Option<(&str, String)> {
        let call = self.next_asking()?;
        Some((call.call.name.as_str(), call.call.arguments.to_string()))
    }

    fn next_asking(&self) -> Option<&Call> {
        self.calls.iter().find(|call| call.stage == Stage::Asking)
    }
}

impl ChatPane {
    /// The answer asks for these: each waits for the user. A tool that nobody
    /// offers is answered at once.
    pub(super) fn begin_calls(&mut self, calls: &[ToolCall], shared: &Shared) -> Vec<Effect> {
        let Some(cell) = self.conversation.active().filter(|_| !calls.is_empty()) else {
            return Vec::new();
        };
        let offers = offers(shared);
        self.calls.cell = cell.0;
        self.calls.calls = calls
            .iter()
            .map(|call| {
                let offer = offers.iter().find(|offer| offer.spec.name == call.name);
                Call {
                    call: call.clone(),
                    server: offer.map_or(String::new(), |offer| offer.server.clone()),
                    tool: offer.map_or(String::new(), |offer| offer.tool.clone()),
                    stage: match offer {
                        Some(_) => Stage::Asking,
                        None => Stage::Over(format!("There is no tool `{}`.", call.name)),
                    },
                }
            })
            .collect();
        let unknown: Vec<_> = self
            .calls
            .calls
            .iter()
            .filter(|call| call.stage != Stage::Asking)
            .map(|call| call.call.clone())
            .collect();
        for call in unknown {
            let text = format!("There is no tool `{}`.", call.name);
            self.show_call(
                &call.id,
                ToolState::Done {
                    text,
                    is_error: true,
                    elapsed: None,
                },
            );
        }
        self.go_on(shared)
    }

    pub(super) fn allow_call(&mut self) -> Vec<Effect> {
        self.calls.made += 1;
        let id = CallId(FIRST + self.calls.made);
        let Some(call) = self
            .calls
            .calls
            .iter_mut()
            .find(|call| call.stage == Stage::Asking)
        else {
            return Vec::new();
        };
        call.stage = Stage::Running(id);
        let effect = Effect::CallTool {
            call: id,
            server: call.server.clone(),
            tool: call.tool.clone(),
            arguments: call.call.arguments.clone(),
        };
        let shown = call.call.id.clone();
        self.show_call(&shown, ToolState::Running);
        vec![effect]
    }

    pub(super) fn refuse_call(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(call) = self
            .calls
            .calls
            .iter_mut()
            .find(|call| call.stage == Stage::Asking)
        else {
            return Vec::new();
        };
        call.stage = Stage::Over("The user refused this call.".into());
        let shown = call.call.id.clone();
        self.show_call(&shown, ToolState::Refused);
        self.go_on(shared)
    }

    /// A call has come back.
    pub(super) fn called(
        &mut self,
        id: CallId,
        result: &Result<ToolOutcome, String>,
        shared: &Shared,
    ) -> Vec<Effect> {
        let Some(call) = self
            .calls
            .calls
            .iter_mut()
            .find(|call| call.stage == Stage::Running(id))
        else {
            return Vec::new();
        };
        let (text, is_error, elapsed) = match result {
            Ok(outcome) => (
                outcome.text.clone(),
                outcome.is_error,
                Some(outcome.elapsed),
            ),
            Err(reason) => (reason.clone(), true, None),
        };
        call.stage = Stage::Over(text.clone());
        let shown = call.call.id.clone();
        self.show_call(
            &shown,
            ToolState::Done {
                text,
                is_error,
                elapsed,
            },
        );
        self.go_on(shared)
    }

    /// When every call is over, the results join the conversation and the
    /// model answers again.
    fn go_on(&mut self, shared: &Shared) -> Vec<Effect> {
        let over = |call: &Call| matches!(call.stage, Stage::Over(_));
        if self.calls.calls.is_empty() || !self.calls.calls.iter().all(over) || self.turn.is_some()
        {
            return Vec::new();
        }
        self.store_results();
        let mut effects = self.ask(shared);
        effects.push(self.save());
        effects
    }

    fn store_results(&mut self) {
        for call in std::mem::take(&mut self.calls.calls) {
            let text = match call.stage {
                Stage::Over(text) => text,
                Stage::Asking | Stage::Running(_) => "This call was not run.".into(),
            };
            let mut message = ChatMessage::new(Role::Tool, text);
            message.tool_call_id = Some(call.call.id);
            message.name = Some(call.call.name);
            self.conversation.push(message);
        }
    }

    /// The user goes on without the calls that wait or run: they are closed, so
    /// that the model sees an end to each.
    pub(super) fn abandon_calls(&mut self) -> Vec<Effect> {
        let running = self.calls.calls.iter().filter_map(|call| match call.stage {
            Stage::Running(id) => Some(Effect::CancelTool(id)),
            _ => None,
        });
        let effects = running.collect();
        let open: Vec<_> = self
            .calls
            .calls
            .iter()
            .filter(|c| !matches!(c.stage, Stage::Over(_)))
            .map(|c| c.call.id.clone())
            .collect();
        for id in open {
            self.show_call(&id, ToolState::Refused);
        }
        self.store_results();
        effects
    }

    /// Stops the calls that run or wait; the conversation rests there.
    pub(super) fn stop_calls(&mut self) -> Option<Vec<Effect>> {
        if self.calls.calls.is_empty() {
            return None;
        }
        let mut effects = self.abandon_calls();
        effects.push(self.save());
        Some(effects)
    }

    pub(super) fn toggle_tools(&mut self, shared: &Shared) -> Vec<Effect> {
        self.offers_tools = !self.offers_tools;
        match (self.offers_tools, offers(shared).len()) {
            (false, _) => notify("Tools are not offered to the model."),
            (true, 0) => notify("Tools will be offered once a server in the tools pane is ready."),
            (true, count) => notify(format!(
                "{count} tools are offered; each call asks you first."
            )),
        }
    }

    fn show_call(&mut self, id: &str, state: ToolState) {
        if let Some(cell) = self.transcript.cell_mut(self.calls.cell) {
            cell.set_tool(id, state);
        }
    }
}
