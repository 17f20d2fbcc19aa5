//! How a conversation begins: by a visitor, a frontend, a bot, an agent, or among agents; and how a bot hands it over.

use super::{Asker, FORBIDDEN, No, Work, body, class, names, staff, variables};
use crate::{
    actors::gate::Order,
    ids::VisitorId,
    protocol::{refusal::RefusalCode, request, words as wire},
    routing::{
        By, Origin, Priority,
        conversation::{Ask, HandOver, Opening, Target, TeamOpening},
        workspace::Grants,
    },
};

impl Asker<'_> {
    pub(super) fn open_team(&self, open: request::OpenTeamChat) -> Result<Work, No> {
        let by = self.by(open.speaker)?;
        if !staff(&by) {
            return Err(FORBIDDEN);
        }
        let channel = "team".parse().map_err(|_| FORBIDDEN)?;
        let opening = TeamOpening {
            asked: open.conversation,
            agents: open.agents.into_vec(),
            channel,
            via: self.client,
            digest: self.digest,
        };
        Ok(Work::Order(by, None, Order::OpenTeam(Box::new(opening))))
    }

    pub(super) fn open(&self, open: request::Open) -> Result<Work, No> {
        let by = self.by(open.speaker)?;
        let (visitor, origin) = opened_for(by, open.visitor)?;
        let priority = class(open.priority)?;
        if matches!(self.grants, Grants::Visitor(_)) && priority != Priority::DEFAULT {
            return Err((RefusalCode::Forbidden, Some("visitors may not choose a priority: use 5")));
        }
        if open.bot.is_some() && self.grants != Grants::Frontend {
            return Err((RefusalCode::Forbidden, Some("a bot is a frontend's")));
        }
        if open.bot.as_ref().is_some_and(|bot| bot.is_empty()) {
            return Err((RefusalCode::Invalid, Some("a bot has a name")));
        }
        let mut known = variables(&open.variables);
        let placed = self.geo.place(&mut known, self.address);
        let opening = Opening {
            asked: open.conversation,
            visitor,
            channel: open.channel,
            target: target(open.target),
            own_choice: matches!(self.grants, Grants::Visitor(_)),
            preferred: open.preferred,
            priority,
            variables: known,
            placed,
            message: open.message.as_ref().map(body),
            origin,
            bot: open.bot.as_ref().map(|bot| bot.as_str().into()),
            via: self.client,
            digest: self.digest,
            lobby: None,
        };
        Ok(Work::Order(by, None, Order::Open(Box::new(opening))))
    }

    /// An agent begins it as themself; a supervisor says who will own it.
    pub(super) fn start(&self, start: request::Start) -> Result<Work, No> {
        let by = self.by(start.speaker)?;
        let owner = match (by, start.owner) {
            (By::Agent(agent), None) => agent,
            (By::Agent(agent), Some(owner)) if owner == agent => agent,
            (By::Supervisor, Some(owner)) => owner,
            (By::Supervisor, None) => {
                return Err((RefusalCode::Invalid, Some("say which agent will own it")));
            }
            _ => return Err(FORBIDDEN),
        };
        // It begins with what is said, not with an open window (ZD-7).
        if start.message.is_empty() {
            return Err((RefusalCode::Invalid, Some("a conversation begins with a message")));
        }
        let opening = Opening {
            asked: start.conversation,
            visitor: start.visitor,
            channel: start.channel,
            target: Target::Default,
            own_choice: false,
            preferred: None,
            priority: Priority::DEFAULT,
            variables: Vec::new(),
            origin: Origin::Agent,
            placed: Vec::new(),
            bot: None,
            message: Some(body(&start.message)),
            via: self.client,
            digest: self.digest,
            lobby: None,
        };
        Ok(Work::Order(by, None, Order::Start(Box::new(opening), owner)))
    }

    /// By agents only where they take part, which nobody does while the bot has the hand: the conversation says so.
    pub(super) fn hand_over(&self, asked: request::HandOver) -> Result<Work, No> {
        let mut known = variables(&asked.variables);
        let placed = self.geo.place(&mut known, None);
        known.extend(placed);
        let ask = Ask::HandOver(Box::new(HandOver {
            target: target(asked.target),
            preferred: asked.preferred,
            variables: known,
            tags: names(&asked.tags),
            note: asked.note.as_ref().map(body),
            may_return: asked.return_to_bot,
        }));
        self.ask(asked.speaker, asked.key, asked.conversation, ask, |by| {
            staff(by) || matches!(by, By::Frontend | By::Bot)
        })
    }
}

/// Whose conversation is opened, and by whom.
fn opened_for(by: By, named: Option<VisitorId>) -> Result<(VisitorId, Origin), No> {
    match (by, named) {
        (By::Visitor(visitor), None) => Ok((visitor, Origin::Visitor)),
        (By::Visitor(_), Some(_)) => {
            Err((RefusalCode::Invalid, Some("`visitor` is for a frontend in its own name or its bot's")))
        }
        (By::Frontend, Some(visitor)) => Ok((visitor, Origin::Api)),
        (By::Bot, Some(visitor)) => Ok((visitor, Origin::Bot)),
        _ => Err((RefusalCode::Forbidden, Some("a conversation is opened for a visitor: name one"))),
    }
}

fn target(target: wire::Target) -> Target {
    match target {
        wire::Target::Default => Target::Default,
        wire::Target::Group(group) => Target::Group(group),
        wire::Target::Agent(agent) => Target::Agent(agent),
        wire::Target::Everyone => Target::Group(crate::ids::GroupId::everyone()),
    }
}
