//! `[[workspace.workflow]]`: what becomes of a conversation step by step. A step is a table with one key, which says what it is.

use std::time::Duration;

use smol_str::SmolStr;
use toml::Value as Toml;

use crate::{
    ids::{AgentId, GroupId},
    routing::conditions::{Condition, name_fault},
};

use super::{
    Workspace,
    conditions::{Conditional, When},
    measures::{DAY, Wait, ms, secs},
    problem::Finding,
    rules::slips,
    section::{section, words},
    tree::{Entry, Kind, Table, Value},
    triggers::Assignment,
    values::{Else, Flag, Handle, ListOf, OffUnlessSaid, Rule, Text, Whole, Wrong, choice, named, refuse},
};

/// Steps of one workflow, those of its branches included.
const STEPS_MAX: usize = 32;

/// Branches within branches.
const DEPTH_MAX: usize = 4;

/// Conditions of one branch.
const TESTS_MAX: usize = 16;

/// Longest comment, in bytes.
const COMMENT_MAX: usize = 2_048;

/// Variables and tags of one step.
const FACTS_MAX: usize = 16;

/// What the conversation says of itself, and what is never kept: nobody sets these.
const NOT_SET: [&str; 7] = ["channel", "origin", "group", "priority", "tag", "now", "ip"];

/// What a comment may be filled in with.
const FILLED: [&str; 3] = ["agent", "group", "workflow"];

section! {
    /// One workflow.
    pub struct Workflow {
        own {
            /// Its name, in metrics too.
            name: SmolStr => Handle,
            /// Whether it is in force; one that is only saved does nothing.
            published: bool => OffUnlessSaid,
            /// What begins it.
            on: Vec<Begins> => Else(ListOf(choice(), 1..=2), vec![Begins::Opened]),
            /// Who must have opened the conversation.
            origin: Vec<Origin> => Else(ListOf(choice(), 1..=4), vec![Origin::Visitor]),
            /// Its steps, in their order.
            steps: Vec<Step> => Steps,
        }
    }
}

words! {
    /// What begins a workflow.
    pub enum Begins {
        /// A conversation is opened.
        Opened = "opened",
        /// A closed one is open again.
        Reopened = "reopened",
    }
}

words! {
    /// Who opened a conversation.
    pub enum Origin {
        /// Its visitor.
        Visitor = "visitor",
        /// The frontend, in its own name.
        Api = "api",
        /// The frontend's bot.
        Bot = "bot",
        /// An agent.
        Agent = "agent",
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `assign`: to somebody; ends when an agent has the conversation.
    Assign(Aim),
    /// `wait`.
    Wait(Duration),
    /// `branch` or `if`, `then`, `else`.
    Branch {
        /// All of these.
        all: Vec<Test>,
        /// If they hold.
        then: Vec<Step>,
        /// If not.
        otherwise: Vec<Step>,
    },
    /// `comment`: a private note.
    Comment(String),
    /// `reassign`: to somebody else.
    Reassign {
        /// To whom.
        to: Aim,
        /// Whether only to who is online.
        only_online: bool,
        /// Whether not to who had it.
        exclude_previous: bool,
    },
    /// `priority`: another class.
    Priority(u32),
    /// `set`: variables, from then on.
    Set(Vec<(SmolStr, String)>),
    /// `unset`: variables that are no more.
    Unset(Vec<SmolStr>),
    /// `tag`: tags that it gets.
    Tag(Vec<SmolStr>),
    /// `untag`: tags that it loses.
    Untag(Vec<SmolStr>),
    /// `close`.
    Close,
}

/// To whom.
#[derive(Debug, Clone, PartialEq)]
pub enum Aim {
    /// `"routed"`: as the routing decides.
    Routed,
    /// `{ group = "…" }`.
    Group(GroupId),
    /// `{ agent = "…" }`: an agent of the file by name, any other by id.
    Agent(SmolStr),
}

/// A condition of a branch.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `{ status = "open" }`.
    Status(Status),
    /// `{ human_reply = false }`: whether a human agent wrote to the visitor since the opening.
    HumanReply(bool),
    /// `{ if = … }`: what is known of it, as in a routing rule.
    When(When),
}

words! {
    /// Where a conversation stands.
    pub enum Status {
        /// Not closed.
        Open = "open",
        /// Waiting for an agent.
        Waiting = "waiting",
        /// An agent has it.
        Active = "active",
        /// Nobody could.
        Missed = "missed",
    }
}

impl Aim {
    /// The id of the agent that is meant, if it is one.
    #[must_use]
    pub fn agent(&self, workspace: &super::Workspace) -> Option<AgentId> {
        let Self::Agent(name) = self else { return None };
        let of_file = workspace.agents.iter().find(|agent| agent.name == *name);
        of_file.map(|agent| workspace.agent_id(agent)).or_else(|| name.parse().ok())
    }
}

// === Rules ===

/// The steps of a workflow.
struct Steps;

impl Rule for Steps {
    type Out = Vec<Step>;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Vec<Step>> {
        let mut reader = Reader { count: 0, wrongs };
        let steps = reader.steps(value, 0)?;
        if reader.count > STEPS_MAX {
            let expected = format!("at most {STEPS_MAX}, those of branches included");
            return refuse(value, &format!("has {} steps", reader.count), expected, "", wrongs);
        }
        Some(steps)
    }

    fn write(&self, steps: &Vec<Step>) -> Option<Toml> {
        Some(Toml::Array(steps.iter().map(write_step).collect()))
    }

    fn expected(&self) -> String {
        "a list of steps".to_owned()
    }
}

struct Reader<'w> {
    count: usize,
    wrongs: &'w mut Vec<Wrong>,
}

impl Reader<'_> {
    fn steps(&mut self, value: &Value, depth: usize) -> Option<Vec<Step>> {
        let Kind::List(values) = &value.kind else {
            let help = "put it in brackets: [{ wait = \"15m\" }, …]";
            return refuse(value, "is not a list of steps", "a list of steps".to_owned(), help, self.wrongs);
        };
        if depth > DEPTH_MAX {
            let expected = format!("at most {DEPTH_MAX} branches within each other");
            return refuse(value, "is nested too deeply", expected, "", self.wrongs);
        }
        self.count += values.len();
        let first = |at: usize| depth == 0 && at == 0;
        let read: Vec<_> = (0..).zip(values).map(|(at, value)| self.step(value, depth, first(at))).collect();
        read.into_iter().collect()
    }

    fn step(&mut self, value: &Value, depth: usize, first: bool) -> Option<Step> {
        const KINDS: &str =
            "assign, wait, if, branch, comment, reassign, priority, set, unset, tag, untag or close";
        let Kind::Table(table) = &value.kind else {
            let expected = "a step: { wait = \"15m\" }".to_owned();
            return refuse(value, "is not a step", expected, "", self.wrongs);
        };
        let is_branch = table.get("branch").is_some() || table.get("if").is_some();
        let own = |key: &str| !(is_branch && matches!(key, "then" | "else"));
        let mut keys = table.entries.iter().filter(|(key, _)| own(key));
        let Some((key, entry)) = keys.next() else {
            return refuse(value, "says nothing", format!("one of {KINDS}"), "", self.wrongs);
        };
        if let Some((other, Entry { key: at, .. })) = keys.next() {
            self.wrongs.push(Wrong {
                at: at.clone(),
                message: format!("one step says both `{key}` and `{other}`"),
                expected: "one of them".to_owned(),
                help: "make two steps of it".to_owned(),
            });
            return None;
        }
        let said = &entry.value;
        match key.as_str() {
            "assign" if first => self.aim(said, &[]).map(|(to, _)| Step::Assign(to)),
            "assign" => {
                let help = "`reassign` gives it to somebody else later";
                refuse(said, "is not the first step", "`assign` first".to_owned(), help, self.wrongs)
            }
            "wait" => Wait(ms(100)..=secs(30 * DAY)).read(said, self.wrongs).map(Step::Wait),
            "branch" => {
                let all = self.tests(said);
                self.branch(all, table, depth)
            }
            "if" => {
                let all = Conditional.read(said, self.wrongs).map(|when| vec![Test::When(when)]);
                self.branch(all, table, depth)
            }
            "comment" => self.comment(said).map(Step::Comment),
            "reassign" => {
                let (to, more) = self.aim(said, &["only_online", "exclude_previous"])?;
                let mut flag = |key| match more.and_then(|table| table.get(key)) {
                    Some(value) => Flag.read(value, self.wrongs),
                    None => Some(true),
                };
                let (only_online, exclude_previous) = (flag("only_online"), flag("exclude_previous"));
                Some(Step::Reassign { to, only_online: only_online?, exclude_previous: exclude_previous? })
            }
            "priority" => Whole(0..=9).read(said, self.wrongs).map(Step::Priority),
            "set" => {
                let set = ListOf(Assignment, 1..=FACTS_MAX).read(said, self.wrongs)?;
                self.settable(said, set.iter().map(|(name, _)| name.as_str())).then_some(Step::Set(set))
            }
            "unset" => {
                let unset = ListOf(Text(64), 1..=FACTS_MAX).read(said, self.wrongs)?;
                let names: Vec<SmolStr> = unset.into_iter().map(SmolStr::from).collect();
                self.settable(said, names.iter().map(SmolStr::as_str)).then_some(Step::Unset(names))
            }
            "tag" => ListOf(Handle, 1..=FACTS_MAX).read(said, self.wrongs).map(Step::Tag),
            "untag" => ListOf(Handle, 1..=FACTS_MAX).read(said, self.wrongs).map(Step::Untag),
            "close" => match Flag.read(said, self.wrongs)? {
                true => Some(Step::Close),
                false => refuse(said, "closes nothing", "true".to_owned(), "leave the step out", self.wrongs),
            },
            unknown => {
                self.wrongs.push(Wrong {
                    at: entry.key.clone(),
                    message: format!("there is no step `{unknown}`"),
                    expected: KINDS.to_owned(),
                    help: String::new(),
                });
                None
            }
        }
    }

    fn branch(&mut self, all: Option<Vec<Test>>, table: &Table, depth: usize) -> Option<Step> {
        let mut way = |key| match table.get(key) {
            Some(steps) => self.steps(steps, depth + 1),
            None => Some(Vec::new()),
        };
        let (then, otherwise) = (way("then"), way("else"));
        Some(Step::Branch { all: all?, then: then?, otherwise: otherwise? })
    }

    /// Whether all names of a list may be set; what is wrong with each that may not.
    fn settable<'n>(&mut self, said: &Value, names: impl Iterator<Item = &'n str>) -> bool {
        let Kind::List(values) = &said.kind else { return false };
        let before = self.wrongs.len();
        for (value, name) in values.iter().zip(names) {
            let (message, expected, help) = match name_fault(name) {
                Some(fault) => (fault.message, fault.expected, fault.help),
                None if NOT_SET.contains(&name) => {
                    let message = format!("`{name}` is not for a step to set");
                    (message, "a variable of your own".to_owned(), String::new())
                }
                None => continue,
            };
            self.wrongs.push(Wrong { at: value.at.clone(), message, expected, help });
        }
        self.wrongs.len() == before
    }

    fn tests(&mut self, said: &Value) -> Option<Vec<Test>> {
        let expected = "{ all = [{ status = \"open\" }, { human_reply = false }] }".to_owned();
        let all = match &said.kind {
            Kind::Table(table) if self.known(table, &["all"]) => table.get("all"),
            Kind::Table(_) => return None,
            _ => return refuse(said, "is not a condition", expected, "", self.wrongs),
        };
        let Some(Value { kind: Kind::List(tests), at }) = all else {
            return refuse(said, "has no list `all`", expected, "", self.wrongs);
        };
        if tests.is_empty() || tests.len() > TESTS_MAX {
            self.wrongs.push(Wrong {
                at: at.clone(),
                message: format!("`all` has {} conditions", tests.len()),
                expected: format!("1 to {TESTS_MAX}"),
                help: String::new(),
            });
            return None;
        }
        let read: Vec<_> = tests.iter().map(|test| self.test(test)).collect();
        read.into_iter().collect()
    }

    fn test(&mut self, value: &Value) -> Option<Test> {
        let expected = || "{ status = \"open\" }, { human_reply = false } or { if = … }".to_owned();
        let Kind::Table(table) = &value.kind else {
            return refuse(value, "is not a condition", expected(), "", self.wrongs);
        };
        if !self.known(table, &["status", "human_reply", "if"]) {
            return None;
        }
        match (table.get("status"), table.get("human_reply"), table.get("if")) {
            (Some(status), None, None) => choice().read(status, self.wrongs).map(Test::Status),
            (None, Some(reply), None) => Flag.read(reply, self.wrongs).map(Test::HumanReply),
            (None, None, Some(when)) => Conditional.read(when, self.wrongs).map(Test::When),
            _ => refuse(value, "is not one condition", expected(), "", self.wrongs),
        }
    }

    fn aim<'v>(&mut self, value: &'v Value, more: &[&str]) -> Option<(Aim, Option<&'v Table>)> {
        let expected = || "\"routed\", { group = \"…\" } or { agent = \"…\" }".to_owned();
        let table = match &value.kind {
            Kind::Text(word) if word == "routed" => return Some((Aim::Routed, None)),
            Kind::Table(table) => table,
            _ => return refuse(value, "names nobody", expected(), "", self.wrongs),
        };
        let known: Vec<&str> = ["group", "agent"].into_iter().chain(more.iter().copied()).collect();
        if !self.known(table, &known) {
            return None;
        }
        let aim = match (table.get("group"), table.get("agent")) {
            (Some(group), None) => Aim::Group(named().read(group, self.wrongs)?),
            (None, Some(agent)) => Aim::Agent(Text(128).read(agent, self.wrongs)?.into()),
            _ => return refuse(value, "names not one group or agent", expected(), "", self.wrongs),
        };
        Some((aim, Some(table)))
    }

    fn comment(&mut self, value: &Value) -> Option<String> {
        let text = Text(COMMENT_MAX).read(value, self.wrongs)?;
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").unwrap_or((after, ""));
            if !FILLED.contains(&name) {
                let expected = FILLED.map(|name| format!("{{{{{name}}}}}")).join(", ");
                let what = format!("is to be filled in with `{name}`, which is not known");
                return refuse(value, &what, expected, "", self.wrongs);
            }
            rest = behind;
        }
        Some(text)
    }

    fn known(&mut self, table: &Table, keys: &[&str]) -> bool {
        let before = self.wrongs.len();
        let unknown = table.entries.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
        self.wrongs.extend(unknown.map(|(key, entry)| Wrong {
            at: entry.key.clone(),
            message: format!("there is no `{key}` here"),
            expected: keys.join(", "),
            help: String::new(),
        }));
        self.wrongs.len() == before
    }
}

// === Written out again ===

fn table<const N: usize>(entries: [(&str, Toml); N]) -> Toml {
    Toml::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn write_step(step: &Step) -> Toml {
    let list = |steps: &[Step]| Toml::Array(steps.iter().map(write_step).collect());
    match step {
        Step::Assign(to) => table([("assign", write_aim(to))]),
        Step::Wait(time) => {
            let time = Wait(ms(100)..=secs(30 * DAY)).write(time);
            table([("wait", time.unwrap_or_else(|| Toml::String(String::new())))])
        }
        Step::Branch { all, then, otherwise } => {
            let all = Toml::Array(all.iter().map(write_test).collect());
            table([("branch", table([("all", all)])), ("then", list(then)), ("else", list(otherwise))])
        }
        Step::Comment(text) => table([("comment", text.as_str().into())]),
        Step::Reassign { to, only_online, exclude_previous } => {
            let Toml::Table(mut to) = write_aim(to) else { return table([("reassign", "routed".into())]) };
            to.insert("only_online".to_owned(), (*only_online).into());
            to.insert("exclude_previous".to_owned(), (*exclude_previous).into());
            table([("reassign", Toml::Table(to))])
        }
        Step::Priority(class) => table([("priority", i64::from(*class).into())]),
        Step::Set(set) => {
            table([("set", write_list(set.iter().map(|(name, text)| format!("{name}={text}"))))])
        }
        Step::Unset(names) => table([("unset", write_list(names.iter().map(ToString::to_string)))]),
        Step::Tag(tags) => table([("tag", write_list(tags.iter().map(ToString::to_string)))]),
        Step::Untag(tags) => table([("untag", write_list(tags.iter().map(ToString::to_string)))]),
        Step::Close => table([("close", true.into())]),
    }
}

fn write_list(texts: impl Iterator<Item = String>) -> Toml {
    Toml::Array(texts.map(Toml::String).collect())
}

fn write_aim(aim: &Aim) -> Toml {
    match aim {
        Aim::Routed => "routed".into(),
        Aim::Group(group) => table([("group", group.as_str().into())]),
        Aim::Agent(agent) => table([("agent", agent.as_str().into())]),
    }
}

fn write_test(test: &Test) -> Toml {
    match test {
        Test::Status(status) => table([("status", status.as_str().into())]),
        Test::HumanReply(wanted) => table([("human_reply", (*wanted).into())]),
        Test::When(when) => {
            let when = Conditional.write(when);
            table([("if", when.unwrap_or_else(|| Toml::String(String::new())))])
        }
    }
}

/// Everybody whom steps name, each as `group` or `agent`, for the checks.
pub(super) fn named_in<'t>(steps: &'t Value, found: &mut Vec<(&'static str, &'t Value)>) {
    let Kind::List(steps) = &steps.kind else { return };
    for step in steps {
        let Kind::Table(step) = &step.kind else { continue };
        for kind in ["assign", "reassign"] {
            if let Some(Value { kind: Kind::Table(aim), .. }) = step.get(kind) {
                found.extend(aim.get("group").map(|value| ("group", value)));
                found.extend(aim.get("agent").map(|value| ("agent", value)));
            }
        }
        ["then", "else"].iter().filter_map(|way| step.get(way)).for_each(|way| named_in(way, found));
    }
}

// === A second look ===

/// Warns of branches that ask for what is never so.
pub(super) fn second_look(workspace: &Workspace, table: &Table, findings: &mut Vec<Finding>) {
    for (flow, (at, written)) in workspace.workflows.iter().zip(table.tables("workflow")) {
        let at = written.get("steps").map_or(at, |value| &value.at);
        let mut conditions = Vec::new();
        conditions_in(&flow.steps, &mut conditions);
        for condition in conditions {
            slips(condition, at, findings);
            let Some(why) = condition.never() else { continue };
            let message = format!("workflow {:?} has a branch that never holds: {why}", flow.name);
            let (expected, help) = (String::new(), String::new());
            findings.push(Finding { at: Some(at.clone()), warning: true, message, expected, help });
        }
    }
}

fn conditions_in<'s>(steps: &'s [Step], found: &mut Vec<&'s Condition>) {
    for step in steps {
        let Step::Branch { all, then, otherwise } = step else { continue };
        found.extend(all.iter().filter_map(|test| match test {
            Test::When(when) => Some(&when.condition),
            Test::Status(_) | Test::HumanReply(_) => None,
        }));
        conditions_in(then, found);
        conditions_in(otherwise, found);
    }
}
