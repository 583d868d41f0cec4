//! What is known about a downstream connection.

use std::ops::Deref;

use rosn_config::checked;
use rosn_net::ConnInfo;
use rosn_tls::Session;

/// What is known about a downstream connection; that of its sockets by dereferencing.
#[derive(Debug, Clone)]
pub(crate) struct ClientInfo {
    /// Who is connected to what.
    pub(crate) conn: ConnInfo,
    /// What was agreed on by TLS, where this listener or its transport terminates it.
    pub(crate) tls: Option<Session>,
}

impl ClientInfo {
    /// Whether nobody on the way can read what the client says: TLS of the listener, or of its transport, also of one
    /// that does not say what was agreed on.
    pub(crate) fn is_secure(&self, listener: &checked::Listener) -> bool {
        let by_transport = listener.stream.as_ref().is_some_and(|settings| settings.tls.is_some());
        self.tls.is_some() || by_transport
    }

    /// `https` where it is, else `http`.
    pub(crate) fn scheme(&self, listener: &checked::Listener) -> &'static str {
        if self.is_secure(listener) { "https" } else { "http" }
    }
}

impl Deref for ClientInfo {
    type Target = ConnInfo;

    fn deref(&self) -> &ConnInfo {
        &self.conn
    }
}
