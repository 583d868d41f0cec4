//! Makes connections.

mod connecting;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderValue, Uri};
use rosn_base::Addr;
use rosn_net::{Coalesced, Dialer, KeepAlive, OsNet, Stream, SystemResolver};
use rosn_tls::{ClientOptions, SystemRoots, TlsError};
use rosn_trace::{DialId, TraceHandle};
use tokio::time::Instant;

use super::error::no_proxy;
use super::{Proxies, ProxyHeaders, Target, Versions};
use crate::Error;
use connecting::Connecting;

/// How connections are made. The defaults are those of Go's `http.DefaultTransport`.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Resolves names and dials. Its TCP connections have keep-alive after 30 s, below TLS as well.
    pub dialer: Dialer,
    /// How long resolving and dialing may take (30 s); `None` = as long as the system lets it.
    pub dial_timeout: Option<Duration>,
    /// What is wanted of TLS, with servers and with proxies. Where it names no protocols (ALPN) the versions of the
    /// [`Target`] do: for [`Versions::Negotiated`] `h2` and `http/1.1`.
    ///
    /// The system's authorities are read with the first connection that needs them.
    pub tls: ClientOptions,
    /// How long a TLS handshake may take (10 s).
    pub tls_handshake_timeout: Duration,
    /// Which proxy a request goes through ([those of the environment](Proxies::from_environment)).
    pub proxies: Proxies,
    /// What CONNECT requests carry (nothing). A proxy has 60 s to answer.
    pub proxy_headers: ProxyHeaders,
    /// Addresses for a `host:port`, instead of the resolver's, like curl's `--resolve`; the names in lower case.
    pub resolve: HashMap<Box<str>, Vec<IpAddr>>,
    /// Where all is dialed, whatever the URI's host is, such as the unix socket of a daemon. No proxy is used then.
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
            tls_handshake_timeout: Duration::from_secs(10),
            proxies: Proxies::from_environment(),
            proxy_headers: ProxyHeaders::default(),
            resolve: HashMap::new(),
            dial_to: None,
        }
    }
}

/// Makes connections. Cloning it is cheap.
///
/// ```
/// use rosn_http::connect::{ConnectOptions, Connector, Proxies};
/// use rosn_trace::{DialId, TraceHandle};
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let proxies = Proxies::all("socks5h://127.0.0.1:1080")?;
/// let connector = Connector::new(ConnectOptions { proxies, ..ConnectOptions::default() })?;
/// let target = connector.target(&"https://example.com/a".parse()?)?;
/// assert_eq!((&*target.authority, target.first_hop()), ("example.com:443", "127.0.0.1:1080"));
///
/// let trace = TraceHandle::none();
/// let connected = connector.connect(&target, &trace, DialId::next(), None).await?;
/// # drop(connected);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: ConnectOptions,
    /// One for each of [`Versions`], made when it is first needed.
    tls: [OnceLock<rosn_tls::Connector>; 3],
    /// Those of the system, read once.
    roots: SystemRoots,
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
    /// The settings of TLS cannot be used, such as files that they name.
    pub fn new(options: ConnectOptions) -> Result<Self, TlsError> {
        // Reading the system's authorities takes milliseconds, which plain connections need not pay for.
        let is_plain = options.tls.roots.is_empty() && options.tls.certificates.is_empty();
        let shared = Shared { options, tls: Default::default(), roots: SystemRoots::default() };
        let connector = Self { shared: Arc::new(shared) };
        if !is_plain {
            connector.tls(Versions::default())?;
        }
        Ok(connector)
    }

    /// Where a request for this absolute URI goes, and through which proxy. No I/O is done.
    ///
    /// # Errors
    /// The URI is none that could be asked for, or what is set for proxies cannot be used; [`Error::is_request`].
    pub fn target(&self, uri: &Uri) -> Result<Target, Error> {
        let mut target = Target::direct(uri)?;
        if self.shared.options.dial_to.is_none() {
            let chosen = self.shared.options.proxies.choose(uri, &target);
            target.proxy = chosen.map_err(|error| no_proxy(&target, error))?;
        }
        Ok(target)
    }

    /// Makes a connection for a target. Its phases are reported to `trace` as those of `dial`.
    ///
    /// Cancel safety: dropping the future closes what was begun.
    ///
    /// # Errors
    /// See [`Error::phase`]; [`Error::is_timeout`] where the `deadline` or a limit of the options has passed. Where the
    /// proxy is to blame, the source is a [`ProxyError`](super::ProxyError).
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn connect(
        &self,
        target: &Target,
        trace: &TraceHandle,
        dial: DialId,
        deadline: Option<Instant>,
    ) -> Result<Connected, Error> {
        Connecting { connector: self, target, trace, dial, deadline }.run().await
    }

    fn options(&self) -> &ConnectOptions {
        &self.shared.options
    }

    /// What begins the handshakes with servers of which these versions are wanted.
    fn tls(&self, versions: Versions) -> Result<&rosn_tls::Connector, TlsError> {
        let made = &self.shared.tls[versions as usize];
        if let Some(tls) = made.get() {
            return Ok(tls);
        }
        let mut options = self.shared.options.tls.clone();
        options.alpn = protocols(versions, options.alpn);
        let tls = rosn_tls::Connector::with_roots(&options, &self.shared.roots)?;
        Ok(made.get_or_init(|| tls))
    }
}

/// What is offered by ALPN, where the options say `given`.
fn protocols(versions: Versions, mut given: Vec<String>) -> Vec<String> {
    let usual: &[&str] = match versions {
        Versions::Negotiated if !given.is_empty() => return given,
        Versions::Negotiated => &["h2", "http/1.1"],
        Versions::Http2 => &["h2"],
        Versions::Http1 => {
            given.retain(|protocol| protocol != "h2");
            if !given.is_empty() {
                return given;
            }
            &["http/1.1"]
        }
    };
    usual.iter().map(|&protocol| protocol.to_owned()).collect()
}
