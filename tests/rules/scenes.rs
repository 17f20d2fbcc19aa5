//! What the rules of several products look at.

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice, Text, Variables,
        notice::{OfferMade, StaffChange, VisitorChange},
        reply::Done,
        request::{AnnounceVisit, Open},
        words::{AssignCause, Destination, FallbackReason, OfferKind, QueueCause, Speaker, Target, Variable},
    },
};

use crate::floor::{Seat, group, new_id, opening, visitor};

/// What is known of somebody, by name and value.
pub(crate) fn variables(known: &[(&str, &str)]) -> Variables {
    let variable =
        |(name, value): &(&str, &str)| Variable { name: Text::clip(name), value: Text::clip(value) };
    Variables::try_from(known.iter().map(variable).collect::<Vec<_>>()).expect("few")
}

/// A frontend says what it knows of a visit.
pub(crate) async fn visits(desk: &Seat, number: u16, known: &[(&str, &str)], widget_open: bool) {
    let visit = AnnounceVisit { visitor: visitor(number), variables: variables(known), widget_open };
    let _: Done = desk.client.ask(visit).await.expect("announced");
}

/// A new conversation of this visitor, of whom this is known.
pub(crate) async fn opens_with(
    desk: &Seat,
    whose: u16,
    target: Target,
    known: &[(&str, &str)],
) -> ConversationId {
    let id = new_id();
    let open = Open { variables: variables(known), ..opening(id, visitor(whose), target) };
    desk.client.open(open).await.expect("opened");
    id
}

/// The destination of this name.
pub(crate) fn to(name: &str) -> Destination {
    Destination::Group(name.parse().expect("a name"))
}

/// This agent, as a destination.
pub(crate) fn to_agent(agent: AgentId) -> Destination {
    Destination::Agent(agent)
}

/// A new conversation of this visitor in this group, given to an agent by a supervisor.
pub(crate) async fn owned(
    desk: &Seat,
    watch: &Seat,
    owner: AgentId,
    whose: u16,
    name: &str,
) -> ConversationId {
    let id = desk.opens(whose, group(name)).await;
    watch.client.assign(id, Speaker::Me, Destination::Agent(owner), false).await.expect("assigned");
    id
}

/// Who owns it.
pub(crate) async fn owner(watch: &Seat, id: ConversationId) -> Option<AgentId> {
    watch.detail(id).await.row.owner
}

/// Who takes part, in order of their ids.
pub(crate) async fn participants(watch: &Seat, id: ConversationId) -> Vec<AgentId> {
    let mut all = watch.detail(id).await.participants.into_vec();
    all.sort();
    all
}

/// What the visitor was told when it fell back.
pub(crate) async fn told(desk: &Seat, id: ConversationId, whose: u16) -> Vec<String> {
    let seen = desk.visitor_history(id, Speaker::Visitor(visitor(whose))).await;
    let fallbacks = seen.into_iter().filter_map(|entry| match entry.change {
        VisitorChange::Fallback { message } => Some(message.as_str().to_owned()),
        _ => None,
    });
    fallbacks.collect()
}

/// Why it fell back, each time.
pub(crate) async fn reasons(watch: &Seat, id: ConversationId) -> Vec<FallbackReason> {
    let history = watch.staff_history(id).await;
    let reasons = history.into_iter().filter_map(|entry| match entry.event {
        StaffChange::FellBack { reason, .. } => Some(reason),
        _ => None,
    });
    reasons.collect()
}

/// The queues that it was in, and what brought it there.
pub(crate) async fn stays(watch: &Seat, id: ConversationId) -> Vec<(String, QueueCause)> {
    let history = watch.staff_history(id).await;
    let stays = history.into_iter().filter_map(|entry| match entry.event {
        StaffChange::Queued { group, cause, .. } => Some((group.to_string(), cause)),
        _ => None,
    });
    stays.collect()
}

/// Who came to own it, and how.
pub(crate) async fn assignments(watch: &Seat, id: ConversationId) -> Vec<(AgentId, AssignCause)> {
    let history = watch.staff_history(id).await;
    let assigned = history.into_iter().filter_map(|entry| match entry.event {
        StaffChange::Assigned { agent, cause } => Some((agent, cause)),
        _ => None,
    });
    assigned.collect()
}

/// Waits for an offer of this kind and conversation, and accepts it.
pub(crate) async fn accepts(seat: &mut Seat, id: ConversationId, kind: OfferKind) -> OfferMade {
    let offer = is_asked(seat, id, kind).await;
    seat.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
    offer
}

/// Waits for an offer of this kind and conversation.
pub(crate) async fn is_asked(seat: &mut Seat, id: ConversationId, kind: OfferKind) -> OfferMade {
    let find = |notice: &Notice| match notice {
        Notice::OfferMade(made) if made.conversation == id && made.kind == kind => Some(made.clone()),
        _ => None,
    };
    seat.sees("an offer of this kind", find).await
}

/// Who is asked about it now.
pub(crate) async fn asked(watch: &Seat, id: ConversationId) -> Vec<AgentId> {
    let pending = watch.detail(id).await.stay.map(|stay| stay.pending.into_vec()).unwrap_or_default();
    pending.into_iter().map(|offer| offer.agent).collect()
}
