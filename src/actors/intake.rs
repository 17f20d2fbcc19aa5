//! How many newcomers an arbiter takes: as many as come, until its work is late; then fewer, so that those who are there are served in
//! time. Without this, a processor that is asked for more than it can do would begin everything and end nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{clock::Clock, metrics::Metrics};

/// How often it is looked how late the arbiter is. A look itself waits for its turn, which is what it measures.
const LOOK: Duration = Duration::from_millis(20);

/// How long it must be late without a break before fewer are let in: a hiccup turns nobody away.
const SUSTAINED: Duration = Duration::from_millis(500);

/// What one look counts at most towards that: a machine that was suspended is not late.
const LOOK_COUNTS: Duration = Duration::from_millis(200);

/// What is left of the limit after each [`SUSTAINED`] of being late.
const CUT: f64 = 0.7;

/// How late it is at most after each [`SUSTAINED`], of what it was before, if what was let in too much is being worked off: then the limit
/// stays as it is.
const DRAINS: f64 = 0.9;

/// By what the limit grows each second in which it is not.
const GROWTH: f64 = 1.5;

/// Newcomers a second that are always let in. An arbiter that can't take those is not overloaded by newcomers.
const ALWAYS: f64 = 50.0;

/// Over how long it is averaged how many come in, in seconds.
const MEMORY: f64 = 1.0;

/// When to come again, in seconds: at least, and at most. In between it doubles each second in which more come again than are let in, so
/// that those who were turned away do not keep the arbiter late by asking.
const PAUSES: (f64, f64) = (1.0, 60.0);

/// Nobody is turned away.
const ALL: i64 = i64::MAX / 2;

/// How many may still come in; one for each arbiter, asked by every connection.
#[derive(Debug)]
pub struct Intake {
    /// How late an arbiter may be; `None`: as late as it likes.
    late_after: Option<Duration>,
    left: AtomicI64,
    came: AtomicU64,
    away: AtomicU64,
    pause_ms: AtomicU64,
}

impl Intake {
    /// For an arbiter that may be so late.
    #[must_use]
    pub fn new(late_after: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            late_after,
            left: AtomicI64::new(ALL),
            came: AtomicU64::default(),
            away: AtomicU64::default(),
            pause_ms: AtomicU64::default(),
        })
    }

    /// Lets one more newcomer in, who then counts.
    ///
    /// # Errors
    /// Nobody more for now, and when to come again: somewhat different for each, so that they don't all come at once.
    pub fn admit(&self) -> Result<(), Duration> {
        if self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            self.came.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.away.fetch_add(1, Ordering::Relaxed);
        let pause = Duration::from_millis(self.pause_ms.load(Ordering::Relaxed));
        Err(pause.mul_f64(rand::random_range(1.0..2.0)))
    }

    /// Looks how late the arbiter is on which it runs, and lets in accordingly.
    pub async fn watch_forever(self: Arc<Self>, clock: Clock, metrics: Metrics) {
        // Where time stands still nothing is late.
        let Some(late_after) = self.late_after.filter(|_| !clock.is_manual()) else { return };
        let mut throttle = Throttle::default();
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let passed = last.elapsed();
            last = Instant::now();
            let late = Some(passed.saturating_sub(LOOK)).filter(|late| *late >= late_after);
            let was = throttle.limit;
            let [came, away] = [&self.came, &self.away].map(|count| count.swap(0, Ordering::Relaxed));
            throttle.look(passed, late, came);
            throttle.send_away(passed, away);
            self.pause_ms.store((throttle.pause * 1_000.0) as u64, Ordering::Relaxed);
            self.left.store(throttle.allowance(), Ordering::Relaxed);
            match (was, throttle.limit) {
                (None, Some(limit)) => {
                    metrics.actors.late.add(1);
                    tracing::warn!(
                        newcomers_per_second = limit.round(),
                        "more is asked than can be done in time: new conversations are turned away"
                    );
                }
                (Some(_), None) => {
                    metrics.actors.late.add(-1);
                    tracing::info!("everything is done in time again: nobody is turned away");
                }
                _ => {}
            }
        }
    }
}

/// Decides how many: fewer by a factor while it is late, more by and by while it is not.
#[derive(Debug)]
struct Throttle {
    /// Newcomers a second; `None`: as many as come.
    limit: Option<f64>,
    /// How many of them may come now: what the limit allowed and nobody used, of one second at most.
    saved: f64,
    /// How many came in, a second.
    usual: f64,
    /// For how long it is late without a break, since it was decided last.
    late_for: Duration,
    /// How late it was then.
    was_late: Duration,
    /// When whoever is turned away may come again, in seconds.
    pause: f64,
    /// How many are turned away, a second.
    turned_away: f64,
}

/// So much nearer to what was counted just now is an average after so many seconds.
fn weight(seconds: f64) -> f64 {
    1.0 - (-seconds / MEMORY).exp()
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            limit: None,
            saved: 0.0,
            usual: 0.0,
            late_for: Duration::ZERO,
            was_late: Duration::ZERO,
            pause: PAUSES.0,
            turned_away: 0.0,
        }
    }
}

impl Throttle {
    /// `late`: by how much, if that is too much.
    fn look(&mut self, passed: Duration, late: Option<Duration>, came: u64) {
        let seconds = passed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "nobody counts that far between two looks")]
        let came = came as f64;
        self.usual += (came / seconds - self.usual) * weight(seconds);
        match late {
            None => {
                (self.late_for, self.was_late) = (Duration::ZERO, Duration::ZERO);
                // Far more than come: it limits nobody any more.
                let enough = 4.0 * self.usual.max(ALWAYS);
                let more = self.limit.map(|limit| limit * GROWTH.powf(seconds));
                self.limit = more.filter(|limit| *limit < enough);
            }
            Some(late) => {
                self.late_for += passed.min(LOOK_COUNTS);
                if self.late_for >= SUSTAINED {
                    if late > self.was_late.mul_f64(DRAINS) {
                        let limit = self.limit.unwrap_or(self.usual).min(self.usual) * CUT;
                        self.limit = Some(limit.max(ALWAYS));
                    }
                    (self.late_for, self.was_late) = (Duration::ZERO, late);
                }
            }
        }
        self.saved = match self.limit {
            Some(limit) => ((self.saved - came).max(0.0) + limit * seconds).min(limit),
            None => 0.0,
        };
    }

    /// So many were turned away since the last look.
    fn send_away(&mut self, passed: Duration, away: u64) {
        let seconds = passed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "nobody counts that far between two looks")]
        let away = away as f64;
        self.turned_away += (away / seconds - self.turned_away) * weight(seconds);
        let limit = self.limit.unwrap_or(f64::INFINITY);
        if self.turned_away > limit {
            self.pause *= seconds.exp2();
        } else if self.turned_away < limit / 2.0 {
            self.pause /= (seconds / 2.0).exp2();
        }
        self.pause = self.pause.clamp(PAUSES.0, PAUSES.1);
    }

    fn allowance(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "as many as fit are enough")]
        self.limit.map_or(ALL, |_| self.saved as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An arbiter that can take so many newcomers a second, and is late by what it has taken beyond that.
    struct Arbiter {
        throttle: Throttle,
        can: f64,
        waiting: f64,
        served: f64,
    }

    impl Arbiter {
        fn new(can: f64) -> Self {
            Self { throttle: Throttle::default(), can, waiting: 0.0, served: 0.0 }
        }

        /// So many come a second, for so long; the longest that one of them waited, in seconds, in the last half.
        fn meet(&mut self, per_second: f64, seconds: f64) -> f64 {
            let (mut at, mut longest, mut coming) = (0.0, 0.0f64, 0.0);
            while at < seconds {
                let passed = LOOK.as_secs_f64();
                coming += per_second * passed;
                let came = coming.floor().min(self.throttle.allowance() as f64);
                coming -= coming.floor();
                self.waiting += came;
                let served = self.waiting.min(self.can * passed);
                self.waiting -= served;
                self.served += served;
                let wait = self.waiting / self.can;
                if at > seconds / 2.0 {
                    longest = longest.max(wait);
                }
                let late = Some(Duration::from_secs_f64(wait)).filter(|late| late.as_millis() > 100);
                self.throttle.look(LOOK, late, came as u64);
                at += passed;
            }
            longest
        }
    }

    #[test]
    fn whoever_can_be_served_in_time_comes_in() {
        let mut arbiter = Arbiter::new(1_000.0);
        arbiter.meet(950.0, 60.0);
        assert!(arbiter.throttle.limit.is_none());
        assert!(arbiter.served > 950.0 * 59.0, "{}", arbiter.served);
    }

    #[test]
    fn ten_times_too_many_cost_a_tenth_of_what_is_served_at_most_and_those_who_are_in_do_not_wait_long() {
        let mut arbiter = Arbiter::new(1_000.0);
        let longest = arbiter.meet(10_000.0, 60.0);
        assert!(arbiter.served > 0.9 * 60_000.0, "{}", arbiter.served);
        assert!(longest < 1.5, "{longest} s");
    }

    #[test]
    fn when_it_is_over_everybody_comes_in_again_by_itself() {
        let mut arbiter = Arbiter::new(1_000.0);
        arbiter.meet(10_000.0, 20.0);
        assert!(arbiter.throttle.limit.is_some());
        arbiter.meet(300.0, 30.0);
        assert!(arbiter.throttle.limit.is_none(), "{:?}", arbiter.throttle);
    }

    #[test]
    fn a_hiccup_turns_nobody_away() {
        let mut throttle = Throttle::default();
        throttle.look(Duration::from_secs(30), Some(Duration::from_secs(30)), 5_000);
        throttle.look(LOOK, None, 5);
        for _ in 0..20 {
            throttle.look(LOOK, Some(SUSTAINED), 5);
        }
        assert_eq!(throttle.allowance(), ALL);
    }

    #[test]
    fn a_few_are_let_in_however_late_it_is() {
        let mut throttle = Throttle::default();
        let mut let_in = 0;
        for _ in 0..1_000 {
            let came = u64::try_from(throttle.allowance()).unwrap_or(0).min(3);
            let_in += came;
            throttle.look(LOOK, Some(SUSTAINED), came);
        }
        assert!((900..=1_400).contains(&let_in), "{let_in} in 20 s");
    }

    #[test]
    fn the_more_come_again_the_later_they_are_told_to_come() {
        let mut throttle = Throttle { limit: Some(1_000.0), ..Throttle::default() };
        for _ in 0..200 {
            throttle.send_away(LOOK, 200);
        }
        assert!(
            (8.0..=60.0).contains(&throttle.pause),
            "{} s after four of ten times too many",
            throttle.pause
        );
        for _ in 0..1_000 {
            throttle.send_away(LOOK, 1);
        }
        assert!(throttle.pause < 1.1, "{} s when hardly anybody is turned away", throttle.pause);
    }
}
