//! A trace made of closures.

use std::fmt;
use std::time::Instant;

use crate::{ClientTrace, Event, Interest};

type Callback = Box<dyn Fn(Instant, &Event<'_>) + Send + Sync>;

/// Calls closures, in the order in which they were added.
#[derive(Default)]
pub struct Callbacks(Vec<(Interest, Callback)>);

impl Callbacks {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `callback` with each event of these kinds; see [`ClientTrace::event`].
    #[must_use]
    pub fn on(
        mut self,
        kinds: Interest,
        callback: impl Fn(Instant, &Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.0.push((kinds, Box::new(callback)));
        self
    }
}

impl ClientTrace for Callbacks {
    fn interest(&self) -> Interest {
        self.0.iter().fold(Interest::NONE, |all, (kinds, _)| all | *kinds)
    }

    fn event(&self, at: Instant, event: &Event<'_>) {
        for (kinds, callback) in &self.0 {
            if kinds.intersects(event.kind()) {
                callback(at, event);
            }
        }
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Callbacks({})", self.0.len())
    }
}
