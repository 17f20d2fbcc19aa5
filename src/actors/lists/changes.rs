//! Which conversations have changed, and in which round: what a list was told last is one number, however many have changed since. Told
//! or not, each stands here once.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    ops::Bound::{Excluded, Unbounded},
    rc::Rc,
};

use crate::{actors::ledger::Line, ids::ConversationId};

/// A conversation that has changed.
pub(super) struct Change {
    /// The round that it has to be told in.
    pub(super) round: u64,
    /// As it is now; `None`: it is nothing that anybody may hear of any more.
    pub(super) line: Option<Rc<Line>>,
}

/// What has changed and is not told to everybody yet.
pub(super) struct Changes {
    of: BTreeMap<ConversationId, Change>,
    /// The same by rounds, oldest first. Who has changed again since is there twice.
    rounds: VecDeque<(u64, Vec<ConversationId>)>,
    /// The round that what changes now will be told in.
    next: u64,
}

impl Default for Changes {
    fn default() -> Self {
        Self { of: BTreeMap::new(), rounds: VecDeque::new(), next: 1 }
    }
}

impl Changes {
    /// Something about a conversation has changed.
    pub(super) fn add(&mut self, id: ConversationId, line: Option<Rc<Line>>) {
        let round = self.next;
        match self.of.entry(id) {
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.line = line;
                if known.round == round {
                    return;
                }
                known.round = round;
            }
            Entry::Vacant(free) => _ = free.insert(Change { round, line }),
        }
        match self.rounds.back_mut() {
            Some((last, ids)) if *last == round => ids.push(id),
            _ => self.rounds.push_back((round, vec![id])),
        }
    }

    /// A round begins: what changes from here on is told in the next.
    pub(super) fn begin_round(&mut self) {
        self.next += 1;
    }

    /// The round that has begun last.
    pub(super) fn round(&self) -> u64 {
        self.next - 1
    }

    /// What has changed behind a place, in the order of the ids.
    pub(super) fn behind(
        &self,
        place: Option<ConversationId>,
    ) -> impl Iterator<Item = (ConversationId, &Change)> {
        let from = place.map_or(Unbounded, Excluded);
        self.of.range((from, Unbounded)).map(|(id, change)| (*id, change))
    }

    /// Everybody was told what changed up to this round.
    pub(super) fn forget(&mut self, told: u64) {
        while let Some((round, ids)) = self.rounds.pop_front_if(|(round, _)| *round <= told) {
            for id in ids {
                if self.of.get(&id).is_some_and(|change| change.round == round) {
                    self.of.remove(&id);
                }
            }
        }
    }

    /// Nobody has to be told any of it.
    pub(super) fn clear(&mut self) {
        self.of.clear();
        self.rounds.clear();
    }

    /// How many have changed and are not told to everybody.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.of.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ConversationId {
        ConversationId::from_bytes([number; 16])
    }

    fn seen(changes: &Changes, place: Option<ConversationId>) -> Vec<(ConversationId, u64)> {
        changes.behind(place).map(|(id, change)| (id, change.round)).collect()
    }

    #[test]
    fn who_changes_again_and_again_stands_there_once_in_the_newest_round() {
        let mut changes = Changes::default();
        for _ in 0..3 {
            changes.add(id(2), None);
            changes.add(id(1), None);
        }
        assert_eq!(seen(&changes, None), [(id(1), 1), (id(2), 1)]);
        changes.begin_round();
        assert_eq!(changes.round(), 1);
        changes.add(id(2), None);
        assert_eq!(seen(&changes, None), [(id(1), 1), (id(2), 2)]);
        assert_eq!(seen(&changes, Some(id(1))), [(id(2), 2)]);
    }

    #[test]
    fn what_everybody_was_told_is_forgotten_and_nothing_else() {
        let mut changes = Changes::default();
        changes.add(id(1), None);
        changes.add(id(2), None);
        changes.begin_round();
        changes.add(id(2), None);
        changes.begin_round();
        changes.add(id(3), None);
        changes.forget(1);
        assert_eq!(seen(&changes, None), [(id(2), 2), (id(3), 3)]);
        changes.forget(2);
        assert_eq!(changes.len(), 1);
        changes.forget(u64::MAX);
        assert_eq!(changes.len(), 0);
    }
}
