//! How a request comes to a stream.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_cluster::{Endpoint, Permit};
use rosn_net::{ConnInfo, Metered};
use rosn_transport::TransportError;

use super::connection::{Below, Connection, Limits, Opened, Place};
use super::driver::{Driver, Times};
use super::pool::Pool;
use crate::context::Worker;
use crate::h2::Gather;
use crate::upstream::failure::HTTP2;
use crate::upstream::{
    self, ConnectFailure, LOOK_AGAIN, NEVER, Phases, Speaks, Took, Upstream, Wanted, count, nanos,
};

/// What the `h2` crate takes for the number of streams before the endpoint has said it: no number that can be said.
pub(super) const UNKNOWN_STREAMS: usize = usize::MAX - 1;
/// Bytes of a request's body that are handed to the `h2` crate before it has written them, for each stream.
const SEND_BUFFER: usize = 128 * 1024;
/// Streams that were cancelled and whose last frames may still come. What comes for others counts as a fault.
const CANCELLED_STREAMS: usize = 1024;
const CANCELLED_FOR: Duration = Duration::from_secs(10);
/// Faults of single streams that a connection may have.
const MAX_FAULTS: usize = 4096;

impl Upstream {
    /// A stream to the endpoint that is about to begin, within the limits of the cluster.
    ///
    /// Those who come while a connection is being made wait for it, and do not dial too; those who come while all
    /// streams are taken and no further connection is allowed wait for the end of one, first come, first served.
    ///
    /// `settled`: only in a connection whose endpoint has said what it takes.
    pub(crate) async fn obtain_stream(
        self: &Rc<Self>,
        endpoint: &Arc<Endpoint>,
        settled: bool,
        wanted: Wanted<'_>,
    ) -> Result<upstream::Connection, ConnectFailure> {
        self.place(endpoint, settled, wanted).await.map(upstream::Connection::of_stream)
    }

    pub(super) async fn place(
        self: &Rc<Self>,
        endpoint: &Arc<Endpoint>,
        settled: bool,
        wanted: Wanted<'_>,
    ) -> Result<Place, ConnectFailure> {
        let private = self.way.is_private();
        // A connection that tells of a client serves no other.
        let pool = if private { Rc::default() } else { self.http2.of(endpoint) };
        let room = if pool.waiting.is_empty() { pool.take(settled) } else { None };
        let place = match room {
            Some(place) => {
                wanted.phases.reused = Some(place.is_reused());
                place
            }
            None => self.wait_for_stream(&pool, endpoint, settled, wanted).await?,
        };
        if private || self.retired.get() {
            place.retire_connection();
        }
        Ok(place)
    }

    async fn wait_for_stream(
        self: &Rc<Self>,
        pool: &Rc<Pool>,
        endpoint: &Arc<Endpoint>,
        settled: bool,
        wanted: Wanted<'_>,
    ) -> Result<Place, ConnectFailure> {
        let Wanted { worker, client, timer, deadline, phases, .. } = wanted;
        let own = pool.waiting.enter();
        let failures = pool.failures.get();
        let begin = worker.clock.now();
        let mut pending = None;
        loop {
            let is_first = own.is_first();
            let room = if is_first { pool.take(settled) } else { None };
            let now = worker.clock.refresh();
            if let Some(place) = room {
                self.waited(phases, &place, now.saturating_sub(begin));
                return Ok(place);
            }
            if pool.failures.get() != failures
                && let Some(failure) = pool.failure()
            {
                return Err(failure);
            }
            if now >= deadline {
                return Err(late(self, pool, endpoint, now.saturating_sub(begin)));
            }
            if pool.needs_dial()
                && let Some(permit) = self.permit()
            {
                let opening = Opening::new(self, pool, endpoint, permit, worker, client);
                tokio::task::spawn_local(opening.run());
            }
            if pending.is_none() && !pool.is_opening() && !pool.has_room() {
                pending = self.cluster.breakers().try_pending();
                if pending.is_none() {
                    count!(self, endpoint, request_pending_overflow, 1);
                    return Err(ConnectFailure::Overflow("max_connections"));
                }
            }
            let look = if is_first { now.saturating_add(nanos(LOOK_AGAIN)) } else { NEVER };
            timer.set(look.min(deadline));
            poll_fn(|cx| match own.poll_woken(cx) {
                Poll::Pending if !timer.poll_expired(cx.waker()) => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
        }
    }

    /// Takes note of how long it took to come to the place.
    fn waited(&self, phases: &mut Phases, place: &Place, took: u64) {
        match place.opening() {
            Some(opening) => {
                let Phases { dns, connect, tls, .. } = opening;
                *phases = Phases { dns, connect, tls, reused: opening.reused, ..*phases };
            }
            None => {
                phases.reused = Some(true);
                phases.pool_wait = Took::nanos(took);
                self.stats().pool_wait.record(took);
            }
        }
    }
}

/// The request's own time is over.
fn late(upstream: &Upstream, pool: &Pool, endpoint: &Endpoint, after: u64) -> ConnectFailure {
    if !pool.is_opening() {
        return ConnectFailure::Waited;
    }
    ConnectFailure::Timeout {
        transport: upstream.scheme().into(),
        doing: upstream::CONNECT,
        addr: endpoint.addr().clone(),
        limit: "the request's timeout",
        after: Duration::from_nanos(after),
    }
}

/// A connection that is being made, for all that wait for one.
struct Opening {
    upstream: Rc<Upstream>,
    pool: Rc<Pool>,
    endpoint: Arc<Endpoint>,
    permit: Option<Permit>,
    worker: Rc<Worker>,
    client: ConnInfo,
}

impl Opening {
    fn new(
        upstream: &Rc<Upstream>,
        pool: &Rc<Pool>,
        endpoint: &Arc<Endpoint>,
        permit: Permit,
        worker: &Rc<Worker>,
        client: &ConnInfo,
    ) -> Self {
        pool.dials.set(pool.dials.get() + 1);
        Self {
            upstream: Rc::clone(upstream),
            pool: Rc::clone(pool),
            endpoint: Arc::clone(endpoint),
            permit: Some(permit),
            worker: Rc::clone(worker),
            client: client.clone(),
        }
    }

    /// Makes the connection, and drives it from then on.
    async fn run(mut self) {
        match self.open().await {
            Ok(driver) => {
                // The pool is the connection's now, and no longer this one's.
                drop(self);
                driver.run().await;
            }
            Err(failure) => self.pool.failed(failure),
        }
    }

    async fn open(&mut self) -> Result<Driver, ConnectFailure> {
        let Self { upstream, pool, endpoint, permit, worker, client } = self;
        let permit = permit.take().expect("it is opened once");
        let timer = worker.wheel.timer();
        let mut phases = Phases::default();
        let wanted = Wanted {
            worker,
            client,
            timer: &timer,
            deadline: NEVER,
            phases: &mut phases,
            speaks: Speaks::Http2,
        };
        let mut opened = upstream.dial(endpoint, permit, wanted).await?;
        let (id, local) = (opened.id, opened.local_addr());
        let (stream, counted) = opened.into_socket().expect("it was dialed");
        // Where it fails the connection is gone, and that is noticed at once.
        let _ = stream.set_keep_alive(&upstream.keep_alive);
        let below = Rc::<Below>::default();
        let metered = Metered::new(stream, Rc::clone(&below));
        let gather = Gather::new(metered, worker.upstream_buffers.clone());
        gather.begin();
        let handshake = builder(upstream, worker).handshake(gather.clone());
        let (sender, io) = handshake.await.map_err(|error| {
            let reset = || io::ErrorKind::ConnectionReset.into();
            no_http2(endpoint, error.into_io().unwrap_or_else(reset))
        })?;
        let settings = &upstream.cluster.config().http2;
        let requests = upstream.cluster.config().max_requests_per_connection;
        let limits = Limits {
            streams: settings.max_concurrent_streams.max(1) as usize,
            requests: requests.map_or(u32::MAX, std::num::NonZeroU32::get),
        };
        let is_secure = is_secure(upstream, endpoint);
        let (endpoint, lender) = (Arc::clone(endpoint), gather.lender());
        let opened = Opened { endpoint, id, local, is_secure, counted, phases, lender };
        let connection = Connection::new(opened, sender, Rc::clone(worker), pool, limits);
        below.set(&connection);
        pool.put(&connection);
        let times = Times {
            settle: upstream.connect_timeout,
            ping_after: settings.ping_interval.map_or(NEVER, nanos),
            ping_timeout: nanos(settings.ping_timeout),
            age: settings.max_connection_age.map_or(NEVER, nanos),
        };
        Ok(Driver::new(connection, io, gather, worker, pool, times))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.pool.dials.set(self.pool.dials.get() - 1);
        self.pool.waiting.wake_all();
    }
}

/// The connection broke before the endpoint has said its settings.
pub(super) fn no_http2(endpoint: &Endpoint, cause: io::Error) -> ConnectFailure {
    let (transport, phase) = ("http2", HTTP2);
    let addr = endpoint.addr().clone();
    TransportError::Handshake { transport, phase, addr, cause }.into()
}

/// Whether what is said to the endpoint is encrypted.
fn is_secure(upstream: &Upstream, endpoint: &Endpoint) -> bool {
    let config = upstream.cluster.config();
    (config.tls.is_some() && !endpoint.is_plain())
        || config.stream.as_ref().is_some_and(|settings| settings.tls.is_some())
}

fn builder(upstream: &Upstream, worker: &Worker) -> h2::client::Builder {
    let settings = &upstream.cluster.config().http2;
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(settings.initial_stream_window)
        .initial_connection_window_size(settings.initial_connection_window)
        .max_header_list_size(u32::try_from(worker.max_head_bytes()).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(CANCELLED_STREAMS)
        .reset_stream_duration(CANCELLED_FOR)
        .max_local_error_reset_streams(Some(MAX_FAULTS))
        .initial_max_send_streams(UNKNOWN_STREAMS);
    builder
}
