//! How long a request may go on, and what goes with it.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::BoxError;
use node::{Cancellable, Done, Kind, Node};
pub use until::UntilCancelled;

/// What a request is to obey: a deadline and cancellation; and values that go with it. As Go's `context.Context`.
///
/// Contexts form a tree. A child ends no later than its parent: the deadline is the earliest of its ancestors, and
/// when a parent is cancelled its children are, with the same cause. A child that ends is of no matter to its parent,
/// which keeps nothing of a child that was dropped.
///
/// It is 8 bytes and cheap to clone; the background, where every tree begins, is no allocation. It needs no async
/// runtime, and so has no timer: whoever waits has to wait for [`RequestContext::deadline`], too.
///
/// ```
/// use std::time::Duration;
/// use rosn_trace::{ContextError, RequestContext};
///
/// struct Tenant(u32);
///
/// let (session, cancel) = RequestContext::background().with_cancel();
/// let request = session.with_value(Tenant(7)).with_timeout(Duration::from_secs(30));
/// assert_eq!(request.value::<Tenant>().map(|tenant| tenant.0), Some(7));
/// assert!(request.deadline().is_some() && request.err().is_none());
///
/// cancel.cancel_cause("the session has ended");
/// assert_eq!(request.err(), Some(ContextError::Cancelled));
/// assert_eq!(request.cause().unwrap().to_string(), "the session has ended");
/// ```
#[derive(Clone, Default)]
pub struct RequestContext(Option<Arc<Node>>);

/// Why a context has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ContextError {
    /// It was cancelled.
    #[error("the request was cancelled")]
    Cancelled,
    /// Its time is over.
    #[error("the deadline of the request has passed")]
    DeadlineExceeded,
}

/// An error that several may hold.
pub type SharedError = Arc<dyn Error + Send + Sync>;

impl RequestContext {
    /// Never ends, and has no values.
    pub const fn background() -> Self {
        Self(None)
    }

    /// A child, and what cancels it. Dropping the handle does not.
    #[must_use]
    pub fn with_cancel(&self) -> (Self, CancelHandle) {
        let child = Node::cancellable(self, self.deadline());
        let handle = CancelHandle(Arc::downgrade(&child));
        (Self(Some(child)), handle)
    }

    /// A child that ends after this time, or earlier if this context does. A time that no clock can tell is none.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Instant::now()
            .checked_add(timeout)
            .map_or_else(|| self.clone(), |at| self.with_deadline(at))
    }

    /// A child that ends then, or earlier if this context does.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        if self.deadline().is_some_and(|own| own <= deadline) {
            return self.clone();
        }
        Self(Some(Node::cancellable(self, Some(deadline))))
    }

    /// A child with a value, which is found by its type: give it a type of its own. It hides an older one of the
    /// same type.
    #[must_use]
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Self {
        Self(Some(Node::value(self, Box::new(value))))
    }

    /// The newest value of this type.
    pub fn value<T: Any>(&self) -> Option<&T> {
        self.nodes().find_map(|node| match &node.kind {
            Kind::Value(value) => value.downcast_ref(),
            Kind::Cancellable(_) => None,
        })
    }

    /// When it ends at the latest: the earliest deadline of it and its ancestors.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().and_then(|node| node.deadline)
    }

    /// Whether it has ended, and why. It looks at the clock. Once there is an answer it stays the same.
    pub fn err(&self) -> Option<ContextError> {
        self.done().map(|done| done.error)
    }

    /// Whether it has ended, for either reason.
    pub fn is_cancelled(&self) -> bool {
        self.err().is_some()
    }

    /// What it was cancelled with; the [`ContextError`] where nothing was said, and after the deadline. The first
    /// cause counts, and that of an ancestor for all that it ended.
    pub fn cause(&self) -> Option<SharedError> {
        let done = self.done()?;
        Some(done.cause.unwrap_or_else(|| Arc::new(done.error)))
    }

    /// Waits until it is cancelled. The deadline wakes nobody: wait for that as well, with a timer.
    ///
    /// Cancel safety: it may be dropped at any time, and holds no place then.
    pub fn cancelled(&self) -> UntilCancelled {
        UntilCancelled::new(self.clone())
    }

    fn done(&self) -> Option<Done> {
        self.nodes().find(|node| node.as_cancellable().is_some())?.done()
    }

    /// It and its ancestors, it first.
    fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        std::iter::successors(self.0.as_ref(), |node| node.parent.0.as_ref())
    }

    /// The nearest that may end: when that does, this does.
    fn cancellable(&self) -> Option<&Cancellable> {
        self.nodes().find_map(|node| node.as_cancellable())
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_struct("RequestContext")
            .field("deadline", &self.deadline())
            .field("err", &self.err())
            .finish_non_exhaustive()
    }
}

/// Cancels a context and all that descend from it. It does not keep the context.
#[derive(Clone)]
pub struct CancelHandle(Weak<Node>);

impl CancelHandle {
    /// Cancels. Nothing happens where the context has ended already.
    pub fn cancel(&self) {
        self.end(None);
    }

    /// Cancels, and says why: see [`RequestContext::cause`].
    pub fn cancel_cause(&self, cause: impl Into<BoxError>) {
        self.end(Some(Arc::from(cause.into())));
    }

    fn end(&self, cause: Option<SharedError>) {
        if let Some(node) = self.0.upgrade() {
            node::cancel(node, cause);
        }
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelHandle")
    }
}

mod node;
mod until;

#[cfg(test)]
mod tests;
