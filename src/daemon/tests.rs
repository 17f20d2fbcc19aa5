use super::{endpoint, intakes, rates, transport::Settings};
use crate::config;

/// The keys of `[limits]` and its sections, with what they are by default.
fn limits() -> Vec<(String, String)> {
    let text = include_str!("../../config/maitred.toml");
    let root: toml::Table = text.parse().expect("the default configuration");
    let toml::Value::Table(limits) = &root["limits"] else { panic!("[limits] is a section") };
    let mut keys = Vec::new();
    for (key, value) in limits {
        match value {
            toml::Value::Table(section) => keys
                .extend(section.iter().map(|(inner, value)| (format!("{key}__{inner}"), value.to_string()))),
            value => keys.push((key.clone(), value.to_string())),
        }
    }
    keys
}

/// Another value that is as good: twice as much, where that is allowed.
fn other(key: &str, value: &str) -> String {
    let value = value.trim_matches('"');
    let digits = value.trim_end_matches(|letter: char| letter.is_alphabetic());
    let number: u64 = digits.parse().unwrap_or_else(|_| panic!("{key} = {value}"));
    let number = if key == "message_body" { number / 2 } else { number * 2 };
    format!("{number}{}", &value[digits.len()..])
}

/// Everything that the limits of a configuration come to for connections.
fn effect(change: Option<(String, String)>) -> String {
    let loaded = config::load(None, change.into_iter()).unwrap_or_else(|problems| panic!("{problems}"));
    let limits = &loaded.config.limits;
    let quic = endpoint::Options::new(loaded.config.server.listen, "data".into()).limited_by(limits);
    let (rates, intakes) = (rates(&loaded.config), intakes(&loaded.config, 1));
    format!("{:?} {quic:?} {rates:?} {intakes:?}", Settings::from(limits))
}

/// Three keys of `[limits]` were read, checked, and then left out of what the transport goes by.
#[test]
fn every_limit_of_the_configuration_is_carried_over() {
    let usual = effect(None);
    let keys = limits();
    assert!(keys.len() >= 25, "{keys:?}");
    for (key, value) in keys {
        let name = format!("MAITRED__LIMITS__{}", key.to_uppercase());
        let value = other(&key, &value);
        assert_ne!(effect(Some((name.clone(), value.clone()))), usual, "{name}={value} has no effect");
    }
}
