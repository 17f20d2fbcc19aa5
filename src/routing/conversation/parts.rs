//! Messages with images and files (BO-26). The media are the frontend's: what is kept here is a handle that says where they are,
//! opaque and of bounded size; how large they say they are is bounded by `attachment_max`. There is no switch for them (ZD-3).

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Conversation, Event};
use crate::routing::{
    Context, Out, Refusal, Refused,
    words::{Body, Ticket},
};

/// The most parts of a message.
pub const PARTS_MAX: usize = 8;

/// An image or file beside a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where the frontend has it: at most 512 bytes of printable ASCII without quotes and backslashes.
    pub media: Body,
    /// What it is, such as `image/png`: at most 128 such bytes.
    pub mime: SmolStr,
    /// How large it is.
    pub bytes: u64,
    /// What people call it; at most 64 bytes without control characters.
    pub name: Option<SmolStr>,
}

/// What somebody writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// In words.
    pub body: Body,
    /// Beside the words.
    pub parts: Vec<Part>,
}

impl From<Body> for Message {
    fn from(body: Body) -> Self {
        Self { body, parts: Vec::new() }
    }
}

impl Message {
    /// What is recorded of it.
    pub(super) fn event(self) -> Event {
        match self {
            Self { body, parts } if parts.is_empty() => Event::Said { body },
            Self { body, parts } => Event::Posted { body, parts },
        }
    }

    /// Whether all of it can travel, however it has to be escaped.
    fn check(&self) -> Result<(), Refusal> {
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        let named = |part: &Part| part.name.as_ref().is_none_or(|name| !name.chars().any(char::is_control));
        if self.parts.len() > PARTS_MAX {
            return Err(Refusal::TooLarge("a message has at most 8 parts"));
        }
        if self
            .parts
            .iter()
            .any(|part| part.media.0.is_empty() || !plain(&part.media.0) || !plain(&part.mime))
        {
            return Err(Refusal::Invalid("a part's handle and type are printable ASCII without quotes"));
        }
        if !self.parts.iter().all(named) {
            return Err(Refusal::Invalid("a part's name has no control characters"));
        }
        Ok(())
    }
}

impl Conversation {
    pub(super) fn post(
        &mut self,
        cx: &Context<'_>,
        message: Message,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !self.may_read(&ticket) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        message.check().map_err(|refusal| refusal.to(&ticket))?;
        let most = cx.policy.attachment_max.unwrap_or(u64::MAX);
        if message.parts.iter().any(|part| part.bytes > most) {
            let why = "a part is larger than the workspace's `attachment_max`";
            return Err(Refusal::TooLarge(why).to(&ticket));
        }
        self.say(cx, message, ticket, out)
    }
}
