//! What differs between two configurations, key by key, with lists of named tables matched by name.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::Config;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where it stands: keys and, in lists, names: `["workspace", "shop", "group", "sales", "cap"]`.
    pub path: Vec<String>,
    /// How it differs.
    pub kind: Differs,
}

/// How something differs.
#[derive(Debug, Clone, PartialEq)]
pub enum Differs {
    /// A table of a list is new.
    Added,
    /// A table of a list is gone.
    Removed,
    /// A value is another; `None`: it was not there, or no longer is.
    Changed {
        /// Before.
        from: Option<Value>,
        /// After.
        to: Option<Value>,
    },
}

impl Config {
    /// What is different in `new`, in order of the paths. What workspaces inherit is told where it has an effect, not
    /// where it is written: `[defaults]` are left out.
    #[must_use]
    pub fn differences(&self, new: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let skipped = ["defaults", "preset"];
        compare(&mut Vec::new(), &self.table(), &new.table(), &skipped, &mut found);
        found
    }

    /// The configuration as a table that has every key.
    fn table(&self) -> Table {
        let table = Table::try_from(self);
        table.unwrap_or_else(|error| unreachable!("plain tables are always TOML: {error}"))
    }
}

fn compare(path: &mut Vec<String>, old: &Table, new: &Table, skipped: &[&str], found: &mut Vec<Difference>) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys.into_iter().filter(|key| !skipped.contains(&key.as_str())) {
        path.push(key.clone());
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => compare(path, old, new, &[], found),
            (old, new) if named(old) && named(new) => compare_named(path, list(old), list(new), found),
            (old, new) if old != new => {
                let kind = Differs::Changed { from: old.cloned(), to: new.cloned() };
                found.push(Difference { path: path.clone(), kind });
            }
            _ => {}
        }
        path.pop();
    }
}

fn compare_named(path: &mut Vec<String>, old: &[Value], new: &[Value], found: &mut Vec<Difference>) {
    let names: BTreeSet<&str> = old.iter().chain(new).filter_map(name).collect();
    let find = |list: &'_ [Value], wanted: &str| -> Option<Table> {
        list.iter().find(|value| name(value) == Some(wanted)).and_then(Value::as_table).cloned()
    };
    for each in names {
        path.push(each.to_owned());
        match (find(old, each), find(new, each)) {
            (Some(old), Some(new)) => compare(path, &old, &new, &[], found),
            (None, _) => found.push(Difference { path: path.clone(), kind: Differs::Added }),
            (_, None) => found.push(Difference { path: path.clone(), kind: Differs::Removed }),
        }
        path.pop();
    }
    let order =
        |list: &[Value]| list.iter().filter_map(|value| name(value).map(str::to_owned)).collect::<Vec<_>>();
    let (before, after) = (order(old), order(new));
    let common = |one: &[String], other: &[String]| -> Vec<Value> {
        one.iter().filter(|name| other.contains(name)).map(|name| Value::from(name.as_str())).collect()
    };
    let (from, to) = (common(&before, &after), common(&after, &before));
    // Rules are tried in order; elsewhere the order means nothing, and telling it harms nobody.
    if from != to {
        let kind = Differs::Changed { from: Some(from.into()), to: Some(to.into()) };
        found.push(Difference { path: path.clone(), kind });
    }
}

/// Whether it is a list of tables with names, or not there.
fn named(value: Option<&Value>) -> bool {
    match value {
        None => true,
        Some(Value::Array(list)) => list.iter().all(|value| name(value).is_some()),
        Some(_) => false,
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name(value: &Value) -> Option<&str> {
    value.as_table()?.get("name")?.as_str()
}

impl Difference {
    /// The path as it would be written: `workspace.shop.group.sales.cap`.
    #[must_use]
    pub fn place(&self) -> String {
        self.path.join(".")
    }
}
