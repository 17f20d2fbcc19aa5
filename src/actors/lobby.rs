//! Who is on a workspace's sites: announced, left, listed, and told to whoever watches. `routing/lobby` knows what that means; this
//! knows whose connections say it and hear it.

use std::{rc::Rc, sync::Arc};

use smol_str::SmolStr;

use super::{
    gate::PAGE,
    port::{Answer, Notice, Port, View},
    sessions::Feed,
    space::Space,
};
use crate::{
    ids::{AgentId, ClientId, GroupId, VisitorId},
    routing::{
        By, Refusal, Reply, ReplyTo, Tell, Ticket, Variable,
        conversation::{self, FromLobby, Lead, Opening, Phase, Target, Way},
        lobby::{Announced, Doing, Filter, Holder, Led, Met, Visit},
        scope::Scope,
        workspace::{self, Grants},
    },
};

/// Changes that one notice tells.
const PIECE: usize = 40;

/// Changes that are told at a time; the rest follows half a second later.
const TURN: usize = 1_000;

/// Who looks at the list of visitors.
#[derive(Clone, PartialEq)]
enum Eyes {
    /// Whoever sees the whole workspace.
    All,
    /// An agent: whoever is led to none of their groups, or is on a site that is not theirs, they do not see.
    Of(Arc<Scope>),
    /// A frontend: its own visitors.
    Frontend(ClientId),
}

impl Eyes {
    fn see(&self, visit: &Visit) -> bool {
        match self {
            Self::All => true,
            Self::Of(scope) => {
                let site = visit.fact("site").map(SmolStr::new);
                let led = visit.led.as_ref().and_then(|led| led.group.as_ref());
                led.is_none_or(|group| scope.has(group)) && scope.sites.cover(site.as_ref())
            }
            Self::Frontend(client) => visit.via == *client,
        }
    }
}

impl Space {
    /// A visitor is there, or something about them has changed; whether there was room for them.
    pub(super) fn visit(
        &self,
        reply_to: ReplyTo,
        visitor: VisitorId,
        facts: Vec<Variable>,
        widget_open: bool,
    ) -> bool {
        let Some((holder, via)) = self.holder(reply_to.connection) else { return false };
        let doing = self.doing(visitor);
        let announced = Announced { visitor, via, holder, facts, widget_open };
        let now = self.local.now();
        let met = self.with_context(now, |cx| self.lobby.borrow_mut().announce(cx, announced, doing));
        self.lobby_changed();
        match met {
            Err(refusal) => {
                self.answer(reply_to, Err(refusal));
                false
            }
            Ok(Met { targeted, fired }) => {
                self.sessions.borrow_mut().welcome(reply_to.connection, visitor);
                fired.iter().for_each(|trigger| self.fired(trigger));
                self.answer(reply_to, Ok(Reply::Done));
                if let Some(targeted) = targeted {
                    let ports = self.sessions.borrow().visitor(visitor, via);
                    self.notify(ports, Notice::Targeted { visitor, targeted });
                }
                true
            }
        }
    }

    /// A visitor has left, says a connection.
    pub(super) fn visit_ended(&self, connection: u64, visitor: VisitorId) {
        if self.lobby.borrow().is_empty() {
            return;
        }
        if let Some((holder, _)) = self.holder(connection) {
            self.lobby.borrow_mut().leave(holder, visitor);
            self.lobby_changed();
        }
    }

    /// A connection is gone, and with it, if it was the last of a frontend, whom that frontend spoke for.
    pub(super) fn holders_lost(&self, connection: u64, frontend: Option<ClientId>) {
        if self.lobby.borrow().is_empty() {
            return;
        }
        let mut lobby = self.lobby.borrow_mut();
        lobby.lose(Holder::Connection(connection));
        frontend.into_iter().for_each(|client| lobby.lose(Holder::Frontend(client)));
        drop(lobby);
        self.lobby_changed();
    }

    /// On whose word somebody is there whom this connection announces.
    fn holder(&self, connection: u64) -> Option<(Holder, ClientId)> {
        let sessions = self.sessions.borrow();
        let link = sessions.link(connection)?;
        let holder = match link.grants {
            Grants::Frontend => Holder::Frontend(link.client),
            _ => Holder::Connection(connection),
        };
        Some((holder, link.client))
    }

    /// What a visitor does, by the conversations that they have open.
    fn doing(&self, visitor: VisitorId) -> Doing {
        let ledger = self.ledger.borrow();
        let open = ledger.of_visitor(visitor);
        let phases = open.iter().filter_map(|id| Some(Doing::of(ledger.line(*id)?.phase)));
        phases.max().unwrap_or(Doing::Browsing)
    }

    /// A conversation of a visitor's has come to another place.
    pub(super) fn visitor_does(&self, visitor: VisitorId, phase: Phase) {
        if self.lobby.borrow().is_empty() {
            return;
        }
        self.lobby.borrow_mut().does(visitor, Doing::of(phase));
        self.lobby_changed();
    }

    fn lobby_changed(&self) {
        let lobby = self.lobby.borrow();
        self.metrics.lobby_visitors.set(lobby.len() as u64);
        if lobby.has_news() {
            self.local.lines.visit(self.local.now(), self.index);
        }
    }

    fn fired(&self, trigger: &str) {
        self.local.shared.metrics.trigger(self.id.as_str(), trigger).fired.increment(1);
    }

    // === What the lobby means for an opening ===

    /// What is known of the visitor goes along; and where nobody has said where it goes, a trigger may have (BR-11).
    pub(super) fn lead(&self, opening: &mut Opening) {
        let lobby = self.lobby.borrow();
        let Some(visit) = lobby.visit(opening.visitor) else { return };
        let (facts, tags) = (visit.facts.clone(), visit.tags.to_vec());
        let lead = visit.led.as_ref().filter(|_| opening.is_undecided()).map(|led| self.leads(opening, led));
        if lead.is_some() || !facts.is_empty() || !tags.is_empty() {
            opening.lobby = Some(Box::new(FromLobby { facts, tags, lead }));
        }
    }

    /// To the agent whose targeted chat is answered, should they be able to: if not, to the trigger's group, else the first of
    /// theirs, else as if nobody had written (BR-18).
    fn leads(&self, opening: &mut Opening, led: &Led) -> Lead {
        let policy = self.policy();
        let open = |group: &GroupId| policy.group(group).is_some_and(|rules| rules.enabled);
        let agent = led.message.as_ref().map(|message| message.agent);
        let scope = agent.and_then(|agent| self.scope(agent));
        let groups = led.group.iter().chain(scope.iter().flat_map(|scope| scope.groups.iter()));
        let then = groups.chain(&policy.default_group).find(|group| open(group)).cloned();
        opening.target = match (agent.filter(|_| scope.is_some()), &led.group) {
            (Some(agent), _) => Target::Agent(agent),
            (None, Some(group)) if open(group) => Target::Group(group.clone()),
            (None, _) => Target::Default,
        };
        let text = led.message.as_ref().map(|message| message.text.clone());
        Lead { trigger: led.trigger.clone(), text, then }
    }

    /// An agent begins a conversation with somebody in the lobby; `opening`: all but where the visitor is.
    pub(super) fn start_conversation(
        self: &Rc<Self>,
        mut opening: Box<Opening>,
        agent: AgentId,
        ticket: Ticket,
    ) {
        let id = opening.asked;
        if self.knows(id) {
            let way = Way::Known;
            return self.tell(Tell::Conversation(id, conversation::Command::Open { opening, ticket, way }));
        }
        let connection = ticket.reply_to.map_or(0, |reply_to| reply_to.connection);
        let eyes = self.eyes(connection, ticket.by);
        let via = {
            let lobby = self.lobby.borrow();
            let visit = lobby.visit(opening.visitor);
            visit.filter(|visit| eyes.is_some_and(|eyes| eyes.see(visit))).map(|visit| visit.via)
        };
        let Some(via) = via else {
            return ticket.reply_to.into_iter().for_each(|to| self.answer(to, Err(Refusal::NotFound)));
        };
        opening.via = via;
        // What the visitor was led to, if the agent serves there, else the first of the agent's groups.
        let scope = self.scope(agent).unwrap_or_default();
        let lobby = self.lobby.borrow();
        let led = lobby.visit(opening.visitor).and_then(|visit| visit.led.as_ref()?.group.clone());
        drop(lobby);
        let group = led.filter(|led| scope.groups.contains(led)).or_else(|| scope.groups.first().cloned());
        opening.target = Target::Group(group.unwrap_or_else(GroupId::everyone));
        self.lead(&mut opening);
        self.tell(Tell::Workspace(workspace::Command::Start { opening, agent, ticket }));
    }

    // === Lists and watchers ===

    fn eyes(&self, connection: u64, by: By) -> Option<Eyes> {
        match by {
            By::Agent(agent) => self.scope(agent).map(Eyes::Of),
            By::Supervisor | By::Admin => Some(Eyes::All),
            By::Frontend => self.sessions.borrow().link(connection).map(|link| Eyes::Frontend(link.client)),
            By::Visitor(_) | By::Bot | By::System => None,
        }
    }

    /// A page of visitors, in the order of their ids.
    pub(super) fn list_visitors(
        &self,
        ticket: &Ticket,
        filter: &Filter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Answer {
        let after: Option<VisitorId> = match cursor.map(str::parse) {
            Some(Err(_)) => {
                return Answer::Refused(Refusal::Invalid("the cursor is not one that a page gave"));
            }
            Some(Ok(after)) => Some(after),
            None => None,
        };
        let connection = ticket.reply_to.map_or(0, |reply_to| reply_to.connection);
        let Some(eyes) = self.eyes(connection, ticket.by) else {
            return Answer::Refused(Refusal::NotFound);
        };
        let limit = limit.clamp(1, PAGE);
        let lobby = self.lobby.borrow();
        let seen = lobby.visits(after).filter(|(_, visit)| eyes.see(visit) && filter.admits(visit));
        let mut rows: Vec<_> =
            seen.take(limit + 1).map(|(visitor, visit)| (visitor, visit.clone())).collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        Answer::Found(Box::new(View::Visitors { rows, more, version: lobby.version() }))
    }

    /// From now on a connection hears of what changes.
    pub(super) fn watch_visitors(&self, reply_to: ReplyTo) {
        self.sessions.borrow_mut().subscribe(reply_to.connection, Feed::Visitors);
        let version = self.lobby.borrow_mut().watch();
        let view = View::Subscribed { version, next: None };
        self.reply(reply_to, Answer::Found(Box::new(view)));
    }

    /// Tells whoever watches what has changed: each what they may see, all in the same pieces, so that a missing one shows.
    pub(super) fn tell_visitors(&self) {
        let watching = self.sessions.borrow().watching(&Feed::Visitors);
        if watching.is_empty() {
            return self.lobby.borrow_mut().unwatch();
        }
        let mut looks: Vec<(Eyes, Vec<Arc<dyn Port>>)> = Vec::new();
        for (connection, grants, port) in watching {
            let by = match grants {
                Grants::Agent(agent) => By::Agent(agent),
                Grants::Frontend => By::Frontend,
                _ => By::Supervisor,
            };
            let Some(eyes) = self.eyes(connection, by) else { continue };
            match looks.iter_mut().find(|(known, _)| *known == eyes) {
                Some((_, ports)) => ports.push(port),
                None => looks.push((eyes, vec![port])),
            }
        }
        for _ in 0..TURN.div_ceil(PIECE) {
            let mut lobby = self.lobby.borrow_mut();
            if !lobby.has_news() {
                break;
            }
            let (after, version, visitors) = lobby.news(PIECE);
            for (eyes, ports) in &looks {
                let mut rows = Vec::new();
                let mut gone = Vec::new();
                for (visitor, left) in &visitors {
                    match (lobby.visit(*visitor), left) {
                        (Some(visit), _) if eyes.see(visit) => rows.push((*visitor, visit.clone())),
                        // Led to where this one does not look.
                        (Some(_), _) if matches!(eyes, Eyes::Of(_)) => gone.push(*visitor),
                        (None, Some(left)) if eyes.see(left) => gone.push(*visitor),
                        (Some(_) | None, _) => {}
                    }
                }
                let notice = Notice::Visitors { after, version, rows: rows.into(), gone: gone.into() };
                self.notify(ports.iter().cloned().collect(), notice);
            }
        }
        self.lobby_changed();
    }
}
