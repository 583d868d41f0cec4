//! Open a connection to the other side.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::Location;
use std::path::Path;

use rosn_base::Addr;
use rustix::io::Errno;
use socket2::{SockAddr, Socket};
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::hook::{Asked, Bound, Call, Opening, Owner, Role, SocketKind};
use crate::listen::shown;
use crate::options::{Refused, refusal};
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
    #[error("cannot connect to {}: {step}: {}", shown(target), explain_step(step, source))]
    Setup {
        /// Where to.
        target: Addr,
        /// Which step failed, such as `SO_MARK`.
        step: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The other side refused or could not be reached.
    #[error("cannot connect to {}: {}", shown(target), explain(source))]
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

    /// The message without where to.
    pub fn reason(&self) -> String {
        let text = self.to_string();
        let where_to = format!("cannot connect to {}: ", shown(self.target()));
        text.strip_prefix(&where_to).unwrap_or(&text).to_owned()
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

/// Connects to an IP address or a unix socket; a path that begins with NUL is a name of Linux's abstract namespace.
///
/// A TCP connection comes with TCP_NODELAY, and with keep-alive after 15 s as in Go where the options do not say
/// otherwise. There is no timeout but the system's (about two minutes): drop the future to give up.
///
/// Cancel safety: dropping the future closes the socket.
///
/// # Errors
/// See [`DialError`].
///
/// # Panics
/// Polled outside of a tokio runtime with I/O enabled; where a hook delays, with time enabled.
#[track_caller]
pub fn dial<'a>(
    target: &'a Addr,
    options: &'a DialOptions,
) -> impl Future<Output = Result<Stream, DialError>> + Send + use<'a> {
    let location = Location::caller();
    async move {
        let dialing = Dialing { target, options, location };
        let stream = match target {
            Addr::Ip(addr) => dialing.tcp(*addr).await,
            #[cfg(unix)]
            Addr::Unix(path) => dialing.unix(path).await,
            #[cfg(not(unix))]
            Addr::Unix(_) => Err(Failure::connect(io::ErrorKind::Unsupported.into())),
            Addr::Name(..) => return Err(DialError::Unresolved { target: target.clone() }),
        };
        stream.map_err(|failure| failure.dialing(target.clone()))
    }
}

/// A UDP socket that talks with `target` only. Needs no runtime: `.map(tokio::net::UdpSocket::from_std)` puts it into
/// one.
///
/// An ICMP "port unreachable" shows as `ConnectionRefused` on a later send or receive.
///
/// # Errors
/// See [`DialError`].
#[track_caller]
pub fn dial_udp(target: SocketAddr, options: &DialOptions) -> Result<Bound<UdpSocket>, DialError> {
    let location = Location::caller();
    let addr = Addr::Ip(target);
    let socket = Dialing { target: &addr, options, location }.udp(target);
    socket.map_err(|failure| failure.dialing(addr))
}

/// A dial under way.
struct Dialing<'a> {
    target: &'a Addr,
    options: &'a DialOptions,
    location: &'static Location<'static>,
}

impl Dialing<'_> {
    async fn tcp(&self, target: SocketAddr) -> Result<Stream, Failure> {
        let kind = if target.is_ipv4() { SocketKind::TcpV4 } else { SocketKind::TcpV6 };
        let opening = self.open(kind, self.options.bind)?;
        // In this order, so that the hooks are told of the end after the socket was closed.
        let (tracked, socket) = (opening.tracked, opening.socket);
        let mut asked = tracked.ask(Call::Connect, Some(self.target)).map_err(Failure::connect)?;
        let connected = match &mut asked {
            Some(asked) => {
                asked.wait().await;
                connect(socket, target, Some(asked)).await
            }
            None => connect(socket, target, None).await,
        };
        Ok(Stream::from(finish(asked, connected)?).track(tracked))
    }

    #[cfg(unix)]
    async fn unix(&self, path: &Path) -> Result<Stream, Failure> {
        let address = SockAddr::unix(path).map_err(Failure::at("the path"))?;
        let opening = self.open(SocketKind::Unix, None)?;
        let (tracked, socket) = (opening.tracked, opening.socket);
        let mut asked = tracked.ask(Call::Connect, Some(self.target)).map_err(Failure::connect)?;
        if let Some(asked) = &mut asked {
            asked.wait().await;
        }
        // It is never in progress: it is queued at the listener at once, or fails.
        let connected = socket.connect(&address).map_err(Failure::connect);
        finish(asked, connected)?;
        let socket = std::os::fd::OwnedFd::from(socket).into();
        let stream = tokio::net::UnixStream::from_std(socket).map_err(Failure::at("epoll"))?;
        Ok(Stream::from(stream).track(tracked))
    }

    fn udp(&self, target: SocketAddr) -> Result<Bound<UdpSocket>, Failure> {
        let kind = if target.is_ipv4() { SocketKind::UdpV4 } else { SocketKind::UdpV6 };
        let Opening { socket, tracked } = self.open(kind, self.options.bind)?;
        let bound = Bound::new(UdpSocket::from(socket), tracked);
        bound
            .tracked()
            .call(Call::Connect, Some(self.target), || bound.connect(target))
            .map_err(Failure::connect)?;
        Ok(bound)
    }

    /// Makes a socket that is ready to be connected.
    fn open(&self, kind: SocketKind, local: Option<SocketAddr>) -> Result<Opening, Failure> {
        let Self { target, options, location } = *self;
        if let (Some(local), Some(target)) = (local, target.as_ip())
            && local.is_ipv4() != target.is_ipv4()
        {
            let text = "the address to dial from is of another family than the target";
            let error = io::Error::new(io::ErrorKind::InvalidInput, text);
            return Err(Failure::at("bind")(error));
        }
        let owner = Owner { name: &options.owner, hooks: &options.hooks, location };
        let mptcp = options.socket.mptcp;
        let opening = Opening::new(kind, mptcp, Role::Dialer, &owner, options.control.is_some())
            .map_err(Failure::at(if mptcp { "MPTCP" } else { "socket" }))?;
        options.socket.apply(&opening.socket, kind, Role::Dialer)?;
        opening.control(target, options.control.as_ref()).map_err(Failure::at("control"))?;
        if let Some(local) = local {
            let bind = opening.bind(&Addr::Ip(local), &local.into());
            bind.map_err(Failure::at("bind"))?;
        }
        Ok(opening)
    }
}

async fn connect(
    socket: Socket,
    target: SocketAddr,
    asked: Option<&mut Asked>,
) -> Result<TcpStream, Failure> {
    let pending = match socket.connect(&target.into()) {
        Ok(()) => false,
        Err(error) if is_pending(&error) => true,
        Err(error) => return Err(Failure::connect(error)),
    };
    let stream = TcpStream::from_std(socket.into()).map_err(Failure::at("epoll"))?;
    if pending {
        if let Some(asked) = asked {
            asked.pending();
        }
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

/// Whether the connection was begun: EINPROGRESS, and WSAEWOULDBLOCK on Windows.
fn is_pending(error: &io::Error) -> bool {
    match Errno::from_io_error(error) {
        Some(Errno::INPROGRESS) => true,
        Some(Errno::WOULDBLOCK) => cfg!(windows),
        _ => false,
    }
}

/// Tells the hooks what came of a connect.
fn finish<T>(asked: Option<Asked>, connected: Result<T, Failure>) -> Result<T, Failure> {
    let Some(asked) = asked else { return connected };
    let mut step = None;
    let connected = connected.map_err(|failure| {
        step = failure.step;
        failure.source
    });
    asked.finish(connected).map_err(|source| Failure { step, source })
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

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self { step: Some(refused.option), source: refused.source }
    }
}

/// The error of a step in words: options are in capitals.
fn explain_step(step: &str, error: &io::Error) -> String {
    let is_option = step.starts_with(|c: char| c.is_ascii_uppercase());
    if is_option { refusal(step, error) } else { explain(error) }
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
