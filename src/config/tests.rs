mod calendars;
mod conditions;

use std::time::Duration;

use proptest::{prop_assert, proptest, test_runner::Config as ProptestConfig};

use super::{section::Section, *};

/// What a file of this text gives, in an empty environment.
fn file(text: &str) -> Result<Loaded, Problems> {
    load_text(Some(("my.toml".to_owned(), text.to_owned())), std::iter::empty())
}

fn usable(text: &str) -> Config {
    file(text).unwrap_or_else(|problems| panic!("refused:\n{problems}")).config
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = file(text).unwrap_or_else(|problems| panic!("refused:\n{problems}"));
    loaded.warnings.iter().map(ToString::to_string).collect()
}

/// The built-in default with these variables over it.
fn env(variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load_text(None, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// Asserts that `text` is refused with exactly these messages; blank lines separate them.
#[track_caller]
fn refused(text: &str, messages: &str) {
    let problems = file(text).expect_err("the file was taken");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.join("\n\n"), messages.trim_matches('\n'), "the messages differ");
}

/// A workspace `shop` with these lines in it.
fn shop(lines: &str) -> String {
    format!("[[workspace]]\nname = \"shop\"\n{lines}")
}

// === the built-in file ===

#[test]
fn the_built_in_file_is_right_and_gives_no_warning() {
    let loaded = load(None, std::iter::empty()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config, Config::embedded());
}

/// The promises of the design that rest on a default. Changing one is a decision, not an edit.
#[test]
fn the_defaults_are_those_of_the_design() {
    let Config { server, admin, recovery, limits, defaults, .. } = Config::embedded();
    assert_eq!((server.listen.port(), admin.listen.port()), (4433, 9464));
    assert!(server.listen.ip().is_loopback() && admin.listen.ip().is_loopback());
    assert_eq!((server.arbiters, server.certificate, server.private_key), (None, None, None));
    assert_eq!(recovery.reconnect_grace, Duration::from_secs(15));
    assert_eq!((limits.in_flight_per_connection, limits.in_flight_total), (4_096, 65_536));
    assert_eq!((limits.message_body, limits.outbox), (8_192, 262_144));
    assert_eq!((limits.visitor.messages_per_second, limits.visitor.burst), (2, 10));
    assert_eq!((limits.visitor.openings, limits.visitor.openings_per), (3, Duration::from_secs(600)));
    assert_eq!((limits.agent.commands_per_second, limits.agent.burst), (20, 60));
    let (settings, policy) = (defaults.settings, defaults.policy);
    assert_eq!((settings.cap, settings.seats, settings.auto_away_after), (10, None, None));
    assert_eq!(settings.disconnect_grace, Duration::from_secs(15));
    assert_eq!((settings.visitor_grace, settings.idle_close), (Duration::from_secs(30), None));
    assert_eq!(settings.missed_ttl, Duration::from_secs(86_400));
    assert_eq!(policy.accept_timeout, Duration::from_secs(45));
    assert_eq!((policy.max_offers, policy.max_wait), (None, Some(Duration::from_secs(120))));
    assert_eq!((policy.strategy, policy.when_empty), (Strategy::RoundRobin, WhenEmpty::Overflow));
    assert_eq!(policy.wrap_up, Duration::ZERO);
}

/// Lines of the built-in file by section: the keys, set or commented out, that have a comment above them.
fn explained() -> BTreeMap<String, BTreeSet<String>> {
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut header, mut commented) = (String::new(), false);
    for line in EMBEDDED.lines() {
        let bare = line.trim_start_matches(['#', ' ']);
        let key = bare
            .split_once(" = ")
            .map(|(key, _)| key)
            .filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        match key {
            // What has no example to show is commented out with its header.
            _ if bare.starts_with("[[") || line.starts_with('[') => {
                (header, commented) = (bare.to_owned(), false)
            }
            Some(key) if commented => {
                sections.entry(header.clone()).or_default().insert(key.to_owned());
            }
            Some(_) => {}
            None => commented = line.starts_with('#'),
        }
    }
    sections
}

/// The keys that a section has of its own, those of a policy in it aside.
fn keys_but<S: Section>(others: &[&'static str]) -> Vec<&'static str> {
    S::keys().into_iter().filter(|key| !others.contains(key)).collect()
}

#[test]
fn every_key_is_explained_in_the_built_in_file() {
    let sections = explained();
    let defaults = Defaults::keys();
    let sections_and_lists = [
        "server",
        "admin",
        "journal",
        "recovery",
        "watchdog",
        "limits",
        "deliveries",
        "defaults",
        "workspace",
        "plan",
    ];
    let wanted = [
        ("", keys_but::<Config>(&sections_and_lists)),
        ("[server]", keys_but::<Server>(&["mail"])),
        ("[server.mail]", MailServer::keys()),
        ("[deliveries]", Deliveries::keys()),
        ("[admin]", Admin::keys()),
        ("[journal]", Journal::keys()),
        ("[recovery]", Recovery::keys()),
        ("[watchdog]", Watchdog::keys()),
        ("[limits]", keys_but::<Limits>(&["visitor", "agent"])),
        ("[limits.visitor]", VisitorLimits::keys()),
        ("[limits.agent]", AgentLimits::keys()),
        ("[defaults]", defaults.clone()),
        (
            "[[workspace]]",
            keys_but::<Workspace>(
                &[
                    &defaults[..],
                    &["picker", "group", "agent", "rule", "trigger", "workflow", "hours", "webhook", "mail"],
                ]
                .concat(),
            ),
        ),
        ("[workspace.picker]", Picker::keys()),
        ("[[workspace.rule]]", RoutingRule::keys()),
        ("[workspace.hours.office]", hours::KEYS.to_vec()),
        ("[[workspace.trigger]]", Trigger::keys()),
        ("[[workspace.workflow]]", Workflow::keys()),
        ("[[workspace.group]]", keys_but::<Group>(&defaults)),
        ("[[workspace.webhook]]", Webhook::keys()),
        ("[[workspace.mail]]", MailRule::keys()),
        ("[[workspace.agent]]", keys_but::<Agent>(&defaults)),
        ("[[plan]]", Plan::keys()),
    ];
    for (header, keys) in &wanted {
        let explained = sections.get(*header).unwrap_or_else(|| panic!("{header} is not in the file"));
        for key in keys {
            assert!(explained.contains(*key), "{header} {key} has no comment in config/maitred.toml");
        }
    }
    let headers = EMBEDDED.lines().map(|line| if line.starts_with("# [[") { &line[2..] } else { line });
    let headers: BTreeSet<&str> = headers.filter(|line| line.starts_with('[')).collect();
    let known: BTreeSet<&str> =
        wanted.iter().map(|(header, _)| *header).filter(|header| !header.is_empty()).collect();
    assert_eq!(headers, known, "a section is missing in this test");
}

#[test]
fn keys_that_the_built_in_file_shows_as_comments_can_be_uncommented() {
    let uncommented: Vec<&str> = EMBEDDED
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.split(' ').nth(1) == Some("=")
                    || (rest.starts_with("[[") && rest.ends_with("]]")) =>
            {
                rest
            }
            _ => line,
        })
        .collect();
    let config = usable(&uncommented.join("\n"));
    assert!(config.server.certificate.is_some() && config.server.private_key.is_some());
    assert!(config.workspaces[0].groups[0].overflow.is_some());
}

#[test]
fn the_page_names_every_key_of_workspaces() {
    let page = include_str!("../../docs/configuration.md");
    let keys = [
        Workspace::keys(),
        Picker::keys(),
        Group::keys(),
        Agent::keys(),
        RoutingRule::keys(),
        Trigger::keys(),
        Workflow::keys(),
    ];
    for key in keys.concat() {
        assert!(page.contains(&format!("`{key}`")), "docs/configuration.md has no `{key}`");
    }
}

#[test]
fn the_effective_configuration_reads_back_as_the_same() {
    let rich = shop(
        "default_group = \"none\"\nidle_close = \"90s\"\nseats = 3\nchannels = [\"web\", \"app\"]\n\
         [[workspace.group]]\nname = \"a\"\nlabel = \"A\\n\\\"é\"\nmax_wait = \"none\"\nmax_offers = 2\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"a\"]\nseat = false\n\
         [[workspace.rule]]\nname = \"r\"\nthen = { agent = \"ana\" }\nwhen = { any = [{ name = \"country\", in = [\"FR\"] }, \
         { not = { name = \"visits\", \">=\" = 3, missing = false } }, \"country == \\\"BE\\\"\"] }\n\
         [[workspace.workflow]]\nname = \"w\"\npublished = true\non = [\"opened\", \"reopened\"]\nsteps = [\
         { assign = { agent = \"ana\" } }, { wait = \"15m\" }, { branch = { all = [{ status = \"open\" }, { human_reply = false }, { if = \"country == \\\"BE\\\"\" }] }, \
         then = [{ comment = \"{{agent}}\" }, { reassign = { group = \"a\", only_online = false } }], \
         else = [{ priority = 3 }, { close = true }] }, { if = { name = \"tag\", eq = \"vip\" }, then = [{ set = [\"tier=gold=1\"] }, \
         { unset = [\"cart\"] }], else = [{ tag = [\"vip\"] }, { untag = [\"old\", \"new\"] }] }]\n",
    );
    for config in [Config::embedded(), usable(&rich), usable("workspace = []")] {
        assert_eq!(usable(&config.effective_toml()), config);
    }
}

// === layers ===

#[test]
fn a_file_overrides_key_by_key_and_replaces_the_example_workspace() {
    let config = usable(&format!("server.log_format = \"json\"\n{}", shop("")));
    let default = Config::embedded();
    assert_eq!(config.server.log_format, LogFormat::Json);
    assert_eq!(config.server.listen, default.server.listen);
    let [shop] = &config.workspaces[..] else { panic!("one workspace was defined") };
    assert_eq!((shop.name.as_str(), shop.groups.len(), shop.agents.len()), ("shop", 0, 0));
    assert_eq!(shop.policy, default.defaults.policy);
}

#[test]
fn a_file_without_a_workspace_is_told_that_the_example_is_served() {
    assert_eq!(
        warnings("[server]\nlog_format = \"json\""),
        [
            "warning: the file defines no workspace: the built-in example `demo` is served\n  = add a [[workspace]]"
        ]
    );
}

#[test]
fn every_preset_is_right_by_itself_and_says_only_what_it_means() {
    for (name, text) in PRESETS {
        let loaded = file(text).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        assert_eq!(loaded.warnings, [], "{name}");
        let config = loaded.config;
        assert_eq!(config.preset, None, "a preset stands on no other");
        let [workspace] = &config.workspaces[..] else { panic!("{name} has not one workspace") };
        assert_eq!((workspace.name.as_str(), workspace.agents.len()), (name, 0));
        let layered = usable(&format!("preset = \"{name}\""));
        assert_eq!(Config { preset: None, ..layered }, config, "as a layer it is what it is as a file");
    }
}

#[test]
fn a_preset_stands_between_the_default_and_the_file() {
    let brevo = usable("preset = \"brevo\"");
    assert_eq!(brevo.defaults.policy.strategy, Strategy::Broadcast);
    let own = usable(&format!("preset = \"brevo\"\n[defaults]\nstrategy = \"pull\"\n{}", shop("")));
    assert_eq!((own.defaults.policy.strategy, own.workspaces.len()), (Strategy::Pull, 1));
    assert_eq!(usable(&own.effective_toml()), own, "what holds reads back as the same");
    let text = "preset = \"brevo\"\n[[workspace]]\nname = \"shop\"\n".to_owned();
    let variables = [("MAITRED__PRESET".to_owned(), "adobe".to_owned())];
    let config = load_text(Some(("my.toml".to_owned(), text)), variables.into_iter()).expect("usable").config;
    assert_eq!((config.preset.as_deref(), config.defaults.policy.max_offers), (Some("adobe"), Some(1)));
    refused(
        "preset = \"brevu\"",
        r#"
error: my.toml:1:10: `preset`: "brevu" is not a preset
 1 | preset = "brevu"
   |          ^^^^^^^ expected one of adobe, botnation, brevo, respond-io, zendesk

warning: the file defines no workspace: the built-in example `demo` is served
  = add a [[workspace]]"#,
    );
}

#[test]
fn what_differs_is_told_by_its_place() {
    let old = usable(
        "[[workspace]]\nname = \"shop\"\ncap = 5\n[[workspace.group]]\nname = \"a\"\npublic = false\n\
         [[workspace.group]]\nname = \"b\"\npublic = false\nwrap_up = \"5s\"\n",
    );
    let new = usable(
        "[server]\nlog_format = \"json\"\n[[workspace]]\nname = \"shop\"\ncap = 4\n\
         [[workspace.group]]\nname = \"b\"\npublic = false\noverflow = \"c\"\n\
         [[workspace.group]]\nname = \"c\"\npublic = false\n[[workspace]]\nname = \"more\"\n",
    );
    let differences = old.differences(&new);
    let told: Vec<(String, String)> = differences
        .iter()
        .map(|each| {
            let shown = |value: &Option<Value>| value.as_ref().map_or_else(String::new, ToString::to_string);
            let how = match &each.kind {
                Differs::Added => "new".to_owned(),
                Differs::Removed => "gone".to_owned(),
                Differs::Changed { from, to } => format!("{} > {}", shown(from), shown(to)),
            };
            (each.place(), how)
        })
        .collect();
    let expected = [
        ("server.log_format", "\"text\" > \"json\""),
        ("workspace.more", "new"),
        ("workspace.shop.cap", "5 > 4"),
        ("workspace.shop.group.a", "gone"),
        ("workspace.shop.group.b.overflow", " > \"c\""),
        ("workspace.shop.group.b.wrap_up", "\"5s\" > \"0s\""),
        ("workspace.shop.group.c", "new"),
    ];
    assert_eq!(told, expected.map(|(place, how)| (place.to_owned(), how.to_owned())));
    assert_eq!(old.differences(&old), []);
}

#[test]
fn the_innermost_table_that_has_a_key_counts() {
    let config = usable(
        "[defaults]\naccept_timeout = \"10s\"\ncap = 3\nwrap_up = \"1s\"\n\
         [[workspace]]\nname = \"one\"\naccept_timeout = \"20s\"\n\
         [[workspace.group]]\nname = \"a\"\npublic = false\naccept_timeout = \"30s\"\n\
         [[workspace.group]]\nname = \"b\"\npublic = false\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"a\", \"b\"]\n\
         [[workspace.agent]]\nname = \"ben\"\ndisplay_name = \"Ben\"\ncap = 5\n\
         [[workspace]]\nname = \"two\"\ncap = 4\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\n",
    );
    let [one, two] = &config.workspaces[..] else { panic!("two workspaces were defined") };
    let accept = |policy: &GroupPolicy| policy.accept_timeout.as_secs();
    assert_eq!((accept(&one.groups[0].policy), accept(&one.groups[1].policy)), (30, 20));
    assert_eq!((accept(&one.policy), accept(&two.policy)), (20, 10));
    assert_eq!(one.groups[0].policy.wrap_up, Duration::from_secs(1));
    assert_eq!((one.agents[0].cap, one.agents[1].cap, two.agents[0].cap), (3, 5, 4));
    assert_ne!(one.agent_id(&one.agents[0]), two.agent_id(&two.agents[0]));
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\ndata_dir = \"from-the-file\"\n[limits]\nmax_connections = 5000\n";
    let variables = [
        ("MAITRED__SERVER__LISTEN", "127.0.0.1:2"),
        ("MAITRED__LIMITS__MAX_CONNECTIONS", "6000"),
        ("MAITRED__LIMITS__VISITOR__BURST", "11"),
        ("MAITRED__DEFAULTS__CHANNELS", "web, whatsapp"),
        ("MAITRED__DEFAULTS__INVITE_USES_SLOT", "true"),
        ("MAITRED__DEFAULTS__MAX_WAIT", "none"),
        ("MAITRED_CONFIG", "not a key: one underscore"),
        ("PATH", "/bin"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let file = Some(("my.toml".to_owned(), text.to_owned()));
    let config =
        load_text(file, variables.into_iter()).unwrap_or_else(|problems| panic!("{problems}")).config;
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.data_dir, Path::new("from-the-file"));
    assert_eq!((config.limits.max_connections, config.limits.visitor.burst), (6_000, 11));
    assert_eq!((config.limits.visitor.openings, config.limits.agent.burst), (3, 60));
    let settings = &config.defaults.settings;
    assert_eq!(
        settings.channels.iter().map(|channel| channel.as_str()).collect::<Vec<_>>(),
        ["web", "whatsapp"]
    );
    assert!(settings.invite_uses_slot);
    assert_eq!(config.defaults.policy.max_wait, None);
}

#[test]
fn a_wrong_variable_is_shown_like_a_line() {
    let problems = env(&[
        ("MAITRED__ADMIN__LISTEN", "here"),
        ("MAITRED__DEFAULTS__CHANNELS", "web, Web"),
        ("MAITRED__LIMITS__BURST", "3"),
        ("MAITRED__SERVER", "x"),
        ("MAITRED__WORKSPACE__CAP", "3"),
    ])
    .expect_err("the variables are wrong");
    assert_eq!(
        problems.to_string(),
        "\
error: MAITRED__ADMIN__LISTEN: `listen`: \"here\" is not an address
  | MAITRED__ADMIN__LISTEN=here
  |                        ^^^^ expected an IP address and a port: \"127.0.0.1:4433\"
  = host names are not looked up here; \"0.0.0.0:4433\" listens on every IPv4 address

error: MAITRED__DEFAULTS__CHANNELS: `channels`: \"Web\" is not a name
  | MAITRED__DEFAULTS__CHANNELS=web, Web
  |                                  ^^^ expected a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'
  = what people read goes into `label` or `display_name`

error: MAITRED__LIMITS__BURST: [limits] has no key `burst`
  | MAITRED__LIMITS__BURST=3
  | ^^^^^^^^^^^^^^^^^^^^^^
  = known keys: max_connections, half_open_max, accepts_per_second, accepts_per_second_per_address, \
connections_per_address, handshake_timeout, hello_timeout, idle_timeout, streams_per_connection, \
stream_receive_window, receive_window, send_window, incoming_max, incoming_buffer, incoming_buffer_total, outbox, \
in_flight_per_connection, in_flight_total, late_after, message_body, visitor, agent

error: MAITRED__SERVER: \"x\" stands where a section [server] belongs
  | MAITRED__SERVER=x
  |                 ^ expected [server] on a line of its own, its keys below

error: MAITRED__WORKSPACE__CAP: this variable names no key
  | MAITRED__WORKSPACE__CAP=3
  | ^^^^^^^^^^^^^^^^^^^^^^^ expected MAITRED__SECTION__KEY
  = workspaces are set in the file; MAITRED__DEFAULTS__KEY=value sets what they inherit

5 errors in the configuration"
    );
}

// === what is refused ===

#[test]
fn several_errors_are_told_together_in_the_order_of_the_file() {
    let text = "\
[server]
listen = \"localhost:4433\"
arbiterz = 3
[defaults]
cap = 1001
[[workspace]]
name = \"shop\"
default_group = \"sails\"
[[workspace.group]]
\tname = \"sales\"
\taccept_timeout = \"50ms\"
";
    let expected = "
error: my.toml:2:10: `listen`: \"localhost:4433\" is not an address
 2 | listen = \"localhost:4433\"
   |          ^^^^^^^^^^^^^^^^ expected an IP address and a port: \"127.0.0.1:4433\"
   = host names are not looked up here; \"0.0.0.0:4433\" listens on every IPv4 address

error: my.toml:3:1: [server] has no key `arbiterz`
 3 | arbiterz = 3
   | ^^^^^^^^
   = did you mean `arbiters`?

error: my.toml:5:7: `cap`: 1001 is too large
 5 | cap = 1001
   |       ^^^^ expected a whole number from 1 to 1000

error: my.toml:8:17: default_group \"sails\" is not a group of workspace \"shop\"
 8 | default_group = \"sails\"
   |                 ^^^^^^^ expected one of sales, everyone, none

error: my.toml:11:19: `accept_timeout`: \"50ms\" is too short
 11 | \taccept_timeout = \"50ms\"
    | \t                 ^^^^^^ expected a duration from \"100ms\" to \"1h\"
";
    refused(text, expected);
    assert_eq!(file(text).expect_err("the file was taken").errors(), 5);
}

#[test]
fn broken_syntax_is_told_alone_and_completely() {
    refused(
        "[server]\nlisten = 45s\nx =\n[defaults]\ncap = 0\ncap = 1\n",
        "
error: my.toml:2:10: not TOML: string values must be quoted, expected literal string
 2 | listen = 45s
   |          ^^^

error: my.toml:3:4: not TOML: string values must be quoted, expected literal string
 3 | x =
   |    ^

error: my.toml:6:1: not TOML: duplicate key
 6 | cap = 1
   | ^^^",
    );
}

#[test]
fn durations_name_their_notation() {
    refused(
        "[defaults]\nmax_wait = \"-5s\"\nwrap_up = 45\naccept_timeout = \"2h\"\nvisitor_grace = \"1 hour\"\nidle_close = \"no\"",
        "
error: my.toml:2:12: `max_wait`: \"-5s\" is negative
 2 | max_wait = \"-5s\"
   |            ^^^^^ expected a duration from \"100ms\" to \"1d\", or \"none\"
   = a duration is a whole number and a unit (ms, s, m, h or d), in quotes: \"45s\"

error: my.toml:3:11: `wrap_up`: 45 is not a duration
 3 | wrap_up = 45
   |           ^^ expected a duration from \"0s\" to \"1h\"
   = a duration is a whole number and a unit (ms, s, m, h or d), in quotes: \"45s\"

error: my.toml:4:18: `accept_timeout`: \"2h\" is too long
 4 | accept_timeout = \"2h\"
   |                  ^^^^ expected a duration from \"100ms\" to \"1h\"

error: my.toml:5:17: `visitor_grace`: \"1 hour\" is not a duration
 5 | visitor_grace = \"1 hour\"
   |                 ^^^^^^^^ expected a duration from \"0s\" to \"1h\"
   = a duration is a whole number and a unit (ms, s, m, h or d), in quotes: \"45s\"

error: my.toml:6:14: `idle_close`: \"no\" is not a duration
 6 | idle_close = \"no\"
   |              ^^^^ expected a duration from \"1s\" to \"30d\", or \"off\"
   = a duration is a whole number and a unit (ms, s, m, h or d), in quotes: \"45s\"

warning: the file defines no workspace: the built-in example `demo` is served
  = add a [[workspace]]",
    );
}

#[test]
fn sizes_numbers_flags_words_and_lists_name_what_they_take() {
    refused(
        &shop(
            "max_offers = 0\nkeep_age_on_transfer = \"true\"\nstrategy = \"random\"\nchannels = [\"web\", \"web\", 3]\n\
             fallback_message = \" \"\n[limits]\noutbox = \"64KB\"\nsend_window = \"1KiB\"\nmax_connections = \"12\"\n\
             hello_timeout = 1.5\n[server]\ndata_dir = \"\"\n",
        ),
        "
error: my.toml:3:14: `max_offers`: 0 is too small
 3 | max_offers = 0
   |              ^ expected a whole number from 1 to 1000, or \"all\"

error: my.toml:4:24: `keep_age_on_transfer`: \"true\" is text
 4 | keep_age_on_transfer = \"true\"
   |                        ^^^^^^ expected true or false
   = write it without quotes

error: my.toml:5:12: `strategy`: \"random\" is not one of the choices
 5 | strategy = \"random\"
   |            ^^^^^^^^ expected \"round_robin\", \"least_active\", \"longest_idle\", \"broadcast\", \"pull\" or \"assign\"

error: my.toml:6:20: `channels`: \"web\" is listed twice
 6 | channels = [\"web\", \"web\", 3]
   |                    ^^^^^ expected each once

error: my.toml:6:27: `channels`: 3 is not a name
 6 | channels = [\"web\", \"web\", 3]
   |                           ^ expected a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'
   = what people read goes into `label` or `display_name`

error: my.toml:7:20: `fallback_message`: \" \" is blank
 7 | fallback_message = \" \"
   |                    ^^^ expected text of 1 to 2048 bytes

error: my.toml:9:10: `outbox`: \"64KB\" is not a size
 9 | outbox = \"64KB\"
   |          ^^^^^^ expected a size from \"64KiB\" to \"64MiB\"
   = a size is a whole number and a unit (B, KiB, MiB or GiB), in quotes: \"64KiB\"

error: my.toml:10:15: `send_window`: \"1KiB\" is too small
 10 | send_window = \"1KiB\"
    |               ^^^^^^ expected a size from \"64KiB\" to \"64MiB\"

error: my.toml:11:19: `max_connections`: \"12\" is text
 11 | max_connections = \"12\"
    |                   ^^^^ expected a whole number from 1 to 1000000
    = write the number without quotes

error: my.toml:12:17: `hello_timeout`: a number with a fraction is not a duration
 12 | hello_timeout = 1.5
    |                 ^^^ expected a duration from \"100ms\" to \"1m\"
    = a duration is a whole number and a unit (ms, s, m, h or d), in quotes: \"45s\"

error: my.toml:14:12: `data_dir`: \"\" is not a path
 14 | data_dir = \"\"
    |            ^^ expected a path, in quotes",
    );
}

#[test]
fn values_of_the_wrong_kind_or_length_are_refused() {
    refused(
        &shop(
            "channels = []\nallow_pull = 1\ncap = \"many\"\nseats = 99999999999999999999\nmissed_ttl = [\"1h\"]\n\
               [[workspace.group]]\nname = \"a\"\nlabel = \"bell\\u0007\"\noverflow = 3\n",
        ),
        "
error: my.toml:3:12: `channels`: a list has the wrong length
 3 | channels = []
   |            ^^ expected a list of 1 to 32, each a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'

error: my.toml:4:14: `allow_pull`: 1 is not a flag
 4 | allow_pull = 1
   |              ^ expected true or false

error: my.toml:5:7: `cap`: \"many\" is not a whole number
 5 | cap = \"many\"
   |       ^^^^^^ expected a whole number from 1 to 1000

error: my.toml:6:9: `seats`: a number past 64 bits is not a whole number
 6 | seats = 99999999999999999999
   |         ^^^^^^^^^^^^^^^^^^^^ expected a whole number from 1 to 100000, or \"off\"

error: my.toml:7:14: `missed_ttl`: a list is not a duration
 7 | missed_ttl = [\"1h\"]
   |              ^^^^^^ expected a duration from \"1s\" to \"30d\"
   = a duration is a whole number and a unit (ms, s, m, h or d), in quotes: \"45s\"

error: my.toml:10:9: `label`: \"bell\\u{7}\" has a control character in it
 10 | label = \"bell\\u0007\"
    |         ^^^^^^^^^^^^ expected text of 1 to 128 bytes

error: my.toml:11:12: `overflow`: 3 is not a name
 11 | overflow = 3
    |            ^ expected a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'
    = what people read goes into `label` or `display_name`",
    );
}

#[test]
fn names_are_there_plain_free_and_once() {
    refused(
        &shop(
            "[[workspace.group]]\nname = \"everyone\"\n[[workspace.group]]\nname = \"none\"\n[[workspace.group]]\nname = \"Sales\"\n\
             [[workspace.group]]\nlabel = \"Support\"\n[[workspace]]\nname = \"shop\"\n[[workspace.group]]\nname = \"a\"\nlabel = \"A\"\n\
             [[workspace.group]]\nname = \"a\"\nlabel = \"B\"\n",
        ),
        "
error: my.toml:4:8: \"everyone\" can't be defined
 4 | name = \"everyone\"
   |        ^^^^^^^^^^ expected another name
   = every workspace has it already: all its agents are members

error: my.toml:6:8: \"none\" can't be defined
 6 | name = \"none\"
   |        ^^^^^^ expected another name
   = as a `default_group` it means that there is none

error: my.toml:8:8: `name`: \"Sales\" is not a name
 8 | name = \"Sales\"
   |        ^^^^^^^ expected a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'
   = what people read goes into `label` or `display_name`

error: my.toml:9:1: workspace \"shop\", group \"?\" has no `name`
 9 | [[workspace.group]]
   | ^^^^^^^^^^^^^^^^^^^ expected `name`, a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'

error: my.toml:12:8: workspace \"shop\" is defined twice
 12 | name = \"shop\"
    |        ^^^^^^ expected another name

error: my.toml:17:8: group \"a\" is defined twice
 17 | name = \"a\"
    |        ^^^ expected another name",
    );
}

/// Private groups, each with the overflow beside it.
fn chain(groups: &[(&str, &str)]) -> String {
    let group = |(name, overflow): &(&str, &str)| {
        let overflow =
            if overflow.is_empty() { String::new() } else { format!("overflow = \"{overflow}\"\n") };
        format!("[[workspace.group]]\nname = \"{name}\"\npublic = false\n{overflow}")
    };
    shop(&groups.iter().map(group).collect::<String>())
}

#[test]
fn overflow_leads_somewhere_and_ends_within_four_groups() {
    usable(&chain(&[("a", "b"), ("b", "c"), ("c", "everyone")]));
    usable(&chain(&[("a", "c"), ("b", "c"), ("c", "d"), ("d", "")]));
    refused(
        &chain(&[("a", "x")]),
        "
error: my.toml:6:12: group \"a\" overflows to \"x\", which is not a group of its workspace
 6 | overflow = \"x\"
   |            ^^^ expected one of a, everyone",
    );
    refused(
        &chain(&[("in", "b"), ("a", "b"), ("b", "a")]),
        "
error: my.toml:14:12: overflow turns back: a → b → a
 14 | overflow = \"a\"
    |            ^^^ expected a group that is not on the way here, or no overflow",
    );
    refused(
        &chain(&[("self", "self")]),
        "
error: my.toml:6:12: overflow turns back: self → self
 6 | overflow = \"self\"
   |            ^^^^^^ expected a group that is not on the way here, or no overflow",
    );
    refused(
        &chain(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "everyone")]),
        "
error: my.toml:18:12: overflow passes more than 4 groups: a → b → c → d → everyone
 18 | overflow = \"everyone\"
    |            ^^^^^^^^^^ expected no overflow here
    = end the chain earlier: each stay may take its full max_wait",
    );
}

#[test]
fn agents_belong_to_known_groups_and_fit_the_seats() {
    let text = shop(
        "seats = 1\n[[workspace.group]]\nname = \"a\"\npublic = false\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\nemail = \"Ana@x\"\ngroups = [\"a\", \"q\", \"everyone\"]\n\
         [[workspace.agent]]\nname = \"ben\"\ndisplay_name = \"Ben\"\nemail = \"ana@x\"\ncap = 0\n\
         [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\nemail = \"ana at x\"\nseat = false\n",
    );
    refused(
        &text,
        "
error: my.toml:11:16: agent \"ana\" is in \"q\", which is not a group of their workspace
 11 | groups = [\"a\", \"q\", \"everyone\"]
    |                ^^^ expected one of a

error: my.toml:11:21: agent \"ana\" is listed in \"everyone\"
 11 | groups = [\"a\", \"q\", \"everyone\"]
    |                     ^^^^^^^^^^ expected no such entry
    = every agent is a member already

error: my.toml:13:8: agent \"ben\" is number 2 with a seat, and there are 1
 13 | name = \"ben\"
    |        ^^^^^ expected `seat = false`, or more `seats`

error: my.toml:15:9: agent \"ben\" has another agent's e-mail address
 15 | email = \"ana@x\"
    |         ^^^^^^^ expected an address of their own
    = an invitation by e-mail must find one agent; letters' case makes no difference

error: my.toml:16:7: `cap`: 0 is too small
 16 | cap = 0
    |       ^ expected a whole number from 1 to 1000

error: my.toml:18:8: agent \"ana\" is defined twice
 18 | name = \"ana\"
    |        ^^^^^ expected another name

error: my.toml:20:9: `email`: \"ana at x\" is not an e-mail address
 20 | email = \"ana at x\"
    |         ^^^^^^^^^^ expected an address like \"ana@example.com\"",
    );
}

#[test]
fn sections_stand_where_they_belong() {
    refused(
        "serve = 1\n[workspace]\nname = \"shop\"\n[[server]]\nlisten = \"127.0.0.1:1\"\n",
        "
error: my.toml:1:1: the configuration has no key `serve`
 1 | serve = 1
   | ^^^^^
   = did you mean `server`?

error: my.toml:2:1: a table stands where a section [[workspace]] belongs
 2 | [workspace]
   | ^^^^^^^^^^^ expected [[workspace]] on a line of its own, its keys below

error: my.toml:4:1: a list stands where a section [server] belongs
 4 | [[server]]
   | ^^^^^^^^^^ expected [server] on a line of its own, its keys below",
    );
}

#[test]
fn nothing_ends_for_being_stuck_before_it_counts_as_stuck() {
    refused(
        &format!("[watchdog]\nabort_after = \"2s\"\n{}", shop("")),
        "
error: my.toml:2:15: `abort_after` is less than `stuck_after`
 2 | abort_after = \"2s\"
   |               ^^^^ expected at least as much as `stuck_after`
   = it is said that an arbiter is stuck before the process ends for it",
    );
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let sections = "[server]\ncertificate = \"c.pem\"\n[limits]\nreceive_window = \"128KiB\"\n";
    refused(
        &format!(
            "{sections}{}",
            shop(
                "allow_pull = false\n[[workspace.group]]\nname = \"a\"\npublic = false\nstrategy = \"pull\""
            )
        ),
        "
error: my.toml:2:15: `certificate` needs a `private_key`
 2 | certificate = \"c.pem\"
   |               ^^^^^^^ expected `private_key` too
   = without both, a self-signed certificate is made

error: my.toml:4:18: `receive_window` (131072) is less than `stream_receive_window` (262144)
 4 | receive_window = \"128KiB\"
   |                  ^^^^^^^^ expected at least as much as `stream_receive_window`

error: my.toml:7:14: group \"a\" has the strategy \"pull\" and does not allow it
 7 | allow_pull = false
   |              ^^^^^ expected true, or another strategy",
    );
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none.toml");
    let problems = load(Some(&path), std::iter::empty()).expect_err("there is no such file");
    let told = problems.to_string();
    assert!(told.starts_with(&format!("error: {}: can't be read: ", path.display())), "{told}");
    fs::write(&path, b"x = 1\n# \xff").expect("a written file");
    let told = load(Some(&path), std::iter::empty()).expect_err("it is not text").to_string();
    assert!(told.contains("is not UTF-8 from byte 8 on"), "{told}");
    fs::write(&path, "server.log_level = \"debug\"").expect("a written file");
    let loaded = load(Some(&path), std::iter::empty()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.config.server.log_level, LogLevel::Debug);
}

// === what deserves a second look ===

#[test]
fn warnings_name_what_may_go_wrong() {
    let text = format!(
        "[admin]\nlisten = \"0.0.0.0:9464\"\n{}",
        shop(
            "default_group = \"shut\"\n[[workspace.group]]\nname = \"open\"\nmax_wait = \"none\"\noverflow = \"shut\"\n\
             [[workspace.group]]\nname = \"shut\"\nenabled = false\n\
             [[workspace.group]]\nname = \"idle\"\nlabel = \"Idle\"\n\
             [[workspace.agent]]\nname = \"ana\"\ndisplay_name = \"Ana\"\ngroups = [\"open\"]\n\
             [[workspace.agent]]\nname = \"ben\"\ndisplay_name = \"Ben\"\ngroups = [\"idle\"]\nseat = false\n",
        )
    );
    assert_eq!(
        warnings(&text).join("\n\n"),
        "\
warning: my.toml:2:10: admin.listen 0.0.0.0:9464 can be reached from other machines
 2 | listen = \"0.0.0.0:9464\"
   |          ^^^^^^^^^^^^^^
   = metrics and health ask for no password: keep it behind a firewall

warning: my.toml:5:17: default_group \"shut\" is disabled: what nobody sent anywhere gets a fallback
 5 | default_group = \"shut\"
   |                 ^^^^^^
   = enable it, or name another

warning: my.toml:7:8: group \"open\" is public and has no label
 7 | name = \"open\"
   |        ^^^^^^
   = visitors would read its name: give it a `label`, or set `public = false`

warning: my.toml:8:12: group \"open\" of workspace \"shop\" has max_wait = \"none\"
 8 | max_wait = \"none\"
   |            ^^^^^^
   = who waits there may wait without end: such stays are exempt from the stay bound

warning: my.toml:9:12: group \"open\" overflows to \"shut\", which is disabled
 9 | overflow = \"shut\"
   |            ^^^^^^
   = enable it, or overflow elsewhere

warning: my.toml:14:8: group \"idle\" is served by no agent of this file
 14 | name = \"idle\"
    |        ^^^^^^
    = add it to an agent's `groups`, or ignore this if agents join by command"
    );
}

#[test]
fn what_is_said_in_vain_is_named() {
    let text = shop(
        "tell_absent = \"nobody\"\npush = \"opt_out\"\n[workspace.picker]\nenabled = true\n\
         [[workspace.group]]\nname = \"a\"\nlabel = \"A\"\nmax_offers = 3\nmax_wait = \"20s\"\n\
         [[workspace.group]]\nname = \"b\"\nenabled = false\nstrategy = \"pull\"\nmax_offers = 2\n\
         [[workspace.rule]]\nname = \"to-b\"\nwhen = { name = \"country\", eq = \"FR\" }\nthen = { group = \"b\" }\n",
    );
    let messages: Vec<String> =
        file(&text).expect("usable").warnings.into_iter().map(|each| each.message).collect();
    assert_eq!(
        messages,
        [
            "`push` says whom to tell, and tell_absent is \"nobody\": nobody is told",
            "visitors are to choose a group, and 1 can be chosen: nobody is asked",
            "group \"a\": max_wait is over when the first who was asked has not answered: nobody else is",
            "group \"b\": max_offers is 2, and \"pull\" asks nobody",
            "rule \"to-b\" sends to \"b\", which is disabled",
        ]
    );
}

#[test]
fn what_does_nothing_is_named() {
    let text = r#"
        [hours.office]
        timezone = "UTC"
        weekly = { mon = [] }
        [hours.night]
        timezone = "UTC"
        weekly = { mon = ["20:00-24:00"] }
        [[trigger]]
        name = "idle"
        active = true
        when = { name = "country", eq = "FR" }
        [[trigger]]
        name = "saved"
        [[trigger]]
        name = "useful"
        active = true
        group = "a"
        [[workflow]]
        name = "patience"
        steps = [{ assign = "routed" }, { wait = "15m" }]
        [[workflow]]
        name = "muddle"
        steps = [
            { branch = { all = [{ status = "open" }, { status = "active" }] }, then = [{ wait = "1m" }] },
            { branch = { all = [{ status = "missed" }, { status = "active" }] }, then = [{ priority = 1 }] },
            { branch = { all = [{ human_reply = false }] }, else = [] },
            { close = true },
            { priority = 2 },
        ]
    "#;
    let sources = vec![Source::File { name: "my.toml".to_owned(), text: text.to_owned() }];
    let mut findings = Vec::new();
    let table = tree::parse(0, &sources, &mut findings);
    lint::idle(&table, &mut findings);
    let messages: Vec<String> = findings.into_iter().map(|each| each.message).collect();
    assert_eq!(
        messages,
        [
            "trigger \"idle\" does nothing: it has no group, no text, and sets nothing",
            "workflow \"patience\" waits here for nothing",
            "workflow \"muddle\": this branch asks for two different `status` at once",
            "workflow \"muddle\": both ways of this branch are empty",
            "workflow \"muddle\": nothing comes after `close`",
            "calendar \"office\" has no hours: who goes by it is always closed",
        ]
    );
}

#[test]
fn no_workspace_at_all_is_a_warning() {
    let [warning] = &warnings("workspace = []")[..] else { panic!("one warning was expected") };
    assert!(warning.contains("no workspace is defined"), "{warning}");
}

#[test]
fn only_changes_of_the_process_need_a_restart() {
    let old = Config::embedded();
    let mut new = old.clone();
    assert_eq!(old.needs_restart(&new), Vec::<String>::new());
    new.limits.max_connections = 3;
    new.workspaces.clear();
    new.server.certificate = Some("c.pem".into());
    new.admin.listen.set_port(1);
    new.journal.commit_interval = Duration::from_millis(2);
    assert_eq!(old.needs_restart(&new), ["admin.listen", "journal.commit_interval", "server.certificate"]);
}

// === any text ===

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a slip of the hand makes of a file, the answer is an answer; and an error always shows its place.
    #[test]
    fn a_mangled_file_never_panics(at in 0..EMBEDDED.len(), drop in 0..40_usize, put in "[\\[\\]=\"#a-z0-9é\n{}.,-]{0,6}") {
        let (start, end) = (EMBEDDED.floor_char_boundary(at), EMBEDDED.floor_char_boundary(at + drop));
        let text = format!("{}{put}{}", &EMBEDDED[..start], &EMBEDDED[end..]);
        if let Err(problems) = file(&text) {
            prop_assert!(problems.errors() > 0);
            for problem in problems.iter().filter(|problem| !problem.warning) {
                prop_assert!(problem.line > 0 && problem.to_string().contains('^'), "{}", problem);
            }
        }
    }
}

/// RE-18: steps are data, and everything that is wrong with them is told at once, each in its place.
#[test]
fn re_18_a_workflow_says_all_that_is_wrong_with_its_steps() {
    let lines = "[[workspace.group]]\nname = \"a\"\nlabel = \"A\"\n\
        [[workspace.workflow]]\nname = \"w\"\nsteps = [\n  { wait = \"1 fortnight\" },\n  { shout = true },\n\
        \x20 { assign = \"routed\" },\n  { wait = \"1m\", close = true },\n\
        \x20 { reassign = { group = \"b\", only_online = 1 } },\n  { comment = \"{{nobody}}\" },\n\
        \x20 { branch = { all = [] }, then = [{ status = \"open\" }] },\n\
        \x20 { set = [\"group=b\"] },\n  { unset = [\"page.ur\"] },\n  { set = \"a=b\" },\n  { tag = [] },\n\
        \x20 { if = { name = \"country\", equals = \"FR\" }, then = [{ close = true }] },\n\
        \x20 { if = { name = \"country\", eq = \"FR\" }, them = [{ close = true }] },\n]\n";
    let Err(problems) = file(&shop(lines)) else { panic!("it is taken") };
    let told: Vec<String> = problems.iter().filter(|it| !it.warning).map(ToString::to_string).collect();
    for (wrong, caret) in [
        ("1 fortnight", true),
        ("there is no step `shout`", true),
        ("is not the first step", true),
        ("one step says both", true),
        ("is not a flag", true),
        ("`nobody`, which is not known", true),
        ("has 0 conditions", true),
        ("there is no step `status`", true),
        ("`group` is not for a step to set", true),
        ("\"page.ur\" is not known", true),
        ("`equals` is no operator", true),
        ("one step says both `if` and `them`", true),
        ("which is not a group of their workspace", true),
    ] {
        let found = told.iter().find(|problem| problem.contains(wrong));
        let found = found.unwrap_or_else(|| panic!("{wrong} is not told:\n{}", told.join("\n")));
        assert_eq!(found.contains('^'), caret, "{found}");
    }
}

#[test]
fn a_workflow_has_a_bound_of_steps_and_of_depth() {
    let many = "{ wait = \"1m\" }, ".repeat(33);
    let deep = (0..6).fold("{ wait = \"1m\" }".to_owned(), |inner, _| {
        format!("{{ branch = {{ all = [{{ human_reply = false }}] }}, then = [{inner}] }}")
    });
    for (steps, wrong) in [(many.as_str(), "has 33 steps"), (deep.as_str(), "nested too deeply")] {
        let Err(problems) =
            file(&shop(&format!("[[workspace.workflow]]\nname = \"w\"\nsteps = [{steps}]\n")))
        else {
            panic!("it is taken")
        };
        assert!(problems.to_string().contains(wrong), "{problems}");
    }
}
