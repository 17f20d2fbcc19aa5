//! Who is connected to a workspace, and who hears of what.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::port::Port;
use crate::{
    ids::{AgentId, ClientId, ConversationId, GroupId, VisitorId},
    routing::workspace::Grants,
};

/// Connections that hear the same.
pub type Ports = SmallVec<[Arc<dyn Port>; 1]>;

type Map<K, V> = HashMap<K, V, RandomState>;
type Ears = SmallVec<[(u64, Arc<dyn Port>); 1]>;

/// What can be subscribed to besides one's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Feed {
    /// A conversation's events; `as_visitor`: in the visitor's form.
    Conversation {
        /// Which.
        conversation: ConversationId,
        /// Whose form.
        as_visitor: bool,
    },
    /// A group's counts.
    Group(GroupId),
    /// An agent's state.
    Agent(AgentId),
    /// The visitors on the sites.
    Visitors,
}

/// One connection of the workspace.
pub struct Link {
    /// Its ear.
    pub port: Arc<dyn Port>,
    /// What its token allows.
    pub grants: Grants,
    /// The program behind it.
    pub client: ClientId,
    /// Its token's public part.
    pub token: SmolStr,
    agents: HashSet<AgentId, RandomState>,
    visitors: HashSet<VisitorId, RandomState>,
    feeds: HashSet<Feed, RandomState>,
}

/// The connections of one workspace.
#[derive(Default)]
pub struct Sessions {
    links: Map<u64, Link>,
    agents: Map<AgentId, Ears>,
    visitors: Map<VisitorId, Ears>,
    frontends: Map<ClientId, Ears>,
    feeds: Map<Feed, Ears>,
}

/// What a lost connection leaves behind.
#[derive(Debug, Default)]
pub struct Lost {
    /// Agents who lost one of their sessions.
    pub agents: Vec<AgentId>,
    /// Visitors nobody is connected for any more.
    pub visitors: Vec<VisitorId>,
    /// A frontend program that has no connection any more.
    pub frontend: Option<ClientId>,
}

impl Sessions {
    /// A connection was made.
    pub fn connect(
        &mut self,
        id: u64,
        port: Arc<dyn Port>,
        grants: Grants,
        client: ClientId,
        token: SmolStr,
    ) {
        if grants == Grants::Frontend {
            self.frontends.entry(client).or_default().push((id, Arc::clone(&port)));
        }
        let link = Link {
            port,
            grants,
            client,
            token,
            agents: HashSet::default(),
            visitors: HashSet::default(),
            feeds: HashSet::default(),
        };
        self.links.insert(id, link);
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, id: u64) -> Lost {
        let Some(link) = self.links.remove(&id) else { return Lost::default() };
        let mut lost = Lost { agents: link.agents.into_iter().collect(), ..Lost::default() };
        for agent in &lost.agents {
            unhear(&mut self.agents, agent, id);
        }
        for visitor in link.visitors {
            if unhear(&mut self.visitors, &visitor, id) {
                lost.visitors.push(visitor);
            }
        }
        for feed in link.feeds {
            unhear(&mut self.feeds, &feed, id);
        }
        if link.grants == Grants::Frontend && unhear(&mut self.frontends, &link.client, id) {
            lost.frontend = Some(link.client);
        }
        lost
    }

    /// One connection.
    #[must_use]
    pub fn link(&self, id: u64) -> Option<&Link> {
        self.links.get(&id)
    }

    /// The ear of one connection.
    #[must_use]
    pub fn port(&self, id: u64) -> Option<Arc<dyn Port>> {
        self.links.get(&id).map(|link| Arc::clone(&link.port))
    }

    /// A connection is a session of an agent now; whether it was not before.
    pub fn attach(&mut self, id: u64, agent: AgentId) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        let new = link.agents.insert(agent);
        if new {
            self.agents.entry(agent).or_default().push((id, Arc::clone(&link.port)));
        }
        new
    }

    /// A connection is no session of an agent any more; whether it was.
    pub fn detach(&mut self, id: u64, agent: AgentId) -> bool {
        let was = self.links.get_mut(&id).is_some_and(|link| link.agents.remove(&agent));
        if was {
            unhear(&mut self.agents, &agent, id);
        }
        was
    }

    /// A visitor is present on a connection.
    pub fn welcome(&mut self, id: u64, visitor: VisitorId) {
        // Most were there before. This is also where whoever tells them something looks next.
        if self.visitors.get(&visitor).is_some_and(|ears| ears.iter().any(|(ear, _)| *ear == id)) {
            return;
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.visitors.insert(visitor) {
            self.visitors.entry(visitor).or_default().push((id, Arc::clone(&link.port)));
        }
    }

    /// A visitor is no longer present on a connection.
    pub fn farewell(&mut self, id: u64, visitor: VisitorId) {
        if self.links.get_mut(&id).is_some_and(|link| link.visitors.remove(&visitor)) {
            unhear(&mut self.visitors, &visitor, id);
        }
    }

    /// A visitor has nothing open any more: frontends need not be remembered as theirs. Whoever speaks for them next is.
    pub fn forget(&mut self, visitor: VisitorId) {
        let Some(ears) = self.visitors.get_mut(&visitor) else { return };
        ears.retain(|(id, _)| {
            let link = self.links.get_mut(id).filter(|link| link.grants == Grants::Frontend);
            link.is_none_or(|link| !link.visitors.remove(&visitor))
        });
        if ears.is_empty() {
            self.visitors.remove(&visitor);
        }
    }

    /// Subscribes a connection.
    pub fn subscribe(&mut self, id: u64, feed: Feed) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.feeds.insert(feed.clone()) {
            self.feeds.entry(feed).or_default().push((id, Arc::clone(&link.port)));
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, id: u64, feed: &Feed) {
        if self.links.get_mut(&id).is_some_and(|link| link.feeds.remove(feed)) {
            unhear(&mut self.feeds, feed, id);
        }
    }

    /// Ends everything that a token allowed.
    pub fn revoke(&self, token: &str) {
        self.links.values().filter(|link| link.token == token).for_each(|link| link.port.revoke());
    }

    /// How many connections a token holds.
    #[must_use]
    pub fn of_token(&self, token: &str) -> u32 {
        let count = self.links.values().filter(|link| link.token == token).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// A connection goes on under another token, which is the one to revoke from now on.
    pub fn renew(&mut self, id: u64, token: SmolStr) {
        if let Some(link) = self.links.get_mut(&id) {
            link.token = token;
        }
    }

    /// Who hears for an agent.
    #[must_use]
    pub fn agent(&self, agent: AgentId) -> Ports {
        ears(&self.agents, &agent)
    }

    /// Who hears for an agent: one connection, if it is a session of theirs, and the others.
    #[must_use]
    pub fn agent_by_session(&self, agent: AgentId, connection: Option<u64>) -> (Ports, Ports) {
        let ears = self.agents.get(&agent).into_iter().flatten();
        let (here, elsewhere): (Vec<_>, Vec<_>) = ears.partition(|(id, _)| Some(*id) == connection);
        let ports =
            |ears: Vec<&(u64, Arc<dyn Port>)>| ears.into_iter().map(|(_, port)| Arc::clone(port)).collect();
        (ports(here), ports(elsewhere))
    }

    /// How many sessions an agent has.
    #[must_use]
    pub fn sessions_of(&self, agent: AgentId) -> u32 {
        self.agents.get(&agent).map_or(0, |ears| u32::try_from(ears.len()).unwrap_or(u32::MAX))
    }

    /// Who hears for a visitor: whoever they are present on, else the program that opened their conversation.
    #[must_use]
    pub fn visitor(&self, visitor: VisitorId, via: ClientId) -> Ports {
        let own = ears(&self.visitors, &visitor);
        if own.is_empty() {
            self.frontends.get(&via).map(|ears| first(ears)).unwrap_or_default()
        } else {
            own
        }
    }

    /// Whether anybody is connected for a visitor.
    #[must_use]
    pub fn has_visitor(&self, visitor: VisitorId, via: ClientId) -> bool {
        self.visitors.contains_key(&visitor) || self.frontends.contains_key(&via)
    }

    /// Who subscribed to something: which connections, and as whom.
    #[must_use]
    pub fn watching(&self, feed: &Feed) -> Vec<(u64, Grants, Arc<dyn Port>)> {
        let ears = self.feeds.get(feed).into_iter().flatten();
        ears.filter_map(|(id, port)| Some((*id, self.links.get(id)?.grants, Arc::clone(port)))).collect()
    }

    /// Who subscribed to something.
    #[must_use]
    pub fn feed(&self, feed: &Feed) -> Ports {
        if self.feeds.is_empty() { Ports::new() } else { ears(&self.feeds, feed) }
    }
}

fn ears<K: std::hash::Hash + Eq>(map: &Map<K, Ears>, key: &K) -> Ports {
    map.get(key).map(|ears| ears.iter().map(|(_, port)| Arc::clone(port)).collect()).unwrap_or_default()
}

/// One of a program's connections is enough: it would hear everything as often as it is connected.
fn first(ears: &Ears) -> Ports {
    ears.iter().take(1).map(|(_, port)| Arc::clone(port)).collect()
}

/// Takes one ear away; whether it was the last.
fn unhear<K: std::hash::Hash + Eq>(map: &mut Map<K, Ears>, key: &K, id: u64) -> bool {
    let Some(ears) = map.get_mut(key) else { return false };
    ears.retain(|(ear, _)| *ear != id);
    let last = ears.is_empty();
    if last {
        map.remove(key);
    }
    last
}
