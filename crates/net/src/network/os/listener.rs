//! A listening socket that is watched from the first poll on.

use std::io;
use std::task::{Context, Poll, ready};

use rosn_base::Addr;

use crate::network::NetListener;
use crate::{
    AcceptAction, BindError, Bound, ListenOptions, PeerAddr, Stream, TcpAcceptor, accept_error,
    bind_tcp,
};
#[cfg(unix)]
use crate::{SocketFile, UnixAcceptor, bind_unix};

/// Errors of single connections that are passed over in one poll; then other tasks get their turn.
const PASSED_OVER: usize = 64;

/// A TCP or unix listener.
#[derive(Debug)]
pub(super) struct OsListener {
    socket: Socket,
    addr: Addr,
}

#[derive(Debug)]
enum Socket {
    /// Bound, and not watched yet.
    Tcp(Bound<std::net::TcpListener>),
    WatchedTcp(TcpAcceptor),
    #[cfg(unix)]
    Unix(Bound<std::os::unix::net::UnixListener>, Option<SocketFile>),
    #[cfg(unix)]
    WatchedUnix(UnixAcceptor, #[expect(dead_code, reason = "kept")] Option<SocketFile>),
    /// The event loop refused to watch it.
    Gone,
}

impl OsListener {
    pub(super) fn bind(addr: &Addr, options: &ListenOptions) -> Result<Self, BindError> {
        let other = |source| BindError::Other { addr: addr.clone(), source };
        match addr {
            Addr::Ip(ip) => {
                let listener = bind_tcp(*ip, options)?;
                let addr = Addr::Ip(listener.local_addr().map_err(other)?);
                Ok(Self { socket: Socket::Tcp(listener), addr })
            }
            #[cfg(unix)]
            Addr::Unix(path) => {
                let bound = bind_unix(path, options)?;
                let socket = Socket::Unix(bound.listener, bound.file);
                Ok(Self { socket, addr: addr.clone() })
            }
            #[cfg(not(unix))]
            Addr::Unix(_) => Err(other(io::ErrorKind::Unsupported.into())),
            Addr::Name(..) => {
                let text = "a name cannot be listened on: write an IP address";
                Err(other(io::Error::new(io::ErrorKind::InvalidInput, text)))
            }
        }
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        self.socket.watch()?;
        match &self.socket {
            Socket::WatchedTcp(acceptor) => acceptor.poll_accept(cx),
            #[cfg(unix)]
            Socket::WatchedUnix(acceptor, _) => acceptor.poll_accept(cx),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl Socket {
    /// Has the event loop of this thread watch it from now on.
    fn watch(&mut self) -> io::Result<()> {
        let watched = matches!(self, Self::WatchedTcp(_) | Self::Gone);
        #[cfg(unix)]
        let watched = watched || matches!(self, Self::WatchedUnix(..));
        if watched {
            return Ok(());
        }
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Tcp(listener) => Self::WatchedTcp(TcpAcceptor::new(listener)?),
            #[cfg(unix)]
            Self::Unix(listener, file) => Self::WatchedUnix(UnixAcceptor::new(listener)?, file),
            watched => watched,
        };
        Ok(())
    }
}

impl NetListener for OsListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        for _ in 0..PASSED_OVER {
            match ready!(self.poll_once(cx)) {
                Err(error) if accept_error(&error) == AcceptAction::Retry => {}
                accepted => return Poll::Ready(accepted),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn local_addr(&self) -> Addr {
        self.addr.clone()
    }
}
