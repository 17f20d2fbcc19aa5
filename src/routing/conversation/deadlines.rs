//! The one place where deadlines are acted on.

use super::{Conversation, Event, Pending, State};
use crate::routing::{
    Context, Out,
    words::{By, CloseReason, OfferOutcome},
};

impl Conversation {
    /// The one place where deadlines are acted on. Whether something was in time is decided by comparing, never by when this runs.
    pub(super) fn tick(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        out.by = By::System;
        self.expire_invitations(cx, out);
        match &self.state {
            State::Waiting(stay) => {
                let absent = self.absent_since.is_some_and(|since| since + cx.policy.visitor_grace <= cx.now);
                match &stay.pending {
                    _ if absent => self.abandon(cx, out),
                    Pending::Offer { deadline, .. } if *deadline <= cx.now => {
                        self.end_offer(cx, OfferOutcome::TimedOut, out);
                    }
                    Pending::Announcement { deadline: Some(deadline), .. } if *deadline <= cx.now => {
                        self.end_announcement(cx, out);
                    }
                    Pending::Announcement { deadline: None, .. } | Pending::Nothing => self.ask_why(cx, out),
                    Pending::Offer { .. } | Pending::Announcement { .. } => {}
                }
            }
            State::Active(active) => {
                let handover_over =
                    active.handover.as_ref().is_some_and(|handover| handover.deadline <= cx.now);
                let idle = cx.policy.idle_close.is_some_and(|idle| self.active_at + idle <= cx.now);
                if handover_over {
                    self.end_handover(cx, OfferOutcome::TimedOut, out);
                } else if idle {
                    self.close(cx, CloseReason::Idle, out);
                }
            }
            State::Missed { expires, .. } if *expires <= cx.now => {
                self.close(cx, CloseReason::MissedExpired, out);
            }
            State::Bot => self.leave_bot(cx, out),
            State::Choosing { until } if *until <= cx.now => self.close(cx, CloseReason::NotChosen, out),
            State::Team if self.active_at + super::team::SILENCE <= cx.now => {
                self.close(cx, CloseReason::Idle, out);
            }
            State::New
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. }
            | State::Team => {}
        }
        self.follow_flow(cx, out);
    }
}
