//! What workflows ask of a group: whether somebody is there, and a member all the same if nobody has to be.

use super::{Event, Group, Stands};
use crate::{
    ids::ConversationId,
    routing::{
        Context, Out, agent,
        conversation::{self, Purpose, Summons},
        queue::Fit,
    },
};

impl Group {
    pub(super) fn summon(
        &self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        fit: &Fit,
        out: &mut Out<Event>,
    ) {
        let summons = match cx.policy.group(&self.id) {
            Some(policy) if policy.enabled => {
                // Before everybody has said how they stand, nobody is known to be absent.
                let somebody = self.is_still() || self.roster.anybody_present(fit);
                if somebody { Summons::SomebodyOnline } else { Summons::NobodyOnline }
            }
            Some(_) | None => Summons::Closed,
        };
        let group = self.id.clone();
        out.tell_conversation(conversation, conversation::Command::Summoned { group, epoch, summons });
    }

    /// A workflow wants a member to have it though nobody can take it now: one who is not there is given it. Whether it was.
    pub(super) fn appoint(&self, conversation: ConversationId, out: &mut Out<Event>) -> bool {
        let Some(item) = self.items.get(&conversation) else { return false };
        let waiting = &item.waiting;
        if !waiting.anyone || item.stands != Stands::InLine || self.is_still() {
            return false;
        }
        let fit = waiting.fit();
        if self.roster.candidates(None, fit.site.as_ref()).any(|agent| fit.admits.allows(agent)) {
            return false;
        }
        let Some(agent) = self.roster.absent_for(&fit) else { return false };
        let (epoch, site, purpose) = (waiting.epoch, fit.site, Purpose::Flow { only_online: false });
        out.tell_agent(agent, agent::Command::Claim { conversation, epoch, site, purpose });
        true
    }
}
