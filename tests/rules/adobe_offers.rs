//! Adobe Dynamic Chat: permission, second offers and caps, AD-5 and AD-20 to AD-24.

use maitred::{
    ids::AgentId,
    protocol::{
        notice::StaffChange,
        reply::Explanation,
        request::Explain,
        words::{Actor, AssignCause, Destination, FallbackReason, Presence, Speaker, Status, Target},
    },
};

use crate::{
    floor::{Seat, code, group, new_id, opening, seconds, visitor, workspace},
    house::rule,
    scenes::{asked, assignments, owned, owner, reasons},
};

async fn fell_back(watch: &mut Seat, id: maitred::ids::ConversationId) -> FallbackReason {
    let reason = |change: &StaffChange| match change {
        StaffChange::FellBack { reason, .. } => Some(*reason),
        _ => None,
    };
    watch.sees_staff(id, "the fallback", reason).await
}

rule!(
    ad_05_without_the_permission_nobody_is_asked,
    preset = "adobe",
    with = r#"
        [[workspace.agent]]
        name = "eve"
        display_name = "Eve"
        groups = ["support"]
        live_chat = false
    "#,
    flip = [],
    async |house| {
        let eve = AgentId::derive(&workspace(), "eve");
        let seat = house.session(eve).await;
        seat.client.set_presence(eve, Presence::Online).await.expect("online");
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        assert_eq!(watch.status(id).await, Status::Missed);
        let explain = Explain { conversation: id, agent: Some(eve) };
        let why: Explanation = watch.client.ask(explain).await.expect("an explanation");
        assert_eq!(why.agent_reason.expect("a reason").as_str(), "no_permission");
    },
    opposite = [("workspace.agent.eve.live_chat = true", async |house| {
        let (eve, _seat) = house.managed("eve").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        assert_eq!(asked(&watch, id).await, [eve]);
    })]
);

/// Each option of each tier as a group; the option Agent needs none.
const TIERS: &str = r#"
    [[workspace.group]]
    name = "select-round-robin"
    label = "S1"
    [[workspace.group]]
    name = "select-rules"
    label = "S2"
    [[workspace.group]]
    name = "select-team"
    label = "S3"
    [[workspace.group]]
    name = "prime-round-robin"
    label = "P1"
    [[workspace.group]]
    name = "prime-rules"
    label = "P2"
    [[workspace.group]]
    name = "prime-team"
    label = "P3"
    max_offers = 2
"#;

rule!(
    ad_20_only_prime_and_team_asks_another_agent,
    preset = "adobe",
    with = TIERS,
    flip = [
        "workspace.group.prime-team.max_offers = 1",
        "workspace.group.select-team.max_offers = 2",
        "workspace.group.prime-rules.max_offers = 2",
    ],
    async |house| {
        const GROUPS: [&str; 6] = [
            "select-round-robin",
            "select-rules",
            "select-team",
            "prime-round-robin",
            "prime-rules",
            "prime-team",
        ];
        let (ana, _ana) = house.agent("ana", &GROUPS).await;
        let (_ben, _ben_seat) = house.agent("ben", &GROUPS).await;
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let mut cells = Vec::new();
        for (number, name) in (0..).zip(GROUPS) {
            cells.push((name, desk.opens(number, group(name)).await));
        }
        for (number, name) in [(10, "select-agent"), (11, "prime-agent")] {
            cells.push((name, desk.opens(number, Target::Agent(ana)).await));
        }
        let mut first = Vec::new();
        for (_, id) in &cells {
            first.push(asked(&watch, *id).await);
            watch.follow(*id).await;
        }
        assert!(first.iter().all(|asked| asked.len() == 1), "{first:?}");
        house.wait(seconds(45));
        let mut last = None;
        for ((name, id), first) in cells.into_iter().zip(first) {
            if name == "prime-team" {
                last = Some((id, first));
            } else {
                assert_eq!(fell_back(&mut watch, id).await, FallbackReason::OffersExhausted, "{name}");
            }
        }
        let (id, first) = last.expect("the one cell");
        let second = asked(&watch, id).await;
        assert!(second.len() == 1 && second != first, "another agent: {second:?} after {first:?}");
        house.wait(seconds(45));
        assert_eq!(fell_back(&mut watch, id).await, FallbackReason::OffersExhausted, "at 90 s");
    }
);

rule!(
    ad_21_another_agent_is_one,
    preset = "adobe",
    with = "",
    flip = ["workspace.group.prime.max_offers = 3"],
    async |house| {
        for name in ["ana", "ben", "cleo"] {
            let agent = house.known(name, &["prime"]).await;
            house.watch().await.client.set_presence(agent, Presence::Online).await.expect("online");
        }
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        for name in ["ana", "ben", "cleo"] {
            desk.client.attach(AgentId::derive(&workspace(), name)).await.expect("attached");
        }
        let id = desk.opens(1, group("prime")).await;
        watch.follow(id).await;
        let mut all = Vec::new();
        for _ in 0..2 {
            all.extend(asked(&watch, id).await);
            house.wait(seconds(45));
        }
        assert_eq!(fell_back(&mut watch, id).await, FallbackReason::OffersExhausted);
        assert_eq!(all.len(), 2);
        assert_ne!(all[0], all[1]);
    },
    opposite = [("workspace.group.prime.max_offers = \"all\"", async |house| {
        let mut seats = Vec::new();
        for name in ["ana", "ben", "cleo"] {
            seats.push(house.agent(name, &["prime"]).await.1);
        }
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("prime")).await;
        watch.follow(id).await;
        for seat in &mut seats {
            seat.sees_offer(id).await;
            house.wait(seconds(45));
        }
        assert_eq!(
            fell_back(&mut watch, id).await,
            FallbackReason::OffersExhausted,
            "when all three were asked"
        );
    })]
);

rule!(
    ad_22_the_next_agent_is_a_different_one,
    preset = "adobe",
    with = "",
    flip = [],
    async |house| {
        let (_ana, mut seat) = house.agent("ana", &["prime"]).await;
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("prime")).await;
        seat.sees_offer(id).await;
        watch.follow(id).await;
        house.wait(seconds(45));
        assert_eq!(fell_back(&mut watch, id).await, FallbackReason::OffersExhausted, "at 45 s");
        let seen = seat.drain().await;
        assert!(!seen.iter().any(crate::house::is_offer), "she is not asked again: {seen:?}");
    },
    opposite = [("defaults.accept_timeout = \"50s\"", async |house| {
        let (ana, mut seat) = house.agent("ana", &["prime"]).await;
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("prime")).await;
        seat.sees_offer(id).await;
        watch.follow(id).await;
        house.wait(seconds(45));
        assert_eq!(
            (asked(&watch, id).await, reasons(&watch, id).await),
            (vec![ana], vec![]),
            "she is still asked"
        );
        house.wait(seconds(5));
        assert_eq!(fell_back(&mut watch, id).await, FallbackReason::OffersExhausted);
    })]
);

rule!(
    ad_23_at_most_ten_chats_for_an_agent,
    preset = "adobe",
    with = "[defaults]\nlifetime_engagements = \"off\"",
    flip = ["defaults.cap = 9"],
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let asked: Vec<_> = (0..500)
            .map(|number| desk.client.open(opening(new_id(), visitor(number), group("support"))))
            .collect();
        let mut ids = Vec::new();
        for opened in asked {
            ids.push(opened.await.expect("opened").conversation);
        }
        let row = watch.agent_detail(ana).await.row;
        assert_eq!((row.reserved, row.taken), (10, 0), "pending offers count");
        let mut offered = Vec::new();
        for id in &ids {
            if watch.status(*id).await == Status::Offered {
                offered.push(*id);
            }
        }
        assert_eq!(offered.len(), 10);
        for id in &offered {
            let offer = seat.sees_offer(*id).await;
            seat.client.accept(*id, Speaker::Me, offer.offer).await.expect("accepted");
        }
        let row = watch.agent_detail(ana).await.row;
        assert_eq!((row.reserved, row.taken), (0, 10), "and so do chats");
        let eleventh = ids.into_iter().find(|id| !offered.contains(id)).expect("one more");
        let explain = Explain { conversation: eleventh, agent: Some(ana) };
        let why: Explanation = watch.client.ask(explain).await.expect("an explanation");
        assert!(why.agent_reason.as_ref().is_some_and(|why| why.as_str().starts_with("at_cap")), "{why:?}");
    },
    opposite = [("defaults.cap = 11", async |house| {
        let (ana, _seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        for number in 0..12 {
            desk.opens(number, group("support")).await;
        }
        assert_eq!(watch.agent_detail(ana).await.row.reserved, 11);
    })]
);

rule!(
    ad_24_the_cap_binds_by_hand_too_and_force_is_audited,
    preset = "adobe",
    with = "",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, other) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        for number in 0..10 {
            owned(&desk, &watch, ana, number, "support").await;
        }
        let id = owned(&desk, &watch, ben, 100, "support").await;
        let agent = Destination::Agent(ana);
        assert_eq!(code(watch.client.assign(id, Speaker::Me, agent.clone(), false).await), "at_capacity");
        assert_eq!(code(other.client.transfer(id, Speaker::Me, agent.clone(), true).await), "at_capacity");
        assert_eq!(code(seat.client.take(id, Speaker::Me).await), "already_taken");
        // An agent can't force.
        assert_eq!(code(other.client.assign(id, Speaker::Me, agent.clone(), true).await), "forbidden");
        watch.client.assign(id, Speaker::Me, agent, true).await.expect("forced");
        assert_eq!((owner(&watch, id).await, watch.agent_detail(ana).await.row.taken), (Some(ana), 11));
        assert_eq!(assignments(&watch, id).await.pop(), Some((ana, AssignCause::Forced)));
        let history = watch.staff_history(id).await;
        let entry = history
            .iter()
            .find(|entry| matches!(entry.event, StaffChange::Assigned { cause: AssignCause::Forced, .. }));
        assert_eq!(entry.expect("the audit entry").by, Actor::Supervisor);
        assert_eq!(reasons(&watch, id).await, []);
    },
    opposite = [("defaults.cap = 11", async |house| {
        let (ana, _seat) = house.agent("ana", &["support"]).await;
        let (ben, other) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        for number in 0..10 {
            owned(&desk, &watch, ana, number, "support").await;
        }
        let id = owned(&desk, &watch, ben, 100, "support").await;
        other.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("there is room");
        assert_eq!(
            assignments(&watch, id).await.pop(),
            Some((ana, AssignCause::Assigned)),
            "nothing is forced"
        );
    })]
);
