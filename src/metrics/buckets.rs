//! The upper bounds of every histogram. One without bounds would become a summary, whose quantiles can't be added up
//! over groups or daemons, so the registry refuses it.

/// Waiting, in seconds: fine below a minute, where service levels are set.
const WAIT: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1200.0];
/// Answering an offer, in seconds.
const RESPONSE: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0];
/// Offers of one stay.
const OFFERS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 8.0];
/// Serving a conversation, in seconds: half a minute to four hours.
const HANDLE: &[f64] =
    &[30.0, 60.0, 120.0, 180.0, 300.0, 450.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0];
/// Wrap-up, in seconds.
const WRAP_UP: &[f64] = &[5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// One decision of the rules, in seconds: a microsecond is usual, 100 ms a stuck arbiter.
const DECISION: &[f64] =
    &[1e-6, 2.5e-6, 5e-6, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.1];
/// How late a deadline was noticed, in seconds. The wheel's buckets are 5 ms.
const LAG: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// From queueing a notification to its delivery, in seconds: at once, or after retries of up to a day.
const DELIVERY: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0, 86400.0];
/// One sync of the log, in seconds.
const SYNC: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// Records that one sync made durable.
const BATCH: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0];

/// Every histogram by its name without prefix.
pub(super) const BUCKETS: &[(&str, &[f64])] = &[
    ("wait_seconds", WAIT),
    ("offer_response_seconds", RESPONSE),
    ("offers_per_conversation", OFFERS),
    ("first_response_seconds", WAIT),
    ("time_to_first_human_reply_seconds", WAIT),
    ("handle_seconds", HANDLE),
    ("wrapup_seconds", WRAP_UP),
    ("routing_decision_seconds", DECISION),
    ("timer_lag_seconds", LAG),
    ("delivery_seconds", DELIVERY),
    ("journal_sync_seconds", SYNC),
    ("journal_batch_records", BATCH),
];

// The exporter takes bounds as they come; unsorted ones would count wrongly and in silence.
const _: () = {
    let mut list = 0;
    while list < BUCKETS.len() {
        let bounds = BUCKETS[list].1;
        assert!(!bounds.is_empty());
        let mut next = 1;
        while next < bounds.len() {
            assert!(bounds[next - 1] < bounds[next], "a histogram's bounds have to grow");
            next += 1;
        }
        list += 1;
    }
};
