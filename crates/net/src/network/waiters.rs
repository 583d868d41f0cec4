//! Any number of tasks that wait for one thing.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Tasks that wait for the same event. It is itself what is woken, and wakes them all.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Vec<Waker>>);

impl Waiters {
    /// Asks `poll`, which remembers one waker only, on behalf of all.
    pub(super) fn poll<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.add(cx.waker());
        poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    /// Remembers a task until the next [`Waiters::wake_all`].
    pub(super) fn add(&self, waker: &Waker) {
        let mut waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiters.iter().any(|waiter| waiter.will_wake(waker)) {
            waiters.push(waker.clone());
        }
    }

    /// Wakes all who wait, and forgets them.
    pub(super) fn wake_all(&self) {
        let waiters = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiters.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}
