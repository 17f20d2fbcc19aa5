//! Adobe Dynamic Chat: AD-1 to AD-25.

use std::time::Duration;

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Text,
        notice::{StaffChange, VisitorChange, VisitorEntry},
        reply::{ConversationDetail, Done, WorkspaceDetail},
        request::{ReportFailure, ResolveLink, ShowWorkspace},
        words::{FallbackReason, OfferKind, Presence, Push, Speaker, Status, Target},
    },
};

use crate::{
    floor::{Seat, code, group, new_id, opening, seconds, visitor},
    house::{House, is_offer, rule},
    outward,
    scenes::{accepts, asked, opens_with, owner, reasons, told},
};

/// The preset's two fallback texts.
const GLOBAL: &str = "Live chat is not available at the moment.";
const LIVE_CHAT: &str = "No agent could take your chat. Please leave us your e-mail address.";

async fn used(house: &House) -> u64 {
    let counts: WorkspaceDetail = house.admin.ask(ShowWorkspace {}).await.expect("the counts");
    counts.engagements_used
}

/// Uses engagements up.
async fn engage(desk: &Seat, visitors: std::ops::Range<u16>) -> Vec<ConversationId> {
    let mut opened = Vec::new();
    for number in visitors {
        opened.push(desk.opens(number, group("support")).await);
    }
    opened
}

rule!(
    ad_01_the_trial_ends_with_its_last_engagement,
    preset = "adobe",
    with = "",
    flip = ["defaults.lifetime_engagements = 101", "defaults.lifetime_engagements = 99"],
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        engage(&desk, 0..99).await;
        assert_eq!(used(house).await, 99);
        let both = [(new_id(), 1_000), (new_id(), 1_001)];
        let asked = both.map(|(id, whose)| desk.client.open(opening(id, visitor(whose), group("support"))));
        for opened in asked {
            opened.await.expect("opened");
        }
        let mut turned_away = 0;
        for (id, _) in both {
            turned_away += usize::from(reasons(&watch, id).await == [FallbackReason::QuotaExhausted]);
        }
        assert_eq!((turned_away, used(house).await), (1, 100), "exactly one is admitted");
    }
);

rule!(
    ad_02_at_the_limit_the_global_message_is_shown,
    preset = "adobe",
    with = "",
    flip = ["defaults.lifetime_engagements = \"off\"", "defaults.fallback_message = \"Another text.\""],
    async |house| {
        let (_ana, mut seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        engage(&desk, 0..100).await;
        seat.drain().await;
        let (whose, browser) = house.visitor(500).await;
        let id = new_id();
        browser.client.open(opening(id, whose, group("support"))).await.expect("opened");
        assert_eq!(told(&desk, id, 500).await, [GLOBAL]);
        assert_eq!(reasons(&watch, id).await, [FallbackReason::QuotaExhausted]);
        let history = watch.staff_history(id).await;
        let queued =
            |change: &StaffChange| matches!(change, StaffChange::Queued { .. } | StaffChange::Offered { .. });
        assert!(!history.iter().any(|entry| queued(&entry.event)), "neither queue nor offer: {history:?}");
        assert_eq!(watch.status(id).await, Status::Missed);
    }
);

rule!(
    ad_03_the_limit_is_raised_without_a_restart,
    preset = "adobe",
    with = "",
    flip = [],
    async |house| {
        let (_ana, mut seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let opened = engage(&desk, 0..101).await;
        assert_eq!(watch.status(opened[100]).await, Status::Missed, "the limit holds");
        // A year on, whatever was offered is long over.
        seat.drain().await;
        house.change("defaults.lifetime_engagements = 200");
        let next = engage(&desk, 500..501).await[0];
        assert_eq!((reasons(&watch, next).await, used(house).await), (vec![], 101));
        assert_ne!(watch.status(next).await, Status::Missed);
    },
    opposite = [("defaults.lifetime_engagements = \"off\"", async |house| {
        let (_ana, _seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let opened = engage(&desk, 0..101).await;
        assert_ne!(watch.status(opened[100]).await, Status::Missed, "there is nothing to raise");
    })]
);

rule!(
    ad_04_the_count_is_for_life,
    preset = "adobe",
    with = "",
    flip = "defaults.lifetime_engagements = 61",
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["support"]).await;
        let desk = house.desk().await;
        let opened = engage(&desk, 0..60).await;
        assert_eq!(used(house).await, 60);
        // Asking again is the same engagement.
        let (first, whose) = (opened[0], Speaker::Visitor(visitor(0)));
        desk.client.close_conversation(first, whose).await.expect("closed");
        desk.client.reopen(first, Speaker::Visitor(visitor(0))).await.ok();
        assert_eq!(used(house).await, 60);
        house.restart(seconds(40 * 24 * 3_600)).await;
        assert_eq!(used(house).await, 60, "neither a restart nor a new month resets it");
        let desk = house.desk().await;
        for whose in 500..540 {
            let opening = opening(house.new_id(), visitor(whose), group("support"));
            desk.client.open(opening).await.expect("opened");
        }
        assert_eq!(used(house).await, 100);
        let late = house.new_id();
        desk.client.open(opening(late, visitor(600), group("support"))).await.expect("opened");
        assert_eq!(told(&desk, late, 600).await, [GLOBAL]);
    }
);

rule!(
    ad_19_after_expiry_the_visitor_reads_the_fallback,
    preset = "adobe",
    with = "",
    flip = ["defaults.livechat_fallback_message = \"Another text.\""],
    async |house| {
        let mut seats = [house.agent("ana", &["support"]).await.1, house.agent("ben", &["support"]).await.1];
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        seats[0].sees_offer(id).await;
        house.wait(seconds(45));
        let mut watch = watch;
        watch.follow(id).await;
        let reason = |change: &StaffChange| match change {
            StaffChange::FellBack { reason, .. } => Some(*reason),
            _ => None,
        };
        assert_eq!(watch.sees_staff(id, "the fallback", reason).await, FallbackReason::OffersExhausted);
        assert_eq!(told(&desk, id, 1).await, [LIVE_CHAT]);
        let seen = seats[1].drain().await;
        assert!(!seen.iter().any(is_offer), "nobody else is asked: {seen:?}");
    },
    opposite = [("defaults.max_offers = 2", async |house| {
        let mut seats = [house.agent("ana", &["support"]).await.1, house.agent("ben", &["support"]).await.1];
        let desk = house.desk().await;
        let id = desk.opens(1, group("support")).await;
        seats[0].sees_offer(id).await;
        house.wait(seconds(45));
        seats[1].sees_offer(id).await;
        assert!(told(&desk, id, 1).await.is_empty(), "nobody tells the visitor that nobody is there");
    })]
);

rule!(
    ad_11_one_after_the_other_in_order,
    preset = "adobe",
    with = "",
    flip = ["defaults.strategy = \"broadcast\""],
    async |house| {
        let mut seats = Vec::new();
        for name in ["ana", "ben", "cleo"] {
            seats.push(house.agent(name, &["support"]).await.1);
        }
        let desk = house.desk().await;
        for (number, turn) in (0..).zip([0, 1, 2, 0, 1, 2]) {
            let id = desk.opens(number, group("support")).await;
            accepts(&mut seats[turn], id, OfferKind::Offer).await;
            // Whoever is idle is not preferred: cleo has nothing, and it is ana's turn all the same.
            if turn == 2 {
                seats[turn].client.close_conversation(id, Speaker::Me).await.expect("closed");
            }
        }
    },
    opposite = [("defaults.strategy = \"least_active\"", async |house| {
        let mut seats = Vec::new();
        for name in ["ana", "ben", "cleo"] {
            seats.push(house.agent(name, &["support"]).await);
        }
        let (desk, watch) = (house.desk().await, house.watch().await);
        for (number, (_, seat)) in (0..).zip(&mut seats) {
            let id = desk.opens(number, group("support")).await;
            accepts(seat, id, OfferKind::Offer).await;
            if number == 2 {
                seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
            }
        }
        let id = desk.opens(3, group("support")).await;
        assert_eq!(asked(&watch, id).await, [seats[2].0], "who is idle, though it is not her turn");
    })]
);

/// What the rule of AD-12 looks at.
const OPTION: &[(&str, &str)] = &[("option", "agent")];

rule!(
    ad_12_one_chosen_agent_and_nobody_else,
    preset = "adobe",
    with = r#"
        [[workspace.agent]]
        name = "ana"
        display_name = "Ana"
        groups = ["support"]
        [[workspace.rule]]
        name = "chosen"
        when = { name = "option", eq = "agent" }
        then = { agent = "ana" }
    "#,
    flip = ["defaults.livechat_fallback_message = \"Another text.\""],
    async |house| {
        let (ana, mut chosen) = house.managed("ana").await;
        let (_ben, mut other) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = opens_with(&desk, 1, Target::Default, OPTION).await;
        accepts(&mut chosen, id, OfferKind::Offer).await;
        chosen.client.set_presence(ana, Presence::Offline).await.expect("offline");
        // Whether it is the rule that names her or who hands it over.
        for (whose, target) in [(2, Target::Default), (3, Target::Agent(ana))] {
            let id = opens_with(&desk, whose, target, OPTION).await;
            assert_eq!(watch.status(id).await, Status::Missed);
            assert_eq!(told(&desk, id, whose).await, [LIVE_CHAT]);
        }
        let seen = other.drain().await;
        assert!(!seen.iter().any(is_offer), "nobody else is tried: {seen:?}");
    },
    opposite = [("workspace.rule.chosen.then = { group = \"support\" }", async |house| {
        let (ana, chosen) = house.managed("ana").await;
        let (_ben, mut other) = house.agent("ben", &["support"]).await;
        let desk = house.desk().await;
        chosen.client.set_presence(ana, Presence::Offline).await.expect("offline");
        let id = opens_with(&desk, 1, Target::Default, OPTION).await;
        accepts(&mut other, id, OfferKind::Offer).await;
    })]
);

rule!(
    ad_15_a_team_takes_turns_of_its_own,
    preset = "adobe",
    with = "",
    flip = ["workspace.group.support.strategy = \"broadcast\"", "defaults.strategy = \"broadcast\""],
    async |house| {
        let mut seats = Vec::new();
        for number in 0..10 {
            let groups: &[&str] = if number < 2 { &["support"] } else { &[] };
            seats.push(house.agent(&format!("a{number}"), groups).await);
        }
        let (desk, watch) = (house.desk().await, house.watch().await);
        let (mut team, mut all) = (Vec::new(), Vec::new());
        for number in 0..6 {
            let id = desk.opens(number, group("support")).await;
            team.extend(asked(&watch, id).await);
            let id = desk.opens(100 + number, Target::Everyone).await;
            all.extend(asked(&watch, id).await);
        }
        let ids: Vec<AgentId> = seats.iter().map(|(agent, _)| *agent).collect();
        assert_eq!(team, [ids[0], ids[1], ids[0], ids[1], ids[0], ids[1]], "only the team, in turns");
        assert_eq!(all, ids[..6], "the turns of all go on by themselves");
    }
);

rule!(
    ad_17_an_offer_asks_to_accept_with_a_sound,
    preset = "adobe",
    with = "",
    flip = [],
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        let offer = seat.sees_offer(id).await;
        assert_eq!((offer.agent, offer.accept_within_ms, offer.sound), (ana, Some(45_000), true));
        assert_eq!(offer.deadline, Some(house.clock.now() + seconds(45)));
        assert_eq!(
            (watch.status(id).await, owner(&watch, id).await),
            (Status::Offered, None),
            "not connected"
        );
        let joined = |entry: &VisitorEntry| matches!(entry.change, VisitorChange::AgentJoined { .. });
        let seen = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
        assert!(!seen.iter().any(joined), "{seen:?}");
        seat.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
        assert_eq!((watch.status(id).await, owner(&watch, id).await), (Status::Active, Some(ana)));
        let seen = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
        assert!(seen.iter().any(joined), "{seen:?}");
    },
    opposite = [("defaults.strategy = \"assign\"", async |house| {
        let (ana, mut seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        assert_eq!(
            (watch.status(id).await, owner(&watch, id).await),
            (Status::Active, Some(ana)),
            "connected at once"
        );
        assert!(!seat.drain().await.iter().any(is_offer), "she is not asked");
    })]
);

rule!(
    ad_18_forty_five_seconds_to_accept,
    preset = "adobe",
    with = "",
    flip = [],
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        let offer = seat.sees_offer(id).await;
        house.wait(Duration::from_millis(44_999));
        seat.client.accept(id, Speaker::Me, offer.offer).await.expect("in time");
        assert_eq!(owner(&watch, id).await, Some(ana));
        let id = desk.opens(2, group("support")).await;
        let offer = seat.sees_offer(id).await;
        house.wait(Duration::from_millis(45_001));
        assert_eq!(code(seat.client.accept(id, Speaker::Me, offer.offer).await), "offer_timed_out");
        assert_eq!(owner(&watch, id).await, None);
    },
    opposite = [
        ("defaults.accept_timeout = \"44s\"", async |house| {
            let (_ana, mut seat) = house.agent("ana", &["support"]).await;
            let (desk, watch) = (house.desk().await, house.watch().await);
            let id = desk.opens(1, group("support")).await;
            let offer = seat.sees_offer(id).await;
            house.wait(Duration::from_millis(44_999));
            assert_eq!(code(seat.client.accept(id, Speaker::Me, offer.offer).await), "offer_timed_out");
            assert_eq!(owner(&watch, id).await, None);
        }),
        ("defaults.accept_timeout = \"46s\"", async |house| {
            let (ana, mut seat) = house.agent("ana", &["support"]).await;
            let (desk, watch) = (house.desk().await, house.watch().await);
            let id = desk.opens(1, group("support")).await;
            let offer = seat.sees_offer(id).await;
            house.wait(Duration::from_millis(45_001));
            seat.client.accept(id, Speaker::Me, offer.offer).await.expect("in time");
            assert_eq!(owner(&watch, id).await, Some(ana));
        }),
    ]
);

rule!(
    ad_06_an_offer_and_its_mail_lead_to_the_conversation,
    preset = "adobe",
    with = &format!(
        "{}[workspace]\ninbox_url = \"https://inbox.example/open?link={{link}}\"\n",
        outward::mail("conversation.offered", "\"agent\"")
    ),
    flip = ["workspace.inbox_url = \"off\"", "workspace.mail.post.on = [\"conversation.closed\"]"],
    async |house| {
        let mut post = outward::post();
        let ana = outward::with_email(house, "ana", &["support"]).await;
        let mut seat = house.session(ana).await;
        seat.client.set_presence(ana, Presence::Online).await.expect("online");
        let id = house.desk().await.opens(1, group("support")).await;
        let offer = seat.sees_offer(id).await;
        let mail = post.next().await;
        assert_eq!(mail.to, "ana@shop.example");
        // Quoted-printable breaks lines and writes `=` as `=3D`.
        let text = mail.text.replace("=\n", "").replace("=3D", "=");
        let link = text.split("https://inbox.example/open?link=").nth(1).expect("a link").trim();
        for link in [offer.link.clone(), Text::clip(link)] {
            let resolve = ResolveLink { speaker: Speaker::Me, link };
            let found: ConversationDetail = seat.client.ask(resolve).await.expect("it leads there");
            assert_eq!(found.row.conversation, id);
        }
    }
);

rule!(
    ad_16_who_is_not_connected_is_told_and_offered_nothing,
    preset = "adobe",
    with = &outward::webhook("agent.notified"),
    flip = [
        "defaults.tell_absent = \"nobody\"",
        "defaults.push = \"opt_out\"",
        "workspace.webhook.out.events = [\"conversation.closed\"]"
    ],
    async |house| {
        let mut hooks = outward::hooks();
        let (ana, cleo) = (house.known("ana", &["support"]).await, house.known("cleo", &["support"]).await);
        // Both were asked by a banner once; only Ana said yes.
        let at_ana = house.session(ana).await;
        let endpoint = Some(Text::clip("https://push.example/of-ana"));
        at_ana.client.set_push(ana, Push::On { endpoint }).await.expect("switched on");
        let strange = Push::On { endpoint: Some(Text::clip("two words")) };
        assert_eq!(code(at_ana.client.set_push(ana, strange).await), "invalid");
        assert_eq!(code(at_ana.client.set_push(cleo, Push::Off).await), "forbidden");
        at_ana.leave().await;
        house.restart(seconds(60)).await;
        let (_ben, mut at_ben) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        assert_eq!(watch.agent_detail(ana).await.push, Some(true), "as she said before the restart");
        assert_eq!(watch.agent_detail(cleo).await.push, None);
        let id = desk.opens(1, group("support")).await;
        let told = hooks.next().await.json();
        assert_eq!(told["data"]["agents"], serde_json::json!([ana.to_string()]));
        let reached = serde_json::json!({ ana.to_string(): "https://push.example/of-ana" });
        assert_eq!(told["data"]["endpoints"], reached);
        assert_eq!(told["data"]["conversation"], id.to_string());
        assert_eq!(told["data"]["reason"], "waiting");
        let offer = at_ben.sees_offer(id).await;
        at_ben.client.decline(id, Speaker::Me, offer.offer).await.expect("declined");
        assert_eq!(watch.status(id).await, Status::Missed, "who was only told is no candidate");
        // She has had enough of it.
        watch.client.set_push(ana, Push::Off).await.expect("switched off");
        let id = desk.opens(4, group("support")).await;
        let offer = at_ben.sees_offer(id).await;
        at_ben.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
        outward::all_delivered(house).await;
        assert!(hooks.already().is_none(), "nobody is told any more");
        // Connected, and still not one who wants conversations.
        let mut at_ana = house.session(ana).await;
        at_ben.client.set_presence(_ben, Presence::Away).await.expect("away");
        desk.opens(2, group("support")).await;
        assert!(!at_ana.drain().await.iter().any(is_offer));
        at_ana.client.set_presence(ana, Presence::Online).await.expect("online");
        let id = desk.opens(3, group("support")).await;
        assert_eq!(at_ana.sees_offer(id).await.agent, ana);
    }
);

rule!(
    ad_25_a_failed_action_is_told_once_by_mail_and_webhook,
    preset = "adobe",
    with = &(outward::webhook("action_failed") + &outward::mail("action_failed", "[\"ops@shop.example\"]")),
    flip = [
        "workspace.webhook.out.events = [\"conversation.closed\"]",
        "workspace.mail.post.on = [\"conversation.closed\"]"
    ],
    async |house| {
        let (mut hooks, mut post) = (outward::hooks(), outward::post());
        let (_ana, mut seat) = house.agent("ana", &["support"]).await;
        let desk = house.desk().await;
        let id = desk.opens(1, group("support")).await;
        seat.sees_offer(id).await;
        house.wait(seconds(45));
        let told = hooks.next().await.json();
        assert_eq!(
            (told["data"]["action"].as_str(), told["data"]["reason"].as_str()),
            (Some("live_chat"), Some("offers_exhausted"))
        );
        assert_eq!(told["data"]["conversation"], id.to_string());
        let mail = post.next().await;
        assert_eq!(
            (mail.to.as_str(), mail.header("Subject")),
            ("ops@shop.example", "[test] live_chat failed: offers_exhausted")
        );
        outward::all_delivered(house).await;
        assert!(hooks.already().is_none() && post.already().is_none(), "one notification of each kind");
        // What a frontend reports is told likewise.
        let report = ReportFailure {
            action: Text::clip("meeting_booking"),
            cause: Text::clip("no free slot"),
            visitor: Some(visitor(1)),
            conversation: Some(id),
            reference: None,
        };
        let _: Done = desk.client.ask(report).await.expect("reported");
        let told = hooks.next().await.json();
        assert_eq!(
            (told["data"]["action"].as_str(), told["data"]["reason"].as_str()),
            (Some("meeting_booking"), Some("no free slot"))
        );
        assert_eq!(post.next().await.header("Subject"), "[test] meeting_booking failed: no free slot");
    }
);
