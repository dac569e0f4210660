//! Captures what native code prints on standard error.
//!
//! File descriptor 2 is replaced by a pipe whose lines become records with the
//! target `stderr`. The real one is kept, so that it can be given back when
//! the terminal is: on quit, on a panic, and while another program (an editor,
//! the shell) has the screen.
//!
//! Invariant: at most one capture a process, since there is one descriptor 2.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, PipeReader, PipeWriter},
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::stdio::{dup2_stderr, stderr};
/// A line longer than this is cut; native code may print without line ends.
const LONGEST_LINE: u64 = 8 << 10;

static CAPTURE: Mutex<Option<State>> = Mutex::new(None);

struct State {
    /// The real standard error.
    real: OwnedFd,
    writer: PipeWriter,
    /// Whether descriptor 2 is the pipe now.
    active: bool,
}

/// Sends standard error to the log until [`release`]. After that, a further
/// call captures again.
pub fn capture() -> io::Result<()> {
    let mut state = lock();
    if state.is_none() {
        let real = stderr().try_clone_to_owned()?;
        let (reader, writer) = io::pipe()?;
        thread::Builder::new()
            .name("stderr".into())
            .spawn(move || read_lines(reader))?;
        *state = Some(State {
            real,
            writer,
            active: false,
        });
    }
    if let Some(state) = state.as_mut() {
        dup2_stderr(state.writer.as_fd())?;
        state.active = true;
    }
    Ok(())
}

/// Gives standard error back. Without a capture, nothing happens. Says
/// whether it was captured, so that a caller can capture again later.
pub fn release() -> bool {
    let mut state = lock();
    let Some(state) = state.as_mut().filter(|state| state.active) else {
        return false;
    };
    if dup2_stderr(state.real.as_fd()).is_ok() {
        state.active = false;
    }
    true
}

/// A handle of the real standard error, captured or not.
pub fn real() -> io::Result<File> {
    let fd = match lock().as_ref() {
        Some(state) => state.real.try_clone()?,
        None => stderr().try_clone_to_owned()?,
    };
    Ok(File::from(fd))
}

fn lock() -> MutexGuard<'static, Option<State>> {
    CAPTURE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs until every writer of the pipe is gone, which is the process's end.
fn read_lines(reader: PipeReader) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = io::Read::take(&mut reader, LONGEST_LINE);
        match limited.read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => record(&line),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Native code does not say how grave a line is; the words do.
fn record(line: &[u8]) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    let lower = text.to_ascii_lowercase();
    let grave = ["error", "fatal", "terminate called", "abort"];
    if grave.iter().any(|word| lower.contains(word)) {
        tracing::error!(target: "stderr", "{text}");
    } else if !text.is_empty() {
        tracing::warn!(target: "stderr", "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{LogRing, layer::RingLayer};
    use std::io::Write;
    use tracing::Level;
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    fn recorded(reader: PipeReader) -> LogRing {
        let ring = LogRing::default();
        let layer = RingLayer { ring: ring.clone() };
        let subscriber = Registry::default().with(layer);
        tracing::subscriber::with_default(subscriber, || read_lines(reader));
        ring
    }

    #[test]
    fn lines_become_records_however_they_are_written() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"first\n\nfatal: sec").unwrap();
        writer.write_all(b"ond\r\nbad \xff byte\nno end").unwrap();
        drop(writer);
        let records = recorded(reader).snapshot();
        let texts: Vec<_> = records.iter().map(|r| r.message.as_str()).collect();
        let expected = ["first", "fatal: second", "bad \u{fffd} byte", "no end"];
        assert_eq!(texts, expected);
        assert_eq!(records[0].level, Level::WARN);
        assert_eq!(records[1].level, Level::ERROR);
        assert!(records.iter().all(|r| r.target == "stderr"));
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (reader, mut writer) = io::pipe().unwrap();
        let sender = thread::spawn(move || writer.write_all(&[b'x'; 20_000]).unwrap());
        let ring = recorded(reader);
        sender.join().unwrap();
        let lengths: Vec<_> = ring.snapshot().iter().map(|r| r.message.len()).collect();
        assert_eq!(lengths, [8192, 8192, 3616]);
    }
}
