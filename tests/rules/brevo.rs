//! Brevo Conversations: BR-1 to BR-24.

use maitred::protocol::words::OfferKind;

use crate::{
    floor::{code, group},
    house::{is_offer, rule},
};

rule!(
    br_09_all_online_agents_of_the_group_are_told,
    preset = "brevo",
    with = "",
    flip = "defaults.strategy = \"round_robin\"",
    async |house| {
        let mut online = Vec::new();
        for name in ["ana", "ben", "chloe"] {
            online.push(house.agent(name, &["support"]).await);
        }
        let mut offline = Vec::new();
        for name in ["dev", "emma"] {
            let agent = house.known(name, &["support"]).await;
            offline.push(house.session(agent).await);
        }
        let desk = house.desk().await;
        let id = desk.opens(1, group("support")).await;
        for (agent, seat) in &mut online {
            let told = seat.sees_offer(id).await;
            assert_eq!((told.kind, told.agent), (OfferKind::Announcement, *agent));
        }
        for seat in &mut offline {
            let told = seat.drain().await;
            assert!(!told.iter().any(is_offer), "who is offline is told nothing: {told:?}");
        }
    }
);

rule!(
    br_07_a_disabled_group_takes_nothing,
    preset = "brevo",
    with = r#"
        [[workspace.group]]
        name = "sales"
        enabled = false
    "#,
    flip = "workspace.group.sales.enabled = true",
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["support", "sales"]).await;
        let desk = house.desk().await;
        let id = crate::floor::new_id();
        let opening = crate::floor::opening(id, crate::floor::visitor(1), group("sales"));
        assert_eq!(code(desk.client.open(opening).await), "group_disabled");
    }
);
