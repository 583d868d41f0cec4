//! Waiting for the end of a context.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{ContextError, RequestContext};

/// Resolves when a context is cancelled: [`RequestContext::cancelled`]. Once it has, it does so again.
#[must_use = "a future does nothing unless it is polled"]
pub struct UntilCancelled {
    context: RequestContext,
    /// The waker that was left, and its place.
    left: Option<(usize, Waker)>,
}

impl UntilCancelled {
    pub(super) fn new(context: RequestContext) -> Self {
        Self { context, left: None }
    }

    /// Leaves a waker. Returns false where the context has ended.
    fn leave(&mut self, waker: &Waker) -> bool {
        // Where nobody could cancel it there is no need for a waker.
        let Some(cancellable) = self.context.cancellable() else { return true };
        // Wakers are neither cloned nor dropped under the lock.
        let (new, kept) = (waker.clone(), waker.clone());
        let mut links = cancellable.links();
        if cancellable.is_done() {
            drop(links);
            return false;
        }
        let (place, _before) = match self.left.take() {
            Some((place, before)) => {
                (place, Some((before, std::mem::replace(&mut links.waiting[place], new))))
            }
            None => (links.waiting.insert(new), None),
        };
        drop(links);
        self.left = Some((place, kept));
        true
    }
}

impl Future for UntilCancelled {
    type Output = ContextError;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ContextError> {
        if let Some(error) = self.context.err() {
            return Poll::Ready(error);
        }
        let is_left = self.left.as_ref().is_some_and(|(_, left)| left.will_wake(cx.waker()));
        if is_left || self.leave(cx.waker()) {
            return Poll::Pending;
        }
        self.context.err().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for UntilCancelled {
    fn drop(&mut self) {
        if let Some((place, _)) = self.left
            && let Some(cancellable) = self.context.cancellable()
        {
            let waker = cancellable.links().waiting.try_remove(place);
            drop(waker);
        }
    }
}

impl fmt::Debug for UntilCancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UntilCancelled").field(&self.context).finish()
    }
}
