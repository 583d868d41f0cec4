//! Every dial in the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::info;

use crate::hook::{Call, Decision, Op, Outcome, SocketHook, SocketKey};

/// Logs every connect, before and after it: for whom, where to, what came of it and after how long.
#[derive(Debug, Default)]
pub struct DialLog {
    /// Since when a connect is under way. An outcome always follows.
    begun: Mutex<HashMap<SocketKey, Instant>>,
}

impl DialLog {
    /// Logs through `tracing`, at level info.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SocketHook for DialLog {
    fn before(&self, op: &Op<'_>) -> Decision {
        if op.call == Call::Connect
            && let Some(addr) = op.addr
        {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            begun.insert(op.socket, Instant::now());
            drop(begun);
            info!(socket = %op.socket, owner = op.owner, %addr, "dialing");
        }
        Decision::Continue
    }

    fn after(&self, op: &Op<'_>, outcome: &Outcome<'_>) {
        let (Call::Connect, Some(addr)) = (op.call, op.addr) else { return };
        if matches!(outcome, Outcome::Pending) {
            return;
        }
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&op.socket);
        let elapsed = begun.map(|begun| begun.elapsed()).unwrap_or_default();
        let (socket, owner) = (op.socket, op.owner);
        match outcome {
            Outcome::Vetoed(error) => {
                info!(%socket, owner, %addr, ?elapsed, "dial forbidden: {error}");
            }
            Outcome::Failed(error) => {
                info!(%socket, owner, %addr, ?elapsed, "dial failed: {error}")
            }
            Outcome::Done | Outcome::Pending => info!(%socket, owner, %addr, ?elapsed, "dialed"),
        }
    }
}
