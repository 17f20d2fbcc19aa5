//! Visitors who are asked to choose a group: what they wrote is kept, and nobody knows of it before they have chosen.

use maitred::{
    client::Identity,
    ids::{ConversationId, GroupId},
    protocol::{
        Notice, Reply,
        notice::{StaffChange, VisitorChange},
        reply::{ChoicePage, ConversationPage, Opened, WorkspaceDetail},
        request::{History, ListChoices, ListConversations, ListOfVisitor, ShowConversation, ShowWorkspace},
        words::{Choice, Destination, Speaker, Status, Target, View},
    },
};

use super::floor::{Floor, Seat, Shape, code, group, new_id, opening, seconds, stories, visitor};

stories! {
    who_names_no_group_is_asked_and_nobody_hears_of_it,
    a_choice_is_delivered_with_the_time_at_which_it_was_written,
    what_is_not_chosen_in_time_never_was,
    who_is_not_sure_gets_anybody_who_is_online,
    nobody_is_asked_without_a_choice,
    only_what_is_on_the_list_can_be_chosen,
    an_empty_group_is_no_silence,
    an_engagement_begins_with_the_choice,
}

const HEAD: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[[workspace]]
name = "test"
fallback_message = "Not today."
livechat_fallback_message = "Nobody is here."
"#;

const PICKER: &str = r#"
[workspace.picker]
enabled = true
not_sure = true
not_sure_label = "No idea"
text = "Whom do you need?"
hold = "10m"
"#;

const GROUPS: &str = r#"
[[workspace.group]]
name = "sales"
label = "Buying"
[[workspace.group]]
name = "care"
label = "Help"
fallback_message = "Help is asleep."
[[workspace.group]]
name = "vip"
public = false
[[workspace.group]]
name = "old"
label = "Archive"
enabled = false
"#;

fn asking() -> String {
    format!("{HEAD}{PICKER}{GROUPS}")
}

/// Opens without naming a group.
async fn opens(desk: &Seat, number: u16) -> Opened {
    desk.client.open(opening(new_id(), visitor(number), Target::Default)).await.expect("opened")
}

/// The name on the list of the group with this label.
fn labelled(opened: &Opened, label: &str) -> Choice {
    let picker = opened.picker.as_ref().expect("they are asked");
    let row = picker.choices.iter().find(|choice| choice.label.as_str() == label).expect("it is listed");
    Choice::Group(row.group.clone())
}

/// No list, and no look, of staff shows it.
async fn is_unknown(watch: &Seat, agent: &Seat, id: ConversationId, number: u16) {
    for seat in [watch, agent] {
        for view in [View::All, View::Waiting, View::Missed, View::Closed] {
            let list = ListConversations { view, group: None, agent: None, cursor: None, limit: 100 };
            let page: ConversationPage = seat.client.ask(list).await.expect("a page");
            assert!(page.rows.iter().all(|row| row.conversation != id), "{view:?}");
        }
        let list = ListOfVisitor { visitor: visitor(number), cursor: None, limit: 100 };
        let page: ConversationPage = seat.client.ask(list).await.expect("a page");
        assert!(page.rows.is_empty(), "{:?}", page.rows);
        assert_eq!(code(seat.client.ask::<Reply>(ShowConversation { conversation: id }).await), "not_found");
        let history = History { conversation: id, speaker: Speaker::Me, after: 0, limit: 10 };
        assert_eq!(code(seat.client.ask::<Reply>(history).await), "not_found");
    }
    assert_eq!(code(agent.client.take(id, Speaker::Me).await), "not_found");
    let to = Destination::Group("sales".parse().expect("a name"));
    assert_eq!(code(watch.client.assign(id, Speaker::Me, to, false).await), "not_found");
    assert_eq!(code(watch.client.close_conversation(id, Speaker::Me).await), "not_found");
}

/// BR-15, BR-19, BR-21, BR-22, BR-23: the list has public and enabled groups only, by their labels, and comes after the message.
async fn who_names_no_group_is_asked_and_nobody_hears_of_it(shape: Shape) {
    let floor = Floor::open(&asking(), shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (ana, mut agent) = floor.agent("ana", &["sales", "care"], 9, shape).await;
    let page: ChoicePage = desk.client.ask(ListChoices { cursor: None, limit: 100 }).await.expect("a page");
    assert!(page.asked);
    assert_eq!(page.text.as_ref().map(|text| text.as_str()), Some("Whom do you need?"));

    let opened = opens(&desk, 1).await;
    assert_eq!((opened.status, opened.existing), (Status::Choosing, false));
    let picker = opened.picker.as_ref().expect("they are asked");
    let labels: Vec<&str> = picker.choices.iter().map(|choice| choice.label.as_str()).collect();
    assert_eq!(labels, ["Buying", "Help"]);
    assert_eq!(picker.not_sure.as_ref().map(|label| label.as_str()), Some("No idea"));
    let named = |name: &str| picker.choices.iter().any(|choice| choice.group.as_str() == name);
    assert!(!named("sales") && !named("care"), "only labels leave the daemon");

    let id = opened.conversation;
    is_unknown(&watch, &agent, id, 1).await;
    assert_eq!(watch.agent_detail(ana).await.row.reserved, 0);
    let heard = agent.drain().await;
    let about = |notice: &Notice| match notice {
        Notice::OfferMade(made) => made.conversation == id,
        Notice::StaffEvent(event) => event.conversation == id,
        _ => false,
    };
    assert!(!heard.iter().any(about), "{heard:?}");
    let counts: WorkspaceDetail = floor.admin.ask(ShowWorkspace {}).await.expect("the counts");
    assert_eq!(counts.engagements_used, 0);
    // Asked again, the visitor is where they were; what else they write is kept as well.
    let again = opens(&desk, 1).await;
    assert_eq!((again.conversation, again.existing, again.status), (id, true, Status::Choosing));
    assert_eq!(again.picker, opened.picker);
    desk.client.say(id, Speaker::Visitor(visitor(1)), "anybody?").await.expect("kept");
    is_unknown(&watch, &agent, id, 1).await;
}

/// BR-22: also over a kill, and though the visitor was away meanwhile.
async fn a_choice_is_delivered_with_the_time_at_which_it_was_written(shape: Shape) {
    let floor = Floor::open(&asking(), shape).await;
    let written = floor.clock.now();
    let identity = Identity::new();
    let id = {
        let token = floor.token(maitred::protocol::words::Role::Frontend, None, None).await;
        let desk = floor.connect_as(&token, shape.encoding, identity.clone()).await;
        let opened = opens(&desk, 1).await;
        desk.client.announce(visitor(1), false).await.expect("gone");
        opened.conversation
    };
    floor.wait(seconds(300));
    let floor = floor.crash_image(&asking(), seconds(60)).await;
    let mut desk = floor.frontend(shape).await;
    let (ana, mut agent) = floor.agent("ana", &["sales"], 9, shape).await;
    let opened = opens(&desk, 1).await;
    assert_eq!((opened.conversation, opened.status), (id, Status::Choosing));
    let choice = labelled(&opened, "Buying");
    desk.client.choose(id, Speaker::Visitor(visitor(1)), choice.clone()).await.expect("chosen");
    let offer = agent.sees_offer(id).await;
    assert_eq!(offer.group.as_ref().map(GroupId::as_str), Some("sales"));
    agent.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
    let history = agent.staff_history(id).await;
    let said = history.iter().find(|entry| matches!(entry.event, StaffChange::Said { .. }));
    assert_eq!(said.expect("what was written").at, written);
    let chosen = history.iter().find_map(|entry| match &entry.event {
        StaffChange::Chosen { group } => Some((entry.at, group.as_str().to_owned())),
        _ => None,
    });
    assert_eq!(chosen, Some((floor.clock.now(), "sales".to_owned())));
    assert_eq!(agent.detail(id).await.row.owner, Some(ana));
    let told = desk.sees_visitor(id, "that it waits", |change| match change {
        VisitorChange::Queued { group_label } => Some(group_label.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(told.await, "Buying");
    // There is nothing to choose any more.
    let late = desk.client.choose(id, Speaker::Visitor(visitor(1)), choice).await;
    assert_eq!(code(late), "wrong_state");
}

/// BR-22: no agent ever sees it, nothing is counted, and the visitor may begin anew.
async fn what_is_not_chosen_in_time_never_was(shape: Shape) {
    let mut floor = Floor::open(&asking(), shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (_, agent) = floor.agent("ana", &["sales", "care"], 9, shape).await;
    let first = opens(&desk, 1).await;
    let id = first.conversation;
    let second = opens(&desk, 2).await.conversation;
    desk.client.close_conversation(second, Speaker::Visitor(visitor(2))).await.expect("ended");
    floor.wait(seconds(600));
    desk.sees_visitor(id, "the end", |change| matches!(change, VisitorChange::Closed { .. }).then_some(()))
        .await;
    for (id, number) in [(id, 1), (second, 2)] {
        is_unknown(&watch, &agent, id, number).await;
        let late = desk.client.choose(id, Speaker::Visitor(visitor(number)), labelled(&first, "Help")).await;
        assert_eq!(code(late), "not_found");
        assert_eq!(code(watch.client.reopen(id, Speaker::Me).await), "not_found");
    }
    let anew = opens(&desk, 1).await;
    assert_eq!((anew.existing, anew.status), (false, Status::Choosing));
    assert_ne!(anew.conversation, id);
    drop((desk, watch, agent));

    floor.restart(seconds(1)).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (_, agent) = floor.agent("ana", &["sales", "care"], 9, shape).await;
    is_unknown(&watch, &agent, id, 1).await;
    is_unknown(&watch, &agent, anew.conversation, 1).await;
    let choice = labelled(&first, "Help");
    desk.client.choose(anew.conversation, Speaker::Visitor(visitor(1)), choice).await.expect("chosen");
    assert_ne!(watch.status(anew.conversation).await, Status::Closed);
}

/// BR-20.
async fn who_is_not_sure_gets_anybody_who_is_online(shape: Shape) {
    let floor = Floor::open(&asking(), shape).await;
    let desk = floor.frontend(shape).await;
    // In no group that is on the list.
    let (_, mut agent) = floor.agent("ana", &["vip"], 9, shape).await;
    let id = opens(&desk, 1).await.conversation;
    desk.client.choose(id, Speaker::Visitor(visitor(1)), Choice::NotSure).await.expect("chosen");
    let offer = agent.sees_offer(id).await;
    assert_eq!(offer.group.as_ref().map(GroupId::as_str), Some("everyone"));

    // Only if the list has that entry.
    floor.rewrite(&asking().replace("not_sure = true", "not_sure = false"));
    floor.running().control().reload().expect("taken over");
    let opened = opens(&desk, 2).await;
    assert_eq!(opened.picker.as_ref().expect("they are asked").not_sure, None);
    let unsure = desk.client.choose(opened.conversation, Speaker::Visitor(visitor(2)), Choice::NotSure).await;
    assert_eq!(code(unsure), "not_found");
}

/// BR-15, BR-16, BR-17: off, fewer than two public groups ("not sure" is none), or a group that the frontend named.
async fn nobody_is_asked_without_a_choice(shape: Shape) {
    let floor = Floor::open(&asking(), shape).await;
    let desk = floor.frontend(shape).await;
    let named = desk.client.open(opening(new_id(), visitor(1), group("sales"))).await.expect("opened");
    assert_ne!(named.status, Status::Choosing);
    assert_eq!(opens(&desk, 2).await.status, Status::Choosing);
    let off = asking().replace("enabled = true\nnot_sure", "enabled = false\nnot_sure");
    let one = asking().replace("label = \"Help\"", "label = \"Help\"\npublic = false");
    for (number, text) in [(3, off), (4, one)] {
        floor.rewrite(&text);
        floor.running().control().reload().expect("taken over");
        let opened = opens(&desk, number).await;
        assert_ne!(opened.status, Status::Choosing, "{text}");
        assert_eq!(opened.picker, None);
        let page: ChoicePage =
            desk.client.ask(ListChoices { cursor: None, limit: 100 }).await.expect("a page");
        assert!(!page.asked);
    }
}

/// BR-7, BR-19: a private group looks like none, from outside.
async fn only_what_is_on_the_list_can_be_chosen(shape: Shape) {
    let floor = Floor::open(&asking(), shape).await;
    let desk = floor.frontend(shape).await;
    let id = opens(&desk, 1).await.conversation;
    for (name, no) in [("vip", "not_found"), ("nowhere", "not_found"), ("old", "group_disabled")] {
        let choice = Choice::Group(name.parse().expect("a name"));
        let refused = desk.client.choose(id, Speaker::Visitor(visitor(1)), choice).await;
        assert_eq!(code(refused), no, "{name}");
    }
    let stranger = desk.client.choose(id, Speaker::Visitor(visitor(2)), Choice::NotSure).await;
    assert_eq!(code(stranger), "not_found");
    desk.client.choose(id, Speaker::Visitor(visitor(1)), Choice::NotSure).await.expect("still to be chosen");
}

/// BR-24.
async fn an_empty_group_is_no_silence(shape: Shape) {
    let floor = Floor::open(&asking(), shape).await;
    let mut desk = floor.frontend(shape).await;
    let opened = opens(&desk, 1).await;
    let id = opened.conversation;
    desk.client.choose(id, Speaker::Visitor(visitor(1)), labelled(&opened, "Help")).await.expect("chosen");
    let told = desk.sees_visitor(id, "the fallback", |change| match change {
        VisitorChange::Fallback { message } => Some(message.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(told.await, "Help is asleep.");
}

/// AD-1: what was held and never chosen used none; at the limit who chooses is told as at an opening.
async fn an_engagement_begins_with_the_choice(shape: Shape) {
    let text = format!("{HEAD}lifetime_engagements = 1\n{PICKER}{GROUPS}");
    let floor = Floor::open(&text, shape).await;
    let mut desk = floor.frontend(shape).await;
    let used = async || {
        let counts: WorkspaceDetail = floor.admin.ask(ShowWorkspace {}).await.expect("the counts");
        counts.engagements_used
    };
    let (first, second) = (opens(&desk, 1).await, opens(&desk, 2).await);
    assert_eq!(used().await, 0);
    let (one, two) = (first.conversation, second.conversation);
    desk.client.choose(one, Speaker::Visitor(visitor(1)), labelled(&first, "Help")).await.expect("chosen");
    assert_eq!(used().await, 1);
    desk.client.choose(two, Speaker::Visitor(visitor(2)), labelled(&first, "Help")).await.expect("chosen");
    let told = desk.sees_visitor(two, "the fallback", |change| match change {
        VisitorChange::Fallback { message } => Some(message.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(told.await, "Not today.");
    assert_eq!(used().await, 1);
}
