//! A connection whose bytes are noticed.

use std::io::{self, IoSlice};
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Stream;
use crate::turn::end_turn;

/// Takes note of what passes through a [`Metered`] connection. What is not asked for is nothing.
pub trait Meter: Unpin {
    /// Whether more may be read now. Where not, the reading task is woken again behind the others.
    fn has_turn(&self) -> bool {
        true
    }

    /// So many bytes came; at least one.
    fn read(&self, count: usize);

    /// So many bytes were written.
    fn wrote(&self, _count: usize) {}

    /// The [`Metered`] is gone, and has left its connection.
    fn ended(&self, _stream: Stream) {}
}

/// What points to a meter is one: `Rc`, `Arc`.
impl<P: Deref<Target: Meter> + Unpin> Meter for P {
    fn has_turn(&self) -> bool {
        (**self).has_turn()
    }

    fn read(&self, count: usize) {
        (**self).read(count);
    }

    fn wrote(&self, count: usize) {
        (**self).wrote(count);
    }

    fn ended(&self, stream: Stream) {
        (**self).ended(stream);
    }
}

/// A connection with a meter that outlives it: for what has a connection of its own (the `h2` crate), and does not say
/// what it reads and writes.
pub struct Metered<M: Meter> {
    /// `None` once it was given to the meter.
    stream: Option<Stream>,
    meter: M,
}

impl<M: Meter> Metered<M> {
    /// Has `meter` notice what passes through `stream`.
    pub fn new(stream: Stream, meter: M) -> Self {
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
            end_turn(cx);
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
