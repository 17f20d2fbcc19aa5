//! What is known of a conversation beyond its course: variables, contact details among them, and tags. Nearly none has many, so
//! it lives in a box that is there only when there is something in it.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::{Conversation, Event, State};
use crate::routing::{
    Context, Out, Refusal, Refused,
    words::{Body, By, Ticket, Variable},
};

/// The most variables of a conversation.
pub const VARIABLES_MAX: usize = 64;

/// Bytes of all names and values of a conversation's variables, 8 KiB: what fits a frame with an offer, in JSON too.
pub const VARIABLES_BYTES: usize = 8_192;

/// The most tags of a conversation.
pub const TAGS_MAX: usize = 32;

/// What the names of contact details begin with: who changes one of these is written down with what it was before (ZD-9).
pub const CONTACT: &str = "contact.";

/// What is known of a conversation and its visitor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Shared with the offers that show them.
    #[serde(serialize_with = "write_shared", deserialize_with = "read_shared")]
    variables: Arc<[Variable]>,
    tags: Vec<SmolStr>,
}

/// A variable that was set, or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its name.
    pub name: SmolStr,
    /// What a contact detail was before, if it was known. Of other variables only the new value is written down.
    pub from: Option<Body>,
    /// What it is now; `None`: nothing.
    pub to: Option<Body>,
}

fn write_shared<S: Serializer>(variables: &Arc<[Variable]>, serializer: S) -> Result<S::Ok, S::Error> {
    variables[..].serialize(serializer)
}

fn read_shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Variable]>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::from)
}

impl Facts {
    /// What was said at the opening; `None` if that was nothing.
    pub(super) fn of(variables: &[Variable]) -> Option<Box<Self>> {
        (!variables.is_empty()).then(|| Box::new(Self { variables: variables.into(), tags: Vec::new() }))
    }

    /// A variable's value. Of one that the opening said twice, the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let named = self.variables.iter().rfind(|variable| variable.name == name);
        named.map(|variable| &*variable.value.0)
    }

    /// The variables, in the order in which they were first set.
    #[must_use]
    pub fn variables(&self) -> &Arc<[Variable]> {
        &self.variables
    }

    /// The tags, in the order in which they were set.
    #[must_use]
    pub fn tags(&self) -> &[SmolStr] {
        &self.tags
    }

    fn is_empty(&self) -> bool {
        self.variables.is_empty() && self.tags.is_empty()
    }

    fn change(&mut self, changes: &[Changed]) {
        let mut variables: Vec<Variable> = self.variables.to_vec();
        for Changed { name, to, .. } in changes {
            let at = variables.iter().rposition(|variable| variable.name == *name);
            match (at, to) {
                (Some(at), Some(to)) => variables[at].value = to.clone(),
                (None, Some(to)) => variables.push(Variable { name: name.clone(), value: to.clone() }),
                (_, None) => variables.retain(|variable| variable.name != *name),
            }
        }
        self.variables = variables.into();
    }
}

/// Whether somebody may set a variable: it is on the workspace's list for them, or begins like an entry there that ends with `*`.
fn is_open(open: &[SmolStr], name: &str) -> bool {
    let opens = |entry: &SmolStr| match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => entry == name,
    };
    open.iter().any(opens)
}

impl Conversation {
    /// What is known of it; `None`: nothing.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_deref()
    }

    /// The variables, for whoever keeps them beside an offer: shared, not copied.
    #[must_use]
    pub fn variables(&self) -> Arc<[Variable]> {
        self.facts.as_ref().map(|facts| Arc::clone(facts.variables())).unwrap_or_default()
    }

    pub(super) fn set_variables(
        &mut self,
        cx: &Context<'_>,
        set: Vec<Variable>,
        unset: Vec<SmolStr>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        self.may_set_facts(ticket)?;
        let mut names = set.iter().map(|variable| &variable.name).chain(&unset);
        match ticket.by {
            By::Visitor(_) => check_open(cx, names).map_err(|refusal| refusal.to(ticket))?,
            By::Agent(_) if !names.all(|name| is_open(&cx.policy.agent_variables, name)) => {
                let why = "agents set only what the workspace's `agent_variables` names";
                return Err(Refusal::Forbidden(why).to(ticket));
            }
            _ => {}
        }
        // What is told of it has to fit a frame, however it has to be escaped there.
        let asked = set.iter().map(|variable| variable.name.len() + variable.value.0.len());
        if asked.chain(unset.iter().map(SmolStr::len)).sum::<usize>() > VARIABLES_BYTES {
            return Err(Refusal::TooLarge("one request sets and takes away at most 8 KiB").to(ticket));
        }
        let changes = self.changes(set, unset);
        self.check_room(&changes, self.tags()).map_err(|refusal| refusal.to(ticket))?;
        self.begin(ticket, out);
        self.record(cx, Event::VariablesSet { changes }, out);
        self.done(ticket, out);
        Ok(())
    }

    pub(super) fn set_tags(
        &mut self,
        cx: &Context<'_>,
        add: Vec<SmolStr>,
        remove: &[SmolStr],
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        self.may_set_facts(ticket)?;
        let tags = self.tags_with(add, remove).map_err(|refusal| refusal.to(ticket))?;
        self.check_room(&[], &tags).map_err(|refusal| refusal.to(ticket))?;
        self.begin(ticket, out);
        self.record(cx, Event::TagsSet { tags }, out);
        self.done(ticket, out);
        Ok(())
    }

    /// The tags.
    pub(super) fn tags(&self) -> &[SmolStr] {
        self.facts.as_ref().map_or(&[], |facts| &facts.tags)
    }

    /// What the tags would be.
    pub(super) fn tags_with(&self, add: Vec<SmolStr>, remove: &[SmolStr]) -> Result<Vec<SmolStr>, Refusal> {
        let mut tags = self.tags().to_vec();
        tags.retain(|tag| !remove.contains(tag));
        for tag in add {
            if tag.is_empty() {
                return Err(Refusal::Invalid("a tag is not empty"));
            }
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if tags.len() > TAGS_MAX {
            return Err(Refusal::TooLarge("a conversation has at most 32 tags"));
        }
        Ok(tags)
    }

    /// Who takes part, supervisors, the frontend for its visitors; visitors in their own conversation.
    fn may_set_facts(&self, ticket: &Ticket) -> Result<(), Refused> {
        let may = match ticket.by {
            By::Agent(agent) => self.has_part(agent),
            By::Visitor(_) => self.may_read(ticket),
            By::Supervisor | By::Frontend | By::Bot => true,
            By::Admin | By::System => false,
        };
        if matches!(self.state, State::Closed { .. }) && self.may_read(ticket) {
            return Err(Refusal::ConversationClosed.to(ticket));
        }
        if may { Ok(()) } else { Err(Refusal::NotFound.to(ticket)) }
    }

    /// What setting and taking away comes to, with what contact details were before. What is set twice is set to the last.
    pub(super) fn changes(&self, set: Vec<Variable>, unset: Vec<SmolStr>) -> Vec<Changed> {
        let before = |name: &SmolStr| {
            let known = self.facts.as_ref().filter(|_| name.starts_with(CONTACT));
            known.and_then(|facts| facts.get(name)).map(|value| Body(value.into()))
        };
        let gone = unset.into_iter().map(|name| Changed { from: before(&name), name, to: None });
        let set = set.into_iter().map(|Variable { name, value }| Changed {
            from: before(&name),
            name,
            to: Some(value),
        });
        gone.chain(set).collect()
    }

    /// Whether there is room for what the variables and tags would be: all of it is shown at once, so it has to fit a frame.
    pub(super) fn check_room(&self, changes: &[Changed], tags: &[SmolStr]) -> Result<(), Refusal> {
        let then = self.facts_with(changes).unwrap_or_default();
        let bytes = |variable: &Variable| variable.name.len() + variable.value.0.len();
        if changes.iter().any(|change| change.name.is_empty()) {
            return Err(Refusal::Invalid("a variable has a name"));
        }
        if then.variables.len() > VARIABLES_MAX {
            return Err(Refusal::TooLarge("a conversation has at most 64 variables"));
        }
        let all = then.variables.iter().map(bytes).chain(tags.iter().map(SmolStr::len));
        if all.sum::<usize>() > VARIABLES_BYTES {
            return Err(Refusal::TooLarge(
                "a conversation's variables and tags take at most 8 KiB, names included",
            ));
        }
        Ok(())
    }

    /// What would be known after changes; `None`: nothing.
    pub(super) fn facts_with(&self, changes: &[Changed]) -> Option<Facts> {
        if self.facts.is_none() && changes.is_empty() {
            return None;
        }
        let mut then = self.facts.as_deref().cloned().unwrap_or_default();
        then.change(changes);
        Some(then)
    }

    pub(super) fn variables_set(&mut self, changes: &[Changed]) {
        self.facts.get_or_insert_default().change(changes);
        self.drop_empty_facts();
    }

    pub(super) fn tags_set(&mut self, tags: &[SmolStr]) {
        self.facts.get_or_insert_default().tags = tags.to_vec();
        self.drop_empty_facts();
    }

    fn drop_empty_facts(&mut self) {
        if self.facts.as_ref().is_some_and(|facts| facts.is_empty()) {
            self.facts = None;
        }
    }
}

/// Visitors set what the workspace opens to them, and nothing else.
pub(in crate::routing) fn check_open<'n>(
    cx: &Context<'_>,
    mut names: impl Iterator<Item = &'n SmolStr>,
) -> Result<(), Refusal> {
    if names.all(|name| is_open(&cx.policy.visitor_variables, name)) {
        return Ok(());
    }
    Err(Refusal::Forbidden("visitors set only what the workspace's `visitor_variables` names"))
}
