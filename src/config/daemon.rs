//! The sections about the process: where it listens and stores, what it lets connections do.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    MailServer,
    measures::{DAY, GIB, HOUR, KIB, MIB, MINUTE, Size, Wait, ms, secs},
    section::{section, words},
    values::{FilePath, Optional, OrWord, Whole, address, choice},
};

section! {
    /// `[server]`: the process. Changes need a restart.
    pub struct Server {
        own {
            /// UDP address of the QUIC listener.
            listen: SocketAddr => address(),
            /// Directory of everything that survives: log, archive, snapshots, tokens, the self-made certificate.
            data_dir: PathBuf => FilePath,
            /// Threads that route; `None` ("auto"): processor cores less one, at least one.
            arbiters: Option<u32> => OrWord(Whole(1..=256), "auto"),
            /// PEM file with the certificate chain. Absent: a self-signed one is made in `data_dir`.
            certificate: Option<PathBuf> => Optional(FilePath),
            /// PEM file with the certificate's private key.
            private_key: Option<PathBuf> => Optional(FilePath),
            /// Database of places in MaxMind's format. Absent: nothing is looked up.
            geoip: Option<PathBuf> => Optional(FilePath),
            /// Form of the log lines on standard error.
            log_format: LogFormat => choice(),
            /// Least severe level that is logged.
            log_level: LogLevel => choice(),
            /// How long a drain may take before what is left is cut off.
            drain_timeout: Duration => Wait(ms(0)..=secs(HOUR)),
        }
        sections {
            /// Where e-mails are handed in.
            mail: MailServer,
        }
    }
}

words! {
    /// Form of the log lines.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for collectors.
        Json = "json",
    }
}

words! {
    /// Severity of log lines.
    pub enum LogLevel {
        /// Only what needs somebody.
        Error = "error",
        /// And what may need somebody.
        Warn = "warn",
        /// And starts, stops, reloads.
        Info = "info",
        /// And each connection.
        Debug = "debug",
        /// And each step.
        Trace = "trace",
    }
}

section! {
    /// `[admin]`: the HTTP listener for metrics and health. Changes need a restart.
    pub struct Admin {
        own {
            /// TCP address of metrics and health checks.
            listen: SocketAddr => address(),
        }
    }
}

section! {
    /// `[journal]`: the log on disk. Changes need a restart.
    pub struct Journal {
        own {
            /// Bytes of one log file; they are made in advance and used again.
            segment_size: u64 => Size(2 * MIB..=GIB),
            /// How long to gather records before a sync; zero syncs as soon as the disk is free.
            commit_interval: Duration => Wait(ms(0)..=ms(100)),
        }
    }
}

section! {
    /// `[recovery]`: the first moments after a start.
    pub struct Recovery {
        own {
            /// How long agents who were online before the start count as reconnecting rather than absent.
            reconnect_grace: Duration => Wait(ms(0)..=secs(10 * MINUTE)),
        }
    }
}

section! {
    /// `[watchdog]`: the thread that looks whether the arbiters turn. Changes need a restart.
    pub struct Watchdog {
        own {
            /// How long an arbiter stands still before it counts as stuck.
            stuck_after: Duration => Wait(secs(1)..=secs(10 * MINUTE)),
            /// How long it stands still before the process aborts; `None` ("never").
            abort_after: Option<Duration> => OrWord(Wait(secs(2)..=secs(HOUR)), "never"),
        }
    }
}

section! {
    /// `[limits]`: what connections may use. Reaching one is a counted refusal.
    pub struct Limits {
        own {
            /// Connections at a time, all told.
            max_connections: u32 => Whole(1..=1_000_000),
            /// Handshakes under way before new addresses must prove that they are theirs (a Retry).
            half_open_max: u32 => Whole(1..=65_536),
            /// New connections a second, all told.
            accepts_per_second: u32 => Whole(1..=1_000_000),
            /// New connections a second from one address (IPv4 /32, IPv6 /64).
            accepts_per_second_per_address: u32 => Whole(1..=1_000_000),
            /// Connections at a time from one address.
            connections_per_address: u32 => Whole(1..=1_000_000),
            /// How long a TLS handshake may take.
            handshake_timeout: Duration => Wait(ms(100)..=secs(MINUTE)),
            /// How long a connection may take to say `Hello` after its handshake.
            hello_timeout: Duration => Wait(ms(100)..=secs(MINUTE)),
            /// Silence after which a connection counts as lost.
            idle_timeout: Duration => Wait(secs(1)..=secs(10 * MINUTE)),
            /// Streams that a client may open at a time.
            streams_per_connection: u32 => Whole(1..=64),
            /// Bytes a client may send on a stream ahead of what was read.
            stream_receive_window: u64 => Size(64 * KIB..=16 * MIB),
            /// Bytes a client may send on a connection ahead of what was read.
            receive_window: u64 => Size(64 * KIB..=64 * MIB),
            /// Bytes sent to a client and not yet acknowledged.
            send_window: u64 => Size(64 * KIB..=64 * MIB),
            /// Handshakes that may wait for the daemon to look at them.
            incoming_max: u32 => Whole(1..=65_536),
            /// Bytes kept of one waiting handshake.
            incoming_buffer: u64 => Size(4 * KIB..=16 * MIB),
            /// Bytes kept of all waiting handshakes.
            incoming_buffer_total: u64 => Size(64 * KIB..=256 * MIB),
            /// Bytes waiting to be sent to one client; a slower reader loses notices, then its connection.
            outbox: u64 => Size(64 * KIB..=64 * MIB),
            /// Commands of one connection that are not yet answered.
            in_flight_per_connection: u32 => Whole(1..=1_000_000),
            /// Commands that are not yet answered, all told.
            in_flight_total: u32 => Whole(1..=10_000_000),
            /// How late an arbiter's work may be before newcomers are turned away; `None` ("off").
            late_after: Option<Duration> => OrWord(Wait(ms(10)..=secs(10)), "off"),
            /// Bytes of one message's text.
            message_body: u64 => Size(256..=8 * KIB),
        }
        sections {
            /// What one visitor may do, also through a frontend.
            visitor: VisitorLimits,
            /// What one agent may do.
            agent: AgentLimits,
        }
    }
}

section! {
    /// `[limits.visitor]`.
    pub struct VisitorLimits {
        own {
            /// Messages a second in the long run.
            messages_per_second: u32 => Whole(1..=1_000),
            /// Messages that may come at once.
            burst: u32 => Whole(1..=10_000),
            /// Conversations that may be opened within `openings_per`.
            openings: u32 => Whole(1..=10_000),
            /// The time over which `openings` are counted.
            openings_per: Duration => Wait(secs(1)..=secs(DAY)),
        }
    }
}

section! {
    /// `[limits.agent]`.
    pub struct AgentLimits {
        own {
            /// Commands a second in the long run.
            commands_per_second: u32 => Whole(1..=10_000),
            /// Commands that may come at once.
            burst: u32 => Whole(1..=100_000),
        }
    }
}
