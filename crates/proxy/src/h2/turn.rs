//! How much a connection may read before others have their turn.

use std::cell::Cell;

/// What may still be read in a turn of a connection's task: frames may be small and many.
pub(crate) struct Turn {
    /// Bytes.
    size: usize,
    left: Cell<usize>,
}

impl Turn {
    pub(crate) fn of(size: usize) -> Self {
        Self { size, left: Cell::new(size) }
    }

    /// The task has its turn.
    pub(crate) fn begin(&self) {
        self.left.set(self.size);
    }

    /// So many bytes of it are used.
    pub(crate) fn take(&self, count: usize) {
        self.left.set(self.left.get().saturating_sub(count));
    }

    /// Whether something is left.
    pub(crate) fn has_more(&self) -> bool {
        self.left.get() > 0
    }
}
