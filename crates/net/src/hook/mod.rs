//! Hooks around socket calls: what a program may see, forbid, delay or undo.

mod tracked;

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use rosn_base::Addr;

pub(crate) use tracked::Tracked;

/// A socket's number. It is never used twice in a process, unlike a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketKey(NonZeroU64);

/// What kind of socket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SocketKind {
    TcpV4,
    TcpV6,
    UdpV4,
    UdpV6,
    Unix,
}

/// The calls that hooks see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// The socket is made.
    Socket,
    /// Its options are set: the `control` function of the caller runs.
    Control,
    /// It gets its local address.
    Bind,
    /// It is connected.
    Connect,
    /// It becomes a listener.
    Listen,
    /// A connection is accepted: the socket is the new one.
    Accept,
    /// It is closed. This cannot be forbidden.
    Close,
}

/// A socket call that is about to be made, or was made.
#[derive(Debug, Clone, Copy)]
pub struct Op<'a> {
    /// Which call.
    pub call: Call,
    /// Which socket. For `Accept` the new connection's.
    pub socket: SocketKey,
    /// For `Accept`: the socket that listens.
    pub listener: Option<SocketKey>,
    /// What kind of socket.
    pub kind: SocketKind,
    /// For `Bind` and `Listen` the local address, for `Connect` the remote one, for `Accept` the client's.
    pub addr: Option<&'a Addr>,
    /// Whom the socket is for: the name of a listener or of a cluster; empty where nobody said.
    pub owner: &'a str,
}

/// What a hook wants done about a call.
pub enum Decision {
    /// Make it.
    Continue,
    /// Do not make it: it fails with this error. A `Close` is made all the same.
    Fail(io::Error),
    /// Make it after this time. Calls that cannot wait (all but `Connect`, and `Accept`) go on at once.
    Delay(Duration),
    /// Make it, then call this with what came of it; an error overrides the outcome, and the socket is closed.
    After(AfterFn),
}

/// See [`Decision::After`].
pub type AfterFn = Box<dyn FnOnce(&Outcome<'_>) -> io::Result<()> + Send>;

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Fail(error) => f.debug_tuple("Fail").field(error).finish(),
            Self::Delay(time) => f.debug_tuple("Delay").field(time).finish(),
            Self::After(_) => f.write_str("After(..)"),
        }
    }
}

/// What came of a call.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// It was done.
    Done,
    /// It was begun (a nonblocking connect); a second outcome follows.
    Pending,
    /// A hook forbade it.
    Vetoed(&'a io::Error),
    /// The system refused.
    Failed(&'a io::Error),
}

/// Sees socket calls before and after they are made.
///
/// Both functions run on the thread that makes the call and must not block.
pub trait SocketHook: Send + Sync + 'static {
    /// Before the call.
    fn before(&self, op: &Op<'_>) -> Decision {
        let _ = op;
        Decision::Continue
    }

    /// After it, also where a hook forbade it.
    fn after(&self, op: &Op<'_>, outcome: &Outcome<'_>) {
        let _ = (op, outcome);
    }
}
