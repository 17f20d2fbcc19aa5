//! One thing to be sent to one place, as it is kept in the queue.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::words::{Error, Topic};
use crate::{
    clock::Timestamp,
    codec,
    ids::{ConversationId, WorkspaceId},
};

/// The form of entries that is written.
const VERSION: u8 = 1;
/// Bytes of the other side's words that are kept.
const WORDS_MAX: usize = 256;

/// By which way something goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// An HTTP request.
    Webhook,
    /// An e-mail.
    Mail,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Webhook, Self::Mail];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }
}

/// One thing to be sent to one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The same over all attempts and restarts: receivers tell repetitions by it.
    pub message: SmolStr,
    /// Whose.
    pub workspace: WorkspaceId,
    /// What it tells.
    pub topic: Topic,
    /// By which way.
    pub kind: Kind,
    /// The name that the configuration gives the webhook, or the mail rule.
    pub endpoint: SmolStr,
    /// For mail: the address.
    pub to: Option<SmolStr>,
    /// For mail: the subject.
    pub subject: Option<SmolStr>,
    /// What is sent.
    pub body: Box<str>,
    /// The conversation that it is about.
    pub conversation: Option<ConversationId>,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it is tried next.
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// What went wrong the last time.
    pub trouble: Option<SmolStr>,
}

impl Delivery {
    /// As it is kept.
    pub(super) fn write(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![VERSION];
        codec::to_log(self, &mut bytes).map_err(|error| Error::Strange(error.to_string()))?;
        Ok(bytes)
    }

    /// What [`Delivery::write`] wrote.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                codec::from_log(rest).map_err(|error| Error::Strange(error.to_string()))
            }
            Some((version, _)) => Err(Error::Strange(format!("it has version {version}"))),
            None => Err(Error::Strange("it is empty".to_owned())),
        }
    }

    /// About how much room it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.body.len() + self.subject.as_ref().map_or(0, SmolStr::len) + 256
    }

    /// Notes what went wrong, in a few words.
    pub(super) fn note(&mut self, trouble: &str) {
        let end = (0..=WORDS_MAX.min(trouble.len())).rev().find(|end| trouble.is_char_boundary(*end));
        self.trouble = Some(SmolStr::new(&trouble[..end.unwrap_or_default()]));
    }
}
