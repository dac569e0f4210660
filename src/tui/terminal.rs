//! The terminal's modes: raw input, alternate screen, bracketed paste, the
//! kitty keyboard where it is known, captured standard error.
//!
//! Responsible for giving everything back exactly as it was: on leaving, on a
//! panic of the screen's thread, and around suspension. Asks the terminal
//! nothing, so that one that never answers costs no time.
//!
//! Invariant: `ENTERED` is true exactly while the terminal is ours.

use std::{
    io::{self, BufWriter, Stdout, Write},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
};

use crossterm::{
    cursor, event, execute, queue,
    terminal::{self as screen, BeginSynchronizedUpdate, EndSynchronizedUpdate},
};
use ratatui::{Frame, backend::CrosstermBackend, layout::Rect};

use super::types::stderr;

static ENTERED: AtomicBool = AtomicBool::new(false);
/// Whether the kitty keyboard's flags are pushed while entered.
static KITTY: AtomicBool = AtomicBool::new(false);
/// The thread whose panic ends the screen.
static SCREEN_THREAD: OnceLock<ThreadId> = OnceLock::new();

/// The terminal, ours until dropped.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Terminal {
    /// Takes the terminal over. The calling thread becomes the screen's.
    pub fn enter() -> io::Result<Self> {
        SCREEN_THREAD.get_or_init(|| std::thread::current().id());
        KITTY.store(knows_kitty_keyboard(), Ordering::Relaxed);
        enter()?;
        // A frame is one write, so that no terminal shows half of it.
        let output = BufWriter::with_capacity(64 << 10, io::stdout());
        let inner = ratatui::Terminal::new(CrosstermBackend::new(output));
        match inner {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => {
                leave();
                Err(error)
            }
        }
    }

    /// Columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.inner.size()?;
        Ok((size.width, size.height))
    }

    /// Draws a frame; only cells that changed are written.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame)) -> io::Result<()> {
        queue!(self.inner.backend_mut(), BeginSynchronizedUpdate)?;
        let drawn = self.inner.draw(view).map(|_| ());
        queue!(self.inner.backend_mut(), EndSynchronizedUpdate)?;
        Write::flush(self.inner.backend_mut())?;
        drawn
    }

    /// Makes the next frame write every cell.
    pub fn forget(&mut self) -> io::Result<()> {
        let (width, height) = self.size()?;
        self.inner.resize(Rect::new(0, 0, width, height))
    }

    /// Sends bytes that are no picture, such as a clipboard sequence.
    pub fn send(&mut self, command: impl crossterm::Command) -> io::Result<()> {
        execute!(self.inner.backend_mut(), command)
    }

    /// Gives the terminal to another program for a while.
    pub fn leave(&mut self) {
        leave();
    }

    /// Takes the terminal back, whatever modes it is in now.
    pub fn resume(&mut self) -> io::Result<()> {
        leave();
        enter()?;
        self.forget()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    screen::enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    if let Err(error) = stderr::capture() {
        tracing::warn!(%error, "standard error could not be captured");
    }
    let entered = write_enter(&mut io::stdout().lock());
    if entered.is_err() {
        leave();
    }
    entered
}

fn write_enter(output: &mut impl Write) -> io::Result<()> {
    queue!(
        output,
        screen::EnterAlternateScreen,
        event::EnableBracketedPaste,
        cursor::Hide
    )?;
    if KITTY.load(Ordering::Relaxed) {
        let flags = event::KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES;
        queue!(output, event::PushKeyboardEnhancementFlags(flags))?;
    }
    output.flush()
}

/// Gives the terminal back; does nothing when it is not ours. Errors are not
/// reported: there is no one left to read them.
fn leave() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = write_leave(&mut io::stdout().lock());
    let _ = screen::disable_raw_mode();
    stderr::release();
}

fn write_leave(output: &mut impl Write) -> io::Result<()> {
    if KITTY.load(Ordering::Relaxed) {
        queue!(output, event::PopKeyboardEnhancementFlags)?;
    }
    queue!(
        output,
        EndSynchronizedUpdate,
        event::DisableBracketedPaste,
        screen::LeaveAlternateScreen,
        cursor::SetCursorStyle::DefaultUserShape,
        cursor::Show
    )?;
    output.flush()
}

/// For the panic hook: gives the terminal back when this is the screen's
/// thread, and says whether the usual report may be printed.
pub fn restore_after_panic() -> bool {
    let ours = ENTERED.load(Ordering::SeqCst);
    if ours && SCREEN_THREAD.get() != Some(&std::thread::current().id()) {
        return false;
    }
    leave();
    true
}

/// Terminals that are known to have the kitty keyboard protocol. A guess from
/// the environment: asking could block.
fn knows_kitty_keyboard() -> bool {
    let value = |name| std::env::var(name).unwrap_or_default().to_ascii_lowercase();
    if !value("TMUX").is_empty() || !value("STY").is_empty() {
        return false;
    }
    let (term, program) = (value("TERM"), value("TERM_PROGRAM"));
    let known = ["kitty", "ghostty", "foot", "alacritty"];
    known.iter().any(|name| term.contains(name)) || program == "ghostty"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonzero(value: u16) -> std::num::NonZeroU16 {
        std::num::NonZeroU16::new(value).unwrap()
    }

    #[test]
    fn what_is_entered_is_left() {
        let mut parser = vt100::Parser::new(nonzero(24), nonzero(80), 0);
        let mut bytes = Vec::new();
        write_enter(&mut bytes).unwrap();
        parser.process(&bytes);
        assert!(parser.screen().alternate_screen());
        assert!(parser.screen().bracketed_paste());
        assert!(parser.screen().hide_cursor());
        bytes.clear();
        write_leave(&mut bytes).unwrap();
        parser.process(&bytes);
        assert!(!parser.screen().alternate_screen());
        assert!(!parser.screen().bracketed_paste());
        assert!(!parser.screen().hide_cursor());
    }

    #[test]
    fn a_panic_of_another_thread_leaves_the_screen() {
        SCREEN_THREAD.get_or_init(|| std::thread::current().id());
        let before = ENTERED.swap(true, Ordering::SeqCst);
        let printed = std::thread::spawn(restore_after_panic).join().unwrap();
        assert!(!printed, "a report would be written across the screen");
        assert!(
            ENTERED.swap(before, Ordering::SeqCst),
            "the screen was left"
        );
    }
}
