//! Responses before the response.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use thiserror::Error;

use super::response::{is_framing, put_fields, put_status};
use super::{Exchange, http2};

/// Bytes of interim responses that may wait to be sent; with HTTP/2, of all those of a request.
pub(super) const LIMIT: usize = 64 * 1024;

/// Sends interim responses (1xx), such as 103 Early Hints. It is in the extensions of each request.
#[derive(Debug, Clone)]
pub struct Informational(Way);

#[derive(Debug, Clone)]
enum Way {
    Http1(Arc<Exchange>),
    Http2(Arc<http2::Exchange>),
}

/// Why an interim response was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InformationalError {
    /// The status is none of 100, and 102 to 199.
    #[error("{0} is not the status of an interim response")]
    Status(StatusCode),
    /// The client speaks HTTP/1.0, which has none (RFC 9110 section 15.2).
    #[error("the client does not know interim responses")]
    NotSupported,
    /// The client reads too slowly: those before were not sent yet.
    #[error("too many interim responses wait to be sent")]
    TooMany,
    /// The response has begun, or was sent.
    #[error("the response has begun already")]
    TooLate,
    /// The connection was hijacked.
    #[error("the connection was hijacked")]
    Hijacked,
}

impl Informational {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self(Way::Http1(exchange))
    }

    pub(super) fn of_stream(exchange: Arc<http2::Exchange>) -> Self {
        Self(Way::Http2(exchange))
    }

    /// Sends an interim response. It goes out when the connection's task gets to it: at the latest when the handler
    /// waits for something, and before the response.
    ///
    /// # Errors
    /// See [`InformationalError`]; nothing is sent then.
    pub fn send(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), InformationalError> {
        match &self.0 {
            Way::Http1(exchange) => exchange.inform(status, headers),
            Way::Http2(exchange) => exchange.inform(status, headers),
        }
    }
}

/// Whether a response of this status is an interim one.
pub(super) fn check(status: StatusCode) -> Result<(), InformationalError> {
    match status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        true => Ok(()),
        false => Err(InformationalError::Status(status)),
    }
}

/// Appends an interim response. It has no framing fields (RFC 9110 section 8.6).
pub(super) fn encode(
    status: StatusCode,
    headers: &HeaderMap,
    out: &mut Vec<u8>,
) -> Result<(), InformationalError> {
    check(status)?;
    let before = out.len();
    put_status(status, out);
    put_fields(headers, is_framing, out);
    out.extend_from_slice(b"\r\n");
    if out.len() > LIMIT {
        out.truncate(before);
        return Err(InformationalError::TooMany);
    }
    Ok(())
}
