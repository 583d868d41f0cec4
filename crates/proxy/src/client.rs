//! What is known about a downstream connection.

use std::ops::Deref;

use rosn_net::ConnInfo;

/// What is known about a downstream connection; that of its sockets by dereferencing.
#[derive(Debug, Clone)]
pub(crate) struct ClientInfo {
    /// Who is connected to what.
    pub(crate) conn: ConnInfo,
}

impl Deref for ClientInfo {
    type Target = ConnInfo;

    fn deref(&self) -> &ConnInfo {
        &self.conn
    }
}
