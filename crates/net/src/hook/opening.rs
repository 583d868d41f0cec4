//! A socket on its way to be a listener or a connection.

use std::io;

use rosn_base::Addr;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::tracked::Owner;
use super::{Call, Role, SocketKind, Tracked};
use crate::Control;

/// A socket that was made, and the hooks that see it.
pub(crate) struct Opening {
    /// Dropped before `tracked`, which tells of its end.
    pub(crate) socket: Socket,
    pub(crate) tracked: Tracked,
}

impl Opening {
    /// Makes a nonblocking socket. `always` gives it a key also where there is no hook.
    ///
    /// # Errors
    /// What socket(2) or a hook says.
    pub(crate) fn new(
        kind: SocketKind,
        mptcp: bool,
        role: Role,
        owner: &Owner<'_>,
        always: bool,
    ) -> io::Result<Self> {
        let (domain, datagrams) = match kind {
            SocketKind::TcpV4 => (Domain::IPV4, false),
            SocketKind::TcpV6 => (Domain::IPV6, false),
            SocketKind::UdpV4 => (Domain::IPV4, true),
            SocketKind::UdpV6 => (Domain::IPV6, true),
            SocketKind::Unix => (Domain::UNIX, false),
        };
        let protocol = match (domain, datagrams) {
            (Domain::UNIX, _) => None,
            (_, true) => Some(Protocol::UDP),
            #[cfg(target_os = "linux")]
            _ if mptcp => Some(Protocol::MPTCP),
            #[cfg(not(target_os = "linux"))]
            _ if mptcp => return Err(io::ErrorKind::Unsupported.into()),
            _ => Some(Protocol::TCP),
        };
        let make =
            || nonblocking(domain, if datagrams { Type::DGRAM } else { Type::STREAM }, protocol);
        let (socket, tracked) = Tracked::make(owner, kind, role, always, make)?;
        Ok(Self { socket, tracked })
    }

    /// Lets the hooks and the caller set up the socket.
    ///
    /// # Errors
    /// Theirs.
    pub(crate) fn control(&self, addr: &Addr, control: Option<&Control>) -> io::Result<()> {
        self.tracked.control(addr, &self.socket, |op, socket| {
            control.map_or(Ok(()), |control| control.call(op, socket))
        })
    }

    /// Gives it its local address.
    ///
    /// # Errors
    /// What bind(2) or a hook says.
    pub(crate) fn bind(&self, addr: &Addr, to: &SockAddr) -> io::Result<()> {
        self.tracked.call(Call::Bind, Some(addr), || self.socket.bind(to))
    }

    /// Makes it a listener.
    ///
    /// # Errors
    /// What listen(2) or a hook says.
    pub(crate) fn listen(&self, addr: &Addr, backlog: u32) -> io::Result<()> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        self.tracked.call(Call::Listen, Some(addr), || self.socket.listen(backlog))
    }
}

/// A socket that never blocks and that child processes do not inherit.
pub(crate) fn nonblocking(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> io::Result<Socket> {
    // Linux takes this as a flag, and needs no second call.
    #[cfg(target_os = "linux")]
    return Socket::new(domain, kind.nonblocking(), protocol);
    #[cfg(not(target_os = "linux"))]
    {
        let socket = Socket::new(domain, kind, protocol)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}
