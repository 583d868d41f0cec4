//! A connection: TCP, unix, or what a transport makes of one.

mod boxed;
mod bytes;
mod released;

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::hook::Tracked;
use crate::{Io, KeepAlive, PeerAddr, sys};
use boxed::Boxed;
pub use released::Released;

/// An open connection, accepted or dialed.
///
/// It reads and writes through [`AsyncRead`](tokio::io::AsyncRead) and [`AsyncWrite`](tokio::io::AsyncWrite). Dropping
/// it closes it; see [`Stream::reset`] for the other way to close.
#[derive(Debug)]
pub struct Stream {
    kind: Kind,
    /// Tells hooks when it closes.
    tracked: Tracked,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    /// A TCP connection that no event loop watches: it is tried first, and becomes `Tcp` when a call would block.
    ///
    /// A request is often there when its connection is accepted. One that is answered and closed without
    /// ever having to wait saves the system calls that begin and end the watching.
    Unwatched(std::net::TcpStream),
    Boxed(Box<Boxed>),
    /// Closed, or taken out.
    Gone,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.tracked.is_seen() && !matches!(self.kind, Kind::Gone) {
            self.tracked.closing();
            self.kind = Kind::Gone;
            self.tracked.closed();
        }
    }
}

impl From<std::net::TcpStream> for Stream {
    /// The socket must be nonblocking. The event loop watches it from the first call on that would block.
    fn from(socket: std::net::TcpStream) -> Self {
        Self::new(Kind::Unwatched(socket))
    }
}

impl Stream {
    fn new(kind: Kind) -> Self {
        Self { kind, tracked: Tracked::default() }
    }

    /// A connection of what a transport has made of one. Hooks know the connection below it.
    pub fn boxed(io: impl Io) -> Self {
        Self::new(Kind::Boxed(Box::new(Boxed::new(Box::new(io)))))
    }

    /// Has hooks told when the connection closes.
    pub(crate) fn track(mut self, tracked: Tracked) -> Self {
        self.tracked = tracked;
        self
    }

    /// Whether hooks know it.
    pub(crate) fn is_tracked(&self) -> bool {
        self.tracked.is_seen()
    }

    /// Whether the event loop knows the stream, so that its task can be woken. One that is not watched
    /// always looks ready.
    pub fn is_watched(&self) -> bool {
        !matches!(self.kind, Kind::Unwatched(_))
    }

    /// Has the event loop watch the stream from now on.
    ///
    /// # Errors
    /// The system has no room for another descriptor to watch.
    pub fn watch(&mut self) -> io::Result<()> {
        if let Kind::Unwatched(_) = self.kind
            && let Kind::Unwatched(socket) = std::mem::replace(&mut self.kind, Kind::Gone)
        {
            self.kind = Kind::Tcp(TcpStream::from_std(socket)?);
        }
        Ok(())
    }

    /// Notices dead peers from now on while nothing is sent; nothing to do for what is not TCP itself. Accepted
    /// connections have it of their listener. For those who dial with [`KeepAlive::System`], so that a short connection
    /// is spared the system calls.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_keep_alive(&self, keep_alive: &KeepAlive) -> io::Result<()> {
        match &self.kind {
            Kind::Tcp(stream) => keep_alive.apply(&SockRef::from(stream)),
            _ => Ok(()),
        }
    }

    /// The descriptor whose bytes are this stream's bytes, for splice and hand-over; `None` where
    /// what is read is not what is on the wire.
    #[cfg(unix)]
    pub fn plain_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            Kind::Tcp(stream) => Some(stream.as_fd()),
            Kind::Unwatched(stream) => Some(stream.as_fd()),
            Kind::Unix(stream) => Some(stream.as_fd()),
            Kind::Boxed(_) | Kind::Gone => None,
        }
    }

    /// Whether it is a TCP connection itself, and not something above one.
    pub fn is_tcp(&self) -> bool {
        matches!(self.kind, Kind::Tcp(_) | Kind::Unwatched(_))
    }

    /// The socket below, where there is one to be set up.
    pub fn socket(&self) -> Option<SockRef<'_>> {
        match &self.kind {
            Kind::Tcp(stream) => Some(SockRef::from(stream)),
            Kind::Unwatched(stream) => Some(SockRef::from(stream)),
            #[cfg(unix)]
            Kind::Unix(stream) => Some(SockRef::from(stream)),
            Kind::Boxed(_) | Kind::Gone => None,
        }
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Fails where the connection is gone already.
    pub fn peer_addr(&self) -> io::Result<PeerAddr> {
        match &self.kind {
            Kind::Tcp(stream) => stream.peer_addr().map(PeerAddr::from),
            Kind::Unwatched(stream) => stream.peer_addr().map(PeerAddr::from),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.peer_addr().map(PeerAddr::from),
            Kind::Boxed(boxed) => boxed.io.peer_addr(),
            Kind::Gone => Err(gone()),
        }
    }

    /// The address of this end.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<PeerAddr> {
        match &self.kind {
            Kind::Tcp(stream) => stream.local_addr().map(PeerAddr::from),
            Kind::Unwatched(stream) => stream.local_addr().map(PeerAddr::from),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.local_addr().map(PeerAddr::from),
            Kind::Boxed(boxed) => boxed.io.local_addr(),
            Kind::Gone => Err(gone()),
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
        match &self.kind {
            Kind::Tcp(stream) => stream.set_nodelay(on),
            Kind::Unwatched(stream) => stream.set_nodelay(on),
            _ => Ok(()),
        }
    }

    /// Closes with a reset: the peer sees `ConnectionReset` instead of an end of file, and what
    /// was not sent yet is dropped. A unix socket is closed plainly.
    pub fn reset(mut self) {
        self.reset_on_close();
    }

    /// Whether the end of file that reading has met may not be the end of what the peer meant to send, see
    /// [`Io::was_cut_off`]. Never of a socket: its end is all that there is to say.
    pub fn was_cut_off(&self) -> bool {
        matches!(&self.kind, Kind::Boxed(boxed) if boxed.io.was_cut_off())
    }

    /// Makes dropping the stream a [`Stream::reset`].
    pub(crate) fn reset_on_close(&mut self) {
        // It fails only for a descriptor that is no socket; then there is nothing to reset.
        let _ = match &mut self.kind {
            Kind::Tcp(stream) => SockRef::from(&*stream).set_linger(Some(Duration::ZERO)),
            Kind::Unwatched(stream) => SockRef::from(&*stream).set_linger(Some(Duration::ZERO)),
            Kind::Boxed(boxed) => {
                boxed.io.abort();
                Ok(())
            }
            _ => Ok(()),
        };
    }

    /// Waits until there is something to read, an end of file or an error; a read then does not have to wait.
    /// So a buffer need not be held while waiting.
    ///
    /// # Errors
    /// Fails where the runtime is shutting down.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => stream.poll_read_ready(cx),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.poll_read_ready(cx),
            Kind::Boxed(boxed) => boxed.poll_read_ready(cx).map(Ok),
            Kind::Unwatched(_) | Kind::Gone => Poll::Ready(Ok(())),
        }
    }

    /// Waits until there is room to write, or an error. What is not a socket always looks as if there were.
    ///
    /// # Errors
    /// Fails where the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.kind {
            Kind::Tcp(stream) => stream.poll_write_ready(cx),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.poll_write_ready(cx),
            Kind::Unwatched(_) | Kind::Boxed(_) | Kind::Gone => Poll::Ready(Ok(())),
        }
    }

    /// Looks at what there is to read without taking it. `Ok(0)` is an end of file.
    ///
    /// A second look at once sees the same bytes: read them before waiting for more, or see
    /// [`Stream::poll_peek_more`].
    ///
    /// # Errors
    /// What recv(2) says.
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.poll_peek_more(cx, 0, into)
    }

    /// Looks at what there is to read without taking it, once that is more than `seen` bytes. Not more than `seen` are
    /// there where no more will come: the peer has ended, or this stream shows no more before the first are read. What is
    /// no socket shows at most 24 bytes.
    ///
    /// # Errors
    /// What recv(2) says.
    pub fn poll_peek_more(
        &mut self,
        cx: &mut Context<'_>,
        seen: usize,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.watch()?;
        loop {
            match &mut self.kind {
                Kind::Tcp(stream) => ready!(stream.poll_read_ready(cx))?,
                #[cfg(unix)]
                Kind::Unix(stream) => ready!(stream.poll_read_ready(cx))?,
                Kind::Boxed(boxed) => return boxed.poll_peek_more(cx, seen, into),
                Kind::Unwatched(_) | Kind::Gone => return Poll::Ready(Err(gone())),
            }
            // `WouldBlock` makes the event loop wait for what comes after the bytes that are there.
            let socket = self.socket().ok_or_else(gone)?;
            let peeked = self.try_io(Interest::READABLE, || peek_more(&socket, seen, into));
            match peeked {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                peeked => return Poll::Ready(peeked),
            }
        }
    }

    /// Whether the peer has sent nothing that was not read, nor ended. This asks the kernel, and not
    /// the event loop, which knows only what was so when it last waited.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match &mut self.kind {
            Kind::Boxed(boxed) => {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                return boxed.poll_read_ready(&mut cx).is_pending();
            }
            Kind::Tcp(stream) => SockRef::from(&*stream).peek(&mut byte),
            Kind::Unwatched(stream) => SockRef::from(&*stream).peek(&mut byte),
            #[cfg(unix)]
            Kind::Unix(stream) => SockRef::from(&*stream).peek(&mut byte),
            Kind::Gone => return false,
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
        match &self.kind {
            Kind::Tcp(stream) => stream.try_io(interest, call),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.try_io(interest, call),
            Kind::Unwatched(_) => call(),
            Kind::Boxed(_) | Kind::Gone => Err(gone()),
        }
    }

    /// The pending error of the socket, which is thereby taken.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().map_or(Ok(None), |socket| socket.take_error())
    }
}

/// See [`Stream::poll_peek_more`]; `WouldBlock` while more may come.
fn peek_more(socket: &SockRef<'_>, seen: usize, into: &mut ReadBuf<'_>) -> io::Result<usize> {
    let count = sys::peek(socket, into.initialize_unfilled())?;
    if count > 0 && count <= seen && count < into.remaining() && !sys::has_ended(socket)? {
        return Err(ErrorKind::WouldBlock.into());
    }
    into.advance(count);
    Ok(count)
}

/// Of a stream that was closed or taken apart.
fn gone() -> io::Error {
    ErrorKind::NotConnected.into()
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::new(Kind::Tcp(stream))
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixStream> for Stream {
    fn from(stream: tokio::net::UnixStream) -> Self {
        Self::new(Kind::Unix(stream))
    }
}

impl Io for Stream {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        self.peer_addr()
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        self.local_addr()
    }

    fn was_cut_off(&self) -> bool {
        self.was_cut_off()
    }

    fn abort(&mut self) {
        self.reset_on_close();
    }
}

#[cfg(test)]
mod tests;
