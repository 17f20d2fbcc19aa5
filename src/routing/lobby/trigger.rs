//! Triggers: what happens by itself to who visits, once in a visit. One may lead them to a group before they have written anything
//! (BR-11, BR-14), write to them in an agent's name (BR-18), set what is known of them, or tag them.

use smol_str::SmolStr;

use super::{Doing, Met, Visit};
use crate::{
    ids::{AgentId, GroupId},
    routing::{
        Policy,
        conditions::Condition,
        words::{Body, Variable},
    },
};

/// When a trigger looks at a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// When the visitor comes.
    Arrive,
    /// At each other page, the first included.
    Page,
    /// When they open the widget.
    WidgetOpen,
}

/// What happens to who visits, if a condition holds. Only those that are activated are here (BR-13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: SmolStr,
    /// When it looks.
    pub on: Moment,
    /// What has to hold.
    pub when: Condition,
    /// The group that they are led to.
    pub group: Option<GroupId>,
    /// Whose message they get.
    pub message: Option<Message>,
    /// What is known of them from then on.
    pub set: Vec<Variable>,
    /// Tags that they get.
    pub tags: Vec<SmolStr>,
}

/// A targeted chat: what a visitor reads in an agent's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The agent.
    pub agent: AgentId,
    /// Their name for visitors.
    pub name: SmolStr,
    /// What they read.
    pub text: Body,
}

/// A targeted chat that is shown now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targeted {
    /// The trigger.
    pub trigger: SmolStr,
    /// Whose message.
    pub message: Message,
}

/// What triggers have decided for when a visitor asks for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led {
    /// The trigger that decided last.
    pub trigger: SmolStr,
    /// The group that they are led to.
    pub group: Option<GroupId>,
    /// The targeted chat that they answer.
    pub message: Option<Message>,
}

impl Visit {
    /// Looks at all triggers of a moment, in the order of the file. In one moment the first that names a group, and the first that
    /// writes, has it; a later moment's goes before an earlier one's. Who talks with somebody already is left alone.
    pub(super) fn meet(&mut self, policy: &Policy, moment: Moment, met: &mut Met) {
        if self.doing != Doing::Browsing {
            return;
        }
        let (mut grouped, mut written) = (false, false);
        for trigger in policy.triggers.iter().filter(|trigger| trigger.on == moment) {
            if self.fired.contains(&trigger.name) || !trigger.when.holds(&*self) {
                continue;
            }
            // A group that is switched off takes nothing new, and nothing changes (BR-7).
            let group = trigger.group.as_ref();
            if group.is_some_and(|group| policy.group(group).is_none_or(|rules| !rules.enabled)) {
                continue;
            }
            self.fired.push(trigger.name.clone());
            met.fired.push(trigger.name.clone());
            trigger.set.iter().for_each(|fact| _ = self.set(fact));
            for tag in &trigger.tags {
                if !self.tags.contains(tag) {
                    self.tags.push(tag.clone());
                }
            }
            let message = trigger.message.as_ref().filter(|_| !written);
            let group = group.filter(|_| !grouped);
            if group.is_none() && message.is_none() {
                continue;
            }
            grouped |= group.is_some();
            written |= message.is_some();
            let led = self.led.get_or_insert_with(|| {
                Box::new(Led { trigger: trigger.name.clone(), group: None, message: None })
            });
            led.trigger = trigger.name.clone();
            if let Some(group) = group {
                led.group = Some(group.clone());
            }
            if let Some(message) = message {
                led.message = Some(message.clone());
                met.targeted = Some(Targeted { trigger: trigger.name.clone(), message: message.clone() });
            }
        }
    }
}
