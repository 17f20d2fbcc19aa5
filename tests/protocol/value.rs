//! A second codec, written from the manual's rules alone: values by shape, as bincode and as JSON.

use maitred::protocol::{Field, Holds, RefusalCode, Shape, Variant};
use proptest::prelude::*;

/// Any value that a message can hold, with nothing known about its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Integer(u64),
    Text(String),
    Id([u8; 16]),
    Option(Option<Box<Value>>),
    List(Vec<Value>),
    Struct(Vec<Value>),
    /// The variant's number and what it holds: nothing, one value, or a struct of fields.
    Variant(usize, Option<Box<Value>>),
    Code(RefusalCode),
}

/// How JSON names a variant.
pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

fn varint(number: u64, out: &mut Vec<u8>) {
    if let Some(byte) = u8::try_from(number).ok().filter(|byte| *byte <= 250) {
        out.push(byte);
    } else if let Ok(short) = u16::try_from(number) {
        out.push(251);
        out.extend(short.to_le_bytes());
    } else if let Ok(middle) = u32::try_from(number) {
        out.push(252);
        out.extend(middle.to_le_bytes());
    } else {
        out.push(253);
        out.extend(number.to_le_bytes());
    }
}

fn fields_of(holds: &Holds) -> &'static [Field] {
    match holds {
        Holds::Fields(fields) => fields,
        _ => panic!("a struct of fields where the shape has none"),
    }
}

fn bincode_fields(fields: &[Field], values: &[Value], out: &mut Vec<u8>) {
    assert_eq!(fields.len(), values.len());
    for (field, value) in fields.iter().zip(values) {
        bincode(field.shape, value, out);
    }
}

/// Appends the bincode form of `value`.
pub(crate) fn bincode(shape: &Shape, value: &Value, out: &mut Vec<u8>) {
    match (shape, value) {
        (_, Value::Bool(yes)) => out.push(u8::from(*yes)),
        (Shape::Integer(8), Value::Integer(number)) => out.push(u8::try_from(*number).expect("a u8")),
        (_, Value::Integer(number)) => varint(*number, out),
        (_, Value::Text(text)) => {
            varint(text.len() as u64, out);
            out.extend(text.as_bytes());
        }
        (_, Value::Id(bytes)) => out.extend(bytes),
        (Shape::Option(inner), Value::Option(value)) => match value {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                bincode(inner, value, out);
            }
        },
        (Shape::List { item, .. }, Value::List(values)) => {
            varint(values.len() as u64, out);
            for value in values {
                bincode(item, value, out);
            }
        }
        (Shape::Struct { fields, .. }, Value::Struct(values)) => bincode_fields(fields, values, out),
        (Shape::Enum { variants, .. }, Value::Variant(number, held)) => {
            varint(*number as u64, out);
            match (&variants[*number].holds, held.as_deref()) {
                (Holds::Nothing, None) => {}
                (Holds::One(shape), Some(value)) => bincode(shape, value, out),
                (Holds::Fields(fields), Some(Value::Struct(values))) => bincode_fields(fields, values, out),
                (shape, value) => panic!("{value:?} is not {shape:?}"),
            }
        }
        (Shape::Code, Value::Code(code)) => varint(u64::from(code.number()), out),
        (shape, value) => panic!("{value:?} is not {shape:?}"),
    }
}

/// How to write JSON.
#[derive(Clone, Copy, Default)]
pub(crate) struct Style {
    /// Puts a field that nobody knows into every object of a struct (save `Variable`, which is closed).
    pub(crate) surprise: bool,
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text")
}

fn json_fields(fields: &[Field], values: &[Value], style: Style, surprise: bool) -> String {
    assert_eq!(fields.len(), values.len());
    let mut parts: Vec<String> = fields
        .iter()
        .zip(values)
        .map(|(field, value)| format!("{}:{}", quoted(field.name), json(field.shape, value, style)))
        .collect();
    if style.surprise && surprise {
        parts.insert(0, "\"surprise\":{\"a\":[1]}".into());
    }
    format!("{{{}}}", parts.join(","))
}

/// The JSON form of `value`.
pub(crate) fn json(shape: &Shape, value: &Value, style: Style) -> String {
    match (shape, value) {
        (_, Value::Bool(yes)) => yes.to_string(),
        (_, Value::Integer(number)) => number.to_string(),
        (_, Value::Text(text)) => quoted(text),
        (_, Value::Id(bytes)) => {
            let hex = crate::golden::hex(bytes);
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            format!("\"{}\"", parts.join("-"))
        }
        (Shape::Option(inner), Value::Option(value)) => {
            value.as_ref().map_or_else(|| "null".into(), |value| json(inner, value, style))
        }
        (Shape::List { item, .. }, Value::List(values)) => {
            let items: Vec<String> = values.iter().map(|value| json(item, value, style)).collect();
            format!("[{}]", items.join(","))
        }
        (Shape::Struct { name, fields, .. }, Value::Struct(values)) => {
            json_fields(fields, values, style, *name != "Variable")
        }
        (Shape::Enum { variants, .. }, Value::Variant(number, held)) => {
            let variant: &Variant = &variants[*number];
            let name = quoted(&snake_case(variant.name));
            match (&variant.holds, held.as_deref()) {
                (Holds::Nothing, None) => name,
                (Holds::One(shape), Some(value)) => format!("{{{name}:{}}}", json(shape, value, style)),
                (holds, Some(Value::Struct(values))) => {
                    format!("{{{name}:{}}}", json_fields(fields_of(holds), values, style, true))
                }
                (shape, value) => panic!("{value:?} is not {shape:?}"),
            }
        }
        (Shape::Code, Value::Code(code)) => quoted(code.as_str()),
        (shape, value) => panic!("{value:?} is not {shape:?}"),
    }
}

fn integer(bits: u8) -> BoxedStrategy<Value> {
    let top = match bits {
        64 => (1 << 53) - 1,
        bits => (1_u64 << bits) - 1,
    };
    let edges: Vec<u64> = [0, 1, 250, 251, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 53) - 1]
        .into_iter()
        .filter(|edge| *edge <= top)
        .collect();
    prop_oneof![proptest::sample::select(edges), 0..=top].prop_map(Value::Integer).boxed()
}

fn text(max: usize) -> BoxedStrategy<Value> {
    let clip = move |text: String| {
        let text = text.replace('\0', "x");
        Value::Text(text[..text.floor_char_boundary(max)].to_owned())
    };
    // Long texts only where many of them still fit one body.
    let full = if max <= 256 { max } else { 300 };
    prop_oneof![
        4 => "[ -~]{0,24}".prop_map(clip),
        2 => proptest::collection::vec(any::<char>(), 0..12).prop_map(move |c| clip(c.into_iter().collect())),
        1 => Just(clip("é".repeat(full))),
    ]
    .boxed()
}

fn structure(fields: &'static [Field]) -> BoxedStrategy<Value> {
    fields.iter().map(|field| strategy(field.shape)).collect::<Vec<_>>().prop_map(Value::Struct).boxed()
}

fn variant(number: usize, variant: &'static Variant) -> BoxedStrategy<Value> {
    match &variant.holds {
        Holds::Nothing => Just(Value::Variant(number, None)).boxed(),
        Holds::One(shape) => {
            strategy(shape).prop_map(move |value| Value::Variant(number, Some(Box::new(value)))).boxed()
        }
        Holds::Fields(fields) => {
            structure(fields).prop_map(move |value| Value::Variant(number, Some(Box::new(value)))).boxed()
        }
    }
}

/// All values of a shape that both encodings can carry.
pub(crate) fn strategy(shape: &'static Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Shape::Integer(bits) => integer(*bits),
        Shape::Time => integer(64),
        Shape::Text(max) => text(*max),
        Shape::Id(_) => any::<[u8; 16]>().prop_map(Value::Id).boxed(),
        Shape::Name(_) => "[a-z0-9_.-]{1,64}".prop_map(Value::Text).boxed(),
        Shape::Option(inner) => {
            proptest::option::of(strategy(inner)).prop_map(|value| Value::Option(value.map(Box::new))).boxed()
        }
        Shape::List { max, item } => {
            proptest::collection::vec(strategy(item), 0..=(*max).min(3)).prop_map(Value::List).boxed()
        }
        Shape::Struct { fields, .. } => structure(fields),
        Shape::Enum { variants, .. } => {
            let all = variants.iter().enumerate().map(|(number, shape)| variant(number, shape));
            proptest::strategy::Union::new(all).boxed()
        }
        Shape::Code => proptest::sample::select(RefusalCode::ALL).prop_map(Value::Code).boxed(),
    }
}
