//! The server: accepts connections, and ends.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rosn_net::{AcceptAction, NetListener, PeerAddr, Stream, accept_error};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Connection;
use super::registry::{Entry, Registry};
use super::{Ended, Handler, HijackedConnections, Policy, ServeError, ServerOptions, Stopped};

/// A pause after the system has run out of something, so that connections can end.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Tasks that were cut end the next time they are woken; one that blocks its thread is not waited for.
const CUT: Duration = Duration::from_secs(1);

/// Serves connections by a [`Handler`]. Clones are the same server.
pub struct Server<H>(Arc<Inner<H>>);

struct Inner<H> {
    handler: Arc<H>,
    registry: Arc<Registry>,
    on_shutdown: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl<H> Clone for Server<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H: Handler> Server<H> {
    /// A server with the default [`ServerOptions`].
    pub fn new(handler: H) -> Self {
        Self::with_options(handler, ServerOptions::default())
    }

    /// A server.
    pub fn with_options(handler: H, options: ServerOptions) -> Self {
        Self(Arc::new(Inner {
            handler: Arc::new(handler),
            registry: Arc::new(Registry::new(options)),
            on_shutdown: Mutex::default(),
        }))
    }

    /// Has `call` called when a shutdown begins: Go's `RegisterOnShutdown`.
    pub fn on_shutdown(&self, call: impl FnOnce() + Send + 'static) {
        self.calls().push(Box::new(call));
    }

    /// Accepts connections and starts a task for each, until [`Server::shutdown`]. A server may serve several listeners.
    ///
    /// Cancel safety: dropping the future closes the listener; connections that were accepted go on.
    ///
    /// # Errors
    /// The listener is unusable.
    pub async fn serve(&self, mut listener: Box<dyn NetListener>) -> io::Result<()> {
        let registry = &self.0.registry;
        let mut shutdown = registry.shutdown.signal();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.wait() => return Ok(()),
                accepted = accept(registry, &mut *listener) => accepted,
            };
            match accepted {
                Ok((stream, peer, permit)) => {
                    let connection = self.connection(stream, Some(peer), Some(permit));
                    tokio::spawn(async move {
                        let info = Arc::clone(connection.info());
                        if let Err(error) = connection.run().await {
                            tracing::debug!(peer = %info.peer, "a connection was given up: {error}");
                        }
                    });
                }
                Err(error) => match accept_error(&error) {
                    AcceptAction::Retry => {}
                    AcceptAction::BackOff => {
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(BACK_OFF).await;
                    }
                    AcceptAction::Fatal => return Err(error),
                },
            }
        }
    }

    /// Serves one connection that came from elsewhere in the caller's task. It counts as one of the server's, and begins as
    /// they do, with TLS where they have it; but it is not held back by [`ServerOptions::max_connections`].
    ///
    /// Cancel safety: dropping the future drops the handler and closes the connection.
    ///
    /// # Errors
    /// See [`ServeError`]; the client was told where it could be.
    pub async fn serve_stream(&self, stream: Stream) -> Result<Ended, ServeError> {
        self.connection(stream, None, None).run().await
    }

    /// Ends the server. No connection is accepted any more; idle ones are closed, new ones that have sent nothing
    /// within 5 s too, and the others after the response they are at. Returns when that is done, or the deadline has
    /// passed; hijacked connections are treated as the policy says.
    ///
    /// When the deadline passes, handlers that still run are dropped with what they hold, and tunnels
    /// ([`Hijacked::tunnel`](crate::hijack::Hijacked::tunnel)) end. A hijacked connection that somebody else holds
    /// cannot be closed from here: [`ShutdownSignal::cut`](crate::hijack::ShutdownSignal::cut) tells its holder, and
    /// [`Stopped::hijacked`] counts it.
    ///
    /// Cancel safety: a shutdown that has begun goes on, but nobody waits for it; call it again to wait.
    pub async fn shutdown(&self, policy: Policy) -> Stopped {
        let calls = std::mem::take(&mut *self.calls());
        calls.into_iter().for_each(|call| call());
        let registry = &self.0.registry;
        registry.shutdown.notify();
        if policy.hijacked != HijackedConnections::Ignore {
            registry.hijacked.notify();
        }
        let waits = policy.hijacked == HijackedConnections::Wait;
        let ended = registry.wait_for(|counts| counts.http == 0 && !(waits && counts.hijacked > 0));
        let mut cut = 0;
        match policy.deadline {
            None => ended.await,
            Some(deadline) => {
                if tokio::time::timeout(deadline, ended).await.is_err() {
                    cut = registry.counts().http;
                    self.cut(policy.hijacked).await;
                }
            }
        }
        Stopped { cut, hijacked: registry.counts().hijacked }
    }

    /// Closes what is still open.
    async fn cut(&self, hijacked: HijackedConnections) {
        let registry = &self.0.registry;
        registry.shutdown.cut();
        if hijacked != HijackedConnections::Ignore {
            registry.hijacked.cut();
        }
        let _ = tokio::time::timeout(CUT, registry.wait_for(|counts| counts.http == 0)).await;
    }

    /// Connections that are open now, without those that were hijacked.
    pub fn connections(&self) -> usize {
        self.0.registry.counts().http
    }

    /// Hijacked connections whose guards live.
    pub fn hijacked_connections(&self) -> usize {
        self.0.registry.counts().hijacked
    }

    fn connection(
        &self,
        stream: Stream,
        peer: Option<PeerAddr>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Connection<H> {
        let entry = Entry::new(&self.0.registry, &stream, peer, permit);
        Connection::new(stream, Arc::clone(&self.0.handler), entry)
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn FnOnce() + Send>>> {
        self.0.on_shutdown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts a connection when there is room for one.
async fn accept(
    registry: &Registry,
    listener: &mut dyn NetListener,
) -> io::Result<(Stream, PeerAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(&registry.permits).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    let (stream, peer) = poll_fn(|cx| listener.poll_accept(cx)).await?;
    Ok((stream, peer, permit))
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("connections", &self.0.registry.counts()).finish()
    }
}
