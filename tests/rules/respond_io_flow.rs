//! respond.io's workflow: RE-1 to RE-11 and RE-15; what comes of it as data, RE-16 to RE-18, is in `respond_io_steps.rs`.

use std::time::Duration;

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        notice::StaffChange,
        request::Open,
        words::{AssignCause, Destination, Presence, QueueCause, Speaker, Status, WorkflowSkip},
    },
};

use crate::{
    floor::{Seat, group, new_id, opening, seconds, visitor},
    house::{House, rule},
    scenes::{assignments, owner, stays},
};

pub(crate) const WAIT: Duration = Duration::from_secs(15 * 60);
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// Ana is online and gets the conversation of a visitor; what comes of it is watched.
pub(crate) async fn assigned(house: &House, desk: &Seat, watch: &Seat) -> (AgentId, Seat, ConversationId) {
    let (ana, seat) = house.agent("ana", &["support"]).await;
    let id = desk.opens(1, group("support")).await;
    assert_eq!(owner(watch, id).await, Some(ana));
    watch.follow(id).await;
    (ana, seat, id)
}

/// Waits for the end of the workflow; why it did not reassign.
pub(crate) async fn ended(watch: &mut Seat, id: ConversationId) -> Option<WorkflowSkip> {
    let end = |change: &StaffChange| match change {
        StaffChange::WorkflowEnded { skipped, .. } => Some(*skipped),
        _ => None,
    };
    watch.sees_staff(id, "the end of the workflow", end).await
}

pub(crate) async fn says(seat: &Seat, id: ConversationId) {
    seat.client.say(id, Speaker::Me, "hello").await.expect("said");
}

pub(crate) async fn fired(watch: &Seat, id: ConversationId) -> usize {
    let history = watch.staff_history(id).await;
    history.iter().filter(|entry| matches!(entry.event, StaffChange::WorkflowFired { .. })).count()
}

/// A conversation that a frontend opens in its own name.
async fn opened_by_api(desk: &Seat, whose: u16) -> ConversationId {
    let id = new_id();
    let visit = opening(id, visitor(whose), group("support"));
    let open = Open { speaker: Speaker::Me, visitor: Some(visitor(whose)), ..visit };
    desk.client.open(open).await.expect("opened");
    id
}

/// Whether a workflow was begun for it.
async fn is_watched(watch: &Seat, id: ConversationId) -> bool {
    let history = watch.staff_history(id).await;
    history.iter().any(|entry| matches!(entry.event, StaffChange::WorkflowStarted { .. }))
}

rule!(
    re_04_the_branch_is_taken_once_and_at_its_time,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        house.wait(WAIT - MOMENT);
        watch.drain().await;
        assert_eq!(owner(&watch, id).await, Some(ana));
        house.wait(MOMENT);
        assert_eq!(ended(&mut watch, id).await, None);
        let given = assignments(&watch, id).await;
        assert_eq!(given, [(ana, AssignCause::Strategy), (ben, AssignCause::Strategy)]);
    },
    opposite = [("workspace.workflow.unanswered.steps.1.wait = \"16m\"", async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        house.wait(WAIT);
        watch.drain().await;
        assert_eq!(
            (owner(&watch, id).await, fired(&watch, id).await),
            (Some(ana), 0),
            "not after 15 minutes"
        );
        house.wait(seconds(60));
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(owner(&watch, id).await, Some(ben));
    })]
);

rule!(
    re_02_only_the_first_assignment_is_watched,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        house.wait(WAIT + WAIT);
        watch.drain().await;
        assert_eq!((owner(&watch, id).await, fired(&watch, id).await), (Some(ben), 1));
    },
    opposite = [(
        r#"workspace.workflow.unanswered.steps = [{ assign = "routed" }, { wait = "15m" }, { branch = { all = [{ human_reply = false }] }, then = [{ reassign = { group = "support" } }] }, { wait = "15m" }, { branch = { all = [{ human_reply = false }] }, then = [{ reassign = { group = "support" } }] }]"#,
        async |house| {
            let (desk, mut watch) = (house.desk().await, house.watch().await);
            let (ana, _seat, id) = assigned(house, &desk, &watch).await;
            let (ben, _ben) = house.agent("ben", &["support"]).await;
            let again =
                |change: &StaffChange| matches!(change, StaffChange::WorkflowFired { .. }).then_some(());
            for next in [ben, ana] {
                house.wait(WAIT);
                watch.sees_staff(id, "that it fires", again).await;
                assert_eq!(
                    owner(&watch, id).await,
                    Some(next),
                    "whoever is silent loses it, the second as the first"
                );
            }
            assert_eq!(fired(&watch, id).await, 2);
        }
    ),]
);

rule!(
    re_01_what_the_visitor_did_not_open_is_not_watched,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(owner(&watch, id).await, Some(ben));
        let by_api = opened_by_api(&desk, 2).await;
        assert!(owner(&watch, by_api).await.is_some());
        assert_eq!((is_watched(&watch, id).await, is_watched(&watch, by_api).await), (true, false));
    },
    opposite = [("workspace.workflow.unanswered.origin = [\"api\"]", async |house| {
        let (desk, watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let by_api = opened_by_api(&desk, 2).await;
        assert_eq!((is_watched(&watch, id).await, is_watched(&watch, by_api).await), (false, true));
    })]
);

rule!(
    re_03_the_first_step_assigns_to_a_team,
    preset = "respond-io",
    with = "[[workspace.group]]\nname = \"first\"\nlabel = \"First\"",
    flip = [],
    async |house| {
        house.change("workspace.workflow.unanswered.steps.0.assign = { group = \"first\" }");
        let (_ana, _seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["first"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        assert_eq!(owner(&watch, id).await, Some(ben));
        let line = format!("workspace.workflow.unanswered.steps.0.assign = {{ agent = \"{ben}\" }}");
        house.change(&line);
        let id = desk.opens(2, group("support")).await;
        assert_eq!(owner(&watch, id).await, Some(ben));
        assert_eq!(assignments(&watch, id).await.pop(), Some((ben, AssignCause::Workflow)));
    },
    opposite = [("workspace.workflow.unanswered.published = false", async |house| {
        house.change("workspace.workflow.unanswered.steps.0.assign = { group = \"first\" }");
        let (ana, _seat) = house.agent("ana", &["support"]).await;
        let (_ben, _ben_seat) = house.agent("ben", &["first"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        assert_eq!(owner(&watch, id).await, Some(ana), "it stays in the group that was asked for");
    })]
);

rule!(
    re_05_who_has_answered_keeps_it,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (ana, seat, id) = assigned(house, &desk, &watch).await;
        let (_ben, _ben_seat) = house.agent("ben", &["support"]).await;
        says(&seat, id).await;
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, Some(WorkflowSkip::Answered));
        assert_eq!(owner(&watch, id).await, Some(ana));
        let id = desk.opens(2, group("support")).await;
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
        house.wait(WAIT);
        assert_eq!((watch.status(id).await, fired(&watch, id).await), (Status::Closed, 0));
    },
    opposite = [(
        "workspace.workflow.unanswered.steps.2.branch = { all = [{ status = \"open\" }] }",
        async |house| {
            let (desk, mut watch) = (house.desk().await, house.watch().await);
            let (_ana, seat, id) = assigned(house, &desk, &watch).await;
            let (ben, _ben) = house.agent("ben", &["support"]).await;
            says(&seat, id).await;
            house.wait(WAIT);
            assert_eq!(ended(&mut watch, id).await, None);
            assert_eq!(owner(&watch, id).await, Some(ben), "taken from her although she has answered");
        }
    ),]
);

rule!(
    re_06_notes_do_not_count_as_an_answer,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        seat.client.note(id, Speaker::Me, "looks hard").await.expect("noted");
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(owner(&watch, id).await, Some(ben));
    },
    opposite = [(
        "workspace.workflow.unanswered.steps.2.branch = { all = [{ human_reply = true }] }",
        async |house| {
            let (desk, mut watch) = (house.desk().await, house.watch().await);
            let (ana, seat, id) = assigned(house, &desk, &watch).await;
            let (_ben_id, _ben) = house.agent("ben", &["support"]).await;
            seat.client.note(id, Speaker::Me, "looks hard").await.expect("noted");
            house.wait(WAIT);
            assert_ne!(ended(&mut watch, id).await, None);
            assert_eq!(owner(&watch, id).await, Some(ana));
        }
    ),]
);

rule!(
    re_07_answers_before_a_reopening_do_not_count,
    preset = "respond-io",
    with = "[[workspace.workflow]]\nname = \"unanswered\"\non = [\"opened\", \"reopened\"]",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        says(&seat, id).await;
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
        watch.client.reopen(id, Speaker::Me).await.expect("reopened");
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(owner(&watch, id).await, Some(ben));
    },
    opposite = [("workspace.workflow.unanswered.on = [\"opened\"]", async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (ana, seat, id) = assigned(house, &desk, &watch).await;
        let (_ben_id, _ben) = house.agent("ben", &["support"]).await;
        says(&seat, id).await;
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
        watch.client.reopen(id, Speaker::Me).await.expect("reopened");
        house.wait(WAIT);
        watch.drain().await;
        assert_eq!((owner(&watch, id).await, fired(&watch, id).await), (Some(ana), 0), "nothing watches it");
    })]
);

rule!(
    re_08_who_was_silent_does_not_get_it_again,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(owner(&watch, id).await, None, "she is the only one, and was silent");
        assert_eq!(stays(&watch, id).await.pop(), Some(("support".to_owned(), QueueCause::NoOnlineAgent)));
    },
    opposite = [(
        "workspace.workflow.unanswered.steps.2.then.1.reassign = { group = \"support\", exclude_previous = false }",
        async |house| {
            let (desk, mut watch) = (house.desk().await, house.watch().await);
            let (ana, _seat, id) = assigned(house, &desk, &watch).await;
            house.wait(WAIT);
            assert_eq!(ended(&mut watch, id).await, None);
            assert_eq!(owner(&watch, id).await, Some(ana), "she gets it again");
            assert_eq!(assignments(&watch, id).await.len(), 2);
        }
    ),]
);

rule!(
    re_09_only_to_who_is_online,
    preset = "respond-io",
    with = "[defaults]\nwhen_empty = \"queue\"",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, seat) = house.agent("ben", &["support"]).await;
        seat.client.set_presence(ben, Presence::Offline).await.expect("offline");
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(watch.status(id).await, Status::Waiting, "it stays open, and with nobody who is offline");
        assert_eq!(stays(&watch, id).await.pop(), Some(("support".to_owned(), QueueCause::NoOnlineAgent)));
        seat.client.set_presence(ben, Presence::Online).await.expect("online");
        assert_eq!(owner(&watch, id).await, Some(ben));
    },
    opposite = [(
        "workspace.workflow.unanswered.steps.2.then.1.reassign = { group = \"support\", only_online = false }",
        async |house| {
            let (desk, mut watch) = (house.desk().await, house.watch().await);
            let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
            let (ben, seat) = house.agent("ben", &["support"]).await;
            seat.client.set_presence(ben, Presence::Offline).await.expect("offline");
            house.wait(WAIT);
            assert_eq!(ended(&mut watch, id).await, None);
            assert_eq!(owner(&watch, id).await, Some(ben), "he finds it when he is back");
        }
    ),]
);

rule!(
    re_10_a_comment_stands_before_the_new_assignment,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (_ben, _ben_seat) = house.agent("ben", &["support"]).await;
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        let told = watch.staff_history(id).await.into_iter().filter_map(|entry| match entry.event {
            StaffChange::Noted { body } => Some(body.as_str().to_owned()),
            StaffChange::Assigned { .. } => Some("given".to_owned()),
            _ => None,
        });
        let told: Vec<String> = told.collect();
        assert_eq!(told, ["given", "Taken from ana, who did not answer.", "given"]);
    },
    opposite = [(
        "workspace.workflow.unanswered.steps.2.then = [{ reassign = { group = \"support\" } }]",
        async |house| {
            let (desk, mut watch) = (house.desk().await, house.watch().await);
            let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
            let (ben, _ben) = house.agent("ben", &["support"]).await;
            house.wait(WAIT);
            assert_eq!(ended(&mut watch, id).await, None);
            assert_eq!(owner(&watch, id).await, Some(ben));
            let history = watch.staff_history(id).await;
            assert!(
                !history.iter().any(|entry| matches!(entry.event, StaffChange::Noted { .. })),
                "{history:?}"
            );
        }
    ),]
);

rule!(
    re_11_a_draft_does_nothing,
    preset = "respond-io",
    with = "[[workspace.workflow]]\nname = \"unanswered\"\npublished = false",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (_ben, _ben_seat) = house.agent("ben", &["support"]).await;
        house.wait(WAIT + seconds(1));
        watch.drain().await;
        assert_eq!(owner(&watch, id).await, Some(ana));
        let history = watch.staff_history(id).await;
        assert!(!history.iter().any(|entry| matches!(entry.event, StaffChange::WorkflowStarted { .. })));
    },
    opposite = [("workspace.workflow.unanswered.published = true", async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(owner(&watch, id).await, Some(ben));
    })]
);

rule!(
    re_15_reassigned_by_hand_it_has_no_effect,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (_cleo, _cleo_seat) = house.agent("cleo", &["support"]).await;
        house.wait(seconds(600));
        watch.drain().await;
        assert_eq!(fired(&watch, id).await, 0);
        watch.client.assign(id, Speaker::Me, Destination::Agent(ben), false).await.expect("assigned");
        assert_eq!(ended(&mut watch, id).await, Some(WorkflowSkip::Moved));
        house.wait(WAIT);
        watch.drain().await;
        assert_eq!((owner(&watch, id).await, fired(&watch, id).await), (Some(ben), 0));
    },
    opposite = [("workspace.workflow.unanswered.steps.1.wait = \"5m\"", async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (_ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        house.wait(seconds(300));
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(
            (owner(&watch, id).await, fired(&watch, id).await),
            (Some(ben), 1),
            "before anybody does it by hand"
        );
    })]
);
