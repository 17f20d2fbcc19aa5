//! The judge: compares what is promised (design §6) with the log, with what people saw, and with the machines when nothing is
//! on its way between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        Because, FallbackReason, Out, Policy, Presence, Refusal, Reply, Strategy, Tell, agent,
        conversation::{self, Ask, Event, Purpose},
        group,
        recovery::{Entry, World},
    },
};

use crate::{
    model::{Blame, Conv, Model, Pending, Place, Stay},
    people::{Act, People},
    presets::Extras,
    walks::Walk,
    world::Answered,
};

/// How long a fact must have stood for a group to know of it, whatever was slow.
const CALM: Duration = Duration::from_secs(8);

/// How long a command may be on its way.
const SLOW: Duration = Duration::from_secs(4);

/// Watches a run and keeps the first broken promise.
pub(crate) struct Oracle {
    pub(crate) model: Model,
    pub(crate) violation: Option<Blame>,
    /// Everything up to here has been acknowledged.
    released: u64,
    acknowledged: BTreeMap<ConversationId, u64>,
    /// Nothing is on its way but the command that is being handled.
    alone: bool,
    /// Since when nothing was slow, failed or crashed.
    pub(crate) calm_since: Timestamp,
    /// When a machine last failed.
    pub(crate) failed_at: Timestamp,
}

impl Oracle {
    pub(crate) fn new(policy: Policy, extras: Extras) -> Self {
        Self {
            model: Model::new(policy, extras),
            violation: None,
            released: 0,
            acknowledged: BTreeMap::new(),
            alone: false,
            calm_since: Timestamp::default(),
            failed_at: Timestamp::default(),
        }
    }

    pub(crate) fn blame(&mut self, promise: &'static str, what: String) {
        self.violation.get_or_insert((promise, what));
    }

    // === While commands are handled ===

    pub(crate) fn begin(&mut self, alone: bool) {
        self.alone = alone;
    }

    pub(crate) fn about_to_handle(&mut self, command: &conversation::Command, now: Timestamp) {
        let accepts = matches!(command, conversation::Command::Ask { ask: Ask::Accept { .. }, .. });
        self.model.accepting = accepts.then_some(now);
    }

    pub(crate) fn take(&mut self, entry: &Entry, now: Timestamp, people: &People) {
        if let Entry::Conversation { id, record } = entry {
            for event in &record.events {
                self.fell_back_for_a_reason(*id, event, now, people);
            }
        }
        if let Err((promise, what)) = self.model.take(entry, now) {
            self.blame(promise, what);
        }
    }

    /// Nobody was told that nobody can while somebody could all along.
    fn fell_back_for_a_reason(&mut self, id: ConversationId, event: &Event, now: Timestamp, people: &People) {
        let Event::FellBack { reason, .. } = event else { return };
        let Some(conversation) = self.model.conversations.get(&id) else { return };
        let Place::Waiting(stay) = &conversation.place else { return };
        let closed = *reason == FallbackReason::ClosedHours;
        if closed && self.model.has_been(true, now, CALM) {
            let what = format!("{id} fell back for {reason:?} in {stay:?}, and it was open all along");
            self.blame("the reason is true", what);
            return;
        }
        let other = matches!(
            reason,
            FallbackReason::NobodyOnline | FallbackReason::AllAtCapacity | FallbackReason::WaitedTooLong
        );
        // What was offered when it closed goes on until its answer.
        if other && stay.since + CALM < now && self.model.has_been(false, now, CALM) {
            let what = format!("{id} fell back for {reason:?} in {stay:?}, and it was closed all along");
            self.blame("the reason is true", what);
            return;
        }
        if !self.model.has_been(true, now, CALM) {
            return;
        }
        if now.since(self.calm_since) < CALM {
            return;
        }
        let used_up = stay.limit(&self.model.policy).is_some_and(|limit| stay.offers >= limit);
        let excluded = match reason {
            FallbackReason::OffersExhausted => !used_up,
            FallbackReason::NobodyOnline => true,
            _ => false,
        };
        let there = |agent: &&AgentId| {
            let worker = &self.model.agents[*agent];
            stay.admits(**agent)
                && conversation.may_go_to(**agent)
                && worker.serves(conversation.site.as_ref())
                && self.is_there(**agent, &stay.group, people)
                && now.since(worker.changed.max(people.changed(**agent))) > CALM
        };
        let somebody = self.model.agents.keys().find(there);
        if let Some(agent) = somebody.filter(|_| excluded) {
            let what = format!("{id} fell back for {reason:?} in {stay:?}, and {agent} was there all along");
            self.blame("the reason is true", what);
        }
    }

    /// What a group proposed: to whom its strategy says, and nobody overtaken.
    pub(crate) fn group_decided(
        &mut self,
        id: &GroupId,
        out: &Out<group::Event>,
        people: &People,
        now: Timestamp,
    ) {
        let proposal = out.tells.iter().find_map(|tell| match tell {
            Tell::Agent(agent, agent::Command::Reserve { conversation, decision, .. }) => {
                Some((*agent, *conversation, decision))
            }
            _ => None,
        });
        let sure = self.alone && !self.is_unsure(now) && !self.asks_soon(now);
        self.group_kept_hours(id, out, sure, people, now);
        let Some((chosen, conversation, decision)) = proposal.filter(|_| sure) else { return };
        let Some((it, stay)) = self.waiting(conversation) else { return };
        let candidates = self.model.agents.keys().copied();
        let candidates =
            candidates.filter(|agent| stay.admits(*agent) && self.is_free_for(it, *agent, id, people, now));
        let candidates: Vec<AgentId> = candidates.collect();
        // Who helps in it is asked for a slot once, and says that they have one.
        let others: Vec<AgentId> = candidates.iter().copied().filter(|agent| it.may_go_to(*agent)).collect();
        let expected = match decision.because {
            Because::Strategy => [&candidates, &others]
                .map(|of| self.best(id, decision.strategy, of, now))
                .into_iter()
                .find(|best| *best == Some(chosen))
                .unwrap_or_else(|| self.best(id, decision.strategy, &others, now)),
            Because::Preferred | Because::Direct => Some(chosen),
        };
        if expected != Some(chosen) {
            let what =
                format!("{id} chose {chosen} for {conversation}, and {expected:?} was next: {decision:?}");
            self.blame("strategy", what);
            return;
        }
        let announces = matches!(decision.strategy, Strategy::Broadcast | Strategy::Pull);
        if announces {
            // Older ones are announced, not offered.
            return;
        }
        let place = (it.priority, stay.since, conversation);
        let overtaken = self.model.conversations.iter().find(|(other, it)| match &it.place {
            Place::Waiting(stay) => {
                stay.group == *id
                    && stay.pending == Pending::Nothing
                    && stay.is_unrestricted()
                    && it.slotted.is_empty()
                    && self.model.agents[&chosen].serves(it.site.as_ref())
                    && (it.priority, stay.since, **other) < place
            }
            _ => false,
        });
        if let Some((other, it)) = overtaken {
            self.blame("order", format!("{conversation} overtook {other} in {id}: {:?}", it.place));
        }
    }

    /// The candidate whom the strategy names.
    fn best(&self, group: &GroupId, strategy: Strategy, of: &[AgentId], now: Timestamp) -> Option<AgentId> {
        let worker = |agent: &AgentId| &self.model.agents[agent];
        let name = |agent: &AgentId| (worker(agent).name.clone(), *agent);
        match strategy {
            Strategy::RoundRobin | Strategy::Assign => {
                let pointer = self.model.pointers.get(group);
                let after = of.iter().filter(|agent| pointer.is_none_or(|pointer| name(agent) > *pointer));
                after.min_by_key(|agent| name(agent)).or(of.iter().min_by_key(|agent| name(agent))).copied()
            }
            Strategy::LeastActive => {
                let rank =
                    |agent: &&AgentId| (self.taken(**agent, now), worker(agent).last_assigned, name(agent));
                of.iter().min_by_key(rank).copied()
            }
            Strategy::LongestIdle => {
                of.iter().min_by_key(|agent| (worker(agent).last_assigned, name(agent))).copied()
            }
            Strategy::Broadcast | Strategy::Pull => None,
        }
    }

    /// Known-bugs shape (d): who is offered something is eligible by an allow-list, whatever the group believed.
    pub(crate) fn agent_granted(&mut self, id: AgentId, out: &Out<agent::Event>, live: bool) {
        let granted = out.tells.iter().find_map(|tell| match tell {
            Tell::Conversation(conversation, conversation::Command::Granted(granted)) => {
                match &granted.purpose {
                    Purpose::Offer(decision) => Some((*conversation, decision.group.clone())),
                    _ => None,
                }
            }
            _ => None,
        });
        let Some((granted, group)) = granted else { return };
        let worker = self.model.agents.get(&id).cloned().unwrap_or_default();
        let site = self.model.conversations.get(&granted).and_then(|it| it.site.clone());
        let others = worker.holds.iter().filter(|held| **held != granted).count();
        let may = worker.exists
            && worker.live_chat
            && worker.intent == Some(Presence::Online)
            && live
            && worker.serves(site.as_ref())
            && (group.is_everyone() || worker.groups.contains(&group))
            && others < usize::from(worker.allowance);
        if !may {
            self.blame("eligible", format!("{id} was offered {granted}, live {live}: {worker:?}"));
        }
    }

    /// A rebuilt agent has forgotten its wrap-ups: they are volatile.
    pub(crate) fn rests_no_more(&mut self, id: AgentId) {
        self.model.agents.entry(id).or_default().wraps.clear();
    }

    // === What people hear ===

    /// Something left that was made at this position.
    pub(crate) fn left(&mut self, position: u64) {
        self.released = self.released.max(position);
    }

    pub(crate) fn acknowledged(&mut self, conversation: Option<ConversationId>, seq: u64) {
        if let Some(conversation) = conversation {
            let newest = self.acknowledged.entry(conversation).or_default();
            *newest = seq.max(*newest);
        }
    }

    /// S6: a repeated command gets the stored reply.
    pub(crate) fn answered_again(&mut self, act: &Act, first: Reply, again: Answered) {
        let same = match (act, first, again) {
            // What stands aside answers nothing but that.
            (_, _, Err(Refusal::KeyExpired | Refusal::Failed | Refusal::Quarantined)) => true,
            (Act::Open { conversation: asked, .. }, Reply::Opened { conversation: first, .. }, again) => {
                // Who was led to another conversation had no effect, and may be led elsewhere later.
                let led = matches!(again, Ok(Reply::Opened { conversation, .. }) if conversation == first);
                led || first != *asked
            }
            (Act::Presence(..), _, Err(Refusal::NotFound)) => true,
            (_, first, again) => again == Ok(first),
        };
        if !same {
            self.blame("S6", format!("{act:?} was answered {first:?}, then {again:?}"));
        }
    }

    /// S8.
    pub(crate) fn shown_to_a_visitor(&mut self, text: &str) {
        if text.contains("NOTE-") || text.contains("FOR STAFF ONLY") {
            self.blame("S8", format!("a visitor was shown {text:?}"));
        }
    }

    /// S7.
    pub(crate) fn next_in_line(&mut self, who: &str, conversation: ConversationId, last: u64, number: u64) {
        if number != last + 1 {
            self.blame("S7", format!("{who} of {conversation} heard {number} after {last}"));
        }
    }

    // === Crashes ===

    /// S3 and S4: what the disk holds is a prefix of what happened, and no shorter than what was acknowledged.
    pub(crate) fn recovered(&mut self, issued: &[Entry], found: &[Entry], now: Timestamp) {
        self.calm_since = now;
        if (found.len() as u64) < self.released {
            let released = self.released;
            self.blame("S3", format!("{released} records were acknowledged, {} are there", found.len()));
        }
        if issued.get(..found.len()) != Some(found) {
            self.blame("S4", "what was recovered is no prefix of what was recorded".to_owned());
        }
        let said = std::mem::take(&mut self.model.said);
        self.model = Model::new(self.model.policy.clone(), self.model.extras.clone());
        self.model.said = said;
        for entry in found {
            if let Err((promise, what)) = self.model.take(entry, entry.at().unwrap_or_default()) {
                self.blame(promise, format!("after a crash: {what}"));
            }
        }
        for (conversation, seq) in std::mem::take(&mut self.acknowledged) {
            let there = self.model.conversations.get(&conversation).map_or(0, |it| it.seq);
            if there < seq {
                self.blame(
                    "S3",
                    format!("event {seq} of {conversation} was acknowledged, {there} are there"),
                );
            }
        }
    }

    pub(crate) fn same(&mut self, what: &str, live: &str, fold: &str) {
        if live != fold {
            self.blame("S4", format!("a {what} is\n  {live}\nand the fold of the log is\n  {fold}"));
        }
    }

    // === When nothing is on its way ===

    pub(crate) fn when_quiet(&mut self, now: Timestamp, world: &World, people: &People) {
        for worker in self.model.agents.values_mut() {
            let held = u16::try_from(worker.holds.len()).unwrap_or(u16::MAX);
            worker.allowance = worker.cap.max(held.min(worker.allowance));
            worker.wraps.retain(|_, until| *until + SLOW > now);
        }
        let found = self
            .slots_agree(world, now)
            .and_then(|()| self.nothing_is_lost(world))
            .and_then(|()| if self.asks_soon(now) { Ok(()) } else { self.nothing_is_stuck(now, people) })
            .and_then(|()| self.nothing_is_overdue(now))
            .and_then(|()| self.who_stands_aside_is_left_out(world, now))
            .and_then(|()| self.what_is_counted_is_right(world));
        if let Err((promise, what)) = found {
            self.blame(promise, what);
        }
    }

    /// Two derivations of each agent's slots, and of intent.
    fn slots_agree(&self, world: &World, now: Timestamp) -> Result<(), Blame> {
        for (id, agent) in &world.agents {
            let worker = self.model.agents.get(id).cloned().unwrap_or_default();
            let holds: BTreeSet<ConversationId> =
                agent.holds().map(|(conversation, _)| conversation).collect();
            // Who stands aside is asked nothing, and keeps what they own.
            if holds != worker.holds && !self.asks_soon(now) && !worker.aside {
                return Err(("S2", format!("{id} holds {holds:?}, the log says {:?}", worker.holds)));
            }
            let intent = worker.intent.unwrap_or(Presence::Offline);
            if intent != agent.intent() {
                return Err(("S4", format!("{id} means {:?}, the log says {intent:?}", agent.intent())));
            }
        }
        Ok(())
    }

    /// After a failure a grant may hang, or an agent may grant nothing, until the agent asks (again).
    fn asks_soon(&self, now: Timestamp) -> bool {
        now.since(self.failed_at) < CALM
    }

    /// S1: each conversation is in exactly one place, and who has to know of it does.
    fn nothing_is_lost(&self, world: &World) -> Result<(), Blame> {
        let mut lines: BTreeMap<&GroupId, usize> = BTreeMap::new();
        for (id, it) in &self.model.conversations {
            let Some(live) = world.conversations.get(id) else {
                return Err(("S1", format!("{id} is in the log and nowhere else")));
            };
            if live.numbers() != (it.seq, it.visitor_seq) {
                let numbers = live.numbers();
                return Err((
                    "S7",
                    format!("{id} is at {numbers:?}, the log at {}, {}", it.seq, it.visitor_seq),
                ));
            }
            if let Place::Waiting(stay) = &it.place {
                *lines.entry(&stay.group).or_default() += 1;
                let known = world.groups.get(&stay.group).is_some_and(|group| group.ahead_of(*id).is_some());
                if !known && stay.pending == Pending::Nothing {
                    return Err(("L1", format!("{id} waits in a group that does not know: {stay:?}")));
                }
            }
            let open = world.workspace.open_conversation(it.visitor, &it.channel);
            if it.place != Place::Closed && !it.aside && open != Some(*id) {
                return Err(("one open", format!("{id} is open, the workspace knows of {open:?}")));
            }
        }
        for (id, group) in &world.groups {
            let known = group.waiting() + group.offered();
            let waiting = lines.get(id).copied().unwrap_or(0);
            if known > waiting {
                return Err(("S1", format!("{id} knows of {known}, and {waiting} wait there")));
            }
        }
        Ok(())
    }

    /// No conversation waits while somebody could take it.
    fn nothing_is_stuck(&self, now: Timestamp, people: &People) -> Result<(), Blame> {
        if !self.model.has_been(true, now, SLOW) {
            return Ok(());
        }
        for (id, it) in &self.model.conversations {
            let Place::Waiting(stay) = &it.place else { continue };
            let asked = match &stay.pending {
                Pending::Offer { .. } => continue,
                Pending::Nothing => BTreeSet::new(),
                Pending::Announcement { agents, .. } => agents.clone(),
            };
            let free = self.model.agents.keys().find(|agent| {
                !asked.contains(agent)
                    && stay.admits(**agent)
                    && it.may_go_to(**agent)
                    && self.is_free_for(it, **agent, &stay.group, people, now)
            });
            if let Some(agent) = free {
                let worker = &self.model.agents[agent];
                return Err(("L1", format!("{id} is stuck: {stay:?}, and {agent} is free: {worker:?}")));
            }
        }
        Ok(())
    }

    /// L1 and L2: nothing is past its bound.
    fn nothing_is_overdue(&self, now: Timestamp) -> Result<(), Blame> {
        let slack = Duration::from_secs(1);
        if now.since(self.calm_since) < CALM {
            return Ok(());
        }
        for (id, it) in &self.model.conversations {
            let deadline = match &it.place {
                Place::Waiting(stay) => match &stay.pending {
                    Pending::Offer { deadline, .. }
                    | Pending::Announcement { deadline: Some(deadline), .. } => Some(*deadline),
                    Pending::Nothing | Pending::Announcement { deadline: None, .. } => stay.wait_until,
                },
                Place::Active(active) => active.handover.map(|(_, deadline)| deadline),
                // What stands aside there is not run, and holds up nobody.
                Place::Choosing { .. } | Place::Bot if it.aside => None,
                Place::Choosing { until } => Some(*until),
                Place::Bot => self.model.policy.bot_idle_close.map(|idle| it.active_at + idle),
                Place::Begun | Place::Missed | Place::Closed => None,
            };
            let walk = it.walk.as_ref().and_then(Walk::due);
            let over = it.invited.values().copied().chain(deadline).chain(walk).min();
            if over.is_some_and(|deadline| deadline + slack < now) {
                return Err((
                    "L1",
                    format!("{id} is past its bound at {now}: {:?} {:?} {:?}", it.place, it.invited, it.walk),
                ));
            }
        }
        Ok(())
    }

    /// What is set aside: a conversation holds no slot and waits nowhere, an agent is offered nothing, and nothing stays in the line
    /// of a group.
    fn who_stands_aside_is_left_out(&self, world: &World, now: Timestamp) -> Result<(), Blame> {
        for (id, it) in &self.model.conversations {
            // An agent who stands aside hears of it when they take part again.
            let takes_part = |agent: &&maitred::routing::agent::Agent| agent.quarantined().is_none();
            let mut agents = world.agents.values().filter(takes_part);
            let held = agents.any(|agent| agent.holds().any(|(holds, _)| holds == *id));
            let listed = world.groups.values().any(|group| group.ahead_of(*id).is_some());
            if it.aside && (held && !self.asks_soon(now) || listed) {
                return Err(("quarantine", format!("{id}: a slot is held {held}, in a line {listed}")));
            }
            let Place::Waiting(stay) = &it.place else { continue };
            let offered = match &stay.pending {
                Pending::Offer { agent, .. } => self.model.agents[agent].aside,
                Pending::Nothing | Pending::Announcement { .. } => false,
            };
            if offered {
                return Err(("quarantine", format!("{id} is offered to who stands aside: {stay:?}")));
            }
            if self.model.closed.contains(&stay.group) && !stay.pending_offer() {
                return Err(("quarantine", format!("{id} waits in a group that stands aside: {stay:?}")));
            }
        }
        Ok(())
    }

    /// Seats and engagements: granted within their bounds, and counted as often as they are used. A workspace that failed may have
    /// forgotten grants that were on their way.
    fn what_is_counted_is_right(&self, world: &World) -> Result<(), Blame> {
        if self.failed_at > Timestamp::default() {
            return Ok(());
        }
        let (counts, policy) = (world.workspace.counts(), &self.model.policy);
        let (engaged, seated) = (self.model.engaged(), self.model.seated());
        if counts.engaged != engaged {
            let counted = counts.engaged;
            return Err(("engagements", format!("{engaged} in the log, {counted} counted")));
        }
        if policy.lifetime_engagements.is_some_and(|most| engaged > u64::from(most)) {
            let most = policy.lifetime_engagements;
            return Err(("engagements", format!("{engaged} of {most:?}")));
        }
        if policy.seats.is_some_and(|seats| seated > seats as usize) {
            return Err(("seats", format!("{seated} of {:?}", policy.seats)));
        }
        Ok(())
    }

    /// After a run that ended well: what still waits has no bound.
    pub(crate) fn everything_bounded_has_ended(&mut self, began: Timestamp) {
        let waits = self.model.conversations.iter().find(|(_, it)| {
            let until = match &it.place {
                Place::Waiting(stay) => stay.wait_until,
                Place::Choosing { until } if !it.aside => Some(*until),
                _ => it.walk.as_ref().and_then(Walk::due),
            };
            until.is_some_and(|until| until < began)
        });
        if let Some((id, it)) = waits {
            self.blame("L1", format!("{id} still waits: {:?}", it.place));
        }
    }

    // === Who could take what ===

    pub(crate) fn waiting(&self, id: ConversationId) -> Option<(&Conv, &Stay)> {
        let conversation = self.model.conversations.get(&id)?;
        match &conversation.place {
            Place::Waiting(stay) => Some((conversation, stay)),
            _ => None,
        }
    }

    fn taken(&self, agent: AgentId, now: Timestamp) -> usize {
        let Some(worker) = self.model.agents.get(&agent) else { return 0 };
        worker.holds.len() + worker.wraps.values().filter(|until| **until > now).count()
    }

    fn is_there(&self, agent: AgentId, group: &GroupId, people: &People) -> bool {
        self.model.agents.get(&agent).is_some_and(|worker| {
            worker.exists
                && !worker.aside
                && !self.model.closed.contains(group)
                && worker.live_chat
                && worker.intent == Some(Presence::Online)
                && people.sessions(agent) > 0
                && (group.is_everyone() || worker.groups.contains(group))
        })
    }

    /// Whether they could take this one.
    pub(crate) fn is_free_for(
        &self,
        it: &Conv,
        agent: AgentId,
        group: &GroupId,
        people: &People,
        now: Timestamp,
    ) -> bool {
        let serves = self.model.agents.get(&agent).is_some_and(|worker| worker.serves(it.site.as_ref()));
        serves && self.is_free(agent, group, people, now)
    }

    fn is_free(&self, agent: AgentId, group: &GroupId, people: &People, now: Timestamp) -> bool {
        let Some(worker) = self.model.agents.get(&agent) else { return false };
        let perhaps = worker.wraps.values().filter(|until| **until <= now).count();
        let taken = self.taken(agent, now) + perhaps;
        self.is_there(agent, group, people) && taken < usize::from(worker.cap)
    }

    /// Whether somebody's wrap-up may be over or not: the agent's reminder may be on its way.
    fn is_unsure(&self, now: Timestamp) -> bool {
        self.model.agents.values().any(|worker| worker.wraps.values().any(|until| *until <= now))
    }

    /// The head of a group's line.
    pub(crate) fn head_of(&self, group: &GroupId) -> Option<ConversationId> {
        let line = self.model.conversations.iter().filter_map(|(id, it)| match &it.place {
            Place::Waiting(stay) if stay.group == *group && stay.pending == Pending::Nothing => {
                Some((it.priority, stay.since, *id))
            }
            _ => None,
        });
        line.min().map(|(_, _, id)| id)
    }

    /// Whether a waiting conversation may go to this agent.
    pub(crate) fn suits(&self, conversation: ConversationId, agent: AgentId) -> bool {
        self.waiting(conversation).is_none_or(|(it, stay)| {
            let worker = self.model.agents.get(&agent);
            stay.admits(agent) && worker.is_none_or(|worker| worker.serves(it.site.as_ref()))
        })
    }
}
