//! Brevo Conversations: BR-1 to BR-24.

use maitred::{
    ids::AgentId,
    protocol::{
        notice::StaffChange,
        reply::Explanation,
        request::{Explain, Open},
        words::{
            Actor, AssignCause, ChosenBy, Destination, OfferKind, OfferOutcome, QueueCause, RescindReason,
            Speaker,
        },
    },
};

use crate::{
    floor::{code, group, new_id, opening, visitor, workspace},
    house::{is_offer, rule},
    scenes::{accepts, asked, assignments, owned, owner, participants, stays, to},
};

rule!(
    br_01_assigned_to_a_specific_agent,
    preset = "brevo",
    with = r#"
        [[workspace.agent]]
        name = "ben"
        display_name = "Ben"
        groups = ["support"]
    "#,
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.managed("ben").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        seat.client.assign(id, Speaker::Me, Destination::Agent(ben), false).await.expect("assigned");
        assert_eq!(owner(&watch, id).await, Some(ben));
        let history = watch.staff_history(id).await;
        let events: Vec<_> =
            history.iter().filter(|entry| matches!(entry.event, StaffChange::Assigned { .. })).collect();
        let [event] = events[..] else { panic!("not one event: {events:?}") };
        assert_eq!(event.event, StaffChange::Assigned { agent: ben, cause: AssignCause::Assigned });
        assert_eq!(event.by, Actor::Agent(ana));
    },
    opposite = [("workspace.agent.ben.live_chat = false", async |house| {
        let (_ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.managed("ben").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        let assigned = seat.client.assign(id, Speaker::Me, Destination::Agent(ben), false).await;
        assert_eq!(code(assigned), "not_eligible");
        assert_eq!((owner(&watch, id).await, assignments(&watch, id).await), (None, vec![]));
    })]
);

rule!(
    br_02_who_assigns_need_not_take_part,
    preset = "brevo",
    with = r#"
        [[workspace.agent]]
        name = "ben"
        display_name = "Ben"
        groups = ["support"]
    "#,
    flip = [],
    async |house| {
        let (ana, _ana) = house.agent("ana", &["support"]).await;
        let ben = AgentId::derive(&workspace(), "ben");
        let seat = house.session(ben).await;
        let (cleo, _cleo) = house.agent("cleo", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, cleo, 1, "support").await;
        assert!(!participants(&watch, id).await.contains(&ben));
        seat.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
        assert_eq!((owner(&watch, id).await, participants(&watch, id).await), (Some(ana), vec![ana]));
        assert_eq!(watch.agent_detail(ben).await.row.taken, 0);
    },
    opposite = [("workspace.agent.ben.groups = [\"sales\"]", async |house| {
        let (ana, _ana) = house.agent("ana", &["support"]).await;
        let (_ben, seat) = house.managed("ben").await;
        let (cleo, _cleo) = house.agent("cleo", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, cleo, 1, "support").await;
        let assigned = seat.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await;
        assert_eq!(code(assigned), "not_found", "he neither takes part nor belongs there");
        assert_eq!(owner(&watch, id).await, Some(cleo));
    })]
);

rule!(
    br_03_the_preferred_agent_is_asked_first,
    preset = "brevo",
    with = r#"
        [[workspace.agent]]
        name = "ben"
        display_name = "Ben"
        groups = ["support"]
    "#,
    flip = [],
    async |house| {
        let (_ana, mut ana) = house.agent("ana", &["support"]).await;
        let (ben, mut preferred) = house.managed("ben").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = new_id();
        let open = Open { preferred: Some(ben), ..opening(id, visitor(1), group("support")) };
        desk.client.open(open).await.expect("opened");
        let offer = preferred.sees_offer(id).await;
        assert_eq!(offer.kind, OfferKind::Offer);
        assert_eq!(asked(&watch, id).await, [ben], "before all others");
        let why: Explanation =
            watch.client.ask(Explain { conversation: id, agent: None }).await.expect("an explanation");
        assert_eq!(
            (why.decisions[0].by, why.decisions[0].chosen.to_vec()),
            (Some(ChosenBy::Preferred), vec![ben])
        );
        preferred.client.decline(id, Speaker::Me, offer.offer).await.expect("declined");
        assert_eq!(ana.sees_offer(id).await.kind, OfferKind::Announcement, "then the others");
    },
    opposite = [("workspace.agent.ben.live_chat = false", async |house| {
        let (ana, mut seat) = house.agent("ana", &["support"]).await;
        let (ben, mut preferred) = house.managed("ben").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = new_id();
        let open = Open { preferred: Some(ben), ..opening(id, visitor(1), group("support")) };
        desk.client.open(open).await.expect("opened");
        assert_eq!(seat.sees_offer(id).await.kind, OfferKind::Announcement, "the others at once");
        assert_eq!(asked(&watch, id).await, [ana]);
        assert!(!preferred.drain().await.iter().any(is_offer), "who may not serve is not preferred");
    })]
);

rule!(
    br_05_several_take_part_and_one_owns,
    preset = "brevo",
    with = "",
    flip = "defaults.cap = 1\ndefaults.invite_uses_slot = true",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["support"]).await;
        let (cleo, mut cleo_seat) = house.agent("cleo", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        // Ben has a conversation of his own, which hinders nobody from helping here.
        owned(&desk, &watch, ben, 2, "support").await;
        for (agent, helper) in [(ben, &mut ben_seat), (cleo, &mut cleo_seat)] {
            seat.client.invite(id, Speaker::Me, agent).await.expect("asked");
            accepts(helper, id, OfferKind::Invitation).await;
        }
        let mut all = vec![ana, ben, cleo];
        all.sort();
        assert_eq!((owner(&watch, id).await, participants(&watch, id).await), (Some(ana), all));
    }
);

rule!(
    br_06_who_helps_uses_no_slot,
    preset = "brevo",
    with = "",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.invite(id, Speaker::Me, ben).await.expect("asked");
        accepts(&mut ben_seat, id, OfferKind::Invitation).await;
        assert_eq!(owner(&watch, id).await, Some(ana), "the owner stays the owner");
        assert!(participants(&watch, id).await.contains(&ben));
        assert_eq!(watch.agent_detail(ben).await.row.taken, 0);
        assert_eq!(assignments(&watch, id).await, [(ana, AssignCause::Assigned)]);
    },
    opposite = [("defaults.invite_uses_slot = true", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.invite(id, Speaker::Me, ben).await.expect("asked");
        accepts(&mut ben_seat, id, OfferKind::Invitation).await;
        assert_eq!(watch.agent_detail(ben).await.row.taken, 1);
    })]
);

rule!(
    br_07_a_disabled_group_takes_nothing,
    preset = "brevo",
    with = r#"
        [[workspace.group]]
        name = "sales"
        enabled = false
    "#,
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support", "sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let (id, refused) = (owned(&desk, &watch, ana, 1, "support").await, new_id());
        let before = watch.staff_history(id).await;
        for tried in [
            code(seat.client.assign(id, Speaker::Me, to("sales"), false).await),
            code(watch.client.assign(id, Speaker::Me, to("sales"), false).await),
            code(seat.client.transfer(id, Speaker::Me, to("sales"), true).await),
            code(desk.client.open(opening(refused, visitor(2), group("sales"))).await),
        ] {
            assert_eq!(tried, "group_disabled");
        }
        assert_eq!(watch.staff_history(id).await, before, "nothing changes");
        assert_eq!(owner(&watch, id).await, Some(ana));
        assert_eq!(code(desk.client.say(refused, Speaker::Visitor(visitor(2)), "hello").await), "not_found");
    },
    opposite = [("workspace.group.sales.enabled = true", async |house| {
        let (ana, seat) = house.agent("ana", &["support", "sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.assign(id, Speaker::Me, to("sales"), false).await.expect("assigned");
        let row = watch.detail(id).await.row;
        assert_eq!((row.group.expect("a group").as_str(), row.owner), ("sales", None));
        desk.opens(2, group("sales")).await;
    })]
);

rule!(
    br_08_a_group_by_name_replaces_the_one_before,
    preset = "brevo",
    with = "",
    flip = [],
    async |house| {
        let (_ana, mut ana) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        let before = ana.sees_offer(id).await;
        ana.client.assign(id, Speaker::Me, to("sales"), false).await.expect("assigned");
        let moved = OfferOutcome::Rescinded(RescindReason::Moved);
        assert_eq!(ana.sees_ended(id, before.offer).await, moved, "it leaves the lists of the group before");
        ben_seat.sees_offer(id).await;
        assert_eq!(asked(&watch, id).await, [ben]);
        let row = watch.detail(id).await.row;
        assert_eq!((row.group.expect("a group").as_str(), row.owner), ("sales", None));
        let expected =
            [("support".to_owned(), QueueCause::Opened), ("sales".to_owned(), QueueCause::Assigned)];
        assert_eq!(stays(&watch, id).await, expected);
    },
    opposite = [("workspace.group.sales.enabled = false", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        assert_eq!(code(seat.client.assign(id, Speaker::Me, to("sales"), false).await), "group_disabled");
        assert_eq!(stays(&watch, id).await, [("support".to_owned(), QueueCause::Opened)]);
        assert_eq!(asked(&watch, id).await, [ana], "it stays where it was");
    })]
);

rule!(
    br_09_all_online_agents_of_the_group_are_told,
    preset = "brevo",
    with = "",
    flip = [],
    async |house| {
        let mut online = Vec::new();
        for name in ["ana", "ben", "cleo"] {
            online.push(house.agent(name, &["support"]).await);
        }
        let mut others = Vec::new();
        for name in ["dev", "emma"] {
            let agent = house.known(name, &["support"]).await;
            others.push(house.session(agent).await);
        }
        others.push(house.agent("finn", &["sales"]).await.1);
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("sales")).await;
        others[2].sees_offer(id).await;
        watch.client.assign(id, Speaker::Me, to("support"), false).await.expect("assigned");
        for (agent, seat) in &mut online {
            let told = seat.sees_offer(id).await;
            assert_eq!((told.kind, told.agent), (OfferKind::Announcement, *agent));
        }
        for seat in &mut others {
            let told = seat.drain().await;
            assert!(!told.iter().any(is_offer), "who is offline, or elsewhere, is told nothing: {told:?}");
        }
    },
    opposite = [("defaults.strategy = \"round_robin\"", async |house| {
        let (ana, _ana) = house.agent("ana", &["support"]).await;
        let (_ben, mut ben) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        assert_eq!(asked(&watch, id).await, [ana], "one of the two");
        assert!(!ben.drain().await.iter().any(is_offer));
    })]
);

rule!(
    br_10_of_several_who_accept_the_first_has_it,
    preset = "brevo",
    with = "",
    flip = [],
    async |house| {
        let (ana, mut first) = house.agent("ana", &["support"]).await;
        let (_ben, mut second) = house.agent("ben", &["support"]).await;
        let (_cleo, mut third) = house.agent("cleo", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        let offers = [first.sees_offer(id).await, second.sees_offer(id).await, third.sees_offer(id).await]
            .map(|made| made.offer);
        // Both are on their way before either is answered.
        let (one, other) = (
            first.client.accept(id, Speaker::Me, offers[0]),
            second.client.accept(id, Speaker::Me, offers[1]),
        );
        let (one, other) = (one.await, other.await);
        assert_ne!(one.is_ok(), other.is_ok(), "exactly one has it");
        let lost = if one.is_ok() { other } else { one };
        assert_eq!(code(lost), "already_taken");
        let [(winner, AssignCause::Accepted)] = assignments(&watch, id).await[..] else {
            panic!("not one owner")
        };
        assert_eq!(owner(&watch, id).await, Some(winner));
        let taken = OfferOutcome::Rescinded(RescindReason::AlreadyTaken);
        let loser = if winner == ana { (&mut second, offers[1]) } else { (&mut first, offers[0]) };
        for (seat, offer) in [loser, (&mut third, offers[2])] {
            assert_eq!(seat.sees_ended(id, offer).await, taken, "it leaves the lists of the others");
        }
    },
    opposite = [("defaults.strategy = \"round_robin\"", async |house| {
        let (ana, mut first) = house.agent("ana", &["support"]).await;
        let (_ben, second) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        let offer = first.sees_offer(id).await.offer;
        let (one, other) =
            (first.client.accept(id, Speaker::Me, offer), second.client.accept(id, Speaker::Me, offer));
        one.await.expect("she alone was asked");
        assert_ne!(code(other.await), "already_taken", "he never had a chance");
        assert_eq!(owner(&watch, id).await, Some(ana));
    })]
);
