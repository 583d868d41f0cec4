//! Handshakes of the clients of a listener, a bounded number at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rosn_base::Addr;
use rosn_net::{NetListener, PeerAddr, Stream};
use tokio::time::{Sleep, sleep};

use crate::transport::drained;
use crate::{Accepted, BoxFuture, Listener, TransportLimits};

/// Connections that are taken from the socket in one poll; then other tasks get their turn.
const AT_A_TIME: usize = 64;

/// How long a socket that is drained is looked at once its queue seems empty. What the event loop knows may be old, and
/// closing a socket resets who waits in its queue.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// How many can wait in the queue of a socket: [`rosn_net::ListenOptions::backlog`].
const QUEUE: u32 = 4096;

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Which phase of it, such as `TLS handshake`.
    pub(crate) phase: &'static str,
    /// Why.
    pub(crate) cause: io::Error,
}

impl Failed {
    /// For `map_err`.
    pub(crate) fn at(phase: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self { phase, cause }
    }
}

/// What is made of an accepted socket: a connection for the application, or what a transport hands out several from.
type Upgrade<T> =
    Box<dyn Fn(Stream, PeerAddr) -> BoxFuture<'static, Result<T, Failed>> + Send + Sync>;

type UnderWay<T> = BoxFuture<'static, Option<T>>;

/// Accepts sockets, and runs their handshakes side by side, so that a slow client delays nobody but itself.
///
/// At most [`TransportLimits::handshakes`] are under way or wait to be handed out; more sockets are not accepted. One
/// that fails or takes too long is logged and forgotten.
pub(crate) struct Handshakes<T> {
    transport: &'static str,
    /// `None` = drained, and all that was in its queue was taken.
    listener: Option<Box<dyn NetListener>>,
    drain: Drain,
    addr: Addr,
    upgrade: Upgrade<T>,
    under_way: FuturesUnordered<UnderWay<T>>,
    limit: usize,
    timeout: Duration,
}

impl<T: Send + 'static> Handshakes<T> {
    pub(crate) fn new(
        transport: &'static str,
        listener: Box<dyn NetListener>,
        limits: &TransportLimits,
        upgrade: Upgrade<T>,
    ) -> Self {
        let addr = listener.local_addr();
        Self {
            transport,
            listener: Some(listener),
            drain: Drain::No,
            addr,
            upgrade,
            under_way: FuturesUnordered::new(),
            limit: limits.handshakes.max(1),
            timeout: limits.handshake_timeout,
        }
    }

    /// The next one that is ready. Cancel safety: none is lost.
    ///
    /// # Errors
    /// Those of the socket, see [`rosn_net::accept_error`]; `NotConnected` when it has drained.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        for _ in 0..AT_A_TIME {
            // The order lets what has waited longer go first, and frees places.
            while let Poll::Ready(Some(done)) = self.under_way.poll_next_unpin(cx) {
                if let Some(ready) = done {
                    return Poll::Ready(Ok(ready));
                }
            }
            let Some(listener) = &mut self.listener else {
                return match self.under_way.is_empty() {
                    true => Poll::Ready(Err(drained())),
                    false => Poll::Pending,
                };
            };
            if self.under_way.len() >= self.limit {
                return Poll::Pending;
            }
            match listener.poll_accept(cx)? {
                Poll::Ready((stream, peer)) => {
                    self.begin(stream, peer);
                    if self.drain.is_enough() {
                        self.listener = None;
                    }
                }
                Poll::Pending if self.drain.poll_over(cx) => self.listener = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn begin(&self, stream: Stream, peer: PeerAddr) {
        let (transport, timeout) = (self.transport, self.timeout);
        let upgrade = (self.upgrade)(stream, peer.clone());
        self.under_way.push(Box::pin(async move {
            let failed = match tokio::time::timeout(timeout, upgrade).await {
                Ok(Ok(ready)) => return Some(ready),
                Ok(Err(failed)) => failed,
                Err(_) => Failed { phase: "handshake", cause: io::ErrorKind::TimedOut.into() },
            };
            let Failed { phase, cause } = failed;
            tracing::debug!(transport, phase, %peer, error = %cause, "a client's handshake failed");
            None
        }));
    }

    /// How many are under way, or done and not handed out yet.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// The address that is listened on.
    pub(crate) fn local_addr(&self) -> Addr {
        self.addr.clone()
    }

    /// Whether the socket is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.listener.is_none()
    }

    /// Accepts what waits in the socket's queue already, and then closes the socket. What is under way goes on.
    pub(crate) fn drain(&mut self) {
        if let Drain::No = self.drain {
            self.drain = Drain::Asked { taken: 0, last_look: None };
        }
    }
}

/// Whether the socket is to be closed.
enum Drain {
    No,
    /// When the queue is empty that was there, or so many were taken that the rest must have come later.
    Asked {
        taken: u32,
        last_look: Option<Pin<Box<Sleep>>>,
    },
}

impl Drain {
    /// To be asked when nobody seems to be in the queue.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Self::Asked { last_look, .. } = self else { return false };
        let last_look = last_look.get_or_insert_with(|| Box::pin(sleep(LAST_LOOK)));
        last_look.as_mut().poll(cx).is_ready()
    }

    /// To be asked when somebody was taken from the queue.
    fn is_enough(&mut self) -> bool {
        let Self::Asked { taken, .. } = self else { return false };
        *taken += 1;
        *taken >= QUEUE
    }
}

impl Listener for Handshakes<Accepted> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        self.poll_next(cx)
    }

    fn local_addr(&self) -> Addr {
        self.local_addr()
    }

    fn drain(&mut self) {
        self.drain();
    }
}

#[cfg(test)]
mod tests;
