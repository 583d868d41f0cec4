//! One connection in the making.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::{BoxFuture, DialContext, DialError, Dialer, Network, Resolve, Resolved, Stream};
use rosn_tls::TlsStream;
use rosn_trace::{DialId, ErrorRef, Event, Interest, TraceHandle};
use tokio::time::{Instant, timeout_at};

use super::{Connected, Connector};
use crate::Error;
use crate::connect::error::{not_dialed, not_proxied, not_secured};
use crate::connect::proxy::{Destination, Proxy, ProxyScheme, http_connect, socks};
use crate::connect::{ProxyError, Scheme, Target, Versions};

/// How long a proxy may take to connect further (Go's, for CONNECT).
const PROXY_TIMEOUT: Duration = Duration::from_secs(60);

/// Later than any connection takes to make.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// One connection in the making.
pub(super) struct Connecting<'a> {
    pub(super) connector: &'a Connector,
    pub(super) target: &'a Target,
    pub(super) trace: &'a TraceHandle,
    pub(super) dial: DialId,
    pub(super) deadline: Option<Instant>,
}

impl Connecting<'_> {
    pub(super) async fn run(&self) -> Result<Connected, Error> {
        let target = self.target;
        let stream = match &target.proxy {
            None => {
                let dialed = self.dial(&target.authority, &target.addr()).await;
                dialed.map_err(|error| not_dialed(target, error))?
            }
            Some(proxy) => self.through(proxy).await?,
        };
        let local = stream.local_addr().ok().and_then(|addr| addr.to_addr());
        let peer = stream.peer_addr().ok().and_then(|addr| addr.to_addr());
        let (stream, alpn) = match target.scheme {
            Scheme::Http => (stream, None),
            Scheme::Https => {
                let tls = self.connector.tls(target.versions);
                let tls = tls.map_err(|error| not_secured(target, error))?;
                let secured = self.secure(tls, target.host(), stream).await;
                let secured = secured.map_err(|error| not_secured(target, error))?;
                let alpn = secured.alpn().map(<[u8]>::to_vec);
                (secured.into_stream(), alpn)
            }
        };
        let absolute_form = target.absolute_form();
        let proxy = target.proxy.as_ref().filter(|_| absolute_form);
        let proxy_authorization = proxy.and_then(|proxy| proxy.authorization());
        Ok(Connected { stream, local, peer, alpn, absolute_form, proxy_authorization })
    }

    /// A connection to the server's socket.
    async fn dial(&self, authority: &str, to: &Addr) -> Result<Stream, DialError> {
        let options = self.connector.options();
        let context = self.dial_context();
        let to = options.dial_to.as_ref().unwrap_or(to);
        self.dialer(authority).dial(to, &context).await
    }

    /// A connection through the proxy: to the server's socket, or to the proxy where that takes requests itself.
    async fn through(&self, proxy: &Proxy) -> Result<Stream, Error> {
        let failed = |error| not_proxied(self.target, proxy, error);
        let dialed = self.dial(proxy.authority(), proxy.addr()).await;
        let mut stream = dialed.map_err(|error| failed(ProxyError::Dial(error)))?;
        if proxy.scheme() == ProxyScheme::Https {
            let tls = self.connector.tls(Versions::Http1);
            let tls = tls.map_err(|error| not_secured(self.target, error))?;
            let secured = self.secure(tls, &proxy.host(), stream).await;
            stream = secured.map_err(|error| failed(ProxyError::Tls(error)))?.into_stream();
        }
        if !self.target.absolute_form() {
            self.handshake(proxy, &mut stream).await.map_err(failed)?;
        }
        Ok(stream)
    }

    /// Has the proxy connect to the server.
    async fn handshake(&self, proxy: &Proxy, stream: &mut Stream) -> Result<(), ProxyError> {
        let (dial, addr) = (self.dial, proxy.addr());
        // A name that is resolved here is resolved before, as that has events of its own.
        let destination = match proxy.scheme() {
            ProxyScheme::Http | ProxyScheme::Https => None,
            scheme => Some(self.destination(scheme == ProxyScheme::Socks5).await?),
        };
        let start = || Event::ProxyHandshakeStart { dial, proxy: addr };
        let pending = self.trace.begin(Interest::PROXY, start);
        let limit = self.limit(PROXY_TIMEOUT);
        let exchange = async {
            let authority = &self.target.authority;
            match &destination {
                None => {
                    let headers = &self.connector.options().proxy_headers;
                    http_connect::connect(stream, proxy, authority, headers).await
                }
                Some(destination) => {
                    (None, socks::connect(stream, proxy, destination, self.target.port()).await)
                }
            }
        };
        let (status, result) = match timeout_at(limit, exchange).await {
            Ok(answered) => answered,
            Err(_) => {
                let text = "timeout: the proxy did not answer";
                (None, Err(io::Error::new(io::ErrorKind::TimedOut, text).into()))
            }
        };
        pending.done(|| Event::ProxyHandshakeDone {
            dial,
            proxy: addr,
            status,
            error: result.as_ref().err().map(|error| error as ErrorRef<'_>),
        });
        result
    }

    /// Where a SOCKS proxy is to connect to.
    async fn destination(&self, resolve: bool) -> Result<Destination<'_>, ProxyError> {
        let target = self.target;
        match target.addr() {
            Addr::Ip(addr) => Ok(Destination::Ip(addr.ip())),
            to if resolve => {
                let addrs = self.dialer(&target.authority).addrs(&to, &self.dial_context()).await?;
                let first = addrs.first().map(|addr| addr.ip());
                first.map_or(Ok(Destination::Name(target.host())), |ip| Ok(Destination::Ip(ip)))
            }
            _ => Ok(Destination::Name(target.host())),
        }
    }

    async fn secure(
        &self,
        tls: &rosn_tls::Connector,
        name: &str,
        stream: Stream,
    ) -> io::Result<TlsStream<Stream>> {
        let limit = self.connector.options().tls_handshake_timeout;
        let left = self.deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            // An error that tells of it is to be readable.
            Duration::from_millis(left.as_millis() as u64)
        });
        let limit = left.map_or(limit, |left| left.min(limit));
        tls.secure(name, stream, limit, self.dial, self.trace).await
    }

    /// The dialer, with the addresses that are set for `authority`, where some are.
    fn dialer(&self, authority: &str) -> Dialer {
        let options = self.connector.options();
        let mut dialer = options.dialer.clone();
        if let Some(addrs) = options.resolve.get(authority) {
            dialer.resolver = Arc::new(Known(addrs.as_slice().into()));
        }
        dialer
    }

    fn dial_context(&self) -> DialContext {
        let limit = self.connector.options().dial_timeout.map(|limit| self.limit(limit));
        let deadline = limit.or(self.deadline);
        DialContext { trace: self.trace.clone(), id: self.dial, deadline }
    }

    /// When a phase has to be done that may take so long.
    fn limit(&self, limit: Duration) -> Instant {
        // A limit beyond what a clock can tell is none, for as long as it matters.
        let now = Instant::now();
        let limit = now.checked_add(limit).unwrap_or(now + FAR);
        self.deadline.map_or(limit, |deadline| deadline.min(limit))
    }
}

/// Knows the addresses of one name.
struct Known(Arc<[IpAddr]>);

impl Resolve for Known {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        _network: Network,
    ) -> BoxFuture<'a, io::Result<Resolved>> {
        let resolved = Resolved { addrs: self.0.clone(), coalesced: false };
        Box::pin(std::future::ready(Ok(resolved)))
    }
}
