//! The terminal front end. `State` changes only in `update`, which is pure;
//! `runtime` feeds it messages, executes the effects it returns and draws.
//! Sees `workstation` and nothing below it.

pub mod action;
pub mod chats;
pub mod clipboard;
pub mod composer;
pub mod editor;
pub mod effects;
pub mod field;
pub mod keymap;
pub mod markdown;
pub mod message;
pub mod nearest;
pub mod overlay;
pub mod pane;
pub mod panes;
pub mod problem;
pub mod runtime;
pub mod signals;
pub mod state;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod transcript;
pub mod types;
pub mod units;
pub mod update;
pub mod view;
pub mod widgets;

use std::{io, path::PathBuf, sync::Arc};

use tokio::sync::mpsc;

use effects::Executor;
use keymap::file as keymaps;
use markdown::Highlighter;
use message::{Message, Notice};
use runtime::{Folders, Runtime};
use state::State;
use terminal::Terminal;
use theme::{Depth, file as themes};
use types::Workstation;

/// Messages on their way to the screen; more wait where they come from.
const MESSAGES: usize = 256;

/// Why the screen could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    #[error(
        "the screen needs a terminal on standard input and output. \
         Without one, use `maquette chat -p TEXT` or `maquette serve`."
    )]
    NoTerminal,
    #[error("the terminal could not be used: {0}")]
    Terminal(#[from] io::Error),
}

/// Shows the screen until the user quits or a signal ends it. To be called on
/// the main thread, inside a tokio runtime. The terminal is as it was before
/// when this returns, and also after a panic of this thread.
pub async fn run(workstation: Workstation) -> Result<(), TuiError> {
    use io::IsTerminal;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    types::install_panic_hook(terminal::restore_after_panic);
    let (sender, messages) = mpsc::channel(MESSAGES);
    let depth = Depth::detect();
    // Before the terminal is taken: a signal in between would end the program
    // without giving it back.
    let signals = signals::Signals::listen()?;
    let terminal = Terminal::enter()?;
    let (mut state, problems) = first_state(&workstation, depth, terminal.size()?);
    let wake = sender.clone();
    // When the queue is full a frame comes anyway.
    let highlighter = Highlighter::background(move || drop(wake.try_send(Message::Beat)));
    state.panes.chat.set_highlighter(highlighter);
    let mut runtime = Runtime {
        state,
        terminal,
        executor: Executor::new(workstation.clone(), sender.clone()),
        messages,
        sender,
        folders: Folders {
            themes: workstation.paths().themes.clone(),
            exports: exports(&workstation),
        },
        depth,
        keys: None,
        dirty: false,
        drawn: None,
        done: false,
    };
    runtime.draw()?;
    runtime.begin(problems);
    let outcome = runtime.run(signals).await;
    runtime.finish().await;
    Ok(outcome?)
}

fn exports(workstation: &Workstation) -> PathBuf {
    workstation.paths().data.join("exports")
}

/// The state before anything happened, and what was wrong with the user's
/// files.
fn first_state(workstation: &Workstation, depth: Depth, size: (u16, u16)) -> (State, Vec<String>) {
    let (settings, paths) = (workstation.settings(), workstation.paths());
    let keymap = keymaps::load(&settings.keymap, &paths.keymaps);
    let theme = themes::load(&settings.theme, &paths.themes, depth);
    let mut problems: Vec<String> = Vec::new();
    problems.extend(workstation.chats().problem());
    problems.extend(
        workstation
            .tools()
            .problem()
            .iter()
            .map(ToString::to_string),
    );
    problems.extend(workstation.problems().iter().map(ToString::to_string));
    problems.extend(keymap.problems.iter().map(ToString::to_string));
    problems.extend(theme.problems.iter().map(ToString::to_string));
    let mut state = State::new(
        Arc::new(keymap.keymap),
        Arc::new(theme.theme),
        workstation.device(),
        size,
    );
    state.themes = themes::names(&paths.themes);
    let prompt = &settings.chat.system_prompt;
    state.panes.chat.set_system_prompt(prompt);
    state.panes.chat.set_overflow(settings.chat.overflow);
    state.panes.tools.set_config(paths.mcp_json.clone());
    (state, problems)
}

impl Runtime {
    /// Everything that the first frame does not wait for.
    fn begin(&mut self, problems: Vec<String>) {
        self.executor.follow();
        self.executor.load_something();
        for problem in &problems {
            tracing::warn!(target: "screen", "{problem}");
        }
        let text = match &problems[..] {
            [] => return,
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} (and {} more, in the logs)", rest.len()),
        };
        update::update(&mut self.state, Message::Notice(Notice::warn(text)));
        self.dirty = true;
    }

    /// Gives the terminal back and waits for what must not be lost.
    async fn finish(self) {
        let Self {
            terminal,
            executor,
            messages,
            ..
        } = self;
        drop(terminal);
        // Nobody reads them any more; senders must not wait for room.
        drop(messages);
        executor.finish().await;
    }
}
