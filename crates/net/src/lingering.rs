//! The end of a connection whose peer may still be sending.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection whose last bytes arrive although its peer is still sending.
///
/// A socket that is closed with bytes that nobody has read, or to which bytes come later, is reset, and with that what
/// the peer has not yet read of what was sent is lost (RFC 9112 section 9.6). Over HTTP/2 a peer that reads sends all the
/// time: it makes room in its windows. So here `poll_shutdown` ends the sending direction, and then reads on, for
/// nothing, until the peer has ended too. It gives up when nothing has come for 5 s, after 15 s in all, or after 4 MiB; that
/// is no error.
///
/// It needs a Tokio runtime with time from `poll_shutdown` on. Cancelling a shutdown loses nothing.
#[derive(Debug)]
pub struct Lingering<S> {
    stream: S,
    goodbye: Option<Goodbye>,
}

/// What may still come, and until when.
#[derive(Debug)]
struct Goodbye {
    has_ended: bool,
    left: usize,
    until: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Goodbye {
    const SILENCE: Duration = Duration::from_secs(5);
    const TIME: Duration = Duration::from_secs(15);
    const BYTES: usize = 4 << 20;

    fn new() -> Self {
        let now = Instant::now();
        let sleep = Box::pin(sleep_until(now + Self::SILENCE));
        Self { has_ended: false, left: Self::BYTES, until: now + Self::TIME, sleep }
    }

    fn read(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.sleep.as_mut().reset(self.until.min(Instant::now() + Self::SILENCE));
    }
}

impl<S> Lingering<S> {
    /// Has the last bytes of `stream` arrive.
    pub fn new(stream: S) -> Self {
        Self { stream, goodbye: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lingering<S> {
    /// Ready when nothing more will come, or has to be waited for.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let goodbye = self.goodbye.get_or_insert_with(Goodbye::new);
        let mut room = [0; 4096];
        while goodbye.left > 0 {
            if goodbye.sleep.as_mut().poll(cx).is_ready() {
                break;
            }
            if !goodbye.has_ended {
                ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                goodbye.has_ended = true;
            }
            let mut bytes = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut bytes)) {
                Ok(()) if !bytes.filled().is_empty() => goodbye.read(bytes.filled().len()),
                // It was the peer's to say more.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
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
        self.poll_end(cx)
    }
}
