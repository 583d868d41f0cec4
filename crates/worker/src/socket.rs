//! The sockets of a listener, one for each thread that accepts on it.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::{self, Network, OriginalDstKind};
use rosn_net::{BindError, Bound, ListenOptions, SocketFile};
use rosn_proxy::Shared;
use rosn_transport::{Environment, TransportError};
use thiserror::Error;

/// Why a listener could not be opened.
#[derive(Debug, Error)]
#[error("listener `{name}`: {cause}")]
pub struct ListenError {
    /// The listener.
    pub name: Arc<str>,
    /// What is in the way.
    pub cause: TransportError,
}

/// A listening socket that no runtime has yet.
pub(crate) enum Socket {
    Tcp(Bound<std::net::TcpListener>),
    Udp(Bound<std::net::UdpSocket>),
    /// The file is removed when the last clone of the socket is gone.
    Unix(Bound<UnixListener>, Arc<Option<SocketFile>>),
    Transport(Box<dyn rosn_transport::Listener>),
}

/// Opens `count` sockets on the listener's address.
pub(crate) fn open(
    listener: &checked::Listener,
    count: usize,
    shared: &Shared,
) -> Result<Vec<Socket>, ListenError> {
    let transparent = listener.original_dst.is_some_and(|dst| dst.kind == OriginalDstKind::Tproxy);
    let environment = Environment {
        owner: Arc::clone(&listener.name),
        reuse_port: count > 1 || listener.network == Network::Tcp,
        ..shared.environment.clone()
    };
    let settings = listener.stream.clone().unwrap_or_default();
    let open = |address: &Addr| {
        if settings.is_plain() {
            let mut options = rosn_transport::listen_options(&settings.socket, &environment);
            options.socket.transparent |= transparent;
            open_plain(address, listener.network, count, &options)
                .map_err(|cause| TransportError::Bind { transport: "tcp", cause })
        } else {
            let listen = |_| {
                let listen = shared.transports.listen(address, &settings, &environment);
                listen.map(Socket::Transport)
            };
            (0..count).map(listen).collect()
        }
    };
    let opened = open(&listener.address).and_then(|mut sockets: Vec<_>| {
        match second_address(listener).map(|second| open(&second)) {
            // A machine without IPv6 has only the one.
            None
            | Some(Err(TransportError::Bind { cause: BindError::NoSuchAddress { .. }, .. })) => {}
            Some(second) => sockets.extend(second?),
        }
        Ok(sockets)
    });
    opened.map_err(|cause| ListenError { name: Arc::clone(&listener.name), cause })
}

/// "localhost" is an address of each family.
pub(crate) fn second_address(listener: &checked::Listener) -> Option<Addr> {
    let first = listener.address.as_ip().filter(|_| listener.localhost)?;
    Some(Addr::Ip(SocketAddr::from((Ipv6Addr::LOCALHOST, first.port()))))
}

fn open_plain(
    address: &Addr,
    network: Network,
    count: usize,
    options: &ListenOptions,
) -> Result<Vec<Socket>, BindError> {
    match (address, network) {
        (Addr::Ip(addr), Network::Udp) => {
            (0..count).map(|_| rosn_net::bind_udp(*addr, options).map(Socket::Udp)).collect()
        }
        (Addr::Ip(addr), _) => {
            (0..count).map(|_| rosn_net::bind_tcp(*addr, options).map(Socket::Tcp)).collect()
        }
        (Addr::Unix(path), _) => rosn_net::bind_unix(path, options).and_then(|bound| {
            let file = Arc::new(bound.file);
            let clone = |_| {
                let cloned = bound.listener.try_clone_with(UnixListener::try_clone);
                let cloned = cloned.map_err(|source| other(address, source))?;
                Ok(Socket::Unix(cloned, Arc::clone(&file)))
            };
            (0..count).map(clone).collect()
        }),
        (Addr::Name(..), _) => Err(other(address, io::ErrorKind::InvalidInput.into())),
    }
}

fn other(addr: &Addr, source: io::Error) -> BindError {
    BindError::Other { addr: addr.clone(), source }
}
