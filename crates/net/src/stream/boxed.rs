//! A stream that is no socket, with room for bytes that were looked at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, ReadBuf};

use crate::Io;

/// Bytes that may be looked at before they are read.
const PEEK: usize = 24;

/// A stream, and its first bytes if somebody has looked at them.
#[derive(Debug)]
pub(super) struct Boxed {
    pub(super) io: Box<dyn Io>,
    peeked: [u8; PEEK],
    /// Those that were not read yet: `peeked[start..end]`.
    start: usize,
    end: usize,
    ended: bool,
}

impl Boxed {
    pub(super) fn new(io: Box<dyn Io>) -> Self {
        Self { io, peeked: [0; PEEK], start: 0, end: 0, ended: false }
    }

    /// Waits for a byte, the end or an error. An error shows at once, and again at the next read, which the stream
    /// will refuse as well.
    pub(super) fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.start == self.end && !self.ended {
            let mut buf = ReadBuf::new(&mut self.peeked);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            self.start = 0;
            self.end = buf.filled().len();
            self.ended = self.end == 0;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_ready(cx))?;
        let count = (self.end - self.start).min(into.remaining());
        into.put_slice(&self.peeked[self.start..self.start + count]);
        Poll::Ready(Ok(count))
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start < self.end {
            let count = (self.end - self.start).min(into.remaining());
            into.put_slice(&self.peeked[self.start..self.start + count]);
            self.start += count;
            // What else there is can go into the same buffer, but is not waited for.
            if self.start < self.end || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut noop = Context::from_waker(std::task::Waker::noop());
            return match Pin::new(&mut self.io).poll_read(&mut noop, into) {
                // An error will show again at the next read.
                Poll::Ready(_) | Poll::Pending => Poll::Ready(Ok(())),
            };
        }
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}
