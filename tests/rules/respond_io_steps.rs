//! respond.io's workflow as data, in numbers, and at its deadline: RE-16 to RE-18.

use maitred::protocol::{
    notice::{StaffChange, StaffEntry},
    words::{Actor, Speaker, WorkflowSkip},
};

use crate::{
    floor::{group, seconds},
    house::rule,
    respond_io_flow::{MOMENT, WAIT, assigned, ended, fired, says},
    scenes::{assignments, opens_with, owner},
};

rule!(
    re_16_at_the_deadline_the_log_decides,
    preset = "respond-io",
    with = "[defaults]\ncap = 100",
    flip = [],
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (ana, seat, first) = assigned(house, &desk, &watch).await;
        let mut all = vec![first];
        for number in 2..=12 {
            let id = desk.opens(number, group("support")).await;
            assert_eq!(owner(&watch, id).await, Some(ana));
            watch.follow(id).await;
            all.push(id);
        }
        let (_ben, _ben_seat) = house.agent("ben", &["support"]).await;
        // One reply just before, in the same millisecond; the others set out when the timer is due and meet it on the way.
        house.wait(WAIT - std::time::Duration::from_micros(1));
        says(&seat, first).await;
        house.wait(std::time::Duration::from_micros(1));
        for id in &all[1..] {
            // Whoever has lost it meanwhile takes no part any more.
            _ = seat.client.say(*id, Speaker::Me, "here I am").await;
        }
        let mut ends = Vec::new();
        for id in &all {
            ends.push(ended(&mut watch, *id).await);
        }
        assert_eq!(ends[0], Some(WorkflowSkip::Answered), "the reply came first");

        // Whatever it was: the order of the records says the same.
        let mut before = Vec::new();
        for (id, end) in all.iter().zip(&ends) {
            let history = watch.staff_history(*id).await;
            let place = |wanted: fn(&StaffEntry) -> bool| {
                history.iter().find(|entry| wanted(entry)).map(|entry| entry.seq)
            };
            let reply = place(|entry| {
                matches!((&entry.by, &entry.event), (Actor::Agent(_), StaffChange::Said { .. }))
            });
            let fired = place(|entry| matches!(entry.event, StaffChange::WorkflowFired { .. }));
            match end {
                Some(WorkflowSkip::Answered) => {
                    assert_eq!(fired, None);
                    assert!(reply.is_some());
                    assert_eq!(assignments(&watch, *id).await.len(), 1);
                }
                None => {
                    assert!(reply.is_none_or(|reply| Some(reply) > fired), "{history:?}");
                    assert_eq!(assignments(&watch, *id).await.len(), 2);
                }
                other => panic!("{other:?}"),
            }
            before.push((owner(&watch, *id).await, history));
        }

        // And again from the log: nothing is decided a second time, and nothing otherwise.
        house.restart(seconds(3)).await;
        house.wait(WAIT + WAIT);
        let watch = house.watch().await;
        for (id, before) in all.iter().zip(before) {
            assert_eq!((owner(&watch, *id).await, watch.staff_history(*id).await), before);
        }
    },
    opposite = [(
        "workspace.workflow.unanswered.steps.2.branch = { all = [{ status = \"open\" }] }",
        async |house| {
            let (desk, mut watch) = (house.desk().await, house.watch().await);
            let (_ana, seat, id) = assigned(house, &desk, &watch).await;
            let (ben, _ben) = house.agent("ben", &["support"]).await;
            house.wait(WAIT - std::time::Duration::from_micros(1));
            says(&seat, id).await;
            house.wait(std::time::Duration::from_micros(1));
            assert_eq!(ended(&mut watch, id).await, None, "whichever came first");
            assert_eq!(owner(&watch, id).await, Some(ben));
        }
    ),]
);

rule!(
    re_17_metrics_say_how_the_flow_does,
    preset = "respond-io",
    with = "",
    flip = [],
    async |house| {
        const FLOW: &str = "workflow=\"unanswered\"";
        let skipped = |reason: &str| format!("{FLOW},reason=\"{reason}\"");
        let at_start = [
            house.metric("reassign_fired_total", FLOW).await,
            house.metric("time_to_first_human_reply_seconds_count", FLOW).await,
            house.metric("reassign_skipped_total", &skipped("answered")).await,
            house.metric("reassign_skipped_total", &skipped("moved")).await,
            house.metric("reassign_skipped_total", &skipped("closed")).await,
        ];
        assert_eq!(at_start, [Some(0.0); 5], "all are shown before anything has happened");

        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let (ana, seat, silent) = assigned(house, &desk, &watch).await;
        let answered = desk.opens(2, group("support")).await;
        let closed = desk.opens(3, group("support")).await;
        watch.follow(answered).await;
        house.wait(seconds(90));
        says(&seat, answered).await;
        watch.client.close_conversation(closed, Speaker::Me).await.expect("closed");
        let (_ben, _ben_seat) = house.agent("ben", &["support"]).await;
        house.wait(WAIT);
        assert_eq!(ended(&mut watch, silent).await, None);
        assert_eq!(ended(&mut watch, answered).await, Some(WorkflowSkip::Answered));
        assert_eq!(owner(&watch, answered).await, Some(ana));

        assert_eq!(house.metric("reassign_fired_total", FLOW).await, Some(1.0));
        for (reason, count) in [("answered", 1.0), ("closed", 1.0), ("moved", 0.0), ("condition", 0.0)] {
            assert_eq!(
                house.metric("reassign_skipped_total", &skipped(reason)).await,
                Some(count),
                "{reason}"
            );
        }
        let name = "time_to_first_human_reply_seconds";
        assert_eq!(house.metric(&format!("{name}_count"), FLOW).await, Some(1.0));
        assert_eq!(house.metric(&format!("{name}_sum"), FLOW).await, Some(90.0));
    },
    opposite = [("workspace.workflow.unanswered.published = false", async |house| {
        assert_eq!(house.metric("reassign_fired_total", "workflow=\"unanswered\"").await, None);
    })]
);

rule!(
    re_18_steps_are_data_and_an_unknown_one_changes_nothing,
    preset = "respond-io",
    with = "",
    flip = "workspace.workflow.unanswered.published = false",
    async |house| {
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let told = house
            .reload("workspace.workflow.unanswered.steps.1 = { escalate = \"15m\" }")
            .expect_err("there is no such step");
        assert!(told.contains("there is no step `escalate`"), "{told}");
        let mut lines = told.lines().skip_while(|line| !line.contains("there is no step"));
        let place = lines.next().expect("where").split("maitred.toml:").nth(1).expect("a file");
        let number = place.split(':').next().expect("a line").to_owned();
        let (shown, caret) = (lines.next().expect("the line"), lines.next().expect("a caret"));
        assert!(shown.trim_start().starts_with(&format!("{number} | ")), "{told}");
        let at = caret.find('^').expect("a caret");
        assert!(shown[at..].starts_with("escalate"), "{told}");

        // What was in force still is.
        let (ana, _seat, id) = assigned(house, &desk, &watch).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        house.wait(WAIT - MOMENT);
        watch.drain().await;
        assert_eq!((owner(&watch, id).await, fired(&watch, id).await), (Some(ana), 0));
        house.wait(MOMENT);
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(owner(&watch, id).await, Some(ben));

        // And others can be written instead.
        house.change("workspace.workflow.unanswered.steps = [{ wait = \"1m\" }, { priority = 1 }]");
        let id = desk.opens(2, group("support")).await;
        watch.follow(id).await;
        house.wait(seconds(60));
        assert_eq!(ended(&mut watch, id).await, None);
        assert_eq!(watch.detail(id).await.row.priority, 1);
    }
);

rule!(
    re_18_steps_set_what_is_known_and_branch_on_it,
    preset = "respond-io",
    with = r#"
        [[workspace.workflow]]
        name = "unanswered"
        published = false
        [[workspace.workflow]]
        name = "carts"
        published = true
        steps = [
            { assign = "routed" },
            { if = { name = "cart", ">=" = 500 }, then = [{ set = ["tier=gold"] }, { tag = ["gold", "check"] }], else = [{ tag = ["plain"] }] },
            { branch = { all = [{ status = "active" }, { if = { name = "tier", eq = "gold" } }] }, then = [{ unset = ["cart"] }, { untag = ["check"] }, { priority = 1 }] },
        ]
    "#,
    flip = [
        "workspace.workflow.carts.steps.1.if = { name = \"cart\", \">=\" = 700 }",
        "workspace.workflow.carts.steps.2.branch = { all = [{ status = \"missed\" }] }",
    ],
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["support"]).await;
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let mut known = Vec::new();
        for (number, cart) in [(1, "600"), (2, "40")] {
            let id = opens_with(&desk, number, group("support"), &[("cart", cart)]).await;
            watch.follow(id).await;
            ended(&mut watch, id).await;
            let detail = watch.detail(id).await;
            let variables =
                detail.variables.iter().map(|one| format!("{}={}", one.name.as_str(), one.value.as_str()));
            let tags = detail.tags.iter().map(|tag| tag.as_str().to_owned());
            known.push((variables.collect::<Vec<_>>(), tags.collect::<Vec<_>>(), detail.row.priority));
        }
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let gold = (words(&["tier=gold"]), words(&["gold"]), 1);
        assert_eq!(known, [gold, (words(&["cart=40"]), words(&["plain"]), 5)]);
    }
);
