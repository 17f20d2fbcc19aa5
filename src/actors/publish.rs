//! From a record to those who hear of it: the agents who take part, who have something pending, the visitor, and watchers.

use std::sync::Arc;

use super::{
    conversation::ConversationActor,
    port::{Faces, Notice, Numbered, OfferMade},
    sessions::{Feed, Ports},
};
use crate::{
    ids::AgentId,
    routing::{
        OfferOutcome, RescindReason,
        conversation::{Event, PendingOffer, Phase},
        notice::{AgentNotice, Before},
    },
};

/// Tells everybody whom a record concerns, and keeps the lists of who has what. `asker`: the connection whose command it was.
pub(super) fn publish(actor: &ConversationActor, before: &Before, numbered: &Numbered, asker: Option<u64>) {
    let staff = before.staff(&actor.machine);
    for (agent, change) in before.changes(&actor.machine) {
        pending_changed(actor, agent, change, asker);
    }
    hold(actor, &staff);
    for agent in staff {
        let ports = actor.space.sessions.borrow().agent(agent);
        tell_staff(actor, Some(agent), &ports, numbered);
    }
    tell_watchers(actor, before, numbered);
    tell_visitor(actor, before, numbered);
    open_or_closed(actor, numbered);
}

fn tell_staff(actor: &ConversationActor, agent: Option<AgentId>, ports: &Ports, numbered: &Numbered) {
    if ports.is_empty() {
        return;
    }
    for index in 0..numbered.record.events.len() {
        let conversation = actor.machine.id();
        let notice = Notice::StaffEvent { conversation, agent, record: numbered.clone(), index };
        actor.space.notify(ports.clone(), notice);
    }
}

fn tell_visitor(actor: &ConversationActor, before: &Before, numbered: &Numbered) {
    let Some((visitor, _, via)) = actor.machine.visitor() else { return };
    let ports = actor.space.sessions.borrow().visitor(visitor, via);
    show_visitor(actor, before, numbered, &ports);
}

fn show_visitor(actor: &ConversationActor, before: &Before, numbered: &Numbered, ports: &Ports) {
    let Some((visitor, ..)) = actor.machine.visitor().filter(|_| !ports.is_empty()) else { return };
    let events = &numbered.record.events;
    for index in (0..events.len()).filter(|index| events[*index].visitor_sees()) {
        let parties = before.parties(&actor.machine).into_vec();
        let faces = Faces { parties, policy: actor.space.policy() };
        let conversation = actor.machine.id();
        let notice = Notice::VisitorEvent { conversation, visitor, record: numbered.clone(), index, faces };
        actor.space.notify(ports.clone(), notice);
    }
}

fn tell_watchers(actor: &ConversationActor, before: &Before, numbered: &Numbered) {
    let conversation = actor.machine.id();
    let watching = |as_visitor| actor.space.feed(&Feed::Conversation { conversation, as_visitor });
    tell_staff(actor, None, &watching(false), numbered);
    show_visitor(actor, before, numbered, &watching(true));
}

fn pending_changed(actor: &ConversationActor, agent: AgentId, change: AgentNotice, asker: Option<u64>) {
    let conversation = actor.machine.id();
    match change {
        AgentNotice::OfferMade(pending) => {
            let Some(made) = offer_made(actor, agent, pending) else { return };
            actor.space.ledger.borrow_mut().change_mine(agent, |mine| {
                mine.offers.insert(conversation, Arc::clone(&made));
            });
            let ports = actor.space.sessions.borrow().agent(agent);
            actor.space.notify(ports, Notice::OfferMade(made));
        }
        AgentNotice::OfferEnded { offer, outcome } => {
            actor.space.ledger.borrow_mut().change_mine(agent, |mine| {
                mine.offers.remove(&conversation);
            });
            let ended = |outcome| Notice::OfferEnded { agent, conversation, offer, outcome };
            let (here, elsewhere) = actor.space.sessions.borrow().agent_by_session(agent, asker);
            let elsewhere_outcome = match outcome {
                // The first session to accept wins, the others are told why it is gone (design §3.11).
                OfferOutcome::Accepted if !here.is_empty() => {
                    OfferOutcome::Rescinded(RescindReason::AcceptedElsewhere)
                }
                outcome => outcome,
            };
            actor.space.notify(here, ended(outcome));
            actor.space.notify(elsewhere, ended(elsewhere_outcome));
        }
    }
}

fn offer_made(actor: &ConversationActor, agent: AgentId, pending: PendingOffer) -> Option<Arc<OfferMade>> {
    let (visitor, ..) = actor.machine.visitor()?;
    Some(Arc::new(OfferMade {
        agent,
        conversation: actor.machine.id(),
        pending,
        group: actor.machine.group().cloned(),
        visitor,
        waiting_since: actor.marks.queued_at().or(actor.machine.opened_at())?,
        variables: Arc::clone(&actor.variables),
    }))
}

/// Keeps the lists of whose slots it holds and who takes part in it.
fn hold(actor: &ConversationActor, staff: &[AgentId]) {
    let conversation = actor.machine.id();
    let holds = actor.machine.holds();
    let mut ledger = actor.space.ledger.borrow_mut();
    for agent in staff.iter().copied().chain(holds.iter().map(|(agent, ..)| *agent)) {
        let holds = holds.iter().any(|(holder, ..)| *holder == agent);
        let takes_part = actor.machine.has_part(agent);
        ledger.change_mine(agent, |mine| {
            keep(&mut mine.slots, conversation, holds);
            keep(&mut mine.parts, conversation, takes_part);
        });
    }
}

fn keep<T: Ord>(set: &mut std::collections::BTreeSet<T>, item: T, there: bool) {
    if there {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

/// Keeps the lists of what each visitor and each frontend has open.
fn open_or_closed(actor: &ConversationActor, numbered: &Numbered) {
    let Some((visitor, _, via)) = actor.machine.visitor() else { return };
    let id = actor.machine.id();
    for event in &numbered.record.events {
        match event {
            Event::Opened { .. } | Event::Reopened => {
                actor.space.ledger.borrow_mut().opened(visitor, via, id)
            }
            Event::Closed { .. } => actor.space.ledger.borrow_mut().closed(visitor, via, id),
            _ => {}
        }
    }
}

/// After a start or a wake-up: the lists are filled from the machine.
pub(super) fn restore(actor: &ConversationActor) {
    let id = actor.machine.id();
    if let Some((visitor, _, via)) = actor.machine.visitor()
        && actor.machine.phase() != Some(Phase::Closed)
    {
        actor.space.ledger.borrow_mut().opened(visitor, via, id);
    }
    for agent in actor.machine.pending_agents() {
        let pending = actor.machine.pending_for(agent);
        if let Some(made) = pending.and_then(|pending| offer_made(actor, agent, pending)) {
            actor.space.ledger.borrow_mut().change_mine(agent, |mine| {
                mine.offers.insert(id, made);
            });
        }
    }
    let parts: Vec<AgentId> = {
        let owner = actor.machine.owner().into_iter();
        owner.chain(actor.machine.participants()).map(|party| party.agent).collect()
    };
    hold(actor, &parts);
}

/// Tells one connection again what it has missed of a record.
/// `faces`: the connection is the visitor's.
pub(super) fn replay(
    actor: &ConversationActor,
    numbered: &Numbered,
    after: u64,
    faces: Option<&Faces>,
    ports: &Ports,
) {
    let conversation = actor.machine.id();
    let mut visitor_seq = numbered.visitor_seq;
    for (index, event) in numbered.record.events.iter().enumerate() {
        visitor_seq += u64::from(event.visitor_sees());
        let seq = numbered.seq + index as u64 + 1;
        let record = numbered.clone();
        let notice = match (faces, actor.machine.visitor()) {
            (Some(faces), Some((visitor, ..))) if event.visitor_sees() && visitor_seq > after => {
                let faces = faces.clone();
                Notice::VisitorEvent { conversation, visitor, record, index, faces }
            }
            (None, _) if seq > after => Notice::StaffEvent { conversation, agent: None, record, index },
            _ => continue,
        };
        actor.space.notify(ports.clone(), notice);
    }
}
