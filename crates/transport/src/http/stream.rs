//! The bytes in the DATA frames of a stream.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use rosn_net::{Io, PeerAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::health::Permit;
use super::unsent::Unsent;

/// Bytes that one write takes at most.
const MAX_WRITE: usize = 64 << 10;

/// The two ends of the connection that a stream is of.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) peer: PeerAddr,
    pub(super) local: PeerAddr,
}

/// What a connection sends as DATA.
pub(super) trait Content: Buf + From<Bytes> + Send + Unpin + 'static {}

impl<B: Buf + From<Bytes> + Send + Unpin + 'static> Content for B {}

/// A stream of an HTTP/2 connection, after the heads of request and response.
///
/// * A shutdown says END_STREAM; reading goes on.
/// * RST_STREAM with CANCEL or NO_ERROR is an end of file: v2ray closes its connections so. Any other reset is
///   `ConnectionReset`.
/// * The peer may send what its window allows, and that grows as bytes are read here. So no more is held in memory.
/// * Dropping it says END_STREAM if that was not said, and CANCEL if the peer has not ended. What was written still goes
///   out before, if the peer takes it within 5 s.
pub(super) struct HttpStream<B: Content = Bytes> {
    send: SendStream<B>,
    receive: RecvStream,
    /// What was received and not read, and the size that it had.
    chunk: Bytes,
    held: usize,
    /// Nothing more comes, but for this error.
    ended: bool,
    failure: Option<io::Error>,
    /// END_STREAM or a reset was sent.
    closed: bool,
    unsent: Unsent,
    ends: Ends,
    /// The dialer's place in the connection.
    permit: Option<Permit>,
}

impl<B: Content> HttpStream<B> {
    pub(super) fn new(
        send: SendStream<B>,
        receive: RecvStream,
        ends: Ends,
        permit: Option<Permit>,
    ) -> Self {
        Self {
            send,
            receive,
            chunk: Bytes::new(),
            held: 0,
            ended: false,
            failure: None,
            closed: false,
            unsent: Unsent::default(),
            ends,
            permit,
        }
    }

    /// A stream of which `unread` was received already, without credit for it given back.
    pub(super) fn with_unread(mut self, unread: Bytes) -> Self {
        (self.held, self.chunk) = (unread.len(), unread);
        self
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

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        total: usize,
        gather: impl FnOnce(usize) -> Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        if self.closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(self.poll_room(cx, total))?;
        let bytes = self.unsent.count(gather(room));
        self.send.send_data(bytes.into(), false).map_err(write_error)?;
        Poll::Ready(Ok(room))
    }

    fn end(&mut self) -> Result<(), h2::Error> {
        self.closed = true;
        self.send.send_data(Bytes::new().into(), true)
    }
}

impl<B: Content> AsyncRead for HttpStream<B> {
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

impl<B: Content> AsyncWrite for HttpStream<B> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gather = |room: usize| bytes[..room].to_vec();
        self.get_mut().poll_send(cx, bytes.len(), gather)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total = slices.iter().map(|slice| slice.len()).sum();
        self.get_mut().poll_send(cx, total, |room| {
            let mut bytes = Vec::with_capacity(room);
            for slice in slices {
                let left = room - bytes.len();
                bytes.extend_from_slice(&slice[..slice.len().min(left)]);
            }
            bytes
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The connection's own task sends what was written, as soon as it can.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closed {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(this.end().map_err(write_error))
    }
}

impl<B: Content> Io for HttpStream<B> {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.ends.peer.clone())
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.ends.local.clone())
    }

    /// RST_STREAM with INTERNAL_ERROR. The connection goes on for its other streams.
    fn abort(&mut self) {
        self.closed = true;
        self.send.send_reset(Reason::INTERNAL_ERROR);
    }
}

impl<B: Content> Drop for HttpStream<B> {
    fn drop(&mut self) {
        if !self.closed {
            let _ = self.end();
        }
        if !self.unsent.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let held = (self.receive.flow_control().clone(), self.permit.take());
            let unsent = self.unsent.clone();
            runtime.spawn(async move {
                unsent.sent().await;
                drop(held);
            });
        }
    }
}

impl<B: Content> fmt::Debug for HttpStream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStream")
            .field("id", &self.send.stream_id().as_u32())
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
    match error.is_reset() {
        true if error.reason() == Some(Reason::CANCEL) => ErrorKind::BrokenPipe.into(),
        _ => into_io(error),
    }
}

/// What an error of the protocol is for those who know only of connections.
pub(super) fn into_io(error: h2::Error) -> io::Error {
    let kind = match error.get_io() {
        Some(source) => source.kind(),
        None if error.is_go_away() => ErrorKind::ConnectionAborted,
        None => ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, error)
}
