//! A conversation that needs no actor for now: closed and not in the archive yet, or missed and left alone. All that is kept of it is
//! its line in the lists and where its records are, packed into one piece of memory; its actor is started again when something
//! comes for it.

use std::rc::Rc;

use serde::Deserialize;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{ledger::Line, port::ConversationRow, space::Records};
use crate::{
    clock::Timestamp,
    codec,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
    journal::Position,
    routing::{
        Origin,
        conversation::{Attention, Phase},
    },
};

/// The visitor is there.
const CONNECTED: u8 = 1;
/// It has a line: whose, and the row at the end.
const LISTED: u8 = 2;
/// It is not over: until when it may rest.
const SLEEPS: u8 = 4;

/// What is kept. One byte that says what follows; until when it rests; whose it is; its records; its row.
pub(super) struct Resting(Box<[u8]>);

/// A row without what the lists know it by. The order of the fields is that of [`Resting::pack`].
#[derive(Deserialize)]
struct Row {
    via: ClientId,
    channel: Channel,
    group: Option<GroupId>,
    owner: Option<AgentId>,
    priority: u8,
    opened_at: Timestamp,
    waiting_since: Option<Timestamp>,
    seq: u64,
    origin: Origin,
    bot: Option<Box<SmolStr>>,
    pseudonym: Option<Box<str>>,
    site: Option<SmolStr>,
    last_owner: Option<AgentId>,
    attention: Attention,
}

impl Resting {
    /// Packs a conversation. `until`: when it has to do something by itself; `None`: it is over. Without a line it was never opened.
    pub(super) fn pack(line: Option<&Line>, records: &[Position], until: Option<Timestamp>) -> Self {
        let mut bytes = Vec::with_capacity(160);
        bytes.push(if until.is_some() { SLEEPS } else { 0 });
        bytes.extend(until.into_iter().flat_map(|until| until.micros().to_le_bytes()));
        let whose = bytes.len();
        bytes.extend_from_slice(&[0; 16]);
        put_records(&mut bytes, records);
        let row = line.map(|line| (line, put_row(&mut bytes, line)));
        match row {
            Some((line, Ok(()))) => {
                bytes[0] |= LISTED | if line.is_connected() { CONNECTED } else { 0 };
                bytes[whose..whose + 16].copy_from_slice(line.visitor.bytes());
            }
            // Rows are small, so none is refused; without one it is still found by its id.
            Some((_, Err(_))) | None => drop(bytes.drain(whose..whose + 16)),
        }
        Self(bytes.into_boxed_slice())
    }

    /// When it has to do something by itself; `None`: it is over.
    pub(super) fn until(&self) -> Option<Timestamp> {
        let bytes = self.0.get(1..9).filter(|_| self.is(SLEEPS))?;
        Some(Timestamp::from_micros(u64::from_le_bytes(bytes.try_into().ok()?)))
    }

    /// Whose it is, if it is listed.
    pub(super) fn visitor(&self) -> Option<VisitorId> {
        let at = self.whose();
        let bytes = self.0.get(at..at + 16).filter(|_| self.is(LISTED))?;
        Some(VisitorId::from_bytes(bytes.try_into().ok()?))
    }

    /// The visitor has come or gone; whether that is new.
    pub(super) fn connect(&mut self, present: bool) -> bool {
        let before = self.0[0];
        self.0[0] = if present { before | CONNECTED } else { before & !CONNECTED };
        self.0[0] != before
    }

    /// The newest of its records.
    pub(super) fn newest(&self) -> Option<Position> {
        let mut rest = self.0.get(self.records_at()..)?;
        (take_number(&mut rest)? > 0).then(|| take_number(&mut rest).map(Position::new)).flatten()
    }

    /// Where its records are, oldest first.
    pub(super) fn records(&self) -> Records {
        let mut rest = self.0.get(self.records_at()..).unwrap_or_default();
        take_records(&mut rest).unwrap_or_default()
    }

    /// Its line; `None`: it is not listed.
    pub(super) fn line(&self, conversation: ConversationId, phase: Phase) -> Option<Rc<Line>> {
        let visitor = self.visitor()?;
        let mut rest = self.0.get(self.records_at()..)?;
        take_records(&mut rest)?;
        let row: Row = codec::from_log(rest).ok()?;
        let line = ConversationRow {
            conversation,
            visitor,
            via: row.via,
            channel: row.channel,
            phase,
            group: row.group,
            owner: row.owner,
            owner_face: None,
            priority: row.priority,
            opened_at: row.opened_at,
            waiting_since: row.waiting_since,
            seq: row.seq,
            origin: row.origin,
            bot: row.bot,
            pseudonym: row.pseudonym,
            site: row.site,
            last_owner: row.last_owner,
        };
        Some(Line::remembered(line, self.is(CONNECTED), row.attention))
    }

    fn is(&self, flag: u8) -> bool {
        self.0[0] & flag != 0
    }

    fn whose(&self) -> usize {
        if self.is(SLEEPS) { 9 } else { 1 }
    }

    fn records_at(&self) -> usize {
        self.whose() + if self.is(LISTED) { 16 } else { 0 }
    }
}

fn put_row(bytes: &mut Vec<u8>, line: &Line) -> Result<(), codec::CodecError> {
    let row = line.row();
    let attention = line.attention();
    // What is over is unread by nobody.
    let attention = if row.phase == Phase::Closed { attention.at_rest() } else { attention };
    let first = (row.via, &row.channel, &row.group, row.owner, row.priority, row.opened_at);
    let then = (row.waiting_since, row.seq, row.origin, &row.bot, &row.pseudonym, &row.site);
    codec::to_log(&(first, then, row.last_owner, attention), bytes).map(drop)
}

/// The newest position in full, of the others how far each is before the next: a conversation's records lie close together.
fn put_records(bytes: &mut Vec<u8>, records: &[Position]) {
    put_number(bytes, records.len() as u64);
    let mut next = 0;
    for (number, position) in records.iter().rev().enumerate() {
        let position = position.get();
        put_number(bytes, if number == 0 { position } else { next - position });
        next = position;
    }
}

fn take_records(rest: &mut &[u8]) -> Option<Records> {
    let count = take_number(rest)?;
    let mut records = SmallVec::new();
    let mut next = 0;
    for number in 0..count {
        let value = take_number(rest)?;
        next = if number == 0 { value } else { next - value };
        records.push(Position::new(next));
    }
    records.reverse();
    Some(records)
}

/// Seven bits a byte, the lowest first.
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(0x80 | number.to_le_bytes()[0]);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(phase: Phase) -> Rc<Line> {
        let row = ConversationRow {
            conversation: ConversationId::from_bytes([1; 16]),
            visitor: VisitorId::from_bytes([2; 16]),
            via: ClientId::from_bytes([3; 16]),
            channel: "web".parse().expect("a name"),
            phase,
            group: Some("support".parse().expect("a name")),
            owner: None,
            owner_face: None,
            priority: 3,
            opened_at: Timestamp::from_micros(1_763_000_000_000_000),
            waiting_since: None,
            seq: 12,
            origin: Origin::Visitor,
            bot: Some(Box::new("guide".into())),
            pseudonym: Some("Ann from Bonn".into()),
            site: Some("shop".into()),
            last_owner: Some(AgentId::from_bytes([5; 16])),
        };
        Line::remembered(row, true, Attention::default())
    }

    fn positions(numbers: &[u64]) -> Records {
        numbers.iter().copied().map(Position::new).collect()
    }

    #[test]
    fn what_rests_comes_back_as_it_was() {
        let until = Timestamp::from_micros(1_763_000_900_000_000);
        for (phase, until) in [(Phase::Closed, None), (Phase::Missed, Some(until))] {
            for records in [&[][..], &[7], &[1, 2, 500, 70_000, 70_001, u64::from(u32::MAX) * 9]] {
                let (records, line) = (positions(records), line(phase));
                let resting = Resting::pack(Some(&line), &records, until);
                assert_eq!(resting.until(), until);
                assert_eq!(resting.visitor(), Some(line.visitor));
                assert_eq!(resting.newest(), records.last().copied());
                assert_eq!(resting.records(), records);
                let back = resting.line(line.conversation, phase).expect("it is listed");
                assert_eq!(format!("{:?}", back.row()), format!("{:?}", line.row()));
                assert!(back.is_connected());
            }
        }
    }

    #[test]
    fn what_was_never_opened_is_records_alone() {
        let resting = Resting::pack(None, &positions(&[3, 9]), None);
        assert_eq!((resting.visitor(), resting.newest()), (None, Some(Position::new(9))));
        assert_eq!(resting.records(), positions(&[3, 9]));
        assert!(resting.line(ConversationId::from_bytes([1; 16]), Phase::Closed).is_none());
    }

    #[test]
    fn a_visitor_comes_and_goes_while_it_rests() {
        let mut resting = Resting::pack(Some(&line(Phase::Missed)), &[], Some(Timestamp::default()));
        assert!(!resting.connect(true), "it was there");
        assert!(resting.connect(false));
        let back = resting.line(ConversationId::from_bytes([1; 16]), Phase::Missed).expect("it is listed");
        assert!(!back.is_connected());
    }

    /// There are as many as a busy daemon closes between two looks of the archive, and as many as are missed in ten days.
    #[test]
    fn it_takes_little_room() {
        let row = ConversationRow { bot: None, pseudonym: None, site: None, ..line(Phase::Closed).row() };
        let line = Line::remembered(row, false, Attention::default());
        let records = positions(&[80_000_000, 80_000_100, 80_000_200, 80_000_300, 80_000_400, 80_000_500]);
        let resting = Resting::pack(Some(&line), &records, None);
        assert!(resting.0.len() <= 104, "{} bytes", resting.0.len());
        assert!(size_of::<Resting>() == 16);
    }
}
