//! How a server ends.

use std::time::Duration;

/// How a server ends: see [`Server::shutdown`](super::Server::shutdown).
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// What becomes of connections that were hijacked.
    pub hijacked: HijackedConnections,
    /// When to close what is still open. Default: never.
    pub deadline: Option<Duration>,
}

/// What a shutdown does about hijacked connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HijackedConnections {
    /// Nothing, as Go.
    Ignore,
    /// Their [`ShutdownSignal`](crate::hijack::ShutdownSignal)s come, and nobody waits for them. The default.
    #[default]
    Notify,
    /// Their signals come, and the shutdown waits until their guards are dropped.
    Wait,
}

/// What a shutdown has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that were closed within a request when the deadline passed.
    pub cut: usize,
    /// Hijacked connections that are still held.
    pub hijacked: usize,
}
