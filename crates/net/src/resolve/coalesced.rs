//! One question for all who ask the same.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};

use crate::{BoxFuture, Network, Resolve, Resolved};

/// Asks another resolver only once where several ask for the same name and network at a time.
///
/// The answer is not kept: who asks after it has come asks anew. If the one that asked first gives up, the others
/// still get the answer; when all have given up, the question is dropped. Unlike Go's, only those that did not ask
/// first are told that the answer was [shared](Resolved::coalesced).
///
/// Whoever waits drives the question, on any runtime. But the [`SystemResolver`](crate::SystemResolver) asks on the
/// runtime of the first one, and the question fails for all if that one is shut down.
pub struct Coalesced<R> {
    resolver: Arc<R>,
    asked: Arc<Mutex<Asked>>,
}

/// Questions under way. There is no more than one for each that is waited for.
type Asked = HashMap<Key, WeakShared<Question>>;
type Key = (Network, Box<str>);
type Question = BoxFuture<'static, Result<Resolved, Arc<io::Error>>>;

impl<R: Resolve> Coalesced<R> {
    /// Asks `resolver`.
    pub fn new(resolver: R) -> Self {
        Self { resolver: Arc::new(resolver), asked: Arc::default() }
    }

    /// Joins a question that is under way, or asks.
    fn ask(&self, key: Key) -> (Waiting, bool) {
        let mut asked = lock(&self.asked);
        let under_way = asked
            .get(&key)
            .and_then(WeakShared::upgrade)
            .filter(|question| question.peek().is_none());
        let coalesced = under_way.is_some();
        let question = under_way.unwrap_or_else(|| {
            let question = self.question(&key).shared();
            if let Some(weak) = question.downgrade() {
                asked.insert(key.clone(), weak);
            }
            question
        });
        let waiting = Waiting { question: Some(question), key, asked: Arc::clone(&self.asked) };
        (waiting, coalesced)
    }

    fn question(&self, (network, host): &Key) -> Question {
        let (resolver, network, host) = (Arc::clone(&self.resolver), *network, host.clone());
        Box::pin(async move { resolver.resolve(&host, network).await.map_err(Arc::new) })
    }
}

impl<R: Resolve> Resolve for Coalesced<R> {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        network: Network,
    ) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(async move {
            let (mut waiting, coalesced) = self.ask((network, host.into()));
            let question = waiting.question.as_mut().expect("it is taken when it is dropped");
            match question.await {
                Ok(resolved) => Ok(Resolved { coalesced, ..resolved }),
                Err(error) => Err(io::Error::new(error.kind(), error)),
            }
        })
    }
}

impl<R: Resolve + Default> Default for Coalesced<R> {
    fn default() -> Self {
        Self::new(R::default())
    }
}

impl<R> fmt::Debug for Coalesced<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesced").field("under_way", &lock(&self.asked).len()).finish()
    }
}

/// One that waits for an answer.
struct Waiting {
    question: Option<Shared<Question>>,
    key: Key,
    asked: Arc<Mutex<Asked>>,
}

impl Drop for Waiting {
    /// Forgets the question with the last that waited for it.
    fn drop(&mut self) {
        self.question = None;
        let mut asked = lock(&self.asked);
        let still = asked.get(&self.key).and_then(WeakShared::upgrade);
        if still.as_ref().is_none_or(|question| question.peek().is_some()) {
            asked.remove(&self.key);
        }
        // It may be the last of it by now, and what it drops is not ours: not under the lock.
        drop(asked);
        drop(still);
    }
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    // Nothing that could panic is done to it half.
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}
