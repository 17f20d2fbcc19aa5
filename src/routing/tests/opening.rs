//! Opening: what makes a conversation, and what leads to one that is there already.

use super::floor::*;
use crate::routing::{
    By, FallbackReason, Refusal, Reply, Tell,
    conversation::{Ask, Command, Destination, Event, Opening, Phase, Target, Way},
};

fn floor() -> Floor {
    Floor::new().group("sales", ["ana"])
}

fn to_sales(floor: &mut Floor) -> Opening {
    floor.opening(Target::Group(group("sales")))
}

fn opened(answer: Answer) -> (crate::ids::ConversationId, bool, Phase) {
    match answer {
        Ok(Reply::Opened { conversation, existing, status, .. }) => (conversation, existing, status),
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn an_opening_makes_a_conversation_under_the_id_that_the_caller_made() {
    let mut floor = floor();
    let opening = to_sales(&mut floor);
    assert_eq!(opened(floor.opens(&opening)), (opening.asked, false, Phase::Waiting));
    floor.sees_offer("ana", Visit { id: opening.asked, visitor: opening.visitor });
}

#[test]
fn the_first_message_is_recorded_between_the_opening_and_the_queue() {
    let mut floor = floor();
    let visit = floor.visitor_arrives_with("sales", |opening| opening.message = Some(text("hello")));
    let events = floor.events(visit);
    assert!(matches!(events[..3], [Event::Opened { .. }, Event::Said { .. }, Event::Queued { .. }]));
}

#[test]
fn a_second_opening_of_the_visitor_answers_with_the_open_one() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    let second = Opening { visitor: visit.visitor, ..to_sales(&mut floor) };
    assert_eq!(opened(floor.opens(&second)), (visit.id, true, Phase::Active));
    assert!(!floor.world.conversations.contains_key(&second.asked));
}

/// Known bug D5: two requests in one millisecond open two conversations for one visitor.
#[test]
fn two_openings_at_the_same_instant_make_one_conversation() {
    let mut floor = floor();
    let first = to_sales(&mut floor);
    let second = Opening { visitor: first.visitor, ..to_sales(&mut floor) };
    let answers = [floor.posts_opening(&first), floor.posts_opening(&second)];
    floor.settle();
    let [one, two] = answers.map(|request| opened(floor.answer_to(request)));
    assert_eq!((one.0, two.0), (first.asked, first.asked));
    assert_eq!((one.1, two.1), (false, true));
}

#[test]
fn another_channel_is_another_conversation() {
    let mut floor = floor().rules(|policy| policy.channels.push("app".parse().expect("a name")));
    let visit = floor.visitor_arrives("sales");
    let mut second = Opening { visitor: visit.visitor, ..to_sales(&mut floor) };
    second.channel = "app".parse().expect("a name");
    assert_eq!(opened(floor.opens(&second)), (second.asked, false, Phase::Waiting));
}

#[test]
fn a_second_opening_routes_a_missed_conversation_again() {
    let mut floor = floor();
    floor.goes_offline("ana");
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
    floor.intends("ana", crate::routing::Presence::Online);
    let second = Opening { visitor: visit.visitor, ..to_sales(&mut floor) };
    assert_eq!(opened(floor.opens(&second)), (visit.id, true, Phase::Waiting));
    floor.sees_offer("ana", visit);
}

#[test]
fn a_retry_with_the_same_id_changes_nothing() {
    let mut floor = floor();
    let opening = to_sales(&mut floor);
    floor.opens(&opening).expect("opened");
    let visit = Visit { id: opening.asked, visitor: opening.visitor };
    let before = floor.conversation(visit).numbers();
    assert_eq!(opened(floor.opens(&opening)), (opening.asked, false, Phase::Offered));
    assert_eq!(floor.conversation(visit).numbers(), before);
}

#[test]
fn a_retry_of_the_opening_does_not_route_a_missed_conversation_again() {
    let mut floor = floor();
    floor.goes_offline("ana");
    let opening = to_sales(&mut floor);
    floor.opens(&opening).expect("opened");
    assert_eq!(opened(floor.opens(&opening)), (opening.asked, false, Phase::Missed));
}

#[test]
fn the_same_id_with_another_body_is_refused() {
    let mut floor = floor();
    let opening = to_sales(&mut floor);
    floor.opens(&opening).expect("opened");
    let other = Opening { digest: opening.digest + 1, ..opening };
    assert_eq!(floor.opens(&other), Err(Refusal::KeyReused));
}

#[test]
fn an_id_of_another_visitor_looks_as_if_it_were_not_there() {
    let mut floor = floor();
    let opening = to_sales(&mut floor);
    floor.opens(&opening).expect("opened");
    let other = Opening { visitor: visitor("somebody else"), ..opening };
    assert_eq!(floor.opens(&other), Err(Refusal::NotFound));
}

#[test]
fn an_unknown_id_is_at_most_a_day_from_daemon_time() {
    let day = secs(24 * 3_600);
    let second = secs(1);
    let mut floor = floor();
    for (made, answer) in [
        (floor.now - day, None),
        (floor.now - day - second, Some(Refusal::KeyExpired)),
        (floor.now + day, None),
        (floor.now + day + second, Some(Refusal::KeyExpired)),
    ] {
        let mut opening = to_sales(&mut floor);
        opening.asked = made_at(made, 77);
        assert_eq!(floor.opens(&opening).err(), answer, "made at {made}, now {}", floor.now);
    }
}

#[test]
fn an_id_that_carries_no_time_is_refused() {
    let mut floor = floor();
    let mut opening = to_sales(&mut floor);
    opening.asked = crate::ids::ConversationId::from_bytes([0x40; 16]);
    assert!(matches!(floor.opens(&opening), Err(Refusal::Invalid(_))));
}

#[test]
fn a_refused_opening_leaves_the_visitor_free_to_open() {
    let mut floor = floor();
    let refused = floor.opening(Target::Group(group("nowhere")));
    assert_eq!(floor.opens(&refused), Err(Refusal::NotFound));
    let second = Opening { visitor: refused.visitor, ..to_sales(&mut floor) };
    assert!(!opened(floor.opens(&second)).1);
}

#[test]
fn unknown_groups_agents_and_channels_are_refused() {
    let mut floor = floor();
    let nowhere = floor.opening(Target::Group(group("nowhere")));
    assert_eq!(floor.opens(&nowhere), Err(Refusal::NotFound));
    let nobody = floor.opening(Target::Agent(agent("nobody")));
    assert_eq!(floor.opens(&nobody), Err(Refusal::NotFound));
    let mut by_fax = to_sales(&mut floor);
    by_fax.channel = "fax".parse().expect("a name");
    assert_eq!(floor.opens(&by_fax), Err(Refusal::ChannelNotSupported));
}

/// BR-7.
#[test]
fn a_disabled_group_takes_nothing_new() {
    let mut floor = floor().group_with("old", ["ben"], |rules| rules.enabled = false);
    let opening = floor.opening(Target::Group(group("old")));
    assert_eq!(floor.opens(&opening), Err(Refusal::GroupDisabled));
    let visit = floor.serves("ana", "sales");
    let to = Destination::Group(group("old"));
    assert_eq!(floor.assigns(visit, to.clone()), Err(Refusal::GroupDisabled));
    assert_eq!(floor.hands("ana", visit, to), Err(Refusal::GroupDisabled));
    assert_eq!(floor.owner(visit), Some("ana"));
}

#[test]
fn without_a_target_it_goes_to_the_default_group_and_without_one_to_everyone() {
    let mut floor = floor();
    let opening = floor.opening(Target::Default);
    floor.opens(&opening).expect("opened");
    let visit = Visit { id: opening.asked, visitor: opening.visitor };
    assert_eq!(floor.conversation(visit).group(), Some(&crate::ids::GroupId::everyone()));
    floor.sees_offer("ana", visit);

    floor.reload(|policy| policy.default_group = Some(group("sales")));
    let opening = floor.opening(Target::Default);
    floor.opens(&opening).expect("opened");
    let visit = Visit { id: opening.asked, visitor: opening.visitor };
    assert_eq!(floor.conversation(visit).group(), Some(&group("sales")));
}

#[test]
fn after_a_close_the_visitor_may_open_anew() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    let second = Opening { visitor: visit.visitor, ..to_sales(&mut floor) };
    assert_eq!(opened(floor.opens(&second)), (second.asked, false, Phase::Waiting));
}

#[test]
fn an_opening_that_meets_the_close_on_the_road_makes_a_new_conversation() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    let second = Opening { visitor: visit.visitor, ..to_sales(&mut floor) };
    let close = floor.posts(By::Agent(agent("ana")), visit, Ask::Close);
    let open = floor.posts_opening(&second);
    floor.settle();
    assert!(floor.answer_to(close).is_ok());
    assert_eq!(opened(floor.answer_to(open)), (second.asked, false, Phase::Waiting));
}

/// The first opening is lost with the conversation that failed over it, while a second one and a retry of the first are on their
/// way there: each goes back to the workspace, which lets one of them through.
#[test]
fn openings_behind_one_that_failed_make_one_conversation() {
    let mut floor = floor();
    let first = to_sales(&mut floor);
    let second = Opening { visitor: first.visitor, ..to_sales(&mut floor) };
    let fails = first.asked;
    floor.loses(move |tell| {
        matches!(tell, Tell::Conversation(id, Command::Open { way: Way::New { .. }, .. }) if *id == fails)
    });
    floor.posts_opening(&first);
    let answers = [floor.posts_opening(&second), floor.posts_opening(&first)];
    floor.settle();
    let [two, one] = answers.map(|request| opened(floor.answer_to(request)).0);
    assert_eq!((two, one), (second.asked, second.asked));
    assert!(!floor.world.conversations.contains_key(&first.asked));
}

/// What was known at the door may be gone when the retry arrives.
#[test]
fn a_retry_that_finds_nothing_goes_back_to_the_workspace() {
    let mut floor = floor();
    let opening = to_sales(&mut floor);
    let elsewhere = Opening { visitor: opening.visitor, ..to_sales(&mut floor) };
    floor.opens(&elsewhere).expect("opened");
    assert_eq!(opened(floor.retries(&opening)), (elsewhere.asked, true, Phase::Offered));
}
