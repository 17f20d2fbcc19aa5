//! What a restart, a crash or a changed configuration leaves as it was.

use std::collections::BTreeMap;

use maitred::{
    client::Identity,
    ids::{AgentId, ConversationId},
    protocol::{
        Notice,
        notice::{AgentItem, StaffChange, VisitorChange},
        reply::ConversationPage,
        request::ListConversations,
        words::{
            ConversationRow, Destination, FallbackReason, Feed, OfferOutcome, Presence, QueueCause, Role,
            Speaker, Status, View,
        },
    },
};

use super::floor::{Floor, Seat, Shape, code, group, opening, seconds, stories, visitor};

stories! {
    a_restart_under_load_misses_nothing_and_loses_nothing,
    a_crash_leaves_what_was_acknowledged,
    tokens_intents_and_agents_survive,
    who_does_not_come_back_in_time_loses_offers_without_a_miss,
    the_line_keeps_its_order,
    a_reload_that_removes_a_group_moves_its_line,
    a_restart_with_a_group_less_moves_its_line,
    a_lowered_cap_evicts_nobody,
    a_reload_is_all_or_nothing,
}

const SALES: &str = r#"
[[workspace]]
name = "test"
livechat_fallback_message = "Nobody is here."
[[workspace.group]]
name = "sales"
"#;

async fn rows(seat: &Seat, view: View) -> Vec<ConversationRow> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let list = ListConversations { view, group: None, agent: None, cursor, limit: 100 };
        let page: ConversationPage = seat.client.ask(list).await.expect("a page");
        all.extend(page.rows.into_vec());
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

async fn opens_many(desk: &Seat, count: u16) -> Vec<ConversationId> {
    let ids: Vec<ConversationId> = (0..count).map(|_| super::floor::new_id()).collect();
    let whose = 0u16..;
    let opened: Vec<_> = whose
        .zip(&ids)
        .map(|(whose, id)| desk.client.open(opening(*id, visitor(whose), group("sales"))))
        .collect();
    for opened in opened {
        opened.await.expect("opened");
    }
    ids
}

async fn offers(seat: &mut Seat, count: usize) -> BTreeMap<ConversationId, (AgentId, u32)> {
    let mut offers = BTreeMap::new();
    while offers.len() < count {
        let offer = seat.sees("an offer", |notice| match notice {
            Notice::OfferMade(made) => Some((made.conversation, (made.agent, made.offer))),
            _ => None,
        });
        let (id, whose) = offer.await;
        offers.insert(id, whose);
    }
    offers
}

/// A restart under 500 offered and 500 waiting; everybody is back within 5 s.
async fn a_restart_under_load_misses_nothing_and_loses_nothing(shape: Shape) {
    const AGENTS: usize = 10;
    const CAP: u16 = 50;
    let mut floor = Floor::open(SALES, shape).await;
    let token = floor.token(Role::Frontend, None, None).await;
    let who = Identity::new();
    let mut desk = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        agents.push(floor.hire(&desk, &format!("agent-{number}"), &["sales"], CAP).await);
    }
    let ids = opens_many(&desk, 1_000).await;
    let offered = offers(&mut desk, AGENTS * usize::from(CAP)).await;
    assert_eq!(offered.len(), 500);
    floor.wait(seconds(40));

    floor.restart(seconds(3_600)).await;
    floor.wait(seconds(5));
    let mut desk = floor.connect_as(&token, shape.encoding, who).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(rows(&watch, View::Offered).await.len(), 500, "the offers are still pending");
    assert_eq!(rows(&watch, View::Waiting).await.len(), 500);
    for agent in &agents {
        desk.client.attach(*agent).await.expect("attached");
    }
    let mut again = BTreeMap::new();
    while again.len() < offered.len() {
        for item in desk.sees_items().await.items.into_vec() {
            if let AgentItem::Offer(made) = item {
                again.insert(made.conversation, (made.agent, made.offer));
            }
        }
    }
    assert_eq!(again, offered, "the same offers, with their numbers");

    // The grace is over and the offers are not: 5 s were left when it went down, so they end 15 s after the start.
    floor.wait(seconds(9));
    accept_and_close(&desk, &offered).await;
    let second = offers(&mut desk, 500).await;
    accept_and_close(&desk, &second).await;
    let closed = rows(&watch, View::Closed).await;
    assert_eq!(closed.len(), ids.len(), "nothing is lost");
    assert!(ids.iter().all(|id| closed.iter().any(|row| row.conversation == *id)));
    for agent in &agents {
        let detail = watch.agent_detail(*agent).await;
        assert_eq!((detail.missed, detail.row.taken, detail.row.reserved), (0, 0, 0));
    }
    for (whose, id) in (0u16..).zip(&ids).step_by(97) {
        let seen = desk.visitor_history(*id, Speaker::Visitor(visitor(whose))).await;
        assert!(!seen.iter().any(|entry| matches!(entry.change, VisitorChange::Fallback { .. })));
        let history = watch.staff_history(*id).await;
        let numbers: Vec<u64> = history.iter().map(|entry| entry.seq).collect();
        assert_eq!(numbers, (1..=history.len() as u64).collect::<Vec<_>>());
        let offered =
            history.iter().filter(|entry| matches!(entry.event, StaffChange::Offered { .. })).count();
        assert_eq!(offered, 1, "nobody was asked twice");
    }
}

async fn accept_and_close(desk: &Seat, offers: &BTreeMap<ConversationId, (AgentId, u32)>) {
    let accepted: Vec<_> = offers
        .iter()
        .map(|(id, (agent, offer))| desk.client.accept(*id, Speaker::Agent(*agent), *offer))
        .collect();
    for accepted in accepted {
        accepted.await.expect("accepted");
    }
    let closed: Vec<_> = offers
        .iter()
        .map(|(id, (agent, _))| desk.client.close_conversation(*id, Speaker::Agent(*agent)))
        .collect();
    for closed in closed {
        closed.await.expect("closed");
    }
}

/// S3: a daemon started on a copy of the directory, taken while the first one serves, knows all that was acknowledged before the copy.
async fn a_crash_leaves_what_was_acknowledged(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let mut desk = floor.frontend(shape).await;
    let ana = floor.hire(&desk, "ana", &["sales"], 3).await;
    let ids = opens_many(&desk, 5).await;
    let offered = offers(&mut desk, 3).await;
    let (active, (_, offer)) = offered.iter().next().expect("three");
    desk.client.accept(*active, Speaker::Agent(ana), *offer).await.expect("accepted");
    desk.client.say(*active, Speaker::Agent(ana), "hello").await.expect("said");
    desk.client.note(*active, Speaker::Agent(ana), "a regular").await.expect("noted");
    let watch = floor.supervisor(shape).await;
    let mut before = Vec::new();
    for id in &ids {
        before.push(watch.staff_history(*id).await);
    }
    let token = floor.token(Role::Supervisor, None, None).await;

    let image = floor.crash_image(SALES, seconds(60)).await;
    let watch = image.connect(&token, shape.encoding).await;
    for (id, before) in ids.iter().zip(&before) {
        assert_eq!(watch.staff_history(*id).await, *before, "as acknowledged, and nothing was added");
    }
    assert_eq!(watch.detail(*active).await.row.owner, Some(ana));
    assert_eq!(rows(&watch, View::Offered).await.len(), 2);
    assert_eq!(rows(&watch, View::Waiting).await.len(), 2);
    let mut desk = image.frontend(shape).await;
    desk.client.attach(ana).await.expect("attached");
    let items = desk.sees_items().await;
    assert_eq!(items.items.len(), 3, "two offers and what she owns");
    let row = watch.agent_detail(ana).await.row;
    assert_eq!((row.taken, row.reserved), (1, 2));
    desk.client.close_conversation(*active, Speaker::Agent(ana)).await.expect("closed");
    offers(&mut desk, 1).await;

    // The first one has not noticed.
    let watch = floor.supervisor(shape).await;
    assert_eq!(watch.status(*active).await, Status::Active);
}

async fn tokens_intents_and_agents_survive(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let (ana, ben) = (floor.put("ana", &["sales"], 3).await, floor.put("ben", &["sales"], 4).await);
    let cleo = floor.put("cleo", &[], 5).await;
    let tokens = (
        floor.token(Role::Agent, None, Some(ana)).await,
        floor.token(Role::Visitor, Some(visitor(1)), None).await,
    );
    let watch = floor.supervisor(shape).await;
    watch.client.set_presence(ana, Presence::Online).await.expect("set");
    watch.client.set_presence(ben, Presence::Away).await.expect("set");
    floor.restart(seconds(5)).await;
    floor.restart(seconds(5)).await;
    let mut seat = floor.connect(&tokens.0, shape.encoding).await;
    assert_eq!(seat.client.welcome().agent, Some(ana));
    floor.connect(&tokens.1, shape.encoding).await;
    let watch = floor.supervisor(shape).await;
    for (agent, presence, cap) in
        [(ana, Presence::Online, 3), (ben, Presence::Away, 4), (cleo, Presence::Offline, 5)]
    {
        let row = watch.agent_detail(agent).await.row;
        assert_eq!((row.presence, row.cap), (presence, cap), "intent is changed by command only");
    }
    // She is offered things again without saying anything.
    let desk = floor.frontend(shape).await;
    let id = desk.opens(1, group("sales")).await;
    seat.sees_offer(id).await;
}

/// After the grace those who are not back count as gone; nobody has missed anything, and the visitor hears it only then.
async fn who_does_not_come_back_in_time_loses_offers_without_a_miss(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let token = floor.token(Role::Frontend, None, None).await;
    let who = Identity::new();
    let mut desk = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let ana = floor.hire(&desk, "ana", &["sales"], 3).await;
    let ben = floor.hire(&desk, "ben", &["sales"], 3).await;
    let id = desk.opens(1, group("sales")).await;
    let first = desk.sees_offer(id).await.agent;
    let (gone, back) = if first == ana { (ana, ben) } else { (ben, ana) };
    floor.restart(seconds(600)).await;
    let mut desk = floor.connect_as(&token, shape.encoding, who).await;
    desk.client.attach(back).await.expect("attached");
    let mut watch = floor.supervisor(shape).await;
    watch.follow(id).await;
    floor.wait(seconds(14));
    assert_eq!(watch.status(id).await, Status::Offered, "within the grace nothing is taken back");
    floor.wait(seconds(1));
    let next = desk.sees_offer(id).await;
    assert_eq!(next.agent, back);
    let ended = |change: &StaffChange| match change {
        StaffChange::OfferEnded { agent, outcome } if *agent == gone => Some(*outcome),
        _ => None,
    };
    let outcome = watch.sees_staff(id, "the end of the offer", ended).await;
    assert!(matches!(outcome, OfferOutcome::Rescinded(_)), "{outcome:?}");
    assert_eq!(watch.agent_detail(gone).await.missed, 0);
    desk.client.accept(id, Speaker::Agent(back), next.offer).await.expect("accepted");
}

async fn the_line_keeps_its_order(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let token = floor.token(Role::Frontend, None, None).await;
    let who = Identity::new();
    let desk = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let ana = floor.hire(&desk, "ana", &["sales"], 1).await;
    let mut busy = desk.opens(100, group("sales")).await;
    let watch = floor.supervisor(shape).await;
    watch.client.assign(busy, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
    let mut line = Vec::new();
    for (whose, priority) in [(1, 5), (2, 5), (3, 0), (4, 9), (5, 5)] {
        let id = super::floor::new_id();
        let open =
            maitred::protocol::request::Open { priority, ..opening(id, visitor(whose), group("sales")) };
        desk.client.open(open).await.expect("opened");
        floor.wait(seconds(1));
        line.push((priority, whose, id));
    }
    line.sort_by_key(|(priority, whose, _)| (*priority, *whose));
    floor.restart(seconds(60)).await;
    let mut desk = floor.connect_as(&token, shape.encoding, who).await;
    desk.client.attach(ana).await.expect("attached");
    for (_, _, id) in line {
        desk.client.close_conversation(busy, Speaker::Agent(ana)).await.expect("closed");
        let offer = desk.sees_offer(id).await;
        desk.client.accept(id, Speaker::Agent(ana), offer.offer).await.expect("accepted");
        busy = id;
    }
}

const THREE: &str = r#"
[[workspace]]
name = "test"
livechat_fallback_message = "Nobody is here."
[[workspace.group]]
name = "sales"
[[workspace.group]]
name = "first"
overflow = "sales"
[[workspace.group]]
name = "second"
"#;

/// A line of each group, and one conversation of each that somebody owns; who waits is offered nothing, since all are full.
struct Lines {
    desk: Seat,
    watch: Seat,
    waits: [ConversationId; 2],
    owned: [ConversationId; 2],
    sales: AgentId,
}

impl Lines {
    async fn open(floor: &Floor, shape: Shape) -> Self {
        let desk = floor.frontend(shape).await;
        let watch = floor.supervisor(shape).await;
        let sales = floor.hire(&desk, "ana", &["sales"], 5).await;
        let full = floor.hire(&desk, "ben", &["first", "second"], 2).await;
        let mut owned = Vec::new();
        for (whose, name) in [(1, "first"), (2, "second")] {
            let id = desk.opens(whose, group(name)).await;
            watch.client.assign(id, Speaker::Me, Destination::Agent(full), false).await.expect("assigned");
            owned.push(id);
        }
        let waits = [desk.opens(3, group("first")).await, desk.opens(4, group("second")).await];
        Self { desk, watch, waits, owned: [owned[0], owned[1]], sales }
    }

    async fn moved(&mut self) {
        for id in self.waits {
            self.watch.follow(id).await;
        }
        let queued = |change: &StaffChange| match change {
            StaffChange::Queued { group, cause: QueueCause::Overflow, .. } => Some(group.to_string()),
            _ => None,
        };
        assert_eq!(self.watch.sees_staff(self.waits[0], "the overflow", queued).await, "sales");
        let fell = |change: &StaffChange| match change {
            StaffChange::FellBack { reason, .. } => Some(*reason),
            _ => None,
        };
        let reason = self.watch.sees_staff(self.waits[1], "the fallback", fell).await;
        assert_eq!(reason, FallbackReason::GroupRemoved);
        for id in self.owned {
            assert_eq!(self.watch.status(id).await, Status::Active, "what is owned stays owned");
        }
    }
}

async fn a_reload_that_removes_a_group_moves_its_line(shape: Shape) {
    let floor = Floor::open(THREE, shape).await;
    let mut lines = Lines::open(&floor, shape).await;
    // The overflow of a group that is gone is no longer in the file: the line goes by the rules that it was in the line under.
    floor.rewrite(SALES);
    floor.running().control().reload().expect("taken over");
    lines.moved().await;
    let offer = lines.desk.sees_offer(lines.waits[0]).await;
    assert_eq!(offer.agent, lines.sales);
    let fresh = opening(super::floor::new_id(), visitor(9), group("first"));
    assert_eq!(code(lines.desk.client.open(fresh).await), "not_found");
}

async fn a_restart_with_a_group_less_moves_its_line(shape: Shape) {
    let mut floor = Floor::open(THREE, shape).await;
    let mut lines = Lines::open(&floor, shape).await;
    floor.rewrite(SALES);
    floor.restart(seconds(10)).await;
    lines.watch = floor.supervisor(shape).await;
    lines.desk = floor.frontend(shape).await;
    for id in lines.waits {
        lines.watch.follow(id).await;
    }
    floor.wait(seconds(15));
    let fell = |change: &StaffChange| match change {
        StaffChange::FellBack { reason, .. } => Some(*reason),
        _ => None,
    };
    // The daemon that had known the overflow is gone, and the file does not say it any more.
    for id in lines.waits {
        let reason = lines.watch.sees_staff(id, "the fallback", fell).await;
        assert_eq!(reason, FallbackReason::GroupRemoved);
    }
    for id in lines.owned {
        assert_eq!(lines.watch.status(id).await, Status::Active);
    }
}

async fn a_lowered_cap_evicts_nobody(shape: Shape) {
    let with_cap = |cap: u16| {
        format!(
            "{SALES}[[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"sales\"]\ncap = {cap}\n"
        )
    };
    let mut floor = Floor::open(&with_cap(3), shape).await;
    let ana = AgentId::derive(&super::floor::workspace(), "ana");
    let desk = floor.frontend(shape).await;
    desk.client.attach(ana).await.expect("attached");
    desk.client.set_presence(ana, Presence::Online).await.expect("online");
    let watch = floor.supervisor(shape).await;
    let mut owned = Vec::new();
    for whose in 1..=3 {
        let id = desk.opens(whose, group("sales")).await;
        watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
        owned.push(id);
    }
    let put = super::floor::profile(&floor.admin, ana, "ana", &[], 9);
    assert_eq!(code(floor.admin.request(put).await), "managed_by_config");

    floor.rewrite(&with_cap(1));
    floor.running().control().reload().expect("taken over");
    for restarted in [false, true] {
        if restarted {
            floor.restart(seconds(10)).await;
        }
        let watch = floor.supervisor(shape).await;
        watch.client.subscribe(Feed::Agent(ana)).await.expect("subscribed");
        let row = watch.agent_detail(ana).await.row;
        assert_eq!((row.taken, row.cap), (3, 1), "restarted: {restarted}");
        for id in &owned {
            assert_eq!(watch.status(*id).await, Status::Active);
        }
    }
    let desk = floor.frontend(shape).await;
    desk.client.attach(ana).await.expect("attached");
    let id = desk.opens(9, group("sales")).await;
    let watch = floor.supervisor(shape).await;
    for done in &owned[..2] {
        desk.client.close_conversation(*done, Speaker::Agent(ana)).await.expect("closed");
        assert_eq!(watch.status(id).await, Status::Waiting, "nothing new above the new cap");
    }
    desk.client.close_conversation(owned[2], Speaker::Agent(ana)).await.expect("closed");
    assert_eq!(watch.status(id).await, Status::Offered);
}

/// S10: a file with any error changes nothing, and says what is wrong.
async fn a_reload_is_all_or_nothing(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let desk = floor.frontend(shape).await;
    let broken = SALES
        .replace("name = \"sales\"", "name = \"sales\"\naccept_timeout = \"1s\"\nstrategy = \"coin_toss\"");
    floor.rewrite(&broken);
    let said = floor.running().control().reload().expect_err("refused");
    assert!(said.contains("coin_toss") && said.contains("strategy"), "{said}");
    let asked = floor.admin.ask::<maitred::protocol::Reply>(maitred::protocol::request::Reload {}).await;
    assert_eq!(code(asked), "invalid");
    let (_, mut ana) = floor.agent("ana", &["sales"], 3, shape).await;
    let id = desk.opens(1, group("sales")).await;
    assert_eq!(ana.sees_offer(id).await.accept_within_ms, Some(45_000), "the rules before stand");

    floor.rewrite(&SALES.replace("name = \"sales\"", "name = \"sales\"\naccept_timeout = \"1s\""));
    floor.admin.request(maitred::protocol::request::Reload {}).await.expect("taken over");
    let id = desk.opens(2, group("sales")).await;
    assert_eq!(ana.sees_offer(id).await.accept_within_ms, Some(1_000));
}
