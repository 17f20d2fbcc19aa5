//! How conditions are written in the file: `when = { name = "country", in = ["FR", "BE"] }`.
//!
//! A table with a `name` tests that name by each operator in it, and all have to hold; `{ all = [ … ] }`, `{ any = [ … ] }` and
//! `{ not = … }` combine; a list is `all`; a text is an expression in CEL. What each means, `routing::conditions` says.

use smol_str::SmolStr;

use crate::routing::conditions::{Condition, Fault, Is, Node, number};

use super::{
    problem::Place,
    tree::{Kind, Table, Value},
    values::{Rule, Wrong, refuse},
};

/// A condition as it was written, and compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// Ready to be asked.
    pub condition: Condition,
    written: toml::Value,
}

/// A condition.
pub(super) struct Conditional;

/// Operators, each with what it compares with.
const OPERATORS: [&str; 14] = [
    "eq", "ne", "in", "contains", "prefix", "suffix", "glob", "regex", ">=", ">", "<=", "<", "exists",
    "missing",
];

/// How deep the file is followed; `Condition::new` refuses less.
const DEPTH_MAX: usize = 16;

const EXPECTED: &str =
    "{ name = \"…\", eq = \"…\" }, { all = [ … ] }, { any = [ … ] }, { not = … }, or an expression in CEL";

impl Rule for Conditional {
    type Out = When;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<When> {
        let before = wrongs.len();
        let node = node(value, 0, wrongs)?;
        if wrongs.len() > before {
            return None;
        }
        match Condition::new(node) {
            Ok(condition) => Some(When { condition, written: written(value) }),
            Err(fault) => refused(value, fault, wrongs),
        }
    }

    fn write(&self, when: &When) -> Option<toml::Value> {
        Some(when.written.clone())
    }

    fn expected(&self) -> String {
        EXPECTED.to_owned()
    }
}

fn node(value: &Value, depth: usize, wrongs: &mut Vec<Wrong>) -> Option<Node> {
    if depth > DEPTH_MAX {
        return refuse(
            value,
            "stands too deep",
            "a simpler condition".to_owned(),
            "make several rules of it",
            wrongs,
        );
    }
    match &value.kind {
        Kind::Text(text) => match Node::cel(text) {
            Ok(node) => Some(node),
            Err(fault) => refused(value, fault, wrongs),
        },
        Kind::List(_) => nodes(value, depth, wrongs).map(Node::All),
        Kind::Table(table) => combined(value, table, depth, wrongs),
        _ => refuse(value, "is not a condition", EXPECTED.to_owned(), "", wrongs),
    }
}

/// All parts of a list, or what is wrong with each.
fn nodes(value: &Value, depth: usize, wrongs: &mut Vec<Wrong>) -> Option<Vec<Node>> {
    let Kind::List(values) = &value.kind else {
        return refuse(value, "is not a list", "a list of conditions".to_owned(), "", wrongs);
    };
    if values.is_empty() {
        return refuse(value, "is empty", "at least one condition".to_owned(), "", wrongs);
    }
    let nodes: Vec<Option<Node>> = values.iter().map(|value| node(value, depth + 1, wrongs)).collect();
    nodes.into_iter().collect()
}

fn combined(value: &Value, table: &Table, depth: usize, wrongs: &mut Vec<Wrong>) -> Option<Node> {
    if table.get("name").is_some() {
        return tested(table, wrongs);
    }
    let mut entries = table.entries.iter();
    let (Some((key, entry)), None) = (entries.next(), entries.next()) else {
        let help = "a test begins with `name`; of `all`, `any` and `not` there is one in a table";
        return refuse(value, "is not a condition", EXPECTED.to_owned(), help, wrongs);
    };
    match key.as_str() {
        "all" => nodes(&entry.value, depth, wrongs).map(Node::All),
        "any" => nodes(&entry.value, depth, wrongs).map(Node::Any),
        "not" => node(&entry.value, depth + 1, wrongs).map(|node| Node::Not(Box::new(node))),
        "cel" => match entry.value.kind {
            Kind::Text(_) => node(&entry.value, depth + 1, wrongs),
            _ => refuse(&entry.value, "is not text", "an expression in CEL".to_owned(), "", wrongs),
        },
        _ => {
            wrongs.push(Wrong {
                at: entry.key.clone(),
                message: format!("`{key}` is nothing that a condition has"),
                expected: "`name`, `all`, `any`, `not` or `cel`".to_owned(),
                help: String::new(),
            });
            None
        }
    }
}

/// A name with its tests.
fn tested(table: &Table, wrongs: &mut Vec<Wrong>) -> Option<Node> {
    let named = table.get("name")?;
    let Some(name) = named.text() else {
        return refuse(named, "is not a name", "a name in quotes".to_owned(), "", wrongs);
    };
    let before = wrongs.len();
    let mut tests = Vec::new();
    for (key, entry) in table.entries.iter().filter(|(key, _)| *key != "name") {
        if !OPERATORS.contains(&key.as_str()) {
            wrongs.push(Wrong {
                at: entry.key.clone(),
                message: format!("`{key}` is no operator"),
                expected: OPERATORS.join(", "),
                help: "those that are no words stand in quotes: \">=\" = 3".to_owned(),
            });
            continue;
        }
        let Some(is) = operator(key, &entry.value, wrongs) else { continue };
        match Node::test(name, is) {
            Ok(test) => tests.push(test),
            // A wrong name is told once, where it stands.
            Err(_) if crate::routing::conditions::name_fault(name).is_some() => {}
            Err(fault) => {
                refused::<()>(&entry.value, fault, wrongs);
            }
        }
    }
    if let Some(fault) = crate::routing::conditions::name_fault(name) {
        wrongs.push(Wrong {
            at: named.at.clone(),
            message: fault.message,
            expected: fault.expected,
            help: fault.help,
        });
    } else if table.entries.len() == 1 {
        let expected = format!("one of {} beside it", OPERATORS.join(", "));
        return refuse(named, "is not tested", expected, "", wrongs);
    }
    if wrongs.len() > before {
        return None;
    }
    match tests.len() {
        1 => tests.pop(),
        _ => Some(Node::All(tests)),
    }
}

fn operator(key: &str, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Is> {
    Some(match key {
        "eq" => Is::Eq(text(value, wrongs)?),
        "ne" => Is::Ne(text(value, wrongs)?),
        "contains" => Is::Contains(text(value, wrongs)?),
        "prefix" => Is::Prefix(text(value, wrongs)?),
        "suffix" => Is::Suffix(text(value, wrongs)?),
        "glob" => Is::Glob(text(value, wrongs)?),
        "regex" => Is::Regex(text(value, wrongs)?),
        "in" => {
            let Kind::List(values) = &value.kind else {
                return refuse(
                    value,
                    "is not a list",
                    "a list of texts: [\"FR\", \"BE\"]".to_owned(),
                    "",
                    wrongs,
                );
            };
            let texts: Vec<Option<SmolStr>> = values.iter().map(|value| text(value, wrongs)).collect();
            Is::In(texts.into_iter().collect::<Option<_>>()?)
        }
        ">=" => Is::AtLeast(amount(value, wrongs)?),
        ">" => Is::Above(amount(value, wrongs)?),
        "<=" => Is::AtMost(amount(value, wrongs)?),
        "<" => Is::Below(amount(value, wrongs)?),
        _ => {
            let Kind::Flag(yes) = value.kind else {
                return refuse(value, "is not a flag", "true".to_owned(), "", wrongs);
            };
            if (key == "exists") == yes { Is::Exists } else { Is::Missing }
        }
    })
}

fn text(value: &Value, wrongs: &mut Vec<Wrong>) -> Option<SmolStr> {
    match &value.kind {
        Kind::Text(text) => Some(SmolStr::new(text)),
        Kind::Whole(number) => Some(SmolStr::new(number.to_string())),
        _ => refuse(value, "is not text", "a text in quotes".to_owned(), "", wrongs),
    }
}

fn amount(value: &Value, wrongs: &mut Vec<Wrong>) -> Option<f64> {
    let read = match &value.kind {
        Kind::Whole(whole) => number(&whole.to_string()),
        Kind::Text(text) => number(text),
        _ => None,
    };
    let help = "a number with a fraction stands in quotes: \"1.5\"";
    read.or_else(|| refuse(value, "is not a number", "a number".to_owned(), help, wrongs))
}

fn refused<T>(value: &Value, fault: Fault, wrongs: &mut Vec<Wrong>) -> Option<T> {
    let Fault { message, expected, help, at } = fault;
    let inner = at.and_then(|at| {
        let text = value.text()?;
        let (start, end) = (value.at.start, value.at.end);
        // Where nothing is escaped, the text stands in the file as it is, between quotes.
        let quotes = match (end - start).checked_sub(text.len())? {
            2 => 1,
            6 if text.contains('\n') => 3,
            7 if text.contains('\n') => 4,
            _ => return None,
        };
        Some(Place::new(value.at.source, start + quotes + at.start..start + quotes + at.end))
    });
    let message = if inner.is_some() { message } else { format!("{} {message}", value.described()) };
    wrongs.push(Wrong { at: inner.unwrap_or_else(|| value.at.clone()), message, expected, help });
    None
}

/// What was written, to be written again.
pub(super) fn written(value: &Value) -> toml::Value {
    match &value.kind {
        Kind::Text(text) | Kind::Raw(text) => text.as_str().into(),
        Kind::Whole(number) => (*number).into(),
        Kind::Flag(flag) => (*flag).into(),
        Kind::List(values) => values.iter().map(written).collect::<Vec<_>>().into(),
        Kind::Table(table) => {
            let entries = table.entries.iter().map(|(key, entry)| (key.clone(), written(&entry.value)));
            toml::Value::Table(entries.collect())
        }
        Kind::Other(name) => (*name).into(),
    }
}
