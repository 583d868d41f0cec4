//! A conversation as a connection, and what it shares with the task that sends and receives for it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rosn_net::{Io, PeerAddr, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::{Read, Session};

/// A conversation: two addresses may have several.
pub(super) type Key = (SocketAddr, u16);

/// What a stream and its driver share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) key: Key,
    local: SocketAddr,
    state: Mutex<State>,
    bell: Arc<Bell>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) session: Session,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// The driver knows that there is something to do.
    rung: bool,
}

/// How streams tell their driver that there is something to do.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    keys: Vec<Key>,
    driver: Option<Waker>,
}

impl Bell {
    /// Whom to wake, and for which conversations it was rung.
    pub(super) fn listen(&self, driver: &Waker, keys: &mut Vec<Key>) {
        let mut rung = lock(&self.0);
        keys.append(&mut rung.keys);
        if !rung.driver.as_ref().is_some_and(|known| known.will_wake(driver)) {
            rung.driver = Some(driver.clone());
        }
    }

    /// Wakes the driver.
    pub(super) fn ring(&self, key: Option<Key>) {
        let mut rung = lock(&self.0);
        rung.keys.extend(key);
        if let Some(driver) = rung.driver.take() {
            drop(rung);
            driver.wake();
        }
    }
}

/// A lock whose holder panicked is as good as any: what it guards is always whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        key: Key,
        local: SocketAddr,
        session: Session,
        bell: &Arc<Bell>,
    ) -> Arc<Self> {
        let state = State { session, reader: None, writer: None, rung: false };
        Arc::new(Self { key, local, state: Mutex::new(state), bell: Arc::clone(bell) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lets the driver look at the conversation.
    fn ring(&self, mut state: MutexGuard<'_, State>) {
        let rung = std::mem::replace(&mut state.rung, true);
        drop(state);
        if !rung {
            self.bell.ring(Some(self.key));
        }
    }

    fn error(&self, kind: io::ErrorKind, session: &Session) -> io::Error {
        let peer = self.key.0;
        let why = match kind {
            io::ErrorKind::ConnectionRefused => format!("nothing listens at {peer}"),
            io::ErrorKind::TimedOut if !session.is_heard() => format!(
                "no answer from {peer}: nothing listens there, or its header type or seed is another"
            ),
            io::ErrorKind::TimedOut => format!("{peer} has been silent for too long"),
            io::ErrorKind::ConnectionReset => {
                format!("{peer} has closed, and not everything has arrived")
            }
            io::ErrorKind::BrokenPipe => format!("{peer} or this side has closed already"),
            kind => format!("{peer}: {kind}"),
        };
        io::Error::new(kind, format!("mkcp: {why}"))
    }
}

impl State {
    /// The driver has come.
    pub(super) fn answer(&mut self) {
        self.rung = false;
    }

    /// Wakes those who wait for what has come to be.
    pub(super) fn wake(&mut self) {
        if self.reader.is_some()
            && self.session.is_readable()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        if self.writer.is_some()
            && self.session.is_writable()
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }
}

/// Makes a connection of a conversation.
pub(super) fn stream(shared: Arc<Shared>) -> Stream {
    Stream::boxed(Conversation(shared))
}

#[derive(Debug)]
struct Conversation(Arc<Shared>);

impl Drop for Conversation {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        (state.reader, state.writer) = (None, None);
        state.session.detach(Instant::now());
        self.0.ring(state);
    }
}

impl AsyncRead for Conversation {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        let now = Instant::now();
        match state.session.read(buf.initialize_unfilled(), now) {
            Ok(Read::Bytes(count)) => {
                buf.advance(count);
                if state.session.has_news(now) {
                    self.0.ring(state);
                }
                Poll::Ready(Ok(()))
            }
            Ok(Read::End) => Poll::Ready(Ok(())),
            Ok(Read::Wait) => {
                keep(&mut state.reader, cx);
                Poll::Pending
            }
            Err(kind) => Poll::Ready(Err(self.0.error(kind, &state.session))),
        }
    }
}

impl AsyncWrite for Conversation {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        match state.session.write(bytes) {
            Ok(0) if !bytes.is_empty() => {
                keep(&mut state.writer, cx);
                Poll::Pending
            }
            Ok(count) => {
                self.0.ring(state);
                Poll::Ready(Ok(count))
            }
            Err(kind) => Poll::Ready(Err(self.0.error(kind, &state.session))),
        }
    }

    /// What is written is sent without being asked for.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes, and waits until all that was written has arrived.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        state.session.close(Instant::now());
        if let Some(kind) = state.session.failure() {
            return Poll::Ready(Err(self.0.error(kind, &state.session)));
        }
        if state.session.is_flushed() {
            return Poll::Ready(Ok(()));
        }
        keep(&mut state.writer, cx);
        self.0.ring(state);
        Poll::Pending
    }
}

fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

impl Io for Conversation {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.0.key.0.into())
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.0.local.into())
    }

    /// mKCP has no reset; a rosn peer sees an error nevertheless, v2ray an end.
    fn abort(&mut self) {
        self.0.lock().session.abort(Instant::now());
    }
}
