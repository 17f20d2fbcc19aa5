//! A conversation that stands aside: its slots are freed, its queue is left, its owner is told, and the visitor gets the fallback if
//! nobody was talking with them. All of it from the lists: the machine may be past rebuilding.

use std::sync::Arc;

use super::Subject;
use crate::{
    actors::{
        conversation::ConversationActor,
        faults,
        history::Reading,
        port::{Notice, Numbered},
        publish::Listed,
        sessions::Feed,
        supervision::guard,
    },
    ids::AgentId,
    routing::{
        By, FallbackReason, Key, OfferOutcome, Refusal, Remains, RescindReason, Tell, Ticket, agent, aside,
        conversation::{Command, Conversation, Event, Phase, Record, Way},
        group, workspace,
    },
};

impl ConversationActor {
    /// Fallen too often, or past rebuilding. `remains`: the command that it fell over last.
    pub(in crate::actors) fn put_aside(&mut self, remains: Option<Remains>) {
        let id = self.machine.id();
        let Some(mut row) = self.line.as_ref().map(|line| line.row()) else {
            // It was never opened: there is nothing to set aside, and nobody who would miss it.
            self.machine = Conversation::new(id);
            return;
        };
        tracing::error!(conversation = %id, "a conversation fell too often and stands aside");
        self.aside = true;
        let now = self.space.local.now();
        if let Some((by, key)) = remains.and_then(|remains| Some((remains.by, remains.key?))) {
            self.record_aside(by, Some(key), vec![Event::CommandFailed]);
        }
        let mut events = vec![Event::Quarantined];
        if matches!(row.phase, Phase::Waiting | Phase::Offered) {
            events.push(self.fallback(row.group.as_ref()));
        }
        self.record_aside(By::System, None, events);
        self.space.set_aside(Subject::Conversation(id), now);
        self.let_go_of_all();
        if let Some(group) = row.group.clone() {
            self.space.tell(Tell::Group(group, group::Command::Leave { conversation: id }));
        }
        // Nobody knows of one whose visitor has not chosen a group, whatever becomes of it.
        if !matches!(row.phase, Phase::Closed | Phase::Choosing) {
            row.phase = Phase::Missed;
        }
        row.owner = None;
        row.waiting_since = None;
        row.seq = self.history.newest(Reading::Staff);
        self.list(row);
        let rebuilt = guard(|| self.space.read_back(id, self.history.positions())).flatten();
        self.machine = rebuilt.map_or_else(|| Conversation::new(id), |folded| folded.machine);
    }

    /// What the visitor is told whom nobody was serving.
    fn fallback(&self, group: Option<&crate::ids::GroupId>) -> Event {
        let policy = self.space.policy();
        let rules = group.and_then(|group| policy.group(group)).unwrap_or(&policy.everyone);
        Event::FellBack {
            reason: FallbackReason::Quarantined,
            message: rules.fallback_message.clone(),
            expires: self.space.local.now() + policy.missed_ttl,
        }
    }

    /// Appends a record that no machine decided, and tells who takes part, who watches and the visitor.
    fn record_aside(&mut self, by: By, key: Option<Key>, events: Vec<Event>) {
        let id = self.machine.id();
        let record = Arc::new(Record { at: self.space.local.now(), by, key, events });
        let position = self.space.local.record_conversation(&self.space, id, &record);
        let numbered = Numbered {
            record: Arc::clone(&record),
            seq: self.history.newest(Reading::Staff),
            visitor_seq: self.history.newest(Reading::Visitor),
        };
        self.history.add(position, &record);
        if guard(|| self.marks.count(&self.space, &record)).is_none() {
            tracing::error!(conversation = %id, "what set a conversation aside could not be counted");
        }
        self.announce_aside(&numbered);
    }

    fn announce_aside(&self, numbered: &Numbered) {
        let (space, conversation) = (&self.space, self.machine.id());
        let staff = space.ledger.borrow().parties(conversation);
        let watching = |as_visitor| space.feed(&Feed::Conversation { conversation, as_visitor });
        let ears = staff.into_iter().map(|agent| (Some(agent), space.sessions.borrow().agent(agent)));
        for (agent, ports) in ears.chain([(None, watching(false))]) {
            let record = numbered.clone();
            space.notify(ports, Notice::StaffEvents { conversation, agent, record, after: 0 });
        }
        let Some(line) = self.line.as_deref() else { return };
        if numbered.record.events.iter().any(Event::visitor_sees) {
            let (visitor, record) = (line.visitor, numbered.clone());
            let faces = space.faces_of(Default::default());
            let notice = Notice::VisitorEvents { conversation, visitor, record, after: 0, faces };
            let ports = space.sessions.borrow().visitor(visitor, line.via);
            space.notify(ports, notice.clone());
            space.notify(watching(true), notice);
        }
    }

    /// Frees every slot that is held for it, and ends what is pending.
    fn let_go_of_all(&mut self) {
        let conversation = self.machine.id();
        self.listed = Listed::default();
        let let_go = self.space.ledger.borrow_mut().let_go(conversation);
        for (agent, holding) in let_go {
            if holding.slot {
                let holds = agent::Command::Holds { conversation, epoch: 0, held: None, grant: 0 };
                self.space.tell(Tell::Agent(agent, holds));
            }
            if let Some(offer) = holding.offer {
                self.end_offer(agent, offer);
            }
        }
    }

    fn end_offer(&self, agent: AgentId, offer: u32) {
        let conversation = self.machine.id();
        let outcome = OfferOutcome::Rescinded(RescindReason::Removed);
        let ports = self.space.sessions.borrow().agent(agent);
        self.space.notify(ports, Notice::OfferEnded { agent, conversation, offer, outcome });
    }

    /// What comes for a conversation that stands aside.
    pub(in crate::actors) fn stand_aside(&mut self, command: Command) {
        let id = self.machine.id();
        match command {
            Command::Reinstate { ticket } => self.ask_back(ticket),
            Command::ReopenGranted { ticket, .. } => self.come_back(&ticket),
            // Whoever may not know of it hears that there is no such thing.
            Command::Ask { ticket, .. } | Command::Open { ticket, way: Way::Known, .. }
                if !self.machine.may_read(&ticket) =>
            {
                ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Err(Refusal::NotFound)));
            }
            command => self.space.pass_on(aside::to_conversation(id, command)),
        }
    }

    /// An open one has to be its visitor's only one: the workspace knows.
    fn ask_back(&mut self, ticket: Ticket) {
        let conversation = self.machine.id();
        let row = self.line.as_ref().map(|line| line.row());
        match row.filter(|row| row.phase != Phase::Closed) {
            Some(row) => {
                let (visitor, channel) = (row.visitor, row.channel);
                // Whether it still stands aside when the answer comes is seen then.
                let (epoch, engages) = (0, false);
                let reopen =
                    workspace::Command::Reopen { visitor, channel, conversation, epoch, engages, ticket };
                self.space.tell(Tell::Workspace(reopen));
            }
            None => self.come_back(&ticket),
        }
    }

    fn come_back(&mut self, ticket: &Ticket) {
        let id = self.machine.id();
        let rebuild = || {
            faults::in_rebuild(&self.machine, &"");
            self.space.read_back(id, self.history.positions())
        };
        let Some(folded) = guard(rebuild).flatten() else {
            tracing::error!(conversation = %id, "a conversation can't be rebuilt and still stands aside");
            return ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Err(Refusal::Failed)));
        };
        self.machine = folded.machine;
        self.failures = None;
        self.aside = false;
        if self.line.is_none() {
            // It could not be read at the start: nothing is listed of it, nobody holds a slot for it, and that is not recorded yet.
            self.recall();
            self.resume();
            if !self.machine.is_quarantined() {
                self.put_aside(None);
                self.aside = false;
            }
        }
        self.run(self.space.local.now(), Command::Reinstate { ticket: ticket.clone() });
        if self.machine.is_quarantined() {
            self.aside = true;
            return;
        }
        self.space.taken_back(&Subject::Conversation(id));
        tracing::info!(conversation = %id, "takes part again");
        self.catch_up();
    }
}
