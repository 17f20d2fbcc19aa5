//! What concerns no conversation: agents, tokens, features, who is let back in, what a frontend reports.

use std::time::Duration;

use super::{Asker, FORBIDDEN, FRONTEND_TOKEN, No, Work};
use crate::{
    actors::{aside::Subject, gate::Order},
    ids::AgentId,
    protocol::{refusal::RefusalCode, request, words as wire},
    routing::{
        By, Presence,
        agent::{Change, Profile, Push},
        workspace::{Failure, Grants},
    },
};

impl Asker<'_> {
    /// Who speaks when an agent is to want something else: the agent, a frontend for them, a supervisor.
    fn wants_for(&self, agent: AgentId) -> Result<By, No> {
        match self.grants {
            Grants::Agent(own) if own == agent => Ok(By::Agent(agent)),
            Grants::Frontend if (self.attached)(agent) => Ok(By::Agent(agent)),
            Grants::Supervisor => Ok(By::Supervisor),
            _ => Err(FORBIDDEN),
        }
    }

    pub(super) fn set_presence(&self, set: &request::SetPresence) -> Result<Work, No> {
        let by = self.wants_for(set.agent)?;
        let presence = match set.presence {
            wire::Presence::Online => Presence::Online,
            wire::Presence::Away => Presence::Away,
            wire::Presence::Offline => Presence::Offline,
        };
        Ok(Work::Order(by, Some(set.key), Order::SetPresence(set.agent, presence)))
    }

    pub(super) fn set_push(&self, set: &request::SetPush) -> Result<Work, No> {
        let by = self.wants_for(set.agent)?;
        let push = match &set.push {
            wire::Push::Off => Push::Off,
            wire::Push::On { endpoint: None } => Push::On { endpoint: None },
            // It goes on into other programs as it is: nothing that ends a line or hides in one.
            wire::Push::On { endpoint: Some(endpoint) } => {
                if endpoint.is_empty() || !endpoint.bytes().all(|byte| byte.is_ascii_graphic()) {
                    let why = "an endpoint is one word of visible ASCII characters";
                    return Err((RefusalCode::Invalid, Some(why)));
                }
                Push::On { endpoint: Some(endpoint.as_str().into()) }
            }
        };
        Ok(Work::Order(by, Some(set.key), Order::SetPush(set.agent, push)))
    }

    pub(super) fn put_agent(&self, put: &request::PutAgent) -> Result<Work, No> {
        self.admin()?;
        let profile = Profile {
            name: put.name.as_str().into(),
            email: put.email.as_ref().map(|email| email.as_str().into()),
            groups: put.groups.iter().cloned().collect(),
            cap: put.cap,
            live_chat: put.live_chat,
            managed_by_config: false,
            avatar: put
                .avatar
                .as_ref()
                .filter(|avatar| !avatar.is_empty())
                .map(|avatar| avatar.as_str().into()),
            sites: put.sites.iter().map(|site| site.as_str().into()).collect(),
            sees_bot: put.sees_bot,
        };
        Ok(Work::Order(By::Admin, Some(put.key), Order::PutAgent(put.agent, profile)))
    }

    /// Each part of an agent has its own column in the table of rights.
    pub(super) fn change_agent(&self, asked: &request::ChangeAgent) -> Result<Work, No> {
        let own = match self.grants {
            Grants::Agent(own) => own == asked.agent,
            Grants::Frontend => (self.attached)(asked.agent),
            Grants::Visitor(_) | Grants::Supervisor | Grants::Admin => false,
        };
        let admins = asked.sites.is_some() || asked.sees_bot.is_some() || asked.live_chat.is_some();
        let faces = asked.name.is_some() || asked.avatar.is_some();
        let by = match self.grants {
            Grants::Admin => By::Admin,
            _ if admins => return Err(FORBIDDEN),
            Grants::Supervisor if !faces => By::Supervisor,
            _ if own && asked.groups.is_none() && asked.cap.is_none() => By::Agent(asked.agent),
            _ => return Err(FORBIDDEN),
        };
        let change = Change {
            name: asked.name.as_ref().map(|name| name.as_str().into()),
            groups: asked.groups.as_ref().map(|groups| groups.iter().cloned().collect()),
            cap: asked.cap,
            avatar: asked.avatar.as_ref().map(|avatar| avatar.as_str().into()),
            sites: asked.sites.as_ref().map(|sites| sites.iter().map(|site| site.as_str().into()).collect()),
            sees_bot: asked.sees_bot,
            live_chat: asked.live_chat,
        };
        Ok(Work::Order(by, Some(asked.key), Order::ChangeAgent(asked.agent, change)))
    }

    pub(super) fn mint(&self, mint: &request::MintToken) -> Result<Work, No> {
        let missing = (RefusalCode::Invalid, Some("a visitor's or agent's token needs their id"));
        let grants = match mint.role {
            wire::Role::Visitor => Grants::Visitor(mint.visitor.ok_or(missing)?),
            wire::Role::Agent => Grants::Agent(mint.agent.ok_or(missing)?),
            wire::Role::Supervisor => Grants::Supervisor,
            wire::Role::Frontend => Grants::Frontend,
            wire::Role::Admin => Grants::Admin,
        };
        let asked = mint.ttl_seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let lasts = match (self.grants, grants) {
            (Grants::Admin, _) => asked,
            (Grants::Frontend, Grants::Visitor(_) | Grants::Agent(_)) => {
                Some(asked.unwrap_or(FRONTEND_TOKEN).min(FRONTEND_TOKEN))
            }
            _ => return Err(FORBIDDEN),
        };
        let expires = lasts.map(|lasts| self.now + lasts);
        Ok(Work::Order(self.own(), None, Order::MintToken(grants, expires)))
    }

    /// Every supervisor's right and nobody else's; it is recorded who did it.
    pub(super) fn release(&self, release: request::ReleaseQuarantine) -> Result<Work, No> {
        if self.grants != Grants::Supervisor {
            return Err(FORBIDDEN);
        }
        let subject = match (release.conversation, release.agent, release.group) {
            (None, None, None) => Subject::Workspace,
            (Some(conversation), None, None) => Subject::Conversation(conversation),
            (None, Some(agent), None) => Subject::Agent(agent),
            (None, None, Some(group)) => Subject::Group(group),
            _ => return Err((RefusalCode::Invalid, Some("name one conversation, agent or group"))),
        };
        Ok(Work::Order(By::Supervisor, None, Order::Reinstate(subject)))
    }

    /// As the frontend itself: it may be about nobody in particular.
    pub(super) fn report_failure(&self, report: &request::ReportFailure) -> Result<Work, No> {
        if self.grants != Grants::Frontend {
            return Err(FORBIDDEN);
        }
        if report.action.is_empty() || report.cause.is_empty() {
            return Err((RefusalCode::Invalid, Some("say what failed, and why")));
        }
        let failure = Failure {
            action: report.action.as_str().into(),
            cause: report.cause.as_str().into(),
            visitor: report.visitor,
            conversation: report.conversation,
            reference: report.reference.as_ref().map(|reference| reference.as_str().into()),
        };
        Ok(Work::Order(By::Frontend, None, Order::ReportFailure(failure)))
    }

    /// Features are the file's; images and emoji have no switch (ZD-3).
    pub(super) fn set_feature(&self, set: &request::SetFeature) -> No {
        match (self.grants, set.feature.as_str()) {
            (Grants::Supervisor | Grants::Admin, "images" | "emoji") => {
                (RefusalCode::UnsupportedSetting, None)
            }
            (Grants::Supervisor | Grants::Admin, "notes" | "ratings" | "names" | "team_chat") => {
                (RefusalCode::ManagedByConfig, None)
            }
            (Grants::Supervisor | Grants::Admin, _) => {
                (RefusalCode::Invalid, Some("there is no such feature"))
            }
            _ => FORBIDDEN,
        }
    }

    pub(super) fn admin(&self) -> Result<(), No> {
        if self.grants == Grants::Admin { Ok(()) } else { Err(FORBIDDEN) }
    }
}
