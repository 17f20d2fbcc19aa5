//! Calling out the places of a line, a few at a time: the head always, the rest in turns. A call costs what it calls, however
//! long the line is.

use super::Group;
use crate::{ids::ConversationId, routing::queue::Place};

/// Some places of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Who stands at which place, from 1.
    pub places: Vec<(ConversationId, usize)>,
    /// How many wait in all.
    pub waiting: usize,
    /// Whether this was the end of the line: the next call begins again behind the head.
    pub end: bool,
}

impl Group {
    /// The first `head` places, and at most `more` behind where the last call ended.
    pub fn call_places(&mut self, head: usize, more: usize) -> Called {
        let first = self.next_places(None, head);
        let mut places: Vec<(ConversationId, usize)> =
            first.iter().zip(1..).map(|((place, _), number)| (place.conversation, number)).collect();
        let reached = self.line.marked().zip(self.listed.marked()).filter(|((place, _), _)| {
            // What is in front of the head's end is told already.
            first.last().is_some_and(|(last, _)| place >= last)
        });
        let (from, in_line, in_listed) = match reached {
            Some(((place, in_line), (_, in_listed))) => (Some(place), in_line, in_listed),
            None => {
                let listed = first.iter().filter(|(_, listed)| *listed).count();
                (first.last().map(|(place, _)| *place), first.len() - listed, listed)
            }
        };
        let rest = if first.len() < head { Vec::new() } else { self.next_places(from, more) };
        let end = rest.len() < more;
        let before = in_line + in_listed;
        places.extend(rest.iter().zip(1..).map(|((place, _), number)| (place.conversation, before + number)));
        let listed = rest.iter().filter(|(_, listed)| *listed).count();
        let mark = rest.last().map(|(place, _)| *place).filter(|_| !end);
        self.line.mark(mark.map(|place| (place, in_line + rest.len() - listed)));
        self.listed.mark(mark.map(|place| (place, in_listed + listed)));
        Called { places, waiting: self.waiting(), end }
    }

    /// Grows whenever a place may have changed.
    #[must_use]
    pub fn line_changes(&self) -> u64 {
        self.line.changes() + self.listed.changes()
    }

    /// The next places of the line and of what is listed, each with whether it is listed.
    fn next_places(&self, from: Option<Place>, most: usize) -> Vec<(Place, bool)> {
        let line = self.line.behind(from).take(most).map(|place| (place, false));
        let listed = self.listed.behind(from).take(most).map(|place| (place, true));
        let mut places: Vec<(Place, bool)> = line.chain(listed).collect();
        places.sort_unstable();
        places.truncate(most);
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        ids::GroupId,
        routing::{queue::Admits, words::Priority},
    };

    fn place(number: u16) -> Place {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Place {
            class: Priority::DEFAULT,
            since: Timestamp::from_micros(u64::from(number)),
            conversation: ConversationId::from_bytes(id),
        }
    }

    /// A group whose every third one was announced.
    fn group(count: u16) -> Group {
        let mut group = Group::new(GroupId::everyone());
        for number in 0..count {
            let queue = if number % 3 == 0 { &mut group.listed } else { &mut group.line };
            queue.insert(place(number), Admits::except([]));
        }
        group
    }

    fn truth(group: &Group) -> Vec<(ConversationId, usize)> {
        let places = group.next_places(None, usize::MAX);
        places.iter().zip(1..).map(|((place, _), number)| (place.conversation, number)).collect()
    }

    #[test]
    fn everybody_is_called_in_turns_and_the_head_each_time() {
        let mut group = group(100);
        let truth = truth(&group);
        let mut heard = Vec::new();
        for turn in 0..3 {
            let called = group.call_places(10, 40);
            assert_eq!(called.places[..10], truth[..10], "turn {turn}");
            assert_eq!((called.waiting, called.end), (100, turn == 2));
            heard.extend_from_slice(&called.places[10..]);
        }
        assert_eq!(heard, truth[10..]);
        assert_eq!(group.call_places(10, 40).places[10..], truth[10..50], "and then from the head on again");
    }

    #[test]
    fn what_is_called_is_true_however_the_line_moves_between_the_calls() {
        let mut group = group(300);
        for step in 0..60_u16 {
            let called = group.call_places(5, 17);
            let truth = truth(&group);
            assert!(called.places.iter().all(|called| truth.contains(called)), "step {step}");
            for number in [step * 2, step * 2 + 1, 299 - step] {
                group.line.remove(&place(number), &Admits::except([]).into());
                group.listed.remove(&place(number), &Admits::except([]).into());
            }
            group.line.insert(place(400 + step), Admits::except([]));
            let early = Place { since: Timestamp::from_micros(u64::from(step)), ..place(1_000 + step) };
            group.listed.insert(early, Admits::except([]));
        }
    }

    #[test]
    fn a_line_within_its_head_is_called_at_once() {
        let mut group = group(4);
        let called = group.call_places(20, 500);
        assert_eq!((called.places.len(), called.end), (4, true));
        assert_eq!(super::Group::new(GroupId::everyone()).call_places(20, 500).places, []);
    }
}
