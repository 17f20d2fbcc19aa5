//! Each operator against a naive model on seeded texts, and what is said of conditions that are wrong.

use std::{borrow::Cow, collections::BTreeMap};

use proptest::prelude::*;
use smol_str::SmolStr;

use super::{Condition, DEPTH_MAX, Fault, Is, Known, Node, TESTS_MAX, Verdict, number};

#[derive(Default)]
struct Facts(BTreeMap<String, String>);

impl Known for Facts {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name).map(|text| Cow::Borrowed(text.as_str()))
    }
}

fn facts(entries: &[(&str, &str)]) -> Facts {
    Facts(entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

fn test(name: &str, is: Is) -> Condition {
    Condition::new(Node::test(name, is).expect("a test")).expect("a condition")
}

fn cel(text: &str) -> Condition {
    Condition::new(Node::cel(text).expect("an expression")).expect("a condition")
}

fn cel_fault(text: &str) -> Fault {
    match Node::cel(text) {
        Ok(_) => panic!("{text} is taken"),
        Err(fault) => fault,
    }
}

/// What an operator means, said as plainly as can be.
fn model(is: &Is, set: bool, text: Option<&str>) -> bool {
    let values: Vec<String> = match text {
        None | Some("") => Vec::new(),
        Some(text) if set => text
            .split(',')
            .map(|value| value.trim().to_lowercase())
            .filter(|value| !value.is_empty())
            .collect(),
        Some(text) => vec![text.to_lowercase()],
    };
    let one = |holds: &dyn Fn(&str) -> bool| values.iter().any(|value| holds(value));
    let low = |text: &SmolStr| text.to_lowercase();
    let numbers = |holds: &dyn Fn(f64) -> bool| one(&|value: &str| value.trim().parse().is_ok_and(holds));
    match is {
        Is::Eq(with) => one(&|value| value == low(with)),
        Is::Ne(with) => !one(&|value| value == low(with)),
        Is::In(with) => one(&|value| with.iter().any(|with| value == low(with))),
        Is::Contains(with) => one(&|value| value.contains(&low(with))),
        Is::Prefix(with) => one(&|value| value.starts_with(&low(with))),
        Is::Suffix(with) => one(&|value| value.ends_with(&low(with))),
        // Of patterns only what both crates can say the same way: the model knows `*` alone.
        Is::Glob(with) => one(&|value| wild(&low(with), value)),
        Is::Regex(with) => one(&|value| value.contains(with.as_str())),
        Is::AtLeast(with) => numbers(&|number| number >= *with),
        Is::Above(with) => numbers(&|number| number > *with),
        Is::AtMost(with) => numbers(&|number| number <= *with),
        Is::Below(with) => numbers(&|number| number < *with),
        Is::Exists => text.is_some_and(|text| !text.is_empty()),
        Is::Missing => text.is_none_or(str::is_empty),
    }
}

fn wild(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| wild(rest, &text[at..]))
        }),
    }
}

fn word() -> impl Strategy<Value = SmolStr> {
    "[aAbB/9]{1,3}".prop_map(SmolStr::from)
}

fn amount() -> impl Strategy<Value = f64> {
    (-20i32..20).prop_map(|half| f64::from(half) / 2.0)
}

fn operator() -> impl Strategy<Value = Is> {
    prop_oneof![
        word().prop_map(Is::Eq),
        word().prop_map(Is::Ne),
        prop::collection::vec(word(), 1..5).prop_map(Is::In),
        word().prop_map(Is::Contains),
        word().prop_map(Is::Prefix),
        word().prop_map(Is::Suffix),
        "[aAb*/]{1,4}"
            .prop_filter("globset joins them", |text| !text.contains("**"))
            .prop_map(|text| Is::Glob(text.into())),
        "[ab/9]{1,3}".prop_map(|text| Is::Regex(text.into())),
        amount().prop_map(Is::AtLeast),
        amount().prop_map(Is::Above),
        amount().prop_map(Is::AtMost),
        amount().prop_map(Is::Below),
        Just(Is::Exists),
        Just(Is::Missing),
    ]
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        1 => Just(None),
        4 => "[aAbB/9, é]{0,8}".prop_map(Some),
        3 => (-20i32..20).prop_map(|half| Some((f64::from(half) / 2.0).to_string())),
        1 => Just(Some("nan".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x6d61_6974),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_operator_means_what_the_model_says(is in operator(), text in text(), set in any::<bool>()) {
        let name = if set { "page.tags" } else { "page.title" };
        // The regular expression sees letters as they are.
        let text = match &is {
            Is::Regex(_) => text.map(|text| text.to_lowercase()),
            _ => text,
        };
        // Only separators: nothing is known, which is no text.
        prop_assume!(!(set && text.as_deref().is_some_and(|text| !text.is_empty() && text.replace([',', ' '], "").is_empty())));
        // The model reads "nan" as a number, as Rust does.
        prop_assume!(!(text.as_deref() == Some("nan") && matches!(is, Is::AtLeast(_) | Is::Above(_) | Is::AtMost(_) | Is::Below(_))));
        let known = text.as_deref().map(|text| facts(&[(name, text)])).unwrap_or_default();
        let holds = test(name, is.clone()).holds(&known);
        prop_assert_eq!(holds, model(&is, set, text.as_deref()), "{:?} on {:?}", is, text);
    }

    #[test]
    fn what_is_said_never_to_hold_never_holds(one in operator(), other in operator(), text in text()) {
        let nodes = [&one, &other].map(|is| Node::test("page.title", is.clone()).expect("a test"));
        let both = Condition::new(Node::All(nodes.into())).expect("a condition");
        let known = text.as_deref().map(|text| facts(&[("page.title", text)])).unwrap_or_default();
        prop_assert!(both.never().is_none() || !both.holds(&known), "{:?} on {:?}", both, text);
    }
}

#[test]
fn combinations_are_and_or_and_not() {
    let is = |country: &str| Node::test("country", Is::Eq(country.into())).expect("a test");
    let fr = facts(&[("country", "fr")]);
    let holds = |node: Node| Condition::new(node).expect("a condition").holds(&fr);
    assert!(holds(Node::All(vec![])) && !holds(Node::Any(vec![])));
    assert!(holds(Node::Any(vec![is("BE"), is("FR")])) && !holds(Node::All(vec![is("BE"), is("FR")])));
    assert!(holds(Node::Not(Box::new(is("BE")))) && !holds(Node::Not(Box::new(is("FR")))));
}

#[test]
fn what_is_no_number_is_false_for_each_comparison() {
    for text in ["", "many", "nan", "inf", "-infinity", "1e999", "0x10", "1,5", "12 pages"] {
        assert_eq!(number(text), None, "{text}");
        let known = facts(&[("pages", text)]);
        for is in [Is::AtLeast(0.0), Is::Above(-1.0), Is::AtMost(9.0), Is::Below(9.0)] {
            assert!(!test("pages", is).holds(&known), "{text}");
        }
    }
    for (text, value) in [(" 3 ", 3.0), ("-2.5", -2.5), ("1e3", 1_000.0), ("007", 7.0)] {
        assert_eq!(number(text), Some(value), "{text}");
    }
}

#[test]
fn cel_sees_names_sets_and_custom_variables() {
    let known = facts(&[
        ("country", "FR"),
        ("page.url", "https://shop/fr/x"),
        ("tag", "vip, new"),
        ("cart.value", "120"),
        ("now", "1700000000"),
        ("priority", "2"),
    ]);
    for (text, verdict) in [
        ("country == 'FR'", Verdict::Matched),
        ("country == 'fr'", Verdict::NotMatched),
        ("page.url.contains('/fr/') && country in ['FR', 'BE']", Verdict::Matched),
        ("'vip' in tag", Verdict::Matched),
        ("tag.exists(t, t.startsWith('ne'))", Verdict::Matched),
        ("int(custom.cart.value) > 100", Verdict::Matched),
        ("now > 1600000000 && priority <= 2", Verdict::Matched),
        ("region == ''", Verdict::Matched),
        ("int(visits) > 3", Verdict::Error),
        ("visits != '' && int(visits) > 3", Verdict::NotMatched),
        ("country == 'FR' ? true : int(visits) > 3", Verdict::Matched),
        ("1 / int('0') == 1", Verdict::Error),
    ] {
        assert_eq!(cel(text).verdict(&known), verdict, "{text}");
    }
    assert_eq!(cel("page.url != '' && custom.cart.value != ''").names(), ["cart.value", "page.url"]);
}

#[test]
fn an_error_within_is_a_no_even_behind_a_not() {
    let failing = Node::cel("int(visits) > 3").expect("an expression");
    let not = Condition::new(Node::Not(Box::new(failing))).expect("a condition");
    assert_eq!(not.verdict(&Facts::default()), Verdict::Error);
    assert!(!not.holds(&Facts::default()));
}

#[test]
fn what_cel_does_not_have_is_an_error_with_its_place() {
    for (text, part, message) in [
        ("contry == 'FR'", "contry", "no name `contry`"),
        ("country == 'FR' && page.ur == ''", "page.ur", "no name `page.ur`"),
        ("custom == ''", "custom", "no name `custom`"),
        ("page.url.matches('x')", "", "no function `matches`"),
        ("has(page.url)", "", "no `has`"),
        ("tag.all(a, tag.all(b, a == b))", "", "a loop within a loop"),
        ("country", "country", "neither yes nor no"),
        ("country ==", "", "is not CEL"),
        ("", "", "wrong length"),
        ("now() > 3", "", "no function `now`"),
    ] {
        let fault = cel_fault(text);
        assert!(fault.message.contains(message), "{text}: {fault:?}");
        if !part.is_empty() {
            let at = fault.at.clone().expect("a place");
            assert!(text[at.clone()].contains(part.split('.').next().unwrap_or("")), "{text}: {at:?}");
        }
    }
}

/// The parser of CEL uses a stack frame for each bracket: the daemon would end, not answer.
#[test]
fn an_expression_as_deep_as_the_stack_is_refused_before_it_is_parsed() {
    for (open, close) in
        [("(", ")"), ("!", ""), ("-", ""), ("- ", ""), ("[", "]"), ("true ? ", " : false"), ("!(", ")")]
    {
        for depth in [20, 100, 600] {
            let deep = format!("{}true{}", open.repeat(depth), close.repeat(depth));
            assert!(Node::cel(&deep).is_err(), "{depth} of {open}");
        }
    }
    assert!(Node::cel(&format!("{}1 > 0", "1 + ".repeat(500))).is_err());
    assert!(Node::cel(&format!("{}country == 'FR'", "country == 'BE' || ".repeat(30))).is_ok());
    assert!(Node::cel(&format!("{}1 > 0", "1 + ".repeat(120))).is_ok());
    assert!(Node::cel(&format!("page.url.contains('{}')", "/(!".repeat(300))).is_ok());
}

#[test]
fn everything_has_a_bound() {
    let faulty = |name: &str, is: Is| Node::test(name, is).err().expect("refused").message;
    assert!(faulty("page.ur", Is::Exists).contains("not known"));
    assert!(faulty("", Is::Exists).contains("not a name"));
    assert!(faulty("cart", Is::Eq("".into())).contains("empty"));
    assert!(faulty("cart", Is::Eq("x".repeat(1_025).into())).contains("too long"));
    assert!(faulty("cart", Is::In(Vec::new())).contains("length"));
    assert!(faulty("cart", Is::Regex("(".into())).contains("unclosed group"));
    assert!(faulty("cart", Is::Regex("(a{1000}){1000}".into())).contains("size limit"));
    assert!(faulty("cart", Is::Regex("(".repeat(300).into())).contains("regular expression"));
    assert!(faulty("cart", Is::Glob("[".into())).contains("not a pattern"));
    assert!(faulty("cart", Is::Above(f64::NAN)).contains("number"));

    let one = || Node::test("cart", Is::Exists).expect("a test");
    assert!(Condition::new(Node::All((0..=TESTS_MAX).map(|_| one()).collect())).is_err());
    let deep = (0..DEPTH_MAX).fold(one(), |node, _| Node::Not(Box::new(node)));
    assert!(Condition::new(deep).is_err());
}

#[test]
fn contradictions_are_found() {
    let all = |tests: &[(&str, Is)]| {
        let nodes = tests.iter().map(|(name, is)| Node::test(name, is.clone()).expect("a test")).collect();
        Condition::new(Node::All(nodes)).expect("a condition").never()
    };
    assert!(all(&[("country", Is::Eq("FR".into())), ("country", Is::Eq("BE".into()))]).is_some());
    assert!(all(&[("country", Is::Eq("FR".into())), ("country", Is::Eq("fr".into()))]).is_none());
    assert!(all(&[("tag", Is::Eq("a".into())), ("tag", Is::Eq("b".into()))]).is_none());
    assert!(all(&[("visits", Is::AtLeast(3.0)), ("visits", Is::Below(3.0))]).is_some());
    assert!(all(&[("visits", Is::AtLeast(3.0)), ("visits", Is::AtMost(3.0))]).is_none());
    assert!(all(&[("visits", Is::Exists), ("visits", Is::Missing)]).is_some());
    assert!(Condition::new(Node::Any(Vec::new())).expect("a condition").never().is_some());
    assert!(Condition::always().is_always() && Condition::always().never().is_none());
}
