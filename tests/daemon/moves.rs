//! Conversations that change hands, come back, or lose the people they are about.

use maitred::{
    client::Identity,
    ids::{AgentId, ConversationId},
    protocol::{
        Reply,
        notice::{StaffChange, VisitorChange},
        reply::Explanation,
        request::Explain,
        words::{
            AssignCause, CloseReason, Destination, FallbackReason, Feed, OfferKind, OfferOutcome, Presence,
            QueueCause, RescindReason, Role, Speaker, Status,
        },
    },
};

use super::floor::{Floor, Seat, Shape, code, group, new_id, opening, seconds, stories, visitor};

stories! {
    a_handover_is_accepted_declined_or_times_out,
    a_handover_whose_owner_has_left_goes_to_the_group,
    a_transfer_to_a_group_bars_who_began_it,
    a_group_says_why_it_takes_nothing_in,
    a_supervisor_assigns_and_forces,
    who_is_invited_helps_and_leaves,
    a_closed_conversation_is_reopened_to_its_last_owner,
    a_missed_conversation_is_routed_taken_or_expires,
    an_overflow_is_tried_before_the_fallback,
    a_waiting_visitor_who_is_gone_abandons,
    a_frontend_that_comes_back_keeps_its_visitors,
    an_agent_who_is_gone_keeps_what_they_own_and_loses_offers,
    a_silent_conversation_is_closed,
}

const FLOOR: &str = r#"
[limits.visitor]
openings = 1000
[[workspace]]
name = "test"
livechat_fallback_message = "Nobody is here."
idle_close = "1h"
[[workspace.group]]
name = "sales"
[[workspace.group]]
name = "support"
[[workspace.group]]
name = "off"
enabled = false
[[workspace.group]]
name = "strict"
when_empty = "reject"
[[workspace.group]]
name = "short"
when_empty = "queue"
queue_max = 1
[[workspace.group]]
name = "night"
requeue_on_disconnect = true
overflow = "sales"
"#;

fn to(name: &str) -> Destination {
    Destination::Group(name.parse().expect("a name"))
}

/// A new conversation of this visitor in `sales`, owned by an agent.
async fn owned(desk: &Seat, watch: &Seat, owner: AgentId, whose: u16) -> ConversationId {
    let id = desk.opens(whose, group("sales")).await;
    watch.client.assign(id, Speaker::Me, Destination::Agent(owner), false).await.expect("assigned");
    id
}

fn queued(change: &StaffChange) -> Option<(String, QueueCause)> {
    match change {
        StaffChange::Queued { group, cause, .. } => Some((group.to_string(), *cause)),
        _ => None,
    }
}

fn closed(change: &StaffChange) -> Option<CloseReason> {
    match change {
        StaffChange::Closed { reason } => Some(*reason),
        _ => None,
    }
}

fn handed(change: &StaffChange) -> Option<OfferOutcome> {
    match change {
        StaffChange::HandoverEnded { outcome, .. } => Some(*outcome),
        _ => None,
    }
}

async fn owner(watch: &Seat, id: ConversationId) -> Option<AgentId> {
    watch.detail(id).await.row.owner
}

async fn helpers(watch: &Seat, id: ConversationId) -> Vec<AgentId> {
    watch.detail(id).await.participants.into_vec()
}

async fn a_handover_is_accepted_declined_or_times_out(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, mut ana_seat) = floor.agent("ana", &["sales"], 9, shape).await;
    let (ben, mut ben_seat) = floor.agent("ben", &["sales"], 1, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let agent = Destination::Agent;

    let declined = owned(&desk, &watch, ana, 1).await;
    ana_seat.client.transfer(declined, Speaker::Me, agent(ben), true).await.expect("asked");
    let asked = ben_seat.sees_offer(declined).await;
    assert_eq!((asked.kind, asked.accept_within_ms), (OfferKind::Handover, Some(45_000)));
    assert_eq!(owner(&watch, declined).await, Some(ana), "she keeps it until he accepts");
    assert_eq!(watch.agent_detail(ben).await.row.reserved, 1, "a handover reserves a slot");
    let other = owned(&desk, &watch, ana, 2).await;
    let full = ana_seat.client.transfer(other, Speaker::Me, agent(ben), true).await;
    assert_eq!(code(full), "at_capacity");
    ben_seat.client.decline(declined, Speaker::Me, asked.offer).await.expect("declined");
    assert_eq!(ana_seat.sees_staff(declined, "his no", handed).await, OfferOutcome::Declined);
    assert_eq!(owner(&watch, declined).await, Some(ana));
    assert_eq!(watch.agent_detail(ben).await.row.reserved, 0);

    ana_seat.client.transfer(declined, Speaker::Me, agent(ben), true).await.expect("asked again");
    let asked = ben_seat.sees_offer(declined).await;
    floor.wait(seconds(45));
    assert_eq!(ana_seat.sees_staff(declined, "the timeout", handed).await, OfferOutcome::TimedOut);
    assert_eq!(code(ben_seat.client.accept(declined, Speaker::Me, asked.offer).await), "offer_timed_out");
    assert_eq!(owner(&watch, declined).await, Some(ana));
    assert_eq!(watch.agent_detail(ben).await.missed, 1);

    ana_seat.client.transfer(other, Speaker::Me, agent(ben), false).await.expect("asked");
    let asked = ben_seat.sees_offer(other).await;
    ben_seat.client.accept(other, Speaker::Me, asked.offer).await.expect("accepted");
    let assigned = |change: &StaffChange| match change {
        StaffChange::Assigned { agent, cause } if *cause == AssignCause::Handover => Some(*agent),
        _ => None,
    };
    assert_eq!(ana_seat.sees_staff(other, "the handover", assigned).await, ben);
    assert_eq!(owner(&watch, other).await, Some(ben));
    assert!(helpers(&watch, other).await.contains(&ana), "she stays, as she said");
    ana_seat.client.leave(other, Speaker::Me).await.expect("left");
    assert!(!helpers(&watch, other).await.contains(&ana));

    ben_seat.client.set_presence(ben, Presence::Away).await.expect("away");
    ben_seat.client.close_conversation(other, Speaker::Me).await.expect("closed");
    assert_eq!(code(ana_seat.client.transfer(declined, Speaker::Me, agent(ben), true).await), "not_eligible");
    assert_eq!(code(ana_seat.client.transfer(declined, Speaker::Me, agent(ana), true).await), "wrong_state");
}

async fn a_handover_whose_owner_has_left_goes_to_the_group(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, mut ana_seat) = floor.agent("ana", &["sales"], 9, shape).await;
    let (ben, mut ben_seat) = floor.agent("ben", &["sales"], 1, shape).await;
    let (desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ana, 1).await;
    watch.follow(id).await;
    watch.sees_staff(id, "the first stay", queued).await;
    ana_seat.client.transfer(id, Speaker::Me, Destination::Agent(ben), true).await.expect("asked");
    ana_seat.client.leave(id, Speaker::Me).await.expect("left");
    let asked = ben_seat.sees_offer(id).await;
    ben_seat.client.decline(id, Speaker::Me, asked.offer).await.expect("declined");
    assert_eq!(
        watch.sees_staff(id, "the way back", queued).await,
        ("sales".to_owned(), QueueCause::Handover)
    );
    let pending = watch.detail(id).await.stay.expect("it waits").pending[0];
    let next = pending.agent;
    assert!(next == ana || next == ben);
    assert_eq!(watch.agent_detail(ana).await.row.taken, 0, "her slot is free");
    let seat = if next == ana { &mut ana_seat } else { &mut ben_seat };
    seat.client.accept(id, Speaker::Me, pending.offer).await.expect("accepted");
    assert_eq!(owner(&watch, id).await, Some(next));

    // The owner of another one goes offline while the handover is pending, which comes to the same when it fails.
    ben_seat.client.set_presence(ben, Presence::Online).await.expect("online");
    let absent = desk.opens(2, group("sales")).await;
    let holder = watch.detail(absent).await.stay.expect("it is offered").pending[0].agent;
    let (from, other, to) =
        if holder == ana { (&mut ana_seat, &mut ben_seat, ben) } else { (&mut ben_seat, &mut ana_seat, ana) };
    let offer = from.sees_offer(absent).await;
    from.client.accept(absent, Speaker::Me, offer.offer).await.expect("accepted");
    if to == ben && watch.agent_detail(ben).await.row.taken > 0 {
        other.client.close_conversation(id, Speaker::Me).await.expect("closed");
    }
    from.client.transfer(absent, Speaker::Me, Destination::Agent(to), true).await.expect("asked");
    from.client.set_presence(holder, Presence::Offline).await.expect("offline");
    let asked = other.sees_offer(absent).await;
    watch.follow(absent).await;
    watch.sees_staff(absent, "the first stay", queued).await;
    other.client.decline(absent, Speaker::Me, asked.offer).await.expect("declined");
    let back = watch.sees_staff(absent, "the way back", queued).await;
    assert_eq!(back, ("sales".to_owned(), QueueCause::Handover));
}

async fn a_transfer_to_a_group_bars_who_began_it(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, mut ana_seat) = floor.agent("ana", &["sales", "support"], 9, shape).await;
    let (mut desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ana, 1).await;
    assert_eq!(
        code(ana_seat.client.transfer(id, Speaker::Me, to("support"), true).await),
        "only_agent_online"
    );
    assert_eq!(owner(&watch, id).await, Some(ana), "a refused transfer changes nothing");
    let ben = floor.hire(&desk, "ben", &["support"], 1).await;
    watch.follow(id).await;
    watch.sees_staff(id, "the first stay", queued).await;
    ana_seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("transferred");
    let moved = watch.sees_staff(id, "the transfer", queued).await;
    assert_eq!(moved, ("support".to_owned(), QueueCause::Transfer));
    assert_eq!(watch.agent_detail(ana).await.row.taken, 0, "her slot is free at once");
    let offer = desk.sees_offer(id).await;
    assert_eq!(offer.agent, ben, "not ana, although she is a member and has room");
    let explain = Explain { conversation: id, agent: Some(ana) };
    let why: Explanation = watch.client.ask(explain).await.expect("an explanation");
    assert_eq!(why.agent_reason.expect("a reason").as_str(), "transferred_it");
    desk.client.decline(id, Speaker::Agent(ben), offer.offer).await.expect("declined");
    let fell = |change: &StaffChange| match change {
        StaffChange::FellBack { reason, .. } => Some(*reason),
        _ => None,
    };
    assert_eq!(watch.sees_staff(id, "the fallback", fell).await, FallbackReason::OffersExhausted);
    let leaves = |change: &StaffChange| matches!(change, StaffChange::Left { .. }).then_some(());
    ana_seat.sees_staff(id, "her leaving", leaves).await;
}

async fn a_group_says_why_it_takes_nothing_in(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, seat) = floor.agent("ana", &["sales"], 9, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ana, 1).await;
    desk.opens(2, group("short")).await;
    for (name, why) in [
        ("off", "group_disabled"),
        ("strict", "nobody_online"),
        ("short", "queue_full"),
        ("nowhere", "not_found"),
    ] {
        assert_eq!(
            code(seat.client.transfer(id, Speaker::Me, to(name), true).await),
            why,
            "transfer to {name}"
        );
        assert_eq!(
            code(watch.client.assign(id, Speaker::Me, to(name), false).await),
            why,
            "assign to {name}"
        );
    }
    assert_eq!(owner(&watch, id).await, Some(ana));
    let off = desk.client.open(opening(new_id(), visitor(3), group("off"))).await;
    assert_eq!(code(off), "group_disabled");
    let nowhere = desk.client.open(opening(new_id(), visitor(3), group("nowhere"))).await;
    assert_eq!(code(nowhere), "not_found");
}

async fn a_supervisor_assigns_and_forces(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, mut ana_seat) = floor.agent("ana", &["sales"], 1, shape).await;
    let (ben, mut ben_seat) = floor.agent("ben", &["sales"], 1, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let first = owned(&desk, &watch, ana, 1).await;
    ben_seat.client.set_presence(ben, Presence::Away).await.expect("away");
    let second = desk.opens(2, group("sales")).await;
    let agent = Destination::Agent;
    assert_eq!(code(watch.client.assign(second, Speaker::Me, agent(ana), false).await), "at_capacity");
    watch.client.assign(second, Speaker::Me, agent(ana), true).await.expect("forced");
    let cause = |change: &StaffChange| match change {
        StaffChange::Assigned { cause, .. } => Some(*cause),
        _ => None,
    };
    assert_eq!(ana_seat.sees_staff(second, "the assignment", cause).await, AssignCause::Forced);
    let row = watch.agent_detail(ana).await.row;
    assert_eq!((row.taken, row.cap), (2, 1), "past the cap, by force alone");

    // Nobody is asked, so an agent who is away can be given something; who had it before is told.
    watch.client.assign(first, Speaker::Me, agent(ben), false).await.expect("assigned");
    assert_eq!(ben_seat.sees_staff(first, "the assignment", cause).await, AssignCause::Assigned);
    ana_seat
        .sees_staff(first, "its going", |change| {
            matches!(change, StaffChange::Assigned { agent, .. } if *agent == ben).then_some(())
        })
        .await;
    assert_eq!(watch.agent_detail(ana).await.row.taken, 1);
    assert_eq!(code(watch.client.assign(first, Speaker::Me, agent(ben), false).await), "wrong_state");
    let nobody = AgentId::from_bytes([9; 16]);
    assert_eq!(code(watch.client.assign(first, Speaker::Me, agent(nobody), false).await), "not_found");
    ben_seat.client.close_conversation(first, Speaker::Me).await.expect("closed");
    assert_eq!(code(watch.client.assign(first, Speaker::Me, agent(ana), false).await), "conversation_closed");
}

async fn who_is_invited_helps_and_leaves(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, mut ana_seat) = floor.agent("ana", &["sales"], 1, shape).await;
    let (ben, mut ben_seat) = floor.agent("ben", &["support"], 1, shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ana, 1).await;
    ana_seat.client.invite(id, Speaker::Me, ben).await.expect("asked");
    let asked = ben_seat.sees_offer(id).await;
    assert_eq!(asked.kind, OfferKind::Invitation);
    assert_eq!(code(ana_seat.client.invite(id, Speaker::Me, ben).await), "wrong_state");
    ben_seat.client.decline(id, Speaker::Me, asked.offer).await.expect("declined");
    let ended = |change: &StaffChange| match change {
        StaffChange::InvitationEnded { outcome, .. } => Some(*outcome),
        _ => None,
    };
    assert_eq!(ana_seat.sees_staff(id, "his no", ended).await, OfferOutcome::Declined);

    ana_seat.client.invite(id, Speaker::Me, ben).await.expect("asked");
    let asked = ben_seat.sees_offer(id).await;
    floor.wait(seconds(45));
    assert_eq!(ana_seat.sees_staff(id, "the timeout", ended).await, OfferOutcome::TimedOut);
    assert_eq!(code(ben_seat.client.accept(id, Speaker::Me, asked.offer).await), "offer_timed_out");

    ana_seat.client.invite(id, Speaker::Me, ben).await.expect("asked");
    let asked = ben_seat.sees_offer(id).await;
    ben_seat.client.accept(id, Speaker::Me, asked.offer).await.expect("joined");
    assert_eq!(owner(&watch, id).await, Some(ana), "the owner stays the owner");
    assert_eq!(watch.agent_detail(ben).await.row.taken, 0, "helping takes no slot");
    let joined = |change: &VisitorChange| match change {
        VisitorChange::AgentJoined { name, .. } if name.as_str() == "ben" => Some(()),
        _ => None,
    };
    desk.sees_visitor(id, "ben", joined).await;
    ben_seat.client.say(id, Speaker::Me, "I can help").await.expect("said");
    let said = |change: &StaffChange| match change {
        StaffChange::Said { body } if body.as_str() == "I can help" => Some(()),
        _ => None,
    };
    ana_seat.sees_staff(id, "his words", said).await;
    ben_seat.client.leave(id, Speaker::Me).await.expect("left");
    let left = |change: &VisitorChange| match change {
        VisitorChange::AgentLeft { name } => Some(name.as_str().to_owned()),
        _ => None,
    };
    assert_eq!(desk.sees_visitor(id, "ben leaving", left).await, "ben");
    assert_eq!(code(ben_seat.client.say(id, Speaker::Me, "and another thing").await), "not_found");

    // When the owner leaves it goes back to the group.
    ana_seat.client.leave(id, Speaker::Me).await.expect("left");
    assert_eq!(owner(&watch, id).await, None);
    let history = watch.staff_history(id).await;
    let last = history.iter().rev().find_map(|entry| queued(&entry.event));
    assert_eq!(last, Some(("sales".to_owned(), QueueCause::Returned)));
}

async fn a_closed_conversation_is_reopened_to_its_last_owner(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (_, mut ana) = floor.agent("ana", &["sales"], 5, shape).await;
    let (ben, mut ben_seat) = floor.agent("ben", &["sales"], 5, shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ben, 1).await;
    ben_seat.client.say(id, Speaker::Me, "done?").await.expect("said");
    desk.client.close_conversation(id, Speaker::Visitor(visitor(1))).await.expect("closed");
    let by_me = |change: &VisitorChange| match change {
        VisitorChange::Closed { by_me } => Some(*by_me),
        _ => None,
    };
    assert!(desk.sees_visitor(id, "the end", by_me).await);
    assert_eq!(ben_seat.sees_staff(id, "the end", closed).await, CloseReason::ByVisitor);
    assert_eq!(code(ben_seat.client.say(id, Speaker::Me, "still there?").await), "conversation_closed");
    assert_eq!(code(ben_seat.client.close_conversation(id, Speaker::Me).await), "conversation_closed");
    let before = watch.staff_history(id).await;

    ana.client.reopen(id, Speaker::Me).await.expect("reopened");
    let offer = ben_seat.sees_offer(id).await;
    assert_eq!(offer.conversation, id, "to its last owner, although ana is next");
    ben_seat.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
    let after = watch.staff_history(id).await;
    assert_eq!(after[..before.len()], before[..], "the history is kept");
    let reopened = after
        .iter()
        .find_map(|entry| queued(&entry.event).filter(|(_, cause)| *cause == QueueCause::Reopened));
    assert!(reopened.is_some());
    assert_eq!(code(watch.client.reopen(id, Speaker::Me).await), "wrong_state");

    // One open conversation for each visitor and channel, reopened ones included.
    ben_seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
    let second = desk.opens(1, group("sales")).await;
    assert_eq!(code(watch.client.reopen(id, Speaker::Me).await), "wrong_state");
    watch.client.close_conversation(second, Speaker::Me).await.expect("closed");

    // If the last owner is not eligible it is routed.
    ben_seat.client.set_presence(ben, Presence::Away).await.expect("away");
    watch.client.reopen(id, Speaker::Me).await.expect("reopened");
    ana.sees_offer(id).await;
}

async fn a_missed_conversation_is_routed_taken_or_expires(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (mut desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (written, reopened, taken, expired) = (
        desk.opens(1, group("sales")).await,
        desk.opens(2, group("sales")).await,
        desk.opens(3, group("sales")).await,
        desk.opens(4, group("sales")).await,
    );
    let told = |change: &VisitorChange| match change {
        VisitorChange::Fallback { message } => Some(message.as_str().to_owned()),
        _ => None,
    };
    for id in [written, reopened, taken, expired] {
        assert_eq!(desk.sees_visitor(id, "the fallback", told).await, "Nobody is here.");
        assert_eq!(watch.status(id).await, Status::Missed);
    }
    let (_, mut ana) = floor.agent("ana", &["sales"], 5, shape).await;
    assert_eq!(watch.status(written).await, Status::Missed, "it waits for a message, not for an agent");
    desk.client.say(written, Speaker::Visitor(visitor(1)), "anybody now?").await.expect("said");
    ana.sees_offer(written).await;
    let again = desk.client.open(opening(new_id(), visitor(2), group("sales"))).await.expect("opened");
    assert_eq!((again.conversation, again.existing), (reopened, true));
    ana.sees_offer(reopened).await;
    let history = watch.staff_history(written).await;
    let causes: Vec<QueueCause> =
        history.iter().filter_map(|entry| queued(&entry.event)).map(|(_, cause)| cause).collect();
    assert_eq!(causes, [QueueCause::Opened, QueueCause::Message]);
    ana.client.take(taken, Speaker::Me).await.expect("taken");
    ana.client.close_conversation(taken, Speaker::Me).await.expect("closed");
    for id in [written, reopened] {
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
    }
    watch.follow(expired).await;
    floor.wait(seconds(24 * 3_600));
    assert_eq!(watch.sees_staff(expired, "its end", closed).await, CloseReason::MissedExpired);
}

async fn an_overflow_is_tried_before_the_fallback(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (_, mut ana) = floor.agent("ana", &["sales"], 5, shape).await;
    let (_, mut ben) = floor.agent("ben", &["night"], 5, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = desk.opens(1, group("night")).await;
    let offer = ben.sees_offer(id).await;
    floor.wait(seconds(45));
    assert_eq!(ben.sees_ended(id, offer.offer).await, OfferOutcome::TimedOut);
    let next = ana.sees_offer(id).await;
    assert_eq!(next.group.expect("a group").as_str(), "sales");
    let history = watch.staff_history(id).await;
    let stays: Vec<_> = history.iter().filter_map(|entry| queued(&entry.event)).collect();
    let wanted = [("night".to_owned(), QueueCause::Opened), ("sales".to_owned(), QueueCause::Overflow)];
    assert_eq!(stays, wanted);
    let fallbacks = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await.into_iter();
    assert_eq!(fallbacks.filter(|entry| matches!(entry.change, VisitorChange::Fallback { .. })).count(), 0);
    ana.client.accept(id, Speaker::Me, next.offer).await.expect("accepted");
}

async fn a_waiting_visitor_who_is_gone_abandons(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);

    // Announced as gone by the frontend; announced again in time, nothing happens.
    let announced = desk.opens(1, group("sales")).await;
    let offer = seat.sees_offer(announced).await;
    desk.client.announce(visitor(1), false).await.expect("announced");
    floor.wait(seconds(29));
    assert_eq!(watch.status(announced).await, Status::Offered);
    desk.client.announce(visitor(1), true).await.expect("announced");
    floor.wait(seconds(10));
    assert_eq!(watch.status(announced).await, Status::Offered);
    desk.client.announce(visitor(1), false).await.expect("announced");
    watch.follow(announced).await;
    watch.status(announced).await;
    floor.wait(seconds(30));
    // The offer's own deadline came at the same time as the end of the grace.
    assert_eq!(watch.sees_staff(announced, "its end", closed).await, CloseReason::Abandoned);
    seat.sees_ended(announced, offer.offer).await;
    assert_eq!(watch.agent_detail(ana).await.row.reserved, 0);

    // On a connection of their own, which is lost.
    let own = floor.visitor(visitor(2), shape).await;
    let id = new_id();
    let open =
        maitred::protocol::request::Open { speaker: Speaker::Me, ..opening(id, visitor(2), group("sales")) };
    own.client.open(open).await.expect("opened");
    let offer = seat.sees_offer(id).await;
    watch.follow(id).await;
    own.leave().await;
    // Nothing is published when a visitor is gone, so the clock goes on until it has had its effect.
    let gone = async {
        loop {
            floor.wait(seconds(1));
            if watch.status(id).await == Status::Closed {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.expect("it is abandoned");
    assert_eq!(watch.sees_staff(id, "its end", closed).await, CloseReason::Abandoned);
    let ended = seat.sees_ended(id, offer.offer).await;
    assert!(
        matches!(ended, OfferOutcome::Rescinded(RescindReason::VisitorGone)),
        "nobody's miss, but {ended:?}"
    );

    // Owned conversations stay, whoever is gone.
    let active = owned(&desk, &watch, ana, 3).await;
    desk.client.announce(visitor(3), false).await.expect("announced");
    watch.status(active).await;
    floor.wait(seconds(120));
    assert_eq!(watch.status(active).await, Status::Active);
}

async fn a_frontend_that_comes_back_keeps_its_visitors(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (_, mut seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let mut watch = floor.supervisor(shape).await;
    let token = floor.token(Role::Frontend, None, None).await;
    let who = Identity::new();
    let desk = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let probe = floor.hire(&desk, "probe", &[], 1).await;
    watch.client.subscribe(Feed::Agent(probe)).await.expect("subscribed");
    let id = desk.opens(1, group("sales")).await;
    let offer = seat.sees_offer(id).await;
    desk.leave().await;
    watch.sees_agent(probe, "the frontend going", |row| !row.live).await;
    watch.status(id).await;
    floor.wait(seconds(29));
    let desk = floor.connect_as(&token, shape.encoding, who.clone()).await;
    desk.client.ping().await.expect("it is there again");
    watch.status(id).await;
    floor.wait(seconds(10));
    assert_eq!(
        watch.status(id).await,
        Status::Offered,
        "its visitors are present again without being announced"
    );
    seat.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
    seat.client.close_conversation(id, Speaker::Me).await.expect("closed");

    // Gone for good.
    let id = desk.opens(2, group("sales")).await;
    let offer = seat.sees_offer(id).await;
    desk.client.attach(probe).await.expect("attached");
    watch.sees_agent(probe, "the frontend's coming", |row| row.live).await;
    watch.follow(id).await;
    desk.leave().await;
    watch.sees_agent(probe, "the frontend going", |row| !row.live).await;
    watch.status(id).await;
    floor.wait(seconds(30));
    assert_eq!(watch.sees_staff(id, "its end", closed).await, CloseReason::Abandoned);
    let gone = OfferOutcome::Rescinded(RescindReason::VisitorGone);
    assert_eq!(seat.sees_ended(id, offer.offer).await, gone);
}

async fn an_agent_who_is_gone_keeps_what_they_own_and_loses_offers(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, mut ana_seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (_, mut ben) = floor.agent("ben", &["sales"], 5, shape).await;
    let (cleo, mut cleo_seat) = floor.agent("cleo", &["night"], 5, shape).await;
    let (desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    watch.client.subscribe(Feed::Agent(ana)).await.expect("subscribed");
    watch.client.subscribe(Feed::Agent(cleo)).await.expect("subscribed");
    let mine = owned(&desk, &watch, ana, 1).await;
    let (_, second) = (desk.opens(2, group("sales")).await, desk.opens(3, group("sales")).await);
    let pending = watch.detail(second).await.stay.expect("offered").pending[0];
    let offered = if pending.agent == ana { second } else { desk.opens(4, group("sales")).await };
    let offer = ana_seat.sees_offer(offered).await;

    // Back within the grace: the offer is there, with its number and its deadline.
    ana_seat.leave().await;
    watch.sees_agent(ana, "her going", |row| !row.live).await;
    floor.wait(seconds(14));
    assert_eq!(watch.status(offered).await, Status::Offered);
    let mut ana_seat = floor.session(ana, shape).await;
    let items = ana_seat.sees_items().await;
    let there = items.items.iter().any(|item| {
        matches!(item, maitred::protocol::notice::AgentItem::Offer(made)
            if made.offer == offer.offer && made.deadline == offer.deadline)
    });
    assert!(there, "{items:?}");
    watch.sees_agent(ana, "her coming back", |row| row.live).await;
    floor.wait(seconds(14));
    assert_eq!(watch.status(offered).await, Status::Offered);

    // Gone for longer: it goes to the next, and she has missed nothing.
    ana_seat.leave().await;
    watch.sees_agent(ana, "her going", |row| !row.live).await;
    watch.follow(offered).await;
    floor.wait(seconds(15));
    let ended = |change: &StaffChange| match change {
        StaffChange::OfferEnded { agent, outcome } if *agent == ana => Some(*outcome),
        _ => None,
    };
    let gone = OfferOutcome::Rescinded(RescindReason::AgentGone);
    assert_eq!(watch.sees_staff(offered, "the end of her offer", ended).await, gone);
    ben.sees_offer(offered).await;
    let detail = watch.agent_detail(ana).await;
    assert_eq!((detail.missed, detail.row.presence, detail.row.taken), (0, Presence::Online, 1));
    assert_eq!(owner(&watch, mine).await, Some(ana), "what she owns stays hers");
    assert_eq!(detail.row.state.as_str(), "not_live");

    // In a group that asks for them back they go to the line.
    let night = desk.opens(9, group("night")).await;
    let offer = cleo_seat.sees_offer(night).await;
    cleo_seat.client.accept(night, Speaker::Me, offer.offer).await.expect("accepted");
    watch.follow(night).await;
    cleo_seat.leave().await;
    watch.sees_agent(cleo, "her going", |row| !row.live).await;
    floor.wait(seconds(15));
    let requeued = |change: &StaffChange| queued(change).filter(|(_, cause)| *cause == QueueCause::Requeued);
    assert_eq!(watch.sees_staff(night, "its way back", requeued).await.0, "night");
}

async fn a_silent_conversation_is_closed(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (ana, seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (silent, spoken) = (owned(&desk, &watch, ana, 1).await, owned(&desk, &watch, ana, 2).await);
    watch.follow(silent).await;
    floor.wait(seconds(1_800));
    desk.client.say(spoken, Speaker::Visitor(visitor(2)), "one moment").await.expect("said");
    floor.wait(seconds(1_800));
    assert_eq!(watch.sees_staff(silent, "its end", closed).await, CloseReason::Idle);
    assert_eq!(watch.status(spoken).await, Status::Active);
    let _: Reply = seat.client.send(maitred::protocol::request::Ping {}).await.expect("a pong");
    assert_eq!(watch.agent_detail(ana).await.row.taken, 1, "its slot is free in the same transition");
}
