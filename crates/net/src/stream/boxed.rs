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
    /// Met while looking, and told by the next read: not every stream says it twice.
    failure: Option<io::Error>,
}

impl Boxed {
    pub(super) fn new(io: Box<dyn Io>) -> Self {
        Self { io, peeked: [0; PEEK], start: 0, end: 0, ended: false, failure: None }
    }

    /// Waits for a byte, the end or an error, which the next read then tells.
    pub(super) fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.start < self.end || self.ended || self.failure.is_some() {
            return Poll::Ready(());
        }
        let mut buf = ReadBuf::new(&mut self.peeked);
        match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
            Ok(()) => {
                (self.start, self.end) = (0, buf.filled().len());
                self.ended = self.end == 0;
            }
            Err(error) => self.failure = Some(error),
        }
        Poll::Ready(())
    }

    /// See [`Stream::poll_peek_more`](crate::Stream::poll_peek_more).
    pub(super) fn poll_peek_more(
        &mut self,
        cx: &mut Context<'_>,
        seen: usize,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_ready(cx));
        while (1..=seen).contains(&(self.end - self.start))
            && !self.ended
            && self.failure.is_none()
            && self.end - self.start < PEEK
        {
            ready!(self.poll_more(cx));
        }
        if self.start == self.end
            && let Some(failure) = self.failure.take()
        {
            return Poll::Ready(Err(failure));
        }
        let count = (self.end - self.start).min(into.remaining());
        into.put_slice(&self.peeked[self.start..self.start + count]);
        Poll::Ready(Ok(count))
    }

    /// Waits for bytes behind those that are there.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.peeked.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let mut buf = ReadBuf::new(&mut self.peeked[self.end..]);
        match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
            Ok(()) if buf.filled().is_empty() => self.ended = true,
            Ok(()) => self.end += buf.filled().len(),
            Err(error) => self.failure = Some(error),
        }
        Poll::Ready(())
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
            let is_last = self.ended || self.failure.is_some();
            if self.start < self.end || into.remaining() == 0 || is_last {
                return Poll::Ready(Ok(()));
            }
            let mut noop = Context::from_waker(std::task::Waker::noop());
            let before = into.filled().len();
            match Pin::new(&mut self.io).poll_read(&mut noop, into) {
                Poll::Ready(Ok(())) => self.ended = into.filled().len() == before,
                Poll::Ready(Err(error)) => self.failure = Some(error),
                Poll::Pending => {}
            }
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}
