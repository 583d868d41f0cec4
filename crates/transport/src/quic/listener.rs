//! The listener's side: connections are taken, and their streams handed out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::crypto::rustls::HandshakeData;
use quinn::rustls::pki_types::CertificateDer;
use quinn::{Connection, Endpoint, Incoming, ServerConfig, TokioRuntime};
use rosn_base::Addr;
use rosn_config::checked::StreamSettings;
use rosn_net::{BindError, PeerAddr, Stream};
use rosn_tls::{Acceptor, Session};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::envelope::Envelope;
use super::error::{NO_ANSWER, failed};
use super::link::Link;
use super::socket::Socket;
use super::{NAME, config};
use crate::socket::listen_options;
use crate::transport::drained;
use crate::{Accepted, Environment, Listener, TransportError, TransportLimits};

/// Streams that wait to be handed out. Those beyond wait in their connections.
const WAITING: usize = 64;

pub(super) struct QuicListener {
    state: State,
    local: SocketAddr,
}

enum State {
    /// Nobody has polled it.
    Bound(Option<Box<Bound>>),
    Running {
        accepted: mpsc::Receiver<Accepted>,
        /// Says that it drains; that it is gone says so as well.
        draining: watch::Sender<bool>,
    },
}

struct Bound {
    socket: Arc<Socket>,
    server: ServerConfig,
    secured: Option<Acceptor>,
    limits: TransportLimits,
}

impl QuicListener {
    pub(super) fn bind(
        at: &Addr,
        settings: &StreamSettings,
        environment: &Environment,
    ) -> Result<Self, TransportError> {
        let limits = environment.limits;
        let envelope = Envelope::new(config::settings_of(settings)?);
        let (server, acceptor) = config::server(settings.tls.as_ref(), &envelope, environment)?;
        let secured = settings.tls.is_some().then_some(acceptor);
        let Addr::Ip(addr) = at else {
            return Err(config::unusable(format!("it listens on IP addresses, and not on {at}")));
        };
        let options = listen_options(&settings.socket, environment);
        let bound = environment.net.bind_udp(*addr, &options).and_then(|socket| {
            let local = socket.local_addr();
            let local = local.map_err(|source| BindError::Other { addr: at.clone(), source })?;
            Ok((socket, local))
        });
        let (socket, local) =
            bound.map_err(|cause| TransportError::Bind { transport: NAME, cause })?;
        let socket = Arc::new(Socket::new(socket, envelope));
        Ok(Self {
            state: State::Bound(Some(Box::new(Bound { socket, server, secured, limits }))),
            local,
        })
    }

    /// Starts it where it was not, on the present runtime.
    fn running(&mut self) -> io::Result<&mut mpsc::Receiver<Accepted>> {
        if let State::Bound(bound) = &mut self.state {
            // It is missing only if it could not be started before.
            let bound = bound.take().ok_or(io::ErrorKind::NotConnected)?;
            self.state = bound.start(self.local.into())?;
        }
        match &mut self.state {
            State::Running { accepted, .. } => Ok(accepted),
            State::Bound(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn is_draining(&self) -> bool {
        matches!(&self.state, State::Running { draining, .. } if *draining.borrow())
    }
}

impl Listener for QuicListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        // It drained before it was started, or could not be started, which was said then.
        if let State::Bound(None) = self.state {
            return Poll::Ready(Err(drained()));
        }
        match ready!(self.running()?.poll_recv(cx)) {
            Some(accepted) => Poll::Ready(Ok(accepted)),
            None if self.is_draining() => Poll::Ready(Err(drained())),
            None => Poll::Ready(Err(io::Error::other("the UDP socket cannot be read any more"))),
        }
    }

    fn local_addr(&self) -> Addr {
        Addr::Ip(self.local)
    }

    /// Clients with open streams have no means to know; further streams of theirs are reset. New clients are refused.
    fn drain(&mut self) {
        match &mut self.state {
            State::Bound(bound) => *bound = None,
            State::Running { draining, .. } => {
                draining.send_replace(true);
            }
        }
    }
}

impl Bound {
    fn start(self: Box<Self>, local: PeerAddr) -> io::Result<State> {
        let Self { socket, server, secured, limits } = *self;
        let endpoint = Endpoint::new_with_abstract_socket(
            config::endpoint(),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        )?;
        let (sender, accepted) = mpsc::channel(WAITING);
        let (draining, drained) = watch::channel(false);
        let shared = Arc::new(Shared {
            accepted: sender,
            drained,
            local,
            secured,
            limits,
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            connections: Arc::new(Semaphore::new(limits.sessions)),
        });
        tokio::spawn(take_connections(endpoint, shared));
        Ok(State::Running { accepted, draining })
    }
}

/// What the tasks of a listener share.
struct Shared {
    accepted: mpsc::Sender<Accepted>,
    drained: watch::Receiver<bool>,
    local: PeerAddr,
    /// Where the settings have TLS: without them the certificate is nobody's, and says nothing.
    secured: Option<Acceptor>,
    limits: TransportLimits,
    handshakes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Shared {
    /// Waits until the listener drains or is gone.
    async fn drained(&self) {
        // An error says that it is gone.
        let _ = self.drained.clone().wait_for(|drained| *drained).await;
    }
}

/// Takes connections until the listener drains, and then refuses them until the last has ended.
async fn take_connections(endpoint: Endpoint, shared: Arc<Shared>) {
    let taking = async {
        loop {
            // While nobody takes streams, clients wait in the endpoint, which has a limit of its own.
            if shared.accepted.reserve().await.is_err() {
                return;
            }
            let Some(incoming) = endpoint.accept().await else { return };
            take(incoming, &shared);
        }
    };
    tokio::select! {
        () = taking => {}
        () = shared.drained() => {}
    }
    // The last handle but those of connections: `poll_accept` sees the end when these have gone.
    drop(shared);
    let refusing = async {
        while let Some(incoming) = endpoint.accept().await {
            incoming.refuse();
        }
    };
    tokio::select! {
        () = refusing => {}
        () = endpoint.wait_idle() => {}
    }
}

/// Begins the handshake of a client, if there is room. Under load a client has to prove its address first, which costs
/// nothing here (RFC 9000 8.1.2); so forged addresses cannot take all places.
fn take(incoming: Incoming, shared: &Arc<Shared>) {
    let is_busy = shared.handshakes.available_permits() <= shared.limits.handshakes / 2;
    if is_busy && !incoming.remote_address_validated() {
        // It fails only for validated addresses.
        let _ = incoming.retry();
        return;
    }
    let handshake = shared.handshakes.clone().try_acquire_owned();
    let connection = shared.connections.clone().try_acquire_owned();
    match (handshake, connection) {
        (Ok(handshake), Ok(connection)) => {
            let shared = shared.clone();
            tokio::spawn(async move {
                serve(incoming, handshake, shared).await;
                drop(connection);
            });
        }
        _ => incoming.refuse(),
    }
}

async fn serve(incoming: Incoming, handshake: OwnedSemaphorePermit, shared: Arc<Shared>) {
    let peer = PeerAddr::from(incoming.remote_address());
    let connection = tokio::select! {
        connection = shake_hands(incoming, &shared.limits) => connection,
        () = shared.drained() => return,
    };
    drop(handshake);
    match connection {
        Ok(connection) => hand_out(connection, &peer, shared).await,
        Err(error) => tracing::debug!(transport = NAME, %peer, %error, "QUIC handshake failed"),
    }
}

async fn shake_hands(incoming: Incoming, limits: &TransportLimits) -> io::Result<Connection> {
    let connecting = incoming.accept().map_err(|error| failed(&error))?;
    match tokio::time::timeout(limits.handshake_timeout, connecting).await {
        Ok(connected) => connected.map_err(|error| failed(&error)),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, NO_ANSWER)),
    }
}

/// Hands out the streams of a connection until it ends or the listener drains.
async fn hand_out(connection: Connection, peer: &PeerAddr, shared: Arc<Shared>) {
    let tls = shared.secured.as_ref().map(|acceptor| session(acceptor, &connection));
    let link = Link::new(connection, shared.local.clone());
    loop {
        let opened = tokio::select! {
            opened = link.connection.accept_bi() => opened,
            () = shared.drained() => break,
        };
        let Ok(opened) = opened else { break };
        let stream = Stream::boxed(link.stream(opened));
        let (peer, local, tls) = (peer.clone(), shared.local.clone(), tls.clone());
        let accepted = Accepted { stream, peer, local, tls };
        if let Err(unwanted) = shared.accepted.send(accepted).await {
            unwanted.0.stream.reset();
            break;
        }
    }
    drop(shared);
    link.farewell().await;
}

/// What was agreed on in the handshake.
fn session(acceptor: &Acceptor, connection: &Connection) -> Session {
    let agreed = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let shown = connection.peer_identity();
    let shown = shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    let (alpn, name) = agreed.map_or((None, None), |agreed| (agreed.protocol, agreed.server_name));
    let shown = shown.as_deref().map_or(&[][..], Vec::as_slice);
    acceptor.quic_session(name.as_deref(), alpn.as_deref(), shown)
}
