//! Numbers that many threads write and that can be frozen.

use std::sync::atomic::{AtomicU64, Ordering};

use super::snapshot::{Span, span};

/// A number or none, until it is frozen; from then on it never changes.
#[derive(Debug, Default)]
pub(super) struct Mark(
    /// One more than the number; 0 = none. The highest bit says that it is frozen.
    AtomicU64,
);

/// Three hundred years of nanoseconds are fewer.
const FROZEN: u64 = 1 << 63;

impl Mark {
    pub(super) fn read(&self) -> Option<u64> {
        (self.0.load(Ordering::Acquire) & !FROZEN).checked_sub(1)
    }

    pub(super) fn set(&self, number: u64) {
        self.update(|_| Some(number));
    }

    pub(super) fn set_once(&self, number: u64) {
        self.update(|before| before.is_none().then_some(number));
    }

    pub(super) fn earliest(&self, number: u64) {
        self.update(|before| before.is_none_or(|before| number < before).then_some(number));
    }

    pub(super) fn latest(&self, number: u64) {
        self.update(|before| before.is_none_or(|before| number > before).then_some(number));
    }

    /// Counts on from none = 0. Returns the count before; `None` where it is frozen.
    pub(super) fn count(&self) -> Option<u64> {
        self.update(|before| Some(before.unwrap_or(0).saturating_add(1)))
            .map(|before| before.unwrap_or(0))
    }

    /// None again.
    pub(super) fn clear(&self) {
        if self.0.load(Ordering::Relaxed) & !FROZEN != 0 {
            // Fails where it was frozen just now.
            let _ = self.0.try_update(Ordering::Release, Ordering::Relaxed, |bits| {
                (bits & FROZEN == 0).then_some(0)
            });
        }
    }

    pub(super) fn freeze(&self) {
        self.0.fetch_or(FROZEN, Ordering::AcqRel);
    }

    /// Replaces it by what `next` makes of it. Returns what it was; `None` where it stays.
    fn update(&self, next: impl Fn(Option<u64>) -> Option<u64>) -> Option<Option<u64>> {
        let change = |bits: u64| {
            let number = next(bits.checked_sub(1)).filter(|_| bits & FROZEN == 0)?;
            Some((number + 1).min(FROZEN - 1))
        };
        let before = self.0.try_update(Ordering::Release, Ordering::Relaxed, change);
        before.ok().map(|bits| bits.checked_sub(1))
    }
}

/// From the first start to the last end.
#[derive(Debug, Default)]
pub(super) struct Period {
    pub(super) start: Mark,
    pub(super) end: Mark,
}

impl Period {
    pub(super) fn read(&self) -> Option<Span> {
        // The end first: who sees an end sees its start.
        let end = self.end.read();
        self.start.read().map(|start| span(start, end.filter(|end| *end >= start)))
    }
}
