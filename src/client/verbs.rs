//! The verbs: each sends its request at once, with a key of the client's, and resolves to the reply that fits.

use super::{Client, Pending, RequestError};
use crate::{
    ids::{AgentId, ConversationId, VisitorId},
    protocol::{
        Reply, Request, Text,
        reply::{
            AgentDetail, AgentPage, ChoicePage, ConfigPage, ConversationDetail, ConversationPage,
            DeliveryDetail, DeliveryPage, Done, Erasure, Explanation, GroupDetail, GroupPage, Minted, Opened,
            Pong, PositionReply, QuarantinePage, Recorded, StaffHistory, Subscribed, TokenPage,
            VisitorHistory, VisitorPage, Welcome, WorkspaceDetail,
        },
        request::{
            Accept, Announce, Assign, Attach, Choose, Close, Decline, Detach, Invite, Leave, Note, Open,
            Ping, Position, Renew, Reopen, Say, SetPresence, SetPush, Subscribe, Take, Transfer, Typing,
            Unsubscribe,
        },
        words::{Choice, Destination, Feed, Presence, Push, Speaker},
    },
};

/// A kind of reply.
pub trait Answer: Sized {
    /// The reply, if it is of this kind.
    fn from_reply(reply: Reply) -> Option<Self>;
}

impl Answer for Reply {
    fn from_reply(reply: Reply) -> Option<Self> {
        Some(reply)
    }
}

macro_rules! answers {
    ($($kind:ident),* $(,)?) => {
        $(impl Answer for $kind {
            fn from_reply(reply: Reply) -> Option<Self> {
                match reply {
                    Reply::$kind(answer) => Some(answer),
                    _ => None,
                }
            }
        })*
    };
}

answers! {
    Welcome, Pong, Done, Opened, Recorded, Subscribed, StaffHistory, VisitorHistory, ConversationPage,
    ConversationDetail, GroupPage, GroupDetail, AgentPage, AgentDetail, Explanation, PositionReply, Minted, TokenPage,
    QuarantinePage, Erasure, WorkspaceDetail, ChoicePage, ConfigPage, DeliveryPage, DeliveryDetail, VisitorPage,
}

/// Verbs without a key.
impl Client {
    /// Sends any request and takes only the kind of reply that `T` names.
    pub fn ask<T: Answer>(&self, request: impl Into<Request>) -> Pending<T> {
        Pending::send(&self.shared, &request.into())
    }

    /// Asks for the daemon's time.
    pub fn ping(&self) -> Pending<Pong> {
        self.ask(Ping {})
    }

    /// Shows a new token before the old one expires.
    pub fn renew(&self, token: &str) -> Pending<Welcome> {
        match Text::new(token) {
            Ok(token) => self.ask(Renew { token }),
            Err(error) => Pending::failed(error.into()),
        }
    }

    /// Opens a conversation; its id is the key.
    pub fn open(&self, open: Open) -> Pending<Opened> {
        self.ask(open)
    }

    /// Says that this connection is a session of the agent.
    pub fn attach(&self, agent: AgentId) -> Pending<Done> {
        self.ask(Attach { agent })
    }

    /// Takes [`Client::attach`] back.
    pub fn detach(&self, agent: AgentId) -> Pending<Done> {
        self.ask(Detach { agent })
    }

    /// Says whether a visitor is there.
    pub fn announce(&self, visitor: VisitorId, present: bool) -> Pending<Done> {
        self.ask(Announce { visitor, present })
    }

    /// Says whether somebody types.
    pub fn typing(&self, conversation: ConversationId, speaker: Speaker, typing: bool) -> Pending<Done> {
        self.ask(Typing { conversation, speaker, typing })
    }

    /// Asks for a feed; its notices come with the others.
    pub fn subscribe(&self, feed: Feed) -> Pending<Subscribed> {
        self.ask(Subscribe { feed })
    }

    /// Takes [`Client::subscribe`] back.
    pub fn unsubscribe(&self, feed: Feed) -> Pending<Done> {
        self.ask(Unsubscribe { feed })
    }

    /// Asks for the place in the queue.
    pub fn position(&self, conversation: ConversationId, speaker: Speaker) -> Pending<PositionReply> {
        self.ask(Position { conversation, speaker })
    }
}

/// Verbs with a key of this client's. Each call is a new command: to repeat one whose answer was lost, build the
/// request with the key of the first time and use [`Client::ask`].
impl Client {
    /// Writes a message that both sides see.
    pub fn say(&self, conversation: ConversationId, speaker: Speaker, body: &str) -> Pending<Recorded> {
        self.write(body, |key, body| Say { key, conversation, speaker, body }.into())
    }

    /// Writes a private note.
    pub fn note(&self, conversation: ConversationId, speaker: Speaker, body: &str) -> Pending<Recorded> {
        self.write(body, |key, body| Note { key, conversation, speaker, body }.into())
    }

    /// Takes an offer.
    pub fn accept(&self, conversation: ConversationId, speaker: Speaker, offer: u32) -> Pending<Recorded> {
        self.ask(Accept { key: self.key(), conversation, speaker, offer })
    }

    /// Declines an offer.
    pub fn decline(&self, conversation: ConversationId, speaker: Speaker, offer: u32) -> Pending<Recorded> {
        self.ask(Decline { key: self.key(), conversation, speaker, offer })
    }

    /// Takes a conversation that was not offered.
    pub fn take(&self, conversation: ConversationId, speaker: Speaker) -> Pending<Recorded> {
        self.ask(Take { key: self.key(), conversation, speaker })
    }

    /// Gives a conversation to an agent or a group without asking; `force` goes past the cap.
    pub fn assign(
        &self,
        conversation: ConversationId,
        speaker: Speaker,
        to: Destination,
        force: bool,
    ) -> Pending<Recorded> {
        self.ask(Assign { key: self.key(), conversation, speaker, to, force })
    }

    /// Hands a conversation over; `leave` says whether the one who transfers leaves.
    pub fn transfer(
        &self,
        conversation: ConversationId,
        speaker: Speaker,
        to: Destination,
        leave: bool,
    ) -> Pending<Recorded> {
        self.ask(Transfer { key: self.key(), conversation, speaker, to, leave })
    }

    /// Asks an agent to help.
    pub fn invite(
        &self,
        conversation: ConversationId,
        speaker: Speaker,
        agent: AgentId,
    ) -> Pending<Recorded> {
        self.ask(Invite { key: self.key(), conversation, speaker, agent })
    }

    /// Leaves a conversation without closing it.
    pub fn leave(&self, conversation: ConversationId, speaker: Speaker) -> Pending<Recorded> {
        self.ask(Leave { key: self.key(), conversation, speaker })
    }

    /// Chooses a group for a visitor who is asked to.
    pub fn choose(
        &self,
        conversation: ConversationId,
        speaker: Speaker,
        choice: Choice,
    ) -> Pending<Recorded> {
        self.ask(Choose { key: self.key(), conversation, speaker, choice })
    }

    /// Closes a conversation.
    pub fn close_conversation(&self, conversation: ConversationId, speaker: Speaker) -> Pending<Recorded> {
        self.ask(Close { key: self.key(), conversation, speaker })
    }

    /// Opens a closed conversation again.
    pub fn reopen(&self, conversation: ConversationId, speaker: Speaker) -> Pending<Recorded> {
        self.ask(Reopen { key: self.key(), conversation, speaker })
    }

    /// Says what an agent intends.
    pub fn set_presence(&self, agent: AgentId, presence: Presence) -> Pending<Done> {
        self.ask(SetPresence { key: self.key(), agent, presence })
    }

    /// Switches an agent's notifications on or off.
    pub fn set_push(&self, agent: AgentId, push: Push) -> Pending<Done> {
        self.ask(SetPush { key: self.key(), agent, push })
    }

    fn key(&self) -> u64 {
        self.identity.next_key()
    }

    fn write<const MAX: usize>(
        &self,
        body: &str,
        request: impl FnOnce(u64, Text<MAX>) -> Request,
    ) -> Pending<Recorded> {
        match Text::new(body) {
            Ok(body) => self.ask(request(self.key(), body)),
            Err(error) => Pending::failed(RequestError::OverLimit(error)),
        }
    }
}
