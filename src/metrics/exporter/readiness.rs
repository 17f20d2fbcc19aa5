//! Whether the daemon may be sent work, as one handle that its starting, its drain and its failures write to.

use std::fmt;

use tokio::sync::watch;

/// How far the daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not yet: what it is doing.
    Starting {
        /// Such as "reading the log: 3000000 of 9000000 records".
        doing: String,
    },
    /// It takes connections and commands.
    Ready,
    /// It takes nothing new and ends soon.
    Draining {
        /// What set it off, such as "SIGTERM".
        cause: String,
    },
    /// It hangs, and may go on by itself; a supervisor may restart it.
    Stuck {
        /// What hangs.
        reason: String,
    },
    /// It can't go on; a supervisor should restart it.
    Failed {
        /// What broke.
        reason: String,
    },
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting { doing } => write!(f, "starting: {doing}"),
            Self::Ready => f.write_str("ready"),
            Self::Draining { cause } => write!(f, "draining: {cause}"),
            Self::Stuck { reason } => write!(f, "stuck: {reason}"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
        }
    }
}

/// The daemon's stage. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Sender<Stage>);

impl Readiness {
    /// A daemon that has just begun to start.
    #[must_use]
    pub fn starting(doing: impl Into<String>) -> Self {
        Self(watch::Sender::new(Stage::Starting { doing: doing.into() }))
    }

    /// Moves on. What failed stays failed, and what drains does not become ready again, whoever says so later.
    pub fn set(&self, next: Stage) {
        self.0.send_if_modified(|stage| {
            let moves = match (&*stage, &next) {
                (Stage::Failed { .. }, _) => false,
                (Stage::Draining { .. }, Stage::Starting { .. } | Stage::Ready | Stage::Stuck { .. }) => {
                    false
                }
                (stage, next) => stage != next,
            };
            if moves {
                *stage = next;
            }
            moves
        });
    }

    /// The stage now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.0.borrow().clone()
    }

    /// Follows the stage, for whoever waits for one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.0.subscribe()
    }
}
