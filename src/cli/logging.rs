//! Log lines on standard error, and panics among them.

use std::{io, panic, thread};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, LogLevel};

/// Sends log lines to standard error from now on. `RUST_LOG` overrides the level, for a closer look at one part.
/// Bodies of messages never get there: their types don't show them.
pub(super) fn start(format: LogFormat, level: LogLevel) {
    // What the libraries say is of use only when something is wrong.
    let directives = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "warn,maitred=info",
        LogLevel::Debug => "info,maitred=debug",
        LogLevel::Trace => "debug,maitred=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let lines = fmt::Subscriber::builder().with_env_filter(filter).with_writer(io::stderr);
    // Both fail only if there is one already, which then goes on.
    let _ = match format {
        LogFormat::Text => {
            tracing::subscriber::set_global_default(lines.with_target(false).with_ansi(colours()).finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
    };
    panic::set_hook(Box::new(log_panic));
}

/// Whether standard error is a terminal whose owner has nothing against colours.
fn colours() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
        && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// A panic is our mistake. The guard around actors goes on after it, so the log line is all that is left of it.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(
        place,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = %backtrace,
        "panic: {message}; this is a fault of maitred, please report it"
    );
}
