//! The bytes below a connection of HTTP/2, counted.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rosn_net::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::context::Worker;
use crate::snapshot::Listener;
use crate::stats::DownstreamStats;

/// Bytes that a connection may read before other tasks have their turn: frames may be small and many.
const TURN: usize = 32 << 10;

/// Counts what is read and written, keeps when something was last read, and outlives the connection above it.
pub(super) struct Metered {
    /// `None` once it was given to `meter`.
    stream: Option<Stream>,
    meter: Rc<Meter>,
}

/// What is known of the bytes of a connection.
pub(super) struct Meter {
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    last_read: Cell<u64>,
    last_write: Cell<u64>,
    /// What may still be read in this turn.
    turn: Cell<usize>,
    rest: RefCell<Option<Stream>>,
}

impl Meter {
    pub(super) fn new(worker: &Rc<Worker>, listener: &Arc<Listener>) -> Rc<Self> {
        Rc::new(Self {
            worker: Rc::clone(worker),
            listener: Arc::clone(listener),
            last_read: Cell::new(worker.clock.now()),
            last_write: Cell::new(worker.clock.now()),
            turn: Cell::new(TURN),
            rest: RefCell::default(),
        })
    }

    /// The task of the connection has its turn.
    pub(super) fn begin_turn(&self) {
        self.turn.set(TURN);
    }

    /// When something was last read, in nanoseconds of the worker's clock.
    pub(super) fn last_read(&self) -> u64 {
        self.last_read.get()
    }

    /// When something was last written.
    pub(super) fn last_write(&self) -> u64 {
        self.last_write.get()
    }

    /// The stream, once the connection above it is gone.
    pub(super) fn take_rest(&self) -> Option<Stream> {
        self.rest.borrow_mut().take()
    }

    fn read(&self, count: usize) {
        self.turn.set(self.turn.get().saturating_sub(count));
        self.last_read.set(self.worker.clock.refresh());
        self.count(|stats| stats.bytes_read_total.add(count as u64));
    }

    fn wrote(&self, count: usize) {
        self.last_write.set(self.worker.clock.now());
        self.count(|stats| stats.bytes_write_total.add(count as u64));
    }

    /// Counts something where it has to be counted.
    pub(super) fn count(&self, count: impl Fn(&DownstreamStats)) {
        for stats in [&self.worker.shared.stats, &self.listener.stats] {
            count(stats.shard(self.worker.index));
        }
    }
}

impl Metered {
    pub(super) fn new(stream: Stream, meter: &Rc<Meter>) -> Self {
        Self { stream: Some(stream), meter: Rc::clone(meter) }
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("it is given away when this is dropped"))
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        *self.meter.rest.borrow_mut() = self.stream.take();
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.turn.get() == 0 {
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

impl AsyncWrite for Metered {
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
