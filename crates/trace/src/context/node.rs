//! A context in its tree.
//!
//! A node holds its parent, and the parent knows its children weakly, so that it can cancel them. Cancelling marks and
//! wakes top down; whoever asks a node looks at its ancestors, too, and so never sees a child outlive its parent.
//! Under a lock there is no code of others: wakers are called, and values dropped, after it.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::Instant;

use slab::Slab;

use super::{ContextError, RequestContext, SharedError};

pub(super) struct Node {
    pub(super) parent: RequestContext,
    /// The earliest of it and its ancestors.
    pub(super) deadline: Option<Instant>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Value(Box<dyn Any + Send + Sync>),
    Cancellable(Cancellable),
}

pub(super) struct Cancellable {
    /// Set once; the first counts.
    done: OnceLock<Done>,
    /// Its place with its parent's children; `None` where no ancestor can end, or had ended already.
    place: Option<usize>,
    links: Mutex<Links>,
}

/// Whom to tell of the end. Empty once the node has been cancelled: who comes later sees that.
#[derive(Default)]
pub(super) struct Links {
    children: Slab<Weak<Node>>,
    pub(super) waiting: Slab<Waker>,
}

/// How a context has ended.
#[derive(Clone)]
pub(super) struct Done {
    pub(super) error: ContextError,
    pub(super) cause: Option<SharedError>,
    at: Instant,
}

impl Node {
    pub(super) fn value(parent: &RequestContext, value: Box<dyn Any + Send + Sync>) -> Arc<Self> {
        let deadline = parent.deadline();
        Arc::new(Self { parent: parent.clone(), deadline, kind: Kind::Value(value) })
    }

    /// A node that may end, known to the nearest ancestor that may.
    pub(super) fn cancellable(parent: &RequestContext, deadline: Option<Instant>) -> Arc<Self> {
        let new = |done: Option<Done>, place| {
            let done = done.map_or_else(OnceLock::new, OnceLock::from);
            let kind = Kind::Cancellable(Cancellable { done, place, links: Mutex::default() });
            Arc::new(Self { parent: parent.clone(), deadline, kind })
        };
        let Some(above) = parent.cancellable() else {
            return new(None, None);
        };
        let mut links = above.links();
        if let Some(done) = above.done.get() {
            return new(Some(done.clone()), None);
        }
        let place = links.children.vacant_entry();
        let child = new(None, Some(place.key()));
        place.insert(Arc::downgrade(&child));
        child
    }

    pub(super) fn as_cancellable(&self) -> Option<&Cancellable> {
        match &self.kind {
            Kind::Cancellable(cancellable) => Some(cancellable),
            Kind::Value(_) => None,
        }
    }

    /// How it has ended, if it has. What was answered once stays the answer.
    pub(super) fn done(&self) -> Option<Done> {
        let own = self.as_cancellable()?;
        if let Some(done) = own.done.get() {
            return Some(done.clone());
        }
        let above = self.parent.nodes().find_map(|node| node.as_cancellable()?.done.get());
        let done = match above {
            Some(above) => self.inherited(above),
            None => {
                let deadline = self.deadline.filter(|deadline| Instant::now() >= *deadline)?;
                Done { error: ContextError::DeadlineExceeded, cause: None, at: deadline }
            }
        };
        Some(own.done.get_or_init(|| done).clone())
    }

    /// What the end of an ancestor means here: the deadline may have passed before that.
    fn inherited(&self, above: &Done) -> Done {
        match self.deadline {
            Some(deadline) if deadline < above.at => {
                Done { error: ContextError::DeadlineExceeded, cause: None, at: deadline }
            }
            _ => above.clone(),
        }
    }

    /// Its parent forgets it.
    fn unlink(&self) {
        let above = self.parent.cancellable();
        if let Some(place) = self.as_cancellable().and_then(|own| own.place)
            && let Some(above) = above
        {
            // There is none any more where the parent was cancelled.
            let _ = above.links().children.try_remove(place);
        }
    }
}

impl Cancellable {
    pub(super) fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether those in [`Links`] have been told, or are about to be.
    pub(super) fn is_done(&self) -> bool {
        self.done.get().is_some()
    }
}

impl Drop for Node {
    /// In a loop, since a chain of contexts may be too long for the stack.
    fn drop(&mut self) {
        self.unlink();
        let mut parent = self.parent.0.take();
        while let Some(mut node) = parent.and_then(Arc::into_inner) {
            node.unlink();
            parent = node.parent.0.take();
        }
    }
}

/// Ends `node` and all that descend from it, and wakes who waits for one of them.
pub(super) fn cancel(node: Arc<Node>, cause: Option<SharedError>) {
    let done = node.done().unwrap_or_else(|| Done {
        error: ContextError::Cancelled,
        cause,
        at: Instant::now(),
    });
    let mut wakers = Vec::new();
    let mut todo = vec![node];
    while let Some(node) = todo.pop() {
        let Some(own) = node.as_cancellable() else { continue };
        let inherited = node.inherited(&done);
        let mut links = own.links();
        // One that has ended before keeps its own cause.
        own.done.get_or_init(|| inherited.clone());
        let told = std::mem::take(&mut *links);
        drop(links);
        todo.extend(told.children.iter().filter_map(|(_, child)| child.upgrade()));
        wakers.extend(told.waiting.into_iter().map(|(_, waker)| waker));
    }
    wakers.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
impl Links {
    pub(super) fn len(&self) -> (usize, usize) {
        (self.children.len(), self.waiting.len())
    }

    pub(super) fn capacity(&self) -> (usize, usize) {
        (self.children.capacity(), self.waiting.capacity())
    }
}
