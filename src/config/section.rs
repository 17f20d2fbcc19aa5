//! A section of the file as a struct: each key is named once, with its words, its type and its rule.

use serde::{Serialize, Serializer};

use super::{
    problem::{Finding, Place},
    tree::{Kind, Table, Value},
    values::{Rule, Wrong},
};

/// A struct that is read from a table of the file. Implemented by [`section!`].
pub(super) trait Section: Sized {
    /// The keys that a table of this section may hold, in the order of the struct.
    fn keys() -> Vec<&'static str>;

    /// Reads all keys and says what is wrong with each; `None` if anything is.
    fn read(scope: &Scope<'_>, findings: &mut Vec<Finding>) -> Option<Self>;

    /// The keys with their values, as they would be written in a file.
    fn write(&self) -> Keys;
}

/// Keys with their values, in the order of the struct.
pub(super) type Keys = Vec<(&'static str, Written)>;

/// A value as it would be written in a file.
#[derive(PartialEq)]
pub(super) enum Written {
    Value(toml::Value),
    Section(Keys),
    Sections(Vec<Keys>),
}

/// Adds a key, unless it holds what is said by leaving it out.
pub(super) fn put<R: Rule>(keys: &mut Keys, key: &'static str, rule: &R, out: &R::Out) {
    keys.extend(rule.write(out).map(|value| (key, Written::Value(value))));
}

impl Written {
    pub(super) fn all<S: Section>(sections: &[S]) -> Self {
        Self::Sections(sections.iter().map(Section::write).collect())
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Section(keys) => Map(keys).serialize(serializer),
            Self::Sections(tables) => serializer.collect_seq(tables.iter().map(Map)),
        }
    }
}

/// Keys that serialize as a map.
struct Map<'a>(&'a Keys);

impl Serialize for Map<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Where a section's keys are looked up: its own table, then the ones further out that it inherits from.
pub(super) struct Scope<'a> {
    /// What messages call the table: `workspace "demo", group "sales"`.
    pub(super) title: String,
    pub(super) at: Place,
    /// Innermost first.
    pub(super) tables: Vec<&'a Table>,
}

impl<'a> Scope<'a> {
    /// Reads a key that only the section's own table may hold.
    pub(super) fn own<R: Rule>(&self, key: &str, rule: &R, findings: &mut Vec<Finding>) -> Option<R::Out> {
        self.value(key, self.tables.first().and_then(|table| table.get(key)), rule, findings)
    }

    /// Reads a key from the innermost table that holds it.
    pub(super) fn inherit<R: Rule>(
        &self,
        key: &str,
        rule: &R,
        findings: &mut Vec<Finding>,
    ) -> Option<R::Out> {
        self.value(key, self.tables.iter().find_map(|table| table.get(key)), rule, findings)
    }

    fn value<R: Rule>(
        &self,
        key: &str,
        value: Option<&Value>,
        rule: &R,
        findings: &mut Vec<Finding>,
    ) -> Option<R::Out> {
        let Some(value) = value else {
            return rule.absent().or_else(|| {
                findings.push(self.missing(key, rule.expected()));
                None
            });
        };
        let mut wrongs = Vec::new();
        let out = rule.read(value, &mut wrongs);
        findings.extend(wrongs.into_iter().map(|Wrong { at, message, expected, help }| Finding {
            at: Some(at),
            warning: false,
            message: format!("`{key}`: {message}"),
            expected,
            help,
        }));
        out
    }

    fn missing(&self, key: &str, expected: String) -> Finding {
        Finding {
            at: Some(self.at.clone()),
            warning: false,
            message: format!("{} has no `{key}`", self.title),
            expected: format!("`{key}`, {expected}"),
            help: String::new(),
        }
    }

    /// The sub-section at `key` of this one's own table.
    pub(super) fn section<S: Section>(&self, key: &'static str, findings: &mut Vec<Finding>) -> Option<S> {
        let title =
            if self.title.is_empty() { format!("[{key}]") } else { format!("[{}.{key}]", bare(&self.title)) };
        match self.tables.first().and_then(|table| table.get(key)) {
            Some(Value { at, kind: Kind::Table(table) }) => {
                read(Scope { title, at: at.clone(), tables: vec![table] }, findings)
            }
            Some(value) => {
                findings.push(not_a_section(value, &title));
                None
            }
            None => {
                findings.push(self.missing(key, format!("a section {title}")));
                None
            }
        }
    }

    /// The sub-section at `key`, which may be left out: then it holds what its keys say when they are left out.
    pub(super) fn optional<S: Section>(&self, key: &'static str, findings: &mut Vec<Finding>) -> Option<S> {
        if self.tables.first().is_some_and(|table| table.get(key).is_some()) {
            return self.section(key, findings);
        }
        let (title, empty) = (format!("[{}.{key}]", bare(&self.title)), Table::default());
        read(Scope { title, at: self.at.clone(), tables: vec![&empty] }, findings)
    }

    /// The sections of the array of tables at `key`, which inherit from this one. A table's `name` goes into its title.
    pub(super) fn sections<S: Section>(
        &self,
        key: &'static str,
        findings: &mut Vec<Finding>,
    ) -> Option<Vec<S>> {
        let values: &'a [Value] = match self.tables.first().and_then(|table| table.get(key)) {
            None => &[],
            Some(Value { kind: Kind::List(values), .. }) => values,
            Some(value) => {
                findings.push(not_a_section(value, &format!("[[{key}]]")));
                return None;
            }
        };
        let read_one = |value: &'a Value| match &value.kind {
            Kind::Table(table) => read(self.inner(key, &value.at, table), findings),
            _ => {
                findings.push(not_a_section(value, &format!("[[{key}]]")));
                None
            }
        };
        let read: Vec<Option<S>> = values.iter().map(read_one).collect();
        read.into_iter().collect()
    }

    fn inner(&self, key: &str, at: &Place, table: &'a Table) -> Self {
        let name = table.text("name").unwrap_or("?");
        let within = if self.title.is_empty() { String::new() } else { format!("{}, ", self.title) };
        // Nothing is inherited from the root: its lists may be called as keys further in are.
        let further_out = self.tables.iter().copied().skip(usize::from(self.title.is_empty()));
        let tables = [table].into_iter().chain(further_out).collect();
        Self { title: format!("{within}{key} {name:?}"), at: at.clone(), tables }
    }
}

/// Reads one table as a section and refuses the keys it doesn't know.
fn read<S: Section>(scope: Scope<'_>, findings: &mut Vec<Finding>) -> Option<S> {
    let known = match scope.tables.first() {
        Some(table) => known_only(table, &S::keys(), &scope.title, findings),
        None => true,
    };
    S::read(&scope, findings).filter(|_| known)
}

/// Says which keys of a table are not among `keys`; whether all are.
pub(super) fn known_only(table: &Table, keys: &[&str], title: &str, findings: &mut Vec<Finding>) -> bool {
    let mut all = true;
    for (key, entry) in table.entries.iter().filter(|(key, _)| !keys.contains(&key.as_str())) {
        all = false;
        let help = match nearest(key, keys) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys: {}", keys.join(", ")),
        };
        findings.push(Finding {
            at: Some(entry.key.clone()),
            warning: false,
            message: format!("{title} has no key `{key}`"),
            expected: String::new(),
            help,
        });
    }
    all
}

/// The known key that a typing mistake was most likely meant to be: at most two letters away, or a part of it.
fn nearest<'k>(key: &str, keys: &[&'k str]) -> Option<&'k str> {
    let key = key.to_lowercase().replace('-', "_");
    let near = keys.iter().map(|known| (distance(&key, known), *known)).min();
    match near {
        Some((distance, known)) if distance <= 2 => Some(known),
        _ => keys.iter().copied().find(|known| known.contains(&key) || key.contains(known)),
    }
}

/// Letters to insert, drop or replace to make one text of the other.
pub(super) fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn not_a_section(value: &Value, title: &str) -> Finding {
    Finding {
        at: Some(value.at.clone()),
        warning: false,
        message: format!("{} stands where a section {title} belongs", value.described()),
        expected: format!("{title} on a line of its own, its keys below"),
        help: String::new(),
    }
}

fn bare(title: &str) -> &str {
    title.trim_matches(['[', ']'])
}

/// Declares a [`Section`]: `own` keys are looked up in its own table only, `inherited` ones in the tables further out
/// too, `flat` fields are sections whose keys stand in the same table, `sections` are `[sub.tables]`, `optional` those that may
/// be left out, `lists` are `[[arrays.of.tables]]`. Everything after `=>` is the key's rule (see `values.rs`).
macro_rules! section {
    (
        $(#[$doc:meta])*
        pub struct $name:ident {
            $(own { $($(#[$own_doc:meta])* $own:ident: $own_ty:ty => $own_rule:expr,)* })?
            $(inherited { $($(#[$inh_doc:meta])* $inh:ident: $inh_ty:ty => $inh_rule:expr,)* })?
            $(flat { $($(#[$flat_doc:meta])* $flat:ident: $flat_ty:ty,)* })?
            $(sections { $($(#[$sec_doc:meta])* $sec:ident: $sec_ty:ty,)* })?
            $(optional { $($(#[$opt_doc:meta])* $opt:ident: $opt_ty:ty,)* })?
            $(lists { $($(#[$list_doc:meta])* $list:ident: [$list_ty:ty] = $list_key:literal,)* })?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name {
            $($($(#[$own_doc])* pub $own: $own_ty,)*)?
            $($($(#[$inh_doc])* pub $inh: $inh_ty,)*)?
            $($($(#[$flat_doc])* pub $flat: $flat_ty,)*)?
            $($($(#[$sec_doc])* pub $sec: $sec_ty,)*)?
            $($($(#[$opt_doc])* pub $opt: $opt_ty,)*)?
            $($($(#[$list_doc])* pub $list: Vec<$list_ty>,)*)?
        }

        impl $crate::config::section::Section for $name {
            fn keys() -> Vec<&'static str> {
                let mut keys = vec![$($(stringify!($own),)*)? $($(stringify!($inh),)*)?];
                $($(keys.extend(<$flat_ty>::keys());)*)?
                keys.extend([$($(stringify!($sec),)*)? $($(stringify!($opt),)*)? $($($list_key,)*)?] as [&str; _]);
                keys
            }

            fn read(
                scope: &$crate::config::section::Scope<'_>,
                findings: &mut Vec<$crate::config::problem::Finding>,
            ) -> Option<Self> {
                $($(let $own = scope.own(stringify!($own), &$own_rule, findings);)*)?
                $($(let $inh = scope.inherit(stringify!($inh), &$inh_rule, findings);)*)?
                $($(let $flat = <$flat_ty>::read(scope, findings);)*)?
                $($(let $sec = scope.section(stringify!($sec), findings);)*)?
                $($(let $opt = scope.optional(stringify!($opt), findings);)*)?
                $($(let $list = scope.sections($list_key, findings);)*)?
                Some(Self {
                    $($($own: $own?,)*)?
                    $($($inh: $inh?,)*)?
                    $($($flat: $flat?,)*)?
                    $($($sec: $sec?,)*)?
                    $($($opt: $opt?,)*)?
                    $($($list: $list?,)*)?
                })
            }

            #[allow(clippy::vec_init_then_push, reason = "a section may have sub-sections only")]
            fn write(&self) -> $crate::config::section::Keys {
                let mut keys = Vec::new();
                $($($crate::config::section::put(&mut keys, stringify!($own), &$own_rule, &self.$own);)*)?
                $($($crate::config::section::put(&mut keys, stringify!($inh), &$inh_rule, &self.$inh);)*)?
                $($(keys.extend(self.$flat.write());)*)?
                $($(keys.push((stringify!($sec), $crate::config::section::Written::Section(self.$sec.write())));)*)?
                $($(keys.push((stringify!($opt), $crate::config::section::Written::Section(self.$opt.write())));)*)?
                $($(keys.push(($list_key, $crate::config::section::Written::all(&self.$list)));)*)?
                keys
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let keys = $crate::config::section::Section::write(self);
                serializer.collect_map(keys)
            }
        }
    };
}

/// Declares an enum and the word of the file that each variant stands for.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
        }

        impl $name {
            /// The word of the file.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl $crate::config::values::Words for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)*];
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(super) use {section, words};
