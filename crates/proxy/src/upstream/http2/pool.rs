//! A worker's HTTP/2 connections to one endpoint.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use rosn_cluster::Endpoint;

use super::connection::{Connection, Place};
use crate::upstream::ConnectFailure;
use crate::upstream::waiting::Queue;

/// Streams that an endpoint is taken to allow before any has said how many.
const USUAL_STREAMS: usize = 100;

/// A worker's HTTP/2 connections to all endpoints of a cluster, by the endpoint's id.
#[derive(Default)]
pub(in crate::upstream) struct Pools(RefCell<BTreeMap<u64, Rc<Pool>>>);

/// Connections to one endpoint, the oldest first, and the requests that wait for a stream of one.
#[derive(Default)]
pub(super) struct Pool {
    connections: RefCell<Vec<Rc<Connection>>>,
    pub(super) waiting: Queue,
    /// Connections that are being dialed.
    pub(super) dials: Cell<usize>,
    /// Dials that failed, and why the last one did.
    pub(super) failures: Cell<u64>,
    failure: RefCell<Option<ConnectFailure>>,
    /// Streams that the last connection could have.
    usual: Cell<Option<usize>>,
}

impl Pools {
    pub(super) fn of(&self, endpoint: &Endpoint) -> Rc<Pool> {
        Rc::clone(self.0.borrow_mut().entry(endpoint.id()).or_default())
    }

    /// Gives up what has been idle since before `oldest`, and forgets pools that nobody uses.
    pub(in crate::upstream) fn sweep(&self, oldest: Option<u64>) {
        let is_old = |since: u64| oldest.is_some_and(|oldest| since < oldest);
        for pool in self.all() {
            pool.retain(|connection| {
                let keep = !connection.idle_since().is_some_and(is_old);
                if !keep {
                    connection.retire();
                }
                keep
            });
        }
        self.0.borrow_mut().retain(|_, pool| Rc::strong_count(pool) > 1 || !pool.is_empty());
    }

    /// Gives up one connection that is idle, and its place in the counts; whether there was one.
    pub(in crate::upstream) fn evict(&self) -> bool {
        let found = self.all().into_iter().find_map(|pool| {
            let idle = |connection: &&Rc<Connection>| connection.idle_since().is_some();
            let found = pool.connections.borrow().iter().find(idle).cloned()?;
            pool.forget(&found);
            Some(found)
        });
        found.inspect(|connection| connection.evict()).is_some()
    }

    /// Has all connections end with the streams that they have.
    pub(in crate::upstream) fn retire(&self) {
        for pool in self.all() {
            pool.retain(|connection| {
                connection.retire();
                false
            });
        }
        self.0.borrow_mut().clear();
    }

    /// Has those who wait look again.
    pub(in crate::upstream) fn wake(&self) {
        // Mostly there is none.
        for pool in self.all() {
            pool.waiting.wake_first();
        }
    }

    /// A copy, as what is done with them may reach this again.
    fn all(&self) -> Vec<Rc<Pool>> {
        self.0.borrow().values().cloned().collect()
    }
}

impl Pool {
    /// A place in the first connection that has room, so that a quiet pool shrinks.
    ///
    /// `settled`: only one whose endpoint has said what it takes.
    pub(super) fn take(&self, settled: bool) -> Option<Place> {
        let connections = self.connections.borrow();
        let mut fit = connections.iter().filter(|one| !settled || one.capacity().is_some());
        fit.find_map(Connection::take)
    }

    pub(super) fn put(&self, connection: &Rc<Connection>) {
        self.connections.borrow_mut().push(Rc::clone(connection));
    }

    pub(super) fn forget(&self, connection: &Rc<Connection>) {
        self.retain(|one| !Rc::ptr_eq(one, connection));
    }

    /// Takes note of how many streams a connection may have.
    pub(super) fn settled(&self, connection: &Connection) {
        self.usual.set(connection.capacity().filter(|streams| *streams > 0));
    }

    /// Takes note of why a dial failed.
    pub(super) fn failed(&self, failure: ConnectFailure) {
        self.failures.set(self.failures.get() + 1);
        *self.failure.borrow_mut() = Some(failure);
    }

    /// Why the last dial failed.
    pub(super) fn failure(&self) -> Option<ConnectFailure> {
        self.failure.borrow().clone()
    }

    /// Whether a connection is on its way.
    pub(super) fn is_opening(&self) -> bool {
        self.dials.get() > 0 || self.connections.borrow().iter().any(|one| one.is_opening())
    }

    /// Whether a connection could take another stream.
    pub(super) fn has_room(&self) -> bool {
        self.connections.borrow().iter().any(|one| one.has_room())
    }

    /// Whether those who wait need more connections than are on their way.
    pub(super) fn needs_dial(&self) -> bool {
        let opening = self.connections.borrow().iter().filter(|one| one.is_opening()).count();
        let expected = self.usual.get().unwrap_or(USUAL_STREAMS).max(1);
        let coming = (self.dials.get() + opening).saturating_mul(expected);
        coming < self.waiting.len()
    }

    fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty() && self.waiting.is_empty() && self.dials.get() == 0
    }

    /// What is dropped is so after the list is free again.
    fn retain(&self, keep: impl FnMut(&Rc<Connection>) -> bool) {
        let mut connections = std::mem::take(&mut *self.connections.borrow_mut());
        let mut keep = keep;
        let gone: Vec<_> = connections.extract_if(.., |one| !keep(one)).collect();
        self.connections.borrow_mut().splice(0..0, connections);
        drop(gone);
    }
}
