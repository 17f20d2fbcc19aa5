//! `[workspace.hours.<name>]`: calendars of business hours, by name.

use std::{collections::BTreeMap, sync::Arc};

use smol_str::SmolStr;

use crate::routing::hours::{DAYS, Holiday, Hour, Hours};

use super::{
    problem::{Finding, Place},
    tree::{Entry, Kind, Table, Value},
    values::{Handle, Rule, Wrong, refuse},
};

/// A calendar as it was written, and ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    /// When it is open.
    pub hours: Arc<Hours>,
    written: toml::Value,
}

/// Calendars by name.
pub(super) struct Calendars;

/// Keys of a calendar.
pub(super) const KEYS: [&str; 3] = ["timezone", "weekly", "holidays"];

/// Days without work in one calendar.
const HOLIDAYS_MAX: usize = 400;

/// Times of work in one day.
const SPANS_MAX: usize = 16;

/// Calendars of one workspace.
const CALENDARS_MAX: usize = 64;

impl Rule for Calendars {
    type Out = BTreeMap<SmolStr, Calendar>;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Self::Out> {
        let Kind::Table(table) = &value.kind else {
            let help = "a group names its calendar by `hours`, the workspace by `open_hours`";
            return refuse(value, "is no calendar", self.expected(), help, wrongs);
        };
        if table.entries.len() > CALENDARS_MAX {
            return refuse(value, "has too many calendars", format!("at most {CALENDARS_MAX}"), "", wrongs);
        }
        let before = wrongs.len();
        let mut calendars = BTreeMap::new();
        for (name, Entry { key, value }) in &table.entries {
            let named = Value { at: key.clone(), kind: Kind::Text(name.clone()) };
            let name = Handle.read(&named, wrongs);
            let hours = calendar(value, wrongs);
            if let (Some(name), Some(hours)) = (name, hours) {
                let written = super::conditions::written(value);
                calendars.insert(name, Calendar { hours: Arc::new(hours), written });
            }
        }
        (wrongs.len() == before).then_some(calendars)
    }

    fn absent(&self) -> Option<Self::Out> {
        Some(BTreeMap::new())
    }

    fn write(&self, calendars: &Self::Out) -> Option<toml::Value> {
        let entries = calendars.iter().map(|(name, calendar)| (name.to_string(), calendar.written.clone()));
        (!calendars.is_empty()).then(|| toml::Value::Table(entries.collect()))
    }

    fn expected(&self) -> String {
        "a table [workspace.hours.<name>] with `timezone`, `weekly` and `holidays`".to_owned()
    }
}

fn calendar(value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Hours> {
    let Kind::Table(table) = &value.kind else {
        return refuse(value, "is no calendar", Calendars.expected(), "", wrongs);
    };
    unknown_keys(table, &KEYS, "a calendar", wrongs);
    let before = wrongs.len();
    let weekly = week(value, table, wrongs);
    let holidays = holidays(table, wrongs);
    let Some(zone) = table.get("timezone") else {
        return refuse(
            value,
            "has no `timezone`",
            "`timezone`, like \"Europe/Paris\"".to_owned(),
            "",
            wrongs,
        );
    };
    let expected = || "a time zone like \"Europe/Paris\" or \"UTC\"".to_owned();
    let Some(name) = zone.text() else { return refuse(zone, "is not text", expected(), "", wrongs) };
    match Hours::new(name, weekly?, holidays?) {
        Ok(hours) => Some(hours).filter(|_| wrongs.len() == before),
        Err(_) => refuse(zone, "is no time zone", expected(), "names are those of the IANA database", wrongs),
    }
}

fn week(value: &Value, table: &Table, wrongs: &mut Vec<Wrong>) -> Option<[Vec<Hour>; 7]> {
    let expected = || "{ mon = [\"09:00-12:30\", …], … }".to_owned();
    let Some(weekly) = table.get("weekly") else {
        return refuse(value, "has no `weekly`", format!("`weekly`, {}", expected()), "", wrongs);
    };
    let Kind::Table(days) = &weekly.kind else {
        return refuse(weekly, "is no week", expected(), "", wrongs);
    };
    unknown_keys(days, &DAYS, "a week", wrongs);
    let before = wrongs.len();
    let mut week: [Vec<Hour>; 7] = Default::default();
    for (hours, day) in week.iter_mut().zip(DAYS) {
        let Some(spans) = days.get(day) else { continue };
        let Kind::List(spans) = &spans.kind else {
            refuse::<()>(spans, "is not a list", "a list of times: [\"09:00-12:30\"]".to_owned(), "", wrongs);
            continue;
        };
        for span in spans {
            let expected = "a time like \"09:00-12:30\"".to_owned();
            let help = "a day ends at 24:00: what goes on after that belongs to the next day";
            match span.text().and_then(Hour::parse) {
                None => refuse::<()>(span, "is no time of a day", expected, help, wrongs),
                Some(hour) if hours.iter().any(|other: &Hour| other.overlaps(&hour)) => {
                    refuse::<()>(span, "overlaps another", expected, "", wrongs)
                }
                Some(_) if hours.len() == SPANS_MAX => {
                    refuse::<()>(span, "is one too many", format!("at most {SPANS_MAX} a day"), "", wrongs)
                }
                Some(hour) => {
                    hours.push(hour);
                    Some(())
                }
            };
        }
    }
    (wrongs.len() == before).then_some(week)
}

fn holidays(table: &Table, wrongs: &mut Vec<Wrong>) -> Option<Vec<Holiday>> {
    let Some(value) = table.get("holidays") else { return Some(Vec::new()) };
    let expected = || "a list of days: [\"2026-12-24\", \"12-25\"]".to_owned();
    let Kind::List(days) = &value.kind else {
        return refuse(value, "is not a list", expected(), "", wrongs);
    };
    if days.len() > HOLIDAYS_MAX {
        return refuse(value, "is too long", format!("at most {HOLIDAYS_MAX} days"), "", wrongs);
    }
    let read = |day: &Value, wrongs: &mut Vec<Wrong>| {
        let help = "without a year it is that day of each year";
        day.text().and_then(Holiday::parse).or_else(|| {
            refuse(day, "is no day", "a day like \"2026-12-24\" or \"12-25\"".to_owned(), help, wrongs)
        })
    };
    let holidays: Vec<Option<Holiday>> = days.iter().map(|day| read(day, wrongs)).collect();
    holidays.into_iter().collect()
}

fn unknown_keys(table: &Table, known: &[&str], what: &str, wrongs: &mut Vec<Wrong>) {
    for (key, entry) in table.entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
        wrongs.push(Wrong {
            at: entry.key.clone(),
            message: format!("{what} has no key `{key}`"),
            expected: known.join(", "),
            help: String::new(),
        });
    }
}

/// Refuses names of calendars that the workspace does not have.
pub(super) fn check(workspace: &Table, findings: &mut Vec<Finding>) {
    let calendars: Vec<&str> = match workspace.get("hours") {
        Some(Value { kind: Kind::Table(table), .. }) => table.entries.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let groups = workspace.tables("group").filter_map(|(_, group)| group.get("hours"));
    let mut refuse = |at: &Place, name: &str| {
        let message = format!("{name:?} is not a calendar of this workspace");
        let expected = match calendars.as_slice() {
            [] => "\"always\": it has none".to_owned(),
            names => format!("one of {}, or \"always\"", names.join(", ")),
        };
        let help = "calendars are made by [workspace.hours.<name>]".to_owned();
        findings.push(Finding { at: Some(at.clone()), warning: false, message, expected, help });
    };
    for value in groups.chain(workspace.get("open_hours")) {
        if let Some(name) = value.text().filter(|name| *name != "always" && !calendars.contains(name)) {
            refuse(&value.at, name);
        }
    }
}
