//! How a verb can fail, and the exit code that says so to scripts (sysexits where there is one).

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{client::ConnectError, client::RequestError, config::Problems, daemon};

/// Why a verb did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The reader of standard output has gone, such as `head`: no fault.
    #[error("nobody reads standard output any more")]
    Unread,
    /// Something went wrong while running. Exit code 1.
    #[error("{0}")]
    Run(String),
    /// The words of the command line do not fit together. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// No daemon answers. Exit code 69.
    #[error("{0}")]
    Unreachable(String),
    /// A second signal ended the daemon while its drain still waited for clients. Exit code 75.
    #[error("ended at the second signal, before the drain was over; what was acknowledged is in the log")]
    CutShort,
    /// The configuration is refused. Exit code 78.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The configuration was found wrong, and what is wrong has been told. Exit code 78 as well.
    #[error("{}", found(*errors, *warnings))]
    Checked {
        /// How much is wrong.
        errors: usize,
        /// How much deserves a second look.
        warnings: usize,
    },
    /// The daemon refused a configuration. Exit code 78 as well.
    #[error("the daemon keeps its configuration: {0}")]
    Reload(String),
    /// The daemon did not start, or did not end well.
    #[error("{0}")]
    Daemon(#[from] daemon::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Run(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 69,
            Self::CutShort => 75,
            Self::Config(_) | Self::Checked { .. } | Self::Reload(_) => 78,
            Self::Daemon(error) => error.exit_code(),
        }
    }

    /// Says it on standard error, and returns the exit code.
    pub(super) fn tell(&self) -> ExitCode {
        let text = match self {
            Self::Unread => return ExitCode::SUCCESS,
            // Each problem says "error" itself.
            Self::Config(problems) => problems.to_string(),
            Self::Checked { .. } => self.to_string(),
            other => format!("maitred: {other}"),
        };
        // With standard error gone, the exit code still tells.
        let _ = writeln!(io::stderr(), "{text}");
        ExitCode::from(self.code())
    }
}

fn found(errors: usize, warnings: usize) -> String {
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, warnings) => format!("{} denied in the configuration", counted(warnings, "warning")),
        (errors, 0) => format!("{} in the configuration", counted(errors, "error")),
        (errors, warnings) => {
            format!("{} and {} in the configuration", counted(errors, "error"), counted(warnings, "warning"))
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unix { .. }
            | ConnectError::Timeout { .. }
            | ConnectError::Busy(_)
            | ConnectError::Address { .. } => Self::Unreachable(error.to_string()),
            _ => Self::Run(error.to_string()),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Run(error.to_string())
    }
}

/// From writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Unread
        } else {
            Self::Run(format!("standard output: {error}"))
        }
    }
}
