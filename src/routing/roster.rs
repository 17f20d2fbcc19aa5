//! A group's view of its agents, ordered by whom its strategy would take first. It may be stale by a message: the agent decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use smol_str::SmolStr;

use super::{
    WhyNot,
    group::Standing,
    queue::{Admits, Fit},
    scope::{EVERYWHERE, Sites},
    words::Strategy,
};
use crate::ids::AgentId;

/// Where an agent stands in the strategy's order: two numbers, then name, then id (the published tie-breaks).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    first: u64,
    second: u64,
    name: SmolStr,
    agent: AgentId,
}

impl Rank {
    fn of(strategy: Strategy, agent: AgentId, member: &Member) -> Self {
        let standing = &member.standing;
        let (first, second) = match strategy {
            Strategy::LeastActive => {
                (u64::from(standing.taken) + member.proposed() as u64, standing.last_assigned.micros())
            }
            Strategy::LongestIdle => (standing.last_assigned.micros(), 0),
            Strategy::RoundRobin | Strategy::Assign | Strategy::Broadcast | Strategy::Pull => (0, 0),
        };
        Self { first, second, name: standing.name.clone(), agent }
    }
}

#[derive(Debug, Clone)]
struct Member {
    standing: Standing,
    /// Proposals that the agent has not answered yet.
    proposals: BTreeSet<crate::ids::ConversationId>,
}

impl Member {
    fn proposed(&self) -> usize {
        self.proposals.len()
    }

    fn is_available(&self) -> bool {
        let used = usize::from(self.standing.taken) + self.proposed();
        self.standing.why_not.is_none() && used < usize::from(self.standing.cap)
    }

    fn why_not(&self) -> Option<WhyNot> {
        self.standing.why_not.or((!self.is_available()).then_some(self.standing.full))
    }
}

/// Where a member stands in the indexes.
#[derive(PartialEq, Eq)]
struct Indexed {
    /// `Some`: available.
    rank: Option<Rank>,
    present: bool,
    why_not: Option<WhyNot>,
    sites: Sites,
}

impl Indexed {
    fn of(strategy: Strategy, agent: AgentId, member: &Member) -> Self {
        Self {
            rank: member.is_available().then(|| Rank::of(strategy, agent, member)),
            present: member.standing.present,
            why_not: member.why_not(),
            sites: member.standing.sites.clone(),
        }
    }
}

/// Members who serve the same sites, by what is asked of them.
#[derive(Debug, Clone, Default)]
struct Pool {
    available: BTreeSet<Rank>,
    present: BTreeSet<AgentId>,
    out: BTreeMap<WhyNot, u32>,
    len: usize,
}

impl Pool {
    /// A member stands differently, came or went. Most changes are of a number alone and leave the order as it is.
    fn change(&mut self, agent: AgentId, was: Option<&Indexed>, is: Option<&Indexed>) {
        let rank = |indexed: Option<&Indexed>| indexed.and_then(|indexed| indexed.rank.clone());
        let (was_ranked, ranked) = (rank(was), rank(is));
        if was_ranked != ranked {
            if let Some(rank) = was_ranked {
                self.available.remove(&rank);
            }
            self.available.extend(ranked);
        }
        if is.is_some_and(|is| is.present) {
            self.present.insert(agent);
        } else {
            self.present.remove(&agent);
        }
        if let Some(count) = was.and_then(|was| was.why_not).and_then(|why| self.out.get_mut(&why)) {
            *count -= 1;
        }
        if let Some(why_not) = is.and_then(|is| is.why_not) {
            *self.out.entry(why_not).or_default() += 1;
        }
        self.len = self.len + usize::from(is.is_some()) - usize::from(was.is_some());
    }

    /// Its available members in order: those after the start, then from the beginning up to and including it.
    fn walk(&self, start: Rank) -> impl Iterator<Item = (bool, &Rank)> {
        let after = (Bound::Excluded(start.clone()), Bound::Unbounded);
        let after = self.available.range(after).map(|rank| (false, rank));
        after.chain(self.available.range(..=start).map(|rank| (true, rank)))
    }

    fn full(&self) -> u32 {
        [WhyNot::AtCap, WhyNot::WrapUp].iter().filter_map(|why| self.out.get(why)).sum()
    }
}

/// A group's members. Those who are limited to sites stand apart, once for each of theirs, so that choosing for a conversation never
/// walks past members who don't serve its site; the others cost nothing for it.
#[derive(Debug, Clone)]
pub struct Roster {
    strategy: Strategy,
    members: BTreeMap<AgentId, Member>,
    /// Who serves all sites.
    open: Pool,
    /// Everybody who does not.
    limited: Pool,
    sites: BTreeMap<SmolStr, Pool>,
}

/// What a change of an agent's standing means for the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The agent can take something now.
    pub available: bool,
    /// The agent could take nothing before.
    pub was_out: bool,
    /// The agent was present and is not any more.
    pub left: bool,
}

impl Default for Roster {
    fn default() -> Self {
        Self::new(Strategy::RoundRobin)
    }
}

impl Roster {
    /// A roster without members.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            members: BTreeMap::new(),
            open: Pool::default(),
            limited: Pool::default(),
            sites: BTreeMap::new(),
        }
    }

    /// Orders the members by another strategy from now on.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        if self.strategy == strategy {
            return;
        }
        self.strategy = strategy;
        (self.open, self.limited) = Default::default();
        self.sites.clear();
        for (agent, member) in &self.members {
            let is = Indexed::of(strategy, *agent, member);
            change_pools(&mut self.open, &mut self.limited, &mut self.sites, *agent, None, Some(&is));
        }
    }

    /// What an agent said of itself.
    pub fn update(&mut self, agent: AgentId, standing: Standing) -> Change {
        if self.members.contains_key(&agent) {
            return self.change(agent, |member| member.standing = standing);
        }
        let member = Member { standing, proposals: BTreeSet::new() };
        let is = Indexed::of(self.strategy, agent, &member);
        self.members.insert(agent, member);
        self.reindex(agent, None, Some(&is))
    }

    /// An agent left the group.
    pub fn remove(&mut self, agent: AgentId) -> Change {
        let member = self.members.remove(&agent);
        let was = member.map(|member| Indexed::of(self.strategy, agent, &member));
        self.reindex(agent, was.as_ref(), None)
    }

    /// A proposal is on its way to an agent.
    pub fn propose(&mut self, agent: AgentId, conversation: crate::ids::ConversationId) {
        self.change(agent, |member| _ = member.proposals.insert(conversation));
    }

    /// The agent has granted or refused a proposal, and says how it stands: one change, so that a slot is counted once, and what the
    /// answer means is seen whole. Who is no member any more does not become one by it.
    pub fn replied(
        &mut self,
        agent: AgentId,
        conversation: crate::ids::ConversationId,
        standing: Standing,
    ) -> Change {
        self.change(agent, |member| {
            member.standing = standing;
            member.proposals.remove(&conversation);
        })
    }

    /// What was proposed to the agent has gone elsewhere.
    pub fn answered(&mut self, agent: AgentId, conversation: crate::ids::ConversationId) -> Change {
        self.change(agent, |member| _ = member.proposals.remove(&conversation))
    }

    /// The agent answers none of its proposals any more: those that it has not answered.
    pub fn forgot(&mut self, agent: AgentId) -> (Vec<crate::ids::ConversationId>, Change) {
        let mut proposals = BTreeSet::new();
        let change = self.change(agent, |member| proposals = std::mem::take(&mut member.proposals));
        (proposals.into_iter().collect(), change)
    }

    /// Edits a member; who is none stays none. Most changes are of a number that no index knows.
    fn change(&mut self, agent: AgentId, edit: impl FnOnce(&mut Member)) -> Change {
        let strategy = self.strategy;
        let Some(member) = self.members.get_mut(&agent) else { return self.reindex(agent, None, None) };
        let was = Indexed::of(strategy, agent, member);
        edit(member);
        let is = Indexed::of(strategy, agent, member);
        self.reindex(agent, Some(&was), Some(&is))
    }

    fn reindex(&mut self, agent: AgentId, was: Option<&Indexed>, is: Option<&Indexed>) -> Change {
        if was != is {
            change_pools(&mut self.open, &mut self.limited, &mut self.sites, agent, was, is);
        }
        Change {
            available: is.is_some_and(|is| is.rank.is_some()),
            was_out: was.is_none_or(|was| was.rank.is_none()),
            left: was.is_some_and(|was| was.present) && !is.is_some_and(|is| is.present),
        }
    }

    /// The pools of those who serve a site: nobody is in two of them.
    fn serving(&self, site: Option<&SmolStr>) -> impl Iterator<Item = &Pool> {
        [&self.open].into_iter().chain(site.and_then(|site| self.sites.get(site)))
    }

    /// Whether this agent can take something now.
    #[must_use]
    pub fn is_available(&self, agent: AgentId) -> bool {
        self.members.get(&agent).is_some_and(Member::is_available)
    }

    /// Whether anybody who fits is present: online, and here or expected back.
    #[must_use]
    pub fn anybody_present(&self, fit: &Fit) -> bool {
        match &fit.admits {
            Admits::Nobody => false,
            Admits::Only(agent) => self.serving(fit.site.as_ref()).any(|pool| pool.present.contains(agent)),
            Admits::Except(agents) => self.serving(fit.site.as_ref()).any(|pool| {
                let excluded = agents.iter().filter(|agent| pool.present.contains(agent)).count();
                pool.present.len() > excluded
            }),
        }
    }

    /// Whether anybody who fits can take something now.
    #[must_use]
    pub fn anybody_available(&self, fit: &Fit) -> bool {
        match &fit.admits {
            Admits::Nobody => false,
            Admits::Only(agent) => self.members.get(agent).is_some_and(|member| {
                member.is_available() && member.standing.sites.cover(fit.site.as_ref())
            }),
            Admits::Except(_) => {
                self.candidates(None, fit.site.as_ref()).any(|agent| fit.admits.allows(agent))
            }
        }
    }

    /// Whether everybody present who serves the site is at their cap, `freeing` aside; for one agent only, whether they are.
    #[must_use]
    pub fn all_full(&self, fit: &Fit, freeing: Option<AgentId>) -> bool {
        let is_full = |agent| matches!(self.why_not(agent), Some(WhyNot::AtCap | WhyNot::WrapUp));
        if let Admits::Only(agent) = &fit.admits {
            return is_full(*agent);
        }
        // Who is out for a full cap alone is present: any other reason comes before that one.
        let full: u32 = self.serving(fit.site.as_ref()).map(Pool::full).sum();
        let present: usize = self.serving(fit.site.as_ref()).map(|pool| pool.present.len()).sum();
        full as usize == present && !freeing.is_some_and(is_full)
    }

    /// Whether the caller would be the only one present (ZD-13).
    #[must_use]
    pub fn only_present(&self, agent: AgentId) -> bool {
        self.present() == 1 && (self.open.present.contains(&agent) || self.limited.present.contains(&agent))
    }

    /// Available members who serve a site, in the strategy's order; round robin starts after the pointer.
    pub fn candidates<'a>(
        &'a self,
        pointer: Option<&(SmolStr, AgentId)>,
        site: Option<&SmolStr>,
    ) -> impl Iterator<Item = AgentId> + use<'a> {
        let start = match (self.strategy, pointer) {
            (Strategy::RoundRobin | Strategy::Assign, Some((name, agent))) => {
                Rank { first: 0, second: 0, name: name.clone(), agent: *agent }
            }
            _ => Rank { first: 0, second: 0, name: SmolStr::default(), agent: AgentId::from_bytes([0; 16]) },
        };
        let mut open = self.open.walk(start.clone()).peekable();
        let limited = site.and_then(|site| self.sites.get(site));
        let mut limited = limited.map(|pool| pool.walk(start).peekable());
        std::iter::from_fn(move || {
            let Some(limited) = &mut limited else { return open.next() };
            match (open.peek(), limited.peek()) {
                (Some(one), Some(other)) if other < one => limited.next(),
                (None, _) => limited.next(),
                (Some(_), _) => open.next(),
            }
        })
        .map(|(_, rank)| rank.agent)
    }

    /// The sites that a member is limited to.
    #[must_use]
    pub fn sites(&self, agent: AgentId) -> &Sites {
        self.members.get(&agent).map_or(&EVERYWHERE, |member| &member.standing.sites)
    }

    /// The first in the strategy's order of those whom nothing but their absence keeps from taking something.
    #[must_use]
    pub fn absent_for(&self, fit: &Fit) -> Option<AgentId> {
        let absent = |why| matches!(why, Some(WhyNot::Offline | WhyNot::Away | WhyNot::NotLive));
        let members = self.members.iter().filter(|(agent, member)| {
            let used = usize::from(member.standing.taken) + member.proposed();
            let has_room = used < usize::from(member.standing.cap);
            fit.allows(**agent, &member.standing.sites) && absent(member.standing.why_not) && has_room
        });
        members.map(|(agent, member)| Rank::of(self.strategy, *agent, member)).min().map(|rank| rank.agent)
    }

    /// The name under which an agent is a member.
    #[must_use]
    pub fn name(&self, agent: AgentId) -> Option<&SmolStr> {
        self.members.get(&agent).map(|member| &member.standing.name)
    }

    /// The first reason why an agent can take nothing now; `None`: available.
    #[must_use]
    pub fn why_not(&self, agent: AgentId) -> Option<WhyNot> {
        self.members.get(&agent).map_or(Some(WhyNot::NotMember), Member::why_not)
    }

    /// As [`Roster::why_not`], for a conversation of this site.
    #[must_use]
    pub fn why_not_on(&self, agent: AgentId, site: Option<&SmolStr>) -> Option<WhyNot> {
        match self.members.get(&agent) {
            Some(member) if !member.standing.sites.cover(site) => Some(WhyNot::OutOfScope),
            _ => self.why_not(agent),
        }
    }

    /// How many members are out for a conversation of this site, per reason.
    #[must_use]
    pub fn out(&self, site: Option<&SmolStr>) -> BTreeMap<WhyNot, u32> {
        let mut out = self.open.out.clone();
        let mut beyond = self.limited.len;
        if let Some(pool) = site.and_then(|site| self.sites.get(site)) {
            beyond -= pool.len;
            pool.out.iter().for_each(|(why, count)| *out.entry(*why).or_default() += count);
        }
        if beyond > 0 {
            out.insert(WhyNot::OutOfScope, u32::try_from(beyond).unwrap_or(u32::MAX));
        }
        out.retain(|_, count| *count > 0);
        out
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many members are present.
    #[must_use]
    pub fn present(&self) -> usize {
        self.open.present.len() + self.limited.present.len()
    }

    /// How many members can take something now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.open.available.len() + self.limited.available.len()
    }

    /// Taken and free slots of the members that are present.
    #[must_use]
    pub fn slots(&self) -> (u64, u64) {
        let present =
            self.open.present.iter().chain(&self.limited.present).filter_map(|agent| self.members.get(agent));
        present.fold((0, 0), |(taken, free), member| {
            let standing = &member.standing;
            let left = standing.cap.saturating_sub(standing.taken);
            (taken + u64::from(standing.taken), free + u64::from(left))
        })
    }
}

/// The one place where the indexes change, so that they always agree with the members.
fn change_pools(
    open: &mut Pool,
    limited: &mut Pool,
    sites: &mut BTreeMap<SmolStr, Pool>,
    agent: AgentId,
    was: Option<&Indexed>,
    is: Option<&Indexed>,
) {
    let served =
        |indexed: Option<&Indexed>| indexed.and_then(|indexed| indexed.sites.named().map(<[_]>::to_vec));
    let (was_serving, serving) = (served(was), served(is));
    if was_serving.is_none() && serving.is_none() {
        return open.change(agent, was, is);
    }
    let unlimited = |indexed: &&Indexed| indexed.sites.named().is_none();
    open.change(agent, was.filter(unlimited), is.filter(unlimited));
    let of_limited = |indexed: &&Indexed| indexed.sites.named().is_some();
    let (was, is) = (was.filter(of_limited), is.filter(of_limited));
    limited.change(agent, was, is);
    for site in was_serving.iter().flatten() {
        if let Some(pool) = sites.get_mut(site) {
            pool.change(agent, was, None);
        }
    }
    for site in serving.iter().flatten() {
        sites.entry(site.clone()).or_default().change(agent, None, is);
    }
    sites.retain(|_, pool| pool.len > 0);
}
