//! Why there is no connection.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use http::Uri;
use rosn_h1::ResponseError;
use rosn_net::DialError;
use thiserror::Error;

/// Why there is no connection to send a request on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI is none that could be asked for.
    #[error("cannot request `{url}`: {what}")]
    Url {
        /// The URI, without user, password, path and query.
        url: String,
        /// What is wrong with it.
        what: Cow<'static, str>,
    },
    /// What is set for proxies cannot be used.
    #[error("cannot choose a proxy: {0}")]
    Proxies(#[source] rosn_trace::BoxError),
    /// The server could not be dialed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The proxy could not be reached, or did not connect further (Go's "proxyconnect").
    #[error("proxyconnect to {authority} through the proxy {proxy}: {cause}")]
    Proxy {
        /// The server's `host:port`.
        authority: Arc<str>,
        /// The proxy's `host:port`.
        proxy: Box<str>,
        /// Why.
        #[source]
        cause: ProxyError,
    },
    /// The settings of TLS cannot be used.
    #[error(transparent)]
    TlsSettings(rosn_tls::TlsError),
    /// The TLS handshake with the server failed; of the kind `TimedOut` where it took too long.
    #[error("TLS handshake with {authority}: {source}")]
    Tls {
        /// The server's `host:port`.
        authority: Arc<str>,
        /// Why.
        source: io::Error,
    },
}

impl ConnectError {
    pub(super) fn url(uri: &Uri, what: &'static str) -> Self {
        let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
        Self::Url { url: format!("{scheme}{}", uri.host().unwrap_or_default()), what: what.into() }
    }

    /// Whether a limit of time ended it.
    pub fn is_timeout(&self) -> bool {
        let kind = match self {
            Self::Dial(error) => error.kind(),
            Self::Tls { source, .. } => source.kind(),
            Self::Proxy { cause, .. } => match cause {
                ProxyError::Dial(error) => error.kind(),
                ProxyError::Tls(error) | ProxyError::Io(error) => error.kind(),
                _ => return false,
            },
            Self::Url { .. } | Self::Proxies(_) | Self::TlsSettings(_) => return false,
        };
        kind == io::ErrorKind::TimedOut
    }
}

/// Why a proxy was of no use.
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
    Fields(#[source] rosn_trace::BoxError),
}
