//! What went wrong with a QUIC connection, in words.

use std::io::{Error, ErrorKind};

use quinn::{ConnectionError, TransportErrorCode};

/// What a handshake that nobody answers may mean.
pub(super) const NO_ANSWER: &str =
    "no answer: wrong key, wrong security, wrong header type, or nothing listens there";

/// Why a handshake failed.
pub(super) fn failed(error: &ConnectionError) -> Error {
    match error {
        ConnectionError::TimedOut => Error::new(ErrorKind::TimedOut, NO_ANSWER),
        ConnectionError::VersionMismatch => {
            Error::new(ErrorKind::InvalidData, "the other side does not speak QUIC version 1")
        }
        ConnectionError::TransportError(error) => {
            Error::new(ErrorKind::InvalidData, local(error.code, &error.reason))
        }
        ConnectionError::ConnectionClosed(close) => {
            let reason = String::from_utf8_lossy(&close.reason);
            let kind = match close.error_code {
                TransportErrorCode::CONNECTION_REFUSED => ErrorKind::ConnectionRefused,
                _ => ErrorKind::ConnectionAborted,
            };
            Error::new(kind, remote(close.error_code, &reason))
        }
        _ => lost(error),
    }
}

/// Why a connection that was open is no more.
pub(super) fn lost(error: &ConnectionError) -> Error {
    let (kind, text) = match error {
        ConnectionError::TimedOut => (ErrorKind::TimedOut, "the other side is silent"),
        ConnectionError::Reset => {
            (ErrorKind::ConnectionReset, "the other side does not know the connection any longer")
        }
        ConnectionError::ApplicationClosed(_) => {
            (ErrorKind::ConnectionReset, "the other side closed the QUIC connection")
        }
        ConnectionError::LocallyClosed => {
            (ErrorKind::ConnectionAborted, "the QUIC connection was closed")
        }
        _ => return Error::new(ErrorKind::ConnectionReset, error.clone()),
    };
    Error::new(kind, text)
}

/// The alert of TLS that the code stands for (RFC 9001 4.8).
fn alert(code: TransportErrorCode) -> Option<u8> {
    u64::from(code).checked_sub(0x100).and_then(|alert| u8::try_from(alert).ok())
}

/// What this end did not like.
fn local(code: TransportErrorCode, reason: &str) -> String {
    match alert(code) {
        Some(120) => "no protocol (ALPN) in common".to_owned(),
        Some(42..=48) => format!(
            "its certificate cannot be used: {reason} (add the authority's, with usage `verify`, or check serverName)"
        ),
        _ => format!("{reason} ({code})"),
    }
}

/// What the other side did not like.
fn remote(code: TransportErrorCode, reason: &str) -> String {
    let text = match alert(code) {
        Some(120) => {
            "it speaks none of the protocols (ALPN) asked for: say the right one in `alpn` of `tlsSettings`"
        }
        Some(42..=46) => "it cannot use the certificate that it was shown",
        Some(48) => "it does not trust who issued the certificate that it was shown",
        Some(40) => "it has nothing in common with what was offered, or wants a certificate",
        Some(70) => "it has no version of TLS in common",
        Some(112) => "it has no certificate for that name",
        Some(116) => "it wants to be shown a certificate, and there is none",
        _ if code == TransportErrorCode::CONNECTION_REFUSED => {
            "it takes no connections now: it is full, or shutting down"
        }
        _ => return format!("the other side refused: {reason} ({code})"),
    };
    format!("the other side refused: {text}")
}
