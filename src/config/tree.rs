//! The layers of configuration as one tree, each value with the place it was written in.

use std::{collections::BTreeMap, mem};

use toml::de::{DeTable, DeValue};

use super::problem::{Finding, Place, Source, Sources};

/// Start of the environment variables that override a key.
pub(super) const PREFIX: &str = "MAITRED__";

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) at: Place,
    pub(super) kind: Kind,
}

/// What was written.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Text(String),
    Whole(i64),
    Flag(bool),
    List(Vec<Value>),
    Table(Table),
    /// An environment variable's text: may stand for any of the above but a table.
    Raw(String),
    /// What no key takes (a float, a date, a number past 64 bits), with its name.
    Other(&'static str),
}

/// Values by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Entry>,
}

/// A key of a table, and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) value: Value,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The text of a key, if there is one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The tables of an array of tables, each with its place; none if the key holds anything else.
    pub(super) fn tables(&self, key: &str) -> impl Iterator<Item = (&Place, &Self)> {
        let values = match self.get(key) {
            Some(Value { kind: Kind::List(values), .. }) => values.as_slice(),
            _ => &[],
        };
        values.iter().filter_map(|value| match &value.kind {
            Kind::Table(table) => Some((&value.at, table)),
            _ => None,
        })
    }

    /// Lays `over` on top: tables key by key, everything else (lists too) as a whole.
    pub(super) fn overlay(&mut self, over: Self) {
        for (key, entry) in over.entries {
            match (self.entries.get_mut(&key), entry) {
                (
                    Some(Entry { value: Value { kind: Kind::Table(below), at }, key: key_at }),
                    Entry { value: Value { kind: Kind::Table(above), at: above_at }, key: above_key },
                ) => {
                    (*at, *key_at) = (above_at, above_key);
                    below.overlay(above);
                }
                (_, entry) => {
                    self.entries.insert(key, entry);
                }
            }
        }
    }
}

impl Value {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) | Kind::Raw(text) => Some(text),
            _ => None,
        }
    }

    /// How a message names the value.
    pub(super) fn described(&self) -> String {
        match &self.kind {
            Kind::Text(text) | Kind::Raw(text) => {
                let short: String = text.chars().take(40).collect();
                format!("{short:?}{}", if short.len() < text.len() { "…" } else { "" })
            }
            Kind::Whole(number) => number.to_string(),
            Kind::Flag(flag) => flag.to_string(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
            Kind::Other(name) => (*name).to_owned(),
        }
    }
}

/// Reads a TOML text that `sources` already holds at `source`. Says everything that is wrong with its syntax.
pub(super) fn parse(source: usize, sources: &Sources, findings: &mut Vec<Finding>) -> Table {
    let Some(Source::File { text, .. } | Source::Variable { text, .. }) = sources.get(source) else {
        return Table::default();
    };
    let (mut table, errors) = DeTable::parse_recoverable(text);
    findings.extend(errors.iter().map(|error| Finding {
        at: Some(Place::new(source, error.span().unwrap_or(0..0))),
        warning: false,
        message: format!("not TOML: {}", error.message()),
        expected: String::new(),
        help: String::new(),
    }));
    table_of(mem::take(table.get_mut()), source)
}

fn table_of(table: DeTable<'_>, source: usize) -> Table {
    let entry = |(key, value): (toml::Spanned<_>, _)| {
        let at = Place::new(source, key.span());
        let name: std::borrow::Cow<'_, str> = key.into_inner();
        (name.into_owned(), Entry { key: at, value: value_of(value, source) })
    };
    Table { entries: table.into_iter().map(entry).collect() }
}

fn value_of(value: toml::Spanned<DeValue<'_>>, source: usize) -> Value {
    let at = Place::new(source, value.span());
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Kind::Whole(number),
            Err(_) => Kind::Other("a number past 64 bits"),
        },
        DeValue::Boolean(flag) => Kind::Flag(flag),
        DeValue::Array(values) => {
            Kind::List(values.into_iter().map(|value| value_of(value, source)).collect())
        }
        DeValue::Table(table) => Kind::Table(table_of(table, source)),
        DeValue::Float(_) => Kind::Other("a number with a fraction"),
        DeValue::Datetime(_) => Kind::Other("a date"),
    };
    Value { at, kind }
}

/// The variables that start with [`PREFIX`], as a tree; each becomes a source of its own.
pub(super) fn variables(
    env: impl Iterator<Item = (String, String)>,
    sources: &mut Sources,
    findings: &mut Vec<Finding>,
) -> Table {
    let mut root = Table::default();
    // By name, so that the same environment always gives the same messages.
    let chosen: BTreeMap<String, String> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    for (name, value) in chosen {
        let (source, start) = (sources.len(), name.len() + 1);
        let text = format!("{name}={value}");
        let key_at = Place::new(source, 0..name.len());
        let value = Value { at: Place::new(source, start..text.len()), kind: Kind::Raw(value) };
        let path = name[PREFIX.len()..].to_lowercase();
        sources.push(Source::Variable { name, text });
        if let Err(help) = insert(&mut root, &path, key_at.clone(), value) {
            findings.push(Finding {
                at: Some(key_at),
                warning: false,
                message: "this variable names no key".to_owned(),
                expected: format!("{PREFIX}SECTION__KEY"),
                help,
            });
        }
    }
    root
}

fn insert(root: &mut Table, path: &str, key: Place, value: Value) -> Result<(), String> {
    let mut names: Vec<&str> = path.split("__").collect();
    if names[0] == "workspace" {
        return Err(format!(
            "workspaces are set in the file; {PREFIX}DEFAULTS__KEY=value sets what they inherit"
        ));
    }
    let last = names.pop().unwrap_or_default();
    let mut table = root;
    for name in names {
        let at = key.clone();
        let section = table.entries.entry(name.to_owned()).or_insert_with(|| Entry {
            key: at.clone(),
            value: Value { at, kind: Kind::Table(Table::default()) },
        });
        match &mut section.value.kind {
            Kind::Table(inner) => table = inner,
            _ => return Err(format!("{name:?} is set by another variable, so it can't be a section")),
        }
    }
    if table.entries.contains_key(last) {
        return Err(format!("{last:?} is a section in another variable, so it can't be a value"));
    }
    table.entries.insert(last.to_owned(), Entry { key, value });
    Ok(())
}
