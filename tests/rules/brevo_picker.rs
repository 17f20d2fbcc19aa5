//! Brevo Conversations: the visitor's choice of a group, BR-15 to BR-24.

use maitred::{
    ids::ConversationId,
    protocol::{
        notice::StaffChange,
        reply::{Opened, WorkspaceDetail},
        request::{Open, ShowWorkspace},
        words::{Choice, OfferKind, QueueCause, Speaker, Status, Target},
    },
};

use crate::{
    floor::{Seat, code, group, new_id, opening, seconds, visitor},
    house::{House, is_offer, rule},
    scenes::{accepts, asked, stays, told},
};

/// One public group less than a choice needs.
const ONE_PUBLIC: &str = r#"
    [[workspace.group]]
    name = "sales"
    public = false
    [[workspace.group]]
    name = "back-office"
    public = false
    [[workspace.group]]
    name = "managers"
    public = false
"#;

/// The visitor of this number writes, and names no group.
async fn writes(desk: &Seat, number: u16) -> Opened {
    desk.client.open(opening(new_id(), visitor(number), Target::Default)).await.expect("opened")
}

/// The labels that the visitor is shown.
fn labels(opened: &Opened) -> Vec<String> {
    let picker = opened.picker.as_ref().expect("they are asked");
    picker.choices.iter().map(|choice| choice.label.as_str().to_owned()).collect()
}

async fn chooses(desk: &Seat, opened: &Opened, number: u16, label: &str) {
    let picker = opened.picker.as_ref().expect("they are asked");
    let row = picker.choices.iter().find(|choice| choice.label.as_str() == label).expect("it is listed");
    let choice = Choice::Group(row.group.clone());
    desk.client.choose(opened.conversation, Speaker::Visitor(visitor(number)), choice).await.expect("chosen");
}

async fn engagements(house: &House) -> u64 {
    let counts: WorkspaceDetail = house.admin.ask(ShowWorkspace {}).await.expect("the counts");
    counts.engagements_used
}

/// Whether staff find it.
async fn is_known(watch: &Seat, id: ConversationId) -> bool {
    use maitred::protocol::{Reply, request::ShowConversation};
    watch.client.ask::<Reply>(ShowConversation { conversation: id }).await.is_ok()
}

rule!(
    br_15_nobody_is_asked_while_it_is_switched_off,
    preset = "brevo",
    with = "[workspace.picker]\nenabled = false",
    flip = "workspace.picker.enabled = true",
    async |house| {
        let (_ana, mut ana) = house.agent("ana", &["support"]).await;
        let desk = house.desk().await;
        let opened = writes(&desk, 1).await;
        assert_eq!((opened.picker, opened.status), (None, Status::Waiting));
        ana.sees_offer(opened.conversation).await;
    }
);

rule!(
    br_16_one_public_group_is_no_choice,
    preset = "brevo",
    with = ONE_PUBLIC,
    flip = "workspace.group.sales.public = true",
    async |house| {
        let (_ana, mut ana) = house.agent("ana", &["support"]).await;
        let desk = house.desk().await;
        let opened = writes(&desk, 1).await;
        assert_eq!((opened.picker, opened.status), (None, Status::Waiting), "although three more are private");
        ana.sees_offer(opened.conversation).await;
    }
);

rule!(
    br_17_who_was_sent_to_a_group_is_not_asked,
    preset = "brevo",
    with = "",
    flip = "workspace.picker.enabled = false",
    async |house| {
        let (_ana, mut ana) = house.agent("ana", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = new_id();
        let opened = desk.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
        assert_eq!((opened.picker, opened.status), (None, Status::Waiting), "the frontend named the group");
        ana.sees_offer(id).await;
        assert_eq!(stays(&watch, id).await, [("sales".to_owned(), QueueCause::Opened)]);
        // Who comes of themselves is.
        assert_eq!(writes(&desk, 2).await.status, Status::Choosing);
    }
);

rule!(
    br_19_only_public_and_enabled_groups_are_listed,
    preset = "brevo",
    with = r#"
        [[workspace.group]]
        name = "old"
        label = "Old"
        enabled = false
        [[workspace.group]]
        name = "secret"
        label = "Secret"
        public = false
    "#,
    flip = ["workspace.group.old.enabled = true", "workspace.group.secret.public = true"],
    async |house| {
        let desk = house.desk().await;
        assert_eq!(labels(&writes(&desk, 1).await), ["Support", "Sales"]);
    }
);

rule!(
    br_20_not_sure_asks_everybody_who_is_online,
    preset = "brevo",
    with = "",
    flip = "workspace.picker.not_sure = false",
    async |house| {
        let (ana, mut one) = house.agent("ana", &["support"]).await;
        let (ben, mut other) = house.agent("ben", &["sales"]).await;
        let (cleo, mut third) = house.agent("cleo", &[]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let opened = writes(&desk, 1).await;
        let picker = opened.picker.expect("they are asked");
        assert_eq!(picker.not_sure.map(|label| label.as_str().to_owned()).as_deref(), Some("Not sure"));
        let id = opened.conversation;
        desk.client.choose(id, Speaker::Visitor(visitor(1)), Choice::NotSure).await.expect("chosen");
        for seat in [&mut one, &mut other, &mut third] {
            seat.sees_offer(id).await;
        }
        let (mut all, mut found) = (vec![ana, ben, cleo], asked(&watch, id).await);
        all.sort();
        found.sort();
        assert_eq!(found, all);
    }
);

rule!(
    br_20_not_sure_is_no_public_group,
    preset = "brevo",
    with = ONE_PUBLIC,
    flip = "workspace.group.sales.public = true",
    async |house| {
        let desk = house.desk().await;
        assert_eq!(writes(&desk, 1).await.picker, None, "one group and \"not sure\" are no choice");
    }
);

rule!(
    br_21_the_choice_comes_after_the_first_message,
    preset = "brevo",
    with = "",
    flip = "workspace.picker.enabled = false",
    async |house| {
        let (_ana, mut ana) = house.agent("ana", &["support"]).await;
        let (whose, browser) = house.visitor(1).await;
        let open = Open { speaker: Speaker::Me, ..opening(new_id(), whose, Target::Default) };
        let opened = browser.client.open(open).await.expect("opened");
        assert_eq!(opened.status, Status::Choosing);
        assert_eq!(labels(&opened), ["Support", "Sales"]);
        let seen = ana.drain().await;
        assert!(!seen.iter().any(is_offer), "{seen:?}");
    }
);

rule!(
    br_22_what_is_not_chosen_for_is_not_sent,
    preset = "brevo",
    with = "",
    flip = ["workspace.picker.hold = \"2m\"", "workspace.picker.hold = \"1h\""],
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["support"]).await;
        let (mut desk, watch) = (house.desk().await, house.watch().await);
        let written = house.clock.now();
        let (leaves, returns) = (writes(&desk, 1).await, writes(&desk, 2).await);
        assert!(!is_known(&watch, leaves.conversation).await && !is_known(&watch, returns.conversation).await);
        assert_eq!((engagements(house).await, watch.agent_detail(ana).await.row.reserved), (0, 0));
        // Later, and in time: it is delivered with the time at which it was written.
        house.wait(seconds(29 * 60));
        chooses(&desk, &returns, 2, "Support").await;
        accepts(&mut seat, returns.conversation, OfferKind::Announcement).await;
        let history = watch.staff_history(returns.conversation).await;
        let said = history.iter().find(|entry| matches!(entry.event, StaffChange::Said { .. }));
        assert_eq!(said.expect("the message").at, written);
        // Not in time: it never was.
        house.wait(seconds(60));
        desk.sees_visitor(leaves.conversation, "the end", |change| {
            matches!(change, maitred::protocol::notice::VisitorChange::Closed { .. }).then_some(())
        })
        .await;
        assert!(!is_known(&watch, leaves.conversation).await);
        assert_eq!(engagements(house).await, 1);
        let seen = seat.drain().await;
        assert!(!seen.iter().any(is_offer), "{seen:?}");
    }
);

rule!(
    br_23_only_labels_leave_the_daemon,
    preset = "brevo",
    with = r#"
        [[workspace.group]]
        name = "tier-2-escalation"
        label = "Complaints"
    "#,
    flip = "workspace.group.tier-2-escalation.label = \"tier-2-escalation\"",
    async |house| {
        let desk = house.desk().await;
        let opened = writes(&desk, 1).await;
        assert_eq!(labels(&opened), ["Support", "Sales", "Complaints"]);
        let shown = format!("{:?}", opened.picker);
        assert!(!shown.contains("tier-2") && !shown.contains("\"sales\""), "{shown}");
        chooses(&desk, &opened, 1, "Complaints").await;
        let read = desk.visitor_history(opened.conversation, Speaker::Visitor(visitor(1))).await;
        let read = serde_json::to_string(&read).expect("JSON");
        assert!(read.contains("Complaints") && !read.contains("tier-2"), "{read}");
    }
);

rule!(
    br_24_a_chosen_group_without_anybody_is_no_silence,
    preset = "brevo",
    with = r#"
        [[workspace.group]]
        name = "fr"
        label = "Français"
        fallback_message = "Nous sommes absents."
    "#,
    flip = ["workspace.group.fr.overflow = \"support\"", "!workspace.group.fr.fallback_message"],
    async |house| {
        let (_ana, mut ana) = house.agent("ana", &["support"]).await;
        let desk = house.desk().await;
        let opened = writes(&desk, 1).await;
        chooses(&desk, &opened, 1, "Français").await;
        assert_eq!(told(&desk, opened.conversation, 1).await, ["Nous sommes absents."]);
        let seen = ana.drain().await;
        assert!(!seen.iter().any(is_offer), "{seen:?}");
        let late = desk.client.choose(opened.conversation, Speaker::Visitor(visitor(1)), Choice::NotSure).await;
        assert_eq!(code(late), "wrong_state");
    }
);
