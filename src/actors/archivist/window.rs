//! One window of the log: what some consecutive records lead to, folded as a start folds them, and put away in one edit.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry as Place},
    ops::ControlFlow,
    time::Duration,
};

use foldhash::fast::RandomState;
use serde::de::DeserializeOwned;

use crate::{
    actors::{
        fold::Folded,
        local::LOG_VERSION,
        past::{Trouble, archived},
        space::Restart,
        stored::{self, ClosedRow, Times, Whose},
        supervision::guard,
    },
    clock::Timestamp,
    codec,
    ids::{AgentId, ConversationId, VisitorId, WorkspaceId},
    journal::{self, Archive, Edit, Position, Record, Shelf, View},
    routing::{
        agent::Agent,
        conversation::{Event, Phase},
        group::Group,
        recovery::{Entry, World},
    },
};

/// Bytes of records that one chunk holds, about.
const CHUNK_BYTES: usize = 256 << 10;
/// Starts of the daemon that conversations which wait since then are moved by. Older ones make no difference: each moves all
/// deadlines behind itself.
const RESTARTS_KEPT: usize = 256;

/// Takes records of the log one by one, until it has enough.
pub(super) type Visit<'a> = dyn FnMut(Record<'_>) -> ControlFlow<()> + 'a;

/// Moves the next records, up to `until` or about so many bytes; whether there were any.
pub(super) fn move_window(
    archive: &Archive,
    until: Position,
    bytes: usize,
    walk: impl FnOnce(Position, Position, &mut Visit<'_>) -> Result<Position, journal::Error>,
) -> Result<bool, Trouble> {
    let mut window = Window::open(archive)?;
    let from = Position::new(archive.covered().get() + 1);
    let mut trouble = None;
    let last = walk(from, until, &mut |record| match window.take(record) {
        Ok(()) if window.bytes < bytes => ControlFlow::Continue(()),
        Ok(()) => ControlFlow::Break(()),
        Err(error) => {
            trouble = Some(error);
            ControlFlow::Break(())
        }
    })?;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    if last < from {
        return Ok(false);
    }
    window.put_away(archive, last)?;
    Ok(true)
}

type Map<K, V> = HashMap<K, V, RandomState>;

/// What some consecutive records of the log lead to.
pub(super) struct Window {
    view: View,
    bytes: usize,
    conversations: Map<(WorkspaceId, ConversationId), Work>,
    /// What was asked to be erased, and whose it was.
    erased: Vec<(WorkspaceId, ConversationId, Option<VisitorId>)>,
    realms: Map<WorkspaceId, Realm>,
}

/// A workspace without its conversations, as far as the window touches it.
#[derive(Default)]
struct Realm {
    world: World,
    changed: bool,
    restarts: Vec<Restart>,
}

/// One conversation of the window.
struct Work {
    folded: Folded,
    /// Whether its machine fell over its records: what is folded is worth nothing.
    fallen: bool,
    /// Its last record, and when that was.
    at: (Position, Timestamp),
    /// Finished chunks by their first record, the last one unfinished.
    chunks: Vec<(Position, Vec<u8>)>,
    opened_by: Option<VisitorId>,
    /// When it was closed, if ever.
    closed_at: Option<Timestamp>,
    /// Whether it is new in this window, so that nothing of it can be on any shelf.
    is_new: bool,
}

impl Window {
    pub(super) fn open(archive: &Archive) -> Result<Self, Trouble> {
        Ok(Self {
            view: archive.view()?,
            bytes: 0,
            conversations: Map::default(),
            erased: Vec::new(),
            realms: Map::default(),
        })
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), Trouble> {
        if record.version > LOG_VERSION {
            return Err(stored::Unreadable::Newer(record.version).into());
        }
        self.bytes += record.payload.len();
        let (workspace, entry) = codec::from_log::<(WorkspaceId, Entry)>(record.payload)?;
        let realm = match self.realms.entry(workspace.clone()) {
            Place::Occupied(there) => there.into_mut(),
            Place::Vacant(place) => place.insert(Realm::load(&self.view, &workspace)?),
        };
        realm.know(&self.view, &workspace, &entry)?;
        if let Entry::Conversation { id, record: said } = entry {
            realm.world.last = realm.world.last.max(said.at);
            if let Some(agent) = said.by.agent() {
                realm.know_agent(&self.view, &workspace, agent)?;
                realm.world.agents.get_mut(&agent).into_iter().for_each(|agent| agent.acted(&said));
            }
            return self.take_said(workspace, id, &said, record);
        }
        realm.world.apply(&entry);
        match entry {
            Entry::Restarted { at, last, grace_us } => {
                let grace = Duration::from_micros(grace_us);
                realm.restarts.push(Restart { position: record.position, at, last, grace });
                let surplus = realm.restarts.len().saturating_sub(RESTARTS_KEPT);
                realm.restarts.drain(..surplus);
            }
            Entry::Erased { id, .. } => self.erase(workspace, id)?,
            _ => {}
        }
        Ok(())
    }

    fn erase(&mut self, workspace: WorkspaceId, id: ConversationId) -> Result<(), Trouble> {
        let work = self.conversations.remove(&(workspace.clone(), id));
        let visitor = work.and_then(|work| work.folded.machine.visitor().map(|(visitor, ..)| visitor));
        let visitor = match visitor {
            Some(visitor) => Some(visitor),
            None => closed_row(&self.view, &workspace, id)?.map(|row| row.visitor),
        };
        self.erased.push((workspace, id, visitor));
        Ok(())
    }

    fn take_said(
        &mut self,
        workspace: WorkspaceId,
        id: ConversationId,
        said: &crate::routing::conversation::Record,
        record: Record<'_>,
    ) -> Result<(), Trouble> {
        let restarts = self.realms.get(&workspace).map_or(&[][..], |realm| &realm.restarts);
        let key = (workspace, id);
        if !self.conversations.contains_key(&key) {
            let is_new = matches!(said.events.first(), Some(Event::Opened { .. } | Event::TeamOpened { .. }));
            let before = if is_new { Ok(None) } else { archived(&self.view, &key.0, id, restarts) };
            let (before, fallen) = match before {
                Err(Trouble::Unreadable(_)) => (None, true),
                before => (before?, false),
            };
            let row = if is_new { None } else { closed_row(&self.view, &key.0, id)? };
            let work = Work {
                closed_at: row.map(|row| row.closed_at),
                folded: before.unwrap_or_else(|| Folded::new(id)),
                fallen,
                chunks: Vec::new(),
                opened_by: None,
                at: (record.position, said.at),
                is_new,
            };
            self.conversations.insert(key.clone(), work);
        }
        let Some(work) = self.conversations.get_mut(&key) else { return Ok(()) };
        work.at = (record.position, said.at);
        let engaged = work.folded.machine.is_engaged();
        if !work.fallen {
            // As at a start: it stands aside by itself, and the others are moved.
            work.fallen = guard(|| work.folded.take(record.position, said, restarts)).is_none();
        }
        let engages = !work.fallen && !engaged && work.folded.machine.is_engaged();
        if work.chunks.last().is_none_or(|(_, chunk)| chunk.len() >= CHUNK_BYTES) {
            work.chunks.push((record.position, stored::begin_chunk()));
        }
        if let Some((_, chunk)) = work.chunks.last_mut() {
            stored::push_record(chunk, record.position, record.version, record.payload);
        }
        for event in &said.events {
            match event {
                Event::Opened { visitor, .. } => work.opened_by = Some(*visitor),
                Event::Closed { .. } => work.closed_at = Some(said.at),
                _ => {}
            }
        }
        if engages && let Some(realm) = self.realms.get_mut(&key.0) {
            realm.know_workspace(&self.view, &key.0)?;
            realm.world.workspace.count_engagement();
        }
        Ok(())
    }

    /// Writes it all in one edit.
    fn put_away(self, archive: &Archive, last: Position) -> Result<(), Trouble> {
        let mut pages = Pages::default();
        for ((workspace, id), work) in self.conversations {
            pages.add(&workspace, id, work)?;
        }
        for (workspace, realm) in self.realms {
            realm.add_to(&mut pages, &workspace, last)?;
        }
        drop(self.view);
        let edit = archive.edit()?;
        for (workspace, id, visitor) in &self.erased {
            erase(&edit, workspace, *id, *visitor)?;
        }
        pages.write(&edit)?;
        if !self.erased.is_empty() {
            edit.soil()?;
        }
        edit.commit(last)?;
        Ok(())
    }
}

impl Realm {
    fn load(view: &View, workspace: &WorkspaceId) -> Result<Self, Trouble> {
        let mut realm = Self::default();
        if let Some(Times { last, restarts }) = state(view, workspace, &Whose::Times)? {
            realm.world.last = last;
            realm.restarts = restarts;
        }
        Ok(realm)
    }

    /// Sees to it that what an entry changes is as the archive has it, or new.
    fn know(&mut self, view: &View, workspace: &WorkspaceId, entry: &Entry) -> Result<(), Trouble> {
        match entry {
            Entry::Agent { id, .. } => {
                self.know_agent(view, workspace, *id)?;
                self.world.agents.entry(*id).or_insert_with(|| Agent::new(*id));
            }
            Entry::Group { id, .. } if !self.world.groups.contains_key(id) => {
                let group = state(view, workspace, &Whose::Group(id.clone()))?;
                self.world.groups.insert(id.clone(), group.unwrap_or_else(|| Group::new(id.clone())));
            }
            Entry::Workspace { .. } => self.know_workspace(view, workspace)?,
            _ => {}
        }
        Ok(())
    }

    fn know_agent(&mut self, view: &View, workspace: &WorkspaceId, id: AgentId) -> Result<(), Trouble> {
        if !self.world.agents.contains_key(&id) {
            let agent = agent(view, workspace, id)?;
            self.world.agents.extend(agent.map(|agent| (id, agent)));
        }
        Ok(())
    }

    fn know_workspace(&mut self, view: &View, workspace: &WorkspaceId) -> Result<(), Trouble> {
        if !self.changed {
            self.world.workspace = state(view, workspace, &Whose::Workspace)?.unwrap_or_default();
            self.changed = true;
        }
        Ok(())
    }

    fn add_to(self, pages: &mut Pages, workspace: &WorkspaceId, last: Position) -> Result<(), Trouble> {
        let states = &mut pages.states;
        for (id, agent) in &self.world.agents {
            states.insert(
                stored::of_state(workspace, &Whose::Agent(*id)),
                Some(stored::write_agent(last, agent)?),
            );
        }
        for (id, group) in &self.world.groups {
            let key = stored::of_state(workspace, &Whose::Group(id.clone()));
            states.insert(key, Some(stored::write(last, group)?));
        }
        if self.changed {
            let state = stored::write(last, &self.world.workspace)?;
            states.insert(stored::of_state(workspace, &Whose::Workspace), Some(state));
        }
        let times = Times { last: self.world.last, restarts: self.restarts };
        states.insert(stored::of_state(workspace, &Whose::Times), Some(stored::write(last, &times)?));
        Ok(())
    }
}

/// Takes everything off the shelves that is known of a conversation.
pub(in crate::actors) fn erase(
    edit: &Edit,
    workspace: &WorkspaceId,
    id: ConversationId,
    visitor: Option<VisitorId>,
) -> Result<(), Trouble> {
    let key = stored::of_conversation(workspace, id);
    edit.remove_all(Shelf::Records, &key)?;
    edit.remove(Shelf::Rows, [&key[..]])?;
    let states =
        [Whose::Conversation(id), Whose::Unreadable(id)].map(|whose| stored::of_state(workspace, &whose));
    edit.remove(Shelf::States, states.iter().map(Vec::as_slice))?;
    if let Some(visitor) = visitor {
        edit.remove(Shelf::Visitors, [&stored::of_visit(workspace, visitor, id)[..]])?;
    }
    Ok(())
}

fn closed_row(
    view: &View,
    workspace: &WorkspaceId,
    id: ConversationId,
) -> Result<Option<ClosedRow>, Trouble> {
    let row = view.get(Shelf::Rows, &stored::of_conversation(workspace, id))?;
    Ok(row.map(|row| stored::read::<Option<ClosedRow>>(&row)).transpose()?.and_then(|(_, row)| row))
}

fn state<T: DeserializeOwned>(
    view: &View,
    workspace: &WorkspaceId,
    whose: &Whose,
) -> Result<Option<T>, Trouble> {
    let state = view.get(Shelf::States, &stored::of_state(workspace, whose))?;
    Ok(state.map(|state| stored::read(&state)).transpose()?.map(|(_, state)| state))
}

fn agent(view: &View, workspace: &WorkspaceId, id: AgentId) -> Result<Option<Agent>, Trouble> {
    let state = view.get(Shelf::States, &stored::of_state(workspace, &Whose::Agent(id)))?;
    Ok(state.map(|state| stored::read_agent(&state)).transpose()?.map(|(_, agent)| agent))
}

/// Entries by shelf, in the order of their keys; `None`: to be removed.
#[derive(Default)]
struct Pages {
    records: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    states: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    visitors: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// What the keys of records begin with that go: of conversations that nobody ever knew of.
    unsent: Vec<Vec<u8>>,
}

impl Pages {
    fn add(&mut self, workspace: &WorkspaceId, id: ConversationId, work: Work) -> Result<(), Trouble> {
        let machine = &work.folded.machine;
        if machine.is_unsent() && !machine.is_choosing() && !machine.is_quarantined() && !work.fallen {
            return self.add_unsent(workspace, id, &work);
        }
        for (first, chunk) in work.chunks {
            self.records.insert(stored::of_chunk(workspace, id, first), Some(chunk));
        }
        if let Some(visitor) = work.opened_by {
            self.visitors.insert(stored::of_visit(workspace, visitor, id), Some(Vec::new()));
        }
        let (at, when) = work.at;
        let machine = &work.folded.machine;
        // What stands aside is kept in any phase, as somebody may let it take part again.
        let over = matches!(machine.phase(), None | Some(Phase::Closed)) && !machine.is_quarantined();
        let (over, fallen) = (over && !work.fallen, work.fallen);
        let state = if over || fallen { None } else { Some(stored::write_conversation(at, &work.folded)?) };
        if state.is_some() || !work.is_new {
            self.states.insert(stored::of_state(workspace, &Whose::Conversation(id)), state);
        }
        if fallen {
            let positions = stored::write(at, work.folded.history.positions())?;
            self.states.insert(stored::of_state(workspace, &Whose::Unreadable(id)), Some(positions));
        }
        let row = || stored::write(at, &ClosedRow::of(machine, work.closed_at.unwrap_or(when)));
        let row = over.then(row).transpose()?;
        if row.is_some() || !work.is_new {
            self.rows.insert(stored::of_conversation(workspace, id), row);
        }
        Ok(())
    }

    /// Its visitor never chose a group: all that is kept is that the id was used.
    fn add_unsent(
        &mut self,
        workspace: &WorkspaceId,
        id: ConversationId,
        work: &Work,
    ) -> Result<(), Trouble> {
        let (at, _) = work.at;
        let key = stored::of_conversation(workspace, id);
        if let Some((visitor, ..)) = work.folded.machine.visitor().filter(|_| !work.is_new) {
            self.visitors.insert(stored::of_visit(workspace, visitor, id), None);
            self.states.insert(stored::of_state(workspace, &Whose::Conversation(id)), None);
            self.unsent.push(key.clone());
        }
        self.rows.insert(key, Some(stored::write(at, &None::<ClosedRow>)?));
        Ok(())
    }

    fn write(&self, edit: &Edit) -> Result<(), Trouble> {
        for key in &self.unsent {
            edit.remove_all(Shelf::Records, key)?;
        }
        let shelves = [
            (Shelf::Records, &self.records),
            (Shelf::States, &self.states),
            (Shelf::Rows, &self.rows),
            (Shelf::Visitors, &self.visitors),
        ];
        for (shelf, entries) in shelves {
            edit.put(shelf, entries.iter().filter_map(|(key, value)| Some((&key[..], value.as_deref()?))))?;
            let gone = entries.iter().filter(|(_, value)| value.is_none());
            edit.remove(shelf, gone.map(|(key, _)| &key[..]))?;
        }
        Ok(())
    }
}
