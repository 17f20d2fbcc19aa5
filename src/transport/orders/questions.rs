//! What is only looked up or subscribed to, and by whom.

use super::{Asker, FORBIDDEN, No, Work, doing};
use crate::{
    actors::{
        directory::Whom,
        gate::Query,
        lists::{ListFilter, ListKey, ListView},
        queries::What,
        sessions::Feed,
    },
    ids::{AgentId, Link},
    protocol::{Request, refusal::RefusalCode, words as wire},
    routing::{By, conversation::Phase, lobby::Filter, workspace::Grants},
};

impl Asker<'_> {
    pub(super) fn query(&self, request: Request) -> Result<Work, No> {
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
