//! A group's waiting line: by priority class, then by the time of enqueueing. An item that nobody may take now blocks no other:
//! items are kept apart by who may not take them, so the first one for a given agent is found without walking past the rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use smol_str::SmolStr;

use super::{scope::Sites, words::Priority};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId},
};

/// A place in the line. Earlier is served first; the id breaks ties, so the order is total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The priority class.
    pub class: Priority,
    /// When it was enqueued.
    pub since: Timestamp,
    /// The conversation.
    pub conversation: ConversationId,
}

/// Who may take an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admits {
    /// Nobody: it was for one agent only, and they were tried.
    Nobody,
    /// One agent only.
    Only(AgentId),
    /// Everybody but these; sorted.
    Except(Vec<AgentId>),
}

impl Admits {
    /// Everybody but these.
    #[must_use]
    pub fn except(agents: impl IntoIterator<Item = AgentId>) -> Self {
        let agents: BTreeSet<AgentId> = agents.into_iter().collect();
        Self::Except(agents.into_iter().collect())
    }

    /// Whether this agent may take it.
    #[must_use]
    pub fn allows(&self, agent: AgentId) -> bool {
        match self {
            Self::Nobody => false,
            Self::Only(only) => *only == agent,
            Self::Except(agents) => agents.binary_search(&agent).is_err(),
        }
    }
}

/// Who fits an item: who may take it, and serves its site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    /// Who may take it.
    pub admits: Admits,
    /// Its site, for agents who are limited to some.
    pub site: Option<SmolStr>,
}

impl Fit {
    /// Everybody who serves the site.
    #[must_use]
    pub fn anybody(site: Option<SmolStr>) -> Self {
        Self { admits: Admits::Except(Vec::new()), site }
    }

    /// Whether this agent, who is limited to these sites, may take it.
    #[must_use]
    pub fn allows(&self, agent: AgentId, sites: &Sites) -> bool {
        self.admits.allows(agent) && sites.cover(self.site.as_ref())
    }
}

impl From<Admits> for Fit {
    fn from(admits: Admits) -> Self {
        Self { admits, site: None }
    }
}

/// The waiting line.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    lines: BTreeMap<Fit, BTreeSet<Place>>,
    /// Everybody in their order, class by class: the oldest may stand behind a younger one of a better class.
    classes: BTreeMap<Priority, BTreeSet<(Timestamp, ConversationId)>>,
    len: usize,
    /// A place that was reached, and how many stand up to it: kept true as others come and go.
    bookmark: Option<(Place, usize)>,
    /// How often something came or went.
    changes: u64,
}

impl Queue {
    /// Puts an item in its place.
    pub fn insert(&mut self, place: Place, fit: impl Into<Fit>) {
        if self.lines.entry(fit.into()).or_default().insert(place) {
            self.classes.entry(place.class).or_default().insert((place.since, place.conversation));
            self.len += 1;
            self.changes += 1;
            if let Some((mark, up_to)) = &mut self.bookmark {
                *up_to += usize::from(place <= *mark);
            }
        }
    }

    /// Takes an item out; whether it was there.
    pub fn remove(&mut self, place: &Place, fit: &Fit) -> bool {
        let Some(line) = self.lines.get_mut(fit) else { return false };
        let was_there = line.remove(place);
        if line.is_empty() {
            self.lines.remove(fit);
        }
        if was_there {
            if let Some(class) = self.classes.get_mut(&place.class) {
                class.remove(&(place.since, place.conversation));
                if class.is_empty() {
                    self.classes.remove(&place.class);
                }
            }
            self.len -= 1;
            self.changes += 1;
            if let Some((mark, up_to)) = &mut self.bookmark {
                *up_to -= usize::from(*place <= *mark);
            }
        }
        was_there
    }

    /// The first item that this agent, who is limited to these sites, may take.
    #[must_use]
    pub fn first_for(&self, agent: AgentId, sites: &Sites) -> Option<Place> {
        let only = Admits::Only(agent);
        let own = self.lines.range(Fit::from(only.clone())..).take_while(|(fit, _)| fit.admits == only);
        let open = self.lines.range(Fit::anybody(None)..).chain(own);
        let fitting = open.filter(|(fit, _)| fit.allows(agent, sites));
        fitting.filter_map(|(_, line)| line.first()).min().copied()
    }

    /// The items of everybody whom these admit and who satisfy the condition; used to find those that nobody is left for.
    pub fn places_where(&self, mut stranded: impl FnMut(&Fit) -> bool) -> Vec<Place> {
        let lines = self.lines.iter().filter(|(fit, _)| stranded(fit));
        lines.flat_map(|(_, line)| line.iter().copied()).collect()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The earliest enqueueing time of those that wait.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.classes.values().filter_map(|class| class.first()).map(|(since, _)| *since).min()
    }

    /// How many stand before this place.
    #[must_use]
    pub fn ahead_of(&self, place: &Place) -> usize {
        self.lines.values().map(|line| line.range(..place).count()).sum()
    }

    // === A bookmark, so that places far behind are counted without walking past all before them ===

    /// The items behind a place, or all, in their order.
    pub fn behind(&self, place: Option<Place>) -> impl Iterator<Item = Place> + '_ {
        let from = place.map_or(Bound::Unbounded, |place| Bound::Included(place.class));
        self.classes.range((from, Bound::Unbounded)).flat_map(move |(class, items)| {
            let start = match place {
                Some(place) if place.class == *class => Bound::Excluded((place.since, place.conversation)),
                _ => Bound::Unbounded,
            };
            let items = items.range((start, Bound::Unbounded));
            items.map(|(since, conversation)| Place {
                class: *class,
                since: *since,
                conversation: *conversation,
            })
        })
    }

    /// Puts the bookmark at a place up to which so many stand, or takes it out.
    pub fn mark(&mut self, bookmark: Option<(Place, usize)>) {
        self.bookmark = bookmark;
    }

    /// Where the bookmark is, and how many stand up to there now.
    #[must_use]
    pub fn marked(&self) -> Option<(Place, usize)> {
        self.bookmark
    }

    /// Grows whenever something comes or goes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(class: u8, since: u64, id: u8) -> Place {
        Place {
            class: Priority::new(class).expect("a class"),
            since: Timestamp::from_micros(since),
            conversation: ConversationId::from_bytes([id; 16]),
        }
    }

    fn agent(id: u8) -> AgentId {
        AgentId::from_bytes([id; 16])
    }

    #[test]
    fn class_comes_first_then_age() {
        let mut queue = Queue::default();
        for item in [place(5, 10, 1), place(2, 30, 2), place(5, 5, 3)] {
            queue.insert(item, Admits::except([]));
        }
        assert_eq!(queue.first_for(agent(9), &Sites::default()), Some(place(2, 30, 2)));
        assert!(queue.remove(&place(2, 30, 2), &Admits::except([]).into()));
        assert_eq!(queue.first_for(agent(9), &Sites::default()), Some(place(5, 5, 3)));
        assert_eq!(queue.ahead_of(&place(5, 10, 1)), 1);
    }

    /// Known-bugs shape (c): a polled loop whose head blocks.
    #[test]
    fn an_unroutable_head_blocks_nobody() {
        let mut queue = Queue::default();
        queue.insert(place(0, 1, 1), Admits::Only(agent(7)));
        queue.insert(place(0, 2, 2), Admits::except([agent(8)]));
        queue.insert(place(5, 3, 3), Admits::except([]));
        assert_eq!(queue.first_for(agent(8), &Sites::default()), Some(place(5, 3, 3)));
        assert_eq!(queue.first_for(agent(6), &Sites::default()), Some(place(0, 2, 2)));
        assert_eq!(queue.first_for(agent(7), &Sites::default()), Some(place(0, 1, 1)));
    }

    /// BO-12.
    #[test]
    fn who_is_limited_to_sites_is_served_from_these() {
        let (one, two) = (SmolStr::new("one"), SmolStr::new("two"));
        let mut queue = Queue::default();
        queue.insert(place(5, 1, 1), Admits::except([]));
        queue.insert(place(5, 2, 2), Fit::anybody(Some(one.clone())));
        queue.insert(place(5, 3, 3), Fit { admits: Admits::Only(agent(7)), site: Some(two.clone()) });
        queue.insert(place(5, 4, 4), Fit { admits: Admits::except([agent(7)]), site: Some(two.clone()) });
        let of = |id, site: &SmolStr| queue.first_for(agent(id), &Sites::of(std::slice::from_ref(site)));
        assert_eq!(of(7, &one), Some(place(5, 2, 2)));
        assert_eq!(of(7, &two), Some(place(5, 3, 3)));
        assert_eq!(of(8, &two), Some(place(5, 4, 4)));
        assert_eq!(of(8, &SmolStr::new("three")), None);
        assert_eq!(queue.first_for(agent(8), &Sites::default()), Some(place(5, 1, 1)));
    }

    #[test]
    fn a_bookmark_keeps_its_count_as_others_come_and_go() {
        let mut queue = Queue::default();
        for (class, id) in [(2, 1), (5, 2), (5, 3), (5, 4), (7, 5)] {
            queue.insert(place(class, u64::from(id), id), Admits::except([]));
        }
        let order: Vec<Place> = queue.behind(None).collect();
        assert_eq!(
            order.iter().map(|place| place.conversation.bytes()[0]).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5]
        );
        queue.mark(Some((order[2], 3)));
        assert_eq!(queue.behind(Some(order[2])).collect::<Vec<_>>(), order[3..]);
        queue.remove(&order[0], &Admits::except([]).into());
        queue.remove(&order[2], &Admits::except([]).into());
        queue.remove(&order[4], &Admits::except([]).into());
        queue.insert(place(0, 9, 6), Admits::Only(agent(1)));
        assert_eq!(queue.marked(), Some((order[2], 2)));
        assert_eq!(queue.ahead_of(&order[3]), 2);
        assert_eq!(queue.oldest(), Some(Timestamp::from_micros(2)));
    }

    #[test]
    fn the_length_follows_what_is_in_it() {
        let mut queue = Queue::default();
        queue.insert(place(5, 1, 1), Admits::except([]));
        queue.insert(place(5, 1, 1), Admits::except([]));
        assert_eq!(queue.len(), 1);
        assert!(!queue.remove(&place(5, 2, 1), &Admits::except([]).into()));
        assert!(queue.remove(&place(5, 1, 1), &Admits::except([]).into()));
        assert!(queue.is_empty());
    }
}
