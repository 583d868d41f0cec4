//! What it means for a request that its stream of HTTP/2 failed.

use std::io;

use h2::Reason;

use super::failure::Failure;
use crate::upstream::Place;

impl Failure {
    /// What the failure of a stream is; `nothing_came` of the response.
    ///
    /// Where the endpoint has said that it never looked at the request, it can be sent again whatever it is: GOAWAY
    /// with a lower last stream, and REFUSED_STREAM (RFC 9113 sections 6.8 and 8.7). So can what was never sent.
    pub(super) fn of_stream(self, place: &Place, nothing_came: bool) -> Self {
        let error = match self {
            Self::Reset(error) => error,
            Self::Broken(why) => {
                return Self::Broken(place.verdict().map(str::to_owned).or(why));
            }
            other => return other,
        };
        if let Some(verdict) = place.verdict() {
            if !place.is_settled() {
                return Self::Http2(verdict.to_owned());
            }
            let kind = io::ErrorKind::TimedOut;
            return Self::Reset(Some(io::Error::new(kind, verdict)));
        }
        let Some(cause) = error.as_ref().and_then(of_h2) else {
            // The connection ended.
            if !place.may_have_sent() {
                return Self::Refused("the connection ended before anything was sent".to_owned());
            }
            return if place.is_reused() && nothing_came {
                Self::Stale
            } else {
                Self::Reset(error)
            };
        };
        match cause.reason() {
            Some(Reason::REFUSED_STREAM) if cause.is_remote() => Self::Refused(cause.to_string()),
            _ if cause.is_go_away() && cause.is_remote() => Self::Refused(cause.to_string()),
            Some(Reason::HTTP_1_1_REQUIRED) if cause.is_remote() => {
                Self::Http2(format!("the endpoint wants HTTP/1.1 for this request ({cause})"))
            }
            _ if cause.is_library() => Self::Http2(format!("the endpoint broke HTTP/2: {cause}")),
            _ => Self::Reset(error),
        }
    }
}

/// What the `h2` crate has said.
pub(super) fn of_h2(error: &io::Error) -> Option<&h2::Error> {
    error.get_ref()?.downcast_ref()
}
