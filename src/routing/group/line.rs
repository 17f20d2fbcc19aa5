//! The waiting line: into it, out of it, and where each item stands.

use super::{Event, Group, Item, Stands, Waiting};
use crate::{
    ids::{AgentId, ConversationId},
    routing::{
        Context, Out, conversation,
        queue::{Fit, Place, Queue},
        roster::Change,
    },
};

impl Group {
    pub(super) fn enqueue(&mut self, cx: &Context<'_>, waiting: Waiting, out: &mut Out<Event>) {
        let conversation = waiting.conversation;
        let change = self.forget(conversation);
        let stay = waiting.stay;
        let verdict = self.turn_away(cx, &waiting);
        let (place, fit) = (waiting.place(), waiting.fit());
        let (index, stands) = match waiting.announced {
            true => (&mut self.listed, Stands::Listed),
            false => (&mut self.line, Stands::InLine),
        };
        index.insert(place, fit);
        self.items.insert(conversation, Item { waiting, stands });
        match verdict {
            _ if self.appoint(conversation, out) => {}
            Some(why) => out.tell_conversation(conversation, conversation::Command::Unserved { stay, why }),
            None => self.place(cx, conversation, out),
        }
        self.awaited(cx, Some(conversation), None, out);
        self.react_to(cx, change, out);
    }

    /// Moves an item between the line, what is listed, and an agent.
    pub(super) fn stand(&mut self, conversation: ConversationId, stands: Stands) {
        let Some(item) = self.items.get_mut(&conversation) else { return };
        let (place, fit) = (item.waiting.place(), item.waiting.fit());
        match std::mem::replace(&mut item.stands, stands) {
            Stands::InLine => _ = self.line.remove(&place, &fit),
            Stands::Listed => _ = self.listed.remove(&place, &fit),
            Stands::With(_) => {}
        }
        match stands {
            Stands::InLine => self.line.insert(place, fit),
            Stands::Listed => self.listed.insert(place, fit),
            Stands::With(_) => {}
        }
    }

    /// Puts what was proposed to an agent back in its place.
    pub(super) fn back_in_line(
        &mut self,
        conversation: ConversationId,
        agent: AgentId,
        shun: Option<AgentId>,
    ) {
        if let Some(item) = self.items.get_mut(&conversation)
            && item.stands == Stands::With(agent)
        {
            item.waiting.tried.extend(shun);
            self.stand(conversation, Stands::InLine);
        }
    }

    /// Takes a conversation out; what it means for the agent it was with, if it was with one.
    pub(super) fn forget(&mut self, conversation: ConversationId) -> Option<(AgentId, Change)> {
        let item = self.items.remove(&conversation)?;
        let (place, fit) = (item.waiting.place(), item.waiting.fit());
        match item.stands {
            Stands::InLine => _ = self.line.remove(&place, &fit),
            Stands::Listed => _ = self.listed.remove(&place, &fit),
            Stands::With(agent) => return Some((agent, self.roster.answered(agent, conversation))),
        }
        None
    }

    /// The first places of the line and of what is listed together, in their order, at most so many; with an agent, of those that
    /// they may take. It looks no further than it has to.
    pub(super) fn first_places(&self, most: usize, agent: Option<AgentId>) -> Vec<Place> {
        let first = |queue: &Queue| match agent {
            None => queue.behind(None).take(most).collect::<Vec<_>>(),
            Some(agent) => queue.places_for(agent, self.roster.sites(agent)).take(most).collect(),
        };
        let mut places = first(&self.line);
        places.extend(first(&self.listed));
        places.sort_unstable();
        places.truncate(most);
        places
    }

    /// The places in the line and of what is listed, in their order.
    pub(super) fn places_where(&self, wanted: impl Fn(&Fit) -> bool) -> Vec<Place> {
        let mut places = self.line.places_where(&wanted);
        places.extend(self.listed.places_where(&wanted));
        places.sort_unstable();
        places
    }

    /// A conversation or an agent that a rebuilt group waited for has answered.
    pub(super) fn awaited(
        &mut self,
        cx: &Context<'_>,
        conversation: Option<ConversationId>,
        agent: Option<AgentId>,
        out: &mut Out<Event>,
    ) {
        let was_incomplete = self.is_incomplete();
        if let Some(conversation) = conversation {
            self.awaiting.remove(&conversation);
        }
        if let Some(agent) = agent {
            self.awaiting_members.remove(&agent);
        }
        if was_incomplete && !self.is_incomplete() {
            self.match_all(cx, out);
        }
    }
}
