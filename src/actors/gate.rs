//! The way in from the connections: commands, queries and sessions, each for one workspace. A connection hands over everything it
//! read at one wake-up; if the workspace lives on another arbiter it crosses in one batch.

mod orders;
mod pages;
mod words;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use smol_str::SmolStr;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::{
    intake::Intake,
    local::{Local, Shared},
    port::{Notice, Port},
    space::Space,
    supervision::guard,
    tokens::TokenBook,
};
use crate::{
    ids::{AgentId, ClientId, ConversationId, VisitorId, WorkspaceId},
    routing::{
        By, Key, Refusal, Reply, ReplyTo, Tell, Ticket,
        agent::{self},
        conversation::{self},
        workspace::Grants,
    },
};

pub use words::{AskOf, Asked, Inbound, Order, Query};

/// Rows of one page.
pub(super) const PAGE: usize = 100;

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
        let theirs = self.ledger.borrow().of_visitor(visitor);
        for conversation in theirs {
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
        let theirs = self.ledger.borrow().of_visitor(visitor);
        for conversation in theirs {
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

    // === Queries ===
}
