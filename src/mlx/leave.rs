//! Ending the process while MLX may still be at work on the engine's thread.

/// Ends the process at once with `code`, without the destructors of native
/// libraries. Those of MLX run on the thread that exits and free what the
/// engine's thread may still be using, which corrupts memory.
pub fn leave(code: u8) -> ! {
    // SAFETY: `_exit` takes any code and does not return; the caller has
    // written out what is to be kept.
    unsafe { libc::_exit(code.into()) }
}
