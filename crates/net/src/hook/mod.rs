//! Hooks around socket calls: what a program may see, forbid, delay or undo.
//!
//! A [`SocketHook`] is asked before each call of a socket (see [`Call`]) and told what came of it. It is given either
//!
//! * as a value, in the `hooks` of [`DialOptions`](crate::DialOptions) and [`ListenOptions`](crate::ListenOptions), or
//!   for all sockets of a [`Net`](crate::Net) by [`Hooked`]; or
//! * for the whole process, by [`install`].
//!
//! The hooks of the options are asked first, then those of the process, the newest first. Where there are none, a call
//! costs one load of a flag more, and reading and writing costs nothing: hooks never see it.
//!
//! The calls of one socket come in this order, each with its outcome before the next:
//!
//! | socket | calls |
//! |---|---|
//! | dialed | Socket, Control, Bind (if the options say from where), Connect, Close |
//! | listening | Socket, Control, Bind, Listen, Close |
//! | accepted | Accept, Close |
//! | UDP | Socket, Control, Bind, Close; dialed ones as above |
//! | taken over | Adopt, Close |
//!
//! A Close comes once for each socket whose Socket, Accept or Adopt was [`Outcome::Done`], after all else, to the hooks
//! that saw it made: also where the future that dialed was dropped, and also if the hook was uninstalled meanwhile.
//!
//! There are ready-made hooks: [`Switch`] (filters, statistics and a table of live sockets), [`ListenLimit`],
//! [`AcceptLimit`], [`DialLog`], [`Faults`], [`Mark`], [`BindTo`] and [`TransparentListen`].
//!
//! ```
//! use std::sync::Arc;
//! use rosn_net::hook::{Hooks, ListenLimit};
//! use rosn_net::{ListenOptions, bind_tcp};
//!
//! let limit = Arc::new(ListenLimit::new(1));
//! let options = ListenOptions { hooks: Hooks::from(limit), ..ListenOptions::default() };
//! let first = bind_tcp("127.0.0.1:0".parse().unwrap(), &options).unwrap();
//! assert!(bind_tcp("127.0.0.1:0".parse().unwrap(), &options).is_err());
//! drop(first);
//! assert!(bind_tcp("127.0.0.1:0".parse().unwrap(), &options).is_ok());
//! ```

mod adopt;
mod asked;
mod bound;
mod gate;
mod hooked;
mod hooks;
mod opening;
mod ready;
mod switch;
mod tracked;

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rosn_base::Addr;
use socket2::SockRef;

pub(crate) use asked::Asked;
pub use bound::Bound;
pub(crate) use gate::Gate;
pub use hooked::Hooked;
pub use hooks::{HookGuard, Hooks, install, installed};
pub(crate) use opening::{Opening, nonblocking};
pub use ready::{
    AcceptLimit, AcceptLimits, BindTo, DialLog, Effect, Fault, Faults, ListenLimit, Mark,
    TransparentListen,
};
pub use switch::{Counts, LiveSocket, Switch};
pub(crate) use tracked::{Owner, Tracked};

/// A socket's number. It is never used twice in a process, unlike a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketKey(NonZeroU64);

impl SocketKey {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(number).expect("2^64 sockets are never made"))
    }
}

impl fmt::Display for SocketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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

/// What the socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It listens; or it is a UDP socket that answers whoever writes to it.
    Listener,
    /// It connects.
    Dialer,
    /// It came from a listener.
    Accepted,
}

/// The calls that hooks see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// The socket is made.
    Socket,
    /// Its options were set, and the `control` functions of the hooks and of the caller run.
    Control,
    /// It gets its local address.
    Bind,
    /// It is connected.
    Connect,
    /// It becomes a listener.
    Listen,
    /// A connection was accepted: the socket is the new one. If this is forbidden, it is closed and the next one is
    /// accepted; only an error that makes an accept loop pause
    /// ([`AcceptAction::BackOff`](crate::AcceptAction::BackOff)) is passed on, so that it does.
    Accept,
    /// A socket that was made elsewhere (inherited, or of another library) is taken over.
    Adopt,
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
    /// For an accepted socket: the one that listens.
    pub listener: Option<SocketKey>,
    /// What kind of socket.
    pub kind: SocketKind,
    /// What it is for.
    pub role: Role,
    /// For `Bind` and `Listen` the local address, for `Connect` the remote one, for `Accept` the client's; for `Control`
    /// that of the `Bind` or `Connect` that is to follow; for `Adopt` the local one.
    pub addr: Option<&'a Addr>,
    /// Whom the socket is for: the name of a listener or of a cluster; empty where nobody said.
    pub owner: &'a str,
    /// The line that asked for the socket; for `Accept` the one that asked for the listener.
    pub location: &'static Location<'static>,
}

/// What a hook wants done about a call.
pub enum Decision {
    /// Make it.
    Continue,
    /// Do not make it: it fails with this error. Hooks that come later are not asked. A `Close` is made all the same.
    Fail(io::Error),
    /// Make it after this time. Calls that cannot wait (all but `Connect` of a connection, and `Accept`) go on at once.
    ///
    /// The call then panics outside of a tokio runtime with time enabled.
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
    /// It was begun (a nonblocking connect); a second outcome follows, always.
    Pending,
    /// A hook forbade it, or undid it.
    Vetoed(&'a io::Error),
    /// The system refused, or the caller has given up (`Interrupted`).
    Failed(&'a io::Error),
}

impl<'a> Outcome<'a> {
    /// Why not, if it was not done.
    pub fn error(&self) -> Option<&'a io::Error> {
        match self {
            Self::Done | Self::Pending => None,
            Self::Vetoed(error) | Self::Failed(error) => Some(error),
        }
    }
}

/// Sees socket calls before and after they are made.
///
/// All functions run on the thread that makes the call; they must not block, nor panic. Calls of several sockets come at
/// the same time.
pub trait SocketHook: Send + Sync + 'static {
    /// Before the call.
    fn before(&self, op: &Op<'_>) -> Decision {
        let _ = op;
        Decision::Continue
    }

    /// Sets up the socket at [`Call::Control`]: its options are set, and it is neither bound nor connected.
    ///
    /// # Errors
    /// What it cannot go on after: the attempt ends with it.
    fn control(&self, op: &Op<'_>, socket: SockRef<'_>) -> io::Result<()> {
        let _ = (op, socket);
        Ok(())
    }

    /// After it. Every hook is told, also one that was not asked because an earlier one has forbidden the call.
    fn after(&self, op: &Op<'_>, outcome: &Outcome<'_>) {
        let _ = (op, outcome);
    }
}
