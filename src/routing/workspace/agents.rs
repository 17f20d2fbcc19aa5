//! Who is an agent: names are unique, seats are counted, and what the configuration manages is its own.

use smol_str::SmolStr;

use super::{CAP_MAX, Event, Member, Workspace};
use crate::{
    ids::AgentId,
    routing::{
        Context, Out, Refusal, Refused,
        agent::{self, Change, Profile},
        words::{By, Ticket},
    },
};

impl Workspace {
    pub(super) fn put_agent(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        mut profile: Profile,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let by_config = profile.managed_by_config;
        let managed = self.agents.get(&agent).is_some_and(|member| member.managed_by_config);
        if managed && !by_config {
            return Err(Refusal::ManagedByConfig.to(&ticket));
        }
        self.check_name(agent, &profile.name).map_err(|refusal| refusal.to(&ticket))?;
        if profile.cap.is_some_and(|cap| cap == 0 || cap > CAP_MAX) {
            return Err(Refusal::Invalid("a cap is 1 to 1000").to(&ticket));
        }
        let unknown = profile.groups.iter().any(|group| !cx.policy.groups.contains_key(group));
        if unknown && !by_config {
            return Err(Refusal::Invalid("an agent's groups are groups of the configuration").to(&ticket));
        }
        if profile.live_chat && !self.has_seat_for(cx, agent) {
            if !by_config {
                return Err(Refusal::NoSeat.to(&ticket));
            }
            // The file's own agents fit; those who came by command had the rest of the seats first.
            self.waiting.insert(agent, profile.clone());
            profile.live_chat = false;
        } else {
            self.waiting.remove(&agent);
        }
        self.seat(agent, profile.live_chat);
        self.restore_agent(agent, &profile);
        out.tell_agent(agent, agent::Command::Put { profile, ticket });
        Ok(())
    }

    fn check_name(&self, agent: AgentId, name: &SmolStr) -> Result<(), Refusal> {
        let named = self.agents.iter().any(|(other, member)| *other != agent && member.name == *name);
        if name.is_empty() || named {
            return Err(Refusal::Invalid("an agent's name is not empty and not another agent's"));
        }
        Ok(())
    }

    /// A part of an agent. Who may change which is decided by the role alone, but for the limits that a supervisor keeps to.
    pub(super) fn change_agent(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        change: Change,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Some(member) = self.agents.get(&agent) else { return Err(Refusal::NotFound.to(&ticket)) };
        if member.managed_by_config {
            return Err(Refusal::ManagedByConfig.to(&ticket));
        }
        if let Some(name) = &change.name {
            self.check_name(agent, name).map_err(|refusal| refusal.to(&ticket))?;
        }
        let (most, why) = match ticket.by {
            By::Admin => (CAP_MAX, "a cap is 1 to 1000"),
            _ => (cx.policy.cap, "a supervisor sets caps from 1 up to the workspace's"),
        };
        if change.cap.is_some_and(|cap| cap == 0 || cap > most) {
            return Err(Refusal::Invalid(why).to(&ticket));
        }
        let groups = change.groups.iter().flatten();
        if groups.into_iter().any(|group| !cx.policy.groups.contains_key(group)) {
            return Err(Refusal::Invalid("an agent's groups are groups of the configuration").to(&ticket));
        }
        if change.live_chat == Some(true) && !self.has_seat_for(cx, agent) {
            return Err(Refusal::NoSeat.to(&ticket));
        }
        if let Some(seated) = change.live_chat {
            self.seat(agent, seated);
        }
        if let Some(member) = self.agents.get_mut(&agent) {
            if let Some(name) = &change.name {
                member.name.clone_from(name);
            }
            member.seated = change.live_chat.unwrap_or(member.seated);
        }
        out.tell_agent(agent, agent::Command::Change { change, ticket });
        Ok(())
    }

    pub(super) fn keep_managed(&mut self, agents: &[AgentId], out: &mut Out<Event>) {
        let gone = self.agents.iter().filter(|(id, member)| member.managed_by_config && !agents.contains(id));
        let gone: Vec<AgentId> = gone.map(|(id, _)| *id).collect();
        for agent in gone {
            self.waiting.remove(&agent);
            self.seat(agent, false);
            self.agents.remove(&agent);
            out.tell_agent(agent, agent::Command::Remove { ticket: Ticket::system() });
        }
    }

    pub(super) fn remove_agent(
        &mut self,
        agent: AgentId,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let by_config = matches!(ticket.by, super::By::System);
        match self.agents.get(&agent) {
            // The agent knows whether it was this very command that removed them.
            None => {}
            Some(member) if member.managed_by_config && !by_config => {
                return Err(Refusal::ManagedByConfig.to(&ticket));
            }
            Some(_) => {}
        }
        self.seat(agent, false);
        self.agents.remove(&agent);
        out.tell_agent(agent, agent::Command::Remove { ticket });
        Ok(())
    }

    /// An agent exists; told by recovery.
    pub fn restore_agent(&mut self, agent: AgentId, profile: &Profile) {
        let member = Member {
            name: profile.name.clone(),
            managed_by_config: profile.managed_by_config,
            seated: profile.live_chat,
        };
        self.agents.insert(agent, member);
    }

    /// What is known of an agent, from the machine that went on: for the one that is kept to rebuild it from.
    pub fn follow_agent(&mut self, agent: AgentId, other: &Self) {
        match other.agents.get(&agent) {
            Some(member) => _ = self.agents.insert(agent, member.clone()),
            None => _ = self.agents.remove(&agent),
        }
        self.waiting.clone_from(&other.waiting);
        if other.leaving.contains(&agent) {
            self.leaving.insert(agent);
        } else {
            self.leaving.remove(&agent);
        }
    }

    /// The same for all of them.
    pub fn follow_agents(&mut self, other: &Self) {
        self.agents.clone_from(&other.agents);
        self.leaving.clone_from(&other.leaving);
        self.waiting.clone_from(&other.waiting);
    }
}
