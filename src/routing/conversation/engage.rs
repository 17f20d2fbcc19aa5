//! The first time that a conversation asks for an agent is an engagement, which the workspace grants (AD-1 to AD-4). Afterwards it is
//! one for good, however often it is offered, moved, missed and opened again.

use super::{Ask, Conversation, Event, HandOver, Opening, State, Way};
use crate::routing::{
    Context, Out, Refused,
    words::{By, Ticket},
    workspace,
};

impl Conversation {
    /// Opens it, and gives back what was granted for that and is not used.
    pub(super) fn open_granted(
        &mut self,
        cx: &Context<'_>,
        opening: Box<Opening>,
        ticket: Ticket,
        way: Way,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Way::New { engaged: true, .. } = way else { return self.open(cx, opening, ticket, way, out) };
        self.may_engage = true;
        let opened = self.open(cx, opening, ticket, way, out);
        self.give_engagement_back(out);
        tell_refused(opened, out);
        Ok(())
    }

    /// Whether what is asked would bring a conversation to an agent that was refused this so far.
    pub(super) fn would_engage(&self, ask: &Ask, ticket: &Ticket) -> bool {
        let brings = match ask {
            Ask::Take | Ask::Assign { .. } => true,
            Ask::Say(_) | Ask::Post(_) => matches!(ticket.by, By::Agent(_)),
            Ask::HandOver(_) => matches!(self.state, State::Bot),
            _ => false,
        };
        brings
            && matches!(self.state, State::Bot | State::Missed { .. })
            && self.needs_grant()
            && self.may_read(ticket)
    }

    /// Whether it has to ask the workspace before it asks for an agent.
    pub(super) fn needs_grant(&self) -> bool {
        !self.engaged && !self.may_engage
    }

    /// The workspace grants it.
    pub(super) fn engaged_now(
        &mut self,
        cx: &Context<'_>,
        then: Option<Box<(Ask, Ticket)>>,
        out: &mut Out<Event>,
    ) {
        self.take_engagement(true, out);
        match then.map(|then| *then) {
            // An agent may still have to say whether they can: the grant is kept until their answer.
            Some((ask, ticket)) => match self.ask(cx, ask, ticket, out) {
                Ok(()) => {}
                refused => {
                    self.give_engagement_back(out);
                    tell_refused(refused, out);
                }
            },
            None => {
                if matches!(self.state, State::Missed { .. }) {
                    self.route_again(cx, out);
                }
                self.give_engagement_back(out);
            }
        }
    }

    /// The workspace does not grant it: a hand-over that nothing else speaks against leads to the fallback (AD-2).
    pub(super) fn hand_over_unengaged(
        &mut self,
        cx: &Context<'_>,
        hand_over: HandOver,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        match self.recall(ticket.key.as_ref()).map_err(|refusal| refusal.to(ticket))? {
            Some(reply) => out.answer(ticket, reply),
            None => self.hand_over(cx, hand_over, ticket, out)?,
        }
        Ok(())
    }

    /// What the workspace grants. Two may have asked at once: one grant is enough.
    pub(super) fn take_engagement(&mut self, granted: bool, out: &mut Out<Event>) {
        if granted && !self.needs_grant() {
            out.tell_workspace(workspace::Command::Disengage);
        }
        self.may_engage |= granted && !self.engaged;
    }

    /// Somebody else was told no meanwhile, and the engagement went back with that: it is asked for again.
    pub(super) fn ask_for_engagement(&self, ask: Ask, ticket: Ticket, out: &mut Out<Event>) {
        let (conversation, then) = (self.id, Some((ask, ticket)));
        out.tell_workspace(workspace::Command::Engage { conversation, then });
    }

    /// What was granted and not used is for somebody else.
    pub(super) fn give_engagement_back(&mut self, out: &mut Out<Event>) {
        if std::mem::take(&mut self.may_engage) {
            out.tell_workspace(workspace::Command::Disengage);
        }
    }
}

/// A refusal beside something that has to be told all the same.
fn tell_refused(result: Result<(), Refused>, out: &mut Out<Event>) {
    if let Err(Refused { reply_to: Some(reply_to), refusal }) = result {
        out.answers.push((reply_to, Err(refusal)));
    }
}
