//! The loop: waits for keys, signals and messages, updates the state, carries
//! out effects and draws. Nothing is drawn and nothing wakes up while nothing
//! happens; while much happens, frames are at most sixty a second.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep_until},
};

use super::{
    clipboard::{self, Route},
    editor,
    effects::Executor,
    message::{Effect, Level, Message, Notice},
    signals::{Signal, Signals},
    state::State,
    terminal::Terminal,
    theme::{self, Depth},
    update::update,
    view,
};

/// Frames come at least this far apart.
const FRAME: Duration = Duration::from_millis(16);
const BEAT: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// Messages handled before a frame is drawn in any case.
const BURST: usize = 256;

/// Where the loop finds what it needs besides the state.
pub struct Folders {
    pub themes: PathBuf,
    /// Where saved texts go.
    pub exports: PathBuf,
}

pub struct Runtime {
    pub state: State,
    pub terminal: Terminal,
    pub executor: Executor,
    pub messages: mpsc::Receiver<Message>,
    /// For outcomes of the runtime's own work.
    pub sender: mpsc::Sender<Message>,
    pub folders: Folders,
    pub depth: Depth,
    /// `None` while another program has the keyboard.
    pub keys: Option<EventStream>,
    /// Something changed since the last frame.
    pub dirty: bool,
    pub drawn: Option<Instant>,
    pub done: bool,
}

/// What woke the loop.
enum Wake {
    Signal(Signal),
    Key(Option<io::Result<Event>>),
    Message(Option<Message>),
    Beat,
    Second,
    Frame,
}

impl Runtime {
    /// Runs until the user quits or a signal ends it.
    pub async fn run(&mut self, mut signals: Signals) -> io::Result<()> {
        let mut beat = interval(BEAT);
        let mut second = interval(SECOND);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.keys = Some(EventStream::new());
        while !self.done {
            let frame_due = self.frame_due();
            let wake = tokio::select! {
                biased;
                signal = signals.next() => Wake::Signal(signal),
                event = next_key(&mut self.keys) => Wake::Key(event),
                () = sleep_until(frame_due.into()), if self.dirty && self.keys.is_some() => Wake::Frame,
                message = self.messages.recv() => Wake::Message(message),
                _ = beat.tick(), if self.state.animated() => Wake::Beat,
                _ = second.tick(), if self.state.ticking() => Wake::Second,
            };
            match wake {
                Wake::Frame => self.draw()?,
                Wake::Signal(signal) => self.on_signal(signal)?,
                // The keyboard is gone, and with it the terminal.
                Wake::Key(None | Some(Err(_))) => self.done = true,
                Wake::Key(Some(Ok(event))) => self.on_event(event).await?,
                Wake::Message(Some(message)) => self.handle(message).await?,
                Wake::Message(None) => self.done = true,
                Wake::Beat => self.handle(Message::Beat).await?,
                Wake::Second => self.handle(Message::Tick(chrono::Local::now())).await?,
            }
            self.drain().await?;
        }
        Ok(())
    }

    fn frame_due(&self) -> Instant {
        self.drawn.map_or_else(Instant::now, |drawn| drawn + FRAME)
    }

    /// Draws now.
    pub fn draw(&mut self) -> io::Result<()> {
        self.dirty = false;
        let state = &mut self.state;
        self.terminal.draw(|frame| view::draw(frame, state))?;
        self.drawn = Some(Instant::now());
        Ok(())
    }

    /// Handles what has already come, so that a burst costs one frame.
    async fn drain(&mut self) -> io::Result<()> {
        for _ in 0..BURST {
            if self.done {
                return Ok(());
            }
            if let Some(Some(Ok(event))) = poll_key(&mut self.keys).await {
                self.on_event(event).await?;
            } else if let Ok(message) = self.messages.try_recv() {
                self.handle(message).await?;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn on_event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Key(key) => self.handle(Message::Key(key)).await,
            Event::Paste(text) => self.handle(Message::Paste(text)).await,
            Event::Resize(columns, rows) => self.handle(Message::Resize(columns, rows)).await,
            Event::FocusGained | Event::FocusLost | Event::Mouse(_) => Ok(()),
        }
    }

    fn on_signal(&mut self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::End => self.done = true,
            Signal::Suspend => self.suspend(),
            Signal::Continued => {
                self.terminal.resume()?;
                self.keys = Some(EventStream::new());
                // The window may have another size by now.
                let (columns, rows) = self.terminal.size()?;
                for message in [Message::Resize(columns, rows), Message::Resumed] {
                    update(&mut self.state, message);
                }
                self.dirty = true;
            }
        }
        Ok(())
    }

    /// Gives the terminal back and stops this process until the shell
    /// continues it; the rest follows with `Signal::Continued`.
    fn suspend(&mut self) {
        self.keys = None;
        self.terminal.leave();
        super::signals::stop_here();
    }

    /// Ctrl-Z: stops the whole job, as the terminal itself would.
    async fn suspend_job(&mut self) -> io::Result<()> {
        if super::signals::without_shell() {
            let text = "There is no shell to go back to, so Maquette was not suspended.";
            return self.notify(Notice::warn(text)).await;
        }
        self.keys = None;
        self.terminal.leave();
        // Comes back to us as a signal, which stops us.
        super::signals::suspend_group()
    }

    /// Updates the state by a message and carries out what follows from it.
    async fn handle(&mut self, message: Message) -> io::Result<()> {
        let mut effects = std::collections::VecDeque::from(update(&mut self.state, message));
        self.dirty = true;
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Quit => self.done = true,
                Effect::Suspend => self.suspend_job().await?,
                Effect::Redraw => self.terminal.forget()?,
                Effect::Notify(notice) => log(&notice),
                Effect::Copy(text) => {
                    let outcome = self.copy(&text).await;
                    effects.extend(update(&mut self.state, Message::Copied(outcome)));
                }
                Effect::SaveText { name, text } => self.save(name, text),
                Effect::Edit(text) => {
                    let message = self.edit(text).await?;
                    effects.extend(update(&mut self.state, message));
                }
                Effect::ShowTheme(name) => self.use_theme(&name),
                Effect::UseTheme(name) => {
                    self.use_theme(&name);
                    self.executor.start(Effect::UseTheme(name));
                }
                effect => self.executor.start(effect),
            }
        }
        Ok(())
    }

    async fn notify(&mut self, notice: Notice) -> io::Result<()> {
        for effect in update(&mut self.state, Message::Notice(notice)) {
            if let Effect::Notify(notice) = effect {
                log(&notice);
            }
        }
        Ok(())
    }

    async fn copy(&mut self, text: &str) -> Result<String, String> {
        match clipboard::route(text).await {
            Route::Tmux => Ok(clipboard::describe(text, "to tmux, which passes it on")),
            Route::Refused(reason) => Err(reason),
            Route::Terminal => {
                let command = crossterm::clipboard::CopyToClipboard::to_clipboard_from(text);
                match self.terminal.send(command) {
                    Ok(()) => Ok(clipboard::describe(text, "through the terminal (OSC 52)")),
                    Err(error) => Err(format!("The terminal took no copy: {error}")),
                }
            }
        }
    }

    fn save(&self, name: String, text: String) {
        let path = self.folders.exports.join(name);
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let saved = write(&path, &text).await;
            let outcome = match saved {
                Ok(()) => Ok(path),
                Err(error) => Err(format!("{} could not be written: {error}", path.display())),
            };
            // Without a receiver the screen is gone.
            let _ = sender.send(Message::Saved(outcome)).await;
        });
    }

    /// Gives the terminal to the editor until it ends.
    async fn edit(&mut self, text: String) -> io::Result<Message> {
        self.keys = None;
        self.terminal.leave();
        let outcome = editor::edit(&text).await;
        self.terminal.resume()?;
        self.keys = Some(EventStream::new());
        Ok(match outcome {
            Ok(text) => Message::Edited(text),
            Err(error) => Message::Notice(Notice::error(error.to_string())),
        })
    }

    fn use_theme(&mut self, name: &str) {
        let loaded = theme::file::load(name, &self.folders.themes, self.depth);
        for problem in &loaded.problems {
            let notice = Notice::warn(problem.to_string());
            log(&notice);
            update(&mut self.state, Message::Notice(notice));
        }
        update(&mut self.state, Message::Theme(Arc::new(loaded.theme)));
        self.dirty = true;
    }
}

async fn next_key(keys: &mut Option<EventStream>) -> Option<io::Result<Event>> {
    match keys {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}

/// A key that has already come. Polls as this task: the stream remembers only
/// the first waker that found it empty, so any other would lose a wake-up.
async fn poll_key(keys: &mut Option<EventStream>) -> Option<Option<io::Result<Event>>> {
    let keys = keys.as_mut()?;
    std::future::poll_fn(|context| match keys.poll_next_unpin(context) {
        Poll::Ready(event) => Poll::Ready(Some(event)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn write(path: &std::path::Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    tokio::fs::write(path, text).await
}

/// Notices pass; the log keeps them.
pub fn log(notice: &Notice) {
    let text = &notice.text;
    match notice.level {
        Level::Info => tracing::info!(target: "screen", "{text}"),
        Level::Warn => tracing::warn!(target: "screen", "{text}"),
        Level::Error => tracing::error!(target: "screen", "{text}"),
    }
}
