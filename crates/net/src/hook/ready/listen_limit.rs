//! How many sockets may listen.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::hook::{Call, Decision, Op, Outcome, Role, SocketHook, SocketKey, SocketKind};

/// Limits how many sockets listen at the same time: TCP, unix, and UDP sockets that were not dialed.
///
/// One more fails with `QuotaExceeded`. A place is free again when its socket is closed.
#[derive(Debug)]
pub struct ListenLimit {
    limit: usize,
    listening: Mutex<HashSet<SocketKey>>,
}

impl ListenLimit {
    /// So many; 0 forbids all.
    pub fn new(limit: usize) -> Self {
        Self { limit, listening: Mutex::default() }
    }

    /// How many listen now.
    pub fn listening(&self) -> usize {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Whether the socket listens from this call on. UDP sockets never call listen(2).
fn begins(op: &Op<'_>) -> bool {
    let is_udp = matches!(op.kind, SocketKind::UdpV4 | SocketKind::UdpV6);
    op.call == Call::Listen || (op.call == Call::Bind && is_udp && op.role == Role::Listener)
}

impl SocketHook for ListenLimit {
    fn before(&self, op: &Op<'_>) -> Decision {
        if begins(op) {
            let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
            if listening.len() >= self.limit {
                let text = format!("the limit of {} listening sockets is reached", self.limit);
                return Decision::Fail(io::Error::new(io::ErrorKind::QuotaExceeded, text));
            }
            listening.insert(op.socket);
        }
        Decision::Continue
    }

    fn after(&self, op: &Op<'_>, outcome: &Outcome<'_>) {
        if op.call == Call::Close || (begins(op) && outcome.error().is_some()) {
            let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
            listening.remove(&op.socket);
        }
    }
}
