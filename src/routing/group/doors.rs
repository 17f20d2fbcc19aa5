//! Business hours of a group: whether it is open, and when it has to look again.
//!
//! Closed, it proposes and announces nothing. Who stands in its line stays there until it opens or they have waited long enough;
//! what is offered already goes on until its answer, and people may take and assign by hand. Nobody's presence is touched.

use std::sync::Arc;

use super::{Event, Group};
use crate::{
    clock::Timestamp,
    routing::{Context, Out, hours::Hours},
};

/// What the calendar said last.
#[derive(Debug, Clone, Default)]
pub(super) struct Doors {
    pub(super) closed: bool,
    /// When that changes; `None`: never, or there is no calendar.
    changes: Option<Timestamp>,
    hours: Option<Arc<Hours>>,
    /// It has opened, and not served its line yet.
    opened: bool,
}

impl Group {
    /// Looks whether it is open, if that may have changed.
    pub(super) fn look_at_hours(&mut self, cx: &Context<'_>) {
        let hours = cx.policy.group(&self.id).and_then(|policy| policy.hours.as_ref());
        let same = match (hours, &self.doors.hours) {
            (None, None) => return,
            (Some(new), Some(old)) => Arc::ptr_eq(new, old) || new == old,
            _ => false,
        };
        if same && self.doors.changes.is_none_or(|at| cx.now < at) {
            return;
        }
        let was_closed = self.doors.closed;
        let closed = hours.is_some_and(|hours| !hours.is_open(cx.now));
        self.doors = Doors {
            closed,
            changes: hours.and_then(|hours| hours.next_change(cx.now)),
            hours: hours.cloned(),
            opened: self.doors.opened || (was_closed && !closed),
        };
    }

    /// Serves those who waited for it to open.
    pub(super) fn serve_opened(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        if std::mem::take(&mut self.doors.opened) {
            self.match_all(cx, out);
        }
    }

    /// When it has to look again: only while somebody waits for it to open.
    pub(super) fn next_opening(&self, cx: &Context<'_>) -> Option<Timestamp> {
        let waits = self.waiting() > 0;
        if self.doors.opened {
            return waits.then_some(cx.now);
        }
        self.doors.changes.filter(|_| self.doors.closed && waits)
    }
}
