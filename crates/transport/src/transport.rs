//! What a transport is.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::StreamSettings;
use rosn_net::{Coalesced, Net, OsNet, PeerAddr, Resolve, Stream, SystemResolver};
use rosn_tls::{InUse, Session, SystemRoots};
use rosn_trace::TraceHandle;

use crate::TransportError;

/// A future that a trait returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to carry a byte stream: it makes listeners and dialers.
pub trait Transport: Send + Sync + 'static {
    /// The name that it is registered by, such as `ws`.
    fn scheme(&self) -> &str;

    /// Listens at an address. When this returns, the address is bound: a client that connects now will be served.
    /// The address is never a name. Needs no runtime; [`Listener::poll_accept`] does.
    ///
    /// # Errors
    /// The address cannot be listened on, or the settings cannot be used (a certificate that cannot be read).
    fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError>;

    /// Makes what dials with these settings. Connections that it pools (h2, QUIC) belong to it and end with it.
    ///
    /// # Errors
    /// The settings cannot be used.
    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError>;
}

/// What transports work with. Listeners and dialers that have clones of one share its resolver and authorities.
#[derive(Clone)]
pub struct Environment {
    /// Where sockets come from.
    pub net: Arc<dyn Net>,
    /// Who knows the addresses of names.
    pub resolver: Arc<dyn Resolve>,
    /// Whom TLS dialers trust that do not say otherwise.
    pub roots: SystemRoots,
    /// Gets to know the TLS of listeners and dialers under the name of `owner`, so that somebody can follow its files;
    /// the tickets of listeners are its own.
    pub tls: InUse,
    /// Whom the sockets are for: the name of a listener or of a cluster, for hooks and messages.
    pub owner: Arc<str>,
    /// Several sockets share the address (SO_REUSEPORT), each with a listener of its own.
    pub reuse_port: bool,
    /// The bounds that keep strangers from using up memory.
    pub limits: TransportLimits,
}

impl Environment {
    /// That of the operating system, for nobody in particular.
    pub fn system() -> Self {
        Self {
            net: Arc::new(OsNet),
            resolver: Arc::new(Coalesced::new(SystemResolver)),
            roots: SystemRoots::default(),
            tls: InUse::default(),
            owner: Arc::default(),
            reuse_port: false,
            limits: TransportLimits::default(),
        }
    }
}

/// Bounds of a listener, and times that dialers and listeners wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportLimits {
    /// Handshakes under way at a time in one listener (1024). More connections wait in the backlog of the socket.
    pub handshakes: usize,
    /// How long one may take (8 s).
    pub handshake_timeout: Duration,
    /// Bytes of an HTTP head that belongs to a handshake (8192).
    pub head_bytes: usize,
    /// Connections that QUIC and HTTP/2 listeners hand out streams of, and conversations of mKCP, at a time in one
    /// listener (2048). A client that sends what nobody reads has up to 16 MiB held for each.
    pub sessions: usize,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            handshakes: 1024,
            handshake_timeout: Duration::from_secs(8),
            head_bytes: 8192,
            sessions: 2048,
        }
    }
}

/// A connection that a [`Listener`] accepted and whose handshakes are done.
#[derive(Debug)]
pub struct Accepted {
    /// The bytes of the application.
    pub stream: Stream,
    /// The client; what a PROXY header says, where one was demanded.
    pub peer: PeerAddr,
    /// The address that the client connected to, as far as the transport knows.
    pub local: PeerAddr,
    /// What was agreed on by TLS, where the settings have it. Its protocol (ALPN) is the transport's, and not that of the
    /// application.
    pub tls: Option<Session>,
}

/// Hands out connections. It is `Send` until it is first polled by a runtime.
///
/// Dropping it closes the socket; connections that were handed out go on.
pub trait Listener: Send {
    /// A connection that is ready to be used.
    ///
    /// A client whose handshake fails gets the protocol's own answer, is logged at `debug`, and does not show here.
    /// As long as nobody asks, no more than [`TransportLimits::handshakes`] connections are taken from the socket.
    ///
    /// Cancel safety: none is lost.
    ///
    /// # Errors
    /// What accept(2) says; see [`rosn_net::accept_error`].
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Accepted>>;

    /// The address that is listened on, with the port that the system chose.
    fn local_addr(&self) -> Addr;

    /// Takes no more connections, and says so to the peers where the protocol can (GOAWAY). What is under way goes on;
    /// `poll_accept` still hands out what was connected already, and fails with `NotConnected` when nothing more will
    /// come.
    fn drain(&mut self) {}
}

/// Opens connections with settings that are its own.
pub trait Dialer: Send + Sync + 'static {
    /// Opens a connection. The address may be a name.
    ///
    /// There is no timeout but those of the handshakes: drop the future to give up.
    ///
    /// Cancel safety: dropping the future closes what was begun.
    ///
    /// # Errors
    /// [`TransportError`] says transport, phase and address.
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>>;
}

/// What is particular to one dial.
#[derive(Debug, Clone, Default)]
pub struct DialRequest {
    /// Sees every phase.
    pub trace: TraceHandle,
    /// The client on whose behalf it is, and the address that it connected to: what a PROXY header says.
    pub client: Option<(PeerAddr, PeerAddr)>,
}

/// What a listener says that has drained.
pub(crate) fn drained() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::NotConnected, "the listener takes no more connections")
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("owner", &self.owner).finish_non_exhaustive()
    }
}
