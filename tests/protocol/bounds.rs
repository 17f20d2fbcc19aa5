//! Limits of texts, lists, numbers and bodies: the last that fits is taken, the first that does not is refused, in
//! both encodings and both directions.

use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId},
    protocol::{
        EncodeError, Encoding, Field, Holds, List, Notice, Reply, Request, Shape, Text, Variables,
        bounded::OverLimit,
        frame::{MAX_BODY, PAGE_BUDGET},
        notice::{StaffChange, StaffEntry},
        reply::{AgentPage, Pong, StaffHistory},
        request::Say,
        weight,
        words::{Actor, AgentRow, Presence, Speaker, Variable},
    },
};

use crate::{
    direction::{every_kind, frame},
    sample,
    value::{Style, Value, bincode, json},
};

/// All places in a value that have a limit, each with the value pushed one past it.
fn overfull(shape: &Shape, value: &Value) -> Vec<Value> {
    let through = |shape: &Shape, value: &Value, wrap: &dyn Fn(Value) -> Value| {
        overfull(shape, value).into_iter().map(wrap).collect::<Vec<_>>()
    };
    let fields = |fields: &[Field], values: &[Value]| {
        let mut all = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            all.extend(through(field.shape, &values[at], &|inner| {
                let mut changed = values.to_vec();
                changed[at] = inner;
                Value::Struct(changed)
            }));
        }
        all
    };
    match (shape, value) {
        (Shape::Integer(64) | Shape::Time, _) => vec![Value::Integer(1 << 53)],
        (Shape::Text(max), _) => vec![Value::Text("x".repeat(max + 1)), Value::Text("a\0b".into())],
        (Shape::Name(_), _) => ["", "UPPER", &"x".repeat(65)].map(|name| Value::Text(name.into())).into(),
        (Shape::Option(inner), Value::Option(Some(value))) => {
            through(inner, value, &|inner| Value::Option(Some(Box::new(inner))))
        }
        (Shape::List { max, item }, Value::List(values)) => {
            let mut all = vec![Value::List(vec![values[0].clone(); max + 1])];
            all.extend(through(item, &values[0], &|inner| Value::List(vec![inner])));
            all
        }
        (Shape::Struct { fields: shapes, .. }, Value::Struct(values)) => fields(shapes, values),
        (Shape::Enum { variants, .. }, Value::Variant(at, Some(value))) => {
            let wrap = |inner| Value::Variant(*at, Some(Box::new(inner)));
            match (&variants[*at].holds, &**value) {
                (Holds::One(shape), value) => through(shape, value, &wrap),
                (Holds::Fields(shapes), Value::Struct(values)) => {
                    fields(shapes, values).into_iter().map(wrap).collect()
                }
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

#[test]
fn one_past_any_limit_is_refused_in_both_encodings() {
    let mut tried = 0;
    for (direction, kind) in every_kind() {
        for number in 0..sample::count(kind.shape) - 1 {
            for value in overfull(kind.shape, &sample::sample(kind.shape, number)) {
                let mut compact = Vec::new();
                bincode(kind.shape, &value, &mut compact);
                let text = json(kind.shape, &value, Style::default());
                for (encoding, body) in [(Encoding::Bincode, &compact[..]), (Encoding::Json, text.as_bytes())]
                {
                    let taken = (direction.takes)(kind.kind, body, encoding);
                    assert!(!taken, "{} took {value:?} in {encoding:?}", kind.name);
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "only {tried} limits were tried");
}

fn say(body: &str) -> Say {
    let conversation = ConversationId::from_bytes([1; 16]);
    Say { key: 1, conversation, speaker: Speaker::Me, body: Text::new(body).expect("within the limit") }
}

#[test]
fn a_text_at_its_limit_travels_however_it_has_to_be_escaped() {
    for letter in ["x", "é", "☕", "\u{1}", "\"", "\\"] {
        let body = letter.repeat(8_192 / letter.len());
        for encoding in Encoding::ALL {
            let mut out = Vec::new();
            Request::from(say(&body)).encode(encoding, 1, &mut out).expect("it fits");
            let decoded = Request::decode(encoding, 0x0011, &out[10..]).expect("it can be read");
            assert_eq!(decoded, Request::Say(say(&body)));
        }
    }
}

#[test]
fn what_is_above_its_limit_can_not_be_built() {
    assert_eq!(Text::<3>::new("four"), Err(OverLimit::Bytes { bytes: 4, max: 3 }));
    assert_eq!(Text::<9>::new("nul\0"), Err(OverLimit::Nul));
    assert_eq!(Text::<3>::clip("aé\0é").as_str(), "aé", "clipped at a character");
    assert_eq!(List::<u8, 2>::try_from(vec![1, 2, 3]), Err(OverLimit::Items { max: 2 }));
    let mut list = List::<u8, 1>::new();
    assert_eq!(list.push(1), Ok(()));
    assert_eq!(list.push(2), Err(OverLimit::Items { max: 1 }));
    let variable = Variable { name: Text::new("n").expect("short"), value: Text::clip("v".repeat(1_023)) };
    assert!(Variables::try_from(vec![variable.clone(); 8]).is_ok(), "8 KiB");
    assert_eq!(Variables::try_from(vec![variable; 9]), Err(OverLimit::Variables { max: 8_192 }));
}

#[test]
fn texts_do_not_show_what_they_say_to_a_log() {
    assert_eq!(format!("{:?}", say("secret").body), "Text(6 bytes)");
}

#[test]
fn a_number_that_json_can_not_carry_is_not_sent() {
    let message = Request::from(Say { key: 1 << 53, ..say("hello") });
    for encoding in Encoding::ALL {
        let mut out = vec![9];
        assert!(matches!(message.encode(encoding, 1, &mut out), Err(EncodeError::OutOfRange(_))));
        assert_eq!(out, [9], "nothing is left of a message that can't be sent");
    }
}

fn entry(seq: u64, body: &str) -> StaffEntry {
    let event = StaffChange::Said { body: Text::new(body).expect("within the limit") };
    StaffEntry { seq, visitor_seq: Some(seq), at: Timestamp::from_micros(seq), by: Actor::System, event }
}

#[test]
fn a_page_above_the_frame_is_not_sent_and_one_filled_by_weight_is() {
    let letter = "\u{1}".repeat(8_000);
    let entries: Vec<StaffEntry> = (0..200).map(|seq| entry(seq, &letter)).collect();
    let all = List::try_from(entries.clone()).expect("200 events");
    let (some, taken) = List::fill(entries, PAGE_BUDGET);
    assert_eq!((some.len(), taken), (1, 1), "one such event weighs 48 KB");
    for encoding in Encoding::ALL {
        let mut out = Vec::new();
        let whole = Reply::from(StaffHistory { events: all.clone(), next: None });
        assert_eq!(whole.encode(encoding, 1, &mut out), Err(EncodeError::TooLarge));
        assert!(out.is_empty(), "nothing is left of a message that can't be sent");
        let page = Reply::from(StaffHistory { events: some.clone(), next: Some(1) });
        assert_eq!(page.encode(encoding, 1, &mut out), Ok(()));
        assert_eq!(Reply::decode(encoding, 0x8032, &out[10..]), Ok(page));
    }
    let small: Vec<StaffEntry> = (0..300).map(|seq| entry(seq, "hello")).collect();
    let (page, taken) = List::<_, 200>::fill(small, PAGE_BUDGET);
    assert_eq!((page.len(), taken), (200, 200), "the list's own limit holds too");
}

/// The most bytes that a value of this shape can take in JSON; a byte of text can take six.
fn heaviest(shape: &Shape, name: &str) -> usize {
    let fields = |fields: &[Field]| -> usize {
        2 + fields.iter().map(|field| field.name.len() + 4 + heaviest(field.shape, field.name)).sum::<usize>()
    };
    match shape {
        Shape::Bool => 5,
        Shape::Integer(_) | Shape::Time => 16,
        // Words of our own, and what is refused unless it is plain ASCII.
        Shape::Text(max) if ["media", "mime", "waits_because"].contains(&name) => 2 + max,
        Shape::Text(max) => 2 + 6 * max,
        Shape::Id(_) => 38,
        Shape::Name(_) => 66,
        Shape::Option(inner) => heaviest(inner, name),
        Shape::List { .. } if name == "variables" || name == "set" => 64 * 24 + 6 * Variables::MAX_BYTES,
        // Names that are taken away share the bytes of those that are set, and tags those of the variables.
        Shape::List { max, .. } if name == "unset" || name == "tags" => 2 + max * 3,
        Shape::List { max, item } => 2 + max * (1 + heaviest(item, name)),
        Shape::Struct { fields: all, .. } => fields(all),
        Shape::Enum { variants, .. } => variants
            .iter()
            .map(|variant| {
                variant.name.len()
                    + 8
                    + match &variant.holds {
                        Holds::Nothing => 0,
                        Holds::One(shape) => heaviest(shape, name),
                        Holds::Fields(all) => fields(all),
                    }
            })
            .max()
            .unwrap_or(0),
        Shape::Code => 32,
    }
}

/// What the daemon sends must fit a frame whatever the values are; only pages have to be filled by weight.
#[test]
fn what_is_not_a_page_fits_a_frame_whatever_it_holds() {
    let by_weight = [
        "StaffHistory",
        "VisitorHistory",
        "ConversationPage",
        "VisitorPage",
        "AgentPage",
        "GroupPage",
        "Explanation",
        "AgentItems",
        "DeliveryPage",
        "ListItems",
        "ListChanged",
        "VisitorsChanged",
    ];
    for kind in Reply::CATALOGUE.iter().chain(Notice::CATALOGUE) {
        let most = heaviest(kind.shape, kind.name);
        if by_weight.contains(&kind.name) {
            assert!(most > MAX_BODY, "{} takes {most} bytes at most and need not be weighed", kind.name);
        } else {
            assert!(most <= MAX_BODY, "{} can take {most} bytes", kind.name);
        }
    }
}

#[test]
fn no_item_of_a_page_is_too_heavy_to_be_sent_alone() {
    for kind in Reply::CATALOGUE.iter().chain(Notice::CATALOGUE) {
        let Shape::Struct { fields, .. } = kind.shape else { continue };
        for field in *fields {
            if let Shape::List { item, .. } = field.shape {
                let most = heaviest(item, field.name);
                assert!(most <= PAGE_BUDGET, "an item of {}.{} can take {most}", kind.name, field.name);
            }
        }
    }
}

#[test]
fn weight_bounds_both_encodings() {
    for (_, kind) in every_kind() {
        for number in 0..sample::count(kind.shape) {
            let value = sample::sample(kind.shape, number);
            let mut compact = Vec::new();
            bincode(kind.shape, &value, &mut compact);
            let text = json(kind.shape, &value, Style::default());
            assert!(compact.len() <= text.len(), "{}: the JSON of {value:?} is the shorter", kind.name);
        }
    }
    assert_eq!(weight(&Pong { now: Timestamp::from_micros(5) }), "{\"now\":5}".len());
}

/// bincode counts eight bytes for each length when it applies a limit, more than they take: a page of agents in many
/// groups that is full by weight must still be readable.
#[test]
fn a_page_that_is_full_can_be_read() {
    for letters in [1, 4, 10, 64] {
        let group = |at: u8| {
            let name = format!("{}{}", "g".repeat(letters - 1), char::from(b'a' + at % 26));
            name.parse().expect("a name")
        };
        let row = AgentRow {
            agent: AgentId::from_bytes([1; 16]),
            name: Text::clip("Ada"),
            presence: Presence::Online,
            live: true,
            state: Text::clip("available"),
            cap: 1,
            taken: 0,
            reserved: 0,
            groups: List::clip((0..64).map(group)),
            avatar: None,
            quarantined: false,
            version: 1,
        };
        let (rows, taken) = List::fill(vec![row; 100], PAGE_BUDGET);
        assert!(taken > 10, "{taken}");
        let page = Reply::from(AgentPage { rows, cursor: None });
        for encoding in Encoding::ALL {
            let mut out = Vec::new();
            page.encode(encoding, 1, &mut out).expect("it fits");
            assert_eq!(Reply::decode(encoding, page.kind(), &out[10..]).as_ref(), Ok(&page), "{letters}");
        }
    }
}

#[test]
fn a_claimed_length_costs_nothing() {
    // A Say whose body claims 2^40 bytes, in a body of 27.
    let mut body = vec![1];
    body.extend([1; 16]);
    body.push(0);
    body.extend([253, 0, 0, 0, 0, 0, 1, 0, 0]);
    let whole = frame(0x0011, 1, &body);
    assert!(Request::decode(Encoding::Bincode, 0x0011, &whole[10..]).is_err());
}
