//! The door through which tests drive a daemon: it starts one, connects frontends and agents, and waits for what they are told.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) use maitred::protocol::Encoding;
use maitred::{
    actors::archivist::Pace,
    client::{Ca, Client, Ended, Identity, Notices, Options, RequestError, Told},
    clock::{Clock, Timestamp},
    config::{self, Config},
    daemon::{self, Daemon},
    ids::{AgentId, Channel, ConversationId, GroupId, VisitorId, WorkspaceId},
    protocol::{
        List, Notice, Text, Variables,
        notice::{AgentItems, OfferMade, StaffChange, StaffEntry, VisitorChange, VisitorEntry},
        reply::{AgentDetail, ConversationDetail, Done, Minted, StaffHistory, VisitorHistory},
        request::{History, MintToken, Open, PutAgent, ShowAgent, ShowConversation},
        words::{AgentRow, Feed, OfferOutcome, Presence, Role, Speaker, Status, Target},
    },
};
use uuid::Uuid;

thread_local! {
    /// Longest time that a test waits for something that must come. Only a failing test waits so long.
    static PATIENCE: Cell<Duration> = const { Cell::new(Duration::from_secs(20)) };
}

/// Shortens the waiting of this thread's test, for one that is meant to fail.
#[allow(dead_code, reason = "only rules are tried with a value that breaks them (tests/rules)")]
pub(crate) fn be_impatient(patience: Duration) {
    PATIENCE.set(patience);
}

/// How long this thread's test waits for something that must come.
pub(crate) fn patience() -> Duration {
    PATIENCE.get()
}

/// Where a test's clock begins: daemon time must be near the time in new conversation ids.
pub(crate) fn today() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_micros(u64::try_from(now.as_micros()).expect("fits"))
}

/// One daemon, its clock and its directory.
pub(crate) struct Floor {
    pub(crate) daemon: Option<Daemon>,
    pub(crate) clock: Clock,
    /// The Unix socket, for the workspace `test`.
    pub(crate) admin: Client,
    arbiters: u32,
    /// More lines of `[server]`.
    server: String,
    /// Until the daemon has ended.
    directory: Option<tempfile::TempDir>,
}

impl Drop for Floor {
    /// Ends the daemon beside the next test. Its directory has to be there as long as it is: a log that can't be written aborts.
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.control().stop_now();
            let directory = self.directory.take();
            std::thread::spawn(move || {
                let ended = daemon.wait();
                drop(directory);
                ended
            });
        }
    }
}

/// A connection with its notices.
pub(crate) struct Seat {
    pub(crate) client: Client,
    notices: Notices,
    kept: Vec<Notice>,
}

/// How a test's daemon runs: encoding of its clients and number of arbiters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) encoding: Encoding,
    pub(crate) arbiters: u32,
}

/// Makes each story a test in every shape: both encodings, with one and with three arbiters.
macro_rules! stories {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::floor::{Encoding, Shape, tell};

            #[test]
            fn bincode_1() {
                tell(super::$name(Shape { encoding: Encoding::Bincode, arbiters: 1 }));
            }

            #[test]
            fn bincode_3() {
                tell(super::$name(Shape { encoding: Encoding::Bincode, arbiters: 3 }));
            }

            #[test]
            fn json_1() {
                tell(super::$name(Shape { encoding: Encoding::Json, arbiters: 1 }));
            }

            #[test]
            fn json_3() {
                tell(super::$name(Shape { encoding: Encoding::Json, arbiters: 3 }));
            }
        }
    )*};
}

pub(crate) use stories;

/// Runs a story on a current-thread runtime.
pub(crate) fn tell<F: Future<Output = ()>>(story: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(story);
}

impl Floor {
    /// A daemon with this configuration text, on free ports and a directory of its own.
    pub(crate) async fn open(text: &str, shape: Shape) -> Self {
        Self::open_at(text, shape, today(), "").await
    }

    /// The same by the system's clock.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn open_by_real_time(text: &str, shape: Shape) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::open_in(directory, text, shape.arbiters, Clock::system(today()), "").await
    }

    /// One whose clock begins at another time, with more lines of `[server]`.
    pub(crate) async fn open_at(text: &str, shape: Shape, at: Timestamp, server: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::open_in(directory, text, shape.arbiters, Clock::manual(at), server).await
    }

    async fn open_in(
        directory: tempfile::TempDir,
        text: &str,
        arbiters: u32,
        clock: Clock,
        server: &str,
    ) -> Self {
        let file = directory.path().join("maitred.toml");
        write_config(&file, text, arbiters, server);
        let (daemon, admin) = start(&load(&file), &clock, file).await;
        let (daemon, server, directory) = (Some(daemon), server.to_owned(), Some(directory));
        Self { daemon, clock, admin, arbiters, server, directory }
    }

    /// A new conversation's id, made at the floor's time: for tests whose clock is not near today's.
    pub(crate) fn new_id(&self) -> ConversationId {
        let micros = self.clock.now().micros();
        let nanos = u32::try_from(micros % 1_000_000 * 1_000).expect("less than a second");
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos)).into()
    }

    fn home(&self) -> &Path {
        self.directory.as_ref().expect("there until the end").path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.home().join("maitred.toml")
    }

    /// Puts another text into the configuration file; the daemon hears of it at a reload or restart.
    pub(crate) fn rewrite(&self, text: &str) {
        write_config(&self.file(), text, self.arbiters, &self.server);
    }

    /// Ends the daemon in order and starts it again on the same directory, `down` later.
    pub(crate) async fn restart(&mut self, down: Duration) {
        let daemon = self.daemon.take().expect("it runs");
        daemon.control().stop_now();
        daemon.wait().expect("it ends well");
        self.clock = Clock::manual(self.clock.now() + down);
        let (daemon, admin) = start(&load(&self.file()), &self.clock, self.file()).await;
        self.daemon = Some(daemon);
        self.admin = admin;
    }

    /// A second daemon on a copy of the directory as it is on disk at this moment: what a crash would leave. The first runs on.
    pub(crate) async fn crash_image(&self, text: &str, down: Duration) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        self.running().control().back_up(data).expect("copied");
        let clock = Clock::manual(self.clock.now() + down);
        Self::open_in(directory, text, self.arbiters, clock, &self.server).await
    }

    pub(crate) fn running(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    /// The Unix socket, for another workspace.
    pub(crate) async fn admin_of(&self, workspace: &str) -> Client {
        let socket = self.running().data_dir().join("maitred.sock");
        let workspace = workspace.parse().expect("a name");
        let connected = Client::connect_unix(&socket, Some(workspace), &Default::default()).await;
        connected.expect("the socket").0
    }

    pub(crate) async fn token(
        &self,
        role: Role,
        visitor: Option<VisitorId>,
        agent: Option<AgentId>,
    ) -> String {
        mint(&self.admin, role, visitor, agent).await
    }

    /// Connects with a token.
    pub(crate) async fn connect(&self, token: &str, encoding: Encoding) -> Seat {
        self.connect_as(token, encoding, Identity::new()).await
    }

    /// Connects with a token as a program that was here before.
    pub(crate) async fn connect_as(&self, token: &str, encoding: Encoding, identity: Identity) -> Seat {
        let mut options = self.options(token, encoding);
        options.common.identity = identity;
        options.common.notices = 100_000;
        let (client, notices) = Client::connect(&options).await.expect("a connection");
        Seat { client, notices, kept: Vec::new() }
    }

    pub(crate) fn options(&self, token: &str, encoding: Encoding) -> Options {
        let ca = Ca::Pem(self.running().certificate().to_owned());
        let mut options = Options::new(self.running().quic().to_string(), ca, token);
        options.encoding = encoding;
        options
    }

    pub(crate) async fn frontend(&self, shape: Shape) -> Seat {
        let token = self.token(Role::Frontend, None, None).await;
        self.connect(&token, shape.encoding).await
    }

    pub(crate) async fn supervisor(&self, shape: Shape) -> Seat {
        let token = self.token(Role::Supervisor, None, None).await;
        self.connect(&token, shape.encoding).await
    }

    /// A visitor on a connection of their own.
    pub(crate) async fn visitor(&self, visitor: VisitorId, shape: Shape) -> Seat {
        let token = self.token(Role::Visitor, Some(visitor), None).await;
        self.connect(&token, shape.encoding).await
    }

    /// An agent of this name, known, connected and online.
    pub(crate) async fn agent(&self, name: &str, groups: &[&str], cap: u16, shape: Shape) -> (AgentId, Seat) {
        let agent = self.put(name, groups, cap).await;
        let seat = self.session(agent, shape).await;
        seat.client.set_presence(agent, Presence::Online).await.expect("online");
        (agent, seat)
    }

    /// A connection of an agent who is known already.
    pub(crate) async fn session(&self, agent: AgentId, shape: Shape) -> Seat {
        let token = self.token(Role::Agent, None, Some(agent)).await;
        self.connect(&token, shape.encoding).await
    }

    /// An agent of this name, known, online, and attached to a frontend.
    pub(crate) async fn hire(&self, desk: &Seat, name: &str, groups: &[&str], cap: u16) -> AgentId {
        let agent = self.put(name, groups, cap).await;
        desk.client.attach(agent).await.expect("attached");
        desk.client.set_presence(agent, Presence::Online).await.expect("online");
        agent
    }

    pub(crate) async fn put(&self, name: &str, groups: &[&str], cap: u16) -> AgentId {
        let agent = AgentId::derive(&workspace(), name);
        let put = profile(&self.admin, agent, name, groups, cap);
        let _: Done = self.admin.ask(put).await.expect("put");
        agent
    }

    /// Moves the clock on.
    pub(crate) fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }
}

fn write_config(file: &Path, text: &str, arbiters: u32, server: &str) {
    let data = file.with_file_name("data");
    let head = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\narbiters = {arbiters}\n{server}\n[journal]\nsegment_size = \"2MiB\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(file, head + text).expect("the file is written");
}

fn load(file: &Path) -> Config {
    let loaded = config::load(Some(file), std::iter::empty());
    loaded.unwrap_or_else(|problems| panic!("{problems}")).config
}

async fn start(config: &Config, clock: &Clock, file: PathBuf) -> (Daemon, Client) {
    let mut options = daemon::Options::new(config.clone());
    options.clock = Some(clock.clone());
    options.config_file = Some(file);
    options.pace = Pace { beyond: 0, at_latest: Duration::from_millis(20), turns: true };
    options.segment_bytes = Some(256 << 10);
    let daemon = daemon::start(options).unwrap_or_else(|error| panic!("{error}"));
    let socket = daemon.data_dir().join("maitred.sock");
    let (admin, _) =
        Client::connect_unix(&socket, Some(workspace()), &Default::default()).await.expect("the socket");
    (daemon, admin)
}

/// A token that lasts as long as it may.
pub(crate) async fn mint(
    admin: &Client,
    role: Role,
    visitor: Option<VisitorId>,
    agent: Option<AgentId>,
) -> String {
    let minted: Minted =
        admin.ask(MintToken { role, visitor, agent, ttl_seconds: None }).await.expect("a token");
    minted.token.as_str().to_owned()
}

/// What creates an agent.
pub(crate) fn profile(admin: &Client, agent: AgentId, name: &str, groups: &[&str], cap: u16) -> PutAgent {
    let groups = groups.iter().map(|group| group.parse::<GroupId>().expect("a name"));
    PutAgent {
        key: admin.identity().next_key(),
        agent,
        name: Text::clip(name),
        email: None,
        groups: List::clip(groups),
        cap: Some(cap),
        live_chat: true,
        avatar: None,
        sites: List::new(),
        sees_bot: false,
    }
}

pub(crate) fn workspace() -> WorkspaceId {
    "test".parse().expect("a name")
}

/// A new conversation's id.
pub(crate) fn new_id() -> ConversationId {
    Uuid::now_v7().into()
}

/// One visitor for each number.
pub(crate) fn visitor(number: u16) -> VisitorId {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    VisitorId::from_bytes(bytes)
}

/// An opening by a frontend's visitor.
pub(crate) fn opening(id: ConversationId, whose: VisitorId, target: Target) -> Open {
    Open {
        conversation: id,
        speaker: Speaker::Visitor(whose),
        channel: "web".parse::<Channel>().expect("a name"),
        target,
        preferred: None,
        priority: 5,
        variables: Variables::default(),
        message: Some(Text::clip("hello")),
        visitor: None,
        bot: None,
    }
}

pub(crate) fn group(name: &str) -> Target {
    Target::Group(name.parse().expect("a name"))
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The code of a refusal; fails if it was none.
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> &'static str {
    let refused = answer.expect_err("a refusal");
    refused.code().unwrap_or_else(|| panic!("not refused but {refused}")).as_str()
}

impl Seat {
    /// The first notice, among those not yet looked at, that satisfies; those before it stay for later.
    pub(crate) async fn sees<T>(&mut self, what: &str, mut find: impl FnMut(&Notice) -> Option<T>) -> T {
        if let Some(at) = self.kept.iter().position(|notice| find(notice).is_some()) {
            let notice = self.kept.remove(at);
            return find(&notice).expect("it did a moment ago");
        }
        let wait = async {
            loop {
                match self.notices.next().await {
                    Some(Told::Notice(notice)) => match find(&notice) {
                        Some(found) => return found,
                        None => self.kept.push(notice),
                    },
                    Some(Told::Missed(count)) => panic!("{count} notices were missed"),
                    None => panic!("the connection ended: {:?}", self.client.ended()),
                }
            }
        };
        match tokio::time::timeout(PATIENCE.get(), wait).await {
            Ok(found) => found,
            Err(_) => panic!("never saw {what}; kept: {:#?}", self.kept),
        }
    }

    /// Opens a conversation for one of a frontend's visitors.
    pub(crate) async fn opens(&self, whose: u16, target: Target) -> ConversationId {
        let id = new_id();
        let opened = self.client.open(opening(id, visitor(whose), target)).await.expect("opened");
        assert_eq!((opened.conversation, opened.existing), (id, false));
        id
    }

    pub(crate) async fn sees_offer(&mut self, id: ConversationId) -> OfferMade {
        let find = |notice: &Notice| match notice {
            Notice::OfferMade(made) if made.conversation == id => Some(made.clone()),
            _ => None,
        };
        self.sees("an offer", find).await
    }

    /// Waits for a staff event of a conversation.
    pub(crate) async fn sees_staff<T>(
        &mut self,
        id: ConversationId,
        what: &str,
        mut find: impl FnMut(&StaffChange) -> Option<T>,
    ) -> T {
        let find = |notice: &Notice| match notice {
            Notice::StaffEvent(event) if event.conversation == id => find(&event.entry.event),
            _ => None,
        };
        self.sees(what, find).await
    }

    /// Waits for something that a visitor sees of a conversation.
    pub(crate) async fn sees_visitor<T>(
        &mut self,
        id: ConversationId,
        what: &str,
        mut find: impl FnMut(&VisitorChange) -> Option<T>,
    ) -> T {
        let find = |notice: &Notice| match notice {
            Notice::VisitorEvent(event) if event.conversation == id => find(&event.entry.change),
            _ => None,
        };
        self.sees(what, find).await
    }

    /// Waits until an offer or announcement has ended for this connection's agent.
    pub(crate) async fn sees_ended(&mut self, id: ConversationId, offer: u32) -> OfferOutcome {
        let find = |notice: &Notice| match notice {
            Notice::OfferEnded(ended) if ended.conversation == id && ended.offer == offer => {
                Some(ended.outcome)
            }
            _ => None,
        };
        self.sees("the end of an offer", find).await
    }

    /// Waits until a subscribed agent's row is as wanted.
    pub(crate) async fn sees_agent(
        &mut self,
        agent: AgentId,
        what: &str,
        mut fits: impl FnMut(&AgentRow) -> bool,
    ) -> AgentRow {
        let find = |notice: &Notice| match notice {
            Notice::AgentChanged(changed) if changed.row.agent == agent && fits(&changed.row) => {
                Some(changed.row.clone())
            }
            _ => None,
        };
        self.sees(what, find).await
    }

    /// Waits for a page of what an agent has on their screen.
    pub(crate) async fn sees_items(&mut self) -> AgentItems {
        let find = |notice: &Notice| match notice {
            Notice::AgentItems(items) => Some(items.clone()),
            _ => None,
        };
        self.sees("an agent's items", find).await
    }

    /// Follows a conversation from its first event.
    pub(crate) async fn follow(&self, id: ConversationId) {
        let feed = Feed::Conversation { conversation: id, after: 0 };
        self.client.subscribe(feed).await.expect("subscribed");
    }

    /// Everything that has come up to now and was not asked for. The answer to a ping is behind it.
    pub(crate) async fn drain(&mut self) -> Vec<Notice> {
        self.client.ping().await.expect("a pong");
        while let Ok(Some(Told::Notice(notice))) =
            tokio::time::timeout(Duration::ZERO, self.notices.next()).await
        {
            self.kept.push(notice);
        }
        std::mem::take(&mut self.kept)
    }

    pub(crate) async fn status(&self, id: ConversationId) -> Status {
        self.detail(id).await.row.status
    }

    pub(crate) async fn detail(&self, id: ConversationId) -> ConversationDetail {
        self.client.ask(ShowConversation { conversation: id }).await.expect("it is there")
    }

    pub(crate) async fn agent_detail(&self, agent: AgentId) -> AgentDetail {
        self.client.ask(ShowAgent { agent }).await.expect("they are there")
    }

    /// All events of a conversation, as staff see them.
    pub(crate) async fn staff_history(&self, id: ConversationId) -> Vec<StaffEntry> {
        let mut all = Vec::new();
        let mut after = Some(0);
        while let Some(from) = after {
            let history = History { conversation: id, speaker: Speaker::Me, after: from, limit: 200 };
            let page: StaffHistory = self.client.ask(history).await.expect("a page");
            all.extend(page.events.into_vec());
            after = page.next;
        }
        all
    }

    /// All events of a conversation, as its visitor sees them.
    pub(crate) async fn visitor_history(&self, id: ConversationId, speaker: Speaker) -> Vec<VisitorEntry> {
        let mut all = Vec::new();
        let mut after = Some(0);
        while let Some(from) = after {
            let history = History { conversation: id, speaker, after: from, limit: 200 };
            let page: VisitorHistory = self.client.ask(history).await.expect("a page");
            all.extend(page.events.into_vec());
            after = page.next;
        }
        all
    }

    /// Waits until the daemon has ended the connection; how.
    pub(crate) async fn ends(&mut self) -> Ended {
        let end = async { while self.notices.next().await.is_some() {} };
        tokio::time::timeout(PATIENCE.get(), end).await.expect("the connection ends");
        self.client.ended().expect("it has ended")
    }

    /// Goes, and waits until the connection has ended on this side.
    pub(crate) async fn leave(self) {
        self.client.close().await;
    }
}
