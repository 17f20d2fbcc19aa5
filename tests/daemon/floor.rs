//! The door through which tests drive a daemon: it starts one, connects frontends and agents, and waits for what they are told.

use std::{path::PathBuf, time::Duration};

use maitred::{
    client::{Ca, Client, Notices, Options, Told},
    clock::{Clock, Timestamp},
    config::{self, Config},
    daemon::{self, Daemon},
    ids::{AgentId, Channel, ConversationId, GroupId, VisitorId, WorkspaceId},
    protocol::{
        Encoding, List, Notice, Text, Variables,
        notice::{OfferMade, StaffChange, VisitorChange},
        reply::Minted,
        request::{MintToken, Open, PutAgent},
        words::{Presence, Role, Speaker, Target},
    },
};
use uuid::Uuid;

/// Longest time that a test waits for something that must come. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a test's clock begins: daemon time must be near the time in new conversation ids.
pub(crate) fn today() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_micros(u64::try_from(now.as_micros()).expect("fits"))
}

/// One daemon, its clock and its directory.
pub(crate) struct Floor {
    pub(crate) daemon: Option<Daemon>,
    pub(crate) clock: Clock,
    pub(crate) admin: Client,
    config: Config,
    directory: tempfile::TempDir,
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

/// Every test that moves conversations runs in all of these.
pub(crate) const SHAPES: [Shape; 4] = [
    Shape { encoding: Encoding::Bincode, arbiters: 1 },
    Shape { encoding: Encoding::Json, arbiters: 1 },
    Shape { encoding: Encoding::Bincode, arbiters: 3 },
    Shape { encoding: Encoding::Json, arbiters: 3 },
];

/// Runs a story on a current-thread runtime.
pub(crate) fn tell<F: Future<Output = ()>>(story: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(story);
}

impl Floor {
    /// A daemon with this configuration text, on free ports and a directory of its own.
    pub(crate) async fn open(text: &str, shape: Shape) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("maitred.toml");
        let data = directory.path().join("data");
        let head = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\narbiters = {}\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            shape.arbiters
        );
        std::fs::write(&file, head + text).expect("the file is written");
        let loaded = config::load(Some(&file), std::iter::empty());
        let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
        let clock = Clock::manual(today());
        let (daemon, admin) = start(&config, &clock, file).await;
        Self { daemon: Some(daemon), clock, admin, config, directory }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("maitred.toml")
    }

    /// Ends the daemon in order and starts it again on the same directory, `down` later.
    pub(crate) async fn restart(&mut self, down: Duration) {
        let daemon = self.daemon.take().expect("it runs");
        daemon.control().stop_now();
        daemon.wait().expect("it ends well");
        self.clock = Clock::manual(self.clock.now() + down);
        let (daemon, admin) = start(&self.config, &self.clock, self.file()).await;
        self.daemon = Some(daemon);
        self.admin = admin;
    }

    fn running(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    pub(crate) async fn token(
        &self,
        role: Role,
        visitor: Option<VisitorId>,
        agent: Option<AgentId>,
    ) -> String {
        let minted: Minted =
            self.admin.ask(MintToken { role, visitor, agent, ttl_seconds: None }).await.expect("a token");
        minted.token.as_str().to_owned()
    }

    /// Connects with a token.
    pub(crate) async fn connect(&self, token: &str, encoding: Encoding) -> Seat {
        let ca = Ca::Pem(self.running().certificate().to_owned());
        let mut options = Options::new(self.running().quic().to_string(), ca, token);
        options.encoding = encoding;
        let (client, notices) = Client::connect(&options).await.expect("a connection");
        Seat { client, notices, kept: Vec::new() }
    }

    pub(crate) async fn frontend(&self, shape: Shape) -> Seat {
        let token = self.token(Role::Frontend, None, None).await;
        self.connect(&token, shape.encoding).await
    }

    /// An agent of this name, known, connected and online.
    pub(crate) async fn agent(&self, name: &str, groups: &[&str], cap: u16, shape: Shape) -> (AgentId, Seat) {
        let agent = self.put(name, groups, cap).await;
        let token = self.token(Role::Agent, None, Some(agent)).await;
        let seat = self.connect(&token, shape.encoding).await;
        seat.client.set_presence(agent, Presence::Online).await.expect("online");
        (agent, seat)
    }

    pub(crate) async fn put(&self, name: &str, groups: &[&str], cap: u16) -> AgentId {
        let agent = AgentId::derive(&workspace(), name);
        let groups = groups.iter().map(|group| group.parse::<GroupId>().expect("a name"));
        let put = PutAgent {
            key: self.admin.identity().next_key(),
            agent,
            name: Text::clip(name),
            email: None,
            groups: List::clip(groups),
            cap: Some(cap),
            live_chat: true,
        };
        self.admin.request(put).await.expect("put");
        agent
    }

    /// Moves the clock on.
    pub(crate) fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }
}

async fn start(config: &Config, clock: &Clock, file: PathBuf) -> (Daemon, Client) {
    let mut options = daemon::Options::new(config.clone());
    options.clock = Some(clock.clone());
    options.config_file = Some(file);
    let daemon = daemon::start(options).unwrap_or_else(|error| panic!("{error}"));
    let socket = daemon.data_dir().join("maitred.sock");
    let (admin, _) =
        Client::connect_unix(&socket, Some(workspace()), &Default::default()).await.expect("the socket");
    (daemon, admin)
}

pub(crate) fn workspace() -> WorkspaceId {
    "test".parse().expect("a name")
}

/// A new conversation's id.
pub(crate) fn new_id() -> ConversationId {
    Uuid::now_v7().into()
}

pub(crate) fn visitor(number: u8) -> VisitorId {
    VisitorId::from_bytes([number; 16])
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
    }
}

pub(crate) fn group(name: &str) -> Target {
    Target::Group(name.parse().expect("a name"))
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
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!("never saw {what}; kept: {:#?}", self.kept),
        }
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
}
