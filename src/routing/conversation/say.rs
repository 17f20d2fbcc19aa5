//! Messages both ways, and private notes.

use super::{Conversation, Event, Message, Party, State};
use crate::routing::{
    Context, Out, Refusal, Refused,
    words::{Body, By, Ticket},
};

impl Conversation {
    pub(super) fn say(
        &mut self,
        cx: &Context<'_>,
        message: Message,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !self.may_read(&ticket) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        if matches!(self.state, State::Closed { .. }) {
            return Err(Refusal::ConversationClosed.to(&ticket));
        }
        match ticket.by {
            By::Agent(agent) if !self.has_part(agent) => match self.state {
                State::Active(_) | State::Team => {
                    return Err(Refusal::WrongState("join the conversation before writing").to(&ticket));
                }
                // A public reply to an unassigned conversation takes it (BO-31).
                _ => return self.take(cx, Some(message), ticket, out),
            },
            By::Supervisor | By::Admin if !self.is_participant(Party::SUPERVISOR) => {
                return Err(Refusal::WrongState("join the conversation before writing").to(&ticket));
            }
            By::Frontend | By::System => return Err(Refusal::NotFound.to(&ticket)),
            // The last card of a branch is the one that hands over (AD-8).
            By::Bot if !matches!(self.state, State::Bot) => {
                return Err(Refusal::HandedOff.to(&ticket));
            }
            By::Bot | By::Visitor(_) | By::Agent(_) | By::Supervisor | By::Admin => {}
        }
        self.begin(&ticket, out);
        self.record(cx, message.event(), out);
        if matches!(self.state, State::Missed { .. }) && matches!(ticket.by, By::Visitor(_)) {
            self.route_again(cx, out);
        }
        self.done(&ticket, out);
        Ok(())
    }

    pub(super) fn note(
        &mut self,
        cx: &Context<'_>,
        body: Body,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let may = match ticket.by {
            By::Agent(_) => self.may_read(ticket),
            By::Supervisor | By::Admin | By::Bot => true,
            By::Visitor(_) | By::Frontend | By::System => false,
        };
        if !may {
            return Err(Refusal::NotFound.to(ticket));
        }
        if !cx.policy.features.notes {
            return Err(Refusal::FeatureDisabled("notes").to(ticket));
        }
        self.begin(ticket, out);
        self.record(cx, Event::Noted { body }, out);
        self.done(ticket, out);
        Ok(())
    }
}
