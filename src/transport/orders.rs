//! From the wire to routing's words, and who may ask what at all: the roles table, as far as the role alone decides. What depends on the
//! conversation (own, part, scope) is decided by the machines, for whom "absent" and "forbidden" look alike.

use std::{net::IpAddr, time::Duration};

use smol_str::SmolStr;

use super::geo::Geo;
use crate::{
    actors::{
        aside::Subject,
        directory::Whom,
        erasure::Doomed,
        gate::{AskOf, Order, Query},
        lists::{ListFilter, ListKey, ListView},
        queries::What,
        sessions::Feed,
    },
    clock::Timestamp,
    ids::{AgentId, ClientId, Link, VisitorId},
    protocol::{
        List, Request, Text,
        refusal::RefusalCode,
        request,
        words::{self as wire, Speaker},
    },
    routing::{
        Body, By, Origin, Presence, Priority, Variable,
        agent::{Change, Profile, Push},
        conversation::{
            Ask, Choice, Destination, HandOver, Message, Opening, Part, Phase, Target, TeamOpening,
        },
        lobby::{Doing, Filter},
        workspace::{Failure, Grants},
    },
};

/// How long a token lasts that a frontend makes, at most.
const FRONTEND_TOKEN: Duration = Duration::from_secs(24 * 3_600);

/// What a request comes to for the workspace.
pub(super) enum Work {
    /// Something to be done, by whom, under which key.
    Order(By, Option<u64>, Order),
    /// Something to be looked up, by whom.
    Query(By, Query),
}

/// A no, with what is special about it.
pub(super) type No = (RefusalCode, Option<&'static str>);

/// Who asks, as far as the connection knows.
pub(super) struct Asker<'a> {
    pub(super) grants: Grants,
    pub(super) client: ClientId,
    pub(super) attached: &'a dyn Fn(AgentId) -> bool,
    pub(super) now: Timestamp,
    /// The request hashed, for its key.
    pub(super) digest: u32,
    pub(super) geo: &'a Geo,
    /// Where a visitor's own connection comes from.
    pub(super) address: Option<IpAddr>,
}

const FORBIDDEN: No = (RefusalCode::Forbidden, None);

impl Asker<'_> {
    /// For whom a command speaks.
    fn by(&self, speaker: Speaker) -> Result<By, No> {
        match (self.grants, speaker) {
            (Grants::Visitor(own), Speaker::Me) => Ok(By::Visitor(own)),
            (Grants::Visitor(own), Speaker::Visitor(visitor)) if own == visitor => Ok(By::Visitor(own)),
            (Grants::Agent(own), Speaker::Me) => Ok(By::Agent(own)),
            (Grants::Agent(own), Speaker::Agent(agent)) if own == agent => Ok(By::Agent(own)),
            (Grants::Supervisor, Speaker::Me) => Ok(By::Supervisor),
            (Grants::Frontend, Speaker::Me) => Ok(By::Frontend),
            (Grants::Frontend, Speaker::Visitor(visitor)) => Ok(By::Visitor(visitor)),
            (Grants::Frontend, Speaker::Bot) => Ok(By::Bot),
            (Grants::Frontend, Speaker::Agent(agent)) if (self.attached)(agent) => Ok(By::Agent(agent)),
            // Whether there is such an agent is not for this connection to know.
            (Grants::Frontend, Speaker::Agent(_)) => Err((RefusalCode::NotFound, None)),
            (Grants::Admin, Speaker::Me) => Ok(By::Admin),
            _ => Err((RefusalCode::Forbidden, Some("this token does not speak for them"))),
        }
    }

    /// For whom a request without a speaker is.
    fn own(&self) -> By {
        match self.grants {
            Grants::Visitor(visitor) => By::Visitor(visitor),
            Grants::Agent(agent) => By::Agent(agent),
            Grants::Supervisor => By::Supervisor,
            Grants::Frontend => By::Frontend,
            Grants::Admin => By::Admin,
        }
    }

    /// What a request comes to, unless the role alone forbids it.
    pub(super) fn work(&self, request: Request) -> Result<Work, No> {
        match request {
            Request::Open(open) => self.open(open),
            Request::Say(say) => {
                self.ask(say.speaker, say.key, say.conversation, Ask::Say(body(&say.body)), |by| {
                    matches!(by, By::Visitor(_) | By::Agent(_) | By::Supervisor | By::Bot)
                })
            }
            Request::Note(note) => {
                self.ask(note.speaker, note.key, note.conversation, Ask::Note(body(&note.body)), |by| {
                    matches!(by, By::Agent(_) | By::Supervisor | By::Bot)
                })
            }
            Request::Accept(accept) => {
                let ask = Ask::Accept { offer: accept.offer };
                self.ask(accept.speaker, accept.key, accept.conversation, ask, staff)
            }
            Request::Decline(decline) => {
                let ask = Ask::Decline { offer: decline.offer };
                self.ask(decline.speaker, decline.key, decline.conversation, ask, staff)
            }
            Request::Take(take) => self.ask(take.speaker, take.key, take.conversation, Ask::Take, staff),
            Request::Assign(assign) => {
                let force = assign.force;
                let may = |by: &By| {
                    if force { *by == By::Supervisor } else { staff(by) || *by == By::Frontend }
                };
                let (speaker, key, id) = (assign.speaker, assign.key, assign.conversation);
                match destination(assign.to) {
                    Ok(to) => self.ask(speaker, key, id, Ask::Assign { to, force }, may),
                    Err(email) => self.ask_of(speaker, key, id, email, AskOf::Assign { force }, may),
                }
            }
            Request::Transfer(transfer) => {
                let (speaker, key, id) = (transfer.speaker, transfer.key, transfer.conversation);
                let leave = transfer.leave;
                match destination(transfer.to) {
                    Ok(to) => self.ask(speaker, key, id, Ask::Transfer { to, leave }, staff),
                    Err(email) => self.ask_of(speaker, key, id, email, AskOf::Transfer { leave }, staff),
                }
            }
            Request::Invite(invite) => {
                let ask = Ask::Invite { agent: invite.agent };
                self.ask(invite.speaker, invite.key, invite.conversation, ask, staff)
            }
            Request::InviteByEmail(invite) => {
                let (speaker, key, id) = (invite.speaker, invite.key, invite.conversation);
                self.ask_of(speaker, key, id, invite.email.as_str().into(), AskOf::Invite, staff)
            }
            Request::SetPriority(set) => {
                let priority = class(set.priority)?;
                let ask = Ask::SetPriority(priority);
                self.ask(set.speaker, set.key, set.conversation, ask, |by| *by == By::Supervisor)
            }
            Request::Join(join) => {
                let ask = Ask::Join { name: join.name.as_str().into() };
                self.ask(join.speaker, join.key, join.conversation, ask, |by| *by == By::Supervisor)
            }
            Request::OpenTeamChat(open) => self.open_team(open),
            Request::Leave(leave) => {
                self.ask(leave.speaker, leave.key, leave.conversation, Ask::Leave, staff)
            }
            Request::Close(close) => {
                self.ask(close.speaker, close.key, close.conversation, Ask::Close, |by| {
                    staff(by) || matches!(by, By::Visitor(_))
                })
            }
            Request::Reopen(reopen) => {
                self.ask(reopen.speaker, reopen.key, reopen.conversation, Ask::Reopen, staff)
            }
            Request::Choose(choose) => {
                let choice = match choose.choice {
                    wire::Choice::Group(group) => Choice::Group(group),
                    wire::Choice::NotSure => Choice::NotSure,
                };
                let ask = Ask::Choose { choice, turned_away: false };
                self.ask(choose.speaker, choose.key, choose.conversation, ask, |by| {
                    matches!(by, By::Visitor(_))
                })
            }
            Request::SetVariables(asked) => {
                let mut set = variables(&asked.set);
                // An address is for an opening, and is not kept.
                let _ = self.geo.place(&mut set, None);
                let ask = Ask::SetVariables { set, unset: names(&asked.unset) };
                self.ask(asked.speaker, asked.key, asked.conversation, ask, |by| *by != By::Admin)
            }
            Request::SetTags(asked) => {
                let ask = Ask::SetTags { add: names(&asked.add), remove: names(&asked.remove) };
                self.ask(asked.speaker, asked.key, asked.conversation, ask, |by| {
                    staff(by) || matches!(by, By::Frontend | By::Bot)
                })
            }
            Request::Post(post) => {
                let (body, parts) = (body(&post.body), post.parts.iter().map(part).collect());
                let ask = Ask::Post(Box::new(Message { body, parts }));
                self.ask(post.speaker, post.key, post.conversation, ask, |by| {
                    matches!(by, By::Visitor(_) | By::Agent(_) | By::Supervisor | By::Bot)
                })
            }
            Request::RequestRating(asked) => {
                self.ask(asked.speaker, asked.key, asked.conversation, Ask::RequestRating, staff)
            }
            Request::Rate(rate) => {
                let ask = Ask::Rate { score: rate.score, comment: rate.comment.as_ref().map(body) };
                self.ask(rate.speaker, rate.key, rate.conversation, ask, |by| matches!(by, By::Visitor(_)))
            }
            Request::SetFeature(set) => Err(self.set_feature(&set)),
            Request::HandOver(asked) => self.hand_over(asked),
            Request::ReturnToBot(asked) => {
                self.ask(asked.speaker, asked.key, asked.conversation, Ask::ReturnToBot, |by| {
                    matches!(by, By::Visitor(_))
                })
            }
            Request::MarkRead(mark) => {
                let by = self.by(mark.speaker)?;
                if !staff(&by) && !matches!(by, By::Visitor(_)) {
                    return Err(FORBIDDEN);
                }
                // What it says is said again and again: it needs no key.
                Ok(Work::Order(by, None, Order::Ask(mark.conversation, Ask::MarkRead { seq: mark.seq })))
            }
            Request::Start(start) => self.start(start),
            Request::SetPresence(set) => self.set_presence(&set),
            Request::SetPush(set) => self.set_push(&set),
            Request::PutAgent(put) => self.put_agent(&put),
            Request::ChangeAgent(change) => self.change_agent(&change),
            Request::RemoveAgent(remove) => {
                self.admin()?;
                Ok(Work::Order(By::Admin, Some(remove.key), Order::RemoveAgent(remove.agent)))
            }
            Request::MintToken(mint) => self.mint(&mint),
            Request::RevokeToken(revoke) => {
                self.admin()?;
                let order = Order::RevokeToken(revoke.token_id.as_str().into());
                Ok(Work::Order(By::Admin, None, order))
            }
            Request::ReleaseQuarantine(release) => self.release(release),
            Request::ReportFailure(report) => self.report_failure(&report),
            Request::Erase(erase) => {
                self.admin()?;
                let doomed = match (erase.conversation, erase.visitor) {
                    (Some(id), None) => Doomed::Conversation(id),
                    (None, Some(visitor)) => Doomed::Visitor(visitor),
                    _ => {
                        let why = "name either a conversation or a visitor";
                        return Err((RefusalCode::Invalid, Some(why)));
                    }
                };
                let confirm = erase.confirm.map(|word| word.as_str().into());
                Ok(Work::Order(By::Admin, None, Order::Erase(doomed, confirm)))
            }
            other => self.query(other),
        }
    }

    fn ask(
        &self,
        speaker: Speaker,
        key: u64,
        conversation: crate::ids::ConversationId,
        ask: Ask,
        may: impl Fn(&By) -> bool,
    ) -> Result<Work, No> {
        let by = self.by(speaker)?;
        if !may(&by) {
            return Err(FORBIDDEN);
        }
        Ok(Work::Order(by, Some(key), Order::Ask(conversation, ask)))
    }

    /// The same about an agent who is named by where they get mail.
    fn ask_of(
        &self,
        speaker: Speaker,
        key: u64,
        conversation: crate::ids::ConversationId,
        email: smol_str::SmolStr,
        what: AskOf,
        may: impl Fn(&By) -> bool,
    ) -> Result<Work, No> {
        let by = self.by(speaker)?;
        if !may(&by) {
            return Err(FORBIDDEN);
        }
        Ok(Work::Order(by, Some(key), Order::AskOf(conversation, email, what)))
    }

    fn open_team(&self, open: request::OpenTeamChat) -> Result<Work, No> {
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

    fn open(&self, open: request::Open) -> Result<Work, No> {
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

    /// Features are the file's; images and emoji have no switch (ZD-3).
    fn set_feature(&self, set: &request::SetFeature) -> No {
        match (self.grants, set.feature.as_str()) {
            (Grants::Supervisor | Grants::Admin, "images" | "emoji") => {
                (RefusalCode::UnsupportedSetting, None)
            }
            (Grants::Supervisor | Grants::Admin, "notes" | "ratings" | "names") => {
                (RefusalCode::ManagedByConfig, None)
            }
            (Grants::Supervisor | Grants::Admin, _) => {
                (RefusalCode::Invalid, Some("there is no such feature"))
            }
            _ => FORBIDDEN,
        }
    }

    /// By agents only where they take part, which nobody does while the bot has the hand: the conversation says so.
    fn hand_over(&self, asked: request::HandOver) -> Result<Work, No> {
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

    /// An agent begins it as themself; a supervisor says who will own it.
    fn start(&self, start: request::Start) -> Result<Work, No> {
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

    /// Who speaks when an agent is to want something else: the agent, a frontend for them, a supervisor.
    fn wants_for(&self, agent: AgentId) -> Result<By, No> {
        match self.grants {
            Grants::Agent(own) if own == agent => Ok(By::Agent(agent)),
            Grants::Frontend if (self.attached)(agent) => Ok(By::Agent(agent)),
            Grants::Supervisor => Ok(By::Supervisor),
            _ => Err(FORBIDDEN),
        }
    }

    fn set_presence(&self, set: &request::SetPresence) -> Result<Work, No> {
        let by = self.wants_for(set.agent)?;
        let presence = match set.presence {
            wire::Presence::Online => Presence::Online,
            wire::Presence::Away => Presence::Away,
            wire::Presence::Offline => Presence::Offline,
        };
        Ok(Work::Order(by, Some(set.key), Order::SetPresence(set.agent, presence)))
    }

    fn set_push(&self, set: &request::SetPush) -> Result<Work, No> {
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

    fn put_agent(&self, put: &request::PutAgent) -> Result<Work, No> {
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
    fn change_agent(&self, asked: &request::ChangeAgent) -> Result<Work, No> {
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

    fn mint(&self, mint: &request::MintToken) -> Result<Work, No> {
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
    fn release(&self, release: request::ReleaseQuarantine) -> Result<Work, No> {
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
    fn report_failure(&self, report: &request::ReportFailure) -> Result<Work, No> {
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

    fn admin(&self) -> Result<(), No> {
        if self.grants == Grants::Admin { Ok(()) } else { Err(FORBIDDEN) }
    }

    // === Queries ===

    fn query(&self, request: Request) -> Result<Work, No> {
        let own = self.own();
        let reader = matches!(own, By::Agent(_) | By::Supervisor | By::Admin);
        let counter = reader || own == By::Frontend;
        let (by, query) = match request {
            Request::Typing(typing) => {
                let by = self.by(typing.speaker)?;
                if !matches!(by, By::Visitor(_) | By::Agent(_) | By::Supervisor | By::Bot) {
                    return Err(FORBIDDEN);
                }
                (by, Query::Look(Whom::Conversation(typing.conversation), What::Typing(typing.typing)))
            }
            Request::History(history) => {
                let by = self.by(history.speaker)?;
                if matches!(by, By::Frontend | By::Bot) {
                    return Err((
                        RefusalCode::Forbidden,
                        Some("say for which visitor or attached agent you read"),
                    ));
                }
                let limit = usize::from(history.limit);
                (
                    by,
                    Query::Look(
                        Whom::Conversation(history.conversation),
                        What::History { after: history.after, limit },
                    ),
                )
            }
            Request::Position(position) => {
                let by = self.by(position.speaker)?;
                if matches!(by, By::Admin | By::Bot) {
                    return Err(FORBIDDEN);
                }
                (
                    by,
                    Query::Look(
                        Whom::Conversation(position.conversation),
                        What::Position { conversation: None },
                    ),
                )
            }
            Request::ShowConversation(show) if reader => {
                (own, Query::Look(Whom::Conversation(show.conversation), What::Show))
            }
            Request::ResolveLink(resolve) => {
                let by = self.by(resolve.speaker)?;
                if !matches!(by, By::Agent(_) | By::Supervisor | By::Admin) {
                    return Err(FORBIDDEN);
                }
                let no_link = (RefusalCode::Invalid, Some("that is not a link of an offer: take it whole"));
                let link: Link = resolve.link.parse().map_err(|_| no_link)?;
                (by, Query::Look(Whom::Conversation(link.conversation), What::Show))
            }
            Request::Explain(explain) if reader => {
                let what = What::Explain { agent: explain.agent };
                (own, Query::Look(Whom::Conversation(explain.conversation), what))
            }
            Request::ListConversations(list) if reader => {
                let query = Query::Conversations {
                    phases: phases(list.view),
                    aside: list.view == wire::View::Quarantined,
                    group: list.group,
                    agent: list.agent,
                    cursor: list.cursor.map(|cursor| cursor.as_str().to_owned()),
                    limit: usize::from(list.limit),
                };
                (own, query)
            }
            Request::ListOfVisitor(list) if reader => {
                let cursor = list.cursor.map(|cursor| cursor.as_str().to_owned());
                let limit = usize::from(list.limit);
                (own, Query::OfVisitor { visitor: list.visitor, cursor, limit })
            }
            Request::ListGroups(list) if counter => {
                let cursor = list.cursor.map(|cursor| cursor.as_str().to_owned());
                (own, Query::Groups { cursor, limit: usize::from(list.limit) })
            }
            Request::ShowGroup(show) if counter => (own, Query::Look(Whom::Group(show.group), What::Show)),
            Request::ListAgents(list) if counter => {
                let cursor = list.cursor.map(|cursor| cursor.as_str().to_owned());
                (own, Query::Agents { group: list.group, cursor, limit: usize::from(list.limit) })
            }
            Request::ShowAgent(show) if counter => (own, Query::Look(Whom::Agent(show.agent), What::Show)),
            Request::ShowWorkspace(_) if matches!(own, By::Supervisor | By::Frontend | By::Admin) => {
                (own, Query::Look(Whom::Workspace, What::Show))
            }
            Request::ListChoices(list) if matches!(own, By::Visitor(_) | By::Frontend) => {
                let cursor = list.cursor.map(|cursor| cursor.as_str().to_owned());
                (own, Query::Choices { cursor, limit: usize::from(list.limit) })
            }
            Request::ListVisitors(list) if counter => {
                let filter = Filter {
                    site: list.site.map(|site| site.as_str().into()),
                    page: list.page.map(|page| page.as_str().into()),
                    doing: list.doing.map(doing),
                };
                let cursor = list.cursor.map(|cursor| cursor.as_str().to_owned());
                (own, Query::Visitors { filter, cursor, limit: usize::from(list.limit) })
            }
            Request::ListTokens(list) if own == By::Admin => {
                let cursor = list.cursor.map(|cursor| cursor.as_str().to_owned());
                (own, Query::Tokens { cursor, limit: usize::from(list.limit) })
            }
            Request::ListQuarantined(list) if own.is_supervisor() => {
                let cursor = list.cursor.map(|cursor| cursor.as_str().to_owned());
                (own, Query::Aside { cursor, limit: usize::from(list.limit) })
            }
            Request::Subscribe(subscribe) => self.subscribe(subscribe.feed)?,
            Request::Unsubscribe(unsubscribe) => (own, self.unsubscribe(unsubscribe.feed)?),
            _ => return Err(FORBIDDEN),
        };
        Ok(Work::Query(by, query))
    }

    fn subscribe(&self, feed: wire::Feed) -> Result<(By, Query), No> {
        let own = self.own();
        match feed {
            _ if own == By::Admin => Err(FORBIDDEN),
            wire::Feed::Conversation { conversation, after } => {
                Ok((own, Query::Look(Whom::Conversation(conversation), What::Subscribe { after })))
            }
            wire::Feed::Group(group) if !matches!(own, By::Visitor(_)) => {
                Ok((own, Query::Look(Whom::Group(group), What::Subscribe { after: 0 })))
            }
            wire::Feed::Agent(agent) => match self.grants {
                Grants::Agent(other) if other != agent => Err(FORBIDDEN),
                Grants::Visitor(_) => Err(FORBIDDEN),
                Grants::Frontend if !(self.attached)(agent) => Err(FORBIDDEN),
                _ => Ok((own, Query::Look(Whom::Agent(agent), What::Subscribe { after: 0 }))),
            },
            wire::Feed::List { agent, view, filter } => {
                Ok((own, Query::KeepList(self.list_key(agent, view, filter)?)))
            }
            wire::Feed::Counts { agent } => Ok((own, Query::KeepCounts(self.counts_of(agent)?))),
            wire::Feed::Visitors if !matches!(own, By::Visitor(_)) => Ok((own, Query::WatchVisitors)),
            wire::Feed::Group(_) | wire::Feed::Visitors => Err(FORBIDDEN),
        }
    }

    fn unsubscribe(&self, feed: wire::Feed) -> Result<Query, No> {
        Ok(Query::Unsubscribe(match feed {
            wire::Feed::Conversation { conversation, .. } => {
                let as_visitor = matches!(self.own(), By::Visitor(_) | By::Frontend);
                Feed::Conversation { conversation, as_visitor }
            }
            wire::Feed::Group(group) => Feed::Group(group),
            wire::Feed::Agent(agent) => Feed::Agent(agent),
            wire::Feed::Visitors => Feed::Visitors,
            wire::Feed::List { agent, view, filter } => {
                return Ok(Query::DropList(self.list_key(agent, view, filter)?));
            }
            wire::Feed::Counts { agent } => return Ok(Query::DropCounts(self.counts_of(agent)?)),
        }))
    }

    /// Through whose eyes somebody looks at lists: agents through their own, frontends through those of attached agents.
    fn eyes(&self, agent: Option<AgentId>) -> Result<Option<AgentId>, No> {
        match (self.grants, agent) {
            (Grants::Agent(own), None) => Ok(Some(own)),
            (Grants::Agent(own), Some(agent)) if agent == own => Ok(Some(own)),
            (Grants::Supervisor, agent) => Ok(agent),
            (Grants::Frontend, Some(agent)) if (self.attached)(agent) => Ok(Some(agent)),
            _ => Err(FORBIDDEN),
        }
    }

    fn list_key(
        &self,
        agent: Option<AgentId>,
        view: wire::ListView,
        filter: wire::ListFilter,
    ) -> Result<ListKey, No> {
        let view = match view {
            wire::ListView::Livechat => ListView::Livechat,
            wire::ListView::Closed => ListView::Closed,
            wire::ListView::Chatbot => ListView::Chatbot,
        };
        let filter = match filter {
            wire::ListFilter::All => ListFilter::All,
            wire::ListFilter::Unassigned => ListFilter::Unassigned,
            wire::ListFilter::Unread => ListFilter::Unread,
            wire::ListFilter::Mine => ListFilter::Mine,
            wire::ListFilter::Agent(agent) => ListFilter::Of(agent),
            wire::ListFilter::Bot(name) => ListFilter::Bot(name.as_str().into()),
        };
        Ok(ListKey { agent: self.eyes(agent)?, view, filter })
    }

    /// A frontend may count the whole workspace, too.
    fn counts_of(&self, agent: Option<AgentId>) -> Result<Option<AgentId>, No> {
        if self.grants == Grants::Frontend && agent.is_none() { Ok(None) } else { self.eyes(agent) }
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

fn part(part: &wire::Part) -> Part {
    Part {
        media: Body(part.media.as_str().into()),
        mime: part.mime.as_str().into(),
        bytes: part.bytes,
        name: part.name.as_ref().map(|name| name.as_str().into()),
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

/// Variables of the wire.
pub(super) fn variables(variables: &crate::protocol::Variables) -> Vec<Variable> {
    let variable = |variable: &wire::Variable| Variable {
        name: variable.name.as_str().into(),
        value: Body(variable.value.as_str().into()),
    };
    variables.iter().map(variable).collect()
}

fn names<const MAX: usize>(names: &List<Text<64>, MAX>) -> Vec<SmolStr> {
    names.iter().map(|name| name.as_str().into()).collect()
}

fn staff(by: &By) -> bool {
    matches!(by, By::Agent(_) | By::Supervisor)
}

fn body<const MAX: usize>(text: &crate::protocol::Text<MAX>) -> Body {
    Body(text.as_str().into())
}

/// An agent or a group, or else where an agent gets mail.
fn destination(to: wire::Destination) -> Result<Destination, smol_str::SmolStr> {
    match to {
        wire::Destination::Agent(agent) => Ok(Destination::Agent(agent)),
        wire::Destination::Group(group) => Ok(Destination::Group(group)),
        wire::Destination::Email(email) => Err(email.as_str().into()),
    }
}

fn doing(doing: wire::Doing) -> Doing {
    match doing {
        wire::Doing::Browsing => Doing::Browsing,
        wire::Doing::Choosing => Doing::Choosing,
        wire::Doing::Waiting => Doing::Waiting,
        wire::Doing::Chatting => Doing::Chatting,
        wire::Doing::WithBot => Doing::WithBot,
    }
}

fn class(number: u8) -> Result<Priority, No> {
    Priority::new(number).ok_or((RefusalCode::Invalid, Some("a priority is 0 (first) to 9 (last)")))
}

fn phases(view: wire::View) -> Vec<Phase> {
    match view {
        wire::View::All => vec![Phase::Bot, Phase::Waiting, Phase::Offered, Phase::Active, Phase::Missed],
        wire::View::Bot => vec![Phase::Bot],
        wire::View::Waiting => vec![Phase::Waiting],
        wire::View::Offered => vec![Phase::Offered],
        wire::View::Active => vec![Phase::Active],
        wire::View::Missed => vec![Phase::Missed],
        wire::View::Closed => vec![Phase::Closed],
        // Wherever they stood: they are picked by standing aside.
        wire::View::Quarantined => vec![],
        wire::View::Team => vec![Phase::Team],
    }
}
