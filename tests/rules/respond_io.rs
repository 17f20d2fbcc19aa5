//! respond.io: RE-1 to RE-18.

use std::collections::BTreeMap;

use maitred::{
    ids::AgentId,
    protocol::words::{AssignCause, Destination, Presence, Speaker},
};

use crate::{
    floor::{Seat, group},
    house::{House, rule},
    scenes::{asked, assignments, owned, owner},
};

/// Gives an agent this many conversations of a group.
async fn busy(desk: &Seat, watch: &Seat, agent: AgentId, visitors: std::ops::Range<u16>) {
    for number in visitors {
        owned(desk, watch, agent, number, "sales").await;
    }
}

/// Opens a conversation of the group; whom it is offered to, who accepts it.
async fn next(house: &House, desk: &Seat, watch: &Seat, number: u16) -> AgentId {
    let id = desk.opens(number, group("sales")).await;
    let [agent] = asked(watch, id).await[..] else { panic!("not one agent is asked") };
    watch.client.assign(id, Speaker::Me, Destination::Agent(agent), false).await.expect("assigned");
    house.wait(std::time::Duration::from_millis(10));
    agent
}

rule!(
    re_12_round_robin_distributes_evenly,
    preset = "respond-io",
    with = "[defaults]\ncap = 1000",
    flip = [],
    async |house| {
        let (ana, _ana) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (cleo, _cleo) = house.agent("cleo", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let mut counts: BTreeMap<AgentId, u32> = BTreeMap::new();
        for number in 0..300 {
            let id = desk.opens(number, group("support")).await;
            let agent = owner(&watch, id).await.expect("it is assigned at once");
            assert_eq!(assignments(&watch, id).await, [(agent, AssignCause::Strategy)]);
            *counts.entry(agent).or_default() += 1;
            // How fast somebody is makes no difference.
            if agent == ana && number < 100 {
                watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
            }
        }
        assert_eq!(counts, BTreeMap::from([(ana, 100), (ben, 100), (cleo, 100)]));
    },
    opposite = [("defaults.strategy = \"least_active\"", async |house| {
        let (ana, _ana) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        owned(&desk, &watch, ben, 50, "support").await;
        for number in 0..3 {
            let id = desk.opens(number, group("support")).await;
            assert_eq!(asked(&watch, id).await, [ana], "who is fast gets all of it");
            watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
            watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
        }
    })]
);

rule!(
    re_13_least_open_begins_with_the_fewest,
    preset = "respond-io",
    with = "",
    flip = "workspace.group.sales.strategy = \"round_robin\"",
    async |house| {
        let (ana, _ana) = house.agent("ana", &["sales"]).await;
        let (ben, _ben) = house.agent("ben", &["sales"]).await;
        let (cleo, _cleo) = house.agent("cleo", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        for (agent, visitors) in [(ana, 0..3), (ben, 3..4), (cleo, 4..6)] {
            busy(&desk, &watch, agent, visitors).await;
            house.wait(std::time::Duration::from_millis(10));
        }
        assert_eq!(next(house, &desk, &watch, 10).await, ben, "one, against two and three");
        // Now ben and cleo have two each: who was assigned longest ago.
        assert_eq!(next(house, &desk, &watch, 11).await, cleo);
        assert_eq!(next(house, &desk, &watch, 12).await, ben);
        // Now three each: ana's last one is the oldest.
        assert_eq!(next(house, &desk, &watch, 13).await, ana);
    }
);

rule!(
    re_14_open_means_open_now,
    preset = "respond-io",
    with = "",
    flip = "workspace.group.sales.strategy = \"round_robin\"",
    async |house| {
        let (ana, _ana) = house.agent("ana", &["sales"]).await;
        let (ben, _ben) = house.agent("ben", &["sales"]).await;
        let (cleo, seat) = house.agent("cleo", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        // Cleo has had one, long ago; the others many, of which three each are open.
        seat.client.set_presence(cleo, Presence::Away).await.expect("on holiday");
        for number in 0..20 {
            let id = desk.opens(number, group("sales")).await;
            let [agent] = asked(&watch, id).await[..] else { panic!("not one agent is asked") };
            watch.client.assign(id, Speaker::Me, Destination::Agent(agent), false).await.expect("assigned");
            watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
        }
        busy(&desk, &watch, ana, 100..103).await;
        busy(&desk, &watch, ben, 103..106).await;
        house.wait(std::time::Duration::from_millis(10));
        seat.client.set_presence(cleo, Presence::Online).await.expect("back");
        let mut turns = Vec::new();
        for number in 200..206 {
            turns.push(next(house, &desk, &watch, number).await);
        }
        assert_eq!(turns[..3], [cleo, cleo, cleo], "up to what the others have open");
        let mut rest = turns.split_off(3);
        rest.sort();
        let mut all = vec![ana, ben, cleo];
        all.sort();
        assert_eq!(rest, all, "and then in turns, not twenty in a row");
    }
);
