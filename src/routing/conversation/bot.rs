//! The bot in front of the agents: a conversation that began with one stays with it, in no queue and on nobody's slot, until it is
//! handed over; the visitor may have a way back. The bot itself is the frontend's: only its name is known here.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Conversation, Event, State, Target,
    rules::{Asked, check_fields},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, GroupId},
    routing::{
        Context, Out, Refusal, Refused,
        agent::{self, End},
        words::{Body, By, CloseReason, QueueCause, RescindReason, Ticket, Variable},
    },
};

/// What a conversation remembers of its bot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bot {
    name: SmolStr,
    /// Whether the last hand-over leaves the visitor a way back.
    may_return: bool,
}

/// What it takes to hand a conversation over to people.
#[derive(Debug, Clone)]
pub struct HandOver {
    /// Where to: whom the rules choose, a group, or one agent and nobody else.
    pub target: Target,
    /// Whom to try first, if they are eligible; if not, or if they don't take it, others are tried (BO-33).
    pub preferred: Option<AgentId>,
    /// What the bot has learned.
    pub variables: Vec<Variable>,
    /// What the conversation is tagged with.
    pub tags: Vec<SmolStr>,
    /// A private note that is there before anybody is asked.
    pub note: Option<Body>,
    /// Whether the visitor may return to the bot; `None`: as the workspace says.
    pub may_return: Option<bool>,
}

impl Bot {
    pub(super) fn new(name: SmolStr) -> Box<Self> {
        Box::new(Self { name, may_return: false })
    }
}

impl Conversation {
    /// The bot that it began with, whoever has the hand now (BO-13).
    #[must_use]
    pub fn bot(&self) -> Option<&SmolStr> {
        self.bot.as_ref().map(|bot| &bot.name)
    }

    /// Whether the visitor may return to the bot now.
    #[must_use]
    pub fn may_return_to_bot(&self) -> bool {
        let with_people = matches!(self.state, State::Waiting(_) | State::Active(_) | State::Missed { .. });
        with_people && self.bot.as_ref().is_some_and(|bot| bot.may_return)
    }

    /// To people, in one step with all that they have to know first. A retry under the same key does nothing more.
    pub(super) fn hand_over(
        &mut self,
        cx: &Context<'_>,
        hand_over: HandOver,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !matches!(ticket.by, By::Bot | By::Frontend | By::Supervisor) {
            return Err(Refusal::NotFound.to(ticket));
        }
        match self.state {
            State::Bot => {}
            State::Closed { .. } => return Err(Refusal::ConversationClosed.to(ticket)),
            _ => return Err(Refusal::HandedOff.to(ticket)),
        }
        if !cx.policy.features.live_chat {
            return Err(Refusal::PlanNotEligible.to(ticket));
        }
        if hand_over.note.is_some() && !cx.policy.features.notes {
            return Err(Refusal::FeatureDisabled("notes").to(ticket));
        }
        let HandOver { target, preferred, variables, tags, note, may_return } = hand_over;
        let undecided = target == Target::Default;
        let (group, direct) = place_of(cx, target);
        check_place(cx, group.as_ref()).map_err(|refusal| refusal.to(ticket))?;
        let changes = self.changes(variables, Vec::new());
        let tags = self.tags_with(tags, &[]).map_err(|refusal| refusal.to(ticket))?;
        self.check_room(&changes, &tags).map_err(|refusal| refusal.to(ticket))?;
        let then = self.facts_with(&changes);
        let asked = Asked::again(self, &tags, then.as_ref(), cx.now);
        check_fields(cx, undecided, group.as_ref(), &asked, then.as_ref())
            .map_err(|refusal| refusal.to(ticket))?;
        self.begin(ticket, out);
        if !changes.is_empty() {
            self.record(cx, Event::VariablesSet { changes }, out);
        }
        if tags.len() != self.tags().len() {
            self.record(cx, Event::TagsSet { tags }, out);
        }
        let may_return = may_return.unwrap_or(cx.policy.return_to_bot);
        self.record(cx, Event::HandedOver { direct, preferred, may_return }, out);
        if let Some(body) = note {
            self.record(cx, Event::Noted { body }, out);
        }
        self.route_to(cx, group.filter(|_| !undecided), QueueCause::Bot, preferred, out);
        self.done(ticket, out);
        Ok(())
    }

    /// Back to the bot: slots are freed, queues left, and whoever had it is told (BO-28).
    pub(super) fn return_to_bot(
        &mut self,
        cx: &Context<'_>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !matches!(ticket.by, By::Visitor(_)) || !self.may_read(ticket) {
            return Err(Refusal::NotFound.to(ticket));
        }
        match self.state {
            State::Closed { .. } => return Err(Refusal::ConversationClosed.to(ticket)),
            State::Bot => return Err(Refusal::WrongState("it is with the bot already").to(ticket)),
            _ if !self.may_return_to_bot() => {
                return Err(Refusal::WrongState("no way back to a bot was offered").to(ticket));
            }
            _ => {}
        }
        self.begin(ticket, out);
        for (agent, epoch, _) in self.holds() {
            let (conversation, end) = (self.id, End::Freed);
            out.tell_agent(agent, agent::Command::Release { conversation, epoch, end });
        }
        self.leave_queue(out);
        self.record(cx, Event::ReturnedToBot, out);
        self.done(ticket, out);
        Ok(())
    }

    pub(super) fn handed_over(
        &mut self,
        direct: Option<AgentId>,
        preferred: Option<AgentId>,
        may_return: bool,
    ) {
        if let Some(bot) = &mut self.bot {
            bot.may_return = may_return;
        }
        if let Some(opened) = &mut self.opened {
            (opened.direct, opened.preferred) = (direct, preferred);
        }
    }

    pub(super) fn returned_to_bot(&mut self, at: Timestamp) {
        self.epoch += 1;
        // However long ago they last wrote: going back is a sign of life.
        self.active_at = at;
        self.take_back(RescindReason::Moved, None);
        self.take_back_invitations(RescindReason::Moved);
        self.participants.clear();
        self.helpers.clear();
        self.state = State::Bot;
    }

    /// Nobody has written to the bot for long enough.
    pub(super) fn leave_bot(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        if self.bot_until(cx).is_some_and(|until| until <= cx.now) {
            self.close(cx, CloseReason::Idle, out);
        }
    }

    /// When a silent conversation with the bot is closed.
    pub(super) fn bot_until(&self, cx: &Context<'_>) -> Option<Timestamp> {
        cx.policy.bot_idle_close.map(|idle| self.active_at + idle)
    }
}

/// Where a target leads: the group, and the one agent that it is for.
pub(super) fn place_of(cx: &Context<'_>, target: Target) -> (Option<GroupId>, Option<AgentId>) {
    match target {
        Target::Default => (cx.policy.default_group.clone(), None),
        Target::Group(group) => (Some(group), None),
        Target::Agent(agent) => (Some(GroupId::everyone()), Some(agent)),
    }
}

/// What an opening is asked by the workspace: whether there is such a group, and it is switched on.
fn check_place(cx: &Context<'_>, group: Option<&GroupId>) -> Result<(), Refusal> {
    match group.map(|group| cx.policy.group(group)) {
        Some(None) => Err(Refusal::NotFound),
        Some(Some(policy)) if !policy.enabled => Err(Refusal::GroupDisabled),
        _ => Ok(()),
    }
}
