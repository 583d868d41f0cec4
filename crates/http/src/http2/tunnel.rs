//! The bytes in the DATA frames of a stream, as a connection.

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use rosn_net::{Io, PeerAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::into_io;

/// Bytes that one write takes at most.
const MAX_WRITE: usize = 64 * 1024;

/// The two ends of the connection that a stream is of.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) local: PeerAddr,
    pub(crate) peer: PeerAddr,
}

/// A stream after CONNECT was answered with 2xx (RFC 9113 section 8.5).
///
/// * A shutdown says END_STREAM; reading goes on.
/// * The peer may send what its window allows, and that grows as bytes are read here.
/// * A reset is `ConnectionReset`, but for one with NO_ERROR or CANCEL, by which programs close: that is an end of file
///   for the one who reads, and a broken pipe for the one who writes.
/// * Dropping it says END_STREAM if that was not said, and CANCEL if the peer has not ended. What was written still goes
///   out before. Aborted, it says CONNECT_ERROR, which is a reset of the connection that was tunnelled.
pub(crate) struct Tunnel<G> {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// What was received and not read, and the size that it had.
    chunk: Bytes,
    held: usize,
    /// Nothing more comes, but for this error.
    ended: bool,
    failure: Option<io::Error>,
    /// END_STREAM or a reset was sent.
    closed: bool,
    ends: Ends,
    /// Held until the stream has ended.
    _guard: G,
}

impl<G> Tunnel<G> {
    pub(crate) fn new(send: SendStream<Bytes>, receive: RecvStream, ends: Ends, guard: G) -> Self {
        Self {
            send,
            receive,
            chunk: Bytes::new(),
            held: 0,
            ended: false,
            failure: None,
            closed: false,
            ends,
            _guard: guard,
        }
    }

    /// Copies from the chunk, and lets the peer send as much again once it is used up.
    fn copy(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.chunk.len().min(buf.remaining());
        buf.put_slice(&self.chunk[..count]);
        self.chunk.advance(count);
        if self.chunk.is_empty() && self.held > 0 {
            self.chunk = Bytes::new();
            // It fails only for more than was received.
            let _ = self.receive.flow_control().release_capacity(self.held);
            self.held = 0;
        }
    }

    /// Waits for room to write in.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(wanted.min(MAX_WRITE));
        loop {
            let room = self.send.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(write_error(error))),
                None => return Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
            }
        }
    }
}

impl<G: Unpin> AsyncRead for Tunnel<G> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            this.copy(buf);
            let some = buf.filled().len() > before;
            if buf.remaining() == 0 || (this.ended && (some || this.failure.is_none())) {
                return Poll::Ready(Ok(()));
            }
            if let Some(failure) = this.failure.take() {
                return Poll::Ready(Err(failure));
            }
            match this.receive.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    this.held = data.len();
                    this.chunk = data;
                }
                Poll::Ready(Some(Err(error))) => {
                    this.ended = true;
                    this.failure = read_error(error);
                }
                Poll::Ready(None) => this.ended = true,
                Poll::Pending if some => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<G: Unpin> AsyncWrite for Tunnel<G> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(this.poll_room(cx, bytes.len()))?;
        let data = Bytes::copy_from_slice(&bytes[..room]);
        this.send.send_data(data, false).map_err(write_error)?;
        Poll::Ready(Ok(room))
    }

    /// The connection's own task sends what was written, as soon as it can.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::replace(&mut this.closed, true) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(this.send.send_data(Bytes::new(), true).map_err(write_error))
    }
}

impl<G: Send + Unpin + 'static> Io for Tunnel<G> {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.ends.peer.clone())
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.ends.local.clone())
    }

    fn abort(&mut self) {
        self.closed = true;
        self.send.send_reset(Reason::CONNECT_ERROR);
    }
}

impl<G> Drop for Tunnel<G> {
    fn drop(&mut self) {
        if !self.closed {
            let _ = self.send.send_data(Bytes::new(), true);
        }
    }
}

impl<G> fmt::Debug for Tunnel<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("stream", &self.send.stream_id().as_u32())
            .field("peer", &self.ends.peer)
            .finish_non_exhaustive()
    }
}

/// `None` where it means the end.
fn read_error(error: h2::Error) -> Option<io::Error> {
    let harmless = matches!(error.reason(), Some(Reason::CANCEL | Reason::NO_ERROR));
    (!(error.is_reset() && harmless)).then(|| into_io(error))
}

fn write_error(error: h2::Error) -> io::Error {
    let is_end = matches!(error.reason(), Some(Reason::CANCEL | Reason::NO_ERROR));
    if error.is_reset() && is_end { ErrorKind::BrokenPipe.into() } else { into_io(error) }
}
