//! A workspace's lists, kept as things change so that nobody has to ask every actor: conversations by phase, what each agent has,
//! what each visitor and each frontend has open.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::BuildHasher as _,
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    lists::Tallies,
    port::{ConversationRow, OfferMade},
    resting::Resting,
    space::{Records, Space},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ClientId, ConversationId, GroupId, VisitorId},
    journal::Position,
    routing::{
        conversation::{Attention, Conversation, Phase},
        scope::Scope,
    },
};

type Map<K, V> = HashMap<K, V, RandomState>;

/// A line as lists show it, made once for all of them.
pub(super) struct Shown {
    /// The row, with its owner's face.
    pub(super) row: Arc<ConversationRow>,
    /// Whether the visitor waits for an answer.
    pub(super) unanswered: bool,
    /// Whether the visitor is there.
    pub(super) connected: bool,
    /// What of it is worth telling again when it changes. Its number alone is not.
    pub(super) print: u64,
    /// The faces that it was made with.
    faces: u64,
}

impl Shown {
    fn of(line: &Line, space: &Space) -> Self {
        thread_local! {
            static HASHER: RandomState = RandomState::default();
        }
        let row = space.with_face(line.row());
        let (unanswered, connected) = (line.is_unanswered(), line.is_connected());
        let face = row.owner_face.as_ref().map(|face| (&face.name, &face.avatar));
        let place = (row.phase, &row.group, row.owner, face, row.priority, row.waiting_since);
        let names = (&row.site, &row.bot, &row.pseudonym);
        let print = HASHER.with(|hasher| hasher.hash_one((place, names, unanswered, connected)));
        Self { row: Arc::new(row), unanswered, connected, print, faces: space.faces_made() }
    }
}

/// A conversation's line, shared between its actor and the lists: a message changes its number alone, and no list.
pub(super) struct Line {
    row: ConversationRow,
    seq: Cell<u64>,
    connected: Cell<bool>,
    attention: RefCell<Attention>,
    /// As it was shown last, if it has not got on since.
    shown: RefCell<Option<Rc<Shown>>>,
}

impl Line {
    /// The line that a row is listed as.
    #[must_use]
    pub(super) fn new(row: ConversationRow) -> Rc<Self> {
        Self::remembered(row, false, Attention::default())
    }

    /// The line of one that rested, as it was.
    #[must_use]
    pub(super) fn remembered(row: ConversationRow, connected: bool, attention: Attention) -> Rc<Self> {
        let (seq, connected) = (Cell::new(row.seq), Cell::new(connected));
        let (attention, shown) = (RefCell::new(attention), RefCell::default());
        Rc::new(Self { row, seq, connected, attention, shown })
    }

    /// The conversation has got on, staying where it is.
    pub(super) fn follow(&self, machine: &Conversation) {
        self.seq.set(machine.numbers().0);
        self.connected.set(machine.is_visitor_present());
        self.attention.borrow_mut().follow(machine.attention());
        *self.shown.borrow_mut() = None;
    }

    /// It, as lists show it now.
    #[must_use]
    pub(super) fn shown(&self, space: &Space) -> Rc<Shown> {
        let mut known = self.shown.borrow_mut();
        match &*known {
            Some(shown) if shown.faces == space.faces_made() => Rc::clone(shown),
            _ => Rc::clone(known.insert(Rc::new(Shown::of(self, space)))),
        }
    }

    /// Whether the visitor is there (BO-23).
    #[must_use]
    pub(super) fn is_connected(&self) -> bool {
        self.connected.get()
    }

    /// Whether there is a message that an agent has not read.
    #[must_use]
    pub(super) fn is_unread_by(&self, agent: AgentId) -> bool {
        self.attention.borrow().is_unread_by(agent)
    }

    /// Whether the visitor waits for an answer.
    #[must_use]
    pub(super) fn is_unanswered(&self) -> bool {
        self.attention.borrow().is_unanswered()
    }

    /// What waits for somebody's attention.
    #[must_use]
    pub(super) fn attention(&self) -> Attention {
        self.attention.borrow().clone()
    }

    /// The row as it is now.
    #[must_use]
    pub(super) fn row(&self) -> ConversationRow {
        ConversationRow { seq: self.seq.get(), ..self.row.clone() }
    }
}

/// All but the number of the newest event, which only [`Line::row`] knows.
impl Deref for Line {
    type Target = ConversationRow;
    fn deref(&self) -> &ConversationRow {
        &self.row
    }
}

/// A conversation in the lists.
enum Place {
    /// Its actor runs.
    Awake(Rc<Line>),
    /// It needs none.
    Resting(Resting),
}

impl Place {
    fn line(&self, id: ConversationId, phase: Phase) -> Option<Rc<Line>> {
        match self {
            Self::Awake(line) => Some(Rc::clone(line)),
            Self::Resting(resting) => resting.line(id, phase),
        }
    }

    fn resting(&self) -> Option<&Resting> {
        match self {
            Self::Awake(_) => None,
            Self::Resting(resting) => Some(resting),
        }
    }
}

/// Where conversations rest.
const RESTING: [Phase; 2] = [Phase::Closed, Phase::Missed];

/// A conversation that rested and is to get an actor again.
pub(super) struct Roused {
    /// Its line, if it has one, in the lists again.
    pub(super) line: Option<Rc<Line>>,
    /// Where its records are, as far as they may not be in the archive.
    pub(super) records: Records,
    /// When it would have had to do something by itself; `None`: it is over.
    pub(super) until: Option<Timestamp>,
}

/// The lists of one workspace.
#[derive(Default)]
pub(super) struct Ledger {
    phases: BTreeMap<Phase, BTreeMap<ConversationId, Place>>,
    served: Map<GroupId, Served>,
    mine: Map<AgentId, Mine>,
    visitors: Map<VisitorId, SmallVec<[ConversationId; 1]>>,
    frontends: Map<ClientId, BTreeSet<ConversationId>>,
    /// Conversations that ever asked for an agent.
    pub(super) engaged: u64,
}

#[derive(Debug, Default, Clone)]
struct Served {
    active: u32,
    queued: Queued,
    /// Of those that are on a site.
    sites: BTreeMap<SmolStr, Queued>,
}

/// What nobody serves.
#[derive(Debug, Default, Clone, Copy)]
struct Queued {
    /// In the line or offered.
    waiting: u32,
    missed: u32,
}

impl Queued {
    fn count(&mut self, phase: Phase, add: bool) {
        let change = |count: &mut u32| *count = if add { *count + 1 } else { count.saturating_sub(1) };
        match phase {
            Phase::Waiting | Phase::Offered => change(&mut self.waiting),
            Phase::Missed => change(&mut self.missed),
            Phase::Bot | Phase::Active | Phase::Closed | Phase::Choosing | Phase::Team => {}
        }
    }
}

/// What one agent has.
#[derive(Default)]
pub(super) struct Mine {
    /// Grows with each change.
    pub(super) version: u64,
    /// Pending offers.
    pub(super) offers: BTreeMap<ConversationId, Arc<OfferMade>>,
    /// Conversations that hold one of their slots.
    pub(super) slots: BTreeSet<ConversationId>,
    /// Conversations they own or take part in.
    pub(super) parts: BTreeSet<ConversationId>,
}

/// What one agent had of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holding {
    /// A slot.
    pub(super) slot: bool,
    /// A pending offer's number.
    pub(super) offer: Option<u32>,
}

impl Ledger {
    /// A conversation changed places; `before`: the line it had.
    pub(super) fn list(&mut self, before: Option<&Line>, line: Rc<Line>) {
        let (id, phase) = (line.conversation, line.phase);
        if let Some(before) = before {
            self.count(before, false);
            if before.phase != phase
                && let Some(lines) = self.phases.get_mut(&before.phase)
            {
                lines.remove(&id);
            }
        }
        self.count(&line, true);
        self.phases.entry(phase).or_default().insert(id, Place::Awake(line));
    }

    /// A conversation needs no actor any more. `until`: when it has to do something by itself; `None`: it is over.
    pub(super) fn rest(&mut self, id: ConversationId, records: &[Position], until: Option<Timestamp>) {
        let phase = if until.is_some() { Phase::Missed } else { Phase::Closed };
        let shelf = self.phases.entry(phase).or_default();
        let line = shelf.get(&id).and_then(|place| place.line(id, phase));
        shelf.insert(id, Place::Resting(Resting::pack(line.as_deref(), records, until)));
    }

    /// A conversation that rests is to get an actor; `None`: it does not rest.
    pub(super) fn rouse(&mut self, id: ConversationId) -> Option<Roused> {
        RESTING.into_iter().find_map(|phase| {
            let shelf = self.phases.get_mut(&phase)?;
            let resting = shelf.get(&id)?.resting()?;
            let (line, records, until) = (resting.line(id, phase), resting.records(), resting.until());
            match &line {
                Some(line) => shelf.insert(id, Place::Awake(Rc::clone(line))),
                None => shelf.remove(&id),
            };
            Some(Roused { line, records, until })
        })
    }

    fn resting(&self, id: ConversationId) -> Option<&Resting> {
        RESTING.into_iter().find_map(|phase| self.phases.get(&phase)?.get(&id)?.resting())
    }

    /// Whether a conversation rests.
    #[must_use]
    pub(super) fn rests(&self, id: ConversationId) -> bool {
        self.resting(id).is_some()
    }

    /// When a conversation that rests has to do something by itself.
    #[must_use]
    pub(super) fn rests_until(&self, id: ConversationId) -> Option<Timestamp> {
        self.resting(id)?.until()
    }

    /// The visitor of a conversation that rests and is not over has come or gone: that alone wakes nobody. Whether that is new;
    /// `None`: there is none.
    pub(super) fn connect_resting(&mut self, id: ConversationId, present: bool) -> Option<bool> {
        match self.phases.get_mut(&Phase::Missed)?.get_mut(&id)? {
            Place::Awake(_) => None,
            Place::Resting(resting) => Some(resting.connect(present)),
        }
    }

    /// How many conversations rest that are not over.
    #[must_use]
    pub(super) fn sleeping(&self) -> usize {
        let missed = self.phases.get(&Phase::Missed);
        missed.map_or(0, |shelf| shelf.values().filter(|place| place.resting().is_some()).count())
    }

    /// A closed conversation is listed by the archive from now on.
    pub(super) fn unlist_closed(&mut self, id: ConversationId) {
        if let Some(rows) = self.phases.get_mut(&Phase::Closed) {
            rows.remove(&id);
        }
    }

    /// Closed conversations that rest are listed by the archive from now on, if it knows of all records up to this one.
    pub(super) fn unlist_covered(&mut self, covered: Position) {
        if let Some(shelf) = self.phases.get_mut(&Phase::Closed) {
            let stays = |resting: &Resting| resting.newest().is_some_and(|newest| newest > covered);
            shelf.retain(|_, place| place.resting().is_none_or(stays));
        }
    }

    /// A conversation is in no list any more: its visitor never chose a group.
    pub(super) fn unlist(&mut self, line: &Line) {
        if let Some(rows) = self.phases.get_mut(&line.phase) {
            rows.remove(&line.conversation);
        }
    }

    fn count(&mut self, row: &ConversationRow, add: bool) {
        let Some(group) = row.group.as_ref().filter(|_| row.phase != Phase::Closed) else { return };
        let served = match self.served.get_mut(group) {
            Some(served) => served,
            None => self.served.entry(group.clone()).or_default(),
        };
        if row.phase == Phase::Active {
            served.active = if add { served.active + 1 } else { served.active.saturating_sub(1) };
            return;
        }
        served.queued.count(row.phase, add);
        if let Some(site) = &row.site {
            let queued = served.sites.entry(site.clone()).or_default();
            queued.count(row.phase, add);
            if queued.waiting + queued.missed == 0 {
                served.sites.remove(site);
            }
        }
    }

    /// What in a scope, or anywhere, nobody serves; `pulls`: whether a group's members take what they want.
    pub(super) fn to_process(&self, scope: Option<&Scope>, pulls: &dyn Fn(&GroupId) -> bool) -> Tallies {
        let mut tallies = Tallies::default();
        let mut add = |group: &GroupId, queued: &Queued| {
            tallies.to_process += queued.waiting + queued.missed;
            tallies.requests += if pulls(group) { queued.waiting } else { 0 };
        };
        let Some(scope) = scope else {
            self.served.iter().for_each(|(group, served)| add(group, &served.queued));
            return tallies;
        };
        let everyone = GroupId::everyone();
        for group in scope.groups.iter().chain([&everyone]) {
            let Some(served) = self.served.get(group) else { continue };
            match scope.sites.named() {
                None => add(group, &served.queued),
                Some(sites) => {
                    let served = sites.iter().filter_map(|site| served.sites.get(site));
                    served.for_each(|queued| add(group, queued));
                }
            }
        }
        tallies
    }

    /// Active and missed conversations of a group.
    #[must_use]
    pub(super) fn served(&self, group: &GroupId) -> (u32, u32) {
        self.served.get(group).map_or((0, 0), |served| (served.active, served.queued.missed))
    }

    /// One conversation's line.
    #[must_use]
    pub(super) fn line(&self, id: ConversationId) -> Option<Rc<Line>> {
        let (phase, place) = self.phases.iter().find_map(|(phase, shelf)| Some((*phase, shelf.get(&id)?)))?;
        place.line(id, phase)
    }

    /// Lines of one phase, or of all in turn, after a cursor.
    pub(super) fn lines(
        &self,
        phases: &[Phase],
        after: Option<(Phase, ConversationId)>,
    ) -> impl Iterator<Item = Rc<Line>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let wanted: Vec<Phase> = phases.to_vec();
        wanted.into_iter().filter(move |phase| after.is_none_or(|(from, _)| *phase >= from)).flat_map(
            move |phase| {
                let start = match after {
                    Some((from, id)) if from == phase => Excluded(id),
                    _ => Unbounded,
                };
                let shelf = self.phases.get(&phase).into_iter();
                shelf.flat_map(move |shelf| {
                    shelf.range((start, Unbounded)).filter_map(move |(id, place)| place.line(*id, phase))
                })
            },
        )
    }

    /// What an agent has.
    #[must_use]
    pub(super) fn mine(&self, agent: AgentId) -> Option<&Mine> {
        self.mine.get(&agent)
    }

    /// Changes what an agent has; the version grows.
    pub(super) fn change_mine(&mut self, agent: AgentId, change: impl FnOnce(&mut Mine)) {
        let mine = self.mine.entry(agent).or_default();
        mine.version += 1;
        change(mine);
    }

    /// The agents who own a conversation or take part in it.
    #[must_use]
    pub(super) fn parties(&self, id: ConversationId) -> Vec<AgentId> {
        self.mine.iter().filter(|(_, mine)| mine.parts.contains(&id)).map(|(agent, _)| *agent).collect()
    }

    /// A conversation lets go of everybody: what each of them had of it.
    pub(super) fn let_go(&mut self, id: ConversationId) -> Vec<(AgentId, Holding)> {
        let mut let_go = Vec::new();
        for (agent, mine) in &mut self.mine {
            let slot = mine.slots.remove(&id);
            let part = mine.parts.remove(&id);
            let offer = mine.offers.remove(&id).map(|made| made.pending.offer);
            if slot || part || offer.is_some() {
                mine.version += 1;
                let_go.push((*agent, Holding { slot, offer }));
            }
        }
        let_go.sort_unstable_by_key(|(agent, _)| *agent);
        let_go
    }

    /// A conversation is open for a visitor, through a program.
    pub(super) fn opened(&mut self, visitor: VisitorId, via: ClientId, id: ConversationId) {
        let list = self.visitors.entry(visitor).or_default();
        if !list.contains(&id) {
            list.push(id);
        }
        self.frontends.entry(via).or_default().insert(id);
    }

    /// It no longer is; whether that was the visitor's last one.
    pub(super) fn closed(&mut self, visitor: VisitorId, via: ClientId, id: ConversationId) -> bool {
        if let Some(list) = self.visitors.get_mut(&visitor) {
            list.retain(|open| *open != id);
            if list.is_empty() {
                self.visitors.remove(&visitor);
            }
        }
        if let Some(set) = self.frontends.get_mut(&via) {
            set.remove(&id);
            if set.is_empty() {
                self.frontends.remove(&via);
            }
        }
        !self.visitors.contains_key(&visitor)
    }

    /// A visitor's open conversations.
    #[must_use]
    pub(super) fn of_visitor(&self, visitor: VisitorId) -> SmallVec<[ConversationId; 1]> {
        self.visitors.get(&visitor).cloned().unwrap_or_default()
    }

    /// The open conversations of a frontend program, with their visitors.
    #[must_use]
    pub(super) fn of_frontend(&self, via: ClientId) -> Vec<(ConversationId, VisitorId)> {
        let set = self.frontends.get(&via).into_iter().flatten();
        set.filter_map(|id| Some((*id, self.visitor(*id)?))).collect()
    }

    /// Whose conversation it is.
    fn visitor(&self, id: ConversationId) -> Option<VisitorId> {
        match self.resting(id) {
            Some(resting) => resting.visitor(),
            None => Some(self.line(id)?.visitor),
        }
    }
}
