//! One workspace on its arbiter: its rules, lists, sessions, and the way in which its machines are told things.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::Addr;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    agent::AgentActor,
    aside::List,
    conversation::ConversationActor,
    directory::Name,
    fold::Folded,
    ledger::{Ledger, Line, Roused},
    lists::Lists,
    local::{Effect, Local, Shared},
    past::{Past, Reader},
    port::{Answer, ConversationRow, Face, Faces, GroupRow, Notice, View},
    sessions::{Feed, Ports, Sessions},
    stored::{self, ClosedRow},
    supervision::guard,
    tokens::TokenBook,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId, WorkspaceId},
    journal::{Position, Shelf},
    metrics::{ActorKind, GroupMetrics, RuleMetrics, WorkspaceMetrics},
    routing::{
        Context, Policy, Refusal, Reply, ReplyTo, Tell, agent,
        conversation::{self, Phase, Way},
        departures::Departures,
        lobby::Lobby,
        notice::Parties,
        scope::Scope,
        undeliverable::undeliverable,
    },
};

/// Lines of the archive that one page looks at: who asks for a rare kind may get a short page.
const ROWS_LOOKED_AT: usize = 20_000;

/// Where a conversation's records are in the log, oldest first, as far as they may not be in the archive.
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
    /// What people have on their screens.
    pub(super) lists: RefCell<Lists>,
    /// Who is on its sites.
    pub(super) lobby: RefCell<Lobby>,
    /// Who stands aside.
    pub(super) aside: RefCell<List>,
    /// Its tokens, for whoever says Hello.
    pub tokens: Arc<TokenBook>,
    policy: RefCell<Arc<Policy>>,
    generations: RefCell<BTreeMap<AgentId, u32>>,
    scopes: RefCell<HashMap<AgentId, Arc<Scope>, RandomState>>,
    faces: RefCell<HashMap<AgentId, Arc<Face>, RandomState>>,
    faces_made: Cell<u64>,
    /// What is counted of the workspace as a whole.
    pub(super) metrics: Arc<WorkspaceMetrics>,
    /// What agents did in conversations since the start.
    activity: RefCell<HashMap<AgentId, agent::Activity, RandomState>>,
    /// Where agents get mail, in small letters.
    addresses: RefCell<HashMap<AgentId, SmolStr, RandomState>>,
    group_metrics: RefCell<HashMap<GroupId, Arc<GroupMetrics>, RandomState>>,
    rule_metrics: RefCell<HashMap<SmolStr, Arc<RuleMetrics>, RandomState>>,
    group_versions: RefCell<HashMap<GroupId, u64, RandomState>>,
    /// Actors on their way out, which may still be called back.
    leaving: RefCell<HashMap<ConversationId, Addr<ConversationActor>, RandomState>>,
    restarts: RefCell<Vec<Restart>>,
    archived: Cell<Archived>,
    /// Erased, and still in the archive for a moment; with the position of the record that says so.
    erased: RefCell<HashMap<ConversationId, Position, RandomState>>,
    /// Random, for words that only this life of the daemon can have made.
    pub(super) secret: [u8; 32],
    minted: RefCell<HashMap<ReplyTo, View, RandomState>>,
    /// How many conversations of agents who vanished are on their way to others.
    pub(super) departures: RefCell<Departures>,
}

/// What is known of the archive without looking into it; renewed now and then.
#[derive(Debug, Default, Clone, Copy)]
struct Archived {
    /// What was closed up to here is found there.
    covered: Position,
    /// The greatest id of a closed conversation there.
    greatest: Option<ConversationId>,
}

/// A start of the daemon that moved deadlines.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
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
        let metrics = local.shared.metrics.workspace(id.as_str());
        declare(&local, &id, &policy);
        Rc::new(Self {
            index,
            id,
            local,
            metrics,
            sessions: RefCell::default(),
            ledger: RefCell::default(),
            lists: RefCell::default(),
            lobby: RefCell::default(),
            aside: RefCell::default(),
            tokens,
            policy: RefCell::new(policy),
            generations: RefCell::default(),
            scopes: RefCell::default(),
            faces: RefCell::default(),
            faces_made: Cell::default(),
            activity: RefCell::default(),
            addresses: RefCell::default(),
            group_metrics: RefCell::default(),
            rule_metrics: RefCell::default(),
            group_versions: RefCell::default(),
            leaving: RefCell::default(),
            restarts: RefCell::default(),
            archived: Cell::default(),
            erased: RefCell::default(),
            secret: rand::random(),
            minted: RefCell::default(),
            departures: RefCell::default(),
        })
    }

    /// The operator's rules.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }

    /// Other rules from now on; whoever goes by them is told.
    pub fn set_policy(&self, policy: Arc<Policy>) {
        declare(&self.local, &self.id, &policy);
        *self.policy.borrow_mut() = policy;
        self.group_metrics.borrow_mut().clear();
        self.rule_metrics.borrow_mut().clear();
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

    /// What an agent serves and sees.
    #[must_use]
    pub fn scope(&self, agent: AgentId) -> Option<Arc<Scope>> {
        self.scopes.borrow().get(&agent).cloned()
    }

    /// The agents who belong to a group.
    #[must_use]
    pub fn agents_of(&self, group: &GroupId) -> Vec<AgentId> {
        let scopes = self.scopes.borrow();
        let members = scopes.iter().filter(|(_, scope)| scope.has(group));
        members.map(|(agent, _)| *agent).collect()
    }

    /// An agent serves and sees this.
    pub fn set_scope(&self, agent: AgentId, scope: Scope) {
        self.scopes.borrow_mut().insert(agent, Arc::new(scope));
    }

    /// An agent did something in a conversation. Kept here alone: it is in the conversation's records.
    pub fn acted(&self, agent: AgentId, record: &conversation::Record) {
        self.activity.borrow_mut().entry(agent).or_default().add(record.at, record.messages());
    }

    /// What an agent did in conversations since the start.
    #[must_use]
    pub fn activity(&self, agent: AgentId) -> agent::Activity {
        self.activity.borrow().get(&agent).copied().unwrap_or_default()
    }

    /// How people see an agent.
    #[must_use]
    pub fn face(&self, agent: AgentId) -> Option<Arc<Face>> {
        self.faces.borrow().get(&agent).cloned()
    }

    /// People see an agent like this.
    pub fn set_face(&self, agent: AgentId, face: Face) {
        let mut faces = self.faces.borrow_mut();
        if faces.get(&agent).is_none_or(|known| **known != face) {
            faces.insert(agent, Arc::new(face));
            self.faces_made.set(self.faces_made() + 1);
        }
    }

    /// How many faces were made so far: as long as it is the same, everybody looks the same.
    pub(super) fn faces_made(&self) -> u64 {
        self.faces_made.get()
    }

    /// A line as it is shown: with how people see the owner now (BO-34).
    #[must_use]
    pub fn with_face(&self, row: ConversationRow) -> ConversationRow {
        let owner_face = row.owner.and_then(|owner| self.face(owner));
        ConversationRow { owner_face, ..row }
    }

    /// What a visitor sees of these.
    #[must_use]
    pub fn faces_of(&self, parties: Parties) -> Faces {
        let known = self.faces.borrow();
        let avatar = |agent| known.get(&agent)?.avatar.clone();
        let avatars = parties.iter().filter_map(|party| Some((party.agent, avatar(party.agent)?))).collect();
        drop(known);
        Faces { parties, avatars, policy: self.policy() }
    }

    /// An agent gets mail there, or nowhere.
    pub fn set_address(&self, agent: AgentId, address: Option<&str>) {
        let mut addresses = self.addresses.borrow_mut();
        match address {
            Some(address) => _ = addresses.insert(agent, address.to_lowercase().into()),
            None => _ = addresses.remove(&agent),
        }
    }

    /// The one agent who gets mail there, whatever the case of its letters (ZD-18).
    #[must_use]
    pub fn agent_by_address(&self, address: &str) -> Option<AgentId> {
        let address = address.to_lowercase();
        let addresses = self.addresses.borrow();
        let mut found = addresses.iter().filter(|(_, known)| **known == address).map(|(agent, _)| *agent);
        found.next().filter(|_| found.next().is_none())
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

    /// Counts something of a routing rule.
    pub fn rule_metrics(&self, rule: &SmolStr, count: impl FnOnce(&RuleMetrics)) {
        let mut known = self.rule_metrics.borrow_mut();
        let metrics = known
            .entry(rule.clone())
            .or_insert_with(|| self.local.shared.metrics.rule(self.id.as_str(), rule));
        count(metrics);
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
            Tell::Conversation(id, conversation::Command::VisitorPresent(present))
                if self.connect_resting(id, present) =>
            {
                return Ok(());
            }
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
        let roused = self.ledger.borrow_mut().rouse(id);
        let archived = || Roused { line: None, records: Records::new(), until: None };
        if let Some(roused) = roused.or_else(|| self.is_archived(id).then(archived)) {
            return self.revive(id, roused);
        }
        let opens = match command {
            conversation::Command::Open { way, .. } => matches!(way, Way::New { .. }),
            conversation::Command::OpenTeam { parties, .. } => !parties.is_empty(),
            conversation::Command::Failed { opening, .. } => *opening,
            conversation::Command::Granted(granted) => {
                matches!(granted.purpose, conversation::Purpose::Start { .. })
            }
            _ => false,
        };
        if opens {
            // Whatever had this id and was erased is another conversation.
            self.erased.borrow_mut().remove(&id);
            ConversationActor::begin(self, Folded::new(id), None);
            return true;
        }
        false
    }

    fn revive(self: &Rc<Self>, id: ConversationId, roused: Roused) -> bool {
        let Roused { line, records, until } = roused;
        match guard(|| self.read_back(id, &records)).flatten() {
            Some(folded) => {
                let visitor = folded.machine.visitor().map(|(visitor, _, via)| (visitor, via));
                // The line of one that is over is made anew, as the rules may have changed since.
                ConversationActor::begin(self, folded, line.zip(until));
                if let Some((visitor, via)) = visitor {
                    // The log can't tell whether the visitor is there, and it may be opened again.
                    let present = self.sessions.borrow().has_visitor(visitor, via);
                    self.tell(Tell::Conversation(id, conversation::Command::VisitorPresent(present)));
                }
                true
            }
            // It is not over, so somebody has to look after it: it stands aside.
            None if until.is_some() => {
                self.local.shared.metrics.actors.live.of(ActorKind::Conversation).add(1);
                ConversationActor::respawn(self, id, records, None);
                true
            }
            None => {
                self.ledger.borrow_mut().rest(id, &records, None);
                false
            }
        }
    }

    /// The visitor of a conversation that rests has come or gone: its line says so, and that is all; whether there is one.
    fn connect_resting(&self, id: ConversationId, present: bool) -> bool {
        let changed = self.ledger.borrow_mut().connect_resting(id, present);
        if changed == Some(true) {
            let line = self.ledger.borrow().line(id);
            self.touch(id, line.as_ref());
        }
        changed.is_some()
    }

    /// A conversation that rests was to be reminded: it is woken, if it is time.
    pub(super) fn remind_resting(self: &Rc<Self>, id: ConversationId, now: Timestamp) {
        let until = self.ledger.borrow().rests_until(id);
        if until.is_some_and(|until| until <= now) {
            self.tell(Tell::Conversation(id, conversation::Command::Tick));
        }
    }

    /// Conversations that are open and have no actor, as nothing is to be done for them.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        self.ledger.borrow().sleeping()
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
            || self.ledger.borrow().rests(id)
            || self.leaving.borrow().contains_key(&id)
            || self.is_archived(id)
    }

    /// A query for a closed conversation wakes it.
    pub fn wake_to_look(self: &Rc<Self>, id: ConversationId) -> bool {
        self.wake(id, &conversation::Command::Tick)
    }

    // === Conversations at rest ===

    /// The actor of a conversation that needs none is about to end; whether it was not already.
    pub fn leave(&self, id: ConversationId) -> bool {
        let address = self.local.shared.directory.take_conversation(self.index, id);
        let staying = address.is_some();
        self.leaving.borrow_mut().extend(address.map(|address| (id, address)));
        staying
    }

    /// It is needed after all.
    pub(super) fn stay(&self, id: ConversationId) {
        if let Some(address) = self.leaving.borrow_mut().remove(&id) {
            self.local.shared.directory.enter_conversation(self.index, id, address);
        }
    }

    /// Whether it may end, as nobody called it back meanwhile; then it is remembered by its records, if it has any. `until`: when it has
    /// to do something by itself; `None`: it is over.
    pub(super) fn left(&self, id: ConversationId, records: &Records, until: Option<Timestamp>) -> bool {
        let left = self.leaving.borrow_mut().remove(&id).is_some();
        if self.is_erased(id) {
            return true;
        }
        match until {
            Some(until) if left => self.remember_sleeping(id, records, until),
            None if left && !records.is_empty() => self.remember_closed(id, records),
            Some(_) | None => {}
        }
        left
    }

    /// A conversation is closed, and its records are at these places, as far as they may not be in the archive.
    pub(super) fn remember_closed(&self, id: ConversationId, records: &[Position]) {
        if records.last().is_some_and(|last| *last > self.archived.get().covered) {
            self.ledger.borrow_mut().rest(id, records, None);
        } else {
            self.ledger.borrow_mut().unlist_closed(id);
        }
    }

    /// Lists a conversation that has been missed and left alone.
    pub(super) fn list_sleeping(&self, line: Rc<Line>, records: &[Position], until: Timestamp) {
        let (id, visitor, via) = (line.conversation, line.visitor, line.via);
        {
            let mut ledger = self.ledger.borrow_mut();
            ledger.list(None, line);
            ledger.opened(visitor, via, id);
        }
        self.remember_sleeping(id, records, until);
        self.local.arm(until, Name::conversation(self.index, id));
    }

    /// A conversation that is listed is missed and left alone until then; whoever says so sees to it that it is reminded.
    fn remember_sleeping(&self, id: ConversationId, records: &[Position], until: Timestamp) {
        let covered = self.archived.get().covered;
        let records = if records.last().is_some_and(|last| *last > covered) { records } else { &[] };
        self.ledger.borrow_mut().rest(id, records, Some(until));
    }

    /// Looks how far the archive has come, and forgets what is found there from now on.
    pub fn look_at_archive(&self) {
        let archive = &self.local.shared.archive;
        if archive.covered() == self.archived.get().covered {
            return;
        }
        let looked = archive.view().and_then(|view| {
            let covered = view.covered()?;
            let greatest = view.last(Shelf::Rows, &stored::of_workspace(&self.id))?;
            let greatest = greatest.and_then(|key| stored::conversation_at_end(&key));
            Ok(Archived { covered, greatest })
        });
        match looked {
            Ok(archived) => {
                self.archived.set(archived);
                self.erased.borrow_mut().retain(|_, position| *position > archived.covered);
                self.ledger.borrow_mut().unlist_covered(archived.covered);
            }
            Err(error) => tracing::error!(%error, "the archive can't be read"),
        }
    }

    /// Lines of closed conversations after one, oldest id first: what the archive has and what it has not yet, until there are
    /// enough.
    pub(super) fn closed_rows(
        &self,
        after: Option<ConversationId>,
        visible: &dyn Fn(&ConversationRow) -> bool,
        enough: usize,
    ) -> Vec<ConversationRow> {
        let policy = self.policy();
        let ledger = self.ledger.borrow();
        let mut listed = ledger.lines(&[Phase::Closed], after.map(|id| (Phase::Closed, id))).peekable();
        let mut rows: Vec<ConversationRow> = Vec::new();
        let mut looked = 0;
        let prefix = stored::of_workspace(&self.id);
        let after = after.map(|id| stored::of_conversation(&self.id, id)).unwrap_or_default();
        let view = self.local.shared.archive.view();
        let walked = view.and_then(|view| {
            view.walk_after(Shelf::Rows, &prefix, &after, &mut |key, row| {
                looked += 1;
                let Some(id) = stored::conversation_at_end(key) else { return ControlFlow::Continue(()) };
                while let Some(row) = listed.next_if(|row| row.conversation < id) {
                    rows.extend(Some(row.row()).filter(visible));
                }
                // What is listed here is newer: closed again, or open again.
                if ledger.line(id).is_none() && !self.is_erased(id) {
                    match stored::read::<Option<ClosedRow>>(row) {
                        Ok((_, row)) => rows.extend(row.map(|row| row.row(id, &policy)).filter(visible)),
                        Err(trouble) => tracing::error!(%trouble, "a line of the archive can't be read"),
                    }
                }
                let more = rows.len() < enough && looked < ROWS_LOOKED_AT;
                if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        });
        if let Err(error) = walked {
            tracing::error!(%error, "the archive can't be read");
        }
        if looked < ROWS_LOOKED_AT {
            let listed = listed.map(|line| line.row()).filter(visible);
            rows.extend(listed.take(enough.saturating_sub(rows.len())));
        }
        rows
    }

    /// Whether the archive has a closed conversation of this id. New ids are greater than all it has, so the common case costs nothing.
    fn is_archived(&self, id: ConversationId) -> bool {
        self.archived.get().greatest.is_some_and(|greatest| id <= greatest) && self.archived_row(id).is_some()
    }

    fn archived_row(&self, id: ConversationId) -> Option<Vec<u8>> {
        if self.is_erased(id) {
            return None;
        }
        let key = stored::of_conversation(&self.id, id);
        let found = self.local.shared.archive.view().and_then(|view| view.get(Shelf::Rows, &key));
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "the archive can't be read");
            None
        })
    }

    /// A closed conversation's line, wherever it is.
    pub(super) fn closed_row(&self, id: ConversationId) -> Option<ConversationRow> {
        if let Some(line) = self.ledger.borrow().line(id) {
            return Some(line.row());
        }
        match stored::read::<Option<ClosedRow>>(&self.archived_row(id)?) {
            Ok((_, row)) => row.map(|row| row.row(id, &self.policy())),
            Err(trouble) => {
                tracing::error!(%trouble, "a line of the archive can't be read");
                None
            }
        }
    }

    // === Erased conversations ===

    /// A closed conversation was erased: nothing here knows of it any more.
    pub(super) fn forget(&self, id: ConversationId) {
        self.remember_erased(id, self.local.shared.journal.newest());
        // An actor that somebody woke to look at it ends by itself.
        self.ledger.borrow_mut().unlist_closed(id);
        self.touch(id, None);
    }

    /// A conversation was erased by the record at this position.
    pub(super) fn remember_erased(&self, id: ConversationId, position: Position) {
        self.erased.borrow_mut().insert(id, position);
    }

    pub(super) fn is_erased(&self, id: ConversationId) -> bool {
        let erased = self.erased.borrow();
        !erased.is_empty() && erased.contains_key(&id)
    }

    /// The daemon was started: rebuilding a conversation has to move its deadlines at this place of the log.
    pub fn remember_restart(&self, restart: Restart) {
        self.restarts.borrow_mut().push(restart);
    }

    /// A conversation as its records leave it; `None`, logged, if they can't be read.
    #[must_use]
    pub(super) fn read_back(&self, id: ConversationId, records: &[Position]) -> Option<Folded> {
        match self.past().fold(id, records, &self.restarts.borrow()) {
            Ok(folded) => folded,
            Err(trouble) => {
                tracing::error!(conversation = %id, %trouble, "a conversation can't be read back");
                None
            }
        }
    }

    /// What reads records of a conversation; `None`, logged, for one that can't be read.
    pub(super) fn reader(
        &self,
        id: ConversationId,
    ) -> impl FnMut(Position) -> Option<conversation::Record> + '_ {
        let mut reader = Reader::new(self.past(), id);
        move |position| match reader.read(position) {
            Ok(record) => Some(record),
            Err(trouble) => {
                tracing::error!(conversation = %id, position = position.get(), %trouble, "a record can't be read back");
                None
            }
        }
    }

    fn past(&self) -> Past<'_> {
        let Shared { journal, archive, .. } = &self.local.shared;
        Past { journal, archive, workspace: &self.id }
    }

    // === What leaves ===

    /// Answers a request, when everything up to now is durable.
    pub fn answer(&self, reply_to: ReplyTo, result: Result<Reply, Refusal>) {
        let minted = self.minted.borrow_mut().remove(&reply_to);
        let answer = match (result, minted) {
            (Ok(Reply::Opened { conversation, existing, status: Phase::Choosing, visitor_seq }), None) => {
                let picker = self.picker_list();
                Answer::Found(Box::new(View::Choosing { conversation, existing, visitor_seq, picker }))
            }
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

/// Makes the counters of what the operator has named exist at zero, so that the first that is counted shows as a rise.
fn declare(local: &Local, id: &WorkspaceId, policy: &Policy) {
    let metrics = &local.shared.metrics;
    for trigger in &policy.triggers {
        let _ = metrics.trigger(id.as_str(), &trigger.name);
    }
    for workflow in &policy.workflows {
        let _ = metrics.workflow(id.as_str(), &workflow.name);
    }
    for rule in policy.rules.iter() {
        let _ = metrics.rule(id.as_str(), &rule.name);
    }
}
