//! Dialing names: resolve, then try the addresses until one answers.

mod attempt;
mod race;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_trace::{DialId, ErrorRef, Event, Interest, TraceHandle};
use tokio::time::{Instant, timeout_at};

use crate::{DialError, DialOptions, Net, Network, Resolve, Resolved, Stream};
use attempt::Attempts;
use race::race;

/// Go's default (`net.Dialer.FallbackDelay`); RFC 8305, 5 recommends 250 ms.
const FALLBACK_DELAY: Duration = Duration::from_millis(300);

/// Connects to names, IP addresses and unix sockets, as Go's `net.Dialer` does (happy eyeballs, RFC 8305).
///
/// The addresses of a name are tried one after the other, in the order of the resolver, the next as soon as one
/// fails. If they are of both families, those of the first one's family come first; the others are begun in parallel
/// after [`Dialer::fallback_delay`], or as soon as the first all have failed. The fastest wins and the other is
/// closed before [`Dialer::dial`] returns.
///
/// ```
/// use std::sync::Arc;
/// use rosn_net::{Coalesced, DialContext, Dialer, OsNet, SystemResolver};
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let resolver = Arc::new(Coalesced::new(SystemResolver));
/// let dialer = Dialer::new(Arc::new(OsNet), resolver);
/// let stream = dialer.dial(&"localhost:80".parse()?, &DialContext::default()).await?;
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dialer {
    /// Where sockets come from.
    pub net: Arc<dyn Net>,
    /// Who knows the addresses of names. [`Coalesced`](crate::Coalesced) asks once for all who ask at a time.
    pub resolver: Arc<dyn Resolve>,
    /// What the sockets are to be like. An address to bind to picks the family; unix sockets ignore it.
    pub options: DialOptions,
    /// How long the first family has for itself (300 ms); `None` = the other family is only tried after it, in the
    /// order of the resolver.
    pub fallback_delay: Option<Duration>,
}

/// What is particular to one dial.
#[derive(Debug, Clone)]
pub struct DialContext {
    /// Sees names resolved and addresses tried.
    pub trace: TraceHandle,
    /// What the events call this dial. Who reports more of its phases uses the same.
    pub id: DialId,
    /// When to give up, resolving included. Each address has a fair share of the time that is left, but at least 2 s,
    /// so that one that does not answer leaves time for the others. `None` = the system gives up, in minutes.
    pub deadline: Option<Instant>,
}

impl DialContext {
    /// A new dial without a deadline.
    pub fn new(trace: TraceHandle) -> Self {
        Self { trace, id: DialId::next(), deadline: None }
    }
}

impl Default for DialContext {
    /// A new dial that nobody watches.
    fn default() -> Self {
        Self::new(TraceHandle::none())
    }
}

impl Dialer {
    /// A dialer with Go's defaults.
    pub fn new(net: Arc<dyn Net>, resolver: Arc<dyn Resolve>) -> Self {
        let options = DialOptions::default();
        Self { net, resolver, options, fallback_delay: Some(FALLBACK_DELAY) }
    }

    /// Connects.
    ///
    /// A TCP connection that met itself (a simultaneous open on a port that nobody listens on), or for which the
    /// system found no port, is tried twice more.
    ///
    /// Cancel safety: dropping the future closes what was begun, also what had been connected just then.
    ///
    /// # Errors
    /// Where all addresses failed, the error of the first that was tried. An error of the kind `TimedOut` where the
    /// deadline came, [`DialError::NoAddress`] where none is of the family of the address to bind to.
    ///
    /// # Panics
    /// With a deadline or several addresses, outside of a tokio runtime with timers enabled.
    pub async fn dial(&self, to: &Addr, context: &DialContext) -> Result<Stream, DialError> {
        if context.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(timed_out(to));
        }
        let attempts = Attempts::new(self, context, to);
        if let Addr::Unix(_) = to {
            return attempts.connect(to, context.deadline).await;
        }
        self.try_all(&attempts, &self.addrs(to, context).await?).await
    }

    /// The addresses that [`Dialer::dial`] would try, the best first; never none. A name is resolved, an IP address
    /// is not. For what connects in its own way, such as QUIC.
    ///
    /// Cancel safety: dropping the future gives up.
    ///
    /// # Errors
    /// [`DialError::Resolve`], also where the deadline comes, and [`DialError::NoAddress`], also for a unix socket.
    ///
    /// # Panics
    /// With a deadline, outside of a tokio runtime with timers enabled.
    pub async fn addrs(
        &self,
        to: &Addr,
        context: &DialContext,
    ) -> Result<Vec<SocketAddr>, DialError> {
        match to {
            Addr::Ip(addr) => self.usable(to, [*addr]),
            Addr::Name(host, port) => match host.parse::<IpAddr>() {
                Ok(ip) => self.usable(to, [SocketAddr::new(ip, *port)]),
                Err(_) => {
                    let resolved = self.resolve(to, host, context).await?;
                    self.usable(to, resolved.addrs.iter().map(|ip| SocketAddr::new(*ip, *port)))
                }
            },
            Addr::Unix(_) => {
                let what = "a unix socket has no IP address";
                Err(DialError::NoAddress { target: to.clone(), what })
            }
        }
    }

    async fn try_all(
        &self,
        attempts: &Attempts<'_>,
        addrs: &[SocketAddr],
    ) -> Result<Stream, DialError> {
        let first_is_v4 = addrs.first().is_some_and(SocketAddr::is_ipv4);
        let (primary, fallback): (Vec<_>, Vec<_>) =
            addrs.iter().copied().partition(|addr| addr.is_ipv4() == first_is_v4);
        match self.fallback_delay {
            Some(delay) if !fallback.is_empty() => {
                race(attempts.in_turn(&primary), delay, attempts.in_turn(&fallback)).await
            }
            _ => attempts.in_turn(addrs).await,
        }
    }

    async fn resolve(
        &self,
        to: &Addr,
        host: &str,
        context: &DialContext,
    ) -> Result<Resolved, DialError> {
        let dial = context.id;
        let pending = context.trace.begin(Interest::DNS, || Event::DnsStart { dial, host });
        let asked = self.resolver.resolve(host, self.network());
        let result = match context.deadline {
            Some(deadline) => timeout_at(deadline, asked)
                .await
                .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut))),
            None => asked.await,
        };
        pending.done(|| match &result {
            Ok(Resolved { addrs, coalesced }) => {
                Event::DnsDone { dial, host, addrs, coalesced: *coalesced, error: None }
            }
            Err(error) => Event::DnsDone {
                dial,
                host,
                addrs: &[],
                coalesced: false,
                error: Some(error as ErrorRef<'_>),
            },
        });
        result.map_err(|source| DialError::Resolve { target: to.clone(), source })
    }

    /// Those of the right family, each once.
    fn usable(
        &self,
        to: &Addr,
        found: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let network = self.network();
        let mut seen = HashSet::new();
        let fits = |addr: &SocketAddr| network.has(addr.ip()) && seen.insert(*addr);
        let addrs: Vec<_> = found.into_iter().filter(fits).collect();
        if !addrs.is_empty() {
            return Ok(addrs);
        }
        let what = match network {
            Network::Any => "the name has no address",
            Network::V4 => "it has no IPv4 address, as the local address is",
            Network::V6 => "it has no IPv6 address, as the local address is",
        };
        Err(DialError::NoAddress { target: to.clone(), what })
    }

    /// The family of the address to bind to.
    fn network(&self) -> Network {
        match self.options.bind {
            None => Network::Any,
            Some(SocketAddr::V4(_)) => Network::V4,
            Some(SocketAddr::V6(_)) => Network::V6,
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("options", &self.options)
            .field("fallback_delay", &self.fallback_delay)
            .finish_non_exhaustive()
    }
}

fn timed_out(target: &Addr) -> DialError {
    DialError::Connect { target: target.clone(), source: io::ErrorKind::TimedOut.into() }
}
