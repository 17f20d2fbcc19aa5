//! A group's view of its agents, ordered by whom its strategy would take first. It may be stale by a message: the agent decides.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::{WhyNot, group::Standing, queue::Admits, words::Strategy};
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
struct Indexed {
    /// `Some`: available.
    rank: Option<Rank>,
    present: bool,
    why_not: Option<WhyNot>,
}

impl Indexed {
    fn of(strategy: Strategy, agent: AgentId, member: &Member) -> Self {
        Self {
            rank: member.is_available().then(|| Rank::of(strategy, agent, member)),
            present: member.standing.present,
            why_not: member.why_not(),
        }
    }
}

/// A group's members.
#[derive(Debug, Clone)]
pub struct Roster {
    strategy: Strategy,
    members: BTreeMap<AgentId, Member>,
    available: BTreeSet<Rank>,
    present: BTreeSet<AgentId>,
    out: BTreeMap<WhyNot, u32>,
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
            available: BTreeSet::new(),
            present: BTreeSet::new(),
            out: BTreeMap::new(),
        }
    }

    /// Orders the members by another strategy from now on.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        if self.strategy == strategy {
            return;
        }
        self.strategy = strategy;
        let ranks = self.members.iter().filter(|(_, member)| member.is_available());
        self.available = ranks.map(|(agent, member)| Rank::of(strategy, *agent, member)).collect();
    }

    /// What an agent said of itself.
    pub fn update(&mut self, agent: AgentId, standing: Standing) -> Change {
        self.change(agent, |member| match member {
            Some(member) => member.standing = standing,
            None => *member = Some(Member { standing, proposals: BTreeSet::new() }),
        })
    }

    /// An agent left the group.
    pub fn remove(&mut self, agent: AgentId) -> Change {
        self.change(agent, |member| *member = None)
    }

    /// A proposal is on its way to an agent.
    pub fn propose(&mut self, agent: AgentId, conversation: crate::ids::ConversationId) {
        self.change(agent, |member| {
            if let Some(member) = member {
                member.proposals.insert(conversation);
            }
        });
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
            if let Some(member) = member {
                member.standing = standing;
                member.proposals.remove(&conversation);
            }
        })
    }

    /// What was proposed to the agent has gone elsewhere.
    pub fn answered(&mut self, agent: AgentId, conversation: crate::ids::ConversationId) -> Change {
        self.change(agent, |member| {
            if let Some(member) = member {
                member.proposals.remove(&conversation);
            }
        })
    }

    /// The agent answers none of its proposals any more: those that it has not answered.
    pub fn forgot(&mut self, agent: AgentId) -> (Vec<crate::ids::ConversationId>, Change) {
        let mut proposals = BTreeSet::new();
        let change = self.change(agent, |member| {
            if let Some(member) = member {
                proposals = std::mem::take(&mut member.proposals);
            }
        });
        (proposals.into_iter().collect(), change)
    }

    /// The one place where the indexes change, so that they always agree with the members.
    fn change(&mut self, agent: AgentId, edit: impl FnOnce(&mut Option<Member>)) -> Change {
        let mut member = self.members.remove(&agent);
        let was = member.as_ref().map(|member| Indexed::of(self.strategy, agent, member));
        edit(&mut member);
        let is = member.as_ref().map(|member| Indexed::of(self.strategy, agent, member));
        self.members.extend(member.map(|member| (agent, member)));
        let rank = |indexed: &Option<Indexed>| indexed.as_ref().and_then(|indexed| indexed.rank.clone());
        let (was_ranked, ranked) = (rank(&was), rank(&is));
        let change = Change {
            available: ranked.is_some(),
            was_out: was_ranked.is_none(),
            left: was.as_ref().is_some_and(|was| was.present) && !is.as_ref().is_some_and(|is| is.present),
        };
        // Most changes are of a number alone and leave the order as it is.
        if was_ranked != ranked {
            if let Some(rank) = was_ranked {
                self.available.remove(&rank);
            }
            self.available.extend(ranked);
        }
        if is.as_ref().is_some_and(|is| is.present) {
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
        change
    }

    /// Whether this agent can take something now.
    #[must_use]
    pub fn is_available(&self, agent: AgentId) -> bool {
        self.members.get(&agent).is_some_and(Member::is_available)
    }

    /// Whether anybody whom these admit is present: online, and here or expected back.
    #[must_use]
    pub fn anybody_present(&self, admits: &Admits) -> bool {
        match admits {
            Admits::Nobody => false,
            Admits::Only(agent) => self.present.contains(agent),
            Admits::Except(agents) => {
                let excluded = agents.iter().filter(|agent| self.present.contains(agent)).count();
                self.present.len() > excluded
            }
        }
    }

    /// Whether everybody present is at their cap, `freeing` aside; for one agent only, whether they are.
    #[must_use]
    pub fn all_full(&self, admits: &Admits, freeing: Option<AgentId>) -> bool {
        let is_full = |agent| matches!(self.why_not(agent), Some(WhyNot::AtCap | WhyNot::WrapUp));
        if let Admits::Only(agent) = admits {
            return is_full(*agent);
        }
        // Who is out for a full cap alone is present: any other reason comes before that one.
        let full: u32 = [WhyNot::AtCap, WhyNot::WrapUp].iter().filter_map(|why| self.out.get(why)).sum();
        full as usize == self.present.len() && !freeing.is_some_and(is_full)
    }

    /// Whether the caller would be the only one present (ZD-13).
    #[must_use]
    pub fn only_present(&self, agent: AgentId) -> bool {
        self.present.len() == 1 && self.present.contains(&agent)
    }

    /// Available members in the strategy's order; round robin starts after the pointer.
    pub fn candidates(&self, pointer: Option<&(SmolStr, AgentId)>) -> impl Iterator<Item = AgentId> + '_ {
        let start = match (self.strategy, pointer) {
            (Strategy::RoundRobin | Strategy::Assign, Some((name, agent))) => {
                Rank { first: 0, second: 0, name: name.clone(), agent: *agent }
            }
            _ => Rank { first: 0, second: 0, name: SmolStr::default(), agent: AgentId::from_bytes([0; 16]) },
        };
        // The pointer's own agent comes last: the range after it, then from the beginning up to and including it.
        let after = (std::ops::Bound::Excluded(start.clone()), std::ops::Bound::Unbounded);
        let after = self.available.range(after);
        after.chain(self.available.range(..=start)).map(|rank| rank.agent)
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

    /// How many members are out, per reason.
    pub fn out(&self) -> impl Iterator<Item = (WhyNot, u32)> + '_ {
        self.out.iter().filter(|(_, count)| **count > 0).map(|(why, count)| (*why, *count))
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
        self.present.len()
    }

    /// How many members can take something now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.available.len()
    }

    /// Taken and free slots of the members that are present.
    #[must_use]
    pub fn slots(&self) -> (u64, u64) {
        let present = self.present.iter().filter_map(|agent| self.members.get(agent));
        present.fold((0, 0), |(taken, free), member| {
            let standing = &member.standing;
            let left = standing.cap.saturating_sub(standing.taken);
            (taken + u64::from(standing.taken), free + u64::from(left))
        })
    }
}
