//! What is told unasked, on the wire.

use std::sync::Arc;

use super::{
    agent_row, conversation_row,
    events::{staff_entries, visitor_entries},
    face, group_row,
    lists::{list_changed, list_items},
    millis, visitor_row,
    words::{offer_outcome, variables},
};
use crate::{
    actors::{
        lists::Tallies,
        port::{Audience, ConversationRow, Notice, OfferMade},
    },
    clock::Timestamp,
    ids::{AgentId, ConversationId, Link, VisitorId},
    protocol::{self, List, Text, frame::PAGE_BUDGET, notice as wire_notice, words as wire},
    routing::{
        conversation::{OfferKind, PendingOffer},
        lobby::Visit,
    },
    transport::Class,
};

/// Bytes of all items of a snapshot together: less than a connection may have waiting for it.
const SNAPSHOT_BUDGET: usize = 512 * 1_024;

/// Tells a notice on the wire, in as many pieces as its frames take, each with whether it may be dropped for a slow reader.
/// `now` is asked by what says how much time is left.
pub(in crate::transport) fn notice(
    notice: &Notice,
    now: impl FnOnce() -> Timestamp,
    mut tell: impl FnMut(protocol::Notice, Class),
) {
    let (told, class): (protocol::Notice, Class) = match notice {
        Notice::OfferMade(made) => (offer_made(made, now()).into(), Class::Essential),
        Notice::OfferEnded { agent, conversation, offer, outcome } => {
            let outcome = offer_outcome(*outcome);
            let (agent, conversation, offer) = (*agent, *conversation, *offer);
            let ended = wire_notice::OfferEnded { agent, conversation, offer, outcome };
            (ended.into(), Class::Essential)
        }
        Notice::StaffEvents { conversation, agent, record, after } => {
            for entry in staff_entries(record).filter(|entry| entry.seq > *after) {
                let notify = notify_class(*agent, &entry);
                let (conversation, agent) = (*conversation, *agent);
                let event = wire_notice::StaffEvent { conversation, agent, entry, notify };
                tell(event.into(), Class::Essential);
            }
            return;
        }
        Notice::VisitorEvents { conversation, visitor, record, after, faces } => {
            let (conversation, visitor) = (*conversation, *visitor);
            for entry in visitor_entries(record, faces).filter(|entry| entry.visitor_seq > *after) {
                let event = wire_notice::VisitorEvent { conversation, visitor, entry };
                tell(event.into(), Class::Essential);
            }
            return;
        }
        Notice::Typing { conversation, to, by, typing: going_on } => {
            (typing(*conversation, *to, by.as_deref(), *going_on).into(), Class::Droppable)
        }
        Notice::Placed { conversation, visitor, position, waiting } => {
            let (conversation, visitor) = (*conversation, *visitor);
            let (position, waiting) = (*position, *waiting);
            let place = wire_notice::QueuePosition { conversation, visitor, position, waiting };
            (place.into(), Class::Droppable)
        }
        Notice::AgentItems { agent, version, offers, conversations } => {
            return agent_items(*agent, *version, items(offers, conversations, now()), |items| {
                tell(items.into(), Class::Essential);
            });
        }
        Notice::ListItems { list, version, rows, clipped } => {
            return list_items(list, *version, rows, *clipped, |items| tell(items.into(), Class::Essential));
        }
        Notice::ListChanged { list, version, rows, gone, clipped } => {
            return list_changed(list, *version, rows, gone, *clipped, |changed| {
                tell(changed.into(), Class::Droppable);
            });
        }
        Notice::Counts { agent, version, tallies } => {
            let Tallies { to_process, requests, mine, mine_unread } = *tallies;
            let (agent, version) = (*agent, *version);
            let counts = wire_notice::Counts { agent, version, to_process, requests, mine, mine_unread };
            (counts.into(), Class::Droppable)
        }
        Notice::Visitors { after, version, rows, gone } => {
            return visitors_changed((*after, *version), rows, gone, |changed| {
                tell(changed.into(), Class::Droppable);
            });
        }
        Notice::Targeted { visitor, targeted } => {
            let message = &targeted.message;
            let chat = wire_notice::TargetedChat {
                visitor: *visitor,
                trigger: Text::clip(&targeted.trigger),
                name: Text::clip(&message.name),
                text: Text::clip(&*message.text.0),
            };
            (chat.into(), Class::Essential)
        }
        Notice::GroupChanged(row) => {
            (wire_notice::GroupChanged { row: group_row(row) }.into(), Class::Droppable)
        }
        Notice::AgentChanged(row) => {
            (wire_notice::AgentChanged { row: agent_row(row) }.into(), Class::Droppable)
        }
    };
    tell(told, class);
}

/// A message of somebody else's, or a conversation that somebody else gave them (BO-16, BR-4). What they are asked to accept has
/// a notice of its own.
fn notify_class(agent: Option<AgentId>, entry: &wire_notice::StaffEntry) -> wire::NotifyClass {
    use wire_notice::StaffChange as Change;
    let Some(agent) = agent.filter(|agent| entry.by != wire::Actor::Agent(*agent)) else {
        return wire::NotifyClass::Silent;
    };
    match &entry.event {
        Change::Said { .. } | Change::Posted { .. } => wire::NotifyClass::Message,
        Change::Assigned { agent: owner, .. } if *owner == agent => wire::NotifyClass::Message,
        _ => wire::NotifyClass::Silent,
    }
}

fn typing(conversation: ConversationId, to: Audience, by: Option<&str>, typing: bool) -> wire_notice::Typing {
    let audience = match to {
        Audience::Agent(agent) => wire_notice::Audience::Agent(agent),
        Audience::Visitor(visitor) => wire_notice::Audience::Visitor(visitor),
    };
    let by = match (by, to) {
        (Some(name), _) => wire_notice::Typist::Agent { name: Text::clip(name) },
        (None, Audience::Agent(_)) => wire_notice::Typist::Visitor,
        (None, Audience::Visitor(_)) => wire_notice::Typist::Bot,
    };
    wire_notice::Typing { conversation, audience, by, typing }
}

fn offer_made(made: &OfferMade, now: Timestamp) -> wire_notice::OfferMade {
    let PendingOffer { kind, offer, deadline, .. } = made.pending;
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
        accept_within_ms: deadline.map(|deadline| millis(deadline.since(now))),
        visitor: made.visitor,
        waiting_since: made.waiting_since,
        variables: variables(&made.variables),
        sound: true,
        notify: wire::NotifyClass::Offer,
        link: Text::clip(Link { conversation: made.conversation, offer }.to_string()),
        face: made.face.as_deref().map(face),
        owner_face: made.owner_face.as_deref().map(face),
    }
}

/// What changed among the visitors, in as many pages as it takes: only the last of them gets on to the new version.
fn visitors_changed(
    (after, version): (u64, u64),
    rows: &[(VisitorId, Visit)],
    gone: &[VisitorId],
    mut tell: impl FnMut(wire_notice::VisitorsChanged),
) {
    let rows: Vec<_> = rows.iter().map(|(visitor, visit)| visitor_row(*visitor, visit)).collect();
    let (mut rest, mut gone) = (&rows[..], List::clip(gone.iter().copied()));
    let room = PAGE_BUDGET - protocol::weight(&gone);
    loop {
        let (page, taken) = List::fill(rest.iter().cloned(), room);
        rest = &rest[taken..];
        let version = if rest.is_empty() { version } else { after };
        tell(wire_notice::VisitorsChanged { after, version, rows: page, gone: std::mem::take(&mut gone) });
        if rest.is_empty() {
            return;
        }
    }
}

/// What an agent has, what matters most first: their conversations, what is to be answered in time, what anybody may answer.
fn items<'a>(
    offers: &'a [Arc<OfferMade>],
    conversations: &'a [ConversationRow],
    now: Timestamp,
) -> impl Iterator<Item = wire_notice::AgentItem> + 'a {
    let rows = conversations.iter().map(|row| wire_notice::AgentItem::Conversation(conversation_row(row)));
    let mut offers: Vec<&Arc<OfferMade>> = offers.iter().collect();
    let never = Timestamp::NEVER;
    offers.sort_by_key(|made| (made.pending.deadline.unwrap_or(never), made.waiting_since));
    rows.chain(offers.into_iter().map(move |made| wire_notice::AgentItem::Offer(offer_made(made, now))))
}

/// Pages of a snapshot, at least one. All of them together must not crowd a connection, or it would be lost again and again.
fn agent_items(
    agent: AgentId,
    version: u64,
    items: impl Iterator<Item = wire_notice::AgentItem>,
    mut tell: impl FnMut(wire_notice::AgentItems),
) {
    let mut whole = SNAPSHOT_BUDGET;
    let weighed = items.map(|item| (protocol::weight(&item) + 1, item));
    let mut rest = weighed
        .take_while(|(weight, _)| {
            let fits = *weight <= whole;
            whole = whole.saturating_sub(*weight);
            fits
        })
        .peekable();
    loop {
        let mut room = PAGE_BUDGET;
        let mut page = Vec::new();
        while page.len() < wire_notice::ITEMS_PAGE
            && let Some((weight, item)) = rest.next_if(|(weight, _)| *weight <= room)
        {
            room -= weight;
            page.push(item);
        }
        let more = rest.peek().is_some();
        tell(wire_notice::AgentItems { agent, version, items: List::clip(page), more });
        if !more {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::{Encoding, Notice as Told},
        routing::{Body, Variable, conversation::Phase},
    };

    fn row(number: u8) -> ConversationRow {
        ConversationRow {
            conversation: ConversationId::from_bytes([number; 16]),
            visitor: crate::ids::VisitorId::from_bytes([1; 16]),
            via: crate::ids::ClientId::from_bytes([1; 16]),
            channel: "web".parse().expect("a name"),
            phase: Phase::Active,
            group: None,
            owner: None,
            owner_face: None,
            priority: 5,
            opened_at: Timestamp::default(),
            waiting_since: None,
            seq: 1,
            origin: crate::routing::Origin::Visitor,
            bot: None,
            pseudonym: None,
            site: None,
            last_owner: None,
        }
    }

    /// An offer with `bytes` of variables that take six times as many in JSON.
    fn offer(number: u8, deadline: Option<u64>, bytes: usize) -> Arc<OfferMade> {
        let variable = |at: usize| Variable {
            name: format!("{at:02}").into(),
            value: Body("\u{1}".repeat(bytes.saturating_sub(at * 1_022).min(1_022)).into()),
        };
        Arc::new(OfferMade {
            agent: AgentId::from_bytes([1; 16]),
            conversation: ConversationId::from_bytes([number; 16]),
            pending: PendingOffer {
                kind: OfferKind::Offer,
                offer: 1,
                since: Timestamp::default(),
                deadline: deadline.map(Timestamp::from_micros),
            },
            group: None,
            visitor: crate::ids::VisitorId::from_bytes([1; 16]),
            waiting_since: Timestamp::from_micros(u64::from(number)),
            variables: (0..bytes.div_ceil(1_022)).map(variable).collect(),
            face: None,
            owner_face: None,
        })
    }

    fn told(
        offers: Vec<Arc<OfferMade>>,
        conversations: Vec<ConversationRow>,
    ) -> Vec<wire_notice::AgentItems> {
        let agent = AgentId::from_bytes([1; 16]);
        let mut pages = Vec::new();
        let items = Notice::AgentItems { agent, version: 3, offers, conversations };
        notice(&items, Timestamp::default, |told, class| {
            assert_eq!(class, Class::Essential);
            for encoding in Encoding::ALL {
                told.encode(encoding, &mut Vec::new()).expect("each page fits a frame");
            }
            match told {
                Told::AgentItems(items) => pages.push(items),
                other => panic!("{other:?}"),
            }
        });
        let more: Vec<bool> = pages.iter().map(|page| page.more).collect();
        assert!(more.iter().rev().skip(1).all(|more| *more) && more.last() == Some(&false), "{more:?}");
        pages
    }

    fn ids(pages: &[wire_notice::AgentItems]) -> Vec<u8> {
        let id = |item: &wire_notice::AgentItem| match item {
            wire_notice::AgentItem::Offer(made) => made.conversation.bytes()[0],
            wire_notice::AgentItem::Conversation(row) => row.conversation.bytes()[0],
        };
        pages.iter().flat_map(|page| page.items.iter().map(id)).collect()
    }

    #[test]
    fn a_snapshot_of_nothing_is_one_empty_page() {
        assert_eq!(told(Vec::new(), Vec::new()).len(), 1);
    }

    #[test]
    fn a_snapshot_is_cut_by_number_and_by_weight_and_loses_nothing() {
        let pages = told(Vec::new(), (0..130).map(row).collect());
        assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [64, 64, 2]);
        let pages = told((0..8).map(|number| offer(number, Some(9), 8_000)).collect(), Vec::new());
        assert_eq!((pages.len(), ids(&pages)), (8, (0..8).collect()), "one such offer weighs 48 KB");
    }

    #[test]
    fn what_is_too_much_for_a_connection_is_left_out_from_the_least_urgent_end() {
        let mut offers = vec![offer(1, None, 8_000); 20];
        offers.push(offer(2, Some(9), 8_000));
        let found = ids(&told(offers, vec![row(3)]));
        assert_eq!(found[..3], [3, 2, 1]);
        assert!(found.len() < 14, "{}", found.len());
    }

    #[test]
    fn the_time_that_is_left_counts_from_the_telling() {
        let made = offer(1, Some(45_000_000), 0);
        let mut left = None;
        notice(
            &Notice::OfferMade(made),
            || Timestamp::from_micros(5_000_000),
            |told, _| {
                if let Told::OfferMade(made) = told {
                    left = made.accept_within_ms;
                }
            },
        );
        assert_eq!(left, Some(40_000));
    }
}
