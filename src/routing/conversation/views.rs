//! What can be seen of a conversation: by people, by its group, and by whoever asks what is pending.

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{Announcement, Conversation, Party, Pending, Phase, State, Stay, Whom};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
    routing::{
        agent::Held,
        group::Waiting,
        words::{By, CloseReason, FallbackReason, OfferOutcome, Origin, Priority, QueueCause, Ticket},
    },
};

/// A stay in a group's queue, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StayFacts {
    /// Its number.
    pub number: u32,
    /// Why it began.
    pub cause: QueueCause,
    /// Its place within its class.
    pub since: Timestamp,
    /// When it has waited long enough.
    pub wait_until: Option<Timestamp>,
    /// Offers made, rescinded ones aside.
    pub offers: u32,
    /// Who missed or declined it.
    pub tried: Vec<AgentId>,
}

/// Something that waits for an agent's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingOffer {
    /// What it is.
    pub kind: OfferKind,
    /// Its number: `Accept` and `Decline` name it.
    pub offer: u32,
    /// Since when it waits for the answer.
    pub since: Timestamp,
    /// Until when; `None`: as long as it waits.
    pub deadline: Option<Timestamp>,
}

/// What an agent is asked to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OfferKind {
    /// An offer to them alone.
    Offer,
    /// An announcement to several.
    Announcement,
    /// A colleague hands it over.
    Handover,
    /// A colleague asks for help.
    Invitation,
}

impl Conversation {
    /// The id.
    #[must_use]
    pub fn id(&self) -> ConversationId {
        self.id
    }

    /// Where it stands; `None` before it was opened.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        match &self.state {
            State::New => None,
            State::Bot => Some(Phase::Bot),
            State::Waiting(stay) if matches!(stay.pending, Pending::Nothing) => Some(Phase::Waiting),
            State::Waiting(_) => Some(Phase::Offered),
            State::Active(_) => Some(Phase::Active),
            State::Missed { .. } => Some(Phase::Missed),
            State::Closed { .. } => Some(Phase::Closed),
            State::Choosing { .. } => Some(Phase::Choosing),
            State::Team => Some(Phase::Team),
        }
    }

    /// The visitor, the channel, and the program that opened it; `None` where agents are among themselves.
    #[must_use]
    pub fn visitor(&self) -> Option<(VisitorId, &Channel, ClientId)> {
        self.whose().filter(|_| !self.is_team())
    }

    /// The same, and what stands in their place where agents are among themselves: an id of zeros.
    #[must_use]
    pub fn whose(&self) -> Option<(VisitorId, &Channel, ClientId)> {
        self.opened.as_ref().map(|opened| (opened.visitor, &opened.channel, opened.via))
    }

    /// Whether somebody is there for the visitor, as far as is known (BO-23).
    #[must_use]
    pub fn is_visitor_present(&self) -> bool {
        self.absent_since.is_none()
    }

    /// Who owned it last.
    #[must_use]
    pub fn last_owner(&self) -> Option<AgentId> {
        self.last_owner
    }

    /// The priority class.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.opened.as_ref().map_or(Priority::DEFAULT, |opened| opened.priority)
    }

    /// Who opened it.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.opened.as_ref().map(|opened| opened.origin)
    }

    /// Whether a human agent has written to the visitor since it was opened, or opened again: neither a bot's lines nor notes
    /// count, nor what was said before a close (RE-6, RE-7).
    #[must_use]
    pub fn answered_by_human(&self) -> bool {
        self.answered
    }

    /// When it was opened.
    #[must_use]
    pub fn opened_at(&self) -> Option<Timestamp> {
        self.opened.as_ref().map(|opened| opened.at)
    }

    /// The newest event's number, for staff and for the visitor.
    #[must_use]
    pub fn numbers(&self) -> (u64, u64) {
        (self.seq, self.visitor_seq)
    }

    /// The owner.
    #[must_use]
    pub fn owner(&self) -> Option<&Party> {
        match &self.state {
            State::Active(active) => Some(&active.owner),
            _ => None,
        }
    }

    /// Those who take part without owning it.
    #[must_use]
    pub fn participants(&self) -> &[Party] {
        &self.participants
    }

    /// The group it waits in, is served for, or was last served for.
    #[must_use]
    pub fn group(&self) -> Option<&GroupId> {
        match &self.state {
            State::Waiting(stay) => Some(&stay.group),
            State::Active(active) => Some(&active.group),
            // What it was served for before is no reason to see what it says to the bot.
            State::Bot => None,
            State::New
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. }
            | State::Team => self.home.as_ref(),
        }
    }

    /// Its stay in a group's queue, for people.
    #[must_use]
    pub fn stay(&self) -> Option<StayFacts> {
        let State::Waiting(stay) = &self.state else { return None };
        Some(StayFacts {
            number: stay.number,
            cause: stay.cause,
            since: stay.since,
            wait_until: stay.wait_until,
            offers: stay.offers,
            tried: stay.tried.to_vec(),
        })
    }

    /// The number of its stay and since when it waits, if it does.
    #[must_use]
    pub fn waiting_since(&self) -> Option<(u32, Timestamp)> {
        match &self.state {
            State::Waiting(stay) => Some((stay.number, stay.since)),
            _ => None,
        }
    }

    /// Until when it needs nobody's care: missed, with nobody in it and nothing under way. `None`: it does.
    #[must_use]
    pub fn may_sleep(&self) -> Option<Timestamp> {
        let State::Missed { expires, .. } = self.state else { return None };
        let alone = self.participants.is_empty() && self.helpers.is_empty() && self.invitations.is_empty();
        let still = self.flow.is_none() && !self.may_engage && !self.is_quarantined();
        (alone && still).then_some(expires)
    }

    /// The reason of the fallback, if it is missed.
    #[must_use]
    pub fn missed_because(&self) -> Option<FallbackReason> {
        match self.state {
            State::Missed { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// How it was closed, if it is.
    #[must_use]
    pub fn closed_because(&self) -> Option<CloseReason> {
        match self.state {
            State::Closed { reason } => Some(reason),
            _ => None,
        }
    }

    /// The slots it holds: agent, epoch of the confirmation, as what.
    #[must_use]
    pub fn holds(&self) -> SmallVec<[(AgentId, u32, Held); 2]> {
        let mut holds = SmallVec::new();
        match &self.state {
            State::Waiting(stay) => {
                if let Pending::Offer { agent, held, .. } = stay.pending {
                    holds.push((agent, held, Held::Reserved));
                }
            }
            State::Active(active) => {
                holds.push((active.owner.agent, active.held, Held::Owned));
                if let Some(handover) = &active.handover {
                    holds.push((handover.to.agent, handover.held, Held::Reserved));
                }
            }
            State::New
            | State::Bot
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. }
            | State::Team => {}
        }
        // Who helps and is handed the conversation has one slot for both.
        for (agent, held) in &self.helpers {
            if holds.iter().all(|(holder, ..): &(AgentId, u32, Held)| holder != agent) {
                holds.push((*agent, *held, Held::Helping));
            }
        }
        holds
    }

    /// Whether it ever asked for an agent.
    #[must_use]
    pub fn is_engaged(&self) -> bool {
        self.engaged
    }

    /// What is pending for one agent: an offer's number, its kind and its deadline.
    #[must_use]
    pub fn pending_for(&self, agent: AgentId) -> Option<PendingOffer> {
        let (kind, offer, since, deadline) = match &self.state {
            State::Waiting(stay) => match &stay.pending {
                Pending::Offer { agent: to, offer, since, deadline, .. } if *to == agent => {
                    (OfferKind::Offer, *offer, *since, Some(*deadline))
                }
                Pending::Announcement { agents, declined, offer, since, deadline }
                    if agents.contains(agent) && !declined.contains(agent) =>
                {
                    (OfferKind::Announcement, *offer, *since, *deadline)
                }
                _ => return self.invitation_of(agent),
            },
            State::Active(active) => match &active.handover {
                Some(handover) if handover.to.agent == agent => {
                    (OfferKind::Handover, handover.offer, handover.since, Some(handover.deadline))
                }
                _ => return self.invitation_of(agent),
            },
            State::New
            | State::Bot
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. } => return None,
            State::Team => return self.invitation_of(agent),
        };
        Some(PendingOffer { kind, offer, since, deadline })
    }

    /// How an offer to an agent ended, if it is remembered.
    pub(in crate::routing) fn past_outcome(&self, agent: AgentId, offer: u32) -> Option<OfferOutcome> {
        let of_offer = || self.past.iter().rev().filter(|past| past.offer == offer);
        let own = of_offer().find(|past| past.whom == Whom::One(agent));
        let shared =
            || of_offer().find(|past| matches!(past.whom, Whom::Others { than } if than != Some(agent)));
        own.or_else(shared).map(|past| past.outcome)
    }

    /// Whether an offer that ended was made to this agent by name.
    pub(super) fn was_offered(&self, agent: AgentId, offer: u32) -> bool {
        self.past.iter().any(|past| past.offer == offer && past.whom == Whom::One(agent))
    }

    pub(super) fn invitation_of(&self, agent: AgentId) -> Option<PendingOffer> {
        let invitation = self.invitations.iter().find(|invitation| invitation.party.agent == agent)?;
        Some(PendingOffer {
            kind: OfferKind::Invitation,
            offer: invitation.offer,
            since: invitation.since,
            deadline: Some(invitation.deadline),
        })
    }

    /// Everybody who has something pending here.
    #[must_use]
    pub fn pending_agents(&self) -> SmallVec<[AgentId; 2]> {
        let mut agents = self.asked_by_name();
        agents.extend(self.announcement().iter().flat_map(Announcement::open));
        agents
    }

    /// Whether an agent owns it or takes part.
    #[must_use]
    pub fn has_part(&self, agent: AgentId) -> bool {
        self.owner().is_some_and(|owner| owner.agent == agent) || self.is_participant(agent)
    }

    pub(super) fn is_participant(&self, agent: AgentId) -> bool {
        self.participants.iter().any(|party| party.agent == agent)
    }

    /// Whether the caller may read it: staff by part or scope, visitors their own (roles table).
    #[must_use]
    pub fn may_read(&self, ticket: &Ticket) -> bool {
        if self.is_hidden_from(ticket) {
            return false;
        }
        match ticket.by {
            By::Visitor(visitor) => self.visitor().is_some_and(|(own, ..)| own == visitor),
            By::Agent(agent) => {
                self.has_part(agent) || self.pending_for(agent).is_some() || self.in_scope(ticket)
            }
            By::Supervisor | By::Admin | By::System => true,
            By::Frontend | By::Bot => !self.is_team(),
        }
    }

    pub(super) fn in_scope(&self, ticket: &Ticket) -> bool {
        let covered = match self.state {
            // In nobody's line: for those who may see what the bot has in hand (BO-11).
            State::Bot => ticket.scope.as_ref().is_some_and(|scope| scope.sees_bot),
            _ => self.group().is_some_and(|group| ticket.covers(group)),
        };
        covered && ticket.covers_site(self.site())
    }

    /// The site that it is on, as the frontend said at the opening.
    #[must_use]
    pub fn site(&self) -> Option<&SmolStr> {
        self.opened.as_ref()?.site.as_ref()
    }

    /// What its group needs to know to place it; `None` unless it waits in the line, announced or not.
    #[must_use]
    pub fn waiting(&self, entering: bool) -> Option<(GroupId, Waiting)> {
        let State::Waiting(stay) = &self.state else { return None };
        let announced = match stay.pending {
            Pending::Nothing => false,
            Pending::Announcement { .. } => true,
            Pending::Offer { .. } => return None,
        };
        let waiting = Waiting {
            conversation: self.id,
            epoch: self.epoch,
            stay: stay.number,
            class: self.priority(),
            since: stay.since,
            preferred: stay.preferred,
            direct: self.direct(stay),
            tried: stay.tried.to_vec(),
            barred: stay.barred,
            cause: stay.cause,
            anyone: stay.anyone,
            announced,
            site: self.site().cloned(),
            entering,
            asking: entering && self.is_asking(stay),
        };
        Some((stay.group.clone(), waiting))
    }

    /// The one agent that a stay is for. Only for as long as the visitor's wish is all that brought it there: whoever moves it or
    /// gives it back means somebody else.
    pub(super) fn direct(&self, stay: &Stay) -> Option<AgentId> {
        let wished = matches!(
            stay.cause,
            QueueCause::Opened | QueueCause::Message | QueueCause::Reopened | QueueCause::Bot
        );
        let direct = self.opened.as_ref().and_then(|opened| opened.direct);
        direct.filter(|_| wished && stay.group.is_everyone()).or_else(|| self.directed_to(stay))
    }
}
