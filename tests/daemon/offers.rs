//! Who is offered what, how offers end, and what visitor and staff are told when nobody can.

use std::collections::BTreeMap;

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice,
        notice::{StaffChange, VisitorChange},
        words::{
            AssignCause, Destination, FallbackReason, Feed, OfferKind, OfferOutcome, Presence, RescindReason,
            Speaker, Status, Target,
        },
    },
};

use super::floor::{Floor, Seat, Shape, code, group, new_id, opening, seconds, stories, visitor};

stories! {
    the_truth_table_of_fallbacks_holds,
    announcements_that_nobody_takes_fall_back,
    an_offer_ends_at_its_deadline_and_not_before,
    a_decline_goes_to_the_next_at_once,
    the_other_session_of_an_agent_sees_accepted_elsewhere,
    of_two_who_accept_a_broadcast_one_has_it,
    a_pull_queue_keeps_what_an_agent_at_their_cap_cannot_take,
    caps_hold_under_two_hundred_openings,
    assign_asks_nobody,
    the_first_class_is_served_first,
    a_wrap_up_keeps_its_slot,
    an_agent_who_misses_twice_is_away,
    who_leaves_while_one_waits_is_not_online_at_its_end,
}

// === The truth table ===

/// What a member does while the conversation looks for somebody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Offline,
    Away,
    /// Means to be online, and has no connection.
    Gone,
    /// Online, with a full cap.
    Full,
    Declines,
    Silent,
}

struct Row {
    says: &'static str,
    rules: &'static str,
    members: &'static [Member],
    /// Offers until it is over.
    offers: usize,
    /// Whether it then waits until `max_wait`.
    waits: bool,
    reason: FallbackReason,
}

const fn row(
    says: &'static str,
    rules: &'static str,
    members: &'static [Member],
    offers: usize,
    waits: bool,
    reason: FallbackReason,
) -> Row {
    Row { says, rules, members, offers, waits, reason }
}

const TABLE: &[Row] = {
    use FallbackReason::{AllAtCapacity, NobodyOnline, OffersExhausted, WaitedTooLong};
    use Member::{Away, Declines, Full, Gone, Offline, Silent};
    &[
        row("no member", "", &[], 0, false, NobodyOnline),
        row("all offline", "", &[Offline, Offline], 0, false, NobodyOnline),
        row("one away", "", &[Away], 0, false, NobodyOnline),
        row("online without a connection", "", &[Gone], 0, false, NobodyOnline),
        row("offline, away and gone", "", &[Offline, Away, Gone], 0, false, NobodyOnline),
        row("turned away", "when_empty = \"reject\"", &[Offline], 0, false, NobodyOnline),
        row("waits for nobody", "when_empty = \"queue\"", &[Offline], 0, true, NobodyOnline),
        row("one silent", "", &[Silent], 1, false, OffersExhausted),
        row("one declines", "", &[Declines], 1, false, OffersExhausted),
        row("two decline", "", &[Declines, Declines], 2, false, OffersExhausted),
        row("silent and declining", "", &[Silent, Declines], 2, false, OffersExhausted),
        row(
            "the first of three",
            "max_offers = 1",
            &[Declines, Declines, Declines],
            1,
            false,
            OffersExhausted,
        ),
        row("two of three", "max_offers = 2", &[Silent, Silent, Silent], 2, false, OffersExhausted),
        row("more offers than members", "max_offers = 5", &[Declines, Declines], 2, false, OffersExhausted),
        row("full", "", &[Full], 0, true, AllAtCapacity),
        row("all full", "max_offers = 3", &[Full, Full], 0, true, AllAtCapacity),
        row("declines, the other is full", "", &[Declines, Full], 1, true, WaitedTooLong),
        row("silent, the other is full", "", &[Silent, Full], 1, true, WaitedTooLong),
        row("declines, the other is away", "", &[Declines, Away], 1, false, OffersExhausted),
        row("declines, the other is gone", "", &[Declines, Gone], 1, false, OffersExhausted),
        row("one offer, the other is full", "max_offers = 1", &[Declines, Full], 1, false, OffersExhausted),
        row("full, the other is away", "", &[Full, Away], 0, true, AllAtCapacity),
    ]
};

/// `max_offers` × members × presence: staff read the right reason, and the visitor is told exactly once.
async fn the_truth_table_of_fallbacks_holds(shape: Shape) {
    let mut text =
        "[[workspace]]\nname = \"test\"\nlivechat_fallback_message = \"Nobody is here.\"\n".to_owned();
    for (number, row) in TABLE.iter().enumerate() {
        text += &format!("[[workspace.group]]\nname = \"g{number}\"\n{}\n", row.rules);
    }
    let floor = Floor::open(&text, shape).await;
    let mut desk = floor.frontend(shape).await;
    let mut watch = floor.supervisor(shape).await;
    for (number, row) in TABLE.iter().enumerate() {
        tell_row(&floor, &mut desk, &mut watch, number, row).await;
    }
}

async fn tell_row(floor: &Floor, desk: &mut Seat, watch: &mut Seat, number: usize, row: &Row) {
    let name = format!("g{number}");
    let mut members = BTreeMap::new();
    for (at, member) in row.members.iter().enumerate() {
        let whom = 1_000 + u16::try_from(number * 10 + at).expect("small");
        members
            .insert(join(floor, desk, watch, &format!("{name}-{at}"), &name, *member, whom).await, *member);
    }
    let id = new_id();
    let whose = visitor(u16::try_from(number).expect("small"));
    desk.client.open(opening(id, whose, group(&name))).await.expect("opened");
    for _ in 0..row.offers {
        let offer = desk.sees_offer(id).await;
        match members[&offer.agent] {
            Member::Declines => {
                let speaker = Speaker::Agent(offer.agent);
                desk.client.decline(id, speaker, offer.offer).await.expect("declined");
            }
            Member::Silent => floor.wait(seconds(45)),
            _ => panic!("{}: offered to one who can't take it", row.says),
        }
    }
    watch.follow(id).await;
    if row.waits {
        let status = watch.status(id).await;
        assert_eq!(status, Status::Waiting, "{}: it has to wait", row.says);
        floor.wait(seconds(120));
    }
    assert_eq!(fell_back(watch, id).await, row.reason, "{}", row.says);
    assert_eq!(watch.status(id).await, Status::Missed, "{}", row.says);
    let offered = watch.staff_history(id).await.into_iter();
    let offered = offered.filter(|entry| matches!(entry.event, StaffChange::Offered { .. })).count();
    assert_eq!(offered, row.offers, "{}", row.says);
    assert_eq!(told(desk, id, whose).await, ["Nobody is here."], "{}", row.says);
}

async fn join(
    floor: &Floor,
    desk: &mut Seat,
    watch: &Seat,
    name: &str,
    group: &str,
    member: Member,
    whom: u16,
) -> AgentId {
    let agent = floor.put(name, &[group], 1).await;
    let presence = match member {
        Member::Offline => Presence::Offline,
        Member::Away => Presence::Away,
        Member::Gone | Member::Full | Member::Declines | Member::Silent => Presence::Online,
    };
    if member != Member::Gone {
        desk.client.attach(agent).await.expect("attached");
    }
    watch.client.set_presence(agent, presence).await.expect("set");
    if member == Member::Full {
        let busy = new_id();
        desk.client.open(opening(busy, visitor(whom), Target::Agent(agent))).await.expect("opened");
        let offer = desk.sees_offer(busy).await;
        desk.client.accept(busy, Speaker::Agent(agent), offer.offer).await.expect("accepted");
    }
    agent
}

/// The reason of a followed conversation's fallback.
async fn fell_back(watch: &mut Seat, id: ConversationId) -> FallbackReason {
    let reason = |change: &StaffChange| match change {
        StaffChange::FellBack { reason, .. } => Some(*reason),
        _ => None,
    };
    watch.sees_staff(id, "the fallback", reason).await
}

/// What the visitor was told by fallbacks.
async fn told(desk: &Seat, id: ConversationId, whose: maitred::ids::VisitorId) -> Vec<String> {
    let seen = desk.visitor_history(id, Speaker::Visitor(whose)).await;
    let fallbacks = seen.into_iter().filter_map(|entry| match entry.change {
        VisitorChange::Fallback { message } => Some(message.as_str().to_owned()),
        _ => None,
    });
    fallbacks.collect()
}

/// A broadcast counts as one offer and ends with its deadline or the last no; a pull queue lasts as long as the stay.
async fn announcements_that_nobody_takes_fall_back(shape: Shape) {
    let text = r#"
[[workspace]]
name = "test"
default_group = "none"
livechat_fallback_message = "Nobody."
fallback_message = "Closed."
[[workspace.group]]
name = "all"
strategy = "broadcast"
[[workspace.group]]
name = "twice"
strategy = "broadcast"
max_offers = 2
[[workspace.group]]
name = "line"
strategy = "pull"
[[workspace.group]]
name = "short"
queue_max = 1
"#;
    let floor = Floor::open(text, shape).await;
    let mut desk = floor.frontend(shape).await;
    let mut watch = floor.supervisor(shape).await;
    let groups = ["all", "twice", "line"];
    floor.hire(&desk, "ana", &groups, 5).await;
    floor.hire(&desk, "ben", &groups, 5).await;

    let silent = desk.opens(1, group("all")).await;
    let declined = desk.opens(2, group("all")).await;
    let twice = desk.opens(3, group("twice")).await;
    let pulled = desk.opens(4, group("line")).await;
    let nowhere = desk.opens(5, Target::Default).await;
    watch.follow(nowhere).await;
    assert_eq!(fell_back(&mut watch, nowhere).await, FallbackReason::NoRule);
    // The words for when no agent could be found, not those for a workspace that can't serve (AD-14).
    assert_eq!(told(&desk, nowhere, visitor(5)).await, ["Nobody."]);

    for _ in 0..2 {
        let offer = desk.sees_offer(declined).await;
        assert_eq!(offer.kind, OfferKind::Announcement);
        desk.client.decline(declined, Speaker::Agent(offer.agent), offer.offer).await.expect("declined");
    }
    watch.follow(declined).await;
    assert_eq!(fell_back(&mut watch, declined).await, FallbackReason::OffersExhausted);

    watch.follow(silent).await;
    watch.follow(twice).await;
    watch.follow(pulled).await;
    floor.wait(seconds(45));
    assert_eq!(fell_back(&mut watch, silent).await, FallbackReason::OffersExhausted);
    let announced = |change: &StaffChange| matches!(change, StaffChange::Announced { .. }).then_some(());
    watch.sees_staff(twice, "the first announcement", announced).await;
    watch.sees_staff(twice, "the second announcement", announced).await;
    floor.wait(seconds(45));
    assert_eq!(fell_back(&mut watch, twice).await, FallbackReason::OffersExhausted);
    assert_eq!(watch.status(pulled).await, Status::Offered);
    floor.wait(seconds(30));
    assert_eq!(fell_back(&mut watch, pulled).await, FallbackReason::WaitedTooLong);
    for (id, whose) in [(silent, 1), (declined, 2), (twice, 3), (pulled, 4)] {
        assert_eq!(told(&desk, id, visitor(whose)).await, ["Nobody."]);
    }

    let full = floor.hire(&desk, "cleo", &["short"], 1).await;
    let first = desk.opens(6, group("short")).await;
    let offer = desk.sees_offer(first).await;
    desk.client.accept(first, Speaker::Agent(full), offer.offer).await.expect("accepted");
    desk.opens(7, group("short")).await;
    let turned_away = desk.opens(8, group("short")).await;
    watch.follow(turned_away).await;
    assert_eq!(fell_back(&mut watch, turned_away).await, FallbackReason::QueueFull);
}

/// Whether an accept is in time is decided by comparing with the deadline, to the microsecond.
async fn an_offer_ends_at_its_deadline_and_not_before(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 2, shape).await;
    let desk = floor.frontend(shape).await;
    let (late, timely) = (new_id(), new_id());
    desk.client.open(opening(late, visitor(1), group("sales"))).await.expect("opened");
    let offer = seat.sees_offer(late).await;
    assert_eq!(offer.deadline.map(|at| at.since(floor.clock.now())), Some(seconds(45)));
    floor.wait(seconds(45));
    let refused = seat.client.accept(late, Speaker::Me, offer.offer).await;
    assert_eq!(code(refused), "offer_timed_out");
    assert_eq!(seat.sees_ended(late, offer.offer).await, OfferOutcome::TimedOut);
    desk.client.open(opening(timely, visitor(2), group("sales"))).await.expect("opened");
    let offer = seat.sees_offer(timely).await;
    floor.wait(seconds(45) - std::time::Duration::from_micros(1));
    seat.client.accept(timely, Speaker::Me, offer.offer).await.expect("in time");
    let row = desk.agent_detail(ana).await;
    assert_eq!((row.row.taken, row.row.reserved, row.missed), (1, 0, 0));
}

const SALES: &str = r#"
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
label = "Sales"
"#;

async fn a_decline_goes_to_the_next_at_once(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (_, mut ana) = floor.agent("ana", &["sales"], 2, shape).await;
    let (_, mut ben) = floor.agent("ben", &["sales"], 2, shape).await;
    let desk = floor.frontend(shape).await;
    let id = new_id();
    desk.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    let offer = ana.sees_offer(id).await;
    ana.client.decline(id, Speaker::Me, offer.offer).await.expect("declined");
    assert_eq!(ana.sees_ended(id, offer.offer).await, OfferOutcome::Declined);
    let next = ben.sees_offer(id).await;
    assert_eq!(next.deadline, offer.deadline, "not a microsecond was waited");
    assert_eq!(code(ana.client.accept(id, Speaker::Me, next.offer).await), "offer_ended");
    assert_eq!(code(ana.client.decline(id, Speaker::Me, offer.offer).await), "offer_ended");
    ben.client.accept(id, Speaker::Me, next.offer).await.expect("accepted");
}

/// Offers go to every session of an agent; the first accept wins, and the others see why it is gone.
async fn the_other_session_of_an_agent_sees_accepted_elsewhere(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (ana, mut first) = floor.agent("ana", &["sales"], 2, shape).await;
    let mut second = floor.session(ana, shape).await;
    let mut desk = floor.frontend(shape).await;
    desk.client.attach(ana).await.expect("attached");
    let id = new_id();
    desk.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    let offer = first.sees_offer(id).await;
    assert_eq!(second.sees_offer(id).await.offer, offer.offer);
    assert_eq!(desk.sees_offer(id).await.agent, ana);
    second.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
    let elsewhere = OfferOutcome::Rescinded(RescindReason::AcceptedElsewhere);
    assert_eq!(first.sees_ended(id, offer.offer).await, elsewhere);
    assert_eq!(desk.sees_ended(id, offer.offer).await, elsewhere);
    assert_eq!(second.sees_ended(id, offer.offer).await, OfferOutcome::Accepted);
    assert_eq!(code(first.client.accept(id, Speaker::Me, offer.offer).await), "offer_ended");
    assert_eq!(desk.agent_detail(ana).await.row.taken, 1);
}

async fn of_two_who_accept_a_broadcast_one_has_it(shape: Shape) {
    let text = format!("{SALES}strategy = \"broadcast\"\n");
    let floor = Floor::open(&text, shape).await;
    let (ana, mut ana_seat) = floor.agent("ana", &["sales"], 50, shape).await;
    let (ben, mut ben_seat) = floor.agent("ben", &["sales"], 50, shape).await;
    let desk = floor.frontend(shape).await;
    for round in 1..=10 {
        let id = new_id();
        desk.client.open(opening(id, visitor(round), group("sales"))).await.expect("opened");
        let offer = ana_seat.sees_offer(id).await;
        assert_eq!(ben_seat.sees_offer(id).await.offer, offer.offer);
        let one = ana_seat.client.accept(id, Speaker::Me, offer.offer);
        let other = ben_seat.client.accept(id, Speaker::Me, offer.offer);
        let gone = OfferOutcome::Rescinded(RescindReason::AlreadyTaken);
        match (one.await, other.await) {
            (Ok(_), lost @ Err(_)) => {
                assert_eq!(code(lost), "already_taken");
                assert_eq!(ben_seat.sees_ended(id, offer.offer).await, gone);
            }
            (lost @ Err(_), Ok(_)) => {
                assert_eq!(code(lost), "already_taken");
                assert_eq!(ana_seat.sees_ended(id, offer.offer).await, gone);
            }
            both => panic!("one of two has it, but: {both:?}"),
        }
    }
    let taken = (desk.agent_detail(ana).await.row, desk.agent_detail(ben).await.row);
    assert_eq!(taken.0.taken + taken.1.taken, 10, "a loser's grant is released");
}

async fn a_pull_queue_keeps_what_an_agent_at_their_cap_cannot_take(shape: Shape) {
    let text = format!("{SALES}strategy = \"pull\"\n");
    let floor = Floor::open(&text, shape).await;
    let (_, mut ana) = floor.agent("ana", &["sales"], 1, shape).await;
    let (_, mut ben) = floor.agent("ben", &["sales"], 1, shape).await;
    let desk = floor.frontend(shape).await;
    let (one, two, three) = (new_id(), new_id(), new_id());
    for (whose, id) in [(1, one), (2, two), (3, three)] {
        desk.client.open(opening(id, visitor(whose), group("sales"))).await.expect("opened");
        assert_eq!(ana.sees_offer(id).await.deadline, None, "an announcement lasts the whole stay");
        ben.sees_offer(id).await;
    }
    ana.client.take(one, Speaker::Me).await.expect("taken");
    assert_eq!(code(ana.client.take(two, Speaker::Me).await), "at_capacity");
    let offer = ben.sees_staff_offer(&floor, two, shape).await;
    assert_eq!(code(ana.client.accept(two, Speaker::Me, offer).await), "at_capacity");
    let watch = floor.supervisor(shape).await;
    let detail = watch.detail(two).await;
    let stay = detail.stay.expect("it still waits");
    assert_eq!(stay.pending.len(), 2, "it stays listed for both");
    assert_eq!(code(ben.client.take(one, Speaker::Me).await), "already_taken");
    ben.client.accept(two, Speaker::Me, offer).await.expect("accepted");
    ana.client.close_conversation(one, Speaker::Me).await.expect("closed");
    ana.client.take(three, Speaker::Me).await.expect("there is room again");
}

impl Seat {
    /// The number of what is pending in a conversation.
    async fn sees_staff_offer(&self, floor: &Floor, id: ConversationId, shape: Shape) -> u32 {
        let watch = floor.supervisor(shape).await;
        let stay = watch.detail(id).await.stay.expect("it waits");
        stay.pending.first().expect("something is pending").offer
    }
}

/// S2, seen from outside: every row that is published keeps within the cap, while everybody accepts and takes as fast as they can.
async fn caps_hold_under_two_hundred_openings(shape: Shape) {
    const OPENINGS: u16 = 200;
    const CAP: u16 = 10;
    let text = format!("{SALES}max_wait = \"1h\"\n");
    let floor = Floor::open(&text, shape).await;
    let mut desk = floor.frontend(shape).await;
    let mut watch = floor.supervisor(shape).await;
    let mut agents = Vec::new();
    for name in ["ana", "ben", "cleo", "dan", "eva"] {
        let agent = floor.hire(&desk, name, &["sales"], CAP).await;
        watch.client.subscribe(Feed::Agent(agent)).await.expect("subscribed");
        agents.push(agent);
    }
    let ids: Vec<ConversationId> = (0..OPENINGS).map(|_| new_id()).collect();
    let opened: Vec<_> = (0u16..)
        .zip(&ids)
        .map(|(whose, id)| desk.client.open(opening(*id, visitor(whose), group("sales"))))
        .collect();
    for opened in opened {
        opened.await.expect("opened");
    }
    let mut accepts = Vec::new();
    for _ in 0..agents.len() * usize::from(CAP) {
        let offer = desk.sees("an offer", |notice| match notice {
            Notice::OfferMade(made) => Some(made.clone()),
            _ => None,
        });
        let offer = offer.await;
        accepts.push(desk.client.accept(offer.conversation, Speaker::Agent(offer.agent), offer.offer));
    }
    let takes: Vec<_> = ids.iter().map(|id| desk.client.take(*id, Speaker::Agent(agents[0]))).collect();
    for accept in accepts {
        accept.await.expect("accepted");
    }
    for take in takes {
        assert!(matches!(code(take.await), "at_capacity" | "already_taken" | "wrong_state"));
    }
    let mut held = Vec::new();
    for agent in &agents {
        let detail = watch.agent_detail(*agent).await;
        assert_eq!((detail.row.taken, detail.row.reserved, detail.row.cap), (CAP, 0, CAP));
        held.extend(detail.holds.iter().map(|item| (item.conversation, *agent)));
    }
    let closed: Vec<_> =
        held.iter().map(|(id, agent)| desk.client.close_conversation(*id, Speaker::Agent(*agent))).collect();
    for closed in closed {
        closed.await.expect("closed");
    }
    for _ in 0..agents.len() * usize::from(CAP) {
        desk.sees("the next offer", |notice| matches!(notice, Notice::OfferMade(_)).then_some(())).await;
    }
    let rows = watch.drain().await.into_iter().filter_map(|notice| match notice {
        Notice::AgentChanged(changed) => Some(changed.row),
        _ => None,
    });
    for row in rows {
        assert!(row.taken + row.reserved <= CAP, "{row:?}");
    }
}

async fn assign_asks_nobody(shape: Shape) {
    let text = format!("{SALES}strategy = \"assign\"\n");
    let floor = Floor::open(&text, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 1, shape).await;
    let desk = floor.frontend(shape).await;
    let watch = floor.supervisor(shape).await;
    let (one, two) = (new_id(), new_id());
    desk.client.open(opening(one, visitor(1), group("sales"))).await.expect("opened");
    let assigned = |change: &StaffChange| match change {
        StaffChange::Assigned { agent, cause } => Some((*agent, *cause)),
        _ => None,
    };
    assert_eq!(seat.sees_staff(one, "the assignment", assigned).await, (ana, AssignCause::Strategy));
    desk.client.open(opening(two, visitor(2), group("sales"))).await.expect("opened");
    assert_eq!(watch.status(two).await, Status::Waiting, "the cap holds here too");
    seat.client.close_conversation(one, Speaker::Me).await.expect("closed");
    seat.sees_staff(two, "the assignment", assigned).await;
    let history = watch.staff_history(two).await;
    assert!(!history.iter().any(|entry| matches!(entry.event, StaffChange::Offered { .. })));
}

/// A freed slot serves the first class first, and within a class who has waited longest.
async fn the_first_class_is_served_first(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 1, shape).await;
    let desk = floor.frontend(shape).await;
    let watch = floor.supervisor(shape).await;
    let busy = new_id();
    desk.client.open(opening(busy, visitor(100), group("sales"))).await.expect("opened");
    watch.client.assign(busy, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
    let mut waiting = Vec::new();
    for (whose, priority) in [(1, 9), (2, 5), (3, 5), (4, 0), (5, 0), (6, 2)] {
        let id = new_id();
        let opening =
            maitred::protocol::request::Open { priority, ..opening(id, visitor(whose), group("sales")) };
        desk.client.open(opening).await.expect("opened");
        floor.wait(seconds(1));
        waiting.push((priority, whose, id));
    }
    waiting.sort_by_key(|(priority, whose, _)| (*priority, *whose));
    for (ahead, (_, whose, id)) in (0..).zip(&waiting) {
        let place = desk.client.position(*id, Speaker::Visitor(visitor(*whose))).await.expect("a place");
        assert_eq!((place.position, place.ahead), (Some(ahead + 1), ahead));
    }
    let mut done = busy;
    for (_, _, id) in waiting {
        seat.client.close_conversation(done, Speaker::Me).await.expect("closed");
        let offer = seat.sees_offer(id).await;
        seat.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
        done = id;
    }
}

async fn a_wrap_up_keeps_its_slot(shape: Shape) {
    let text = format!("{SALES}wrap_up = \"30s\"\n");
    let floor = Floor::open(&text, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 1, shape).await;
    let desk = floor.frontend(shape).await;
    let (one, two) = (new_id(), new_id());
    desk.client.open(opening(one, visitor(1), group("sales"))).await.expect("opened");
    let offer = seat.sees_offer(one).await;
    seat.client.accept(one, Speaker::Me, offer.offer).await.expect("accepted");
    seat.client.close_conversation(one, Speaker::Me).await.expect("closed");
    desk.client.open(opening(two, visitor(2), group("sales"))).await.expect("opened");
    let row = desk.agent_detail(ana).await.row;
    assert_eq!((row.taken, row.state.as_str()), (1, "wrapup"));
    floor.wait(seconds(29));
    let watch = floor.supervisor(shape).await;
    assert_eq!(watch.status(two).await, Status::Waiting);
    floor.wait(seconds(1));
    let offer = seat.sees_offer(two).await;
    seat.client.accept(two, Speaker::Me, offer.offer).await.expect("accepted");
}

async fn an_agent_who_misses_twice_is_away(shape: Shape) {
    let text = SALES.replace("name = \"test\"", "name = \"test\"\nauto_away_after = 2");
    let floor = Floor::open(&text, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 1, shape).await;
    let desk = floor.frontend(shape).await;
    let mut watch = floor.supervisor(shape).await;
    watch.client.subscribe(Feed::Agent(ana)).await.expect("subscribed");
    let miss = async |seat: &mut Seat, whose: u16| {
        let id = new_id();
        desk.client.open(opening(id, visitor(whose), group("sales"))).await.expect("opened");
        let offer = seat.sees_offer(id).await;
        floor.wait(seconds(45));
        assert_eq!(seat.sees_ended(id, offer.offer).await, OfferOutcome::TimedOut);
        id
    };
    miss(&mut seat, 1).await;
    let taken = new_id();
    desk.client.open(opening(taken, visitor(2), group("sales"))).await.expect("opened");
    let offer = seat.sees_offer(taken).await;
    seat.client.accept(taken, Speaker::Me, offer.offer).await.expect("accepted");
    seat.client.close_conversation(taken, Speaker::Me).await.expect("closed");
    miss(&mut seat, 3).await;
    assert_eq!(
        desk.agent_detail(ana).await.row.presence,
        Presence::Online,
        "an accept in between starts anew"
    );
    miss(&mut seat, 4).await;
    watch.sees_agent(ana, "her being set away", |row| row.presence == Presence::Away).await;
    let id = desk.opens(5, group("sales")).await;
    watch.follow(id).await;
    assert_eq!(fell_back(&mut watch, id).await, FallbackReason::NobodyOnline);
    seat.client.set_presence(ana, Presence::Online).await.expect("online");
    assert_eq!(desk.agent_detail(ana).await.missed, 0);
}

async fn who_leaves_while_one_waits_is_not_online_at_its_end(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 1, shape).await;
    let desk = floor.frontend(shape).await;
    let mut watch = floor.supervisor(shape).await;
    let (busy, waits) = (new_id(), new_id());
    desk.client.open(opening(busy, visitor(1), group("sales"))).await.expect("opened");
    let offer = seat.sees_offer(busy).await;
    seat.client.accept(busy, Speaker::Me, offer.offer).await.expect("accepted");
    desk.client.open(opening(waits, visitor(2), group("sales"))).await.expect("opened");
    seat.client.set_presence(ana, Presence::Away).await.expect("away");
    seat.client.close_conversation(busy, Speaker::Me).await.expect("closed");
    watch.follow(waits).await;
    assert_eq!(watch.status(waits).await, Status::Waiting);
    floor.wait(seconds(120));
    assert_eq!(fell_back(&mut watch, waits).await, FallbackReason::NobodyOnline);
}
