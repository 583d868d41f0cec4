//! Open a connection to the other side.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rosn_base::Addr;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket, UnixStream};

use crate::listen::set_transparent;
use crate::{DialOptions, Stream};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum DialError {
    /// The target is a name, which has to be resolved first.
    #[error("cannot connect to {target}: the name has to be resolved first")]
    Unresolved {
        /// Where to.
        target: Addr,
    },
    /// The name could not be resolved.
    #[error("cannot connect to {target}: the name cannot be resolved: {source}")]
    Resolve {
        /// Where to.
        target: Addr,
        /// The resolver's answer.
        source: io::Error,
    },
    /// There is no address to connect to.
    #[error("cannot connect to {target}: {what}")]
    NoAddress {
        /// Where to.
        target: Addr,
        /// What is lacking.
        what: &'static str,
    },
    /// The socket could not be made or set up, so nothing was sent; trying another host will not
    /// help.
    #[error("cannot connect to {target}: {step}: {}", explain(source))]
    Setup {
        /// Where to.
        target: Addr,
        /// Which step failed, such as `SO_MARK`.
        step: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The other side refused or could not be reached.
    #[error("cannot connect to {target}: {}", explain(source))]
    Connect {
        /// Where to.
        target: Addr,
        /// The system's answer.
        source: io::Error,
    },
}

impl DialError {
    /// The kind of the system's answer; `InvalidInput` for a name that was not resolved, `AddrNotAvailable` for one
    /// without an address.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Unresolved { .. } => io::ErrorKind::InvalidInput,
            Self::NoAddress { .. } => io::ErrorKind::AddrNotAvailable,
            Self::Resolve { source, .. }
            | Self::Setup { source, .. }
            | Self::Connect { source, .. } => source.kind(),
        }
    }

    /// Where to.
    pub fn target(&self) -> &Addr {
        match self {
            Self::Unresolved { target }
            | Self::Resolve { target, .. }
            | Self::NoAddress { target, .. }
            | Self::Setup { target, .. }
            | Self::Connect { target, .. } => target,
        }
    }
}

/// Connects to an IP address or a unix socket.
///
/// A TCP connection comes with TCP_NODELAY, and with keep-alive after 15 s as in Go. There is no
/// timeout but the system's (about two minutes): drop the future to give up.
///
/// Cancel safety: dropping the future closes the socket.
///
/// # Errors
/// See [`DialError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O enabled.
pub async fn dial(target: &Addr, options: &DialOptions) -> Result<Stream, DialError> {
    let stream = match target {
        Addr::Ip(addr) => dial_tcp(*addr, options).await.map(Stream::from),
        Addr::Unix(path) => dial_unix(path).map(Stream::from),
        Addr::Name(..) => return Err(DialError::Unresolved { target: target.clone() }),
    };
    stream.map_err(|failure| failure.dialing(target.clone()))
}

/// A UDP socket that talks with `target` only; `mark` is SO_MARK, 0 for none.
///
/// An ICMP "port unreachable" shows as `ConnectionRefused` on a later send or receive.
///
/// # Errors
/// See [`DialError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O enabled.
pub fn dial_udp(target: SocketAddr, mark: u32) -> Result<UdpSocket, DialError> {
    connected_udp(target, mark).map_err(|failure| failure.dialing(Addr::Ip(target)))
}

async fn dial_tcp(target: SocketAddr, options: &DialOptions) -> Result<TcpStream, Failure> {
    let socket = tcp_socket(target, options)?;
    let pending = match socket.connect(&target.into()) {
        Ok(()) => false,
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => true,
        Err(error) => return Err(Failure::connect(error)),
    };
    let stream = TcpStream::from_std(socket.into()).map_err(Failure::at("epoll"))?;
    if pending {
        let ready = stream.ready(Interest::WRITABLE).await.map_err(Failure::at("epoll"))?;
        // A socket that failed to connect is hung up; without that no system call need ask.
        if ready.is_write_closed()
            && let Some(error) = stream.take_error().map_err(Failure::connect)?
        {
            return Err(Failure::connect(error));
        }
    }
    Ok(stream)
}

fn tcp_socket(target: SocketAddr, options: &DialOptions) -> Result<Socket, Failure> {
    let domain = Domain::for_address(target);
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(domain, kind, Some(Protocol::TCP)).map_err(Failure::at("socket"))?;
    socket.set_tcp_nodelay(true).map_err(Failure::at("TCP_NODELAY"))?;
    if options.socket.mark != 0 {
        socket.set_mark(options.socket.mark).map_err(Failure::at("SO_MARK"))?;
    }
    if options.socket.transparent {
        set_transparent(&socket, target).map_err(Failure::at("IP_TRANSPARENT"))?;
    }
    if let Some(local) = options.bind {
        socket.bind(&local.into()).map_err(Failure::at("bind"))?;
    }
    Ok(socket)
}

fn dial_unix(path: &Path) -> Result<UnixStream, Failure> {
    let address = SockAddr::unix(path).map_err(Failure::at("the path"))?;
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::UNIX, kind, None).map_err(Failure::at("socket"))?;
    // It is never in progress: it is queued at the listener at once, or fails.
    socket.connect(&address).map_err(Failure::connect)?;
    UnixStream::from_std(OwnedFd::from(socket).into()).map_err(Failure::at("epoll"))
}

fn connected_udp(target: SocketAddr, mark: u32) -> Result<UdpSocket, Failure> {
    let domain = Domain::for_address(target);
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(domain, kind, Some(Protocol::UDP)).map_err(Failure::at("socket"))?;
    if mark != 0 {
        socket.set_mark(mark).map_err(Failure::at("SO_MARK"))?;
    }
    socket.connect(&target.into()).map_err(Failure::connect)?;
    UdpSocket::from_std(socket.into()).map_err(Failure::at("epoll"))
}

/// A [`DialError`] before it is known where to.
struct Failure {
    /// What was set up; `None` = connecting itself.
    step: Option<&'static str>,
    source: io::Error,
}

impl Failure {
    fn at(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { step: Some(step), source }
    }

    fn connect(source: io::Error) -> Self {
        Self { step: None, source }
    }

    fn dialing(self, target: Addr) -> DialError {
        let source = self.source;
        match self.step {
            Some(step) => DialError::Setup { target, step, source },
            None => DialError::Connect { target, source },
        }
    }
}

/// The error in words, with what may be behind it.
fn explain(error: &io::Error) -> String {
    let text = match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => "refused: nothing listens there",
        Some(Errno::TIMEDOUT) => "no answer",
        Some(Errno::HOSTUNREACH) => "no route to that host, or it is down",
        Some(Errno::NETUNREACH) => "no route to that network",
        Some(Errno::CONNRESET) => "the other side reset the connection",
        Some(Errno::ADDRNOTAVAIL) => {
            "no free local port, or the local address is not of this machine"
        }
        Some(Errno::NOENT) => "there is no such socket file",
        Some(Errno::AGAIN) => "the socket's queue of waiting connections is full",
        Some(Errno::MFILE) => "too many open files in this process (raise `ulimit -n`)",
        Some(Errno::NFILE) => "too many open files on this machine",
        Some(Errno::AFNOSUPPORT) => "this machine has no such address family (IPv6 may be off)",
        Some(Errno::PERM | Errno::ACCESS) => {
            "not permitted (a capability or a file mode is lacking)"
        }
        _ => return error.to_string(),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests;
