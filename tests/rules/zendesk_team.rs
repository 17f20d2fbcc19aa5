//! Zendesk's agents among themselves, and colleagues by their e-mail: ZD-18, ZD-20.

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice, Text,
        reply::{ConversationPage, Opened, Recorded},
        request::{InviteByEmail, ListConversations, OpenTeamChat},
        words::{Destination, OfferKind, Presence, Speaker, Status, View},
    },
};

use crate::{
    floor::{Seat, code, workspace},
    house::rule,
    scenes::{accepts, owned, owner, participants},
};

async fn invites(
    seat: &Seat,
    id: ConversationId,
    email: &str,
) -> Result<Recorded, maitred::client::RequestError> {
    let key = seat.client.identity().next_key();
    let (conversation, speaker) = (id, Speaker::Me);
    seat.client.ask(InviteByEmail { key, conversation, speaker, email: Text::clip(email) }).await
}

fn by_email(email: &str) -> Destination {
    Destination::Email(Text::clip(email))
}

rule!(
    zd_18_a_colleague_is_named_by_their_e_mail,
    preset = "zendesk",
    with = r#"
        [[workspace.agent]]
        name = "ben"
        display_name = "Ben"
        email = "Ben@Example.com"
        groups = ["support"]
    "#,
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let ben = AgentId::derive(&workspace(), "ben");
        let mut ben_seat = house.session(ben).await;
        ben_seat.client.set_presence(ben, Presence::Online).await.expect("online");
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        assert_eq!(code(invites(&seat, id, "nobody@example.com").await), "unknown_agent");
        invites(&seat, id, "ben@EXAMPLE.com").await.expect("asked");
        accepts(&mut ben_seat, id, OfferKind::Invitation).await;
        assert!(participants(&watch, id).await.contains(&ben));
        assert_eq!(owner(&watch, id).await, Some(ana));
        let nobody = seat.client.transfer(id, Speaker::Me, by_email("nobody@example.com"), true).await;
        assert_eq!(code(nobody), "unknown_agent");
        seat.client.transfer(id, Speaker::Me, by_email("BEN@example.com"), true).await.expect("asked");
        accepts(&mut ben_seat, id, OfferKind::Handover).await;
        assert_eq!(owner(&watch, id).await, Some(ben));
    },
    opposite = [("workspace.agent.ben.email = \"another@example.com\"", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        assert_eq!(code(invites(&seat, id, "ben@example.com").await), "unknown_agent");
        invites(&seat, id, "Another@example.com").await.expect("asked");
    })]
);

async fn rows(seat: &Seat, view: View) -> Vec<ConversationId> {
    let list = ListConversations { view, group: None, agent: None, cursor: None, limit: 100 };
    let page: ConversationPage = seat.client.ask(list).await.expect("a page");
    page.rows.iter().map(|row| row.conversation).collect()
}

rule!(
    zd_20_agents_talk_without_a_visitor,
    preset = "zendesk",
    with = "[defaults]\ncap = 1",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["support"]).await;
        let (_cleo, cleo_seat) = house.agent("cleo", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = house.new_id();
        let opens = |agents: Vec<AgentId>| OpenTeamChat {
            conversation: id,
            speaker: Speaker::Me,
            agents: agents.try_into().expect("a few"),
        };
        let opened: Opened = seat.client.ask(opens(vec![ben])).await.expect("opened");
        assert_eq!(opened.status, Status::Team);
        let again: Opened = seat.client.ask(opens(vec![ben])).await.expect("the same again");
        assert_eq!(again.conversation, id);
        seat.client.say(id, Speaker::Me, "do you know this one?").await.expect("said");
        let said = |notice: &Notice| {
            matches!(notice, Notice::StaffEvent(event) if event.conversation == id).then_some(())
        };
        ben_seat.sees("what she says", said).await;
        assert_eq!(code(cleo_seat.client.say(id, Speaker::Me, "me too").await), "not_found");
        // No queue, no slot: both take a visitor at a cap of one.
        for agent in [ana, ben] {
            assert_eq!(watch.agent_detail(agent).await.row.taken, 0);
        }
        let visit = owned(&desk, &watch, ana, 1, "support").await;
        assert_eq!(rows(&watch, View::All).await, [visit]);
        assert_eq!(rows(&watch, View::Team).await, [id]);
        assert_eq!(rows(&cleo_seat, View::Team).await, []);
        let assign = watch.client.assign(id, Speaker::Me, Destination::Agent(ben), false).await;
        assert_eq!(code(assign), "wrong_state");
        seat.client.leave(id, Speaker::Me).await.expect("left");
        ben_seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        assert_eq!(rows(&watch, View::Team).await, []);
        assert!(!rows(&watch, View::Closed).await.contains(&id));
        assert!(!ben_seat.staff_history(id).await.is_empty(), "who took part may still read it");
    },
    opposite = [("defaults.feature_team_chat = false", async |house| {
        let (_ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, _ben) = house.agent("ben", &["support"]).await;
        let agents = vec![ben].try_into().expect("a few");
        let open = OpenTeamChat { conversation: house.new_id(), speaker: Speaker::Me, agents };
        assert_eq!(code(seat.client.ask::<Opened>(open).await), "feature_disabled");
        assert_eq!(rows(&house.watch().await, View::Team).await, []);
    })]
);
