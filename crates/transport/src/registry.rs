//! Transports by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::StreamSettings;

use crate::{Dialer, Environment, Listener, Transport, TransportError};

/// Transports by name: a value that a program makes, fills and passes on. Cloning it is cheap enough, and changes to
/// the clone do not show in the original.
#[derive(Clone, Default)]
pub struct Registry {
    transports: BTreeMap<Box<str>, Arc<dyn Transport>>,
}

impl Registry {
    /// Without any transport.
    pub fn new() -> Self {
        Self::default()
    }

    /// With all of this crate's.
    pub fn with_builtin() -> Self {
        let builtin: Vec<Arc<dyn Transport>> = vec![
            Arc::new(crate::tcp::Tcp),
            Arc::new(crate::ws::WebSocket),
            Arc::new(crate::http::Http),
            #[cfg(unix)]
            Arc::new(crate::domain_socket::DomainSocket),
            Arc::new(crate::quic::Quic),
            Arc::new(crate::mkcp::Mkcp),
        ];
        let named = builtin.into_iter().map(|transport| (transport.scheme().into(), transport));
        Self { transports: named.collect() }
    }

    /// Adds a transport by the name that it has.
    ///
    /// # Errors
    /// [`TransportError::Duplicate`] where another one has it; that one stays.
    pub fn register(&mut self, transport: Arc<dyn Transport>) -> Result<(), TransportError> {
        let scheme = transport.scheme();
        if self.transports.contains_key(scheme) {
            return Err(TransportError::Duplicate(scheme.to_owned()));
        }
        self.transports.insert(scheme.into(), transport);
        Ok(())
    }

    /// The transport of that name.
    ///
    /// # Errors
    /// [`TransportError::UnknownScheme`], with the names that there are.
    pub fn transport(&self, scheme: &str) -> Result<&Arc<dyn Transport>, TransportError> {
        self.transports.get(scheme).ok_or_else(|| TransportError::UnknownScheme {
            scheme: scheme.to_owned(),
            known: self.schemes().map(str::to_owned).collect(),
        })
    }

    /// The names, sorted.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.transports.keys().map(|scheme| &**scheme)
    }

    /// Listens with the transport that the settings name, see [`Transport::listen`].
    ///
    /// # Errors
    /// There is no such transport, or it cannot. A host name is not listened on: an address says which interfaces.
    pub fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        let transport = self.transport(settings.transport.scheme())?;
        if let Addr::Name(host, _) = at {
            return Err(TransportError::ListenOnName(host.to_string()));
        }
        transport.listen(at, settings, environment)
    }

    /// Makes a dialer of the transport that the settings name, see [`Transport::dialer`].
    ///
    /// # Errors
    /// There is no such transport, or it cannot.
    pub fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        self.transport(settings.transport.scheme())?.dialer(settings, environment)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.schemes()).finish()
    }
}
