//! Who is asked next: proposals to one agent, announcements to several, and the record of the choice.

use super::{ANNOUNCE_MAX, Event, Group, Stands, TOLD_MAX, barrier};
use crate::{
    ids::{AgentId, ConversationId},
    routing::{
        Because, Context, Decision, Out, WhyNot, agent, conversation, policy::GroupPolicy, words::Strategy,
    },
};

impl Group {
    /// Serves the whole line in its order, as far as there is anybody to serve it.
    pub(super) fn match_all(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        if self.is_still() {
            return;
        }
        // A long line is gathered only if there is somebody to serve it.
        let anybody = self.roster.available() > 0;
        for place in anybody.then(|| self.places_where(|_| true)).into_iter().flatten() {
            if self.roster.available() == 0 {
                break;
            }
            self.place(cx, place.conversation, out);
        }
        self.let_go(out);
    }

    /// A freed slot serves the longest waiting at once.
    pub(super) fn serve(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        while self.roster.is_available(agent) {
            let Some(place) = self.line.first_for(agent, self.roster.sites(agent)) else { break };
            self.place_with(cx, place.conversation, agent, out);
        }
    }

    /// An agent who becomes available hears of what was announced before.
    pub(super) fn show_line(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        for place in self.first_places(ANNOUNCE_MAX, Some(agent)) {
            self.place_with(cx, place.conversation, agent, out);
        }
    }

    /// Proposes or announces a waiting conversation to whom it suits, if there is anybody.
    pub(super) fn place(&mut self, cx: &Context<'_>, conversation: ConversationId, out: &mut Out<Event>) {
        if self.is_still() {
            return;
        }
        let (Some(policy), Some(item)) = (cx.policy.group(&self.id), self.items.get(&conversation)) else {
            return;
        };
        match item.stands {
            Stands::InLine => {}
            Stands::Listed => return self.announce(policy, conversation, out),
            Stands::With(_) => return,
        }
        let wish = item
            .waiting
            .direct
            .map(|agent| (agent, Because::Direct))
            .or(item.waiting.preferred.map(|agent| (agent, Because::Preferred)));
        let fit = item.waiting.fit();
        let wish = wish.filter(|(agent, _)| {
            fit.allows(*agent, self.roster.sites(*agent)) && self.roster.is_available(*agent)
        });
        match (wish, policy.strategy) {
            (Some((agent, because)), _) => self.propose(policy, conversation, agent, because, out),
            (None, Strategy::Broadcast | Strategy::Pull) => self.announce(policy, conversation, out),
            (None, _) => {
                let candidates = self.roster.candidates(self.pointer.as_ref(), fit.site.as_ref());
                let chosen = candidates.into_iter().find(|agent| fit.admits.allows(*agent));
                if let Some(agent) = chosen {
                    self.propose(policy, conversation, agent, Because::Strategy, out);
                }
            }
        }
    }

    /// Proposes or announces a waiting conversation to one agent who can take it.
    pub(super) fn place_with(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        agent: AgentId,
        out: &mut Out<Event>,
    ) {
        let (Some(policy), Some(item)) = (cx.policy.group(&self.id), self.items.get(&conversation)) else {
            return;
        };
        let because = if item.waiting.direct == Some(agent) {
            Because::Direct
        } else if item.waiting.preferred == Some(agent) {
            Because::Preferred
        } else {
            Because::Strategy
        };
        let announces = matches!(policy.strategy, Strategy::Broadcast | Strategy::Pull);
        if item.stands == Stands::Listed || (announces && because == Because::Strategy) {
            self.announce_to(policy, conversation, &[agent], because, out);
        } else if self.roster.is_available(agent) {
            self.propose(policy, conversation, agent, because, out);
        }
    }

    pub(super) fn propose(
        &mut self,
        policy: &GroupPolicy,
        conversation: ConversationId,
        agent: AgentId,
        because: Because,
        out: &mut Out<Event>,
    ) {
        let decision = self.decide(policy, conversation, &[agent], because);
        let waiting = self.items.get(&conversation).map(|item| &item.waiting);
        let Some((epoch, site)) = waiting.map(|waiting| (waiting.epoch, waiting.site.clone())) else {
            return;
        };
        self.stand(conversation, Stands::With(agent));
        self.roster.propose(agent, conversation);
        let turns = matches!(policy.strategy, Strategy::RoundRobin | Strategy::Assign);
        if turns
            && because == Because::Strategy
            && let Some(name) = self.roster.name(agent).cloned()
        {
            let event = Event::Pointed { name, agent };
            self.evolve(&event);
            out.events.push(event);
        }
        let decision = Box::new(decision);
        out.tell_agent(agent, agent::Command::Reserve { conversation, epoch, site, decision });
    }

    /// The record of a choice, made before it changes anything.
    pub(super) fn decide(
        &self,
        policy: &GroupPolicy,
        conversation: ConversationId,
        chosen: &[AgentId],
        because: Because,
    ) -> Decision {
        let waiting = self.items.get(&conversation).map(|item| &item.waiting);
        let allowed = |agent: &AgentId| waiting.is_none_or(|waiting| barrier(waiting, *agent).is_none());
        let site = waiting.and_then(|waiting| waiting.site.as_ref());
        let others = self.roster.candidates(self.pointer.as_ref(), site);
        let others = others.filter(|agent| !chosen.contains(agent));
        let next = match policy.strategy {
            // Everybody who could have it is asked at once: nobody is left to be next.
            Strategy::Broadcast | Strategy::Pull if because == Because::Strategy => Vec::new(),
            _ => others.filter(allowed).take(Decision::NEXT_MAX).collect(),
        };
        let mut named: Vec<(AgentId, WhyNot)> = Vec::new();
        let mut rest = self.roster.out(site);
        if let Some(waiting) = waiting {
            let names =
                waiting.direct.iter().chain(&waiting.preferred).chain(&waiting.tried).chain(&waiting.barred);
            for agent in names.filter(|agent| !chosen.contains(agent)) {
                let out = self.roster.why_not_on(*agent, site);
                let Some(why_not) = barrier(waiting, *agent).or(out) else { continue };
                if named.iter().any(|(known, _)| known == agent) {
                    continue;
                }
                named.push((*agent, why_not));
                if let Some(count) = out.and_then(|out| rest.get_mut(&out)) {
                    *count -= 1;
                }
            }
        }
        Decision {
            group: self.id.clone(),
            strategy: policy.strategy,
            because,
            next,
            named,
            rest: rest.into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }

    pub(super) fn announce(
        &mut self,
        policy: &GroupPolicy,
        conversation: ConversationId,
        out: &mut Out<Event>,
    ) {
        let Some(item) = self.items.get(&conversation) else { return };
        let fit = item.waiting.fit();
        let candidates = self.roster.candidates(None, fit.site.as_ref());
        let agents: Vec<AgentId> = candidates.filter(|agent| fit.admits.allows(*agent)).collect();
        self.announce_to(policy, conversation, &agents, Because::Strategy, out);
    }

    pub(super) fn announce_to(
        &mut self,
        policy: &GroupPolicy,
        conversation: ConversationId,
        agents: &[AgentId],
        because: Because,
        out: &mut Out<Event>,
    ) {
        let Some(item) = self.items.get(&conversation).filter(|_| !agents.is_empty()) else { return };
        let stay = item.waiting.stay;
        let mut decision = (item.stands == Stands::InLine)
            .then(|| Box::new(self.decide(policy, conversation, agents, because)));
        self.stand(conversation, Stands::Listed);
        for agents in agents.chunks(TOLD_MAX) {
            let (agents, decision) = (agents.to_vec(), decision.take());
            let announce = conversation::Command::Announce { stay, agents, decision };
            out.tell_conversation(conversation, announce);
        }
    }
}
