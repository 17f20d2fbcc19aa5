//! From the wire to routing's words, and who may ask what at all: the roles table, as far as the role alone decides. What depends on the
//! conversation (own, part, scope) is decided by the machines, for whom "absent" and "forbidden" look alike.

mod house;
mod openings;
mod questions;

use std::{net::IpAddr, time::Duration};

use smol_str::SmolStr;

use super::geo::Geo;
use crate::{
    actors::{
        erasure::Doomed,
        gate::{AskOf, Order, Query},
    },
    clock::Timestamp,
    ids::{AgentId, ClientId},
    protocol::{
        List, Request, Text,
        refusal::RefusalCode,
        words::{self as wire, Speaker},
    },
    routing::{
        Body, By, Priority, Variable,
        conversation::{Ask, Choice, Destination, Message, Part},
        lobby::Doing,
        workspace::Grants,
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
}

fn part(part: &wire::Part) -> Part {
    Part {
        media: Body(part.media.as_str().into()),
        mime: part.mime.as_str().into(),
        bytes: part.bytes,
        name: part.name.as_ref().map(|name| name.as_str().into()),
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
