//! What the operator may say: the configuration, in layers, checked as a whole before anything acts on it.
//!
//! Holds: [`Config`] and its sections, how they are read, what is said when they are wrong.
//! Knows: `ids`, and how conditions are compiled. Never: any other room; they take what they need from [`Config`] as plain values.
//! Start reading at: [`Config`], then [`load`]; every key is explained in `config/maitred.toml`.

mod checks;
mod conditions;
mod daemon;
mod difference;
mod hours;
mod lint;
mod measures;
mod notify;
mod presets;
mod problem;
mod rules;
mod section;
#[cfg(test)]
mod tests;
mod tree;
mod triggers;
mod values;
mod workflow;
mod workspace;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use problem::{Finding, Place, Source, Sources};
use section::{Scope, Section, Written, section};
use values::Optional;

pub use conditions::When;
pub use daemon::{
    Admin, AgentLimits, Journal, Limits, LogFormat, LogLevel, Recovery, Server, VisitorLimits, Watchdog,
};
pub use difference::{Difference, Differs};
pub use hours::Calendar;
pub use notify::{Absent, Addressees, Deliveries, Encryption, MailRule, MailServer, Push, Topic, Webhook};
pub use presets::PRESETS;
pub use problem::{Problem, Problems};
pub use rules::{RoutingRule, RuleTarget};
pub use toml::Value;
pub use triggers::{Moment, Trigger};
pub use workflow::{Aim, Begins, Origin, Status, Step, Test, Workflow};
pub use workspace::{
    Agent, Defaults, Group, GroupPolicy, Picker, Plan, Strategy, WhenClosed, WhenEmpty, Workspace,
    WorkspaceSettings,
};

/// The commented default that the program carries. The only list of defaults there is.
pub const EMBEDDED: &str = include_str!("../../config/maitred.toml");

/// What messages call [`EMBEDDED`].
const EMBEDDED_NAME: &str = "config/maitred.toml (built in)";

section! {
    /// The configuration of a daemon, complete: what nobody set has its default.
    pub struct Config {
        own {
            /// The preset that stands between the built-in default and the file; its values are in the rest already.
            preset: Option<String> => Optional(presets::Named),
        }
        sections {
            /// The process.
            server: Server,
            /// The HTTP listener for metrics and health.
            admin: Admin,
            /// The log on disk.
            journal: Journal,
            /// The first moments after a start.
            recovery: Recovery,
            /// The thread that looks whether the arbiters turn.
            watchdog: Watchdog,
            /// What connections may use.
            limits: Limits,
            /// E-mails and webhooks on their way.
            deliveries: Deliveries,
            /// What workspaces and groups do unless they say otherwise.
            defaults: Defaults,
        }
        lists {
            /// The workspaces, in the order of the file.
            workspaces: [Workspace] = "workspace",
            /// What customers may do, by what they pay for.
            plans: [Plan] = "plan",
        }
    }
}

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What deserves a second look.
    pub warnings: Vec<Problem>,
}

/// Reads the built-in default, lays the preset that is asked for over it, the file over both, and the environment over all.
///
/// `env` may be the whole environment: only names that start with `MAITRED__` count.
///
/// # Errors
/// Everything that is wrong, at once, each with its place; the caller exits with 78 (at a start) or keeps what it has
/// (at a reload).
pub fn load(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Loaded, Problems> {
    let file = match file {
        None => None,
        Some(path) => Some((path.display().to_string(), read(path)?)),
    };
    load_text(file, env)
}

/// What [`load`] makes of a file of this text, alone: without an environment.
///
/// # Errors
/// As [`load`]. Problems call the file `name`.
pub fn read_text(name: &str, text: &str) -> Result<Config, Problems> {
    load_text(Some((name.to_owned(), text.to_owned())), std::iter::empty()).map(|loaded| loaded.config)
}

/// What [`load`] makes of this file in this process's environment.
///
/// # Errors
/// As [`load`].
pub fn check(file: Option<&Path>) -> Result<Loaded, Problems> {
    load(file, environment())
}

/// This process's variables, those left out whose text is not Unicode.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn read(path: &Path) -> Result<String, Problems> {
    let name = || path.display().to_string();
    let unreadable = |message: String, help: &str| {
        Problems::new(vec![Problem::unreadable(name(), message, help.to_owned())])
    };
    let bytes = fs::read(path).map_err(|error| {
        unreadable(format!("can't be read: {error}"), "without a file, the built-in default is used")
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        unreadable(format!("is not UTF-8 from byte {at} on"), "save it as UTF-8")
    })
}

/// As [`load`], with the file's name and text.
fn load_text(
    file: Option<(String, String)>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, Problems> {
    let mut sources = vec![Source::File { name: EMBEDDED_NAME.to_owned(), text: EMBEDDED.to_owned() }];
    let own = file.map(|(name, text)| {
        sources.push(Source::File { name, text });
        sources.len() - 1
    });
    let mut findings = Vec::new();
    let mut root = tree::parse(0, &sources, &mut findings);
    let mut file = own.map(|own| tree::parse(own, &sources, &mut findings)).unwrap_or_default();
    if !findings.is_empty() {
        // Broken syntax hides keys: checking what is left would report errors that are none.
        return Err(Problems::new(told(findings, &sources)));
    }
    let variables = tree::variables(env, &mut sources, &mut findings);
    if let Some((name, text)) = presets::asked([&file, &variables]) {
        sources.push(Source::File { name, text: text.to_owned() });
        let preset = tree::parse(sources.len() - 1, &sources, &mut findings);
        presets::lend(&preset, &mut file);
        root.overlay(preset);
    }
    root.overlay(file);
    root.overlay(variables);
    let config = read_root(&root, &mut findings);
    checks::check(&root, config.as_ref(), &mut findings);
    if let Some(own) = own {
        checks::own_workspace(&root, own, &mut findings);
    }
    let refused = findings.iter().any(|finding| !finding.warning);
    let problems = told(findings, &sources);
    match config {
        Some(config) if !refused => Ok(Loaded { config, warnings: problems }),
        _ => Err(Problems::new(problems)),
    }
}

/// The root inherits nothing; `[defaults]` stands behind it for the workspaces.
fn read_root(root: &tree::Table, findings: &mut Vec<Finding>) -> Option<Config> {
    let tables = [root].into_iter().chain(checks::defaults(root)).collect();
    let scope = Scope { title: String::new(), at: Place::new(0, 0..0), tables };
    let known = section::known_only(root, &Config::keys(), "the configuration", findings);
    Config::read(&scope, findings).filter(|_| known)
}

/// In the order of the texts, those without a place last. Each once: every heir of a wrong value refuses it.
fn told(mut findings: Vec<Finding>, sources: &Sources) -> Vec<Problem> {
    findings.sort();
    findings.sort_by_key(|finding| finding.at.is_none());
    findings.dedup();
    findings.into_iter().map(|finding| Problem::new(finding, sources)).collect()
}

impl Config {
    /// The built-in default: one workspace `demo`, so that the daemon runs without a file.
    ///
    /// # Panics
    /// If the file that was compiled in is wrong, which a test rules out.
    #[must_use]
    pub fn embedded() -> Self {
        match load_text(None, std::iter::empty()) {
            Ok(loaded) => loaded.config,
            Err(problems) => panic!("the built-in configuration is wrong:\n{problems}"),
        }
    }

    /// The configuration as a file that has every key and reads back as the same.
    #[must_use]
    pub fn effective_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| unreachable!("plain tables are always TOML: {error}"))
    }

    /// Keys that differ in `new` and that only a restart can change, such as `server.listen`.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<String> {
        let flat = |config: &Self| -> BTreeMap<String, Written> {
            let named = |section: &'static str, keys: section::Keys| {
                keys.into_iter().map(move |(key, value)| (format!("{section}.{key}"), value))
            };
            // The mail server is taken over at a reload.
            let server = config.server.write().into_iter().filter(|(key, _)| *key != "mail").collect();
            let server = named("server", server);
            server
                .chain(named("admin", config.admin.write()))
                .chain(named("journal", config.journal.write()))
                .collect()
        };
        let (old, new) = (flat(self), flat(new));
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
    }

    /// The workspace of that name.
    #[must_use]
    pub fn workspace(&self, name: &crate::ids::WorkspaceId) -> Option<&Workspace> {
        self.workspaces.iter().find(|workspace| workspace.name == *name)
    }
}
