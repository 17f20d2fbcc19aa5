//! What operators load into Prometheus and Grafana fits what the daemon shows: every expression parses, names only
//! series and labels that exist, and follows the conventions; and the manual names every metric.

mod observability {
    pub(crate) mod dashboard;
    pub(crate) mod exposition;
    pub(crate) mod promql;
    pub(crate) mod rules;
}

use observability::{dashboard::Dashboard, exposition::Exposition, promql::Query, rules::Rules};

const DOCS: &str = include_str!("../docs/metrics.md");
const RECORDING: &str = include_str!("../config/observability/recording.rules.yml");
const ALERTS: &str = include_str!("../config/observability/alerts.rules.yml");

/// The words in backquotes of the manual that look like metrics of ours or of the process.
fn documented() -> Vec<&'static str> {
    let words = DOCS.split('`').skip(1).step_by(2);
    words.filter(|word| word.starts_with("maitred_") || word.starts_with("process_")).collect()
}

#[test]
fn the_manual_names_every_metric_and_no_other() {
    let shown = Exposition::of_a_fresh_daemon();
    let documented = documented();
    for name in shown.names() {
        assert!(documented.contains(&name), "{name} is not in docs/metrics.md");
    }
    for name in documented {
        assert!(shown.has(name), "docs/metrics.md names {name}, which the daemon does not show");
    }
}

#[test]
fn the_manual_says_what_to_do_about_every_alert() {
    for alert in Rules::read(ALERTS).names() {
        assert!(DOCS.contains(alert), "docs/metrics.md says nothing about {alert}");
    }
}

#[test]
fn rules_use_only_what_the_daemon_shows() {
    let mut shown = Exposition::of_a_fresh_daemon();
    // Prometheus itself adds this one for every target.
    shown.add("up", "gauge", &["job", "instance"]);
    for rule in Rules::read(RECORDING).all() {
        let query = Query::parse(&rule.expr).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        query.check(&shown).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        // What it records has the labels that it is grouped by; later rules may use it.
        shown.add(&rule.name, "gauge", &query.grouped_by());
    }
    for rule in Rules::read(ALERTS).all() {
        let query = Query::parse(&rule.expr).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        query.check(&shown).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
    }
}

#[test]
fn recorded_names_say_their_labels() {
    for rule in Rules::read(RECORDING).all() {
        let (level, _) = rule.name.split_once(':').expect("level:metric:operation");
        let mut labels: Vec<_> = level.split('_').collect();
        labels.sort_unstable();
        let query = Query::parse(&rule.expr).expect("an expression");
        let mut grouped = query.grouped_by();
        grouped.sort_unstable();
        if !grouped.is_empty() {
            assert_eq!(labels, grouped, "{}", rule.name);
        }
    }
}

#[test]
fn panels_use_only_what_the_daemon_shows() {
    let shown = Exposition::of_a_fresh_daemon();
    for (panel, target) in Dashboard::load().targets() {
        let query = Query::parse(&target.expr).unwrap_or_else(|error| panic!("{panel}: {error}"));
        query.check(&shown).unwrap_or_else(|error| panic!("{panel}: {error}"));
        let grouped = query.grouped_by();
        for label in target.legend_labels() {
            assert!(
                grouped.contains(&label.as_str()),
                "{panel}: the legend shows {label}, which is summed away"
            );
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let dashboard = Dashboard::load();
    let used: String = dashboard.targets().map(|(_, target)| target.expr).collect();
    let shown = Exposition::of_a_fresh_daemon();
    for name in shown.names().filter(|name| name.starts_with("maitred_")) {
        let is_used = ["", "_bucket", "_sum"].iter().any(|part| used.contains(&format!("{name}{part}{{")));
        // The target is what the service level is measured against; it needs no panel of its own.
        assert!(is_used || name == "maitred_service_level_target_seconds", "no panel shows {name}");
    }
}

#[test]
fn the_dashboard_keeps_the_conventions() {
    let dashboard = Dashboard::load();
    let faults = dashboard.faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_checks_find_what_they_are_there_for() {
    let shown = Exposition::of_a_fresh_daemon();
    for wrong in [
        "maitred_conversations_wating",
        r#"maitred_agents{group="sales"}"#,
        r#"maitred_agents{state="lunch"}"#,
        "sum by (agent) (maitred_agents)",
        "sum(rate(maitred_conversations_waiting[5m]))",
        "rate(maitred_offers_total[5m])",
        "maitred_wait_seconds",
        r#"maitred_wait_seconds_bucket{le="20.0"}"#,
    ] {
        let query = Query::parse(wrong).expect("it parses");
        assert!(query.check(&shown).is_err(), "{wrong} passed");
    }
    assert!(Query::parse("sum(maitred_agents").is_err());
    for (this, otherwise) in [
        ("$__rate_interval", "5m"),
        ("\"unit\": \"s\"", "\"unit\": \"sec\""),
        ("instance=~\\\"$instance\\\"", ""),
        ("\"editable\": false", "\"editable\": true"),
        ("\"y\": 1\n", "\"y\": 0\n"),
        ("\"allValue\": \".+\"", "\"allValue\": \".*\""),
        ("\"uid\": \"${datasource}\"", "\"uid\": \"mine\""),
    ] {
        let faults = Dashboard::load_with(this, otherwise).faults();
        assert!(!faults.is_empty(), "{otherwise} for {this} passed");
    }
}
