//! Numbers that rooms keep themselves, shown in the metrics when somebody looks.

use std::sync::Arc;

use crate::{
    journal::{Archive, Journal},
    metrics::Metrics,
    protocol::refusal::RefusalCode,
    transport::{Connections, counters::Showing},
};

/// Shows the transport's and the journal's own numbers, and makes every series exist at zero.
pub(super) fn wire(metrics: &Metrics, connections: &Connections, journal: &Journal, archive: &Archive) {
    metrics.routing.refusals.declare(RefusalCode::ALL.iter().map(|code| code.as_str()));
    let showing = Showing::new(Arc::clone(&metrics.transport));
    let shown = Arc::clone(&metrics.journal);
    let (connections, journal, archive) = (connections.clone(), journal.clone(), archive.clone());
    metrics.before_render(move || {
        showing.show(&connections);
        let stats = journal.stats();
        shown.commits.absolute(stats.commits);
        shown.appended_records.absolute(stats.records);
        shown.appended_bytes.absolute(stats.bytes);
        shown.appended_position.set(journal.newest().get());
        shown.durable_position.set(journal.durable().get());
        let (durable, covered) = (journal.durable().get(), archive.covered().get());
        shown.log_bytes.set(journal.extent().bytes);
        shown.archive_behind.set(durable.saturating_sub(covered));
        shown.archive_age.set(archive.age().as_secs());
        if let Ok(bytes) = archive.bytes() {
            shown.archive_bytes.set(bytes);
        }
        if stats.commits > 0 {
            shown.sync.record(stats.last_sync);
            shown.batch_records.record(stats.last_batch_records as f64);
        }
    });
}
