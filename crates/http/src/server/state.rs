//! What a connection is doing.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rosn_net::ConnInfo;

/// What a connection of a server is doing: Go's `http.ConnState`, and the end of what was hijacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnState {
    /// It was accepted, and has sent nothing.
    New,
    /// It has sent a byte of a request; or the request is being served.
    Active,
    /// A request was served, and there is no byte of the next.
    Idle,
    /// It was taken away from HTTP.
    Hijacked,
    /// It was hijacked, and those who did so have let go of it. The last state.
    HijackedClosed,
    /// It is closed. The last state.
    Closed,
}

/// Is told of each connection's states, on the connection's task: it must not wait. A panic is logged.
#[derive(Clone, Default)]
pub struct StateHook(Option<Arc<Hook>>);

type Hook = dyn Fn(&ConnInfo, ConnState) + Send + Sync;

impl StateHook {
    /// A hook that calls `hook`.
    pub fn new(hook: impl Fn(&ConnInfo, ConnState) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(super) fn call(&self, info: &ConnInfo, state: ConnState) {
        let Some(hook) = &self.0 else { return };
        // It is called where a panic would end the accepting of connections, or the process.
        if catch_unwind(AssertUnwindSafe(|| hook(info, state))).is_err() {
            tracing::error!(peer = %info.peer, "a hook of connection states panicked");
        }
    }
}

impl fmt::Debug for StateHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StateHook(set)" } else { "StateHook(none)" })
    }
}
