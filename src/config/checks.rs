//! What no single key can tell: names that are taken, references to nowhere, chains that turn back.
//!
//! The checks read the tree rather than the structs, so they speak even where a key beside is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Config, Strategy,
    problem::{Finding, Place},
    tree::{Kind, Table, Value},
    workflow::named_in,
};
use crate::ids::AgentId;

/// The group that every workspace has.
const EVERYONE: &str = "everyone";

/// The word for no group.
const NOBODY: &str = "none";

/// Most groups that one conversation may pass through by overflow (design §4).
const CHAIN_MAX: usize = 4;

/// The table `[defaults]`, if it is one.
pub(super) fn defaults(root: &Table) -> Option<&Table> {
    section(root, "defaults")
}

fn section<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    match table.get(key) {
        Some(Value { kind: Kind::Table(table), .. }) => Some(table),
        _ => None,
    }
}

/// Everything, on a tree of all layers; `config` is what was read of it, if it could be.
pub(super) fn check(root: &Table, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let mut check = Check { findings };
    let workspaces: Vec<(&Place, &Table)> = root.tables("workspace").collect();
    check.names_once("workspace", workspaces.iter().map(|(_, workspace)| *workspace));
    if workspaces.is_empty() && root.get("workspace").is_none_or(|value| matches!(value.kind, Kind::List(_)))
    {
        let at = root.get("workspace").map(|value| value.at.clone());
        check.warn(at, "no workspace is defined: nobody can connect".to_owned(), "add a [[workspace]]");
    }
    for (_, workspace) in &workspaces {
        check.workspace(workspace, defaults(root));
        check.plan(workspace, root);
    }
    check.names_once("plan", root.tables("plan").map(|(_, plan)| plan));
    if let Some(config) = config {
        check.sections(root, config);
        for (workspace, (_, table)) in config.workspaces.iter().zip(&workspaces) {
            check.policies(workspace, table, defaults(root));
            super::rules::second_look(workspace, table, check.findings);
            super::workflow::second_look(workspace, table, check.findings);
            super::lint::second_look(workspace, table, defaults(root), check.findings);
            check.told(workspace, table, config);
            super::triggers::check(workspace, table, check.findings);
        }
    }
}

/// Warns of a file (the source `own`) that leaves an example workspace in place, which is rarely what its writer wants.
pub(super) fn own_workspace(root: &Table, own: usize, findings: &mut Vec<Finding>) {
    if root.get("workspace").is_some_and(|value| value.at.source != own) {
        let name = root.tables("workspace").find_map(|(_, workspace)| workspace.text("name")).unwrap_or("?");
        let message = format!("the file defines no workspace: the built-in example `{name}` is served");
        Check { findings }.warn(None, message, "add a [[workspace]]");
    }
}

struct Check<'f> {
    findings: &'f mut Vec<Finding>,
}

/// A group as the file has it.
struct Line<'a> {
    table: &'a Table,
    enabled: bool,
    /// The name of the group after this, and where it is said.
    overflow: Option<(&'a str, &'a Place)>,
}

impl Check<'_> {
    fn error(&mut self, at: &Place, message: String, expected: &str, help: &str) {
        self.findings.push(Finding {
            at: Some(at.clone()),
            warning: false,
            message,
            expected: expected.to_owned(),
            help: help.to_owned(),
        });
    }

    fn warn(&mut self, at: Option<Place>, message: String, help: &str) {
        let (expected, help) = (String::new(), help.to_owned());
        self.findings.push(Finding { at, warning: true, message, expected, help });
    }

    /// Refuses the second table of the same name.
    fn names_once<'a>(&mut self, what: &str, tables: impl Iterator<Item = &'a Table>) {
        let mut seen = BTreeSet::new();
        for table in tables {
            let (Some(name), Some(value)) = (table.text("name"), table.get("name")) else { continue };
            if !seen.insert(name) {
                self.error(&value.at, format!("{what} {name:?} is defined twice"), "another name", "");
            }
        }
    }

    // === one workspace ===

    fn workspace(&mut self, workspace: &Table, defaults: Option<&Table>) {
        let groups = || workspace.tables("group").map(|(_, group)| group);
        let agents: Vec<&Table> = workspace.tables("agent").map(|(_, agent)| agent).collect();
        self.names_once("group", groups());
        self.names_once("agent", agents.iter().copied());
        self.names_once("trigger", workspace.tables("trigger").map(|(_, trigger)| trigger));
        self.names_once("rule", workspace.tables("rule").map(|(_, rule)| rule));
        self.names_once("webhook", workspace.tables("webhook").map(|(_, webhook)| webhook));
        self.names_once("mail", workspace.tables("mail").map(|(_, mail)| mail));
        let mut lines: BTreeMap<&str, Line<'_>> = BTreeMap::new();
        for table in groups() {
            let Some(name) = table.text("name") else { continue };
            let enabled = !matches!(table.get("enabled"), Some(Value { kind: Kind::Flag(false), .. }));
            let overflow = table.get("overflow").and_then(|value| Some((value.text()?, &value.at)));
            lines.entry(name).or_insert(Line { table, enabled, overflow });
        }
        self.reserved(workspace);
        self.default_group(workspace, defaults, &lines);
        self.overflows(&lines);
        self.agents(&agents, &lines);
        self.seats(workspace, defaults, &agents);
        self.served(&agents, &lines);
        let groups: Vec<&str> = lines.keys().copied().chain([EVERYONE]).collect();
        super::hours::check(workspace, self.findings);
        super::rules::check(workspace, &groups, &agents, self.findings);
        self.workflows(workspace, &agents, &lines);
    }

    fn workflows(&mut self, workspace: &Table, agents: &[&Table], lines: &BTreeMap<&str, Line<'_>>) {
        self.names_once("workflow", workspace.tables("workflow").map(|(_, workflow)| workflow));
        let mut named = Vec::new();
        let steps = workspace.tables("workflow").filter_map(|(_, workflow)| workflow.get("steps"));
        steps.for_each(|steps| named_in(steps, &mut named));
        for (kind, value) in named {
            let Some(name) = value.text() else { continue };
            match (kind, lines.get(name)) {
                ("group", None) if name != EVERYONE => {
                    let message = format!("`steps` name {name:?}, which is not a group of their workspace");
                    self.error(&value.at, message, &known(lines, &[EVERYONE]), "");
                }
                ("group", Some(line)) if !line.enabled => {
                    let message = format!("`steps` name {name:?}, which is disabled");
                    self.warn(Some(value.at.clone()), message, "enable it, or name another");
                }
                ("agent", _)
                    if name.parse::<AgentId>().is_err()
                        && agents.iter().all(|agent| agent.text("name") != Some(name)) =>
                {
                    let message = format!("`steps` name {name:?}, which is no agent of this workspace");
                    let help = "agents who joined by command are named by their id";
                    self.error(&value.at, message, "the name of an agent of this file, or an id", help);
                }
                _ => {}
            }
        }
    }

    /// A plan that a workspace names is one of the file's.
    fn plan(&mut self, workspace: &Table, root: &Table) {
        let named = workspace.get("plan").or_else(|| defaults(root)?.get("plan"));
        let Some((value, plan)) = named.and_then(|value| Some((value, value.text()?))) else { return };
        let known: Vec<&str> = root.tables("plan").filter_map(|(_, plan)| plan.text("name")).collect();
        if !known.contains(&plan) {
            let expected =
                if known.is_empty() { "a [[plan]] of this name".to_owned() } else { known.join(", ") };
            self.error(&value.at, format!("there is no plan {plan:?}"), &expected, "");
        }
    }

    fn reserved(&mut self, workspace: &Table) {
        for value in workspace.tables("group").filter_map(|(_, group)| group.get("name")) {
            let help = match value.text() {
                Some(EVERYONE) => "every workspace has it already: all its agents are members",
                Some(NOBODY) => "as a `default_group` it means that there is none",
                _ => continue,
            };
            self.error(&value.at, format!("{} can't be defined", value.described()), "another name", help);
        }
    }

    fn default_group(
        &mut self,
        workspace: &Table,
        defaults: Option<&Table>,
        lines: &BTreeMap<&str, Line<'_>>,
    ) {
        let value = workspace.get("default_group").or_else(|| defaults?.get("default_group"));
        let Some((value, name)) = value.and_then(|value| Some((value, value.text()?))) else { return };
        match lines.get(name) {
            Some(line) if !line.enabled => {
                let message =
                    format!("default_group {name:?} is disabled: what nobody sent anywhere gets a fallback");
                self.warn(Some(value.at.clone()), message, "enable it, or name another");
            }
            None if name != EVERYONE && name != NOBODY => {
                let within = workspace.text("name").unwrap_or("?");
                let message = format!("default_group {name:?} is not a group of workspace {within:?}");
                self.error(&value.at, message, &known(lines, &[EVERYONE, NOBODY]), "");
            }
            _ => {}
        }
    }

    // === overflow ===

    fn overflows(&mut self, lines: &BTreeMap<&str, Line<'_>>) {
        for (name, line) in lines {
            let Some((next, at)) = line.overflow else { continue };
            match lines.get(next) {
                None if next != EVERYONE => {
                    let message = format!(
                        "group {name:?} overflows to {next:?}, which is not a group of its workspace"
                    );
                    self.error(at, message, &known(lines, &[EVERYONE]), "");
                }
                Some(line) if !line.enabled => {
                    let message = format!("group {name:?} overflows to {next:?}, which is disabled");
                    self.warn(Some(at.clone()), message, "enable it, or overflow elsewhere");
                }
                _ => {}
            }
        }
        let entered: BTreeSet<&str> = lines.values().filter_map(|line| Some(line.overflow?.0)).collect();
        for name in lines.keys() {
            self.chain(name, !entered.contains(name), lines);
        }
    }

    /// Follows the overflow from one group on. A cycle is told once, by the first of its groups in the alphabet; a
    /// chain that is too long once, by its head.
    fn chain<'a>(&mut self, start: &'a str, head: bool, lines: &BTreeMap<&'a str, Line<'a>>) {
        let mut path = vec![start];
        while let Some((next, at)) = lines.get(path[path.len() - 1]).and_then(|line| line.overflow) {
            if next == start {
                if path.iter().min() == Some(&start) {
                    let message = format!("overflow turns back: {} → {next}", path.join(" → "));
                    self.error(at, message, "a group that is not on the way here, or no overflow", "");
                }
                return;
            }
            if path.contains(&next) {
                return;
            }
            if path.len() == CHAIN_MAX && head {
                let message =
                    format!("overflow passes more than {CHAIN_MAX} groups: {} → {next}", path.join(" → "));
                self.error(
                    at,
                    message,
                    "no overflow here",
                    "end the chain earlier: each stay may take its full max_wait",
                );
                return;
            }
            path.push(next);
        }
    }

    // === agents ===

    fn agents(&mut self, agents: &[&Table], lines: &BTreeMap<&str, Line<'_>>) {
        let mut addresses = BTreeSet::new();
        for agent in agents {
            let name = agent.text("name").unwrap_or("?");
            if let Some(Value { kind: Kind::List(groups), .. }) = agent.get("groups") {
                for group in groups {
                    self.membership(name, group, lines);
                }
            }
            let Some(email) = agent.get("email") else { continue };
            if email.text().is_some_and(|text| !addresses.insert(text.to_lowercase())) {
                let message = format!("agent {name:?} has another agent's e-mail address");
                let help = "an invitation by e-mail must find one agent; letters' case makes no difference";
                self.error(&email.at, message, "an address of their own", help);
            }
        }
    }

    fn membership(&mut self, agent: &str, group: &Value, lines: &BTreeMap<&str, Line<'_>>) {
        match group.text() {
            Some(EVERYONE) => {
                let message = format!("agent {agent:?} is listed in \"everyone\"");
                self.error(&group.at, message, "no such entry", "every agent is a member already");
            }
            Some(name) if !lines.contains_key(name) => {
                let message =
                    format!("agent {agent:?} is in {name:?}, which is not a group of their workspace");
                self.error(&group.at, message, &known(lines, &[]), "");
            }
            _ => {}
        }
    }

    fn seats(&mut self, workspace: &Table, defaults: Option<&Table>, agents: &[&Table]) {
        let seats = workspace.get("seats").or_else(|| defaults?.get("seats"));
        let seats = match seats.map(|value| &value.kind) {
            Some(Kind::Whole(seats)) => *seats,
            Some(Kind::Raw(text)) => text.parse().unwrap_or(i64::MAX),
            _ => return,
        };
        let seated = agents.iter().filter(|agent| !says_no(agent, "seat"));
        for (number, agent) in (1..).zip(seated) {
            let Some(value) = agent.get("name").filter(|_| number > seats) else { continue };
            let message =
                format!("agent {} is number {number} with a seat, and there are {seats}", value.described());
            self.error(&value.at, message, "`seat = false`, or more `seats`", "");
        }
    }

    /// Warns of groups that no agent of the file serves. A file without agents gets theirs from commands.
    fn served(&mut self, agents: &[&Table], lines: &BTreeMap<&str, Line<'_>>) {
        if agents.is_empty() {
            return;
        }
        let serving = agents.iter().filter(|agent| !says_no(agent, "live_chat") && !says_no(agent, "seat"));
        let memberships = serving.filter_map(|agent| match &agent.get("groups")?.kind {
            Kind::List(groups) => Some(groups),
            _ => None,
        });
        let served: BTreeSet<&str> = memberships.flatten().filter_map(Value::text).collect();
        for (name, line) in lines.iter().filter(|(name, line)| line.enabled && !served.contains(*name)) {
            let message = format!("group {name:?} is served by no agent of this file");
            self.warn(
                place(&[line.table], "name"),
                message,
                "add it to an agent's `groups`, or ignore this if agents join by command",
            );
        }
    }

    // === what the structs tell ===

    fn sections(&mut self, root: &Table, config: &Config) {
        let at = |name: &str, key: &str| place(&section(root, name).into_iter().collect::<Vec<_>>(), key);
        let server = &config.server;
        let lonely = match (&server.certificate, &server.private_key) {
            (Some(_), None) => Some(("certificate", "private_key")),
            (None, Some(_)) => Some(("private_key", "certificate")),
            _ => None,
        };
        if let Some((given, wanted)) = lonely
            && let Some(at) = at("server", given)
        {
            let message = format!("`{given}` needs a `{wanted}`");
            self.error(
                &at,
                message,
                &format!("`{wanted}` too"),
                "without both, a self-signed certificate is made",
            );
        }
        if !config.admin.listen.ip().is_loopback() {
            let message = format!("admin.listen {} can be reached from other machines", config.admin.listen);
            self.warn(
                at("admin", "listen"),
                message,
                "metrics and health ask for no password: keep it behind a firewall",
            );
        }
        let watchdog = &config.watchdog;
        if watchdog.abort_after.is_some_and(|abort_after| abort_after < watchdog.stuck_after)
            && let Some(at) = at("watchdog", "abort_after").or_else(|| at("watchdog", "stuck_after"))
        {
            self.error(
                &at,
                "`abort_after` is less than `stuck_after`".to_owned(),
                "at least as much as `stuck_after`",
                "it is said that an arbiter is stuck before the process ends for it",
            );
        }
        let limits = &config.limits;
        let least = [
            ("receive_window", limits.receive_window, "stream_receive_window", limits.stream_receive_window),
            (
                "incoming_buffer_total",
                limits.incoming_buffer_total,
                "incoming_buffer",
                limits.incoming_buffer,
            ),
            (
                "in_flight_total",
                limits.in_flight_total.into(),
                "in_flight_per_connection",
                limits.in_flight_per_connection.into(),
            ),
            (
                "max_connections",
                limits.max_connections.into(),
                "connections_per_address",
                limits.connections_per_address.into(),
            ),
        ];
        for (all, total, one, part) in least.into_iter().filter(|(_, total, _, part)| total < part) {
            if let Some(at) = at("limits", all) {
                let message = format!("`{all}` ({total}) is less than `{one}` ({part})");
                self.error(&at, message, &format!("at least as much as `{one}`"), "");
            }
        }
    }

    /// What is told outside: plain HTTP that leaves the machine, two secrets or none, mail without a server.
    fn told(&mut self, workspace: &super::Workspace, table: &Table, config: &Config) {
        for (webhook, (at, table)) in workspace.webhooks.iter().zip(table.tables("webhook")) {
            let name = webhook.name.as_str();
            if webhook.secret_file.is_some() && webhook.secret_variable.is_some() {
                let at = place(&[table], "secret_variable").unwrap_or_else(|| at.clone());
                let message = format!("webhook {name:?} has a secret_file and a secret_variable");
                self.warn(Some(at), message, "the file is used: take the variable out");
            }
            if webhook.secret_file.is_none() && webhook.secret_variable.is_none() {
                let message = format!("webhook {name:?} has no secret: its receiver can't tell who sends");
                self.warn(Some(at.clone()), message, "give it a secret_file");
            }
        }
        if config.server.mail.host.is_none()
            && let Some((at, _)) = table.tables("mail").next()
        {
            let message = "nothing is mailed, as [server.mail] has no host".to_owned();
            self.warn(Some(at.clone()), message, "set `host` in [server.mail]");
        }
    }

    fn policies(&mut self, workspace: &super::Workspace, table: &Table, defaults: Option<&Table>) {
        let outer: Vec<&Table> = [table].into_iter().chain(defaults).collect();
        let everyone = (EVERYONE, &workspace.policy, outer.clone());
        let groups = workspace.groups.iter().zip(table.tables("group")).map(|(group, (_, table))| {
            let scopes = [table].into_iter().chain(outer.iter().copied()).collect();
            (group.name.as_str(), &group.policy, scopes)
        });
        for (name, policy, scopes) in groups.chain([everyone]) {
            if policy.max_wait.is_none() {
                let message = format!(
                    "group {name:?} of workspace {:?} has max_wait = \"none\"",
                    workspace.name.as_str()
                );
                let help = "who waits there may wait without end: such stays are exempt from the stay bound";
                self.warn(place(&scopes, "max_wait"), message, help);
            }
            if policy.strategy == Strategy::Pull
                && !policy.allow_pull
                && let Some(at) = place(&scopes, "allow_pull")
            {
                let message = format!("group {name:?} has the strategy \"pull\" and does not allow it");
                self.error(&at, message, "true, or another strategy", "");
            }
        }
        for (group, (at, table)) in workspace.groups.iter().zip(table.tables("group")) {
            if group.public && group.enabled && group.label.is_none() {
                let message = format!("group {:?} is public and has no label", group.name.as_str());
                let at = place(&[table], "name").unwrap_or_else(|| at.clone());
                self.warn(
                    Some(at),
                    message,
                    "visitors would read its name: give it a `label`, or set `public = false`",
                );
            }
        }
    }
}

/// Where the innermost of the tables says `key`.
fn place(tables: &[&Table], key: &str) -> Option<Place> {
    tables.iter().find_map(|table| table.get(key)).map(|value| value.at.clone())
}

fn says_no(table: &Table, key: &str) -> bool {
    matches!(table.get(key), Some(Value { kind: Kind::Flag(false), .. }))
}

fn known(lines: &BTreeMap<&str, Line<'_>>, more: &[&str]) -> String {
    let own = lines.keys().copied().filter(|name| *name != EVERYONE);
    let names: Vec<&str> = own.chain(more.iter().copied()).collect();
    match names.as_slice() {
        [] => "a group of the workspace, which has none".to_owned(),
        names => format!("one of {}", names.join(", ")),
    }
}
