//! Where a conversation's records are, and what it takes to read a page of them without reading what came before it.
//!
//! Whoever reads hands in how a record is read, from the log or from the archive. What is kept here is small and is a view of the records.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{port::Numbered, space::Records};
use crate::{
    journal::Position,
    routing::conversation::{Event, Party, Record},
};

/// Records from one remembered number to the next: a page reads at most so many in vain.
const STRIDE: usize = 64;

/// Records with decisions that an explanation reads, from the newest.
const DECISIONS: usize = 64;

/// The two numberings of a conversation's events (S7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// All events.
    Staff,
    /// Those that the visitor may see.
    Visitor,
}

/// How far both numberings have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    seq: u64,
    visitor_seq: u64,
}

impl Numbers {
    fn of(self, reading: Reading) -> u64 {
        match reading {
            Reading::Staff => self.seq,
            Reading::Visitor => self.visitor_seq,
        }
    }

    fn after(self, record: &Record) -> Self {
        let visible = record.events.iter().filter(|event| event.visitor_sees()).count();
        Self { seq: self.seq + record.events.len() as u64, visitor_seq: self.visitor_seq + visible as u64 }
    }
}

/// A record in which something was decided.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Decided {
    record: u32,
    /// The record in which the stay began.
    queued: u32,
}

/// A conversation's records, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct History {
    positions: Records,
    /// Of so many of the positions the record was seen.
    seen: usize,
    newest: Numbers,
    /// The numbers before every [`STRIDE`]th record, from the second on.
    marks: Vec<Numbers>,
    decided: Vec<Decided>,
    /// Everybody who ever took part, by the names that visitors know.
    faces: Vec<Party>,
}

impl History {
    /// Records that are at these positions; [`History::see`] is to be given each of them in turn.
    #[must_use]
    pub(super) fn new(positions: Records) -> Self {
        Self { positions, ..Self::default() }
    }

    /// One more record was written.
    pub(super) fn add(&mut self, position: Position, record: &Record) {
        self.positions.push(position);
        self.see(record);
    }

    /// Takes in what the next record holds.
    pub(super) fn see(&mut self, record: &Record) {
        let number = u32::try_from(self.seen).unwrap_or(u32::MAX);
        if self.seen > 0 && self.seen.is_multiple_of(STRIDE) {
            self.marks.push(self.newest);
        }
        self.seen += 1;
        self.newest = self.newest.after(record);
        for event in &record.events {
            match event {
                Event::Queued { .. } => self.decide(number, number),
                Event::Offered { .. }
                | Event::Announced { .. }
                | Event::AnnouncedTo { .. }
                | Event::AnnouncedBy { .. }
                | Event::FellBack { .. }
                | Event::TurnedAway { .. }
                | Event::Assigned { decision: Some(_), .. } => {
                    let queued = self.decided.last().map_or(number, |last| last.queued);
                    self.decide(number, queued);
                }
                Event::Joined { agent, name } | Event::Helps { agent, name } => {
                    self.face(Party { agent: *agent, name: name.clone() })
                }
                _ => {}
            }
            if let Event::Assigned { agent, name, .. } = event {
                self.face(Party { agent: *agent, name: name.clone() });
            }
        }
    }

    fn decide(&mut self, record: u32, queued: u32) {
        match self.decided.last_mut().filter(|last| last.record == record) {
            Some(last) => last.queued = queued,
            None => self.decided.push(Decided { record, queued }),
        }
    }

    fn face(&mut self, party: Party) {
        self.faces.retain(|known| known.agent != party.agent);
        self.faces.push(party);
    }

    /// Takes the positions away, for a history to be made anew.
    pub(super) fn take(&mut self) -> Records {
        std::mem::take(&mut self.positions)
    }

    /// Where the records are.
    #[must_use]
    pub(super) fn positions(&self) -> &Records {
        &self.positions
    }

    /// Everybody who ever took part, by the names that visitors know.
    #[must_use]
    pub(super) fn faces(&self) -> &[Party] {
        &self.faces
    }

    /// The newest number.
    #[must_use]
    pub(super) fn newest(&self, reading: Reading) -> u64 {
        self.newest.of(reading)
    }

    /// The records that hold events after a number, at most so many. For a visitor those without anything to see are left out.
    pub(super) fn page(
        &self,
        after: u64,
        reading: Reading,
        most: usize,
        mut read: impl FnMut(Position) -> Option<Record>,
    ) -> Vec<Numbered> {
        let mut page = Vec::new();
        // The last mark that nothing wanted stands before.
        let mut block = self.marks.partition_point(|mark| mark.of(reading) <= after);
        let mut numbers = self.before(block);
        while page.len() < most && block * STRIDE < self.positions.len() {
            let next = self.marks.get(block).copied();
            if next.is_none_or(|next| next.of(reading) > numbers.of(reading)) {
                let records = &self.positions[block * STRIDE..];
                for position in &records[..records.len().min(STRIDE)] {
                    let Some(record) = read(*position) else { return page };
                    let before = numbers;
                    numbers = before.after(&record);
                    let wanted = numbers.of(reading) > after.max(before.of(reading));
                    if wanted && page.len() < most {
                        let Numbers { seq, visitor_seq } = before;
                        page.push(Numbered { record: Arc::new(record), seq, visitor_seq });
                    }
                    if page.len() == most {
                        break;
                    }
                }
            }
            block += 1;
            numbers = next.unwrap_or(numbers);
        }
        page
    }

    fn before(&self, block: usize) -> Numbers {
        block.checked_sub(1).and_then(|mark| self.marks.get(mark)).copied().unwrap_or_default()
    }

    /// The newest records in which something was decided, oldest first, and before them the one in which their stay began.
    pub(super) fn decisions(&self, mut read: impl FnMut(Position) -> Option<Record>) -> Vec<Record> {
        let newest = &self.decided[self.decided.len().saturating_sub(DECISIONS)..];
        let Some(first) = newest.first() else { return Vec::new() };
        let begun = (first.queued < first.record).then_some(first.queued);
        let wanted = begun.into_iter().chain(newest.iter().map(|decided| decided.record));
        let positions = wanted.filter_map(|record| self.positions.get(record as usize));
        positions.filter_map(|position| read(*position)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        ids::{AgentId, GroupId},
        routing::{Body, By, FallbackReason, QueueCause},
    };

    fn record(events: Vec<Event>) -> Record {
        Record { at: Timestamp::default(), by: By::System, key: None, events }
    }

    fn said() -> Event {
        Event::Said { body: Body("hello".into()) }
    }

    fn noted() -> Event {
        Event::Noted { body: Body("a regular".into()) }
    }

    fn queued(stay: u32) -> Event {
        Event::Queued {
            stay,
            group: GroupId::everyone(),
            cause: QueueCause::Opened,
            since: Timestamp::default(),
            wait_until: None,
            preferred: None,
            barred: None,
            chain: 0,
        }
    }

    fn fell_back() -> Event {
        Event::FellBack { reason: FallbackReason::NobodyOnline, message: None, expires: Timestamp::default() }
    }

    fn history(records: &[Record]) -> History {
        let mut history = History::default();
        for (number, record) in (0..).zip(records) {
            history.add(Position::new(number), record);
        }
        history
    }

    /// All numbers of one reading, page by page, and how many records were read for each page.
    fn walk(records: &[Record], reading: Reading, most: usize) -> (Vec<u64>, Vec<usize>) {
        let history = history(records);
        let (mut numbers, mut reads, mut after) = (Vec::new(), Vec::new(), 0);
        while after < history.newest(reading) {
            let mut count = 0;
            let page = history.page(after, reading, most, |position| {
                count += 1;
                records.get(usize::try_from(position.get()).expect("small")).cloned()
            });
            reads.push(count);
            for numbered in &page {
                let before = Numbers { seq: numbered.seq, visitor_seq: numbered.visitor_seq };
                let last = before.after(&numbered.record).of(reading);
                numbers.extend(before.of(reading) + 1..=last);
            }
            after = *numbers.last().expect("a page that is not empty");
        }
        (numbers, reads)
    }

    #[test]
    fn a_page_costs_a_page_wherever_it_begins() {
        let records: Vec<Record> = (0..3_000)
            .map(|number| match number % 5 {
                0 => record(vec![noted()]),
                1 => record(vec![said(), noted(), said()]),
                _ => record(vec![said()]),
            })
            .collect();
        for reading in [Reading::Staff, Reading::Visitor] {
            let (numbers, reads) = walk(&records, reading, 100);
            assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{reading:?}");
            assert!(reads.iter().all(|reads| *reads <= 100 + 2 * STRIDE), "{reading:?}: {reads:?}");
        }
    }

    #[test]
    fn what_a_visitor_may_not_see_is_passed_over_without_reading_it() {
        let mut records = vec![record(vec![said()])];
        records.extend((0..5_000).map(|_| record(vec![noted()])));
        records.push(record(vec![said()]));
        let (numbers, reads) = walk(&records, Reading::Visitor, 10);
        assert_eq!(numbers, [1, 2]);
        assert!(reads.iter().sum::<usize>() <= 3 * STRIDE, "{reads:?}");
    }

    #[test]
    fn the_newest_decision_is_always_there_and_the_stay_that_it_belongs_to() {
        let mut records = vec![record(vec![queued(1)]), record(vec![fell_back()])];
        for stay in 2..200 {
            records.push(record(vec![said(), queued(stay)]));
            records.extend((0..5).map(|_| record(vec![said()])));
            records.push(record(vec![fell_back()]));
        }
        records.extend((0..1_000).map(|_| record(vec![said()])));
        let mut reads = 0;
        let found = history(&records).decisions(|position| {
            reads += 1;
            records.get(usize::try_from(position.get()).expect("small")).cloned()
        });
        assert!(reads <= DECISIONS + 1, "{reads}");
        let mut stays = found.iter().flat_map(|record| &record.events).filter_map(|event| match event {
            Event::Queued { stay, .. } => Some(*stay),
            _ => None,
        });
        assert_eq!(stays.next_back(), Some(199));
        assert!(matches!(found.last().expect("some").events[..], [Event::FellBack { .. }]));

        let long: Vec<Record> = [record(vec![queued(1)])]
            .into_iter()
            .chain((0..500).map(|_| record(vec![fell_back()])))
            .collect();
        let found = history(&long)
            .decisions(|position| long.get(usize::try_from(position.get()).expect("small")).cloned());
        assert!(matches!(found[0].events[..], [Event::Queued { .. }]), "what is shown belongs to a stay");
    }

    #[test]
    fn everybody_who_took_part_is_known_by_the_last_name() {
        let joined = |name: &str| Event::Joined { agent: AgentId::from_bytes([1; 16]), name: name.into() };
        let history = history(&[record(vec![joined("Ana")]), record(vec![joined("Ann")])]);
        assert_eq!(history.faces().iter().map(|party| party.name.as_str()).collect::<Vec<_>>(), ["Ann"]);
    }
}
