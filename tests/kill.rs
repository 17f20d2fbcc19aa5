//! kill -9 under load (S3, S6, S7): the real binary is killed again and again while it works, and what it acknowledged is
//! written down outside of it. Nothing acknowledged may be lost, nothing may take effect twice, and what was not
//! answered is asked again with the same key, as a client does that does not know.
//!
//! `KILLS` sets how often (200 unless set), `SEED` repeats a run. `scripts/powercut` runs the same on a file system of its own
//! (`KILL_DATA`), where instead of the process alone the disk goes away and comes back (`KILL_HOOK`).

#[path = "outside/mod.rs"]
mod outside;
#[path = "kill/told.rs"]
mod told;

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use maitred::{
    client::{Client, Identity, Notices, Options, RequestError},
    ids::{ConversationId, VisitorId},
    protocol::{
        Reply, Request, Variables,
        notice::{VisitorChange, VisitorSide},
        reply::VisitorHistory,
        request::{History, Open, Say},
        words::{Speaker, Target},
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

/// What the servers outside ask of the test that they are for.
mod floor {
    /// How long a test waits for something that must come.
    pub(crate) fn patience() -> std::time::Duration {
        std::time::Duration::from_secs(20)
    }
}

/// Requests in flight when the blow falls.
const IN_FLIGHT: usize = 48;

/// New messages go to one of so many conversations, so that each has far fewer in flight than keys are remembered for.
const RECENT: usize = 12;

/// The log is written every so often only, so that an answer which did not wait for it would be caught: written at once, what
/// a killed process was told to write is nearly always there already.
const CONFIG: &str = r#"
[journal]
segment_size = "2MiB"
commit_interval = "20ms"
[limits.visitor]
openings = 10000
openings_per = "1s"
messages_per_second = 1000
burst = 1000
[[workspace]]
name = "shop"
[[workspace.group]]
name = "sales"
"#;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_happens_twice() {
    let number = |name: &str, otherwise: u64| {
        env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
    };
    let (kills, seed) = (number("KILLS", 200), number("SEED", rand::random::<u32>().into()));
    println!("repeat with: SEED={seed} KILLS={kills} cargo test --test kill -- --nocapture");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let house = House::new();
        let mut book = Book::new(StdRng::seed_from_u64(seed), house.token());
        for _ in 0..kills {
            let blow = book.rng.random_range(1..80);
            book.live(house.serve(), Some(blow)).await;
        }
        let told = book.unanswered();
        book.live(house.serve(), None).await;
        let (messages, conversations) = book.check(house.serve()).await;
        println!("{kills} kills: {messages} messages in {conversations} conversations, {told} asked again at the end");
        assert!(messages > 10 * kills as usize, "too little was under way to prove anything");
    });
}

/// What was asked, and what was answered: kept outside of the daemon.
struct Book {
    rng: StdRng,
    token: String,
    identity: Identity,
    next_key: u64,
    asked: Vec<Asked>,
    /// Conversations whose opening was answered.
    open: Vec<(ConversationId, VisitorId)>,
}

struct Asked {
    request: Request,
    answer: Option<Reply>,
}

impl Book {
    fn new(rng: StdRng, token: String) -> Self {
        Self { rng, token, identity: Identity::new(), next_key: 1, asked: Vec::new(), open: Vec::new() }
    }

    fn unanswered(&self) -> usize {
        self.asked.iter().filter(|asked| asked.answer.is_none()).count()
    }

    async fn connect(&self, victim: &Victim) -> (Client, Notices) {
        let mut options = Options::new(&victim.address, victim.ca.parse().expect("never fails"), &self.token);
        options.common.identity = self.identity.clone();
        Client::connect(&options).await.expect("it serves")
    }

    /// One life: what was left unanswered first, then new work until so many answers have come, then the blow. Without a blow
    /// it lives until everything is answered.
    async fn live(&mut self, mut victim: Victim, blow: Option<usize>) {
        let (client, _notices) = self.connect(&victim).await;
        let mut under_way = JoinSet::new();
        let again: Vec<usize> = (0..self.asked.len()).filter(|at| self.asked[*at].answer.is_none()).collect();
        for at in again {
            self.send(at, &client, &mut under_way);
        }
        let mut left = blow.unwrap_or(usize::MAX);
        while left > 0 {
            while blow.is_some() && under_way.len() < IN_FLIGHT {
                let at = self.think_of_something();
                self.send(at, &client, &mut under_way);
            }
            let Some(answer) = under_way.join_next().await else { return };
            self.write_down(answer.expect("no task panics"));
            left -= 1;
        }
        victim.kill();
        // What has arrived by now is answered; nothing tells a QUIC client that the other end is gone, so it gives up by itself.
        while let Some(answer) = under_way.try_join_next() {
            self.write_down(answer.expect("no task panics"));
        }
    }

    fn send(
        &self,
        at: usize,
        client: &Client,
        under_way: &mut JoinSet<(usize, Result<Reply, RequestError>)>,
    ) {
        let answer = client.ask::<Reply>(self.asked[at].request.clone());
        under_way.spawn(async move { (at, answer.await) });
    }

    fn think_of_something(&mut self) -> usize {
        let request = if self.open.is_empty() || self.rng.random_ratio(1, 8) {
            let visitor = VisitorId::from(Uuid::now_v7());
            Request::from(Open {
                conversation: Uuid::now_v7().into(),
                speaker: Speaker::Visitor(visitor),
                channel: "web".parse().expect("a name"),
                target: Target::Default,
                preferred: None,
                priority: 5,
                variables: Variables::default(),
                message: None,
                visitor: None,
                bot: None,
            })
        } else {
            let recent = self.open.len().saturating_sub(RECENT);
            let (conversation, visitor) = self.open[self.rng.random_range(recent..self.open.len())];
            let key = self.next_key;
            self.next_key += 1;
            let body = format!("message {key}").try_into().expect("short");
            Request::from(Say { key, conversation, speaker: Speaker::Visitor(visitor), body })
        };
        self.asked.push(Asked { request, answer: None });
        self.asked.len() - 1
    }

    fn write_down(&mut self, (at, answer): (usize, Result<Reply, RequestError>)) {
        let asked = &mut self.asked[at];
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) => panic!("{:?}: {error}", asked.request),
        };
        if let (Request::Open(open), Speaker::Visitor(visitor), Reply::Opened(opened)) =
            (&asked.request, speaker(&asked.request), &reply)
        {
            assert_eq!(opened.conversation, open.conversation);
            self.open.push((open.conversation, visitor));
        }
        asked.answer = Some(reply);
    }

    /// Every answered message is there, once, and nothing else is.
    async fn check(&self, victim: Victim) -> (usize, usize) {
        assert_eq!(self.unanswered(), 0, "the last life answers everything");
        let (client, _notices) = self.connect(&victim).await;
        let mut expected: HashMap<ConversationId, HashMap<&str, u64>> = HashMap::new();
        for asked in &self.asked {
            match (&asked.request, &asked.answer) {
                (Request::Say(say), Some(Reply::Recorded(recorded))) => {
                    let last = recorded.visitor_seq.expect("visitors see what they say");
                    expected.entry(say.conversation).or_default().insert(say.body.as_str(), last);
                }
                (Request::Open(open), Some(Reply::Opened(_))) => {
                    _ = expected.entry(open.conversation).or_default()
                }
                (request, answer) => panic!("{request:?} was answered {answer:?}"),
            }
        }
        for (conversation, visitor) in &self.open {
            let mut acknowledged = expected[conversation].clone();
            for (number, body) in read(&client, *conversation, *visitor).await {
                let last = acknowledged.remove(body.as_str());
                // What a message set off has higher numbers than the message, and is answered for with it.
                assert!(
                    last.is_some_and(|last| number <= last),
                    "{number} in {conversation}: {body}, {last:?}"
                );
            }
            assert!(acknowledged.is_empty(), "lost in {conversation}: {acknowledged:?}");
        }
        (expected.values().map(HashMap::len).sum(), expected.len())
    }
}

fn speaker(request: &Request) -> Speaker {
    match request {
        Request::Open(open) => open.speaker,
        Request::Say(say) => say.speaker,
        other => panic!("{other:?} was never asked"),
    }
}

/// What the visitor has said, by its number; the numbers of everything they see have no gaps.
async fn read(client: &Client, conversation: ConversationId, visitor: VisitorId) -> Vec<(u64, String)> {
    let (mut said, mut last) = (Vec::new(), 0);
    loop {
        let speaker = Speaker::Visitor(visitor);
        let asked = History { conversation, speaker, after: last, limit: 200 };
        let page: VisitorHistory = client.ask(asked).await.expect("it is there");
        for entry in page.events.iter() {
            last += 1;
            assert_eq!(entry.visitor_seq, last, "a gap in {conversation}");
            if let VisitorChange::Said { from: VisitorSide::Me, body } = &entry.change {
                said.push((last, body.as_str().to_owned()));
            }
        }
        if page.next.is_none() {
            return said;
        }
    }
}

/// A directory with a configuration on free ports.
struct House {
    directory: TempDir,
    file: PathBuf,
    /// What makes the disk go away (`cut`) and come back (`back`) with each blow.
    hook: Option<PathBuf>,
}

impl House {
    fn new() -> Self {
        Self::with(CONFIG)
    }

    fn with(config: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("maitred.toml");
        let data = env::var_os("KILL_DATA").map_or(directory.path().join("data"), PathBuf::from);
        let own = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"{}\"\nlog_level = \"error\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            data.display()
        );
        fs::write(&file, own + config).expect("written");
        Self { directory, file, hook: env::var_os("KILL_HOOK").map(PathBuf::from) }
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maitred"));
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MAITRED")) {
            command.env_remove(name);
        }
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
        command.args(verb).arg("--config").arg(&self.file).current_dir(self.directory.path());
        command
    }

    /// What still waits to be told outside, in JSON.
    fn deliveries(&self) -> Vec<u8> {
        let listed = self.command(&["deliveries", "ls", "--json"]).output().expect("the binary runs");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        listed.stdout
    }

    /// A frontend's, made while no daemon runs.
    fn token(&self) -> String {
        let made = self.command(&["token", "new", "--role", "frontend"]).output().expect("the binary runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).expect("text").trim().to_owned()
    }

    fn serve(&self) -> Victim {
        let mut command = self.command(&["serve", "--announce"]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        let mut printed = BufReader::new(child.stdout.take().expect("piped"));
        printed.read_line(&mut line).expect("it announces itself");
        let announced: Value = serde_json::from_str(&line).expect("a start that nothing hinders");
        let text = |name: &str| announced[name].as_str().expect("announced").to_owned();
        Victim { child, address: text("quic"), ca: text("fingerprint"), hook: self.hook.clone() }
    }
}

/// A daemon that serves; killed when it is dropped.
struct Victim {
    child: Child,
    address: String,
    ca: String,
    hook: Option<PathBuf>,
}

impl Victim {
    fn kill(&mut self) {
        self.disk("cut");
        self.child.kill().expect("it is there to be killed");
        self.child.wait().expect("it was started");
        self.disk("back");
    }

    fn disk(&self, verb: &str) {
        let Some(hook) = &self.hook else { return };
        let done = Command::new(hook).arg(verb).status().expect("the hook runs");
        assert!(done.success(), "the disk did not do this: {verb}");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Killed already, unless nothing was to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
