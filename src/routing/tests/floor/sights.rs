//! What can be seen from outside.

use super::*;

impl Floor {
    pub(in crate::routing::tests) fn conversation(&self, visit: Visit) -> &Conversation {
        self.world.conversations.get(&visit.id).expect("a conversation")
    }

    pub(in crate::routing::tests) fn agent(&self, name: &str) -> &Agent {
        self.world.agents.get(&agent(name)).expect("an agent")
    }

    pub(in crate::routing::tests) fn group_view(&self, name: &str) -> &Group {
        self.world.groups.get(&group(name)).expect("a group")
    }

    pub(in crate::routing::tests) fn phase(&self, visit: Visit) -> Phase {
        self.conversation(visit).phase().expect("it was opened")
    }

    pub(in crate::routing::tests) fn owner(&self, visit: Visit) -> Option<&str> {
        self.conversation(visit).owner().map(|owner| owner.name.as_str())
    }

    pub(in crate::routing::tests) fn participants(&self, visit: Visit) -> Vec<&str> {
        self.conversation(visit).participants().iter().map(|party| party.name.as_str()).collect()
    }

    pub(in crate::routing::tests) fn pending(&self, name: &str, visit: Visit) -> Option<PendingOffer> {
        self.conversation(visit).pending_for(agent(name))
    }

    #[track_caller]
    pub(in crate::routing::tests) fn sees_offer(&self, name: &str, visit: Visit) {
        self.sees(name, visit, OfferKind::Offer);
    }

    #[track_caller]
    pub(in crate::routing::tests) fn sees(&self, name: &str, visit: Visit, kind: OfferKind) {
        let pending = self.pending(name, visit);
        let seen = pending.map(|pending| pending.kind);
        assert_eq!(seen, Some(kind), "what {name} sees; all see {:?}", self.offered_to(visit));
    }

    #[track_caller]
    pub(in crate::routing::tests) fn sees_nothing(&self, name: &str, visit: Visit) {
        assert_eq!(self.pending(name, visit), None, "{name} sees something");
    }

    /// Who sees something, by name.
    pub(in crate::routing::tests) fn offered_to(&self, visit: Visit) -> Vec<&str> {
        let pending = self.conversation(visit).pending_agents();
        let mut names: Vec<_> =
            pending.iter().map(|id| self.world.agents[id].profile().name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Waits in a line with nothing pending.
    #[track_caller]
    pub(in crate::routing::tests) fn waits(&self, visit: Visit, to: &str) {
        assert_eq!(self.phase(visit), Phase::Waiting);
        assert_eq!(self.conversation(visit).group(), Some(&group(to)));
    }

    #[track_caller]
    pub(in crate::routing::tests) fn fell_back(&self, visit: Visit, reason: FallbackReason) {
        let missed = self.conversation(visit).missed_because();
        assert_eq!(missed, Some(reason), "it is {:?}", self.conversation(visit).phase());
    }

    pub(in crate::routing::tests) fn slots(&self, name: &str) -> u16 {
        self.agent(name).taken()
    }

    /// Everything that was recorded.
    pub(in crate::routing::tests) fn entries(&self) -> &[Entry] {
        &self.log
    }

    /// Everything that was recorded of a conversation, with its time and author.
    pub(in crate::routing::tests) fn records(&self, visit: Visit) -> impl Iterator<Item = &Record> {
        self.log.iter().filter_map(move |entry| match entry {
            Entry::Conversation { id, record } if *id == visit.id => Some(record),
            _ => None,
        })
    }

    pub(in crate::routing::tests) fn events(&self, visit: Visit) -> Vec<&Event> {
        self.records(visit).flat_map(|record| &record.events).collect()
    }

    /// The record of the newest decision.
    pub(in crate::routing::tests) fn decision(&self, visit: Visit) -> &Decision {
        let made = |event: &&Event| matches!(event, Event::Offered { .. } | Event::Assigned { .. });
        match self.events(visit).into_iter().rfind(made) {
            Some(Event::Offered { decision, .. } | Event::Assigned { decision: Some(decision), .. }) => {
                decision
            }
            other => panic!("no decision was recorded: {other:?}"),
        }
    }

    /// What agents were told about a conversation since this was last asked.
    pub(in crate::routing::tests) fn told(&mut self, visit: Visit) -> Vec<(String, AgentNotice)> {
        let told = std::mem::take(&mut self.notices).into_iter();
        let told = told.filter(|(id, ..)| *id == visit.id);
        told.map(|(_, agent, notice)| (self.world.agents[&agent].profile().name.to_string(), notice))
            .collect()
    }

    pub(in crate::routing::tests) fn context(&self) -> Context<'_> {
        Context { now: self.now, policy: &self.policy, generations: &self.generations }
    }
}
