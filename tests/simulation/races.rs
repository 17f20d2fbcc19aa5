//! Races: what happens within microseconds of each other, each in a thousand orders. The judge watches as in any other run; here it is
//! known besides what may come of it, and that each of the outcomes does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        By, FallbackReason, GroupPolicy, Policy, Presence, Refusal, Strategy,
        agent::Profile,
        conversation::{Conversation, Destination, Event, Phase, Target},
        recovery::Entry,
        words::Priority,
        workflow::{Aim, Reassign, Step, Test, Workflow},
    },
};
use smol_str::format_smolstr;

use crate::{
    bugs::Bug,
    people::{Act, Todo},
    plan::{Answer, Faults, Plan},
    presets::{Kind, PlainWatch},
    rng::Rng,
    world::{Answered, Sim},
};

const ORDERS: u64 = 1_000;

/// Outcomes are counted by name; each must come up this often to count as tried.
const OFTEN: u32 = 30;

fn agent(number: u8) -> AgentId {
    AgentId::from_bytes([number; 16])
}

fn sales() -> GroupId {
    "sales".parse().unwrap_or_else(|_| GroupId::everyone())
}

/// A team of so many in one group, who do nothing of their own accord.
fn team(rng: &mut Rng, agents: u8, cap: u16, rules: GroupPolicy) -> Plan {
    let member = |number| Profile {
        name: format_smolstr!("agent-{number}"),
        email: None,
        groups: vec![sales()],
        cap: None,
        live_chat: true,
        managed_by_config: false,
        ..Profile::default()
    };
    Plan {
        policy: Policy {
            default_group: Some(sales()),
            groups: BTreeMap::from([(sales(), Arc::new(rules))]),
            channels: ["web"].iter().filter_map(|name| name.parse().ok()).collect(),
            cap,
            disconnect_grace: Duration::from_secs(1),
            ..Policy::default()
        },
        agents: (1..=agents).map(|number| (agent(number), member(number))).collect(),
        sited: false,
        visitors: 8,
        deeds: Vec::new(),
        answers: vec![(Answer::Nothing, 1)],
        pace: Duration::from_secs(1_000),
        faults: Faults::default(),
        ..Plan::draw(rng, Kind::Drawn)
    }
}

/// Plays a race in a thousand orders; each ends with the name of its outcome.
fn in_a_thousand_orders(
    bug: Option<Bug>,
    plan: impl Fn(&mut Rng) -> Plan,
    play: impl Fn(&mut Sim) -> &'static str,
    outcomes: &[&'static str],
) {
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    for seed in 0..ORDERS {
        let mut rng = Rng::new(seed);
        let plan = plan(&mut rng);
        let mut sim = Sim::with(rng, plan, bug);
        sim.goes_on(Duration::from_millis(900));
        let outcome = play(&mut sim);
        assert_eq!(sim.oracle.violation, None, "order {seed}, {outcome}");
        *seen.entry(outcome).or_default() += 1;
    }
    for outcome in outcomes {
        assert!(seen.get(outcome).is_some_and(|count| *count >= OFTEN), "{outcome}: {seen:?}");
    }
    assert_eq!(seen.len(), outcomes.len(), "something else came of it: {seen:?}");
}

impl Sim {
    /// So much time passes, and what was on its way by then arrives.
    fn goes_on(&mut self, time: Duration) {
        let end = self.now + time;
        self.people.at(end, Todo::Watch);
        while self.now < end || !self.mail.is_empty() {
            self.step();
        }
    }

    /// A visitor arrives; what is made of it is there when this returns.
    fn arrives(&mut self, visitor: usize) -> ConversationId {
        let id = self.posts_arrival(visitor);
        self.goes_on(Duration::from_millis(100));
        id
    }

    fn posts_arrival(&mut self, visitor: usize) -> ConversationId {
        let (conversation, open) = self.opening(visitor);
        self.people_ask(By::Visitor(self.people.visitors[visitor].id), open);
        conversation
    }

    /// An agent asks within so many microseconds around a time.
    fn asks_around(&mut self, by: By, act: Act, at: Timestamp, early: u64, late: u64) {
        let when = at + self.rng.micros(0, early + late) - Duration::from_micros(early);
        self.people.at(when, Todo::Ask(by, act));
    }

    fn accepts_now(&mut self, who: AgentId, id: ConversationId) {
        if let Some(pending) = self.seen(id).pending_for(who) {
            self.people_ask(By::Agent(who), Act::Accept(id, pending.offer));
        }
        self.goes_on(Duration::from_millis(100));
    }

    fn seen(&self, id: ConversationId) -> &Conversation {
        &self.world.conversations[&id]
    }

    fn slots(&self) -> u16 {
        self.world.agents.values().map(maitred::routing::agent::Agent::taken).sum()
    }

    /// What was answered to commands like this one, in the order in which they were asked.
    fn heard(&self, like: impl Fn(&Act) -> bool) -> Vec<Answered> {
        self.people.calls.iter().filter(|call| like(&call.act)).filter_map(|call| call.heard).collect()
    }

    fn recorded(&self, id: ConversationId, like: impl Fn(&Event) -> bool) -> usize {
        let records = self.store.entries.iter().filter_map(|entry| match entry {
            Entry::Conversation { id: other, record } if *other == id => Some(&record.events),
            _ => None,
        });
        records.flatten().filter(|event| like(event)).count()
    }
}

fn accepts(act: &Act) -> bool {
    matches!(act, Act::Accept(..))
}

/// One tick before the deadline it is in time, and at the deadline it is not, whether the timer went off or not.
#[test]
fn an_accept_at_the_deadline_is_in_time_or_too_late_and_never_both() {
    accept_at_the_deadline(None);
}

fn accept_at_the_deadline(bug: Option<Bug>) {
    let rules = || GroupPolicy { accept_timeout: Duration::from_secs(3), ..GroupPolicy::default() };
    let play = |sim: &mut Sim| {
        let id = sim.arrives(0);
        let offer = sim.seen(id).pending_for(agent(1)).expect("it was offered");
        let (deadline, accept) = (offer.deadline.expect("a deadline"), Act::Accept(id, offer.offer));
        let (early, late) = if sim.rng.chance(0.5) { (1, 1) } else { (60, 30) };
        // From one session, or from two.
        for _ in 0..sim.rng.between(1, 2) {
            sim.asks_around(By::Agent(agent(1)), accept.clone(), deadline, early, late);
        }
        sim.goes_on(Duration::from_secs(5));
        let answers = sim.heard(accepts);
        let ends = sim.recorded(id, |event| matches!(event, Event::OfferEnded { .. }));
        let gives = sim.recorded(id, |event| matches!(event, Event::Assigned { .. }));
        match sim.seen(id).phase() {
            Some(Phase::Active) => {
                assert_eq!((ends, gives, sim.slots()), (0, 1, 1));
                assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
                "in time"
            }
            _ => {
                assert_eq!((ends, gives, sim.slots()), (1, 0, 0));
                assert!(answers.iter().all(|answer| *answer == Err(Refusal::OfferTimedOut)), "{answers:?}");
                "too late"
            }
        }
    };
    in_a_thousand_orders(bug, |rng| team(rng, 1, 3, rules()), play, &["in time", "too late"]);
}

#[test]
fn of_two_accepts_at_once_one_wins_and_the_other_is_told_who() {
    two_accepts(None);
}

fn two_accepts(bug: Option<Bug>) {
    let rules = || GroupPolicy { strategy: Strategy::Broadcast, ..GroupPolicy::default() };
    let play = |sim: &mut Sim| {
        let id = sim.arrives(0);
        let at = sim.now + Duration::from_millis(1);
        for number in 1..=2 {
            let offer = sim.seen(id).pending_for(agent(number)).expect("it was announced").offer;
            sim.asks_around(By::Agent(agent(number)), Act::Accept(id, offer), at, 20, 20);
        }
        sim.goes_on(Duration::from_millis(500));
        let answers = sim.heard(accepts);
        let winner = sim.seen(id).owner().expect("somebody has it").agent;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let lost = Err(Refusal::AlreadyTaken(winner));
        assert_eq!(answers.iter().filter(|answer| **answer == lost).count(), 1, "{answers:?}");
        assert_eq!(sim.slots(), 1);
        if winner == agent(1) { "the first" } else { "the second" }
    };
    in_a_thousand_orders(bug, |rng| team(rng, 2, 3, rules()), play, &["the first", "the second"]);
}

/// The other agent accepts and goes offline, and the owner perhaps goes too, all while the handover is on its way.
#[test]
fn a_colleague_who_goes_offline_during_a_transfer_has_it_or_has_not() {
    colleague_goes(None);
}

fn colleague_goes(bug: Option<Bug>) {
    let rules = || GroupPolicy { accept_timeout: Duration::from_secs(3), ..GroupPolicy::default() };
    let play = |sim: &mut Sim| {
        let id = sim.arrives(0);
        sim.accepts_now(agent(1), id);
        let hands = Act::Transfer(id, Destination::Agent(agent(2)), true);
        let (one, two) = (By::Agent(agent(1)), By::Agent(agent(2)));
        // In half of the orders the handover is there already, so that it can be accepted.
        let begun = sim.rng.chance(0.5);
        if begun {
            sim.people_ask(one, hands.clone());
            sim.goes_on(Duration::from_millis(100));
        }
        let at = sim.now + Duration::from_millis(1);
        match sim.seen(id).pending_for(agent(2)) {
            Some(pending) => sim.asks_around(two, Act::Accept(id, pending.offer), at, 40, 40),
            None => sim.asks_around(one, hands, at, 40, 40),
        }
        sim.asks_around(two, Act::Presence(agent(2), Presence::Offline), at, 40, 40);
        if sim.rng.chance(0.5) {
            sim.people_ask(one, Act::Presence(agent(1), Presence::Offline));
        }
        if sim.rng.chance(0.5) {
            sim.agent_disconnects(agent(2));
        }
        sim.goes_on(Duration::from_secs(8));
        assert_eq!(sim.seen(id).pending_agents().len(), 0, "the handover is over");
        match sim.seen(id).owner().map(|owner| owner.agent) {
            Some(owner) => {
                assert_eq!(sim.slots(), 1);
                if owner == agent(1) { "it stayed" } else { "it was handed over" }
            }
            None => {
                assert_eq!(sim.slots(), 0);
                "it went back to the group"
            }
        }
    };
    let outcomes = ["it stayed", "it was handed over", "it went back to the group"];
    in_a_thousand_orders(bug, |rng| team(rng, 2, 3, rules()), play, &outcomes);
}

/// An accept, a take, an assignment and a handover reach for one agent's last slot.
#[test]
fn the_last_slot_is_given_once() {
    last_slot(None);
}

fn last_slot(bug: Option<Bug>) {
    let rules = || GroupPolicy { strategy: Strategy::Pull, ..GroupPolicy::default() };
    let play = |sim: &mut Sim| {
        let ids = [0, 1, 2, 3].map(|visitor| sim.arrives(visitor));
        sim.accepts_now(agent(2), ids[0]);
        let offer = sim.seen(ids[1]).pending_for(agent(1)).expect("it was announced").offer;
        let at = sim.now + Duration::from_millis(1);
        let to = Destination::Agent(agent(1));
        let (one, two) = (By::Agent(agent(1)), By::Agent(agent(2)));
        sim.asks_around(one, Act::Accept(ids[1], offer), at, 30, 30);
        sim.asks_around(one, Act::Take(ids[2]), at, 30, 30);
        sim.asks_around(By::Supervisor, Act::Assign(ids[3], to.clone(), false), at, 30, 30);
        sim.asks_around(two, Act::Transfer(ids[0], to, true), at, 30, 30);
        sim.goes_on(Duration::from_millis(500));
        let reached = |act: &Act| match act {
            Act::Accept(id, _) => *id == ids[1],
            Act::Take(_) | Act::Assign(..) | Act::Transfer(..) => true,
            _ => false,
        };
        let answers = sim.heard(reached);
        let full = Err(Refusal::AtCapacity { taken: 1, cap: 1 });
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| **answer == full).count(), 3, "{answers:?}");
        let names = ["handed", "accepted", "taken", "assigned"];
        let held = ids.iter().position(|id| sim.seen(*id).holds().iter().any(|(who, ..)| *who == agent(1)));
        held.and_then(|at| names.get(at)).copied().unwrap_or("nothing")
    };
    let outcomes = ["handed", "accepted", "taken", "assigned"];
    in_a_thousand_orders(bug, |rng| team(rng, 2, 1, rules()), play, &outcomes);
}

/// Two arrive at once for the last place in a line.
#[test]
fn the_last_place_in_a_line_is_given_once() {
    let rules = || GroupPolicy { queue_max: Some(1), ..GroupPolicy::default() };
    let play = |sim: &mut Sim| {
        let served = sim.arrives(0);
        sim.accepts_now(agent(1), served);
        let two = [1, 2].map(|visitor| sim.posts_arrival(visitor));
        sim.goes_on(Duration::from_millis(500));
        let waits = two.map(|id| sim.seen(id).phase() == Some(Phase::Waiting));
        let full = two.map(|id| sim.seen(id).missed_because() == Some(FallbackReason::QueueFull));
        match (waits, full) {
            ([true, false], [false, true]) => "the first waits",
            ([false, true], [true, false]) => "the second waits",
            other => panic!("it came to {other:?}"),
        }
    };
    in_a_thousand_orders(
        None,
        |rng| team(rng, 1, 1, rules()),
        play,
        &["the first waits", "the second waits"],
    );
}

fn backup() -> GroupId {
    "backup".parse().unwrap_or_else(|_| GroupId::everyone())
}

/// Agent 1 is assigned to; who is silent for three seconds loses it to agent 2, of another group.
fn watched(rng: &mut Rng) -> Plan {
    let rules = || GroupPolicy { strategy: Strategy::Assign, ..GroupPolicy::default() };
    let mut plan = team(rng, 2, 3, rules());
    plan.policy.groups.insert(backup(), Arc::new(rules()));
    if let Some((_, profile)) = plan.agents.get_mut(1) {
        profile.groups = vec![backup()];
    }
    let reassign = Reassign { to: Aim::Group(backup()), only_online: true, exclude_previous: true };
    let steps = [
        Step::Assign(Aim::Routed),
        Step::Wait(Duration::from_secs(3)),
        Step::Branch {
            all: vec![Test::Outgoing(false)],
            then: vec![Step::Comment("{{agent}} was silent".into()), Step::Reassign(reassign)],
            otherwise: Vec::new(),
        },
    ];
    plan.policy.workflows = vec![Arc::new(Workflow::new("silence".into(), &steps))];
    plan.extras.watch = Some(PlainWatch { wait: Duration::from_secs(3), group: backup() });
    plan
}

impl Sim {
    /// When the workflow of a conversation looks whether somebody has answered.
    fn looks_at(&self, id: ConversationId) -> Timestamp {
        self.seen(id).workflow().and_then(|(_, until)| until).expect("it waits")
    }
}

/// RE-16: a reply in the last instant keeps it, a later one does not, and the record says the same.
#[test]
fn a_reply_at_the_deadline_keeps_the_conversation_or_comes_too_late() {
    reply_at_the_deadline(None);
}

fn reply_at_the_deadline(bug: Option<Bug>) {
    let play = |sim: &mut Sim| {
        let id = sim.arrives(0);
        assert_eq!(sim.seen(id).owner().map(|owner| owner.agent), Some(agent(1)));
        let at = sim.looks_at(id);
        let (early, late) = if sim.rng.chance(0.5) { (1, 1) } else { (60, 30) };
        sim.asks_around(By::Agent(agent(1)), Act::Say(id, "here!".into()), at, early, late);
        sim.goes_on(Duration::from_secs(5));
        let fired = sim.recorded(id, |event| matches!(event, Event::FlowFired { .. }));
        let notes = sim.recorded(id, |event| matches!(event, Event::Noted { .. }));
        let gives = sim.recorded(id, |event| matches!(event, Event::Assigned { .. }));
        assert_eq!(sim.slots(), 1);
        match sim.seen(id).owner().map(|owner| owner.agent) {
            Some(owner) if owner == agent(1) => {
                assert_eq!((fired, notes, gives), (0, 0, 1));
                "in time"
            }
            _ => {
                assert_eq!((fired, notes, gives), (1, 1, 2));
                "too late"
            }
        }
    };
    in_a_thousand_orders(bug, watched, play, &["in time", "too late"]);
}

/// RE-15: a hand that moves the conversation around the deadline has the last word, whichever came first.
#[test]
fn who_reassigns_by_hand_before_the_timer_voids_it() {
    let play = |sim: &mut Sim| {
        let id = sim.arrives(0);
        let at = sim.looks_at(id);
        let to =
            if sim.rng.chance(0.5) { Destination::Agent(agent(2)) } else { Destination::Group(backup()) };
        sim.asks_around(By::Supervisor, Act::Assign(id, to, false), at, 60, 60);
        sim.goes_on(Duration::from_secs(5));
        let fired = sim.recorded(id, |event| matches!(event, Event::FlowFired { .. }));
        let ended = sim.recorded(id, |event| matches!(event, Event::FlowEnded { .. }));
        assert_eq!(sim.seen(id).owner().map(|owner| owner.agent), Some(agent(2)));
        assert_eq!((ended, sim.slots()), (1, 1), "it is over, and one slot is held");
        assert!(fired <= 1);
        if fired == 0 { "by hand" } else { "by the timer" }
    };
    in_a_thousand_orders(None, watched, play, &["by hand", "by the timer"]);
}

/// AD-1: two visitors and a bot reach for the last engagement that is left.
#[test]
fn the_hundredth_engagement_is_granted_once() {
    last_engagement(None);
}

fn last_engagement(bug: Option<Bug>) {
    let plan = |rng: &mut Rng| {
        let mut plan = team(rng, 1, 9, GroupPolicy::default());
        plan.policy.lifetime_engagements = Some(2);
        plan
    };
    let play = |sim: &mut Sim| {
        let first = sim.arrives(0);
        sim.accepts_now(agent(1), first);
        let with_bot = sim.opens_with_bot(1);
        sim.goes_on(Duration::from_millis(100));
        let at = sim.now + Duration::from_millis(1);
        let hands = Act::HandOver(with_bot, Target::Group(sales()), None);
        sim.asks_around(By::Bot, hands, at, 40, 40);
        let (one, other) = (sim.opening(2), sim.opening(3));
        let by = |number: usize, sim: &Sim| By::Visitor(sim.people.visitors[number].id);
        sim.asks_around(by(2, sim), one.1, at, 40, 40);
        sim.asks_around(by(3, sim), other.1, at, 40, 40);
        sim.goes_on(Duration::from_millis(500));
        let three = [with_bot, one.0, other.0];
        let turned_away =
            |id: &&ConversationId| sim.seen(**id).missed_because() == Some(FallbackReason::QuotaExhausted);
        assert_eq!(three.iter().filter(turned_away).count(), 2, "one engagement is left");
        let engaged: Vec<usize> = (0..3).filter(|at| sim.seen(three[*at]).is_engaged()).collect();
        assert_eq!((engaged.len(), sim.world.workspace.counts().engaged), (1, 2));
        ["the bot's", "the first visitor's", "the second visitor's"][engaged[0]]
    };
    let outcomes = ["the bot's", "the first visitor's", "the second visitor's"];
    in_a_thousand_orders(bug, plan, play, &outcomes);
}

impl Sim {
    fn opening(&mut self, visitor: usize) -> (ConversationId, Act) {
        let conversation = self.new_id();
        let open = Act::Open {
            conversation,
            visitor: self.people.visitors[visitor].id,
            channel: self.plan.policy.channels[0].clone(),
            target: Target::Group(sales()),
            preferred: None,
            priority: Priority::DEFAULT,
            country: None,
            bot: false,
        };
        (conversation, open)
    }

    fn opens_with_bot(&mut self, visitor: usize) -> ConversationId {
        let (id, mut open) = self.opening(visitor);
        if let Act::Open { bot, .. } = &mut open {
            *bot = true;
        }
        self.people_ask(By::Visitor(self.people.visitors[visitor].id), open);
        id
    }
}

// === Each can fail ===

#[test]
#[should_panic(expected = "left")]
fn the_race_for_the_last_slot_sees_a_cap_that_is_one_too_high() {
    last_slot(Some(Bug::CapOffByOne));
}

#[test]
#[should_panic(expected = "left")]
fn the_race_of_two_accepts_sees_a_slot_that_stays_taken() {
    two_accepts(Some(Bug::LeakedSlot));
}

#[test]
#[should_panic(expected = "order")]
fn the_race_of_an_accept_with_its_deadline_sees_an_accept_that_is_too_late() {
    accept_at_the_deadline(Some(Bug::StaleAccept));
}

#[test]
#[should_panic(expected = "left")]
fn the_race_of_a_transfer_with_who_goes_sees_a_slot_that_stays_taken() {
    colleague_goes(Some(Bug::LeakedSlot));
}

#[test]
#[should_panic(expected = "left")]
fn the_race_of_a_reply_with_the_watch_sees_a_watch_that_does_not_look() {
    reply_at_the_deadline(Some(Bug::FiresAfterReply));
}

#[test]
#[should_panic(expected = "left")]
fn the_race_for_the_last_engagement_sees_one_more() {
    last_engagement(Some(Bug::OneEngagementMore));
}
