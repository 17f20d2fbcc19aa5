//! What is told outside: webhooks and mail, against a server of each kind that behaves as it is told.

use std::time::Duration;

use maitred::{
    client::Client,
    ids::{AgentId, Link},
    protocol::{
        Text,
        notice::AgentItem,
        reply::{ConversationDetail, DeliveryDetail, DeliveryPage, DeliveryRow, Done},
        request::{DropDelivery, ListDeliveries, ReportFailure, ResolveLink, RetryDelivery, ShowDelivery},
        words::Speaker,
    },
};

use super::floor::{Encoding, Floor, Shape, code, group, profile, seconds, tell, visitor, workspace};
use crate::outside::{Answer, Identity, MailServer, Manner, Webhooks};

const SHAPE: Shape = Shape { encoding: Encoding::Bincode, arbiters: 1 };
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A workspace with one group, which tells a webhook these events.
fn hooked(url: &str, events: &str, more: &str) -> String {
    format!(
        "[deliveries]\ntimeout = \"300ms\"\n[[workspace]]\nname = \"test\"\nwhen_empty = \"queue\"\n{more}\n[[workspace.group]]\nname = \"sales\"\n\
         [[workspace.webhook]]\nname = \"hook\"\nurl = \"{url}\"\nevents = [{events}]\n"
    )
}

fn mailed(server: &MailServer, more: &str, rules: &str) -> String {
    format!(
        "[server.mail]\nhost = \"localhost\"\nport = {}\nfrom = \"desk@shop.example\"\n{more}\n[deliveries]\ntimeout = \"500ms\"\n[[workspace]]\nname = \"test\"\nwhen_empty = \"queue\"\n\
         [[workspace.group]]\nname = \"sales\"\n{rules}",
        server.port()
    )
}

async fn put_with_email(floor: &Floor, name: &str, email: &str) -> AgentId {
    let agent = AgentId::derive(&workspace(), name);
    let mut put = profile(&floor.admin, agent, name, &["sales"], 5);
    put.email = Some(Text::clip(email));
    let _: Done = floor.admin.ask(put).await.expect("put");
    agent
}

async fn deliveries(admin: &Client, dead: bool) -> Vec<DeliveryRow> {
    let page: DeliveryPage = admin.ask(ListDeliveries { dead, after: 0, limit: 100 }).await.expect("a page");
    page.rows.into_vec()
}

/// Asks until it is so: what is delivered is noted a moment after the other side has it.
async fn once<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), until).await.expect("it comes to that")
}

#[test]
fn a_webhook_is_signed_and_says_where_a_conversation_went() {
    tell(async {
        let mut hooks = Webhooks::start();
        let events = r#""conversation.queued", "conversation.offered", "conversation.assigned", "conversation.closed""#;
        let home = tempfile::tempdir().expect("a directory");
        let secret = home.path().join("secret");
        std::fs::write(&secret, SECRET).expect("written");
        let text = hooked(&hooks.url(), events, "") + &format!("secret_file = {secret:?}\n");
        let floor = Floor::open(&text, SHAPE).await;
        let (ana, mut at_ana) = floor.agent("ana", &["sales"], 5, SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        let id = desk.opens(1, group("sales")).await;
        let offer = at_ana.sees_offer(id).await;
        at_ana.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
        at_ana.client.close_conversation(id, Speaker::Me).await.expect("closed");

        let told = [hooks.next().await, hooks.next().await, hooks.next().await, hooks.next().await];
        let mut told = told.to_vec();
        told.sort_by_key(|request| request.json()["position"].as_u64());
        let topics: Vec<_> = told.iter().map(|request| request.topic()).collect();
        let wanted =
            ["conversation.queued", "conversation.offered", "conversation.assigned", "conversation.closed"];
        assert_eq!(topics, wanted);
        for request in &told {
            assert!(request.is_signed_with(SECRET), "{request:?}");
            assert!(!request.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
            let said = request.json();
            assert_eq!(said["id"], request.id());
            assert_eq!(said["workspace"], "test");
            assert_eq!(said["data"]["conversation"], id.to_string());
            assert_eq!(said["data"]["visitor"], visitor(1).to_string());
            assert_eq!(said["data"]["channel"], "web");
            assert_eq!(said["data"]["group"], "sales");
            assert!(said["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{said}");
            let link: Link = said["data"]["link"].as_str().expect("a link").parse().expect("ours");
            assert_eq!(link.conversation, id);
        }
        assert_eq!(told[1].json()["data"]["agents"][0], ana.to_string());
        assert!(told[1].json()["data"]["deadline"].is_string());
        assert_eq!(told[2].json()["data"]["reason"], "accepted");
        assert_eq!(told[3].json()["data"]["reason"], "by_agent");
        let mut ids: Vec<_> = told.iter().map(|request| request.id().to_owned()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 4, "each has an id of its own");
    });
}

#[test]
fn what_fails_is_tried_again_under_the_same_id_and_the_rest_does_not_wait() {
    tell(async {
        let mut hooks = Webhooks::start();
        hooks.behave([Answer::Status(500, ""), Answer::Silence, Answer::Status(503, "retry-after: 600\r\n")]);
        let floor = Floor::open(&hooked(&hooks.url(), r#""conversation.queued""#, ""), SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        desk.opens(1, group("sales")).await;
        let first = hooks.next().await;
        let second = hooks.next_while(|| floor.wait(seconds(1))).await;
        assert_eq!(second.id(), first.id());
        // The silence takes real time, the pause after it the test's.
        let third = hooks.next_while(|| floor.wait(seconds(2))).await;
        assert_eq!((third.id(), &third.body), (first.id(), &first.body));
        let row =
            once(async || deliveries(&floor.admin, false).await.into_iter().find(|row| row.attempts == 3))
                .await;
        assert_eq!(row.message.as_str(), first.id());
        assert_eq!(row.trouble.as_deref(), Some("answered 503"));
        let due = row.due.expect("not given up");
        assert!(due.since(floor.clock.now()) > seconds(500), "{due} keeps to Retry-After");
        let detail: DeliveryDetail =
            floor.admin.ask(ShowDelivery { delivery: row.delivery }).await.expect("there");
        assert_eq!(detail.body.as_bytes(), first.body);
        // Somebody asks for it now.
        let _: Done = floor.admin.ask(RetryDelivery { delivery: row.delivery }).await.expect("retried");
        assert_eq!(hooks.next().await.id(), first.id());
        once(async || deliveries(&floor.admin, false).await.is_empty().then_some(())).await;
        assert!(hooks.already().is_none());
    });
}

#[test]
fn who_answers_gone_is_asked_no_more_until_somebody_says_so() {
    tell(async {
        let mut hooks = Webhooks::start();
        hooks.behave([Answer::Status(410, "")]);
        let floor = Floor::open(&hooked(&hooks.url(), r#""conversation.queued""#, ""), SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        desk.opens(1, group("sales")).await;
        let first = hooks.next().await;
        let dead = once(async || deliveries(&floor.admin, true).await.pop()).await;
        assert_eq!(
            (dead.message.as_str(), dead.trouble.as_deref(), dead.due),
            (first.id(), Some("answered 410"), None)
        );
        desk.opens(2, group("sales")).await;
        let shown = "maitred_deliveries_total{kind=\"webhook\",outcome=\"disabled\"} 1";
        once(async || page(&floor).await.contains(shown).then_some(())).await;
        assert!(deliveries(&floor.admin, false).await.is_empty() && hooks.already().is_none());
        let _: Done = floor.admin.ask(RetryDelivery { delivery: dead.delivery }).await.expect("retried");
        assert_eq!(hooks.next().await.id(), first.id());
        desk.opens(3, group("sales")).await;
        assert_ne!(hooks.next().await.id(), first.id());
        // What is dead can be taken away.
        hooks.behave([Answer::Status(410, "")]);
        desk.opens(4, group("sales")).await;
        hooks.next().await;
        let dead = once(async || deliveries(&floor.admin, true).await.pop()).await;
        let _: Done = floor.admin.ask(DropDelivery { delivery: dead.delivery }).await.expect("dropped");
        assert!(deliveries(&floor.admin, true).await.is_empty());
        let again = floor.admin.ask::<Done>(DropDelivery { delivery: dead.delivery }).await;
        assert_eq!(code(again), "not_found");
    });
}

#[test]
fn a_certificate_has_to_be_one_that_the_operator_trusts() {
    tell(async {
        let identity = Identity::new();
        let mut hooks = Webhooks::with(&identity);
        let events = r#""conversation.queued""#;
        let text = hooked(&hooks.url(), events, "");
        let floor = Floor::open(&text, SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        desk.opens(1, group("sales")).await;
        let tried = async || deliveries(&floor.admin, false).await.into_iter().find(|row| row.attempts > 0);
        let row = once(tried).await;
        let trouble = row.trouble.as_deref().unwrap_or_default().to_owned();
        assert!(trouble.contains("ertificate"), "{trouble}");
        assert!(hooks.already().is_none(), "nothing was said to a stranger");
        // The operator says whom to trust; a reload is enough.
        let roots = floor.file().with_file_name("roots.pem");
        std::fs::write(&roots, &identity.pem).expect("written");
        floor.rewrite(&(text + &format!("ca_file = {roots:?}\n")));
        floor.running().control().reload().expect("taken over");
        assert_eq!(hooks.next_while(|| floor.wait(seconds(1))).await.id(), row.message.as_str());
    });
}

#[test]
fn what_was_queued_outlives_the_daemon_and_what_was_told_is_not_told_again() {
    tell(async {
        let mut hooks = Webhooks::start();
        let text = hooked(&hooks.url(), r#""conversation.queued""#, "");
        let mut floor = Floor::open(&text, SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        desk.opens(1, group("sales")).await;
        let told = hooks.next().await;
        once(async || deliveries(&floor.admin, false).await.is_empty().then_some(())).await;
        hooks.behave([Answer::Status(500, "")]);
        desk.opens(2, group("sales")).await;
        let failed = hooks.next().await;
        once(async || deliveries(&floor.admin, false).await.into_iter().find(|row| row.attempts == 1)).await;
        desk.leave().await;
        floor.restart(seconds(60)).await;
        let again = hooks.next_while(|| floor.wait(seconds(1))).await;
        assert_eq!((again.id(), &again.body), (failed.id(), &failed.body));
        assert_ne!(again.id(), told.id());
        once(async || deliveries(&floor.admin, false).await.is_empty().then_some(())).await;
        assert!(hooks.already().is_none(), "nothing is told twice");
    });
}

#[test]
fn a_reload_begins_with_what_happens_then_and_knows_what_was_open() {
    tell(async {
        let mut hooks = Webhooks::start();
        let bare =
            "[[workspace]]\nname = \"test\"\nwhen_empty = \"queue\"\n[[workspace.group]]\nname = \"sales\"\n";
        let floor = Floor::open(bare, SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        let id = desk.opens(1, group("sales")).await;
        floor.rewrite(&hooked(&hooks.url(), r#""conversation.queued", "conversation.assigned""#, ""));
        floor.running().control().reload().expect("taken over");
        // The reload is taken in by a thread of its own: whatever waits before it did is no news.
        once(async || floor.running().data_dir().join("outgoing.db").exists().then_some(())).await;
        once(async || page(&floor).await.contains("maitred_deliveries_pending 0").then_some(())).await;
        let (_, mut at_ana) = floor.agent("ana", &["sales"], 5, SHAPE).await;
        let offer = at_ana.sees_offer(id).await;
        at_ana.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
        let told = hooks.next().await;
        assert_eq!(told.topic(), "conversation.assigned");
        assert_eq!(told.json()["data"]["visitor"], visitor(1).to_string());
        assert_eq!(told.json()["data"]["group"], "sales");
        // Nothing is told any more once nobody is to be told.
        floor.rewrite(bare);
        floor.running().control().reload().expect("taken over");
        assert!(hooks.already().is_none());
    });
}

#[test]
fn mail_goes_out_and_again_after_a_passing_failure_and_never_after_a_lasting_one() {
    tell(async {
        let mut post = MailServer::start();
        post.behave([Manner::No(450)]);
        let rules = "[[workspace.mail]]\nname = \"line\"\non = [\"conversation.queued\"]\nto = \"group\"\n";
        let floor = Floor::open(&mailed(&post, "encryption = \"none\"", rules), SHAPE).await;
        put_with_email(&floor, "ana", "ana@shop.example").await;
        let desk = floor.frontend(SHAPE).await;
        let id = desk.opens(1, group("sales")).await;
        let mail = post.next_while(|| floor.wait(seconds(1))).await;
        assert_eq!(mail.to, "ana@shop.example");
        assert_eq!(mail.header("From"), "desk@shop.example");
        assert_eq!(mail.header("Subject"), "[test] A conversation waits in sales");
        assert!(mail.text.contains(&id.to_string()) && !mail.text.contains("hello"), "{}", mail.text);
        let message = mail.header("Message-ID").to_owned();
        assert!(message.starts_with("<msg_") && message.ends_with("@shop.example>"), "{message}");
        once(async || deliveries(&floor.admin, false).await.is_empty().then_some(())).await;
        post.behave([Manner::No(550)]);
        desk.opens(2, group("sales")).await;
        let dead = once(async || deliveries(&floor.admin, true).await.pop()).await;
        assert!(dead.trouble.as_deref().is_some_and(|trouble| trouble.contains("550")), "{dead:?}");
        assert!(!message.contains(dead.message.as_str()));
        post.behave([Manner::Silence]);
        desk.opens(3, group("sales")).await;
        let mail = post.next_while(|| floor.wait(seconds(1))).await;
        assert_eq!(mail.to, "ana@shop.example");
        assert!(post.already().is_none());
    });
}

#[test]
fn mail_is_handed_in_under_tls_with_a_password_or_not_at_all() {
    tell(async {
        let identity = Identity::new();
        let mut post = MailServer::with(&identity);
        let home = tempfile::tempdir().expect("a directory");
        let (roots, password) = (home.path().join("roots.pem"), home.path().join("password"));
        std::fs::write(&roots, &identity.pem).expect("written");
        std::fs::write(&password, "open sesame\n").expect("written");
        let rules = "[[workspace.mail]]\nname = \"ops\"\non = [\"conversation.queued\"]\nto = [\"ops@shop.example\"]\n";
        let login = format!("username = \"desk\"\npassword_file = {password:?}");
        let strange = Floor::open(&mailed(&post, &login, rules), SHAPE).await;
        strange.frontend(SHAPE).await.opens(1, group("sales")).await;
        let row =
            once(async || deliveries(&strange.admin, false).await.into_iter().find(|row| row.attempts > 0))
                .await;
        assert!(row.trouble.is_some() && post.already().is_none(), "{row:?}");
        let trusting = format!("{login}\nca_file = {roots:?}");
        let floor = Floor::open(&mailed(&post, &trusting, rules), SHAPE).await;
        floor.frontend(SHAPE).await.opens(1, group("sales")).await;
        let mail = post.next().await;
        assert!(mail.encrypted && mail.to == "ops@shop.example");
        let login = mail.login.expect("a login");
        assert!(login.starts_with("AUTH PLAIN "), "{login}");
    });
}

#[test]
fn who_is_not_there_is_told_of_what_waits_and_is_offered_nothing() {
    tell(async {
        let mut hooks = Webhooks::start();
        let floor = Floor::open(
            &hooked(&hooks.url(), r#""agent.notified""#, "tell_absent = \"members\"\npush = \"opt_out\""),
            SHAPE,
        )
        .await;
        let away = floor.put("away", &["sales"], 5).await;
        let (here, mut at_here) = floor.agent("here", &["sales"], 5, SHAPE).await;
        let (gone, at_gone) = floor.agent("gone", &["sales"], 5, SHAPE).await;
        at_gone.leave().await;
        // What was a session is none a moment later.
        let supervisor = floor.supervisor(SHAPE).await;
        once(async || (!supervisor.agent_detail(gone).await.row.live).then_some(())).await;
        let desk = floor.frontend(SHAPE).await;
        let id = desk.opens(1, group("sales")).await;
        let told = hooks.next().await;
        let mut agents: Vec<_> = told.json()["data"]["agents"].as_array().expect("agents").clone();
        agents.sort_by_key(ToString::to_string);
        let mut wanted = vec![serde_json::json!(away.to_string()), serde_json::json!(gone.to_string())];
        wanted.sort_by_key(ToString::to_string);
        assert_eq!((told.json()["data"]["reason"].as_str(), agents), (Some("waiting"), wanted));
        // Whoever is there has the offer on their screen instead.
        let offer = at_here.sees_offer(id).await;
        assert_eq!(offer.agent, here);
        at_here.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
        // And is told by that when they have gone, message by message.
        at_here.leave().await;
        once(async || (!supervisor.agent_detail(here).await.row.live).then_some(())).await;
        desk.client.say(id, Speaker::Visitor(visitor(1)), "are you there?").await.expect("said");
        let told = hooks.next().await;
        assert_eq!(told.json()["data"]["agents"], serde_json::json!([here.to_string()]));
        assert_eq!(told.json()["data"]["reason"], "message");
        assert!(!String::from_utf8_lossy(&told.body).contains("are you there?"));
    });
}

#[test]
fn a_failure_that_a_frontend_reports_is_told_once() {
    tell(async {
        let mut hooks = Webhooks::start();
        let floor = Floor::open(&hooked(&hooks.url(), r#""action_failed""#, ""), SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        let report = ReportFailure {
            action: Text::clip("meeting_booking"),
            cause: Text::clip("no free slot"),
            visitor: Some(visitor(1)),
            conversation: None,
            reference: Some(Text::clip("booking-7")),
        };
        for _ in 0..2 {
            let _: Done = desk.client.ask(report.clone()).await.expect("reported");
        }
        let other = ReportFailure { reference: Some(Text::clip("booking-8")), ..report };
        let _: Done = desk.client.ask(other).await.expect("reported");
        let (first, second) = (hooks.next().await, hooks.next().await);
        assert_ne!(first.id(), second.id());
        let data = &first.json()["data"];
        assert_eq!(
            (data["action"].as_str(), data["reason"].as_str()),
            (Some("meeting_booking"), Some("no free slot"))
        );
        assert_eq!(data["visitor"], visitor(1).to_string());
        once(async || deliveries(&floor.admin, false).await.is_empty().then_some(())).await;
        assert!(hooks.already().is_none());
    });
}

#[test]
fn a_link_leads_to_the_conversation_and_grants_nothing() {
    tell(async {
        let text = "[[workspace]]\nname = \"test\"\n[[workspace.group]]\nname = \"sales\"\n[[workspace.group]]\nname = \"support\"\n";
        let floor = Floor::open(text, SHAPE).await;
        let (_, mut at_ana) = floor.agent("ana", &["sales"], 5, SHAPE).await;
        let (_, at_ben) = floor.agent("ben", &["support"], 5, SHAPE).await;
        let desk = floor.frontend(SHAPE).await;
        let id = desk.opens(1, group("sales")).await;
        let offer = at_ana.sees_offer(id).await;
        let resolve = || ResolveLink { speaker: Speaker::Me, link: offer.link.clone() };
        let found: ConversationDetail = at_ana.client.ask(resolve()).await.expect("there");
        assert_eq!(found.row.conversation, id);
        assert_eq!(code(at_ben.client.ask::<ConversationDetail>(resolve()).await), "not_found");
        let cut = ResolveLink { speaker: Speaker::Me, link: Text::clip(&offer.link[1..]) };
        assert_eq!(code(at_ana.client.ask::<ConversationDetail>(cut).await), "invalid");
        // The same after a restart of the agent's program: it may stand in a mail by now.
        let again = floor.session(offer.agent, SHAPE).await.sees_items().await;
        let links: Vec<_> = again
            .items
            .iter()
            .map(|item| match item {
                AgentItem::Offer(offer) => offer.link.as_str(),
                AgentItem::Conversation(_) => "",
            })
            .collect();
        assert_eq!(links, [offer.link.as_str()]);
    });
}

/// The metrics page.
async fn page(floor: &Floor) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(floor.running().admin()).await.expect("a connection");
    let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(ask).await.expect("asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("a page");
    page
}
