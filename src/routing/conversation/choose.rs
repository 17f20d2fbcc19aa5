//! Choosing a group, when the visitor is asked to (BR-15 to BR-24): what they wrote is recorded and kept, and for everybody else
//! there is no conversation before they have chosen. If they never do, there never was one.

use super::{Choice, Conversation, Event, State, rules::missing};
use crate::{
    ids::GroupId,
    routing::{
        Context, Out, Refusal, Refused,
        conversation::Ask,
        words::{By, CloseReason, QueueCause, Ticket},
        workspace,
    },
};

impl Conversation {
    /// Whether the visitor is asked to choose a group.
    #[must_use]
    pub fn is_choosing(&self) -> bool {
        matches!(self.state, State::Choosing { .. })
    }

    /// Whether nobody but its visitor may ever know of it: no group is chosen, or none was when it ended (BR-22).
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.is_choosing() || matches!(self.state, State::Closed { reason: CloseReason::NotChosen })
    }

    /// Whether it does not exist for whoever asks. A frontend hears of it what its visitor hears; once it has ended, nobody does.
    pub(super) fn is_hidden_from(&self, ticket: &Ticket) -> bool {
        match ticket.by {
            By::Visitor(_) | By::Frontend => self.is_unsent() && !self.is_choosing(),
            By::System => false,
            By::Agent(_) | By::Supervisor | By::Bot | By::Admin => self.is_unsent(),
        }
    }

    /// Keeps what was written until a group is chosen.
    pub(super) fn hold(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        let hold = cx.policy.picker.as_ref().map_or_else(Default::default, |picker| picker.hold);
        self.record(cx, Event::Held { until: cx.now + hold }, out);
    }

    /// The visitor chooses: from here on it is a conversation like any other, with what was written when it was written.
    pub(super) fn choose(
        &mut self,
        cx: &Context<'_>,
        choice: Choice,
        turned_away: bool,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !matches!(ticket.by, By::Visitor(_)) || !self.may_read(&ticket) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        match self.state {
            // In time is decided here, not by whether the deadline was acted on already.
            State::Choosing { until } if until > cx.now => {}
            State::Choosing { .. } => return Err(Refusal::NotFound.to(&ticket)),
            State::Closed { .. } => return Err(Refusal::ConversationClosed.to(&ticket)),
            _ => return Err(Refusal::WrongState("there is no group to choose any more").to(&ticket)),
        }
        let group = chosen(cx, &choice).map_err(|refusal| refusal.to(&ticket))?;
        if let Some(missing) = missing(cx, &group, self.facts()) {
            return Err(Refusal::MissingFields(missing).to(&ticket));
        }
        if self.needs_grant() && !turned_away {
            let then = Some((Ask::Choose { choice, turned_away }, ticket));
            out.tell_workspace(workspace::Command::Engage { conversation: self.id, then });
            return Ok(());
        }
        self.begin(&ticket, out);
        self.record(cx, Event::Chosen { group: group.clone() }, out);
        self.start_flow(cx, false, out);
        let preferred = self.opened.as_ref().and_then(|opened| opened.preferred);
        self.route(cx, Some(group), QueueCause::Opened, preferred, out);
        self.done(&ticket, out);
        Ok(())
    }
}

/// The group that is meant. What visitors may not choose does not exist for them.
fn chosen(cx: &Context<'_>, choice: &Choice) -> Result<GroupId, Refusal> {
    let name = match choice {
        Choice::NotSure if cx.policy.picker.as_ref().is_some_and(|picker| picker.not_sure.is_some()) => {
            return Ok(GroupId::everyone());
        }
        Choice::NotSure => return Err(Refusal::NotFound),
        Choice::Group(name) => name,
    };
    if let Some(group) = cx.policy.choices.get(name) {
        return Ok(group.clone());
    }
    match cx.policy.groups.get(name) {
        Some(group) if !group.public => Err(Refusal::NotFound),
        Some(group) if !group.enabled => Err(Refusal::GroupDisabled),
        Some(_) => Ok(name.clone()),
        None => Err(Refusal::NotFound),
    }
}
