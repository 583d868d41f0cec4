//! The dialer's side.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::StreamSettings;
use rosn_net::{DialError, DialOptions, Net, Stream};
use rosn_tls::Connector;

use super::{secured, tls};
use crate::socket::dial_options;
use crate::{DialRequest, Environment, TransportError};

/// A connection to a server, after the PROXY header and the TLS handshake.
#[derive(Debug)]
pub(crate) struct Connected {
    /// Its bytes.
    pub(crate) stream: Stream,
    /// What ALPN chose; `None` also without TLS.
    pub(crate) alpn: Option<Box<[u8]>>,
}

/// Opens connections for a transport, as the settings say.
pub(crate) struct Connect {
    transport: &'static str,
    net: Arc<dyn Net>,
    options: DialOptions,
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
        let connector = settings.tls.as_ref().map(|tls| tls::connector(transport, tls, alpn));
        Ok(Self {
            transport,
            net: environment.net.clone(),
            options: dial_options(&settings.socket, environment),
            settings: settings.clone(),
            connector: connector.transpose()?,
            timeout: environment.limits.handshake_timeout,
        })
    }

    /// Opens a connection. Handshakes have
    /// [`handshake_timeout`](crate::TransportLimits::handshake_timeout); connecting has no limit.
    ///
    /// Cancel safety: dropping the future closes what was begun.
    ///
    /// # Errors
    /// [`TransportError::Dial`], [`TransportError::Handshake`].
    pub(crate) async fn connect(
        &self,
        to: &Addr,
        _request: &DialRequest,
    ) -> Result<Connected, TransportError> {
        let transport = self.transport;
        let stream =
            self.dial(to).await.map_err(|cause| TransportError::Dial { transport, cause })?;
        let Some(connector) = &self.connector else {
            return Ok(Connected { stream, alpn: None });
        };
        let name = self.server_name(to);
        let handshake = tokio::time::timeout(self.timeout, connector.connect(&name, stream)).await;
        let secured = handshake.unwrap_or_else(|_| Err(self.late())).map_err(|cause| {
            TransportError::Handshake { transport, phase: "TLS handshake", addr: to.clone(), cause }
        })?;
        let alpn = secured.alpn().map(Box::from);
        Ok(Connected { stream: secured::stream(secured), alpn })
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

    fn late(&self) -> io::Error {
        let text = format!("not done after {:?}", self.timeout);
        io::Error::new(io::ErrorKind::TimedOut, text)
    }

    async fn dial(&self, to: &Addr) -> Result<Stream, DialError> {
        let Addr::Name(host, port) = to else { return self.net.connect(to, &self.options).await };
        let failed = |source| DialError::Connect { target: to.clone(), source };
        let found = tokio::net::lookup_host((&**host, *port)).await.map_err(failed)?;
        let mut last = failed(io::ErrorKind::NotFound.into());
        for addr in found {
            match self.net.connect(&Addr::Ip(addr), &self.options).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
