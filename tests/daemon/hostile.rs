//! Bad input, bad tokens, too much of everything, and going down: a clear no, and everybody else goes on.

use maitred::{
    client::{Client, ConnectError, Ended, RequestError},
    ids::AgentId,
    protocol::{
        Encoding, Reply, Text,
        reply::{Minted, Refused},
        request::{Close, MintToken, Ping, RevokeToken, Say},
        words::{GoAwayReason, Presence, Role, Speaker, Status},
    },
};

use super::{
    floor::{Floor, Seat, Shape, code, group, new_id, opening, seconds, stories, visitor},
    raw::{Wire, hello, shake_hands},
};

stories! {
    what_can_not_be_read_is_refused,
    a_connection_begins_with_hello,
    a_token_that_is_no_good_opens_nothing,
    a_token_that_ends_ends_its_sessions,
    rates_are_limited_and_say_when_to_come_back,
    more_in_flight_than_allowed_is_refused,
    a_drain_answers_what_it_took_and_takes_nothing_new,
}

const SALES: &str = r#"
[limits]
in_flight_per_connection = 16
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
"#;

/// Two who were there before, and talk as if nothing were the matter.
struct Bystanders {
    desk: Seat,
    agent: (AgentId, Seat),
    told: u16,
}

impl Bystanders {
    async fn come(floor: &Floor, shape: Shape) -> Self {
        let agent = floor.agent("bystander", &["sales"], 5, shape).await;
        Self { desk: floor.frontend(shape).await, agent, told: 60_000 }
    }

    async fn go_on(&mut self) {
        self.told += 1;
        let id = self.desk.opens(self.told, group("sales")).await;
        let seat = &mut self.agent.1;
        let offer = seat.sees_offer(id).await.offer;
        seat.client.accept(id, Speaker::Me, offer).await.expect("accepted");
        seat.client.say(id, Speaker::Me, "as ever").await.expect("said");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        seat.drain().await;
    }
}

fn frame(length: u32, kind: u16, number: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn whole(kind: u16, number: u32, body: &[u8]) -> Vec<u8> {
    frame(u32::try_from(body.len()).expect("small"), kind, number, body)
}

fn refused(reply: Reply) -> Refused {
    match reply {
        Reply::Refused(refused) => {
            assert!(!refused.message.is_empty(), "a refusal says what to do");
            refused
        }
        other => panic!("not refused but {other:?}"),
    }
}

async fn still_there(wire: &mut Wire) {
    assert!(matches!(wire.ask(Ping {}).await, Reply::Pong(_)));
}

async fn what_can_not_be_read_is_refused(shape: Shape) {
    const SAY: u16 = 0x0011;
    let floor = Floor::open(SALES, shape).await;
    let mut others = Bystanders::come(&floor, shape).await;
    let token = floor.token(Role::Frontend, None, None).await;
    let say = Say { key: 1, conversation: new_id(), speaker: Speaker::Me, body: Text::clip("hello") };

    // Kinds that it does not know are skipped by their length, as often as one likes.
    let mut wire = Wire::welcomed(&floor, shape.encoding, &token).await;
    for (number, kind) in (1..).zip([0x7abc, 0x0fff, 0x8000, 0xc001, 0xffff, 0x0000]) {
        wire.write(&whole(kind, number, b"anything")).await;
        assert_eq!(refused(wire.reply(number).await).code.as_str(), "unknown_kind", "{kind:#x}");
    }
    still_there(&mut wire).await;

    // Bodies that are not what their kind says: twice a no, the third time the end.
    let good = wire.frame(1, say.clone())[10..].to_vec();
    let mut longer = good.clone();
    longer.extend(if shape.encoding == Encoding::Json { &b"{}"[..] } else { &b"\0"[..] });
    let bodies = [good[..good.len() - 1].to_vec(), longer, b"\xff\xfe\xfd{]".to_vec(), Vec::new()];
    for body in bodies {
        let mut wire = Wire::welcomed(&floor, shape.encoding, &token).await;
        for number in 1..=2 {
            wire.write(&whole(SAY, number, &body)).await;
            assert_eq!(refused(wire.reply(number).await).code.as_str(), "malformed", "{body:?}");
            still_there(&mut wire).await;
        }
        wire.write(&whole(SAY, 3, &body)).await;
        let (reason, replies) = wire.end().await;
        assert_eq!(reason, Some(GoAwayReason::ProtocolError));
        assert!(replies.iter().any(|(number, _)| *number == 3), "the last one is answered too");
    }
    others.go_on().await;

    // A field above its limit, in a frame within its own.
    let mut wire = Wire::welcomed(&floor, shape.encoding, &token).await;
    let most = Say { body: Text::clip("x".repeat(8_192)), ..say.clone() };
    let mut bytes = wire.frame(1, most)[10..].to_vec();
    match shape.encoding {
        Encoding::Json => {
            let text = String::from_utf8(bytes).expect("JSON is text");
            bytes = text.replacen("xx", "xxx", 1).into_bytes();
        }
        Encoding::Bincode => {
            // The length before the text: byte 251, then 0x2000 in little-endian.
            let at = bytes.windows(3).position(|three| three == [251, 0x00, 0x20]).expect("the length");
            bytes[at + 1] = 0x01;
            bytes.push(b'x');
        }
    }
    wire.write(&whole(SAY, 1, &bytes)).await;
    let answer = refused(wire.reply(1).await);
    assert!(matches!(answer.code.as_str(), "too_large" | "malformed" | "invalid"), "{answer:?}");
    // A number that the client may not use, and a fraction of a frame after it.
    let zero = wire.frame(0, Ping {});
    wire.write(&zero).await;
    assert_eq!(refused(wire.reply(0).await).code.as_str(), "malformed");
    let ping = wire.frame(9, Ping {});
    wire.write(&ping[..7]).await;
    wire.write(&ping[7..]).await;
    assert!(matches!(wire.reply(9).await, Reply::Pong(_)));

    // A frame above the limit can't be followed; no byte of its body is waited for.
    wire.write(&frame(65_537, SAY, 10, b"")).await;
    assert_eq!(refused(wire.reply(0).await).code.as_str(), "too_large");
    assert_eq!(wire.end().await.0, Some(GoAwayReason::ProtocolError));
    let mut stranger = Wire::connect(&floor, shape.encoding).await;
    stranger.write(&frame(2_049, 1, 1, b"")).await;
    assert_eq!(refused(stranger.reply(0).await).code.as_str(), "too_large");
    assert_eq!(stranger.end().await.0, Some(GoAwayReason::ProtocolError));
    others.go_on().await;
}

async fn a_connection_begins_with_hello(shape: Shape) {
    let text = SALES.replace("[limits]\n", "[limits]\nhello_timeout = \"1s\"\n");
    let floor = Floor::open(&text, shape).await;
    let mut others = Bystanders::come(&floor, shape).await;
    for alpn in [&b"maitred/2"[..], b"h3", b"maitred-json/9"] {
        match shake_hands(&floor, alpn).await {
            Err(quinn::ConnectionError::ConnectionClosed(close)) => {
                assert_eq!(u64::from(close.error_code), 0x178, "no application protocol");
            }
            other => panic!("{other:?}"),
        }
    }
    let token = floor.token(Role::Frontend, None, None).await;
    let mut wire = Wire::connect(&floor, shape.encoding).await;
    assert_eq!(refused(wire.ask(Ping {}).await).code.as_str(), "hello_required");
    assert_eq!(wire.end().await.0, Some(GoAwayReason::ProtocolError));

    let mut wire = Wire::welcomed(&floor, shape.encoding, &token).await;
    assert_eq!(refused(wire.ask(hello(&token)).await).code.as_str(), "hello_required");
    still_there(&mut wire).await;

    // Whoever says nothing is sent away; so is whoever opens no stream.
    let mut silent = Wire::connect(&floor, shape.encoding).await;
    silent.end().await;
    let (_endpoint, connection) = shake_hands(&floor, shape.encoding.alpn()).await.expect("a connection");
    tokio::time::timeout(seconds(20), connection.closed()).await.expect("it is closed");
    others.go_on().await;
}

async fn connect(floor: &Floor, token: &str, encoding: Encoding) -> Result<Client, ConnectError> {
    Client::connect(&floor.options(token, encoding)).await.map(|(client, _)| client)
}

/// The code that a Hello was refused with.
async fn kept_out(floor: &Floor, token: &str, encoding: Encoding) -> &'static str {
    match connect(floor, token, encoding).await {
        Err(ConnectError::Refused(refused)) => refused.code.as_str(),
        other => panic!("not refused: {other:?}"),
    }
}

async fn minted(floor: &Floor, role: Role, agent: Option<AgentId>, ttl_seconds: Option<u32>) -> Minted {
    floor.admin.ask(MintToken { role, visitor: None, agent, ttl_seconds }).await.expect("a token")
}

async fn a_token_that_is_no_good_opens_nothing(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let good = floor.token(Role::Supervisor, None, None).await;
    let mut flipped = good.clone().into_bytes();
    let last = flipped.last_mut().expect("not empty");
    *last = if *last == b'a' { b'b' } else { b'a' };
    let flipped = String::from_utf8(flipped).expect("text");
    let half = &good[..good.len() / 2];
    for token in ["", "nonsense", half, &flipped, &"x".repeat(256)] {
        assert_eq!(kept_out(&floor, token, shape.encoding).await, "unauthenticated", "{token}");
    }
    let short = minted(&floor, Role::Supervisor, None, Some(60)).await;
    assert_eq!(short.expires, Some(floor.clock.now() + seconds(60)));
    connect(&floor, short.token.as_str(), shape.encoding).await.expect("it is good yet");
    floor.wait(seconds(60));
    assert_eq!(kept_out(&floor, short.token.as_str(), shape.encoding).await, "token_expired");
    let revoked = minted(&floor, Role::Supervisor, None, None).await;
    floor.admin.request(RevokeToken { token_id: revoked.token_id }).await.expect("revoked");
    for restarted in [false, true] {
        if restarted {
            floor.restart(seconds(1)).await;
        }
        assert_eq!(kept_out(&floor, revoked.token.as_str(), shape.encoding).await, "unauthenticated");
        assert!(matches!(
            kept_out(&floor, short.token.as_str(), shape.encoding).await,
            "token_expired" | "unauthenticated"
        ));
        connect(&floor, &good, shape.encoding).await.expect("this one is good");
    }
}

fn gone(ended: &Ended) -> GoAwayReason {
    match ended {
        Ended::GoneAway(away) => away.reason,
        other => panic!("{other}"),
    }
}

async fn a_token_that_ends_ends_its_sessions(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let mut others = Bystanders::come(&floor, shape).await;
    let ana = floor.put("ana", &[], 5).await;
    let bens = floor.put("ben", &[], 5).await;
    let token = minted(&floor, Role::Agent, Some(ana), None).await;
    let mut first = floor.connect(token.token.as_str(), shape.encoding).await;
    let mut second = floor.connect(token.token.as_str(), shape.encoding).await;
    let other = floor.session(ana, shape).await;
    floor.admin.request(RevokeToken { token_id: token.token_id }).await.expect("revoked");
    assert_eq!(gone(&first.ends().await), GoAwayReason::TokenRevoked);
    assert_eq!(gone(&second.ends().await), GoAwayReason::TokenRevoked);
    other.client.set_presence(ana, Presence::Online).await.expect("another token's session is still there");

    let token = minted(&floor, Role::Agent, Some(ana), Some(60)).await;
    let mut expires = floor.connect(token.token.as_str(), shape.encoding).await;
    let mut renews = floor.connect(token.token.as_str(), shape.encoding).await;
    floor.wait(seconds(50));
    let longer = minted(&floor, Role::Agent, Some(ana), Some(60)).await;
    let wrong = minted(&floor, Role::Agent, Some(bens), Some(60)).await;
    assert_eq!(code(renews.client.renew(wrong.token.as_str()).await), "forbidden");
    assert_eq!(code(renews.client.renew("nonsense").await), "unauthenticated");
    let welcome = renews.client.renew(longer.token.as_str()).await.expect("renewed");
    assert_eq!(welcome.expires, longer.expires);
    floor.wait(seconds(10));
    assert_eq!(gone(&expires.ends().await), GoAwayReason::TokenExpired);
    renews.client.ping().await.expect("it goes on with the new token");
    floor.wait(seconds(50));
    assert_eq!(gone(&renews.ends().await), GoAwayReason::TokenExpired);
    others.go_on().await;
}

fn wait_of<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> u64 {
    match answer {
        Err(RequestError::Refused(refused)) if refused.code.as_str() == "rate_limited" => {
            refused.retry_after_ms.expect("it says when")
        }
        other => panic!("{other:?}"),
    }
}

async fn rates_are_limited_and_say_when_to_come_back(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let mut others = Bystanders::come(&floor, shape).await;
    let desk = floor.frontend(shape).await;
    let watch = floor.supervisor(shape).await;

    // Messages: 2 a second, 10 at once; the same through the frontend and on the visitor's own connection.
    let id = desk.opens(1, group("sales")).await;
    let own = floor.visitor(visitor(1), shape).await;
    for number in 0..10 {
        let (seat, speaker) =
            if number % 2 == 0 { (&desk, Speaker::Visitor(visitor(1))) } else { (&own, Speaker::Me) };
        seat.client.say(id, speaker, "hello?").await.expect("within the burst");
    }
    if shape.arbiters == 1 {
        // An arbiter remembers the visitors of its own connections.
        assert_eq!(wait_of(own.client.say(id, Speaker::Me, "hello?").await), 500);
    }
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(desk.client.say(id, Speaker::Visitor(visitor(1)), "hello?").await.is_err());
    }
    assert!(refused >= 10, "at most one more burst");
    let wait = wait_of(desk.client.say(id, Speaker::Visitor(visitor(1)), "hello?").await);
    assert_eq!(wait, 500);
    floor.wait(std::time::Duration::from_millis(wait));
    desk.client.say(id, Speaker::Visitor(visitor(1)), "hello?").await.expect("after the wait");
    wait_of(desk.client.say(id, Speaker::Visitor(visitor(1)), "hello?").await);
    let other = desk.opens(2, group("sales")).await;
    desk.client
        .say(other, Speaker::Visitor(visitor(2)), "hello")
        .await
        .expect("another visitor's rate is their own");

    // Openings: 3 in 10 minutes.
    for _ in 0..3 {
        let id = desk.opens(3, group("sales")).await;
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
    }
    let wait = wait_of(desk.client.open(opening(new_id(), visitor(3), group("sales"))).await);
    assert_eq!(wait, 200_000);
    floor.wait(std::time::Duration::from_millis(wait));
    desk.opens(3, group("sales")).await;

    // Agents: 20 commands a second, 60 at once; what only reads is a command too.
    let agent = floor.session(floor.put("ana", &[], 5).await, shape).await;
    let mut done = 0;
    let wait = loop {
        match agent.client.note(id, Speaker::Me, "x").await {
            Err(RequestError::Refused(refused)) if refused.code.as_str() == "rate_limited" => {
                break refused.retry_after_ms.expect("it says when");
            }
            _ => done += 1,
        }
        assert!(done <= 60);
    };
    assert_eq!((done, wait), (60, 50));
    floor.wait(seconds(3));
    others.go_on().await;
}

/// More requests at once than a connection may have in flight: each is answered once, some with `overloaded`, and is done or not
/// as the answer says.
async fn more_in_flight_than_allowed_is_refused(shape: Shape) {
    const REQUESTS: u32 = 400;
    let text = format!("{SALES}\n")
        .replace("in_flight_per_connection", "in_flight_total = 64\nin_flight_per_connection");
    let floor = Floor::open(&text, shape).await;
    let mut others = Bystanders::come(&floor, shape).await;
    let watch = floor.supervisor(shape).await;
    let token = floor.token(Role::Supervisor, None, None).await;
    let id = others.desk.opens(1, group("sales")).await;
    let before = watch.staff_history(id).await.len();
    let mut wire = Wire::welcomed(&floor, shape.encoding, &token).await;
    let mut bytes = Vec::new();
    for number in 1..=REQUESTS {
        let note = maitred::protocol::request::Note {
            key: u64::from(number),
            conversation: id,
            speaker: Speaker::Me,
            body: Text::clip("x"),
        };
        bytes.extend(wire.frame(number, note));
    }
    wire.write(&bytes).await;
    let (mut done, mut overloaded) = (0, 0);
    for number in 1..=REQUESTS {
        match wire.reply(number).await {
            Reply::Recorded(_) => done += 1,
            other => {
                let refused = refused(other);
                assert_eq!(refused.code.as_str(), "overloaded");
                assert!(refused.retry_after_ms.is_some());
                overloaded += 1;
            }
        }
    }
    assert_eq!(done + overloaded, REQUESTS);
    assert!(done >= 16, "as many as allowed were done");
    assert!(overloaded > 0, "and more were sent than that");
    assert_eq!(watch.staff_history(id).await.len(), before + done as usize);
    still_there(&mut wire).await;
    watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
    others.agent.1.drain().await;
    others.go_on().await;
}

/// Everybody is told to go; what was asked before is answered and lasts, nothing is half done, and the daemon ends well.
async fn a_drain_answers_what_it_took_and_takes_nothing_new(shape: Shape) {
    let text = SALES.replace("in_flight_per_connection = 16\n", "");
    let mut floor = Floor::open(&text, shape).await;
    let (_, mut agent) = floor.agent("ana", &["sales"], 5, shape).await;
    let mut desk = floor.frontend(shape).await;
    let id = desk.opens(1, group("sales")).await;
    let offer = agent.sees_offer(id).await.offer;
    agent.client.accept(id, Speaker::Me, offer).await.expect("accepted");
    let asked: Vec<_> = (100..200u16)
        .map(|whose| {
            let id = new_id();
            (id, desk.client.open(opening(id, visitor(whose), group("sales"))))
        })
        .collect();
    let control = floor.running().control();
    control.drain();
    let late = new_id();
    let refused = desk.client.open(opening(late, visitor(300), group("sales"))).await;
    match &refused {
        Err(RequestError::Refused(refused)) => assert_eq!(refused.code.as_str(), "draining"),
        Err(RequestError::Lost(ended)) => assert_eq!(gone(ended), GoAwayReason::Draining),
        other => panic!("it takes nothing new, but: {other:?}"),
    }
    let mut opened = Vec::new();
    for (id, answer) in asked {
        match answer.await {
            Ok(_) => opened.push(id),
            Err(RequestError::Refused(refused)) => assert_eq!(refused.code.as_str(), "draining"),
            Err(RequestError::Lost(ended)) => assert_eq!(gone(&ended), GoAwayReason::Draining),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(gone(&desk.ends().await), GoAwayReason::Draining);
    assert_eq!(gone(&agent.ends().await), GoAwayReason::Draining);
    floor.restart(seconds(5)).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(watch.status(id).await, Status::Active);
    for id in opened {
        watch.detail(id).await;
    }
    let absent = watch.client.ask::<Reply>(Close { key: 1, conversation: late, speaker: Speaker::Me }).await;
    assert_eq!(code(absent), "not_found");
}
