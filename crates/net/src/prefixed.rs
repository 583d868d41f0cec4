//! A connection that somebody has begun to read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rosn_base::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Stream;

/// A connection some of whose bytes were read already, and are read again first.
#[derive(Debug)]
pub struct Prefixed {
    read: Buf,
    stream: Stream,
}

impl Prefixed {
    /// `read` are the bytes that were read of `stream`.
    pub fn new(read: Buf, stream: Stream) -> Self {
        Self { read, stream }
    }

    /// The connection below.
    pub fn below(&self) -> &Stream {
        &self.stream
    }

    /// The same, to change it.
    pub fn below_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.unread()[..count]);
        self.read.consume(count);
        if self.read.is_empty() {
            self.read = Buf::default();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
