//! What can be told outside, how it went, and what can be wrong with it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! topics {
    ($($(#[$doc:meta])* $topic:ident = $word:literal,)*) => {
        /// What can be told outside. The words are those of the configuration and of a webhook's `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Topic {
            $($(#[$doc])* $topic,)*
        }

        impl Topic {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$topic,)*];

            /// Its word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$topic => $word,)*
                }
            }
        }
    };
}

topics! {
    /// A conversation joined a group's line.
    Queued = "conversation.queued",
    /// It was offered or announced to agents.
    Offered = "conversation.offered",
    /// An agent owns it now.
    Assigned = "conversation.assigned",
    /// Nobody could serve it: the fallback message went out.
    Fallback = "conversation.fallback",
    /// Nobody took it after the fallback, and its time ran out.
    Missed = "conversation.missed",
    /// It is over.
    Closed = "conversation.closed",
    /// It was opened again.
    Reopened = "conversation.reopened",
    /// An agent let an offer time out.
    OfferMissed = "offer.missed",
    /// Agents without a connection have something to look at.
    AgentNotified = "agent.notified",
    /// Something that a user asked for came to nothing: a live chat, or what a frontend reported.
    ActionFailed = "action_failed",
    /// A bot handed a conversation over, and it joined a group's line.
    HandedOver = "conversation.handed_over",
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Topic {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|topic| topic.as_str() == word).copied().ok_or(())
    }
}

impl Serialize for Topic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = smol_str::SmolStr::deserialize(deserializer)?;
        word.parse().map_err(|()| serde::de::Error::custom("no topic of maitred's"))
    }
}

/// How an attempt, or a delivery, went. For the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has it.
    Delivered,
    /// It will be tried again.
    Retried,
    /// Given up: too long, refused for good, nowhere to send it, or no room for it.
    Dead,
    /// Not queued at all, as its endpoint wants nothing any more.
    Disabled,
    /// Taken away by an operator, by an erasure, or for want of room among the dead letters.
    Dropped,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Delivered, Self::Retried, Self::Dead, Self::Disabled, Self::Dropped];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Disabled => "disabled",
            Self::Dropped => "dropped",
        }
    }
}

/// What is wrong with what the operator said, or with what was queued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that can't be used.
    #[error("webhook {name:?}: {what}")]
    Webhook {
        /// Which.
        name: String,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The mail server can't be used.
    #[error("[server.mail]: {0}")]
    Mail(String),
    /// A secret that is none.
    #[error("{place}: {what}")]
    Secret {
        /// The file or the variable.
        place: String,
        /// What is wrong, never the secret itself.
        what: String,
    },
    /// The queue's file.
    #[error(transparent)]
    Store(#[from] crate::journal::Error),
    /// An entry of the queue that this version can't read.
    #[error("an entry of the notification queue can't be read: {0}")]
    Strange(String),
    /// Something else is missing, such as a thread.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}
