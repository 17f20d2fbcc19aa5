//! One workspace on its arbiter: its rules, lists, sessions, and the way in which its machines are told things.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::Addr;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{
    agent::AgentActor,
    aside::List,
    conversation::ConversationActor,
    ledger::Ledger,
    local::{Effect, Local},
    port::{Answer, GroupRow, Notice, View},
    sessions::{Feed, Ports, Sessions},
    tokens::TokenBook,
};
use crate::{
    clock::Timestamp,
    codec,
    ids::{AgentId, ConversationId, GroupId, WorkspaceId},
    journal::Position,
    metrics::GroupMetrics,
    routing::{
        Context, Policy, Refusal, Reply, ReplyTo, Tell, agent,
        conversation::{self, Conversation, Way},
        recovery::Entry,
        undeliverable::undeliverable,
    },
};

/// Where a conversation's records are in the log, oldest first.
pub type Records = SmallVec<[Position; 6]>;

/// One workspace, where it runs.
pub struct Space {
    /// Its number in this daemon.
    pub index: u32,
    /// Its name.
    pub id: WorkspaceId,
    /// Its arbiter.
    pub local: Rc<Local>,
    /// Who is connected.
    pub sessions: RefCell<Sessions>,
    /// Its lists.
    pub(super) ledger: RefCell<Ledger>,
    /// Who stands aside.
    pub(super) aside: RefCell<List>,
    /// Its tokens, for whoever says Hello.
    pub tokens: Arc<TokenBook>,
    policy: RefCell<Arc<Policy>>,
    generations: RefCell<BTreeMap<AgentId, u32>>,
    scopes: RefCell<HashMap<AgentId, Arc<[GroupId]>, RandomState>>,
    group_metrics: RefCell<HashMap<GroupId, Arc<GroupMetrics>, RandomState>>,
    group_versions: RefCell<HashMap<GroupId, u64, RandomState>>,
    /// Closed conversations: no actor, read from the log when asked for.
    closed: RefCell<HashMap<ConversationId, Records, RandomState>>,
    /// Actors on their way out, which may still be called back.
    leaving: RefCell<HashMap<ConversationId, Addr<ConversationActor>, RandomState>>,
    restarts: RefCell<Vec<Restart>>,
    minted: RefCell<HashMap<ReplyTo, View, RandomState>>,
}

/// A start of the daemon that moved deadlines.
#[derive(Debug, Clone, Copy)]
pub struct Restart {
    /// Where in the log.
    pub position: Position,
    /// When.
    pub at: Timestamp,
    /// The newest time in the log before.
    pub last: Timestamp,
    /// How long agents had to reconnect.
    pub grace: Duration,
}

impl Space {
    /// A workspace without anybody in it.
    #[must_use]
    pub fn new(
        index: u32,
        id: WorkspaceId,
        local: Rc<Local>,
        policy: Arc<Policy>,
        tokens: Arc<TokenBook>,
    ) -> Rc<Self> {
        Rc::new(Self {
            index,
            id,
            local,
            sessions: RefCell::default(),
            ledger: RefCell::default(),
            aside: RefCell::default(),
            tokens,
            policy: RefCell::new(policy),
            generations: RefCell::default(),
            scopes: RefCell::default(),
            group_metrics: RefCell::default(),
            group_versions: RefCell::default(),
            closed: RefCell::default(),
            leaving: RefCell::default(),
            restarts: RefCell::default(),
            minted: RefCell::default(),
        })
    }

    /// The operator's rules.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }

    /// Other rules from now on; whoever goes by them is told.
    pub fn set_policy(&self, policy: Arc<Policy>) {
        *self.policy.borrow_mut() = policy;
        self.group_metrics.borrow_mut().clear();
        self.local.shared.directory.tell_all_of_policy(self.index);
    }

    /// Runs something with what a machine may know at a time: its actor reads the clock once per command.
    pub fn with_context<T>(&self, now: Timestamp, run: impl FnOnce(&Context<'_>) -> T) -> T {
        let policy = self.policy.borrow();
        let generations = self.generations.borrow();
        run(&Context { now, policy: &policy, generations: &generations })
    }

    /// A rebuilt agent's next generation.
    pub fn next_generation(&self, agent: AgentId) -> u32 {
        let mut generations = self.generations.borrow_mut();
        let generation = generations.entry(agent).or_default();
        *generation += 1;
        *generation
    }

    /// The groups that an agent belongs to: their scope.
    #[must_use]
    pub fn scope(&self, agent: AgentId) -> Option<Arc<[GroupId]>> {
        self.scopes.borrow().get(&agent).cloned()
    }

    /// The agents who belong to a group.
    #[must_use]
    pub fn agents_of(&self, group: &GroupId) -> Vec<AgentId> {
        let scopes = self.scopes.borrow();
        let members = scopes.iter().filter(|(_, groups)| group.is_everyone() || groups.contains(group));
        members.map(|(agent, _)| *agent).collect()
    }

    /// An agent belongs to these groups.
    pub fn set_scope(&self, agent: AgentId, groups: &[GroupId]) {
        self.scopes.borrow_mut().insert(agent, groups.into());
    }

    /// What a group's events are counted with.
    #[must_use]
    pub fn group_metrics(&self, group: &GroupId) -> Arc<GroupMetrics> {
        if let Some(metrics) = self.group_metrics.borrow().get(group) {
            return Arc::clone(metrics);
        }
        let metrics = self.local.shared.metrics.group(self.id.as_str(), group.as_str());
        self.group_metrics.borrow_mut().insert(group.clone(), Arc::clone(&metrics));
        metrics
    }

    // === Telling machines ===

    /// Tells a machine, starting or waking it if that is what it takes.
    pub fn tell(self: &Rc<Self>, tell: Tell) {
        if let Err(nobody) = self.try_tell(tell) {
            self.compensate(nobody);
        }
    }

    /// As [`Space::tell`], but gives back what is for nobody.
    ///
    /// # Errors
    /// The message, if there is no machine of that name, running or to be woken.
    pub(super) fn try_tell(self: &Rc<Self>, tell: Tell) -> Result<(), Tell> {
        let Err(tell) = self.local.shared.directory.tell(self.index, tell) else { return Ok(()) };
        let tell = match tell {
            Tell::Conversation(id, command) if self.wake(id, &command) => Tell::Conversation(id, command),
            Tell::Agent(id, command @ agent::Command::Put { .. }) => {
                AgentActor::begin(self, agent::Agent::new(id));
                Tell::Agent(id, command)
            }
            nobody => return Err(nobody),
        };
        self.local.shared.directory.tell(self.index, tell)
    }

    /// Makes sure that a conversation's actor runs, if there is such a conversation; whether it does.
    fn wake(self: &Rc<Self>, id: ConversationId, command: &conversation::Command) -> bool {
        if let Some(address) = self.leaving.borrow_mut().remove(&id) {
            self.local.shared.directory.enter_conversation(self.index, id, address);
            return true;
        }
        let records = self.closed.borrow_mut().remove(&id);
        if let Some(records) = records {
            return self.revive(id, records);
        }
        let opens = match command {
            conversation::Command::Open { way, .. } => *way == Way::New,
            conversation::Command::Failed { opening, .. } => *opening,
            _ => false,
        };
        if opens {
            ConversationActor::begin(self, Conversation::new(id), Records::new());
            return true;
        }
        false
    }

    fn revive(self: &Rc<Self>, id: ConversationId, records: Records) -> bool {
        match self.read_back(id, &records) {
            Some(machine) => {
                let visitor = machine.visitor().map(|(visitor, _, via)| (visitor, via));
                ConversationActor::begin(self, machine, records);
                if let Some((visitor, via)) = visitor {
                    // The log can't tell whether the visitor is there, and it may be opened again.
                    let present = self.sessions.borrow().has_visitor(visitor, via);
                    self.tell(Tell::Conversation(id, conversation::Command::VisitorPresent(present)));
                }
                true
            }
            None => {
                self.closed.borrow_mut().insert(id, records);
                false
            }
        }
    }

    /// What an undeliverable tell leads to.
    pub(super) fn compensate(self: &Rc<Self>, tell: Tell) {
        let undelivered = undeliverable(tell);
        if let Some((reply_to, refusal)) = undelivered.refused {
            self.answer(reply_to, Err(refusal));
        }
        undelivered.tells.into_iter().for_each(|tell| self.tell(tell));
    }

    /// Whether there is such a conversation, running or closed.
    #[must_use]
    pub fn knows(&self, id: ConversationId) -> bool {
        self.local.shared.directory.has_conversation(self.index, id)
            || self.closed.borrow().contains_key(&id)
            || self.leaving.borrow().contains_key(&id)
    }

    /// A query for a closed conversation wakes it.
    pub fn wake_to_look(self: &Rc<Self>, id: ConversationId) -> bool {
        self.wake(id, &conversation::Command::Tick)
    }

    // === Closed conversations ===

    /// A closed conversation's actor is about to end; whether it was not already.
    pub fn leave(&self, id: ConversationId) -> bool {
        let address = self.local.shared.directory.take_conversation(self.index, id);
        let staying = address.is_some();
        self.leaving.borrow_mut().extend(address.map(|address| (id, address)));
        staying
    }

    /// Whether it may end, as nobody called it back meanwhile; then it is remembered by its records, if it has any.
    pub fn left(&self, id: ConversationId, records: &Records) -> bool {
        let left = self.leaving.borrow_mut().remove(&id).is_some();
        if left && !records.is_empty() {
            self.closed.borrow_mut().insert(id, records.clone());
        }
        left
    }

    /// A conversation that was closed before the start.
    pub fn remember_closed(&self, id: ConversationId, records: Records) {
        self.closed.borrow_mut().insert(id, records);
    }

    /// The daemon was started: rebuilding a conversation has to move its deadlines at this place of the log.
    pub fn remember_restart(&self, restart: Restart) {
        self.restarts.borrow_mut().push(restart);
    }

    /// A conversation as its records leave it; `None` if the log can't be read.
    #[must_use]
    pub fn read_back(&self, id: ConversationId, records: &[Position]) -> Option<Conversation> {
        let mut machine = Conversation::new(id);
        let restarts = self.restarts.borrow();
        let mut pending = restarts.iter().peekable();
        for position in records {
            while let Some(restart) = pending.next_if(|restart| restart.position < *position) {
                machine.rebase(restart.last, restart.at, restart.grace);
            }
            machine.replay(&self.read_record(*position)?);
        }
        pending.for_each(|restart| machine.rebase(restart.last, restart.at, restart.grace));
        Some(machine)
    }

    /// One record of a conversation; `None`, logged, if the log can't be read.
    #[must_use]
    pub fn read_record(&self, position: Position) -> Option<conversation::Record> {
        let mut bytes = Vec::new();
        let read = self.local.shared.journal.read(position, &mut bytes);
        let read = read.map_err(|error| error.to_string());
        let decoded = read
            .and_then(|_| codec::from_log::<(WorkspaceId, Entry)>(&bytes).map_err(|error| error.to_string()));
        match decoded {
            Ok((_, Entry::Conversation { record, .. })) => Some(record),
            Ok(_) => {
                tracing::error!(position = position.get(), "the log has another record here than expected");
                None
            }
            Err(error) => {
                tracing::error!(position = position.get(), error, "a record can't be read back");
                None
            }
        }
    }

    // === What leaves ===

    /// Answers a request, when everything up to now is durable.
    pub fn answer(&self, reply_to: ReplyTo, result: Result<Reply, Refusal>) {
        let minted = self.minted.borrow_mut().remove(&reply_to);
        let answer = match (result, minted) {
            (Ok(_), Some(view)) => Answer::Found(Box::new(view)),
            (Ok(reply), None) => Answer::Done(reply),
            (Err(refusal), _) => Answer::Refused(refusal),
        };
        self.reply(reply_to, answer);
    }

    /// As [`Space::answer`], with any answer.
    pub fn reply(&self, reply_to: ReplyTo, answer: Answer) {
        let port = self.sessions.borrow().port(reply_to.connection);
        if let Some(port) = port {
            self.local.when_durable(Effect::Answer(port, reply_to.request, answer));
        }
    }

    /// The token's text waits for its record to be durable.
    pub fn will_mint(&self, reply_to: ReplyTo, view: View) {
        self.minted.borrow_mut().insert(reply_to, view);
    }

    /// Tells connections something, when everything up to now is durable.
    pub fn notify(&self, ports: Ports, notice: Notice) {
        if !ports.is_empty() {
            self.local.when_durable(Effect::Notify(ports, notice));
        }
    }

    /// A group's line in a list, from what its actor knows.
    #[must_use]
    pub fn group_row(&self, group: &crate::routing::group::Group, changed: bool) -> GroupRow {
        let policy = self.policy();
        let rules = policy.group(group.id()).unwrap_or(&policy.everyone);
        let (active, missed) = self.ledger.borrow().served(group.id());
        let (_, free) = group.roster().slots();
        let mut versions = self.group_versions.borrow_mut();
        let version = versions.entry(group.id().clone()).or_default();
        *version += u64::from(changed);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        GroupRow {
            group: group.id().clone(),
            rules: Arc::clone(rules),
            quarantined: group.quarantined().is_some(),
            members: count(group.roster().len()),
            line: Vec::new(),
            waiting: count(group.waiting()),
            offered: count(group.offered()),
            active,
            missed,
            oldest: group.oldest(),
            present: count(group.roster().present()),
            free: u32::try_from(free).unwrap_or(u32::MAX),
            version: *version,
        }
    }

    /// Who subscribed to a feed.
    #[must_use]
    pub fn feed(&self, feed: &Feed) -> Ports {
        self.sessions.borrow().feed(feed)
    }
}
