//! Golden bytes: a file per kind of message, with pairs of whole frames, bincode and JSON.

use std::{fmt::Write, fs, path::PathBuf};

use maitred::protocol::{Catalogue, Encoding};

use crate::{
    direction::{Direction, body, every_kind, frame},
    regenerating, sample,
    value::{Style, bincode, json, snake_case},
};

/// Where they are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire")
}

/// The file of a kind.
pub(crate) fn file(kind: u16, name: &str) -> PathBuf {
    folder().join(format!("{kind:04x}-{}.hex", snake_case(name)))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0, "half a byte in a golden file");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits"))
        .collect()
}

/// The pairs of frames in the file of a kind: bincode, JSON.
pub(crate) fn read(kind: u16, name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let path = file(kind, name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut pairs = Vec::new();
    while let Some(first) = lines.next() {
        let second = lines.next().expect("a JSON line after each bincode line");
        let bincode = first.strip_prefix("bincode ").expect("a bincode line first");
        let json = second.strip_prefix("json ").expect("a JSON line second");
        pairs.push((unhex(bincode), unhex(json)));
    }
    pairs
}

/// The pair of frames, bincode and JSON, of a sample, by the second codec.
pub(crate) fn pair(direction: &Direction, kind: &Catalogue, number: usize) -> (Vec<u8>, Vec<u8>) {
    let value = sample::sample(kind.shape, number);
    let mut compact = Vec::new();
    bincode(kind.shape, &value, &mut compact);
    let text = json(kind.shape, &value, Style::default());
    let frame = |body: &[u8]| frame(kind.kind, direction.number, body);
    (frame(&compact), frame(text.as_bytes()))
}

/// What belongs into the file of a kind.
fn contents(direction: &Direction, kind: &Catalogue) -> String {
    let mut text = format!(
        "# {}, {} {:#06x}: whole frames, each in both encodings\n",
        kind.name, direction.name, kind.kind
    );
    for number in 0..sample::count(kind.shape) {
        let (bincode, json) = pair(direction, kind, number);
        let _ = writeln!(text, "bincode {}\njson {}", hex(&bincode), hex(&json));
    }
    text
}

/// Every golden file holds what the samples say, decodes, means the same in both encodings, and is what we would send.
#[test]
fn golden_bytes_stand() {
    fs::create_dir_all(folder()).expect("the golden folder can be made");
    for (direction, kind) in every_kind() {
        let path = file(kind.kind, kind.name);
        if regenerating() {
            fs::write(&path, contents(direction, kind)).expect("the golden folder can be written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(kept == contents(direction, kind), "{} is not what {} is now", path.display(), kind.name);
        let pairs = read(kind.kind, kind.name);
        assert_eq!(pairs.len(), sample::count(kind.shape), "{}: a sample is missing", kind.name);
        for (bincode, json) in pairs {
            assert!((direction.same)(kind.kind, body(&bincode), body(&json)), "{}: they differ", kind.name);
            for (bytes, encoding) in [(&bincode, Encoding::Bincode), (&json, Encoding::Json)] {
                let again = (direction.recode)(kind.kind, body(bytes), encoding, encoding);
                assert_eq!(again.as_ref(), Ok(bytes), "{} in {encoding:?}", kind.name);
            }
        }
    }
}

/// No golden file is left of a message that no longer exists.
#[test]
fn every_golden_file_belongs_to_a_message() {
    let known: Vec<PathBuf> = every_kind().map(|(_, kind)| file(kind.kind, kind.name)).collect();
    for entry in fs::read_dir(folder()).expect("the golden folder") {
        let path = entry.expect("an entry").path();
        assert!(known.contains(&path), "{} is nobody's", path.display());
    }
}
