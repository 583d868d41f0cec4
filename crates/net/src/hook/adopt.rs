//! Sockets that were made elsewhere: inherited ones, those of the service manager, those of another library.

use std::io;
use std::panic::Location;
use std::sync::Arc;

use rosn_base::Addr;
use socket2::{SockAddr, SockRef, Type};

use super::tracked::Owner;
use super::{Bound, Hooks, Role, SocketKind, Tracked};
use crate::Stream;

impl<T> Bound<T> {
    /// Makes a listener or a UDP socket that was made elsewhere known to these hooks and to those of the process.
    ///
    /// # Errors
    /// It is no such socket, or a hook forbids it ([`Call::Adopt`](super::Call::Adopt)).
    #[track_caller]
    pub fn adopt(socket: T, owner: &Arc<str>, hooks: &Hooks) -> io::Result<Self>
    where
        for<'a> SockRef<'a>: From<&'a T>,
    {
        let owner = Owner { name: owner, hooks, location: Location::caller() };
        let tracked = known(SockRef::from(&socket), &owner, Role::Listener)?;
        Ok(Self::new(socket, tracked))
    }
}

impl Stream {
    /// Makes a connection that was made elsewhere known to these hooks and to those of the process. One that is no
    /// socket, or that hooks know already, is left as it is.
    ///
    /// # Errors
    /// A hook forbids it ([`Call::Adopt`](super::Call::Adopt)).
    #[track_caller]
    pub fn adopt(self, owner: &Arc<str>, role: Role, hooks: &Hooks) -> io::Result<Self> {
        let owner = Owner { name: owner, hooks, location: Location::caller() };
        if self.is_tracked() {
            return Ok(self);
        }
        let tracked = match self.socket() {
            Some(socket) => known(socket, &owner, role)?,
            None => return Ok(self),
        };
        Ok(self.track(tracked))
    }
}

fn known(socket: SockRef<'_>, owner: &Owner<'_>, role: Role) -> io::Result<Tracked> {
    let local = socket.local_addr()?;
    let datagrams = socket.r#type()? == Type::DGRAM;
    let kind = match (local.is_ipv4(), local.is_ipv6(), datagrams) {
        (true, _, false) => SocketKind::TcpV4,
        (true, _, true) => SocketKind::UdpV4,
        (_, true, false) => SocketKind::TcpV6,
        (_, true, true) => SocketKind::UdpV6,
        _ if local.is_unix() => SocketKind::Unix,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    Tracked::adopt(owner, kind, role, addr(&local))
}

/// The address as hooks are told; `None` for a unix socket without a name.
fn addr(local: &SockAddr) -> Option<Addr> {
    if let Some(ip) = local.as_socket() {
        return Some(Addr::Ip(ip));
    }
    #[cfg(unix)]
    if let Some(path) = local.as_pathname() {
        return Some(Addr::Unix(path.to_path_buf()));
    }
    None
}
