//! What people keep on their screens, on the wire. A console begins lists of a thousand rows and is told of some hundreds a second, so a row
//! is made once, and weighed without being written.

use std::iter::Peekable;

use super::conversation_row;
use crate::{
    actors::{
        lists::{ListFilter, ListKey, ListView},
        port::ListRow,
    },
    ids::{AgentId, ConversationId},
    protocol::{self, Encoding, List, Text, frame::PAGE_BUDGET, notice as wire_notice, words as wire},
};

/// Bytes of all rows of a snapshot together, at most: less than a connection may have waiting for it.
const SNAPSHOT_BUDGET: usize = 640 * 1_024;

/// Bytes of a row in the longer encoding, its texts apart.
const TEXTLESS: usize = 512;

/// Bytes of an ordinary row, for who reckons before it is written.
pub(in crate::transport) const fn row_weight(encoding: Encoding) -> usize {
    match encoding {
        Encoding::Bincode => 160,
        Encoding::Json => 512,
    }
}

fn list_words(list: &ListKey) -> (Option<AgentId>, wire::ListView, wire::ListFilter) {
    let view = match list.view {
        ListView::Livechat => wire::ListView::Livechat,
        ListView::Closed => wire::ListView::Closed,
        ListView::Chatbot => wire::ListView::Chatbot,
    };
    let filter = match &list.filter {
        ListFilter::All => wire::ListFilter::All,
        ListFilter::Unassigned => wire::ListFilter::Unassigned,
        ListFilter::Unread => wire::ListFilter::Unread,
        ListFilter::Mine => wire::ListFilter::Mine,
        ListFilter::Of(agent) => wire::ListFilter::Agent(*agent),
        ListFilter::Bot(name) => wire::ListFilter::Bot(Text::clip(name)),
    };
    (list.agent, view, filter)
}

fn list_row(row: &ListRow) -> wire_notice::ListRow {
    let ListRow { row, unread, unanswered, connected } = row;
    let (unread, unanswered, connected) = (*unread, *unanswered, *connected);
    wire_notice::ListRow { row: conversation_row(row), unread, unanswered, connected }
}

/// What a row weighs at most, in whichever encoding (see [`protocol::weight`]).
fn weighs_at_most(row: &wire_notice::ListRow) -> usize {
    let wire::ConversationRow { channel, group, owner_face, bot, pseudonym, site, .. } = &row.row;
    let face = owner_face.iter().map(|face| escaped(&face.name) + face.avatar.as_deref().map_or(0, escaped));
    let names = escaped(channel.as_str()) + group.as_ref().map_or(0, |group| escaped(group.as_str()));
    let texts = [bot.as_deref(), Some(&**pseudonym), site.as_deref()];
    let texts = texts.into_iter().flatten().map(escaped);
    TEXTLESS + names + face.sum::<usize>() + texts.sum::<usize>()
}

/// Bytes of a text in JSON, its quotes apart.
fn escaped(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

/// The first rows, as many as fit a page and weigh so much together; the others stay.
fn page(
    rows: &mut Peekable<impl Iterator<Item = wire_notice::ListRow>>,
    mut room: usize,
) -> List<wire_notice::ListRow, 64> {
    let mut page = Vec::with_capacity(rows.size_hint().0.min(List::<wire_notice::ListRow, 64>::MAX));
    while page.len() < List::<wire_notice::ListRow, 64>::MAX {
        let mut weight = 0;
        let fitting = rows.next_if(|row| {
            weight = weighs_at_most(row) + 1;
            weight <= room
        });
        let Some(row) = fitting else { break };
        room -= weight;
        page.push(row);
    }
    List::clip(page)
}

/// What changed on a list, in as many pages as its frames take; what is gone comes first.
pub(super) fn list_changed(
    list: &ListKey,
    version: u64,
    rows: &[ListRow],
    gone: &[ConversationId],
    clipped: bool,
    mut tell: impl FnMut(wire_notice::ListChanged),
) {
    let mut rows = rows.iter().map(list_row).peekable();
    let mut gone = List::clip(gone.iter().copied());
    // Beside the longest list of what is gone there is less room.
    let room = PAGE_BUDGET - protocol::weight(&gone);
    loop {
        let page = page(&mut rows, room);
        let (agent, view, filter) = list_words(list);
        let more = rows.peek().is_some();
        let gone = std::mem::take(&mut gone);
        tell(wire_notice::ListChanged { agent, view, filter, version, rows: page, gone, more, clipped });
        if !more {
            return;
        }
    }
}

/// Pages of a list's snapshot, at least one. What is too much for a connection is left out, and the list says so.
pub(super) fn list_items(
    list: &ListKey,
    version: u64,
    rows: &[ListRow],
    clipped: bool,
    mut tell: impl FnMut(wire_notice::ListItems),
) {
    let mut rows = rows.iter().map(list_row).peekable();
    let mut whole = SNAPSHOT_BUDGET;
    loop {
        let page = page(&mut rows, PAGE_BUDGET.min(whole));
        whole -= page.iter().map(|row| weighs_at_most(row) + 1).sum::<usize>();
        let (agent, view, filter) = list_words(list);
        let too_much = rows.peek().is_some_and(|row| weighs_at_most(row) >= whole);
        let more = rows.peek().is_some() && !too_much;
        // Only the last page knows.
        let clipped = clipped || too_much;
        tell(wire_notice::ListItems { agent, view, filter, version, rows: page, more, clipped });
        if !more {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        ids::{Channel, GroupId, VisitorId},
    };

    /// A row of which everything that can be there is, with these texts.
    fn heaviest(text: &str, status: wire::Status, origin: wire::Origin) -> wire_notice::ListRow {
        let agent = AgentId::from_bytes([0xff; 16]);
        let (channel, group): (Channel, GroupId) =
            ("w".parse().expect("a name"), "g".parse().expect("a name"));
        let row = wire::ConversationRow {
            conversation: ConversationId::from_bytes([0xff; 16]),
            visitor: VisitorId::from_bytes([0xff; 16]),
            channel,
            status,
            group: Some(group),
            owner: Some(agent),
            owner_face: Some(wire::Face { name: Text::clip(text), avatar: Some(Text::clip(text)) }),
            priority: u8::MAX,
            opened_at: Timestamp::NEVER,
            waiting_since: Some(Timestamp::NEVER),
            seq: Timestamp::NEVER.micros(),
            origin,
            bot: Some(Text::clip(text)),
            pseudonym: Text::clip(text),
            site: Some(Text::clip(text)),
            last_owner: Some(agent),
        };
        wire_notice::ListRow { row, unread: false, unanswered: false, connected: false }
    }

    #[test]
    fn no_row_weighs_more_than_is_reckoned_and_few_much_less() {
        use wire::{Origin, Status};
        let statuses = [
            Status::Bot,
            Status::Waiting,
            Status::Offered,
            Status::Active,
            Status::Missed,
            Status::Closed,
            Status::Choosing,
            Status::Team,
        ];
        for text in ["", "Ana", "\"quoted\\", "\u{1}\u{1f}\n", "né à Łódź 🙂", &"x".repeat(300)] {
            for status in statuses {
                for origin in [Origin::Visitor, Origin::Api, Origin::Bot, Origin::Agent] {
                    let row = heaviest(text, status, origin);
                    let (most, weight) = (weighs_at_most(&row), protocol::weight(&row));
                    assert!(weight <= most && most <= weight + 48, "{weight} of {most}: {text:?} {status:?}");
                }
            }
        }
    }

    #[test]
    fn pages_hold_every_row_once_and_a_snapshot_no_more_than_a_connection_takes() {
        let all = |text: &str, count: usize| {
            let rows = vec![heaviest(text, wire::Status::Active, wire::Origin::Visitor); count];
            let (mut rows, mut pages) = (rows.into_iter().peekable(), Vec::new());
            while rows.peek().is_some() {
                pages.push(page(&mut rows, PAGE_BUDGET).iter().count());
            }
            pages
        };
        assert_eq!(all("Ana", 130), [64, 64, 2]);
        let heavy = all(&"\u{1}".repeat(300), 40);
        assert!(heavy.len() > 2 && heavy.iter().sum::<usize>() == 40, "{heavy:?}");
    }
}
