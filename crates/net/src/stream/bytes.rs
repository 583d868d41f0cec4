//! Reads and writes the bytes of a connection.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Kind, Stream, gone};

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Kind::Unwatched(stream) = &mut this.kind {
            match stream.read(buf.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => this.watch()?,
                read => return Poll::Ready(read.map(|count| buf.advance(count))),
            }
        }
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Boxed(boxed) => boxed.poll_read(cx, buf),
            Kind::Unwatched(_) | Kind::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Kind::Unwatched(stream) = &mut this.kind {
            match stream.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => this.watch()?,
                written => return Poll::Ready(written),
            }
        }
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Kind::Boxed(boxed) => Pin::new(&mut boxed.io).poll_write(cx, bytes),
            Kind::Unwatched(_) | Kind::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Kind::Unwatched(stream) = &mut this.kind {
            match stream.write_vectored(slices) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => this.watch()?,
                written => return Poll::Ready(written),
            }
        }
        match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            #[cfg(unix)]
            Kind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Kind::Boxed(boxed) => Pin::new(&mut boxed.io).poll_write_vectored(cx, slices),
            Kind::Unwatched(_) | Kind::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Boxed(boxed) => boxed.io.is_write_vectored(),
            _ => true,
        }
    }

    /// Sockets have nothing of their own to flush; what a transport holds back goes out.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Boxed(boxed) => Pin::new(&mut boxed.io).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Ends the sending direction, so that the peer reads an end of file; the other direction stays open where the
    /// transport can do that. For a socket this is shutdown(2) and does not wait; its error is `NotConnected` where
    /// the peer has reset the connection.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Kind::Boxed(boxed) = &mut this.kind {
            return Pin::new(&mut boxed.io).poll_shutdown(cx);
        }
        let socket = this.socket().ok_or_else(gone);
        Poll::Ready(socket.and_then(|socket| socket.shutdown(std::net::Shutdown::Write)))
    }
}
