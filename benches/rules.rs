//! What it costs a conversation to be judged by all rules of its workspace. The promise: 200 rules below 20 µs. Run:
//! `cargo bench --bench rules`.

use std::{borrow::Cow, hint::black_box};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use maitred::routing::{
    Policy,
    conditions::{Condition, Is, Known, Node},
    rules::{Rule, RuleTarget, Rules},
};

/// What a web visitor is usually known by.
const KNOWN: [(&str, &str); 12] = [
    ("site", "shop.example"),
    ("page.url", "https://shop.example/fr/prices/office-chairs?utm_source=mail&utm_campaign=autumn"),
    ("page.title", "Office chairs and desks | Shop"),
    ("page.tags", "prices, furniture, b2b"),
    ("referrer", "https://search.example/?q=chairs"),
    ("locale", "fr-FR"),
    ("country", "FR"),
    ("region", "IDF"),
    ("city", "Paris"),
    ("visits", "3"),
    ("pages", "12"),
    ("cart_value", "249.90"),
];

struct Visitor;

impl Known for Visitor {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        KNOWN.iter().find(|(known, _)| *known == name).map(|(_, text)| Cow::Borrowed(*text))
    }
}

fn test(name: &str, is: Is) -> Node {
    Node::test(name, is).expect("a test")
}

type Kind = (&'static str, fn(usize) -> Node);

/// Rules that do not match, so that all of each is asked.
const KINDS: [Kind; 6] = [
    ("eq", |number| test("country", Is::Eq(format!("X{number}").into()))),
    ("in_20", |number| {
        test("country", Is::In((0..20).map(|other| format!("X{number}-{other}").into()).collect()))
    }),
    ("contains", |number| test("page.url", Is::Contains(format!("/shelf-{number}").into()))),
    ("two_of_three", |number| {
        Node::All(vec![
            test("country", Is::Eq("FR".into())),
            test("pages", Is::AtLeast(100.0 + number as f64)),
            test("page.tags", Is::Eq("support".into())),
        ])
    }),
    ("regex", |number| test("page.url", Is::Regex(format!("/shelf-{number}(/|$)").into()))),
    ("cel", |number| Node::cel(&format!("country == 'X{number}' && pages != ''")).expect("an expression")),
];

fn judged(c: &mut Criterion) {
    let mut group = c.benchmark_group("judged_by_rules");
    let policy = Policy::default();
    for (name, kind) in KINDS {
        for count in [20, 200] {
            let rule = |number| Rule {
                name: format!("rule {number}").into(),
                when: Condition::new(kind(number)).expect("a condition"),
                then: RuleTarget::Group("everyone".parse().expect("a name")),
            };
            let rules = Rules::new((0..count).map(rule).collect());
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    let ruling = black_box(&rules).judge(&Visitor, &policy);
                    assert!(ruling.ways.is_empty(), "none matches");
                    ruling
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, judged);
criterion_main!(benches);
