//! The connections of a transport: those that lie idle, those that are being made, and who waits for one.
//!
//! A request takes the idle connection that was used last. Where there is none it has one dialed, and takes whichever
//! comes first: that, or one that another request no longer needs (Go's late binding). A connection that nobody waits
//! for lies idle until it is taken, closed by its peer, or too old. One of HTTP/2 is there for all who want it, as many
//! as its server allows.

mod dial;
mod permit;
mod reaper;
mod shared;
mod waiter;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use foldhash::fast::RandomState;
use rosn_trace::{Event, Interest, NotReused, TraceHandle};

use super::connection::Connection;
use super::http2::{Health, Place};
use crate::connect::{Connector, Target, Versions};
pub(super) use permit::Permit;
use reaper::Bell;
use shared::Shared;
use waiter::Waiter;
pub(super) use waiter::Waiting;

/// How many connections there may be.
#[derive(Debug, Clone)]
pub(super) struct PoolLimits {
    pub(super) idle: usize,
    pub(super) idle_per_host: usize,
    pub(super) conns_per_host: Option<usize>,
    pub(super) idle_timeout: Option<Duration>,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle: 100,
            idle_per_host: 2,
            conns_per_host: None,
            idle_timeout: Some(Duration::from_secs(90)),
        }
    }
}

/// What connections of HTTP/2 obey.
#[derive(Debug, Clone, Default)]
pub(super) struct Http2Settings {
    pub(super) health: Health,
    /// Bytes of the head of a response.
    pub(super) head_bytes: usize,
    /// A connection carries one request.
    pub(super) single_use: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    limits: PoolLimits,
    /// What new connections of HTTP/2 obey.
    http2: Http2Settings,
    state: Mutex<State>,
    bell: Arc<Bell>,
    /// Rings the bell.
    bell_waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    /// Those with anything in them.
    hosts: HashMap<Target, Host, RandomState>,
    /// How many connections lie idle.
    idle: usize,
    /// Idle connections were asked to be closed, and no request came since.
    keeps_none: bool,
    is_reaped: bool,
    /// The last number that was given to one who waits.
    last_waiter: u64,
}

#[derive(Debug, Default)]
struct Host {
    /// The last used at the end.
    idle: VecDeque<Idle>,
    /// Connections of HTTP/2, idle or not.
    shared: Vec<Shared>,
    /// By their numbers, so that who came first is served first.
    waiting: BTreeMap<u64, Arc<Waiter>>,
    /// Connections and dials, where they are counted.
    open: usize,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    /// By the clock on the wall, which goes on while the machine sleeps.
    since: SystemTime,
}

impl Idle {
    fn age(&self, now: SystemTime) -> Duration {
        // None where the clock was set back.
        now.duration_since(self.since).unwrap_or_default()
    }
}

/// What became of a connection that was put back.
enum Taken {
    /// Somebody has it, who is to be woken.
    HandedOver(Option<Waker>),
    /// It lies idle, and another one no longer does.
    Kept {
        surplus: Option<Surplus>,
    },
    Refused(Box<Connection>, NotReused),
}

/// A connection that is closed, as there are too many.
#[derive(Debug)]
enum Surplus {
    Http1(Idle),
    Http2(Shared),
}

/// A connection out of the pool.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) carrier: Carrier,
    /// How long it lay idle; `None` where it did not.
    pub(super) idle: Option<Duration>,
}

impl Got {
    /// Whether the connection was there before it was asked for: its server may have closed it meanwhile.
    pub(super) fn was_there_before(&self) -> bool {
        self.idle.is_some()
            || match &self.carrier {
                Carrier::Http1(connection) => connection.requests > 0,
                Carrier::Http2(place) => place.requests_before > 0,
            }
    }
}

/// What carries a request.
#[derive(Debug)]
pub(super) enum Carrier {
    Http1(Box<Connection>),
    Http2(Place),
}

impl Pool {
    pub(super) fn new(connector: Connector, limits: PoolLimits, http2: Http2Settings) -> Self {
        let bell = Arc::<Bell>::default();
        let bell_waker = Waker::from(Arc::clone(&bell));
        Self { connector, limits, http2, state: Mutex::default(), bell, bell_waker }
    }

    /// A connection that has room for a request; see [`Connection::is_quiet`] for `probe`.
    pub(super) fn take(self: &Arc<Self>, target: &Target, probe: bool) -> Option<Got> {
        if target.versions != Versions::Http1
            && let Some(got) = self.take_place(target)
        {
            return Some(got);
        }
        loop {
            let mut idle = self.pop_idle(target)?;
            let age = idle.age(SystemTime::now());
            let is_old = self.limits.idle_timeout.is_some_and(|timeout| age >= timeout);
            if !is_old && idle.connection.is_quiet(Waker::noop(), probe) {
                return Some(Got { carrier: Carrier::Http1(idle.connection), idle: Some(age) });
            }
        }
    }

    fn pop_idle(&self, target: &Target) -> Option<Idle> {
        let mut state = self.state();
        state.keeps_none = false;
        let host = state.hosts.get_mut(target)?;
        let idle = host.idle.pop_back()?;
        state.idle -= 1;
        // The host stays in the map for the moment: its connection is most likely to come back.
        Some(idle)
    }

    /// Has a request wait for a connection, and one dialed for it where there may be another. `None` where there is one:
    /// it came since [`Pool::take`] looked, and nobody would bring it.
    pub(super) fn wait(
        self: &Arc<Self>,
        target: &Target,
        trace: &TraceHandle,
        deadline: Option<Instant>,
    ) -> Option<Waiting> {
        let mut state = self.state();
        state.last_waiter += 1;
        let number = state.last_waiter;
        let host = state.hosts.entry(target.clone()).or_default();
        if !host.idle.is_empty() || host.has_room(&self.limits) {
            return None;
        }
        let waiter = Arc::new(Waiter::new(target.clone(), trace.clone(), deadline));
        host.waiting.insert(number, Arc::clone(&waiter));
        let queued = host.waiting.len();
        let limit = self.limits.conns_per_host;
        let permit = match limit {
            Some(limit) if host.open >= limit => None,
            Some(_) => {
                host.open += 1;
                Some(Some(Permit::new(self, target)))
            }
            None => Some(None),
        };
        drop(state);
        let waiting = Waiting::new(Arc::clone(self), waiter, number);
        match permit {
            Some(permit) => waiting.dial(permit),
            None => {
                let authority = target.first_hop();
                trace.emit(Interest::POOL, || Event::PoolWait { authority, queued });
            }
        }
        Some(waiting)
    }

    /// Takes a connection that is no longer needed: whoever waits gets it, or it lies idle.
    ///
    /// # Errors
    /// Why it was closed.
    pub(super) fn put(self: &Arc<Self>, mut connection: Box<Connection>) -> Result<(), NotReused> {
        if !connection.is_quiet(&self.bell_waker, false) {
            return Err(NotReused::Broken);
        }
        let mut state = self.state();
        let taken = state.take(connection, &self.limits);
        let reap = state.needs_reaper();
        // What is closed is dropped after the lock, which its permit takes.
        drop(state);
        if reap {
            reaper::start(self);
        }
        match taken {
            Taken::HandedOver(waker) => {
                waker.into_iter().for_each(Waker::wake);
                Ok(())
            }
            Taken::Kept { surplus } => {
                drop(surplus);
                Ok(())
            }
            Taken::Refused(connection, reason) => {
                drop(connection);
                Err(reason)
            }
        }
    }

    /// Closes the idle connections, and those that are put back before the next request comes.
    pub(super) fn close_idle(&self) {
        let mut state = self.state();
        state.keeps_none = true;
        state.idle = 0;
        let hosts = state.hosts.values_mut();
        let closed: Vec<_> = hosts.map(Host::take_idle).collect();
        state.hosts.retain(|_, host| !host.is_empty());
        drop(state);
        drop(closed);
    }

    /// How many connections lie idle.
    pub(super) fn idle(&self) -> usize {
        self.state().idle
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.bell.ring(); // so that the reaper sees that it has gone
    }
}

impl State {
    /// Whether a reaper is to be started, which is then taken for granted.
    fn needs_reaper(&mut self) -> bool {
        self.idle > 0 && !std::mem::replace(&mut self.is_reaped, true)
    }

    /// Gives a connection to the first who waits for one like it, or keeps it.
    fn take(&mut self, mut connection: Box<Connection>, limits: &PoolLimits) -> Taken {
        if !self.hosts.contains_key(&connection.target) {
            self.hosts.insert(connection.target.clone(), Host::default());
        }
        let Some(host) = self.hosts.get_mut(&connection.target) else {
            return Taken::Refused(connection, NotReused::Broken);
        };
        while let Some((_, waiter)) = host.waiting.pop_first() {
            match waiter.deliver(Carrier::Http1(connection)) {
                Ok(waker) => return Taken::HandedOver(waker),
                Err(Carrier::Http1(back)) => connection = back,
                Err(Carrier::Http2(_)) => unreachable!("what comes back is what was given"),
            }
        }
        let refusal = if self.keeps_none {
            NotReused::CloseIdle
        } else if host.idle.len() >= limits.idle_per_host {
            NotReused::TooManyIdleForHost
        } else if limits.idle == 0 {
            NotReused::TooManyIdle
        } else {
            host.idle.push_back(Idle { connection, since: SystemTime::now() });
            self.idle += 1;
            let surplus = if self.idle > limits.idle { self.pop_oldest() } else { None };
            return Taken::Kept { surplus };
        };
        self.tidy(&connection.target);
        Taken::Refused(connection, refusal)
    }

    /// Takes out the connection that has been idle for the longest time.
    fn pop_oldest(&mut self) -> Option<Surplus> {
        let (_, host) = self
            .hosts
            .values_mut()
            .filter_map(|host| Some((host.oldest()?, host)))
            .min_by_key(|(since, _)| *since)?;
        let surplus = host.pop_oldest()?;
        self.idle -= 1;
        let target = match &surplus {
            Surplus::Http1(idle) => idle.connection.target.clone(),
            Surplus::Http2(shared) => shared.connection.target.clone(),
        };
        self.tidy(&target);
        Some(surplus)
    }

    /// Forgets a host with nothing in it.
    fn tidy(&mut self, target: &Target) {
        if self.hosts.get(target).is_some_and(Host::is_empty) {
            self.hosts.remove(target);
        }
    }
}

impl Host {
    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_empty() && self.waiting.is_empty() && self.open == 0
    }

    /// Since when its oldest idle connection is idle.
    fn oldest(&self) -> Option<SystemTime> {
        let shared = self.shared.iter().filter_map(|shared| shared.idle_since);
        shared.chain(self.idle.front().map(|idle| idle.since)).min()
    }

    fn pop_oldest(&mut self) -> Option<Surplus> {
        let oldest = self.oldest()?;
        match self.shared.iter().position(|shared| shared.idle_since == Some(oldest)) {
            Some(at) => Some(Surplus::Http2(self.shared.swap_remove(at))),
            None => self.idle.pop_front().map(Surplus::Http1),
        }
    }

    /// Its idle connections.
    fn take_idle(&mut self) -> (VecDeque<Idle>, Vec<Shared>) {
        let shared = self.shared.extract_if(.., |shared| shared.idle_since.is_some()).collect();
        (std::mem::take(&mut self.idle), shared)
    }
}

#[cfg(test)]
mod tests;
