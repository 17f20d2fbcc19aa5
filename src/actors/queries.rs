//! What people ask about the state of things. Each answer waits for the log like any other, so nobody reads what a crash could undo.

use std::sync::Arc;

use actix::{Context, Handler, Message};
use smol_str::SmolStr;

use super::{
    agent::AgentActor,
    conversation::ConversationActor,
    directory::Whom,
    group::GroupActor,
    history::Reading,
    ledger::Ledger,
    port::{
        AgentRow, AgentView, Answer, Audience, ConversationView, Faces, GroupRow, Notice, Numbered, View,
        fallback_words,
    },
    publish,
    sessions::Feed,
    space::Space,
    supervision::guard,
    workspace::WorkspaceActor,
};
use crate::{
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        By, Refusal, ReplyTo, Ticket, WhyNot,
        agent::Held,
        conversation::{self, Conversation, Event, Party, Phase, Rating},
    },
};

/// Records that one page of a history reads at most.
const RECORDS_PAGE: usize = 200;

/// Bytes of events that a subscription tells again at most, about.
const REPLAY_BYTES: usize = 128 * 1_024;

/// A question to one actor.
#[derive(Debug)]
pub struct Look {
    /// What is asked.
    pub what: What,
    /// Who asks, and where the answer goes.
    pub ticket: Ticket,
}

impl Message for Look {
    type Result = ();
}

/// What is asked of one actor.
#[derive(Debug)]
pub enum What {
    /// Look closely.
    Show,
    /// A page of events after a number.
    History {
        /// The last number known.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// Why it was routed as it was; why not to this agent.
    Explain {
        /// The agent.
        agent: Option<AgentId>,
    },
    /// Where it stands in its queue.
    Position {
        /// The conversation, when a group is asked.
        conversation: Option<ConversationId>,
    },
    /// Tell the others that the asker is typing, or no longer.
    Typing(bool),
    /// Subscribe the asking connection to the feed; events after this number come first.
    Subscribe {
        /// The last number known.
        after: u64,
    },
    /// One row of a list that is gathered.
    Gather(Arc<Gathering>),
}

/// A list that is asked of several actors; the last answer completes it.
#[derive(Debug)]
pub struct Gathering {
    /// Where it goes.
    reply_to: ReplyTo,
    /// What has come, and how many are still to answer.
    state: std::sync::Mutex<(Rows, usize)>,
    /// Whether there is another page.
    more: bool,
}

/// Rows of one kind.
#[derive(Debug)]
pub enum Rows {
    /// Groups.
    Groups(Vec<GroupRow>),
    /// Agents.
    Agents(Vec<AgentRow>),
}

impl Gathering {
    /// A list of which so many are asked.
    #[must_use]
    pub fn new(reply_to: ReplyTo, rows: Rows, asked: usize, more: bool) -> Self {
        Self { reply_to, state: std::sync::Mutex::new((rows, asked)), more }
    }

    /// One of those who were asked has answered, or is not there.
    pub fn add(&self, space: &Space, group: Option<GroupRow>, agent: Option<AgentRow>) {
        let left = {
            let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match &mut state.0 {
                Rows::Groups(rows) => rows.extend(group),
                Rows::Agents(rows) => rows.extend(agent),
            }
            state.1 = state.1.saturating_sub(1);
            state.1
        };
        if left == 0 {
            self.complete(space);
        }
    }

    /// Nobody is left who could answer.
    pub fn complete(&self, space: &Space) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let view = match &mut state.0 {
            Rows::Groups(rows) => View::Groups(std::mem::take(rows), self.more),
            Rows::Agents(rows) => View::Agents(std::mem::take(rows), self.more),
        };
        space.reply(self.reply_to, Answer::Found(Box::new(view)));
    }
}

fn found(space: &Space, ticket: &Ticket, view: View) {
    if let Some(reply_to) = ticket.reply_to {
        space.reply(reply_to, Answer::Found(Box::new(view)));
    }
}

fn refuse(space: &Space, ticket: &Ticket, refusal: Refusal) {
    if let Some(reply_to) = ticket.reply_to {
        space.reply(reply_to, Answer::Refused(refusal));
    }
}

// === Conversations ===

impl Handler<Look> for ConversationActor {
    type Result = ();
    fn handle(&mut self, look: Look, context: &mut Context<Self>) {
        // A look changes nothing, so there is nothing to rebuild.
        if guard(|| self.look(look)).is_none() {
            tracing::error!("a query fell");
        }
        self.retire_if_closed(context);
    }
}

impl ConversationActor {
    fn look(&self, look: Look) {
        if !self.machine.may_read(&look.ticket) {
            return refuse(&self.space, &look.ticket, Refusal::NotFound);
        }
        let Look { what, ticket } = look;
        match what {
            What::Show => self.show(&ticket),
            What::History { after, limit } => {
                let conversation = self.machine.id();
                let reading = match ticket.by {
                    By::Visitor(_) => Reading::Visitor,
                    _ => Reading::Staff,
                };
                let records = self.records_after(after, reading);
                let newest = self.history.newest(reading);
                let faces = (reading == Reading::Visitor).then(|| self.faces());
                let view = View::History { conversation, records, faces, after, limit, newest };
                found(&self.space, &ticket, view);
            }
            What::Explain { agent } => self.explain(agent, ticket),
            What::Position { .. } => self.position(ticket),
            What::Typing(typing) => self.typing(&ticket, typing),
            What::Subscribe { after } => self.subscribe(&ticket, after),
            What::Gather(_) => {}
        }
    }
}

impl ConversationActor {
    fn show(&self, ticket: &Ticket) {
        let listed = || self.line.as_ref().map(|line| line.row());
        let Some(row) = self.row().or_else(listed).map(|row| self.space.with_face(row)) else {
            return refuse(&self.space, ticket, Refusal::NotFound);
        };
        let machine = &self.machine;
        let pending = machine.pending_agents().into_iter();
        let view = ConversationView {
            row,
            participants: machine.participants().to_vec(),
            variables: machine.variables(),
            tags: machine.facts().map(|facts| facts.tags().to_vec()).unwrap_or_default(),
            answered_by_human: machine.answered_by_human(),
            may_return_to_bot: machine.may_return_to_bot(),
            rating: match machine.rating() {
                Some(Rating::Given { score, .. }) => Some(*score),
                Some(Rating::Asked) | None => None,
            },
            pending: pending.filter_map(|agent| Some((agent, machine.pending_for(agent)?))).collect(),
            stay: machine.stay(),
            quarantined: self.aside,
            because: because(machine),
        };
        found(&self.space, ticket, View::Conversation(Box::new(view)));
        // Who opens it has read it (BO-19).
        if let Some(ask) = self.machine.opening_it_marks(ticket).filter(|_| !self.aside) {
            let ticket = Ticket { key: None, reply_to: None, ..ticket.clone() };
            let command = conversation::Command::Ask { ask, ticket };
            self.space.tell(crate::routing::Tell::Conversation(self.machine.id(), command));
        }
    }

    /// The records that hold events after a number of the asking audience, at most a page of them.
    fn records_after(&self, after: u64, reading: Reading) -> Vec<Numbered> {
        self.history.page(after, reading, RECORDS_PAGE, self.space.reader(self.machine.id()))
    }

    /// What a visitor sees of staff, for telling old events again.
    fn faces(&self) -> Faces {
        self.space.faces_of(self.history.faces().iter().cloned().collect())
    }

    fn explain(&self, agent: Option<AgentId>, ticket: Ticket) {
        let conversation = self.machine.id();
        let view = View::Explanation {
            conversation,
            records: self.history.decisions(self.space.reader(self.machine.id())),
            policy: self.space.policy(),
            waits_because: because(&self.machine),
            agent: None,
        };
        // Whether an agent would be offered it is for the group to say, which knows both.
        match (agent, self.machine.group()) {
            (Some(agent), Some(group)) => {
                let site = self.machine.site().cloned();
                let asked = ExplainAgent { conversation, agent, site, view: Box::new(view), ticket };
                let refused = self.space.ask_group(group, asked);
                if let Err(asked) = refused {
                    found(&self.space, &asked.ticket, *asked.view);
                }
            }
            _ => found(&self.space, &ticket, view),
        }
    }

    fn position(&self, ticket: Ticket) {
        let waiting = self.machine.waiting_since().zip(self.machine.group());
        let Some(((_, since), group)) = waiting else {
            return found(&self.space, &ticket, View::Position { ahead: None, since: None });
        };
        let what = What::Position { conversation: Some(self.machine.id()) };
        let look = Look { what, ticket };
        let asked =
            self.space.local.shared.directory.look(self.space.index, &Whom::Group(group.clone()), look);
        if let Err(look) = asked {
            found(&self.space, &look.ticket, View::Position { ahead: None, since: Some(since) });
        }
    }

    fn typing(&self, ticket: &Ticket, typing: bool) {
        let parts = self.machine.owner().into_iter().chain(self.machine.participants());
        let asker = ticket.by.agent().or(ticket.by.is_supervisor().then_some(Party::SUPERVISOR));
        let name = asker.and_then(|asker| parts.clone().find(|party| party.agent == asker));
        let by = name.map(|party| party.name.clone());
        let conversation = self.machine.id();
        let refusal = match ticket.by {
            _ if self.machine.phase() == Some(Phase::Closed) => Some(Refusal::ConversationClosed),
            By::Visitor(_) => None,
            By::Bot => (self.machine.phase() != Some(Phase::Bot)).then_some(Refusal::HandedOff),
            _ => by.is_none().then_some(Refusal::WrongState("join the conversation before writing")),
        };
        if let Some(refusal) = refusal {
            return refuse(&self.space, ticket, refusal);
        }
        for party in parts.filter(|party| Some(party.agent) != asker) {
            let ports = self.space.sessions.borrow().agent(party.agent);
            let to = Audience::Agent(party.agent);
            self.space.notify(ports, Notice::Typing { conversation, to, by: by.clone(), typing });
        }
        let from_our_side = by.is_some() || ticket.by == By::Bot;
        if let (Some((visitor, _, via)), true) = (self.machine.visitor(), from_our_side) {
            let ports = self.space.sessions.borrow().visitor(visitor, via);
            let to = Audience::Visitor(visitor);
            self.space.notify(ports, Notice::Typing { conversation, to, by, typing });
        }
        if let Some(reply_to) = ticket.reply_to {
            self.space.answer(reply_to, Ok(crate::routing::Reply::Done));
        }
    }

    /// What came after the known number comes first, then news, without a gap: both in the order in which effects are released.
    /// What would crowd the connection is left to be read page by page.
    fn subscribe(&self, ticket: &Ticket, after: u64) {
        let Some(reply_to) = ticket.reply_to else { return };
        let as_visitor = matches!(ticket.by, By::Visitor(_) | By::Frontend);
        let (seq, visitor_seq) = self.machine.numbers();
        let version = if as_visitor { visitor_seq } else { seq };
        let reading = if as_visitor { Reading::Visitor } else { Reading::Staff };
        let page = self.records_after(after, reading);
        let weighs = page.iter().map(weight).sum::<usize>();
        let told = page.len() < RECORDS_PAGE && weighs <= REPLAY_BYTES;
        let next = (!told).then_some(version + 1);
        found(&self.space, ticket, View::Subscribed { version, next });
        let Some(port) = self.space.sessions.borrow().port(reply_to.connection) else { return };
        let conversation = self.machine.id();
        if told {
            let ports: super::sessions::Ports = smallvec::smallvec![port];
            let faces = as_visitor.then(|| self.faces());
            for numbered in &page {
                publish::replay(self, numbered, after, faces.as_ref(), &ports);
            }
        }
        let feed = Feed::Conversation { conversation, as_visitor };
        self.space.sessions.borrow_mut().subscribe(reply_to.connection, feed);
    }
}

/// About how many bytes a record's events take on the wire.
fn weight(numbered: &Numbered) -> usize {
    let body = |event: &Event| match event {
        Event::Said { body } | Event::Noted { body } | Event::Posted { body, .. } => body.0.len(),
        Event::FellBack { message: Some(message), .. } | Event::TurnedAway { message: Some(message), .. } => {
            message.len()
        }
        _ => 0,
    };
    numbered.record.events.iter().map(|event| 256 + body(event)).sum()
}

/// Why a conversation waits, or why it is missed.
fn because(machine: &Conversation) -> Option<String> {
    match machine.phase()? {
        Phase::Waiting => Some("no eligible agent has a free slot".to_owned()),
        Phase::Offered => {
            let agents = machine.pending_agents();
            let names: Vec<String> = agents.iter().take(4).map(ToString::to_string).collect();
            Some(format!("offered to {}", names.join(", ")))
        }
        Phase::Missed => machine.missed_because().map(|reason| format!("missed: {}", fallback_words(reason))),
        Phase::Bot => Some("the bot has the hand".to_owned()),
        Phase::Active | Phase::Closed | Phase::Choosing | Phase::Team => None,
    }
}

// === Groups ===

/// Why one agent is not offered one conversation, to be added to an explanation.
#[derive(Debug)]
pub struct ExplainAgent {
    /// The conversation.
    pub conversation: ConversationId,
    /// The agent.
    pub agent: AgentId,
    /// The site that the conversation is on.
    pub site: Option<SmolStr>,
    /// The explanation so far.
    pub view: Box<View>,
    /// Who asks.
    pub ticket: Ticket,
}

impl Message for ExplainAgent {
    type Result = ();
}

impl Handler<ExplainAgent> for GroupActor {
    type Result = ();
    fn handle(&mut self, mut asked: ExplainAgent, _: &mut Context<Self>) {
        let why_not = || self.machine.why_not(asked.conversation, asked.agent, asked.site.as_ref());
        let reason: Option<WhyNot> = guard(why_not).flatten();
        if let View::Explanation { agent, .. } = &mut *asked.view {
            *agent = Some(reason);
        }
        found(&self.space, &asked.ticket, *asked.view);
    }
}

impl Handler<Look> for GroupActor {
    type Result = ();
    fn handle(&mut self, look: Look, _: &mut Context<Self>) {
        // A look changes nothing, so there is nothing to rebuild.
        if guard(|| self.look(look)).is_none() {
            tracing::error!("a query fell");
        }
    }
}

impl GroupActor {
    fn look(&self, look: Look) {
        let Look { what, ticket } = look;
        let counted = matches!(what, What::Gather(_) | What::Position { .. });
        if !counted && ticket.by.agent().is_some() && !ticket.covers(self.machine.id()) {
            return refuse(&self.space, &ticket, Refusal::NotFound);
        }
        let row = self.space.group_row(&self.machine, false);
        match what {
            What::Gather(gathering) => gathering.add(&self.space, Some(row), None),
            What::Position { conversation: Some(conversation) } => {
                let ahead = self.machine.ahead_of(conversation);
                let since = self.space.ledger.borrow().line(conversation).and_then(|line| line.waiting_since);
                found(&self.space, &ticket, View::Position { ahead, since });
            }
            What::Subscribe { .. } => {
                found(&self.space, &ticket, View::Subscribed { version: row.version, next: None });
                if let Some(reply_to) = ticket.reply_to {
                    let feed = Feed::Group(self.machine.id().clone());
                    self.space.sessions.borrow_mut().subscribe(reply_to.connection, feed);
                    if let Some(port) = self.space.sessions.borrow().port(reply_to.connection) {
                        self.space.notify(smallvec::smallvec![port], Notice::GroupChanged(Box::new(row)));
                    }
                }
            }
            _ => {
                let line = self.machine.head(50);
                found(&self.space, &ticket, View::Group(GroupRow { line, ..row }));
            }
        }
    }
}

// === Agents ===

impl Handler<Look> for AgentActor {
    type Result = ();
    fn handle(&mut self, look: Look, _: &mut Context<Self>) {
        // A look changes nothing, so there is nothing to rebuild.
        if guard(|| self.look(look)).is_none() {
            tracing::error!("a query fell");
        }
    }
}

impl AgentActor {
    fn look(&self, look: Look) {
        let Look { what, ticket } = look;
        match what {
            What::Gather(gathering) => gathering.add(&self.space, None, Some(self.row())),
            What::Subscribe { .. } => {
                let row = self.row();
                found(&self.space, &ticket, View::Subscribed { version: row.version, next: None });
                if let Some(reply_to) = ticket.reply_to {
                    let feed = Feed::Agent(self.machine.id());
                    self.space.sessions.borrow_mut().subscribe(reply_to.connection, feed);
                    if let Some(port) = self.space.sessions.borrow().port(reply_to.connection) {
                        self.space.notify(smallvec::smallvec![port], Notice::AgentChanged(Box::new(row)));
                    }
                }
            }
            _ => {
                let ledger = self.space.ledger.borrow();
                let since =
                    |id| ledger.line(id).map_or_else(|| self.space.local.now(), |line| line.opened_at);
                let holds = self.holds(&ledger).into_iter().map(|(id, held)| (id, held, since(id))).collect();
                let view = AgentView { row: self.row(), holds };
                found(&self.space, &ticket, View::Agent(Box::new(view)));
            }
        }
    }
}

impl AgentActor {
    /// What holds their slots; by the lists, while the machine stands still.
    fn holds(&self, ledger: &Ledger) -> Vec<(ConversationId, Held)> {
        let id = self.machine.id();
        let Some(mine) = ledger.mine(id).filter(|_| self.aside) else {
            return self.machine.holds().collect();
        };
        let owns = |conversation| ledger.line(conversation).is_some_and(|line| line.owner == Some(id));
        let held = |conversation| if owns(conversation) { Held::Owned } else { Held::Reserved };
        mine.slots.iter().map(|conversation| (*conversation, held(*conversation))).collect()
    }
}

// === Workspaces ===

impl Handler<Look> for WorkspaceActor {
    type Result = ();
    fn handle(&mut self, look: Look, _: &mut Context<Self>) {
        // A look changes nothing, so there is nothing to rebuild.
        let policy = self.space.policy();
        match guard(|| self.machine.counts()) {
            Some(counts) => found(&self.space, &look.ticket, View::Workspace { counts, policy }),
            None => tracing::error!("a query fell"),
        }
    }
}

impl Space {
    /// Asks a group about an agent.
    ///
    /// # Errors
    /// The question, if there is no such group.
    fn ask_group(&self, group: &GroupId, asked: ExplainAgent) -> Result<(), ExplainAgent> {
        self.local.shared.directory.explain(self.index, group, asked)
    }
}
