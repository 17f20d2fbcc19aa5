//! What is counted per room of the daemon, without regard to groups.

use metrics::{Counter, Histogram};

use super::{
    registry::{Each, Fold, Level, Named, Seconds, series},
    words::{ActorKind, Carrier, DeliveryKind, DeliveryOutcome, Direction, Encoding},
};

series! {
    /// The rules.
    pub struct Routing {
        /// Time that the rules took for one command, from the command to the events.
        pub decision: Histogram = "routing_decision_seconds";
        /// Commands that were refused, by the refusal's code.
        pub refusals: Named = "refusals_total", "code";
    }
}

series! {
    /// The actors.
    pub struct Actors {
        /// How late a deadline was noticed by its arbiter's timer wheel.
        pub timer_lag: Histogram = "timer_lag_seconds";
        /// Actors rebuilt from the journal after a panic.
        pub restarts: Each<Counter, ActorKind> = "actor_restarts_total", ("kind", ());
        /// Messages sent to actors and not yet handled.
        pub mailbox: Each<Level, ActorKind> = "mailbox_messages", ("kind", ());
        /// Actors that live.
        pub live: Each<Level, ActorKind> = "actors", ("kind", ());
        /// What stands aside after failing too often, until a supervisor releases it.
        pub quarantined: Each<Level, ActorKind> = "quarantined", ("kind", ());
        /// Arbiters that stand still now, and everything on them with them.
        pub stuck: Level = "arbiters_stuck";
        /// Arbiters that turn newcomers away now, as their work is late.
        pub late: Level = "arbiters_late";
    }
}

series! {
    /// The journal.
    pub struct Journal {
        /// Syncs of the log to the disk that made a batch of records durable.
        pub commits: Counter = "journal_commits_total";
        /// Records appended to the log.
        pub appended_records: Counter = "journal_appended_records_total";
        /// Bytes appended to the log, their headers included.
        pub appended_bytes: Counter = "journal_appended_bytes_total";
        /// Time that one write and sync of the log took.
        pub sync: Histogram = "journal_sync_seconds";
        /// Records that one sync made durable.
        pub batch_records: Histogram = "journal_batch_records";
        /// Position of the newest appended record.
        pub appended_position: Level = "journal_appended_position";
        /// Position of the newest durable record; behind the appended one by what waits for the disk.
        pub durable_position: Level = "journal_durable_position";
        /// Bytes of the log's files.
        pub log_bytes: Level = "journal_log_bytes";
        /// Bytes of the archive's file.
        pub archive_bytes: Level = "archive_bytes";
        /// Durable records that the archive has not taken over yet.
        pub archive_behind: Level = "archive_behind_records";
        /// Seconds since the archive last took records over.
        pub archive_age: Level = "archive_age_seconds";
    }
}

series! {
    /// The connections.
    pub struct Transport {
        /// Connections that said a valid Hello, by carrier and encoding.
        pub connections: Each<Each<Level, Encoding>, Carrier> = "connections", ("carrier", ("encoding", ()));
        /// Frames read and written, by kind of message.
        pub frames: Each<Named, Direction> = "frames_total", ("direction", "kind");
        /// Frames and streams that broke the protocol, by how.
        pub protocol_errors: Named = "protocol_errors_total", "reason";
        /// What else befell connections: arrivals turned away, handshakes that failed, slow readers.
        pub events: Named = "connection_events_total", "event";
        /// Commands taken in and not yet answered.
        pub in_flight: Level = "in_flight_commands";
        /// Bytes that wait for their connections to take them.
        pub outgoing_bytes: Level = "outgoing_bytes";
    }
}

series! {
    /// E-mails and webhooks.
    pub struct Notify {
        /// Attempts to deliver e-mails and webhooks, and what else became of them, by way and outcome.
        pub deliveries: Each<Each<Counter, DeliveryOutcome>, DeliveryKind> = "deliveries_total", ("kind", ("outcome", ()));
        /// E-mails and webhooks that wait to be delivered.
        pub pending: Level = "deliveries_pending";
        /// Time from queueing an e-mail or webhook to its delivery, pauses between attempts included.
        pub delivery: Each<Histogram, DeliveryKind> = "delivery_seconds", ("kind", ());
    }
}

series! {
    /// The daemon as a whole.
    pub struct Daemon {
        /// 1 while the daemon drains before it ends, else 0.
        pub draining: Level = "draining";
        /// 1 if the newest configuration was taken over, 0 if it was rejected and the one before stands.
        pub reload_successful: Level = "config_last_reload_successful";
        /// When a configuration was last taken over, in seconds since 1970.
        pub reload_success: Seconds = "config_last_reload_success_timestamp_seconds", Fold::Largest;
    }
}

impl Daemon {
    /// A configuration was taken over or rejected, now (microseconds since 1970).
    pub fn reloaded(&self, taken_over: bool, now_micros: u64) {
        self.reload_successful.set(u64::from(taken_over));
        if taken_over {
            self.reload_success.set_micros(now_micros);
        }
    }
}

series! {
    /// What this build is; the value is always 1.
    pub struct Build {
        /// Version and revision of the running daemon, as labels; the value is always 1.
        pub info: Level = "build_info";
    }
}
