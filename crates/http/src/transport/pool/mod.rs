//! The connections of a transport: those that lie idle, those that are being made, and who waits for one.
//!
//! A request takes the idle connection that was used last. Where there is none it has one dialed, and takes whichever
//! comes first: that, or one that another request no longer needs (Go's late binding). A connection that nobody waits
//! for lies idle until it is taken, closed by its peer, or too old.

mod dial;
mod reaper;
mod waiter;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use foldhash::fast::RandomState;
use rosn_trace::{Event, Interest, NotReused, TraceHandle};

use super::connection::Connection;
use crate::connect::{Connector, Target};
use reaper::Bell;
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

/// See the module.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    limits: PoolLimits,
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
        surplus: Option<Idle>,
    },
    Refused(Box<Connection>, NotReused),
}

/// A connection out of the pool.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) connection: Box<Connection>,
    /// How long it lay idle; `None` where it did not.
    pub(super) idle: Option<Duration>,
}

impl Pool {
    pub(super) fn new(connector: Connector, limits: PoolLimits) -> Self {
        let bell = Arc::<Bell>::default();
        let bell_waker = Waker::from(Arc::clone(&bell));
        Self { connector, limits, state: Mutex::default(), bell, bell_waker }
    }

    /// An idle connection; see [`Connection::is_quiet`] for `probe`.
    pub(super) fn take_idle(&self, target: &Target, probe: bool) -> Option<Got> {
        loop {
            let mut idle = self.pop_idle(target)?;
            let age = idle.age(SystemTime::now());
            let is_old = self.limits.idle_timeout.is_some_and(|timeout| age >= timeout);
            if !is_old && idle.connection.is_quiet(Waker::noop(), probe) {
                return Some(Got { connection: idle.connection, idle: Some(age) });
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

    /// Has a request wait for a connection, and one dialed for it where there may be another. `None` where one lies idle:
    /// it was put there since [`Pool::take_idle`] looked, and nobody would bring it.
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
        if !host.idle.is_empty() {
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
        let reap = state.idle > 0 && !std::mem::replace(&mut state.is_reaped, true);
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
        let closed: Vec<_> =
            state.hosts.values_mut().flat_map(|host| std::mem::take(&mut host.idle)).collect();
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
    /// Gives a connection to the first who waits for one like it, or keeps it.
    fn take(&mut self, mut connection: Box<Connection>, limits: &PoolLimits) -> Taken {
        if !self.hosts.contains_key(&connection.target) {
            self.hosts.insert(connection.target.clone(), Host::default());
        }
        let Some(host) = self.hosts.get_mut(&connection.target) else {
            return Taken::Refused(connection, NotReused::Broken);
        };
        while let Some((_, waiter)) = host.waiting.pop_first() {
            match waiter.deliver(connection) {
                Ok(waker) => return Taken::HandedOver(waker),
                Err(back) => connection = back,
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
    fn pop_oldest(&mut self) -> Option<Idle> {
        let host = self
            .hosts
            .values_mut()
            .filter(|host| !host.idle.is_empty())
            .min_by_key(|host| host.idle.front().map(|idle| idle.since))?;
        let oldest = host.idle.pop_front()?;
        self.idle -= 1;
        self.tidy(&oldest.connection.target);
        Some(oldest)
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
        self.idle.is_empty() && self.waiting.is_empty() && self.open == 0
    }
}

/// One of the connections that a host may have. Dropping it lets another be dialed.
#[derive(Debug)]
pub(super) struct Permit {
    pool: Weak<Pool>,
    target: Target,
}

impl Permit {
    fn new(pool: &Arc<Pool>, target: &Target) -> Self {
        Self { pool: Arc::downgrade(pool), target: target.clone() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let mut state = pool.state();
        let Some(host) = state.hosts.get_mut(&self.target) else { return };
        let mut permit = Self { pool: Weak::clone(&self.pool), target: self.target.clone() };
        for waiter in host.waiting.values() {
            match waiter.grant(permit) {
                Ok(waker) => {
                    drop(state);
                    waker.into_iter().for_each(Waker::wake);
                    return;
                }
                Err(back) => permit = back,
            }
        }
        host.open -= 1;
        state.tidy(&self.target);
        drop(state);
        permit.pool = Weak::new(); // it counts no longer
    }
}

#[cfg(test)]
mod tests;
