//! Carries out the effects that concern the workstation, each as a task of its
//! own whose outcome comes back as a message. What concerns the terminal is
//! the runtime's.

use std::{collections::HashMap, sync::Arc};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    chats::Chats,
    message::{CallId, Effect, Message, Notice, TurnId},
    types::*,
};

/// Events of an answer that one message carries at most.
const BATCH: usize = 256;

pub struct Executor {
    workstation: Workstation,
    messages: mpsc::Sender<Message>,
    chats: Chats,
    /// Dropping an answer's stream cancels it, so aborting its task does.
    answers: HashMap<TurnId, AbortHandle>,
    calls: HashMap<CallId, AbortHandle>,
}

impl Executor {
    pub fn new(workstation: Workstation, messages: mpsc::Sender<Message>) -> Self {
        Self {
            chats: Chats::start(workstation.clone(), messages.clone()),
            workstation,
            messages,
            answers: HashMap::new(),
            calls: HashMap::new(),
        }
    }

    /// Follows everything that the workstation tells about itself.
    pub fn follow(&self) {
        let workstation = &self.workstation;
        self.forward(workstation.model(), |model| {
            let facts = model.as_deref().map(ModelInUse::from);
            Message::Model(facts.map(Arc::new))
        });
        self.forward(workstation.engine_stats(), |stats| {
            Message::Stats(Arc::new(stats.clone()))
        });
        self.forward(workstation.api(), |api| Message::Api(api.clone()));
        self.forward(workstation.models(), |models| {
            Message::Models(models.clone())
        });
        self.forward(workstation.downloads().watch(), |downloads| {
            Message::Downloads(downloads.clone())
        });
        self.forward(workstation.tools().servers(), |servers| {
            Message::Servers(servers.clone())
        });
        self.follow_logs();
        self.chats.start_effect(Effect::ListChats);
    }

    /// Sends the value of a watch now and whenever it changes.
    fn forward<T: Send + Sync + 'static>(
        &self,
        mut values: watch::Receiver<T>,
        message: impl Fn(&T) -> Message + Send + 'static,
    ) {
        let messages = self.messages.clone();
        tokio::spawn(async move {
            loop {
                let next = message(&values.borrow_and_update());
                if messages.send(next).await.is_err() || values.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn follow_logs(&self) {
        let ring = self.workstation.logs();
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let mut newest = ring.newest();
            let mut seen = 0;
            loop {
                newest.borrow_and_update();
                let records = ring.since(seen);
                if let Some(last) = records.last() {
                    seen = last.seq;
                    if messages.send(Message::Logs(records)).await.is_err() {
                        return;
                    }
                }
                if newest.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Loads the model in use, or the guide, in the background.
    pub fn load_something(&self) {
        let workstation = self.workstation.clone();
        self.spawn(async move {
            let outcome = workstation.ensure_model(None).await;
            outcome.err().map(|error| load_failed("the guide", &error))
        });
    }

    /// Starts an effect. Those it does not know are the runtime's.
    pub fn start(&mut self, effect: Effect) {
        let workstation = self.workstation.clone();
        match effect {
            Effect::Ask { turn, request } => self.ask(turn, *request),
            Effect::StopAnswer(turn) => {
                if let Some(answer) = self.answers.remove(&turn) {
                    answer.abort();
                }
            }
            Effect::Load(id) => self.spawn(async move {
                let outcome = workstation.load(&id).await;
                outcome.err().map(|error| load_failed(&id, &error))
            }),
            Effect::Unload => self.spawn(async move { failed(workstation.unload().await) }),
            Effect::Rescan => workstation.rescan(),
            Effect::StartApi => self.spawn(async move {
                // A failure is told by the API's own state.
                let _ = workstation.start_api(None, None).await;
                None
            }),
            Effect::StopApi => self.spawn(async move { failed(workstation.stop_api().await) }),
            Effect::Download(id) => {
                // The library scans again when it is here, and shows it.
                self.tell(workstation.downloads().add(&id));
            }
            Effect::PauseDownload(id) => self.tell(workstation.downloads().pause(&id)),
            Effect::ResumeDownload(id) => self.tell(workstation.downloads().resume(&id)),
            Effect::CancelDownload(id) => self.tell(workstation.downloads().cancel(&id)),
            Effect::CallTool {
                call,
                server,
                tool,
                arguments,
            } => self.call(call, server, tool, arguments),
            Effect::CancelTool(call) => {
                if let Some(call) = self.calls.remove(&call) {
                    call.abort();
                }
            }
            Effect::RestartServer(name) => self.tell(workstation.tools().restart(&name)),
            Effect::ReloadTools => {
                let problem = workstation.tools().reload();
                self.tell(problem.map_or(Ok(()), Err));
            }
            Effect::UseTheme(name) => self.spawn(async move {
                let saved =
                    tokio::task::spawn_blocking(move || workstation.save_setting("theme", &name));
                let error = saved.await.ok()?.err()?;
                let text = format!("The theme is used, but not remembered: {error}");
                Some(Message::Notice(Notice::warn(text)))
            }),
            chat @ (Effect::ListChats
            | Effect::OpenChat(_)
            | Effect::SaveChat(_)
            | Effect::RenameChat { .. }
            | Effect::DeleteChat(_)) => self.chats.start_effect(chat),
            _ => {}
        }
    }

    /// Waits for what must outlive the screen: chats being kept. Everything
    /// else is dropped, which cancels it.
    pub async fn finish(self) {
        for task in self.answers.values().chain(self.calls.values()) {
            task.abort();
        }
        self.chats.finish().await;
    }

    /// Shows what went wrong at once, where it did.
    fn tell(&self, outcome: Result<(), impl ToString>) {
        if let Err(error) = outcome {
            let notice = Notice::error(error.to_string());
            self.spawn(async { Some(Message::Notice(notice)) });
        }
    }

    fn call(&mut self, call: CallId, server: String, tool: String, arguments: Value) {
        let workstation = self.workstation.clone();
        self.calls.retain(|_, call| !call.is_finished());
        let task = self.task(async move {
            let tools = workstation.tools();
            let result = tools.call(&server, &tool, arguments).await;
            let result = result.map_err(|error| error.to_string());
            Some(Message::ToolCalled { call, result })
        });
        self.calls.insert(call, task);
    }

    fn spawn(&self, work: impl Future<Output = Option<Message>> + Send + 'static) {
        self.task(work);
    }

    fn task(&self, work: impl Future<Output = Option<Message>> + Send + 'static) -> AbortHandle {
        let messages = self.messages.clone();
        let task = tokio::spawn(async move {
            if let Some(message) = work.await {
                // Without a receiver the screen is gone, and with it the need.
                let _ = messages.send(message).await;
            }
        });
        task.abort_handle()
    }

    fn ask(&mut self, turn: TurnId, request: ChatRequest) {
        let workstation = self.workstation.clone();
        let messages = self.messages.clone();
        self.answers.retain(|_, answer| !answer.is_finished());
        let task = tokio::spawn(async move {
            // An error here means that the screen is gone.
            let _ = answer(workstation, messages, turn, request).await;
        });
        self.answers.insert(turn, task.abort_handle());
    }
}

/// Streams an answer, as many events a message as there are.
async fn answer(
    workstation: Workstation,
    messages: mpsc::Sender<Message>,
    turn: TurnId,
    request: ChatRequest,
) -> Result<(), mpsc::error::SendError<Message>> {
    let mut stream = match workstation.chat(request).await {
        Ok(stream) => stream,
        Err(error) => {
            let events = vec![AnswerEvent::Failed(error)];
            return messages.send(Message::Answer { turn, events }).await;
        }
    };
    let started = Message::AnswerStarted {
        turn,
        model: stream.model.clone(),
        omitted: stream.omitted.clone(),
    };
    messages.send(started).await?;
    while let Some(first) = stream.next().await {
        // The place in the queue comes first: events gather while the screen
        // is busy, instead of messages.
        let place = messages.reserve().await;
        let mut events = vec![first];
        while events.len() < BATCH
            && let Some(Some(event)) = stream.next().now_or_never()
        {
            events.push(event);
        }
        match place {
            Ok(place) => place.send(Message::Answer { turn, events }),
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

fn load_failed(id: &str, error: &WorkstationError) -> Message {
    Message::LoadFailed {
        id: id.into(),
        reason: error.to_string(),
    }
}

fn failed<T>(outcome: Result<T, WorkstationError>) -> Option<Message> {
    let error = outcome.err()?;
    Some(Message::Notice(Notice::error(error.to_string())))
}
