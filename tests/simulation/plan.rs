//! What a seed decides before anything happens: the team, the rules, what people do how often, and which faults there are.
//! Each kind of deed and fault is absent from some seeds, so that each is also seen without the others (swarm testing).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use maitred::{
    ids::{AgentId, Channel, GroupId, VisitorId},
    routing::{GroupPolicy, Policy, Strategy, WhenEmpty, agent::Profile},
};
use smol_str::{SmolStr, format_smolstr};

use crate::{
    presets::{Extras, Kind, served},
    rng::Rng,
};

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Arrive,
    VisitorSays,
    AgentSays,
    Note,
    Take,
    AssignAgent,
    AssignGroup,
    Force,
    TransferAgent,
    TransferGroup,
    Invite,
    Leave,
    CloseByAgent,
    CloseByVisitor,
    CloseBySupervisor,
    Reopen,
    VisitorGone,
    VisitorBack,
    SessionLost,
    SessionOpened,
    Presence,
    PutAgent,
    RemoveAgent,
    OldOffer,
    Repeat,
    Unplug,
    Visit,
    TurnPage,
    LeaveSite,
    Choose,
    BotSays,
    HandOver,
    ReturnToBot,
}

/// Every deed with its usual weight.
const DEEDS: [(Deed, u32); 26] = [
    (Deed::Arrive, 60),
    (Deed::VisitorSays, 20),
    (Deed::AgentSays, 20),
    (Deed::Note, 6),
    (Deed::Take, 8),
    (Deed::AssignAgent, 6),
    (Deed::AssignGroup, 4),
    (Deed::Force, 2),
    (Deed::TransferAgent, 8),
    (Deed::TransferGroup, 6),
    (Deed::Invite, 5),
    (Deed::Leave, 4),
    (Deed::CloseByAgent, 24),
    (Deed::CloseByVisitor, 6),
    (Deed::CloseBySupervisor, 3),
    (Deed::Reopen, 5),
    (Deed::VisitorGone, 6),
    (Deed::VisitorBack, 10),
    (Deed::SessionLost, 8),
    (Deed::SessionOpened, 12),
    (Deed::Presence, 8),
    (Deed::PutAgent, 2),
    (Deed::RemoveAgent, 1),
    (Deed::OldOffer, 5),
    (Deed::Repeat, 8),
    (Deed::Unplug, 6),
];

/// What people do besides in a workspace that has sites, choices, and bots.
const MORE_DEEDS: [(Deed, u32); 7] = [
    (Deed::Visit, 20),
    (Deed::TurnPage, 20),
    (Deed::LeaveSite, 5),
    (Deed::Choose, 40),
    (Deed::BotSays, 6),
    (Deed::HandOver, 30),
    (Deed::ReturnToBot, 8),
];

/// How an agent answers an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    /// Within a few milliseconds of the deadline, before or after.
    AtDeadline,
    /// From two sessions.
    Twice,
    Decline,
    Nothing,
}

/// What the seed decided.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) policy: Policy,
    pub(crate) extras: Extras,
    pub(crate) agents: Vec<(AgentId, Profile)>,
    /// Whether visitors come from sites, to some of which some agents are limited.
    pub(crate) sited: bool,
    pub(crate) visitors: u64,
    pub(crate) grace: Duration,
    pub(crate) deeds: Vec<(Deed, u32)>,
    pub(crate) answers: Vec<(Answer, u32)>,
    /// Mean time between two deeds.
    pub(crate) pace: Duration,
    pub(crate) faults: Faults,
}

/// Probabilities: of a crash per step, of the others per occasion.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) crash: f64,
    pub(crate) panic: f64,
    pub(crate) stall: f64,
    pub(crate) lost_reply: f64,
    pub(crate) slow_sync: f64,
    /// Of a machine that fails: that it is once too often, and it stands aside.
    pub(crate) aside: f64,
    /// Not a fault: of a step, that the archive takes the log over.
    pub(crate) cut: f64,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, kind: Kind) -> Self {
        let drawn = (kind == Kind::Drawn).then(|| (draw_policy(rng), Extras::default()));
        let most = if rng.chance(0.5) { 5 } else { 20 };
        let agents = rng.between(1, most);
        let ids: Vec<AgentId> = (0..agents).map(agent_id).collect();
        let (policy, extras) = drawn.unwrap_or_else(|| served(kind.name(), rng, &ids));
        let groups: Vec<GroupId> = policy.groups.keys().cloned().collect();
        let agents =
            (0..agents).map(|number| (agent_id(number), draw_profile(rng, number, &groups))).collect();
        let more = MORE_DEEDS.into_iter().filter(|_| kind != Kind::Drawn);
        let deeds = DEEDS
            .into_iter()
            .chain(more)
            .map(|(deed, weight)| {
                let needed = matches!(deed, Deed::Arrive | Deed::SessionOpened | Deed::CloseByAgent);
                let weight = u32::try_from(u64::from(weight) * rng.between(1, 4)).unwrap_or(weight);
                (deed, if needed || rng.chance(0.6) { weight } else { 0 })
            })
            .collect();
        let mut weight = |most| u32::try_from(rng.below(most)).unwrap_or(0);
        let answers = vec![
            (Answer::Accept, 2 + weight(20)),
            (Answer::AtDeadline, weight(4)),
            (Answer::Twice, weight(4)),
            (Answer::Decline, weight(8)),
            (Answer::Nothing, weight(8)),
        ];
        // Where people are given minutes, some seeds take hours.
        let slowness = if kind != Kind::Drawn && rng.chance(0.5) { 20 } else { 1 };
        let mut plan = Self {
            kind,
            policy,
            extras,
            agents,
            sited: false,
            visitors: rng.between(2, 40),
            grace: Duration::from_secs(rng.between(2, 15)),
            deeds,
            answers,
            pace: Duration::from_millis(rng.between(20, 3_000) * slowness),
            faults: Faults::draw(rng),
        };
        // Told by what was drawn, so that the draws of older seeds stay what they were.
        if kind == Kind::Drawn {
            plan.policy.invite_uses_slot = plan.visitors % 5 < 2;
            plan.sited = plan.visitors % 7 < 3;
        }
        for (number, (_, profile)) in (0..).zip(&mut plan.agents) {
            profile.sites = sites_of(number, plan.sited);
        }
        plan
    }
}

/// The sites that an agent is limited to.
pub(crate) fn sites_of(number: u64, sited: bool) -> Vec<SmolStr> {
    match number % 4 {
        1 if sited => vec!["shop".into()],
        2 if sited => vec!["blog".into(), "shop".into()],
        _ => Vec::new(),
    }
}

/// The site that a visitor comes from.
pub(crate) fn site_of(visitor: VisitorId, sited: bool) -> Option<SmolStr> {
    match visitor.bytes()[0] % 3 {
        0 if sited => Some("shop".into()),
        1 if sited => Some("blog".into()),
        _ => None,
    }
}

impl Faults {
    fn draw(rng: &mut Rng) -> Self {
        let mut sometimes = |probability: f64| {
            let often = [0.0, 0.0, 0.3, 1.0, 4.0];
            probability * rng.pick(&often).copied().unwrap_or(0.0)
        };
        Self {
            crash: sometimes(0.005),
            panic: sometimes(0.006),
            stall: sometimes(0.01),
            lost_reply: sometimes(0.15),
            slow_sync: sometimes(0.1),
            aside: sometimes(0.1),
            cut: sometimes(0.003),
        }
    }
}

fn draw_policy(rng: &mut Rng) -> Policy {
    let count = rng.between(1, 4);
    let names: Vec<GroupId> = (0..count).filter_map(|number| format!("g{number}").parse().ok()).collect();
    let mut groups = BTreeMap::new();
    for (number, name) in names.iter().enumerate() {
        let mut policy = draw_group(rng);
        // Chains are acyclic, as the configuration demands: to a later group, or to everyone.
        policy.overflow = match names.get(number + 1) {
            _ if rng.chance(0.4) => None,
            Some(next) => Some(next.clone()),
            None => Some(GroupId::everyone()),
        };
        groups.insert(name.clone(), Arc::new(policy));
    }
    let channels: Vec<Channel> = ["web", "app"].iter().filter_map(|name| name.parse().ok()).collect();
    Policy {
        default_group: match rng.below(10) {
            0 => None,
            1..=3 => Some(GroupId::everyone()),
            _ => names.first().cloned(),
        },
        groups,
        everyone: Arc::new(draw_group(rng)),
        channels,
        fallback_message: rng.chance(0.5).then(|| SmolStr::new_static("we are closed")),
        cap: u16::try_from(if rng.chance(0.4) { 1 } else { rng.between(1, 10) }).unwrap_or(1),
        auto_away_after: rng.chance(0.4).then(|| u32::try_from(rng.between(1, 4)).unwrap_or(1)),
        disconnect_grace: Duration::from_secs(rng.between(1, 15)),
        visitor_grace: Duration::from_secs(rng.between(2, 30)),
        idle_close: rng.chance(0.3).then(|| Duration::from_secs(rng.between(20, 300))),
        missed_ttl: Duration::from_secs(rng.between(60, 3_600)),
        seats: rng.chance(0.2).then(|| u32::try_from(rng.between(1, 8)).unwrap_or(1)),
        lifetime_engagements: rng.chance(0.2).then(|| u32::try_from(rng.between(3, 80)).unwrap_or(3)),
        ..Policy::default()
    }
}

fn draw_group(rng: &mut Rng) -> GroupPolicy {
    let strategies = [
        Strategy::RoundRobin,
        Strategy::LeastActive,
        Strategy::LongestIdle,
        Strategy::Broadcast,
        Strategy::Pull,
        Strategy::Assign,
    ];
    let empty = [WhenEmpty::Queue, WhenEmpty::Reject, WhenEmpty::Overflow];
    GroupPolicy {
        label: SmolStr::new_static("a group"),
        strategy: rng.pick(&strategies).copied().unwrap_or(Strategy::RoundRobin),
        accept_timeout: Duration::from_secs(rng.between(3, 45)),
        max_offers: rng.chance(0.4).then(|| u32::try_from(rng.between(1, 4)).unwrap_or(1)),
        max_wait: (!rng.chance(0.15)).then(|| Duration::from_secs(rng.between(2, 120))),
        when_empty: rng.pick(&empty).copied().unwrap_or(WhenEmpty::Overflow),
        fallback_message: rng.chance(0.8).then(|| SmolStr::new_static("nobody is there")),
        wrap_up: Duration::from_secs(if rng.chance(0.3) { rng.between(1, 30) } else { 0 }),
        requeue_on_disconnect: rng.chance(0.3),
        allow_pull: rng.chance(0.8),
        queue_max: rng.chance(0.2).then(|| u32::try_from(rng.between(1, 6)).unwrap_or(1)),
        keep_age_on_transfer: rng.chance(0.3),
        ..GroupPolicy::default()
    }
}

/// Names and ids are ordered differently, so that a mix-up of the two shows.
fn agent_id(number: u64) -> AgentId {
    let byte = u8::try_from(200 - number).unwrap_or(1);
    AgentId::from_bytes([byte; 16])
}

/// Also drawn when an agent is changed in the middle of a run.
pub(crate) fn draw_profile(rng: &mut Rng, number: u64, groups: &[GroupId]) -> Profile {
    Profile {
        name: format_smolstr!("agent-{:02}", (number * 7) % 23),
        email: None,
        groups: groups.iter().filter(|_| rng.chance(0.7)).cloned().collect(),
        cap: rng.chance(0.4).then(|| u16::try_from(rng.between(1, 10)).unwrap_or(1)),
        live_chat: !rng.chance(0.05),
        managed_by_config: false,
        ..Profile::default()
    }
}
