//! Brevo Conversations, before anybody is asked: triggers (BR-11 to BR-14, BR-18) and the picker (BR-15 to BR-24).

use maitred::{
    ids::AgentId,
    protocol::{
        Notice, Reply,
        notice::{StaffChange, VisitorChange},
        reply::{ChoicePage, ConversationPage, Opened, VisitorPage},
        request::{ListChoices, ListOfVisitor, ListVisitors, Open, ShowConversation},
        words::{Choice, Doing, Presence, Speaker, Status, Target},
    },
};

use crate::{
    floor::{Seat, code, group, new_id, opening, seconds, visitor, workspace},
    house::{is_offer, rule},
    scenes::visits,
};

/// With everything that asks visitors for a group.
const ASKING: &str = r#"
    [workspace.picker]
    enabled = true
    not_sure = true
    hold = "10m"
"#;

/// Opens for a visitor of a frontend without naming a group, having said hello.
async fn writes(desk: &Seat, number: u16) -> Opened {
    desk.client.open(opening(new_id(), visitor(number), Target::Default)).await.expect("opened")
}

/// Why it went where it went, as staff read it.
async fn led_by(watch: &Seat, opened: &Opened) -> Option<String> {
    let history = watch.staff_history(opened.conversation).await;
    history.iter().find_map(|entry| match &entry.event {
        StaffChange::Led { cause, .. } => Some(cause.as_str().to_owned()),
        _ => None,
    })
}

async fn group_of(watch: &Seat, opened: &Opened) -> Option<String> {
    watch.detail(opened.conversation).await.row.group.map(|group| group.to_string())
}

const FRENCH: &str = r#"
        [workspace.picker]
        enabled = false
    [[workspace.group]]
    name = "fr"
    label = "Français"
    [[workspace.trigger]]
    name = "french"
    active = true
    on = "widget_open"
    when = { name = "page.url", contains = "/fr" }
    group = "fr"
"#;

rule!(
    br_11_a_trigger_assigns_to_a_group,
    preset = "brevo",
    with = FRENCH,
    flip =
        ["workspace.trigger.french.when.contains = \"/de\"", "workspace.trigger.french.group = \"support\""],
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["fr", "support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        visits(&desk, 1, &[("page.url", "https://shop.example/fr/")], true).await;
        visits(&desk, 2, &[("page.url", "https://shop.example/en/")], true).await;
        let (french, english) = (writes(&desk, 1).await, writes(&desk, 2).await);
        assert_eq!(group_of(&watch, &french).await.as_deref(), Some("fr"));
        assert_eq!(led_by(&watch, &french).await.as_deref(), Some("trigger:french"));
        assert_ne!(group_of(&watch, &english).await.as_deref(), Some("fr"));
        assert_eq!(led_by(&watch, &english).await, None);
    }
);

rule!(
    br_13_saved_but_not_activated,
    preset = "brevo",
    with = r#"
            [workspace.picker]
            enabled = false
        [[workspace.group]]
        name = "fr"
        [[workspace.trigger]]
        name = "french"
        on = "widget_open"
        group = "fr"
    "#,
    flip = "workspace.trigger.french.active = true",
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["fr", "support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        visits(&desk, 1, &[("page.url", "https://shop.example/fr/")], true).await;
        let opened = writes(&desk, 1).await;
        assert_ne!(group_of(&watch, &opened).await.as_deref(), Some("fr"));
        assert_eq!(led_by(&watch, &opened).await, None);
    }
);

rule!(
    br_14_a_trigger_acts_when_the_widget_opens,
    preset = "brevo",
    with = FRENCH,
    flip = "workspace.trigger.french.active = false",
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["fr"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let listed = async || {
            let list = ListVisitors { site: None, page: None, doing: None, cursor: None, limit: 10 };
            let page: VisitorPage = watch.client.ask(list).await.expect("a page");
            page.rows[0].clone()
        };
        visits(&desk, 1, &[("page.url", "https://shop.example/fr/")], false).await;
        assert_eq!(listed().await.group, None, "not before the widget opens");
        visits(&desk, 1, &[("page.url", "https://shop.example/fr/")], true).await;
        assert_eq!(listed().await.group.map(|group| group.to_string()).as_deref(), Some("fr"));
        assert_eq!(listed().await.doing, Doing::Browsing);
        let row = watch.agent_detail(ana).await.row;
        assert_eq!((row.taken, row.reserved), (0, 0));
        let told = seat.drain().await;
        assert!(!told.iter().any(is_offer), "{told:?}");
        let list = ListOfVisitor { visitor: visitor(1), cursor: None, limit: 10 };
        let page: ConversationPage = watch.client.ask(list).await.expect("a page");
        assert!(page.rows.is_empty());
    }
);

rule!(
    br_15_the_picker_is_a_toggle,
    preset = "brevo",
    with = "[workspace.picker]\nenabled = false",
    flip = "workspace.picker.enabled = true",
    async |house| {
        let desk = house.desk().await;
        let opened = writes(&desk, 1).await;
        assert_ne!(opened.status, Status::Choosing);
        assert_eq!(opened.picker, None);
    }
);

rule!(
    br_16_no_picker_with_fewer_than_two_public_groups,
    preset = "brevo",
    with = r#"
        [workspace.picker]
        enabled = true
        not_sure = true
        [[workspace.group]]
        name = "sales"
        public = false
    "#,
    flip = "workspace.group.sales.public = true",
    async |house| {
        let desk = house.desk().await;
        let opened = writes(&desk, 1).await;
        assert_ne!(opened.status, Status::Choosing);
    }
);

rule!(
    br_17_no_picker_if_a_trigger_or_the_api_named_the_group,
    preset = "brevo",
    with = r#"
        [workspace.picker]
        enabled = true
        [[workspace.trigger]]
        name = "prices"
        active = true
        on = "page"
        when = { name = "page.url", contains = "/prices" }
        group = "sales"
    "#,
    flip = "workspace.trigger.prices.active = false",
    async |house| {
        let (desk, watch) = (house.desk().await, house.watch().await);
        let api = desk.client.open(opening(new_id(), visitor(1), group("sales"))).await.expect("opened");
        assert_ne!(api.status, Status::Choosing);
        visits(&desk, 2, &[("page.url", "https://shop.example/prices")], true).await;
        let led = writes(&desk, 2).await;
        assert_ne!(led.status, Status::Choosing);
        assert_eq!(group_of(&watch, &led).await.as_deref(), Some("sales"));
        // Of nobody was anything said: they are asked.
        assert_eq!(writes(&desk, 3).await.status, Status::Choosing);
    }
);

rule!(
    br_18_who_answers_a_targeted_chat_gets_that_agent,
    preset = "brevo",
    with = r#"
        [workspace]
        cap = 1
        [workspace.picker]
        enabled = true
        [[workspace.agent]]
        name = "ana"
        display_name = "Ana"
        groups = ["support"]
        [[workspace.trigger]]
        name = "help"
        active = true
        on = "widget_open"
        in_name_of = "ana"
        text = "Can I help you?"
        group = "sales"
    "#,
    flip = "workspace.trigger.help.active = false",
    async |house| {
        let ana = AgentId::derive(&workspace(), "ana");
        let mut seat = house.session(ana).await;
        seat.client.set_presence(ana, Presence::Online).await.expect("online");
        let (_ben, mut other) = house.agent("ben", &["sales"]).await;
        let (mut desk, watch) = (house.desk().await, house.watch().await);
        visits(&desk, 1, &[("page.url", "https://shop.example/")], true).await;
        let chat = desk.sees("the targeted chat", |notice| match notice {
            Notice::TargetedChat(chat) => Some((chat.visitor, chat.name.to_string(), chat.text.to_string())),
            _ => None,
        });
        assert_eq!(chat.await, (visitor(1), "Ana".to_owned(), "Can I help you?".to_owned()));
        let opened = writes(&desk, 1).await;
        assert_ne!(opened.status, Status::Choosing, "no picker");
        let offer = seat.sees_offer(opened.conversation).await;
        seat.client.accept(opened.conversation, Speaker::Me, offer.offer).await.expect("accepted");
        assert_eq!(led_by(&watch, &opened).await.as_deref(), Some("trigger:help"));
        assert!(!other.drain().await.iter().any(is_offer), "it is for Ana alone");
        // She is at her cap now: it goes to the trigger's group.
        visits(&desk, 2, &[("page.url", "https://shop.example/")], true).await;
        let second = writes(&desk, 2).await;
        assert_ne!(second.status, Status::Choosing, "no picker");
        desk.client.ping().await.expect("a pong");
        house.wait(seconds(1));
        other.sees_offer(second.conversation).await;
        assert_eq!(group_of(&watch, &second).await.as_deref(), Some("sales"));
    }
);

rule!(
    br_19_only_public_and_enabled_groups_are_listed,
    preset = "brevo",
    with = r#"
        [workspace.picker]
        enabled = true
        [[workspace.group]]
        name = "old"
        label = "Archive"
        enabled = false
        [[workspace.group]]
        name = "vip"
        label = "Regulars"
        public = false
    "#,
    flip = ["workspace.group.old.enabled = true", "workspace.group.vip.public = true"],
    async |house| {
        let desk = house.desk().await;
        let picker = writes(&desk, 1).await.picker.expect("they are asked");
        let labels: Vec<&str> = picker.choices.iter().map(|choice| choice.label.as_str()).collect();
        assert_eq!(labels, ["Sales", "Support"]);
    }
);

rule!(
    br_20_not_sure_asks_every_online_agent,
    preset = "brevo",
    with = ASKING,
    flip = "workspace.picker.not_sure = false",
    async |house| {
        let mut seats = Vec::new();
        for (name, groups) in [("ana", &["support"][..]), ("ben", &["sales"]), ("chloe", &[])] {
            seats.push(house.agent(name, groups).await.1);
        }
        let desk = house.desk().await;
        let id = writes(&desk, 1).await.conversation;
        desk.client.choose(id, Speaker::Visitor(visitor(1)), Choice::NotSure).await.expect("chosen");
        for seat in &mut seats {
            assert_eq!(seat.sees_offer(id).await.group.expect("a group").as_str(), "everyone");
        }
    }
);

rule!(
    br_21_the_picker_comes_after_the_first_message,
    preset = "brevo",
    with = ASKING,
    flip = "workspace.picker.enabled = false",
    async |house| {
        let desk = house.desk().await;
        let page: ChoicePage =
            desk.client.ask(ListChoices { cursor: None, limit: 10 }).await.expect("a page");
        assert!(page.asked, "the widget can announce it");
        let opened = writes(&desk, 1).await;
        assert_eq!(opened.status, Status::Choosing);
        let told = desk.visitor_history(opened.conversation, Speaker::Visitor(visitor(1))).await;
        let changes: Vec<&VisitorChange> = told.iter().map(|entry| &entry.change).collect();
        assert!(
            matches!(
                changes[..],
                [VisitorChange::Opened, VisitorChange::Said { .. }, VisitorChange::Choose { .. }]
            ),
            "{changes:?}"
        );
    }
);

rule!(
    br_22_what_is_not_chosen_is_not_sent,
    preset = "brevo",
    with = ASKING,
    flip = ["workspace.picker.enabled = false", "workspace.picker.hold = \"5m\""],
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["support", "sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let written = house.clock.now();
        let (kept, dropped) = (writes(&desk, 1).await, writes(&desk, 2).await);
        for number in [1, 2] {
            desk.client.announce(visitor(number), false).await.expect("gone");
        }
        house.wait(seconds(599));
        for id in [kept.conversation, dropped.conversation] {
            assert_eq!(
                code(watch.client.ask::<Reply>(ShowConversation { conversation: id }).await),
                "not_found"
            );
        }
        assert!(!seat.drain().await.iter().any(is_offer));
        assert_eq!(watch.agent_detail(ana).await.row.reserved, 0);
        let choice = Choice::Group(kept.picker.as_ref().expect("asked").choices[0].group.clone());
        desk.client.announce(visitor(1), true).await.expect("back");
        let id = kept.conversation;
        desk.client.choose(id, Speaker::Visitor(visitor(1)), choice.clone()).await.expect("chosen");
        let offer = seat.sees_offer(id).await;
        seat.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
        let history = seat.staff_history(id).await;
        let said = history.iter().find(|entry| matches!(entry.event, StaffChange::Said { .. }));
        assert_eq!(said.expect("the message").at, written);
        house.wait(seconds(2));
        let late = desk.client.choose(dropped.conversation, Speaker::Visitor(visitor(2)), choice).await;
        assert_eq!(code(late), "not_found");
        let list = ListOfVisitor { visitor: visitor(2), cursor: None, limit: 10 };
        let page: ConversationPage = watch.client.ask(list).await.expect("a page");
        assert!(page.rows.is_empty());
    }
);

rule!(
    br_23_only_public_labels_leave_the_daemon,
    preset = "brevo",
    with = r#"
        [workspace.picker]
        enabled = true
        text = "Whom do you need?"
        [[workspace.group]]
        name = "sales"
        label = "Buying"
    "#,
    flip = ["workspace.group.sales.label = \"Purchase\"", "workspace.picker.text = \"Who?\""],
    async |house| {
        let (_ana, _seat) = house.agent("ana", &["sales"]).await;
        let (whose, mut own) = house.visitor(1).await;
        let page: ChoicePage = own.client.ask(ListChoices { cursor: None, limit: 10 }).await.expect("a page");
        assert_eq!(page.text.as_ref().map(|text| text.as_str()), Some("Whom do you need?"));
        let open = Open { speaker: Speaker::Me, ..opening(new_id(), whose, Target::Default) };
        let opened = own.client.open(open).await.expect("opened");
        let picker = opened.picker.expect("they are asked");
        let choice = picker.choices.iter().find(|choice| choice.label.as_str() == "Buying").expect("listed");
        assert_ne!(choice.group.as_str(), "sales");
        let choice = Choice::Group(choice.group.clone());
        let id = opened.conversation;
        own.client.choose(id, Speaker::Me, choice).await.expect("chosen");
        let waits = own.sees_visitor(id, "that it waits", |change| match change {
            VisitorChange::Queued { group_label } => Some(group_label.as_str().to_owned()),
            _ => None,
        });
        assert_eq!(waits.await, "Buying");
    }
);

rule!(
    br_24_a_chosen_group_with_nobody_online_falls_back,
    preset = "brevo",
    with = r#"
        [workspace.picker]
        enabled = true
        [[workspace.group]]
        name = "sales"
        label = "Sales"
        fallback_message = "Sales are asleep."
    "#,
    flip = ["workspace.group.sales.fallback_message = \"Another text.\""],
    async |house| {
        let mut desk = house.desk().await;
        let opened = writes(&desk, 1).await;
        let picker = opened.picker.as_ref().expect("they are asked");
        let choice = picker.choices.iter().find(|choice| choice.label.as_str() == "Sales").expect("listed");
        let (id, choice) = (opened.conversation, Choice::Group(choice.group.clone()));
        desk.client.choose(id, Speaker::Visitor(visitor(1)), choice).await.expect("chosen");
        let told = desk.sees_visitor(id, "the fallback", |change| match change {
            VisitorChange::Fallback { message } => Some(message.as_str().to_owned()),
            _ => None,
        });
        assert_eq!(told.await, "Sales are asleep.");
    },
    opposite = [("workspace.group.sales.when_empty = \"queue\"", async |house| {
        let (desk, watch) = (house.desk().await, house.watch().await);
        let opened = writes(&desk, 1).await;
        let picker = opened.picker.as_ref().expect("they are asked");
        let choice = picker.choices.iter().find(|choice| choice.label.as_str() == "Sales").expect("listed");
        let (id, choice) = (opened.conversation, Choice::Group(choice.group.clone()));
        desk.client.choose(id, Speaker::Visitor(visitor(1)), choice).await.expect("chosen");
        assert_eq!(watch.status(id).await, Status::Waiting, "it waits for somebody to come");
        let told = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
        assert!(!told.iter().any(|entry| matches!(entry.change, VisitorChange::Fallback { .. })), "{told:?}");
    })]
);
