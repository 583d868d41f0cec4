//! A connection: TCP or unix.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::PeerAddr;

/// Go's default for dialed and accepted connections (`net.defaultTCPKeepAliveInterval`).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An open connection, accepted or dialed.
///
/// It reads and writes through [`AsyncRead`] and [`AsyncWrite`]. Dropping it closes it; see
/// [`Stream::reset`] for the other way to close.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A connection through a unix socket.
    Unix(UnixStream),
    /// A TCP connection that was just accepted.
    Unwatched(Unwatched),
}

/// A TCP connection that no event loop watches: it is tried first, and becomes [`Stream::Tcp`] when a
/// call would block.
///
/// A request is often there when its connection is accepted. One that is answered and closed without
/// ever having to wait saves the system calls that begin and end the watching.
#[derive(Debug)]
pub struct Unwatched(Option<std::net::TcpStream>);

impl Unwatched {
    fn socket(&self) -> &std::net::TcpStream {
        self.0.as_ref().expect("it is taken only by what becomes a Stream::Tcp")
    }

    /// Gives the socket back.
    pub fn into_std(mut self) -> std::net::TcpStream {
        self.0.take().expect("it is taken only by what becomes a Stream::Tcp")
    }
}

impl From<std::net::TcpStream> for Stream {
    /// The socket must be nonblocking.
    fn from(socket: std::net::TcpStream) -> Self {
        Self::Unwatched(Unwatched(Some(socket)))
    }
}

impl Stream {
    /// Whether the event loop knows the stream, so that its task can be woken. One that is not watched
    /// always looks ready.
    pub fn is_watched(&self) -> bool {
        !matches!(self, Self::Unwatched(_))
    }

    /// Has the event loop watch the stream from now on.
    ///
    /// # Errors
    /// The system has no room for another descriptor to watch.
    pub fn watch(&mut self) -> io::Result<()> {
        if let Self::Unwatched(socket) = self
            && let Some(socket) = socket.0.take()
        {
            *self = Self::Tcp(TcpStream::from_std(socket)?);
        }
        Ok(())
    }

    /// Notices dead peers while nothing is sent (Go's 15 s). Accepted connections do so already.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_keep_alive(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).set_tcp_keepalive(&keep_alive()),
            Self::Unix(_) | Self::Unwatched(_) => Ok(()),
        }
    }

    /// The descriptor whose bytes are this stream's bytes, for splice and hand-over; `None` where
    /// what is read is not what is on the wire.
    pub fn plain_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Some(stream.as_fd()),
            Self::Unwatched(stream) => Some(stream.socket().as_fd()),
            Self::Unix(stream) => Some(stream.as_fd()),
        }
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Fails where the connection is gone already.
    pub fn peer_addr(&self) -> io::Result<PeerAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().map(PeerAddr::from),
            Self::Unwatched(stream) => stream.socket().peer_addr().map(PeerAddr::from),
            Self::Unix(stream) => stream.peer_addr().map(PeerAddr::from),
        }
    }

    /// The address of this end.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<PeerAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().map(PeerAddr::from),
            Self::Unwatched(stream) => stream.socket().local_addr().map(PeerAddr::from),
            Self::Unix(stream) => stream.local_addr().map(PeerAddr::from),
        }
    }

    /// Sends small writes at once (TCP_NODELAY); nothing to do for a unix socket.
    ///
    /// Not needed for streams of this crate's listeners and of [`dial`](crate::dial()): they
    /// inherit it from the listener, or have it set.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(on),
            Self::Unwatched(stream) => stream.socket().set_nodelay(on),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Ends the sending direction, so that the peer reads an end of file; the other direction
    /// stays open.
    ///
    /// # Errors
    /// What shutdown(2) says, which is `NotConnected` where the peer has reset the connection.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).shutdown(std::net::Shutdown::Write),
            Self::Unwatched(stream) => stream.socket().shutdown(std::net::Shutdown::Write),
            Self::Unix(stream) => SockRef::from(stream).shutdown(std::net::Shutdown::Write),
        }
    }

    /// Closes with a reset: the peer sees `ConnectionReset` instead of an end of file, and what
    /// was not sent yet is dropped. A unix socket is closed plainly.
    pub fn reset(self) {
        self.reset_on_close();
    }

    /// Makes dropping the stream a [`Stream::reset`].
    pub(crate) fn reset_on_close(&self) {
        // It fails only for a descriptor that is no socket; then there is nothing to reset.
        let _ = match self {
            Self::Tcp(stream) => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            Self::Unwatched(stream) => {
                SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO))
            }
            Self::Unix(_) => Ok(()),
        };
    }

    /// Waits until there is something to read, an end of file or an error; with
    /// [`Stream::try_read`] this reads without holding a buffer while waiting.
    ///
    /// # Errors
    /// Fails where the runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Unwatched(_) => Poll::Ready(Ok(())),
        }
    }

    /// Waits until there is room to write, or an error.
    ///
    /// # Errors
    /// Fails where the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
            Self::Unwatched(_) => Poll::Ready(Ok(())),
        }
    }

    /// Reads what there is, without waiting. `Ok(0)` is an end of file.
    ///
    /// # Errors
    /// `WouldBlock` where there is nothing; else what recv(2) says.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(into),
            Self::Unix(stream) => stream.try_read(into),
            Self::Unwatched(stream) => stream.socket().read(into),
        }
    }

    /// Whether the peer has sent nothing that was not read, nor ended. This asks the kernel, and not
    /// the event loop, which knows only what was so when it last waited.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut byte),
            Self::Unwatched(stream) => SockRef::from(stream.socket()).peek(&mut byte),
            Self::Unix(stream) => SockRef::from(stream).peek(&mut byte),
        };
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Runs a system call on the descriptor if the stream is thought ready for it; `WouldBlock`
    /// from `call` takes that thought back until the next event.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, call),
            Self::Unix(stream) => stream.try_io(interest, call),
            Self::Unwatched(_) => call(),
        }
    }

    /// The pending error of the socket, which is thereby taken.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            Self::Unix(stream) => stream.take_error(),
            Self::Unwatched(stream) => stream.socket().take_error(),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Self::Unwatched(stream) = this {
            match stream.socket().read(buf.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => this.watch()?,
                read => return Poll::Ready(read.map(|count| buf.advance(count))),
            }
        }
        match this {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unwatched(_) => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Self::Unwatched(stream) = this {
            match stream.socket().write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => this.watch()?,
                written => return Poll::Ready(written),
            }
        }
        match this {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unwatched(_) => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Self::Unwatched(stream) = this {
            match stream.socket().write_vectored(slices) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => this.watch()?,
                written => return Poll::Ready(written),
            }
        }
        match this {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unwatched(_) => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // sockets have no buffer of their own
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}

/// Sends small writes at once and notices dead peers. On a listener it holds for every connection
/// that it accepts, which inherits both (Linux).
pub(crate) fn tune_tcp(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keep_alive())
}

fn keep_alive() -> TcpKeepalive {
    TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE)
}

#[cfg(test)]
mod tests;
