//! What may be opened, and what a visitor is led to who has something open already.

use std::{collections::BTreeSet, time::Duration};

use smol_str::SmolStr;

use super::{Event, Workspace};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ConversationId, GroupId, VisitorId},
    routing::{
        Context, Out, Refusal, Refused, agent,
        conversation::{self, Opening, Party, Purpose, Target, TeamOpening, Way},
        words::{ReplyTo, Ticket},
    },
};

/// How far the time in a new conversation's id may be from daemon time (design §6, S6).
const ID_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Agents who may talk among themselves in one conversation.
const TEAM_MAX: usize = 32;

impl Workspace {
    pub(super) fn open(
        &mut self,
        cx: &Context<'_>,
        mut opening: Box<Opening>,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let key = (opening.visitor, opening.channel.clone());
        if let Some(entry) = self.open.get(&key) {
            let way = Way::Led(entry.number);
            out.tell_conversation(entry.conversation, conversation::Command::Open { opening, ticket, way });
            return Ok(());
        }
        if let Target::Group(choice) = &opening.target
            && let Some(group) = cx.policy.choices.get(choice)
        {
            opening.target = Target::Group(group.clone());
        }
        self.lead_on(&mut opening);
        self.check(cx, &opening).map_err(|refusal| refusal.to(&ticket))?;
        let placed = std::mem::take(&mut opening.placed);
        opening.variables.extend(placed);
        opening.take_facts_in();
        self.enter(key, opening.asked);
        let chooses = opening.is_undecided() && cx.policy.asks().is_some();
        // With a bot, and while its visitor chooses a group, it asks for nobody yet.
        let engaged = opening.bot.is_none() && !chooses && self.engage(cx);
        let way = Way::New { engaged, chooses };
        out.tell_conversation(opening.asked, conversation::Command::Open { opening, ticket, way });
        Ok(())
    }

    /// A targeted chat was in the name of an agent who is not there any more: it goes to where it would have gone then.
    fn lead_on(&self, opening: &mut Opening) {
        let lead = opening.lobby.as_ref().and_then(|lobby| lobby.lead.as_ref());
        if let (Some(lead), Target::Agent(agent)) = (lead, &opening.target)
            && !self.agents.contains_key(agent)
        {
            opening.target = lead.then.clone().map_or(Target::Default, Target::Group);
        }
    }

    /// An agent begins it: granted by the agent, who has the last word on their slots, and nothing before that.
    pub(super) fn start(
        &mut self,
        cx: &Context<'_>,
        mut opening: Box<Opening>,
        agent: AgentId,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let key = (opening.visitor, opening.channel.clone());
        if let Some(entry) = self.open.get(&key) {
            return Err(Refusal::HasOpen(entry.conversation).to(&ticket));
        }
        if !self.agents.contains_key(&agent) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        self.check(cx, &opening).map_err(|refusal| refusal.to(&ticket))?;
        if !self.engage(cx) {
            return Err(Refusal::QuotaExhausted.to(&ticket));
        }
        opening.take_facts_in();
        let conversation = opening.asked;
        self.enter(key, conversation);
        let site = opening.variables.iter().find(|variable| variable.name == "site");
        let site = site.map(|variable| SmolStr::new(&variable.value.0));
        let purpose = Purpose::Start { ticket, opening };
        out.tell_agent(agent, agent::Command::Claim { conversation, epoch: 0, site, purpose });
        Ok(())
    }

    pub(super) fn open_team(
        &mut self,
        cx: &Context<'_>,
        opening: Box<TeamOpening>,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !cx.policy.features.team_chat {
            return Err(Refusal::FeatureDisabled("team_chat").to(&ticket));
        }
        is_fresh(cx, opening.asked).map_err(|refusal| refusal.to(&ticket))?;
        let all: BTreeSet<AgentId> = opening.agents.iter().copied().chain(ticket.by.agent()).collect();
        let party =
            |agent: &AgentId| Some(Party { agent: *agent, name: self.agents.get(agent)?.name.clone() });
        let parties: Option<Vec<Party>> = all.iter().map(party).collect();
        let Some(parties) = parties else { return Err(Refusal::UnknownAgent.to(&ticket)) };
        if !(2..=TEAM_MAX).contains(&parties.len()) {
            return Err(Refusal::Invalid("a team chat has 2 to 32 agents").to(&ticket));
        }
        let id = opening.asked;
        out.tell_conversation(id, conversation::Command::OpenTeam { opening, parties, ticket });
        Ok(())
    }

    fn check(&self, cx: &Context<'_>, opening: &Opening) -> Result<(), Refusal> {
        is_fresh(cx, opening.asked)?;
        if !cx.policy.channels.contains(&opening.channel) {
            return Err(Refusal::ChannelNotSupported);
        }
        // A bot needs no live chat.
        if opening.bot.is_none() && !cx.policy.features.live_chat {
            return Err(Refusal::PlanNotEligible);
        }
        if opening.own_choice {
            // What was found out is not theirs to say, and is not theirs to be refused.
            conversation::check_open(cx, opening.variables.iter().map(|variable| &variable.name))?;
        }
        match &opening.target {
            Target::Default => cx.policy.default_group.as_ref().map_or(Ok(()), |group| enabled(cx, group)),
            // What visitors may not choose does not exist for them.
            Target::Group(group)
                if opening.own_choice
                    && !opening.is_led()
                    && cx.policy.group(group).is_some_and(|policy| !policy.public) =>
            {
                Err(Refusal::NotFound)
            }
            Target::Group(group) => enabled(cx, group),
            Target::Agent(agent) if self.agents.contains_key(agent) => Ok(()),
            Target::Agent(_) => Err(Refusal::NotFound),
        }
    }

    pub(super) fn reopen(
        &mut self,
        key: (VisitorId, Channel),
        conversation: ConversationId,
        granted: conversation::Command,
        reply_to: Option<ReplyTo>,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if self.open.get(&key).is_some_and(|entry| entry.conversation != conversation) {
            let why = "the visitor has another conversation open on this channel: close that one first";
            return Err(Refused { reply_to, refusal: Refusal::WrongState(why) });
        }
        // A new entry: an opening that met the conversation while it was closed must not take this one away.
        self.enter(key, conversation);
        out.tell_conversation(conversation, granted);
        Ok(())
    }
}

/// A new conversation's id says when it was made, which must be about now.
fn is_fresh(cx: &Context<'_>, id: ConversationId) -> Result<(), Refusal> {
    let Some(made_ms) = id.made_at_ms() else {
        return Err(Refusal::Invalid("a conversation's id is a UUID version 7 made when it is opened"));
    };
    let made = Timestamp::from_micros(made_ms.saturating_mul(1_000));
    let far = made.since(cx.now).max(cx.now.since(made)) > ID_AGE_MAX;
    if far { Err(Refusal::KeyExpired) } else { Ok(()) }
}

fn enabled(cx: &Context<'_>, group: &GroupId) -> Result<(), Refusal> {
    match cx.policy.group(group) {
        None => Err(Refusal::NotFound),
        Some(policy) if !policy.enabled => Err(Refusal::GroupDisabled),
        Some(_) => Ok(()),
    }
}
