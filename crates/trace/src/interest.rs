//! Which events somebody wants.

use std::ops::BitOr;

/// A set of kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interest(u32);

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `DnsStart`, `DnsDone`.
    pub const DNS: Self = Self(1);
    /// `ConnectStart`, `ConnectDone`.
    pub const CONNECT: Self = Self(1 << 1);
    /// `ProxyHandshakeStart`, `ProxyHandshakeDone`.
    pub const PROXY: Self = Self(1 << 2);
    /// `TlsStart`, `TlsDone`.
    pub const TLS: Self = Self(1 << 3);
    /// `HandshakeStart`, `HandshakeDone`.
    pub const HANDSHAKE: Self = Self(1 << 4);
    /// `GetConn`, `PoolWait`, `GotConn`, `GetConnFailed`, `PutIdle`.
    pub const POOL: Self = Self(1 << 5);
    /// `WroteHeaders`, `Wait100`, `Got100`, `WroteRequest`.
    pub const WRITE: Self = Self(1 << 6);
    /// `FirstResponseByte`, `ResponseHead`, `ResponseBodyDone`, `Upgraded`.
    pub const READ: Self = Self(1 << 7);
    /// `Retry`, `Redirect`, `Failed`.
    pub const RETRY: Self = Self(1 << 8);
    /// `Informational`, and the right to a veto: [`ClientTrace::informational`](crate::ClientTrace::informational).
    pub const INFORMATIONAL: Self = Self(1 << 9);
    /// `WroteHeaderField`.
    pub const FIELDS: Self = Self(1 << 10);
    /// The begin and the end of each phase: all but `INFORMATIONAL` and `FIELDS`.
    pub const TIMINGS: Self = Self((1 << 9) - 1);
    /// All, also what later versions add.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether the two have a kind in common.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
