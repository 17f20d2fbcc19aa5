//! `[[workspace.trigger]]`: what happens by itself to who visits.

use smol_str::SmolStr;

use crate::ids::GroupId;

use super::{
    Workspace,
    conditions::{Conditional, When},
    problem::{Finding, Place},
    section::{section, words},
    tree::{Table, Value},
    values::{Else, Flag, Handle, ListOf, Optional, Rule, Text, Wrong, choice, named, refuse},
};

/// Triggers of one workspace: each page that a visitor turns asks all of them.
const TRIGGERS_MAX: usize = 200;

section! {
    /// `[[workspace.trigger]]`: what happens by itself to who visits, if its condition holds.
    pub struct Trigger {
        own {
            /// The trigger's key.
            name: SmolStr => Handle,
            /// Whether it takes effect.
            active: bool => Else(Flag, false),
            /// When it looks.
            on: Moment => Else(choice(), Moment::Arrive),
            /// What has to hold.
            when: Option<When> => Optional(Conditional),
            /// The group that they are led to.
            group: Option<GroupId> => Optional(named()),
            /// Whose message they get: an agent of the file.
            in_name_of: Option<SmolStr> => Optional(Handle),
            /// What they read.
            text: Option<String> => Optional(Text(2_048)),
            /// What is known of them from then on.
            set: Vec<(SmolStr, String)> => ListOf(Assignment, 0..=16),
            /// Tags that their conversation gets.
            tags: Vec<SmolStr> => ListOf(Handle, 0..=16),
        }
    }
}

words! {
    /// When a trigger looks at a visit.
    pub enum Moment {
        /// When the visitor comes.
        Arrive = "arrive",
        /// At each new page.
        Page = "page",
        /// When they open the widget.
        WidgetOpen = "widget_open",
    }
}

/// `name=value`.
pub(super) struct Assignment;

impl Rule for Assignment {
    type Out = (SmolStr, String);

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Self::Out> {
        match value.text().and_then(|text| text.split_once('=')) {
            Some((name, text)) if (1..=64).contains(&name.len()) && (1..=1_024).contains(&text.len()) => {
                Some((name.into(), text.to_owned()))
            }
            _ => refuse(value, "sets nothing", self.expected(), "", wrongs),
        }
    }

    fn write(&self, (name, text): &Self::Out) -> Option<toml::Value> {
        Some(format!("{name}={text}").into())
    }

    fn expected(&self) -> String {
        "\"name=value\", a name of 1 to 64 and a value of 1 to 1024 bytes".to_owned()
    }
}

/// What no single key tells of a workspace's triggers.
pub(super) fn check(workspace: &Workspace, table: &Table, findings: &mut Vec<Finding>) {
    let mut error = |at: &Place, message: String, expected: &str, help: &str| {
        findings.push(Finding {
            at: Some(at.clone()),
            warning: false,
            message,
            expected: expected.to_owned(),
            help: help.to_owned(),
        });
    };
    let tables: Vec<(&Place, &Table)> = table.tables("trigger").collect();
    if let Some((at, _)) = tables.get(TRIGGERS_MAX) {
        let message = format!("there are {} triggers", tables.len());
        error(at, message, "at most 200", "several conditions fit one trigger: any = [ … ]");
    }
    for (trigger, (at, table)) in workspace.triggers.iter().zip(tables) {
        let place = |key: &str| table.get(key).map_or(at, |value| &value.at);
        if let Some(group) = &trigger.group
            && !group.is_everyone()
            && workspace.group(group).is_none()
        {
            let message = format!("there is no group \"{group}\"");
            error(place("group"), message, "a group of this workspace", "");
        }
        if let Some(agent) = &trigger.in_name_of
            && workspace.agents.iter().all(|known| known.name != *agent)
        {
            let message = format!("there is no agent \"{agent}\" in this file");
            error(place("in_name_of"), message, "an agent of this workspace", "");
        }
        if trigger.in_name_of.is_some() != trigger.text.is_some() {
            let message = format!("trigger \"{}\" writes in nobody's name, or nothing", trigger.name);
            error(at, message, "`in_name_of` and `text`, or neither", "");
        }
    }
}
