//! Ratings: an agent asks the visitor how it was, and the visitor says so once (ZD-4).

use serde::{Deserialize, Serialize};

use super::{Conversation, Event, State};
use crate::routing::{
    Context, Out, Refusal, Refused,
    words::{Body, By, Ticket},
};

/// The best score; 1 is the worst.
pub const SCORE_MAX: u8 = 5;

/// Where a conversation's rating stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rating {
    /// The visitor was asked.
    Asked,
    /// The visitor has said.
    Given {
        /// 1 to [`SCORE_MAX`].
        score: u8,
        /// In words.
        comment: Option<Body>,
    },
}

impl Conversation {
    /// The rating; `None`: nobody asked for one.
    #[must_use]
    pub fn rating(&self) -> Option<&Rating> {
        self.rating.as_deref()
    }

    pub(super) fn request_rating(
        &mut self,
        cx: &Context<'_>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let may = match ticket.by {
            By::Agent(agent) => self.has_part(agent),
            By::Supervisor => true,
            By::Visitor(_) | By::Frontend | By::Bot | By::Admin | By::System => false,
        };
        if !may {
            return Err(Refusal::NotFound.to(ticket));
        }
        if !cx.policy.features.ratings {
            return Err(Refusal::RatingDisabled.to(ticket));
        }
        if self.rating.is_some() {
            return Err(Refusal::WrongState("the visitor was asked already").to(ticket));
        }
        self.begin(ticket, out);
        self.record(cx, Event::RatingRequested, out);
        self.done(ticket, out);
        Ok(())
    }

    /// Once, before or after the close.
    pub(super) fn rate(
        &mut self,
        cx: &Context<'_>,
        score: u8,
        comment: Option<Body>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !matches!(ticket.by, By::Visitor(_)) || !self.may_read(ticket) || matches!(self.state, State::New)
        {
            return Err(Refusal::NotFound.to(ticket));
        }
        match self.rating() {
            None => return Err(Refusal::WrongState("nobody has asked for a rating").to(ticket)),
            Some(Rating::Given { .. }) => {
                return Err(Refusal::WrongState("it is rated already").to(ticket));
            }
            Some(Rating::Asked) => {}
        }
        if !(1..=SCORE_MAX).contains(&score) {
            return Err(Refusal::Invalid("a score is 1 to 5").to(ticket));
        }
        self.begin(ticket, out);
        self.record(cx, Event::Rated { score, comment }, out);
        self.done(ticket, out);
        Ok(())
    }
}
