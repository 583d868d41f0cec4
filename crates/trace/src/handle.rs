//! Who sees events, and what carries them there.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, StatusCode};

use crate::{Event, Interest, Pending};

/// Sees what happens.
pub trait ClientTrace: Send + Sync + 'static {
    /// What it wants to see. Asked once, when a handle is made.
    fn interest(&self) -> Interest {
        Interest::TIMINGS
    }

    /// Something happened `at` that time. It is called on any thread, by several at a time, and also after the dial
    /// has ended. It must neither block nor panic.
    fn event(&self, at: Instant, event: &Event<'_>);

    /// An interim response came; called only with [`Interest::INFORMATIONAL`], right after its event.
    ///
    /// # Errors
    /// An error ends the request with it.
    fn informational(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), BoxError> {
        let _ = (status, headers);
        Ok(())
    }
}

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<T: ClientTrace + ?Sized> ClientTrace for Arc<T> {
    fn interest(&self) -> Interest {
        T::interest(self)
    }

    fn event(&self, at: Instant, event: &Event<'_>) {
        T::event(self, at, event);
    }

    fn informational(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), BoxError> {
        T::informational(self, status, headers)
    }
}

/// Carries events to those that want to see them; by default to nobody.
#[derive(Clone, Default)]
pub struct TraceHandle(Option<Arc<Inner>>);

struct Inner {
    /// Of any of them.
    interest: Interest,
    /// The newest first.
    traces: Box<[(Interest, Arc<dyn ClientTrace>)]>,
}

impl TraceHandle {
    /// To nobody.
    pub const fn none() -> Self {
        Self(None)
    }

    /// To this trace. To keep hold of it, give an `Arc` of it.
    pub fn new(trace: impl ClientTrace) -> Self {
        Self::over(trace, &Self::none())
    }

    /// To this trace, and then to those of `older`, which is not changed. One trace may be in a chain several times,
    /// and sees each event as often.
    pub fn over(trace: impl ClientTrace, older: &Self) -> Self {
        let newest: (Interest, Arc<dyn ClientTrace>) = (trace.interest(), Arc::new(trace));
        let older = older.0.as_ref().map_or(&[][..], |inner| &inner.traces);
        let traces: Box<[_]> = std::iter::once(newest).chain(older.iter().cloned()).collect();
        let interest = traces.iter().fold(Interest::NONE, |all, (interest, _)| all | *interest);
        Self(Some(Arc::new(Inner { interest, traces })))
    }

    /// Reports an event that belongs to `kind`. It is built only where somebody wants it.
    #[inline]
    pub fn emit<'a>(&self, kind: Interest, event: impl FnOnce() -> Event<'a>) {
        if let Some(inner) = self.interested(kind) {
            inner.deliver(kind, &event());
        }
    }

    /// Reports an interim response, and asks whether the request may go on.
    ///
    /// # Errors
    /// All traces are asked; the error of the first in the order of calling counts.
    pub fn informational(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), BoxError> {
        let Some(inner) = self.interested(Interest::INFORMATIONAL) else { return Ok(()) };
        inner.deliver(Interest::INFORMATIONAL, &Event::Informational { status, headers });
        let mut answer = Ok(());
        for (_, trace) in inner.traces.iter().filter(|(i, _)| i.intersects(Interest::INFORMATIONAL))
        {
            // All are asked, also after one has refused.
            answer = answer.and(trace.informational(status, headers));
        }
        answer
    }

    /// Whether anybody sees events of these kinds.
    #[inline]
    pub fn wants(&self, kinds: Interest) -> bool {
        self.interested(kinds).is_some()
    }

    /// Reports a `*Start` event, and promises its `*Done`.
    #[inline]
    pub fn begin<'a>(&'a self, kind: Interest, start: impl FnOnce() -> Event<'a>) -> Pending<'a> {
        let given_up = self.interested(kind).and_then(|inner| {
            let start = start();
            inner.deliver(kind, &start);
            start.given_up()
        });
        Pending::new(self, kind, given_up)
    }

    #[inline]
    fn interested(&self, kind: Interest) -> Option<&Inner> {
        self.0.as_deref().filter(|inner| inner.interest.intersects(kind))
    }
}

impl Inner {
    #[cold]
    fn deliver(&self, kind: Interest, event: &Event<'_>) {
        let at = Instant::now();
        for (interest, trace) in &self.traces {
            if interest.intersects(kind) {
                trace.event(at, event);
            }
        }
    }
}

impl fmt::Debug for TraceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traces = self.0.as_ref().map_or(0, |inner| inner.traces.len());
        write!(f, "TraceHandle({traces})")
    }
}

#[cfg(test)]
mod tests;
