//! The dialer's side: a stream of a connection that is there, or of a new one.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, TokioRuntime};
use rosn_base::Addr;
use rosn_config::checked::{QuicSettings, StreamSettings};
use rosn_net::{DialContext, DialError, Stream};
use rosn_trace::{Event, Interest, TraceHandle};

use super::config::Client;
use super::envelope::Envelope;
use super::error::{NO_ANSWER, failed};
use super::link::Link;
use super::pool::{Found, Pool};
use super::socket::Socket;
use super::stream::QuicStream;
use super::{NAME, config};
use crate::socket::dial_options;
use crate::{BoxFuture, DialRequest, Dialer, Environment, TransportError};

/// The phase that errors and traces name.
const PHASE: &str = "QUIC handshake";

/// How often it is tried again where others were faster to take the streams of a connection.
const ROUNDS: usize = 8;

pub(super) struct QuicDialer {
    pool: Arc<Pool>,
    setup: Arc<Setup>,
}

/// What it takes to make a connection.
struct Setup {
    /// Resolves names, and says what sockets are to be like.
    dialer: rosn_net::Dialer,
    quic: QuicSettings,
    client: Client,
    /// The name that certificates must have; `None` = the host that is dialed.
    name: Option<String>,
    timeout: Duration,
}

impl QuicDialer {
    pub(super) fn new(
        settings: &StreamSettings,
        environment: &Environment,
    ) -> Result<Self, TransportError> {
        let quic = config::settings_of(settings)?.clone();
        let envelope = Envelope::new(&quic);
        let client = config::client(settings.tls.as_ref(), &envelope, environment)?;
        let name = match &settings.tls {
            None => Some(config::INTERNAL_NAME.to_owned()),
            Some(tls) => Some(tls.server_name.clone()).filter(|name| !name.is_empty()),
        };
        let mut dialer =
            rosn_net::Dialer::new(environment.net.clone(), environment.resolver.clone());
        dialer.options = dial_options(&settings.socket, environment);
        let setup =
            Setup { dialer, quic, client, name, timeout: environment.limits.handshake_timeout };
        Ok(Self { pool: Arc::default(), setup: Arc::new(setup) })
    }

    async fn stream(&self, to: &Addr, trace: &TraceHandle) -> Result<QuicStream, Failure> {
        for _ in 0..ROUNDS {
            let connect = || {
                let (setup, to, trace) = (self.setup.clone(), to.clone(), trace.clone());
                Box::pin(async move { setup.connect(&to, &trace).await }) as _
            };
            let connecting = match self.pool.find(to, connect) {
                Found::Stream(stream) => return Ok(stream),
                Found::Connecting(connecting) => connecting,
            };
            if let Some(stream) = connecting.await?.open() {
                return Ok(stream);
            }
        }
        let text = "the other side allows no streams, or closes connections at once";
        Err(Failure::Handshake(Arc::new(io::Error::new(ErrorKind::ConnectionRefused, text))))
    }
}

impl Dialer for QuicDialer {
    /// Those who dial at the same time share handshakes; the trace sees the one that its own dial has begun.
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        Box::pin(async move {
            match self.stream(to, &request.trace).await {
                Ok(stream) => Ok(Stream::boxed(stream)),
                Err(failure) => Err(failure.of_dial(to)),
            }
        })
    }
}

impl Setup {
    /// Makes a connection to the first address of the host that answers.
    async fn connect(&self, to: &Addr, trace: &TraceHandle) -> Result<Arc<Link>, Failure> {
        let context = DialContext::new(trace.clone());
        let mut last = Failure::no_address(to, "quic runs over UDP, and not over unix sockets");
        if let Addr::Unix(_) = to {
            return Err(last);
        }
        let found = self.dialer.addrs(to, &context).await;
        let found = found.map_err(|error| Failure::Dial(Arc::new(error)))?;
        for (found, try_no) in found.into_iter().zip(1..) {
            // A packet of an IPv4 host shows its IPv4 address, also where it was dialed by an IPv6 one.
            let target = SocketAddr::new(found.ip().to_canonical(), found.port());
            match self.connect_one(target, to, try_no, &context).await {
                Ok(link) => return Ok(link),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn connect_one(
        &self,
        target: SocketAddr,
        to: &Addr,
        try_no: u32,
        context: &DialContext,
    ) -> Result<Arc<Link>, Failure> {
        let (dial, trace) = (context.id, &context.trace);
        let addr = &Addr::Ip(target);
        let opening = trace.begin(Interest::CONNECT, || Event::ConnectStart { dial, try_no, addr });
        let opened = self.dialer.net.dial_udp(target, &self.dialer.options);
        opening.done(|| {
            let result = opened.as_ref().map(|_| ()).map_err(|error| error as _);
            Event::ConnectDone { dial, try_no, addr, result, lost_race: false }
        });
        let datagrams = opened.map_err(|error| Failure::Dial(Arc::new(error)))?;
        let socket = Arc::new(Socket::new(datagrams, Envelope::new(&self.quic)));

        let (transport, phase) = (NAME, PHASE);
        let start = || Event::HandshakeStart { dial, transport, phase };
        let handshake = trace.begin(Interest::HANDSHAKE, start);
        let shaken = self.shake_hands(socket, target, to).await;
        handshake.done(|| {
            let error = shaken.as_ref().err().map(|error| error as _);
            Event::HandshakeDone { dial, transport, phase, error }
        });
        shaken.map_err(|error| Failure::Handshake(Arc::new(error)))
    }

    async fn shake_hands(
        &self,
        socket: Arc<Socket>,
        target: SocketAddr,
        to: &Addr,
    ) -> io::Result<Arc<Link>> {
        let local = quinn::AsyncUdpSocket::local_addr(&*socket)?;
        let endpoint = Endpoint::new_with_abstract_socket(
            config::endpoint(),
            None,
            socket.clone(),
            Arc::new(TokioRuntime),
        )?;
        let name = match (&self.name, to) {
            (Some(name), _) => name.clone(),
            (None, Addr::Name(host, _)) => host.to_string(),
            (None, _) => target.ip().to_string(),
        };
        let name = name.strip_suffix('.').unwrap_or(&name);
        let connecting = endpoint
            .connect_with(self.client.config()?, target, name)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let late = || io::Error::new(ErrorKind::TimedOut, NO_ANSWER);
        let connection = tokio::select! {
            connected = tokio::time::timeout(self.timeout, connecting) => {
                connected.map_err(|_| late())?.map_err(|error| failed(&error))?
            }
            kind = socket.unreachable() => {
                return Err(io::Error::new(kind, "the network says that nothing listens there"));
            }
        };
        Ok(Link::new(connection, local.into()))
    }
}

/// Why there is no connection, for all who have waited for it.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Dial(Arc<DialError>),
    Handshake(Arc<io::Error>),
}

impl Failure {
    fn no_address(to: &Addr, what: &'static str) -> Self {
        Self::Dial(Arc::new(DialError::NoAddress { target: to.clone(), what }))
    }

    fn of_dial(&self, to: &Addr) -> TransportError {
        match self {
            Self::Dial(cause) => TransportError::Dial { transport: NAME, cause: copy_of(cause) },
            Self::Handshake(cause) => TransportError::Handshake {
                transport: NAME,
                phase: PHASE,
                addr: to.clone(),
                cause: copy_of_io(cause),
            },
        }
    }
}

/// The same error once more, for each that has waited for the connection.
fn copy_of(error: &DialError) -> DialError {
    let target = error.target().clone();
    match error {
        DialError::Unresolved { .. } => DialError::Unresolved { target },
        DialError::Resolve { source, .. } => {
            DialError::Resolve { target, source: copy_of_io(source) }
        }
        DialError::NoAddress { what, .. } => DialError::NoAddress { target, what },
        DialError::Setup { step, source, .. } => {
            DialError::Setup { target, step, source: copy_of_io(source) }
        }
        DialError::Connect { source, .. } => {
            DialError::Connect { target, source: copy_of_io(source) }
        }
    }
}

fn copy_of_io(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
