//! A hijacked connection as a stream of bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Hijacked;

impl AsyncRead for Hijacked {
    /// Reads what was read already, then the connection. That begins with the body's rest where there is one, in the
    /// framing it was sent in.
    ///
    /// # Errors
    /// `InvalidInput` where the body was read up to somewhere within its chunks: its rest has to be read first, by
    /// [`Hijacked::read_body`].
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.body.is_raw() {
            return Poll::Ready(Err(within_chunks()));
        }
        if this.read_buf.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let count = this.read_buf.len().min(buf.remaining());
        buf.put_slice(&this.read_buf[..count]);
        this.read_buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Hijacked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

pub(super) fn within_chunks() -> io::Error {
    let text = "the body was read up to somewhere within its chunks: read its rest first";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
