//! Zendesk Chat: ZD-1 to ZD-21.

use maitred::{
    ids::AgentId,
    protocol::{
        notice::StaffChange,
        words::{AssignCause, CloseReason, Destination, Feed, OfferKind, QueueCause, Speaker, Status},
    },
};

use crate::{
    floor::{code, group, seconds},
    house::rule,
    scenes::{accepts, assignments, is_asked, owned, owner, participants, stays, to},
};

rule!(
    zd_02_two_who_serve_at_once_get_two_requests,
    preset = "zendesk",
    with = "",
    flip = "defaults.strategy = \"assign\"",
    async |house| {
        let (ana, one) = house.agent("ana", &["support"]).await;
        let (ben, other) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let line = [desk.opens(1, group("support")).await, desk.opens(2, group("support")).await];
        // Both want the same one: one has it, the other the next.
        let (first, second) =
            (one.client.take(line[0], Speaker::Me), other.client.take(line[0], Speaker::Me));
        let (first, second) = (first.await, second.await);
        assert_ne!(first.is_ok(), second.is_ok(), "never the same");
        let (winner, loser, again) = if first.is_ok() { (ana, ben, &other) } else { (ben, ana, &one) };
        again.client.take(line[1], Speaker::Me).await.expect("the next");
        assert_eq!(assignments(&watch, line[0]).await, [(winner, AssignCause::Taken)]);
        assert_eq!(assignments(&watch, line[1]).await, [(loser, AssignCause::Taken)]);
    }
);

rule!(
    zd_10_an_agent_ends_the_chat,
    preset = "zendesk",
    with = "[workspace]\nwrap_up = \"30s\"",
    flip = "workspace.wrap_up = \"0s\"",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        assert_eq!(watch.agent_detail(ana).await.row.taken, 1);
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        assert_eq!(watch.status(id).await, Status::Closed);
        let row = watch.agent_detail(ana).await.row;
        assert_eq!((row.taken, row.state.as_str()), (1, "available"), "wrap-up begins with the close");
        house.wait(seconds(30));
        let mut watch = watch;
        watch.client.subscribe(Feed::Agent(ana)).await.expect("subscribed");
        watch.sees_agent(ana, "her free slot", |row| row.taken == 0).await;
    }
);

rule!(
    zd_10_without_wrap_up_the_slot_is_free_at_once,
    preset = "zendesk",
    with = "",
    flip = "defaults.wrap_up = \"1s\"",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        let history = watch.staff_history(id).await;
        let last = history.last().expect("events").event.clone();
        assert_eq!(last, StaffChange::Closed { reason: CloseReason::ByAgent });
        assert_eq!(watch.agent_detail(ana).await.row.taken, 0, "in the same transition");
    }
);

rule!(
    zd_11_transfer_to_an_agent_or_a_department,
    preset = "zendesk",
    with = "",
    flip = ["!workspace.group.sales", "defaults.cap = 1"],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["support"]).await;
        let (_cleo, mut cleo) = house.agent("cleo", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        owned(&desk, &watch, ben, 9, "support").await;
        let (one, other) =
            (owned(&desk, &watch, ana, 1, "support").await, owned(&desk, &watch, ana, 2, "support").await);
        seat.client.transfer(one, Speaker::Me, Destination::Agent(ben), true).await.expect("asked");
        accepts(&mut ben_seat, one, OfferKind::Handover).await;
        assert_eq!(owner(&watch, one).await, Some(ben));
        seat.client.transfer(other, Speaker::Me, to("sales"), true).await.expect("moved");
        cleo.sees_offer(other).await;

        let third = owned(&desk, &watch, ana, 3, "support").await;
        let nobody = AgentId::from_bytes([9; 16]);
        let unknown = seat.client.transfer(third, Speaker::Me, Destination::Agent(nobody), true).await;
        assert_eq!(code(unknown), "not_found");
        assert_eq!(code(seat.client.transfer(third, Speaker::Me, to("nowhere"), true).await), "not_found");
        assert_eq!(owner(&watch, third).await, Some(ana), "a refused transfer changes nothing");
    }
);

rule!(
    zd_12_transfer_to_another_department,
    preset = "zendesk",
    with = "",
    flip = "workspace.group.sales.enabled = false",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (_ben, mut ben) = house.agent("ben", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.transfer(id, Speaker::Me, to("sales"), true).await.expect("moved");
        ben.sees_offer(id).await;
        let expected =
            [("support".to_owned(), QueueCause::Opened), ("sales".to_owned(), QueueCause::Transfer)];
        assert_eq!(stays(&watch, id).await, expected);
        assert_eq!((owner(&watch, id).await, watch.agent_detail(ana).await.row.taken), (None, 0));
    }
);

rule!(
    zd_19_invite_keeps_you_and_transfer_removes_you,
    preset = "zendesk",
    with = r#"
        [[workspace.agent]]
        name = "ben"
        display_name = "Ben"
        groups = ["support"]
    "#,
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.managed("ben").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.invite(id, Speaker::Me, ben).await.expect("asked");
        accepts(&mut ben_seat, id, OfferKind::Invitation).await;
        let mut both = vec![ana, ben];
        both.sort();
        assert_eq!((owner(&watch, id).await, participants(&watch, id).await), (Some(ana), both));
        assert_eq!(watch.agent_detail(ben).await.row.taken, 0, "ana has it");
        ben_seat.client.leave(id, Speaker::Me).await.expect("left");

        seat.client.transfer(id, Speaker::Me, Destination::Agent(ben), true).await.expect("asked");
        let asked = is_asked(&mut ben_seat, id, OfferKind::Handover).await;
        assert_eq!(owner(&watch, id).await, Some(ana), "hers until he has it");
        assert_eq!(watch.agent_detail(ana).await.row.taken, 1);
        ben_seat.client.accept(id, Speaker::Me, asked.offer).await.expect("accepted");
        assert_eq!((owner(&watch, id).await, participants(&watch, id).await), (Some(ben), vec![ben]));
        assert_eq!(watch.agent_detail(ana).await.row.taken, 0);
    },
    opposite = [("workspace.agent.ben.live_chat = false", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.managed("ben").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        assert_eq!(code(seat.client.invite(id, Speaker::Me, ben).await), "not_eligible");
        let transferred = seat.client.transfer(id, Speaker::Me, Destination::Agent(ben), true).await;
        assert_eq!(code(transferred), "not_eligible");
        assert_eq!((owner(&watch, id).await, participants(&watch, id).await), (Some(ana), vec![ana]));
    })]
);
