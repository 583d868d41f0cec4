//! What is done with a connection that was accepted.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;

use rosn_config::checked::{Network, OriginalDst, OriginalDstKind, Protocol};
use rosn_net::{ConnInfo, PeerAddr, Stream};
use rosn_tls::Session;
use tracing::debug;

use crate::client::ClientInfo;
use crate::context::{Admission, Serving, Worker};
use crate::snapshot::{Asked, Listener, Service};
use crate::{begin, http, http2, tcp};

/// A connection that was accepted.
#[derive(Debug)]
pub struct Arrival {
    /// Its bytes.
    pub stream: Stream,
    /// The client.
    pub peer: PeerAddr,
    /// The address that the client connected to, where it is not the stream's own.
    pub local: Option<PeerAddr>,
    /// What was agreed on by TLS, where a transport has already done that.
    pub tls: Option<Session>,
}

/// Serves a connection on the worker's thread until it ends. It is closed at once where a limit is
/// reached.
///
/// The task holds the connection: dropping it closes it.
pub fn spawn(worker: &Rc<Worker>, serving: &Serving, arrival: Arrival) {
    worker.clock.refresh();
    let Arrival { stream, peer, local, tls } = arrival;
    let listener = serving.listener();
    let local = local.unwrap_or_else(|| local_address(listener, &stream));
    let mut info = ConnInfo { id: worker.next_id(), peer, local, original_dst: None };
    let serving = match listener.config.original_dst {
        Some(how) => redirect(serving, how, &stream, &mut info),
        None => serving.clone(),
    };
    // A connection belongs to the listener that it was handed to.
    let Some(admission) = Admission::admit(worker, serving.listener()) else { return };
    let info = ClientInfo { conn: info, tls };
    let worker = Rc::clone(worker);
    if begin::is_needed(serving.listener()) {
        tokio::task::spawn_local(begin::begin(worker, serving, stream, info, admission));
        return;
    }
    // A task for each kind of service, so that none is larger than it has to be.
    match &serving.listener().service {
        Service::Http { proxy, .. } if proxy.protocols == [Protocol::Http2] => {
            tokio::task::spawn_local(http2::serve(worker, serving, stream, info, admission));
        }
        Service::Http { .. } => {
            let serve = http::serve(worker, serving, stream, info, admission);
            tokio::task::spawn_local(serve);
        }
        Service::Tcp(_) => {
            tokio::task::spawn_local(tcp::serve(
                worker,
                serving,
                stream,
                info,
                Asked::default(),
                admission,
            ));
        }
        Service::Udp(_) => debug!("a UDP listener has no connections"),
    }
}

/// Finds where the client wanted to go, and the listener for it: MOSN's hand-off of `original_dst`.
fn redirect(serving: &Serving, how: OriginalDst, stream: &Stream, info: &mut ConnInfo) -> Serving {
    let wanted = match how.kind {
        OriginalDstKind::Redirect => rosn_net::original_dst(stream),
        OriginalDstKind::Tproxy => stream
            .local_addr()
            .and_then(|addr| addr.as_ip().ok_or_else(|| std::io::ErrorKind::Unsupported.into())),
    };
    match wanted {
        // To go there would be to come back here, again and again.
        Ok(wanted) if is_this_listener(serving.listener(), how.kind, wanted, stream) => {
            debug!(peer = %info.peer, "the connection was not redirected");
            serving.clone()
        }
        Ok(wanted) => {
            info.original_dst = Some(wanted);
            let found = serving.snapshot().listener_for(wanted, how);
            found.map_or_else(|| serving.clone(), |listener| serving.other(listener))
        }
        Err(error) => {
            debug!(peer = %info.peer, "the original destination is not known: {error}");
            serving.clone()
        }
    }
}

/// Whether the client meant the proxy itself: nothing has redirected the connection.
fn is_this_listener(
    listener: &Listener,
    kind: OriginalDstKind,
    wanted: SocketAddr,
    stream: &Stream,
) -> bool {
    match kind {
        OriginalDstKind::Redirect => {
            stream.local_addr().is_ok_and(|local| local.as_ip() == Some(wanted))
        }
        // Another machine may have a server on the same port; only an address of this one can be bound.
        OriginalDstKind::Tproxy => listener.config.address.as_ip().is_some_and(|own| {
            let is_own = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
            own.port() == wanted.port()
                && (own.ip() == wanted.ip() || own.ip().is_unspecified() && is_own(wanted.ip()))
        }),
    }
}

/// The address that the client connected to. A system call only where the listener's own does not say.
fn local_address(listener: &Listener, stream: &Stream) -> PeerAddr {
    let redirected = listener.config.original_dst.is_some();
    match (listener.config.network, listener.config.address.as_ip()) {
        (Network::Tcp, Some(addr)) if !addr.ip().is_unspecified() && !redirected => {
            PeerAddr::Ip(addr)
        }
        _ => stream.local_addr().unwrap_or(PeerAddr::Unix(None)),
    }
}
