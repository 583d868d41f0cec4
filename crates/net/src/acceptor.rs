//! Accepts connections, and lets the hooks see them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::task::{Context, Poll, ready};

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::unix::AsyncFd;

use crate::hook::{Bound, Gate};
use crate::{PeerAddr, Stream, sys};

/// A listening TCP socket whose connections come unwatched: see [`Stream::watch`].
#[derive(Debug)]
pub struct TcpAcceptor {
    listener: Bound<AsyncFd<TcpListener>>,
    gate: Gate,
}

impl TcpAcceptor {
    /// Has the event loop of this thread watch the listener, which must be nonblocking.
    ///
    /// # Errors
    /// The system has no room for another descriptor to watch.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(listener: Bound<TcpListener>) -> io::Result<Self> {
        Ok(Self { listener: listener.map(sys::watch)?, gate: Gate::default() })
    }

    /// Accepts a connection. One that a hook forbids is closed, and one that a hook delays held back, while others go
    /// on.
    ///
    /// # Errors
    /// What accept(2) says; see [`accept_error`](crate::accept_error()).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        self.gate.poll_accept(cx, self.listener.tracked(), |cx| self.poll_next(cx))
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        loop {
            let mut guard = ready!(self.listener.poll_read_ready(cx))?;
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let accept = |fd: &AsyncFd<TcpListener>| Ok(acceptfrom_with(fd.get_ref(), flags)?);
            match guard.try_io(accept) {
                Ok(Ok((fd, peer))) => {
                    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
                    let socket = std::net::TcpStream::from(fd);
                    return Poll::Ready(Ok((Stream::from(socket), PeerAddr::from(peer))));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_) => {} // nothing there: wait for the next event
            }
        }
    }
}

/// A listening unix socket.
#[cfg(unix)]
#[derive(Debug)]
pub struct UnixAcceptor {
    listener: Bound<tokio::net::UnixListener>,
    gate: Gate,
}

#[cfg(unix)]
impl UnixAcceptor {
    /// Has the event loop of this thread watch the listener, which must be nonblocking.
    ///
    /// # Errors
    /// The system has no room for another descriptor to watch.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(listener: Bound<std::os::unix::net::UnixListener>) -> io::Result<Self> {
        let listener = listener.map(tokio::net::UnixListener::from_std)?;
        Ok(Self { listener, gate: Gate::default() })
    }

    /// Accepts a connection, as [`TcpAcceptor::poll_accept`] does.
    ///
    /// # Errors
    /// What accept(2) says; see [`accept_error`](crate::accept_error()).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        self.gate.poll_accept(cx, self.listener.tracked(), |cx| {
            let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
            Poll::Ready(Ok((Stream::from(stream), PeerAddr::from(peer))))
        })
    }
}
