//! Every message, with any values, in both encodings and from one to the other.

use maitred::protocol::{Catalogue, Encoding};
use proptest::{
    prop_assert, prop_assert_eq,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    direction::{Direction, body, every_kind, frame},
    value::{Style, Value, bincode, json, strategy},
};

/// Random values for each kind of message.
const CASES: u32 = 48;

fn for_any(check: impl Fn(&'static Direction, &'static Catalogue, Value) -> Result<(), TestCaseError>) {
    for (direction, kind) in every_kind() {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, rng());
        runner
            .run(&strategy(kind.shape), |value| check(direction, kind, value))
            .unwrap_or_else(|error| panic!("{}: {error}", kind.name));
    }
}

/// The same numbers on every run.
fn rng() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

#[test]
fn what_is_encoded_is_decoded_again_in_both_encodings() {
    for_any(|direction, kind, value| {
        let mut compact = Vec::new();
        bincode(kind.shape, &value, &mut compact);
        let text = json(kind.shape, &value, Style::default());
        prop_assert!((direction.same)(kind.kind, &compact, text.as_bytes()), "the two mean different things");
        let frames = [
            (Encoding::Bincode, frame(kind.kind, direction.number, &compact)),
            (Encoding::Json, frame(kind.kind, direction.number, text.as_bytes())),
        ];
        for (from, input) in &frames {
            for (to, output) in &frames {
                let again = (direction.recode)(kind.kind, body(input), *from, *to);
                prop_assert_eq!(again.as_ref(), Ok(output), "from {:?} to {:?}", from, to);
            }
        }
        Ok(())
    });
}

#[test]
fn a_body_that_is_cut_or_continued_is_refused() {
    for_any(|direction, kind, value| {
        let mut compact = Vec::new();
        bincode(kind.shape, &value, &mut compact);
        let decode =
            |bytes: &[u8]| (direction.recode)(kind.kind, bytes, Encoding::Bincode, Encoding::Bincode);
        for cut in 0..compact.len() {
            prop_assert!(decode(&compact[..cut]).is_err(), "cut to {} bytes", cut);
        }
        compact.push(0);
        prop_assert!(decode(&compact).is_err(), "with a byte more");
        let mut text = json(kind.shape, &value, Style::default());
        text.push('1');
        let decoded = (direction.recode)(kind.kind, text.as_bytes(), Encoding::Json, Encoding::Json);
        prop_assert!(decoded.is_err(), "with a digit more");
        Ok(())
    });
}

#[test]
fn the_daemon_refuses_fields_that_it_does_not_know_and_clients_ignore_them() {
    for_any(|direction, kind, value| {
        let with_surprise = json(kind.shape, &value, Style { surprise: true });
        let decoded = (direction.recode)(kind.kind, with_surprise.as_bytes(), Encoding::Json, Encoding::Json);
        if direction.name == "request" {
            prop_assert!(decoded.is_err_and(|error| error.contains("surprise")));
        } else {
            let plain = json(kind.shape, &value, Style::default());
            let expected = frame(kind.kind, direction.number, plain.as_bytes());
            prop_assert_eq!(decoded.as_ref(), Ok(&expected));
        }
        Ok(())
    });
}
