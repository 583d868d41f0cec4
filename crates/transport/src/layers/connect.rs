//! The dialer's side.

use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::StreamSettings;
use rosn_net::{DialContext, Dialer, Stream};
use rosn_tls::Connector;
use rosn_trace::DialId;

use super::{proxy, tls};
use crate::socket::dial_options;
use crate::{DialRequest, Environment, TransportError};

/// A connection to a server, after the PROXY header and the TLS handshake.
#[derive(Debug)]
pub(crate) struct Connected {
    /// Its bytes.
    pub(crate) stream: Stream,
    /// What ALPN chose; `None` also without TLS.
    pub(crate) alpn: Option<Box<[u8]>>,
    /// What events call this dial.
    pub(crate) id: DialId,
}

/// Opens connections for a transport, as the settings say.
pub(crate) struct Connect {
    transport: &'static str,
    dialer: Dialer,
    settings: Arc<StreamSettings>,
    connector: Option<Connector>,
    timeout: Duration,
}

impl Connect {
    /// `alpn` is what TLS agrees on where the settings do not say.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub(crate) fn new(
        transport: &'static str,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
        alpn: &[&str],
    ) -> Result<Self, TransportError> {
        let connector =
            settings.tls.as_ref().map(|tls| tls::connector(transport, tls, alpn, environment));
        let mut dialer = Dialer::new(environment.net.clone(), environment.resolver.clone());
        dialer.options = dial_options(&settings.socket, environment);
        Ok(Self {
            transport,
            dialer,
            settings: settings.clone(),
            connector: connector.transpose()?,
            timeout: environment.limits.handshake_timeout,
        })
    }

    /// Opens a connection. The TLS handshake has
    /// [`handshake_timeout`](crate::TransportLimits::handshake_timeout); connecting has no limit.
    ///
    /// Cancel safety: dropping the future closes what was begun.
    ///
    /// # Errors
    /// [`TransportError::Dial`], [`TransportError::Handshake`].
    pub(crate) async fn connect(
        &self,
        to: &Addr,
        request: &DialRequest,
    ) -> Result<Connected, TransportError> {
        self.connect_to(to, to, request).await
    }

    /// [`Connect::connect`], where the server's name is not that of the address.
    pub(crate) async fn connect_to(
        &self,
        to: &Addr,
        named: &Addr,
        request: &DialRequest,
    ) -> Result<Connected, TransportError> {
        let transport = self.transport;
        let failed =
            |phase, cause| TransportError::Handshake { transport, phase, addr: to.clone(), cause };
        let context = DialContext::new(request.trace.clone());
        let id = context.id;
        let dialed = self.dialer.dial(to, &context).await;
        let mut stream = dialed.map_err(|cause| TransportError::Dial { transport, cause })?;

        let sent = proxy::send(&self.settings.proxy_protocol, &mut stream, request).await;
        sent.map_err(|cause| failed("PROXY header", cause))?;
        let Some(connector) = &self.connector else {
            return Ok(Connected { stream, alpn: None, id });
        };
        let name = self.server_name(named);
        let secured = connector.secure(&name, stream, self.timeout, id, &request.trace).await;
        let secured = secured.map_err(|cause| failed("TLS handshake", cause))?;
        let alpn = secured.alpn().map(Box::from);
        Ok(Connected { stream: secured.into_stream(), alpn, id })
    }

    /// Whether connections are TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.connector.is_some()
    }

    /// The name that the server's certificate must have. A unix socket has none of its own; it is this host.
    fn server_name(&self, to: &Addr) -> String {
        match (&self.settings.tls, to) {
            (Some(tls), _) if !tls.server_name.is_empty() => tls.server_name.clone(),
            (_, Addr::Name(host, _)) => host.to_string(),
            (_, Addr::Ip(ip)) => ip.ip().to_string(),
            (_, Addr::Unix(_)) => "localhost".to_owned(),
        }
    }
}
