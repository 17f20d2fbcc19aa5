//! Everything that the connections of a workspace keep on their screens, found by connection, by agent, and in turns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound::{Excluded, Unbounded},
};

use foldhash::fast::RandomState;

use super::{
    LISTS_MAX, ListKey,
    changes::Changes,
    list::{Counted, List, Pushed},
};
use crate::{
    actors::{ledger::Ledger, space::Space},
    ids::{AgentId, ConversationId},
};

type Map<K, V> = HashMap<K, V, RandomState>;

/// What a connection keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A list.
    List(ListKey),
    /// The counts of an agent, or of the workspace.
    Counts(Option<AgentId>),
}

impl What {
    fn agent(&self) -> Option<AgentId> {
        match self {
            Self::List(key) => key.agent,
            Self::Counts(agent) => *agent,
        }
    }
}

/// It, with what it was told.
pub(super) enum Screen {
    List(List),
    Counts(Counted),
}

/// All lists and counts of a workspace.
#[derive(Default)]
pub(in crate::actors) struct Lists {
    /// In the order in which they began.
    screens: BTreeMap<u64, Screen>,
    of_connection: Map<u64, BTreeMap<What, u64>>,
    of_agent: Map<AgentId, BTreeSet<u64>>,
    /// The number of the one that began last.
    newest: u64,
    /// What has changed and was not told to all.
    pub(super) changes: Changes,
    /// Whether anything counted may have changed since all were last counted.
    counted: bool,
}

/// One turn of all lists, which other things may happen in between.
pub(super) struct Round {
    /// Whether counts are to be looked at.
    counts: bool,
    /// The one that had its turn last.
    done: u64,
    /// All that had it know of what changed up to this round.
    told: u64,
    /// Whether there is more to tell.
    pub(super) more: bool,
}

impl Lists {
    /// Whether nobody looks.
    pub(super) fn are_idle(&self) -> bool {
        self.screens.is_empty()
    }

    /// Whether a connection keeps as many as it may, this one not among them.
    pub(super) fn have_no_room(&self, connection: u64, what: &What) -> bool {
        let kept = self.of_connection.get(&connection);
        kept.is_some_and(|kept| kept.len() >= LISTS_MAX && !kept.contains_key(what))
    }

    /// A connection keeps it from now on, instead of the one that it had.
    pub(super) fn keep(&mut self, connection: u64, what: What, screen: Screen) {
        self.drop(connection, &what);
        self.newest += 1;
        if let Some(agent) = what.agent() {
            self.of_agent.entry(agent).or_default().insert(self.newest);
        }
        self.of_connection.entry(connection).or_default().insert(what, self.newest);
        self.screens.insert(self.newest, screen);
    }

    /// A connection keeps it no more.
    pub(super) fn drop(&mut self, connection: u64, what: &What) {
        let Some(kept) = self.of_connection.get_mut(&connection) else { return };
        let Some(number) = kept.remove(what) else { return };
        if kept.is_empty() {
            self.of_connection.remove(&connection);
        }
        self.take_down(what, number);
    }

    /// A connection is gone, or speaks for an agent no more.
    pub(in crate::actors) fn forget(&mut self, connection: u64, agent: Option<AgentId>) {
        let Some(mut kept) = self.of_connection.remove(&connection) else { return };
        let gone = kept.extract_if(.., |what, _| agent.is_none() || what.agent() == agent);
        gone.collect::<Vec<_>>().into_iter().for_each(|(what, number)| self.take_down(&what, number));
        if !kept.is_empty() {
            self.of_connection.insert(connection, kept);
        }
    }

    fn take_down(&mut self, what: &What, number: u64) {
        self.screens.remove(&number);
        if let Some(agent) = what.agent()
            && let Some(numbers) = self.of_agent.get_mut(&agent)
        {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.of_agent.remove(&agent);
            }
        }
        if self.screens.is_empty() {
            // Nobody has to be told what changed before they looked.
            self.changes.clear();
        }
    }

    /// What is counted may have changed.
    pub(super) fn count(&mut self) {
        self.counted = true;
    }

    /// The lists of an agent, on all connections.
    pub(super) fn of(&mut self, agent: AgentId, mut each: impl FnMut(&mut List)) {
        for number in self.of_agent.get(&agent).into_iter().flatten() {
            if let Some(Screen::List(list)) = self.screens.get_mut(number) {
                each(list);
            }
        }
    }

    /// An agent takes part in a conversation, or no longer.
    pub(super) fn part_changed(
        &mut self,
        agent: AgentId,
        id: ConversationId,
        space: &Space,
        ledger: &Ledger,
    ) {
        self.of(agent, |list| {
            if list.is_own() {
                list.part_changed(space, ledger, id);
            }
        });
    }

    // === In turns ===

    /// Everybody is to be told what has changed so far.
    pub(super) fn begin_round(&mut self) -> Round {
        self.changes.begin_round();
        let counts = std::mem::take(&mut self.counted);
        Round { counts, done: 0, told: self.changes.round(), more: false }
    }

    /// Tells the next ones, until it has cost enough; whether there are others left.
    pub(super) fn push(&mut self, round: &mut Round, enough: usize, space: &Space, ledger: &Ledger) -> bool {
        let mut cost = 0;
        while cost < enough {
            let next = self.screens.range_mut((Excluded(round.done), Unbounded)).next();
            let Some((number, screen)) = next else {
                self.changes.forget(round.told);
                return false;
            };
            // First of all, so that one that falls has had its turn.
            round.done = *number;
            let pushed = match screen {
                Screen::List(list) => {
                    let pushed = list.push(space, ledger, &self.changes);
                    round.told = round.told.min(list.since().unwrap_or(u64::MAX));
                    pushed
                }
                Screen::Counts(counted) if round.counts => {
                    let pushed = counted.push(space, ledger);
                    self.counted |= pushed.more;
                    pushed
                }
                Screen::Counts(_) => Pushed { cost: 1, more: false },
            };
            cost += pushed.cost;
            round.more |= pushed.more;
        }
        true
    }
}
