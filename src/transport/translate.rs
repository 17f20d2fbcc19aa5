//! Routing's words on the wire. With `orders.rs`, which goes the other way, the only place that knows both.

mod events;
mod lists;
mod notices;
mod words;

use smol_str::SmolStr;

use self::{
    events::{staff_entries, visitor_entries},
    words::{
        chosen_by, doing, fallback_reason, origin, phase, queue_cause, rule_verdict, strategy, variables,
    },
};
use crate::{
    actors::{
        aside::Subject,
        port::{
            AgentRow, Answer, AsideRow, Choices, ConversationRow, ConversationView, Face, Faces, GroupRow,
            Numbered, View, words as reason,
        },
    },
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId, VisitorId},
    protocol::{
        self, List, Text, Wire, frame::PAGE_BUDGET, notice as wire_notice, refusal::RefusalCode,
        reply as wire_reply, words as wire,
    },
    routing::{
        self, Policy, Refusal, Reply,
        agent::Held,
        conditions::Verdict,
        conversation::{Event, Phase, Record},
        lobby::Visit,
        pseudonym::anonymous,
        workspace::{Grants, Token},
    },
};

pub(super) use self::{lists::row_weight, notices::notice};

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
            let status = match status {
                // Whom it is offered to, and when, is not the visitor's to see (S8), nor of whoever opens it for them.
                Phase::Offered => wire::Status::Waiting,
                status => phase(status),
            };
            wire_reply::Opened { conversation, existing, status, visitor_seq, picker: None }.into()
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
        Refusal::TooLarge(why) => (RefusalCode::TooLarge, Some(why.to_owned())),
        Refusal::Forbidden(why) => (RefusalCode::Forbidden, Some(why.to_owned())),
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
        Refusal::NotEligible(why) => (RefusalCode::NotEligible, Some(reason(why).to_owned())),
        Refusal::ChannelNotSupported => (RefusalCode::ChannelNotSupported, None),
        Refusal::ManagedByConfig => (RefusalCode::ManagedByConfig, None),
        Refusal::Failed => (RefusalCode::Failed, None),
        Refusal::Quarantined => (RefusalCode::Quarantined, None),
        Refusal::GroupUnavailable => (RefusalCode::GroupUnavailable, None),
        Refusal::QuotaExhausted => (RefusalCode::QuotaExhausted, None),
        Refusal::NoSeat => (RefusalCode::NoSeat, None),
        Refusal::FeatureDisabled(what) => {
            (RefusalCode::FeatureDisabled, Some(format!("feature_disabled({what})")))
        }
        Refusal::PlanNotEligible => (RefusalCode::PlanNotEligible, None),
        Refusal::RatingDisabled => (RefusalCode::RatingDisabled, None),
        Refusal::MissingFields(missing) => {
            let names: Vec<_> = missing.names().collect();
            (RefusalCode::MissingFields, Some(format!("missing_fields[{}]", names.join(", "))))
        }
        Refusal::TooManyLists => {
            (RefusalCode::TooLarge, Some("too many lists and counts on this connection".to_owned()))
        }
        Refusal::HasOpen(id) => (RefusalCode::AlreadyOpen, Some(format!("conversation {id} is open"))),
        Refusal::LobbyFull => (RefusalCode::LobbyFull, None),
        Refusal::UnknownAgent => (RefusalCode::UnknownAgent, None),
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
        View::History { records, faces: None, after, limit, newest, .. } => {
            staff_history(&records, after, limit, newest)
        }
        View::History { records, faces: Some(faces), after, limit, newest, .. } => {
            visitor_history(&records, &faces, after, limit, newest)
        }
        View::Conversation(view) => conversation_detail(*view),
        View::Conversations(rows, more) => {
            let (rows, cursor) = page(&rows, more, conversation_row, ConversationRow::cursor);
            wire_reply::ConversationPage { rows, cursor }.into()
        }
        View::Group(row) => group_detail(&row),
        View::Groups(mut rows, more) => {
            rows.sort_by(|one, two| one.group.cmp(&two.group));
            let (rows, cursor) = page(&rows, more, group_row, |row| row.group.to_string());
            wire_reply::GroupPage { rows, cursor }.into()
        }
        View::Agent(view) => agent_detail(&view.row, &view.holds),
        View::Agents(mut rows, more) => {
            rows.sort_by_key(|row| row.agent);
            let (rows, cursor) = page(&rows, more, agent_row, |row| row.agent.to_string());
            wire_reply::AgentPage { rows, cursor }.into()
        }
        View::Explanation { conversation, records, policy, waits_because, agent } => {
            explanation(conversation, &records, &policy, waits_because, agent)
        }
        View::Position { ahead, since } => {
            let ahead = ahead.map(|ahead| u32::try_from(ahead).unwrap_or(u32::MAX));
            let position = ahead.map(|ahead| ahead.saturating_add(1));
            wire_reply::PositionReply { position, ahead: ahead.unwrap_or(0), waiting_since: since }.into()
        }
        View::Workspace { counts, policy } => wire_reply::WorkspaceDetail {
            agents: u32::try_from(counts.agents).unwrap_or(u32::MAX),
            seats: policy.seats,
            seats_used: u32::try_from(counts.seated).unwrap_or(u32::MAX),
            seats_free: policy
                .seats
                .map(|seats| seats.saturating_sub(u32::try_from(counts.seated).unwrap_or(u32::MAX))),
            engagements: policy.lifetime_engagements,
            engagements_used: counts.engaged,
        }
        .into(),
        View::Visitors { rows, more, version } => {
            let row = |(visitor, visit): &(VisitorId, Visit)| visitor_row(*visitor, visit);
            let (rows, cursor) = page(&rows, more, row, |(visitor, _)| visitor.to_string());
            wire_reply::VisitorPage { rows, cursor, version }.into()
        }
        View::Choices(choices) => choice_page(&choices),
        View::Choosing { conversation, existing, visitor_seq, picker } => {
            let (text, not_sure) = asking(&picker);
            let choices = List::clip(picker.groups.iter().map(choice));
            let picker = Some(wire_reply::Picker { text, choices, not_sure });
            let status = wire::Status::Choosing;
            wire_reply::Opened { conversation, existing, status, visitor_seq, picker }.into()
        }
        View::Minted { text, id, expires } => {
            wire_reply::Minted { token: Text::clip(text), token_id: Text::clip(id), expires }.into()
        }
        View::Tokens(tokens, more) => {
            let (rows, cursor) = page(&tokens, more, token_row, |(token, _)| token.id.to_string());
            wire_reply::TokenPage { rows, cursor }.into()
        }
        View::Aside(rows, more) => {
            let (rows, cursor) = page(&rows, more, aside_row, |row| row.subject.cursor());
            wire_reply::QuarantinePage { rows, cursor }.into()
        }
        View::Erasure { conversations, confirm } => {
            let conversations = u32::try_from(conversations).unwrap_or(u32::MAX);
            wire_reply::Erasure { conversations, confirm: confirm.map(Text::clip) }.into()
        }
        View::Subscribed { version, next } => wire_reply::Subscribed { version, next }.into(),
    }
}

fn choice_page(choices: &Choices) -> protocol::Reply {
    let (rows, cursor) = page(&choices.groups, choices.more, choice, |(group, _)| group.to_string());
    let (text, not_sure) = asking(choices);
    wire_reply::ChoicePage { rows, cursor, asked: choices.picker.is_some(), text, not_sure }.into()
}

fn choice((group, label): &(GroupId, SmolStr)) -> wire_reply::ChoiceRow {
    wire_reply::ChoiceRow { group: group.clone(), label: Text::clip(label) }
}

/// What is shown above a list of choices, and what its last entry is called.
fn asking(choices: &Choices) -> (Option<Text<2048>>, Option<Text<64>>) {
    let picker = choices.picker.as_ref();
    let text = picker.and_then(|picker| picker.text.as_ref()).map(Text::clip);
    let not_sure = picker.and_then(|picker| picker.not_sure.as_ref()).map(Text::clip);
    (text, not_sure)
}

/// As many rows as fit a frame. If that is not all there are, the last of them says where the next page begins: so no row falls
/// between two pages.
fn page<R, W: Wire, const MAX: usize>(
    rows: &[R],
    more: bool,
    row: impl Fn(&R) -> W,
    cursor: impl Fn(&R) -> String,
) -> (List<W, MAX>, Option<Text<128>>) {
    let (page, taken) = List::fill(rows.iter().map(row), PAGE_BUDGET);
    let last = rows[..taken].last().filter(|_| more || taken < rows.len());
    (page, last.map(|last| Text::clip(cursor(last))))
}

/// A page that does not end with the newest number has another behind it, which begins where this one ends.
fn staff_history(records: &[Numbered], after: u64, limit: usize, newest: u64) -> protocol::Reply {
    let entries = records.iter().flat_map(staff_entries).filter(|entry| entry.seq > after);
    let (events, _) = List::fill(entries.take(limit.max(1)), PAGE_BUDGET);
    let next = events.last().map(|entry: &wire_notice::StaffEntry| entry.seq).filter(|last| *last < newest);
    wire_reply::StaffHistory { events, next }.into()
}

fn visitor_history(
    records: &[Numbered],
    faces: &Faces,
    after: u64,
    limit: usize,
    newest: u64,
) -> protocol::Reply {
    let all = records.iter().flat_map(|numbered| visitor_entries(numbered, faces));
    let entries = all.filter(|entry| entry.visitor_seq > after);
    let (events, _) = List::fill(entries.take(limit.max(1)), PAGE_BUDGET);
    let last = events.last().map(|entry: &wire_notice::VisitorEntry| entry.visitor_seq);
    let next = last.filter(|last| *last < newest);
    wire_reply::VisitorHistory { events, next }.into()
}

fn conversation_detail(view: ConversationView) -> protocol::Reply {
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
        participants: List::clip(
            view.row.owner.into_iter().chain(view.participants.iter().map(|party| party.agent)),
        ),
        variables: variables(&view.variables),
        tags: List::clip(view.tags.iter().map(Text::clip)),
        answered_by_human: view.answered_by_human,
        return_to_bot: view.may_return_to_bot,
        rating: view.rating,
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
            Held::Helping => wire_reply::Held::Participant,
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
        sites: List::clip(row.profile.sites.iter().map(Text::clip)),
        sees_bot: row.profile.sees_bot,
        last_activity_at: Some(row.activity.last).filter(|at| *at != Timestamp::default()),
        messages: row.activity.messages,
        push: row.push,
    }
    .into()
}

fn explanation(
    conversation: ConversationId,
    records: &[Record],
    policy: &Policy,
    waits_because: Option<String>,
    agent: Option<Option<routing::WhyNot>>,
) -> protocol::Reply {
    let mut told = Vec::new();
    let mut stay = None;
    for record in records {
        for event in &record.events {
            if let Event::Queued { stay: number, group, .. } = event {
                stay = Some((*number, group));
            }
            let of = match event {
                // It was in no queue: this is where it would have gone.
                Event::TurnedAway { group, .. } => Some((0, group)),
                _ => stay,
            };
            told.extend(of.and_then(|stay| decision(record.at, stay, policy, event)));
        }
    }
    // The newest are the ones to keep, oldest first.
    let (newest, _) = List::<_, 32>::fill(told.into_iter().rev(), PAGE_BUDGET / 2);
    let agent_reason = agent.map(|why| Text::clip(why.map_or("eligible", reason)));
    wire_reply::Explanation {
        conversation,
        decisions: List::clip(newest.into_vec().into_iter().rev()),
        waits_because: waits_because.map(Text::clip),
        agent_reason,
        rules: ruling(records, policy),
    }
    .into()
}

/// What the rules said when they were asked last. Rules that were changed since go by what was written down of them.
fn ruling(records: &[Record], policy: &Policy) -> Option<wire_reply::Ruling> {
    let mut newest = None;
    let mut sent_by = None;
    for record in records {
        for event in &record.events {
            match event {
                Event::Ruled { rules, verdicts, matched } => {
                    (newest, sent_by) = (Some((record.at, *rules, verdicts, matched)), None);
                }
                Event::Directed { rule, .. } => sent_by = Some(rule),
                _ => {}
            }
        }
    }
    let (at, rules, verdicts, matched) = newest?;
    let mut names: Vec<&str> = policy.rules.iter().map(|rule| rule.name.as_str()).collect();
    if policy.rules.digest() != rules {
        names.clear();
    }
    let mut known = matched.iter();
    let verdicts = verdicts.iter().enumerate().map(|(number, verdict)| {
        // Those that matched were written down in their order.
        let written = if verdict == Verdict::Matched { known.next() } else { None };
        let name = names.get(number).copied().or(written.map(SmolStr::as_str)).unwrap_or_default();
        wire_reply::RuleVerdict { rule: Text::clip(name), verdict: rule_verdict(verdict) }
    });
    let (verdicts, _) = List::fill(verdicts, PAGE_BUDGET / 2);
    Some(wire_reply::Ruling { at, sent_by: sent_by.map(Text::clip), verdicts })
}

/// What was decided in a stay, if this event is a decision. Fallbacks are recorded without the candidates, and so is who was added
/// to an announcement: of them only the outcome is known.
fn decision(
    at: Timestamp,
    (stay, queue): (u32, &GroupId),
    policy: &Policy,
    event: &Event,
) -> Option<wire_reply::DecisionView> {
    let outcome = |chosen: &[AgentId], fallback| wire_reply::DecisionView {
        at,
        stay,
        group: queue.clone(),
        strategy: strategy(policy.group(queue).unwrap_or(&policy.everyone).strategy),
        by: None,
        chosen: List::clip(chosen.iter().copied()),
        next: List::new(),
        excluded: List::new(),
        others: List::new(),
        fallback,
    };
    let (chosen, decision) = match event {
        Event::Offered { agent, decision, .. } | Event::Assigned { agent, decision: Some(decision), .. } => {
            (std::slice::from_ref(agent), decision)
        }
        Event::AnnouncedBy { agents, decision, .. } => (agents.as_slice(), decision),
        Event::Announced { agents, .. } | Event::AnnouncedTo { agents } => {
            return Some(outcome(agents, None));
        }
        Event::FellBack { reason, .. } | Event::TurnedAway { reason, .. } => {
            return Some(outcome(&[], Some(fallback_reason(*reason))));
        }
        _ => return None,
    };
    let named = decision.named.iter();
    let rest = decision.rest.iter();
    Some(wire_reply::DecisionView {
        at,
        stay,
        group: decision.group.clone(),
        strategy: strategy(decision.strategy),
        by: Some(chosen_by(decision.because)),
        chosen: List::clip(chosen.iter().copied()),
        next: List::clip(decision.next.iter().copied()),
        excluded: List::clip(
            named.map(|(agent, why)| wire_reply::Exclusion {
                agent: *agent,
                reason: Text::clip(reason(*why)),
            }),
        ),
        others: List::clip(
            rest.map(|(why, count)| wire_reply::ReasonCount {
                reason: Text::clip(reason(*why)),
                count: *count,
            }),
        ),
        fallback: None,
    })
}

fn token_row((token, sessions): &(Token, u32)) -> wire_reply::TokenRow {
    let (role, visitor, agent) = role(token.grants);
    wire_reply::TokenRow {
        token_id: Text::clip(&token.id),
        role,
        visitor,
        agent,
        created_at: token.created,
        expires: token.expires,
        sessions: *sessions,
    }
}

fn aside_row(row: &AsideRow) -> wire_reply::QuarantineRow {
    let subject = match &row.subject {
        Subject::Workspace => wire_reply::Subject::Workspace,
        Subject::Group(group) => wire_reply::Subject::Group(group.clone()),
        Subject::Agent(agent) => wire_reply::Subject::Agent(*agent),
        Subject::Conversation(conversation) => wire_reply::Subject::Conversation(*conversation),
    };
    wire_reply::QuarantineRow { subject, since: row.since }
}

/// A token's role, and whose it is.
pub(super) fn role(grants: Grants) -> (wire::Role, Option<VisitorId>, Option<AgentId>) {
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
        owner_face: row.owner_face.as_deref().map(face),
        priority: row.priority,
        opened_at: row.opened_at,
        waiting_since: row.waiting_since,
        seq: row.seq,
        origin: origin(row.origin),
        bot: row.bot.as_deref().map(Text::clip),
        pseudonym: match &row.pseudonym {
            Some(pseudonym) => Text::clip(pseudonym),
            None => Text::clip(anonymous(row.visitor)),
        },
        site: row.site.as_ref().map(Text::clip),
        last_owner: row.last_owner,
    }
}

fn face(face: &Face) -> wire::Face {
    wire::Face { name: Text::clip(&face.name), avatar: face.avatar.as_ref().map(Text::clip) }
}

fn visitor_row(visitor: VisitorId, visit: &Visit) -> wire::VisitorRow {
    fn fact<const MAX: usize>(visit: &Visit, name: &str) -> Option<Text<MAX>> {
        visit.fact(name).map(Text::clip)
    }
    let number = |name| visit.fact(name).and_then(|text| text.parse().ok());
    wire::VisitorRow {
        visitor,
        doing: doing(visit.doing),
        since: visit.since,
        site: fact(visit, "site"),
        page_url: fact(visit, "page.url"),
        page_title: fact(visit, "page.title"),
        referrer: fact(visit, "referrer"),
        locale: fact(visit, "locale"),
        country: fact(visit, "country"),
        region: fact(visit, "region"),
        city: fact(visit, "city"),
        visits: number("visits"),
        pages: number("pages"),
        widget_open: visit.widget_open,
        group: visit.led.as_ref().and_then(|led| led.group.clone()),
        tags: List::clip(visit.tags.iter().map(Text::clip)),
        version: visit.version,
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
        state: Text::clip(row.why_not.map_or("available", reason)),
        cap: row.cap,
        // Routing counts every slot in use; on the wire those of pending offers stand apart.
        taken: row.taken.saturating_sub(row.reserved),
        reserved: row.reserved,
        groups: List::clip(row.profile.groups.iter().cloned()),
        avatar: row.profile.avatar.as_ref().map(Text::clip),
        quarantined: row.quarantined,
        version: row.version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of every weight, as a list of so many would be asked for page by page.
    fn walk(weights: &[usize], limit: usize) -> (Vec<usize>, usize) {
        let (mut found, mut pages, mut from) = (Vec::new(), 0, 0);
        loop {
            let all: Vec<(usize, usize)> = weights.iter().copied().enumerate().skip(from).collect();
            let more = all.len() > limit;
            let asked = &all[..all.len().min(limit)];
            let text = |(_, weight): &(usize, usize)| Text::<20_000>::clip("x".repeat(*weight));
            let (rows, cursor) = page::<_, _, 100>(asked, more, text, |(at, _)| (at + 1).to_string());
            found.extend(rows.iter().map(|row| row.len()));
            pages += 1;
            match cursor {
                Some(cursor) => from = cursor.parse().expect("a number"),
                None => return (found, pages),
            }
        }
    }

    #[test]
    fn no_row_falls_between_two_pages_whatever_they_weigh() {
        assert_eq!(walk(&[], 100), (vec![], 1));
        assert_eq!(walk(&[5; 100], 100).1, 1, "a page that holds everything says that it is the last");
        assert_eq!(walk(&[5; 101], 100).1, 2);
        let weights: Vec<usize> = (0..250).map(|at| (at * 7_919) % 20_000).collect();
        for limit in [1, 7, 100] {
            let (found, pages) = walk(&weights, limit);
            assert_eq!(found, weights);
            assert!(pages >= 250 / limit, "{pages}");
        }
    }
}
