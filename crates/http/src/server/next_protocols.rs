//! Connections that are for others by what TLS has agreed on.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::hijack::Hijacked;

/// Who gets connections for which TLS has agreed on a protocol that is neither HTTP/1.1 nor HTTP/2: Go's
/// `Server.TLSNextProto`.
///
/// ```
/// use rosn_http::hijack::Hijacked;
/// use rosn_http::server::{NextProtocols, ServerOptions};
///
/// let next_protocols = NextProtocols::default().with("echo", |connection: Hijacked| {
///     tokio::spawn(async move {
///         let (mut read, mut write) = tokio::io::split(connection);
///         let _ = tokio::io::copy(&mut read, &mut write).await;
///     });
/// });
/// let options = ServerOptions { next_protocols, ..ServerOptions::default() };
/// ```
#[derive(Clone, Default)]
pub struct NextProtocols(HashMap<Vec<u8>, Arc<Take>>);

type Take = dyn Fn(Hijacked) + Send + Sync;

impl NextProtocols {
    /// Has `take` get the connections that speak `protocol`, which the options of TLS have to offer. It is called on the
    /// connection's task, and must not wait. The server counts them as hijacked.
    #[must_use]
    pub fn with(
        mut self,
        protocol: impl Into<Vec<u8>>,
        take: impl Fn(Hijacked) + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(protocol.into(), Arc::new(take));
        self
    }

    pub(super) fn find(&self, protocol: &[u8]) -> Option<Arc<Take>> {
        self.0.get(protocol).cloned()
    }
}

impl fmt::Debug for NextProtocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(|name| name.escape_ascii().to_string())).finish()
    }
}
