//! What a connection may say and ask of a workspace.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::{
    actors::{
        aside::Subject, directory::Whom, erasure::Doomed, lists::ListKey, port::Port, queries::What,
        sessions::Feed,
    },
    clock::Timestamp,
    ids::{AgentId, ClientId, ConversationId, GroupId, VisitorId},
    routing::{
        By, Key, Presence, Variable,
        agent::{Change, Profile, Push},
        conversation::{Ask, Destination, Opening, Phase, TeamOpening},
        lobby::Filter,
        workspace::{self, Grants},
    },
};

/// Something from a connection.
pub struct Inbound {
    /// The connection.
    pub connection: u64,
    /// What it is.
    pub what: Asked,
}

/// What a connection says or asks.
pub enum Asked {
    /// It is there, with this token.
    Connected {
        /// Its ear.
        port: Arc<dyn Port>,
        /// The program.
        client: ClientId,
        /// What the token allows.
        grants: Grants,
        /// The token's public part.
        token: SmolStr,
    },
    /// It goes on under this token.
    Renewed {
        /// The token's public part.
        token: SmolStr,
    },
    /// It is gone.
    Disconnected,
    /// It is a session of this agent from now on.
    Attach {
        /// Where the answer goes.
        request: u32,
        /// The agent.
        agent: AgentId,
    },
    /// It is not any more.
    Detach {
        /// Where the answer goes.
        request: u32,
        /// The agent.
        agent: AgentId,
    },
    /// A visitor is there, or gone.
    Announce {
        /// Where the answer goes.
        request: u32,
        /// The visitor.
        visitor: VisitorId,
        /// There, or gone.
        present: bool,
    },
    /// A visitor is there, with what is known of the visit.
    Visit {
        /// Where the answer goes.
        request: u32,
        /// The visitor.
        visitor: VisitorId,
        /// What is new.
        facts: Vec<Variable>,
        /// Whether the widget is open.
        widget_open: bool,
    },
    /// Something to be done.
    Command {
        /// Where the answer goes.
        request: u32,
        /// Who asks.
        by: By,
        /// Under which key.
        key: Option<Key>,
        /// What.
        order: Order,
    },
    /// Something to be looked up.
    Query {
        /// Where the answer goes.
        request: u32,
        /// Who asks.
        by: By,
        /// What.
        query: Query,
    },
}

/// Something to be done.
pub enum Order {
    /// Open a conversation.
    Open(Box<Opening>),
    /// An agent begins a conversation.
    Start(Box<Opening>, AgentId),
    /// Open a chat of agents among themselves.
    OpenTeam(Box<TeamOpening>),
    /// Ask something of a conversation.
    Ask(ConversationId, Ask),
    /// Ask something about an agent who is named by where they get mail.
    AskOf(ConversationId, SmolStr, AskOf),
    /// Change an agent's intent.
    SetPresence(AgentId, Presence),
    /// Tell an agent outside of what waits, or not.
    SetPush(AgentId, Push),
    /// Create or change an agent.
    PutAgent(AgentId, Profile),
    /// Change a part of an agent.
    ChangeAgent(AgentId, Change),
    /// Remove an agent.
    RemoveAgent(AgentId),
    /// Make a token.
    MintToken(Grants, Option<Timestamp>),
    /// Revoke a token.
    RevokeToken(SmolStr),
    /// Record that something came to nothing.
    ReportFailure(workspace::Failure),
    /// Let somebody who stands aside take part again.
    Reinstate(Subject),
    /// Erase what is known of somebody; with the word that confirms it, or to be given it.
    Erase(Doomed, Option<SmolStr>),
}

/// What may be asked about an agent who is named by where they get mail (ZD-18).
pub enum AskOf {
    /// To help.
    Invite,
    /// To take it over.
    Transfer {
        /// Whether the one who transfers leaves.
        leave: bool,
    },
    /// To have it.
    Assign {
        /// Past a cap.
        force: bool,
    },
}

impl AskOf {
    pub(super) fn of(&self, agent: AgentId) -> Ask {
        let to = Destination::Agent(agent);
        match *self {
            Self::Invite => Ask::Invite { agent },
            Self::Transfer { leave } => Ask::Transfer { to, leave },
            Self::Assign { force } => Ask::Assign { to, force },
        }
    }
}

impl Order {
    /// Whether it only ends what is there, or makes less come: what the last of a full disk is kept for.
    #[must_use]
    pub fn ends(&self) -> bool {
        match self {
            Self::Ask(_, Ask::Close | Ask::Leave | Ask::Decline { .. })
            | Self::SetPresence(_, Presence::Away | Presence::Offline)
            | Self::SetPush(_, Push::Off)
            | Self::RevokeToken(_)
            | Self::RemoveAgent(_)
            | Self::Erase(..) => true,
            Self::Open(_)
            | Self::Start(..)
            | Self::OpenTeam(_)
            | Self::AskOf(..)
            | Self::Ask(..)
            | Self::SetPresence(..)
            | Self::SetPush(..)
            | Self::PutAgent(..)
            | Self::ChangeAgent(..)
            | Self::MintToken(..)
            | Self::ReportFailure(_)
            | Self::Reinstate(_) => false,
        }
    }
}

/// Something to be looked up.
pub enum Query {
    /// One actor is asked.
    Look(Whom, What),
    /// A page of conversations.
    Conversations {
        /// In these phases.
        phases: Vec<Phase>,
        /// Those that stand aside, in whatever phase.
        aside: bool,
        /// Of this group.
        group: Option<GroupId>,
        /// Of this owner.
        agent: Option<AgentId>,
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// A page of a visitor's conversations, open and closed.
    OfVisitor {
        /// Whose.
        visitor: VisitorId,
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// A page of groups.
    Groups {
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// A page of agents.
    Agents {
        /// Members of this group.
        group: Option<GroupId>,
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// A page of the groups that visitors may choose.
    Choices {
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// A page of the visitors on the sites.
    Visitors {
        /// Which.
        filter: Filter,
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Subscribe to what changes of them.
    WatchVisitors,
    /// A page of tokens.
    Tokens {
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// A page of who stands aside.
    Aside {
        /// Where the page begins.
        cursor: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Keep a list.
    KeepList(ListKey),
    /// Keep it no more.
    DropList(ListKey),
    /// Keep an agent's counts, or the workspace's.
    KeepCounts(Option<AgentId>),
    /// Keep them no more.
    DropCounts(Option<AgentId>),
    /// End a subscription.
    Unsubscribe(Feed),
}
