//! Whether a request whose connection was lost is sent again.

use std::time::Duration;

use http::{HeaderMap, Method};

/// How a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Before a byte was written.
    Unwritten,
    /// Before a byte of the response came.
    Unanswered,
    /// The server has said that it did nothing about the request: REFUSED_STREAM, or GOAWAY (RFC 9113 section 8.7).
    Refused,
    /// Otherwise, or it is not that which failed.
    Other,
}

/// A request as far as sending it again goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replay {
    /// It may be sent twice: [`is_idempotent`].
    pub(super) idempotent: bool,
    /// It has no body, or its body can be had again.
    pub(super) body: bool,
}

/// Go's `shouldRetryRequest`: only a connection that had been there before may have been closed by its server meanwhile,
/// with no fault of the request.
pub(super) fn may_retry(lost: Lost, was_there_before: bool, replay: Replay) -> bool {
    replay.body
        && match lost {
            Lost::Refused => true,
            Lost::Unwritten => was_there_before,
            Lost::Unanswered => was_there_before && replay.idempotent,
            Lost::Other => false,
        }
}

/// How often a request that was refused is sent again (Go's).
pub(super) const REFUSALS: u32 = 6;

/// How long to wait before that: not before the first time, then 1 s, 2 s and so on, as Go, but for its jitter.
pub(super) fn pause(refusals: u32) -> Duration {
    match refusals {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 2).min(REFUSALS)),
    }
}

/// Go's `isReplayable`: methods without an effect, and requests that say so. PUT and DELETE are not among them, as a
/// second one may undo what somebody else did after the first.
pub(super) fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
        || headers.contains_key("idempotency-key")
        || headers.contains_key("x-idempotency-key")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 29: Go's table (TestTransportShouldRetryRequest).
    #[test]
    fn the_table_of_go() {
        let none = Replay { idempotent: true, body: true };
        let once = Replay { idempotent: false, body: false };
        let replayable = Replay { idempotent: false, body: true };
        for (lost, before, replay, wanted) in [
            (Lost::Unwritten, false, none, false),       // a new connection
            (Lost::Unwritten, true, none, true),         // nothing written, no body
            (Lost::Unwritten, true, replayable, true),   // nothing written, a body with GetBody
            (Lost::Unwritten, true, once, false),        // nothing written, a body without
            (Lost::Unanswered, true, none, true),        // the server closed, GET
            (Lost::Unanswered, true, replayable, false), // the server closed, POST
            (Lost::Unanswered, true, once, false),
            (Lost::Unanswered, false, none, false),
            (Lost::Refused, false, none, true), // HTTP/2: not processed
            (Lost::Refused, false, replayable, true),
            (Lost::Refused, true, once, false),
            (Lost::Other, true, none, false), // the response has begun
            (Lost::Other, true, replayable, false),
        ] {
            assert_eq!(may_retry(lost, before, replay), wanted, "{lost:?} {before} {replay:?}");
        }
    }

    /// Row 49: TestTransportRequestReplayable.
    #[test]
    fn what_may_be_sent_twice() {
        let mut headers = HeaderMap::new();
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(is_idempotent(&method.parse().unwrap(), &headers));
        }
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            assert!(!is_idempotent(&method.parse().unwrap(), &headers));
        }
        headers.insert("x-idempotency-key", "1".parse().unwrap());
        assert!(is_idempotent(&Method::POST, &headers));
        headers = HeaderMap::new();
        headers.insert("idempotency-key", "1".parse().unwrap());
        assert!(is_idempotent(&Method::POST, &headers));
    }
}
