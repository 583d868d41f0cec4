//! TLS as a connection of rosn's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rosn_net::{Io, PeerAddr, Stream};
use rosn_trace::{DialId, ErrorRef, Event, Interest, TlsInfo, TraceHandle};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::{Connector, TlsStream, Version};

impl TlsStream<Stream> {
    /// Makes a connection of it. Dropping that says `close_notify` to the peer, unless it was aborted.
    pub fn into_stream(self) -> Stream {
        Stream::boxed(Secured { tls: self, ended: false })
    }
}

impl Connector {
    /// [`Connector::connect`] on a connection that was dialed, with a limit of time and reported to `trace` as a part
    /// of that dial.
    ///
    /// Cancel safety: dropping the future drops the connection.
    ///
    /// # Errors
    /// Those of [`Connector::connect`], and `TimedOut`.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    pub async fn secure(
        &self,
        name: &str,
        stream: Stream,
        limit: Duration,
        dial: DialId,
        trace: &TraceHandle,
    ) -> io::Result<TlsStream<Stream>> {
        let start = || Event::TlsStart { dial, server_name: name };
        let pending = trace.begin(Interest::TLS, start);
        let result = match timeout(limit, self.connect(name, stream)).await {
            Ok(result) => result,
            Err(_) => {
                let text = format!("timeout: it was not done after {limit:?}");
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        };
        let info = result.as_ref().map(|stream| TlsInfo {
            version: stream.version().map_or("", Version::as_str),
            cipher: stream.cipher().unwrap_or_default(),
            alpn: stream.alpn(),
            resumed: stream.is_resumed(),
        });
        pending.done(|| Event::TlsDone {
            dial,
            server_name: name,
            result: info.as_ref().map_err(|error| *error as ErrorRef<'_>),
        });
        result
    }
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

    fn was_cut_off(&self) -> bool {
        self.tls.was_cut_off()
    }

    fn abort(&mut self) {
        self.ended = true;
        Io::abort(self.tls.below_mut());
    }
}
