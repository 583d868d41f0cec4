//! Moves bytes between two connections until both have ended.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Stream;

/// The two sides of a [`Tunnel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first stream.
    A,
    /// The second stream.
    B,
}

/// How a [`Tunnel`] ended.
#[derive(Debug)]
pub struct TunnelEnd {
    /// Bytes that were delivered from a to b.
    pub a_to_b: u64,
    /// Bytes that were delivered from b to a.
    pub b_to_a: u64,
    /// Why it ended.
    pub reason: TunnelReason,
}

/// Why a [`Tunnel`] ended.
#[derive(Debug)]
pub enum TunnelReason {
    /// Both sides ended, and all bytes were delivered.
    Eof,
    /// That side reset the connection, or closed it while there still were bytes for it. The other
    /// side was reset too.
    Reset(Side),
    /// The caller's idle deadline passed.
    Idle,
    /// Another error of that side's socket. Both were reset.
    Error(Side, io::Error),
}

/// Two connections whose bytes go over to each other.
#[derive(Debug)]
pub struct Tunnel {
    a: Stream,
    b: Stream,
    a_to_b: Direction,
    b_to_a: Direction,
}

#[derive(Debug, Default)]
struct Direction {
    pending: Vec<u8>,
    moved: u64,
    eof: bool,
    done: bool,
}

impl Tunnel {
    /// Joins two connections. The initial bytes are what was read already of a stream and belongs
    /// to the other one; they go first.
    pub fn new(a: Stream, b: Stream, initial_a_to_b: &[u8], initial_b_to_a: &[u8]) -> Self {
        let direction =
            |initial: &[u8]| Direction { pending: initial.to_vec(), ..Default::default() };
        Self { a, b, a_to_b: direction(initial_a_to_b), b_to_a: direction(initial_b_to_a) }
    }

    /// Moves what can be moved now, and is woken when there is more.
    ///
    /// `scratch` is where bytes pass through: one buffer of a worker serves all its tunnels, as
    /// only what the receiver does not take at once is kept. Use 64 to 256 KiB; more is not used.
    /// To keep an idle deadline, compare [`Tunnel::moved`] after each call.
    ///
    /// # Panics
    /// If `scratch` is empty.
    pub fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<TunnelEnd> {
        assert!(!scratch.is_empty(), "a tunnel needs a buffer");
        let there = self.a_to_b.poll(cx, &mut self.a, &mut self.b, scratch);
        let back = self.b_to_a.poll(cx, &mut self.b, &mut self.a, scratch);
        if there.is_ready() && back.is_ready() {
            return Poll::Ready(self.end(TunnelReason::Eof));
        }
        Poll::Pending
    }

    /// Bytes delivered so far, in both directions together.
    pub fn moved(&self) -> u64 {
        self.a_to_b.moved + self.b_to_a.moved
    }

    /// Closes both connections because of the caller's idle deadline.
    pub fn stop_idle(self) -> TunnelEnd {
        self.end(TunnelReason::Idle)
    }

    /// Runs to the end with a buffer of its own, without an idle deadline.
    ///
    /// Cancel safety: dropping the future closes both connections.
    pub async fn run(mut self) -> TunnelEnd {
        let mut scratch = vec![0; 64 * 1024];
        poll_fn(|cx| self.poll(cx, &mut scratch)).await
    }

    fn end(&self, reason: TunnelReason) -> TunnelEnd {
        TunnelEnd { a_to_b: self.a_to_b.moved, b_to_a: self.b_to_a.moved, reason }
    }
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        scratch: &mut [u8],
    ) -> Poll<()> {
        loop {
            if self.done {
                return Poll::Ready(());
            }
            while !self.pending.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, &self.pending) {
                    Poll::Ready(Ok(count)) => {
                        self.pending.drain(..count);
                        self.moved += count as u64;
                    }
                    Poll::Ready(Err(_)) => {
                        self.done = true;
                        return Poll::Ready(());
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            if self.eof {
                let _ = to.shutdown_write();
                self.done = true;
                return Poll::Ready(());
            }
            let mut buf = ReadBuf::new(scratch);
            match Pin::new(&mut *from).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) => {
                    self.eof = buf.filled().is_empty();
                    self.pending.extend_from_slice(buf.filled());
                }
                Poll::Ready(Err(_)) => {
                    self.done = true;
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
