//! What a panic leaves behind: a line in the log and in the file, the terminal
//! as it was, and the usual report on the real standard error.

use std::panic::{self, PanicHookInfo};

use super::stderr;

/// Sets a hook that records the panic, calls `restore` (which gives the
/// terminal back), releases standard error, and then runs the hook that was
/// there before.
pub fn install_panic_hook(restore: fn()) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tracing::error!(target: "panic", "{}", describe(info));
        restore();
        stderr::release();
        previous(info);
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
