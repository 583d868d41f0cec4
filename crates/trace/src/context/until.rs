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
    /// The place of the waker.
    place: Option<usize>,
}

impl UntilCancelled {
    pub(super) fn new(context: RequestContext) -> Self {
        Self { context, place: None }
    }

    /// Leaves the waker and returns the one that was there before; not where the context has ended. Wakers are neither
    /// cloned nor dropped under the lock.
    fn wait(&mut self, waker: Waker) -> Result<Option<Waker>, Waker> {
        // Where nobody could cancel it there is no need for a waker.
        let Some(cancellable) = self.context.cancellable() else { return Ok(Some(waker)) };
        let mut links = cancellable.links();
        if cancellable.is_done() {
            return Err(waker);
        }
        Ok(match self.place {
            Some(place) => Some(std::mem::replace(&mut links.waiting[place], waker)),
            None => {
                self.place = Some(links.waiting.insert(waker));
                None
            }
        })
    }
}

impl Future for UntilCancelled {
    type Output = ContextError;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ContextError> {
        if let Some(error) = self.context.err() {
            return Poll::Ready(error);
        }
        match self.wait(cx.waker().clone()) {
            Ok(_before) => Poll::Pending,
            Err(_) => self.context.err().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

impl Drop for UntilCancelled {
    fn drop(&mut self) {
        if let Some(place) = self.place
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
