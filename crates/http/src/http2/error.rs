//! What the errors of the `h2` crate mean.

use std::io::{self, ErrorKind};

use crate::error::Kind;
use crate::{Error, Phase};

/// The error of a request whose stream has failed.
pub(crate) fn failed(phase: Phase, error: h2::Error) -> Error {
    let reason = error.reason();
    let (kind, what) = match error.get_io().map(io::Error::kind) {
        // How h2 calls an end of the connection.
        Some(ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => {
            return Error::of(phase, Kind::ClosedEarly);
        }
        Some(_) => (Kind::Failed, None),
        None if error.is_remote() && error.is_reset() => {
            (Kind::ClosedEarly, reason.map(|reason| format!("the stream was reset: {reason:?}")))
        }
        None if error.is_remote() => {
            let said = reason.map(|reason| format!("the connection is being closed: {reason:?}"));
            (Kind::ClosedEarly, said)
        }
        None if error.is_library() => {
            (Kind::Parse, reason.map(|reason| format!("HTTP/2 was broken: {reason:?}")))
        }
        None => (Kind::Failed, None),
    };
    match what {
        Some(what) => Error::of(phase, kind).what(what).because(error),
        None => match error.get_io() {
            Some(cause) => Error::new(phase, io::Error::new(cause.kind(), error)),
            None => Error::new(phase, error),
        },
    }
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
