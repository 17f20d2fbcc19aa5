//! What the log alone says, derived a second time: who holds what, where each conversation is, and whether an event may happen
//! there at all. Shares no code with the machines.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use maitred::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
    routing::{
        AssignCause, By, FallbackReason, OfferOutcome, Policy, Presence, Strategy, agent,
        conversation::{Event, Record},
        group,
        recovery::Entry,
        words::{Key, Priority, QueueCause},
    },
};
use smol_str::SmolStr;

use crate::{
    presets::Extras,
    rulings::{Said, Ways},
    walks::Walk,
};

/// A broken promise and what was seen of it.
pub(crate) type Blame = (&'static str, String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Opened or reopened, and in no queue yet.
    Begun,
    Waiting(Stay),
    Active(Active),
    Missed,
    Closed,
    /// With the bot: in no queue.
    Bot,
    /// Held until its visitor chooses a group; nobody else knows of it.
    Choosing {
        until: Timestamp,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) group: GroupId,
    pub(crate) cause: QueueCause,
    pub(crate) since: Timestamp,
    pub(crate) wait_until: Option<Timestamp>,
    pub(crate) preferred: Option<AgentId>,
    pub(crate) direct: Option<AgentId>,
    pub(crate) barred: Option<AgentId>,
    pub(crate) tried: BTreeSet<AgentId>,
    pub(crate) offers: u32,
    pub(crate) pending: Pending,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pending {
    Nothing,
    Offer { agent: AgentId, deadline: Timestamp },
    Announcement { agents: BTreeSet<AgentId>, declined: BTreeSet<AgentId>, deadline: Option<Timestamp> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) owner: AgentId,
    pub(crate) group: GroupId,
    forced: bool,
    pub(crate) handover: Option<(AgentId, Timestamp)>,
    /// The owner has left, and the handover decides who goes on.
    left: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Conv {
    pub(crate) place: Place,
    pub(crate) seq: u64,
    pub(crate) visitor_seq: u64,
    pub(crate) visitor: VisitorId,
    pub(crate) channel: Channel,
    pub(crate) priority: Priority,
    direct: Option<AgentId>,
    helpers: BTreeSet<AgentId>,
    /// Of those who help, who uses a slot for it.
    pub(crate) slotted: BTreeSet<AgentId>,
    /// The site that it is on.
    pub(crate) site: Option<SmolStr>,
    pub(crate) invited: BTreeMap<AgentId, Timestamp>,
    /// The group that it was last in without overflowing there.
    pub(crate) home: GroupId,
    /// Stands aside: holds no slot and waits nowhere.
    pub(crate) aside: bool,
    /// Has asked for an agent.
    engaged: bool,
    /// Where the rules send it.
    pub(crate) ways: Ways,
    /// The workflow that it is in.
    pub(crate) walk: Option<Walk>,
    /// When somebody last wrote, or it was assigned.
    pub(crate) active_at: Timestamp,
    /// It began with a bot.
    bot: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Worker {
    pub(crate) name: SmolStr,
    pub(crate) exists: bool,
    pub(crate) live_chat: bool,
    pub(crate) groups: Vec<GroupId>,
    /// The sites that they are limited to; none: all.
    pub(crate) sites: Vec<SmolStr>,
    pub(crate) cap: u16,
    /// What they may hold for now because their cap was lowered.
    pub(crate) allowance: u16,
    pub(crate) intent: Option<Presence>,
    pub(crate) last_assigned: Timestamp,
    pub(crate) holds: BTreeSet<ConversationId>,
    /// Slots that rest after a close, each until then.
    pub(crate) wraps: BTreeMap<ConversationId, Timestamp>,
    pub(crate) changed: Timestamp,
    /// Stands aside: is offered nothing, and keeps what they own.
    pub(crate) aside: bool,
}

impl Worker {
    /// Whether what is on this site is theirs.
    pub(crate) fn serves(&self, site: Option<&SmolStr>) -> bool {
        self.sites.is_empty() || site.is_some_and(|site| self.sites.contains(site))
    }
}

/// How long a grant may be on its way.
const SLOW: Duration = Duration::from_secs(4);

/// The log so far.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) policy: Policy,
    pub(crate) extras: Extras,
    /// What visitors announced.
    pub(crate) said: BTreeMap<ConversationId, Said>,
    pub(crate) conversations: BTreeMap<ConversationId, Conv>,
    pub(crate) agents: BTreeMap<AgentId, Worker>,
    pub(crate) pointers: BTreeMap<GroupId, (SmolStr, AgentId)>,
    /// Groups that stand aside: closed for routing.
    pub(crate) closed: BTreeSet<GroupId>,
    keys: BTreeSet<([u8; 16], ClientId, u64)>,
    pub(crate) open: BTreeMap<(VisitorId, Channel), ConversationId>,
    /// When the accept that is being handled was heard.
    pub(crate) accepting: Option<Timestamp>,
}

impl Model {
    pub(crate) fn new(policy: Policy, extras: Extras) -> Self {
        Self {
            policy,
            extras,
            said: BTreeMap::new(),
            conversations: BTreeMap::new(),
            agents: BTreeMap::new(),
            pointers: BTreeMap::new(),
            closed: BTreeSet::new(),
            keys: BTreeSet::new(),
            open: BTreeMap::new(),
            accepting: None,
        }
    }

    /// Takes an entry in, and says what is wrong with it.
    pub(crate) fn take(&mut self, entry: &Entry, now: Timestamp) -> Result<(), Blame> {
        match entry {
            Entry::Conversation { id, record } => self.conversation(*id, record, now),
            Entry::Agent { id, at, by, key, events } => {
                self.key(*id.bytes(), key.as_ref())?;
                let meant =
                    |event: &agent::Event| matches!(event, agent::Event::PresenceSet { auto: false, .. });
                // Known-bugs shapes (d) and (e): neither a device nor a start says what a person means.
                if *by == By::System && events.iter().any(meant) {
                    return Err(("presence", format!("nobody asked for {events:?} of {id}")));
                }
                events.iter().for_each(|event| self.agent(*id, *at, event));
                Ok(())
            }
            Entry::Group { id, events } => {
                for event in events {
                    match event {
                        group::Event::Pointed { name, agent } => {
                            self.pointers.insert(id.clone(), (name.clone(), *agent));
                        }
                        group::Event::Quarantined { .. } => _ = self.closed.insert(id.clone()),
                        group::Event::Reinstated { .. } => _ = self.closed.remove(id),
                    }
                }
                Ok(())
            }
            Entry::Restarted { at, last, grace_us } => {
                self.restarted(*last, *at, Duration::from_micros(*grace_us));
                Ok(())
            }
            Entry::Workspace { .. } | Entry::Clock { .. } | Entry::Erased { .. } => Ok(()),
        }
    }

    /// S6: no key is recorded twice.
    fn key(&mut self, scope: [u8; 16], key: Option<&Key>) -> Result<(), Blame> {
        match key {
            Some(key) if !self.keys.insert((scope, key.client, key.counter)) => {
                Err(("S6", format!("{key:?} took effect twice")))
            }
            _ => Ok(()),
        }
    }

    fn agent(&mut self, id: AgentId, at: Timestamp, event: &agent::Event) {
        let workspace_cap = self.policy.cap;
        let worker = self.agents.entry(id).or_default();
        match event {
            agent::Event::Profiled(profile) => {
                worker.name = profile.name.clone();
                worker.exists = true;
                worker.live_chat = profile.live_chat;
                worker.groups = profile.groups.clone();
                worker.sites = profile.sites.clone();
                worker.cap = profile.cap.unwrap_or(workspace_cap);
                worker.allowance = worker.allowance.max(worker.cap);
                worker.changed = at;
            }
            agent::Event::Removed => {
                worker.exists = false;
                worker.changed = at;
            }
            agent::Event::PresenceSet { presence, .. } => {
                worker.intent = Some(*presence);
                worker.changed = at;
            }
            agent::Event::Assigned => worker.last_assigned = at,
            agent::Event::Quarantined => {
                worker.aside = true;
                worker.changed = at;
            }
            agent::Event::Reinstated => {
                worker.aside = false;
                worker.changed = at;
            }
            // What is only in older logs, and what says nothing of who holds what.
            _ => {}
        }
    }

    fn restarted(&mut self, last: Timestamp, start: Timestamp, grace: Duration) {
        let later = |deadline: &mut Timestamp| *deadline = start + grace.max(deadline.since(last));
        for conversation in self.conversations.values_mut() {
            match &mut conversation.place {
                Place::Waiting(stay) => {
                    stay.wait_until.iter_mut().for_each(later);
                    match &mut stay.pending {
                        Pending::Offer { deadline, .. } => later(deadline),
                        Pending::Announcement { deadline, .. } => deadline.iter_mut().for_each(later),
                        Pending::Nothing => {}
                    }
                }
                Place::Active(active) => {
                    active.handover.iter_mut().for_each(|(_, at)| later(at));
                    conversation.active_at = start;
                }
                Place::Bot => conversation.active_at = start,
                Place::Begun | Place::Missed | Place::Closed | Place::Choosing { .. } => {}
            }
            conversation.walk_is_moved(last, start, grace);
            conversation.invited.values_mut().for_each(later);
        }
        for worker in self.agents.values_mut() {
            worker.wraps.clear();
            worker.changed = start;
        }
    }

    fn conversation(&mut self, id: ConversationId, record: &Record, now: Timestamp) -> Result<(), Blame> {
        self.key(*id.bytes(), record.key.as_ref())?;
        let mut events = record.events.as_slice();
        if let Some(Event::Opened { visitor, channel, priority, direct, bot, variables, .. }) = events.first()
        {
            let new = Conv {
                place: if bot.is_some() { Place::Bot } else { Place::Begun },
                seq: 0,
                visitor_seq: 0,
                visitor: *visitor,
                channel: channel.clone(),
                priority: *priority,
                direct: *direct,
                helpers: BTreeSet::new(),
                slotted: BTreeSet::new(),
                site: variables
                    .iter()
                    .find(|variable| variable.name == "site")
                    .map(|variable| SmolStr::new(&variable.value.0)),
                invited: BTreeMap::new(),
                home: GroupId::everyone(),
                aside: false,
                engaged: false,
                ways: Ways::default(),
                walk: None,
                active_at: record.at,
                bot: bot.is_some(),
            };
            if self.conversations.insert(id, new).is_some() {
                return Err(("S6", format!("{id} was opened twice")));
            }
            self.opens(id, visitor, channel)?;
            events = &events[1..];
            self.number(id, &record.events[0]);
            self.opening_was_ruled(id, record)?;
        }
        for event in events {
            self.number(id, event);
            let before = self.holders(id);
            if matches!(event, Event::CommandFailed) {
                continue;
            }
            self.ruled(id, event)?;
            self.in_scope(id, event, now)?;
            let watch = self.extras.watch.as_ref();
            if let Some(it) = self.conversations.get_mut(&id) {
                it.walks(event, &record.by, record.at, watch)?;
            }
            let place = self.moved(id, record.at, now, event, &record.by)?;
            if let Some(conversation) = self.conversations.get_mut(&id) {
                conversation.place = place;
            }
            self.slots(id, &before)?;
            if matches!(event, Event::Queued { .. } | Event::Assigned { .. })
                && let Some(conversation) = self.conversations.get_mut(&id)
            {
                conversation.engaged = true;
            }
        }
        Ok(())
    }

    /// Conversations that have asked for an agent, ever.
    pub(crate) fn engaged(&self) -> u64 {
        self.conversations.values().filter(|it| it.engaged).count() as u64
    }

    /// Agents who have a seat.
    pub(crate) fn seated(&self) -> usize {
        self.agents.values().filter(|worker| worker.exists && worker.live_chat).count()
    }

    /// One open conversation per visitor and channel.
    fn opens(&mut self, id: ConversationId, visitor: &VisitorId, channel: &Channel) -> Result<(), Blame> {
        match self.open.insert((*visitor, channel.clone()), id) {
            Some(other) if other != id => {
                Err(("one open", format!("{visitor} has {other} and {id} open on {channel}")))
            }
            _ => Ok(()),
        }
    }

    fn number(&mut self, id: ConversationId, event: &Event) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.seq += 1;
            conversation.visitor_seq += u64::from(event.visitor_sees());
        }
    }

    /// Who holds a slot for it.
    fn holders(&self, id: ConversationId) -> BTreeSet<AgentId> {
        let Some(it) = self.conversations.get(&id) else { return BTreeSet::new() };
        let mut holders = it.slotted.clone();
        match &it.place {
            Place::Waiting(Stay { pending: Pending::Offer { agent, .. }, .. }) => {
                holders.insert(*agent);
            }
            Place::Active(active) => {
                holders.extend(active.handover.iter().map(|(to, _)| *to).chain([active.owner]));
            }
            _ => {}
        }
        holders
    }

    /// BO-12: nobody is asked about, or given, what is on a site that is not theirs. Their sites may have changed while the slot was
    /// granted.
    fn in_scope(&self, id: ConversationId, event: &Event, now: Timestamp) -> Result<(), Blame> {
        let asked: Vec<AgentId> = match event {
            Event::Offered { agent, .. }
            | Event::Invited { agent, .. }
            | Event::HandoverStarted { to: agent, .. } => {
                vec![*agent]
            }
            Event::Assigned { agent, cause, .. }
                if !matches!(cause, AssignCause::Accepted | AssignCause::Handover) =>
            {
                vec![*agent]
            }
            Event::AnnouncedBy { agents, .. } | Event::AnnouncedTo { agents } => agents.clone(),
            _ => return Ok(()),
        };
        let site = self.conversations.get(&id).and_then(|it| it.site.as_ref());
        let beyond = |agent: &&AgentId| {
            let worker = self.agents.get(*agent);
            worker.is_some_and(|worker| !worker.serves(site) && worker.changed + SLOW < now)
        };
        match asked.iter().find(beyond) {
            Some(agent) => Err(("sites", format!("{id} is on {site:?}, which is not {agent}'s: {event:?}"))),
            None => Ok(()),
        }
    }

    /// S2: nobody holds more than their cap, what was forced on them aside.
    fn slots(&mut self, id: ConversationId, before: &BTreeSet<AgentId>) -> Result<(), Blame> {
        let after = self.holders(id);
        for agent in before.difference(&after) {
            if let Some(worker) = self.agents.get_mut(agent) {
                worker.holds.remove(&id);
            }
        }
        for agent in &after {
            let Some(worker) = self.agents.get_mut(agent) else {
                return Err(("S2", format!("{agent} does not exist and holds {id}")));
            };
            if !worker.holds.insert(id) {
                continue;
            }
            worker.wraps.remove(&id);
            let worker = self.agents.get(agent).cloned().unwrap_or_default();
            let forced = |id: &&ConversationId| {
                matches!(&self.conversations.get(id).map(|it| &it.place),
                    Some(Place::Active(active)) if active.forced && active.owner == *agent)
            };
            let count = worker.holds.iter().filter(|id| !forced(id)).count();
            if count > usize::from(worker.allowance) {
                let cap = worker.cap;
                return Err((
                    "S2",
                    format!("{agent} holds {count}, and the cap is {cap}: {:?}", worker.holds),
                ));
            }
        }
        Ok(())
    }

    /// Where an event takes a conversation, if it may happen where it is.
    fn moved(
        &mut self,
        id: ConversationId,
        at: Timestamp,
        now: Timestamp,
        event: &Event,
        by: &By,
    ) -> Result<Place, Blame> {
        let accepting = self.accepting.take();
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return Err(("S1", format!("{event:?} before the opening of {id}")));
        };
        let wrong = |promise, place: &Place| Err((promise, format!("{id}: {event:?} in {place:?}")));
        let place = conversation.place.clone();
        match (event, place) {
            (Event::Quarantined, place) if !conversation.aside => {
                conversation.aside = true;
                conversation.nobody_helps();
                if place != Place::Closed {
                    let (visitor, channel) = (conversation.visitor, conversation.channel.clone());
                    self.open.remove(&(visitor, channel));
                }
                Ok(match place {
                    Place::Waiting(stay) => Place::Waiting(Stay { pending: Pending::Nothing, ..stay }),
                    Place::Active(_) => Place::Missed,
                    other => other,
                })
            }
            (Event::Reinstated { .. }, place) if conversation.aside => {
                conversation.aside = false;
                if place != Place::Closed {
                    let (visitor, channel) = (conversation.visitor, conversation.channel.clone());
                    self.opens(id, &visitor, &channel)?;
                }
                Ok(place)
            }
            (Event::FellBack { reason: FallbackReason::Quarantined, .. }, Place::Waiting(_))
                if conversation.aside =>
            {
                Ok(Place::Missed)
            }
            // It is not run, so nothing happens in it.
            (_, place) if conversation.aside => wrong("quarantine", &place),
            (Event::Said { .. }, Place::Closed) => wrong("S1", &Place::Closed),
            (Event::Said { .. }, place) => {
                if matches!(by, By::Visitor(_) | By::Agent(_) | By::Supervisor) {
                    conversation.active_at = at;
                }
                Ok(place)
            }
            (
                Event::Noted { .. }
                | Event::Ruled { .. }
                | Event::Directed { .. }
                | Event::Led { .. }
                | Event::TagsSet { .. }
                | Event::VariablesSet { .. },
                place,
            ) => Ok(place),
            (Event::Held { until }, Place::Begun) if conversation.seq <= 5 => {
                Ok(Place::Choosing { until: *until })
            }
            (event, Place::Choosing { until }) => {
                let by_visitor = matches!(by, By::Visitor(_));
                let place = conversation.choosing(event, until, now, by_visitor);
                let Some(place) = place else { return wrong("a choice", &Place::Choosing { until }) };
                if place == Place::Closed {
                    let (visitor, channel) = (conversation.visitor, conversation.channel.clone());
                    self.open.remove(&(visitor, channel));
                }
                Ok(place)
            }
            (Event::HandedOver { direct, .. }, Place::Bot) => {
                conversation.direct = *direct;
                Ok(Place::Begun)
            }
            (Event::ReturnedToBot, Place::Waiting(_) | Place::Active(_) | Place::Missed)
                if conversation.bot =>
            {
                conversation.nobody_helps();
                conversation.active_at = at;
                Ok(Place::Bot)
            }
            // What a workflow does shows in where the conversation goes.
            (
                Event::FlowStarted { .. }
                | Event::FlowWaits { .. }
                | Event::FlowFired { .. }
                | Event::FlowEnded { .. },
                place,
            ) => Ok(place),
            (Event::Reprioritised { priority }, place) => {
                conversation.priority = *priority;
                Ok(place)
            }
            (Event::Queued { group, since, wait_until, preferred, barred, cause, .. }, place) => {
                let moves = matches!(
                    cause,
                    QueueCause::Overflow
                        | QueueCause::Assigned
                        | QueueCause::Reassigned
                        | QueueCause::NoOnlineAgent
                );
                match &place {
                    Place::Closed => return wrong("S1", &place),
                    Place::Waiting(stay)
                        if *cause == QueueCause::Rule
                            && stay.cause == QueueCause::Rule
                            && stay.pending == Pending::Nothing => {}
                    Place::Waiting(stay)
                        if !moves || (*cause == QueueCause::Overflow && stay.pending_offer()) =>
                    {
                        return wrong("S9", &place);
                    }
                    _ => {}
                }
                conversation.invited.clear();
                if *cause != QueueCause::Overflow {
                    conversation.home = group.clone();
                }
                let wished = matches!(
                    cause,
                    QueueCause::Opened | QueueCause::Message | QueueCause::Reopened | QueueCause::Bot
                );
                let ways = std::mem::take(&mut conversation.ways.now).filter(|_| *cause == QueueCause::Rule);
                if *cause == QueueCause::Rule && ways.as_ref().is_none_or(|(queue, _)| queue != group) {
                    return wrong("rules", &place);
                }
                let wish = conversation.direct.filter(|_| wished && group.is_everyone());
                Ok(Place::Waiting(Stay {
                    direct: wish.or(ways.and_then(|(_, agent)| agent)),
                    cause: *cause,
                    group: group.clone(),
                    since: *since,
                    wait_until: *wait_until,
                    preferred: *preferred,
                    barred: *barred,
                    tried: BTreeSet::new(),
                    offers: 0,
                    pending: Pending::Nothing,
                }))
            }
            (Event::Assigned { agent, cause, keep, .. }, place) => {
                conversation.active_at = at;
                conversation.assigned(*agent, *cause, *keep, place, accepting.unwrap_or(now), id)
            }
            (Event::FellBack { reason, .. }, Place::Waiting(stay)) => {
                let late = matches!(reason, FallbackReason::WaitedTooLong | FallbackReason::AllAtCapacity);
                let early = stay.wait_until.is_none_or(|until| now < until);
                match &stay.pending {
                    Pending::Nothing if late && early => wrong("restart", &Place::Waiting(stay)),
                    Pending::Nothing => Ok(Place::Missed),
                    _ => wrong("S9", &Place::Waiting(stay)),
                }
            }
            (Event::FellBack { reason: FallbackReason::NoRule, .. }, Place::Begun) => Ok(Place::Missed),
            (Event::TurnedAway { group, .. }, Place::Begun) if !conversation.engaged => {
                conversation.home = group.clone();
                Ok(Place::Missed)
            }
            (Event::FellBack { .. }, place) => wrong("S9", &place),
            (Event::Closed { .. }, Place::Closed) => wrong("S9", &Place::Closed),
            (Event::Closed { .. }, place) => {
                let (visitor, channel) = (conversation.visitor, conversation.channel.clone());
                conversation.nobody_helps();
                if let Place::Active(active) = &place {
                    let rest = self.policy.group(&active.group).map(|policy| policy.wrap_up);
                    let until = at + rest.unwrap_or_default();
                    if until > at {
                        self.agents.entry(active.owner).or_default().wraps.insert(id, until);
                    }
                }
                self.open.remove(&(visitor, channel));
                Ok(Place::Closed)
            }
            (Event::Reopened, Place::Closed) => {
                let (visitor, channel) = (conversation.visitor, conversation.channel.clone());
                self.opens(id, &visitor, &channel)?;
                Ok(Place::Begun)
            }
            // A participant who stayed on after a transfer leaves.
            (Event::Left { agent }, Place::Missed) if conversation.helps_no_more(*agent) => Ok(Place::Missed),
            (event, Place::Waiting(stay)) => conversation.offered(event, stay, now, id),
            (event, Place::Active(active)) => conversation.dealt(event, active, now, id),
            (_, place) => wrong("S1", &place),
        }
    }
}

impl Stay {
    pub(crate) fn pending_offer(&self) -> bool {
        matches!(self.pending, Pending::Offer { .. } | Pending::Announcement { deadline: Some(_), .. })
    }

    /// Whether everybody may have it.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.tried.is_empty() && self.barred.is_none() && self.preferred.is_none() && self.direct.is_none()
    }

    /// Whether the conversation itself does not keep this agent out.
    pub(crate) fn admits(&self, agent: AgentId) -> bool {
        !self.tried.contains(&agent)
            && self.barred != Some(agent)
            && self.direct.is_none_or(|direct| direct == agent)
    }

    pub(crate) fn limit(&self, policy: &Policy) -> Option<u32> {
        let group = policy.group(&self.group)?;
        match group.strategy {
            Strategy::Broadcast => Some(group.max_offers.unwrap_or(1)),
            Strategy::Pull => None,
            _ => group.max_offers,
        }
    }
}

impl Conv {
    /// They leave, with the slot that they used for it; whether they took part.
    fn helps_no_more(&mut self, agent: AgentId) -> bool {
        self.slotted.remove(&agent);
        self.helpers.remove(&agent)
    }

    /// Whether a group may offer it to them: who helps in it with a slot has one already.
    pub(crate) fn may_go_to(&self, agent: AgentId) -> bool {
        !self.slotted.contains(&agent)
    }

    /// All of them do.
    fn nobody_helps(&mut self) {
        self.helpers.clear();
        self.slotted.clear();
        self.invited.clear();
    }

    /// S1: who becomes the owner had the right to, in time, and nobody else owns it besides.
    fn assigned(
        &mut self,
        agent: AgentId,
        cause: AssignCause,
        keep: bool,
        place: Place,
        heard: Timestamp,
        id: ConversationId,
    ) -> Result<Place, Blame> {
        let right = match (&place, cause) {
            (Place::Begun | Place::Closed | Place::Choosing { .. }, _) => false,
            (Place::Waiting(stay), AssignCause::Accepted) => match &stay.pending {
                Pending::Offer { agent: to, deadline } => *to == agent && heard < *deadline,
                Pending::Announcement { agents, declined, .. } => {
                    agents.contains(&agent) && !declined.contains(&agent)
                }
                Pending::Nothing => false,
            },
            (Place::Waiting(stay), AssignCause::Strategy) => stay.pending == Pending::Nothing,
            (Place::Active(active), AssignCause::Handover) => {
                active.handover.is_some_and(|(to, deadline)| to == agent && heard < deadline)
            }
            (Place::Waiting(_) | Place::Missed | Place::Bot, AssignCause::Taken) => true,
            (_, AssignCause::Assigned | AssignCause::Forced | AssignCause::Workflow) => true,
            _ => false,
        };
        if !right {
            return Err(("S1", format!("{id}: {agent} got it ({cause:?}) in {place:?}")));
        }
        if let (Place::Active(before), true) = (&place, keep)
            && !before.left
        {
            self.helpers.insert(before.owner);
        }
        self.helps_no_more(agent);
        self.invited.remove(&agent);
        let group = match place {
            Place::Waiting(stay) => stay.group,
            Place::Active(active) => active.group,
            Place::Begun | Place::Missed | Place::Closed | Place::Bot | Place::Choosing { .. } => {
                self.home.clone()
            }
        };
        let forced = cause == AssignCause::Forced;
        Ok(Place::Active(Active { owner: agent, group, forced, handover: None, left: false }))
    }

    /// What may happen in a queue.
    fn offered(
        &mut self,
        event: &Event,
        mut stay: Stay,
        now: Timestamp,
        id: ConversationId,
    ) -> Result<Place, Blame> {
        let right = match (event, &mut stay.pending) {
            (Event::Offered { agent, deadline, .. }, pending @ Pending::Nothing) => {
                *pending = Pending::Offer { agent: *agent, deadline: *deadline };
                stay.offers += 1;
                stay.admits(*agent)
            }
            (Event::AnnouncedBy { agents, deadline, .. }, pending @ Pending::Nothing) => {
                let agents: BTreeSet<AgentId> = agents.iter().copied().collect();
                *pending = Pending::Announcement { agents, declined: BTreeSet::new(), deadline: *deadline };
                stay.offers += 1;
                true
            }
            (Event::AnnouncedTo { agents: more }, Pending::Announcement { agents, .. }) => {
                more.iter().all(|agent| agents.insert(*agent))
            }
            (Event::OfferEnded { agent, outcome }, pending) => {
                let right = match pending {
                    Pending::Offer { agent: to, deadline } => {
                        let due = *outcome != OfferOutcome::TimedOut || *deadline <= now;
                        let right = to == agent && due;
                        *pending = Pending::Nothing;
                        right
                    }
                    Pending::Announcement { agents, declined, .. } => {
                        agents.contains(agent) && declined.insert(*agent)
                    }
                    Pending::Nothing => false,
                };
                match outcome {
                    OfferOutcome::Rescinded(_) => stay.offers -= 1,
                    _ => {
                        stay.tried.insert(*agent);
                    }
                }
                right
            }
            (Event::AnnouncementEnded { .. }, pending @ Pending::Announcement { .. }) => {
                *pending = Pending::Nothing;
                true
            }
            // A participant who stayed on after a transfer leaves.
            (Event::Left { agent }, _) => self.helps_no_more(*agent),
            _ => false,
        };
        let place = Place::Waiting(stay);
        if right { Ok(place) } else { Err(("S1", format!("{id}: {event:?} led to {place:?}"))) }
    }

    /// What may happen while somebody owns it.
    fn dealt(
        &mut self,
        event: &Event,
        mut active: Active,
        now: Timestamp,
        id: ConversationId,
    ) -> Result<Place, Blame> {
        let right = match event {
            Event::Joined { agent, .. } => {
                let asked = self.invited.remove(agent).is_some_and(|deadline| now < deadline);
                self.helpers.insert(*agent) && (asked || active.owner == *agent)
            }
            // Asked in time, as far as the conversation knew when it recorded it.
            Event::Helps { agent, .. } => {
                let asked = self.invited.remove(agent).is_some();
                self.slotted.insert(*agent);
                self.helpers.insert(*agent) && asked && active.owner != *agent
            }
            Event::Left { agent } => {
                let owned = active.owner == *agent;
                active.left |= owned && active.handover.is_some();
                self.helps_no_more(*agent) || owned
            }
            Event::HandoverStarted { to, deadline, .. } => {
                active.handover.replace((*to, *deadline)).is_none() && active.owner != *to
            }
            Event::HandoverEnded { to, outcome } => {
                let ended = active.handover.take();
                let due = |deadline: Timestamp| *outcome != OfferOutcome::TimedOut || deadline <= now;
                ended.is_some_and(|(was, deadline)| was == *to && due(deadline))
            }
            Event::Invited { agent, deadline, .. } => {
                let takes_part = self.helpers.contains(agent) || active.owner == *agent;
                self.invited.insert(*agent, *deadline).is_none() && !takes_part
            }
            Event::InvitationEnded { agent, .. } => self.invited.remove(agent).is_some(),
            _ => false,
        };
        let place = Place::Active(active);
        if right { Ok(place) } else { Err(("S1", format!("{id}: {event:?} led to {place:?}"))) }
    }
}
