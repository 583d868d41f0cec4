//! A worker's view of a cluster: its balancer and its pools of connections.

mod connection;
mod dial;
mod failure;
mod http2;
mod phases;
mod pool;
mod waiting;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_base::stats::Sharded;
use rosn_cluster::{Balancer, Cluster, ClusterStats, Endpoint, Permit, Pick};
use rosn_config::checked::Discovery;
use rosn_net::{DialOptions, KeepAlive};

use crate::context::{Shared, Worker};
use crate::http::Side;
use crate::snapshot::Connectors;
use connection::Counted;
pub(crate) use connection::{Connection, Held};
use dial::Way;
pub(crate) use dial::{Speaks, Wanted};
pub(crate) use failure::{ConnectFailure, Lack, SPEAKS_HTTP2};
pub(crate) use http2::Place;
use phases::CONNECT;
pub(crate) use phases::{DNS, Phases, Took};
use pool::Pool;
use waiting::Queue;

/// Adds to a counter of the endpoint and to that of its cluster.
macro_rules! count {
    ($upstream:expr, $endpoint:expr, $field:ident, $count:expr) => {{
        let (upstream, count) = (&*$upstream, $count);
        upstream.shard($endpoint.stats()).$field.add(count);
        upstream.shard(upstream.cluster.stats()).$field.add(count);
    }};
}
pub(crate) use count;

/// How long a connection may be idle where the cluster has no `idle_timeout`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// How often the first of those that wait for a connection looks whether another worker has closed one.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a connection may be idle while the cluster has no room for another one.
const IDLE_WHILE_FULL: Duration = Duration::from_secs(1);

/// A time so far away that it never comes.
pub(crate) const NEVER: u64 = u64::MAX / 4;

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER).min(NEVER)
}

/// A cluster as one worker sees it.
pub(crate) struct Upstream {
    pub(crate) cluster: Arc<Cluster>,
    worker: usize,
    balancer: RefCell<Balancer>,
    /// By the endpoint's id.
    pools: RefCell<BTreeMap<u64, Pool>>,
    /// The same for HTTP/2.
    http2: http2::Pools,
    waiting: Queue,
    /// No longer part of the configuration: connections that come back are closed.
    retired: Cell<bool>,
    way: Way,
    /// TLS above it.
    connectors: Option<Arc<Connectors>>,
    /// Set on plain sockets that last.
    keep_alive: KeepAlive,
    connect_timeout: u64,
}

/// Whether a request may go on a connection that has been idle.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reuse {
    /// Only on a new one.
    No,
    /// Yes; `probe` as for [`Pool::take`].
    Idle { probe: bool },
}

/// Room for a request.
enum Room {
    Idle(Connection),
    New(Permit),
}

impl Upstream {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        connectors: Option<Arc<Connectors>>,
        worker: usize,
        seed: u64,
        shared: &Shared,
    ) -> Self {
        let config = cluster.config();
        Self {
            worker,
            balancer: RefCell::new(Balancer::new(config, seed)),
            pools: RefCell::default(),
            http2: http2::Pools::default(),
            waiting: Queue::default(),
            retired: Cell::new(false),
            keep_alive: config.stream.as_ref().map_or_else(KeepAlive::default, |settings| {
                rosn_transport::keep_alive(&settings.socket)
            }),
            way: Way::to(config, shared),
            connectors,
            connect_timeout: nanos(config.connect_timeout),
            cluster,
        }
    }

    /// Whether it serves for this cluster, reached in this way.
    pub(crate) fn is_to(&self, cluster: &Arc<Cluster>, by: &Option<Arc<Connectors>>) -> bool {
        let same_way = match (&self.connectors, by) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        };
        Arc::ptr_eq(&self.cluster, cluster) && same_way
    }

    /// How a socket for datagrams to an endpoint is made.
    pub(crate) fn datagram_options(&self) -> DialOptions {
        match &self.way {
            Way::Socket(options) => options.clone(),
            Way::Transport(..) | Way::None(_) => DialOptions::default(),
        }
    }

    /// The name of what carries connections to the cluster.
    pub(crate) fn scheme(&self) -> &str {
        let settings = self.cluster.config().stream.as_ref();
        settings.map_or("tcp", |settings| settings.transport.scheme())
    }

    /// The endpoint that the balancer chooses.
    pub(crate) fn pick(&self, pick: &Pick<'_>) -> Option<Arc<Endpoint>> {
        let endpoints = self.cluster.endpoints();
        self.balancer.borrow_mut().pick(&endpoints, pick).cloned()
    }

    /// The endpoint that the client meant, for clusters that go there: the address that the request
    /// header names, or else the one that the client connected to.
    pub(crate) fn original_dst<'a>(
        &self,
        wanted: Option<SocketAddr>,
        header: impl FnOnce(&str) -> Option<&'a [u8]>,
    ) -> Option<Arc<Endpoint>> {
        let Discovery::OriginalDst { header: name, .. } = &self.cluster.config().discovery else {
            return None;
        };
        let named = name
            .as_deref()
            .and_then(header)
            .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse::<SocketAddr>().ok());
        named.or(wanted).map(|addr| self.cluster.original_dst(addr))
    }

    /// Gives back a connection whose exchange ended cleanly.
    pub(crate) fn put(&self, mut connection: Connection, worker: &Worker) {
        let limit = self.cluster.config().max_requests_per_connection;
        let Side::Http1(stream) = &mut connection.side else { return };
        if self.way.is_private()
            || self.retired.get()
            || limit.is_some_and(|limit| connection.requests >= limit.get())
        {
            return;
        }
        if self.waiting.is_empty() && self.cluster.breakers().is_waited_for() {
            return; // another worker has a request for which there is no room
        }
        if connection.requests == 1 {
            // Where it fails the connection is gone, and that is noticed when it is taken.
            let _ = stream.set_keep_alive(&self.keep_alive);
        }
        connection.idle_since = worker.clock.now();
        let keep = worker.idle_limit();
        let mut pools = self.pools.borrow_mut();
        pools.entry(connection.endpoint.id()).or_default().put(connection, keep);
        drop(pools);
        self.waiting.wake_first();
    }

    /// Closes connections that have been idle for too long or that their peers have closed.
    pub(crate) fn sweep(&self, now: u64) {
        let timeout = nanos(self.cluster.config().idle_timeout.unwrap_or(IDLE_TIMEOUT));
        let mut timeout = (timeout > 0).then_some(timeout);
        if self.cluster.breakers().is_full() {
            // Other workers may have requests for which there is no room, and some that wait for it.
            let waited_for = self.cluster.breakers().is_waited_for();
            let short = if waited_for { 0 } else { nanos(IDLE_WHILE_FULL) };
            timeout = Some(timeout.map_or(short, |timeout| timeout.min(short)));
        }
        let oldest = timeout.map(|timeout| now.saturating_sub(timeout));
        self.pools.borrow_mut().retain(|_, pool| {
            pool.sweep(oldest);
            !pool.is_empty()
        });
        self.http2.sweep(oldest);
    }

    /// Closes all idle connections, and each other one when it comes back.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.pools.borrow_mut().values_mut().for_each(Pool::clear);
        self.http2.retire();
    }

    /// The cluster's counters.
    pub(crate) fn stats(&self) -> &ClusterStats {
        self.shard(self.cluster.stats())
    }

    /// A connection for a request: an idle one, or a new one made before the deadline and within the cluster's
    /// `connect_timeout`. Where `max_connections` is reached, `max_pending_requests` may wait for one.
    ///
    /// `reuse` says whether it may be an idle one, and whether that is to be probed (see [`Pool::take`]).
    pub(crate) async fn obtain(
        self: &Rc<Self>,
        endpoint: &Arc<Endpoint>,
        reuse: Reuse,
        mut wanted: Wanted<'_>,
    ) -> Result<Connection, ConnectFailure> {
        let room = if self.waiting.is_empty() { self.room(endpoint, reuse) } else { None };
        let room = match room {
            Some(room) => room,
            None => self.wait(endpoint, reuse, &mut wanted).await?,
        };
        match room {
            Room::Idle(connection) => {
                wanted.phases.reused = Some(true);
                Ok(connection)
            }
            Room::New(permit) => self.dial(endpoint, permit, wanted).await,
        }
    }

    /// Makes a new connection, before the deadline and within the cluster's `connect_timeout`.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        endpoint: &Arc<Endpoint>,
        wanted: Wanted<'_>,
    ) -> Result<Connection, ConnectFailure> {
        let permit = self.permit().ok_or(ConnectFailure::Overflow("max_connections"))?;
        self.dial(endpoint, permit, wanted).await
    }

    fn room(&self, endpoint: &Endpoint, reuse: Reuse) -> Option<Room> {
        let idle = match reuse {
            Reuse::No => None,
            Reuse::Idle { probe } => self.take(endpoint, probe),
        };
        idle.map(Room::Idle).or_else(|| self.permit().map(Room::New))
    }

    fn take(&self, endpoint: &Endpoint, probe: bool) -> Option<Connection> {
        self.pools.borrow_mut().get_mut(&endpoint.id())?.take(probe)
    }

    /// The right to a new connection, for which an idle one may have to be closed.
    fn permit(&self) -> Option<Permit> {
        let breakers = self.cluster.breakers();
        breakers.try_connection().or_else(|| {
            let idle = self.pools.borrow_mut().values_mut().find_map(Pool::take_oldest);
            if idle.is_none() && !self.http2.evict() {
                return None;
            }
            drop(idle);
            breakers.try_connection()
        })
    }

    /// Waits until a connection is given back or closed.
    async fn wait(
        &self,
        endpoint: &Arc<Endpoint>,
        reuse: Reuse,
        wanted: &mut Wanted<'_>,
    ) -> Result<Room, ConnectFailure> {
        let Some(_permit) = self.cluster.breakers().try_pending() else {
            count!(self, endpoint, request_pending_overflow, 1);
            return Err(ConnectFailure::Overflow("max_connections"));
        };
        let Wanted { worker, timer, deadline, .. } = *wanted;
        let place = self.waiting.enter();
        let begin = worker.clock.now();
        loop {
            let is_first = place.is_first();
            let room = if is_first { self.room(endpoint, reuse) } else { None };
            let now = worker.clock.refresh();
            wanted.phases.pool_wait = Took::nanos(now.saturating_sub(begin));
            if let Some(room) = room {
                self.stats().pool_wait.record(now.saturating_sub(begin));
                return Ok(room);
            }
            if now >= deadline {
                return Err(ConnectFailure::Waited);
            }
            let look = if is_first { now.saturating_add(nanos(LOOK_AGAIN)) } else { NEVER };
            timer.set(look.min(deadline));
            poll_fn(|cx| match place.poll_woken(cx) {
                Poll::Pending if !timer.poll_expired(cx.waker()) => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
        }
    }

    /// Whether another try may do better, when those with these ids have failed. What an endpoint says for good, it is
    /// not asked again.
    pub(crate) fn may_retry(&self, failure: &ConnectFailure, tried: &[u64]) -> bool {
        let is_new =
            |endpoint: &Arc<Endpoint>| endpoint.is_healthy() && !tried.contains(&endpoint.id());
        failure.may_pass()
            && (!failure.is_final() || self.cluster.endpoints().endpoints().iter().any(is_new))
    }

    /// Why there is no endpoint to choose.
    pub(crate) fn lack(&self) -> Lack {
        let config = self.cluster.config();
        match (self.cluster.endpoints().endpoints(), &*config.hosts) {
            _ if matches!(config.discovery, Discovery::OriginalDst { .. }) => Lack::Destination,
            ([], []) => Lack::Hosts,
            ([], _) => Lack::Addresses,
            _ => Lack::Health,
        }
    }

    /// This worker's shard.
    pub(crate) fn shard<'a, T: rosn_base::stats::Stats>(
        &self,
        stats: &'a Arc<Sharded<T>>,
    ) -> &'a T {
        stats.shard(self.worker)
    }
}
