//! The task of a connection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use rosn_base::Credit;
use rosn_net::{ConnInfo, Lingering, Prefixed};
use rosn_tls::Session;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::connection::NEW;
use super::super::registry::{Entry, Registry};
use super::super::timer::after;
use super::super::{ConnState, Ended, Handler, ServeError, ServerOptions};
use super::stream;
use crate::hijack::ShutdownSignal;
use crate::http2::{Ends, FRAME, SMALL_FRAMES, into_io};

/// Bytes of a request's body that may wait to be read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all requests of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of a response that may wait for the client.
const SEND_BUFFER: usize = 128 * 1024;
/// How long the client may take for the end of a connection.
const GOODBYE: Duration = Duration::from_secs(5);

/// What the requests of a connection have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) registry: Arc<Registry>,
    pub(super) info: Arc<ConnInfo>,
    pub(super) ends: Ends,
    pub(super) session: Option<Session>,
    /// Tunnels that are open.
    tunnels: AtomicUsize,
    credit: Mutex<Credit>,
    epoch: Instant,
    /// The connection is to take no more requests, or is to end at once.
    leaves: AtomicBool,
    is_exhausted: AtomicBool,
    /// Wakes the connection's task.
    changed: Notify,
}

impl Shared {
    pub(super) fn options(&self) -> &ServerOptions {
        &self.registry.options
    }

    /// A stream was reset before its response was whole: a client can order work so, and not take it.
    pub(super) fn came_to_nothing(&self) {
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        if !credit.spend(now) {
            self.is_exhausted.store(true, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }

    /// A response came to its end.
    pub(super) fn answered(&self) {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner).earn();
    }

    /// Takes no more requests.
    pub(super) fn leave(&self) {
        self.leaves.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// Counts a tunnel of a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Live(Arc<Shared>);

impl Live {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.tunnels.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// Serves a connection whose client speaks HTTP/2, to its end. `accepted` is when it began.
pub(in crate::server) async fn serve<H: Handler>(
    stream: Prefixed,
    session: Option<Session>,
    entry: &mut Entry,
    is_hijacked: &AtomicBool,
    handler: &Arc<H>,
    shutdown: &mut ShutdownSignal,
    accepted: Instant,
) -> Result<Ended, ServeError> {
    let registry = Arc::clone(&entry.registry);
    let handshake = builder(&registry.options).handshake(Lingering::new(stream));
    let due = after(registry.options.header_timeout);
    let connection = tokio::select! {
        biased;
        connection = handshake => connection.map_err(failed)?,
        () = sleep_until(due) => return Err(ServeError::HeaderTimeout),
        // One that is new has a while.
        () = async {
            shutdown.wait().await;
            sleep_until(accepted + NEW).await;
        } => return Ok(Ended::Closed),
    };
    let info = Arc::clone(&entry.info);
    let shared = Arc::new(Shared {
        registry,
        ends: Ends { local: info.local.clone(), peer: info.peer.clone() },
        info,
        session,
        tunnels: AtomicUsize::new(0),
        credit: Mutex::new(Credit::new(0)),
        epoch: Instant::now(),
        leaves: AtomicBool::new(false),
        is_exhausted: AtomicBool::new(false),
        changed: Notify::new(),
    });
    // As in Go: the preface is something, and no request.
    entry.set(ConnState::Active);
    entry.set(ConnState::Idle);
    let driver = Driver {
        connection,
        shared,
        entry,
        is_hijacked,
        handler,
        shutdown,
        requests: JoinSet::new(),
        is_leaving: false,
        quiet_since: Instant::now(),
    };
    driver.run().await
}

fn builder(options: &ServerOptions) -> Builder {
    let head = u32::try_from(options.limits.head_bytes).unwrap_or(u32::MAX);
    let streams = options.max_streams;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(streams)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME as u32)
        .max_header_list_size(head)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        // A client may think better of all that it has just asked for.
        .max_pending_accept_reset_streams(streams as usize)
        .max_concurrent_reset_streams(streams as usize)
        .enable_connect_protocol();
    builder
}

struct Driver<'c, H> {
    connection: Connection<Lingering<Prefixed>, Bytes>,
    shared: Arc<Shared>,
    entry: &'c mut Entry,
    is_hijacked: &'c AtomicBool,
    handler: &'c Arc<H>,
    shutdown: &'c mut ShutdownSignal,
    requests: JoinSet<()>,
    /// GOAWAY was sent, or is about to be.
    is_leaving: bool,
    /// Since when there is nothing to do.
    quiet_since: Instant,
}

impl<H: Handler> Driver<'_, H> {
    async fn run(mut self) -> Result<Ended, ServeError> {
        let ended = self.drive().await;
        let Self { connection, mut requests, .. } = self;
        // Those of its streams learn of the end.
        drop(connection);
        while requests.join_next().await.is_some() {}
        ended
    }

    async fn drive(&mut self) -> Result<Ended, ServeError> {
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                accepted = self.connection.accept() => match accepted {
                    Some(Ok((request, respond))) => self.begin(request, respond),
                    Some(Err(error)) => return Err(failed(error)),
                    None => return Ok(Ended::Closed),
                },
                Some(_) = self.requests.join_next() => {}
                () = self.shared.changed.notified() => {}
                () = self.shutdown.wait(), if !self.is_leaving => self.leave(),
                () = sleep_until(due) => {
                    if self.is_leaving && self.is_quiet() {
                        return Ok(Ended::Closed); // the client does not take its end
                    }
                    self.leave();
                }
            }
            if self.shared.leaves.load(Ordering::Relaxed) {
                self.leave();
            }
            if self.shared.is_exhausted.swap(false, Ordering::Relaxed) {
                self.is_leaving = true;
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            self.set_state();
        }
    }

    fn begin(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let options = self.shared.options();
        let mut none = Context::from_waker(Waker::noop());
        if respond.poll_reset(&mut none).is_ready() {
            self.shared.came_to_nothing(); // it was reset at once
            return;
        }
        // Handlers go on after their streams are reset.
        if self.requests.len() >= 2 * options.max_streams as usize {
            respond.send_reset(Reason::REFUSED_STREAM);
            self.shared.came_to_nothing();
            return;
        }
        if !options.keep_alive {
            self.leave();
        }
        let (shared, handler) = (Arc::clone(&self.shared), Arc::clone(self.handler));
        self.requests.spawn(stream::run(shared, handler, request, respond));
    }

    /// Begins to end the connection: GOAWAY that lets what is under way arrive, a PING, and behind its answer GOAWAY
    /// with the last stream (RFC 9113 section 6.8).
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.is_leaving, true) {
            self.quiet_since = Instant::now();
            self.connection.graceful_shutdown();
        }
    }

    fn tunnels(&self) -> usize {
        self.shared.tunnels.load(Ordering::Relaxed)
    }

    fn is_quiet(&self) -> bool {
        self.requests.is_empty() && self.tunnels() == 0
    }

    /// When to look again, as there is nothing to do.
    fn due(&self) -> Instant {
        match self.is_quiet() {
            false => after(Duration::MAX),
            true if self.is_leaving => self.quiet_since + GOODBYE,
            true => self.quiet_since + self.shared.options().idle_timeout.min(FOREVER),
        }
    }

    fn set_state(&mut self) {
        let state = match (self.requests.is_empty(), self.tunnels()) {
            (true, 0) => ConnState::Idle,
            // What is left is no HTTP any more: a shutdown treats it as its policy says.
            (true, _) if self.is_leaving => ConnState::Hijacked,
            _ => ConnState::Active,
        };
        if state == ConnState::Idle && self.entry.state() != ConnState::Idle {
            self.quiet_since = Instant::now();
        }
        if self.entry.state() == ConnState::Hijacked {
            return; // the last but one
        }
        self.is_hijacked.store(state == ConnState::Hijacked, Ordering::Relaxed);
        self.entry.set(state);
    }
}

/// About as far away as a timer can be set.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why a connection has ended. One that just ends between requests has not failed.
fn failed(error: h2::Error) -> ServeError {
    match error.is_io() {
        true => ServeError::Io(into_io(error)),
        false => ServeError::Http2(error.into()),
    }
}
