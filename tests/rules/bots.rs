//! Bots and what they hand over: rules of Botnation, Adobe and Zendesk that meet there (BO, AD-8, AD-9, ZD-3, ZD-4, ZD-9).

use maitred::{
    client::RequestError,
    ids::ConversationId,
    protocol::{
        Encoding, List, Notice, RefusalCode, Reply, Text, Variables,
        notice::{StaffChange, VisitorChange},
        reply::{ConversationPage, Done, Recorded},
        request::{
            HandOver, ListConversations, Open, Post, Rate, RequestRating, ReturnToBot, Say, SetFeature,
            SetVariables,
        },
        words::{Actor, OfferOutcome, Part, PartSent, QueueCause, Role, Speaker, Status, Target, View},
    },
};

use crate::{
    floor::{Seat, code, group, new_id, opening, visitor},
    house::rule,
    raw::Wire,
    scenes::{owned, variables},
};

const ME: Speaker = Speaker::Me;

/// A frontend opens a conversation that begins with its bot.
async fn with_bot(desk: &Seat, whose: u16) -> ConversationId {
    let id = new_id();
    let open = Open { bot: Some(Text::clip("Bibi")), ..opening(id, visitor(whose), Target::Default) };
    assert_eq!(desk.client.open(open).await.expect("opened").status, Status::Bot);
    id
}

fn over(desk: &Seat, conversation: ConversationId, target: Target) -> HandOver {
    HandOver {
        key: desk.client.identity().next_key(),
        conversation,
        speaker: Speaker::Bot,
        target,
        preferred: None,
        variables: Variables::default(),
        tags: List::new(),
        note: None,
        return_to_bot: None,
    }
}

async fn hand_over(desk: &Seat, id: ConversationId, to: &str) {
    let _: Recorded = desk.client.ask(over(desk, id, group(to))).await.expect("handed over");
}

fn back(desk: &Seat, conversation: ConversationId, whose: u16) -> ReturnToBot {
    ReturnToBot {
        key: desk.client.identity().next_key(),
        conversation,
        speaker: Speaker::Visitor(visitor(whose)),
    }
}

fn set(seat: &Seat, conversation: ConversationId, speaker: Speaker, list: &[(&str, &str)]) -> SetVariables {
    let key = seat.client.identity().next_key();
    SetVariables { key, conversation, speaker, set: variables(list), unset: List::new() }
}

rule!(
    bo_02_only_on_channels_that_allow_live_chat,
    preset = "botnation",
    with = "",
    flip = "defaults.channels = [\"web\", \"sms\"]",
    async |house| {
        let desk = house.desk().await;
        let open = |channel: &str| Open {
            channel: channel.parse().expect("a name"),
            ..opening(new_id(), visitor(1), Target::Default)
        };
        assert_eq!(code(desk.client.open(open("sms")).await), "channel_not_supported");
        desk.client.open(open("web")).await.expect("opened");
    }
);

rule!(
    bo_03_notes_are_a_feature,
    preset = "botnation",
    with = "[workspace]\nfeature_notes = false",
    flip = "workspace.feature_notes = true",
    async |house| {
        let (ana, ana_seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "advisers").await;
        assert_eq!(code(ana_seat.client.note(id, ME, "hm").await), "feature_disabled");
        let noted = HandOver {
            note: Some(Text::clip("hm")),
            ..over(&desk, with_bot(&desk, 2).await, Target::Default)
        };
        assert_eq!(code(desk.client.ask::<Recorded>(noted).await), "feature_disabled");
    }
);

rule!(
    bo_05_an_excluded_plan_is_not_eligible,
    preset = "botnation",
    with = r#"
        [[plan]]
        name = "legacy"
        live_chat = false
        [workspace]
        plan = "legacy"
    "#,
    flip = "plan.legacy.live_chat = true",
    async |house| {
        let desk = house.desk().await;
        let id = new_id();
        let opened = desk.client.open(opening(id, visitor(1), Target::Default)).await;
        assert_eq!(code(opened), "plan_not_eligible");
        // The bot needs no live chat, and hands over to nobody.
        let id = with_bot(&desk, 2).await;
        let handed = desk.client.ask::<Recorded>(over(&desk, id, Target::Default)).await;
        assert_eq!(code(handed), "plan_not_eligible");
    }
);

rule!(
    bo_13_a_bot_is_a_named_source,
    preset = "botnation",
    with = "",
    flip = none("a bot is named by the frontend that opens with it"),
    async |house| {
        let (desk, watch) = (house.desk().await, house.watch().await);
        let (bots, plain) = (with_bot(&desk, 1).await, desk.opens(2, Target::Default).await);
        let page = async |view| {
            let list = ListConversations { view, group: None, agent: None, cursor: None, limit: 100 };
            let page: ConversationPage = watch.client.ask(list).await.expect("a page");
            page.rows.iter().map(|row| (row.conversation, row.bot.clone())).collect::<Vec<_>>()
        };
        assert_eq!(page(View::Bot).await, [(bots, Some(Text::clip("Bibi")))]);
        hand_over(&desk, bots, "advisers").await;
        assert_eq!(page(View::Bot).await, []);
        let all = page(View::All).await;
        assert!(all.contains(&(bots, Some(Text::clip("Bibi")))), "it keeps its name: {all:?}");
        assert!(all.contains(&(plain, None)), "{all:?}");
    }
);

rule!(
    bo_14_a_pseudonym_is_built_from_variables,
    preset = "botnation",
    with = "[workspace]\npseudonym = \"{{PRENOM}} ({{SOCIETE}})\"",
    flip = "workspace.pseudonym = \"{{PRENOM}}\"",
    async |house| {
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = with_bot(&desk, 1).await;
        let called = async || watch.detail(id).await.row.pseudonym.as_str().to_owned();
        let anonymous = called().await;
        assert!(!anonymous.is_empty() && !anonymous.contains('{'), "{anonymous}");
        let _: Recorded =
            desk.client.ask(set(&desk, id, Speaker::Bot, &[("PRENOM", "Léa")])).await.expect("set");
        assert_eq!(called().await, anonymous, "as long as one of them is missing");
        let _: Recorded =
            desk.client.ask(set(&desk, id, Speaker::Bot, &[("SOCIETE", "Acme")])).await.expect("set");
        assert_eq!(called().await, "Léa (Acme)");
        let other = with_bot(&desk, 2).await;
        assert_ne!(
            watch.detail(other).await.row.pseudonym.as_str(),
            anonymous,
            "each visitor has a label of their own"
        );
    }
);

rule!(
    bo_21_reply_or_note_is_said_explicitly,
    preset = "botnation",
    with = "",
    flip = [],
    async |house| {
        let (ana, mut ana_seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "advisers").await;
        let token = house.floor.token(Role::Agent, None, Some(ana)).await;
        let mut wire = Wire::welcomed(&house.floor, Encoding::Json, &token).await;
        // The kind of a frame is which of the two it is; there is no third, and none that is taken for one of them.
        let say = Say { key: 1, conversation: id, speaker: ME, body: Text::clip("secret") };
        let mut frame = wire.frame(7, say);
        frame[4..6].copy_from_slice(&0x7ffe_u16.to_be_bytes());
        wire.write(&frame).await;
        let Reply::Refused(refused) = wire.reply(7).await else { panic!("an unknown kind was taken") };
        assert_eq!(refused.code, RefusalCode::UnknownKind);
        ana_seat.client.note(id, ME, "between us").await.expect("noted");
        ana_seat.client.say(id, ME, "to you").await.expect("said");
        let seen = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
        let said: Vec<&str> = seen
            .iter()
            .filter_map(|entry| match &entry.change {
                VisitorChange::Said { body, .. } => Some(body.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, ["hello", "to you"]);
        let noted = |change: &StaffChange| matches!(change, StaffChange::Noted { .. }).then_some(());
        ana_seat.sees_staff(id, "the note", noted).await;
    },
    opposite = [("workspace.feature_notes = false", async |house| {
        let (ana, ana_seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "advisers").await;
        assert_eq!(
            code(ana_seat.client.note(id, ME, "between us").await),
            "feature_disabled",
            "there is only one mode"
        );
        let seen = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
        assert!(
            !format!("{seen:?}").contains("between us"),
            "and what was meant as the other is not taken for it"
        );
    })]
);

fn photo() -> Part {
    Part {
        media: Text::clip("store:7f3a/photo-1"),
        mime: Text::clip("image/png"),
        bytes: 184_223,
        name: Some(Text::clip("Schäden am Dach.png")),
    }
}

rule!(
    bo_26_images_go_both_ways,
    preset = "botnation",
    with = "",
    flip = [],
    async |house| {
        let (ana, mut ana_seat) = house.agent("ana", &["advisers"]).await;
        let (mut desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "advisers").await;
        let part = photo();
        let sent = |part: &Part| {
            let Part { media, mime, bytes, name } = part.clone();
            PartSent { media, mime, bytes, name }
        };
        let post = |seat: &Seat, speaker, parts: Vec<Part>| Post {
            key: seat.client.identity().next_key(),
            conversation: id,
            speaker,
            body: Text::clip("☕".repeat(2_000)),
            parts: List::try_from(parts).expect("few"),
        };
        let theirs = Speaker::Visitor(visitor(1));
        let _: Recorded = desk.client.ask(post(&desk, theirs, vec![part.clone()])).await.expect("posted");
        let seen = ana_seat.sees_staff(id, "the image", |change| match change {
            StaffChange::Posted { parts, .. } => Some(parts.to_vec()),
            _ => None,
        });
        assert_eq!(seen.await, [sent(&part)]);
        let eight = vec![part.clone(); 8];
        let _: Recorded = ana_seat.client.ask(post(&ana_seat, ME, eight)).await.expect("posted");
        let seen = desk.sees_visitor(id, "the images", |change| match change {
            VisitorChange::Posted {
                parts,
                from: maitred::protocol::notice::VisitorSide::Agent { .. },
                ..
            } => Some(parts.to_vec()),
            _ => None,
        });
        assert_eq!(seen.await, vec![sent(&part); 8]);
        assert!(List::<Part, 8>::try_from(vec![part.clone(); 9]).is_err(), "a ninth can't even be said");
        let odd = Part { media: Text::clip("a \"quoted\" handle"), ..part };
        assert_eq!(code(ana_seat.client.ask::<Recorded>(post(&ana_seat, ME, vec![odd])).await), "invalid");
    },
    opposite = [("defaults.attachment_max = \"100KiB\"", async |house| {
        let (ana, ana_seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "advisers").await;
        for (seat, speaker) in [(&desk, Speaker::Visitor(visitor(1))), (&ana_seat, ME)] {
            let key = seat.client.identity().next_key();
            let parts = List::clip([photo()]);
            let post = Post { key, conversation: id, speaker, body: Text::clip("look"), parts };
            assert_eq!(code(seat.client.ask::<Recorded>(post.clone()).await), "too_large");
            let small = Part { bytes: 100 << 10, ..photo() };
            let key = seat.client.identity().next_key();
            let fits = Post { key, parts: List::clip([small]), ..post };
            let _: Recorded = seat.client.ask(fits).await.expect("just small enough");
        }
    })]
);

rule!(
    bo_28_the_visitor_returns_to_the_bot,
    preset = "botnation",
    with = "[workspace]\nreturn_to_bot = true",
    flip = "workspace.return_to_bot = false",
    async |house| {
        let (ana, mut ana_seat) = house.agent("ana", &["advisers"]).await;
        let (mut desk, watch) = (house.desk().await, house.watch().await);
        let (served, waiting) = (with_bot(&desk, 1).await, with_bot(&desk, 2).await);
        for id in [served, waiting] {
            hand_over(&desk, id, "advisers").await;
            let offered = desk.sees_visitor(id, "the button", |change| match change {
                VisitorChange::HandedOver { return_to_bot } => Some(*return_to_bot),
                _ => None,
            });
            assert!(offered.await);
        }
        ana_seat.client.take(served, ME).await.expect("taken");
        let offer = ana_seat.sees_offer(waiting).await.offer;
        for (id, whose) in [(served, 1), (waiting, 2)] {
            let _: Recorded = desk.client.ask(back(&desk, id, whose)).await.expect("back");
            let detail = watch.detail(id).await;
            assert_eq!((detail.row.status, detail.row.owner), (Status::Bot, None));
            desk.client.say(id, Speaker::Bot, "Where were we?").await.expect("the bot goes on");
        }
        let told = |change: &StaffChange| matches!(change, StaffChange::ReturnedToBot).then_some(());
        ana_seat.sees_staff(served, "that it went back", told).await;
        assert!(matches!(ana_seat.sees_ended(waiting, offer).await, OfferOutcome::Rescinded(_)));
        assert_eq!(watch.agent_detail(ana).await.row.taken, 0, "the slot is free");
    }
);

rule!(
    bo_28_no_way_back_that_was_not_configured,
    preset = "botnation",
    with = "",
    flip = "workspace.return_to_bot = true",
    async |house| {
        let mut desk = house.desk().await;
        let id = with_bot(&desk, 1).await;
        hand_over(&desk, id, "advisers").await;
        let offered = desk.sees_visitor(id, "no button", |change| match change {
            VisitorChange::HandedOver { return_to_bot } => Some(*return_to_bot),
            _ => None,
        });
        assert!(!offered.await);
        assert_eq!(code(desk.client.ask::<Recorded>(back(&desk, id, 1)).await), "wrong_state");
    }
);

rule!(
    bo_30_variables_are_pushed_and_bounded,
    preset = "botnation",
    with = "[workspace]\nvisitor_variables = [\"page.*\"]",
    flip = "workspace.visitor_variables = [\"locale\"]",
    async |house| {
        let (ana, mut ana_seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "advisers").await;
        let (_, own) = house.visitor(1).await;
        let _: Recorded = own.client.ask(set(&own, id, ME, &[("page.url", "/prices")])).await.expect("set");
        let seen = ana_seat.sees_staff(id, "the page", |change| match change {
            StaffChange::VariablesSet { set, .. } => Some(set.to_vec()),
            _ => None,
        });
        assert_eq!(seen.await, variables(&[("page.url", "/prices")]).to_vec());
        let refused =
            own.client.ask::<Recorded>(set(&own, id, ME, &[("contact.email", "x@example.com")])).await;
        assert_eq!(code(refused), "forbidden", "what is not opened to visitors");
        let half = "x".repeat(1_000);
        let names: Vec<String> = (0..8).map(|number| format!("v{number}")).collect();
        let seven: Vec<(&str, &str)> = names[..7].iter().map(|name| (name.as_str(), half.as_str())).collect();
        let _: Recorded = desk.client.ask(set(&desk, id, ME, &seven)).await.expect("7 KB");
        let refused = desk.client.ask::<Recorded>(set(&desk, id, ME, &[("a", &half), ("b", &half)])).await;
        assert_eq!(code(refused), "too_large");
    }
);

rule!(
    bo_33_the_named_adviser_is_asked_first,
    preset = "botnation",
    with = "",
    flip = [],
    async |house| {
        let (ana, mut ana_seat) = house.agent("ana", &["advisers"]).await;
        let (_, mut ben_seat) = house.agent("ben", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        owned(&desk, &watch, ana, 9, "advisers").await;
        let id = with_bot(&desk, 1).await;
        let to_ana = HandOver { preferred: Some(ana), ..over(&desk, id, group("advisers")) };
        let _: Recorded = desk.client.ask(to_ana).await.expect("handed over");
        ana_seat.sees_offer(id).await;
        let asked = |notice: &Notice| matches!(notice, Notice::OfferMade(made) if made.conversation == id);
        assert!(!ben_seat.drain().await.iter().any(asked), "Ben is not asked");
        // Nobody is there by that name any more: it goes the usual way.
        ana_seat.client.set_presence(ana, maitred::protocol::words::Presence::Away).await.expect("away");
        let id = with_bot(&desk, 2).await;
        let to_ana = HandOver { preferred: Some(ana), ..over(&desk, id, group("advisers")) };
        let _: Recorded = desk.client.ask(to_ana).await.expect("handed over");
        ben_seat.sees_offer(id).await;
    },
    opposite = [("defaults.cap = 1", async |house| {
        let (ana, mut ana_seat) = house.agent("ana", &["advisers"]).await;
        let (_, mut ben_seat) = house.agent("ben", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        owned(&desk, &watch, ana, 9, "advisers").await;
        ana_seat.drain().await;
        let id = with_bot(&desk, 1).await;
        let to_ana = HandOver { preferred: Some(ana), ..over(&desk, id, group("advisers")) };
        let _: Recorded = desk.client.ask(to_ana).await.expect("handed over");
        ben_seat.sees_offer(id).await;
        let asked = |notice: &Notice| matches!(notice, Notice::OfferMade(made) if made.conversation == id);
        assert!(!ana_seat.drain().await.iter().any(asked), "she has no room");
    })]
);

rule!(
    bo_35_the_note_is_there_first_and_once,
    preset = "botnation",
    with = "",
    flip = [],
    async |house| {
        let (_, mut ana) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = with_bot(&desk, 1).await;
        let noted =
            HandOver { note: Some(Text::clip("wants a quote")), ..over(&desk, id, group("advisers")) };
        for _ in 0..2 {
            let _: Recorded = desk.client.ask(noted.clone()).await.expect("handed over, however often");
        }
        ana.sees_offer(id).await;
        let history = watch.staff_history(id).await;
        let order: Vec<&str> = history
            .iter()
            .filter_map(|entry| match &entry.event {
                StaffChange::Noted { body } => {
                    assert_eq!((body.as_str(), entry.by), ("wants a quote", Actor::Bot));
                    Some("note")
                }
                StaffChange::Queued { cause: QueueCause::Bot, .. } => Some("queued"),
                StaffChange::Offered { .. } | StaffChange::Announced { .. } => Some("asked"),
                _ => None,
            })
            .collect();
        assert_eq!(order, ["note", "queued", "asked"]);
    },
    opposite = [("defaults.feature_notes = false", async |house| {
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = with_bot(&desk, 1).await;
        let noted =
            HandOver { note: Some(Text::clip("wants a quote")), ..over(&desk, id, group("advisers")) };
        assert_eq!(code(desk.client.ask::<Recorded>(noted).await), "feature_disabled");
        assert_eq!(watch.status(id).await, Status::Bot, "nothing is handed over without what belongs to it");
    })]
);

rule!(
    ad_08_after_the_hand_over_the_bot_is_silent,
    preset = "adobe",
    with = "[workspace]\nreturn_to_bot = true",
    flip = [],
    async |house| {
        let desk = house.desk().await;
        let id = with_bot(&desk, 1).await;
        desk.client.say(id, Speaker::Bot, "An agent will be with you.").await.expect("said");
        hand_over(&desk, id, "support").await;
        assert_eq!(code(desk.client.say(id, Speaker::Bot, "One more thing").await), "handed_off");
        let _: Recorded = desk.client.ask(back(&desk, id, 1)).await.expect("an explicit return");
        desk.client.say(id, Speaker::Bot, "Here I am").await.expect("said");
    },
    opposite = [("workspace.return_to_bot = false", async |house| {
        let desk = house.desk().await;
        let id = with_bot(&desk, 1).await;
        hand_over(&desk, id, "support").await;
        assert_eq!(
            code(desk.client.ask::<Recorded>(back(&desk, id, 1)).await),
            "wrong_state",
            "there is no way back"
        );
        assert_eq!(
            code(desk.client.say(id, Speaker::Bot, "Here I am").await),
            "handed_off",
            "silent for good"
        );
    })]
);

rule!(
    ad_09_captured_fields_are_in_the_offer,
    preset = "adobe",
    with = r#"
        [[workspace.group]]
        name = "support"
        required_fields = ["contact.first_name", "contact.email"]
    "#,
    flip = "workspace.group.support.required_fields = []",
    async |house| {
        let (_, mut ana) = house.agent("ana", &["support"]).await;
        let desk = house.desk().await;
        let id = with_bot(&desk, 1).await;
        let refused = desk.client.ask::<Recorded>(over(&desk, id, group("support"))).await;
        let Err(RequestError::Refused(refused)) = refused else { panic!("not refused: {refused:?}") };
        assert_eq!(refused.code, RefusalCode::MissingFields);
        let named = "missing_fields[contact.first_name, contact.email]";
        assert!(refused.message.as_str().starts_with(named), "{}", refused.message.as_str());
        let captured = [("contact.first_name", "Léa"), ("contact.email", "lea@example.com")];
        let full = HandOver { variables: variables(&captured), ..over(&desk, id, group("support")) };
        let _: Recorded = desk.client.ask(full).await.expect("handed over");
        assert_eq!(ana.sees_offer(id).await.variables.to_vec(), variables(&captured).to_vec());
        let bare = desk.client.open(opening(new_id(), visitor(2), group("support"))).await;
        assert_eq!(code(bare), "missing_fields", "an opening is asked the same");
    }
);

rule!(
    ad_09_the_group_that_a_rule_chose_asks_for_its_own_fields,
    preset = "adobe",
    with = r#"
        [workspace]
        default_group = "support"
        [[workspace.group]]
        name = "prime"
        required_fields = ["contact.email"]
        [[workspace.rule]]
        name = "large"
        when = [{ name = "cart", ">=" = 500 }, { name = "tag", ne = "known" }]
        then = { group = "prime" }
    "#,
    flip =
        ["workspace.group.prime.required_fields = []", "workspace.rule.large.then = { group = \"support\" }"],
    async |house| {
        let (_, mut ana) = house.agent("ana", &["prime", "support"]).await;
        let desk = house.desk().await;
        let any = Target::Default;
        let opens = async |number: u16, known: &[(&str, &str)]| {
            let id = new_id();
            let open = Open { variables: variables(known), ..opening(id, visitor(number), any.clone()) };
            (id, desk.client.open(open).await)
        };
        // The default group asks for nothing, the rule's for an address.
        let (id, small) = opens(1, &[("cart", "10")]).await;
        small.expect("nothing is required");
        assert_eq!(ana.sees_offer(id).await.group.expect("a group").as_str(), "support");
        assert_eq!(code(opens(2, &[("cart", "900")]).await.1), "missing_fields");
        let (id, full) = opens(2, &[("cart", "900"), ("contact.email", "lea@example.com")]).await;
        full.expect("all is known");
        assert_eq!(ana.sees_offer(id).await.group.expect("a group").as_str(), "prime");

        // A bot that hands over is asked by what it says with it.
        let id = with_bot(&desk, 3).await;
        let large = HandOver { variables: variables(&[("cart", "900")]), ..over(&desk, id, any.clone()) };
        assert_eq!(code(desk.client.ask::<Recorded>(large.clone()).await), "missing_fields");
        let key = desk.client.identity().next_key();
        let known = HandOver { key, tags: List::clip([Text::clip("known")]), ..large };
        let _: Recorded = desk.client.ask(known).await.expect("the rule does not apply to who is known");
        assert_eq!(ana.sees_offer(id).await.group.expect("a group").as_str(), "support");
    }
);

rule!(
    zd_03_images_and_emoji_have_no_switch,
    preset = "zendesk",
    with = "",
    flip = none("the rule is that there is no such value"),
    async |house| {
        let watch = house.watch().await;
        let off = |feature: &str| SetFeature { feature: Text::clip(feature), on: false };
        for feature in ["images", "emoji"] {
            assert_eq!(code(watch.client.ask::<Done>(off(feature)).await), "unsupported_setting");
        }
        assert_eq!(code(watch.client.ask::<Done>(off("notes")).await), "managed_by_config");
        let text = "preset = \"zendesk\"\n[defaults]\nimages = false\n";
        let file = house.floor.file().with_file_name("off.toml");
        std::fs::write(&file, text).expect("written");
        let problems = maitred::config::check(Some(&file)).expect_err("there is no such key").to_string();
        assert!(problems.contains("images"), "{problems}");
    }
);

rule!(
    zd_04_no_rating_where_ratings_are_off,
    preset = "zendesk",
    with = "[workspace]\nfeature_ratings = false",
    flip = "workspace.feature_ratings = true",
    async |house| {
        let (ana, ana_seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        let key = ana_seat.client.identity().next_key();
        let asked =
            ana_seat.client.ask::<Recorded>(RequestRating { key, conversation: id, speaker: ME }).await;
        assert_eq!(code(asked), "rating_disabled");
    }
);

rule!(
    zd_04_the_visitor_is_asked_and_rates_once,
    preset = "zendesk",
    with = "",
    flip = "workspace.feature_ratings = false",
    async |house| {
        let (ana, ana_seat) = house.agent("ana", &["support"]).await;
        let (mut desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        let rate = |score| Rate {
            key: desk.client.identity().next_key(),
            conversation: id,
            speaker: Speaker::Visitor(visitor(1)),
            score,
            comment: Some(Text::clip("quick")),
        };
        assert_eq!(code(desk.client.ask::<Recorded>(rate(5)).await), "wrong_state", "nobody asked");
        let key = ana_seat.client.identity().next_key();
        let request = RequestRating { key, conversation: id, speaker: ME };
        let _: Recorded = ana_seat.client.ask(request).await.expect("asked");
        ana_seat.client.close_conversation(id, ME).await.expect("closed");
        let (good, again) = (rate(4), rate(1));
        let asked = |change: &VisitorChange| matches!(change, VisitorChange::RatingRequested).then_some(());
        desk.sees_visitor(id, "the prompt", asked).await;
        let _: Recorded = desk.client.ask(good).await.expect("rated");
        assert_eq!(code(desk.client.ask::<Recorded>(again).await), "wrong_state");
        assert_eq!(watch.detail(id).await.rating, Some(4));
        let said = watch.staff_history(id).await.into_iter().find_map(|entry| match entry.event {
            StaffChange::Rated { comment, .. } => comment.map(|comment| comment.as_str().to_owned()),
            _ => None,
        });
        assert_eq!(said.as_deref(), Some("quick"));
    }
);

rule!(
    zd_09_contact_details_are_edited_and_exported,
    preset = "zendesk",
    with = "",
    flip = [],
    async |house| {
        let (ana, ana_seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        for email in ["old@example.com", "new@example.com"] {
            let edit = set(&ana_seat, id, ME, &[("contact.email", email)]);
            let _: Recorded = ana_seat.client.ask(edit).await.expect("edited");
        }
        let seen = watch.detail(id).await.variables.to_vec();
        assert_eq!(seen, variables(&[("contact.email", "new@example.com")]).to_vec());
        let copy = tempfile::tempdir().expect("a directory");
        let data = copy.path().join("data");
        house.floor.running().control().back_up(data.clone()).expect("copied");
        let mut exported = Vec::new();
        maitred::daemon::inspect::export(&data, &mut exported).expect("exported");
        let exported = String::from_utf8(exported).expect("JSON");
        let audit =
            exported.lines().find(|line| line.contains("VariablesSet") && line.contains("new@example.com"));
        let audit = audit.expect("an entry of the change");
        assert!(audit.contains("old@example.com") && audit.contains(&ana.to_string()), "{audit}");
    },
    opposite = [("defaults.agent_variables = [\"order.*\"]", async |house| {
        let (ana, ana_seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        let edit = set(&ana_seat, id, ME, &[("contact.email", "new@example.com")]);
        assert_eq!(code(ana_seat.client.ask::<Recorded>(edit).await), "forbidden", "it is another system's");
        let other = set(&ana_seat, id, ME, &[("order.number", "7")]);
        let _: Recorded = ana_seat.client.ask(other).await.expect("what is opened to her");
        let by_frontend = set(&desk, id, ME, &[("contact.name", "Léa")]);
        let _: Recorded = desk.client.ask(by_frontend).await.expect("frontends set any");
        let known = [("order.number", "7"), ("contact.name", "Léa")];
        assert_eq!(watch.detail(id).await.variables.to_vec(), variables(&known).to_vec());
    })]
);
