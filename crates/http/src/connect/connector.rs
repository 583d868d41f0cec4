//! Makes connections.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};
use rosn_base::Addr;
use rosn_net::{Coalesced, DialContext, Dialer, KeepAlive, OsNet, Stream, SystemResolver};
use rosn_tls::{ClientOptions, TlsError};
use rosn_trace::{DialId, TraceHandle};
use tokio::time::Instant;

use super::{ConnectError, Proxies, Target};

/// How connections are made. The defaults are those of Go's `http.DefaultTransport`.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Resolves names and dials. Its TCP connections have keep-alive after 30 s, below TLS as well.
    pub dialer: Dialer,
    /// How long resolving and dialing may take (30 s); `None` = as long as the system lets it.
    pub dial_timeout: Option<Duration>,
    /// What is wanted of TLS, with servers and with proxies. Where it names no protocols (ALPN) that is `http/1.1`.
    pub tls: ClientOptions,
    /// How long a TLS handshake may take (10 s).
    pub tls_handshake_timeout: Option<Duration>,
    /// Which proxy a request goes through (none).
    pub proxies: Proxies,
    /// Where all is dialed, whatever the URI's host is, such as the unix socket of a daemon.
    pub dial_to: Option<Addr>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        const KEEP_ALIVE: Duration = Duration::from_secs(30);
        let mut dialer = Dialer::new(Arc::new(OsNet), Arc::new(Coalesced::new(SystemResolver)));
        dialer.options.socket.keep_alive =
            KeepAlive::On { idle: KEEP_ALIVE, interval: KEEP_ALIVE, count: None };
        Self {
            dialer,
            dial_timeout: Some(Duration::from_secs(30)),
            tls: ClientOptions::default(),
            tls_handshake_timeout: Some(Duration::from_secs(10)),
            proxies: Proxies::none(),
            dial_to: None,
        }
    }
}

/// Makes connections. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Connector {
    options: Arc<ConnectOptions>,
}

/// A connection on which requests can be sent.
#[derive(Debug)]
pub struct Connected {
    /// Its bytes, above TLS and beyond a proxy.
    pub stream: Stream,
    /// This end's address.
    pub local: Option<Addr>,
    /// The address that was connected to: the proxy's where there is one.
    pub peer: Option<Addr>,
    /// The protocol that TLS agreed on; `None` also without TLS.
    pub alpn: Option<Vec<u8>>,
    /// Requests have to name the server in an absolute URI: the other end is a proxy.
    pub absolute_form: bool,
    /// What each request has to carry in Proxy-Authorization.
    pub proxy_authorization: Option<HeaderValue>,
}

impl Connector {
    /// A connector with these options.
    ///
    /// # Errors
    /// The settings of TLS cannot be used.
    pub fn new(options: ConnectOptions) -> Result<Self, TlsError> {
        Ok(Self { options: Arc::new(options) })
    }

    /// Where a request for this absolute URI goes, and through which proxy. No I/O is done.
    ///
    /// # Errors
    /// [`ConnectError::Url`], [`ConnectError::Proxies`].
    pub fn target(&self, uri: &Uri) -> Result<Target, ConnectError> {
        let mut target = Target::direct(uri)?;
        target.proxy = self.options.proxies.choose(uri, &target)?;
        Ok(target)
    }

    /// Makes a connection for a target. Its phases are reported to `trace` as those of `dial`.
    ///
    /// Cancel safety: dropping the future closes what was begun.
    ///
    /// # Errors
    /// [`ConnectError`], but for its variants of [`Connector::target`]. Of the kind `TimedOut` where the `deadline`
    /// or a limit of the options has passed.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn connect(
        &self,
        target: &Target,
        trace: &TraceHandle,
        dial: DialId,
        deadline: Option<Instant>,
    ) -> Result<Connected, ConnectError> {
        let options = &*self.options;
        let to = options.dial_to.clone().unwrap_or_else(|| target.addr());
        let limit = options.dial_timeout.map(|limit| Instant::now() + limit);
        let deadline = [limit, deadline].into_iter().flatten().min();
        let context = DialContext { trace: trace.clone(), id: dial, deadline };
        let stream = options.dialer.dial(&to, &context).await?;
        Ok(Connected {
            local: stream.local_addr().ok().and_then(|addr| addr.to_addr()),
            peer: stream.peer_addr().ok().and_then(|addr| addr.to_addr()),
            stream,
            alpn: None,
            absolute_form: target.absolute_form(),
            proxy_authorization: None,
        })
    }
}
