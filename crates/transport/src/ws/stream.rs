//! The bytes in the messages of a WebSocket.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Sink as _, Stream as _};
use rosn_net::{Io, PeerAddr, Prefixed};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval_at, sleep};
use tokio_websockets::{
    ClientBuilder, CloseCode, Config, Error, Limits, Message, ServerBuilder, WebSocketStream,
};

/// Bytes of a message at most, received. A message is kept whole until its end has come.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes of a frame at most, sent.
const MAX_FRAME: usize = 64 << 10;
/// Answers to pings that the peer has not taken. With more than that, nothing is read until it does.
const MAX_PONGS: usize = 16;

/// How long Close waits behind the last bytes where the peer may be v2ray. That throws away what it has read and not yet
/// passed on when Close comes; its own listener waits up to 2 s (`uplinkOnly`), by another rule.
const LINGER: Duration = Duration::from_secs(1);

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Client,
    Server,
}

/// Whether Close has to wait.
enum Linger {
    /// Not: the peer is rosn.
    No,
    /// As soon as there is something to close.
    Later,
    /// Until then.
    Until(Pin<Box<Sleep>>),
}

/// A WebSocket as a stream of bytes: those of all its messages, one after the other.
///
/// Each write becomes one binary message of up to 64 KiB, and is sent at once. A received message may have a megabyte;
/// text must be UTF-8 (RFC 6455, 8.1). There is no half-close: a shutdown says Close (1000), and what the peer has sent
/// until it answers can still be read. An end of the connection without Close is an end like any other, as in v2ray, but for
/// [`Io::was_cut_off`].
pub(super) struct WebSocket {
    inner: WebSocketStream<Prefixed>,
    /// The rest of the message that is being read.
    payload: Bytes,
    heartbeat: Option<Interval>,
    pongs: usize,
    linger: Linger,
    /// Nothing more comes.
    ended: bool,
    /// Nothing more may be written: we said Close, or the peer did, or there was an error.
    closed: bool,
    /// The peer said Close.
    said: bool,
}

impl WebSocket {
    /// Takes over a connection whose handshake is done.
    ///
    /// `unread` is what came behind the handshake, `early` the application's bytes that came with it; `prompt` says
    /// that the peer bears a Close right behind the last bytes.
    ///
    /// # Panics
    /// With a `ping_interval`, outside of a tokio runtime with timers, or if it is zero.
    pub(super) fn new(
        role: Role,
        connection: Prefixed,
        early: Bytes,
        ping_interval: Option<Duration>,
        prompt: bool,
    ) -> Self {
        // Every frame is flushed before the next one is taken, so that there is never more than one.
        let config = Config::default().flush_threshold(1).frame_size(MAX_FRAME);
        let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE));
        let inner = match role {
            Role::Client => {
                ClientBuilder::new().config(config).limits(limits).take_over(connection)
            }
            Role::Server => ServerBuilder::new().config(config).limits(limits).serve(connection),
        };
        let heartbeat = ping_interval.map(|every| {
            let mut interval = interval_at(tokio::time::Instant::now() + every, every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        let linger = if prompt { Linger::No } else { Linger::Later };
        Self {
            inner,
            payload: early,
            heartbeat,
            pongs: 0,
            linger,
            ended: false,
            closed: false,
            said: false,
        }
    }

    /// Sends pings that are due.
    fn beat(&mut self, cx: &mut Context<'_>) {
        let Some(heartbeat) = &mut self.heartbeat else { return };
        let mut due = false;
        while heartbeat.poll_tick(cx).is_ready() {
            due = true;
        }
        if due && !self.closed {
            // One that cannot be sent shows when something is read.
            let ready = Pin::new(&mut self.inner).poll_ready(cx);
            if matches!(ready, Poll::Ready(Ok(()))) {
                let _ = Pin::new(&mut self.inner).start_send(Message::ping(Bytes::new()));
                let _ = Pin::new(&mut self.inner).poll_flush(cx);
            }
        }
    }

    /// Waits for bytes; `false` at the end.
    fn poll_payload(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.payload.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            if self.pongs >= MAX_PONGS {
                ready!(Pin::new(&mut self.inner).poll_flush(cx)).map_err(into_io)?;
                self.pongs = 0;
            }
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                None => {
                    self.ended = true;
                    self.closed = true;
                }
                Some(Err(error)) => return Poll::Ready(self.fail(error, cx).map(|()| false)),
                Some(Ok(message)) if message.is_binary() || message.is_text() => {
                    self.payload = message.into_payload().into();
                }
                Some(Ok(message)) if message.is_ping() => self.pongs += 1,
                // Its answer goes out with the next look, which is also the end.
                Some(Ok(message)) if message.is_close() => (self.closed, self.said) = (true, true),
                Some(Ok(_)) => {}
            }
        }
        Poll::Ready(Ok(true))
    }

    /// The peer breaks the rules, or is gone.
    fn fail(&mut self, error: Error, cx: &mut Context<'_>) -> io::Result<()> {
        self.ended = true;
        self.closed = true;
        // The Close that says what was wrong; the library has queued all but this one.
        if let Error::PayloadTooLong { .. } = error {
            let close = Message::close(Some(CloseCode::MESSAGE_TOO_BIG), "");
            let _ = Pin::new(&mut self.inner).start_send(close);
        }
        let _ = Pin::new(&mut self.inner).poll_flush(cx);
        Err(into_io(error))
    }

    /// Waits until the peer has passed on what it has got.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Linger::Later = self.linger {
            ready!(Pin::new(&mut self.inner).poll_flush(cx)).map_err(into_io)?;
            self.linger = Linger::Until(Box::pin(sleep(LINGER)));
        }
        match &mut self.linger {
            Linger::Until(sleep) if !self.ended => sleep.as_mut().poll(cx).map(Ok),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: impl FnOnce() -> BytesMut,
    ) -> Poll<io::Result<usize>> {
        if self.closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(into_io)?;
        let payload = payload();
        let count = payload.len();
        if count > 0 {
            let message = Message::binary(payload);
            Pin::new(&mut self.inner).start_send(message).map_err(into_io)?;
            // An error shows at the next call.
            let _ = Pin::new(&mut self.inner).poll_flush(cx);
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.beat(cx);
        if buf.remaining() > 0 && ready!(this.poll_payload(cx))? {
            let count = this.payload.len().min(buf.remaining());
            buf.put_slice(&this.payload[..count]);
            this.payload.advance(count);
            if this.payload.is_empty() {
                // The memory of the message is needed no longer.
                this.payload = Bytes::new();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(MAX_FRAME)];
        self.get_mut().poll_send(cx, || BytesMut::from(bytes))
    }

    /// All slices go in one frame.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, || {
            let total = slices.iter().map(|slice| slice.len()).sum::<usize>().min(MAX_FRAME);
            let mut payload = BytesMut::with_capacity(total);
            for slice in slices {
                let room = total - payload.len();
                payload.extend_from_slice(&slice[..slice.len().min(room)]);
            }
            payload
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx).map_err(into_io)
    }

    /// Says Close, a second after the last bytes unless the peer is rosn, and does not wait for the answer.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            ready!(this.poll_linger(cx))?;
            this.close()?;
        }
        Pin::new(&mut this.inner).poll_flush(cx).map_err(into_io)
    }
}

impl WebSocket {
    fn close(&mut self) -> io::Result<()> {
        self.closed = true;
        let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
        Pin::new(&mut self.inner).start_send(close).map_err(into_io)
    }
}

impl Io for WebSocket {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        self.inner.get_ref().below().peer_addr()
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        self.inner.get_ref().below().local_addr()
    }

    /// An end without Close (RFC 6455, 7.1.5).
    fn was_cut_off(&self) -> bool {
        self.ended && !self.said
    }

    /// Closes without a word, and the connection below abruptly.
    fn abort(&mut self) {
        self.closed = true;
        self.ended = true;
        Io::abort(self.inner.get_mut().below_mut());
    }
}

impl Drop for WebSocket {
    /// Says Close if there is room for it now.
    fn drop(&mut self) {
        if !self.closed && tokio::runtime::Handle::try_current().is_ok() {
            let mut cx = Context::from_waker(Waker::noop());
            if self.close().is_ok() {
                let _ = Pin::new(&mut self.inner).poll_flush(&mut cx);
            }
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("closed", &self.closed).finish_non_exhaustive()
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::AlreadyClosed => ErrorKind::BrokenPipe.into(),
        error => io::Error::new(ErrorKind::InvalidData, error),
    }
}
