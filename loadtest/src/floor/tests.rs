//! What comes back after a lost connection, fed by hand: nobody is judged, or gives up, before the answers are there.

use std::time::{Duration, Instant};

use maitred::{
    clock::Timestamp,
    ids::{ConversationId, VisitorId},
    protocol::{
        Encoding, FrameDecoder, Notice, RefusalCode, Reply, Request, Text,
        notice::{VisitorChange, VisitorEntry, VisitorEvent},
        reply::{Opened, Refused, Subscribed},
        words::{Feed, Speaker, Status},
    },
};

use super::Floor;
use crate::{
    audit::Violations,
    link::{Ask, What},
    scenario::{self, Scenario},
};

const ENCODING: Encoding = Encoding::Bincode;
const MANY: usize = 1_000;

/// One visitor in an open loop of one connection, and what was asked on it.
struct Stage {
    floor: Floor,
    now: Instant,
}

impl Stage {
    fn new() -> Self {
        let text = scenario::text("overload").expect("it is built in");
        let scenario = Scenario::read(&text, &["connections=1".to_owned()]).expect("it is right");
        let now = Instant::now();
        let mut floor = Floor::new(&scenario, &[], ENCODING, 7);
        floor.connected(0, MANY, false);
        floor.coming = true;
        let visitor = floor.new_visitor();
        floor.begin(0, visitor, now, now);
        Self { floor, now }
    }

    /// Takes what was sent since the last time.
    fn sent(&mut self) -> Vec<(u32, Request)> {
        let mut decoder = FrameDecoder::new();
        decoder.feed(&std::mem::take(&mut self.floor.links[0].out));
        let mut sent = Vec::new();
        while let Some(frame) = decoder.next().expect("whole frames") {
            let request = Request::decode(ENCODING, frame.kind, frame.body).expect("readable");
            sent.push((frame.number, request));
        }
        sent
    }

    /// The number and conversation of the one opening among what was sent.
    fn opening(&mut self) -> (u32, ConversationId, VisitorId) {
        let openings = self.sent().into_iter().filter_map(|(number, request)| match request {
            Request::Open(open) => match open.speaker {
                Speaker::Visitor(visitor) => Some((number, open.conversation, visitor)),
                _ => None,
            },
            _ => None,
        });
        let openings: Vec<_> = openings.collect();
        assert_eq!(openings.len(), 1);
        openings[0]
    }

    /// The number of the one subscription among what was sent, and from where.
    fn subscription(&mut self) -> (u32, u64) {
        let subscriptions = self.sent().into_iter().filter_map(|(number, request)| match request {
            Request::Subscribe(subscribe) => match subscribe.feed {
                Feed::Conversation { after, .. } => Some((number, after)),
                _ => None,
            },
            _ => None,
        });
        let subscriptions: Vec<_> = subscriptions.collect();
        assert_eq!(subscriptions.len(), 1);
        subscriptions[0]
    }

    fn take_in(&mut self, bytes: &[u8]) {
        let mut decoder = FrameDecoder::new();
        decoder.feed(bytes);
        while let Some(frame) = decoder.next().expect("whole frames") {
            self.floor.take_in(0, ENCODING, frame, self.now).expect("readable");
        }
    }

    fn replies(&mut self, number: u32, reply: &Reply) {
        let mut bytes = Vec::new();
        reply.encode(ENCODING, number, &mut bytes).expect("within its bounds");
        self.take_in(&bytes);
    }

    fn opened(&mut self, (number, conversation, _): (u32, ConversationId, VisitorId), visitor_seq: u64) {
        let status = Status::Waiting;
        let opened = Opened { conversation, existing: false, status, visitor_seq, picker: None };
        self.replies(number, &opened.into());
    }

    fn turned_away(&mut self, number: u32) {
        let refused = Refused {
            code: RefusalCode::Overloaded,
            message: Text::clip("later"),
            retry_after_ms: Some(1_000),
        };
        self.replies(number, &refused.into());
    }

    fn tells(&mut self, (_, conversation, visitor): (u32, ConversationId, VisitorId), number: u64) {
        let change = match number {
            1 => VisitorChange::Opened,
            4 => VisitorChange::Closed { by_me: true },
            _ => VisitorChange::Queued { group_label: Text::default() },
        };
        let entry = VisitorEntry { visitor_seq: number, at: Timestamp::from_micros(number), change };
        let mut bytes = Vec::new();
        let notice: Notice = VisitorEvent { conversation, visitor, entry }.into();
        notice.encode(ENCODING, &mut bytes).expect("within its bounds");
        self.take_in(&bytes);
    }

    fn comes_back(&mut self) {
        self.floor.disconnected(0);
        self.floor.connected(0, MANY, true);
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
        self.floor.fire(self.now);
    }

    fn ends(self) -> Violations {
        self.floor.audit.finish().0
    }
}

#[test]
fn what_was_missed_is_waited_for_before_anybody_is_judged() {
    let mut stage = Stage::new();
    let who = stage.opening();
    stage.opened(who, 1);
    stage.tells(who, 1);
    stage.comes_back();
    let (number, after) = stage.subscription();
    assert_eq!(after, 1);
    // The end is told before the subscription is answered.
    stage.tells(who, 4);
    stage.passes(Duration::from_secs(60));
    stage.replies(number, &Subscribed { version: 4, next: None }.into());
    (2..=4).for_each(|number| stage.tells(who, number));
    stage.passes(Duration::from_secs(60));
    assert_eq!(stage.ends().total(), 0);
}

#[test]
fn what_was_missed_is_asked_for_until_it_is_told_even_after_the_end() {
    let mut stage = Stage::new();
    let who = stage.opening();
    stage.opened(who, 1);
    stage.tells(who, 1);
    stage.comes_back();
    let (number, _) = stage.subscription();
    stage.tells(who, 4);
    stage.turned_away(number);
    stage.passes(Duration::from_secs(2));
    let (number, after) = stage.subscription();
    assert_eq!(after, 1);
    stage.replies(number, &Subscribed { version: 4, next: None }.into());
    (2..=4).for_each(|number| stage.tells(who, number));
    stage.passes(Duration::from_secs(60));
    assert_eq!(stage.ends().total(), 0);
}

#[test]
fn whose_opening_may_have_been_taken_asks_again_even_when_the_doors_have_closed() {
    let mut stage = Stage::new();
    stage.opening();
    stage.comes_back();
    let again = stage.opening();
    stage.floor.close_doors();
    stage.turned_away(again.0);
    assert!(!stage.floor.is_empty(), "they may be in");
    stage.passes(Duration::from_secs(2));
    let again = stage.opening();
    stage.opened(again, 2);
    let (_, after) = stage.subscription();
    assert_eq!(after, 0, "from the start, as nothing was seen");
}

#[test]
fn whoever_was_turned_away_stays_away_when_the_doors_have_closed() {
    let mut stage = Stage::new();
    let (number, ..) = stage.opening();
    stage.turned_away(number);
    stage.floor.close_doors();
    assert!(stage.floor.is_empty());
    stage.passes(Duration::from_secs(2));
    assert!(stage.sent().iter().all(|(_, request)| !matches!(request, Request::Open(_))));
}

#[test]
fn after_a_lost_connection_no_more_is_asked_at_once_than_is_allowed() {
    let mut stage = Stage::new();
    for _ in 0..20 {
        stage.floor.links[0].ask(Ask::plain(What::Ping));
    }
    assert_eq!(stage.sent().len(), 21);
    stage.floor.disconnected(0);
    stage.floor.connected(0, 8, true);
    let sent = stage.sent();
    assert_eq!(sent.len(), 8);
    assert!(matches!(sent[0].1, Request::Open(_)), "in the order in which they were asked");
    assert_eq!(stage.floor.in_flight(), 21);
    stage.replies(sent[1].0, &Subscribed { version: 1, next: None }.into());
    assert_eq!(stage.sent().len(), 1, "room for one more");
}
