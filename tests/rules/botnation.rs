//! Botnation: BO-1 to BO-35.

use maitred::{
    ids::AgentId,
    protocol::{
        List, Reply, Text, Variables,
        notice::VisitorChange,
        reply::{Done, WorkspaceDetail},
        request::{HandOver, Open, PutAgent, ShowWorkspace},
        words::{OfferKind, Presence, QueueCause, Speaker, Status, Target},
    },
};

use crate::{
    floor::{Encoding, code, group, new_id, opening, patience, profile, visitor, workspace},
    house::{House, is_offer, rule},
    outward,
    scenes::{accepts, asked, owner, stays},
};

rule!(
    bo_01_live_chat_without_a_bot,
    preset = "botnation",
    with = "",
    flip = [],
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["advisers"]).await;
        let (watch, (whose, browser)) = (house.watch().await, house.visitor(1).await);
        let id = new_id();
        let open = Open { speaker: Speaker::Me, ..opening(id, whose, Target::Default) };
        browser.client.open(open).await.expect("opened");
        assert_eq!(seat.sees_offer(id).await.agent, ana);
        assert_eq!(
            stays(&watch, id).await,
            [("advisers".to_owned(), QueueCause::Opened)],
            "straight to routing"
        );
    },
    opposite = [("workspace.default_group = \"none\"", async |house| {
        let (_ana, mut seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, Target::Default).await;
        assert_eq!((watch.status(id).await, stays(&watch, id).await), (Status::Missed, vec![]));
        assert!(!seat.drain().await.iter().any(is_offer), "nobody is asked");
    })]
);

/// What puts an adviser of this name, with a licence.
fn licensed(house: &House, name: &str) -> PutAgent {
    let agent = AgentId::derive(&workspace(), name);
    PutAgent { cap: None, ..profile(&house.admin, agent, name, &["advisers"], 1) }
}

rule!(
    bo_04_one_licence_per_adviser,
    preset = "botnation",
    with = "",
    flip = ["defaults.seats = 6", "defaults.seats = \"off\""],
    async |house| {
        for number in 0..4 {
            house.known(&format!("a{number}"), &["advisers"]).await;
        }
        // Of a hundred who want the last one, one has it.
        let asked: Vec<_> =
            (0..100).map(|number| house.admin.ask::<Done>(licensed(house, &format!("b{number}")))).collect();
        let mut granted = 0;
        for answer in asked {
            match answer.await {
                Ok(Done {}) => granted += 1,
                refused => assert_eq!(code(refused), "no_seat"),
            }
        }
        assert_eq!(granted, 1);
        let counts: WorkspaceDetail = house.admin.ask(ShowWorkspace {}).await.expect("the counts");
        assert_eq!((counts.seats, counts.seats_used), (Some(5), 5));
        assert_eq!(code(house.admin.ask::<Done>(licensed(house, "sixth")).await), "no_seat");
    }
);

/// All that is in it, as text.
fn written<T: serde::Serialize>(all: &[T]) -> String {
    serde_json::to_string(all).expect("JSON")
}

rule!(
    bo_20_no_byte_of_a_note_reaches_a_visitor,
    preset = "botnation",
    with = "",
    flip = [],
    async |house| {
        let (_ana, seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let (whose, mut browser) = house.visitor(1).await;
        let id = new_id();
        let open = Open { speaker: Speaker::Me, ..opening(id, whose, Target::Default) };
        browser.client.open(open).await.expect("opened");
        browser.follow(id).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        for number in 0..20 {
            seat.client.say(id, Speaker::Me, &format!("answer {number}")).await.expect("said");
            seat.client.note(id, Speaker::Me, &format!("SECRET-{number}")).await.expect("noted");
            watch
                .client
                .note(id, Speaker::Me, &format!("SECRET-{number} of the supervisor"))
                .await
                .expect("noted");
        }
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        let pushed = browser.drain().await;
        let read = browser.visitor_history(id, Speaker::Me).await;
        let forwarded = desk.visitor_history(id, Speaker::Visitor(whose)).await;
        let mut bytes = Vec::new();
        for notice in &pushed {
            notice.encode(Encoding::Json, &mut bytes).expect("it came as a frame");
        }
        let pushed = String::from_utf8_lossy(&bytes).into_owned();
        for seen in [pushed, written(&read), written(&forwarded)] {
            assert!(!seen.contains("SECRET") && seen.contains("answer 19"), "{seen}");
        }
        // Nor can one see where a note stood: the visitor's numbers have no gaps.
        let numbers: Vec<u64> = read.iter().map(|entry| entry.visitor_seq).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        let staff = written(&watch.staff_history(id).await);
        assert!(staff.contains("SECRET-19"), "colleagues read it: {staff}");
    },
    opposite = [("defaults.feature_notes = false", async |house| {
        let (_ana, seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("advisers")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        for staff in [&seat, &watch] {
            assert_eq!(code(staff.client.note(id, Speaker::Me, "SECRET").await), "feature_disabled");
        }
        let staff = written(&watch.staff_history(id).await);
        assert!(!staff.contains("SECRET"), "there is no note to keep from anybody: {staff}");
    })]
);

rule!(
    bo_27_replies_are_pushed_at_once,
    preset = "botnation",
    with = "",
    flip = none(
        "how fast is measured by the load generator (docs/load-testing.md); this is that nothing has to be asked for"
    ),
    async |house| {
        let (_ana, seat) = house.agent("ana", &["advisers"]).await;
        let (whose, mut browser) = house.visitor(1).await;
        let id = new_id();
        let open = Open { speaker: Speaker::Me, ..opening(id, whose, Target::Default) };
        browser.client.open(open).await.expect("opened");
        browser.follow(id).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        for number in 0..40 {
            let body = format!("answer {number}");
            seat.client.say(id, Speaker::Me, &body).await.expect("said");
            let said = |change: &VisitorChange| match change {
                VisitorChange::Said { body: seen, .. } if seen.as_str() == body => Some(()),
                _ => None,
            };
            browser.sees_visitor(id, "the reply", said).await;
        }
    }
);

rule!(
    bo_29_a_closed_conversation_becomes_active_again,
    preset = "botnation",
    with = "[workspace]\ncap = 1",
    flip = [],
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["advisers"]).await;
        let (ben, other) = house.agent("ben", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("advisers")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.say(id, Speaker::Me, "done?").await.expect("said");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        let before = watch.staff_history(id).await;

        other.client.reopen(id, Speaker::Me).await.expect("reopened");
        assert_eq!(asked(&watch, id).await, [ana], "the owner before");
        accepts(&mut seat, id, OfferKind::Offer).await;
        let after = watch.staff_history(id).await;
        assert_eq!(after[..before.len()], before[..], "the same conversation, with its history");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");

        let more = desk.opens(2, group("advisers")).await;
        seat.client.take(more, Speaker::Me).await.expect("taken");
        other.client.reopen(id, Speaker::Me).await.expect("reopened");
        assert_eq!(asked(&watch, id).await, [ben], "the owner before has no room");
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");

        seat.client.close_conversation(more, Speaker::Me).await.expect("closed");
        seat.client.set_presence(ana, Presence::Away).await.expect("away");
        other.client.reopen(id, Speaker::Me).await.expect("reopened");
        assert_eq!(asked(&watch, id).await, [ben], "never to an agent who is away");
    },
    opposite = [("workspace.cap = 2", async |house| {
        let (ana, seat) = house.agent("ana", &["advisers"]).await;
        let (_ben, other) = house.agent("ben", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("advisers")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        let more = desk.opens(2, group("advisers")).await;
        seat.client.take(more, Speaker::Me).await.expect("taken");
        other.client.reopen(id, Speaker::Me).await.expect("reopened");
        assert_eq!(asked(&watch, id).await, [ana], "the owner before has room for another");
    })]
);

rule!(
    bo_31_taking_assigns,
    preset = "botnation",
    with = "",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["advisers"]).await;
        let (ben, other) = house.agent("ben", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let (taken, answered) =
            (desk.opens(1, group("advisers")).await, desk.opens(2, group("advisers")).await);
        seat.client.take(taken, Speaker::Me).await.expect("taken");
        assert_eq!((owner(&watch, taken).await, watch.status(taken).await), (Some(ana), Status::Active));
        other.client.say(answered, Speaker::Me, "hello").await.expect("the first public reply");
        assert_eq!(owner(&watch, answered).await, Some(ben));
    },
    opposite = [("defaults.strategy = \"round_robin\"\ndefaults.allow_pull = false", async |house| {
        let (ana, seat) = house.agent("ana", &["advisers"]).await;
        let (_ben, other) = house.agent("ben", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("advisers")).await;
        let whoever = if asked(&watch, id).await == [ana] { &other } else { &seat };
        assert!(whoever.client.take(id, Speaker::Me).await.is_err(), "who was not asked can't take it");
        assert_eq!(owner(&watch, id).await, None);
    })]
);

rule!(
    bo_15_a_hand_over_is_mailed_to_the_advisers_and_shown_to_who_is_there,
    preset = "botnation",
    with = &outward::mail("conversation.handed_over", "\"group\""),
    flip = [
        "workspace.mail.post.on = [\"conversation.closed\"]",
        "workspace.mail.post.to = [\"ops@shop.example\"]"
    ],
    async |house| {
        let mut post = outward::post();
        outward::with_email(house, "ana", &["advisers"]).await;
        outward::with_email(house, "out", &[]).await;
        let (_ben, mut at_ben) = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        for whose in [1, 2] {
            let id = new_id();
            let bot = Some(Text::clip("lisa"));
            desk.client
                .open(Open { bot, ..opening(id, visitor(whose), Target::Default) })
                .await
                .expect("opened");
            let over = HandOver {
                key: desk.client.identity().next_key(),
                conversation: id,
                speaker: Speaker::Bot,
                target: Target::Default,
                preferred: None,
                variables: Variables::default(),
                tags: List::new(),
                note: None,
                return_to_bot: None,
            };
            let _: Reply = desk.client.ask(over).await.expect("handed over");
            assert_eq!(at_ben.sees_offer(id).await.conversation, id, "in-app");
            let mail = post.next().await;
            assert_eq!(mail.to, "ana@shop.example");
            assert!(mail.text.contains(&id.to_string()), "{}", mail.text);
        }
        // A visitor who comes without the bot is none of its hand-overs.
        let id = desk.opens(3, group("advisers")).await;
        at_ben.sees_offer(id).await;
        outward::all_delivered(house).await;
        assert!(post.already().is_none());
    }
);

rule!(
    bo_16_a_message_reaches_an_adviser_who_is_not_connected,
    preset = "botnation",
    with = &outward::webhook("agent.notified"),
    flip = ["workspace.tell_absent = \"nobody\"", "workspace.push = \"opt_in\""],
    async |house| {
        let mut hooks = outward::hooks();
        let (ana, at_ana) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("advisers")).await;
        at_ana.client.take(id, Speaker::Me).await.expect("taken");
        desk.client.say(id, Speaker::Visitor(visitor(1)), "while you are here").await.expect("said");
        at_ana.leave().await;
        let gone = async { while watch.agent_detail(ana).await.row.live {} };
        tokio::time::timeout(patience(), gone).await.expect("they are gone");
        let said = desk.client.say(id, Speaker::Visitor(visitor(1)), "are you there?").await.expect("said");
        let told = hooks.next().await.json();
        assert_eq!(
            (told["type"].as_str(), told["data"]["reason"].as_str()),
            (Some("agent.notified"), Some("message"))
        );
        assert_eq!(told["data"]["agents"], serde_json::json!([ana.to_string()]));
        assert_eq!(told["data"]["conversation"], id.to_string());
        assert!(said.seq.is_some());
        outward::all_delivered(house).await;
        assert!(hooks.already().is_none(), "nothing of what they saw themselves");
    }
);
