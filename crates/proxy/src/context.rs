//! What a worker owns: everything here lives on one thread and needs no lock.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use rosn_base::stats::Sharded;
use rosn_base::{BufPool, Clock, Wheel};
use rosn_config::checked::IdleTimeout;
use rosn_transport::{Environment, Registry};

use crate::http::{DateCache, Slot};
use crate::snapshot::{Listener, Snapshot};
use crate::stats::DownstreamStats;
use crate::upstream::{NEVER, Upstream, nanos};

/// Size of the buffers that requests are read into, in bytes. A longer head makes its own grow.
const DOWNSTREAM_BUFFER: usize = 16 * 1024;
/// Size of the buffers that responses are read into, in bytes.
const UPSTREAM_BUFFER: usize = 64 * 1024;
/// Size of the buffer that a worker's tunnels share, in bytes.
const COPY_BUFFER: usize = 256 * 1024;
/// Slots and buffers that a worker keeps for reuse.
const KEEP: usize = 1024;

/// What all workers share.
pub struct Shared {
    /// Open downstream connections of all workers.
    pub open: AtomicU32,
    /// Those of each worker.
    pub loads: Box<[AtomicU32]>,
    /// Those that were accepted for each worker and that it has not yet taken.
    pub queued: Box<[AtomicU32]>,
    /// `downstream{proxy="global"}`.
    pub stats: Arc<Sharded<DownstreamStats>>,
    /// How connections travel that are more than sockets.
    pub transports: Arc<Registry>,
    /// What these work with; each listener and cluster has a clone with its own name.
    pub environment: Environment,
}

/// One worker's state: clock, timers, buffers, pools and the present configuration.
pub struct Worker {
    /// Which worker this is; its shard of every counter.
    pub index: usize,
    /// How many workers there are.
    pub count: usize,
    /// Read once per wake-up.
    pub clock: Clock,
    /// Every connection's deadline.
    pub wheel: Wheel,
    /// What all workers share.
    pub shared: Arc<Shared>,
    pub(crate) upstream_buffers: BufPool,
    pub(crate) rng: RefCell<fastrand::Rng>,
    pub(crate) date: DateCache,
    copy_buffer: RefCell<Vec<u8>>,
    #[expect(clippy::vec_box, reason = "they are handed out and taken back without a copy")]
    slots: RefCell<Vec<Box<Slot>>>,
    /// The fewest free slots since they were last trimmed.
    spare_slots: Cell<usize>,
    plan: RefCell<Rc<Plan>>,
    draining: Cell<bool>,
    connections: Cell<usize>,
    last_id: Cell<u64>,
    last_request: Cell<u64>,
    last_upstream: Cell<u64>,
    when_empty: Cell<Option<Waker>>,
}

/// A [`Snapshot`] as one worker sees it: with its own pools and balancers.
struct Plan {
    snapshot: Arc<Snapshot>,
    /// In the order of [`Snapshot::clusters`].
    upstreams: Vec<Rc<Upstream>>,
}

/// A listener together with the state of the configuration that it belongs to.
#[derive(Clone)]
pub struct Serving {
    plan: Rc<Plan>,
    listener: Arc<Listener>,
    /// The present configuration still has a listener of that name that serves the same way.
    present: bool,
}

impl Serving {
    /// The listener of that name in the present configuration.
    pub fn new(worker: &Worker, name: &str) -> Option<Self> {
        let plan = worker.plan();
        let listener = Arc::clone(plan.snapshot.listener(name)?);
        Some(Self { plan, listener, present: true })
    }

    /// The listener.
    pub fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// Another listener of the same configuration.
    pub(crate) fn other(&self, listener: &Arc<Listener>) -> Self {
        Self { plan: Rc::clone(&self.plan), listener: Arc::clone(listener), present: true }
    }

    /// Takes up the present configuration. False where the listener is no longer part of it, or does
    /// something else; then it stays as it was.
    pub fn refresh(&mut self, worker: &Worker) -> bool {
        if !Rc::ptr_eq(&worker.plan.borrow(), &self.plan) {
            let plan = worker.plan();
            let found = plan.snapshot.listener(&self.listener.config.name).cloned();
            let same = |listener: &Arc<Listener>| {
                std::mem::discriminant(&listener.service)
                    == std::mem::discriminant(&self.listener.service)
            };
            match found.filter(same) {
                Some(listener) => *self = Self { plan, listener, present: true },
                None => self.present = false,
            }
        }
        self.present
    }

    /// How long an HTTP connection may stay open without a request, in nanoseconds.
    pub(crate) fn idle_timeout(&self) -> u64 {
        match self.listener.config.idle_timeout {
            IdleTimeout::Default => nanos(self.snapshot().limits.idle_timeout),
            IdleTimeout::Never => NEVER,
            IdleTimeout::After(idle) => nanos(idle),
        }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.plan.snapshot
    }

    pub(crate) fn upstream(&self, index: usize) -> &Rc<Upstream> {
        &self.plan.upstreams[index]
    }
}

impl Shared {
    /// Nothing open yet, for `workers` workers; `stats` are those of `proxy="global"`.
    pub fn new(
        stats: Arc<Sharded<DownstreamStats>>,
        workers: usize,
        transports: Arc<Registry>,
        environment: Environment,
    ) -> Self {
        let zeros = || (0..workers).map(|_| AtomicU32::new(0)).collect();
        let open = AtomicU32::new(0);
        Self { open, loads: zeros(), queued: zeros(), stats, transports, environment }
    }
}

impl Worker {
    /// A worker that acts on `snapshot`.
    pub fn new(
        index: usize,
        count: usize,
        shared: Arc<Shared>,
        snapshot: Arc<Snapshot>,
    ) -> Rc<Self> {
        let worker = Self {
            index,
            count,
            clock: Clock::new(),
            wheel: Wheel::new(),
            shared,
            upstream_buffers: BufPool::new(UPSTREAM_BUFFER, KEEP),
            rng: RefCell::new(fastrand::Rng::new()),
            date: DateCache::default(),
            copy_buffer: RefCell::default(),
            slots: RefCell::default(),
            spare_slots: Cell::default(),
            plan: RefCell::new(Rc::new(Plan {
                snapshot: Arc::clone(&snapshot),
                upstreams: vec![],
            })),
            draining: Cell::new(false),
            connections: Cell::new(0),
            last_id: Cell::new(0),
            last_request: Cell::new(0),
            last_upstream: Cell::new(0),
            when_empty: Cell::default(),
        };
        worker.publish(snapshot);
        Rc::new(worker)
    }

    /// Acts on a new state of the configuration from the next request or connection on. Pools and
    /// balancers of clusters that stayed the same are kept.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let old = self.plan();
        let upstreams = snapshot.clusters.iter().zip(&snapshot.connectors);
        let upstreams = upstreams.map(|(cluster, connectors)| {
            let kept = old.upstreams.iter().find(|upstream| upstream.is_to(cluster, connectors));
            kept.map_or_else(
                || {
                    let seed = self.rng.borrow_mut().u64(..);
                    let (cluster, connectors) = (Arc::clone(cluster), connectors.clone());
                    Rc::new(Upstream::new(cluster, connectors, self.index, seed, &self.shared))
                },
                Rc::clone,
            )
        });
        let plan = Plan { upstreams: upstreams.collect(), snapshot };
        for upstream in &old.upstreams {
            if !plan.upstreams.iter().any(|kept| Rc::ptr_eq(kept, upstream)) {
                upstream.retire();
            }
        }
        *self.plan.borrow_mut() = Rc::new(plan);
    }

    fn plan(&self) -> Rc<Plan> {
        Rc::clone(&self.plan.borrow())
    }

    /// Idle connections that are kept for each endpoint.
    pub(crate) fn idle_limit(&self) -> usize {
        self.plan.borrow().snapshot.limits.max_idle_upstream as usize
    }

    /// Bytes that the head of a message may have.
    pub(crate) fn max_head_bytes(&self) -> usize {
        self.plan.borrow().snapshot.limits.max_head_bytes
    }

    /// What tunnels copy through. Not to be held over an await.
    pub(crate) fn copy_buffer(&self) -> RefMut<'_, Vec<u8>> {
        let mut buffer = self.copy_buffer.borrow_mut();
        if buffer.is_empty() {
            buffer.resize(COPY_BUFFER, 0);
        }
        buffer
    }

    /// Open downstream connections of this worker.
    pub fn connections(&self) -> usize {
        self.connections.get()
    }

    /// Whether the last connection is gone; if not, `waker` is woken when it is.
    pub fn poll_empty(&self, waker: &Waker) -> bool {
        if self.connections.get() == 0 {
            return true;
        }
        self.when_empty.set(Some(waker.clone()));
        false
    }

    /// Begins to drain: idle connections are closed now, the others after their present response.
    pub fn drain(&self) {
        self.draining.set(true);
        self.wheel.wake_all();
    }

    /// Whether [`Worker::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Closes pooled connections that have been idle for too long or that their peers have closed, and
    /// frees buffers that nobody needs. To be called about once a second.
    pub fn sweep(&self) {
        let plan = self.plan();
        for upstream in &plan.upstreams {
            upstream.sweep(self.clock.now());
        }
        self.trim();
    }

    /// A number that no other connection of this process has.
    pub(crate) fn next_id(&self) -> u64 {
        self.next(&self.last_id)
    }

    /// A number that no other request of this process has.
    pub(crate) fn next_request(&self) -> u64 {
        self.next(&self.last_request)
    }

    /// A number that no other connection to an upstream has.
    pub(crate) fn next_upstream(&self) -> u64 {
        self.next(&self.last_upstream)
    }

    fn next(&self, last: &Cell<u64>) -> u64 {
        let next = last.get() + 1;
        last.set(next);
        next * self.count as u64 + self.index as u64
    }

    pub(crate) fn take_slot(&self) -> Box<Slot> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.pop();
        self.spare_slots.set(self.spare_slots.get().min(slots.len()));
        slot.unwrap_or_else(|| Box::new(Slot::new(DOWNSTREAM_BUFFER)))
    }

    pub(crate) fn give_slot(&self, mut slot: Box<Slot>) {
        let mut slots = self.slots.borrow_mut();
        if slots.len() < KEEP && slot.clear(DOWNSTREAM_BUFFER) {
            slots.push(slot);
        }
    }

    /// Frees what no request needed since the last call.
    fn trim(&self) {
        self.upstream_buffers.trim();
        let mut slots = self.slots.borrow_mut();
        let spare = self.spare_slots.get().min(slots.len());
        slots.drain(..spare);
        self.spare_slots.set(slots.len());
    }
}

/// A connection's place in the counts; dropping it takes it out.
pub(crate) struct Admission {
    worker: Rc<Worker>,
    listener: Arc<Listener>,
}

impl Admission {
    /// Counts a new connection, or says that a limit is reached.
    pub(crate) fn admit(worker: &Rc<Worker>, listener: &Arc<Listener>) -> Option<Self> {
        let total = worker.shared.open.fetch_add(1, Ordering::Relaxed);
        let here = listener.open.fetch_add(1, Ordering::Relaxed);
        worker.connections.set(worker.connections.get() + 1);
        worker.shared.loads[worker.index].fetch_add(1, Ordering::Relaxed);
        for stats in [&worker.shared.stats, &listener.stats] {
            let stats = stats.shard(worker.index);
            stats.connection_total.add(1);
            stats.connection_active.add(1);
        }
        let admission = Self { worker: Rc::clone(worker), listener: Arc::clone(listener) };
        let limit = worker.plan.borrow().snapshot.limits.max_connections;
        let full = total >= limit
            || listener.config.max_connections.is_some_and(|limit| here >= limit.get());
        if full {
            for stats in [&worker.shared.stats, &listener.stats] {
                stats.shard(worker.index).connection_overflow.add(1);
            }
            return None; // dropping the admission undoes the counts
        }
        Some(admission)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.worker.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.listener.open.fetch_sub(1, Ordering::Relaxed);
        self.worker.shared.loads[self.worker.index].fetch_sub(1, Ordering::Relaxed);
        let left = self.worker.connections.get() - 1;
        self.worker.connections.set(left);
        if left == 0
            && let Some(waker) = self.worker.when_empty.take()
        {
            waker.wake();
        }
        for stats in [&self.worker.shared.stats, &self.listener.stats] {
            let stats = stats.shard(self.worker.index);
            stats.connection_destroy.add(1);
            stats.connection_active.add(-1);
        }
    }
}
