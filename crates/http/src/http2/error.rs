//! What the errors of the `h2` crate mean.

use std::io::{self, ErrorKind};

use h2::Reason;
use thiserror::Error;

use crate::error::Kind;
use crate::{Error, Phase};

/// The error of a message whose stream has failed.
pub(crate) fn failed(phase: Phase, error: h2::Error) -> Error {
    let (is_remote, is_reset) = (error.is_remote(), error.is_reset());
    match (error.get_io().map(io::Error::kind), error.reason()) {
        // How h2 calls an end of the connection.
        (Some(ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof), _) => {
            Error::of(phase, Kind::ClosedEarly)
        }
        (Some(kind), _) => Error::new(phase, io::Error::new(kind, error)),
        (None, Some(reason)) if is_remote && is_reset => {
            Error::of(phase, Kind::ClosedEarly).because(Said::Reset(reason))
        }
        (None, Some(reason)) if is_remote => {
            Error::of(phase, Kind::ClosedEarly).because(Said::GoAway(reason))
        }
        (None, Some(reason)) if error.is_library() => {
            Error::of(phase, Kind::Parse).because(Said::Broken(reason))
        }
        (None, _) => Error::new(phase, error),
    }
}

/// What an error code is about, which is called as RFC 9113 section 7 calls it.
#[derive(Debug, Clone, Copy, Error)]
enum Said {
    #[error("the stream was reset: {0:?}")]
    Reset(Reason),
    #[error("the connection is being closed: {0:?}")]
    GoAway(Reason),
    #[error("HTTP/2 was broken: {0:?}")]
    Broken(Reason),
}

/// What an error of a stream is for those who know only of connections.
pub(crate) fn into_io(error: h2::Error) -> io::Error {
    let kind = match error.get_io() {
        Some(source) => source.kind(),
        None if error.is_go_away() => ErrorKind::ConnectionAborted,
        None => ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, error)
}
