//! Agents among themselves (ZD-20): a conversation without a visitor, which never enters routing and uses nobody's slot.

use std::time::Duration;

use super::{Conversation, Event, Party, State, TeamOpening};
use crate::{
    ids::VisitorId,
    routing::{Context, Out, Refusal, Refused, Reply, words::Ticket},
};

/// Silence after which it is closed: nobody else would.
pub(super) const SILENCE: Duration = Duration::from_secs(24 * 3_600);

/// Stands where a visitor would.
pub(super) const NOBODY: VisitorId = VisitorId::from_bytes([0; 16]);

impl Conversation {
    /// Whether it is agents among themselves.
    #[must_use]
    pub fn is_team(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.team)
    }

    pub(super) fn open_team(
        &mut self,
        cx: &Context<'_>,
        opening: TeamOpening,
        parties: Vec<Party>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        match (&self.state, &self.opened) {
            (State::New, _) if self.is_spent() || parties.is_empty() => {
                return Err(Refusal::Failed.to(ticket));
            }
            (State::New, _) => {
                out.by = ticket.by;
                let TeamOpening { channel, via, digest, .. } = opening;
                self.record(cx, Event::TeamOpened { agents: parties, channel, via, digest }, out);
            }
            (_, Some(opened)) if opened.team && self.may_read(ticket) => {
                if opened.digest != opening.digest {
                    return Err(Refusal::KeyReused.to(ticket));
                }
            }
            _ => return Err(Refusal::NotFound.to(ticket)),
        }
        let status = self.phase().unwrap_or(super::Phase::Team);
        let (conversation, visitor_seq) = (self.id, self.visitor_seq);
        out.answer(ticket, Reply::Opened { conversation, existing: false, status, visitor_seq });
        Ok(())
    }

    /// What can't be done where there is nobody to serve.
    pub(super) fn for_visitors_only(&self, ticket: &Ticket) -> Result<(), Refused> {
        let why = "there is no visitor here: invite, or open a conversation";
        if self.is_team() { Err(Refusal::WrongState(why).to(ticket)) } else { Ok(()) }
    }
}
