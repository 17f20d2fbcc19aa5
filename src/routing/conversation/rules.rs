//! Where it goes when nobody said so: the workspace's rules, each group asked in their order whether it can take it now.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Conversation, Event, Opening, State, Stay, Unserved, facts::Facts, open::Entry};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, GroupId},
    routing::{
        Context, Out, Refusal,
        conditions::Known,
        refusal::Missing,
        rules::RuleTarget,
        words::{FallbackReason, Origin, Priority, QueueCause},
    },
};

/// What the rules made of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Directed {
    /// The one agent that a rule named for a stay.
    direct: Option<AgentId>,
    /// The stay; 0: none.
    stay: u32,
    /// Where else it may go, the nearest last. As long as there is one, it asks only whether it can be taken now. Volatile: after
    /// a restart it waits where it is.
    #[serde(skip)]
    left: Vec<(SmolStr, RuleTarget)>,
}

/// What conditions may ask of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    conversation: &'a Conversation,
    now: Timestamp,
}

impl Known for Seen<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let it = self.conversation;
        let opened = it.opened.as_ref();
        match name {
            "channel" => opened.map(|opened| Cow::Borrowed(opened.channel.as_str())),
            "origin" => opened.map(|opened| Cow::Borrowed(origin(opened.origin))),
            "group" => it.group().map(|group| Cow::Borrowed(group.as_str())),
            "priority" => Some(Cow::Owned(it.priority().get().to_string())),
            "now" => Some(Cow::Owned((self.now.micros() / 1_000_000).to_string())),
            "tag" => it.facts().map(|facts| Cow::Owned(facts.tags().join(","))),
            _ => it.facts().and_then(|facts| facts.get(name)).map(Cow::Borrowed),
        }
    }
}

/// What conditions may ask of a conversation before it is what is asked for: at an opening, and when a bot hands over.
pub(super) struct Asked<'a> {
    channel: Option<&'a Channel>,
    origin: Option<Origin>,
    priority: Priority,
    tags: &'a [SmolStr],
    facts: Option<&'a Facts>,
    now: Timestamp,
}

impl<'a> Asked<'a> {
    /// An opening.
    pub(super) fn of(opening: &'a Opening, facts: Option<&'a Facts>, now: Timestamp) -> Self {
        let tags = opening.lobby.as_ref().map_or(&[][..], |lobby| &lobby.tags);
        let (channel, origin) = (Some(&opening.channel), Some(opening.origin));
        Self { channel, origin, priority: opening.priority, tags, facts, now }
    }

    /// One that is there, with other tags and facts.
    pub(super) fn again(
        it: &'a Conversation,
        tags: &'a [SmolStr],
        facts: Option<&'a Facts>,
        now: Timestamp,
    ) -> Self {
        let channel = it.opened.as_ref().map(|opened| &opened.channel);
        Self { channel, origin: it.origin(), priority: it.priority(), tags, facts, now }
    }
}

impl Known for Asked<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "channel" => self.channel.map(|channel| Cow::Borrowed(channel.as_str())),
            "origin" => self.origin.map(|who| Cow::Borrowed(origin(who))),
            "group" => None,
            "priority" => Some(Cow::Owned(self.priority.get().to_string())),
            "now" => Some(Cow::Owned((self.now.micros() / 1_000_000).to_string())),
            "tag" => Some(Cow::Owned(self.tags.join(","))),
            _ => self.facts.and_then(|facts| facts.get(name)).map(Cow::Borrowed),
        }
    }
}

/// Refuses what comes without the fields that its group requires (AD-9): the group that it is sent to, or if nobody says so the one
/// that the first rule chooses.
pub(super) fn check_fields(
    cx: &Context<'_>,
    undecided: bool,
    group: Option<&GroupId>,
    asked: &dyn Known,
    facts: Option<&Facts>,
) -> Result<(), Refusal> {
    let policy = cx.policy;
    let first = if undecided && !policy.rules.is_empty() && policy.requires_fields() {
        policy.rules.judge(asked, policy).ways.into_iter().next().map(|(_, target)| queue(&target).0)
    } else {
        None
    };
    match first.as_ref().or(group).and_then(|group| missing(cx, group, facts)) {
        Some(missing) => Err(Refusal::MissingFields(missing)),
        None => Ok(()),
    }
}

/// The fields that a group requires and that are not known, if there are any.
pub(super) fn missing(cx: &Context<'_>, group: &GroupId, facts: Option<&Facts>) -> Option<Missing> {
    let required = cx.policy.group(group)?.required_fields;
    let known =
        |name: &str| facts.and_then(|facts| facts.get(name)).is_some_and(|value| !value.trim().is_empty());
    Missing::of(required, known)
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Visitor => "visitor",
        Origin::Api => "api",
        Origin::Bot => "bot",
        Origin::Agent => "agent",
    }
}

impl Conversation {
    /// What conditions may ask of it at this time.
    #[must_use]
    pub fn seen(&self, now: Timestamp) -> Seen<'_> {
        Seen { conversation: self, now }
    }

    /// To the group that it was sent to; if nobody said where, to where the rules send it.
    pub(super) fn route_to(
        &mut self,
        cx: &Context<'_>,
        sent: Option<GroupId>,
        cause: QueueCause,
        preferred: Option<AgentId>,
        out: &mut Out<Event>,
    ) {
        match sent {
            Some(_) => self.route(cx, sent, cause, preferred, out),
            None => self.route_undecided(cx, cause, preferred, out),
        }
    }

    /// To where the first rule sends it that matches and has an eligible agent; if none has, to wait where the first that matches
    /// sends it; if none matches, to the default group.
    pub(super) fn route_undecided(
        &mut self,
        cx: &Context<'_>,
        cause: QueueCause,
        preferred: Option<AgentId>,
        out: &mut Out<Event>,
    ) {
        let default = cx.policy.default_group.clone();
        if cx.policy.rules.is_empty() {
            return self.route(cx, default, cause, preferred, out);
        }
        let ruling = cx.policy.rules.judge(&self.seen(cx.now), cx.policy);
        let missed = matches!(self.state, State::Missed { .. });
        if missed && ruling.ways.is_empty() && default.is_none() {
            // It was told so already.
            return;
        }
        let (verdicts, matched) = (ruling.verdicts, ruling.matched);
        self.record(cx, Event::Ruled { rules: cx.policy.rules.digest(), verdicts, matched }, out);
        let mut ways = ruling.ways;
        // What a group requires is asked for before anything is routed, of the first; the others are no way around it.
        let mut place = 0..;
        ways.retain(|(_, target)| {
            place.next() == Some(0) || missing(cx, &queue(target).0, self.facts()).is_none()
        });
        let Some(first) = ways.first().cloned() else {
            return self.route(cx, default, cause, preferred, out);
        };
        if self.needs_grant() {
            return self.route(cx, Some(queue(&first.1).0), cause, preferred, out);
        }
        if ways.len() > 1 {
            ways.push(first);
        }
        ways.reverse();
        self.follow(cx, ways, preferred, out);
    }

    /// Whether rules brought it to where it was last, so that they decide again when it is routed again.
    pub(super) fn is_ruled(&self, cx: &Context<'_>) -> bool {
        self.directed.is_some() && !cx.policy.rules.is_empty()
    }

    /// To the nearest of these; the others are kept for if that can't take it now.
    fn follow(
        &mut self,
        cx: &Context<'_>,
        mut ways: Vec<(SmolStr, RuleTarget)>,
        preferred: Option<AgentId>,
        out: &mut Out<Event>,
    ) {
        let Some((rule, target)) = ways.pop() else { return };
        let (group, direct) = queue(&target);
        self.record(cx, Event::Directed { rule, direct }, out);
        if let Some(directed) = &mut self.directed {
            directed.left = ways;
        }
        self.enter(cx, Entry { preferred, ..Entry::new(group, QueueCause::Rule) }, out);
    }

    /// The group of a rule can't take it now: on to the next rule's. Whether there was one.
    pub(super) fn next_rule(&mut self, cx: &Context<'_>, why: &Unserved, out: &mut Out<Event>) -> bool {
        let State::Waiting(stay) = &self.state else { return false };
        let gone = FallbackReason::GroupUnavailable;
        let not_now = match why {
            Unserved::NotNow | Unserved::Removed { .. } => true,
            Unserved::Because(reason) => *reason == gone,
            Unserved::Empty | Unserved::Exhausted => false,
        };
        if !not_now || !self.is_asking(stay) {
            return false;
        }
        let preferred = stay.preferred;
        let ways = self.directed.as_mut().map(|directed| std::mem::take(&mut directed.left));
        self.leave_queue(out);
        self.follow(cx, ways.unwrap_or_default(), preferred, out);
        true
    }

    /// Whether a stay only asks its group whether it can be taken now.
    pub(super) fn is_asking(&self, stay: &Stay) -> bool {
        self.directed
            .as_ref()
            .is_some_and(|directed| directed.stay == stay.number && !directed.left.is_empty())
    }

    /// The one agent that a rule named for a stay.
    pub(super) fn directed_to(&self, stay: &Stay) -> Option<AgentId> {
        self.directed.as_ref().filter(|directed| directed.stay == stay.number)?.direct
    }

    // === What is recorded ===

    pub(super) fn was_ruled(&mut self) {
        self.directed = Some(Box::default());
    }

    pub(super) fn was_directed(&mut self, direct: Option<AgentId>) {
        let stay = self.stays + 1;
        self.directed = Some(Box::new(Directed { direct, stay, left: Vec::new() }));
    }

    /// Somebody said where it goes: the rules do so no longer.
    pub(super) fn was_sent(&mut self, cause: QueueCause) {
        if matches!(cause, QueueCause::Transfer | QueueCause::Assigned) {
            self.directed = None;
        }
    }
}

/// The queue that a rule's target waits in, and the one agent it is for.
fn queue(target: &RuleTarget) -> (GroupId, Option<AgentId>) {
    match target {
        RuleTarget::Group(group) => (group.clone(), None),
        RuleTarget::Agent(agent) => (GroupId::everyone(), Some(*agent)),
    }
}
