//! Accepts TCP connections without having the event loop watch them yet.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::task::{Context, Poll, ready};

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::unix::AsyncFd;

use crate::{PeerAddr, Stream, sys};

/// A listening TCP socket whose connections come unwatched: see [`Stream::watch`].
#[derive(Debug)]
pub struct TcpAcceptor(AsyncFd<TcpListener>);

impl TcpAcceptor {
    /// Has the event loop of this thread watch the listener, which must be nonblocking.
    ///
    /// # Errors
    /// The system has no room for another descriptor to watch.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        sys::watch(listener).map(Self)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// What accept(2) says; see [`accept_error`](crate::accept_error()).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
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
