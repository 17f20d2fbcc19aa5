//! How each recorded event changes a conversation. Live traffic and recovery both come through here, and nothing else changes
//! what is durable.

use smol_str::SmolStr;

use super::{
    Active, Bot, Conversation, Crowd, Event, Facts, Handover, Invitation, Opened, PAST_MAX, Party, Past,
    Pending, Rating, State, Stay, Whom,
};
use crate::{
    clock::Timestamp,
    ids::AgentId,
    routing::words::{By, OfferOutcome, QueueCause, RescindReason, Variable},
};

/// What a variable says; nothing, if it is empty.
fn value_of(name: &str, variables: &[Variable]) -> Option<SmolStr> {
    let known = variables.iter().find(|variable| variable.name == name)?;
    Some(SmolStr::new(&known.value.0)).filter(|value| !value.is_empty())
}

impl Conversation {
    pub(super) fn evolve(&mut self, at: Timestamp, by: &By, event: &Event) {
        self.seq += 1;
        self.visitor_seq += u64::from(event.visitor_sees());
        let offer = u32::try_from(self.seq).unwrap_or(u32::MAX);
        match event {
            Event::Opened {
                visitor,
                channel,
                priority,
                direct,
                preferred,
                variables,
                via,
                digest,
                origin,
                bot,
            } => {
                self.facts = Facts::of(variables);
                if let Some(name) = bot {
                    self.bot = Some(Bot::new(name.clone()));
                    self.active_at = at;
                    self.state = State::Bot;
                }
                self.opened = Some(Opened {
                    visitor: *visitor,
                    channel: channel.clone(),
                    priority: *priority,
                    direct: *direct,
                    preferred: *preferred,
                    via: *via,
                    digest: *digest,
                    origin: *origin,
                    at,
                    site: value_of("site", variables),
                    team: false,
                });
            }
            Event::TeamOpened { agents, channel, via, digest } => {
                self.opened = Some(Opened {
                    visitor: super::team::NOBODY,
                    channel: channel.clone(),
                    priority: crate::routing::Priority::DEFAULT,
                    direct: None,
                    preferred: None,
                    via: *via,
                    digest: *digest,
                    at,
                    origin: crate::routing::Origin::Agent,
                    site: None,
                    team: true,
                });
                self.participants = agents.to_vec();
                self.active_at = at;
                self.state = State::Team;
            }
            Event::Queued { stay, group, cause, since, wait_until, preferred, barred, chain } => {
                self.epoch += 1;
                self.engaged = true;
                self.may_engage = false;
                self.stays = *stay;
                self.was_sent(*cause);
                self.take_back(RescindReason::Moved, None);
                self.take_back_invitations(RescindReason::Moved);
                if *cause != QueueCause::Overflow {
                    self.home = Some(group.clone());
                }
                self.state = State::Waiting(Box::new(Stay {
                    number: *stay,
                    cause: *cause,
                    group: group.clone(),
                    since: *since,
                    wait_until: *wait_until,
                    preferred: *preferred,
                    barred: *barred,
                    chain: *chain,
                    offers: 0,
                    tried: smallvec::SmallVec::new(),
                    pending: Pending::Nothing,
                    ask_at: None,
                    anyone: false,
                }));
            }
            Event::Offered { agent, name, deadline, .. } => {
                self.epoch += 1;
                let held = self.epoch;
                if let State::Waiting(stay) = &mut self.state {
                    stay.offers += 1;
                    stay.pending = Pending::Offer {
                        agent: *agent,
                        name: name.clone(),
                        offer,
                        since: at,
                        deadline: *deadline,
                        held,
                    };
                }
            }
            Event::Announced { agents, deadline } | Event::AnnouncedBy { agents, deadline, .. } => {
                self.epoch += 1;
                if let State::Waiting(stay) = &mut self.state {
                    stay.offers += 1;
                    let (mut crowd, declined) = (Crowd::default(), Crowd::default());
                    crowd.add(agents);
                    let (since, deadline) = (at, *deadline);
                    stay.pending = Pending::Announcement { agents: crowd, declined, offer, since, deadline };
                }
            }
            Event::AnnouncedTo { agents } => {
                if let State::Waiting(stay) = &mut self.state
                    && let Pending::Announcement { agents: to, .. } = &mut stay.pending
                {
                    to.add(agents);
                }
            }
            Event::OfferEnded { agent, outcome } => self.offer_ended(*agent, *outcome),
            Event::AnnouncementEnded { outcome } => self.announcement_ended(*outcome),
            Event::Assigned { agent, name, keep, .. } => self.assigned(at, *agent, name, *keep),
            Event::Joined { agent, name } => {
                self.invitations.retain(|invitation| invitation.party.agent != *agent);
                // An owner who stays on joins before the queue takes the conversation from them.
                if !self.is_participant(*agent) {
                    self.participants.push(Party { agent: *agent, name: name.clone() });
                }
            }
            Event::Helps { agent, name } => {
                self.invitations.retain(|invitation| invitation.party.agent != *agent);
                self.participants.push(Party { agent: *agent, name: name.clone() });
                self.helpers.push((*agent, self.epoch));
            }
            Event::Left { agent } => {
                self.participants.retain(|party| party.agent != *agent);
                self.helpers.retain(|(helper, _)| helper != agent);
                if let State::Active(active) = &mut self.state
                    && active.owner.agent == *agent
                    && let Some(handover) = &mut active.handover
                {
                    handover.orphaned = true;
                }
            }
            Event::HandoverStarted { to, name, deadline, leave, .. } => {
                self.epoch += 1;
                let held = self.epoch;
                if let State::Active(active) = &mut self.state {
                    active.handover = Some(Handover {
                        to: Party { agent: *to, name: name.clone() },
                        offer,
                        since: at,
                        deadline: *deadline,
                        held,
                        leave: *leave,
                        orphaned: false,
                    });
                }
            }
            Event::HandoverEnded { to, outcome } => {
                self.epoch += 1;
                if let State::Active(active) = &mut self.state
                    && let Some(handover) = active.handover.take()
                {
                    self.remember_past(Whom::One(*to), handover.offer, *outcome);
                }
            }
            Event::Invited { agent, name, deadline } => self.invitations.push(Invitation {
                party: Party { agent: *agent, name: name.clone() },
                offer,
                since: at,
                deadline: *deadline,
            }),
            Event::InvitationEnded { agent, outcome } => {
                let at = self.invitations.iter().position(|invitation| invitation.party.agent == *agent);
                if let Some(at) = at {
                    let invitation = self.invitations.remove(at);
                    self.remember_past(Whom::One(*agent), invitation.offer, *outcome);
                }
            }
            Event::TurnedAway { group, reason, expires, .. } => {
                self.epoch += 1;
                self.home = Some(group.clone());
                self.state = State::Missed { reason: *reason, expires: *expires };
            }
            Event::FellBack { reason, expires, .. } => {
                self.epoch += 1;
                self.state = State::Missed { reason: *reason, expires: *expires };
            }
            Event::Said { .. } | Event::Posted { .. } => {
                self.attention.said(self.seq, by);
                // A bot or system line doesn't keep an idle conversation open.
                if matches!(by, By::Visitor(_) | By::Agent(_) | By::Supervisor) {
                    self.active_at = at;
                }
                self.answered |= matches!(by, By::Agent(_) | By::Supervisor);
            }
            Event::Noted { .. } => {}
            Event::Closed { reason } => {
                self.epoch += 1;
                self.take_back(RescindReason::Closed, None);
                self.take_back_invitations(RescindReason::Closed);
                // Who talked among themselves may still read it: there is no group whose scope it would be in.
                if !self.is_team() {
                    self.participants.clear();
                }
                self.helpers.clear();
                self.attention.forget_readers();
                self.state = State::Closed { reason: *reason };
            }
            Event::Held { until } => {
                self.epoch += 1;
                self.state = State::Choosing { until: *until };
            }
            // Where it goes from here is recorded with it.
            Event::Led { then, .. } => self.then = then.clone().map(Box::new),
            Event::Started { group } | Event::StartedFor { group } | Event::Chosen { group } => {
                self.home = Some(group.clone());
            }
            Event::Reopened => {
                self.epoch += 1;
                self.answered = false;
            }
            Event::CommandFailed => self.command_failed(),
            Event::Quarantined => self.set_aside(at),
            Event::Reinstated { expires } => self.taken_back(*expires),
            Event::VariablesSet { changes } => self.variables_set(changes),
            Event::TagsSet { tags } => self.tags_set(tags),
            Event::HandedOver { direct, preferred, may_return } => {
                self.handed_over(*direct, *preferred, *may_return);
            }
            Event::ReturnedToBot => self.returned_to_bot(at),
            Event::RatingRequested => self.rating = Some(Box::new(Rating::Asked)),
            Event::Rated { score, comment } => {
                self.rating = Some(Box::new(Rating::Given { score: *score, comment: comment.clone() }));
            }
            Event::Read { upto } => {
                if let By::Agent(agent) = by {
                    self.attention.read(*agent, *upto);
                }
            }
            Event::Ruled { .. } => self.was_ruled(),
            Event::Directed { direct, .. } => self.was_directed(*direct),
            Event::FlowStarted { .. }
            | Event::FlowWaits { .. }
            | Event::FlowFired { .. }
            | Event::FlowEnded { .. } => {}
            Event::Reprioritised { priority } => {
                self.opened.iter_mut().for_each(|opened| opened.priority = *priority);
            }
        }
        if self.flow.is_some() || matches!(event, Event::FlowStarted { .. }) {
            self.flow_evolve(at, by, event);
        }
    }

    fn offer_ended(&mut self, agent: AgentId, outcome: OfferOutcome) {
        let State::Waiting(stay) = &mut self.state else { return };
        let offer = match &mut stay.pending {
            Pending::Offer { offer, .. } => {
                let offer = *offer;
                self.epoch += 1;
                stay.pending = Pending::Nothing;
                offer
            }
            Pending::Announcement { declined, offer, .. } => {
                declined.add(&[agent]);
                *offer
            }
            Pending::Nothing => return,
        };
        match outcome {
            OfferOutcome::Rescinded(_) => stay.offers = stay.offers.saturating_sub(1),
            OfferOutcome::Declined | OfferOutcome::TimedOut | OfferOutcome::Accepted => {
                stay.tried.push(agent)
            }
        }
        self.remember_past(Whom::One(agent), offer, outcome);
    }

    fn announcement_ended(&mut self, outcome: OfferOutcome) {
        let State::Waiting(stay) = &mut self.state else { return };
        let Pending::Announcement { offer, .. } = stay.pending else { return };
        stay.pending = Pending::Nothing;
        self.epoch += 1;
        self.remember_past(Whom::Others { than: None }, offer, outcome);
    }

    fn assigned(&mut self, at: Timestamp, agent: AgentId, name: &smol_str::SmolStr, keep: bool) {
        self.epoch += 1;
        let group = self.group().cloned().unwrap_or_else(crate::ids::GroupId::everyone);
        self.take_back(RescindReason::AlreadyTaken, Some(agent));
        if let State::Active(active) = std::mem::replace(&mut self.state, State::New)
            && keep
            && active.owner.agent != agent
            && !active.handover.is_some_and(|handover| handover.orphaned)
        {
            self.participants.push(active.owner);
        }
        self.participants.retain(|party| party.agent != agent);
        self.helpers.retain(|(helper, _)| *helper != agent);
        self.engaged = true;
        self.may_engage = false;
        self.invitations.retain(|invitation| invitation.party.agent != agent);
        self.last_owner = Some(agent);
        self.active_at = at;
        let owner = Party { agent, name: name.clone() };
        self.state = State::Active(Box::new(Active { owner, held: self.epoch, group, handover: None }));
    }

    /// Remembers what was pending, invitations aside, as taken back from all but the one who has it now.
    pub(super) fn take_back(&mut self, reason: RescindReason, but: Option<AgentId>) {
        let pending = match &self.state {
            State::Waiting(stay) => match stay.pending {
                Pending::Offer { agent, offer, .. } => Some((Whom::One(agent), offer)),
                Pending::Announcement { offer, .. } => Some((Whom::Others { than: but }, offer)),
                Pending::Nothing => None,
            },
            State::Active(active) => {
                active.handover.as_ref().map(|handover| (Whom::One(handover.to.agent), handover.offer))
            }
            State::New
            | State::Bot
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. }
            | State::Team => None,
        };
        match pending {
            Some((Whom::One(agent), _)) if Some(agent) == but => {}
            Some((whom, offer)) => self.remember_past(whom, offer, OfferOutcome::Rescinded(reason)),
            None => {}
        }
    }

    pub(super) fn take_back_invitations(&mut self, reason: RescindReason) {
        for invitation in std::mem::take(&mut self.invitations) {
            let whom = Whom::One(invitation.party.agent);
            self.remember_past(whom, invitation.offer, OfferOutcome::Rescinded(reason));
        }
    }

    fn remember_past(&mut self, whom: Whom, offer: u32, outcome: OfferOutcome) {
        if self.past.len() == PAST_MAX {
            self.past.remove(0);
        }
        self.past.push(Past { whom, offer, outcome });
    }
}
