//! Open what is listened on.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::panic::Location;

use rosn_base::Addr;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::ListenOptions;
use crate::holder::{Holder, Table, holder};
use crate::hook::{Bound, Opening, Owner, Role, SocketKind, nonblocking};
use crate::options::{Refused, refusal};

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
    #[error("not permitted to listen on {}: {}", shown(addr), right(addr))]
    Denied {
        /// The address.
        addr: Addr,
        /// The system's answer.
        source: io::Error,
    },
    /// The address is not of this machine.
    #[error("cannot listen on {addr}: no network interface of this machine has that address")]
    NoSuchAddress {
        /// The address.
        addr: Addr,
    },
    /// The system refuses an option that was asked for.
    #[error("cannot listen on {}: {option}: {}", shown(addr), refusal(option, source))]
    Option {
        /// The address.
        addr: Addr,
        /// Such as `SO_MARK`.
        option: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Anything else; also what a hook says.
    #[error("cannot listen on {}: {source}", shown(addr))]
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
            | Self::Option { addr, .. }
            | Self::Other { addr, .. } => addr,
        }
    }
}

/// Listens for TCP connections. Port 0 lets the system choose.
///
/// The socket is nonblocking, has SO_REUSEADDR, and its connections inherit TCP_NODELAY and the other
/// [options](crate::SocketOptions) without a system call of their own. `[::]` takes IPv4 connections too, as in Go; any
/// other IPv6 address takes IPv6 only.
///
/// # Errors
/// See [`BindError`].
#[track_caller]
pub fn bind_tcp(
    addr: SocketAddr,
    options: &ListenOptions,
) -> Result<Bound<TcpListener>, BindError> {
    let kind = if addr.is_ipv4() { SocketKind::TcpV4 } else { SocketKind::TcpV6 };
    let owner = options.owner();
    let listen = || {
        let opening = open(addr, kind, options, &owner)?;
        let local = opening.socket.local_addr()?.as_socket().unwrap_or(addr);
        opening.listen(&Addr::Ip(local), options.backlog)?;
        Ok(Bound::new(TcpListener::from(opening.socket), opening.tracked))
    };
    listen().map_err(|failure: Failure| failure.at(addr, Table::Tcp))
}

/// Opens a UDP socket for receiving, nonblocking. Port 0 lets the system choose.
///
/// [`ListenOptions::backlog`] has no meaning here. `[::]` takes IPv4 datagrams too.
///
/// # Errors
/// See [`BindError`].
#[track_caller]
pub fn bind_udp(addr: SocketAddr, options: &ListenOptions) -> Result<Bound<UdpSocket>, BindError> {
    let kind = if addr.is_ipv4() { SocketKind::UdpV4 } else { SocketKind::UdpV6 };
    match open(addr, kind, options, &options.owner()) {
        Ok(opening) => Ok(Bound::new(UdpSocket::from(opening.socket), opening.tracked)),
        Err(failure) => Err(failure.at(addr, Table::Udp)),
    }
}

/// Tells whether TCP connections could be listened for at `addr` by someone who does not share it. Hooks are not asked.
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
    let bind = || {
        let socket = nonblocking(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        share(&socket, addr, false)?;
        socket.bind(&addr.into())
    };
    bind().map_err(|source| bind_error(addr, Table::Tcp, source))
}

fn open(
    addr: SocketAddr,
    kind: SocketKind,
    options: &ListenOptions,
    owner: &Owner<'_>,
) -> Result<Opening, Failure> {
    let mptcp = options.socket.mptcp;
    let opening = Opening::new(kind, mptcp, Role::Listener, owner, true)
        .map_err(|source| Failure { option: mptcp.then_some("MPTCP"), source })?;
    share(&opening.socket, addr, options.reuse_port)?;
    options.socket.apply(&opening.socket, kind, Role::Listener)?;
    let place = Addr::Ip(addr);
    opening.control(&place, options.control.as_ref())?;
    opening.bind(&place, &addr.into())?;
    Ok(opening)
}

/// Whom the address is shared with: a predecessor's connections, other such sockets, the other family.
fn share(socket: &Socket, addr: SocketAddr, reuse_port: bool) -> io::Result<()> {
    if socket.r#type()? == Type::STREAM {
        // Not for UDP: there it would let two processes share a port silently.
        socket.set_reuse_address(true)?;
    }
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if let SocketAddr::V6(v6) = addr {
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    Ok(())
}

impl ListenOptions {
    #[track_caller]
    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { name: &self.owner, hooks: &self.hooks, location: Location::caller() }
    }
}

/// A [`BindError`] before it is known where.
struct Failure {
    /// The option that was refused.
    option: Option<&'static str>,
    source: io::Error,
}

impl Failure {
    fn at(self, addr: SocketAddr, table: Table) -> BindError {
        let source = self.source;
        match self.option {
            Some(option) => BindError::Option { addr: Addr::Ip(addr), option, source },
            None => bind_error(addr, table, source),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self { option: None, source }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self { option: Some(refused.option), source: refused.source }
    }
}

fn bind_error(addr: SocketAddr, table: Table, source: io::Error) -> BindError {
    let place = Addr::Ip(addr);
    match Errno::from_io_error(&source) {
        Some(Errno::ADDRINUSE) => BindError::InUse { addr: place, holder: holder(addr, table) },
        Some(Errno::ACCESS | Errno::PERM) => BindError::Denied { addr: place, source },
        Some(Errno::ADDRNOTAVAIL) => BindError::NoSuchAddress { addr: place },
        _ => BindError::Other { addr: place, source },
    }
}

fn place(addr: &Addr) -> String {
    match shown(addr).strip_prefix("unix:") {
        Some(path) => format!("the unix socket {path}"),
        None => format!("address {addr}"),
    }
}

/// The address; a name of the abstract namespace begins with `@`, as tools show it.
pub(crate) fn shown(addr: &Addr) -> String {
    let text = addr.to_string();
    match text.strip_prefix("unix:\0") {
        Some(name) => format!("unix:@{}", name.trim_end_matches('\0')),
        None => text,
    }
}

fn by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

fn right(addr: &Addr) -> &'static str {
    match addr {
        Addr::Unix(_) => "this user may not write to that directory",
        _ => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE \
             (`setcap cap_net_bind_service=+ep <file>`) or a lower \
             net.ipv4.ip_unprivileged_port_start"
        }
    }
}

#[cfg(test)]
mod tests;
