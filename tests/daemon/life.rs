//! A conversation's life, end to end.

use std::time::Duration;

use maitred::protocol::{
    notice::{StaffChange, VisitorChange, VisitorSide},
    words::{FallbackReason, Speaker, Status},
};

use super::floor::{Floor, Shape, group, new_id, opening, stories, visitor};

stories! {
    a_conversation_is_offered_accepted_talked_through_and_closed,
    an_offer_times_out_to_the_next_and_then_to_the_fallback,
    a_restart_loses_nothing_and_sends_no_fallback,
    what_is_sent_right_behind_an_opening_comes_behind_it,
}

const SALES: &str = r#"
[[workspace]]
name = "test"
fallback_message = "Nobody is here."
[[workspace.group]]
name = "sales"
label = "Sales"
"#;

/// The thinnest path through all rooms: open → offer → accept → talk → close.
async fn a_conversation_is_offered_accepted_talked_through_and_closed(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (_, mut ana) = floor.agent("ana", &["sales"], 3, shape).await;
    let mut site = floor.frontend(shape).await;
    let id = new_id();
    let opened = site.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    assert_eq!((opened.conversation, opened.existing), (id, false));
    let offer = ana.sees_offer(id).await;
    assert_eq!(offer.accept_within_ms, Some(45_000));
    ana.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
    let joined = |change: &VisitorChange| match change {
        VisitorChange::AgentJoined { name, .. } => Some(name.clone()),
        _ => None,
    };
    assert_eq!(site.sees_visitor(id, "the agent", joined).await.as_str(), "ana");
    let said = ana.client.say(id, Speaker::Me, "how can I help?").await.expect("said");
    assert!(said.seq.is_some());
    let from = |change: &VisitorChange| match change {
        VisitorChange::Said { from: VisitorSide::Agent { name, .. }, body } => {
            Some((name.clone(), body.clone()))
        }
        _ => None,
    };
    let (name, body) = site.sees_visitor(id, "the answer", from).await;
    assert_eq!((name.as_str(), body.as_str()), ("ana", "how can I help?"));
    site.client.say(id, Speaker::Visitor(visitor(1)), "like this").await.expect("said");
    let body = |change: &StaffChange| match change {
        StaffChange::Said { body } if body.as_str() == "like this" => Some(()),
        _ => None,
    };
    ana.sees_staff(id, "the visitor's message", body).await;
    ana.client.close_conversation(id, Speaker::Me).await.expect("closed");
    let closed =
        |change: &VisitorChange| matches!(change, VisitorChange::Closed { by_me: false }).then_some(());
    site.sees_visitor(id, "the end", closed).await;
}

/// An offer ends when its time is over, and the next eligible member is offered at once; then the fallback.
async fn an_offer_times_out_to_the_next_and_then_to_the_fallback(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (_, mut ana) = floor.agent("ana", &["sales"], 3, shape).await;
    let (_, mut ben) = floor.agent("ben", &["sales"], 3, shape).await;
    let mut site = floor.frontend(shape).await;
    let id = new_id();
    site.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    ana.sees_offer(id).await;
    floor.wait(Duration::from_secs(45));
    let offer = ben.sees_offer(id).await;
    floor.wait(Duration::from_secs(45));
    let reason = |change: &VisitorChange| match change {
        VisitorChange::Fallback { message } => Some(message.clone()),
        _ => None,
    };
    site.sees_visitor(id, "the fallback", reason).await;
    let refused = ben.client.accept(id, Speaker::Me, offer.offer).await.expect_err("too late");
    assert_eq!(refused.code().map(|code| code.as_str()), Some("offer_timed_out"), "{refused}");
    let again = site.client.open(opening(new_id(), visitor(1), group("sales"))).await.expect("opened");
    assert_eq!((again.conversation, again.existing), (id, true), "a missed one is routed again");
    let _ = FallbackReason::OffersExhausted;
}

/// What was acknowledged survives a restart, agents who come back find their offers, and nobody has missed anything.
async fn a_restart_loses_nothing_and_sends_no_fallback(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let (agent, mut ana) = floor.agent("ana", &["sales"], 1, shape).await;
    let site = floor.frontend(shape).await;
    let (one, two) = (new_id(), new_id());
    site.client.open(opening(one, visitor(1), group("sales"))).await.expect("opened");
    site.client.open(opening(two, visitor(2), group("sales"))).await.expect("opened");
    ana.sees_offer(one).await;
    floor.restart(Duration::from_secs(600)).await;
    let token = floor.token(maitred::protocol::words::Role::Agent, None, Some(agent)).await;
    let mut ana = floor.connect(&token, shape.encoding).await;
    let items = |notice: &maitred::protocol::Notice| match notice {
        maitred::protocol::Notice::AgentItems(items) => Some(items.clone()),
        _ => None,
    };
    let items = ana.sees("what she has", items).await;
    let offer = items.items.iter().find_map(|item| match item {
        maitred::protocol::notice::AgentItem::Offer(made) => Some(made.clone()),
        maitred::protocol::notice::AgentItem::Conversation(_) => None,
    });
    let offer = offer.expect("the offer is there again");
    assert_eq!(offer.conversation, one);
    ana.client.accept(one, Speaker::Me, offer.offer).await.expect("accepted");
    ana.client.close_conversation(one, Speaker::Me).await.expect("closed");
    let second = ana.sees_offer(two).await;
    ana.client.accept(two, Speaker::Me, second.offer).await.expect("accepted");
    let again = floor.frontend(shape).await.client.open(opening(two, visitor(2), group("sales"))).await;
    let again = again.expect("the same opening again");
    assert_eq!((again.conversation, again.existing, again.status), (two, false, Status::Active));
}

/// A frontend need not wait for the opening's answer before it sends what the visitor writes next.
async fn what_is_sent_right_behind_an_opening_comes_behind_it(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let mut site = floor.frontend(shape).await;
    let id = new_id();
    let whose = Speaker::Visitor(visitor(1));
    let opened = site.client.open(opening(id, visitor(1), group("sales")));
    let first = site.client.say(id, whose, "one");
    let second = site.client.say(id, whose, "two");
    assert_eq!(opened.await.expect("opened").conversation, id);
    let (first, second) = (first.await.expect("said"), second.await.expect("said"));
    assert!(first.visitor_seq < second.visitor_seq, "{first:?} {second:?}");
    let body = |change: &VisitorChange| match change {
        VisitorChange::Said { body, .. } if body.as_str() == "two" => Some(()),
        _ => None,
    };
    site.sees_visitor(id, "the second message", body).await;
}
