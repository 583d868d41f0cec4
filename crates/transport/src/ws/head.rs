//! Reads an HTTP/1.1 head off a connection, and keeps what comes after it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use rosn_net::Stream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Reads until the empty line that ends a head. Returns the head with that line, and the bytes behind it.
///
/// Cancel safety: none; what was read is lost.
///
/// # Errors
/// `UnexpectedEof` where the connection ends before, `FileTooLarge` where the head is longer than `limit` bytes, else
/// what reading says.
pub(super) async fn read_head(stream: &mut Stream, limit: usize) -> io::Result<(Bytes, Bytes)> {
    let mut buffer = BytesMut::with_capacity(1024);
    loop {
        // The empty line may have come in pieces.
        let seen = buffer.len().saturating_sub(3);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = memmem::find(&buffer[seen..], b"\r\n\r\n") {
            let length = seen + at + 4;
            if length > limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let mut bytes = buffer.freeze();
            let head = bytes.split_to(length);
            return Ok((head, bytes));
        }
        if buffer.len() >= limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// A connection whose first bytes were read already.
#[derive(Debug)]
pub(super) struct Prefixed {
    prefix: Bytes,
    pub(super) stream: Stream,
}

impl Prefixed {
    pub(super) fn new(prefix: Bytes, stream: Stream) -> Self {
        Self { prefix, stream }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..count]);
        self.prefix.advance(count);
        if self.prefix.is_empty() {
            self.prefix = Bytes::new();
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
        slices: &[io::IoSlice<'_>],
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
