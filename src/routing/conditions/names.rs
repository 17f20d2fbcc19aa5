//! The names that conditions may ask for.

use super::Fault;

/// Longest name, in bytes.
const NAME_MAX: usize = 64;

/// Names with a meaning of their own. Everything else is a custom variable.
const WELL_KNOWN: [&str; 23] = [
    "bot",
    "channel",
    "city",
    "consent",
    "contact.email",
    "contact.first_name",
    "contact.last_name",
    "contact.phone",
    "country",
    "group",
    "locale",
    "now",
    "origin",
    "page.tags",
    "page.title",
    "page.url",
    "pages",
    "priority",
    "referrer",
    "region",
    "site",
    "tag",
    "visits",
];

/// Names of several values.
const SETS: [&str; 2] = ["page.tags", "tag"];

/// Beginnings under which every name is well known.
const RESERVED: [&str; 2] = ["contact.", "page."];

/// The names with a meaning of their own.
#[must_use]
pub fn all_well_known() -> &'static [&'static str] {
    &WELL_KNOWN
}

/// Whether a name has a meaning of its own: what is announced of visitors, and `channel`, `origin`, `group`, `priority`, `tag` and
/// `now` (whole seconds since 1970), which are the conversation's.
#[must_use]
pub fn well_known(name: &str) -> bool {
    WELL_KNOWN.contains(&name)
}

/// Whether a name has several values, separated by commas.
#[must_use]
pub fn is_set(name: &str) -> bool {
    SETS.contains(&name)
}

/// What is wrong with a name; `None` if it can be asked for.
#[must_use]
pub fn name_fault(name: &str) -> Option<Fault> {
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        let expected = format!("a name of 1 to {NAME_MAX} bytes without blanks");
        return Some(Fault::new(format!("{name:?} is not a name"), expected, ""));
    }
    let reserved = RESERVED.iter().find(|start| name.starts_with(**start))?;
    if well_known(name) {
        return None;
    }
    let names: Vec<String> = WELL_KNOWN
        .iter()
        .filter(|known| known.starts_with(*reserved))
        .map(|known| format!("\"{known}\""))
        .collect();
    Some(Fault::new(
        format!("{name:?} is not known"),
        names.join(", "),
        format!("names that begin with \"{reserved}\" are taken"),
    ))
}
