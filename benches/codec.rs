//! What the wire costs: encoding and decoding of the messages that come most often, and telling frames apart.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId, VisitorId},
    protocol::{
        Encoding, FrameDecoder, List, Notice, Reply, Request, Text, Variables,
        frame::{HEADER, PAGE_BUDGET},
        notice::{OfferMade, StaffChange, StaffEntry},
        reply::{Recorded, StaffHistory},
        request::Say,
        words::{Actor, NotifyClass, OfferKind, Speaker, Variable},
    },
};

/// Frames that come together in one wake-up.
const PACKED: usize = 64;

fn conversation() -> ConversationId {
    ConversationId::from_bytes([1; 16])
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("within the limit")
}

fn say() -> Request {
    let speaker = Speaker::Agent(AgentId::from_bytes([2; 16]));
    let body = text("Good morning, what can I do for you? Do you have your order number at hand?");
    Say { key: 1_700_000, conversation: conversation(), speaker, body }.into()
}

fn recorded() -> Reply {
    Recorded { conversation: conversation(), seq: Some(17), visitor_seq: Some(9) }.into()
}

fn offer() -> Notice {
    let variable = Variable { name: text("page"), value: text("https://example.org/fr/prices") };
    OfferMade {
        agent: AgentId::from_bytes([2; 16]),
        conversation: conversation(),
        offer: 3,
        kind: OfferKind::Offer,
        group: Some(GroupId::everyone()),
        deadline: Some(Timestamp::from_micros(1_700_000_045_000_000)),
        accept_within_ms: Some(45_000),
        visitor: VisitorId::from_bytes([3; 16]),
        waiting_since: Timestamp::from_micros(1_700_000_000_000_000),
        variables: Variables::try_from(vec![variable; 4]).expect("few"),
        sound: true,
        notify: NotifyClass::Offer,
        link: text("AQEBAQEBAQEBAQEBAQEBAQEAAAADt3Jb"),
        face: None,
        owner_face: None,
    }
    .into()
}

fn history() -> Reply {
    let entries = (1..=100).map(|seq| StaffEntry {
        seq,
        visitor_seq: Some(seq),
        at: Timestamp::from_micros(1_700_000_000_000_000 + seq),
        by: Actor::Agent(AgentId::from_bytes([2; 16])),
        event: StaffChange::Said { body: text("Good morning, what can I do for you?") },
    });
    StaffHistory { events: List::fill(entries, PAGE_BUDGET).0, next: None }.into()
}

fn messages(c: &mut Criterion) {
    macro_rules! both_ways {
        ($name:literal, $type:ident, $message:expr, |$sent:ident, $encoding:ident, $out:ident| $encode:expr) => {
            for $encoding in Encoding::ALL {
                let $sent = $message;
                let mut $out = Vec::new();
                $encode.expect("it fits");
                let frame = $out.clone();
                let mut group = c.benchmark_group(format!("{}/{:?}", $name, $encoding));
                group.throughput(Throughput::Bytes(frame.len() as u64));
                group.bench_function("encode", |bencher| {
                    bencher.iter(|| {
                        $out.clear();
                        black_box($encode).expect("it fits");
                    });
                });
                group.bench_function("decode", |bencher| {
                    bencher.iter(|| {
                        $type::decode($encoding, $sent.kind(), black_box(&frame[HEADER..])).expect("its own")
                    });
                });
                group.finish();
            }
        };
    }
    both_ways!("say", Request, say(), |sent, encoding, out| sent.encode(encoding, 1, &mut out));
    both_ways!("recorded", Reply, recorded(), |sent, encoding, out| sent.encode(encoding, 1, &mut out));
    both_ways!("offer", Notice, offer(), |sent, encoding, out| sent.encode(encoding, &mut out));
    both_ways!("history of 100", Reply, history(), |sent, encoding, out| sent.encode(encoding, 1, &mut out));
}

fn frames(c: &mut Criterion) {
    let mut packed = Vec::new();
    for number in 1..=PACKED {
        let number = u32::try_from(number).expect("few");
        say().encode(Encoding::Bincode, number, &mut packed).expect("it fits");
    }
    let mut group = c.benchmark_group("frames");
    group.throughput(Throughput::Elements(PACKED as u64));
    for piece in [1_200, 65_536] {
        group.bench_function(format!("64 says in pieces of {piece} bytes"), |bencher| {
            let mut decoder = FrameDecoder::new();
            bencher.iter(|| {
                let mut found = 0;
                for bytes in packed.chunks(piece) {
                    decoder.feed(bytes);
                    while let Some(frame) = decoder.next().expect("well formed") {
                        found += usize::from(black_box(frame).kind == 0x0011);
                    }
                }
                assert_eq!(found, PACKED);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, messages, frames);
criterion_main!(benches);
