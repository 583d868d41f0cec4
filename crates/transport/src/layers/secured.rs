//! TLS as a connection of rosn's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rosn_net::{Io, PeerAddr, Stream};
use rosn_tls::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Makes a connection of it. Dropping that says `close_notify` to the peer, unless it was aborted.
pub(super) fn stream(tls: TlsStream<Stream>) -> Stream {
    Stream::boxed(Secured { tls, ended: false })
}

#[derive(Debug)]
struct Secured {
    tls: TlsStream<Stream>,
    /// The peer was told that nothing follows, or is to see a reset.
    ended: bool,
}

impl Drop for Secured {
    fn drop(&mut self) {
        if !self.ended {
            // As far as that goes without waiting.
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.tls).poll_shutdown(&mut cx);
        }
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.tls).poll_shutdown(cx);
        self.ended |= done.is_ready();
        done
    }
}

impl Io for Secured {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        self.tls.below().peer_addr()
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        self.tls.below().local_addr()
    }

    fn abort(&mut self) {
        self.ended = true;
        Io::abort(self.tls.below_mut());
    }
}
