//! The manual, `docs/protocol.md`: its tables, its schema and its bytes are written by the code, and checked.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use maitred::protocol::{Catalogue, Field, Holds, Notice, RefusalCode, Reply, Request, Shape};

use crate::{
    direction::{ALL, every_kind},
    golden, regenerating, sample,
    value::{Value, bincode, snake_case},
};

const PAGE: &str = "docs/protocol.md";
const SCHEMA: &str = "clients/python/wire_schema.txt";

/// Messages whose bytes the manual takes apart, each with the number of its golden sample.
const EXAMPLES: &[(&str, usize)] = &[
    ("Hello", 0),
    ("Welcome", 1),
    ("Say", 0),
    ("Say", 1),
    ("Recorded", 0),
    ("Refused", 12),
    ("OfferMade", 0),
    ("OfferEnded", 3),
    ("VisitorEvent", 5),
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn prose(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A type as the schema writes it.
fn type_name(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".into(),
        Shape::Integer(bits) => format!("u{bits}"),
        Shape::Text(max) => format!("text({max})"),
        Shape::Id(what) => format!("id({what})"),
        Shape::Name(what) => format!("name({what})"),
        Shape::Time => "time".into(),
        Shape::Option(inner) => format!("{}?", type_name(inner)),
        Shape::List { max, item } => format!("list({}, {max})", type_name(item)),
        Shape::Struct { name, .. } | Shape::Enum { name, .. } => (*name).into(),
        Shape::Code => "code".into(),
    }
}

/// The named types that `shape` is made of, by name; not itself.
fn collect(shape: &'static Shape, found: &mut BTreeMap<&'static str, &'static Shape>) {
    let mut inner: Vec<&'static Shape> = Vec::new();
    match shape {
        Shape::Option(item) | Shape::List { item, .. } => inner.push(item),
        Shape::Struct { fields, .. } => inner.extend(fields.iter().map(|field| field.shape)),
        Shape::Enum { variants, .. } => {
            for variant in *variants {
                match &variant.holds {
                    Holds::Nothing => {}
                    Holds::One(shape) => inner.push(shape),
                    Holds::Fields(fields) => inner.extend(fields.iter().map(|field| field.shape)),
                }
            }
        }
        _ => {}
    }
    for shape in inner {
        if let Shape::Struct { name, .. } | Shape::Enum { name, .. } = shape {
            let before = found.insert(name, shape);
            assert!(before.is_none_or(|before| before == shape), "two types are called {name}");
        }
        collect(shape, found);
    }
}

fn types() -> BTreeMap<&'static str, &'static Shape> {
    let mut found = BTreeMap::new();
    for (_, kind) in every_kind() {
        collect(kind.shape, &mut found);
    }
    found
}

fn schema_fields(fields: &[Field]) -> String {
    if fields.is_empty() {
        return "{}".into();
    }
    let all: Vec<String> =
        fields.iter().map(|field| format!("{}: {}", field.name, type_name(field.shape))).collect();
    format!("{{ {} }}", all.join(", "))
}

fn schema_type(name: &str, shape: &Shape) -> String {
    match shape {
        Shape::Struct { fields, .. } => format!("struct {name} {}\n", schema_fields(fields)),
        Shape::Enum { variants, .. } => {
            let all: Vec<String> = variants
                .iter()
                .map(|variant| {
                    let name = snake_case(variant.name);
                    match &variant.holds {
                        Holds::Nothing => name,
                        Holds::One(shape) => format!("{name}({})", type_name(shape)),
                        Holds::Fields(fields) => format!("{name} {}", schema_fields(fields)),
                    }
                })
                .collect();
            format!("enum {name} {{ {} }}\n", all.join(", "))
        }
        shape => panic!("{shape:?} has no name"),
    }
}

/// The whole wire as text for programs.
fn schema() -> String {
    let mut out = String::new();
    for direction in ALL {
        for kind in direction.catalogue {
            let Shape::Struct { fields, .. } = kind.shape else { panic!("{} is no struct", kind.name) };
            let _ =
                write!(out, "{} {:#06x} {} {}", direction.name, kind.kind, kind.name, schema_fields(fields));
            if !kind.answers.is_empty() {
                let _ = write!(out, " -> {}", kind.answers.join(" | "));
            }
            out.push('\n');
        }
    }
    for (name, shape) in types() {
        out.push_str(&schema_type(name, shape));
    }
    let codes: Vec<String> =
        RefusalCode::ALL.iter().map(|code| format!("{} {code}", code.number())).collect();
    let _ = writeln!(out, "codes {{ {} }}", codes.join(", "));
    out
}

fn linked(shape: &Shape) -> String {
    match shape {
        Shape::Struct { name, .. } | Shape::Enum { name, .. } => {
            format!("[`{name}`](#{})", name.to_lowercase())
        }
        Shape::Option(inner) => format!("{}?", linked(inner)),
        Shape::List { max, item } => format!("list({}, {max})", linked(item)),
        plain => format!("`{}`", type_name(plain)),
    }
}

fn field_table(fields: &[Field]) -> String {
    let mut out = String::from("| field | type | |\n|---|---|---|\n");
    for field in fields {
        let _ = writeln!(out, "| `{}` | {} | {} |", field.name, linked(field.shape), prose(field.doc));
    }
    out
}

fn messages(catalogue: &[Catalogue]) -> String {
    let mut out = String::new();
    for kind in catalogue {
        let Shape::Struct { doc, fields, .. } = kind.shape else { panic!("{} is no struct", kind.name) };
        let _ = write!(out, "\n#### `{:#06x}` {}\n\n{}\n", kind.kind, kind.name, prose(doc));
        if !kind.answers.is_empty() {
            let _ = write!(out, "\nAnswered by `{}`", kind.answers.join("` or `"));
            if kind.refusals.is_empty() {
                out.push_str(".\n");
            } else {
                let codes: Vec<&str> = kind.refusals.iter().map(|code| code.as_str()).collect();
                let _ = writeln!(out, "; in particular refused with `{}`.", codes.join("`, `"));
            }
        }
        if fields.is_empty() {
            out.push_str("\nNo fields: 0 bytes in bincode, `{}` in JSON.\n");
        } else {
            let _ = write!(out, "\n{}", field_table(fields));
        }
    }
    out
}

fn type_sections() -> String {
    let mut out = String::new();
    for (name, shape) in types() {
        match shape {
            Shape::Struct { doc, fields, .. } => {
                let _ = write!(out, "\n#### {name}\n\n{}\n\n{}", prose(doc), field_table(fields));
            }
            Shape::Enum { doc, variants, .. } => {
                let _ = write!(out, "\n#### {name}\n\n{}\n\n", prose(doc));
                out.push_str("| number | JSON | holds | |\n|---|---|---|---|\n");
                for (number, variant) in variants.iter().enumerate() {
                    let holds = match &variant.holds {
                        Holds::Nothing => "–".into(),
                        Holds::One(shape) => linked(shape),
                        Holds::Fields(fields) => fields
                            .iter()
                            .map(|field| {
                                format!("`{}` {}: {}", field.name, linked(field.shape), prose(field.doc))
                            })
                            .collect::<Vec<_>>()
                            .join("<br>"),
                    };
                    let name = snake_case(variant.name);
                    let _ = writeln!(out, "| {number} | `{name}` | {holds} | {} |", prose(variant.doc));
                }
            }
            _ => {}
        }
    }
    out
}

fn refusals() -> String {
    let mut out = String::from("| number | code | meaning | what to do |\n|---|---|---|---|\n");
    for code in RefusalCode::ALL {
        let _ = writeln!(out, "| {} | `{code}` | {} | {} |", code.number(), code.meaning(), code.remedy());
    }
    out
}

/// A length or a variant's number in a sample, which is one byte.
fn small(number: usize) -> u8 {
    u8::try_from(number).ok().filter(|number| *number <= 250).expect("samples are small")
}

/// One line of a byte dump, or several for what is nested.
fn dissect(shape: &Shape, value: &Value, path: &str, out: &mut String) {
    let part = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let line = |bytes: &[u8], meaning: &str, out: &mut String| {
        let spaced: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(out, "{:<50} {meaning}", spaced.join(" "));
    };
    match (shape, value) {
        (Shape::Struct { fields, .. }, Value::Struct(values)) => {
            for (field, value) in fields.iter().zip(values) {
                dissect(field.shape, value, &part(field.name), out);
            }
        }
        (Shape::Option(inner), Value::Option(Some(value))) => {
            line(&[1], &format!("{path} is there"), out);
            dissect(inner, value, path, out);
        }
        (Shape::Option(_), Value::Option(None)) => line(&[0], &format!("{path} is absent"), out),
        (Shape::List { item, .. }, Value::List(values)) => {
            line(&[small(values.len())], &format!("{path}: {} items", values.len()), out);
            for (at, value) in values.iter().enumerate() {
                dissect(item, value, &format!("{path}[{at}]"), out);
            }
        }
        (Shape::Enum { variants, .. }, Value::Variant(number, held)) => {
            let variant = &variants[*number];
            let name = snake_case(variant.name);
            line(&[small(*number)], &format!("{path} = {name}"), out);
            match (&variant.holds, held.as_deref()) {
                (Holds::One(shape), Some(value)) => dissect(shape, value, &part(&name), out),
                (Holds::Fields(fields), Some(Value::Struct(values))) => {
                    for (field, value) in fields.iter().zip(values) {
                        dissect(field.shape, value, &format!("{}.{}", part(&name), field.name), out);
                    }
                }
                _ => {}
            }
        }
        (_, Value::Text(text)) => {
            let mut bytes = Vec::new();
            bincode(shape, value, &mut bytes);
            let length = bytes.len() - text.len();
            line(&bytes[..length], &format!("{path}: {} bytes", text.len()), out);
            for (at, piece) in bytes[length..].chunks(16).enumerate() {
                line(piece, &if at == 0 { format!("{text:?}") } else { String::new() }, out);
            }
        }
        (shape, value) => {
            let mut bytes = Vec::new();
            bincode(shape, value, &mut bytes);
            let meaning = match value {
                Value::Integer(number) => format!("{path} = {number}"),
                Value::Bool(yes) => format!("{path} = {yes}"),
                Value::Code(code) => format!("{path} = {} {code}", code.number()),
                _ => path.to_owned(),
            };
            line(&bytes, &meaning, out);
        }
    }
}

fn examples() -> String {
    let mut out = String::new();
    for (name, number) in EXAMPLES {
        let (direction, kind) = every_kind().find(|(_, kind)| kind.name == *name).expect("a kind");
        let (frame, json) = golden::pair(direction, kind, *number);
        let value = sample::sample(kind.shape, *number);
        let _ = write!(
            out,
            "\n{name} ({}, sample {number} of `{:04x}-{}.hex`):\n\n```text\n",
            direction.name,
            kind.kind,
            snake_case(name)
        );
        let header = [
            (&frame[..4], format!("length of the body: {}", frame.len() - 10)),
            (&frame[4..6], format!("kind {:#06x}", kind.kind)),
            (&frame[6..10], format!("request number {}", direction.number)),
        ];
        for (bytes, meaning) in header {
            let spaced: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(out, "{:<50} {meaning}", spaced.join(" "));
        }
        let mut lines = String::new();
        dissect(kind.shape, &value, "", &mut lines);
        let text = std::str::from_utf8(&json[10..]).expect("JSON");
        out.extend(lines.lines().map(|line| format!("{}\n", line.trim_end())));
        let _ = write!(out, "```\n\n```json\n{text}\n```\n");
    }
    out
}

fn blocks() -> [(&'static str, String); 7] {
    [
        ("requests", messages(Request::CATALOGUE)),
        ("replies", messages(Reply::CATALOGUE)),
        ("notices", messages(Notice::CATALOGUE)),
        ("types", type_sections()),
        ("refusals", refusals()),
        ("examples", examples()),
        ("schema", format!("```text\n{}```\n", schema())),
    ]
}

/// `page` with the generated part `name` replaced.
fn replaced(page: &str, name: &str, with: &str) -> String {
    let opening = format!("<!-- generated: {name} -->\n");
    let closing = "<!-- end of generated -->";
    let start =
        page.find(&opening).unwrap_or_else(|| panic!("{PAGE} has no place for {name}")) + opening.len();
    let end = start + page[start..].find(closing).expect("an end of what is generated");
    format!("{}{with}{}", &page[..start], &page[end..])
}

#[test]
fn the_manual_says_what_the_code_does() {
    let page = fs::read_to_string(path(PAGE)).expect("the manual");
    let expected = blocks().iter().fold(page.clone(), |page, (name, text)| replaced(&page, name, text));
    if regenerating() {
        fs::write(path(PAGE), &expected).expect("the manual can be written");
        fs::write(path(SCHEMA), schema()).expect("the schema can be written");
        return;
    }
    for (line, (found, wanted)) in page.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, wanted, "{PAGE}:{}: run with MAITRED_REGENERATE=1", line + 1);
    }
    assert!(page == expected, "{PAGE} is shorter or longer than it should be: run with MAITRED_REGENERATE=1");
    let copy = fs::read_to_string(path(SCHEMA)).expect("the schema");
    assert!(copy == schema(), "{SCHEMA} is not the schema: run with MAITRED_REGENERATE=1");
}

#[test]
fn the_manual_derives_ids_as_the_code_does() {
    let page = fs::read_to_string(path(PAGE)).expect("the manual");
    let namespace = maitred::ids::NAMESPACE.hyphenated().to_string();
    let workspace = uuid::Uuid::new_v5(&maitred::ids::NAMESPACE, b"demo").hyphenated().to_string();
    let agent = maitred::ids::AgentId::derive(&"demo".parse().expect("a name"), "ana").to_string();
    for line in [
        format!("NAMESPACE                    = {namespace}"),
        format!("uuid5(NAMESPACE, \"demo\")     = {workspace}"),
        format!("agent \"ana\" of \"demo\"        = {agent}"),
    ] {
        assert!(page.contains(&line), "{PAGE} does not say {line:?}");
    }
}

#[test]
fn everything_is_explained() {
    fn explained(name: &str, doc: &[&str]) {
        let text = prose(doc);
        assert!(text.ends_with(['.', '?', '…']), "{name} is not explained in sentences: {text:?}");
        assert!(!text.contains('|'), "{name}: a bar would break the manual's table");
    }
    for shape in types().into_values().chain(every_kind().map(|(_, kind)| kind.shape)) {
        match shape {
            Shape::Struct { name, doc, fields } => {
                explained(name, doc);
                fields.iter().for_each(|field| explained(field.name, field.doc));
            }
            Shape::Enum { name, doc, variants } => {
                explained(name, doc);
                variants.iter().for_each(|variant| explained(variant.name, variant.doc));
            }
            _ => {}
        }
    }
}

/// What a visitor may be sent can't carry a note, a staff number, an offer or a decision: there is no place for it.
#[test]
fn nothing_that_visitors_get_has_room_for_what_is_not_theirs() {
    let theirs = [
        "VisitorEvent",
        "VisitorHistory",
        "ChoicePage",
        "QueuePosition",
        "PositionReply",
        "Opened",
        "GoAway",
        "Refused",
    ];
    let forbidden = ["StaffEntry", "StaffChange", "OfferOutcome", "DecisionView", "ConversationRow", "Actor"];
    for (_, kind) in every_kind().filter(|(_, kind)| theirs.contains(&kind.name)) {
        let mut parts = BTreeMap::from([(kind.name, kind.shape)]);
        collect(kind.shape, &mut parts);
        for (name, shape) in parts {
            assert!(!forbidden.contains(&name), "{} holds a {name}", kind.name);
            let text = schema_type(name, shape);
            for word in ["note", " seq:", "id(agent)", "offer:"] {
                assert!(!text.contains(word), "{}: {text} has room for a {word}", kind.name);
            }
        }
    }
}
