//! The bytes of the archive's entries: what was written once has to stay readable.

use std::{fs, path::Path};

use super::*;
use crate::{
    actors::fold::Folded,
    ids::AgentId,
    routing::{
        AssignCause, Body, By, FallbackReason, Key, OfferOutcome, Presence, Priority, QueueCause, Variable,
        agent::{self, Agent, Profile, Push},
        conversation::{Event, Record},
        group::{self, Group},
        workspace::{self, Workspace},
    },
};

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn conversation(events: &[Vec<Event>]) -> Folded {
    let mut folded = Folded::new(ConversationId::from_bytes([1; 16]));
    let opened = Event::Opened {
        visitor: VisitorId::from_bytes([2; 16]),
        channel: "web".parse().expect("a name"),
        priority: Priority::DEFAULT,
        direct: None,
        preferred: Some(AgentId::from_bytes([3; 16])),
        variables: vec![Variable { name: "page".into(), value: Body("/prices".into()) }],
        via: ClientId::from_bytes([4; 16]),
        digest: 5,
        origin: Origin::Visitor,
        bot: None,
    };
    let queued = Event::Queued {
        stay: 1,
        group: "sales".parse().expect("a name"),
        cause: QueueCause::Opened,
        since: at(1),
        wait_until: Some(at(120)),
        preferred: None,
        barred: None,
        chain: 0,
    };
    let first = vec![opened, queued];
    for (number, events) in (1..).zip([&first].into_iter().chain(events)) {
        let key = Some(Key { client: ClientId::from_bytes([4; 16]), counter: number, digest: 6 });
        let record = Record { at: at(number), by: By::System, key, events: events.clone() };
        folded.take(Position::new(number), &record, &[]);
    }
    folded
}

fn states() -> Vec<(&'static str, Vec<u8>)> {
    let id = AgentId::from_bytes([3; 16]);
    let name = || "Ana".into();
    let assigned =
        Event::Assigned { agent: id, name: name(), cause: AssignCause::Taken, keep: false, decision: None };
    let invited =
        Event::Invited { agent: AgentId::from_bytes([7; 16]), name: "Ben".into(), deadline: at(50) };
    let fell_back = Event::FellBack { reason: FallbackReason::NobodyOnline, message: None, expires: at(900) };
    let announced = Event::Announced { agents: vec![id], deadline: None };
    let declined = Event::OfferEnded { agent: id, outcome: OfferOutcome::Declined };
    let mut agent = Agent::new(id);
    let profile = Profile {
        name: name(),
        email: Some("ana@example.com".into()),
        groups: vec!["sales".parse().expect("a name")],
        cap: Some(3),
        live_chat: true,
        managed_by_config: false,
        ..Profile::default()
    };
    agent.evolve(at(1), &agent::Event::Profiled(profile));
    agent.evolve(at(2), &agent::Event::PresenceSet { presence: Presence::Online, auto: false });
    agent.evolve(at(3), &agent::Event::Assigned);
    agent.evolve(at(3), &agent::Event::PushSet(Push::On { endpoint: Some("https://push.example/1".into()) }));
    let mut group = Group::new("sales".parse().expect("a name"));
    group.evolve(&group::Event::Pointed { name: name(), agent: id });
    let mut realm = Workspace::default();
    realm.evolve(&workspace::Event::TokenMinted(workspace::Token {
        id: "8aea9bb473142719".into(),
        hash: [8; 32],
        grants: workspace::Grants::Agent(id),
        created: at(1),
        expires: Some(at(2)),
    }));
    let closed = conversation(&[vec![Event::Closed { reason: crate::routing::CloseReason::ByVisitor }]]);
    let restart = Restart {
        position: Position::new(9),
        at: at(9),
        last: at(8),
        grace: std::time::Duration::from_secs(15),
    };
    let position = Position::new(300);
    vec![
        ("conversation-waiting", super::write(position, &conversation(&[])).expect("small")),
        (
            "conversation-announced",
            super::write(position, &conversation(&[vec![announced], vec![declined]])).expect("small"),
        ),
        (
            "conversation-active",
            super::write(position, &conversation(&[vec![assigned], vec![invited]])).expect("small"),
        ),
        ("conversation-missed", super::write(position, &conversation(&[vec![fell_back]])).expect("small")),
        ("agent", super::write_agent(position, &agent).expect("small")),
        ("group", super::write(position, &group).expect("small")),
        ("workspace", super::write(position, &realm).expect("small")),
        ("times", super::write(position, &Times { last: at(9), restarts: vec![restart] }).expect("small")),
        ("row", super::write(position, &ClosedRow::of(&closed.machine, at(2))).expect("small")),
    ]
}

/// If a change of a machine changes these bytes after a release: raise the version and read the old form too.
#[test]
fn the_bytes_of_states_are_as_they_were() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/archive");
    for (name, bytes) in states() {
        let file = directory.join(format!("{name}.hex"));
        let mut hex = String::new();
        for line in bytes.chunks(32) {
            line.iter().for_each(|byte| hex.push_str(&format!("{byte:02x}")));
            hex.push('\n');
        }
        if std::env::var_os("MAITRED_REGENERATE").is_some() {
            fs::write(&file, &hex).expect("written");
        }
        let golden = fs::read_to_string(&file).expect("a golden file");
        assert_eq!(hex, golden, "{name}: an archive that was written before can't be read any more");
    }
}

#[test]
fn an_agent_who_is_limited_to_sites_still_is_after_a_start() {
    let mut agent = Agent::new(AgentId::from_bytes([3; 16]));
    let profile = Profile { sites: vec!["shop".into()], ..Profile::default() };
    agent.evolve(at(1), &agent::Event::Profiled(profile));
    let bytes = super::write_agent(Position::new(7), &agent).expect("small");
    let (_, read) = read_agent(&bytes).expect("readable");
    let scope = read.scope();
    assert_eq!(scope, agent.scope());
    assert!(scope.sites.cover(Some(&"shop".into())) && !scope.sites.cover(Some(&"blog".into())));
}

/// As version 1 wrote an agent: without what they want of notifications.
#[test]
fn an_agent_of_the_first_version_has_said_nothing_about_notifications() {
    let mut agent = Agent::new(AgentId::from_bytes([3; 16]));
    agent.evolve(at(2), &agent::Event::PresenceSet { presence: Presence::Online, auto: false });
    let mut old = super::write_agent(Position::new(7), &agent).expect("small");
    assert_eq!(old.pop(), Some(0), "the last byte says it");
    assert!(read_agent(&old).is_err(), "a state of this version has it");
    old[0] = 1;
    let (position, read) = read_agent(&old).expect("readable");
    assert_eq!((position, read.intent(), read.push()), (Position::new(7), Presence::Online, &Push::Unset));
    old[0] = AGENT + 1;
    assert!(matches!(read_agent(&old), Err(Unreadable::Newer(3))));
}

#[test]
fn what_sleeps_is_found_without_reading_its_state() {
    let expires = at(900);
    let fell_back = Event::FellBack { reason: FallbackReason::NobodyOnline, message: None, expires };
    let folded = conversation(&[vec![fell_back]]);
    let bytes = write_conversation(Position::new(7), &folded).expect("small");
    let sleeper = sleeper(&bytes).expect("well formed").expect("it sleeps");
    // The forms of its parts are held by the golden files of a line and of a state.
    let mut line =
        write(Position::new(7), &ClosedRow::of(&folded.machine, expires).expect("a line")).expect("small");
    codec::to_log(folded.machine.attention(), &mut line).expect("small");
    assert_eq!(sleeper, &line[9..]);
    let state = write(Position::new(7), &folded).expect("small");
    assert_eq!(bytes[13 + sleeper.len()..], state[9..]);
    assert_eq!(bytes[..9], [&[2], &state[1..9]].concat());
    let Sleeper { row, attention } = read_sleeper(sleeper).expect("well formed");
    assert_eq!(Some(row), ClosedRow::of(&folded.machine, expires));
    assert_eq!(attention, *folded.machine.attention());
    let whole = read_conversation(&bytes).expect("well formed");
    assert_eq!(whole.at, Position::new(7));
    assert_eq!(format!("{:?}", whole.machine), format!("{:?}", folded.machine));
    // As it was written before anything slept, and as what is awake still is.
    for folded in [folded, conversation(&[])] {
        let bytes = write(Position::new(7), &folded).expect("small");
        assert!(super::sleeper(&bytes).expect("well formed").is_none());
        let whole = read_conversation(&bytes).expect("well formed");
        assert_eq!(format!("{:?}", whole.machine), format!("{:?}", folded.machine));
    }
    for length in [0, 1, 12, 40] {
        assert!(read_conversation(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn what_a_later_version_wrote_is_refused_by_name() {
    let mut bytes = super::write(Position::new(1), &Times::default()).expect("small");
    bytes[0] = VERSION + 1;
    assert!(matches!(read::<Times>(&bytes), Err(Unreadable::Newer(2))));
    let mut chunk = begin_chunk();
    push_record(&mut chunk, Position::new(1), 1, b"payload");
    chunk[0] = VERSION + 1;
    let refused = each_in_chunk(&chunk, &mut |_, _, _| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(Unreadable::Newer(2))));
}

#[test]
fn a_chunk_gives_its_records_back_and_a_shorter_one_is_no_chunk() {
    let mut chunk = begin_chunk();
    let records = [(1, 1, &b"one"[..]), (7, 1, b""), (9, 2, b"three")];
    for (position, version, payload) in records {
        push_record(&mut chunk, Position::new(position), version, payload);
    }
    let mut found = Vec::new();
    let whole = each_in_chunk(&chunk, &mut |position, version, payload| {
        found.push((position.get(), version, payload.to_vec()));
        ControlFlow::Continue(())
    });
    assert!(matches!(whole, Ok(ControlFlow::Continue(()))));
    assert_eq!(found, records.map(|(position, version, payload)| (position, version, payload.to_vec())));
    for length in [0, 2, chunk.len() - 1] {
        let cut = each_in_chunk(&chunk[..length], &mut |_, _, _| ControlFlow::Continue(()));
        assert!(cut.is_err(), "{length}");
    }
}

#[test]
fn keys_say_whose_they_are() {
    let workspace: WorkspaceId = "one".parse().expect("a name");
    let all = [
        Whose::Times,
        Whose::Workspace,
        Whose::Group("sales".parse().expect("a name")),
        Whose::Agent(AgentId::from_bytes([0; 16])),
        Whose::Conversation(ConversationId::from_bytes([255; 16])),
        Whose::Unreadable(ConversationId::from_bytes([255; 16])),
    ];
    for whose in all {
        let key = of_state(&workspace, &whose);
        let (of, rest) = split(&key).expect("a workspace");
        assert_eq!((of, super::whose(rest)), (workspace.clone(), Some(whose)));
        assert!(key >= of_state(&workspace, &Whose::Times), "the times come first");
    }
    let longer: WorkspaceId = "one-more".parse().expect("a name");
    assert!(
        !of_workspace(&longer).starts_with(&of_workspace(&workspace)),
        "no name is the beginning of another key"
    );
}
