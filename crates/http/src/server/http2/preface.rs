//! How a connection of HTTP/2 begins.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rosn_base::Buf;
use rosn_net::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client says first, RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Begins {
    Http1,
    Http2,
    /// It takes more of them to tell.
    Either,
}

pub(in crate::server) fn begins(bytes: &[u8]) -> Begins {
    let count = bytes.len().min(PREFACE.len());
    match bytes[..count] == PREFACE[..count] {
        false => Begins::Http1,
        true if count == PREFACE.len() => Begins::Http2,
        true => Begins::Either,
    }
}

/// A connection some of whose bytes were read already.
#[derive(Debug)]
pub(in crate::server) struct Prefixed {
    read: Buf,
    stream: Stream,
}

impl Prefixed {
    pub(in crate::server) fn new(read: Buf, stream: Stream) -> Self {
        Self { read, stream }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_told_from_a_request() {
        for (bytes, wanted) in [
            (&b""[..], Begins::Either),
            (b"P", Begins::Either),
            (b"PO", Begins::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", Begins::Either),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Begins::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Begins::Http1),
        ] {
            assert_eq!(begins(bytes), wanted, "{bytes:?}");
        }
    }
}
