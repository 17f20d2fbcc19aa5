//! What a run came to: one JSON object for programs, a page for people.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    audit::Violations,
    tally::{Quantiles, Second, Tally},
};

/// The result of a run. The names are stable.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    pub(crate) duration_seconds: Rounded,
    pub(crate) opened: u64,
    pub(crate) offered: u64,
    pub(crate) answered: u64,
    pub(crate) closed: u64,
    pub(crate) fallback: u64,
    pub(crate) abandoned: u64,
    pub(crate) refused: u64,
    #[serde(flatten)]
    pub(crate) violations: Violations,
    pub(crate) conversations_per_second: Rounded,
    pub(crate) offered_per_second: Rounded,
    pub(crate) offer_latency_us: Option<Quantiles>,
    pub(crate) message_latency_us: Option<Quantiles>,
    /// Offers that ended by their deadline, how long after it that was seen, and how long until the next was asked.
    pub(crate) offers_timed_out: u64,
    pub(crate) offer_end_lateness_us: Option<Quantiles>,
    pub(crate) next_offer_us: Option<Quantiles>,
    /// How long agents waited for a list, and for a conversation that they opened.
    pub(crate) list_latency_us: Option<Quantiles>,
    pub(crate) look_latency_us: Option<Quantiles>,
    pub(crate) list_gaps: u64,
    pub(crate) daemon_cpu_us_per_conversation: Option<Rounded>,
    pub(crate) daemon_rss_bytes: Option<u64>,
    pub(crate) daemon_version: Option<String>,
    /// Second by second, while visitors came.
    pub(crate) seconds: Vec<Second>,
    /// For people only.
    #[serde(skip)]
    pub(crate) remarks: Vec<String>,
}

/// A number of which three decimals matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rounded(pub(crate) f64);

impl Serialize for Rounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0 * 1_000.0).round() / 1_000.0)
    }
}

/// What the report is made of, besides the counts.
pub(crate) struct Circumstances {
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    /// How long visitors kept coming, in seconds, and what had been done by its end.
    pub(crate) seconds: f64,
    pub(crate) done: u64,
    pub(crate) offered: u64,
    /// The daemon's processor time, in microseconds.
    pub(crate) cpu: Option<f64>,
    pub(crate) rss: Option<u64>,
    pub(crate) version: Option<String>,
}

impl Report {
    pub(crate) fn new(
        about: Circumstances,
        tally: &Tally,
        violations: Violations,
        remarks: Vec<String>,
    ) -> Self {
        let per_second = |count: u64| Rounded(count as f64 / about.seconds.max(0.001));
        let all = tally.closed + tally.fallback + tally.abandoned;
        Self {
            duration_seconds: Rounded(about.seconds),
            opened: tally.opened,
            offered: tally.offered,
            answered: tally.answered,
            closed: tally.closed,
            fallback: tally.fallback,
            abandoned: tally.abandoned,
            refused: tally.refused,
            violations,
            conversations_per_second: per_second(about.done),
            offered_per_second: per_second(about.offered),
            offer_latency_us: tally.offer_latency.quantiles(),
            message_latency_us: tally.message_latency.quantiles(),
            offers_timed_out: tally.timed_out,
            offer_end_lateness_us: tally.lateness.quantiles(),
            next_offer_us: tally.reoffer.quantiles(),
            list_latency_us: tally.list_latency.quantiles(),
            look_latency_us: tally.look_latency.quantiles(),
            list_gaps: tally.list_gaps,
            daemon_cpu_us_per_conversation: about
                .cpu
                .filter(|_| all > 0)
                .map(|cpu| Rounded(cpu / all as f64)),
            daemon_rss_bytes: about.rss,
            daemon_version: about.version,
            seconds: tally.seconds.clone(),
            scenario: about.scenario,
            seed: about.seed,
            remarks,
        }
    }

    /// Whether no promise was seen broken, and there was something to see.
    pub(crate) fn is_good(&self) -> bool {
        self.violations.total() == 0 && self.opened > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.daemon_version.as_deref().unwrap_or("of unknown version");
        writeln!(
            f,
            "{}, seed {}, {:.1} s, daemon {version}",
            self.scenario, self.seed, self.duration_seconds.0
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "  conversations   {} opened: {} closed, {} fell back, {} abandoned; {:.0} a second",
            self.opened, self.closed, self.fallback, self.abandoned, self.conversations_per_second.0
        )?;
        writeln!(
            f,
            "  offers          {} made, {} answered, {} timed out; {:.0} a second",
            self.offered, self.answered, self.offers_timed_out, self.offered_per_second.0
        )?;
        writeln!(f, "  refused         {}", self.refused)?;
        spread(f, "first offer", self.offer_latency_us)?;
        spread(f, "message", self.message_latency_us)?;
        spread(f, "offer ends late", self.offer_end_lateness_us)?;
        spread(f, "next offer", self.next_offer_us)?;
        spread(f, "list", self.list_latency_us)?;
        spread(f, "opening one", self.look_latency_us)?;
        if self.list_latency_us.is_some() {
            writeln!(f, "  gaps in lists   {}", self.list_gaps)?;
        }
        if let Some(cpu) = self.daemon_cpu_us_per_conversation {
            writeln!(f, "  daemon's CPU    {:.1} µs a conversation", cpu.0)?;
        }
        if let Some(rss) = self.daemon_rss_bytes {
            writeln!(f, "  daemon's memory {} MiB", rss >> 20)?;
        }
        let Violations { lost, cap_violations, double_owner, sequence_gaps, duplicate_messages } =
            self.violations;
        writeln!(f)?;
        writeln!(
            f,
            "  lost {lost}, cap violations {cap_violations}, double owners {double_owner}, \
             sequence gaps {sequence_gaps}, duplicates {duplicate_messages}: {}",
            if self.is_good() { "every promise kept" } else { "NOT GOOD" }
        )?;
        self.remarks.iter().try_for_each(|remark| writeln!(f, "  - {remark}"))
    }
}

fn spread(f: &mut fmt::Formatter<'_>, name: &str, times: Option<Quantiles>) -> fmt::Result {
    let Some(Quantiles { p50, p99, p999, max }) = times else { return Ok(()) };
    let ms = |us: u64| us as f64 / 1_000.0;
    let (p50, p99, p999, max) = (ms(p50), ms(p99), ms(p999), ms(max));
    writeln!(f, "  {name:<15} {p50:.2} ms in half, {p99:.2} in 99 %, {p999:.2} in 99.9 %, {max:.2} at most")
}
