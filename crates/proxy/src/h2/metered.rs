//! The bytes below a connection of HTTP/2, counted.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rosn_net::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Takes note of what passes below a connection.
pub(crate) trait Meter: Unpin {
    /// Whether more may be read before other tasks have their turn.
    fn has_turn(&self) -> bool;

    /// So many bytes came; at least one.
    fn read(&self, count: usize);

    /// So many bytes were written.
    fn wrote(&self, count: usize);

    /// The connection is gone, and has left its stream.
    fn ended(&self, stream: Stream);
}

/// A stream below a connection, with a meter that outlives it.
pub(crate) struct Metered<M: Meter> {
    /// `None` once it was given to the meter.
    stream: Option<Stream>,
    meter: M,
}

/// What may still be read in a turn of a connection's task: frames may be small and many.
pub(crate) struct Turn {
    /// Bytes.
    size: usize,
    left: Cell<usize>,
}

impl Turn {
    pub(crate) fn of(size: usize) -> Self {
        Self { size, left: Cell::new(size) }
    }

    /// The task has its turn.
    pub(crate) fn begin(&self) {
        self.left.set(self.size);
    }

    /// So many bytes of it are used.
    pub(crate) fn take(&self, count: usize) {
        self.left.set(self.left.get().saturating_sub(count));
    }

    /// Whether something is left.
    pub(crate) fn has_more(&self) -> bool {
        self.left.get() > 0
    }
}

impl<M: Meter> Metered<M> {
    pub(crate) fn new(stream: Stream, meter: M) -> Self {
        Self { stream: Some(stream), meter }
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("it is given away when this is dropped"))
    }
}

impl<M: Meter> Drop for Metered<M> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.meter.ended(stream);
        }
    }
}

impl<M: Meter> AsyncRead for Metered<M> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.meter.has_turn() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(self.stream().poll_read(cx, buf))?;
        let count = buf.filled().len() - before;
        if count > 0 {
            self.meter.read(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl<M: Meter> AsyncWrite for Metered<M> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream().poll_write(cx, bytes))?;
        self.meter.wrote(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream().poll_write_vectored(cx, slices))?;
        self.meter.wrote(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
