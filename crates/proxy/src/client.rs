//! What is known about a downstream connection.

use std::ops::Deref;

use rosn_net::ConnInfo;
use rosn_tls::Session;

/// What is known about a downstream connection; that of its sockets by dereferencing.
#[derive(Debug, Clone)]
pub(crate) struct ClientInfo {
    /// Who is connected to what.
    pub(crate) conn: ConnInfo,
    /// What was agreed on by TLS, where this listener terminates it.
    pub(crate) tls: Option<Session>,
}

impl Deref for ClientInfo {
    type Target = ConnInfo;

    fn deref(&self) -> &ConnInfo {
        &self.conn
    }
}
