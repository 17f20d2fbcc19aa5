//! A group: it matches its waiting line with its roster and proposes; the agent grants, the conversation records (design §3.2).
//! Nearly all of it is a view, rebuilt from conversations and agents; only the round-robin pointer is recorded.

mod places;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Because, Context, Decision, Keeper, Machine, Out, Refusal, Refused, Remains, WhyNot, agent,
    conversation::{self, Unserved},
    policy::{GroupPolicy, WhenEmpty},
    queue::{Admits, Place, Queue},
    roster::{Change, Roster},
    words::{By, FallbackReason, Priority, QueueCause, Strategy, Ticket},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
};

pub use places::Called;

/// How many agents one command announces a conversation to, so that what it leads to fits a record; more take several.
const TOLD_MAX: usize = 4_096;

/// How many waiting conversations are announced at once to an agent who becomes available.
const ANNOUNCE_MAX: usize = 100;

/// What an agent says of itself to its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The name: round robin goes by it.
    pub name: SmolStr,
    /// The first reason why they take nothing, a full cap aside.
    pub why_not: Option<WhyNot>,
    /// What a full cap is called: at cap, or in wrap-up.
    pub full: WhyNot,
    /// Online, and here or expected back.
    pub present: bool,
    /// Slots in all.
    pub cap: u16,
    /// Slots in use.
    pub taken: u16,
    /// When they were last assigned something.
    pub last_assigned: Timestamp,
}

/// A conversation's stay, as its group sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its epoch: a grant for an older one is void.
    pub epoch: u32,
    /// The stay's number.
    pub stay: u32,
    /// The priority class.
    pub class: Priority,
    /// When it was enqueued: its place within the class.
    pub since: Timestamp,
    /// Whom to try first.
    pub preferred: Option<AgentId>,
    /// Whom alone to try.
    pub direct: Option<AgentId>,
    /// Who missed or declined it in this stay.
    pub tried: Vec<AgentId>,
    /// Who began the transfer that brought it here (ZD-14).
    pub barred: Option<AgentId>,
    /// Whether it was announced already: it stays listed, and who becomes eligible is added.
    pub announced: bool,
    /// Whether it arrives now, rather than coming back after an offer or a restart.
    pub entering: bool,
}

impl Waiting {
    fn place(&self) -> Place {
        Place { class: self.class, since: self.since, conversation: self.conversation }
    }

    fn admits(&self) -> Admits {
        match self.direct {
            Some(direct) if self.tried.contains(&direct) => Admits::Nobody,
            Some(direct) => Admits::Only(direct),
            None => Admits::except(self.tried.iter().copied().chain(self.barred)),
        }
    }

    /// Nobody but the direct agent may have it, and they have been tried.
    fn is_spent(&self) -> bool {
        self.direct.is_some_and(|direct| self.tried.contains(&direct))
    }
}

/// What is recorded of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Round robin last proposed to this agent.
    Pointed {
        /// Their name then.
        name: SmolStr,
        /// The agent.
        agent: AgentId,
    },
    /// Closed for routing after repeated failures.
    Quarantined {
        /// When.
        at: Timestamp,
    },
    /// A supervisor opened it again.
    Reinstated {
        /// Who.
        by: By,
    },
}

/// What a group may be asked.
#[derive(Debug)]
pub enum Command {
    /// A conversation waits here, or waits here again. From the conversation.
    Enqueue(Box<Waiting>),
    /// A conversation no longer waits here. From the conversation.
    Leave {
        /// The conversation.
        conversation: ConversationId,
    },
    /// An agent says how it stands.
    Member {
        /// The agent.
        agent: AgentId,
        /// How it stands.
        standing: Standing,
    },
    /// An agent is no member any more.
    MemberGone {
        /// The agent.
        agent: AgentId,
    },
    /// An agent has granted a proposal; the conversation hears of it from the agent.
    ProposalGranted {
        /// The conversation.
        conversation: ConversationId,
        /// The agent.
        agent: AgentId,
        /// How it stands, with the slot taken.
        standing: Standing,
    },
    /// An agent can't take what was proposed.
    ProposalRefused {
        /// The conversation.
        conversation: ConversationId,
        /// The agent.
        agent: AgentId,
        /// Why.
        why_not: WhyNot,
        /// How it stands.
        standing: Standing,
    },
    /// An agent was rebuilt and has forgotten what was proposed to it.
    Forgotten {
        /// The agent.
        agent: AgentId,
    },
    /// May a conversation come in by hand? Answered `Admitted` to the conversation, or the ticket is refused.
    RequestEntry {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch.
        epoch: u32,
        /// Transfer or assignment.
        cause: QueueCause,
        /// Who asked.
        ticket: Ticket,
        /// Whether the asking participant leaves.
        leave: bool,
    },
    /// A stay has waited as long as it may: why was it not served? Answered `Unserved`.
    WaitedTooLong {
        /// The conversation.
        conversation: ConversationId,
        /// The stay's number.
        stay: u32,
        /// Who missed or declined it: the group has not heard of the last one.
        tried: Vec<AgentId>,
    },
    /// Everything that waits and every member has been told after a start: begin to match.
    Start,
    /// The operator's rules have changed.
    PolicyChanged,
    /// Take part again. Carried out by whoever runs the machine, which stands still as long as it is set aside. Answered `Done`.
    Reinstate {
        /// Who asked.
        ticket: Ticket,
    },
}

#[derive(Debug, Clone)]
struct Item {
    waiting: Waiting,
    stands: Stands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// In the line: nobody has seen it.
    InLine,
    /// Announced, and still listed.
    Listed,
    /// Proposed or offered to this agent.
    With(AgentId),
}

impl Item {
    fn with(&self) -> Option<AgentId> {
        match self.stands {
            Stands::With(agent) => Some(agent),
            Stands::InLine | Stands::Listed => None,
        }
    }
}

/// A group's machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    id: GroupId,
    pointer: Option<(SmolStr, AgentId)>,
    quarantined: Option<Timestamp>,
    // Views.
    #[serde(skip)]
    roster: Roster,
    #[serde(skip)]
    line: Queue,
    #[serde(skip)]
    listed: Queue,
    #[serde(skip)]
    items: BTreeMap<ConversationId, Item>,
    /// Matches nothing before everything that waits was told.
    #[serde(skip)]
    held: bool,
    #[serde(skip)]
    awaiting: BTreeSet<ConversationId>,
    /// Where it overflows to: still known after a reload that removes it.
    #[serde(skip)]
    overflow: Option<GroupId>,
    #[serde(skip)]
    awaiting_members: BTreeSet<AgentId>,
}

impl Group {
    /// A group that nobody waits in.
    #[must_use]
    pub fn new(id: GroupId) -> Self {
        Self {
            id,
            pointer: None,
            quarantined: None,
            roster: Roster::new(Strategy::RoundRobin),
            line: Queue::default(),
            listed: Queue::default(),
            items: BTreeMap::new(),
            held: false,
            awaiting: BTreeSet::new(),
            overflow: None,
            awaiting_members: BTreeSet::new(),
        }
    }

    /// Takes one recorded event in.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Pointed { name, agent } => self.pointer = Some((name.clone(), *agent)),
            Event::Quarantined { at } => self.quarantined = Some(*at),
            Event::Reinstated { .. } => self.quarantined = None,
        }
    }

    // === Views, for people ===

    /// The id.
    #[must_use]
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// How many wait, offered ones aside.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len() + self.listed.len()
    }

    /// How many are with an agent who has not answered.
    #[must_use]
    pub fn offered(&self) -> usize {
        self.items.len() - self.waiting()
    }

    /// Since when the longest waiting one waits.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.line.oldest().into_iter().chain(self.listed.oldest()).min()
    }

    /// How many stand before a conversation; `None` if it does not wait here.
    #[must_use]
    pub fn ahead_of(&self, conversation: ConversationId) -> Option<usize> {
        let place = self.items.get(&conversation)?.waiting.place();
        Some(self.line.ahead_of(&place) + self.listed.ahead_of(&place))
    }

    /// The head of the line, at most so many.
    #[must_use]
    pub fn head(&self, most: usize) -> Vec<Place> {
        let mut places = self.places_where(|_| true);
        places.truncate(most);
        places
    }

    /// Since when it is closed for routing, if it is.
    #[must_use]
    pub fn quarantined(&self) -> Option<Timestamp> {
        self.quarantined
    }

    /// The members.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The first reason why an agent is not offered a conversation of this group, now.
    #[must_use]
    pub fn why_not(&self, conversation: ConversationId, agent: AgentId) -> Option<WhyNot> {
        self.items
            .get(&conversation)
            .and_then(|item| barrier(&item.waiting, agent))
            .or(self.roster.why_not(agent))
    }

    // === Recovery ===

    /// Matches nothing until `Start`; told by recovery before anything runs.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// After a failure: matches nothing, and turns nothing away, until all these conversations have said whether they wait here and
    /// all these agents how they stand.
    pub fn rebuilt(&mut self, conversations: BTreeSet<ConversationId>, members: BTreeSet<AgentId>) {
        self.awaiting = conversations;
        self.awaiting_members = members;
    }
}

/// Why the conversation itself keeps this agent out.
fn barrier(waiting: &Waiting, agent: AgentId) -> Option<WhyNot> {
    if waiting.direct.is_some_and(|direct| direct != agent) {
        Some(WhyNot::NotTheDirectOne)
    } else if waiting.barred == Some(agent) {
        Some(WhyNot::TransferredIt)
    } else if waiting.tried.contains(&agent) {
        Some(WhyNot::TriedIt)
    } else {
        None
    }
}

impl Machine for Group {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, cx: &Context<'_>, command: Command, out: &mut Out<Event>) -> Result<(), Refused> {
        if let Some(policy) = cx.policy.group(&self.id) {
            self.roster.set_strategy(policy.strategy);
            if self.overflow != policy.overflow {
                self.overflow.clone_from(&policy.overflow);
            }
        }
        match command {
            Command::Enqueue(waiting) => self.enqueue(cx, *waiting, out),
            Command::Leave { conversation } => {
                let change = self.forget(conversation);
                self.awaited(cx, Some(conversation), None, out);
                self.react_to(cx, change, out);
            }
            Command::Member { agent, standing } => {
                let change = self.roster.update(agent, standing);
                self.react(cx, agent, change, out);
                self.awaited(cx, None, Some(agent), out);
            }
            Command::MemberGone { agent } => self.member_gone(cx, agent, out),
            Command::ProposalGranted { conversation, agent, standing } => {
                let change = self.roster.replied(agent, conversation, standing);
                self.react(cx, agent, change, out);
            }
            Command::ProposalRefused { conversation, agent, why_not, standing } => {
                self.proposal_refused(cx, conversation, agent, why_not, standing, out);
            }
            Command::Forgotten { agent } => self.forgotten(cx, agent, out),
            Command::RequestEntry { conversation, epoch, cause, ticket, leave } => {
                self.request_entry(cx, conversation, epoch, cause, ticket, leave, out)?;
            }
            Command::WaitedTooLong { conversation, stay, tried } => {
                self.waited_too_long(conversation, stay, tried, out);
            }
            Command::Start => {
                self.held = false;
                self.match_all(cx, out);
            }
            Command::PolicyChanged if cx.policy.group(&self.id).is_none() => {
                self.turn_out(&Unserved::Removed { overflow: self.overflow.clone() }, out);
            }
            Command::PolicyChanged => self.match_all(cx, out),
            Command::Reinstate { ticket } => return Err(super::aside::not_aside(&ticket)),
        }
        Ok(())
    }

    fn remains(command: &Command) -> Option<Remains> {
        match command {
            Command::RequestEntry { conversation, ticket, .. } => {
                Some(Remains::of(ticket, Keeper::Conversation(*conversation)))
            }
            Command::Reinstate { ticket } => Some(Remains::of(ticket, Keeper::Nobody)),
            _ => None,
        }
    }

    fn next_deadline(&self, _cx: &Context<'_>) -> Option<Timestamp> {
        // Deadlines belong to conversations; a group only reacts.
        None
    }
}

// === One function per verb ===

impl Group {
    fn enqueue(&mut self, cx: &Context<'_>, waiting: Waiting, out: &mut Out<Event>) {
        let conversation = waiting.conversation;
        let change = self.forget(conversation);
        let stay = waiting.stay;
        let verdict = self.turn_away(cx, &waiting);
        let (place, admits) = (waiting.place(), waiting.admits());
        let (index, stands) = match waiting.announced {
            true => (&mut self.listed, Stands::Listed),
            false => (&mut self.line, Stands::InLine),
        };
        index.insert(place, admits);
        self.items.insert(conversation, Item { waiting, stands });
        match verdict {
            Some(why) => out.tell_conversation(conversation, conversation::Command::Unserved { stay, why }),
            None => self.place(cx, conversation, out),
        }
        self.awaited(cx, Some(conversation), None, out);
        self.react_to(cx, change, out);
    }

    /// Why an arrival can't stay; `None`: it may wait.
    fn turn_away(&self, cx: &Context<'_>, waiting: &Waiting) -> Option<Unserved> {
        let Some(policy) = cx.policy.group(&self.id) else {
            return Some(Unserved::Removed { overflow: self.overflow.clone() });
        };
        if waiting.entering && self.is_full(policy) {
            return Some(Unserved::Because(FallbackReason::QueueFull));
        }
        if waiting.is_spent() {
            return Some(Unserved::Exhausted);
        }
        if self.is_still() || self.roster.anybody_present(&waiting.admits()) {
            return None;
        }
        let patient = policy.when_empty == WhenEmpty::Queue && waiting.direct.is_none();
        match (waiting.entering, waiting.tried.is_empty() && waiting.direct.is_none()) {
            (true, _) if patient => None,
            (true, _) => Some(Unserved::Empty),
            // Came back untried, say after a restart: it goes on waiting.
            (false, true) => None,
            (false, false) => Some(Unserved::Exhausted),
        }
    }

    /// Proposes or announces a waiting conversation to whom it suits, if there is anybody.
    fn place(&mut self, cx: &Context<'_>, conversation: ConversationId, out: &mut Out<Event>) {
        if self.is_still() {
            return;
        }
        let (Some(policy), Some(item)) = (cx.policy.group(&self.id), self.items.get(&conversation)) else {
            return;
        };
        match item.stands {
            Stands::InLine => {}
            Stands::Listed => return self.announce(policy, conversation, out),
            Stands::With(_) => return,
        }
        let wish = item
            .waiting
            .direct
            .map(|agent| (agent, Because::Direct))
            .or(item.waiting.preferred.map(|agent| (agent, Because::Preferred)));
        let wish = wish
            .filter(|(agent, _)| item.waiting.admits().allows(*agent) && self.roster.is_available(*agent));
        match (wish, policy.strategy) {
            (Some((agent, because)), _) => self.propose(policy, conversation, agent, because, out),
            (None, Strategy::Broadcast | Strategy::Pull) => self.announce(policy, conversation, out),
            (None, _) => {
                let admits = item.waiting.admits();
                let pointer = self.pointer.as_ref();
                let chosen = self.roster.candidates(pointer).find(|agent| admits.allows(*agent));
                if let Some(agent) = chosen {
                    self.propose(policy, conversation, agent, Because::Strategy, out);
                }
            }
        }
    }

    fn announce(&mut self, policy: &GroupPolicy, conversation: ConversationId, out: &mut Out<Event>) {
        let Some(item) = self.items.get(&conversation) else { return };
        let admits = item.waiting.admits();
        let agents: Vec<AgentId> =
            self.roster.candidates(None).filter(|agent| admits.allows(*agent)).collect();
        self.announce_to(policy, conversation, &agents, Because::Strategy, out);
    }

    fn announce_to(
        &mut self,
        policy: &GroupPolicy,
        conversation: ConversationId,
        agents: &[AgentId],
        because: Because,
        out: &mut Out<Event>,
    ) {
        let Some(item) = self.items.get(&conversation).filter(|_| !agents.is_empty()) else { return };
        let stay = item.waiting.stay;
        let mut decision = (item.stands == Stands::InLine)
            .then(|| Box::new(self.decide(policy, conversation, agents, because)));
        self.stand(conversation, Stands::Listed);
        for agents in agents.chunks(TOLD_MAX) {
            let (agents, decision) = (agents.to_vec(), decision.take());
            let announce = conversation::Command::Announce { stay, agents, decision };
            out.tell_conversation(conversation, announce);
        }
    }

    /// The places in the line and of what is listed, in their order.
    fn places_where(&self, wanted: impl Fn(&Admits) -> bool) -> Vec<Place> {
        let mut places = self.line.places_where(&wanted);
        places.extend(self.listed.places_where(&wanted));
        places.sort_unstable();
        places
    }

    /// Moves an item between the line, what is listed, and an agent.
    fn stand(&mut self, conversation: ConversationId, stands: Stands) {
        let Some(item) = self.items.get_mut(&conversation) else { return };
        let (place, admits) = (item.waiting.place(), item.waiting.admits());
        match std::mem::replace(&mut item.stands, stands) {
            Stands::InLine => _ = self.line.remove(&place, &admits),
            Stands::Listed => _ = self.listed.remove(&place, &admits),
            Stands::With(_) => {}
        }
        match stands {
            Stands::InLine => self.line.insert(place, admits),
            Stands::Listed => self.listed.insert(place, admits),
            Stands::With(_) => {}
        }
    }

    fn propose(
        &mut self,
        policy: &GroupPolicy,
        conversation: ConversationId,
        agent: AgentId,
        because: Because,
        out: &mut Out<Event>,
    ) {
        let decision = self.decide(policy, conversation, &[agent], because);
        let Some(epoch) = self.items.get(&conversation).map(|item| item.waiting.epoch) else { return };
        self.stand(conversation, Stands::With(agent));
        self.roster.propose(agent, conversation);
        let turns = matches!(policy.strategy, Strategy::RoundRobin | Strategy::Assign);
        if turns
            && because == Because::Strategy
            && let Some(name) = self.roster.name(agent).cloned()
        {
            let event = Event::Pointed { name, agent };
            self.evolve(&event);
            out.events.push(event);
        }
        out.tell_agent(agent, agent::Command::Reserve { conversation, epoch, decision: Box::new(decision) });
    }

    /// The record of a choice, made before it changes anything.
    fn decide(
        &self,
        policy: &GroupPolicy,
        conversation: ConversationId,
        chosen: &[AgentId],
        because: Because,
    ) -> Decision {
        let waiting = self.items.get(&conversation).map(|item| &item.waiting);
        let allowed = |agent: &AgentId| waiting.is_none_or(|waiting| barrier(waiting, *agent).is_none());
        let others = self.roster.candidates(self.pointer.as_ref()).filter(|agent| !chosen.contains(agent));
        let next = match policy.strategy {
            // Everybody who could have it is asked at once: nobody is left to be next.
            Strategy::Broadcast | Strategy::Pull if because == Because::Strategy => Vec::new(),
            _ => others.filter(allowed).take(Decision::NEXT_MAX).collect(),
        };
        let mut named: Vec<(AgentId, WhyNot)> = Vec::new();
        let mut rest: BTreeMap<WhyNot, u32> = self.roster.out().collect();
        if let Some(waiting) = waiting {
            let names =
                waiting.direct.iter().chain(&waiting.preferred).chain(&waiting.tried).chain(&waiting.barred);
            for agent in names.filter(|agent| !chosen.contains(agent)) {
                let out = self.roster.why_not(*agent);
                let Some(why_not) = barrier(waiting, *agent).or(out) else { continue };
                if named.iter().any(|(known, _)| known == agent) {
                    continue;
                }
                named.push((*agent, why_not));
                if let Some(count) = out.and_then(|out| rest.get_mut(&out)) {
                    *count -= 1;
                }
            }
        }
        Decision {
            group: self.id.clone(),
            strategy: policy.strategy,
            because,
            next,
            named,
            rest: rest.into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }

    /// An agent's standing has changed: serve what it can take now, and let go what nobody is left for.
    fn react(&mut self, cx: &Context<'_>, agent: AgentId, change: Change, out: &mut Out<Event>) {
        if self.is_still() {
            return;
        }
        let announces = cx
            .policy
            .group(&self.id)
            .is_some_and(|policy| matches!(policy.strategy, Strategy::Broadcast | Strategy::Pull));
        match (change.available, announces) {
            (true, false) => self.serve(cx, agent, out),
            (true, true) if change.was_out => self.show_line(cx, agent, out),
            (true, true) | (false, _) => {}
        }
        if change.left {
            self.let_go(out);
        }
    }

    fn react_to(&mut self, cx: &Context<'_>, change: Option<(AgentId, Change)>, out: &mut Out<Event>) {
        if let Some((agent, change)) = change {
            self.react(cx, agent, change, out);
        }
    }

    /// An agent who becomes available hears of what was announced before.
    fn show_line(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        let places = self.places_where(|admits| admits.allows(agent)).into_iter();
        for place in places.take(ANNOUNCE_MAX) {
            self.place_with(cx, place.conversation, agent, out);
        }
    }

    /// A freed slot serves the longest waiting at once.
    fn serve(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        while self.roster.is_available(agent) {
            let Some(place) = self.line.first_for(agent) else { break };
            self.place_with(cx, place.conversation, agent, out);
        }
    }

    /// Proposes or announces a waiting conversation to one agent who can take it.
    fn place_with(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        agent: AgentId,
        out: &mut Out<Event>,
    ) {
        let (Some(policy), Some(item)) = (cx.policy.group(&self.id), self.items.get(&conversation)) else {
            return;
        };
        let because = if item.waiting.direct == Some(agent) {
            Because::Direct
        } else if item.waiting.preferred == Some(agent) {
            Because::Preferred
        } else {
            Because::Strategy
        };
        let announces = matches!(policy.strategy, Strategy::Broadcast | Strategy::Pull);
        if item.stands == Stands::Listed || (announces && because == Because::Strategy) {
            self.announce_to(policy, conversation, &[agent], because, out);
        } else if self.roster.is_available(agent) {
            self.propose(policy, conversation, agent, because, out);
        }
    }

    /// Tells those that were tried, or wait for one agent only, when nobody is left for them.
    fn let_go(&self, out: &mut Out<Event>) {
        let is_stranded = |admits: &Admits| {
            let restricted = !matches!(admits, Admits::Except(agents) if agents.is_empty());
            restricted && !self.roster.anybody_present(admits)
        };
        for place in self.places_where(is_stranded) {
            if let Some(item) = self.items.get(&place.conversation) {
                let stay = item.waiting.stay;
                let why = Unserved::Exhausted;
                out.tell_conversation(place.conversation, conversation::Command::Unserved { stay, why });
            }
        }
    }

    fn proposal_refused(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        agent: AgentId,
        why_not: WhyNot,
        standing: Standing,
        out: &mut Out<Event>,
    ) {
        let change = match why_not {
            WhyNot::NotMember => self.roster.remove(agent),
            _ => self.roster.replied(agent, conversation, standing),
        };
        self.back_in_line(conversation, agent, (why_not == WhyNot::HoldsIt).then_some(agent));
        self.place(cx, conversation, out);
        self.react(cx, agent, change, out);
    }

    /// Puts what was proposed to an agent back in its place.
    fn back_in_line(&mut self, conversation: ConversationId, agent: AgentId, shun: Option<AgentId>) {
        if let Some(item) = self.items.get_mut(&conversation)
            && item.stands == Stands::With(agent)
        {
            item.waiting.tried.extend(shun);
            self.stand(conversation, Stands::InLine);
        }
    }

    /// What was proposed to them, and may never be answered, goes to others. A grant that is void comes back with its conversation.
    fn forgotten(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        let (proposals, change) = self.roster.forgot(agent);
        self.propose_to_others(cx, agent, &proposals, out);
        self.react(cx, agent, change, out);
    }

    fn member_gone(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        let (proposals, _) = self.roster.forgot(agent);
        let change = self.roster.remove(agent);
        self.propose_to_others(cx, agent, &proposals, out);
        self.react(cx, agent, change, out);
        self.awaited(cx, None, Some(agent), out);
    }

    fn propose_to_others(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        proposals: &[ConversationId],
        out: &mut Out<Event>,
    ) {
        for conversation in proposals {
            self.back_in_line(*conversation, agent, None);
            self.place(cx, *conversation, out);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one command")]
    fn request_entry(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        cause: QueueCause,
        ticket: Ticket,
        leave: bool,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Some(policy) = cx.policy.group(&self.id) else { return Err(Refusal::NotFound.to(&ticket)) };
        let alone = ticket.by.agent().is_some_and(|agent| self.roster.only_present(agent));
        let empty = self.roster.present() == 0;
        if !policy.enabled {
            Err(Refusal::GroupDisabled.to(&ticket))
        } else if cause == QueueCause::Transfer && alone {
            Err(Refusal::OnlyAgentOnline.to(&ticket))
        } else if empty && policy.when_empty == WhenEmpty::Reject {
            Err(Refusal::NobodyOnline.to(&ticket))
        } else if self.is_full(policy) {
            Err(Refusal::QueueFull.to(&ticket))
        } else {
            let group = self.id.clone();
            let admitted = conversation::Command::Admitted { group, epoch, cause, ticket, leave };
            out.tell_conversation(conversation, admitted);
            Ok(())
        }
    }

    fn waited_too_long(
        &self,
        conversation: ConversationId,
        stay: u32,
        tried: Vec<AgentId>,
        out: &mut Out<Event>,
    ) {
        let item = self.items.get(&conversation);
        let waiting = item.map(|item| Waiting { tried: tried.clone(), ..item.waiting.clone() });
        let admits = waiting.as_ref().map_or_else(|| Admits::except(tried), Waiting::admits);
        let spent = waiting.is_some_and(|waiting| waiting.is_spent());
        // The slot of the offer that just ended is as good as free: the agent has been told, but not yet the group.
        let freeing = item.and_then(Item::with);
        let why = if self.roster.present() == 0 {
            Unserved::Because(FallbackReason::NobodyOnline)
        } else if spent || !self.roster.anybody_present(&admits) {
            Unserved::Exhausted
        } else if self.roster.all_full(&admits, freeing) {
            Unserved::Because(FallbackReason::AllAtCapacity)
        } else {
            Unserved::Because(FallbackReason::WaitedTooLong)
        };
        out.tell_conversation(conversation, conversation::Command::Unserved { stay, why });
    }

    /// Nothing in the line can be served here any more. What is offered goes on until its answer.
    fn turn_out(&self, why: &Unserved, out: &mut Out<Event>) {
        for (conversation, item) in self.items.iter().filter(|(_, item)| item.with().is_none()) {
            let (stay, why) = (item.waiting.stay, why.clone());
            out.tell_conversation(*conversation, conversation::Command::Unserved { stay, why });
        }
    }

    /// Serves the whole line in its order, as far as there is anybody to serve it.
    fn match_all(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        if self.is_still() {
            return;
        }
        for place in self.places_where(|_| true) {
            if self.roster.available() == 0 {
                break;
            }
            self.place(cx, place.conversation, out);
        }
        self.let_go(out);
    }

    fn is_full(&self, policy: &GroupPolicy) -> bool {
        policy.queue_max.is_some_and(|max| self.waiting() >= max as usize)
    }

    fn is_still(&self) -> bool {
        self.held || self.is_incomplete()
    }

    /// Whether a rebuilt group has not heard from everybody yet.
    fn is_incomplete(&self) -> bool {
        !(self.awaiting.is_empty() && self.awaiting_members.is_empty())
    }

    /// A conversation or an agent that a rebuilt group waited for has answered.
    fn awaited(
        &mut self,
        cx: &Context<'_>,
        conversation: Option<ConversationId>,
        agent: Option<AgentId>,
        out: &mut Out<Event>,
    ) {
        let was_incomplete = self.is_incomplete();
        if let Some(conversation) = conversation {
            self.awaiting.remove(&conversation);
        }
        if let Some(agent) = agent {
            self.awaiting_members.remove(&agent);
        }
        if was_incomplete && !self.is_incomplete() {
            self.match_all(cx, out);
        }
    }

    /// Takes a conversation out; what it means for the agent it was with, if it was with one.
    fn forget(&mut self, conversation: ConversationId) -> Option<(AgentId, Change)> {
        let item = self.items.remove(&conversation)?;
        let (place, admits) = (item.waiting.place(), item.waiting.admits());
        match item.stands {
            Stands::InLine => _ = self.line.remove(&place, &admits),
            Stands::Listed => _ = self.listed.remove(&place, &admits),
            Stands::With(agent) => return Some((agent, self.roster.answered(agent, conversation))),
        }
        None
    }
}
