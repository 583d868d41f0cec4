//! Why there is no connection.

use std::io;

use http::Uri;
use rosn_base::Addr;
use rosn_h1::ResponseError;
use rosn_net::DialError;
use rosn_trace::BoxError;
use thiserror::Error;

use super::{Proxy, Target};
use crate::error::Kind;
use crate::{Error, Phase};

/// The URI is none that could be asked for. It is shown without user, password, path and query.
pub(super) fn wrong_uri(uri: &Uri, what: &'static str) -> Error {
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    Error::of(Phase::Request, Kind::Failed).what(format!("`{scheme}{host}`: {what}"))
}

/// No proxy could be chosen.
pub(super) fn no_proxy(target: &Target, source: BoxError) -> Error {
    let error = Error::of(Phase::Request, Kind::Failed).what("cannot choose a proxy");
    error.because(source).at(target.authority.clone())
}

/// The server could not be dialed.
pub(super) fn not_dialed(target: &Target, source: DialError) -> Error {
    let phase = match source {
        DialError::Unresolved { .. } | DialError::Resolve { .. } | DialError::NoAddress { .. } => {
            Phase::Dns
        }
        DialError::Setup { .. } | DialError::Connect { .. } => Phase::Connect,
    };
    let peer = match source.target() {
        Addr::Name(..) => None,
        // That of a URI with an IP address says nothing new.
        addr => Some(addr.clone()).filter(|addr| addr.to_string() != *target.authority),
    };
    let kind = timeout_or_failed(source.kind());
    let error = Error::of(phase, kind).because(source).at(target.authority.clone());
    error.peer(peer.as_ref())
}

/// The proxy could not be reached, or did not connect further (Go's "proxyconnect").
pub(super) fn not_proxied(target: &Target, proxy: &Proxy, source: ProxyError) -> Error {
    let kind = match &source {
        ProxyError::Dial(error) => timeout_or_failed(error.kind()),
        ProxyError::Tls(error) | ProxyError::Io(error) => timeout_or_failed(error.kind()),
        ProxyError::Answer(_) | ProxyError::NotSocks(_) => Kind::Parse,
        _ => Kind::Failed,
    };
    let error = Error::of(Phase::Proxy, kind).what(format!("proxyconnect {}", proxy.authority()));
    error.because(source).at(target.authority.clone())
}

/// The TLS handshake with the server failed, or could not begin.
pub(super) fn not_secured(target: &Target, source: impl Into<BoxError>) -> Error {
    Error::new(Phase::Tls, source).at(target.authority.clone())
}

fn timeout_or_failed(kind: io::ErrorKind) -> Kind {
    if kind == io::ErrorKind::TimedOut { Kind::Timeout } else { Kind::Failed }
}

/// Why a proxy was of no use: the source of an [`Error`](crate::Error) that [is one](crate::Error::is_proxy).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It could not be dialed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The TLS handshake with it failed.
    #[error("TLS handshake with the proxy: {0}")]
    Tls(#[source] io::Error),
    /// The connection to it failed, or it took too long to answer (`TimedOut`).
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It closed the connection instead of answering.
    #[error("the proxy closed the connection before it had answered")]
    Closed,
    /// Its answer to CONNECT is no HTTP.
    #[error("the proxy's answer to CONNECT is not HTTP: {0}")]
    Answer(#[from] ResponseError),
    /// It sent more than five interim responses.
    #[error("the proxy sent interim responses only")]
    TooManyInterim,
    /// It wants to be told who asks, or does not know who was named (407).
    #[error(
        "the proxy answered CONNECT with 407: it wants to be told who asks, by {scheme} (give user and password in the \
         proxy's URL)"
    )]
    Unauthenticated {
        /// What it asks for first in Proxy-Authenticate, such as `Basic`.
        scheme: Box<str>,
    },
    /// It answered CONNECT with something else than 2xx.
    #[error("the proxy answered CONNECT with {status} {reason}")]
    Refused {
        /// The status.
        status: u16,
        /// The reason phrase, shortened; may be empty.
        reason: Box<str>,
    },
    /// What a SOCKS proxy said (RFC 1928, section 6).
    #[error("the SOCKS proxy refused: {0}")]
    Socks(&'static str),
    /// It does not speak SOCKS 5.
    #[error("the proxy does not speak SOCKS 5: {0}")]
    NotSocks(&'static str),
    /// The fields for CONNECT could not be had, or cannot be sent.
    #[error("the fields for CONNECT: {0}")]
    Fields(#[source] BoxError),
}

impl ProxyError {
    /// The proxy's name could not be resolved.
    pub fn is_dns(&self) -> bool {
        use DialError::{NoAddress, Resolve, Unresolved};
        matches!(self, Self::Dial(Unresolved { .. } | Resolve { .. } | NoAddress { .. }))
    }
}
