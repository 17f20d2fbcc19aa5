//! Sample values for golden files and the manual: the same for ever, and telling by their field's name.

use maitred::protocol::{Field, Holds, RefusalCode, Shape};

use crate::value::Value;

/// How many samples show every variant of every enum in `shape`, plus one with as little as possible in it.
pub(crate) fn count(shape: &Shape) -> usize {
    widest(shape) + 1
}

/// Samples that it takes to show every variant: in an enum one after another, in a struct all fields at the same time.
fn widest(shape: &Shape) -> usize {
    match shape {
        Shape::Option(inner) | Shape::List { item: inner, .. } => widest(inner),
        Shape::Struct { fields, .. } => widest_field(fields),
        Shape::Enum { variants, .. } => variants.iter().map(|variant| widest_held(&variant.holds)).sum(),
        Shape::Code => RefusalCode::ALL.len(),
        _ => 1,
    }
}

fn widest_field(fields: &[Field]) -> usize {
    fields.iter().map(|field| widest(field.shape)).max().unwrap_or(1)
}

fn widest_held(holds: &Holds) -> usize {
    match holds {
        Holds::Nothing => 1,
        Holds::One(shape) => widest(shape),
        Holds::Fields(fields) => widest_field(fields),
    }
}

/// The sample `number` of `count(shape)`; the last holds as little as possible.
pub(crate) fn sample(shape: &Shape, number: usize) -> Value {
    let least = number + 1 == count(shape);
    build(shape, "", number, least)
}

fn build(shape: &Shape, field: &str, number: usize, least: bool) -> Value {
    let structure = |fields: &[Field], number: usize| {
        Value::Struct(fields.iter().map(|field| build(field.shape, field.name, number, least)).collect())
    };
    match shape {
        Shape::Bool => Value::Bool(!least),
        Shape::Integer(bits) => Value::Integer(if least { 0 } else { integer(*bits, field) }),
        Shape::Time => {
            Value::Integer(if least { 0 } else { 1_700_000_000_000_000 + field.len() as u64 * 1_000_000 })
        }
        Shape::Text(_) => Value::Text(if least { String::new() } else { text(field).into() }),
        Shape::Id(what) => Value::Id(id(what, field)),
        Shape::Name(what) => Value::Text(
            match *what {
                "workspace" => "acme",
                "channel" => "web",
                _ => "sales",
            }
            .into(),
        ),
        Shape::Option(_) if least => Value::Option(None),
        Shape::Option(inner) => Value::Option(Some(Box::new(build(inner, field, number, least)))),
        Shape::List { .. } if least => Value::List(Vec::new()),
        Shape::List { item, .. } => {
            Value::List((0..2).map(|extra| build(item, field, number + extra, least)).collect())
        }
        Shape::Struct { fields, .. } => structure(fields, number),
        Shape::Enum { variants, .. } => {
            let mut inner = number % widest(shape);
            let mut at = 0;
            while inner >= widest_held(&variants[at].holds) {
                inner -= widest_held(&variants[at].holds);
                at += 1;
            }
            let held = match &variants[at].holds {
                Holds::Nothing => None,
                Holds::One(shape) => Some(Box::new(build(shape, field, inner, least))),
                Holds::Fields(fields) => Some(Box::new(structure(fields, inner))),
            };
            Value::Variant(at, held)
        }
        Shape::Code => Value::Code(RefusalCode::ALL[number % RefusalCode::ALL.len()]),
    }
}

fn integer(bits: u8, field: &str) -> u64 {
    match (bits, field) {
        (8, _) => 5,
        (_, "frame") => 65_536,
        (_, "message_body") => 8_192,
        (_, "limit") => 50,
        (_, "highest_kind") => 0xc00a,
        (_, "ttl_seconds") => 3_600,
        (_, name) if name.ends_with("_ms") => 45_000,
        (64, "version" | "key" | "connection") => 4_294_967_296 + 17,
        (_, "seq" | "after" | "next") => 251,
        (_, name) => name.len() as u64,
    }
}

fn text(field: &str) -> &'static str {
    match field {
        "body" | "message" => "Grüß Gott, is \"anybody\" there?\n☕",
        "token" => "mtr_0123456789abcdef_not_a_secret",
        "token_id" => "0123456789abcdef",
        "software" => "example-client 1.0",
        "version" => "0.1.0",
        "name" => "Ada",
        "value" => "https://example.org/fr",
        "email" => "ada@example.org",
        "cursor" => "c-100",
        "label" | "group_label" => "Sales, France",
        "state" => "available",
        "reason" | "agent_reason" => "at_cap",
        "waits_because" => "all three agents of sales are at their cap",
        _ => "text",
    }
}

fn id(what: &str, field: &str) -> [u8; 16] {
    let last = match field {
        "to" => 0x58,
        _ => 0x57,
    };
    let first = match what {
        "conversation" => 0x01,
        "agent" => 0xa6,
        "visitor" => 0x55,
        _ => 0xc1,
    };
    [first, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b, 0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, last]
}
