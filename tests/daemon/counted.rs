//! What is counted per workspace and granted in one place: lifetime engagements, seats, slots of those who help; and what visitors
//! may choose.

use maitred::{
    ids::AgentId,
    protocol::{
        Reply,
        notice::{StaffChange, VisitorChange},
        reply::{ChoicePage, Done, Explanation, Held, WorkspaceDetail},
        request::{Explain, ListChoices, Open, PutAgent, RemoveAgent, ShowWorkspace},
        words::{Destination, FallbackReason, Presence, Speaker, Status, Target},
    },
};

use super::floor::{
    Floor, Seat, Shape, code, group, new_id, opening, profile, seconds, stories, visitor, workspace,
};

stories! {
    engagements_are_counted_for_life,
    of_many_who_want_the_last_engagement_one_gets_it,
    what_was_turned_away_is_not_taken_by_hand,
    a_seat_is_free_when_the_last_conversation_ends,
    of_many_who_want_the_last_seat_one_gets_it,
    the_agents_of_the_file_have_the_seats_that_come_free,
    who_helps_uses_a_slot_if_the_workspace_says_so,
    visitors_choose_from_what_is_public,
}

const HEAD: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[limits.agent]
commands_per_second = 10000
burst = 100000
[[workspace]]
name = "test"
fallback_message = "Not today."
livechat_fallback_message = "Nobody is here."
"#;

const GROUPS: &str = r#"
[[workspace.group]]
name = "sales"
label = "Sales"
"#;

fn with(keys: &str) -> String {
    format!("{HEAD}{keys}{GROUPS}")
}

async fn counts(floor: &Floor) -> WorkspaceDetail {
    floor.admin.ask(ShowWorkspace {}).await.expect("the counts")
}

async fn used(floor: &Floor) -> u64 {
    counts(floor).await.engagements_used
}

/// The visitor was told the workspace's own message, and staff the reason.
async fn turned_away(desk: &mut Seat, watch: &Seat, number: u16) -> maitred::ids::ConversationId {
    let id = desk.opens(number, group("sales")).await;
    let told = desk.sees_visitor(id, "the fallback", |change| match change {
        VisitorChange::Fallback { message } => Some(message.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(told.await, "Not today.");
    assert_eq!(watch.status(id).await, Status::Missed);
    let history = watch.staff_history(id).await;
    let reasons: Vec<FallbackReason> = history
        .iter()
        .filter_map(|entry| match &entry.event {
            StaffChange::FellBack { reason, .. } => Some(*reason),
            StaffChange::Queued { .. } | StaffChange::Offered { .. } => panic!("{entry:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [FallbackReason::QuotaExhausted]);
    id
}

/// AD-1 to AD-4: the limit holds, survives a restart, is raised by a reload, and what was counted once is not counted again.
async fn engagements_are_counted_for_life(shape: Shape) {
    let mut floor = Floor::open(&with("lifetime_engagements = 2"), shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.hire(&desk, "ana", &["sales"], 9).await;
    let first = desk.opens(1, group("sales")).await;
    let offer = desk.sees_offer(first).await;
    desk.client.accept(first, Speaker::Agent(ana), offer.offer).await.expect("accepted");
    desk.opens(2, group("sales")).await;
    assert_eq!(used(&floor).await, 2);
    let third = turned_away(&mut desk, &watch, 3).await;
    let told: Explanation =
        watch.client.ask(Explain { conversation: third, agent: None }).await.expect("an explanation");
    assert_eq!(told.decisions[0].fallback, Some(FallbackReason::QuotaExhausted));
    assert_eq!(told.decisions[0].group.as_str(), "sales");

    // Asking again, moving and opening again are the same engagement.
    desk.client.say(third, Speaker::Visitor(visitor(3)), "please").await.expect("said");
    desk.client.close_conversation(first, Speaker::Agent(ana)).await.expect("closed");
    desk.client.reopen(first, Speaker::Agent(ana)).await.expect("reopened");
    watch
        .client
        .assign(first, Speaker::Me, Destination::Group("sales".parse().expect("a name")), false)
        .await
        .expect("moved");
    assert_eq!((used(&floor).await, watch.status(third).await), (2, Status::Missed));

    floor.restart(seconds(3_600)).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    desk.client.attach(ana).await.expect("attached");
    assert_eq!(used(&floor).await, 2);
    turned_away(&mut desk, &watch, 4).await;

    // Who was turned away goes where they wanted to when they ask again.
    floor.rewrite(&with("lifetime_engagements = 3"));
    floor.running().control().reload().expect("taken over");
    desk.client.say(third, Speaker::Visitor(visitor(3)), "please").await.expect("said");
    let made = desk.sees_offer(third).await;
    assert_eq!(made.group.expect("a group").as_str(), "sales");
    let counts = counts(&floor).await;
    assert_eq!((counts.engagements, counts.engagements_used), (Some(3), 3));
    turned_away(&mut desk, &watch, 5).await;

    // Without a limit it goes on being counted.
    floor.rewrite(&with(""));
    floor.running().control().reload().expect("taken over");
    desk.opens(6, group("sales")).await;
    assert_eq!(used(&floor).await, 4);
}

async fn of_many_who_want_the_last_engagement_one_gets_it(shape: Shape) {
    let floor = Floor::open(&with("lifetime_engagements = 1"), shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let mut sent = Vec::new();
    for number in 0..40 {
        let id = new_id();
        sent.push((id, desk.client.open(opening(id, visitor(number), group("sales")))));
    }
    let mut let_in = 0;
    for (id, opened) in sent {
        opened.await.expect("opened");
        let history = watch.staff_history(id).await;
        let_in += usize::from(history.iter().any(|entry| matches!(entry.event, StaffChange::Queued { .. })));
    }
    assert_eq!((let_in, used(&floor).await), (1, 1));
}

async fn what_was_turned_away_is_not_taken_by_hand(shape: Shape) {
    let mut floor = Floor::open(&with("lifetime_engagements = 1"), shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.hire(&desk, "ana", &["sales"], 9).await;
    desk.opens(1, group("sales")).await;
    let id = turned_away(&mut desk, &watch, 2).await;
    let sales = Destination::Group("sales".parse().expect("a name"));
    for tried in [
        code(desk.client.take(id, Speaker::Agent(ana)).await),
        code(desk.client.say(id, Speaker::Agent(ana), "hello").await),
        code(watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await),
        code(watch.client.assign(id, Speaker::Me, sales, false).await),
    ] {
        assert_eq!(tried, "quota_exhausted");
    }
    desk.client.close_conversation(id, Speaker::Visitor(visitor(2))).await.expect("closed");
    assert_eq!(code(watch.client.reopen(id, Speaker::Me).await), "quota_exhausted");
    let other = turned_away(&mut desk, &watch, 3).await;

    floor.rewrite(&with("lifetime_engagements = 3"));
    floor.running().control().reload().expect("taken over");
    desk.client.take(other, Speaker::Agent(ana)).await.expect("there is one left");
    assert_eq!(used(&floor).await, 2);
    watch.client.reopen(id, Speaker::Me).await.expect("and another");
    assert_eq!(used(&floor).await, 3);
    floor.restart(seconds(1)).await;
    assert_eq!(used(&floor).await, 3);
}

fn put(floor: &Floor, name: &str, live_chat: bool) -> PutAgent {
    let agent = AgentId::derive(&workspace(), name);
    PutAgent { live_chat, ..profile(&floor.admin, agent, name, &["sales"], 5) }
}

async fn seats(floor: &Floor) -> (Option<u32>, u32) {
    let counts = counts(floor).await;
    (counts.seats, counts.seats_used)
}

/// BO-4 to BO-10.
async fn a_seat_is_free_when_the_last_conversation_ends(shape: Shape) {
    let mut floor = Floor::open(&with("seats = 2"), shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.hire(&desk, "ana", &["sales"], 5).await;
    floor.put("ben", &["sales"], 5).await;
    assert_eq!(seats(&floor).await, (Some(2), 2));
    assert_eq!(code(floor.admin.ask::<Done>(put(&floor, "cleo", true)).await), "no_seat");
    floor.admin.ask::<Done>(put(&floor, "cleo", false)).await.expect("listed, without a seat");
    assert_eq!(counts(&floor).await.agents, 3);

    let id = desk.opens(1, group("sales")).await;
    watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
    floor.admin.ask::<Done>(put(&floor, "ana", false)).await.expect("unseated");
    assert_eq!(seats(&floor).await.1, 2, "she finishes what she has");
    assert_eq!(code(floor.admin.ask::<Done>(put(&floor, "cleo", true)).await), "no_seat");
    let given = watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await;
    assert_eq!(code(given), "wrong_state", "it is hers already");
    let next = desk.opens(2, group("sales")).await;
    let given = watch.client.assign(next, Speaker::Me, Destination::Agent(ana), false).await;
    assert_eq!(code(given), "not_eligible", "and gets nothing new");

    floor.restart(seconds(1)).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(seats(&floor).await.1, 2);
    watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
    // The slot is freed by messages of their own; a question to the agent is behind them.
    watch.agent_detail(ana).await;
    assert_eq!(seats(&floor).await.1, 1);
    floor.admin.ask::<Done>(put(&floor, "cleo", true)).await.expect("there is one now");

    // Who is removed gives theirs back, too; and who has one keeps it, though there are fewer.
    let key = floor.admin.identity().next_key();
    let ben = AgentId::derive(&workspace(), "ben");
    floor.admin.ask::<Done>(RemoveAgent { key, agent: ben }).await.expect("removed");
    assert_eq!(seats(&floor).await.1, 1);
    floor.admin.ask::<Done>(put(&floor, "ana", true)).await.expect("seated again");
    floor.rewrite(&with("seats = 1"));
    floor.running().control().reload().expect("taken over");
    floor.admin.ask::<Done>(put(&floor, "cleo", true)).await.expect("hers");
    assert_eq!(code(floor.admin.ask::<Done>(put(&floor, "dan", true)).await), "no_seat");
    assert_eq!(seats(&floor).await, (Some(1), 2));
}

async fn of_many_who_want_the_last_seat_one_gets_it(shape: Shape) {
    let floor = Floor::open(&with("seats = 3"), shape).await;
    floor.put("ana", &["sales"], 5).await;
    floor.put("ben", &["sales"], 5).await;
    let names: Vec<String> = (0..20).map(|number| format!("agent-{number}")).collect();
    let sent: Vec<_> = names.iter().map(|name| floor.admin.ask::<Done>(put(&floor, name, true))).collect();
    let mut seated = 0;
    for sent in sent {
        match sent.await {
            Ok(_) => seated += 1,
            refused => assert_eq!(code(refused), "no_seat"),
        }
    }
    assert_eq!((seated, seats(&floor).await), (1, (Some(3), 3)));
}

/// Who is no longer in the file makes room for who is new in it, at once or when they have finished, at a reload and at a start.
async fn the_agents_of_the_file_have_the_seats_that_come_free(shape: Shape) {
    let file = |name: &str| {
        let agent =
            format!("[[workspace.agent]]\nname = \"{name}\"\ndisplay_name = \"Ann\"\ngroups = [\"sales\"]\n");
        format!("{}{agent}", with("seats = 1"))
    };
    let agent = |name: &str| AgentId::derive(&workspace(), name);
    let mut floor = Floor::open(&file("ana"), shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    desk.client.attach(agent("ana")).await.expect("attached");
    desk.client.set_presence(agent("ana"), Presence::Online).await.expect("online");
    let id = desk.opens(1, group("sales")).await;
    watch.client.assign(id, Speaker::Me, Destination::Agent(agent("ana")), false).await.expect("assigned");

    floor.rewrite(&file("ben"));
    floor.running().control().reload().expect("taken over");
    assert!(!watch.agent_detail(agent("ben")).await.live_chat, "she finishes what she has");
    watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
    // Two messages on: the agent gives the seat back, and it goes to the next.
    watch.agent_detail(agent("ana")).await;
    counts(&floor).await;
    assert!(watch.agent_detail(agent("ben")).await.live_chat);
    assert_eq!(seats(&floor).await, (Some(1), 1));

    floor.rewrite(&file("cleo"));
    floor.restart(seconds(1)).await;
    let watch = floor.supervisor(shape).await;
    assert!(watch.agent_detail(agent("cleo")).await.live_chat);
    assert_eq!(seats(&floor).await, (Some(1), 1));
}

/// BR-6.
async fn who_helps_uses_a_slot_if_the_workspace_says_so(shape: Shape) {
    let mut floor = Floor::open(&with("invite_uses_slot = true"), shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.hire(&desk, "ana", &["sales"], 5).await;
    let ben = floor.hire(&desk, "ben", &["sales"], 1).await;
    let taken = async |watch: &Seat, agent: AgentId| {
        let row = watch.agent_detail(agent).await.row;
        (row.taken, row.reserved)
    };
    let mut ids = Vec::new();
    for number in 1..=2 {
        let id = desk.opens(number, group("sales")).await;
        watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
        desk.client.invite(id, Speaker::Agent(ana), ben).await.expect("invited");
        ids.push((
            id,
            desk.sees(&format!("invitation {number}"), |notice| match notice {
                maitred::protocol::Notice::OfferMade(made)
                    if made.conversation == id
                        && made.agent == ben
                        && made.deadline.is_some()
                        && made.kind == maitred::protocol::words::OfferKind::Invitation =>
                {
                    Some(made.offer)
                }
                _ => None,
            })
            .await,
        ));
    }
    let [(first, help), (second, other)] = ids[..] else { panic!("two") };
    desk.client.accept(first, Speaker::Agent(ben), help).await.expect("joined");
    assert_eq!(taken(&watch, ben).await, (1, 0));
    assert_eq!(watch.agent_detail(ben).await.holds[0].held, Held::Participant);
    assert_eq!(code(desk.client.accept(second, Speaker::Agent(ben), other).await), "at_capacity");
    assert_eq!(watch.detail(first).await.participants.len(), 2);

    // A handover to who helps is about the same slot, whatever comes of it.
    desk.client.transfer(first, Speaker::Agent(ana), Destination::Agent(ben), false).await.expect("asked");
    let handover = desk.sees("the handover", |notice| match notice {
        maitred::protocol::Notice::OfferMade(made)
            if made.conversation == first && made.kind == maitred::protocol::words::OfferKind::Handover =>
        {
            Some(made.offer)
        }
        _ => None,
    });
    let handover = handover.await;
    assert_eq!(taken(&watch, ben).await, (0, 1));
    desk.client.decline(first, Speaker::Agent(ben), handover).await.expect("declined");
    assert_eq!(taken(&watch, ben).await, (1, 0), "still helping");

    floor.restart(seconds(1)).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    for agent in [ana, ben] {
        desk.client.attach(agent).await.expect("attached");
    }
    assert_eq!(taken(&watch, ben).await, (1, 0));
    desk.client.leave(first, Speaker::Agent(ben)).await.expect("left");
    assert_eq!(taken(&watch, ben).await, (0, 0));

    // The end of the conversation frees it as well; and without the key nobody's slot is used.
    for (uses, number) in [(true, 3), (false, 4)] {
        floor.rewrite(&with(if uses { "invite_uses_slot = true" } else { "" }));
        floor.running().control().reload().expect("taken over");
        let mut desk = floor.frontend(shape).await;
        for agent in [ana, ben] {
            desk.client.attach(agent).await.expect("attached");
        }
        let id = desk.opens(number, group("sales")).await;
        watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
        desk.client.invite(id, Speaker::Agent(ana), ben).await.expect("invited");
        let made = desk.sees("the invitation", |notice| match notice {
            maitred::protocol::Notice::OfferMade(made)
                if made.conversation == id
                    && made.kind == maitred::protocol::words::OfferKind::Invitation =>
            {
                Some(made.offer)
            }
            _ => None,
        });
        let made = made.await;
        desk.client.accept(id, Speaker::Agent(ben), made).await.expect("joined");
        assert_eq!(taken(&watch, ben).await, (u16::from(uses), 0));
        desk.client.close_conversation(id, Speaker::Agent(ana)).await.expect("closed");
        assert_eq!(taken(&watch, ben).await, (0, 0));
    }
}

/// BR-19 and BR-23.
async fn visitors_choose_from_what_is_public(shape: Shape) {
    let more = "[[workspace.group]]\nname = \"billing\"\nlabel = \"Invoices\"\n\
                [[workspace.group]]\nname = \"vip\"\nlabel = \"Regulars\"\npublic = false\n\
                [[workspace.group]]\nname = \"old\"\nlabel = \"Archive\"\nenabled = false\n";
    let floor = Floor::open(&format!("{}{more}", with("")), shape).await;
    let (own, desk) = (floor.visitor(visitor(1), shape).await, floor.frontend(shape).await);
    let mut choices = Vec::new();
    let mut cursor = None;
    loop {
        let page: ChoicePage = own.client.ask(ListChoices { cursor, limit: 1 }).await.expect("a page");
        choices.extend(page.rows.iter().map(|row| (row.group.clone(), row.label.as_str().to_owned())));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let labels: Vec<&str> = choices.iter().map(|(_, label)| label.as_str()).collect();
    assert_eq!(labels, ["Invoices", "Sales"]);
    assert!(
        choices.iter().all(|(choice, _)| !["billing", "sales"].contains(&choice.as_str())),
        "{choices:?}"
    );

    let open = |target| Open { speaker: Speaker::Me, ..opening(new_id(), visitor(1), target) };
    for hidden in ["vip", "nowhere"] {
        let refused = own.client.ask::<Reply>(open(group(hidden))).await;
        assert_eq!(code(refused), "not_found", "{hidden}");
    }
    let chosen = open(Target::Group(choices[1].0.clone()));
    let id = chosen.conversation;
    own.client.open(chosen).await.expect("opened");
    let watch = floor.supervisor(shape).await;
    assert_eq!(watch.detail(id).await.row.group.expect("a group").as_str(), "sales");
    // A frontend is trusted with the groups that visitors do not see.
    let vip = desk.opens(2, group("vip")).await;
    assert_eq!(watch.detail(vip).await.row.group.expect("a group").as_str(), "vip");
}
