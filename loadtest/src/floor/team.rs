//! What agents do: answer offers, write, close, go and come back.

use std::time::Instant;

use maitred::{
    ids::{AgentId, GroupId},
    protocol::{
        notice::{AgentItem, AgentItems, ListChanged, ListItems, OfferEnded, OfferMade},
        words::{ListFilter, OfferOutcome, Speaker},
    },
};
use rand::Rng;

use super::{Colleague, Floor, Timer, visitors::Pending};
use crate::{
    link::{Ask, FILTERS, VisitRef, What},
    scenario::Disturbance,
};

/// One agent.
pub(super) struct Member {
    pub(super) id: AgentId,
    pub(super) link: usize,
    pub(super) groups: Vec<GroupId>,
    /// Not attached, or about to be detached.
    pub(super) away: bool,
    /// The versions of the lists that they keep.
    pub(super) lists: [u64; FILTERS.len()],
    /// Since when they wait for lists that they began anew.
    pub(super) awaited: [Option<Instant>; FILTERS.len()],
}

impl Member {
    pub(super) fn new(colleague: &Colleague, link: usize) -> Self {
        Self {
            id: colleague.id,
            link,
            groups: colleague.groups.clone(),
            away: true,
            lists: Default::default(),
            awaited: Default::default(),
        }
    }
}

impl Floor {
    pub(super) fn offer_made(&mut self, made: &OfferMade, now: Instant) {
        self.tally.offered += 1;
        let Some(at) = self.visit_of.get(&made.conversation).copied() else { return };
        let visit = &mut self.visits[at];
        if visit.offer.is_none() && visit.timed_out_at.is_none() && !visit.answered {
            self.tally.offer(now.saturating_duration_since(visit.due));
        }
        if let Some(before) = visit.timed_out_at.take() {
            self.tally.reoffer.add(now.saturating_duration_since(before));
        }
        self.consider(at, made, now);
    }

    /// An agent has an offer before them: whether and when they will answer it.
    fn consider(&mut self, at: usize, made: &OfferMade, now: Instant) {
        let Some(member) = self.member_of.get(&made.agent).copied() else { return };
        let (offer, deadline) = (made.offer, made.deadline);
        self.visits[at].offer = Some(Pending { member, offer, deadline });
        if !self.answering || self.chance(self.scenario.team.silent) {
            return;
        }
        let accept = !self.chance(self.scenario.team.declines);
        let delay = self.scenario.team.accept_after.draw(&mut self.rng);
        let visit = self.reference(at);
        if delay.is_zero() {
            self.answer(visit, member, offer, accept);
        } else {
            self.timers.add(now + delay, Timer::Answer { visit, member, offer, accept });
        }
    }

    /// An agent answers an offer, if it is still there.
    pub(super) fn answer(&mut self, reference: VisitRef, member: usize, offer: u32, accept: bool) {
        let Some(at) = self.visit(reference) else { return };
        let pending = self.visits[at].offer;
        let there = pending.is_some_and(|pending| pending.member == member && pending.offer == offer);
        let Member { id: agent, link, away, .. } = self.members[member];
        if !there || away {
            return;
        }
        let what = if accept { What::Accept { agent, offer } } else { What::Decline { agent, offer } };
        self.ask(link, at, what);
    }

    pub(super) fn offer_ended(&mut self, ended: &OfferEnded, now: Instant) {
        let Some(at) = self.visit_of.get(&ended.conversation).copied() else { return };
        let Some(member) = self.member_of.get(&ended.agent).copied() else { return };
        let visit = &mut self.visits[at];
        let Some(pending) = visit.offer else { return };
        if pending.member != member || pending.offer != ended.offer {
            return;
        }
        visit.offer = None;
        if ended.outcome == OfferOutcome::TimedOut {
            visit.timed_out_at = Some(now);
            self.tally.timed_out += 1;
            if let Some(deadline) = pending.deadline {
                let late = self.clock.micros(now) - i128::from(deadline.micros());
                let late = u64::try_from(late).unwrap_or_default();
                self.tally.lateness.add(std::time::Duration::from_micros(late));
            }
        }
    }

    /// An agent owns it now.
    pub(super) fn assigned(&mut self, at: usize, member: usize, now: Instant) {
        let visit = &mut self.visits[at];
        visit.owner = Some(member);
        visit.passing = false;
        if !visit.answered {
            visit.answered = true;
            self.tally.answered += 1;
        }
        self.turn(at, now);
    }

    pub(super) fn agent_closes(&mut self, reference: VisitRef) {
        let Some(at) = self.visit(reference) else { return };
        let visit = &mut self.visits[at];
        visit.scheduled = false;
        if visit.ended || visit.closing {
            return;
        }
        let Some(owner) = visit.owner.map(|owner| &self.members[owner]).filter(|owner| !owner.away) else {
            return;
        };
        visit.closing = true;
        let (agent, link) = (owner.id, owner.link);
        self.ask(link, at, What::Close(Speaker::Agent(agent)));
    }

    /// An agent begins a list anew, or opens one of their conversations.
    pub(super) fn looks(&mut self, member: usize, time: usize, now: Instant) {
        let Some(every) = self.scenario.team.looks_every.filter(|_| self.coming) else { return };
        self.timers.add(now + every.0, Timer::Look { member, time: time + 1 });
        let Member { id: agent, link, away, .. } = self.members[member];
        if away {
            return;
        }
        if time.is_multiple_of(2) {
            let filter = time / 2 % FILTERS.len();
            // The new one counts from its snapshot on.
            self.members[member].lists[filter] = 0;
            self.members[member].awaited[filter].get_or_insert(now);
            self.links[link].ask(Ask::plain(What::Keep { agent, filter }));
        } else if !self.visits.is_empty() {
            // One of theirs, if a few tries find one.
            for _ in 0..64 {
                let at = self.rng.random_range(0..self.visits.len());
                let visit = &self.visits[at];
                if visit.owner == Some(member) && visit.acknowledged && !visit.ended && !visit.vacant {
                    return self.ask(link, at, What::Look { agent, at: now });
                }
            }
        }
    }

    /// A page of a list as it stands.
    pub(super) fn list_begins(&mut self, items: &ListItems, now: Instant) {
        let Some((member, place)) = self.list_of(items.agent, &items.filter) else { return };
        let member = &mut self.members[member];
        member.lists[place] = items.version;
        // All of it is there now.
        if !items.more
            && let Some(since) = member.awaited[place].take()
        {
            self.tally.list_latency.add(now.saturating_duration_since(since));
        }
    }

    /// What has changed on a list: it follows what was told before.
    pub(super) fn list_changes(&mut self, news: &ListChanged) {
        let Some((member, place)) = self.list_of(news.agent, &news.filter) else { return };
        let known = &mut self.members[member].lists[place];
        // Pages of one change have the same version.
        if *known == 0 {
            return;
        }
        if news.version != *known + 1 && news.version != *known {
            self.tally.list_gaps += 1;
        }
        *known = news.version;
    }

    /// Whose list it is, and which of theirs.
    fn list_of(&self, agent: Option<AgentId>, filter: &ListFilter) -> Option<(usize, usize)> {
        let member = *self.member_of.get(&agent?)?;
        Some((member, FILTERS.iter().position(|known| known == filter)?))
    }

    /// One agent goes for a while.
    pub(super) fn flap(&mut self, now: Instant) {
        let Some(Disturbance::Flap { every, away }) = self.scenario.disturbance else { return };
        if !self.coming {
            return;
        }
        self.timers.add(now + every.0, Timer::Flap);
        let member = self.rng.random_range(0..self.members.len());
        if self.members[member].away {
            return;
        }
        self.members[member].away = true;
        let back = now + away.draw(&mut self.rng);
        self.timers.add(back, Timer::Return { member });
        let Member { id, link, .. } = self.members[member];
        self.links[link].ask(Ask::plain(What::Detach(id)));
    }

    pub(super) fn come_back(&mut self, member: usize) {
        let Member { id, link, .. } = self.members[member];
        self.links[link].ask(Ask::plain(What::Attach(id)));
    }

    /// What an agent finds when their session begins: offers to be answered, conversations to be read.
    pub(super) fn finds(&mut self, items: &AgentItems, now: Instant) {
        let Some(member) = self.member_of.get(&items.agent).copied() else { return };
        self.members[member].away = false;
        for item in &items.items {
            match item {
                AgentItem::Offer(made) => {
                    if let Some(at) = self.visit_of.get(&made.conversation).copied() {
                        self.consider(at, made, now);
                    }
                }
                AgentItem::Conversation(row) => {
                    let Some(at) = self.visit_of.get(&row.conversation).copied() else { continue };
                    let Member { id: agent, link, .. } = self.members[member];
                    let after = self.visits[at].staff_seq;
                    if row.owner == Some(agent) {
                        self.visits[at].owner = Some(member);
                    }
                    self.ask(link, at, What::History { agent, after });
                }
            }
        }
    }
}
