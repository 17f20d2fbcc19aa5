//! The real binary from outside: what it prints, what it exits with, what it obeys. Start reading at the tests; how a
//! program is run and waited for stands below them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    os::unix::net::{UnixDatagram, UnixStream},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes on a busy machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_version_is_told_to_people_and_programs() {
    let people = maitred(&["version"]);
    assert!(text(&people.stdout).starts_with(concat!("maitred ", env!("CARGO_PKG_VERSION"))), "{people:?}");
    let programs = maitred(&["version", "--json"]);
    assert_eq!(json(&text(&programs.stdout))["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn wrong_usage_exits_with_2() {
    for wrong in
        [&["serv"][..], &["token", "new"], &["token", "new", "--role", "agent"], &["dev", "--rate", "-1"]]
    {
        let told = maitred(wrong);
        assert_eq!(told.status.code(), Some(2), "{wrong:?}: {told:?}");
        assert!(!told.stderr.is_empty());
    }
}

#[test]
fn a_bad_configuration_is_told_whole_with_carets() {
    let house = House::new("[server]\narbiterz = 3\n[defaults]\naccept_timeout = \"50ms\"\n");
    for verb in [&["check-config", house.file()][..], &["serve", "--config", house.file()]] {
        let told = maitred(verb);
        let said = text(&told.stderr);
        assert_eq!(told.status.code(), Some(78), "{said}");
        assert!(said.contains(":2:1: [server] has no key `arbiterz`"), "{said}");
        assert!(said.contains("accept_timeout = \"50ms\"\n") && said.contains("^^^^^^ expected"), "{said}");
        assert!(told.stdout.is_empty());
    }
}

#[test]
fn warnings_stop_nothing_and_what_holds_reads_back() {
    let house = House::new("[defaults]\nmax_wait = \"none\"\n");
    let told = maitred(&["check-config", house.file()]);
    assert!(told.status.success());
    assert!(text(&told.stderr).contains("warning:"), "{told:?}");
    assert!(text(&told.stdout).contains("can be used"), "{told:?}");

    let effective = maitred(&["check-config", "--print-effective", house.file()]);
    let again = House::new(&text(&effective.stdout));
    let told = maitred(&["check-config", "--print-effective", again.file()]);
    assert_eq!(text(&told.stdout), text(&effective.stdout));
}

#[test]
fn what_is_found_is_told_to_programs_and_warnings_can_be_denied() {
    let wrong = House::new("[server]\narbiterz = 3\n[defaults]\nmax_wait = \"none\"\n");
    let told = maitred(&["check-config", "--json", wrong.file()]);
    assert_eq!(told.status.code(), Some(78));
    let report = json(&text(&told.stdout));
    assert_eq!((&report["usable"], &report["errors"][0]["line"]), (&json("false"), &json("2")));
    assert!(report["errors"][0]["message"].as_str().expect("text").contains("arbiterz"), "{report}");
    assert!(text(&told.stderr).contains("1 error"), "{told:?}");

    let warned = House::new("[defaults]\nmax_wait = \"none\"\n");
    let told = maitred(&["check-config", "--json", warned.file()]);
    let report = json(&text(&told.stdout));
    assert_eq!((told.status.code(), &report["usable"]), (Some(0), &json("true")));
    assert!(report["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty()), "{report}");
    let told = maitred(&["check-config", "--deny-warnings", warned.file()]);
    assert_eq!(told.status.code(), Some(78));
    assert!(text(&told.stderr).contains("denied"), "{told:?}");
}

#[test]
fn a_file_is_held_against_a_daemon_that_runs() {
    let groups = |lines: &str| format!("[[workspace]]\nname = \"demo\"\nwhen_empty = \"queue\"\n{lines}");
    let house = House::new("");
    house.write(&groups(
        "[[workspace.group]]\nname = \"sales\"\nlabel = \"Sales\"\noverflow = \"help\"\n\
         [[workspace.group]]\nname = \"help\"\nlabel = \"Help\"\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"sales\", \"help\"]\n\
         [[workspace.agent]]\nname = \"ben\"\ndisplay_name = \"Ben\"\ngroups = [\"sales\"]\n",
    ));
    let mut daemon = house.serve();
    let token = |role: &str| text(&house.ask(&["token", "new"], &["--role", role]).stdout).trim().to_owned();
    let mut widget = house.client(&daemon, &["--ca", daemon.at("certificate")], &token("frontend"));
    widget.say(&format!(
        r#"open {{"speaker":{{"visitor":"{VISITOR}"}},"target":{{"group":"sales"}},"message":"hello"}}"#
    ));
    widget.wait(|line| !line["opened"].is_null());

    let data = house.data();
    let data = data.to_str().expect("plain");
    let same = maitred(&["check-config", "--against", data, house.file()]);
    assert!(text(&same.stdout).contains("would change nothing"), "{same:?}");

    let next = House::new("");
    next.write(&groups(
        "cap = 1\n[[workspace.group]]\nname = \"help\"\nlabel = \"Help\"\nstrategy = \"pull\"\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"help\"]\n",
    ));
    let told = maitred(&["check-config", "--against", data, next.file()]);
    let said = text(&told.stdout);
    for line in [
        "workspace demo: group sales is removed: its 1 waiting and 0 offered go on to help; its 0 active stay",
        "workspace demo: agent Ben is removed: they finish the 0",
        "workspace.demo.group.sales is removed",
        "workspace.demo.group.help.strategy: \"round_robin\" → \"pull\"",
        "server.data_dir: ",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let report = json(&text(&maitred(&["check-config", "--json", "--against", data, next.file()]).stdout));
    assert_eq!(report["against"]["effects"].as_array().map(Vec::len), Some(2), "{report}");
    // An admin's token shows its own workspace, and nothing of the process.
    let remote =
        ["--against", daemon.at("quic"), "--ca", daemon.at("certificate"), "--token", &token("admin")];
    let told = maitred(&[&["check-config", "--json", next.file()][..], &remote].concat());
    let report = json(&text(&told.stdout));
    assert_eq!(report["against"]["effects"].as_array().map(Vec::len), Some(2), "{told:?}");
    assert_eq!(report["against"]["needs_restart"].as_array().map(Vec::len), Some(0), "{report}");

    let groups = text(&house.ask(&["groups", "ls"], &[]).stdout);
    assert!(groups.lines().any(|line| line.starts_with("sales ")), "nothing was changed: {groups}");
    let nobody =
        maitred(&["check-config", "--against", next.directory.path().to_str().expect("plain"), next.file()]);
    assert_eq!(nobody.status.code(), Some(69), "{nobody:?}");
    assert_eq!(widget.leave(), Some(0));
    assert_eq!(daemon.end("TERM"), Some(0));
}

#[test]
fn a_conversation_goes_all_the_way_through_the_command_line() {
    let house = House::new("");
    let mut daemon = house.serve();
    let token = |role: &[&str]| text(&house.ask(&["token", "new"], role).stdout).trim().to_owned();
    let mut ana = house.client(&daemon, &["--ca", daemon.at("certificate")], &token(&["--agent", "ana"]));
    ana.say(r#"{"id":"come","set_presence":{"presence":"online"}}"#);
    ana.wait(|line| line["id"] == "come" && !line["done"].is_null());

    let fingerprint = ["--fingerprint", daemon.at("fingerprint")];
    let mut widget = house.client(&daemon, &fingerprint, &token(&["--role", "frontend"]));
    widget.say(&format!(
        r#"open {{"speaker":{{"visitor":"{VISITOR}"}},"target":{{"group":"sales"}},"message":"hello"}}"#
    ));
    let opened = widget.wait(|line| !line["opened"].is_null());
    let conversation = opened["opened"]["conversation"].as_str().expect("an id").to_owned();

    let offer = ana.wait(|line| !line["offer_made"].is_null());
    assert_eq!(offer["offer_made"]["conversation"], conversation.as_str());
    let number = &offer["offer_made"]["offer"];
    ana.say(&format!(r#"accept {{"conversation":"{conversation}","offer":{number}}}"#));
    ana.wait(|line| !line["recorded"].is_null());
    let joined = widget.wait(|line| line["visitor_event"]["entry"]["change"].get("agent_joined").is_some());
    assert_eq!(joined["visitor_event"]["entry"]["change"]["agent_joined"]["name"], "Ana");

    let explained = text(&house.ask(&["explain"], &[&conversation, "--agent", "ben"]).stdout);
    assert!(explained.contains("sales  round_robin: Ana"), "{explained}");
    assert!(explained.contains("Ben: is not asked now"), "{explained}");
    let by_its_end = text(&house.ask(&["explain"], &[&conversation[28..]]).stdout);
    assert!(by_its_end.contains(&conversation), "{by_its_end}");
    let listed = json(&text(&house.ask(&["conversations", "ls"], &["--json"]).stdout));
    assert_eq!(listed[0]["status"], "active");
    let shown = text(&house.ask(&["conversations", "show"], &[&conversation]).stdout);
    assert!(shown.contains("owner         Ana\n"), "{shown}");
    let shown = text(&house.ask(&["agents", "show"], &["ana"]).stdout);
    assert!(shown.contains("owned"), "{shown}");
    let groups = text(&house.ask(&["groups", "ls"], &[]).stdout);
    assert!(
        groups.lines().any(|line| line.starts_with("sales ") && line.contains("round_robin")),
        "{groups}"
    );

    assert_eq!(widget.leave(), Some(0));
    assert_eq!(ana.leave(), Some(0));
    assert_eq!(daemon.end("TERM"), Some(0));
}

#[test]
fn what_is_kept_is_shown_copied_checked_and_erased() {
    const SAID: &str = "please forget that I asked";
    let house = House::new("");
    let mut daemon = house.serve();
    let token = text(&house.ask(&["token", "new"], &["--role", "frontend"]).stdout).trim().to_owned();
    let mut widget = house.client(&daemon, &["--ca", daemon.at("certificate")], &token);
    widget.say(&format!(
        r#"open {{"speaker":{{"visitor":"{VISITOR}"}},"target":{{"group":"sales"}},"message":"{SAID}"}}"#
    ));
    let opened = widget.wait(|line| !line["opened"].is_null());
    let conversation = opened["opened"]["conversation"].as_str().expect("an id").to_owned();
    let close = format!(r#"close {{"conversation":"{conversation}","speaker":{{"visitor":"{VISITOR}"}}}}"#);
    widget.say(&close);
    widget.wait(|line| !line["recorded"].is_null());

    let listed = text(&house.ask(&["archive", "ls"], &["--visitor", VISITOR]).stdout);
    assert!(listed.contains(&conversation) && listed.contains("closed"), "{listed}");
    let transcript = text(&house.ask(&["archive", "show"], &[&conversation]).stdout);
    assert!(transcript.contains(SAID), "{transcript}");
    let copy = house.directory.path().join("copy");
    let copy = copy.to_str().expect("plain");
    let copied = house.ask(&["archive", "copy"], &[copy]);
    assert_eq!(copied.status.code(), Some(0), "{copied:?}");
    let again = house.ask(&["archive", "copy"], &[copy]);
    assert!(text(&again.stderr).contains("already"), "{again:?}");
    let in_use = house.ask(&["journal", "verify"], &[]);
    assert!(text(&in_use.stderr).contains("in use by another maitred"), "{in_use:?}");

    let whom = ["--visitor", VISITOR];
    let asked = text(&house.ask(&["archive", "erase"], &whom).stdout);
    assert!(asked.starts_with("1 conversations would be erased"), "{asked}");
    let word = asked.trim().rsplit(' ').next().expect("a word");
    let done = text(&house.ask(&["archive", "erase"], &[whom[0], whom[1], "--confirm", word]).stdout);
    assert!(done.starts_with("1 conversations are erased"), "{done}");
    let gone = house.ask(&["archive", "show"], &[&conversation]);
    assert!(text(&gone.stderr).contains("not_found") || !gone.status.success(), "{gone:?}");
    assert_eq!(widget.leave(), Some(0));
    assert_eq!(daemon.end("TERM"), Some(0));

    // The copy is from before.
    let verified = maitred(&["journal", "verify", "--data-dir", copy]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(text(&verified.stdout).contains("0 that are not over"), "{verified:?}");
    let exported = text(&maitred(&["journal", "export", "--data-dir", copy]).stdout);
    let lines: Vec<Value> = exported.lines().map(json).collect();
    assert!(lines.len() > 3 && exported.contains(SAID), "{exported}");
    let verified = house.ask(&["journal", "verify"], &[]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[test]
fn a_client_is_told_what_is_wrong_with_a_line_and_goes_on() {
    let house = House::new("");
    let mut daemon = house.serve();
    let mut client = Running::start(house.command(&["client"]));
    client.say("pling");
    client.wait(|line| {
        line["id"] == 1 && line["error"].as_str().is_some_and(|why| why.contains("no command pling"))
    });
    client.say(r#"{"say":{"conversation":"x"}}"#);
    client
        .wait(|line| line["id"] == 2 && line["error"].as_str().is_some_and(|why| why.contains("not an id")));
    client.say(&format!(r#"show_conversation {{"conversation":"{VISITOR}"}}"#));
    client.wait(|line| line["id"] == 3 && line["refused"]["code"] == "not_found");
    client.say("ping");
    client.wait(|line| line["id"] == 4 && line["pong"]["now"].is_u64());
    assert_eq!(client.leave(), Some(1), "two lines were wrong");

    let stranger = house.client(&daemon, &["--ca", daemon.at("certificate")], "mtr_00_00");
    let (code, said) = stranger.finish();
    assert_eq!(code, Some(1));
    assert!(said.contains("unauthenticated"), "{said}");
    assert_eq!(daemon.end("TERM"), Some(0));
}

#[test]
fn a_reload_is_all_or_nothing() {
    let house = House::new("");
    let mut daemon = house.serve();
    let timeout = |house: &House| {
        let shown = json(&text(&house.ask(&["groups", "show"], &["sales", "--json"]).stdout));
        shown["accept_timeout_ms"].as_u64().expect("a number")
    };
    assert_eq!(timeout(&house), 30_000);

    house.write(&WORKSPACE.replace("30s", "never"));
    daemon.signal("HUP");
    daemon.wait_said("the old one goes on");
    let data = house.data();
    let data = data.to_str().expect("plain");
    let refused = maitred(&["reload", "--data-dir", data]);
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    assert!(text(&refused.stderr).contains("accept_timeout"), "{refused:?}");
    let shown = maitred(&["groups", "show", "sales", "--data-dir", data]);
    assert!(text(&shown.stdout).contains("accept_timeout  30 s"), "{shown:?}");

    house.write(&WORKSPACE.replace("30s", "7s"));
    daemon.signal("HUP");
    daemon.wait_said("the configuration was read again");
    assert_eq!(timeout(&house), 7_000);
    assert!(house.ask(&["reload"], &[]).status.success());
    assert_eq!(daemon.end("TERM"), Some(0));
}

#[test]
fn a_data_directory_has_one_daemon() {
    let house = House::new("");
    let mut daemon = house.serve();
    let second = house.ask(&["serve"], &[]);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(text(&second.stderr).contains("in use by another maitred"), "{second:?}");
    assert_eq!(daemon.end("INT"), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let house = House::new("");
    let mut daemon = house.serve();
    let stubborn = unread(&house);
    // The daemon has taken in what came before.
    assert!(house.ask(&["groups", "ls"], &[]).status.success());

    daemon.signal("TERM");
    daemon.wait_said("draining");
    // It does not read what it asked for: the drain waits for it, for ten seconds by default.
    let ending = Instant::now();
    assert_eq!(daemon.end("TERM"), Some(75));
    assert!(ending.elapsed() < Duration::from_secs(8), "it waited all the same");
    drop(stubborn);
}

#[test]
fn the_service_manager_is_told() {
    let house = House::new("");
    let path = house.directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_read_timeout(Some(PATIENCE)).expect("set");
    let hear = |wanted: &str| loop {
        let mut told = [0; 1_024];
        let length = manager.recv(&mut told).unwrap_or_else(|error| panic!("{wanted} never came: {error}"));
        let told = text(&told[..length]);
        if told.contains(wanted) {
            return told;
        }
    };
    let mut command = house.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut daemon = Running::start(command);
    assert!(hear("READY=1").contains("STATUS=serving demo on 127.0.0.1:"));
    hear("WATCHDOG=1");
    daemon.signal("HUP");
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    daemon.signal("TERM");
    hear("STOPPING=1");
    assert_eq!(daemon.exit(), Some(0));
}

#[test]
fn drain_ends_the_daemon_and_waits_for_it() {
    let house = House::new("");
    let daemon = house.serve();
    let told = house.ask(&["drain"], &[]);
    assert!(told.status.success(), "{told:?}");
    let (code, said) = daemon.finish();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn without_a_daemon_reading_exits_with_69_and_says_what_to_do() {
    let house = House::new("");
    for verb in [&["groups", "ls"][..], &["agents", "ls"], &["explain", VISITOR], &["client"], &["drain"]] {
        let told = house.ask(verb, &[]);
        assert_eq!(told.status.code(), Some(69), "{verb:?}: {told:?}");
        assert!(text(&told.stderr).contains("maitred serve"), "{told:?}");
    }
}

#[test]
fn tokens_are_made_without_a_daemon_and_good_with_it() {
    let house = House::new("");
    let token = text(&house.ask(&["token", "new"], &["--role", "supervisor", "--ttl", "1h"]).stdout);
    let listed = json(&text(&house.ask(&["token", "ls"], &["--json"]).stdout));
    let id = listed[0]["token_id"].as_str().expect("a name").to_owned();
    assert!(token.starts_with(&format!("mtr_{id}_")), "{token}");
    // Under which rules the directory is served is in a file that has to be named.
    let data = house.data();
    let nameless = maitred(&["token", "ls", "--data-dir", data.to_str().expect("plain")]);
    assert_eq!(nameless.status.code(), Some(69), "{nameless:?}");
    assert!(text(&nameless.stderr).contains("--config"), "{nameless:?}");

    let mut daemon = house.serve();
    let mut client = house.client(&daemon, &["--ca", daemon.at("certificate")], token.trim());
    client.say("list_groups");
    client.wait(|line| !line["group_page"].is_null());
    assert!(house.ask(&["token", "revoke"], &[&id]).status.success());
    let (code, said) = client.finish();
    assert_eq!(code, Some(69), "its connection ends with its token: {said}");
    assert!(said.contains("TokenRevoked"), "{said}");
    assert_eq!(daemon.end("TERM"), Some(0));
}

#[test]
fn agents_are_made_and_removed() {
    let house = House::new("");
    let mut daemon = house.serve();
    let put = house.ask(&["agents", "put"], &["Zoe", "--group", "sales", "--cap", "2"]);
    assert!(put.status.success(), "{put:?}");
    let listed = text(&house.ask(&["agents", "ls"], &["--group", "sales"]).stdout);
    assert!(listed.lines().any(|line| line.starts_with("Zoe ") && line.contains("0+0 of 2")), "{listed}");
    let managed = house.ask(&["agents", "rm"], &["ana"]);
    assert_eq!(managed.status.code(), Some(1));
    assert!(text(&managed.stderr).contains("managed_by_config"), "{managed:?}");
    assert!(house.ask(&["agents", "rm"], &["Zoe"]).status.success());
    let gone = house.ask(&["agents", "show"], &["nobody"]);
    assert!(text(&gone.stderr).contains("no agent is called nobody"), "{gone:?}");
    assert_eq!(daemon.end("TERM"), Some(0));
}

#[test]
fn what_takes_part_can_not_be_released() {
    let house = House::new("");
    let mut daemon = house.serve();
    assert_eq!(json(&text(&house.ask(&["quarantine", "ls"], &["--json"]).stdout)), Value::Array(Vec::new()));
    let released = house.ask(&["quarantine", "release"], &["--group", "sales"]);
    assert_eq!(released.status.code(), Some(1), "{released:?}");
    assert!(text(&released.stderr).contains("it is not set aside"), "{released:?}");
    assert_eq!(house.ask(&["quarantine", "release"], &[]).status.code(), Some(2), "name one");
    // The supervisor's token that it was asked with is revoked, and so gone.
    let tokens = text(&house.ask(&["token", "ls"], &[]).stdout);
    assert!(!tokens.contains("supervisor"), "{tokens}");
    assert_eq!(daemon.end("TERM"), Some(0));
}

/// A build that can be made to fall says so, falls as it is told to, and what stands aside is listed and released.
#[cfg(feature = "failpoints")]
#[test]
fn what_stands_aside_is_listed_and_released() {
    let house = House::new("");
    let mut command = house.command(&["serve"]);
    command.arg("--announce").env("MAITRED_FAILPOINTS", "group:sales:handler:Enqueue:6");
    let mut running = Running::start(command);
    let announced = running.wait(|line| line["quic"].is_string());
    running.wait_said("never for production");
    let mut daemon = Daemon { running, announced };
    let token = text(&house.ask(&["token", "new"], &["--role", "frontend"]).stdout);
    let certificate = daemon.at("certificate").to_owned();
    let trust = ["--ca", certificate.as_str()];
    let mut widget = house.client(&daemon, &trust, token.trim());
    widget.say(&format!(r#"open {{"speaker":{{"visitor":"{VISITOR}"}},"target":{{"group":"sales"}}}}"#));
    widget.wait(|line| !line["opened"].is_null());
    let listed = text(&house.ask(&["quarantine", "ls"], &[]).stdout);
    assert!(listed.lines().any(|line| line.starts_with("group ") && line.contains("sales")), "{listed}");
    let released = house.ask(&["quarantine", "release"], &["--group", "sales"]);
    assert!(released.status.success(), "{released:?}");
    let listed = json(&text(&house.ask(&["quarantine", "ls"], &["--json"]).stdout));
    assert_eq!(listed, Value::Array(Vec::new()));
    assert_eq!(widget.leave(), Some(0));
    assert_eq!(daemon.end("TERM"), Some(0));
}

/// What makes it fall is in no other build.
#[cfg(not(feature = "failpoints"))]
#[test]
fn the_binary_has_no_failpoints() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_maitred")).expect("it is there");
    let variable = b"MAITRED_FAILPOINTS";
    assert!(!binary.windows(variable.len()).any(|bytes| bytes == variable));
}

#[test]
fn dev_shows_decisions_and_ends_by_itself() {
    let mut dev = Running::start(command(&["dev", "--for", "3s", "--rate", "5"]));
    let metrics = dev.wait_printed("http://");
    let address =
        metrics.split("http://").nth(1).expect("an address").trim_end_matches("/metrics").to_owned();
    let offered = dev.wait_printed("offered to");
    assert!(offered.contains("(round_robin") || offered.contains("(l"), "why: {offered}");
    assert!(!offered.contains('\x1b'), "colours are for terminals: {offered:?}");
    let page = http(&address, "/metrics");
    let counted = page.lines().filter(|line| line.starts_with("maitred_offers_total{"));
    assert!(counted.map(last_number).sum::<f64>() > 0.0, "{page}");
    let sum = dev.wait_printed("in all: ");
    assert!(sum.contains("offered"), "{sum}");
    let (code, said) = dev.finish();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said, "", "nothing to complain about");
}

#[test]
fn dev_ends_cleanly_at_an_interrupt_and_keeps_a_directory_that_it_was_given() {
    let house = TempDir::new().expect("a directory");
    let path = house.path().join("demo");
    let mut dev = Running::start(command(&["dev", "--data-dir", path.to_str().expect("plain")]));
    dev.wait_printed("offered to");
    let looked = maitred(&["groups", "ls", "--data-dir", path.to_str().expect("plain")]);
    assert!(text(&looked.stdout).contains("night"), "{looked:?}");
    assert_eq!(dev.end("INT"), Some(0));
    assert!(path.join("maitred.toml").exists());
}

// === A daemon's house ===

/// A workspace with one rule to change.
const WORKSPACE: &str = "[[workspace]]\nname = \"demo\"\n[[workspace.group]]\nname = \"sales\"\nlabel = \"Sales\"\n\
    accept_timeout = \"30s\"\n[[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"sales\"]\n\
    [[workspace.agent]]\nname = \"ben\"\ndisplay_name = \"Ben\"\ngroups = [\"sales\"]\n";

const VISITOR: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A directory with a configuration on free ports.
struct House {
    directory: TempDir,
    file: PathBuf,
}

impl House {
    /// With this configuration; an empty one stands for [`WORKSPACE`].
    fn new(config: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("maitred.toml");
        let house = Self { directory, file };
        if config.is_empty() {
            house.write(WORKSPACE);
        } else {
            fs::write(&house.file, config).expect("written");
        }
        house
    }

    fn write(&self, workspace: &str) {
        let data = self.data();
        let data = data.display();
        let own = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"{data}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
            [journal]\nsegment_size = \"2MiB\"\n"
        );
        fs::write(&self.file, own + workspace).expect("written");
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn file(&self) -> &str {
        self.file.to_str().expect("plain")
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = command(verb);
        command.args(["--config", self.file()]);
        command
    }

    /// Runs a verb to its end.
    fn ask(&self, verb: &[&str], more: &[&str]) -> Output {
        finished(self.command(verb).args(more))
    }

    fn serve(&self) -> Daemon {
        let mut command = self.command(&["serve"]);
        command.arg("--announce");
        let mut running = Running::start(command);
        let announced = running.wait(|line| line["quic"].is_string());
        running.wait_said("ready");
        Daemon { running, announced }
    }

    fn client(&self, daemon: &Daemon, trust: &[&str], token: &str) -> Running {
        let mut command = command(&["client", "--connect", daemon.at("quic"), "--token", token]);
        command.args(trust);
        Running::start(command)
    }
}

/// A `serve` that has announced itself.
struct Daemon {
    running: Running,
    announced: Value,
}

impl Daemon {
    fn at(&self, what: &str) -> &str {
        self.announced[what].as_str().expect("announced")
    }

    fn signal(&self, name: &str) {
        self.running.signal(name);
    }

    fn wait_said(&mut self, words: &str) {
        self.running.wait_said(words);
    }

    fn end(&mut self, signal: &str) -> Option<i32> {
        self.running.end(signal)
    }

    fn finish(self) -> (Option<i32>, String) {
        self.running.finish()
    }
}

/// A client that asks for more than its socket holds, though less than the daemon keeps for it, and reads none of it.
fn unread(house: &House) -> UnixStream {
    let frame = |kind: u8, body: &str| {
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&length[..], &[0, kind, 0, 0, 0, 1], body.as_bytes()].concat()
    };
    let mut stream = UnixStream::connect(house.data().join("maitred.sock")).expect("it listens");
    let hello = format!(r#"{{"token":"","client":"{VISITOR}","highest_kind":65535,"software":"stubborn"}}"#);
    let groups = frame(0x42, r#"{"cursor":null,"limit":100}"#);
    let mut answer = |asked: &[u8]| {
        stream.write_all(asked).expect("it reads");
        let mut header = [0; 10];
        stream.read_exact(&mut header).expect("it answers");
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        stream.read_exact(&mut vec![0; length]).expect("it answers");
        length + header.len()
    };
    answer(&frame(0x01, &hello));
    let length = answer(&groups);
    // A socket holds 100 to 200 KiB unless configured, the daemon 256 KiB more.
    stream.write_all(&groups.repeat(330_000 / length)).expect("it reads");
    stream
}

// === Programs ===

/// A program under way: its lines are waited for, never slept for. Dropped, it is killed.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    printed: Receiver<String>,
    said: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let printed = lines(child.stdout.take().expect("piped"));
        let said = lines(child.stderr.take().expect("piped"));
        Self { input: child.stdin.take(), child, printed, said }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("open"), "{line}").expect("it reads");
    }

    /// The next line on standard output that is JSON and as wanted.
    fn wait(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let line = self.next_line(true, |line| serde_json::from_str(line).is_ok_and(|line| wanted(&line)));
        json(&line)
    }

    fn wait_printed(&mut self, words: &str) -> String {
        self.next_line(true, |line| line.contains(words))
    }

    fn wait_said(&mut self, words: &str) {
        self.next_line(false, |line| line.contains(words));
    }

    fn next_line(&mut self, printed: bool, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        let lines = if printed { &self.printed } else { &self.said };
        let mut passed = Vec::new();
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => passed.push(line),
                Err(gone) => {
                    let rest: Vec<String> = self.said.try_iter().collect();
                    panic!(
                        "it never came ({gone}); what came:\n{}\nand:\n{}",
                        passed.join("\n"),
                        rest.join("\n")
                    );
                }
            }
        }
    }

    fn signal(&self, name: &str) {
        // The shell's own `kill`: there is one wherever there is a shell.
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.expect("a shell").success());
    }

    /// Signals, and waits for the end.
    fn end(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.exit()
    }

    /// Ends the input, and waits for the end.
    fn leave(&mut self) -> Option<i32> {
        self.input = None;
        self.exit()
    }

    /// Waits for the end: the exit code, and what was said and not yet waited for.
    fn finish(mut self) -> (Option<i32>, String) {
        let code = self.exit();
        (code, self.said.iter().collect::<Vec<_>>().join("\n"))
    }

    fn exit(&mut self) -> Option<i32> {
        // Both streams end with the process; waiting for them is bounded, waiting for the process would not be.
        let until = Instant::now() + PATIENCE;
        while self.printed.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        assert!(Instant::now() < until, "it does not end");
        self.child.wait().expect("it was started").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = channel();
    thread::spawn(move || {
        let read = BufReader::new(stream).lines().map_while(Result::ok);
        read.take_while(|read| line.send(read.clone()).is_ok()).for_each(drop);
    });
    lines
}

/// The binary, in an environment of its own: settings of whoever runs the tests must not matter.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maitred"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MAITRED") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").args(arguments);
    command
}

/// Runs it to its end; what it leaves behind by default is not left in the repository.
fn maitred(arguments: &[&str]) -> Output {
    let nowhere = TempDir::new().expect("a directory");
    finished(command(arguments).current_dir(nowhere.path()))
}

fn finished(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn last_number(line: &str) -> f64 {
    line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

fn http(address: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("it answers");
    page
}
