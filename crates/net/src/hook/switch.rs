//! Filters, statistics and the table of live sockets.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rosn_base::Addr;

use super::{Call, Decision, Op, Outcome, Role, SocketHook, SocketKey, SocketKind};

type Filter = Arc<dyn Fn(&Op<'_>) -> Decision + Send + Sync>;

/// Go's `socktest.Switch`, corrected: a filter for each call, statistics, and a table of the live sockets, whose being
/// empty at the end tells that nothing has leaked.
///
/// A connect that has been begun is pending and no failure, and is counted again when it is done or has failed. What a
/// hook forbade is counted apart. Sockets are known by keys that are never used twice.
#[derive(Default)]
pub struct Switch {
    filters: RwLock<HashMap<Call, Filter>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    live: BTreeMap<SocketKey, LiveSocket>,
    counts: BTreeMap<(SocketKind, Call), Counts>,
}

/// How often a call had which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// It was done.
    pub done: u64,
    /// It was begun; each of these is counted again in another field.
    pub pending: u64,
    /// A hook forbade it or undid it.
    pub vetoed: u64,
    /// The system refused, or the caller has given up.
    pub failed: u64,
}

/// A socket that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSocket {
    /// Its number.
    pub key: SocketKey,
    /// What kind it is.
    pub kind: SocketKind,
    /// What it is for.
    pub role: Role,
    /// The listener that it came from.
    pub listener: Option<SocketKey>,
    /// Whom it is for.
    pub owner: Box<str>,
    /// Its address, where a call has named it.
    pub local: Option<Addr>,
    /// The address of the other end, once it is connected.
    pub remote: Option<Addr>,
    /// The last call that was done.
    pub last: Call,
    /// What the last call that was not done failed with.
    pub last_error: Option<Box<str>>,
    /// The line that asked for it, or for its listener.
    pub location: &'static Location<'static>,
}

impl Switch {
    /// Without filters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has this function decide about a call, in the place of the one before.
    pub fn set(&self, call: Call, filter: impl Fn(&Op<'_>) -> Decision + Send + Sync + 'static) {
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        let before = filters.insert(call, Arc::new(filter));
        drop(filters); // the end of what a filter holds may use the switch
        drop(before);
    }

    /// Removes the filter of a call.
    pub fn clear(&self, call: Call) {
        let mut filters = self.filters.write().unwrap_or_else(PoisonError::into_inner);
        let before = filters.remove(&call);
        drop(filters);
        drop(before);
    }

    /// The sockets that are open, the oldest first.
    pub fn sockets(&self) -> Vec<LiveSocket> {
        self.seen().live.values().cloned().collect()
    }

    /// How often a call of sockets of this kind had which outcome.
    pub fn counts(&self, kind: SocketKind, call: Call) -> Counts {
        self.seen().counts.get(&(kind, call)).copied().unwrap_or_default()
    }

    /// The counts of all calls that there were.
    pub fn all_counts(&self) -> Vec<(SocketKind, Call, Counts)> {
        self.seen().counts.iter().map(|((kind, call), counts)| (*kind, *call, *counts)).collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SocketHook for Switch {
    fn before(&self, op: &Op<'_>) -> Decision {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        let filter = filters.get(&op.call).cloned();
        drop(filters); // the filter may change the filters
        filter.map_or(Decision::Continue, |filter| filter(op))
    }

    fn after(&self, op: &Op<'_>, outcome: &Outcome<'_>) {
        let mut seen = self.seen();
        seen.count(op, outcome);
        match (op.call, outcome) {
            (Call::Close, _) => {
                seen.live.remove(&op.socket);
            }
            (_, Outcome::Pending) => {}
            (_, Outcome::Done) => seen.done(op),
            (_, Outcome::Vetoed(error) | Outcome::Failed(error)) => {
                if let Some(live) = seen.live.get_mut(&op.socket) {
                    live.last_error = Some(error.to_string().into());
                }
            }
        }
    }
}

impl Seen {
    fn count(&mut self, op: &Op<'_>, outcome: &Outcome<'_>) {
        let counts = self.counts.entry((op.kind, op.call)).or_default();
        *match outcome {
            Outcome::Done => &mut counts.done,
            Outcome::Pending => &mut counts.pending,
            Outcome::Vetoed(_) => &mut counts.vetoed,
            Outcome::Failed(_) => &mut counts.failed,
        } += 1;
    }

    fn done(&mut self, op: &Op<'_>) {
        if matches!(op.call, Call::Socket | Call::Accept | Call::Adopt) {
            let listener = op.listener.and_then(|listener| self.live.get(&listener));
            let local = listener.and_then(|listener| listener.local.clone());
            self.live.insert(op.socket, LiveSocket::new(op, local));
        }
        let Some(live) = self.live.get_mut(&op.socket) else { return };
        live.last = op.call;
        match op.call {
            Call::Bind | Call::Listen | Call::Adopt => live.local = op.addr.cloned(),
            Call::Connect | Call::Accept => live.remote = op.addr.cloned(),
            Call::Socket | Call::Control | Call::Close => {}
        }
    }
}

impl LiveSocket {
    fn new(op: &Op<'_>, local: Option<Addr>) -> Self {
        Self {
            key: op.socket,
            kind: op.kind,
            role: op.role,
            listener: op.listener,
            owner: op.owner.into(),
            local,
            remote: None,
            last: op.call,
            last_error: None,
            location: op.location,
        }
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.seen();
        f.debug_struct("Switch").field("live", &seen.live).field("counts", &seen.counts).finish()
    }
}
