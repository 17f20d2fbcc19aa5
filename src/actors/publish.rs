//! From a record to those who hear of it: the agents who take part, who have something pending, the visitor, and watchers.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    conversation::ConversationActor,
    port::{Faces, Notice, Numbered, OfferMade},
    sessions::{Feed, Ports},
};
use crate::{
    ids::AgentId,
    routing::{
        OfferOutcome, RescindReason,
        conversation::{Conversation, Event, PendingOffer, Phase},
        notice::{AgentNotice, Before},
    },
};

/// Who holds a slot for a conversation and who takes part in it, as the lists have it.
#[derive(Default)]
pub(super) struct Listed(SmallVec<[Place; 2]>);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    agent: AgentId,
    holds: bool,
    takes_part: bool,
}

/// Tells everybody whom a record concerns, and keeps the lists of who has what. `asker`: the connection whose command it was.
pub(super) fn publish(
    actor: &mut ConversationActor,
    before: &Before,
    numbered: &Numbered,
    asker: Option<u64>,
) {
    for (agent, change) in before.changes(&actor.machine) {
        pending_changed(actor, agent, change, asker);
    }
    hold(actor);
    for agent in before.staff(&actor.machine) {
        let ports = actor.space.sessions.borrow().agent(agent);
        tell_staff(actor, Some(agent), ports, numbered);
    }
    tell_watchers(actor, before, numbered);
    tell_visitor(actor, before, numbered);
    open_or_closed(actor, numbered);
}

fn tell_staff(actor: &ConversationActor, agent: Option<AgentId>, ports: Ports, numbered: &Numbered) {
    if !ports.is_empty() {
        let conversation = actor.machine.id();
        let notice = Notice::StaffEvents { conversation, agent, record: numbered.clone(), after: 0 };
        actor.space.notify(ports, notice);
    }
}

fn tell_visitor(actor: &ConversationActor, before: &Before, numbered: &Numbered) {
    if !numbered.record.events.iter().any(Event::visitor_sees) {
        return;
    }
    let Some((visitor, _, via)) = actor.machine.visitor() else { return };
    let ports = actor.space.sessions.borrow().visitor(visitor, via);
    show_visitor(actor, before, numbered, ports);
}

fn show_visitor(actor: &ConversationActor, before: &Before, numbered: &Numbered, ports: Ports) {
    let Some((visitor, ..)) = actor.machine.visitor().filter(|_| !ports.is_empty()) else { return };
    let faces = actor.space.faces_of(before.parties(&actor.machine));
    let conversation = actor.machine.id();
    let notice = Notice::VisitorEvents { conversation, visitor, record: numbered.clone(), after: 0, faces };
    actor.space.notify(ports, notice);
}

fn tell_watchers(actor: &ConversationActor, before: &Before, numbered: &Numbered) {
    let conversation = actor.machine.id();
    let watching = |as_visitor| actor.space.feed(&Feed::Conversation { conversation, as_visitor });
    tell_staff(actor, None, watching(false), numbered);
    show_visitor(actor, before, numbered, watching(true));
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
    let (visitor, ..) = actor.machine.whose()?;
    Some(Arc::new(OfferMade {
        agent,
        conversation: actor.machine.id(),
        pending,
        group: actor.machine.group().cloned(),
        visitor,
        waiting_since: actor.marks.queued_at().or(actor.machine.opened_at())?,
        face: actor.space.face(agent),
        owner_face: actor.machine.owner().and_then(|owner| actor.space.face(owner.agent)),
        variables: actor.machine.variables(),
    }))
}

/// Keeps the lists of whose slots it holds and who takes part in it. Most records change neither.
fn hold(actor: &mut ConversationActor) {
    let places = places(&actor.machine);
    if places == actor.listed.0 {
        return;
    }
    let conversation = actor.machine.id();
    let left = std::mem::replace(&mut actor.listed.0, places.clone());
    let mut ledger = actor.space.ledger.borrow_mut();
    let gone = left.iter().filter(|was| places.iter().all(|now| now.agent != was.agent));
    let gone = gone.map(|was| Place { holds: false, takes_part: false, ..*was });
    for place in places.iter().copied().chain(gone) {
        ledger.change_mine(place.agent, |mine| {
            keep(&mut mine.slots, conversation, place.holds);
            keep(&mut mine.parts, conversation, place.takes_part);
        });
    }
    drop(ledger);
    let place_of =
        |list: &[Place], agent| list.iter().find(|place| place.agent == agent).map(|it| it.takes_part);
    let everybody =
        places.iter().chain(left.iter().filter(|was| places.iter().all(|now| now.agent != was.agent)));
    for Place { agent, .. } in everybody {
        if place_of(&left, *agent).unwrap_or(false) != place_of(&places, *agent).unwrap_or(false) {
            actor.space.part_changed(*agent, conversation);
        }
    }
}

fn places(machine: &Conversation) -> SmallVec<[Place; 2]> {
    let holds = machine.holds();
    let mut places: SmallVec<[Place; 2]> = SmallVec::new();
    let parts = machine.owner().into_iter().chain(machine.participants()).map(|party| party.agent);
    for agent in parts.chain(holds.iter().map(|(agent, ..)| *agent)) {
        if places.iter().all(|place| place.agent != agent) {
            let holds = holds.iter().any(|(holder, ..)| *holder == agent);
            places.push(Place { agent, holds, takes_part: machine.has_part(agent) });
        }
    }
    places
}

fn keep<T: Ord>(set: &mut std::collections::BTreeSet<T>, item: T, there: bool) {
    if there {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

/// Keeps the lists of what each visitor and each frontend has open. Of a visitor with nothing open no presence behind a
/// frontend is remembered: there is no end to those.
fn open_or_closed(actor: &ConversationActor, numbered: &Numbered) {
    let Some((visitor, _, via)) = actor.machine.visitor() else { return };
    let id = actor.machine.id();
    for event in &numbered.record.events {
        match event {
            Event::Opened { .. } | Event::Reopened => {
                actor.space.ledger.borrow_mut().opened(visitor, via, id)
            }
            Event::Closed { .. } => {
                let was_last = actor.space.ledger.borrow_mut().closed(visitor, via, id);
                if was_last {
                    actor.space.sessions.borrow_mut().forget(visitor);
                }
            }
            _ => {}
        }
    }
}

/// After a start or a wake-up: the lists are filled from the machine.
pub(super) fn restore(actor: &mut ConversationActor) {
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
    hold(actor);
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
    let record = numbered.clone();
    let notice = match (faces, actor.machine.visitor()) {
        (Some(faces), Some((visitor, ..))) => {
            Notice::VisitorEvents { conversation, visitor, record, after, faces: faces.clone() }
        }
        _ => Notice::StaffEvents { conversation, agent: None, record, after },
    };
    actor.space.notify(ports.clone(), notice);
}
