//! Zendesk Chat: transfers between departments, ZD-13 to ZD-21.

use maitred::{
    ids::ConversationId,
    protocol::{
        reply::{Explanation, GroupDetail},
        request::{Explain, Open, ShowGroup},
        words::{AssignCause, Destination, Presence, QueueCause, Speaker},
    },
};

use crate::{
    floor::{Seat, code, group, new_id, opening, seconds, visitor},
    house::rule,
    scenes::{asked, assignments, owned, owner, reasons, stays, to},
};

/// Who waits in this department, first first.
async fn line(watch: &Seat, name: &str) -> Vec<ConversationId> {
    let group = name.parse().expect("a name");
    let detail: GroupDetail = watch.client.ask(ShowGroup { group }).await.expect("the department");
    detail.line.iter().map(|place| place.conversation).collect()
}

/// A chat of this priority in a department.
async fn waits(desk: &Seat, whose: u16, name: &str, priority: u8) -> ConversationId {
    let id = new_id();
    let open = Open { priority, ..opening(id, visitor(whose), group(name)) };
    desk.client.open(open).await.expect("opened");
    id
}

rule!(
    zd_13_not_to_an_own_department_where_nobody_else_is_online,
    preset = "zendesk",
    with = "",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, other) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        other.client.set_presence(ben, Presence::Offline).await.expect("offline");
        let id = owned(&desk, &watch, ana, 1, "support").await;
        let before = watch.staff_history(id).await;
        assert_eq!(
            code(seat.client.transfer(id, Speaker::Me, to("support"), true).await),
            "only_agent_online"
        );
        assert_eq!(watch.staff_history(id).await, before, "nothing moves");
        other.client.set_presence(ben, Presence::Online).await.expect("online");
        seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("moved");
        assert_eq!((owner(&watch, id).await, asked(&watch, id).await), (None, vec![ben]));
    },
    opposite = [("defaults.bar_after_transfer = false", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client
            .transfer(id, Speaker::Me, to("support"), true)
            .await
            .expect("moved, with nobody else there");
        assert_eq!((owner(&watch, id).await, asked(&watch, id).await), (None, vec![ana]));
    })]
);

rule!(
    zd_14_who_transferred_it_is_not_offered_it_again,
    preset = "zendesk",
    with = "",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, other) = house.agent("ben", &["support"]).await;
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("moved");
        assert_eq!(asked(&watch, id).await, [ben]);
        let explain = Explain { conversation: id, agent: Some(ana) };
        let why: Explanation = watch.client.ask(explain).await.expect("an explanation");
        assert_eq!(why.agent_reason.expect("a reason").as_str(), "transferred_it");
        // Everybody else leaves: the fallback, not her.
        other.client.set_presence(ben, Presence::Offline).await.expect("offline");
        assert_eq!(asked(&watch, id).await, []);
        watch.follow(id).await;
        house.wait(seconds(120));
        watch
            .sees_staff(id, "the fallback", |change| {
                matches!(change, maitred::protocol::notice::StaffChange::FellBack { .. }).then_some(())
            })
            .await;
        assert_eq!(assignments(&watch, id).await, [(ana, AssignCause::Assigned)], "only the first time");
    },
    opposite = [("defaults.bar_after_transfer = false", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("moved");
        let (mut both, mut found) = (vec![ana, ben], asked(&watch, id).await);
        both.sort();
        found.sort();
        assert_eq!(found, both, "she is asked as well as he");
        let explain = Explain { conversation: id, agent: Some(ana) };
        let why: Explanation = watch.client.ask(explain).await.expect("an explanation");
        assert!(why.agent_reason.is_none_or(|why| why.as_str() != "transferred_it"));
    })]
);

rule!(
    zd_15_the_bar_lasts_for_one_stay,
    preset = "zendesk",
    with = "",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("moved");
        assert_eq!(asked(&watch, id).await, [ben]);
        // Somebody else assigns it to the department: another stay.
        watch.client.assign(id, Speaker::Me, to("support"), false).await.expect("assigned");
        let (mut both, mut found) = (vec![ana, ben], asked(&watch, id).await);
        both.sort();
        found.sort();
        assert_eq!(found, both);
        // To her by name.
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("moved");
        watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
        assert_eq!(owner(&watch, id).await, Some(ana));
        // Closed and opened again.
        seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("moved");
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
        watch.client.reopen(id, Speaker::Me).await.expect("reopened");
        assert_eq!(asked(&watch, id).await, [ana], "the owner before is asked first");
    },
    opposite = [("defaults.bar_after_transfer = false", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.transfer(id, Speaker::Me, to("support"), true).await.expect("moved");
        let (mut both, mut found) = (vec![ana, ben], asked(&watch, id).await);
        both.sort();
        found.sort();
        assert_eq!(found, both, "it is over before it began");
    })]
);

rule!(
    zd_16_transferred_chats_go_to_the_end,
    preset = "zendesk",
    with = "",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (_ben, _ben_seat) = house.agent("ben", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let older = owned(&desk, &watch, ana, 1, "support").await;
        house.wait(seconds(10));
        let (x, y) = (waits(&desk, 2, "sales", 5).await, waits(&desk, 3, "sales", 5).await);
        house.wait(seconds(10));
        seat.client.transfer(older, Speaker::Me, to("sales"), true).await.expect("moved");
        assert_eq!(line(&watch, "sales").await, [x, y, older]);
    },
    opposite = [("defaults.keep_age_on_transfer = true", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (_ben, _ben_seat) = house.agent("ben", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let older = owned(&desk, &watch, ana, 1, "support").await;
        house.wait(seconds(10));
        let x = waits(&desk, 2, "sales", 5).await;
        house.wait(seconds(10));
        seat.client.transfer(older, Speaker::Me, to("sales"), true).await.expect("moved");
        assert_eq!(line(&watch, "sales").await, [older, x], "by age");
    })]
);

rule!(
    zd_17_to_the_end_of_its_own_class,
    preset = "zendesk",
    with = "",
    flip = "defaults.keep_age_on_transfer = true",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (_ben, _ben_seat) = house.agent("ben", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let older = waits(&desk, 1, "support", 1).await;
        watch.client.assign(older, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
        house.wait(seconds(10));
        let first = [waits(&desk, 2, "sales", 1).await, waits(&desk, 3, "sales", 1).await];
        let last = waits(&desk, 4, "sales", 2).await;
        house.wait(seconds(10));
        seat.client.transfer(older, Speaker::Me, to("sales"), true).await.expect("moved");
        assert_eq!(line(&watch, "sales").await, [first[0], first[1], older, last]);
    }
);

rule!(
    zd_21_a_department_with_nobody_online,
    preset = "zendesk",
    with = r#"
        [[workspace.group]]
        name = "patient"
        label = "Patient"
        when_empty = "queue"
        [[workspace.group]]
        name = "strict"
        label = "Strict"
        when_empty = "reject"
        [[workspace.group]]
        name = "leads-on"
        label = "Leads on"
        overflow = "support"
        [[workspace.group]]
        name = "nowhere"
        label = "Nowhere"
    "#,
    flip = [
        "workspace.group.patient.when_empty = \"overflow\"",
        "workspace.group.strict.when_empty = \"overflow\"",
        "workspace.group.leads-on.when_empty = \"queue\"",
        "defaults.when_empty = \"queue\"",
    ],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let strict = owned(&desk, &watch, ana, 1, "support").await;
        assert_eq!(
            code(seat.client.transfer(strict, Speaker::Me, to("strict"), true).await),
            "nobody_online"
        );
        assert_eq!(owner(&watch, strict).await, Some(ana));

        let queued = owned(&desk, &watch, ana, 2, "support").await;
        seat.client.transfer(queued, Speaker::Me, to("patient"), true).await.expect("moved");
        assert_eq!(line(&watch, "patient").await, [queued]);
        assert_eq!(reasons(&watch, queued).await, []);

        let moved = owned(&desk, &watch, ana, 3, "support").await;
        seat.client.transfer(moved, Speaker::Me, to("leads-on"), true).await.expect("moved");
        let last = stays(&watch, moved).await.pop().expect("a stay");
        assert_eq!(last, ("support".to_owned(), QueueCause::Overflow));
        assert!(asked(&watch, moved).await.contains(&ben));

        let missed = owned(&desk, &watch, ana, 4, "support").await;
        seat.client.transfer(missed, Speaker::Me, to("nowhere"), true).await.expect("moved");
        assert_eq!(reasons(&watch, missed).await, [maitred::protocol::words::FallbackReason::NobodyOnline]);
    }
);
