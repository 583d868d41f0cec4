//! What extended CONNECT asks for.

use std::fmt;

/// The protocol that a CONNECT request of HTTP/2 asks for, such as `websocket`: `:protocol` of RFC 8441.
///
/// In the extensions of a request to a [`Transport`](crate::Transport) it makes the CONNECT an extended one. A
/// [`Server`](crate::server::Server) puts it into those of the requests that have it.
///
/// ```
/// use http::Request;
/// use rosn_http::{Body, Protocol};
///
/// let mut request = Request::connect("https://example.com/chat").body(Body::empty())?;
/// request.extensions_mut().insert(Protocol::new("websocket"));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Protocol(h2::ext::Protocol);

impl Protocol {
    /// The protocol of this name. It is sent as it is; names are registered as upgrade tokens of HTTP.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn into_h2(self) -> h2::ext::Protocol {
        self.0
    }

    pub(crate) fn from_h2(protocol: h2::ext::Protocol) -> Self {
        Self(protocol)
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Protocol").field(&self.as_str()).finish()
    }
}
