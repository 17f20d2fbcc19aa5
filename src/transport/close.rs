//! How connections end, and what the close of a QUIC connection says for clients that read no GoAway any more.

use quinn::VarInt;

use crate::protocol::words::GoAwayReason;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// After a GoAway with this reason.
    Told(GoAwayReason),
    /// The client ended its side.
    Silent,
}

/// What a QUIC close says, for clients that read no GoAway any more: 0, or the reason's [`close_code`].
pub(super) fn last_words(farewell: Farewell) -> (VarInt, &'static str) {
    let code = |reason| VarInt::from_u32(close_code(reason));
    match farewell {
        Farewell::Silent => (VarInt::from_u32(0), "bye"),
        Farewell::Told(GoAwayReason::SlowConsumer) => {
            (code(GoAwayReason::SlowConsumer), "read faster, then resume")
        }
        Farewell::Told(reason) => (code(reason), "the GoAway says why"),
    }
}

/// The application error codes of QUIC connections that the daemon closed for a reason; 0 means none.
const CLOSE_CODES: [(u32, GoAwayReason); 8] = [
    (1, GoAwayReason::Draining),
    (2, GoAwayReason::Restarting),
    (3, GoAwayReason::SlowConsumer),
    (4, GoAwayReason::TokenRevoked),
    (5, GoAwayReason::TokenExpired),
    (6, GoAwayReason::ProtocolError),
    (7, GoAwayReason::IdleTimeout),
    (8, GoAwayReason::Overloaded),
];

fn close_code(reason: GoAwayReason) -> u32 {
    CLOSE_CODES.iter().find(|(_, named)| *named == reason).map_or(0, |(code, _)| *code)
}

/// The reason that a close code stands for.
pub(crate) fn reason_of_code(code: u64) -> Option<GoAwayReason> {
    CLOSE_CODES.iter().find(|(named, _)| u64::from(*named) == code).map(|(_, reason)| *reason)
}
