//! From records to sentences: who was asked and why, how they answered, who is next.

use std::collections::{BTreeMap, HashMap};

use smol_str::SmolStr;

use super::super::super::show::{self, snake};
use crate::{
    actors::port::{fallback_words, words},
    clock::Timestamp,
    config::Config,
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        AssignCause, Because, Decision, OfferOutcome, QueueCause,
        agent::Event as AgentEvent,
        conversation::{Event, Record},
        recovery::Entry,
    },
};

/// Digits of an id's end that tell conversations apart well enough here; `explain` takes them.
const ID_SHOWN: usize = 8;

/// Agents named as next candidates.
const NEXT_SHOWN: usize = 3;

/// Conversations remembered at most: closed ones are forgotten anyway.
const REMEMBERED: usize = 10_000;

/// How a line may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Coloured,
}

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Neutral,
    Asked,
    Good,
    Passed,
    Bad,
}

/// Remembers what a sentence needs besides its record.
pub(super) struct Narrator {
    style: Style,
    names: HashMap<AgentId, SmolStr>,
    stories: HashMap<ConversationId, Story>,
    tally: BTreeMap<&'static str, u64>,
}

/// One conversation so far.
#[derive(Default)]
struct Story {
    who: String,
    group: Option<GroupId>,
    opened: Timestamp,
    /// Since when each asked agent has it on their screen.
    asked: HashMap<AgentId, Timestamp>,
}

impl Narrator {
    pub(super) fn new(config: &Config, style: Style) -> Self {
        let agents = config.workspaces.iter().flat_map(|workspace| {
            let named = |agent| (workspace.agent_id(agent), SmolStr::new(&agent.display_name));
            workspace.agents.iter().map(named)
        });
        Self { style, names: agents.collect(), stories: HashMap::new(), tally: BTreeMap::new() }
    }

    /// The lines that a record is worth; several, or none.
    pub(super) fn tell(&mut self, entry: &Entry) -> Vec<String> {
        match entry {
            Entry::Conversation { id, record } => self.conversation(*id, record),
            Entry::Agent { id, at, events, .. } => {
                events.iter().filter_map(|event| self.agent(*id, *at, event)).collect()
            }
            Entry::Group { .. }
            | Entry::Workspace { .. }
            | Entry::Clock { .. }
            | Entry::Restarted { .. }
            | Entry::Erased { .. } => Vec::new(),
        }
    }

    /// What it all came to.
    pub(super) fn sum(&self) -> String {
        let counts: Vec<String> = self.tally.iter().map(|(what, count)| format!("{count} {what}")).collect();
        if counts.is_empty() {
            "nothing happened".to_owned()
        } else {
            format!("in all: {}", counts.join(", "))
        }
    }

    fn agent(&mut self, id: AgentId, at: Timestamp, event: &AgentEvent) -> Option<String> {
        let text = match event {
            AgentEvent::Profiled(profile) => {
                self.names.insert(id, profile.name.clone());
                return None;
            }
            AgentEvent::PresenceSet { presence, auto } => {
                let by_itself = if *auto { ", set by maitred after too many misses" } else { "" };
                format!("{} is {}{by_itself}", self.name(id), word(presence))
            }
            AgentEvent::Removed => format!("{} is removed and finishes what they have", self.name(id)),
            AgentEvent::Quarantined => format!("{} stands aside after repeated failures", self.name(id)),
            AgentEvent::Reinstated => format!("{} takes part again", self.name(id)),
            AgentEvent::Put(_)
            | AgentEvent::Assigned
            | AgentEvent::Missed
            | AgentEvent::CommandFailed
            | AgentEvent::PushSet(_) => return None,
        };
        Some(self.line(at, "agents", "", &text, Mood::Neutral))
    }

    fn conversation(&mut self, id: ConversationId, record: &Record) -> Vec<String> {
        if self.stories.len() >= REMEMBERED {
            self.stories.clear();
        }
        let mut story = self.stories.remove(&id).unwrap_or_default();
        let digits = id.to_string();
        let short = &digits[digits.len() - ID_SHOWN..];
        let mut lines = Vec::new();
        let mut over = false;
        for event in &record.events {
            over = matches!(event, Event::Closed { .. });
            if let Some((text, mood)) = self.event(&mut story, record.at, event) {
                let group = story.group.as_ref().map_or("-", GroupId::as_str);
                lines.push(self.line(record.at, group, short, &text, mood));
            }
        }
        if !over {
            self.stories.insert(id, story);
        }
        lines
    }

    fn event(&mut self, story: &mut Story, at: Timestamp, event: &Event) -> Option<(String, Mood)> {
        match event {
            Event::Opened { variables, .. } => {
                self.count("opened");
                let name = variables.iter().find(|variable| variable.name == "first_name");
                story.who = name.map_or_else(|| "a visitor".to_owned(), |name| name.value.0.to_string());
                story.opened = at;
                None
            }
            Event::Queued { group, cause, .. } => {
                let from = story.group.replace(group.clone());
                story.asked.clear();
                Some((queued(&story.who, from.as_ref(), *cause), Mood::Neutral))
            }
            Event::Offered { agent, name, deadline, decision } => {
                self.count("offered");
                self.names.insert(*agent, name.clone());
                story.asked.insert(*agent, at);
                let seconds = deadline.since(at).as_secs_f64();
                Some((format!("offered to {name} for {seconds:.1} s ({})", self.why(decision)), Mood::Asked))
            }
            Event::Announced { agents, .. }
            | Event::AnnouncedTo { agents }
            | Event::AnnouncedBy { agents, .. } => {
                self.count("announced");
                story.asked.extend(agents.iter().map(|agent| (*agent, at)));
                Some((format!("announced to {}", self.list(agents)), Mood::Asked))
            }
            Event::OfferEnded { agent, outcome } => self.ended(story, at, *agent, *outcome),
            Event::AnnouncementEnded { outcome } => {
                story.asked.clear();
                Some((format!("nobody took it ({})", outcome_word(*outcome)), Mood::Passed))
            }
            Event::Assigned { agent, name, cause, decision, .. } => {
                self.names.insert(*agent, name.clone());
                self.count(if *cause == AssignCause::Accepted { "accepted" } else { "assigned" });
                let after = story.asked.remove(agent).map(|since| seconds(since, at)).unwrap_or_default();
                Some((self.assigned(name, *cause, &after, decision.as_deref()), Mood::Good))
            }
            Event::FellBack { reason, .. } | Event::TurnedAway { reason, .. } => {
                self.count("fell back");
                Some((format!("fallback {}", fallback_words(*reason)), Mood::Bad))
            }
            Event::Closed { reason } => {
                self.count("closed");
                Some((format!("closed {}{}", word(reason), seconds(story.opened, at)), Mood::Neutral))
            }
            other => self.company(story, at, other),
        }
    }

    /// Events of agents among themselves.
    fn company(&mut self, story: &mut Story, at: Timestamp, event: &Event) -> Option<(String, Mood)> {
        let told = match event {
            Event::HandoverStarted { from, to, name, .. } => {
                self.count("handed over");
                self.names.insert(*to, name.clone());
                story.asked.insert(*to, at);
                (format!("{} asks {name} to take it over", self.name(*from)), Mood::Asked)
            }
            Event::HandoverEnded { to, outcome } => {
                let after = story.asked.remove(to).map(|since| seconds(since, at)).unwrap_or_default();
                (
                    format!("{} did not take it over: {}{after}", self.name(*to), outcome_word(*outcome)),
                    Mood::Passed,
                )
            }
            Event::Invited { agent, name, .. } => {
                self.names.insert(*agent, name.clone());
                (format!("{name} is asked to help"), Mood::Asked)
            }
            Event::InvitationEnded { agent, outcome } => (
                format!("{} did not come to help: {}", self.name(*agent), outcome_word(*outcome)),
                Mood::Passed,
            ),
            Event::Joined { name, .. } => (format!("{name} joined"), Mood::Good),
            Event::Left { agent } => (format!("{} left", self.name(*agent)), Mood::Neutral),
            Event::Reopened => ("opened again".to_owned(), Mood::Neutral),
            Event::HandedOver { .. } => ("the bot hands it over".to_owned(), Mood::Neutral),
            Event::RatingRequested => ("the visitor is asked for a rating".to_owned(), Mood::Neutral),
            Event::Rated { score, .. } => (format!("rated {score} of 5"), Mood::Neutral),
            Event::ReturnedToBot => ("the visitor goes back to the bot".to_owned(), Mood::Neutral),
            Event::CommandFailed => ("a command failed".to_owned(), Mood::Bad),
            Event::Quarantined => ("stands aside after repeated failures".to_owned(), Mood::Bad),
            Event::Reinstated { .. } => ("takes part again".to_owned(), Mood::Neutral),
            // What people write to each other is nobody else's business, not even in a demo.
            _ => return None,
        };
        Some(told)
    }

    fn ended(
        &mut self,
        story: &mut Story,
        at: Timestamp,
        agent: AgentId,
        outcome: OfferOutcome,
    ) -> Option<(String, Mood)> {
        let after = story.asked.remove(&agent).map(|since| seconds(since, at)).unwrap_or_default();
        let name = self.name(agent);
        let text = match outcome {
            OfferOutcome::TimedOut => {
                self.count("timed out");
                format!("{name} timed out{after}")
            }
            OfferOutcome::Declined => {
                self.count("declined");
                format!("{name} declined{after}")
            }
            // The one who accepted is told of by their assignment.
            OfferOutcome::Accepted => return None,
            OfferOutcome::Rescinded(reason) => {
                format!("the offer to {name} was taken back: {}", word(&reason))
            }
        };
        Some((text, Mood::Passed))
    }

    fn assigned(&self, name: &str, cause: AssignCause, after: &str, decision: Option<&Decision>) -> String {
        match (cause, decision) {
            (AssignCause::Accepted, _) => format!("{name} accepted{after}"),
            (AssignCause::Handover, _) => format!("{name} took it over{after}"),
            (AssignCause::Taken, _) => format!("{name} took it"),
            (AssignCause::Forced, _) => format!("given to {name}, past their cap"),
            (AssignCause::Workflow, _) => format!("given to {name} by a workflow"),
            (AssignCause::Assigned | AssignCause::Strategy, Some(decision)) => {
                format!("given to {name} ({})", self.why(decision))
            }
            (AssignCause::Started, _) => format!("begun by {name}"),
            (AssignCause::Assigned | AssignCause::Strategy, None) => format!("given to {name}"),
        }
    }

    /// `round_robin; next Ben, Chloe; not Dev (tried_it); 1 offline`.
    fn why(&self, decision: &Decision) -> String {
        let mut parts = vec![word(&decision.strategy)];
        match decision.because {
            Because::Strategy => {}
            Because::Preferred => parts.push("preferred".to_owned()),
            Because::Direct => parts.push("asked for by name".to_owned()),
        }
        if !decision.next.is_empty() {
            let shown = &decision.next[..decision.next.len().min(NEXT_SHOWN)];
            parts.push(format!("next {}", self.list(shown)));
        }
        for (agent, reason) in &decision.named {
            parts.push(format!("not {} ({})", self.name(*agent), words(*reason)));
        }
        parts.extend(decision.rest.iter().map(|(reason, count)| format!("{count} {}", words(*reason))));
        parts.join("; ")
    }

    fn name(&self, agent: AgentId) -> SmolStr {
        self.names.get(&agent).cloned().unwrap_or_else(|| agent.to_string().into())
    }

    fn list(&self, agents: &[AgentId]) -> String {
        agents.iter().map(|agent| self.name(*agent)).collect::<Vec<_>>().join(", ")
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// `12:01:03.204  sales     3f2a91c4  offered to Ana …`.
    fn line(&self, at: Timestamp, group: &str, id: &str, text: &str, mood: Mood) -> String {
        let time = show::time_of_day(at);
        if self.style == Style::Plain {
            return format!("{time}  {group:9} {id:ID_SHOWN$}  {text}");
        }
        let colour = match mood {
            Mood::Neutral => "0",
            Mood::Asked => "36",
            Mood::Good => "32",
            Mood::Passed => "33",
            Mood::Bad => "31",
        };
        format!("\x1b[2m{time}\x1b[0m  {group:9} \x1b[2m{id:ID_SHOWN$}\x1b[0m  \x1b[{colour}m{text}\x1b[0m")
    }
}

fn queued(who: &str, from: Option<&GroupId>, cause: QueueCause) -> String {
    match (cause, from) {
        (QueueCause::Opened, _) | (QueueCause::Rule, None) => format!("{who} asks for somebody"),
        (QueueCause::Overflow, Some(from)) => format!("{who} overflows from {from}"),
        (QueueCause::Transfer, Some(from)) => format!("{who} is transferred from {from}"),
        (cause, _) => format!("{who} waits again ({})", word(&cause)),
    }
}

fn outcome_word(outcome: OfferOutcome) -> String {
    match outcome {
        OfferOutcome::Rescinded(reason) => word(&reason),
        other => word(&other),
    }
}

/// ` after 1.2 s`.
fn seconds(since: Timestamp, at: Timestamp) -> String {
    format!(" after {:.1} s", at.since(since).as_secs_f64())
}

/// A word of the rules as the protocol writes it: `round_robin`.
fn word(word: &impl std::fmt::Debug) -> String {
    snake(&format!("{word:?}"))
}
