//! The connections of a dialer, by destination.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use rosn_base::Addr;
use tokio::runtime::{Handle, Id};

use super::STREAMS;
use super::dialer::Failure;
use super::link::Link;
use super::stream::QuicStream;

/// How long a connection without streams is kept for the next one.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is being made. Whoever waits for it drives it, and when nobody does any longer it is given up.
pub(super) type Connecting =
    Shared<Pin<Box<dyn Future<Output = Result<Arc<Link>, Failure>> + Send>>>;
type WeakConnecting = WeakShared<Pin<Box<dyn Future<Output = Result<Arc<Link>, Failure>> + Send>>>;

/// A destination as a runtime sees it: the tasks of a connection belong to a runtime, and using one from another
/// would cost a switch of threads for every packet.
pub(super) type Key = (Addr, Id);

#[derive(Default)]
pub(super) struct Pool {
    destinations: Mutex<HashMap<Key, Destination>>,
}

#[derive(Default)]
struct Destination {
    links: Vec<Arc<Link>>,
    connecting: Vec<WeakConnecting>,
}

/// What the pool has for who wants a stream.
pub(super) enum Found {
    Stream(QuicStream),
    Connecting(Connecting),
}

impl Pool {
    /// A stream of a connection that has room for one. Where none has, a connection that is being made, and which not
    /// more wait for than it will have room for; else one that `connect` begins.
    pub(super) fn find(
        self: &Arc<Self>,
        to: &Addr,
        connect: impl FnOnce() -> Pin<Box<dyn Future<Output = Result<Arc<Link>, Failure>> + Send>>,
    ) -> Found {
        let key = (to.clone(), Handle::current().id());
        let mut destinations = self.lock();
        if let Some(destination) = destinations.get_mut(&key) {
            destination.links.retain(|link| !link.is_retired());
            if let Some(stream) = destination.links.iter().find_map(Link::open) {
                return Found::Stream(stream);
            }
            if let Some(connecting) = destination.with_room() {
                return Found::Connecting(connecting);
            }
        } else {
            destinations.retain(|_, destination| !destination.is_empty());
        }
        let connecting = self.clone().connecting(key.clone(), connect()).boxed().shared();
        let begun = connecting.downgrade();
        destinations.entry(key).or_default().connecting.extend(begun);
        Found::Connecting(connecting)
    }

    /// Makes a connection, and has it kept.
    async fn connecting(
        self: Arc<Self>,
        key: Key,
        connect: impl Future<Output = Result<Arc<Link>, Failure>>,
    ) -> Result<Arc<Link>, Failure> {
        let link = connect.await?;
        self.lock().entry(key.clone()).or_default().links.push(link.clone());
        tokio::spawn(keep(link.clone(), Arc::downgrade(&self), key));
        Ok(link)
    }

    fn remove(&self, key: &Key, link: &Arc<Link>) {
        let mut destinations = self.lock();
        if let Some(destination) = destinations.get_mut(key) {
            destination.links.retain(|kept| !Arc::ptr_eq(kept, link));
            if destination.is_empty() {
                destinations.remove(key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Destination>> {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    /// The connections end with their last streams.
    fn drop(&mut self) {
        self.lock()
            .values()
            .flat_map(|destination| &destination.links)
            .for_each(|link| link.retire());
    }
}

impl Destination {
    /// One that is being made, and that will have room for one more.
    fn with_room(&mut self) -> Option<Connecting> {
        self.connecting.retain(|connecting| {
            connecting.upgrade().is_some_and(|connecting| connecting.peek().is_none())
        });
        let mut connecting = self.connecting.iter().filter_map(WeakShared::upgrade);
        // The handle that is counted with them is this one.
        connecting.find(|found| found.strong_count().is_some_and(|count| count <= STREAMS as usize))
    }

    fn is_empty(&self) -> bool {
        self.links.is_empty()
            && self.connecting.iter().all(|connecting| connecting.upgrade().is_none())
    }
}

/// Keeps a connection until it is closed, or nobody has needed it for long, or the dialer is gone.
async fn keep(link: Arc<Link>, pool: Weak<Pool>, key: Key) {
    loop {
        link.retired_or_unused(PATIENCE).await;
        // A stream is opened under the same lock, so the two cannot pass each other.
        let Some(pool) = pool.upgrade() else { break };
        let locked = pool.lock();
        if link.is_retired() || link.retire_if_unused() {
            drop(locked);
            pool.remove(&key, &link);
            break;
        }
    }
    link.farewell().await;
}
