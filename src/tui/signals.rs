//! Signals that concern the screen, and stopping for the shell.

use std::io;

use rustix::process::{self, Signal as Posix};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGHUP, SIGINT or SIGQUIT: end in good order.
    End,
    /// SIGTSTP: give the terminal back, then stop.
    Suspend,
    /// SIGCONT: take the terminal again.
    Continued,
}

pub struct Signals {
    terminate: Stream,
    hangup: Stream,
    interrupt: Stream,
    quit: Stream,
    suspend: Stream,
    continued: Stream,
}

impl Signals {
    /// From now on these signals come here and do nothing by themselves.
    pub fn listen() -> io::Result<Self> {
        let raw = |signal: Posix| SignalKind::from_raw(signal.as_raw());
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            suspend: signal(raw(Posix::TSTP))?,
            continued: signal(raw(Posix::CONT))?,
        })
    }

    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::End,
            _ = self.hangup.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.quit.recv() => Signal::End,
            _ = self.suspend.recv() => Signal::Suspend,
            _ = self.continued.recv() => Signal::Continued,
        }
    }
}

/// Whether nobody could continue this process once it is stopped: it leads
/// its session, as when a terminal runs it instead of a shell.
pub fn without_shell() -> bool {
    process::getsid(None).is_ok_and(|session| session == process::getpid())
}

/// Stops every process of the job, this one by way of `Signal::Suspend`.
pub fn suspend_group() -> io::Result<()> {
    Ok(process::kill_current_process_group(Posix::TSTP)?)
}

/// Stops this process; returns when it is continued.
pub fn stop_here() {
    if without_shell() {
        // Continue at once, by the way that takes the terminal again.
        let _ = process::kill_process(process::getpid(), Posix::CONT);
        return;
    }
    // SIGSTOP cannot fail or be held back.
    let _ = process::kill_process(process::getpid(), Posix::STOP);
}
