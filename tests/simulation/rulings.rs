//! The judge's view of routing rules, of what is held for a choice, and of business hours: what should have been said, derived from
//! what the operator wrote and what visitors announced.

use std::time::Duration;

use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        CloseReason, Out, Tell,
        agent::{self},
        conditions::Verdict,
        conversation::{self, Event, Record, Target, Unserved},
        group,
    },
};

use crate::{
    model::{Blame, Conv, Model, Place},
    oracle::Oracle,
    people::{Act, People},
    presets::{PlainRule, PlainTarget},
};

/// What visitors announced with an opening.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said {
    country: Option<&'static str>,
    /// They named nobody.
    undecided: bool,
}

/// Where the rules send a conversation, the next one first to be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ways {
    left: Vec<(&'static str, PlainTarget)>,
    /// Where the last one led.
    pub(crate) now: Option<(GroupId, Option<AgentId>)>,
}

fn applies(rule: &PlainRule, said: Said) -> bool {
    rule.country.is_none() || rule.country == said.country
}

impl Oracle {
    /// Somebody asks for something: what they announce is known.
    pub(crate) fn hears_of(&mut self, act: &Act) {
        if let Act::Open { conversation, target, country, .. } = act {
            let said = Said { country: *country, undecided: *target == Target::Default };
            self.model.said.entry(*conversation).or_insert(said);
        }
    }

    /// Until when what was written is held for a choice.
    pub(crate) fn held_until(&self, id: ConversationId) -> Option<Timestamp> {
        match self.model.conversations.get(&id)?.place {
            Place::Choosing { until } => Some(until),
            _ => None,
        }
    }

    /// Outside its hours a group proposes and announces nothing; and it says that nobody can take it now only if nobody can.
    pub(crate) fn group_kept_hours(
        &mut self,
        id: &GroupId,
        out: &Out<group::Event>,
        sure: bool,
        people: &People,
        now: Timestamp,
    ) {
        let asks = |tell: &Tell| {
            matches!(tell, Tell::Agent(_, agent::Command::Reserve { .. }))
                || matches!(tell, Tell::Conversation(_, conversation::Command::Announce { .. }))
        };
        if self.model.is_shut(now) && out.tells.iter().any(asks) {
            return self.blame("hours", format!("{id} asks agents while it is closed: {:?}", out.tells));
        }
        let passed_over = out.tells.iter().find_map(|tell| match tell {
            Tell::Conversation(id, conversation::Command::Unserved { why: Unserved::NotNow, .. }) => {
                Some(*id)
            }
            _ => None,
        });
        let Some((conversation, (it, stay))) =
            passed_over.filter(|_| sure).and_then(|id| Some((id, self.waiting(id)?)))
        else {
            return;
        };
        let full = self.model.policy.group(id).is_some_and(|policy| policy.queue_max.is_some());
        let free = self.model.agents.keys();
        let free = free.copied().find(|agent| {
            stay.admits(*agent) && self.is_free_for(it, *agent, id, people, now) && !self.model.is_shut(now)
        });
        if let Some(agent) = free.filter(|_| !full) {
            self.blame("rules", format!("{conversation} was passed over in {id}, and {agent} is free"));
        }
    }
}

impl Model {
    /// Whether all groups are closed at this moment.
    pub(crate) fn is_shut(&self, at: Timestamp) -> bool {
        self.extras.hours.as_ref().is_some_and(|hours| !hours.is_open(at))
    }

    /// Whether they have been open, or closed, for so long.
    pub(crate) fn has_been(&self, open: bool, at: Timestamp, since: Duration) -> bool {
        self.extras.hours.as_ref().map_or(open, |hours| hours.has_been(open, at, since))
    }

    /// An opening that names nothing is judged by the rules, and its verdicts are recorded with it.
    pub(crate) fn opening_was_ruled(&self, id: ConversationId, record: &Record) -> Result<(), Blame> {
        let Some(said) = self.said.get(&id) else { return Ok(()) };
        let ruled = record.events.iter().any(|event| matches!(event, Event::Ruled { .. }));
        let elsewhere = record.events.iter().any(|event| {
            matches!(event, Event::Led { .. } | Event::Held { .. } | Event::Opened { bot: Some(_), .. })
        });
        let expected = said.undecided && !elsewhere && !self.extras.rules.is_empty();
        if ruled == expected {
            return Ok(());
        }
        Err((
            "rules",
            format!("{id} should have been judged: {expected}, and was: {ruled}: {:?}", record.events),
        ))
    }

    /// What the rules said and where they led.
    pub(crate) fn ruled(&mut self, id: ConversationId, event: &Event) -> Result<(), Blame> {
        let said = self.said.get(&id).copied().unwrap_or_default();
        let Some(it) = self.conversations.get_mut(&id) else { return Ok(()) };
        match event {
            Event::Ruled { verdicts, matched, .. } => {
                let rules = &self.extras.rules;
                let expected: Vec<Verdict> = rules
                    .iter()
                    .map(|rule| if applies(rule, said) { Verdict::Matched } else { Verdict::NotMatched })
                    .collect();
                let matching: Vec<&PlainRule> = rules.iter().filter(|rule| applies(rule, said)).collect();
                let names = matching.iter().map(|rule| rule.name);
                if !verdicts.iter().eq(expected.iter().copied())
                    || !matched.iter().map(|name| name.as_str()).eq(names)
                {
                    let verdicts: Vec<Verdict> = verdicts.iter().collect();
                    return Err((
                        "rules",
                        format!("{id}, {said:?}: {verdicts:?} and {matched:?}, not {expected:?}"),
                    ));
                }
                let mut left: Vec<(&'static str, PlainTarget)> = Vec::new();
                for rule in matching {
                    if left.iter().all(|(_, then)| *then != rule.then) {
                        left.push((rule.name, rule.then.clone()));
                    }
                }
                // Where nobody can take it now, it waits where the first rule sends it.
                if left.len() > 1 {
                    left.extend(left.first().cloned());
                }
                it.ways = Ways { left, now: None };
                Ok(())
            }
            Event::Directed { rule, direct } => {
                let next = if it.ways.left.is_empty() { None } else { Some(it.ways.left.remove(0)) };
                let queue = next.as_ref().map(|(_, then)| then.queue());
                let right = next.as_ref().is_some_and(|(name, _)| *name == rule.as_str())
                    && queue.as_ref().is_some_and(|(_, agent)| agent == direct);
                it.ways.now = queue;
                if right { Ok(()) } else { Err(("rules", format!("{id}: {event:?}, and {next:?} was next"))) }
            }
            _ => Ok(()),
        }
    }
}

impl Conv {
    /// What is held for a choice is chosen for once and in time, or dropped and never heard of.
    pub(crate) fn choosing(
        &mut self,
        event: &Event,
        until: Timestamp,
        now: Timestamp,
        by_visitor: bool,
    ) -> Option<Place> {
        match event {
            Event::Chosen { group } if now < until => {
                self.home = group.clone();
                Some(Place::Begun)
            }
            Event::Closed { reason: CloseReason::NotChosen } if by_visitor || until <= now => {
                Some(Place::Closed)
            }
            _ => None,
        }
    }
}
