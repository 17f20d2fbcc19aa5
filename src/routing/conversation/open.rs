//! Opening, and entering a queue.

use std::{mem, time::Duration};

use super::{
    Conversation, Event, FromLobby, Lead, Opening, State, Target, Way,
    bot::place_of,
    facts::Facts,
    rules::{Asked, check_fields},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, GroupId},
    routing::{
        Context, Out, Refusal, Refused, Reply,
        words::{FallbackReason, QueueCause, Ticket},
        workflow::Aim,
        workspace,
    },
};

/// How long an answer to a targeted chat waits for its agent to have a slot before it goes on to others. A pending offer is not cut
/// short by it.
const ANSWER_WAITS: Duration = Duration::from_secs(1);

/// How a conversation enters a queue.
pub(super) struct Entry {
    pub(super) group: GroupId,
    pub(super) cause: QueueCause,
    pub(super) preferred: Option<AgentId>,
    pub(super) barred: Option<AgentId>,
    pub(super) chain: u8,
    /// Its place within its class; `None`: the end.
    pub(super) since: Option<Timestamp>,
    /// Whether members who are not there may have it, too.
    pub(super) anyone: bool,
}

impl Entry {
    pub(super) fn new(group: GroupId, cause: QueueCause) -> Self {
        Self { group, cause, preferred: None, barred: None, chain: 0, since: None, anyone: false }
    }
}

impl Conversation {
    pub(super) fn open(
        &mut self,
        cx: &Context<'_>,
        opening: Box<Opening>,
        ticket: Ticket,
        way: Way,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        out.by = ticket.by;
        let existing = opening.asked != self.id;
        match (&self.state, &self.opened) {
            (State::New, _) if self.is_spent() && !existing => return Err(Refusal::Failed.to(&ticket)),
            (State::New, _) if matches!(way, Way::New { .. }) && !self.is_spent() => {
                let chooses = matches!(way, Way::New { chooses: true, .. });
                let (visitor, channel) = (opening.visitor, opening.channel.clone());
                if let Err(refusal) = self.open_new(cx, *opening, chooses, out) {
                    let (conversation, led) = (self.id, None);
                    out.tell_workspace(workspace::Command::Closed { visitor, channel, conversation, led });
                    out.refuse(&ticket, refusal);
                    return Ok(());
                }
            }
            // Its own opening failed before this one came.
            (State::New, _) => {
                self.send_back(opening, ticket, way, out);
                return Ok(());
            }
            (_, Some(opened)) if opened.visitor != opening.visitor => {
                return Err(Refusal::NotFound.to(&ticket));
            }
            (_, Some(opened)) if !existing && opened.digest != opening.digest => {
                return Err(Refusal::KeyReused.to(&ticket));
            }
            // It was closed while the opening was on its way here.
            (State::Closed { .. }, Some(_)) if existing => {
                self.send_back(opening, ticket, way, out);
                return Ok(());
            }
            // A second opening by the same visitor routes a missed conversation again; a retry of the first does nothing.
            (State::Missed { .. }, Some(_)) if existing => self.route_again(cx, out),
            _ => {}
        }
        let status = self.phase().unwrap_or(super::Phase::Waiting);
        let visitor_seq = self.visitor_seq;
        out.answer(&ticket, Reply::Opened { conversation: self.id, existing, status, visitor_seq });
        Ok(())
    }

    /// There is nothing open here: the workspace forgets what led the opening here, and decides again.
    fn send_back(&self, opening: Box<Opening>, ticket: Ticket, way: Way, out: &mut Out<Event>) {
        if let Way::Led(number) = way {
            let (visitor, channel, conversation) = (opening.visitor, opening.channel.clone(), self.id);
            let led = Some(number);
            out.tell_workspace(workspace::Command::Closed { visitor, channel, conversation, led });
        }
        out.tell_workspace(workspace::Command::Open { opening, ticket });
    }

    fn open_new(
        &mut self,
        cx: &Context<'_>,
        mut opening: Opening,
        chooses: bool,
        out: &mut Out<Event>,
    ) -> Result<(), Refusal> {
        let undecided = opening.target == Target::Default;
        let (group, direct) = place_of(cx, mem::replace(&mut opening.target, Target::Default));
        // What a bot has the hand of may still ask for what is required.
        if opening.bot.is_none() && !chooses {
            let facts = Facts::of(&opening.variables);
            let facts = facts.as_deref();
            let asked = Asked::of(&opening, facts, cx.now);
            check_fields(cx, undecided, group.as_ref(), &asked, facts)?;
        }
        let opened = Event::Opened {
            visitor: opening.visitor,
            channel: opening.channel,
            priority: opening.priority,
            direct,
            preferred: opening.preferred,
            variables: opening.variables,
            via: opening.via,
            digest: opening.digest,
            origin: opening.origin,
            bot: opening.bot,
        };
        self.record(cx, opened, out);
        self.come_from_lobby(cx, opening.lobby, out);
        if let Some(body) = opening.message {
            self.record(cx, Event::Said { body }, out);
        }
        if chooses {
            self.hold(cx, out);
            return Ok(());
        }
        self.start_flow(cx, false, out);
        if matches!(self.state, State::Bot) {
            return Ok(());
        }
        let aim = self.flow_aim(cx);
        match &aim {
            Some(Aim::Group(group)) => {
                self.route(cx, Some(group.clone()), QueueCause::Opened, opening.preferred, out);
            }
            Some(Aim::Agent(agent)) => self.route(cx, group, QueueCause::Opened, Some(*agent), out),
            Some(Aim::Routed) | None => {
                self.route_to(cx, group.filter(|_| !undecided), QueueCause::Opened, opening.preferred, out);
            }
        }
        self.flow_claims(aim.as_ref(), out);
        Ok(())
    }

    /// What triggers have set and decided.
    pub(super) fn come_from_lobby(
        &mut self,
        cx: &Context<'_>,
        lobby: Option<Box<FromLobby>>,
        out: &mut Out<Event>,
    ) {
        let Some(lobby) = lobby else { return };
        let FromLobby { tags, lead, .. } = *lobby;
        if !tags.is_empty() {
            self.record(cx, Event::TagsSet { tags }, out);
        }
        if let Some(Lead { trigger, text, then }) = lead {
            self.record(cx, Event::Led { trigger, text, then }, out);
        }
    }

    /// To a group's queue, or to the fallback where no rule names one.
    pub(super) fn route(
        &mut self,
        cx: &Context<'_>,
        group: Option<GroupId>,
        cause: QueueCause,
        preferred: Option<AgentId>,
        out: &mut Out<Event>,
    ) {
        match group {
            Some(group) if self.needs_grant() => {
                let (reason, message) = (FallbackReason::QuotaExhausted, cx.policy.fallback_message.clone());
                let expires = cx.now + cx.policy.missed_ttl;
                self.record(cx, Event::TurnedAway { group, reason, message, expires }, out);
            }
            Some(group) => self.enter(cx, Entry { preferred, ..Entry::new(group, cause) }, out),
            // It was told so already, and nothing has changed since.
            None if matches!(self.state, State::Missed { .. }) => {}
            None => {
                // Nobody could be found, as far as the visitor knows: the words for that (AD-14).
                let message = cx.policy.everyone.fallback_message.clone();
                self.fall_back(cx, FallbackReason::NoRule, message, out);
            }
        }
    }

    /// A new message, or a second opening, routes a missed conversation again.
    pub(super) fn route_again(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        if self.needs_grant() {
            let (conversation, then) = (self.id, None);
            return out.tell_workspace(workspace::Command::Engage { conversation, then });
        }
        let preferred = self.opened.as_ref().and_then(|opened| opened.preferred);
        if self.is_ruled(cx) {
            return self.route_undecided(cx, QueueCause::Message, preferred, out);
        }
        let group = self.home.clone().or_else(|| cx.policy.default_group.clone());
        self.route(cx, group, QueueCause::Message, preferred, out);
    }

    /// Whether the stay is for the agent whose targeted chat it answers, with somewhere else to go (BR-18).
    fn is_answer(&self, entry: &Entry) -> bool {
        let direct = self.opened.as_ref().is_some_and(|opened| opened.direct.is_some());
        let wished = matches!(entry.cause, QueueCause::Opened | QueueCause::Message | QueueCause::Reopened);
        self.then.is_some() && direct && wished && entry.group.is_everyone()
    }

    /// Begins a stay: recorded, and told the group.
    pub(super) fn enter(&mut self, cx: &Context<'_>, entry: Entry, out: &mut Out<Event>) {
        let max_wait = match self.is_answer(&entry) {
            true => Some(ANSWER_WAITS),
            false => cx.policy.group(&entry.group).and_then(|policy| policy.max_wait),
        };
        let queued = Event::Queued {
            stay: self.stays + 1,
            group: entry.group,
            cause: entry.cause,
            since: entry.since.unwrap_or(cx.now),
            wait_until: max_wait.map(|wait| cx.now + wait),
            preferred: entry.preferred,
            barred: entry.barred,
            chain: entry.chain,
        };
        self.record(cx, queued, out);
        if let State::Waiting(stay) = &mut self.state {
            stay.anyone = entry.anyone;
        }
        self.line_up(true, out);
    }
}
