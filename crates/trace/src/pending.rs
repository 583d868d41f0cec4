//! A phase that has begun.

use crate::{Event, Interest, TraceHandle};

/// A phase whose `*Start` was reported. Dropping it reports the `*Done` with the error
/// [`Cancelled`](crate::Cancelled).
#[derive(Debug)]
#[must_use = "dropping it says that the phase was cancelled"]
pub struct Pending<'a> {
    trace: &'a TraceHandle,
    kind: Interest,
    /// What to report if it is dropped; `None` where nobody wants to know, or was told.
    given_up: Option<Event<'a>>,
}

impl<'a> Pending<'a> {
    pub(crate) fn new(trace: &'a TraceHandle, kind: Interest, given_up: Option<Event<'a>>) -> Self {
        Self { trace, kind, given_up }
    }

    /// Reports how it ended, with the `*Done` event that belongs to the start.
    pub fn done<'e>(mut self, event: impl FnOnce() -> Event<'e>) {
        if self.given_up.take().is_some() {
            self.trace.emit(self.kind, event);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.given_up.take() {
            self.trace.emit(self.kind, || event);
        }
    }
}
