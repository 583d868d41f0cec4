//! Open what is listened on.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use rosn_base::Addr;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::ListenOptions;
use crate::holder::{Holder, Table, holder};
use crate::stream::tune_tcp;

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another socket has it.
    #[error("{} is already in use{}", place(addr), by(holder.as_ref()))]
    InUse {
        /// The address.
        addr: Addr,
        /// Who has it, where that can be known.
        holder: Option<Holder>,
    },
    /// It takes a right that this process does not have.
    #[error("not permitted to listen on {addr}: {}", right(addr, *transparent))]
    Denied {
        /// The address.
        addr: Addr,
        /// Whether [`transparent`](crate::SocketOptions::transparent) was asked for.
        transparent: bool,
        /// The system's answer.
        source: io::Error,
    },
    /// The address is not of this machine.
    #[error("cannot listen on {addr}: no network interface of this machine has that address")]
    NoSuchAddress {
        /// The address.
        addr: Addr,
    },
    /// Anything else.
    #[error("cannot listen on {addr}: {source}")]
    Other {
        /// The address.
        addr: Addr,
        /// The system's answer.
        source: io::Error,
    },
}

impl BindError {
    /// The address that was asked for.
    pub fn addr(&self) -> &Addr {
        match self {
            Self::InUse { addr, .. }
            | Self::Denied { addr, .. }
            | Self::NoSuchAddress { addr }
            | Self::Other { addr, .. } => addr,
        }
    }
}

/// Listens for TCP connections. Port 0 lets the system choose.
///
/// The socket is nonblocking, has SO_REUSEADDR, and its connections inherit TCP_NODELAY and
/// keep-alive after 15 s (Go's defaults) without a system call of their own. `[::]` takes IPv4
/// connections too, as in Go; any other IPv6 address takes IPv6 only.
///
/// # Errors
/// See [`BindError`].
pub fn bind_tcp(addr: SocketAddr, options: &ListenOptions) -> Result<TcpListener, BindError> {
    listen_tcp(addr, options)
        .map(TcpListener::from)
        .map_err(|source| bind_error(addr, Table::Tcp, options.socket.transparent, source))
}

/// Opens a UDP socket for receiving, nonblocking. Port 0 lets the system choose.
///
/// [`ListenOptions::backlog`] has no meaning here. `[::]` takes IPv4 datagrams too.
///
/// # Errors
/// See [`BindError`].
pub fn bind_udp(addr: SocketAddr, options: &ListenOptions) -> Result<UdpSocket, BindError> {
    open(addr, Type::DGRAM, options)
        .map(UdpSocket::from)
        .map_err(|source| bind_error(addr, Table::Udp, options.socket.transparent, source))
}

/// Tells whether TCP connections could be listened for at `addr` by someone who does not share it.
///
/// A listener with [`ListenOptions::reuse_port`] binds beside another such listener of the same
/// user without an error. Ask this before the first one, so that a second proxy on the same port
/// is noticed. (Someone may still come between; then the two share, as they would have.)
///
/// # Errors
/// See [`BindError`].
pub fn check_free(addr: SocketAddr) -> Result<(), BindError> {
    // Nothing is accepted: the socket is closed before it listens. With SO_REUSEADDR, bind alone
    // already fails where someone listens.
    let options = ListenOptions::default();
    match open(addr, Type::STREAM, &options) {
        Ok(_) => Ok(()),
        Err(source) => Err(bind_error(addr, Table::Tcp, false, source)),
    }
}

fn listen_tcp(addr: SocketAddr, options: &ListenOptions) -> io::Result<Socket> {
    let socket = open(addr, Type::STREAM, options)?;
    tune_tcp(&socket)?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

fn open(addr: SocketAddr, kind: Type, options: &ListenOptions) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let kind_flags = kind.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(addr), kind_flags, Some(protocol))?;
    if kind == Type::STREAM {
        // Not for UDP: there it would let two processes share a port silently.
        socket.set_reuse_address(true)?;
    }
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if options.socket.transparent {
        set_transparent(&socket, addr)?;
    }
    if let SocketAddr::V6(v6) = addr {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// IP_TRANSPARENT or IPV6_TRANSPARENT, both for a dual-stack socket. Before bind.
pub(crate) fn set_transparent(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    match addr {
        SocketAddr::V4(_) => socket.set_ip_transparent_v4(true),
        // One flag of the socket serves both families (Linux: inet_sk(sk)->transparent).
        SocketAddr::V6(_) => socket.set_ip_transparent_v6(true),
    }
}

fn bind_error(addr: SocketAddr, table: Table, transparent: bool, source: io::Error) -> BindError {
    let place = Addr::Ip(addr);
    match Errno::from_io_error(&source) {
        Some(Errno::ADDRINUSE) => BindError::InUse { addr: place, holder: holder(addr, table) },
        Some(Errno::ACCESS | Errno::PERM) => BindError::Denied { addr: place, transparent, source },
        Some(Errno::ADDRNOTAVAIL) => BindError::NoSuchAddress { addr: place },
        _ => BindError::Other { addr: place, source },
    }
}

fn place(addr: &Addr) -> String {
    match addr {
        Addr::Unix(path) => format!("the unix socket {}", path.display()),
        _ => format!("address {addr}"),
    }
}

fn by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

fn right(addr: &Addr, transparent: bool) -> &'static str {
    match addr {
        Addr::Unix(_) => "this user may not write to that directory",
        _ if transparent => "tproxy (IP_TRANSPARENT) needs the capability CAP_NET_ADMIN",
        _ => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE \
             (`setcap cap_net_bind_service=+ep <file>`) or a lower \
             net.ipv4.ip_unprivileged_port_start"
        }
    }
}

#[cfg(test)]
mod tests;
