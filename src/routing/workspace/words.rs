//! What a workspace may be asked, and what is recorded of it.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ConversationId, VisitorId},
    routing::{
        agent::{Change, Profile},
        conversation::{self, Opening, TeamOpening},
        words::Ticket,
    },
};

/// The largest cap an agent may have.
pub const CAP_MAX: u16 = 1_000;

/// A token as it is kept: its secret hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public part.
    pub id: SmolStr,
    /// BLAKE3 of the secret part.
    pub hash: [u8; 32],
    /// What it allows.
    pub grants: Grants,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; `None`: never.
    pub expires: Option<Timestamp>,
}

/// What a token allows (design §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grants {
    /// To be one visitor.
    Visitor(VisitorId),
    /// To be one agent.
    Agent(AgentId),
    /// To read and move everything in the workspace.
    Supervisor,
    /// To speak for visitors and attached agents.
    Frontend,
    /// To administer.
    Admin,
}

/// What is recorded of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A token was made.
    TokenMinted(Token),
    /// A token was revoked.
    TokenRevoked {
        /// Its public part.
        id: SmolStr,
    },
    /// Set aside after repeated failures: opens nothing new and puts no agents, while the rest goes on.
    Quarantined {
        /// When.
        at: Timestamp,
    },
    /// A supervisor let it go on.
    Reinstated,
    /// The frontend reported that something came to nothing which a user had asked for.
    ActionFailed(Failure),
}

/// Something that a user asked for and that came to nothing, as a frontend reports it (AD-25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What: `meeting_booking`.
    pub action: SmolStr,
    /// Why, in the frontend's words.
    pub cause: SmolStr,
    /// Whose it was.
    pub visitor: Option<VisitorId>,
    /// In which conversation.
    pub conversation: Option<ConversationId>,
    /// What the frontend calls this failure: one that it reports again is not told again.
    pub reference: Option<SmolStr>,
}

/// What a workspace may be asked.
#[derive(Debug)]
pub enum Command {
    /// Open a conversation whose id is not known yet. Answered `Opened` by the conversation.
    Open {
        /// What it takes.
        opening: Box<Opening>,
        /// Who asked.
        ticket: Ticket,
    },
    /// An agent begins a conversation whose id is not known yet. Answered `Opened` by the conversation.
    Start {
        /// What it takes, with the message.
        opening: Box<Opening>,
        /// The agent who will own it.
        agent: AgentId,
        /// Who asked.
        ticket: Ticket,
    },
    /// Open a chat of agents among themselves. Answered `Opened` by the conversation.
    OpenTeam {
        /// What it takes.
        opening: Box<TeamOpening>,
        /// Who asked.
        ticket: Ticket,
    },
    /// Hand something on to a conversation whose opening may still be on its way through here, so that it comes behind it.
    Relay {
        /// Which.
        conversation: ConversationId,
        /// What somebody asks of it.
        ask: conversation::Ask,
        /// Who.
        ticket: Ticket,
    },
    /// A conversation was closed.
    Closed {
        /// Whose it was.
        visitor: VisitorId,
        /// Where.
        channel: Channel,
        /// Which.
        conversation: ConversationId,
        /// An opening was led there and found nothing open: forget what led it there, and nothing newer. `None`: it was closed now.
        led: Option<u64>,
    },
    /// May a closed conversation be open again? Answered `ReopenGranted` to it, or the ticket is refused.
    Reopen {
        /// Whose it is.
        visitor: VisitorId,
        /// Where.
        channel: Channel,
        /// Which.
        conversation: ConversationId,
        /// Its epoch: the permission is for the close that was asked about.
        epoch: u32,
        /// Whether it never asked for an agent so far.
        engages: bool,
        /// Who asked.
        ticket: Ticket,
    },
    /// May a conversation that never asked for an agent do so now? Answered `Engaged` to it, or the ticket is refused.
    Engage {
        /// Which.
        conversation: ConversationId,
        /// What somebody asks of it that needs this; `None`: it is routed.
        then: Option<(conversation::Ask, Ticket)>,
    },
    /// A conversation has no use for what it was granted.
    Disengage,
    /// An agent who lost their seat has nothing left that needs it.
    SeatFree {
        /// Whom.
        agent: AgentId,
    },
    /// Create or change an agent. Answered `Done` by the agent.
    PutAgent {
        /// Whom.
        agent: AgentId,
        /// What they are to be.
        profile: Profile,
        /// Who asked: `System` is the configuration file.
        ticket: Ticket,
    },
    /// Change a part of an agent. Answered `Done` by the agent.
    ChangeAgent {
        /// Whom.
        agent: AgentId,
        /// What is to be another.
        change: Change,
        /// Who asked.
        ticket: Ticket,
    },
    /// Remove an agent. Answered `Done` by the agent.
    RemoveAgent {
        /// Whom.
        agent: AgentId,
        /// Who asked.
        ticket: Ticket,
    },
    /// How an agent stands after a command that was only repeated. From the agent.
    Stands {
        /// Whom.
        agent: AgentId,
        /// What is known of them; `None`: they are removed.
        profile: Option<Profile>,
    },
    /// The configuration manages these agents and no others: those it managed before are removed. From a reload.
    KeepManaged {
        /// Whom.
        agents: Vec<AgentId>,
    },
    /// Keep a token. Answered `Done`.
    MintToken {
        /// The token.
        token: Token,
        /// Who asked.
        ticket: Ticket,
    },
    /// Revoke a token. Answered `Done`.
    RevokeToken {
        /// Its public part.
        id: SmolStr,
        /// Who asked.
        ticket: Ticket,
    },
    /// Record that something came to nothing. Answered `Done`.
    ReportFailure {
        /// What.
        failure: Failure,
        /// Who asked.
        ticket: Ticket,
    },
    /// Go on. Carried out by whoever runs the machine, which stands still as long as it is set aside. Answered `Done`.
    Reinstate {
        /// Who asked.
        ticket: Ticket,
    },
}
