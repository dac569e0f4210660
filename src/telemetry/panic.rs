//! What a panic leaves behind: a line in the log and in the file, the terminal
//! as it was, and the usual report on the real standard error.

use std::panic::{self, PanicHookInfo};

use super::stderr;

/// Sets a hook that records the panic and calls `restore`, which gives the
/// terminal back if this thread's end is the screen's end and says whether it
/// did. Then standard error is released and the hook that was there before
/// runs. A panic that the screen survives is only recorded: a report would be
/// written across it.
pub fn install_panic_hook(restore: fn() -> bool) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tracing::error!(target: "panic", "{}", describe(info));
        if restore() {
            stderr::release();
            previous(info);
        }
    }));
}

/// Thread, message and place in one line.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let message = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        Some(place) => format!("thread `{name}` panicked at {place}: {message}"),
        None => format!("thread `{name}` panicked: {message}"),
    }
}
