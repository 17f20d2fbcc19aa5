//! What `docs/protocol.md` says about tokens, pages, snapshots and subscriptions, asked of a running daemon.

use std::time::Duration;

use maitred::{
    client::{Ended, Identity},
    protocol::{
        List, Notice, Text, Variables,
        notice::{AgentItem, StaffChange},
        reply::{AgentPage, Done, Explanation, Minted, StaffHistory, Subscribed, TokenPage},
        request::{Explain, History, ListAgents, ListTokens, MintToken, RevokeToken, Subscribe},
        words::{CloseReason, Feed, GoAwayReason, Role, Speaker, Status, Variable},
    },
};

use super::floor::{Floor, Shape, group, new_id, opening, stories, visitor};

stories! {
    a_list_is_told_whole_however_heavy_its_rows_are,
    a_session_begins_with_all_that_the_agent_has,
    a_renewed_connection_ends_with_its_new_token,
    a_long_conversation_is_read_before_it_is_followed,
    a_message_above_the_configured_length_is_too_large,
    an_explanation_says_how_it_ended,
    a_visitor_is_there_while_a_connection_of_their_program_is,
}

const SALES: &str = r#"
[limits]
message_body = "512B"
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
label = "Sales"
"#;

/// Agents in so many groups with such long names that a frame holds a dozen of them.
async fn a_list_is_told_whole_however_heavy_its_rows_are(shape: Shape) {
    let names: Vec<String> = (0..64).map(|number| format!("{number:0>64}")).collect();
    let groups: String =
        names.iter().map(|name| format!("[[workspace.group]]\nname = \"{name}\"\nlabel = \"x\"\n")).collect();
    let floor = Floor::open(&format!("[[workspace]]\nname = \"test\"\n{groups}"), shape).await;
    let member: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut put = Vec::new();
    for number in 0..40 {
        put.push(floor.put(&format!("agent {number}"), &member, 1).await);
    }
    put.sort_unstable();
    let desk = floor.supervisor(shape).await;
    let (mut listed, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let list = ListAgents { group: None, cursor, limit: 100 };
        let page: AgentPage = desk.client.ask(list).await.expect("a page");
        listed.extend(page.rows.iter().map(|row| row.agent));
        pages += 1;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, put);
    assert!(pages > 2, "{pages}");
}

/// Eight offers with all the variables there may be, and all of them take six bytes a character in JSON.
async fn a_session_begins_with_all_that_the_agent_has(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (agent, mut ana) = floor.agent("ana", &["sales"], 10, shape).await;
    let site = floor.frontend(shape).await;
    let variable = Variable { name: Text::clip("n"), value: Text::clip("\u{1}".repeat(1_000)) };
    let variables = Variables::try_from(vec![variable; 8]).expect("8 KB");
    let mut offered = Vec::new();
    for number in 0..8 {
        let id = new_id();
        let open = opening(id, visitor(number), group("sales"));
        let opened = site.client.open(maitred::protocol::request::Open {
            message: None,
            variables: variables.clone(),
            ..open
        });
        assert_eq!(opened.await.expect("opened").status, Status::Waiting, "offers are not told to visitors");
        ana.sees_offer(id).await;
        offered.push(id);
    }
    floor.wait(Duration::from_secs(5));
    let mut again = floor.session(agent, shape).await;
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let items = |notice: &Notice| match notice {
            Notice::AgentItems(items) => Some(items.clone()),
            _ => None,
        };
        let items = again.sees("what she has", items).await;
        for item in &items.items {
            let AgentItem::Offer(made) = item else { panic!("{item:?}") };
            assert_eq!(made.accept_within_ms, Some(40_000), "what is left of 45 s");
            found.push(made.conversation);
        }
        pages += 1;
        if !items.more {
            break;
        }
    }
    found.sort_unstable();
    offered.sort_unstable();
    assert_eq!(found, offered);
    assert!(pages > 1, "{pages}");
}

/// A connection goes by the newest token it has shown: that one is revoked to end it, and counted.
async fn a_renewed_connection_ends_with_its_new_token(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let mint = || MintToken { role: Role::Frontend, visitor: None, agent: None, ttl_seconds: Some(60) };
    let old: Minted = floor.admin.ask(mint()).await.expect("a token");
    let new: Minted = floor.admin.ask(mint()).await.expect("a token");
    let site = floor.connect(old.token.as_str(), shape.encoding).await;
    let other = floor.token(Role::Supervisor, None, None).await;
    let refused = site.client.renew(&other).await.expect_err("another role");
    assert_eq!(refused.code().map(|code| code.as_str()), Some("forbidden"));
    site.client.renew(new.token.as_str()).await.expect("renewed");
    let list = ListTokens { cursor: None, limit: 100 };
    let tokens: TokenPage = floor.admin.ask(list).await.expect("tokens");
    let used = |id: &Text<64>| tokens.rows.iter().find(|row| row.token_id == *id).map(|row| row.sessions);
    assert_eq!((used(&old.token_id), used(&new.token_id)), (Some(0), Some(1)));
    let revoke = |token_id: &Text<64>| floor.admin.ask::<Done>(RevokeToken { token_id: token_id.clone() });
    revoke(&old.token_id).await.expect("revoked");
    site.client.ping().await.expect("the old token is no matter any more");
    revoke(&new.token_id).await.expect("revoked");
    while site.client.ping().await.is_ok() {}
    let ended = site.client.ended();
    let reason = match &ended {
        Some(Ended::GoneAway(words)) => Some(words.reason),
        _ => None,
    };
    assert_eq!(reason, Some(GoAwayReason::TokenRevoked), "{ended:?}");
}

/// What is too much to be told again at once is left to be read page by page, and nothing is lost between the two.
async fn a_long_conversation_is_read_before_it_is_followed(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let site = floor.frontend(shape).await;
    let mut desk = floor.supervisor(shape).await;
    let id = new_id();
    site.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    let mut newest = 0;
    for number in 0..210 {
        let note = desk.client.note(id, Speaker::Me, &format!("note {number}"));
        newest = note.await.expect("noted").seq.expect("staff number");
    }
    let follow = |after| Subscribe { feed: Feed::Conversation { conversation: id, after } };
    let all: Subscribed = desk.client.ask(follow(0)).await.expect("subscribed");
    assert_eq!((all.version, all.next), (newest, Some(newest + 1)));
    let (mut known, mut pages) = (0, 0);
    while known < newest {
        let ask = History { conversation: id, speaker: Speaker::Me, after: known, limit: 100 };
        let page: StaffHistory = desk.client.ask(ask).await.expect("a page");
        for entry in &page.events {
            assert_eq!(entry.seq, known + 1);
            known = entry.seq;
        }
        pages += 1;
        assert_eq!(page.next.is_none(), known == newest, "only the last page has no next");
    }
    assert!(pages >= 3, "{pages}");
    desk.client.note(id, Speaker::Me, "the newest").await.expect("noted");
    let noted = |change: &StaffChange| matches!(change, StaffChange::Noted { .. }).then_some(());
    desk.sees_staff(id, "what came after", noted).await;
    let few: Subscribed = desk.client.ask(follow(newest - 5)).await.expect("subscribed");
    assert_eq!((few.version, few.next), (newest + 1, None));
    for seq in newest - 4..=newest + 1 {
        let next = |notice: &Notice| match notice {
            Notice::StaffEvent(event) if event.entry.seq == seq => Some(()),
            _ => None,
        };
        desk.sees("the missed ones", next).await;
    }
}

async fn a_message_above_the_configured_length_is_too_large(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let site = floor.frontend(shape).await;
    assert_eq!(site.client.welcome().limits.message_body, 512);
    let id = new_id();
    site.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    let speaker = Speaker::Visitor(visitor(1));
    site.client.say(id, speaker, &"x".repeat(512)).await.expect("said");
    let refused = site.client.say(id, speaker, &"x".repeat(513)).await.expect_err("one too many");
    assert_eq!(refused.code().map(|code| code.as_str()), Some("too_large"), "{refused}");
}

/// An explanation has the fallback too, with its reason.
async fn an_explanation_says_how_it_ended(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let site = floor.frontend(shape).await;
    let id = new_id();
    site.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    let explain = Explain { conversation: id, agent: None };
    let told: Explanation = floor.admin.ask(explain).await.expect("explained");
    let last = told.decisions.last().expect("a decision");
    assert_eq!(last.fallback.map(|reason| format!("{reason:?}")).as_deref(), Some("NobodyOnline"));
    assert_eq!(last.chosen, List::new());
}

/// Nobody was announced: the program that opened the conversation is enough, on whichever of its connections.
async fn a_visitor_is_there_while_a_connection_of_their_program_is(shape: Shape) {
    let text = format!("{SALES}when_empty = \"queue\"\nmax_wait = \"none\"\n");
    let floor = Floor::open(&text, shape).await;
    let mut desk = floor.supervisor(shape).await;
    let token = floor.token(Role::Frontend, None, None).await;
    let program = Identity::new();
    let one = floor.connect_as(&token, shape.encoding, program.clone()).await;
    let two = floor.connect_as(&token, shape.encoding, program).await;
    let id = one.opens(1, group("sales")).await;
    let told = one.opens(2, group("sales")).await;
    // Each connection is a session of an agent too, whose end shows that the daemon has taken note of it.
    let mut sign = Vec::new();
    for (name, seat) in [("ana", &one), ("ben", &two)] {
        let agent = floor.put(name, &[], 1).await;
        seat.client.attach(agent).await.expect("attached");
        desk.client.subscribe(Feed::Agent(agent)).await.expect("subscribed");
        desk.sees_agent(agent, "a session", |row| row.live).await;
        sign.push(agent);
    }
    one.leave().await;
    desk.sees_agent(sign[0], "the end of the session", |row| !row.live).await;
    two.client.announce(visitor(2), false).await.expect("gone");
    desk.follow(told).await;
    floor.wait(Duration::from_secs(31));
    let abandoned = |change: &StaffChange| {
        matches!(change, StaffChange::Closed { reason: CloseReason::Abandoned }).then_some(())
    };
    desk.sees_staff(told, "the end of what was given up", abandoned).await;
    assert_eq!(desk.status(id).await, Status::Waiting, "its program is still there");
    two.leave().await;
    desk.sees_agent(sign[1], "the end of the session", |row| !row.live).await;
    desk.follow(id).await;
    floor.wait(Duration::from_secs(31));
    desk.sees_staff(id, "the end of what was given up", abandoned).await;
}
