//! The lies: each breaks one promise, now and then.

use std::collections::HashMap;

use anyhow::Result;
use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Encoding, Frame, NOTICE_BITS, Notice,
        notice::{OfferMade, StaffChange, StaffEntry, StaffEvent, VisitorChange, VisitorEvent},
        words::AssignCause,
    },
};

/// A lie is told on every so-manieth occasion.
const EVERY: u64 = 20;

/// What is done to what the daemon says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing.
    None,
    /// An event is left out that nobody waits for.
    DropEvent,
    /// A message is left out.
    DropMessage,
    /// An event is sent twice.
    Repeat,
    /// Two events of a conversation change places.
    Reorder,
    /// A second agent is said to have accepted.
    SecondAccept,
    /// An agent is offered more than their cap.
    OverCap {
        /// The cap.
        cap: u16,
    },
}

/// Tells one kind of lie.
pub(super) struct Liar {
    lie: Lie,
    encoding: Encoding,
    occasions: u64,
    /// How often it has lied.
    pub(super) told: u64,
    /// First events that are held back until the second has gone.
    held: HashMap<ConversationId, Vec<u8>>,
}

impl Liar {
    pub(super) fn new(lie: Lie, encoding: Encoding) -> Self {
        Self { lie, encoding, occasions: 0, told: 0, held: HashMap::new() }
    }

    /// Writes what becomes of a frame to `out`.
    pub(super) fn pass(&mut self, frame: Frame<'_>, encoding: Encoding, out: &mut Vec<u8>) -> Result<()> {
        if frame.kind & NOTICE_BITS != NOTICE_BITS || self.lie == Lie::None {
            copy(frame, out);
            return Ok(());
        }
        match Notice::decode(encoding, frame.kind, frame.body)? {
            Notice::VisitorEvent(event) => self.visitor_event(frame, &event, out),
            Notice::StaffEvent(event) => return self.staff_event(frame, &event, out),
            Notice::OfferMade(made) => return self.offer_made(frame, &made, out),
            _ => copy(frame, out),
        }
        Ok(())
    }

    fn occasion(&mut self) -> bool {
        self.occasions += 1;
        let lies = self.occasions.is_multiple_of(EVERY);
        self.told += u64::from(lies);
        lies
    }

    fn visitor_event(&mut self, frame: Frame<'_>, event: &VisitorEvent, out: &mut Vec<u8>) {
        let change = &event.entry.change;
        let possible = match self.lie {
            Lie::DropEvent => matches!(change, VisitorChange::Queued { .. }),
            Lie::DropMessage => matches!(change, VisitorChange::Said { .. }),
            Lie::Repeat => true,
            Lie::Reorder => matches!(change, VisitorChange::Opened),
            Lie::None | Lie::SecondAccept | Lie::OverCap { .. } => false,
        };
        if !possible || !self.occasion() {
            copy(frame, out);
            out.extend(self.held.remove(&event.conversation).unwrap_or_default());
            return;
        }
        match self.lie {
            Lie::Repeat => {
                copy(frame, out);
                copy(frame, out);
            }
            Lie::Reorder => {
                let held = self.held.entry(event.conversation).or_default();
                copy(frame, held);
            }
            _ => {}
        }
    }

    fn staff_event(&mut self, frame: Frame<'_>, event: &StaffEvent, out: &mut Vec<u8>) -> Result<()> {
        copy(frame, out);
        let assigned = matches!(event.entry.event, StaffChange::Assigned { .. });
        if self.lie == Lie::SecondAccept && assigned && self.occasion() {
            let second = AgentId::from_bytes([0x2d; 16]);
            let entry = StaffEntry {
                seq: event.entry.seq + 1,
                visitor_seq: None,
                event: StaffChange::Assigned { agent: second, cause: AssignCause::Accepted },
                ..event.entry.clone()
            };
            Notice::from(StaffEvent { entry, ..event.clone() }).encode(self.encoding, out)?;
        }
        Ok(())
    }

    fn offer_made(&mut self, frame: Frame<'_>, made: &OfferMade, out: &mut Vec<u8>) -> Result<()> {
        copy(frame, out);
        let Lie::OverCap { cap } = self.lie else { return Ok(()) };
        if self.occasion() {
            for number in 0..cap {
                let mut id = *made.conversation.bytes();
                id[8..10].copy_from_slice(&number.to_be_bytes());
                let forged = OfferMade { conversation: ConversationId::from_bytes(id), ..made.clone() };
                Notice::from(forged).encode(self.encoding, out)?;
            }
        }
        Ok(())
    }
}

fn copy(frame: Frame<'_>, out: &mut Vec<u8>) {
    // A frame that was read has a length that fits.
    let length = u32::try_from(frame.body.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&frame.kind.to_be_bytes());
    out.extend_from_slice(&frame.number.to_be_bytes());
    out.extend_from_slice(frame.body);
}
