//! docs/rules.md against the tests, the code and the configuration.
//!
//! A row: `| BR-13 | what it says | tests | code | keys |`. Tests, files and keys stand in back-quotes, several separated by
//! blanks or commas. A key is written with its section, as config/maitred.toml or a preset has it: `defaults.strategy`,
//! `workspace.group.enabled`, `workspace.trigger.active`; "– always: why" if it rests on none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

const PRODUCTS: [(&str, usize); 5] = [("BR", 24), ("ZD", 21), ("AD", 25), ("RE", 18), ("BO", 35)];

struct Row {
    rule: String,
    tests: Vec<String>,
    code: Vec<String>,
    keys: Vec<String>,
}

#[test]
fn every_rule_is_on_the_page_once() {
    let mut expected = Vec::new();
    for (product, count) in PRODUCTS {
        expected.extend((1..=count).map(|number| format!("{product}-{number}")));
    }
    let found: Vec<String> = rows().into_iter().map(|row| row.rule).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_row_names_tests_that_exist_and_are_its_own() {
    let defined = defined();
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for Row { rule, tests, .. } in rows() {
        if tests.is_empty() {
            problems.push(format!("{rule} has no test"));
        }
        for test in tests {
            if rule_of(&test).as_ref() != Some(&rule) {
                problems.push(format!("{rule} names {test}, which carries another number"));
            }
            if !defined.contains_key(&test) {
                problems.push(format!("{rule} names {test}, which is not in tests/rules"));
            }
            named.insert(test);
        }
    }
    for (test, file) in defined.iter().filter(|(test, _)| !named.contains(*test)) {
        problems.push(format!("{test} ({file}) is in no row of docs/rules.md"));
    }
    assert!(problems.is_empty(), "\n\n{}\n", problems.join("\n"));
}

#[test]
fn every_row_names_code_and_keys_that_exist() {
    let keys = keys();
    let mut problems = Vec::new();
    for row in rows() {
        if row.code.is_empty() {
            problems.push(format!("{} names no file", row.rule));
        }
        problems.extend(
            row.code
                .iter()
                .filter(|file| !root().join(file).is_file())
                .map(|file| format!("{} names {file}, which is not there", row.rule)),
        );
        problems.extend(
            row.keys
                .iter()
                .filter(|key| !keys.contains(*key))
                .map(|key| format!("{} names the key {key}, which no configuration has", row.rule)),
        );
    }
    assert!(problems.is_empty(), "\n\n{}\n", problems.join("\n"));
}

/// `br_09_…` carries BR-9.
fn rule_of(test: &str) -> Option<String> {
    let mut parts = test.split('_');
    let product = parts.next()?.to_uppercase();
    let number: usize = parts.next()?.parse().ok()?;
    Some(format!("{product}-{number}"))
}

fn rows() -> Vec<Row> {
    let page = read("docs/rules.md");
    let lines = page.lines().filter(|line| {
        PRODUCTS
            .iter()
            .any(|(product, _)| line.trim_start_matches(['|', ' ']).starts_with(&format!("{product}-")))
    });
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            let [rule, _, tests, code, keys] = cells[..] else { panic!("not five cells: {line}") };
            let why = keys.strip_prefix("– ").unwrap_or_default();
            assert_eq!(quoted(keys).is_empty(), !why.is_empty(), "either keys, or why there is none: {line}");
            Row { rule: rule.to_owned(), tests: quoted(tests), code: quoted(code), keys: quoted(keys) }
        })
        .collect()
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The tests that `rule!` makes, with their files.
fn defined() -> BTreeMap<String, String> {
    let mut defined = BTreeMap::new();
    for entry in fs::read_dir(root().join("tests/rules")).expect("the tests") {
        let file = entry.expect("a file").file_name().to_string_lossy().into_owned();
        if ["house.rs", "main.rs", "map.rs"].contains(&file.as_str()) {
            continue;
        }
        let text: String = read(&format!("tests/rules/{file}")).split_whitespace().collect();
        for rest in text.split("rule!(").skip(1) {
            let name = rest.split(',').next().unwrap_or_default();
            let before = defined.insert(name.to_owned(), file.to_owned());
            assert_eq!(before, None, "two tests are called {name}");
        }
    }
    defined
}

/// All keys, with their sections; those shown as comments too.
fn keys() -> BTreeSet<String> {
    let presets = fs::read_dir(root().join("config/presets")).expect("the presets");
    let files =
        presets.map(|entry| entry.expect("a preset").path()).chain([root().join("config/maitred.toml")]);
    let mut keys = BTreeSet::new();
    for file in files {
        let mut section = String::new();
        for line in fs::read_to_string(&file).expect("a configuration").lines() {
            let line = line.trim_start_matches(['#', ' ']);
            if let Some(header) =
                line.strip_prefix('[').and_then(|rest| rest.trim_start_matches('[').split(']').next())
            {
                header.clone_into(&mut section);
            } else if let Some((key, _)) = line.split_once(" = ") {
                keys.insert(format!("{section}.{key}"));
            }
        }
    }
    keys
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
