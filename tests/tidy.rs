//! The house rules that no compiler knows: the map agrees with the code, rooms introduce themselves, documents point at
//! what is there. Each failure names the place and says what to do. Start reading at the tests; the scanner is below them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Asks for the map to be redrawn in the commit that adds an arrow or needs one no longer; it forbids no arrow.
#[test]
fn the_map_has_every_arrow_and_no_other() {
    let map = Map::read(&read("ARCHITECTURE.md"));
    let found: Vec<_> =
        sources("src").iter().chain(&sources("loadtest/src")).flat_map(Source::arrows).collect();
    let mut problems = new_arrows(&map, &found);
    problems.extend(old_arrows(&map, &found));
    report(problems);
}

#[test]
fn pure_rooms_use_only_the_crates_on_the_map() {
    let map = Map::read(&read("ARCHITECTURE.md"));
    let mut problems = Vec::new();
    for source in sources("src") {
        let Some(allowed) = map.crates.get(&source.room) else { continue };
        let used = dependencies()
            .into_iter()
            .flat_map(|name| source.named(&name).into_iter().map(move |(line, _)| (line, name.clone())));
        let outside = used.filter(|(_, name)| !allowed.contains(name));
        let world = source.named("std").into_iter().filter(|(_, path)| WORLD.contains(&path[0].as_str()));
        for (line, name) in outside.chain(world.map(|(line, path)| (line, format!("std::{}", path[0])))) {
            problems.push(format!(
                "{}:{line}: {} is a pure room and uses {name}: take it out, or write it into ARCHITECTURE.md if it is pure too",
                source.path, source.room
            ));
        }
    }
    report(problems);
}

#[test]
fn some_crates_have_one_keeper() {
    let map = Map::read(&read("ARCHITECTURE.md"));
    let mut problems = Vec::new();
    for source in sources("src") {
        for (name, keepers) in &map.keepers {
            if keepers.contains(&source.room) {
                continue;
            }
            for (line, _) in source.named(name) {
                let keepers = keepers.iter().cloned().collect::<Vec<_>>().join(", ");
                problems.push(format!(
                    "{}:{line}: only {keepers} may know {name} (ARCHITECTURE.md, keepers)",
                    source.path
                ));
            }
        }
    }
    report(problems);
}

#[test]
fn wire_words_and_routing_words_meet_at_one_border_post() {
    let problems = sources("src").into_iter().filter(|source| {
        let rooms: BTreeSet<_> = source.arrows().into_iter().map(|arrow| arrow.to).collect();
        let knows_both = rooms.contains("protocol") && rooms.contains("routing");
        let post = BORDER_POST.iter().any(|file| source.path.starts_with(file));
        knows_both && !post && source.room != "daemon"
    });
    report(problems.map(|source| {
        format!(
            "{}: names both protocol and routing; translate at the border post, {}",
            source.path,
            BORDER_POST.join(", ")
        )
    }));
}

#[test]
fn actors_are_told_through_the_directory() {
    let outside = sources("src").into_iter().filter(|source| source.path != "src/actors/directory.rs");
    report(outside.flat_map(|source| {
        source.lines_with(&[".do_send(", ".try_send(Tell"]).into_iter().map(move |line| {
            format!(
                "{}:{line}: use the directory's `tell`: everybody else holds ids, not addresses",
                source.path
            )
        })
    }));
}

#[test]
fn every_room_opens_with_its_header() {
    let mut problems = Vec::new();
    for room in fs::read_dir(root().join("src")).expect("src is there").flatten() {
        let Ok(text) = fs::read_to_string(room.path().join("mod.rs")) else { continue };
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for part in ["Holds: ", "Knows: ", "Never: ", "Start reading at: "] {
            if !header.contains(part) {
                problems.push(format!(
                    "{}/mod.rs: its header lacks \"{part}\" (CONTRIBUTING.md)",
                    room.path().display()
                ));
            }
        }
    }
    report(problems);
}

#[test]
fn no_file_is_named_after_nothing() {
    let nothing = ["utils", "util", "common", "misc", "helpers", "types"];
    report(files("", "rs").into_iter().filter_map(|path| {
        let named = Path::new(&path).components().any(|part| {
            let part = part.as_os_str().to_string_lossy();
            nothing.contains(&part.trim_end_matches(".rs"))
        });
        named.then(|| format!("{path}: this name has no rule for what enters it; name what it holds"))
    }));
}

#[test]
fn nothing_is_left_half_done() {
    let left = [
        (concat!("todo", "!("), "finish it, or leave it out"),
        (concat!("unimplemented", "!("), "finish it, or leave it out"),
        (concat!("dbg", "!("), "take it out"),
        (concat!("#[", "ignore"), "a test that isn't run guards nothing"),
        (concat!("(dead", "_code)"), "take the dead code out"),
        (concat!("FIX", "ME"), "mend it, or say in the docs what is missing"),
    ];
    let mut problems = Vec::new();
    for path in files("", "rs") {
        for (number, line) in read(&path).lines().enumerate() {
            for (word, remedy) in left.iter().filter(|(word, _)| line.contains(word)) {
                problems.push(format!("{path}:{}: {word}: {remedy}", number + 1));
            }
        }
    }
    report(problems);
}

/// Faults can be planted only in builds that ask for it by name.
#[test]
fn a_release_has_no_failpoints() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let features = manifest["features"].as_table().expect("features");
    let by_default = features.get("default").and_then(|default| default.as_array());
    assert!(by_default.is_none_or(Vec::is_empty), "a default feature would reach every release");
    assert_eq!(features["failpoints"].as_array().map(Vec::len), Some(0), "it switches on nothing else");
    let naming = |text: &str| text.contains("failpoints");
    let mut problems = Vec::new();
    for path in ["Cargo.toml", "loadtest/Cargo.toml"] {
        let mut manifest: toml::Table = read(path).parse().expect("a manifest");
        manifest.remove("features");
        if naming(&manifest.to_string()) {
            problems.push(format!("{path}: a dependency or profile asks for failpoints"));
        }
    }
    for source in sources("src") {
        let text = read(&source.path);
        let modules = text.lines().zip(text.lines().skip(1));
        for (number, (before, line)) in modules.enumerate() {
            let uses = line.contains("pub mod failpoints") || line.contains("failpoints::{self");
            if uses && !before.contains("cfg(feature = \"failpoints\")") {
                problems.push(format!("{}:{}: only behind the feature", source.path, number + 2));
            }
        }
    }
    for path in ["config/container/Containerfile", "justfile", ".ci/run"] {
        let text = read(path);
        problems.extend(naming(&text).then(|| format!("{path}: builds that go out have no failpoints")));
    }
    report(problems);
}

#[test]
fn tests_never_sleep_to_wait() {
    let sleeps = [concat!("thread::", "sleep("), concat!("time::", "sleep(")];
    let mut problems = Vec::new();
    for path in files("", "rs") {
        let text = read(&path);
        let whole = path.starts_with("tests/") || path.ends_with("tests.rs");
        let from = if whole { Some(0) } else { text.find(TEST_MODULE) };
        let Some(from) = from else { continue };
        let before = text[..from].lines().count();
        for (number, line) in text[from..].lines().enumerate() {
            // A sleep of no time is a turn of the runtime, not a wait.
            if sleeps.iter().any(|sleep| line.contains(sleep)) && !line.contains("Duration::ZERO") {
                problems.push(format!(
                    "{path}:{}: wait for what is awaited, or move the manual clock; sleeping is slow and still flaky",
                    before + number + 1
                ));
            }
        }
    }
    report(problems);
}

#[test]
fn documents_point_at_what_is_there() {
    let mut problems = Vec::new();
    for path in files("", "md") {
        let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
        for (number, line) in prose(&read(&path)) {
            let missing = links(&line).into_iter().filter(|link| !root().join(folder).join(link).exists());
            let gone = quoted_paths(&line).into_iter().filter(|quoted| !root().join(quoted).exists());
            problems
                .extend(missing.chain(gone).map(|target| format!("{path}:{number}: {target} is not there")));
        }
    }
    report(problems);
}

#[test]
fn decisions_are_listed_and_the_changelog_has_room() {
    let index = read("docs/README.md");
    let unlisted = files("docs/decisions", "md")
        .into_iter()
        .filter(|path| !index.contains(path.trim_start_matches("docs/")));
    let mut problems: Vec<_> = unlisted.map(|path| format!("{path}: list it in docs/README.md")).collect();
    if !read("CHANGELOG.md").contains("## Unreleased") {
        problems.push("CHANGELOG.md: the heading `## Unreleased` is missing".into());
    }
    report(problems);
}

/// The scanner itself must be able to see: planted lines have to be found.
#[test]
fn the_scanner_sees_what_is_planted() {
    let text = "use crate::{\n    clock::Timestamp, // crate::daemon\n    routing::{words::By, agent},\n};\nfn f() { crate::metrics::count() }\n\
        #[cfg(test)]\nmod tests {\n    use crate::client::Client;\n}\n";
    let source = Source::new("src/journal/log.rs", text);
    let seen: Vec<_> = source.arrows().into_iter().map(|arrow| (arrow.line, arrow.to, arrow.name)).collect();
    let expected = [
        (1, "clock", "Timestamp"),
        (1, "routing", "words"),
        (1, "routing", "agent"),
        (5, "metrics", "count"),
    ]
    .map(|(line, to, name)| (line, to.to_owned(), name.to_owned()));
    assert_eq!(seen, expected);

    let map = Map::read("```arrows\njournal → clock::Timestamp, metrics\n```\n");
    let problems = new_arrows(&map, &source.arrows());
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("new arrow journal → routing: draw it in ARCHITECTURE.md if it is meant"));

    let map =
        Map::read("```arrows\njournal → clock, routing, metrics, codec, ids::AgentId\nmetrics → ids\n```\n");
    let erase = |to: &str| format!("ARCHITECTURE.md: no line needs the arrow journal → {to}: erase it");
    assert_eq!(old_arrows(&map, &source.arrows()), [erase("codec"), erase("ids::AgentId")]);

    let links = links("see [a](docs/a.md#top), [b](https://example.org) and [c](#here)");
    assert_eq!(links, ["docs/a.md"]);
    assert_eq!(quoted_paths("`src/x/y.rs`, `tests/golden/*`, `cargo test`"), ["src/x/y.rs"]);
}

fn new_arrows(map: &Map, found: &[Arrow]) -> Vec<String> {
    let mut problems = Vec::new();
    for arrow in found {
        let Some(drawn) = map.arrows.get(&arrow.from) else {
            problems.push(format!(
                "{}: the room {} is not on the map in ARCHITECTURE.md",
                arrow.path, arrow.from
            ));
            continue;
        };
        let exact = format!("{}::{}", arrow.to, arrow.name);
        let ours = arrow.from == arrow.to;
        if !ours && !drawn.contains("*") && !drawn.contains(&arrow.to) && !drawn.contains(&exact) {
            problems.push(format!(
                "{}:{}: new arrow {} → {}: draw it in ARCHITECTURE.md if it is meant (it names {exact})",
                arrow.path, arrow.line, arrow.from, arrow.to
            ));
        }
    }
    problems
}

/// What a connection may ask, its words on the way in, and on the way out.
const BORDER_POST: [&str; 3] = ["src/transport/border", "src/transport/orders", "src/transport/translate"];

/// Modules of the standard library that reach outside the program.
const WORLD: [&str; 6] = ["env", "fs", "net", "os", "process", "thread"];

/// Arrows that no line needs. A room without any arrow is not built yet.
fn old_arrows(map: &Map, found: &[Arrow]) -> Vec<String> {
    let mut problems = Vec::new();
    for (from, drawn) in &map.arrows {
        let used: BTreeSet<_> = found.iter().filter(|arrow| arrow.from == *from).collect();
        for to in drawn.iter().filter(|to| *to != "*" && !used.is_empty()) {
            if !used.iter().any(|arrow| arrow.to == *to || format!("{}::{}", arrow.to, arrow.name) == *to) {
                problems.push(format!("ARCHITECTURE.md: no line needs the arrow {from} → {to}: erase it"));
            }
        }
    }
    problems
}

// === impl Map ===

/// What the fenced blocks of ARCHITECTURE.md say: each line is `left → right, right`, with `#` before a remark.
struct Map {
    /// Room to the rooms (or single names in them, `clock::Timestamp`) that it may use; `*` is all.
    arrows: BTreeMap<String, BTreeSet<String>>,
    /// Pure room to the crates that it may use.
    crates: BTreeMap<String, BTreeSet<String>>,
    /// Crate to the rooms that may use it.
    keepers: BTreeMap<String, BTreeSet<String>>,
}

impl Map {
    fn read(text: &str) -> Self {
        Self {
            arrows: Self::block(text, "```arrows"),
            crates: Self::block(text, "```crates"),
            keepers: Self::block(text, "```keepers"),
        }
    }

    fn block(text: &str, fence: &str) -> BTreeMap<String, BTreeSet<String>> {
        let lines = text.lines().skip_while(|line| *line != fence).skip(1).take_while(|line| *line != "```");
        let mut block = BTreeMap::new();
        for line in lines {
            let line = line.split('#').next().unwrap_or_default();
            if let Some((left, right)) = line.split_once('→') {
                let names =
                    right.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
                block.insert(left.trim().to_owned(), names.collect());
            }
        }
        block
    }
}

// === impl Source ===

/// A file of ours without its comments and its test module.
struct Source {
    path: String,
    room: String,
    code: String,
}

/// One mention of another room.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    path: String,
    line: usize,
    from: String,
    to: String,
    /// What it names there.
    name: String,
}

const TEST_MODULE: &str = "#[cfg(test)]\nmod tests {";

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let text = text.split(TEST_MODULE).next().unwrap_or_default();
        let code: Vec<_> = text.lines().map(without_comment).collect();
        let room = match path.strip_prefix("src/") {
            Some(inside) => inside.split('/').next().unwrap_or_default().trim_end_matches(".rs"),
            None => "loadtest",
        };
        Self { path: path.to_owned(), room: room.to_owned(), code: code.join("\n") }
    }

    fn arrows(&self) -> Vec<Arrow> {
        let roots = if self.path == "src/main.rs" || self.room == "loadtest" { "maitred" } else { "crate" };
        let mut arrows = Vec::new();
        for (line, path) in self.named(roots) {
            let mut names = path.into_iter();
            let Some(to) = names.next().filter(|to| is_room(to)) else { continue };
            let name = names.next().unwrap_or_else(|| "self".to_owned());
            arrows.push(Arrow { path: self.path.clone(), line, from: self.room.clone(), to, name });
        }
        arrows
    }

    /// Each path under `root::` that the code names, with the line where it begins; groups in braces are spread out.
    fn named(&self, root: &str) -> Vec<(usize, Vec<String>)> {
        let start = format!("{root}::");
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices(&start) {
            let before = self.code[..at].chars().next_back();
            if before.is_some_and(|before| is_word(before) || before == ':') {
                continue;
            }
            let line = self.code[..at].matches('\n').count() + 1;
            let mut paths = Vec::new();
            spread(&self.code[at + start.len()..], &[], &mut paths);
            found.extend(paths.into_iter().map(|path| (line, path)));
        }
        found
    }

    fn lines_with(&self, words: &[&str]) -> Vec<usize> {
        let lines = self.code.lines().enumerate();
        lines
            .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
            .map(|(number, _)| number + 1)
            .collect()
    }
}

/// Reads one path, or a group of paths in braces, off the front of `text`; returns the rest.
fn spread<'t>(text: &'t str, prefix: &[String], found: &mut Vec<Vec<String>>) -> &'t str {
    let mut rest = text.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        rest = group.trim_start();
        while !rest.is_empty() && !rest.starts_with('}') {
            rest = spread(rest, prefix, found);
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            rest = rest[end..].trim_start_matches(',').trim_start();
        }
        return rest.strip_prefix('}').unwrap_or(rest);
    }
    let end = rest.find(|letter: char| !is_word(letter) && letter != '*').unwrap_or(rest.len());
    if end == 0 {
        found.push(prefix.to_vec());
        return rest;
    }
    let path = [prefix, &[rest[..end].to_owned()]].concat();
    match rest[end..].strip_prefix("::") {
        Some(deeper) => spread(deeper, &path, found),
        None => {
            found.push(path);
            &rest[end..]
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Items that `lib.rs` itself defines are no rooms.
fn is_room(name: &str) -> bool {
    root().join("src").join(name).is_dir() || root().join(format!("src/{name}.rs")).is_file()
}

/// A `//` that follows an even number of quotes begins a comment; strings over several lines are rare enough here.
fn without_comment(line: &str) -> &str {
    let begins = line.match_indices("//").find(|(at, _)| line[..*at].matches('"').count().is_multiple_of(2));
    begins.map_or(line, |(at, _)| &line[..at])
}

// === files and documents ===

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources(folder: &str) -> Vec<Source> {
    let ours = files(folder, "rs")
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs") && !path.contains("/tests/"));
    ours.map(|path| Source::new(&path, &read(&path))).collect()
}

/// All files below a folder with this extension, as paths from the root, sorted; builds and hidden folders left out.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            if entry.path().is_dir() {
                let built = name.starts_with("target") || name == "data" || name == "node_modules";
                if !built && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn dependencies() -> Vec<String> {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let names = manifest["dependencies"].as_table().expect("a table").keys();
    names.map(|name| name.replace('-', "_")).collect()
}

/// The lines outside fenced blocks, with their numbers.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line.to_owned()));
        }
    }
    lines
}

/// Targets of Markdown links into the repository.
fn links(line: &str) -> Vec<String> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let ours = targets.filter(|target| {
        !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:")
    });
    ours.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

/// Paths of the repository between back-quotes. Those with placeholders or of rooms that aren't built yet are left alone.
fn quoted_paths(line: &str) -> Vec<String> {
    let tops = ["src/", "tests/", "docs/", "config/", "scripts/", "loadtest/", "benches/", "examples/"];
    let quoted = line.split('`').skip(1).step_by(2);
    let plain = quoted.filter(|path| {
        tops.iter().any(|top| path.starts_with(top)) && !path.contains(['*', '<', '{', ' ', '…', ':', '['])
    });
    plain.map(str::to_owned).collect()
}

/// Fails with everything that was found at once.
fn report(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n\n{}\n", problems.join("\n"));
}
