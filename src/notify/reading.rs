//! From the log's records to news. The one file of this room that knows what a record means: it keeps of each open conversation and
//! each agent the little that a notification says.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};
use smol_str::SmolStr;

use super::{
    rules::Absent,
    words::{Error, Topic},
};
use crate::{
    clock::Timestamp,
    codec,
    ids::{AgentId, Channel, ConversationId, GroupId, VisitorId, WorkspaceId},
    journal::{Changes, Position, Record, Tray},
    routing::{
        By, CloseReason, OfferOutcome, Presence, Variable,
        agent::{self, Profile, Push},
        conversation::{self, Event},
        recovery::{Entry, World},
        workspace,
    },
};

/// The form of conversations that is kept.
const VERSION: u8 = 1;
/// The form of agents that is kept.
const PERSON: u8 = 2;
/// Agents that one piece of news names.
const AGENTS_MAX: usize = 256;

/// Something that happened, as it is told outside.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub(super) workspace: WorkspaceId,
    pub(super) topic: Topic,
    /// The record that it stems from; which of its events, and which topic: the same however often it is read.
    pub(super) position: Position,
    pub(super) index: u16,
    pub(super) at: Timestamp,
    pub(super) conversation: Option<ConversationId>,
    pub(super) visitor: Option<VisitorId>,
    pub(super) channel: Option<Channel>,
    pub(super) group: Option<GroupId>,
    pub(super) site: Option<SmolStr>,
    /// Whom it concerns.
    pub(super) agents: SmallVec<[AgentId; 2]>,
    pub(super) reason: Option<SmolStr>,
    /// What failed.
    pub(super) action: Option<SmolStr>,
    /// Until when an answer is expected.
    pub(super) deadline: Option<Timestamp>,
    /// By what a frontend would report the same again.
    pub(super) reference: Option<SmolStr>,
}

/// What came of reading a record.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) news: Vec<News>,
    /// Nothing is to be told of it any more.
    pub(super) erased: Option<(WorkspaceId, ConversationId)>,
}

/// What decides who is absent: asked when a record is read, not when it was made.
pub(super) struct Look<'a> {
    /// Whether an agent has a session.
    pub(super) here: &'a dyn Fn(&WorkspaceId, AgentId) -> bool,
    /// What a workspace tells those who have none; `None`: it tells nothing outside at all.
    pub(super) absent: &'a dyn Fn(&WorkspaceId) -> Option<Absent>,
    /// Whether a workspace tells those, too, who have not said whether they want it.
    pub(super) unasked: &'a dyn Fn(&WorkspaceId) -> bool,
}

/// What is known of open conversations and of agents.
#[derive(Debug, Default)]
pub struct Known {
    spaces: BTreeMap<WorkspaceId, Place>,
    /// What is to be written down: these have changed.
    conversations: Vec<(WorkspaceId, ConversationId)>,
    agents: Vec<(WorkspaceId, AgentId)>,
}

#[derive(Debug, Default)]
struct Place {
    conversations: HashMap<ConversationId, Sketch, RandomState>,
    agents: BTreeMap<AgentId, Person>,
}

/// A conversation, as far as a notification needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sketch {
    visitor: Option<VisitorId>,
    channel: Option<Channel>,
    group: Option<GroupId>,
    owner: Option<AgentId>,
    /// The site that the visitor is on, as the frontend named it.
    site: Option<SmolStr>,
}

/// An agent, likewise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Person {
    pub(super) name: SmolStr,
    pub(super) email: Option<SmolStr>,
    pub(super) groups: Vec<GroupId>,
    /// The sites whose conversations they serve and see; none: all.
    pub(super) sites: Vec<SmolStr>,
    /// Whether they may serve.
    pub(super) serves: bool,
    /// Whether they want conversations.
    pub(super) available: bool,
    /// Whether they want to be told of them while they are not here. The last: what version 1 kept ends before it.
    pub(super) push: Push,
}

impl Person {
    fn of(profile: &Profile, available: bool, push: Push) -> Self {
        Self {
            name: profile.name.clone(),
            email: profile.email.clone(),
            groups: profile.groups.clone(),
            sites: profile.sites.clone(),
            serves: profile.live_chat,
            available,
            push,
        }
    }

    /// Whether they are told when they are not here.
    fn told(&self, unasked: bool) -> bool {
        match self.push {
            Push::Unset => unasked,
            Push::Off => false,
            Push::On { .. } => true,
        }
    }
}

impl Known {
    /// Takes over what a fold of the log says of a workspace: where notifications begin.
    pub fn learn(&mut self, workspace: &WorkspaceId, world: &World) {
        let place = self.spaces.entry(workspace.clone()).or_default();
        for agent in world.agents.values().filter(|agent| agent.exists()) {
            let person =
                Person::of(agent.profile(), agent.intent() == Presence::Online, agent.push().clone());
            place.agents.insert(agent.id(), person);
            self.agents.push((workspace.clone(), agent.id()));
        }
        for (id, machine) in &world.conversations {
            let Some((visitor, channel, _)) = machine.visitor() else { continue };
            let sketch = Sketch {
                visitor: Some(visitor),
                channel: Some(channel.clone()),
                group: machine.group().cloned(),
                owner: machine.owner().map(|owner| owner.agent),
                // The machine does not know: who is limited to sites hears of it when they look.
                site: None,
            };
            if machine.phase() != Some(conversation::Phase::Closed) {
                place.conversations.insert(*id, sketch);
                self.conversations.push((workspace.clone(), *id));
            }
        }
    }

    // === As it is kept ===

    /// Takes in what [`Known::write`] wrote.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let strange = || Error::Strange("what is known of a conversation or agent".to_owned());
        let end = key.iter().position(|byte| *byte == 0).ok_or_else(strange)?;
        let name = std::str::from_utf8(&key[..end]).map_err(|_| strange())?;
        let workspace: WorkspaceId = name.parse().map_err(|_| strange())?;
        let (kind, id) = key[end + 1..].split_first().ok_or_else(strange)?;
        let id: [u8; 16] = id.try_into().map_err(|_| strange())?;
        let Some((&version, value)) = value.split_first() else { return Err(strange()) };
        let place = self.spaces.entry(workspace).or_default();
        match (kind, version) {
            (b'c', VERSION) => {
                let sketch = codec::from_log(value).map_err(|_| strange())?;
                place.conversations.insert(ConversationId::from_bytes(id), sketch);
            }
            (b'a', 1..=PERSON) => {
                // Version 1 did not know what they want: a zero says that they have not said.
                let rest: &[u8] = if version < PERSON { &[0] } else { &[] };
                let person = codec::from_log(&[value, rest].concat()).map_err(|_| strange())?;
                place.agents.insert(AgentId::from_bytes(id), person);
            }
            _ => return Err(strange()),
        }
        Ok(())
    }

    /// Writes down what has changed since the last time.
    pub(super) fn write(&mut self, changes: &mut Changes) -> Result<(), Error> {
        let mut conversations = std::mem::take(&mut self.conversations);
        conversations.sort_unstable();
        conversations.dedup();
        for (workspace, id) in conversations {
            let now = self.spaces.get(&workspace).and_then(|place| place.conversations.get(&id));
            keep(changes, &workspace, (b'c', VERSION), id.bytes(), now)?;
        }
        let mut agents = std::mem::take(&mut self.agents);
        agents.sort_unstable();
        agents.dedup();
        for (workspace, id) in agents {
            let now = self.spaces.get(&workspace).and_then(|place| place.agents.get(&id));
            keep(changes, &workspace, (b'a', PERSON), id.bytes(), now)?;
        }
        Ok(())
    }

    // === What is known ===

    pub(super) fn email(&self, workspace: &WorkspaceId, agent: AgentId) -> Option<SmolStr> {
        self.spaces.get(workspace)?.agents.get(&agent)?.email.clone()
    }

    /// Where an agent's browser is reached, if they want that and their frontend said so.
    pub(super) fn endpoint(&self, workspace: &WorkspaceId, agent: AgentId) -> Option<&SmolStr> {
        match &self.spaces.get(workspace)?.agents.get(&agent)?.push {
            Push::On { endpoint } => endpoint.as_ref(),
            Push::Unset | Push::Off => None,
        }
    }

    pub(super) fn name(&self, workspace: &WorkspaceId, agent: AgentId) -> Option<SmolStr> {
        Some(self.spaces.get(workspace)?.agents.get(&agent)?.name.clone())
    }

    /// The members of a group who may serve, and see, what is on this site.
    pub(super) fn members(
        &self,
        workspace: &WorkspaceId,
        group: &GroupId,
        site: Option<&SmolStr>,
    ) -> Vec<(AgentId, &Person)> {
        let agents = self.spaces.get(workspace).into_iter().flat_map(|place| &place.agents);
        let member = |person: &Person| {
            let in_scope = person.sites.is_empty() || site.is_some_and(|site| person.sites.contains(site));
            person.serves && in_scope && (group.is_everyone() || person.groups.contains(group))
        };
        agents.filter(|(_, person)| member(person)).map(|(id, person)| (*id, person)).collect()
    }

    // === Reading ===

    /// Takes a record of the log in and says what of it is news.
    pub(super) fn read(&mut self, record: Record<'_>, look: &Look<'_>) -> Result<Read, Error> {
        let (workspace, entry) = codec::from_log::<(WorkspaceId, Entry)>(record.payload)
            .map_err(|error| Error::Strange(format!("record {}: {error}", record.position)))?;
        let mut read = Read::default();
        match entry {
            Entry::Conversation { id, record: said } => {
                let mut teller = Teller {
                    known: self,
                    look,
                    workspace,
                    id,
                    position: record.position,
                    at: said.at,
                    index: 0,
                    handed_over: false,
                    news: Vec::new(),
                };
                for event in &said.events {
                    teller.event(event, &said.by);
                    teller.index = teller.index.saturating_add(1);
                }
                read.news = teller.news;
            }
            Entry::Agent { id, events, .. } => {
                events.iter().for_each(|event| self.agent(&workspace, id, event))
            }
            Entry::Workspace { at, events, .. } => {
                for (index, event) in (0..).zip(&events) {
                    read.news.extend(reported(&workspace, at, record.position, index, event));
                }
            }
            Entry::Erased { id, .. } => {
                self.forget(&workspace, id);
                read.erased = Some((workspace, id));
            }
            _ => {}
        }
        Ok(read)
    }

    fn agent(&mut self, workspace: &WorkspaceId, id: AgentId, event: &agent::Event) {
        let agents = &mut self.spaces.entry(workspace.clone()).or_default().agents;
        match event {
            agent::Event::Put(_) | agent::Event::Profiled(_) => {
                let older;
                let profile = match event {
                    agent::Event::Profiled(profile) => profile,
                    agent::Event::Put(basics) => {
                        older = Profile::from(basics.clone());
                        &older
                    }
                    _ => return,
                };
                let before = agents.get(&id);
                let available = before.is_some_and(|person| person.available);
                let push = before.map(|person| person.push.clone()).unwrap_or_default();
                agents.insert(id, Person::of(profile, available, push));
            }
            agent::Event::Removed => drop(agents.remove(&id)),
            agent::Event::PresenceSet { presence, .. } => {
                if let Some(person) = agents.get_mut(&id) {
                    person.available = *presence == Presence::Online;
                }
            }
            agent::Event::PushSet(push) => {
                if let Some(person) = agents.get_mut(&id) {
                    person.push = push.clone();
                }
            }
            _ => return,
        }
        self.agents.push((workspace.clone(), id));
    }

    fn forget(&mut self, workspace: &WorkspaceId, id: ConversationId) {
        if let Some(place) = self.spaces.get_mut(workspace) {
            place.conversations.remove(&id);
            self.conversations.push((workspace.clone(), id));
        }
    }
}

fn keep<T: Serialize>(
    changes: &mut Changes,
    workspace: &WorkspaceId,
    (kind, version): (u8, u8),
    id: &[u8; 16],
    value: Option<&T>,
) -> Result<(), Error> {
    let name = workspace.as_str().as_bytes();
    // No name has a zero in it.
    let key = [name, &[0, kind], id].concat();
    match value {
        None => changes.remove(Tray::Known, key),
        Some(value) => {
            let mut bytes = vec![version];
            codec::to_log(value, &mut bytes).map_err(|error| Error::Strange(error.to_string()))?;
            changes.put(Tray::Known, key, bytes);
        }
    }
    Ok(())
}

/// What a frontend reported.
fn reported(
    workspace: &WorkspaceId,
    at: Timestamp,
    position: Position,
    index: u16,
    event: &workspace::Event,
) -> Option<News> {
    let workspace::Event::ActionFailed(failure) = event else { return None };
    Some(News {
        workspace: workspace.clone(),
        topic: Topic::ActionFailed,
        position,
        index,
        at,
        conversation: failure.conversation,
        visitor: failure.visitor,
        channel: None,
        group: None,
        site: None,
        agents: SmallVec::new(),
        reason: Some(failure.cause.clone()),
        action: Some(failure.action.clone()),
        deadline: None,
        reference: failure.reference.clone(),
    })
}

/// Reads the events of one record of a conversation.
struct Teller<'a, 'l> {
    known: &'a mut Known,
    look: &'a Look<'l>,
    workspace: WorkspaceId,
    id: ConversationId,
    position: Position,
    at: Timestamp,
    /// Which of the record's events.
    index: u16,
    /// Whether one before was a hand-over.
    handed_over: bool,
    news: Vec<News>,
}

type Agents = SmallVec<[AgentId; 2]>;

impl Teller<'_, '_> {
    fn sketch(&mut self) -> &mut Sketch {
        self.known.conversations.push((self.workspace.clone(), self.id));
        let place = self.known.spaces.entry(self.workspace.clone()).or_default();
        place.conversations.entry(self.id).or_default()
    }

    fn known(&self) -> Sketch {
        let place = self.known.spaces.get(&self.workspace);
        place.and_then(|place| place.conversations.get(&self.id)).cloned().unwrap_or_default()
    }

    fn event(&mut self, event: &Event, by: &By) {
        match event {
            Event::Opened { visitor, channel, variables, .. } => {
                let sketch = self.sketch();
                sketch.site = site(variables);
                (sketch.visitor, sketch.channel) = (Some(*visitor), Some(channel.clone()));
            }
            Event::Queued { group, cause, .. } => {
                let sketch = self.sketch();
                (sketch.group, sketch.owner) = (Some(group.clone()), None);
                self.tell(Topic::Queued, Agents::new(), Some(word(cause)), None);
                if std::mem::take(&mut self.handed_over) {
                    self.tell(Topic::HandedOver, Agents::new(), Some(word(cause)), None);
                }
                let absent = self.absent_members(group);
                self.notify(absent, "waiting", None);
            }
            Event::Offered { agent, deadline, .. } => {
                self.offered("offer", smallvec![*agent], Some(*deadline))
            }
            Event::Announced { agents, deadline } | Event::AnnouncedBy { agents, deadline, .. } => {
                self.offered("announcement", agents.iter().copied().take(AGENTS_MAX).collect(), *deadline);
            }
            Event::AnnouncedTo { agents } => {
                self.offered("announcement", agents.iter().copied().take(AGENTS_MAX).collect(), None);
            }
            Event::HandoverStarted { to, deadline, .. } => {
                self.offered("handover", smallvec![*to], Some(*deadline));
            }
            Event::Invited { agent, deadline, .. } => {
                self.offered("invitation", smallvec![*agent], Some(*deadline));
            }
            Event::OfferEnded { agent, outcome: OfferOutcome::TimedOut }
            | Event::HandoverEnded { to: agent, outcome: OfferOutcome::TimedOut } => {
                self.tell(Topic::OfferMissed, smallvec![*agent], None, None);
            }
            Event::Assigned { agent, cause, .. } => {
                self.sketch().owner = Some(*agent);
                self.tell(Topic::Assigned, smallvec![*agent], Some(word(cause)), None);
                if by.agent() != Some(*agent) {
                    let absent = self.absent(smallvec![*agent]);
                    self.notify(absent, "assigned", None);
                }
            }
            Event::FellBack { reason, .. } | Event::TurnedAway { reason, .. } => {
                self.sketch().owner = None;
                self.tell(Topic::Fallback, Agents::new(), Some(word(reason)), None);
                self.tell(Topic::ActionFailed, Agents::new(), Some(word(reason)), None);
                if let Some(failed) = self.news.last_mut() {
                    failed.action = Some(SmolStr::new_static("live_chat"));
                }
            }
            Event::Said { .. } | Event::Posted { .. } if matches!(by, By::Visitor(_)) => {
                let owner = self.known().owner;
                let absent = self.absent(owner.into_iter().collect());
                self.notify(absent, "message", None);
            }
            Event::Closed { reason } => {
                if *reason == CloseReason::MissedExpired {
                    self.tell(Topic::Missed, Agents::new(), Some(word(reason)), None);
                }
                let owner = self.known().owner.into_iter().collect();
                self.tell(Topic::Closed, owner, Some(word(reason)), None);
                self.known.forget(&self.workspace, self.id);
            }
            // Told with the group that it comes to.
            Event::HandedOver { .. } => self.handed_over = true,
            Event::ReturnedToBot => self.sketch().owner = None,
            Event::Reopened => {
                self.sketch();
                self.tell(Topic::Reopened, Agents::new(), None, None);
            }
            _ => {}
        }
    }

    fn offered(&mut self, how: &'static str, agents: Agents, deadline: Option<Timestamp>) {
        let reason = Some(SmolStr::new_static(how));
        self.tell(Topic::Offered, agents.clone(), reason, deadline);
        let absent = self.absent(agents);
        self.notify(absent, "offered", deadline);
    }

    /// Whether they are to be told while they are not here (AD-16).
    fn wants(&self, person: &Person) -> bool {
        person.told((self.look.unasked)(&self.workspace))
    }

    /// Those of them who have no session and want to be told.
    fn absent(&self, mut agents: Agents) -> Agents {
        if (self.look.absent)(&self.workspace).is_none_or(|whom| whom == Absent::Nobody) {
            return Agents::new();
        }
        let people = self.known.spaces.get(&self.workspace).map(|place| &place.agents);
        let told = |agent: AgentId| {
            people.and_then(|people| people.get(&agent)).is_some_and(|person| self.wants(person))
        };
        agents.retain(|agent| told(*agent) && !(self.look.here)(&self.workspace, *agent));
        agents
    }

    fn absent_members(&self, group: &GroupId) -> Agents {
        let whom = (self.look.absent)(&self.workspace).unwrap_or(Absent::Nobody);
        if whom == Absent::Nobody {
            return Agents::new();
        }
        let site = self.known().site;
        let members = self.known.members(&self.workspace, group, site.as_ref()).into_iter();
        let meant = members.filter(|(_, person)| whom == Absent::Members || person.available);
        let meant = meant.filter(|(_, person)| self.wants(person));
        let absent = meant.map(|(id, _)| id).filter(|id| !(self.look.here)(&self.workspace, *id));
        absent.take(AGENTS_MAX).collect()
    }

    fn notify(&mut self, absent: Agents, reason: &'static str, deadline: Option<Timestamp>) {
        if !absent.is_empty() {
            self.tell(Topic::AgentNotified, absent, Some(SmolStr::new_static(reason)), deadline);
        }
    }

    fn tell(&mut self, topic: Topic, agents: Agents, reason: Option<SmolStr>, deadline: Option<Timestamp>) {
        // Most workspaces tell nothing outside.
        if (self.look.absent)(&self.workspace).is_none() {
            return;
        }
        let Sketch { visitor, channel, group, site, .. } = self.known();
        self.news.push(News {
            workspace: self.workspace.clone(),
            topic,
            position: self.position,
            index: self.index.saturating_mul(16).saturating_add(topic as u16),
            at: self.at,
            conversation: Some(self.id),
            visitor,
            channel,
            group,
            site,
            agents,
            reason,
            action: None,
            deadline,
            reference: None,
        });
    }
}

fn site(variables: &[Variable]) -> Option<SmolStr> {
    let named = variables.iter().find(|variable| variable.name == "site")?;
    Some(SmolStr::new(&named.value.0))
}

/// The word for a reason: its name in the rules, as it stands in JSON everywhere else.
fn word(reason: impl fmt::Debug) -> SmolStr {
    let name = format!("{reason:?}");
    let mut word = String::with_capacity(name.len() + 4);
    for c in name.chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(c.to_ascii_lowercase());
    }
    SmolStr::new(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{AssignCause, FallbackReason, QueueCause};

    /// As version 1 kept an agent: without what they want of notifications.
    #[test]
    fn an_agent_who_was_kept_before_has_said_nothing() {
        let workspace: WorkspaceId = "shop".parse().expect("a name");
        let ana = AgentId::from_bytes([3; 16]);
        let profile = Profile { name: "Ana".into(), live_chat: true, ..Profile::default() };
        let key = [b"shop\0a".as_slice(), ana.bytes()].concat();
        let mut bytes = Vec::new();
        codec::to_log(&Person::of(&profile, true, Push::Unset), &mut bytes).expect("small");
        assert_eq!(bytes.pop(), Some(0), "the last byte says it");
        for (version, readable) in [(1, true), (PERSON, false), (PERSON + 1, false)] {
            let mut known = Known::default();
            let value = [&[version], &bytes[..]].concat();
            assert_eq!(known.load(&key, &value).is_ok(), readable, "version {version}");
            if readable {
                let members = known.members(&workspace, &GroupId::everyone(), None);
                assert_eq!(members.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ana]);
                assert!(members[0].1.told(true) && !members[0].1.told(false));
            }
        }
    }

    #[test]
    fn reasons_are_written_as_in_json_everywhere_else() {
        assert_eq!(word(FallbackReason::NobodyOnline), "nobody_online");
        assert_eq!(word(FallbackReason::AllAtCapacity), "all_at_capacity");
        assert_eq!(word(QueueCause::Opened), "opened");
        assert_eq!(word(AssignCause::Accepted), "accepted");
        assert_eq!(word(CloseReason::MissedExpired), "missed_expired");
        assert_eq!(word(OfferOutcome::TimedOut), "timed_out");
    }
}
