//! Which items an agent may take, without looking at those that they may not. Agents whom any item keeps out are numbered, and the
//! numbers are halved again and again: an item stands at the largest parts that hold nobody whom it keeps out. An agent finds theirs
//! on the way from the whole to their own number.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use crate::ids::AgentId;

/// Items by whom they keep out.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// By part: how often it was halved, and its number among its like.
    parts: BTreeMap<(u8, u32), BTreeSet<Place>>,
    /// All of them, for agents whom none keeps out.
    all: BTreeSet<Place>,
}

impl Index {
    pub(super) fn insert(&mut self, place: Place, kept_out: &[u32], bits: u8) {
        self.all.insert(place);
        for part in parts_without(kept_out, bits) {
            self.parts.entry(part).or_default().insert(place);
        }
    }

    pub(super) fn remove(&mut self, place: &Place, kept_out: &[u32], bits: u8) {
        self.all.remove(place);
        for part in parts_without(kept_out, bits) {
            if let Some(places) = self.parts.get_mut(&part) {
                places.remove(place);
                if places.is_empty() {
                    self.parts.remove(&part);
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The items that an agent may take, in at most one set for each halving.
    pub(super) fn sets_for(&self, number: Option<u32>, bits: u8) -> impl Iterator<Item = &BTreeSet<Place>> {
        let all = [&self.all].into_iter().filter(move |_| number.is_none());
        let parts = number.into_iter().flat_map(move |number| {
            (0..=bits).filter_map(move |depth| self.parts.get(&(depth, number >> (bits - depth))))
        });
        all.chain(parts)
    }
}

/// The largest parts that have none of these in them; `kept_out` is sorted.
fn parts_without(kept_out: &[u32], bits: u8) -> Vec<(u8, u32)> {
    let mut parts = Vec::new();
    halve(kept_out, 0, 0, bits, &mut parts);
    parts
}

fn halve(kept_out: &[u32], depth: u8, part: u32, bits: u8, parts: &mut Vec<(u8, u32)>) {
    if kept_out.is_empty() {
        parts.push((depth, part));
    } else if depth < bits {
        // The first number of the upper half.
        let middle = (2 * part + 1) << (bits - depth - 1);
        let (lower, upper) = kept_out.split_at(kept_out.partition_point(|number| *number < middle));
        halve(lower, depth + 1, 2 * part, bits, parts);
        halve(upper, depth + 1, 2 * part + 1, bits, parts);
    }
}

/// Numbers of the agents whom items keep out, as small as can be.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    /// Each with how many items keep them out.
    known: BTreeMap<AgentId, (u32, u32)>,
    free: BTreeSet<u32>,
}

impl Numbers {
    pub(super) fn of(&self, agent: AgentId) -> Option<u32> {
        self.known.get(&agent).map(|(number, _)| *number)
    }

    /// The numbers of agents whom one more item keeps out, sorted.
    pub(super) fn take(&mut self, agents: &[AgentId]) -> Vec<u32> {
        for agent in agents {
            let new = self.free.first().copied();
            let new = new.unwrap_or_else(|| u32::try_from(self.known.len()).unwrap_or(u32::MAX));
            let (number, items) = self.known.entry(*agent).or_insert((new, 0));
            *items += 1;
            self.free.remove(number);
        }
        self.sorted(agents)
    }

    /// One item less keeps them out; the numbers that they had, sorted.
    pub(super) fn give_back(&mut self, agents: &[AgentId]) -> Vec<u32> {
        let numbers = self.sorted(agents);
        for agent in agents {
            if let Some((number, items)) = self.known.get_mut(agent) {
                *items -= 1;
                if *items == 0 {
                    self.free.insert(*number);
                    self.known.remove(agent);
                }
            }
        }
        numbers
    }

    pub(super) fn sorted(&self, agents: &[AgentId]) -> Vec<u32> {
        let mut numbers: Vec<u32> = agents.iter().filter_map(|agent| self.of(*agent)).collect();
        numbers.sort_unstable();
        numbers
    }

    /// How often numbers have to be halved to tell all of them apart.
    pub(super) fn bits(&self) -> u8 {
        let used = self.known.len() + self.free.len();
        u8::try_from(used.next_power_of_two().trailing_zeros()).unwrap_or(u8::MAX)
    }
}
