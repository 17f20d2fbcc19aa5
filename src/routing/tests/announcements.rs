//! Announcements: the same to several at once, by broadcast or in a pull queue.

use super::floor::*;
use crate::routing::{
    Because, By, FallbackReason, OfferOutcome, Presence, Refusal, RescindReason, Strategy, Tell, WhenEmpty,
    WhyNot,
    conversation::{self, Ask, Event, OfferKind, Phase},
    group,
    notice::AgentNotice,
};

const TIMEOUT: std::time::Duration = secs(45);

fn broadcast<const N: usize>(members: [&str; N]) -> Floor {
    Floor::new().group_with("sales", members, |rules| rules.strategy = Strategy::Broadcast)
}

fn pull<const N: usize>(members: [&str; N]) -> Floor {
    Floor::new().group_with("sales", members, |rules| rules.strategy = Strategy::Pull)
}

/// BR-10, known bugs D4 and D12: two agents answer and both are connected.
#[test]
fn of_two_who_accept_at_once_one_wins_and_the_other_is_told_who() {
    for mut floor in [broadcast(["ana", "ben", "cleo"]), pull(["ana", "ben", "cleo"])] {
        let visit = floor.visitor_arrives("sales");
        let offer = floor.pending("ana", visit).expect("announced").offer;
        let posts =
            ["ben", "ana"].map(|name| floor.posts(By::Agent(agent(name)), visit, Ask::Accept { offer }));
        floor.settle();
        assert!(floor.answer_to(posts[0]).is_ok());
        assert_eq!(floor.answer_to(posts[1]), Err(Refusal::AlreadyTaken(agent("ben"))));
        assert_eq!(floor.owner(visit), Some("ben"));
        assert_eq!(
            ["ana", "ben", "cleo"].map(|name| floor.slots(name)),
            [0, 1, 0],
            "the loser's grant is released"
        );
        assert!(floor.offered_to(visit).is_empty(), "it left the others' lists");
    }
}

#[test]
fn who_comes_too_late_is_told_who_has_it_however_many_there_were() {
    let names: [String; 20] = std::array::from_fn(|number| format!("agent{number:02}"));
    let mut floor = pull([]);
    for name in &names {
        floor.puts(name, |profile| profile.groups = vec![group("sales")]).expect("put");
        floor.comes_online(name);
    }
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("agent00", visit).expect("announced").offer;
    floor.accepts("agent07", visit).expect("accepted");
    for name in names.iter().filter(|name| *name != "agent07") {
        let answer = floor.asks(By::Agent(agent(name)), visit, Ask::Accept { offer });
        assert_eq!(answer, Err(Refusal::AlreadyTaken(agent("agent07"))), "{name}");
    }
}

#[test]
fn an_agent_at_their_cap_is_refused_and_it_stays_listed() {
    let mut floor = pull(["ana", "ben"]).cap(1);
    let [first, second] = [(); 2].map(|()| floor.visitor_arrives("sales"));
    floor.accepts("ana", first).expect("accepted");
    assert_eq!(floor.accepts("ana", second), Err(Refusal::AtCapacity { taken: 1, cap: 1 }));
    floor.sees("ana", second, OfferKind::Announcement);
    floor.sees("ben", second, OfferKind::Announcement);
    floor.closes("ana", first).expect("closed");
    floor.accepts("ana", second).expect("accepted");
}

#[test]
fn a_broadcast_lasts_the_accept_timeout_and_counts_as_one_offer() {
    let mut floor = broadcast(["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.wait(TIMEOUT - MICRO);
    floor.sees("ana", visit, OfferKind::Announcement);
    floor.wait(MICRO);
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

#[test]
fn who_is_preferred_is_asked_before_the_others_and_not_instead_of_them() {
    let mut floor = broadcast(["ana", "ben"]);
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ben")));
    assert_eq!(floor.offered_to(visit), ["ben"]);
    floor.wait(TIMEOUT);
    assert_eq!(floor.offered_to(visit), ["ana"]);
    floor.sees("ana", visit, OfferKind::Announcement);
    floor.wait(TIMEOUT);
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

#[test]
fn a_broadcast_ends_early_when_all_declined() {
    let mut floor = broadcast(["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.sees_nothing("ana", visit);
    floor.sees("ben", visit, OfferKind::Announcement);
    floor.declines("ben", visit).expect("declined");
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

#[test]
fn a_broadcast_is_repeated_only_if_max_offers_says_so_and_not_to_who_declined() {
    let mut floor = broadcast(["ana", "ben"]);
    floor.reload_group("sales", |rules| rules.max_offers = Some(2));
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.wait(TIMEOUT);
    assert_eq!(floor.offered_to(visit), ["ben"]);
    floor.wait(TIMEOUT);
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

#[test]
fn a_lapsed_announcement_is_a_miss_for_nobody() {
    let mut floor = broadcast(["ana"]).rules(|policy| policy.auto_away_after = Some(1));
    let visit = floor.visitor_arrives("sales");
    floor.wait(TIMEOUT);
    floor.fell_back(visit, FallbackReason::OffersExhausted);
    assert_eq!(floor.agent("ana").intent(), Presence::Online);
}

#[test]
fn a_pull_queue_lists_it_for_the_whole_stay() {
    let mut floor = pull(["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.declines("ben", visit).expect("declined");
    floor.wait(secs(119));
    assert_eq!(floor.phase(visit), Phase::Offered);
    floor.wait(secs(1));
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

#[test]
fn who_becomes_eligible_is_added() {
    for mut floor in [broadcast(["ana", "ben"]), pull(["ana", "ben"])] {
        floor.goes_offline("ben");
        let visit = floor.visitor_arrives("sales");
        assert_eq!(floor.offered_to(visit), ["ana"]);
        floor.wait(secs(10));
        floor.intends("ben", Presence::Online);
        assert_eq!(floor.offered_to(visit), ["ana", "ben"]);
        let offer = |name| floor.pending(name, visit).map(|pending| (pending.offer, pending.deadline));
        assert_eq!(offer("ana"), offer("ben"), "it is the same announcement");
    }
}

#[test]
fn who_frees_a_slot_sees_what_is_listed() {
    let mut floor = pull(["ana"]).cap(1);
    let first = floor.visitor_arrives("sales");
    floor.accepts("ana", first).expect("accepted");
    let second = floor.visitor_arrives("sales");
    floor.waits(second, "sales");
    floor.closes("ana", first).expect("closed");
    floor.sees("ana", second, OfferKind::Announcement);
}

#[test]
fn what_nobody_could_see_is_announced_when_somebody_comes() {
    let mut floor = broadcast(["ana"]);
    floor.reload_group("sales", |rules| rules.when_empty = WhenEmpty::Queue);
    floor.goes_offline("ana");
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(30));
    floor.intends("ana", Presence::Online);
    let deadline = floor.pending("ana", visit).expect("announced").deadline;
    assert_eq!(deadline, Some(floor.now + TIMEOUT));
}

#[test]
fn a_preferred_agent_who_comes_later_is_added_like_any_other() {
    for mut floor in [broadcast(["ana", "ben", "cleo"]), pull(["ana", "ben", "cleo"])] {
        floor.goes_offline("ben");
        floor.goes_offline("cleo");
        let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ben")));
        assert_eq!(floor.offered_to(visit), ["ana"]);
        floor.intends("ben", Presence::Online);
        assert_eq!(floor.offered_to(visit), ["ana", "ben"]);
        floor.intends("cleo", Presence::Online);
        assert_eq!(floor.offered_to(visit), ["ana", "ben", "cleo"]);
        floor.accepts("ben", visit).expect("accepted");
        assert_eq!(floor.owner(visit), Some("ben"));
    }
}

#[test]
fn an_announcement_goes_on_while_the_strategy_changes() {
    let mut floor = pull(["ana", "ben"]).cap(1);
    floor.goes_offline("ben");
    let visit = floor.visitor_arrives("sales");
    floor.reload_group("sales", |rules| rules.strategy = Strategy::RoundRobin);
    floor.sees("ana", visit, OfferKind::Announcement);
    floor.intends("ben", Presence::Online);
    let second = floor.visitor_arrives("sales");
    assert_eq!(floor.offered_to(second).len(), 1, "what is listed holds nobody up");
    floor.wait(secs(120));
    assert_eq!(floor.phase(visit), Phase::Missed);
}

#[test]
fn a_colleague_may_take_it_without_having_seen_it() {
    let mut floor = pull(["ana", "ben"]);
    floor.intends("ben", Presence::Away);
    let visit = floor.visitor_arrives("sales");
    floor.takes("ben", visit).expect("taken");
    assert_eq!(floor.owner(visit), Some("ben"));
    floor.sees_nothing("ana", visit);
}

#[test]
fn an_announcement_that_ends_tells_everybody_why_however_many_there_were() {
    let names: [String; 12] = std::array::from_fn(|number| format!("agent{number:02}"));
    let mut floor = broadcast([]);
    for name in &names {
        floor.puts(name, |profile| profile.groups = vec![group("sales")]).expect("put");
        floor.comes_online(name);
    }
    let visit = floor.visitor_arrives("sales");
    floor.told(visit);
    floor.wait(TIMEOUT);
    let ended = floor.told(visit);
    assert_eq!(ended.len(), names.len());
    for (name, notice) in ended {
        let AgentNotice::OfferEnded { outcome, .. } = notice else { panic!("{name} was told {notice:?}") };
        assert_eq!(outcome, OfferOutcome::Rescinded(RescindReason::WaitedTooLong), "{name}");
    }
}

#[test]
fn a_recorded_announcement_names_whom_it_went_to() {
    let mut floor = broadcast(["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    let announced = floor.events(visit).into_iter().find_map(|event| match event {
        Event::AnnouncedBy { agents, deadline, .. } => Some((agents.clone(), *deadline)),
        _ => None,
    });
    assert_eq!(announced, Some((vec![agent("ana"), agent("ben")], Some(floor.now + TIMEOUT))));
}

#[test]
fn a_recorded_announcement_says_why_the_others_were_not_asked() {
    for mut floor in [broadcast(["ana", "ben", "cleo", "dan"]), pull(["ana", "ben", "cleo", "dan"])] {
        floor.intends("cleo", Presence::Away);
        floor.goes_offline("dan");
        let visit = floor.visitor_arrives("sales");
        let decision = floor.events(visit).into_iter().find_map(|event| match event {
            Event::AnnouncedBy { decision, .. } => Some(decision.clone()),
            _ => None,
        });
        let decision = decision.expect("announced");
        assert_eq!((decision.because, decision.next.len()), (Because::Strategy, 0), "all of them are asked");
        assert_eq!(decision.rest, [(WhyNot::Offline, 1), (WhyNot::Away, 1)]);
    }
}

#[test]
fn a_group_of_any_size_is_announced_to_wholly() {
    let names: Vec<String> = (0..700).map(|number| format!("agent{number:03}")).collect();
    let mut floor = pull([]);
    for name in &names {
        floor.puts(name, |profile| profile.groups = vec![group("sales")]).expect("put");
        floor.comes_online(name);
    }
    let visit = floor.visitor_arrives("sales");
    let sizes: Vec<usize> = floor
        .events(visit)
        .into_iter()
        .filter_map(|event| match event {
            Event::AnnouncedBy { agents, .. } | Event::AnnouncedTo { agents } => Some(agents.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [256, 256, 188], "each event fits a page");
    assert_eq!(floor.told(visit).len(), 700, "everybody hears of it, once");
    floor.declines("agent000", visit).expect("declined");
    assert_eq!(floor.told(visit).len(), 1, "a decline concerns nobody else");
    floor.accepts("agent699", visit).expect("the last one has it as well as the first");
    assert_eq!(floor.told(visit).len(), 699);
    assert_eq!(floor.owner(visit), Some("agent699"));
}

/// An agent comes online in the moment in which the announcement ends.
#[test]
fn who_is_added_to_an_announcement_that_has_ended_is_in_the_next() {
    let mut floor = Floor::new().group_with("sales", ["ana"], |rules| {
        rules.strategy = Strategy::Broadcast;
        rules.max_offers = Some(3);
    });
    let visit = floor.visitor_arrives("sales");
    let stay = floor.conversation(visit).stay().expect("it waits").number;
    floor.loses(|tell| matches!(tell, Tell::Group(_, group::Command::Enqueue(_))));
    floor.wait(secs(45));
    floor.loses_nothing_more();
    floor.waits(visit, "sales");
    let late = conversation::Command::Announce { stay, agents: vec![agent("ana")], decision: None };
    floor.tells(Tell::Conversation(visit.id, late));
    floor.sees("ana", visit, OfferKind::Announcement);
}
