//! Coming back after a connection is lost: when, and when not.

use std::time::Duration;

use rand::Rng as _;

use super::{Client, ConnectError, Dialer, Ended, Notices, Options};
use crate::protocol::{RefusalCode, words::GoAwayReason};

/// The first wait is up to this long; each further one up to twice as long as the one before.
const FIRST: Duration = Duration::from_millis(200);

/// No wait of the client's own choice is longer. What the daemon asks for (`retry_after_ms`) is waited for however long it is.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that is made anew whenever it is lost, as often as it takes. Each wait is a random part of a bound that
/// doubles ("full jitter"), so that clients that were lost together do not come back together, and at least what the daemon asked
/// for. The identity stays the same, so a command whose answer was lost can be sent again with its key, and takes effect once.
///
/// ```no_run
/// # use maitred::client::{Comeback, Options};
/// # async fn example(options: Options) -> Result<(), Box<dyn std::error::Error>> {
/// let mut comeback = Comeback::new(options)?;
/// loop {
///     let (client, mut notices) = comeback.connect().await?;
///     while let Some(told) = notices.next().await {
///         println!("{told:?}");
///     }
///     comeback.lost(client.ended());
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Comeback {
    dialer: Dialer,
    options: Options,
    /// Failures in a row.
    failures: u32,
    /// What the daemon asked for.
    asked: Duration,
}

impl Comeback {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// [`ConnectError::Socket`].
    pub fn new(options: Options) -> Result<Self, ConnectError> {
        Ok(Self { dialer: Dialer::new()?, options, failures: 0, asked: Duration::ZERO })
    }

    /// The options of the next connection, for a token that was renewed.
    pub fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    /// Waits as long as is due, then connects; again and again until it succeeds.
    ///
    /// # Errors
    /// What trying again does not help against: a token that is not good, a certificate that is not trusted, another protocol.
    pub async fn connect(&mut self) -> Result<(Client, Notices), ConnectError> {
        loop {
            tokio::time::sleep(self.wait()).await;
            match self.dialer.connect(&self.options).await {
                Ok(connected) => {
                    (self.failures, self.asked) = (0, Duration::ZERO);
                    return Ok(connected);
                }
                Err(error) => match retry_after(&error) {
                    Some(asked) => {
                        self.failures = self.failures.saturating_add(1);
                        self.asked = asked;
                    }
                    None => return Err(error),
                },
            }
        }
    }

    /// The connection ended like this ([`Client::ended`]): what the daemon asked for is heeded.
    pub fn lost(&mut self, ended: Option<Ended>) {
        self.failures = self.failures.max(1);
        if let Some(Ended::GoneAway(words)) = ended {
            self.asked = Duration::from_millis(words.retry_after_ms);
        }
    }

    fn wait(&self) -> Duration {
        let bound = bound(self.failures);
        let own = if bound.is_zero() { bound } else { rand::rng().random_range(Duration::ZERO..=bound) };
        // Whoever was told when to come back comes some time after it, lest all come at that very moment.
        self.asked + own
    }
}

/// The longest wait after so many failures in a row; none before the first.
fn bound(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => {
            FIRST.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST)
        }
    }
}

/// How long the daemon wants to be left alone; `None`: trying again does not help.
fn retry_after(error: &ConnectError) -> Option<Duration> {
    match error {
        ConnectError::Refused(refused) => match refused.code {
            RefusalCode::Draining | RefusalCode::Overloaded | RefusalCode::RateLimited => {
                Some(Duration::from_millis(refused.retry_after_ms.unwrap_or(0)))
            }
            _ => None,
        },
        ConnectError::Lost(Ended::GoneAway(words)) => match words.reason {
            GoAwayReason::TokenRevoked | GoAwayReason::TokenExpired | GoAwayReason::ProtocolError => None,
            _ => Some(Duration::from_millis(words.retry_after_ms)),
        },
        ConnectError::Address { .. }
        | ConnectError::Unix { .. }
        | ConnectError::Timeout { .. }
        | ConnectError::Busy(_)
        | ConnectError::Lost(Ended::Lost(_)) => Some(Duration::ZERO),
        ConnectError::Socket(_)
        | ConnectError::Ca(_)
        | ConnectError::ServerName(_)
        | ConnectError::Certificate(_)
        | ConnectError::Alpn { .. }
        | ConnectError::Unsendable(_)
        | ConnectError::Lost(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::Ca,
        protocol::{Text, notice::GoAway, reply::Refused},
    };

    fn comeback() -> Comeback {
        Comeback::new(Options::new("localhost:1", Ca::Pem("none".into()), "token")).expect("a socket")
    }

    fn refused(code: RefusalCode, retry_after_ms: Option<u64>) -> ConnectError {
        ConnectError::Refused(Refused { code, message: Text::clip(""), retry_after_ms })
    }

    #[tokio::test]
    async fn waits_double_and_are_bounded_and_no_two_clients_wait_alike() {
        let mut one = comeback();
        assert_eq!(one.wait(), Duration::ZERO, "the first time there is nothing to wait for");
        for failures in 1..40 {
            one.failures = failures;
            let longest = (FIRST * 2_u32.pow(failures.min(12) - 1)).min(LONGEST);
            let waits: Vec<Duration> = (0..50).map(|_| one.wait()).collect();
            assert!(waits.iter().all(|wait| *wait <= longest), "{failures}: {waits:?}");
            assert!(waits.windows(2).any(|pair| pair[0] != pair[1]), "{failures}: full jitter");
        }
    }

    #[tokio::test]
    async fn what_the_daemon_asks_for_is_waited_for() {
        let mut one = comeback();
        let reason = GoAwayReason::Draining;
        one.lost(Some(Ended::GoneAway(GoAway { reason, retry_after_ms: 60_000 })));
        assert!((0..50).all(|_| one.wait() >= Duration::from_secs(60)));
    }

    #[test]
    fn what_waiting_does_not_mend_is_not_tried_again() {
        assert_eq!(retry_after(&refused(RefusalCode::Unauthenticated, None)), None);
        assert_eq!(retry_after(&refused(RefusalCode::TokenExpired, None)), None);
        assert_eq!(retry_after(&refused(RefusalCode::Overloaded, Some(70))), Some(Duration::from_millis(70)));
        assert_eq!(retry_after(&ConnectError::Busy("full".into())), Some(Duration::ZERO));
        assert_eq!(retry_after(&ConnectError::Certificate("another".into())), None);
    }
}
