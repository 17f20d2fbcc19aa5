//! Routing's words on the wire. With `orders.rs`, which goes the other way, the only place that knows both.

use crate::{
    actors::port::{
        AgentRow, Answer, Audience, ConversationRow, Faces, GroupRow, Notice, Numbered, OfferMade, View,
        words,
    },
    clock::Timestamp,
    ids::{AgentId, ConversationId},
    protocol::{
        self, List, Text, Variables, frame::PAGE_BUDGET, notice as wire_notice, refusal::RefusalCode,
        reply as wire_reply, words as wire,
    },
    routing::{
        self, Body, By, Refusal, Reply,
        agent::Held,
        conversation::{Event, OfferKind, PendingOffer, Phase},
        workspace::{Grants, Token},
    },
};

/// An answer on the wire. `visitor`: the connection is a visitor's, who never sees staff numbers (S7).
pub(super) fn answer(answer: Answer, visitor: bool) -> protocol::Reply {
    match answer {
        Answer::Done(reply) => done(reply, visitor),
        Answer::Refused(refusal) => refused(refusal),
        Answer::Found(view) => found(*view),
    }
}

fn done(reply: Reply, visitor: bool) -> protocol::Reply {
    match reply {
        Reply::Done => wire_reply::Done {}.into(),
        Reply::Opened { conversation, existing, status, visitor_seq } => {
            wire_reply::Opened { conversation, existing, status: phase(status), visitor_seq }.into()
        }
        Reply::Recorded { conversation, seq, visitor_seq } => {
            wire_reply::Recorded { conversation, seq: (!visitor).then_some(seq), visitor_seq }.into()
        }
    }
}

/// A refusal on the wire, with what to do about it.
pub(super) fn refused(refusal: Refusal) -> protocol::Reply {
    let (code, more) = match refusal {
        Refusal::NotFound => (RefusalCode::NotFound, None),
        Refusal::Invalid(why) => (RefusalCode::Invalid, Some(why.to_owned())),
        Refusal::KeyExpired => (RefusalCode::KeyExpired, None),
        Refusal::KeyReused => (RefusalCode::KeyReused, None),
        Refusal::AlreadyTaken(agent) => (RefusalCode::AlreadyTaken, Some(format!("agent {agent} has it"))),
        Refusal::AtCapacity { taken, cap } => {
            (RefusalCode::AtCapacity, Some(format!("at_cap({taken}/{cap})")))
        }
        Refusal::OfferEnded => (RefusalCode::OfferEnded, None),
        Refusal::OfferTimedOut => (RefusalCode::OfferTimedOut, None),
        Refusal::ConversationClosed => (RefusalCode::ConversationClosed, None),
        Refusal::HandedOff => (RefusalCode::HandedOff, None),
        Refusal::WrongState(why) => (RefusalCode::WrongState, Some(why.to_owned())),
        Refusal::GroupDisabled => (RefusalCode::GroupDisabled, None),
        Refusal::NobodyOnline => (RefusalCode::NobodyOnline, None),
        Refusal::QueueFull => (RefusalCode::QueueFull, None),
        Refusal::OnlyAgentOnline => (RefusalCode::OnlyAgentOnline, None),
        Refusal::NotEligible(why) => (RefusalCode::NotEligible, Some(words(why).to_owned())),
        Refusal::ChannelNotSupported => (RefusalCode::ChannelNotSupported, None),
        Refusal::ManagedByConfig => (RefusalCode::ManagedByConfig, None),
        Refusal::Failed => (RefusalCode::Failed, None),
        Refusal::Quarantined => (RefusalCode::Quarantined, None),
        Refusal::GroupUnavailable => (RefusalCode::GroupUnavailable, None),
    };
    no(code, more.as_deref(), None)
}

/// A refusal by code; `more` says what is special about this one.
pub(super) fn no(code: RefusalCode, more: Option<&str>, retry_after_ms: Option<u64>) -> protocol::Reply {
    let message = match more {
        Some(more) => format!("{more}: {}", code.remedy()),
        None => format!("{}: {}", code.meaning(), code.remedy()),
    };
    wire_reply::Refused { code, message: Text::clip(message), retry_after_ms }.into()
}

// === Views ===

fn found(view: View) -> protocol::Reply {
    match view {
        View::History { records, faces: None, after, limit, .. } => staff_history(&records, after, limit),
        View::History { records, faces: Some(faces), after, limit, .. } => {
            visitor_history(&records, &faces, after, limit)
        }
        View::Conversation(view) => conversation_detail(*view),
        View::Conversations(rows, cursor) => {
            let rows = rows.iter().map(conversation_row);
            wire_reply::ConversationPage { rows: List::clip(rows), cursor: cursor.map(Text::clip) }.into()
        }
        View::Group(row) => group_detail(&row),
        View::Groups(mut rows, cursor) => {
            rows.sort_by(|one, two| one.group.cmp(&two.group));
            let rows = rows.iter().map(group_row);
            wire_reply::GroupPage { rows: List::clip(rows), cursor: cursor.map(Text::clip) }.into()
        }
        View::Agent(view) => agent_detail(&view.row, &view.holds),
        View::Agents(mut rows, cursor) => {
            rows.sort_by_key(|row| row.agent);
            let rows = rows.iter().map(agent_row);
            wire_reply::AgentPage { rows: List::clip(rows), cursor: cursor.map(Text::clip) }.into()
        }
        View::Explanation { conversation, records, waits_because, agent } => {
            explanation(conversation, &records, waits_because, agent)
        }
        View::Position { ahead, since } => {
            let ahead = ahead.map(|ahead| u32::try_from(ahead).unwrap_or(u32::MAX));
            let position = ahead.map(|ahead| ahead.saturating_add(1));
            wire_reply::PositionReply { position, ahead: ahead.unwrap_or(0), waiting_since: since }.into()
        }
        View::Minted { text, id, expires } => {
            wire_reply::Minted { token: Text::clip(text), token_id: Text::clip(id), expires }.into()
        }
        View::Tokens(tokens, cursor) => {
            let rows = tokens.iter().map(token_row);
            wire_reply::TokenPage { rows: List::clip(rows), cursor: cursor.map(Text::clip) }.into()
        }
        View::Subscribed { version } => wire_reply::Subscribed { version, next: None }.into(),
    }
}

fn staff_history(records: &[Numbered], after: u64, limit: usize) -> protocol::Reply {
    let entries: Vec<_> = records.iter().flat_map(staff_entries).filter(|entry| entry.seq > after).collect();
    let total = entries.len();
    let (events, taken) = List::fill(entries.into_iter().take(limit.max(1)), PAGE_BUDGET);
    let next = events.last().map(|entry: &wire_notice::StaffEntry| entry.seq).filter(|_| taken < total);
    wire_reply::StaffHistory { events, next }.into()
}

fn visitor_history(records: &[Numbered], faces: &Faces, after: u64, limit: usize) -> protocol::Reply {
    let all = records.iter().flat_map(|numbered| {
        let count = numbered.record.events.len();
        (0..count).filter_map(move |index| visitor_entry(numbered, index, faces))
    });
    let entries: Vec<_> = all.filter(|entry| entry.visitor_seq > after).collect();
    let total = entries.len();
    let (events, taken) = List::fill(entries.into_iter().take(limit.max(1)), PAGE_BUDGET);
    let next =
        events.last().map(|entry: &wire_notice::VisitorEntry| entry.visitor_seq).filter(|_| taken < total);
    wire_reply::VisitorHistory { events, next }.into()
}

fn conversation_detail(view: crate::actors::port::ConversationView) -> protocol::Reply {
    let pending = view.pending.iter().map(|(agent, pending)| wire_reply::PendingOffer {
        offer: pending.offer,
        agent: *agent,
        deadline: pending.deadline,
    });
    let stay = view.stay.zip(view.row.group.clone()).map(|(stay, group)| wire_reply::StayView {
        number: stay.number,
        group,
        cause: queue_cause(stay.cause),
        since: stay.since,
        until: stay.wait_until,
        offers: stay.offers,
        pending: List::clip(pending),
        tried: List::clip(stay.tried.iter().copied()),
    });
    wire_reply::ConversationDetail {
        row: conversation_row(&view.row),
        participants: List::clip(view.participants.iter().map(|party| party.agent)),
        variables: variables(&view.variables),
        stay,
        waits_because: view.because.map(Text::clip),
        quarantined: view.quarantined,
    }
    .into()
}

fn group_detail(row: &GroupRow) -> protocol::Reply {
    let rules = &row.rules;
    wire_reply::GroupDetail {
        row: group_row(row),
        enabled: rules.enabled,
        quarantined: row.quarantined,
        members: row.members,
        accept_timeout_ms: millis(rules.accept_timeout),
        max_wait_ms: rules.max_wait.map(millis),
        max_offers: rules.max_offers,
        overflow: List::clip(rules.overflow.iter().cloned()),
        line: List::clip(row.line.iter().map(|place| wire_reply::WaitingView {
            conversation: place.conversation,
            priority: place.class.get(),
            since: place.since,
        })),
    }
    .into()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn agent_detail(row: &AgentRow, holds: &[(ConversationId, Held, Timestamp)]) -> protocol::Reply {
    let holds = holds.iter().map(|(conversation, held, since)| wire_reply::HeldItem {
        conversation: *conversation,
        held: match held {
            Held::Reserved => wire_reply::Held::Reserved,
            Held::Owned => wire_reply::Held::Owned,
        },
        since: *since,
    });
    wire_reply::AgentDetail {
        row: agent_row(row),
        email: row.profile.email.as_ref().map(Text::clip),
        live_chat: row.profile.live_chat,
        managed_by_config: row.profile.managed_by_config,
        sessions: row.sessions,
        missed: row.missed,
        last_assigned_at: Some(row.last_assigned).filter(|at| *at != Timestamp::default()),
        holds: List::clip(holds),
    }
    .into()
}

fn explanation(
    conversation: ConversationId,
    records: &[Numbered],
    waits_because: Option<String>,
    agent: Option<Option<routing::WhyNot>>,
) -> protocol::Reply {
    let mut stay = 0;
    let mut decisions = Vec::new();
    for record in records {
        for event in &record.record.events {
            stay += u32::from(matches!(event, Event::Queued { .. }));
            decisions.extend(decision(record.record.at, stay, event));
        }
    }
    let newest = decisions.len().saturating_sub(32);
    let agent_reason = agent.map(|why| Text::clip(why.map_or("eligible", words)));
    wire_reply::Explanation {
        conversation,
        decisions: List::clip(decisions.into_iter().skip(newest)),
        waits_because: waits_because.map(Text::clip),
        agent_reason,
    }
    .into()
}

fn decision(at: Timestamp, stay: u32, event: &Event) -> Option<wire_reply::DecisionView> {
    let (chosen, decision) = match event {
        Event::Offered { agent, decision, .. } | Event::Assigned { agent, decision: Some(decision), .. } => {
            (*agent, decision)
        }
        _ => return None,
    };
    Some(wire_reply::DecisionView {
        at,
        stay,
        group: decision.group.clone(),
        strategy: strategy(decision.strategy),
        chosen: List::clip([chosen]),
        next: List::clip(decision.next.iter().copied()),
        excluded: List::clip(
            decision
                .named
                .iter()
                .map(|(agent, why)| wire_reply::Exclusion { agent: *agent, reason: Text::clip(words(*why)) }),
        ),
        others: List::clip(
            decision.rest.iter().map(|(why, count)| wire_reply::ReasonCount {
                reason: Text::clip(words(*why)),
                count: *count,
            }),
        ),
        fallback: None,
    })
}

fn token_row(token: &Token) -> wire_reply::TokenRow {
    let (role, visitor, agent) = role(token.grants);
    wire_reply::TokenRow {
        token_id: Text::clip(&token.id),
        role,
        visitor,
        agent,
        created_at: token.created,
        expires: token.expires,
        sessions: 0,
    }
}

/// A token's role, and whose it is.
pub(super) fn role(grants: Grants) -> (wire::Role, Option<crate::ids::VisitorId>, Option<AgentId>) {
    match grants {
        Grants::Visitor(visitor) => (wire::Role::Visitor, Some(visitor), None),
        Grants::Agent(agent) => (wire::Role::Agent, None, Some(agent)),
        Grants::Supervisor => (wire::Role::Supervisor, None, None),
        Grants::Frontend => (wire::Role::Frontend, None, None),
        Grants::Admin => (wire::Role::Admin, None, None),
    }
}

// === Rows ===

fn conversation_row(row: &ConversationRow) -> wire::ConversationRow {
    wire::ConversationRow {
        conversation: row.conversation,
        visitor: row.visitor,
        channel: row.channel.clone(),
        status: phase(row.phase),
        group: row.group.clone(),
        owner: row.owner,
        priority: row.priority,
        opened_at: row.opened_at,
        waiting_since: row.waiting_since,
        seq: row.seq,
    }
}

fn group_row(row: &GroupRow) -> wire::GroupRow {
    wire::GroupRow {
        group: row.group.clone(),
        label: Text::clip(&row.rules.label),
        strategy: strategy(row.rules.strategy),
        waiting: row.waiting,
        offered: row.offered,
        active: row.active,
        missed: row.missed,
        oldest_waiting_since: row.oldest,
        agents_online: row.present,
        slots_free: row.free,
        version: row.version,
    }
}

fn agent_row(row: &AgentRow) -> wire::AgentRow {
    wire::AgentRow {
        agent: row.agent,
        name: Text::clip(&row.profile.name),
        presence: match row.presence {
            routing::Presence::Online => wire::Presence::Online,
            routing::Presence::Away => wire::Presence::Away,
            routing::Presence::Offline => wire::Presence::Offline,
        },
        live: row.live,
        state: Text::clip(row.why_not.map_or("available", words)),
        cap: row.cap,
        // Routing counts every slot in use; on the wire those of pending offers stand apart.
        taken: row.taken.saturating_sub(row.reserved),
        reserved: row.reserved,
        groups: List::clip(row.profile.groups.iter().cloned()),
        quarantined: row.quarantined,
        version: row.version,
    }
}

// === Notices ===

/// A notice on the wire, and whether it may be dropped for a slow reader. `None`: there is nothing to tell.
pub(super) fn notice(notice: &Notice) -> Option<(protocol::Notice, bool)> {
    let told: protocol::Notice = match notice {
        Notice::OfferMade(made) => offer_made(made).into(),
        Notice::OfferEnded { agent, conversation, offer, outcome } => wire_notice::OfferEnded {
            agent: *agent,
            conversation: *conversation,
            offer: *offer,
            outcome: offer_outcome(*outcome),
        }
        .into(),
        Notice::StaffEvent { conversation, agent, record, index } => {
            let entry = staff_entries(record).nth(*index)?;
            wire_notice::StaffEvent { conversation: *conversation, agent: *agent, entry }.into()
        }
        Notice::VisitorEvent { conversation, visitor, record, index, faces } => {
            let entry = visitor_entry(record, *index, faces)?;
            wire_notice::VisitorEvent { conversation: *conversation, visitor: *visitor, entry }.into()
        }
        Notice::Typing { conversation, to, by, typing } => {
            let audience = match to {
                Audience::Agent(agent) => wire_notice::Audience::Agent(*agent),
                Audience::Visitor(visitor) => wire_notice::Audience::Visitor(*visitor),
            };
            let by = match by {
                Some(name) => wire_notice::Typist::Agent { name: Text::clip(name) },
                None => wire_notice::Typist::Visitor,
            };
            let typing = wire_notice::Typing { conversation: *conversation, audience, by, typing: *typing };
            return Some((typing.into(), true));
        }
        Notice::AgentItems { agent, version, offers, conversations, more } => {
            let offers = offers.iter().map(|made| wire_notice::AgentItem::Offer(offer_made(made)));
            let rows =
                conversations.iter().map(|row| wire_notice::AgentItem::Conversation(conversation_row(row)));
            let items = List::clip(offers.chain(rows));
            wire_notice::AgentItems { agent: *agent, version: *version, items, more: *more }.into()
        }
        Notice::GroupChanged(row) => {
            return Some((wire_notice::GroupChanged { row: group_row(row) }.into(), true));
        }
        Notice::AgentChanged(row) => {
            return Some((wire_notice::AgentChanged { row: agent_row(row) }.into(), true));
        }
    };
    Some((told, false))
}

fn offer_made(made: &OfferMade) -> wire_notice::OfferMade {
    let PendingOffer { kind, offer, since, deadline } = made.pending;
    wire_notice::OfferMade {
        agent: made.agent,
        conversation: made.conversation,
        offer,
        kind: match kind {
            OfferKind::Offer => wire::OfferKind::Offer,
            OfferKind::Announcement => wire::OfferKind::Announcement,
            OfferKind::Handover => wire::OfferKind::Handover,
            OfferKind::Invitation => wire::OfferKind::Invitation,
        },
        group: made.group.clone(),
        deadline,
        accept_within_ms: deadline.map(|deadline| millis(deadline.since(since))),
        visitor: made.visitor,
        waiting_since: made.waiting_since,
        variables: variables(&made.variables),
        sound: true,
    }
}

fn variables(list: &[routing::Variable]) -> Variables {
    let list = list.iter().map(|variable| wire::Variable {
        name: Text::clip(&variable.name),
        value: Text::clip(&variable.value.0),
    });
    Variables::new(List::clip(list)).unwrap_or_default()
}

fn staff_entries(numbered: &Numbered) -> impl Iterator<Item = wire_notice::StaffEntry> + '_ {
    let mut visitor_seq = numbered.visitor_seq;
    numbered.record.events.iter().enumerate().map(move |(index, event)| {
        let sees = event.visitor_sees();
        visitor_seq += u64::from(sees);
        wire_notice::StaffEntry {
            seq: numbered.seq + index as u64 + 1,
            visitor_seq: sees.then_some(visitor_seq),
            at: numbered.record.at,
            by: actor(numbered.record.by),
            event: staff_change(event),
        }
    })
}

fn staff_change(event: &Event) -> wire_notice::StaffChange {
    use wire_notice::StaffChange as Change;
    match event {
        Event::Opened { visitor, channel, priority, .. } => {
            Change::Opened { visitor: *visitor, channel: channel.clone(), priority: priority.get() }
        }
        Event::Queued { stay, group, cause, .. } => {
            Change::Queued { stay: *stay, group: group.clone(), cause: queue_cause(*cause) }
        }
        Event::Offered { agent, deadline, .. } => Change::Offered { agent: *agent, deadline: *deadline },
        Event::Announced { agents, deadline } => {
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
        Event::Joined { agent, .. } => Change::Joined { agent: *agent },
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
        Event::FellBack { reason, message, .. } => {
            Change::FellBack { reason: fallback_reason(*reason), message: message.as_ref().map(Text::clip) }
        }
        Event::Said { body } => Change::Said { body: text(body) },
        Event::Noted { body } => Change::Noted { body: text(body) },
        Event::Closed { reason } => Change::Closed { reason: close_reason(*reason) },
        Event::Reopened => Change::Reopened,
    }
}

fn visitor_entry(numbered: &Numbered, index: usize, faces: &Faces) -> Option<wire_notice::VisitorEntry> {
    let events = &numbered.record.events;
    let change = visitor_change(events.get(index)?, numbered.record.by, faces)?;
    let seen = events[..=index].iter().filter(|event| event.visitor_sees()).count() as u64;
    Some(wire_notice::VisitorEntry {
        visitor_seq: numbered.visitor_seq + seen,
        at: numbered.record.at,
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
    Some(match event {
        Event::Opened { .. } => Change::Opened,
        Event::Queued { group, .. } => {
            let label = faces.policy.group(group).map_or("", |rules| rules.label.as_str());
            Change::Queued { group_label: Text::clip(label) }
        }
        Event::Assigned { name, .. } | Event::Joined { name, .. } => {
            Change::AgentJoined { name: Text::clip(name) }
        }
        Event::Left { agent } => Change::AgentLeft { name: name(agent) },
        Event::Said { body } => {
            let from = match by {
                By::Visitor(_) => wire_notice::VisitorSide::Me,
                By::Agent(agent) => wire_notice::VisitorSide::Agent { name: name(&agent) },
                _ => wire_notice::VisitorSide::Bot,
            };
            Change::Said { from, body: text(body) }
        }
        Event::FellBack { message, .. } => Change::Fallback { message: Text::clip(message.as_ref()?) },
        Event::Closed { .. } => Change::Closed { by_me: matches!(by, By::Visitor(_)) },
        Event::Reopened => Change::Reopened,
        Event::Offered { .. }
        | Event::Announced { .. }
        | Event::AnnouncedTo { .. }
        | Event::OfferEnded { .. }
        | Event::AnnouncementEnded { .. }
        | Event::HandoverStarted { .. }
        | Event::HandoverEnded { .. }
        | Event::Invited { .. }
        | Event::InvitationEnded { .. }
        | Event::Noted { .. } => return None,
    })
}

// === Words ===

fn text(body: &Body) -> Text<8192> {
    Text::clip(&*body.0)
}

fn phase(phase: Phase) -> wire::Status {
    match phase {
        Phase::Waiting => wire::Status::Waiting,
        Phase::Offered => wire::Status::Offered,
        Phase::Active => wire::Status::Active,
        Phase::Missed => wire::Status::Missed,
        Phase::Closed => wire::Status::Closed,
    }
}

fn actor(by: By) -> wire::Actor {
    match by {
        By::Visitor(visitor) => wire::Actor::Visitor(visitor),
        By::Agent(agent) => wire::Actor::Agent(agent),
        By::Supervisor => wire::Actor::Supervisor,
        By::Frontend => wire::Actor::Frontend,
        By::Bot => wire::Actor::Bot,
        By::Admin => wire::Actor::Admin,
        By::System => wire::Actor::System,
    }
}

/// The same word on both sides.
macro_rules! same_words {
    ($name:ident: $from:ty => $to:ty { $($word:ident),* $(,)? }) => {
        fn $name(word: $from) -> $to {
            match word { $(<$from>::$word => <$to>::$word,)* }
        }
    };
}

same_words!(strategy: routing::Strategy => wire::Strategy { RoundRobin, LeastActive, LongestIdle, Broadcast, Pull, Assign });
same_words!(queue_cause: routing::QueueCause => wire::QueueCause {
    Opened, Overflow, Transfer, Assigned, Message, Returned, Requeued, Handover, Reopened,
});
same_words!(assign_cause: routing::AssignCause => wire::AssignCause { Accepted, Taken, Assigned, Strategy, Handover, Forced });
same_words!(close_reason: routing::CloseReason => wire::CloseReason {
    ByAgent, ByVisitor, BySupervisor, Abandoned, Idle, MissedExpired,
});
same_words!(fallback_reason: routing::FallbackReason => wire::FallbackReason {
    NoRule, NobodyOnline, AllAtCapacity, OffersExhausted, WaitedTooLong, ClosedHours, QueueFull, QuotaExhausted,
    GroupUnavailable, GroupRemoved, Quarantined,
});
same_words!(rescind_reason: routing::RescindReason => wire::RescindReason {
    AcceptedElsewhere, AlreadyTaken, AgentGone, VisitorGone, Closed, Moved, WaitedTooLong, Removed,
});

fn offer_outcome(outcome: routing::OfferOutcome) -> wire::OfferOutcome {
    match outcome {
        routing::OfferOutcome::Accepted => wire::OfferOutcome::Accepted,
        routing::OfferOutcome::Declined => wire::OfferOutcome::Declined,
        routing::OfferOutcome::TimedOut => wire::OfferOutcome::TimedOut,
        routing::OfferOutcome::Rescinded(reason) => wire::OfferOutcome::Rescinded(rescind_reason(reason)),
    }
}
