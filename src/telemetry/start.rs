//! Starts the log: ring, file, and on request a plain copy on standard error.

use std::{
    fmt as text,
    sync::{Mutex, OnceLock, PoisonError},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{self, format::Writer, time::FormatTime},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use super::{LogRing, layer::RingLayer, stderr};
use crate::config::Paths;

/// How many days of log files are kept.
const DAYS_KEPT: usize = 7;

/// The one log of the process.
static SHARED: OnceLock<Shared> = OnceLock::new();

struct Shared {
    ring: LogRing,
    level: Mutex<Level>,
    set_level: Box<dyn Fn(Level) + Send + Sync>,
    set_console: Box<dyn Fn(Option<Level>) + Send + Sync>,
}

/// Reaches the process's log. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    shared: &'static Shared,
}

impl text::Debug for Telemetry {
    fn fmt(&self, f: &mut text::Formatter<'_>) -> text::Result {
        f.debug_struct("Telemetry")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Starts the log; a second call in the same process only sets the level
    /// and captures standard error when asked. What goes wrong on the way is
    /// itself in the log: a workstation without a log file still works.
    pub fn start(paths: &Paths, level: Level, capture_stderr: bool) -> Self {
        let telemetry = Self {
            shared: SHARED.get_or_init(|| install(paths, level)),
        };
        telemetry.set_level(level);
        if capture_stderr && let Err(error) = stderr::capture() {
            tracing::warn!(%error, "standard error could not be captured: native messages may disturb the screen");
        }
        telemetry
    }

    /// The newest records.
    pub fn logs(&self) -> LogRing {
        self.shared.ring.clone()
    }

    /// The most verbose level that is logged.
    pub fn level(&self) -> Level {
        *lock(&self.shared.level)
    }

    /// Changes the level for ring and file at once.
    pub fn set_level(&self, level: Level) {
        *lock(&self.shared.level) = level;
        (self.shared.set_level)(level);
    }

    /// Copies records of this level and graver to standard error as plain
    /// lines, for commands without a screen; `None`, as at the start, is none.
    pub fn set_console(&self, level: Option<Level>) {
        (self.shared.set_console)(level);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install(paths: &Paths, level: Level) -> Shared {
    let ring = LogRing::default();
    let (filter, filter_handle) = reload::Layer::new(targets(level));
    let (console_level, console_handle) = reload::Layer::new(LevelFilter::OFF);
    let appender = open_file(paths);
    let failed = appender.as_ref().err().map(ToString::to_string);
    // What a layer cannot write it must not print: printed lines may come
    // back as records.
    let file = appender.ok().map(|appender| {
        fmt::layer()
            .with_ansi(false)
            .with_timer(LocalTime)
            .log_internal_errors(false)
            .with_writer(appender)
    });
    let console = fmt::layer()
        .with_ansi(false)
        .with_timer(LocalTime)
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_filter(console_level);
    let installed = Registry::default()
        .with(filter)
        .with(RingLayer { ring: ring.clone() })
        .with(file)
        .with(console)
        .try_init();
    if let (Ok(()), Some(error)) = (installed, failed) {
        tracing::warn!(folder = %paths.logs.display(), %error, "there is no log file");
    }
    Shared {
        ring,
        level: Mutex::new(level),
        // A handle fails only when its subscriber is gone, and with it the
        // log that could say so.
        set_level: Box::new(move |level| {
            let _ = filter_handle.reload(targets(level));
        }),
        set_console: Box::new(move |level| {
            let level = level.map_or(LevelFilter::OFF, LevelFilter::from_level);
            let _ = console_handle.reload(level);
        }),
    }
}

/// Our own events at the level asked for; libraries one step less, since their
/// detail drowns ours.
fn targets(level: Level) -> Targets {
    let libraries = match level {
        Level::ERROR => Level::ERROR,
        Level::WARN | Level::INFO => Level::WARN,
        Level::DEBUG => Level::INFO,
        Level::TRACE => Level::DEBUG,
    };
    Targets::new()
        .with_default(libraries)
        .with_targets(["maquette", "mcp", "stderr", "panic"].map(|target| (target, level)))
}

fn open_file(paths: &Paths) -> Result<RollingFileAppender, InitError> {
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("maquette")
        .filename_suffix("log")
        .max_log_files(DAYS_KEPT)
        .build(&paths.logs)
}

struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> text::Result {
        let now = chrono::Local::now();
        write!(writer, "{}", now.format("%Y-%m-%d %H:%M:%S%.3f"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::Filter;

    #[test]
    fn libraries_are_quieter_than_our_own_events() {
        let targets = targets(Level::DEBUG);
        assert!(targets.would_enable("maquette::engine", &Level::DEBUG));
        assert!(!targets.would_enable("maquette::engine", &Level::TRACE));
        assert!(targets.would_enable("hyper::client", &Level::INFO));
        assert!(!targets.would_enable("hyper::client", &Level::DEBUG));
        let hint = Filter::<Registry>::max_level_hint(&targets);
        assert_eq!(hint, Some(LevelFilter::DEBUG));
    }
}
