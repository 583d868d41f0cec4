//! A connection that says nothing until its first bytes are there to go with the handshake.

use std::fmt;
use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use rosn_net::{Io, PeerAddr, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::handshake::Shake;
use super::stream::WebSocket;
use crate::BoxFuture;

/// How long somebody who reads before anything was written waits for the first write. Then the server may be the one
/// that speaks first, and the handshake goes without early data.
const PATIENCE: Duration = Duration::from_millis(20);

/// A WebSocket whose handshake waits for the first write.
pub(super) struct Delayed {
    state: State,
    wakers: Arc<Wakers>,
    peer: io::Result<PeerAddr>,
    local: io::Result<PeerAddr>,
}

enum State {
    Waiting { stream: Stream, shake: Shake, patience: Option<Pin<Box<Sleep>>> },
    Shaking(BoxFuture<'static, io::Result<WebSocket>>),
    Open(Box<WebSocket>),
    Failed(ErrorKind),
}

/// Who waits for the handshake: a reader, a writer, or both in tasks of their own.
#[derive(Default)]
struct Wakers {
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.reader.wake();
        self.writer.wake();
    }
}

impl Delayed {
    pub(super) fn new(stream: Stream, shake: Shake) -> Self {
        let (peer, local) = (stream.peer_addr(), stream.local_addr());
        let state = State::Waiting { stream, shake, patience: None };
        Self { state, wakers: Arc::default(), peer, local }
    }

    /// Begins the handshake, if it has not begun.
    fn shake(&mut self, early: &[u8]) {
        if let State::Waiting { .. } = self.state
            && let State::Waiting { stream, shake, .. } =
                std::mem::replace(&mut self.state, State::Failed(ErrorKind::NotConnected))
        {
            let early = early.to_vec();
            self.state = State::Shaking(Box::pin(async move { shake.run(stream, &early).await }));
        }
    }

    /// Goes on with the handshake that was begun.
    fn poll_open(&mut self) -> Poll<io::Result<&mut WebSocket>> {
        if let State::Shaking(future) = &mut self.state {
            let waker = Waker::from(self.wakers.clone());
            let result = ready!(future.as_mut().poll(&mut Context::from_waker(&waker)));
            waker.wake();
            match result {
                Ok(socket) => self.state = State::Open(Box::new(socket)),
                Err(error) => {
                    self.state = State::Failed(error.kind());
                    return Poll::Ready(Err(error));
                }
            }
        }
        match &mut self.state {
            State::Open(socket) => Poll::Ready(Ok(socket)),
            State::Failed(kind) => Poll::Ready(Err((*kind).into())),
            State::Waiting { .. } | State::Shaking(_) => Poll::Pending,
        }
    }
}

impl AsyncRead for Delayed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let State::Open(socket) = &mut this.state {
            return Pin::new(&mut **socket).poll_read(cx, buf);
        }
        this.wakers.reader.register(cx.waker());
        if let State::Waiting { patience, .. } = &mut this.state {
            let patience = patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            ready!(patience.as_mut().poll(cx));
            this.shake(b"");
        }
        Pin::new(ready!(this.poll_open())?).poll_read(cx, buf)
    }
}

impl AsyncWrite for Delayed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let State::Open(socket) = &mut this.state {
            return Pin::new(&mut **socket).poll_write(cx, bytes);
        }
        this.wakers.writer.register(cx.waker());
        if let State::Waiting { shake, .. } = &this.state {
            let count = bytes.len().min(shake.max_early_data());
            this.shake(&bytes[..count]);
            // What was taken is on its way when the request is; an error shows at the next call.
            if count > 0 {
                if let Poll::Ready(Err(error)) = this.poll_open() {
                    return Poll::Ready(Err(error));
                }
                return Poll::Ready(Ok(count));
            }
        }
        Pin::new(ready!(this.poll_open())?).poll_write(cx, bytes)
    }

    /// Waits for the end of the handshake, if it has begun.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.wakers.writer.register(cx.waker());
        if matches!(this.state, State::Waiting { .. }) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(ready!(this.poll_open())?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.wakers.writer.register(cx.waker());
        // Even one who has nothing to say wants to be heard: the server may answer an empty stream.
        this.shake(b"");
        Pin::new(ready!(this.poll_open())?).poll_shutdown(cx)
    }
}

impl Io for Delayed {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        copy(&self.peer)
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        copy(&self.local)
    }

    fn was_cut_off(&self) -> bool {
        matches!(&self.state, State::Open(socket) if socket.was_cut_off())
    }

    fn abort(&mut self) {
        match &mut self.state {
            State::Waiting { stream, .. } => Io::abort(stream),
            State::Open(socket) => socket.abort(),
            // Dropping it closes the connection in the middle of the handshake, which is abrupt enough.
            State::Shaking(_) | State::Failed(_) => {}
        }
    }
}

fn copy(addr: &io::Result<PeerAddr>) -> io::Result<PeerAddr> {
    match addr {
        Ok(addr) => Ok(addr.clone()),
        Err(error) => Err(error.kind().into()),
    }
}

impl fmt::Debug for Delayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = matches!(self.state, State::Open(_));
        f.debug_struct("Delayed").field("open", &open).finish_non_exhaustive()
    }
}
