//! The way in from the connections: commands, queries and sessions, each for one workspace. A connection hands over everything it
//! read at one wake-up; if the workspace lives on another arbiter it crosses in one batch.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use smol_str::SmolStr;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::{
    aside::Subject,
    directory::Whom,
    erasure::Doomed,
    intake::Intake,
    ledger::Line,
    lists::ListKey,
    local::{Local, Shared},
    port::{Answer, ConversationRow, Notice, Port, View, parse_cursor},
    queries::{Gathering, Look, Rows, What},
    sessions::Feed,
    space::Space,
    supervision::guard,
    tokens::{self, TokenBook},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ClientId, ConversationId, GroupId, VisitorId, WorkspaceId},
    routing::{
        By, Key, Presence, Refusal, Reply, ReplyTo, Tell, Ticket, Variable,
        agent::{self, Change, Profile, Push},
        conversation::{self, Ask, Destination, Opening, Phase, TeamOpening, Way},
        lobby::Filter,
        workspace::{self, Grants, Token},
    },
};

/// Rows of one page.
pub(super) const PAGE: usize = 100;

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
    fn of(&self, agent: AgentId) -> Ask {
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

/// What crosses to another arbiter.
pub struct Parcel {
    space: u32,
    inbound: Vec<Inbound>,
}

/// Which workspace is where.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The workspace.
    pub id: WorkspaceId,
    /// The arbiter it lives on.
    pub arbiter: usize,
}

/// The gate: cheap to clone, the same for all connections.
#[derive(Clone)]
pub struct Gate {
    /// What the arbiters share.
    pub shared: Shared,
    /// All tokens.
    pub tokens: Arc<TokenBook>,
    /// The workspaces by number.
    pub placements: Arc<Vec<Placement>>,
    /// How many newcomers each arbiter takes.
    pub intakes: Arc<Vec<Arc<Intake>>>,
    /// The way to each arbiter.
    pub lanes: Arc<Vec<UnboundedSender<Parcel>>>,
}

thread_local! {
    static HERE: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// This thread is an arbiter from now on.
pub fn settle_here(local: &Rc<Local>) {
    HERE.with(|here| *here.borrow_mut() = Some(Rc::clone(local)));
}

/// The arbiter that the calling thread is.
#[must_use]
pub fn here() -> Option<Rc<Local>> {
    HERE.with(|here| here.borrow().clone())
}

/// Takes in what other arbiters send here, until the daemon ends.
pub async fn receive(local: Rc<Local>, mut lane: UnboundedReceiver<Parcel>) {
    while let Some(Parcel { space, inbound }) = lane.recv().await {
        if let Some(space) = local.space(space) {
            inbound.into_iter().for_each(|inbound| space.take_in(inbound));
        }
    }
}

impl Gate {
    /// Hands over what a connection read at one wake-up, all for one workspace.
    pub fn submit(&self, space: u32, inbound: Vec<Inbound>) {
        let Some(placement) = self.placements.get(space as usize) else { return };
        let here = here().filter(|local| local.index == placement.arbiter);
        if let Some(space) = here.and_then(|local| local.space(space)) {
            inbound.into_iter().for_each(|inbound| space.take_in(inbound));
        } else if let Some(lane) = self.lanes.get(placement.arbiter) {
            // A closed lane: the daemon is ending, and nobody is left to answer.
            let _ = lane.send(Parcel { space, inbound });
        }
    }

    /// Whether a workspace's arbiter may begin one more conversation.
    ///
    /// # Errors
    /// When to ask again.
    pub fn admit_newcomer(&self, space: u32) -> Result<(), Duration> {
        let arbiter = self.placements.get(space as usize).and_then(|at| self.intakes.get(at.arbiter));
        arbiter.map_or(Ok(()), |intake| intake.admit())
    }

    /// Whether a conversation is there and running.
    #[must_use]
    pub fn has_conversation(&self, space: u32, id: ConversationId) -> bool {
        self.shared.directory.has_conversation(space, id)
    }

    /// The number of a workspace.
    #[must_use]
    pub fn workspace(&self, id: &WorkspaceId) -> Option<u32> {
        let at = self.placements.iter().position(|placement| placement.id == *id)?;
        u32::try_from(at).ok()
    }
}

impl Space {
    /// Takes one thing in from a connection; one that falls keeps no other from being taken in.
    fn take_in(self: &Rc<Self>, inbound: Inbound) {
        let connection = inbound.connection;
        if guard(|| self.take(inbound)).is_none() {
            tracing::error!(connection, "a request fell before it reached a machine");
        }
    }

    fn take(self: &Rc<Self>, inbound: Inbound) {
        let connection = inbound.connection;
        let to = |request| ReplyTo { connection, request };
        match inbound.what {
            Asked::Connected { port, client, grants, token } => {
                self.connected(connection, port, client, grants, token)
            }
            Asked::Renewed { token } => self.sessions.borrow_mut().renew(connection, token),
            Asked::Disconnected => self.disconnected(connection),
            Asked::Attach { request, agent } => self.attach(to(request), agent),
            Asked::Detach { request, agent } => {
                if self.sessions.borrow_mut().detach(connection, agent) {
                    self.note_attendance(agent);
                    self.lists.borrow_mut().forget(connection, Some(agent));
                    self.tell(Tell::Agent(
                        agent,
                        agent::Command::SessionLost { later: std::time::Duration::ZERO },
                    ));
                }
                self.answer(to(request), Ok(Reply::Done));
            }
            Asked::Announce { request, visitor, present } => self.announce(to(request), visitor, present),
            Asked::Visit { request, visitor, facts, widget_open } => {
                if self.visit(to(request), visitor, facts, widget_open) {
                    self.visitor_is(visitor, true);
                }
            }
            Asked::Command { request, by, key, order } => {
                let ticket = self.ticket(to(request), by, key);
                self.order(connection, ticket, order);
            }
            Asked::Query { request, by, query } => {
                let ticket = self.ticket(to(request), by, None);
                self.query(ticket, query);
            }
        }
    }

    fn ticket(&self, reply_to: ReplyTo, by: By, key: Option<Key>) -> Ticket {
        let scope = by.agent().and_then(|agent| self.scope(agent));
        Ticket { by, scope, key, reply_to: Some(reply_to) }
    }

    // === Sessions ===

    fn connected(
        self: &Rc<Self>,
        id: u64,
        port: Arc<dyn Port>,
        client: ClientId,
        grants: Grants,
        token: SmolStr,
    ) {
        self.sessions.borrow_mut().connect(id, port, grants, client, token);
        match grants {
            Grants::Agent(agent) => {
                self.begin_session(id, agent);
            }
            Grants::Visitor(visitor) => {
                self.sessions.borrow_mut().welcome(id, visitor);
                self.visitor_is(visitor, true);
            }
            Grants::Frontend => {
                let theirs = self.ledger.borrow().of_frontend(client);
                for (conversation, _) in theirs {
                    self.tell(Tell::Conversation(conversation, conversation::Command::VisitorPresent(true)));
                }
            }
            Grants::Supervisor | Grants::Admin => {}
        }
    }

    fn disconnected(self: &Rc<Self>, id: u64) {
        let lost = self.sessions.borrow_mut().disconnect(id);
        self.lists.borrow_mut().forget(id, None);
        self.holders_lost(id, lost.frontend);
        for agent in lost.agents {
            self.note_attendance(agent);
            self.tell(Tell::Agent(agent, agent::Command::SessionLost { later: std::time::Duration::ZERO }));
        }
        for visitor in lost.visitors {
            self.visitor_lost(visitor);
        }
        if let Some(client) = lost.frontend {
            let theirs = self.ledger.borrow().of_frontend(client);
            for (conversation, visitor) in theirs {
                if !self.sessions.borrow().has_visitor(visitor, client) {
                    self.tell(Tell::Conversation(conversation, conversation::Command::VisitorPresent(false)));
                }
            }
        }
    }

    /// A visitor's last connection is gone; the program that opened their conversation may still be there for them.
    fn visitor_lost(self: &Rc<Self>, visitor: VisitorId) {
        for conversation in self.ledger.borrow().of_visitor(visitor) {
            let present = {
                let ledger = self.ledger.borrow();
                let row = ledger.line(conversation);
                row.is_some_and(|row| self.sessions.borrow().has_visitor(row.visitor, row.via))
            };
            if !present {
                self.tell(Tell::Conversation(conversation, conversation::Command::VisitorPresent(false)));
            }
        }
    }

    fn visitor_is(self: &Rc<Self>, visitor: VisitorId, present: bool) {
        for conversation in self.ledger.borrow().of_visitor(visitor) {
            self.tell(Tell::Conversation(conversation, conversation::Command::VisitorPresent(present)));
        }
    }

    fn announce(self: &Rc<Self>, reply_to: ReplyTo, visitor: VisitorId, present: bool) {
        if present {
            self.sessions.borrow_mut().welcome(reply_to.connection, visitor);
        } else {
            self.sessions.borrow_mut().farewell(reply_to.connection, visitor);
            self.visit_ended(reply_to.connection, visitor);
        }
        self.visitor_is(visitor, present);
        self.answer(reply_to, Ok(Reply::Done));
    }

    fn attach(self: &Rc<Self>, reply_to: ReplyTo, agent: AgentId) {
        if !self.local.shared.directory.has_agent(self.index, agent) {
            return self.answer(reply_to, Err(Refusal::NotFound));
        }
        self.answer(reply_to, Ok(Reply::Done));
        self.begin_session(reply_to.connection, agent);
    }

    /// A session begins with everything the agent has, so that a resumed one finds its pending offers (design §3.7).
    fn begin_session(self: &Rc<Self>, connection: u64, agent: AgentId) {
        if self.sessions.borrow_mut().attach(connection, agent) {
            self.note_attendance(agent);
            self.tell(Tell::Agent(agent, agent::Command::SessionOpened));
        }
        let Some(port) = self.sessions.borrow().port(connection) else { return };
        let (version, offers, rows) = {
            let ledger = self.ledger.borrow();
            match ledger.mine(agent) {
                None => (0, Vec::new(), Vec::new()),
                Some(mine) => {
                    let rows =
                        mine.parts.iter().filter_map(|id| Some(self.with_face(ledger.line(*id)?.row())));
                    let rows = rows.collect();
                    (mine.version, mine.offers.values().cloned().collect(), rows)
                }
            }
        };
        let notice = Notice::AgentItems { agent, version, offers, conversations: rows };
        self.notify(smallvec::smallvec![port], notice);
    }

    /// Says for those off the arbiters whether an agent has a session.
    fn note_attendance(&self, agent: AgentId) {
        let here = !self.sessions.borrow().agent(agent).is_empty();
        self.local.shared.attendance.note(&self.id, agent, here);
    }

    // === Commands ===

    fn order(self: &Rc<Self>, connection: u64, ticket: Ticket, order: Order) {
        match order {
            Order::Start(opening, agent) => self.start_conversation(opening, agent, ticket),
            Order::Open(mut opening) => {
                self.sessions.borrow_mut().welcome(connection, opening.visitor);
                let id = opening.asked;
                if self.knows(id) {
                    let way = Way::Known;
                    self.tell(Tell::Conversation(id, conversation::Command::Open { opening, ticket, way }));
                } else {
                    self.lead(&mut opening);
                    self.tell(Tell::Workspace(workspace::Command::Open { opening, ticket }));
                }
            }
            Order::Ask(id, ask) => {
                if let By::Visitor(visitor) = ticket.by {
                    self.sessions.borrow_mut().welcome(connection, visitor);
                }
                let tell = Tell::Conversation(id, conversation::Command::Ask { ask, ticket });
                if let Err(Tell::Conversation(conversation, conversation::Command::Ask { ask, ticket })) =
                    self.try_tell(tell)
                {
                    // Its opening may be right before this, with the workspace.
                    self.tell(Tell::Workspace(workspace::Command::Relay { conversation, ask, ticket }));
                }
            }
            Order::OpenTeam(opening) => {
                let id = opening.asked;
                self.tell(if self.knows(id) {
                    let parties = Vec::new();
                    Tell::Conversation(id, conversation::Command::OpenTeam { opening, parties, ticket })
                } else {
                    Tell::Workspace(workspace::Command::OpenTeam { opening, ticket })
                });
            }
            Order::AskOf(id, address, what) => {
                let ask = self.agent_by_address(&address).map_or(Ask::OfNobody, |agent| what.of(agent));
                self.order(connection, ticket, Order::Ask(id, ask));
            }
            Order::SetPresence(agent, presence) => {
                self.tell(Tell::Agent(agent, agent::Command::SetPresence { presence, ticket }));
            }
            Order::SetPush(agent, push) => {
                self.tell(Tell::Agent(agent, agent::Command::SetPush { push, ticket }));
            }
            Order::PutAgent(agent, profile) => {
                self.tell(Tell::Workspace(workspace::Command::PutAgent { agent, profile, ticket }));
            }
            Order::ChangeAgent(agent, change) => {
                self.tell(Tell::Workspace(workspace::Command::ChangeAgent { agent, change, ticket }));
            }
            Order::RemoveAgent(agent) => {
                self.tell(Tell::Workspace(workspace::Command::RemoveAgent { agent, ticket }));
            }
            Order::ReportFailure(failure) => {
                self.tell(Tell::Workspace(workspace::Command::ReportFailure { failure, ticket }));
            }
            Order::Reinstate(subject) => self.reinstate(subject, ticket),
            Order::MintToken(grants, expires) => self.mint(grants, expires, ticket),
            Order::RevokeToken(id) => {
                self.tell(Tell::Workspace(workspace::Command::RevokeToken { id, ticket }))
            }
            Order::Erase(doomed, confirm) => self.erase(&ticket, doomed, confirm.as_deref()),
        }
    }

    fn mint(self: &Rc<Self>, grants: Grants, expires: Option<Timestamp>, ticket: Ticket) {
        let (token, text) = tokens::mint(grants, self.local.now(), expires);
        if let Some(reply_to) = ticket.reply_to {
            self.will_mint(reply_to, View::Minted { text, id: token.id.clone(), expires });
        }
        self.tell(Tell::Workspace(workspace::Command::MintToken { token, ticket }));
    }

    // === Queries ===

    fn query(self: &Rc<Self>, ticket: Ticket, query: Query) {
        let Some(reply_to) = ticket.reply_to else { return };
        match query {
            Query::Look(whom, what) => self.look(&whom, Look { what, ticket }),
            Query::Aside { cursor, limit } => {
                let view = self.list_aside(cursor.as_deref(), limit.clamp(1, PAGE));
                self.reply(reply_to, view);
            }
            Query::Conversations { phases, aside, group, agent, cursor, limit } => {
                let aside = aside.then(|| self.conversations_aside());
                let view = self.conversations(
                    &ticket,
                    &phases,
                    aside.as_deref(),
                    group.as_ref(),
                    agent,
                    cursor.as_deref(),
                    limit,
                );
                self.reply(reply_to, view);
            }
            Query::OfVisitor { visitor, cursor, limit } => {
                let view = self.of_visitor(&ticket, visitor, cursor.as_deref(), limit);
                self.reply(reply_to, view);
            }
            Query::Groups { cursor, limit } => self.groups(ticket, cursor.as_deref(), limit),
            Query::Agents { group, cursor, limit } => {
                self.agents(ticket, group.as_ref(), cursor.as_deref(), limit);
            }
            Query::Choices { cursor, limit } => {
                let answer = self.choices(cursor.as_deref(), limit.clamp(1, PAGE));
                self.reply(reply_to, answer);
            }
            Query::Visitors { filter, cursor, limit } => {
                let answer = self.list_visitors(&ticket, &filter, cursor.as_deref(), limit);
                self.reply(reply_to, answer);
            }
            Query::WatchVisitors => self.watch_visitors(reply_to),
            Query::Tokens { cursor, limit } => {
                let mut tokens = self.tokens.of(self.index);
                tokens.sort_by(|one, two| one.id.cmp(&two.id));
                tokens.retain(|token| cursor.as_deref().is_none_or(|cursor| token.id.as_str() > cursor));
                let more = tokens.len() > limit.clamp(1, PAGE);
                tokens.truncate(limit.clamp(1, PAGE));
                let used = |token: &Token| self.sessions.borrow().of_token(&token.id);
                let rows = tokens.into_iter().map(|token| (used(&token), token));
                let rows = rows.map(|(used, token)| (token, used)).collect();
                self.reply(reply_to, Answer::Found(Box::new(View::Tokens(rows, more))));
            }
            Query::KeepList(key) => self.keep_list(reply_to, key),
            Query::DropList(key) => {
                self.drop_list(reply_to.connection, key);
                self.answer(reply_to, Ok(Reply::Done));
            }
            Query::KeepCounts(agent) => self.keep_counts(reply_to, agent),
            Query::DropCounts(agent) => {
                self.drop_counts(reply_to.connection, agent);
                self.answer(reply_to, Ok(Reply::Done));
            }
            Query::Unsubscribe(feed) => {
                self.sessions.borrow_mut().unsubscribe(reply_to.connection, &feed);
                self.answer(reply_to, Ok(Reply::Done));
            }
        }
    }

    fn look(self: &Rc<Self>, whom: &Whom, look: Look) {
        let Err(look) = self.local.shared.directory.look(self.index, whom, look) else { return };
        let woken = matches!(whom, Whom::Conversation(id) if self.wake_to_look(*id));
        let left = if woken { self.local.shared.directory.look(self.index, whom, look) } else { Err(look) };
        if let Err(Look { ticket: Ticket { reply_to: Some(reply_to), .. }, .. }) = left {
            self.answer(reply_to, Err(Refusal::NotFound));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one question")]
    fn conversations(
        &self,
        ticket: &Ticket,
        phases: &[Phase],
        aside: Option<&[ConversationId]>,
        group: Option<&GroupId>,
        agent: Option<AgentId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Answer {
        let after = match cursor.map(parse_cursor) {
            Some(None) => return Answer::Refused(Refusal::Invalid("the cursor is not one that a page gave")),
            Some(Some(after)) => Some(after),
            None => None,
        };
        self.look_at_archive();
        let ledger = self.ledger.borrow();
        let mine = ticket.by.agent().and_then(|asker| ledger.mine(asker));
        let visible = |row: &ConversationRow| {
            let id = &row.conversation;
            if row.phase == Phase::Choosing {
                return false;
            }
            let in_scope = ticket.by.agent().is_none()
                || mine.is_some_and(|mine| mine.parts.contains(id) || mine.offers.contains_key(id))
                || row.is_in_scope(ticket);
            // Those of agents among themselves are listed while they are open, on request.
            let listed = !(row.is_team() && row.phase == Phase::Closed);
            in_scope
                && listed
                && group.is_none_or(|group| row.group.as_ref() == Some(group))
                && agent.is_none_or(|agent| row.owner == Some(agent))
        };
        let limit = limit.clamp(1, PAGE);
        let mut rows: Vec<ConversationRow> = match aside {
            None => {
                let mut open = phases.to_vec();
                open.retain(|phase| *phase != Phase::Closed);
                let listed = ledger.lines(&open, after).filter(|line| visible(line));
                let mut rows: Vec<_> = listed.take(limit + 1).map(|line| line.row()).collect();
                if phases.contains(&Phase::Closed) && rows.len() <= limit && agent.is_none() {
                    let after = after.filter(|(phase, _)| *phase == Phase::Closed).map(|(_, id)| id);
                    rows.extend(self.closed_rows(after, &visible, limit + 1 - rows.len()));
                }
                rows
            }
            Some(aside) => {
                let later =
                    |line: &&Rc<Line>| after.is_none_or(|after| (line.phase, line.conversation) > after);
                let lines = aside.iter().filter_map(|id| ledger.line(*id)).filter(later);
                let mut rows: Vec<_> = lines.filter(|line| visible(line)).map(|line| line.row()).collect();
                rows.sort_by_key(|row| (row.phase, row.conversation));
                rows.truncate(limit + 1);
                rows
            }
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        let rows = rows.into_iter().map(|row| self.with_face(row)).collect();
        Answer::Found(Box::new(View::Conversations(rows, more)))
    }

    /// A visitor's conversations, those that are open first.
    fn of_visitor(&self, ticket: &Ticket, visitor: VisitorId, cursor: Option<&str>, limit: usize) -> Answer {
        let after = match cursor.map(parse_cursor) {
            Some(None) => return Answer::Refused(Refusal::Invalid("the cursor is not one that a page gave")),
            Some(Some(after)) => Some(after),
            None => None,
        };
        self.look_at_archive();
        let limit = limit.clamp(1, PAGE);
        let ledger = self.ledger.borrow();
        let mine = ticket.by.agent().and_then(|asker| ledger.mine(asker));
        let visible = |row: &ConversationRow| {
            let id = &row.conversation;
            ticket.by.agent().is_none()
                || mine.is_some_and(|mine| mine.parts.contains(id) || mine.offers.contains_key(id))
                || row.is_in_scope(ticket)
        };
        let open = ledger.of_visitor(visitor).into_iter().filter_map(|id| ledger.line(id));
        let open = open.filter(|line| !matches!(line.phase, Phase::Closed | Phase::Choosing));
        let mut rows: Vec<_> = open.map(|line| line.row()).collect();
        rows.sort_unstable_by_key(|row| (row.phase, row.conversation));
        rows.retain(|row| after.is_none_or(|after| (row.phase, row.conversation) > after));
        let after = after.filter(|(phase, _)| *phase == Phase::Closed).map(|(_, id)| id);
        let closed = self.closed_of(visitor, after, limit + 1);
        rows.extend(closed.into_iter().filter_map(|id| self.closed_row(id)));
        rows.retain(visible);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let rows = rows.into_iter().map(|row| self.with_face(row)).collect();
        Answer::Found(Box::new(View::Conversations(rows, more)))
    }

    fn groups(self: &Rc<Self>, ticket: Ticket, cursor: Option<&str>, limit: usize) {
        let policy = self.policy();
        let everyone = GroupId::everyone();
        let mut ids: Vec<&GroupId> = policy.groups.keys().chain([&everyone]).collect();
        ids.sort();
        ids.retain(|id| ticket.by.agent().is_none() || ticket.covers(id));
        ids.retain(|id| cursor.is_none_or(|cursor| id.as_str() > cursor));
        let more = ids.len() > limit.clamp(1, PAGE);
        ids.truncate(limit.clamp(1, PAGE));
        let whom: Vec<Whom> = ids.into_iter().cloned().map(Whom::Group).collect();
        self.gather(&ticket, whom, Rows::Groups(Vec::new()), more);
    }

    fn agents(self: &Rc<Self>, ticket: Ticket, group: Option<&GroupId>, cursor: Option<&str>, limit: usize) {
        let after: Option<AgentId> = match cursor.map(str::parse) {
            Some(Err(_)) => {
                let refusal = Refusal::Invalid("the cursor is not one that a page gave");
                return ticket.reply_to.into_iter().for_each(|to| self.answer(to, Err(refusal)));
            }
            Some(Ok(after)) => Some(after),
            None => None,
        };
        let mut ids = match group {
            Some(group) => self.agents_of(group),
            None => self.agents_of(&GroupId::everyone()),
        };
        ids.sort_unstable();
        ids.retain(|id| after.is_none_or(|after| *id > after));
        let more = ids.len() > limit.clamp(1, PAGE);
        ids.truncate(limit.clamp(1, PAGE));
        let whom: Vec<Whom> = ids.into_iter().map(Whom::Agent).collect();
        self.gather(&ticket, whom, Rows::Agents(Vec::new()), more);
    }

    /// Asks several actors for their rows; the last one's answer completes the page. Who is not there has no row.
    fn gather(self: &Rc<Self>, ticket: &Ticket, whom: Vec<Whom>, rows: Rows, more: bool) {
        let Some(reply_to) = ticket.reply_to else { return };
        let gathering = Arc::new(Gathering::new(reply_to, rows, whom.len(), more));
        if whom.is_empty() {
            gathering.complete(self);
        }
        for whom in whom {
            let look = Look { what: What::Gather(Arc::clone(&gathering)), ticket: ticket.clone() };
            if self.local.shared.directory.look(self.index, &whom, look).is_err() {
                gathering.add(self, None, None);
            }
        }
    }
}
