//! A daemon that is set up as a preset says, and what makes a rule a test of two runs.

use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use maitred::{
    config,
    ids::{AgentId, VisitorId},
    protocol::{Notice, reply::Done, request::PutAgent, words::Presence},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use toml::{Table, Value};

use crate::floor::{Encoding, Floor, Seat, Shape, be_impatient, profile, visitor, workspace};

/// How long a run waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a flipped run waits for what comes no more.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// How long a flipped run may take in all: a request that is never answered counts as a failure of its body.
const FLIPPED_MAX: Duration = Duration::from_secs(30);

const SHAPE: Shape = Shape { encoding: Encoding::Bincode, arbiters: 1 };

/// Makes a rule two tests: that it holds, and that it does not with a value flipped. See `main.rs`.
macro_rules! rule {
    ($name:ident, preset = $preset:literal, with = $with:expr, flip = none($why:literal), async |$house:ident| $body:block $(,)?) => {
        $crate::house::rule! { @story $name, $preset, $with, $house, $body, {} }
    };
    ($name:ident, preset = $preset:literal, with = $with:expr, flip = [$($flip:expr),+ $(,)?], async |$house:ident| $body:block $(,)?) => {
        $crate::house::rule! { @story $name, $preset, $with, $house, $body, {
            #[test]
            fn flipped() {
                $($crate::house::fails_when_flipped($preset, $with, $flip, story);)+
            }
        } }
    };
    ($name:ident, preset = $preset:literal, with = $with:expr, flip = [$($flip:expr),* $(,)?], async |$house:ident| $body:block, opposite = [$(($turned:expr, async |$there:ident| $opposite:block $(,)?)),+ $(,)?] $(,)?) => {
        $crate::house::rule! { @story $name, $preset, $with, $house, $body, {
            #[test]
            fn flipped() {
                $($crate::house::fails_when_flipped($preset, $with, $flip, story);)*
                $({
                    async fn opposite($there: &mut $crate::house::House) $opposite
                    $crate::house::fails_when_flipped($preset, $with, $turned, story);
                    $crate::house::opposite_holds($preset, $with, $turned, opposite);
                    $crate::house::opposite_fails($preset, $with, $turned, opposite);
                })+
            }
        } }
    };
    ($name:ident, preset = $preset:literal, with = $with:expr, flip = $flip:expr, async |$house:ident| $body:block $(,)?) => {
        $crate::house::rule! { $name, preset = $preset, with = $with, flip = [$flip], async |$house| $body }
    };
    (@story $name:ident, $preset:literal, $with:expr, $house:ident, $body:block, {$($flipped:item)*}) => {
        mod $name {
            #[allow(unused_imports, reason = "what the file of the rules has")]
            use super::*;

            async fn story($house: &mut $crate::house::House) $body

            #[test]
            fn holds() {
                $crate::house::holds($preset, $with, story);
            }

            $($flipped)*
        }
    };
}

pub(crate) use rule;

/// A running daemon with the configuration of one run.
pub(crate) struct House {
    pub(crate) floor: Floor,
    config: Table,
}

impl Deref for House {
    type Target = Floor;

    fn deref(&self) -> &Floor {
        &self.floor
    }
}

impl House {
    async fn open(config: Table) -> Self {
        let floor = Floor::open(&written(&config), SHAPE).await;
        Self { floor, config }
    }

    /// An agent of this name, known, connected and online, with the cap of the configuration.
    pub(crate) async fn agent(&self, name: &str, groups: &[&str]) -> (AgentId, Seat) {
        let agent = self.known(name, groups).await;
        let seat = self.floor.session(agent, SHAPE).await;
        seat.client.set_presence(agent, Presence::Online).await.expect("online");
        (agent, seat)
    }

    /// One of the agents whom the file manages, connected and online.
    pub(crate) async fn managed(&self, name: &str) -> (AgentId, Seat) {
        let agent = AgentId::derive(&workspace(), name);
        let seat = self.session(agent).await;
        seat.client.set_presence(agent, Presence::Online).await.expect("online");
        (agent, seat)
    }

    /// An agent of this name, known, and neither connected nor online.
    pub(crate) async fn known(&self, name: &str, groups: &[&str]) -> AgentId {
        let agent = AgentId::derive(&workspace(), name);
        let put = PutAgent { cap: None, ..profile(&self.floor.admin, agent, name, groups, 1) };
        let _: Done = self.floor.admin.ask(put).await.expect("put");
        agent
    }

    /// A connection of an agent who is known already.
    pub(crate) async fn session(&self, agent: AgentId) -> Seat {
        self.floor.session(agent, SHAPE).await
    }

    /// A frontend's connection.
    pub(crate) async fn desk(&self) -> Seat {
        self.floor.frontend(SHAPE).await
    }

    /// A supervisor's connection.
    pub(crate) async fn watch(&self) -> Seat {
        self.floor.supervisor(SHAPE).await
    }

    /// The connection of the visitor of this number, and their id.
    pub(crate) async fn visitor(&self, number: u16) -> (VisitorId, Seat) {
        (visitor(number), self.floor.visitor(visitor(number), SHAPE).await)
    }

    /// Edits the configuration as a flip does, and has the daemon take it over.
    pub(crate) fn change(&mut self, lines: &str) {
        self.reload(lines).unwrap_or_else(|problems| panic!("not taken over: {problems}"));
    }

    /// Edits the configuration as a flip does, and asks the daemon to take it over; what it says if it doesn't.
    pub(crate) fn reload(&mut self, lines: &str) -> Result<(), String> {
        edit(&mut self.config, lines);
        self.floor.rewrite(&written(&self.config));
        self.floor.running().control().reload().map(drop)
    }

    /// What a series of the workspace is at; `None`: it isn't shown. `labels`: those behind the workspace, as they are shown.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(self.floor.running().admin()).await.expect("the admin listener");
        let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(ask).await.expect("asked");
        let mut page = String::new();
        stream.read_to_string(&mut page).await.expect("answered");
        let series = format!("maitred_{name}{{workspace=\"test\",{labels}}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&series))?;
        Some(value.parse().expect("a number"))
    }

    /// Ends the daemon in order and starts it again on the same directory, `down` later.
    pub(crate) async fn restart(&mut self, down: Duration) {
        self.floor.restart(down).await;
    }
}

/// Whether somebody is asked to take a conversation, over or from the line.
pub(crate) fn is_offer(notice: &Notice) -> bool {
    matches!(notice, Notice::OfferMade(_))
}

/// Runs the story on the preset with `with` over it.
pub(crate) fn holds(preset: &str, with: &str, story: impl AsyncFnOnce(&mut House)) {
    let config = configuration(preset, with);
    runtime().block_on(async {
        let mut house = House::open(config).await;
        story(&mut house).await;
    });
}

/// Runs the story of what happens instead on a configuration with a value flipped.
pub(crate) fn opposite_holds(preset: &str, with: &str, flip: &str, opposite: impl AsyncFnOnce(&mut House)) {
    be_impatient(PATIENCE);
    let mut config = configuration(preset, with);
    edit(&mut config, flip);
    runtime().block_on(async {
        let mut house = House::open(config).await;
        opposite(&mut house).await;
    });
}

/// Runs the story of what happens instead without the flip, and fails unless it fails: else it would be no opposite.
pub(crate) fn opposite_fails(preset: &str, with: &str, flip: &str, opposite: impl AsyncFnOnce(&mut House)) {
    let passed = passes(configuration(preset, with), opposite);
    assert!(!passed, "what is to happen instead happens without the flip, too: {flip}");
}

/// Runs the story on a configuration with a value flipped, and fails unless it fails.
pub(crate) fn fails_when_flipped(preset: &str, with: &str, flip: &str, story: impl AsyncFnOnce(&mut House)) {
    let plain = configuration(preset, with);
    let mut config = plain.clone();
    edit(&mut config, flip);
    assert_ne!(plain, config, "the flip changes nothing: {flip}");
    assert!(!passes(config, story), "the rule still holds with the flipped value: {flip}");
}

/// Whether a story that is meant to fail passes all the same.
fn passes(config: Table, story: impl AsyncFnOnce(&mut House)) -> bool {
    let runtime = runtime();
    // Outside of what may fail: a daemon that can't start with the flipped value would prove nothing.
    let mut house = runtime.block_on(House::open(config));
    be_impatient(IMPATIENCE);
    let body =
        || runtime.block_on(async { tokio::time::timeout(FLIPPED_MAX, story(&mut house)).await.is_ok() });
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(false)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

// === the configuration ===

/// The preset with this text laid over it, the workspace named as the tests call it.
fn configuration(preset: &str, with: &str) -> Table {
    let (_, text) = config::PRESETS.iter().find(|(name, _)| *name == preset).expect("a preset of that name");
    let mut config: Table = text.parse().unwrap_or_else(|error| panic!("the preset {preset}: {error}"));
    let with: Table = with.parse().unwrap_or_else(|error| panic!("`with`: {error}"));
    overlay(&mut config, with);
    edit(&mut config, "workspace.name = \"test\"\nlimits.visitor.openings = 1000");
    config
}

fn written(config: &Table) -> String {
    // The floor's own lines come before: sections that both write would be there twice.
    assert!(!config.contains_key("journal") && !config.contains_key("admin"));
    let server = config.get("server").and_then(Value::as_table);
    assert!(server.is_none_or(|server| server.values().all(Value::is_table)), "only sections of [server]");
    toml::to_string(config).expect("tables are TOML")
}

/// Lays `over` on top, key by key; of lists of tables, element by element.
fn overlay(below: &mut Table, over: Table) {
    for (key, over) in over {
        match (below.get_mut(&key), over) {
            (Some(Value::Table(below)), Value::Table(over)) => overlay(below, over),
            (Some(Value::Array(list)), Value::Table(over)) => match list.first_mut() {
                Some(Value::Table(below)) => overlay(below, over),
                _ => panic!("`{key}` is a list of values, and a table is laid over it"),
            },
            (Some(Value::Array(below)), Value::Array(over)) if tables(below) && tables(&over) => {
                for over in over {
                    overlay_named(below, over);
                }
            }
            (_, over) => {
                below.insert(key, over);
            }
        }
    }
}

fn tables(list: &[Value]) -> bool {
    list.iter().all(Value::is_table)
}

fn overlay_named(list: &mut Vec<Value>, over: Value) {
    let same = |value: &&mut Value| value.get("name").is_some() && value.get("name") == over.get("name");
    match (list.iter_mut().find(same), over) {
        (Some(Value::Table(below)), Value::Table(over)) => overlay(below, over),
        (_, over) => list.push(over),
    }
}

/// Sets and takes away what the lines say.
fn edit(config: &mut Table, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, value) = match (line.strip_prefix('!'), line.split_once('=')) {
            (Some(path), _) => (path.trim(), None),
            (None, Some((path, value))) => {
                let value: Table =
                    format!("value = {value}").parse().unwrap_or_else(|error| panic!("{line}: {error}"));
                (path.trim(), value.get("value").cloned())
            }
            (None, None) => panic!("neither `path = value` nor `!path`: {line}"),
        };
        let path: Vec<&str> = path.split('.').collect();
        put(config, &path, value);
    }
}

fn put(table: &mut Table, path: &[&str], value: Option<Value>) {
    match (path, value) {
        ([key], Some(value)) if *key != "workspace" => {
            table.insert((*key).to_owned(), value);
        }
        ([key], None) => {
            table.remove(*key).unwrap_or_else(|| panic!("there is no `{key}` to take away"));
        }
        ([key, rest @ ..], value) => {
            let inner = table.entry((*key).to_owned()).or_insert_with(|| Value::Table(Table::new()));
            put_into(inner, key, rest, value);
        }
        ([], _) => panic!("an empty path"),
    }
}

fn put_into(inner: &mut Value, key: &str, path: &[&str], value: Option<Value>) {
    match inner {
        Value::Table(table) => put(table, path, value),
        Value::Array(list) => {
            let (at, rest) = element(list, key, path);
            match (rest, value) {
                ([], Some(value)) => list[at] = value,
                ([], None) => {
                    list.remove(at);
                }
                (rest, value) => put_into(&mut list[at], key, rest, value),
            }
        }
        value => panic!("`{key}` is {value}, which has no `{}`", path.join(".")),
    }
}

/// Which element the path means, and the rest of it. The one workspace needs no name.
fn element<'p>(list: &[Value], key: &str, path: &'p [&'p str]) -> (usize, &'p [&'p str]) {
    let [first, rest @ ..] = path else { panic!("`{key}` is a list: which of it?") };
    let named = |value: &Value| value.get("name").and_then(Value::as_str) == Some(first);
    match (first.parse(), list.iter().position(named)) {
        (Ok(number), _) if number < list.len() => (number, rest),
        (Err(_), Some(at)) => (at, rest),
        _ if key == "workspace" && list.len() == 1 => (0, path),
        _ => panic!("`{key}` has no element {first:?}"),
    }
}
