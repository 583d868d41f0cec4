//! Connections that carry several requests at a time: HTTP/2.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use rosn_trace::{ConnId, NotReused};

use super::waiter::Waiter;
use super::{Carrier, Got, Host, Pool, PoolLimits, State};
use crate::connect::Target;
use crate::transport::http2::{Multiplexed, Place};

/// Such a connection in the pool.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connection: Arc<Multiplexed>,
    /// Since when it lies idle, by the clock on the wall; then it counts as one that does.
    pub(super) idle_since: Option<SystemTime>,
}

impl Shared {
    /// How long it lies idle.
    pub(super) fn idle(&self, now: SystemTime) -> Option<Duration> {
        // None where the clock was set back.
        self.idle_since.map(|since| now.duration_since(since).unwrap_or_default())
    }

    fn has_room(&self, limits: &PoolLimits) -> bool {
        let is_old = || match (self.idle(SystemTime::now()), limits.idle_timeout) {
            (Some(idle), Some(timeout)) => idle >= timeout,
            _ => false,
        };
        self.connection.has_room() && !is_old()
    }
}

impl Host {
    /// Whether there is a connection for another request.
    pub(super) fn has_room(&self, limits: &PoolLimits) -> bool {
        self.shared.iter().any(|shared| shared.has_room(limits))
    }

    /// Gives places to those who wait: whom to wake, and how many connections no longer lie idle.
    fn serve(&mut self, pool: &Arc<Pool>) -> (Vec<Waker>, usize) {
        let (mut woken, mut busy) = (Vec::new(), 0);
        for shared in &mut self.shared {
            while !self.waiting.is_empty() && shared.has_room(&pool.limits) {
                let Some((_, waiter)) = self.waiting.pop_first() else { break };
                match offer(&waiter, shared.connection.reserve(pool)) {
                    Ok(waker) => {
                        woken.extend(waker);
                        busy += usize::from(shared.idle_since.take().is_some());
                    }
                    Err(place) => place.give_back(),
                }
            }
        }
        (woken, busy)
    }
}

/// Gives a place to one who waits, or back.
fn offer(waiter: &Waiter, place: Place) -> Result<Option<Waker>, Place> {
    waiter.deliver(Carrier::Http2(place)).map_err(|back| match back {
        Carrier::Http2(place) => place,
        Carrier::Http1(_) => unreachable!("what comes back is what was given"),
    })
}

impl Pool {
    /// A place on a connection that there is.
    pub(super) fn take_place(self: &Arc<Self>, target: &Target) -> Option<Got> {
        let mut state = self.state();
        state.keeps_none = false;
        let host = state.hosts.get_mut(target)?;
        let shared = host.shared.iter_mut().find(|shared| shared.has_room(&self.limits))?;
        let idle = shared.idle(SystemTime::now());
        shared.idle_since = None;
        let carrier = Carrier::Http2(shared.connection.reserve(self));
        state.idle -= usize::from(idle.is_some());
        Some(Got { carrier, idle })
    }

    /// Takes a connection that was dialed for `waiter`: it and all others who wait get places. Where nobody needs it, and
    /// there is one like it, it is closed.
    pub(super) fn share(self: &Arc<Self>, connection: Arc<Multiplexed>, waiter: &Waiter) {
        let mut state = self.state();
        let host = state.hosts.entry(connection.target.clone()).or_default();
        let (is_needed, first) = match offer(waiter, connection.reserve(self)) {
            Ok(waker) => (true, waker),
            Err(place) => {
                place.give_back();
                (!host.waiting.is_empty() || !host.has_room(&self.limits), None)
            }
        };
        if self.http2.single_use {
            connection.close(NotReused::KeepAliveDisabled);
        }
        if !is_needed {
            state.tidy(&connection.target);
            return; // the connection is dropped after the lock
        }
        host.shared.push(Shared { connection: Arc::clone(&connection), idle_since: None });
        let (woken, busy) = host.serve(self);
        state.idle -= busy;
        let kept = if connection.is_idle() { Some(state.rest(self, &connection)) } else { None };
        let reap = state.needs_reaper();
        drop(state);
        drop(kept);
        self.after(reap, woken.into_iter().chain(first));
    }

    /// Takes a place back. What became of the connection, where that was its last one.
    pub(in crate::transport) fn release(
        self: &Arc<Self>,
        connection: &Arc<Multiplexed>,
    ) -> Option<Result<(), NotReused>> {
        let mut state = self.state();
        let was_last = connection.release();
        let host = state.hosts.get_mut(&connection.target);
        let is_there = |shared: &Shared| Arc::ptr_eq(&shared.connection, connection);
        let Some(host) = host.filter(|host| host.shared.iter().any(is_there)) else {
            drop(state);
            let reason = || connection.closing().unwrap_or(NotReused::Broken);
            return was_last.then(|| Err(reason()));
        };
        let (woken, busy) = host.serve(self);
        state.idle -= busy;
        let result = match was_last {
            false => None,
            true if !connection.is_idle() => Some(Ok(None)), // one who waited has it
            true => Some(state.rest(self, connection)),
        };
        let reap = state.needs_reaper();
        drop(state);
        self.after(reap, woken);
        // What is closed is dropped here.
        result.map(|kept| kept.map(drop).map_err(|(reason, _closed)| reason))
    }

    fn after(self: &Arc<Self>, reap: bool, woken: impl IntoIterator<Item = Waker>) {
        if reap {
            super::reaper::start(self);
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// The connection has ended.
    pub(in crate::transport) fn forget(&self, target: &Target, id: ConnId) {
        let mut state = self.state();
        let Some(host) = state.hosts.get_mut(target) else { return };
        let Some(at) = host.shared.iter().position(|shared| shared.connection.id == id) else {
            return;
        };
        let gone = host.shared.swap_remove(at);
        state.idle -= usize::from(gone.idle_since.is_some());
        state.tidy(target);
        drop(state);
        drop(gone);
    }
}

/// What an idle connection has displaced.
type Displaced = Option<super::Surplus>;

impl State {
    /// A connection has no requests any more: keeps it idle, or takes it out.
    fn rest(
        &mut self,
        pool: &Pool,
        connection: &Arc<Multiplexed>,
    ) -> Result<Displaced, (NotReused, Option<Shared>)> {
        let keeps_none = self.keeps_none;
        let Some(host) = self.hosts.get_mut(&connection.target) else {
            return Err((NotReused::Broken, None));
        };
        let at = host.shared.iter().position(|shared| Arc::ptr_eq(&shared.connection, connection));
        let Some(at) = at else { return Err((NotReused::Broken, None)) };
        let others = host.shared.iter().filter(|shared| shared.idle_since.is_some()).count();
        let refusal = match connection.closing() {
            Some(reason) => Some(reason),
            None if keeps_none => Some(NotReused::CloseIdle),
            None if host.idle.len() + others >= pool.limits.idle_per_host => {
                Some(NotReused::TooManyIdleForHost)
            }
            None if pool.limits.idle == 0 => Some(NotReused::TooManyIdle),
            None => None,
        };
        if let Some(reason) = refusal {
            let closed = host.shared.swap_remove(at);
            self.tidy(&connection.target);
            return Err((reason, Some(closed)));
        }
        host.shared[at].idle_since = Some(SystemTime::now());
        self.idle += 1;
        Ok(if self.idle > pool.limits.idle { self.pop_oldest() } else { None })
    }
}
