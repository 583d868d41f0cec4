//! Moves bytes between two connections until both have ended.

mod direction;
mod end;
mod pipe;

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use rustix::io::Errno;

use crate::{KeepAlive, Stream};
use direction::{Direction, Progress};
use end::End;

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
    /// Bytes that b's socket took.
    pub a_to_b: u64,
    /// Bytes that a's socket took.
    pub b_to_a: u64,
    /// Why it ended.
    pub reason: TunnelReason,
}

/// Why a [`Tunnel`] ended.
#[derive(Debug)]
pub enum TunnelReason {
    /// Both sides ended, and all bytes were passed on.
    Eof,
    /// That side reset the connection, or closed it while there still were bytes for it. The other
    /// side is reset too.
    Reset(Side),
    /// The caller's idle deadline passed.
    Idle,
    /// The caller's deadline for the whole tunnel passed.
    Lifetime,
    /// The caller shuts down.
    Shutdown,
    /// Another error of that side's socket, such as a dead peer that keep-alive found. Both are
    /// reset.
    Error(Side, io::Error),
}

/// Two connections whose bytes go over to each other.
///
/// * An end of file on one side ends the sending direction of the other; the way back stays open.
///   A reset becomes a reset. So each peer sees what it would see without a proxy.
/// * Bytes are read only when those before them are gone, so that a slow receiver slows down its
///   sender and a tunnel holds at most one read (16 to 256 KiB, or a pipe of 1 MiB) a direction.
/// * Bytes are copied at first, in chunks that grow; a direction that has moved 512 KiB goes on by
///   splice(2), without the bytes ever coming to user space.
/// * While no bytes are under way a tunnel holds no buffer and no pipe worth mentioning.
///
/// Dropping the tunnel closes both connections.
#[derive(Debug)]
pub struct Tunnel {
    a: End,
    b: End,
    a_to_b: Direction,
    b_to_a: Direction,
}

impl Tunnel {
    /// Joins two connections. The initial bytes are what was read already from a stream and not
    /// yet passed on; they go first.
    pub fn new(a: Stream, b: Stream, initial_a_to_b: &[u8], initial_b_to_a: &[u8]) -> Self {
        Self {
            a: End::new(a),
            b: End::new(b),
            a_to_b: Direction::new(initial_a_to_b),
            b_to_a: Direction::new(initial_b_to_a),
        }
    }

    /// Moves what can be moved now, and wakes the task when there is more.
    ///
    /// `scratch` is what copied bytes pass through. One buffer can serve all tunnels of a thread,
    /// as nothing stays in it. 64 KiB to 256 KiB are good sizes; more than that is not used.
    ///
    /// For an idle deadline, compare [`Tunnel::moved`] after each call with what it was before.
    ///
    /// After `Ready` the tunnel is to be dropped, which closes, or resets, the connections; it must
    /// not be polled again.
    ///
    /// # Panics
    /// If `scratch` is empty.
    pub fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<TunnelEnd> {
        assert!(!scratch.is_empty(), "a tunnel needs a buffer");
        match self.advance(cx, scratch) {
            Ok(true) => Poll::Ready(self.end(TunnelReason::Eof)),
            Ok(false) => Poll::Pending,
            Err(fault) => {
                self.a.stream.reset_on_close();
                self.b.stream.reset_on_close();
                Poll::Ready(self.end(fault.into()))
            }
        }
    }

    /// Bytes passed on so far: from a to b, and from b to a.
    pub fn moved(&self) -> (u64, u64) {
        (self.a_to_b.moved(), self.b_to_a.moved())
    }

    /// Notices from now on when the second stream's peer is dead; see [`Stream::set_keep_alive`].
    pub fn set_keep_alive(&self, keep_alive: &KeepAlive) {
        // Where it fails the connection is gone, and that is noticed anyway.
        let _ = self.b.stream.set_keep_alive(keep_alive);
    }

    /// Closes both connections for a reason of the caller's, such as [`TunnelReason::Idle`].
    pub fn stop(self, reason: TunnelReason) -> TunnelEnd {
        self.end(reason)
    }

    /// Runs to the end with a buffer of its own, and without an idle deadline.
    ///
    /// Cancel safety: dropping the future closes both connections.
    pub async fn run(mut self) -> TunnelEnd {
        let mut scratch = vec![0; direction::MAX_CHUNK];
        poll_fn(|cx| self.poll(cx, &mut scratch)).await
    }

    /// Whether both directions are done.
    fn advance(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Result<bool, Fault> {
        let Self { a, b, a_to_b, b_to_a } = self;
        let mut there = a_to_b.advance(cx, a, b, scratch).map_err(|f| f.on(Side::A, Side::B))?;
        let mut back = b_to_a.advance(cx, b, a, scratch).map_err(|f| f.on(Side::B, Side::A))?;
        // An end of file of a socket is passed on only while the other way is open: else closing does it. What is no
        // socket has words of its own for an orderly end.
        if there == Progress::Done && (back != Progress::Done || !b.is_socket()) {
            let ended = a_to_b.end(cx, b).map_err(|error| Fault { side: Side::B, error })?;
            there = if ended { there } else { Progress::WaitsForSink };
        }
        if back == Progress::Done && (there != Progress::Done || !a.is_socket()) {
            let ended = b_to_a.end(cx, a).map_err(|error| Fault { side: Side::A, error })?;
            back = if ended { back } else { Progress::WaitsForSink };
        }
        if there == Progress::Done && back == Progress::Done {
            return Ok(true);
        }
        // A side that neither direction waits for could be reset without anyone noticing.
        if there != Progress::WaitsForSource && back != Progress::WaitsForSink {
            a.watch(cx).map_err(|error| Fault { side: Side::A, error })?;
        }
        if back != Progress::WaitsForSource && there != Progress::WaitsForSink {
            b.watch(cx).map_err(|error| Fault { side: Side::B, error })?;
        }
        Ok(false)
    }

    fn end(&self, reason: TunnelReason) -> TunnelEnd {
        TunnelEnd { a_to_b: self.a_to_b.moved(), b_to_a: self.b_to_a.moved(), reason }
    }
}

/// An error of one side's socket.
struct Fault {
    side: Side,
    error: io::Error,
}

impl From<Fault> for TunnelReason {
    fn from(Fault { side, error }: Fault) -> Self {
        match Errno::from_io_error(&error) {
            // NOTCONN is what a socket says that was reset before.
            Some(Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN) => Self::Reset(side),
            _ => Self::Error(side, error),
        }
    }
}

#[cfg(test)]
mod tests;
