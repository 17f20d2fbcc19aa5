//! What an agent says of itself, and what it means for the line.

use super::{Event, Group, Standing};
use crate::{
    ids::{AgentId, ConversationId},
    routing::{
        Context, Out, WhyNot,
        conversation::{self, Unserved},
        queue::{Admits, Fit},
        roster::Change,
        words::Strategy,
    },
};

impl Group {
    /// An agent's standing has changed: serve what it can take now, and let go what nobody is left for.
    pub(super) fn react(&mut self, cx: &Context<'_>, agent: AgentId, change: Change, out: &mut Out<Event>) {
        if self.is_still() {
            return;
        }
        let announces = cx
            .policy
            .group(&self.id)
            .is_some_and(|policy| matches!(policy.strategy, Strategy::Broadcast | Strategy::Pull));
        match (change.available, announces) {
            (true, false) => self.serve(cx, agent, out),
            (true, true) if change.was_out => self.show_line(cx, agent, out),
            (true, true) | (false, _) => {}
        }
        if change.left {
            self.let_go(out);
        }
    }

    pub(super) fn react_to(
        &mut self,
        cx: &Context<'_>,
        change: Option<(AgentId, Change)>,
        out: &mut Out<Event>,
    ) {
        if let Some((agent, change)) = change {
            self.react(cx, agent, change, out);
        }
    }

    pub(super) fn proposal_refused(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        agent: AgentId,
        why_not: WhyNot,
        standing: Standing,
        out: &mut Out<Event>,
    ) {
        let change = match why_not {
            WhyNot::NotMember => self.roster.remove(agent),
            _ => self.roster.replied(agent, conversation, standing),
        };
        self.back_in_line(conversation, agent, (why_not == WhyNot::HoldsIt).then_some(agent));
        self.place(cx, conversation, out);
        self.react(cx, agent, change, out);
    }

    /// What was proposed to them, and may never be answered, goes to others. A grant that is void comes back with its conversation.
    pub(super) fn forgotten(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        let (proposals, change) = self.roster.forgot(agent);
        self.propose_to_others(cx, agent, &proposals, out);
        self.react(cx, agent, change, out);
    }

    pub(super) fn member_gone(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        let (proposals, _) = self.roster.forgot(agent);
        let change = self.roster.remove(agent);
        self.propose_to_others(cx, agent, &proposals, out);
        self.react(cx, agent, change, out);
        self.awaited(cx, None, Some(agent), out);
    }

    pub(super) fn propose_to_others(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        proposals: &[ConversationId],
        out: &mut Out<Event>,
    ) {
        for conversation in proposals {
            self.back_in_line(*conversation, agent, None);
            self.place(cx, *conversation, out);
        }
    }

    /// Tells those that were tried, or wait for one agent only, when nobody is left for them.
    pub(super) fn let_go(&self, out: &mut Out<Event>) {
        let is_stranded = |fit: &Fit| {
            let restricted = !matches!(&fit.admits, Admits::Except(agents) if agents.is_empty());
            restricted && !self.roster.anybody_present(fit)
        };
        for place in self.places_where(is_stranded) {
            if let Some(item) = self.items.get(&place.conversation) {
                let stay = item.waiting.stay;
                let why = Unserved::Exhausted;
                out.tell_conversation(place.conversation, conversation::Command::Unserved { stay, why });
            }
        }
    }
}
