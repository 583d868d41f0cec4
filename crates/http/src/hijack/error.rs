//! Why a connection could not be taken over.

use std::io;

use http::{StatusCode, Version};
use thiserror::Error;

/// Why a connection could not be taken over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HijackError {
    /// Somebody has it already.
    #[error("the connection was hijacked already")]
    AlreadyHijacked,
    /// The switch was refused: the response has this status, and the connection goes on with HTTP.
    #[error("the protocol was not switched: the response is {0}")]
    Refused(StatusCode),
    /// The response is on its way and its end is fixed, so that nothing can follow in its place.
    #[error("the whole response is being written already")]
    ResponseStarted,
    /// The request is over: the connection may serve another by now.
    #[error("the request is over")]
    Finished,
    /// A stream of this version is no connection of its own.
    #[error("{0:?} connections cannot be hijacked")]
    NotSupported(Version),
    /// The connection ended before.
    #[error("the connection ended: {0}")]
    Closed(#[source] io::Error),
}
