//! A conversation's events in both their forms: for staff, and what of them its visitor may see.

use super::words::{
    actor, assign_cause, close_reason, fallback_reason, offer_outcome, origin, queue_cause, skip, text,
    variables,
};
use crate::{
    actors::port::{Faces, Numbered},
    ids::AgentId,
    protocol::{
        List, Text, notice as wire_notice,
        words::{self as wire, PARTS},
    },
    routing::{
        By, Variable,
        conversation::{Changed, Event, FlowOutcome, Part, Party, Record},
    },
};

pub(super) fn staff_entries(numbered: &Numbered) -> impl Iterator<Item = wire_notice::StaffEntry> + '_ {
    let mut visitor_seq = numbered.visitor_seq;
    numbered.record.events.iter().enumerate().map(move |(index, event)| {
        let sees = event.visitor_sees();
        visitor_seq += u64::from(sees);
        wire_notice::StaffEntry {
            seq: numbered.seq + index as u64 + 1,
            visitor_seq: sees.then_some(visitor_seq),
            at: numbered.record.at,
            by: author(&numbered.record, event),
            event: staff_change(event),
        }
    })
}

/// Who did something: what a supervisor began for an agent is the agent's only as far as it is written.
fn author(record: &Record, event: &Event) -> wire::Actor {
    let begun = matches!(record.events.first(), Some(Event::Opened { .. }))
        && record.events.iter().any(|event| matches!(event, Event::StartedFor { .. }));
    match event {
        Event::Said { .. } => actor(record.by),
        _ if begun => actor(By::Supervisor),
        _ => actor(record.by),
    }
}

fn staff_change(event: &Event) -> wire_notice::StaffChange {
    use wire_notice::StaffChange as Change;
    match event {
        Event::Opened { visitor, channel, priority, origin: opened_by, bot, .. } => Change::Opened {
            visitor: *visitor,
            channel: channel.clone(),
            priority: priority.get(),
            origin: origin(*opened_by),
            bot: bot.as_ref().map(Text::clip),
        },
        Event::Queued { stay, group, cause, .. } => {
            Change::Queued { stay: *stay, group: group.clone(), cause: queue_cause(*cause) }
        }
        Event::Offered { agent, deadline, .. } => Change::Offered { agent: *agent, deadline: *deadline },
        Event::Announced { agents, deadline } | Event::AnnouncedBy { agents, deadline, .. } => {
            Change::Announced { agents: List::clip(agents.iter().copied()), deadline: *deadline }
        }
        Event::AnnouncedTo { agents } => {
            Change::Announced { agents: List::clip(agents.iter().copied()), deadline: None }
        }
        Event::OfferEnded { agent, outcome } => {
            Change::OfferEnded { agent: *agent, outcome: offer_outcome(*outcome) }
        }
        Event::AnnouncementEnded { outcome } => {
            Change::AnnouncementEnded { outcome: offer_outcome(*outcome) }
        }
        Event::Assigned { agent, cause, .. } => {
            Change::Assigned { agent: *agent, cause: assign_cause(*cause) }
        }
        Event::Joined { agent, .. } | Event::Helps { agent, .. } => Change::Joined { agent: *agent },
        Event::Left { agent } => Change::Left { agent: *agent },
        Event::HandoverStarted { from, to, deadline, .. } => {
            Change::HandoverStarted { from: *from, to: *to, deadline: *deadline }
        }
        Event::HandoverEnded { to, outcome } => {
            Change::HandoverEnded { to: *to, outcome: offer_outcome(*outcome) }
        }
        Event::Invited { agent, deadline, .. } => Change::Invited { agent: *agent, deadline: *deadline },
        Event::InvitationEnded { agent, outcome } => {
            Change::InvitationEnded { agent: *agent, outcome: offer_outcome(*outcome) }
        }
        Event::FellBack { reason, message, .. } | Event::TurnedAway { reason, message, .. } => {
            Change::FellBack { reason: fallback_reason(*reason), message: message.as_ref().map(Text::clip) }
        }
        Event::Said { body } => Change::Said { body: text(body) },
        Event::Noted { body } => Change::Noted { body: text(body) },
        Event::Closed { reason } => Change::Closed { reason: close_reason(*reason) },
        Event::Reopened => Change::Reopened,
        Event::CommandFailed => Change::CommandFailed,
        Event::Read { upto } => Change::Read { upto: *upto },
        Event::Quarantined => Change::Quarantined,
        Event::Reinstated { .. } => Change::Released,
        Event::Held { until } => Change::Held { until: *until },
        Event::Chosen { group } => Change::Chosen { group: group.clone() },
        Event::VariablesSet { changes } => variables_set(changes),
        Event::HandedOver { may_return, .. } => Change::HandedOver { return_to_bot: *may_return },
        Event::ReturnedToBot => Change::ReturnedToBot,
        Event::Posted { body, parts } => Change::Posted { body: text(body), parts: self::parts(parts) },
        Event::RatingRequested => Change::RatingRequested,
        Event::Rated { score, comment } => {
            let comment = comment.as_ref().map(|comment| Text::clip(&*comment.0));
            Change::Rated { score: *score, comment }
        }
        Event::TagsSet { tags } => Change::TagsSet { tags: List::clip(tags.iter().map(Text::clip)) },
        Event::Ruled { matched, .. } => Change::Ruled { matched: List::clip(matched.iter().map(Text::clip)) },
        Event::Directed { rule, direct } => Change::Directed { rule: Text::clip(rule), agent: *direct },
        Event::Led { trigger, text: said, .. } => {
            Change::Led { cause: Text::clip(format!("trigger:{trigger}")), text: said.as_ref().map(text) }
        }
        Event::Started { group } | Event::StartedFor { group } => Change::Started { group: group.clone() },
        Event::FlowStarted { workflow, .. } => Change::WorkflowStarted { name: Text::clip(workflow) },
        Event::FlowWaits { until, .. } => Change::WorkflowWaits { until: *until },
        Event::FlowFired { workflow, .. } => Change::WorkflowFired { name: Text::clip(workflow) },
        Event::FlowEnded { workflow, outcome } => Change::WorkflowEnded {
            name: Text::clip(workflow),
            skipped: match outcome {
                FlowOutcome::Done => None,
                FlowOutcome::Skipped(why) => Some(skip(*why)),
            },
        },
        Event::Reprioritised { priority } => Change::Reprioritised { priority: priority.get() },
        Event::TeamOpened { agents, .. } => {
            Change::TeamOpened { agents: List::clip(agents.iter().map(|party| party.agent)) }
        }
    }
}

fn parts(parts: &[Part]) -> List<wire::PartSent, PARTS> {
    List::clip(parts.iter().map(|part| wire::PartSent {
        media: Text::clip(&*part.media.0),
        mime: Text::clip(&part.mime),
        bytes: part.bytes,
        name: part.name.as_ref().map(Text::clip),
    }))
}

/// What of a change is there afterwards: what contact details were before is kept for whoever exports it.
fn variables_set(changes: &[Changed]) -> wire_notice::StaffChange {
    let set: Vec<Variable> = changes
        .iter()
        .filter_map(|change| Some(Variable { name: change.name.clone(), value: change.to.clone()? }))
        .collect();
    let unset = changes.iter().filter(|change| change.to.is_none()).map(|change| Text::clip(&change.name));
    wire_notice::StaffChange::VariablesSet { set: variables(&set), unset: List::clip(unset) }
}

pub(super) fn visitor_entries<'a>(
    numbered: &'a Numbered,
    faces: &'a Faces,
) -> impl Iterator<Item = wire_notice::VisitorEntry> + 'a {
    let (at, by) = (numbered.record.at, numbered.record.by);
    let changes = numbered.record.events.iter().filter_map(move |event| visitor_change(event, by, faces));
    (numbered.visitor_seq + 1..).zip(changes).map(move |(visitor_seq, change)| wire_notice::VisitorEntry {
        visitor_seq,
        at,
        change,
    })
}

/// What a visitor sees of an event: a form that can't carry a note, an offer, a decision or a staff number (S8).
fn visitor_change(event: &Event, by: By, faces: &Faces) -> Option<wire_notice::VisitorChange> {
    use wire_notice::VisitorChange as Change;
    let name = |agent: &AgentId| {
        let face = faces.parties.iter().find(|party| party.agent == *agent);
        Text::clip(face.map_or("", |party| party.name.as_str()))
    };
    let avatar = |agent: &AgentId| {
        let avatar = faces.avatars.iter().find(|(whose, _)| whose == agent);
        avatar.map(|(_, avatar)| Text::clip(avatar))
    };
    let from = || match by {
        By::Visitor(_) => wire_notice::VisitorSide::Me,
        By::Agent(agent) => wire_notice::VisitorSide::Agent { name: name(&agent), avatar: avatar(&agent) },
        By::Supervisor => wire_notice::VisitorSide::Agent { name: name(&Party::SUPERVISOR), avatar: None },
        _ => wire_notice::VisitorSide::Bot,
    };
    Some(match event {
        Event::Opened { .. } => Change::Opened,
        Event::Queued { group, .. } => {
            let label = faces.policy.group(group).map_or("", |rules| rules.label.as_str());
            Change::Queued { group_label: Text::clip(label) }
        }
        Event::Assigned { agent, name, .. }
        | Event::Joined { agent, name }
        | Event::Helps { agent, name } => {
            Change::AgentJoined { name: Text::clip(name), avatar: avatar(agent) }
        }
        Event::Left { agent } => Change::AgentLeft { name: name(agent) },
        Event::Said { body } => Change::Said { from: from(), body: text(body) },
        Event::FellBack { message, .. } | Event::TurnedAway { message, .. } => {
            Change::Fallback { message: Text::clip(message.as_ref()?) }
        }
        Event::Closed { .. } => Change::Closed { by_me: matches!(by, By::Visitor(_)) },
        Event::Reopened => Change::Reopened,
        Event::HandedOver { may_return, .. } => Change::HandedOver { return_to_bot: *may_return },
        Event::ReturnedToBot => Change::ReturnedToBot,
        Event::Posted { body, parts } => {
            Change::Posted { from: from(), body: text(body), parts: self::parts(parts) }
        }
        Event::RatingRequested => Change::RatingRequested,
        Event::Rated { score, .. } => Change::Rated { score: *score },
        Event::Held { until } => Change::Choose { until: *until },
        Event::Chosen { .. }
        | Event::Led { .. }
        | Event::Started { .. }
        | Event::Offered { .. }
        | Event::Announced { .. }
        | Event::AnnouncedTo { .. }
        | Event::AnnouncedBy { .. }
        | Event::OfferEnded { .. }
        | Event::AnnouncementEnded { .. }
        | Event::HandoverStarted { .. }
        | Event::HandoverEnded { .. }
        | Event::Invited { .. }
        | Event::InvitationEnded { .. }
        | Event::Noted { .. }
        | Event::CommandFailed
        | Event::Quarantined
        | Event::Reinstated { .. }
        | Event::VariablesSet { .. }
        | Event::TagsSet { .. }
        | Event::Read { .. }
        | Event::Ruled { .. }
        | Event::Directed { .. }
        | Event::FlowStarted { .. }
        | Event::FlowWaits { .. }
        | Event::FlowFired { .. }
        | Event::FlowEnded { .. }
        | Event::Reprioritised { .. }
        | Event::TeamOpened { .. }
        | Event::StartedFor { .. } => return None,
    })
}
