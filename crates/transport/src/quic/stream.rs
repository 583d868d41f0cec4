//! A bidirectional stream of a QUIC connection as a byte stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::{ReadError, RecvStream, SendStream, WriteError};
use rosn_net::{Io, PeerAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::lost;
use super::link::{Claim, NO_ERROR};

/// How long the connection waits for the peer to have what was written before the stream was dropped.
const LINGER: Duration = Duration::from_secs(30);

/// Shutting it down sends a FIN; dropping it too, and stops the peer where it is still sending. [`Io::abort`] resets.
#[derive(Debug)]
pub(super) struct QuicStream {
    send: SendStream,
    recv: RecvStream,
    /// Gone once it was dropped.
    claim: Option<Claim>,
    aborted: bool,
}

impl QuicStream {
    pub(super) fn new(send: SendStream, recv: RecvStream, claim: Claim) -> Self {
        Self { send, recv, claim: Some(claim), aborted: false }
    }

    fn claim(&self) -> io::Result<&Claim> {
        self.claim.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for QuicStream {
    /// A connection that is closed takes with it what is still under way, so the hold on it is kept until the peer
    /// has all.
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        if self.aborted || claim.connection.close_reason().is_some() {
            return;
        }
        // It fails where the stream has ended already.
        let _ = self.send.finish();
        let acknowledged = self.send.stopped();
        let runtime = claim.runtime.clone();
        runtime.spawn(async move {
            let _ = tokio::time::timeout(LINGER, acknowledged).await;
            drop(claim);
        });
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().recv.poll_read_buf(cx, buf).map_err(|error| match error {
            ReadError::Reset(code) => io::Error::new(
                io::ErrorKind::ConnectionReset,
                format!("the other side reset the stream (code {code})"),
            ),
            ReadError::ConnectionLost(error) => lost(&error),
            ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => io::Error::new(io::ErrorKind::NotConnected, error),
        })
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().send).poll_write(cx, bytes).map_err(|error| match error {
            WriteError::Stopped(code) => io::Error::new(
                io::ErrorKind::BrokenPipe,
                format!("the other side reads no more of the stream (code {code})"),
            ),
            WriteError::ConnectionLost(error) => lost(&error),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => {
                io::Error::new(io::ErrorKind::NotConnected, error)
            }
        })
    }

    /// Nothing is held back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It fails where the stream has ended already.
        let _ = self.get_mut().send.finish();
        Poll::Ready(Ok(()))
    }
}

impl Io for QuicStream {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        self.claim().map(|claim| claim.connection.remote_address().into())
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        self.claim().map(|claim| claim.local.clone())
    }

    fn abort(&mut self) {
        self.aborted = true;
        // They fail where the directions have ended already.
        let _ = self.send.reset(NO_ERROR);
        let _ = self.recv.stop(NO_ERROR);
    }
}
