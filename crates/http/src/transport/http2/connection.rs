//! A connection that carries many requests at a time.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use rosn_base::Addr;
use rosn_net::{Lingering, Metered, PeerAddr};
use rosn_trace::{ConnId, DialId, Event, Interest, NotReused, TraceHandle};
use tokio::sync::{Notify, watch};

use super::super::pool::{Http2Settings, Permit, Pool};
use super::driver::{self, Driver};
use crate::connect::{Connected, Target};
use crate::http2::{Ends, FRAME, SMALL_FRAMES};

/// Bytes of a response that may wait to be read, as in Go. The window of the connection is so large that no response
/// stands in another's way.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;
/// Streams at a time, until the server has said how many it takes (Go's).
const FIRST_STREAMS: usize = 100;

/// A connection of the pool. When the pool and all requests have let go of it, it closes.
pub(in crate::transport) struct Multiplexed {
    pub(super) sender: SendRequest<Bytes>,
    pub(in crate::transport) id: ConnId,
    pub(in crate::transport) dial: DialId,
    pub(in crate::transport) local: Option<Addr>,
    pub(in crate::transport) peer: Option<Addr>,
    pub(super) ends: Ends,
    pub(in crate::transport) target: Target,
    pub(super) life: Arc<Life>,
    /// Requests that have a stream or are about to.
    streams: AtomicUsize,
    /// Requests that it has carried, those included.
    requests: AtomicU64,
    /// Why it takes no more of them.
    closing: OnceLock<NotReused>,
}

/// What the task of a connection shares with its requests.
#[derive(Debug)]
pub(super) struct Life {
    /// Something came since this was last set back.
    pub(super) heard: AtomicBool,
    /// Somebody wants to know whether it lives, or what its settings are.
    pub(super) asked: Notify,
    /// The server's settings are known, or the connection has ended.
    pub(super) settled: watch::Sender<bool>,
    /// It was given up, as the server did not answer.
    pub(super) is_dead: AtomicBool,
}

impl Multiplexed {
    /// Begins to speak HTTP/2 on a connection.
    ///
    /// # Errors
    /// The connection has failed already.
    pub(in crate::transport) async fn start(
        connected: Connected,
        dial: DialId,
        target: Target,
        permit: Option<Permit>,
        pool: &Arc<Pool>,
        settings: &Http2Settings,
    ) -> Result<Arc<Self>, h2::Error> {
        let unknown = |_: io::Error| PeerAddr::Unix(None);
        let ends = Ends {
            local: connected.stream.local_addr().unwrap_or_else(unknown),
            peer: connected.stream.peer_addr().unwrap_or_else(unknown),
        };
        let life = Arc::new(Life {
            heard: AtomicBool::new(true),
            asked: Notify::new(),
            settled: watch::Sender::new(false),
            is_dead: AtomicBool::new(false),
        });
        let stream = Lingering::new(Metered::new(connected.stream, Arc::clone(&life)));
        let (sender, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME as u32)
            .max_header_list_size(u32::try_from(settings.head_bytes).unwrap_or(u32::MAX))
            .initial_max_send_streams(FIRST_STREAMS)
            .data_frame_budget(SMALL_FRAMES)
            .handshake(stream)
            .await?;
        let id = ConnId::next();
        let driver = Driver {
            connection,
            life: Arc::clone(&life),
            health: settings.health.clone(),
            id,
            target: target.clone(),
            pool: Arc::downgrade(pool),
            _permit: permit,
        };
        tokio::spawn(driver::run(driver));
        Ok(Arc::new(Self {
            sender,
            id,
            dial,
            local: connected.local,
            peer: connected.peer,
            ends,
            target,
            life,
            streams: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            closing: OnceLock::new(),
        }))
    }

    /// Whether another request could be sent on it.
    pub(in crate::transport) fn has_room(&self) -> bool {
        self.closing().is_none()
            && self.streams.load(Ordering::Relaxed) < self.sender.current_max_send_streams()
    }

    /// Why it takes no more requests.
    pub(in crate::transport) fn closing(&self) -> Option<NotReused> {
        if self.closing.get().is_none() {
            let mut cx = Context::from_waker(Waker::noop());
            // An error here is that of the connection, or the server has told us to go away.
            if let Poll::Ready(Err(error)) = self.sender.clone().poll_ready(&mut cx) {
                let reason =
                    if error.is_go_away() { NotReused::PeerAskedClose } else { NotReused::Broken };
                self.close(reason);
            }
        }
        self.closing.get().copied()
    }

    /// Takes no more requests. Those that it has go on.
    pub(in crate::transport) fn close(&self, reason: NotReused) {
        // The first reason counts.
        let _ = self.closing.set(reason);
    }

    /// Whether no request has a stream.
    pub(in crate::transport) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
    }

    /// Whether the server did not answer any more.
    pub(super) fn is_dead(&self) -> bool {
        self.life.is_dead.load(Ordering::Relaxed)
    }

    /// Takes a place; only with the pool's lock, after [`Multiplexed::has_room`].
    pub(in crate::transport) fn reserve(self: &Arc<Self>, pool: &Arc<Pool>) -> Place {
        let others = self.streams.fetch_add(1, Ordering::Relaxed);
        Place {
            connection: Arc::clone(self),
            pool: Some(Arc::clone(pool)),
            trace: TraceHandle::none(),
            requests_before: self.requests.fetch_add(1, Ordering::Relaxed),
            has_company: others > 0,
        }
    }

    /// Gives a place back; only with the pool's lock. Whether it was the last.
    pub(in crate::transport) fn release(&self) -> bool {
        self.streams.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

impl fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexed")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// A place for a request on a connection. Dropping it gives it back; the last of a connection says so to the trace.
#[derive(Debug)]
pub(in crate::transport) struct Place {
    pub(in crate::transport) connection: Arc<Multiplexed>,
    /// `None` once it was given back.
    pool: Option<Arc<Pool>>,
    pub(in crate::transport) trace: TraceHandle,
    pub(in crate::transport) requests_before: u64,
    /// There were other requests on the connection when this one came.
    pub(in crate::transport) has_company: bool,
}

impl Place {
    /// Gives it back with the pool's lock held; nobody has used it.
    pub(in crate::transport) fn give_back(mut self) {
        self.pool = None;
        self.connection.requests.fetch_sub(1, Ordering::Relaxed);
        self.connection.release();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        if let Some(result) = pool.release(&self.connection) {
            let conn = self.connection.id;
            self.trace.emit(Interest::POOL, || Event::PutIdle { conn, result });
        }
    }
}
