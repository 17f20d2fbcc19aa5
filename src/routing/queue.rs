//! A group's waiting line: by priority class, then by the time of enqueueing. An item that nobody may take now blocks no other:
//! items are kept apart by who may not take them (`index.rs`), so the first one for a given agent is found without walking past the rest,
//! and how many stand before one is counted without walking past them (`order.rs`).

mod index;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use self::{
    index::{Index, Numbers},
    order::Order,
};
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

    /// Whether anybody may take it, wherever they serve all sites.
    fn is_plain(&self) -> bool {
        self.site.is_none() && matches!(&self.admits, Admits::Except(agents) if agents.is_empty())
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
    /// What anybody may take, wherever they serve: nearly all.
    plain: BTreeSet<Place>,
    /// The others, by whom they are for.
    lines: BTreeMap<Fit, BTreeSet<Place>>,
    /// Of the others, those that keep out some or none.
    index: Index,
    /// The same by their site.
    sites: BTreeMap<SmolStr, Index>,
    numbers: Numbers,
    /// How often the numbers are halved in the indexes.
    bits: u8,
    /// Everybody in their order.
    order: Order,
    /// A place that was reached, and how many stand up to it: kept true as others come and go.
    bookmark: Option<(Place, usize)>,
    /// How often something came or went.
    changes: u64,
}

impl Queue {
    /// Puts an item in its place.
    pub fn insert(&mut self, place: Place, fit: impl Into<Fit>) {
        let fit = fit.into();
        let new = if fit.is_plain() {
            self.plain.insert(place)
        } else {
            self.lines.entry(fit.clone()).or_default().insert(place)
        };
        if new {
            self.list(place, &fit);
            self.order.insert(place);
            self.changes += 1;
            if let Some((mark, up_to)) = &mut self.bookmark {
                *up_to += usize::from(place <= *mark);
            }
        }
    }

    /// Takes an item out; whether it was there.
    pub fn remove(&mut self, place: &Place, fit: &Fit) -> bool {
        let was_there = if fit.is_plain() {
            self.plain.remove(place)
        } else {
            let Some(line) = self.lines.get_mut(fit) else { return false };
            let was_there = line.remove(place);
            if line.is_empty() {
                self.lines.remove(fit);
            }
            was_there
        };
        if was_there {
            self.unlist(place, fit);
            self.order.remove(place);
            self.changes += 1;
            if let Some((mark, up_to)) = &mut self.bookmark {
                *up_to -= usize::from(*place <= *mark);
            }
        }
        was_there
    }

    /// Into the indexes, where it is one that keeps some out.
    fn list(&mut self, place: Place, fit: &Fit) {
        let Admits::Except(agents) = &fit.admits else { return };
        if fit.is_plain() {
            return;
        }
        let kept_out = self.numbers.take(agents);
        if self.numbers.bits() > self.bits {
            return self.list_again();
        }
        self.index.insert(place, &kept_out, self.bits);
        if let Some(site) = &fit.site {
            self.sites.entry(site.clone()).or_default().insert(place, &kept_out, self.bits);
        }
    }

    fn unlist(&mut self, place: &Place, fit: &Fit) {
        let Admits::Except(agents) = &fit.admits else { return };
        if fit.is_plain() {
            return;
        }
        let kept_out = self.numbers.give_back(agents);
        self.index.remove(place, &kept_out, self.bits);
        if let Some(site) = &fit.site
            && let Some(index) = self.sites.get_mut(site)
        {
            index.remove(place, &kept_out, self.bits);
            if index.is_empty() {
                self.sites.remove(site);
            }
        }
    }

    /// There are twice as many numbers as there were: as often as a number doubles, all is listed anew.
    fn list_again(&mut self) {
        self.bits = self.numbers.bits();
        self.index = Index::default();
        self.sites.clear();
        for (fit, line) in &self.lines {
            let Admits::Except(agents) = &fit.admits else { continue };
            let kept_out = self.numbers.sorted(agents);
            for place in line {
                self.index.insert(*place, &kept_out, self.bits);
                if let Some(site) = &fit.site {
                    self.sites.entry(site.clone()).or_default().insert(*place, &kept_out, self.bits);
                }
            }
        }
    }

    /// The first item that this agent, who is limited to these sites, may take.
    #[must_use]
    pub fn first_for(&self, agent: AgentId, sites: &Sites) -> Option<Place> {
        self.sets_for(agent, sites).into_iter().filter_map(BTreeSet::first).min().copied()
    }

    /// The items that this agent, who is limited to these sites, may take, in their order.
    pub fn places_for(&self, agent: AgentId, sites: &Sites) -> impl Iterator<Item = Place> + '_ {
        let mut sets: Vec<_> =
            self.sets_for(agent, sites).into_iter().map(|set| set.iter().copied().peekable()).collect();
        std::iter::from_fn(move || {
            let firsts = sets.iter_mut().enumerate().filter_map(|(at, set)| Some((*set.peek()?, at)));
            let (_, at) = firsts.min()?;
            sets.get_mut(at)?.next()
        })
    }

    /// What an agent may take, in a few sets that have nothing in common: no more than the number of agents whom items keep out has
    /// bits, and one for each site.
    fn sets_for(&self, agent: AgentId, sites: &Sites) -> Vec<&BTreeSet<Place>> {
        let only = Admits::Only(agent);
        let own = self.lines.range(Fit::from(only.clone())..).take_while(|(fit, _)| fit.admits == only);
        let own = own.filter(|(fit, _)| sites.cover(fit.site.as_ref())).map(|(_, line)| line);
        let number = self.numbers.of(agent);
        match sites.named() {
            None => {
                let open = self.index.sets_for(number, self.bits);
                [&self.plain].into_iter().chain(open).chain(own).collect()
            }
            Some(named) => {
                let named: BTreeSet<&SmolStr> = named.iter().collect();
                let indexes = named.into_iter().filter_map(|site| self.sites.get(site));
                indexes.flat_map(|index| index.sets_for(number, self.bits)).chain(own).collect()
            }
        }
    }

    /// The items of everybody whom these admit and who satisfy the condition; used to find those that nobody is left for.
    pub fn places_where(&self, mut stranded: impl FnMut(&Fit) -> bool) -> Vec<Place> {
        let plain = !self.plain.is_empty() && stranded(&Fit::anybody(None));
        let plain = self.plain.iter().filter(|_| plain);
        let lines = self.lines.iter().filter(|(fit, _)| stranded(fit));
        plain.chain(lines.flat_map(|(_, line)| line)).copied().collect()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The earliest enqueueing time of those that wait.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        let (nobody, beginning) = (ConversationId::from_bytes([0; 16]), Timestamp::default());
        let mut class = Priority::new(0)?;
        let mut oldest: Option<Timestamp> = None;
        // The oldest may stand behind a younger one of a better class: the first of each class is asked.
        while let Some(first) =
            self.order.next(&Place { class, since: beginning, conversation: nobody }, false)
        {
            oldest = Some(oldest.map_or(first.since, |oldest| oldest.min(first.since)));
            let Some(next) = Priority::new(first.class.get() + 1) else { break };
            class = next;
        }
        oldest
    }

    /// How many stand before this place.
    #[must_use]
    pub fn ahead_of(&self, place: &Place) -> usize {
        self.order.before(place).0
    }

    // === A bookmark, so that places far behind are counted without walking past all before them ===

    /// The items behind a place, or all, in their order.
    pub fn behind(&self, place: Option<Place>) -> impl Iterator<Item = Place> + '_ {
        self.order.behind(place)
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
mod model;

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
