//! An agent begins a conversation with a visitor who has asked for nobody (ZD-6, ZD-7). There is none before the agent holds a slot for
//! it, and none without a message.

use super::{Conversation, Event, Opening, Party, State, transfer::Handing};
use crate::{
    ids::GroupId,
    routing::{
        Context, Out, Refusal, Reply, agent,
        conversation::Target,
        words::{AssignCause, By, Ticket},
        workspace,
    },
};

/// A slot that an agent holds for it.
pub(super) struct Grant {
    pub(super) party: Party,
    pub(super) generation: u32,
    pub(super) grant: u32,
    /// Whether it still counts.
    pub(super) current: bool,
}

impl Opening {
    /// What the workspace has to be told of an opening by an agent that came to nothing.
    #[must_use]
    pub fn not_started(&self) -> [workspace::Command; 2] {
        let (visitor, channel, conversation) = (self.visitor, self.channel.clone(), self.asked);
        [
            workspace::Command::Closed { visitor, channel, conversation, led: None },
            workspace::Command::Disengage,
        ]
    }
}

impl Conversation {
    /// Begins: opened, owned and written in one record.
    pub(super) fn start(
        &mut self,
        cx: &Context<'_>,
        grant: Grant,
        ticket: Ticket,
        opening: Opening,
        out: &mut Out<Event>,
    ) {
        let Grant { party, generation, grant, current } = grant;
        if !current || !matches!(self.state, State::New) || self.is_spent() {
            let conversation = self.id;
            out.tell_agent(party.agent, agent::Command::Refused { conversation, generation, grant });
            opening.not_started().into_iter().for_each(|command| out.tell_workspace(command));
            return out.refuse(&ticket, Refusal::Failed);
        }
        let group = match &opening.target {
            Target::Group(group) => group.clone(),
            Target::Default | Target::Agent(_) => GroupId::everyone(),
        };
        // Whoever lets them begin, it is written in the owner's name: the visitor reads who writes.
        out.by = By::Agent(party.agent);
        self.may_engage = true;
        let Opening { visitor, channel, priority, preferred, variables, via, digest, origin, bot, .. } =
            opening;
        let direct = None;
        let opened = Event::Opened {
            visitor,
            channel,
            priority,
            direct,
            preferred,
            variables,
            via,
            digest,
            origin,
            bot,
        };
        self.record(cx, opened, out);
        self.come_from_lobby(cx, opening.lobby, out);
        let started = match ticket.by {
            By::Supervisor => Event::StartedFor { group },
            _ => Event::Started { group },
        };
        self.record(cx, started, out);
        self.give(cx, party, Handing::to(AssignCause::Started), out);
        if let Some(body) = opening.message {
            self.record(cx, Event::Said { body }, out);
        }
        let (conversation, visitor_seq) = (self.id, self.visitor_seq);
        let status = super::Phase::Active;
        out.answer(&ticket, Reply::Opened { conversation, existing: false, status, visitor_seq });
    }
}
