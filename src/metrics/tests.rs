//! The door: count something, then look at what an operator would see.

use std::time::Duration;

use super::*;

fn label(workspace: &str, group: &str) -> GroupLabel {
    GroupLabel {
        workspace: workspace.to_owned(),
        group: group.to_owned(),
        service_level_target: Duration::from_secs(20),
    }
}

/// The value of a series, written as in the text format without prefix.
fn value(metrics: &Metrics, series: &str) -> f64 {
    let text = metrics.render();
    let line = format!("maitred_{series} ");
    let found = text.lines().find_map(|shown| shown.strip_prefix(&line));
    found.unwrap_or_else(|| panic!("no series {series} in:\n{text}")).parse().expect("a number")
}

const SALES: &str = r#"{workspace="acme",group="sales"}"#;

fn sales() -> (Metrics, Arc<GroupMetrics>) {
    let metrics = Metrics::new(&[label("acme", "sales")]);
    let group = metrics.group("acme", "sales");
    (metrics, group)
}

#[test]
fn every_series_of_a_group_is_there_at_zero_before_anything_happens() {
    let (metrics, _) = sales();
    for reason in FallbackReason::ALL {
        let series = format!(
            r#"fallback_messages_total{{workspace="acme",group="sales",reason="{}"}}"#,
            reason.as_str()
        );
        assert_eq!(value(&metrics, &series), 0.0);
    }
    assert_eq!(
        value(&metrics, r#"wait_seconds_bucket{workspace="acme",group="sales",outcome="answered",le="20"}"#),
        0.0
    );
    assert_eq!(value(&metrics, &format!("service_level_target_seconds{SALES}")), 20.0);
    assert_eq!(value(&metrics, r#"connections{carrier="quic",encoding="json"}"#), 0.0);
}

#[test]
fn an_answer_at_the_target_is_still_within_it() {
    let (metrics, sales) = sales();
    sales.answered(Duration::from_secs(20), 1);
    sales.answered(Duration::from_millis(20_001), 3);
    assert_eq!(value(&metrics, &format!("conversations_answered_total{SALES}")), 2.0);
    assert_eq!(value(&metrics, &format!("conversations_answered_in_target_total{SALES}")), 1.0);
    assert_eq!(value(&metrics, &format!("offers_per_conversation_sum{SALES}")), 4.0);
}

#[test]
fn leaving_within_five_seconds_is_a_short_abandon() {
    let (metrics, sales) = sales();
    sales.abandoned(Duration::from_millis(4_999), 0);
    sales.abandoned(SHORT_ABANDON, 1);
    assert_eq!(value(&metrics, &format!("conversations_abandoned_total{SALES}")), 2.0);
    assert_eq!(value(&metrics, &format!("conversations_abandoned_short_total{SALES}")), 1.0);
}

#[test]
fn only_answers_of_agents_tell_how_fast_they_answer() {
    let (metrics, sales) = sales();
    for outcome in OfferOutcome::ALL {
        sales.offer_ended(*outcome, Duration::from_secs(3));
    }
    assert_eq!(value(&metrics, &format!("offer_response_seconds_count{SALES}")), 2.0);
}

#[test]
fn groups_past_the_bound_share_series_and_their_lines_add_up() {
    let groups: Vec<_> = (0..LABELLED_MAX + 2).map(|n| label("acme", &format!("g{n:03}"))).collect();
    let metrics = Metrics::new(&groups);
    let (last, before) = (metrics.group("acme", "g201"), metrics.group("acme", "g200"));
    last.line(3, Some(9_000_000));
    before.line(4, Some(7_500_000));
    assert_eq!(value(&metrics, r#"conversations_waiting{workspace="acme",group="_other"}"#), 7.0);
    let oldest = r#"oldest_waiting_timestamp_seconds{workspace="acme",group="_other"}"#;
    assert_eq!(value(&metrics, oldest), 7.5);
    before.line(0, None);
    assert_eq!(value(&metrics, oldest), 9.0);
    assert!(!metrics.render().contains(r#"group="g200""#));
}

#[test]
fn workspaces_past_the_bound_share_series() {
    let groups: Vec<_> = (0..LABELLED_MAX + 5).map(|n| label(&format!("w{n:03}"), "sales")).collect();
    let text = Metrics::new(&groups).render();
    let waiting = text.lines().filter(|line| line.starts_with("maitred_conversations_waiting{"));
    assert_eq!(waiting.count(), LABELLED_MAX + 1);
    assert!(text.contains(r#"maitred_agents{workspace="_other",state="busy"} 0"#));
}

#[test]
fn a_reload_adds_groups_and_changes_targets() {
    let (metrics, sales) = sales();
    let mut changed = label("acme", "sales");
    changed.service_level_target = Duration::from_secs(5);
    metrics.set_groups(&[changed, label("acme", "help")]);
    sales.answered(Duration::from_secs(6), 1);
    assert_eq!(value(&metrics, &format!("conversations_answered_in_target_total{SALES}")), 0.0);
    assert_eq!(value(&metrics, r#"conversations_waiting{workspace="acme",group="help"}"#), 0.0);
}

#[test]
fn an_agent_is_counted_once_in_the_workspace_and_once_in_each_group() {
    let metrics = Metrics::new(&[label("acme", "sales"), label("acme", "help")]);
    let (sales, help) = (metrics.group("acme", "sales"), metrics.group("acme", "help"));
    let mut ana = AgentMark::new(metrics.workspace("acme"), vec![sales, Arc::clone(&help)]);
    ana.show(Some(AgentView { state: AgentState::Available, used: 1, free: 2 }));
    ana.show(Some(AgentView { state: AgentState::Busy, used: 3, free: 0 }));
    let agents = |metrics: &Metrics, labels: &str| value(metrics, &format!("{labels},state=\"busy\"}}"));
    assert_eq!(agents(&metrics, r#"agents{workspace="acme""#), 1.0);
    assert_eq!(agents(&metrics, r#"group_agents{workspace="acme",group="sales""#), 1.0);
    assert_eq!(value(&metrics, r#"agent_slots{workspace="acme",state="used"}"#), 3.0);
    assert_eq!(value(&metrics, r#"agents{workspace="acme",state="available"}"#), 0.0);
    ana.belongs_to(vec![help]);
    assert_eq!(agents(&metrics, r#"group_agents{workspace="acme",group="sales""#), 0.0);
    drop(ana);
    assert_eq!(agents(&metrics, r#"agents{workspace="acme""#), 0.0);
    assert_eq!(value(&metrics, r#"group_agent_slots{workspace="acme",group="help",state="used"}"#), 0.0);
}

#[test]
fn a_panic_does_not_leave_anything_counted() {
    let metrics = Metrics::new(&[]);
    let level = metrics.transport.in_flight.clone();
    let fell = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = level.hold();
        assert_eq!(level.get(), 0, "it is one");
    }));
    assert!(fell.is_err());
    assert_eq!(value(&metrics, "in_flight_commands"), 0.0);
}

#[test]
fn two_daemons_in_one_process_count_apart() {
    let (one, sales) = sales();
    let (other, _) = self::sales();
    sales.queued();
    assert_eq!(value(&one, &format!("conversations_queued_total{SALES}")), 1.0);
    assert_eq!(value(&other, &format!("conversations_queued_total{SALES}")), 0.0);
}

#[test]
fn numbers_that_a_room_keeps_itself_are_fetched_at_each_rendering() {
    let metrics = Metrics::new(&[]);
    let frames = metrics.transport.frames.of(Direction::In).of("open");
    metrics.before_render(move || frames.absolute(7));
    assert_eq!(value(&metrics, r#"frames_total{direction="in",kind="open"}"#), 7.0);
}

#[test]
fn no_histogram_became_a_summary_and_all_have_help() {
    let (metrics, _) = sales();
    metrics.routing.refusals.declare(["at_capacity"]);
    let text = metrics.render();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        assert_ne!(kind, "summary", "{name} has no bounds");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help text");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    }
}
