//! The connections of a server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rosn_net::{ConnInfo, PeerAddr, Stream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{ConnState, ServerOptions};
use crate::hijack::ShutdownNotice;

/// Fields that a head may have, whatever the options say: `http::HeaderMap` panics where it gets too many.
const FIELDS: usize = 10_000;

/// What the connections of a server have in common.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) options: ServerOptions,
    pub(super) permits: Arc<Semaphore>,
    /// For those that speak HTTP.
    pub(super) shutdown: ShutdownNotice,
    /// For those that were hijacked.
    pub(super) hijacked: ShutdownNotice,
    counts: Mutex<Counts>,
    changed: Notify,
    next_id: AtomicU64,
}

/// Open connections.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) http: usize,
    pub(super) hijacked: usize,
}

impl Registry {
    pub(super) fn new(mut options: ServerOptions) -> Self {
        options.limits.fields = options.limits.fields.min(FIELDS);
        let most = options.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            options,
            permits: Arc::new(Semaphore::new(most)),
            shutdown: ShutdownNotice::default(),
            hijacked: ShutdownNotice::default(),
            counts: Mutex::default(),
            changed: Notify::new(),
            next_id: AtomicU64::new(1),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the counts are as `wanted`.
    pub(super) async fn wait_for(&self, wanted: impl Fn(Counts) -> bool) {
        loop {
            let changed = self.changed.notified();
            if wanted(self.counts()) {
                return;
            }
            changed.await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
    }
}

/// A connection in the registry, from its beginning to its end.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) registry: Arc<Registry>,
    pub(super) info: Arc<ConnInfo>,
    state: ConnState,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Entry {
    /// Enters a connection. `peer` is asked of the stream where it is not known.
    pub(super) fn new(
        registry: &Arc<Registry>,
        stream: &Stream,
        peer: Option<PeerAddr>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        // What has no address is shown as what has none.
        let unknown = || PeerAddr::Unix(None);
        let info = ConnInfo {
            id: registry.next_id.fetch_add(1, Ordering::Relaxed),
            peer: peer.unwrap_or_else(|| stream.peer_addr().unwrap_or_else(|_| unknown())),
            local: stream.local_addr().unwrap_or_else(|_| unknown()),
            original_dst: None,
        };
        let registry = Arc::clone(registry);
        registry.change(|counts| counts.http += 1);
        registry.options.state_hook.call(&info, ConnState::New);
        Self { registry, info: Arc::new(info), state: ConnState::New, _permit: permit }
    }

    pub(super) fn state(&self) -> ConnState {
        self.state
    }

    /// Tells the hook, where it is something new.
    pub(super) fn set(&mut self, state: ConnState) {
        if self.state == state {
            return;
        }
        if state == ConnState::Hijacked {
            self.registry.change(|counts| {
                counts.http -= 1;
                counts.hijacked += 1;
            });
        }
        self.state = state;
        self.registry.options.state_hook.call(&self.info, state);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let was_hijacked = self.state == ConnState::Hijacked;
        let last = if was_hijacked { ConnState::HijackedClosed } else { ConnState::Closed };
        self.registry.options.state_hook.call(&self.info, last);
        self.registry.change(|counts| {
            let count = if was_hijacked { &mut counts.hijacked } else { &mut counts.http };
            *count -= 1;
        });
    }
}
