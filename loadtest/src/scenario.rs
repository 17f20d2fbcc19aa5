//! What a load is made of: a TOML file, with single values changed from the command line.

use std::{fmt, path::Path, str::FromStr, time::Duration};

use rand::Rng;
use serde::{Deserialize, Deserializer, de};
use toml::{Table, Value};

/// The scenarios that come with the program: name and text.
const BUILT_IN: &[(&str, &str)] = &[
    ("steady", include_str!("../scenarios/steady.toml")),
    ("accept_timeout", include_str!("../scenarios/accept_timeout.toml")),
    ("throughput", include_str!("../scenarios/throughput.toml")),
    ("monday_morning", include_str!("../scenarios/monday_morning.toml")),
    ("agent_flap", include_str!("../scenarios/agent_flap.toml")),
    ("transfer_storm", include_str!("../scenarios/transfer_storm.toml")),
    ("visitors_leave", include_str!("../scenarios/visitors_leave.toml")),
    ("restart", include_str!("../scenarios/restart.toml")),
    ("restart_under_load", include_str!("../scenarios/restart_under_load.toml")),
    ("drain", include_str!("../scenarios/drain.toml")),
    ("overload", include_str!("../scenarios/overload.toml")),
    ("processor", include_str!("../scenarios/processor.toml")),
    ("stalled_readers", include_str!("../scenarios/stalled_readers.toml")),
    ("soak", include_str!("../scenarios/soak.toml")),
    ("console", include_str!("../scenarios/console.toml")),
];

/// A load: who comes, who answers, what happens to them, and the rules of the daemon that is started for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// How long visitors keep coming.
    pub(crate) duration: Span,
    /// How long to wait, without anything happening, for what is still open afterwards.
    pub(crate) settle: Span,
    /// Frontend connections; visitors and agents are spread over them.
    pub(crate) connections: usize,
    /// How visitors come.
    pub(crate) arrivals: Arrivals,
    /// What visitors do.
    pub(crate) visitors: Visitors,
    /// Who answers.
    pub(crate) team: Team,
    /// What goes wrong on purpose.
    #[serde(default)]
    pub(crate) disturbance: Option<Disturbance>,
    /// Keys of the workspace of a daemon started for this: the rules, which its groups inherit.
    #[serde(default)]
    pub(crate) workspace: Table,
    /// Sections of the configuration of a daemon started for this: the limits that this load needs raised.
    #[serde(default)]
    pub(crate) daemon: Table,
}

/// How visitors come.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Arrivals {
    /// Whoever is done comes again at once: so many conversations are open on each connection at any time.
    Closed {
        /// Conversations per connection.
        in_flight: usize,
    },
    /// They come when they come, at random, whether or not the daemon keeps up.
    Open {
        /// On average.
        per_second: f64,
        /// In the rush at the beginning.
        rush_per_second: Option<f64>,
        /// How long the rush lasts.
        rush: Option<Span>,
    },
    /// All at once, once.
    Once {
        /// How many.
        crowd: usize,
    },
}

/// What visitors do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visitors {
    /// Messages each way.
    pub(crate) messages: u16,
    /// Bytes of each; at least 12, which tell it from all others.
    pub(crate) message_bytes: usize,
    /// Time from reading to answering.
    pub(crate) visitor_writes: Delay,
    /// Closed loop: whether the same visitor comes again, which needs `limits.visitor.openings` raised.
    pub(crate) returning: bool,
    /// How long they wait for an agent before they go.
    #[serde(default)]
    pub(crate) patience: Option<Delay>,
    /// Which part of those who go just vanish; the rest closes the conversation. 0 to 1.
    #[serde(default)]
    pub(crate) vanish: f64,
}

/// Who answers, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Team {
    /// How many.
    pub(crate) agents: usize,
    /// Conversations that each can have.
    pub(crate) cap: u16,
    /// Time from an offer to the answer.
    pub(crate) accept_after: Delay,
    /// Time from reading to answering.
    pub(crate) agent_writes: Delay,
    /// Time from the last message to closing.
    pub(crate) close_after: Delay,
    /// How often each begins a list of theirs anew, or opens a conversation; left out: they look at none.
    #[serde(default)]
    pub(crate) looks_every: Option<Span>,
    /// Which part of the offers is declined. 0 to 1.
    #[serde(default)]
    pub(crate) declines: f64,
    /// Which part of the offers is never answered. 0 to 1.
    #[serde(default)]
    pub(crate) silent: f64,
    /// Which part of the conversations is passed on in the middle. 0 to 1.
    #[serde(default)]
    pub(crate) transfers: f64,
    /// Which part of those goes to the other group, rather than to an agent. 0 to 1.
    #[serde(default)]
    pub(crate) to_group: f64,
}

/// What goes wrong on purpose.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Disturbance {
    /// Agents go and come back, one after the other.
    Flap {
        /// How often one goes.
        every: Span,
        /// How long they are away.
        away: Delay,
    },
    /// The daemon ends and starts again. Only for one that the program started itself.
    Restart {
        /// When.
        when: Moment,
        /// How it ends.
        with: Signal,
        /// How long after it serves again the clients connect.
        back_after: Span,
    },
    /// So many more connections, all of them agents' other devices, read nothing.
    Stall {
        /// How many.
        connections: usize,
    },
}

/// When a restart happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Moment {
    /// As soon as so many conversations are offered to agents, who answer only after the restart, and so many wait.
    Standing {
        /// Offered to an agent.
        offered: usize,
        /// In the line.
        waiting: usize,
    },
    /// At this time, whatever is going on.
    At(Span),
}

/// How a daemon is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signal {
    /// At once (SIGKILL).
    Kill,
    /// In order (SIGTERM).
    Term,
}

/// A length of time; in TOML a number and a unit: "250ms", "10s", "2m", "1h".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Span(pub(crate) Duration);

/// A time that differs from case to case: "250ms", or "100ms..2s" for anything in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay {
    from: Duration,
    to: Duration,
}

/// What is wrong with a scenario.
#[derive(Debug)]
pub(crate) struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// Names of the built-in scenarios with what they show.
pub(crate) fn list() -> impl Iterator<Item = (&'static str, String)> {
    BUILT_IN.iter().map(|(name, text)| {
        let table: Option<Table> = text.parse().ok();
        let about = table.and_then(|table| table.get("about")?.as_str().map(str::to_owned));
        (*name, about.unwrap_or_default())
    })
}

/// The text of a scenario: a built-in one by name, else a file.
///
/// # Errors
/// There is neither.
pub(crate) fn text(name: &str) -> Result<String, Wrong> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        return Ok((*text).to_owned());
    }
    std::fs::read_to_string(Path::new(name)).map_err(|error| {
        let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        Wrong(format!("{name} is neither a file ({error}) nor one of {}", names.join(", ")))
    })
}

impl Scenario {
    /// Reads a scenario and changes the values of `set`, each "key=value". A key is the last part of a name, such as
    /// `agents`, if there is only one of it; else the whole, such as `workspace.accept_timeout`.
    ///
    /// # Errors
    /// What can't be understood.
    pub(crate) fn read(text: &str, set: &[String]) -> Result<Self, Wrong> {
        let mut table: Table = text.parse().map_err(|error| Wrong(format!("{error}")))?;
        for assignment in set {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| Wrong(format!("--set {assignment}: KEY=VALUE is expected")))?;
            put(&mut table, key.trim(), parse_value(value.trim()))?;
        }
        let scenario: Self = table.try_into().map_err(|error: toml::de::Error| Wrong(error.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), Wrong> {
        let parts = [
            ("vanish", self.visitors.vanish),
            ("declines", self.team.declines),
            ("silent", self.team.silent),
            ("transfers", self.team.transfers),
            ("to_group", self.team.to_group),
        ];
        for (name, part) in parts {
            if !(0.0..=1.0).contains(&part) {
                return Err(Wrong(format!("{name} = {part}: 0 to 1 is expected")));
            }
        }
        let least = [
            ("connections", self.connections, 1),
            ("agents", self.team.agents, 1),
            ("cap", usize::from(self.team.cap), 1),
            ("messages", usize::from(self.visitors.messages), 1),
            ("message_bytes", self.visitors.message_bytes, 12),
        ];
        for (name, value, least) in least {
            if value < least {
                return Err(Wrong(format!("{name} = {value}: at least {least} is expected")));
            }
        }
        if self.visitors.messages > 100 || self.visitors.message_bytes > 8_192 {
            return Err(Wrong("messages may be 100 at most, message_bytes 8192".to_owned()));
        }
        if let Arrivals::Open { per_second, rush_per_second, .. } = self.arrivals
            && !(per_second > 0.0 && rush_per_second.unwrap_or(1.0) > 0.0)
        {
            return Err(Wrong("visitors who come per second must be above 0".to_owned()));
        }
        Ok(())
    }
}

fn parse_value(text: &str) -> Value {
    let as_toml = format!("value = {text}").parse::<Table>().ok();
    as_toml.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn put(table: &mut Table, key: &str, value: Value) -> Result<(), Wrong> {
    let path: Vec<String> = if key.contains('.') {
        key.split('.').map(str::to_owned).collect()
    } else {
        let mut found = Vec::new();
        leaves(table, &mut Vec::new(), &mut |path| {
            if path.last().is_some_and(|last| last == key) {
                found.push(path.to_vec());
            }
        });
        match found.len() {
            1 => found.remove(0),
            0 => vec![key.to_owned()],
            _ => {
                let all: Vec<_> = found.iter().map(|path| path.join(".")).collect();
                return Err(Wrong(format!("{key} may be {}: write the whole name", all.join(" or "))));
            }
        }
    };
    let Some((last, above)) = path.split_last() else { return Ok(()) };
    let mut into = table;
    for part in above {
        let next = into.entry(part.as_str()).or_insert_with(|| Value::Table(Table::new()));
        into = next.as_table_mut().ok_or_else(|| Wrong(format!("{key}: {part} is not a table")))?;
    }
    // What is left out in the file may still be set: visitors and team have optional keys.
    if above.is_empty() && !into.contains_key(last) {
        for (section, keys) in [
            ("visitors", &["patience", "vanish"][..]),
            ("team", &["declines", "silent", "transfers", "to_group"][..]),
        ] {
            if keys.contains(&last.as_str()) {
                return put(into, &format!("{section}.{last}"), value);
            }
        }
    }
    into.insert(last.clone(), value);
    Ok(())
}

fn leaves(table: &Table, path: &mut Vec<String>, found: &mut impl FnMut(&[String])) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Table(inner) => leaves(inner, path, found),
            _ => found(path),
        }
        path.pop();
    }
}

impl FromStr for Span {
    type Err = Wrong;
    fn from_str(text: &str) -> Result<Self, Wrong> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let millis = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        number
            .parse::<u64>()
            .ok()
            .filter(|_| millis > 0)
            .and_then(|number| number.checked_mul(millis))
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| Wrong(format!("{text:?}: a number with ms, s, m or h is expected")))
    }
}

impl FromStr for Delay {
    type Err = Wrong;
    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (Span(from), Span(to)) = (from.parse()?, to.parse()?);
        if from > to {
            Err(Wrong(format!("{text:?}: from the shorter to the longer")))
        } else {
            Ok(Self { from, to })
        }
    }
}

impl Delay {
    /// One of the times, by chance.
    pub(crate) fn draw(self, rng: &mut impl Rng) -> Duration {
        if self.from == self.to { self.from } else { rng.random_range(self.from..=self.to) }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_can_be_read_and_says_what_it_shows() {
        for (name, text) in BUILT_IN {
            let scenario = Scenario::read(text, &[]).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            assert!(scenario.about.ends_with('.'), "{name}: {}", scenario.about);
        }
    }

    #[test]
    fn single_values_are_changed_by_their_last_name() {
        let set = ["agents=3", "in_flight = 7", "silent=0.5", "patience=1s..2s", "limits.visitor.burst=9"];
        let mut set: Vec<String> = set.map(str::to_owned).to_vec();
        set[4].insert_str(0, "daemon.");
        let scenario = Scenario::read(BUILT_IN[0].1, &set).expect("it is right");
        assert_eq!((scenario.team.agents, scenario.team.silent), (3, 0.5));
        assert!(matches!(scenario.arrivals, Arrivals::Closed { in_flight: 7 }));
        assert_eq!(scenario.visitors.patience, "1s..2s".parse().ok());
        assert_eq!(scenario.daemon["limits"]["visitor"]["burst"].as_integer(), Some(9));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (set, said) in [
            ("agents=none", "invalid type"),
            ("tables=3", "unknown field"),
            ("silent=2", "0 to 1"),
            ("duration=soon", "a number with ms"),
            ("accept_after=2s..1s", "from the shorter"),
            ("messages=0", "at least 1"),
            ("agents", "KEY=VALUE"),
        ] {
            let wrong = Scenario::read(BUILT_IN[0].1, &[set.to_owned()]).expect_err(set).to_string();
            assert!(wrong.contains(said), "{set}: {wrong}");
        }
    }
}
