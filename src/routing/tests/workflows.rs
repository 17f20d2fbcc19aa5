//! Workflows: who does not answer loses the conversation to somebody who does (RE-1 to RE-18).

use std::{sync::Arc, time::Duration};

use super::floor::*;
use crate::routing::{
    AssignCause, By, FallbackReason, Presence, QueueCause, Strategy, Tell, WhenEmpty, WhyNot,
    conversation::{self, Ask, Event, FlowOutcome, Phase, Skip},
    group::Command as ToGroup,
    workflow::{Aim, Reassign, Status, Step, Test, Workflow},
};

const WAIT: Duration = secs(15 * 60);

fn to(name: &str) -> Aim {
    Aim::Group(group(name))
}

fn reassign(aim: Aim) -> Step {
    Step::Reassign(Reassign { to: aim, only_online: true, exclude_previous: true })
}

fn watch(first: Aim, then: Vec<Step>) -> Vec<Step> {
    let all = vec![Test::Status(Status::Open), Test::Outgoing(false)];
    vec![Step::Assign(first), Step::Wait(WAIT), Step::Branch { all, then, otherwise: Vec::new() }]
}

/// Teams that are assigned to without being asked, as respond.io does it.
fn floor(steps: Vec<Step>) -> Floor {
    Floor::new()
        .group_with("sales", ["ana", "ben"], |rules| rules.strategy = Strategy::Assign)
        .group_with("backup", ["cleo", "dan"], |rules| rules.strategy = Strategy::Assign)
        .rules(|policy| policy.workflows = vec![Arc::new(Workflow::new("silence".into(), &steps))])
}

fn usual() -> Floor {
    floor(watch(to("sales"), vec![reassign(to("backup"))]))
}

fn outcome(floor: &Floor, visit: Visit) -> Option<FlowOutcome> {
    floor.events(visit).into_iter().rev().find_map(|event| match event {
        Event::FlowEnded { outcome, .. } => Some(*outcome),
        _ => None,
    })
}

fn writes(floor: &mut Floor, name: &str, visit: Visit) {
    done(floor.asks(By::Agent(agent(name)), visit, Ask::Say(text("hello"))));
}

#[test]
fn re_3_the_first_step_assigns_to_a_team_or_an_agent() {
    let mut floor = usual();
    let visit = floor.visitor_arrives("backup");
    assert_eq!(floor.owner(visit), Some("ana"), "the workflow's team, not the visitor's");
    let mut floor = self::floor(watch(Aim::Agent(agent("dan")), Vec::new()));
    let visit = floor.visitor_arrives("sales");
    assert_eq!(floor.owner(visit), Some("dan"));
    let cause = floor.events(visit).into_iter().find_map(|event| match event {
        Event::Assigned { cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!(cause, Some(AssignCause::Workflow));
}

#[test]
fn an_agent_who_can_not_have_it_leaves_it_to_the_routing() {
    let mut floor = self::floor(watch(Aim::Agent(agent("dan")), Vec::new())).cap(1);
    let first = floor.visitor_arrives("sales");
    assert_eq!(floor.owner(first), Some("dan"));
    let visit = floor.visitor_arrives("sales");
    assert!(matches!(floor.owner(visit), Some("ana" | "ben")), "whoever of sales has the turn");
}

#[test]
fn re_4_the_branch_is_taken_once_and_at_its_time() {
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT - MICRO);
    assert_eq!(floor.owner(visit), Some("ana"));
    floor.wait(MICRO);
    assert_eq!(floor.owner(visit), Some("cleo"));
    assert_eq!(floor.slots("ana"), 0);
    // RE-2: the second agent is silent too.
    floor.wait(secs(3_600));
    assert_eq!(floor.owner(visit), Some("cleo"));
    assert_eq!(outcome(&floor, visit), Some(FlowOutcome::Done));
    assert_eq!(
        floor.events(visit).iter().filter(|event| matches!(event, Event::FlowFired { .. })).count(),
        1
    );
}

#[test]
fn re_5_only_an_open_conversation_that_nobody_answered_is_reassigned() {
    for (closes, answers) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut floor = usual();
        let visit = floor.visitor_arrives("sales");
        floor.wait(secs(60));
        if answers {
            writes(&mut floor, "ana", visit);
        }
        if closes {
            done(floor.closes("ana", visit));
        }
        floor.wait(WAIT);
        let fired = floor.events(visit).iter().any(|event| matches!(event, Event::FlowFired { .. }));
        assert_eq!(fired, !closes && !answers, "closed: {closes}, answered: {answers}");
        if answers && !closes {
            assert_eq!(outcome(&floor, visit), Some(FlowOutcome::Skipped(Skip::Answered)));
        }
    }
}

#[test]
fn re_6_only_what_a_human_agent_wrote_to_the_visitor_counts() {
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    done(floor.asks(By::Agent(agent("ana")), visit, Ask::Note(text("looks hard"))));
    done(floor.asks(By::Supervisor, visit, Ask::Note(text("who has it?"))));
    done(floor.visitor_says(visit, "anybody there?"));
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("cleo"));
}

#[test]
fn re_7_replies_before_a_reopening_do_not_count() {
    let mut floor = usual();
    floor.reload(|policy| Arc::make_mut(&mut policy.workflows[0]).on_reopened = true);
    let visit = floor.visitor_arrives("sales");
    writes(&mut floor, "ana", visit);
    done(floor.closes("ana", visit));
    done(floor.asks(By::Supervisor, visit, Ask::Reopen));
    assert_eq!(floor.owner(visit), Some("ana"));
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("cleo"));
}

#[test]
fn re_8_who_was_silent_does_not_get_it_again() {
    let mut floor = self::floor(watch(to("sales"), vec![reassign(to("sales"))]));
    let visit = floor.visitor_arrives("sales");
    floor.goes_offline("ben");
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), None);
    assert_eq!(floor.slots("ana"), 0);
    let mut floor = self::floor(watch(to("sales"), vec![reassign(to("sales"))]));
    floor.reload_group("sales", |rules| rules.when_empty = WhenEmpty::Queue);
    let visit = floor.visitor_arrives("sales");
    floor.goes_offline("ben");
    floor.wait(WAIT);
    floor.waits(visit, "sales");
    assert_eq!(floor.group_view("sales").why_not(visit.id, agent("ana"), None), Some(WhyNot::WasSilent));
}

#[test]
fn re_9_nobody_who_is_offline_gets_it() {
    let mut floor = usual();
    floor.goes_offline("cleo");
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("dan"));
    for patient in [true, false] {
        let mut floor = usual();
        if patient {
            floor.reload_group("backup", |rules| rules.when_empty = WhenEmpty::Queue);
        }
        floor.goes_offline("cleo");
        floor.goes_offline("dan");
        let visit = floor.visitor_arrives("sales");
        floor.wait(WAIT);
        let queued = floor.events(visit).into_iter().rev().find_map(|event| match event {
            Event::Queued { cause, group, .. } => Some((*cause, group.as_str())),
            _ => None,
        });
        assert_eq!(queued, Some((QueueCause::NoOnlineAgent, "backup")));
        if patient {
            floor.waits(visit, "backup");
            floor.comes_online("dan");
            assert_eq!(floor.owner(visit), Some("dan"));
        } else {
            floor.fell_back(visit, FallbackReason::NobodyOnline);
        }
    }
}

#[test]
fn re_9_without_the_toggle_an_offline_agent_gets_it() {
    let rule = Reassign { to: to("backup"), only_online: false, exclude_previous: true };
    let mut floor = self::floor(watch(to("sales"), vec![Step::Reassign(rule)]));
    floor.goes_offline("cleo");
    floor.goes_offline("dan");
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("cleo"));
    // At their caps nobody is appointed: the group's own rules hold.
    let mut floor = floor.cap(1);
    let busy = floor.visitor_arrives("sales");
    done(floor.assigns(busy, to_agent("dan")));
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT);
    floor.fell_back(visit, FallbackReason::NobodyOnline);
}

#[test]
fn an_agent_named_by_the_workflow_who_is_not_online_leaves_it_to_the_group() {
    let mut floor = self::floor(watch(to("sales"), vec![reassign(Aim::Agent(agent("dan")))]));
    floor.goes_offline("dan");
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("ben"), "their own group, but for who was silent");
    let mut floor = self::floor(watch(to("sales"), vec![reassign(Aim::Agent(agent("dan")))]));
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("dan"));
}

#[test]
fn re_10_the_comment_stands_before_the_new_assignment() {
    let comment = Step::Comment("{{agent}} of {{group}} was silent ({{workflow}})".into());
    let mut floor = self::floor(watch(to("sales"), vec![comment, reassign(to("backup"))]));
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT);
    let told: Vec<String> = floor
        .events(visit)
        .into_iter()
        .filter_map(|event| match event {
            Event::Noted { body } => Some(body.0.to_string()),
            Event::Assigned { name, .. } => Some(name.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["ana", "ana of sales was silent (silence)", "cleo"]);
    assert!(
        floor
            .events(visit)
            .iter()
            .all(|event| !matches!(event, Event::Noted { .. }) || !event.visitor_sees())
    );
}

#[test]
fn re_15_a_human_reassignment_voids_it() {
    let by_hand: [fn(&mut Floor, Visit); 4] = [
        |floor, visit| done(floor.assigns(visit, to_agent("ben"))),
        |floor, visit| done(floor.assigns(visit, to_group("backup"))),
        |floor, visit| {
            done(floor.hands("ana", visit, to_agent("ben")));
            done(floor.accepts("ben", visit));
        },
        |floor, visit| done(floor.leaves("ana", visit)),
    ];
    for (number, by_hand) in by_hand.into_iter().enumerate() {
        let mut floor = usual();
        let visit = floor.visitor_arrives("sales");
        floor.wait(secs(600));
        by_hand(&mut floor, visit);
        let owner = floor.owner(visit).map(str::to_owned);
        floor.wait(WAIT);
        assert_eq!(floor.owner(visit), owner.as_deref(), "way {number}");
        assert_eq!(outcome(&floor, visit), Some(FlowOutcome::Skipped(Skip::Moved)), "way {number}");
    }
    // Back with the same agent it is another assignment.
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    done(floor.assigns(visit, to_agent("ben")));
    done(floor.assigns(visit, to_agent("ana")));
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("ana"));
}

#[test]
fn a_handover_that_is_pending_is_left_alone() {
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT - secs(10));
    done(floor.hands("ana", visit, to_agent("ben")));
    floor.wait(secs(10));
    assert_eq!(outcome(&floor, visit), Some(FlowOutcome::Skipped(Skip::HandedOver)));
    done(floor.accepts("ben", visit));
    assert_eq!(floor.owner(visit), Some("ben"));
}

#[test]
fn re_16_in_the_same_instant_the_order_of_the_log_decides() {
    for reply_first in [true, false] {
        let mut floor = usual();
        let visit = floor.visitor_arrives("sales");
        floor.wait(WAIT - MICRO);
        floor.now = floor.now + MICRO;
        let tick = Tell::Conversation(visit.id, conversation::Command::Tick);
        let ana = By::Agent(agent("ana"));
        if reply_first {
            floor.posts(ana, visit, Ask::Say(text("here!")));
            floor.tells(tick);
        } else {
            floor.posts_tell(tick);
            floor.posts(ana, visit, Ask::Say(text("here!")));
            floor.settle();
        }
        let owner = if reply_first { "ana" } else { "cleo" };
        assert_eq!(floor.owner(visit), Some(owner));
        floor.crash(secs(1));
        assert_eq!(floor.owner(visit), Some(owner), "the log tells the same");
    }
    // The timer is late: what came behind the deadline came too late.
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT - MICRO);
    floor.now = floor.now + MICRO + MICRO;
    writes(&mut floor, "ana", visit);
    floor.wait(secs(0));
    assert_eq!(floor.owner(visit), Some("cleo"));
}

#[test]
fn a_restart_puts_the_wait_off_and_forgets_nothing() {
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(60));
    floor.crash(secs(3_600));
    floor.all_connect(["ana", "ben", "cleo", "dan"]);
    floor.wait(WAIT - secs(60) - MICRO);
    assert_eq!(floor.owner(visit), Some("ana"));
    floor.wait(MICRO);
    assert_eq!(floor.owner(visit), Some("cleo"));
    // Due within the grace: when that is over.
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT - secs(1));
    floor.crash(secs(3_600));
    floor.all_connect(["ana", "ben", "cleo", "dan"]);
    floor.wait(RECONNECT_GRACE - MICRO);
    assert_eq!(floor.owner(visit), Some("ana"));
    floor.wait(MICRO);
    assert_eq!(floor.owner(visit), Some("cleo"));
}

#[test]
fn re_11_and_re_18_what_is_not_published_or_was_changed_does_nothing() {
    let mut floor = usual();
    floor.reload(|policy| policy.workflows.clear());
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT + WAIT);
    assert_eq!(floor.owner(visit), Some("ana"));
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(60));
    let other = Workflow::new("silence".into(), &watch(to("sales"), vec![Step::Close]));
    floor.reload(|policy| policy.workflows = vec![Arc::new(other)]);
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("ana"));
    assert_eq!(outcome(&floor, visit), Some(FlowOutcome::Skipped(Skip::Changed)));
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let mut floor = usual();
    let visit = floor.visitor_arrives("sales");
    floor.loses(|tell| matches!(tell, Tell::Group(_, ToGroup::Summon { .. })));
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("ana"));
    floor.loses_nothing_more();
    floor.wait(secs(1));
    assert_eq!(floor.owner(visit), Some("cleo"));
}

#[test]
fn a_group_that_takes_nothing_leaves_it_with_who_has_it() {
    for aside in [true, false] {
        let mut floor = usual();
        let visit = floor.visitor_arrives("sales");
        match aside {
            true => floor.sets_group_aside("backup"),
            false => floor.reload_group("backup", |rules| rules.enabled = false),
        }
        floor.wait(WAIT);
        assert_eq!(floor.owner(visit), Some("ana"));
        assert_eq!(outcome(&floor, visit), Some(FlowOutcome::Skipped(Skip::Unavailable)));
    }
}

#[test]
fn a_second_round_watches_the_second_agent() {
    let inner = Step::Branch {
        all: vec![Test::Outgoing(false)],
        then: vec![reassign(Aim::Agent(agent("ben")))],
        otherwise: Vec::new(),
    };
    let steps = watch(to("sales"), vec![reassign(to("backup")), Step::Wait(secs(60)), inner]);
    let mut floor = self::floor(steps);
    let visit = floor.visitor_arrives("sales");
    floor.wait(WAIT);
    assert_eq!(floor.owner(visit), Some("cleo"));
    floor.wait(secs(60) - MICRO);
    assert_eq!(floor.owner(visit), Some("cleo"));
    floor.wait(MICRO);
    assert_eq!(floor.owner(visit), Some("ben"));
    assert_eq!(outcome(&floor, visit), Some(FlowOutcome::Done));
}

#[test]
fn other_steps_wait_change_the_class_and_close() {
    let steps = vec![
        Step::Wait(secs(30)),
        Step::Branch {
            all: vec![Test::Status(Status::Waiting)],
            then: vec![Step::Priority(crate::routing::Priority::new(1).expect("a class"))],
            otherwise: vec![Step::Comment("taken in time".into())],
        },
        Step::Wait(secs(30)),
        Step::Close,
    ];
    let mut floor = self::floor(steps).cap(1);
    for name in ["ana", "ben"] {
        floor.intends(name, Presence::Away);
    }
    floor.reload_group("sales", |rules| rules.when_empty = WhenEmpty::Queue);
    let first = floor.visitor_arrives("sales");
    floor.wait(secs(10));
    let second = floor.visitor_arrives("sales");
    let ahead = |floor: &Floor, visit: Visit| floor.group_view("sales").ahead_of(visit.id);
    assert_eq!((ahead(&floor, first), ahead(&floor, second)), (Some(0), Some(1)));
    floor.wait(secs(20));
    assert_eq!(floor.conversation(first).priority().get(), 1);
    floor.wait(secs(30));
    assert_eq!(floor.phase(first), Phase::Closed);
    assert_eq!(floor.phase(second), Phase::Waiting);
    floor.wait(secs(10));
    assert_eq!(floor.phase(second), Phase::Closed);
    assert_eq!(floor.next_deadline(), None);
}
