//! How a connection ended.

use std::io;

use rosn_h1::{BodyError, RequestError};
use thiserror::Error;

/// How a connection ended that did nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// It was closed: by the client between requests, for idleness, because either side wanted it after a response, or
    /// by a shutdown.
    Closed,
    /// Somebody else has it.
    Hijacked,
}

/// Why a connection had to end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The client's request is none; it was told so.
    #[error("a request was refused: {0}")]
    Request(#[from] RequestError),
    /// The request's target is none that a URI can hold; the client was told so.
    #[error("a request was refused: its target is not a URI")]
    Target,
    /// The head of a request took longer than [`ServerOptions::header_timeout`](super::ServerOptions::header_timeout), or
    /// what comes before it: a TLS handshake, the preface of HTTP/2.
    #[error("the head of a request took too long")]
    HeaderTimeout,
    /// The client ended within a head.
    #[error("the client ended within the head of a request")]
    TruncatedHead,
    /// The request's body broke its framing, or was not all sent.
    #[error("the body of a request: {0}")]
    RequestBody(#[from] BodyError),
    /// The client sent nothing of a body, or took nothing of a response, for
    /// [`ServerOptions::stall_timeout`](super::ServerOptions::stall_timeout).
    #[error("the client has stalled")]
    Stalled,
    /// The response's body failed, or has another length than its head says.
    #[error("the body of a response: {0}")]
    ResponseBody(#[source] crate::BoxError),
    /// The handler panicked, or made a response that cannot be sent.
    #[error("the handler {0}")]
    Handler(&'static str),
    /// The client broke HTTP/2, or has said that it does not go on; it was told so where it could be.
    #[error("HTTP/2: {0}")]
    Http2(#[source] crate::BoxError),
    /// The client ended within the TLS handshake, or could not agree with us.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// TLS agreed on a protocol (ALPN) that nobody speaks here.
    #[error("the client speaks {0}, which is not spoken here")]
    Protocol(String),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}
