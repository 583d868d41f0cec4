//! What a socket is to be like.

mod apply;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

pub(crate) use apply::{Refused, refusal};

use crate::hook::{Hooks, Op};

/// Options of a socket. The default leaves all as the system has it, but for TCP_NODELAY and keep-alive, which TCP
/// connections always have.
///
/// An option that the system refuses is an error that names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// SO_MARK, for routing rules; needs CAP_NET_ADMIN. 0 = none. Ignored for unix sockets, as all below. UDP sockets
    /// have mark, device, transparent and the buffers.
    pub mark: u32,
    /// SO_BINDTODEVICE: the network interface that all goes through.
    pub device: Option<Box<str>>,
    /// IP_TRANSPARENT: a listener accepts what `iptables -j TPROXY` sends it, a dialer may bind to an address that is
    /// not of this machine; needs CAP_NET_ADMIN.
    pub transparent: bool,
    /// When a silent peer is asked whether it still is there.
    pub keep_alive: KeepAlive,
    /// TCP Fast Open: for a listener the length of its queue (0 = off), for a dialer whether (0 = off). `None` = as the
    /// system has it.
    pub fast_open: Option<u32>,
    /// SO_RCVBUF, in bytes; 0 = the system's.
    pub receive_buffer: u32,
    /// SO_SNDBUF, in bytes; 0 = the system's.
    pub send_buffer: u32,
    /// SO_RCVBUFFORCE and SO_SNDBUFFORCE instead: beyond the limit of the system; needs CAP_NET_ADMIN.
    pub force_buffers: bool,
    /// Multipath TCP.
    pub mptcp: bool,
}

/// TCP keep-alive. The default is Go's: after 15 s, every 15 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// As the system has it: usually off.
    System,
    /// Never.
    Off,
    /// After `idle`, then every `interval`, and given up after `count` without an answer (`None` = the system's, 9).
    On {
        /// Silence before the first probe; whole seconds.
        idle: Duration,
        /// Between probes; whole seconds.
        interval: Duration,
        /// Probes without an answer.
        count: Option<u32>,
    },
}

impl Default for KeepAlive {
    /// Go's `net.defaultTCPKeepAliveInterval`.
    fn default() -> Self {
        const TIME: Duration = Duration::from_secs(15);
        Self::On { idle: TIME, interval: TIME, count: None }
    }
}

/// A function that sets up a socket after it was made and before it is bound or connected; Go's `Dialer.Control`
/// and `ListenConfig.Control`. Its error ends the attempt.
#[derive(Clone)]
pub struct Control(Arc<ControlFn>);

type ControlFn = dyn Fn(&Op<'_>, SockRef<'_>) -> io::Result<()> + Send + Sync;

impl Control {
    /// The function as a value.
    pub fn new(
        control: impl Fn(&Op<'_>, SockRef<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(control))
    }

    /// Calls it.
    pub(crate) fn call(&self, op: &Op<'_>, socket: SockRef<'_>) -> io::Result<()> {
        (self.0)(op, socket)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Control(..)")
    }
}

/// How to dial. The default is a plain connection.
#[derive(Debug, Clone, Default)]
pub struct DialOptions {
    /// Whom it is for, such as the name of a cluster: hooks see it. May be empty.
    pub owner: Arc<str>,
    /// The address to dial from. `None` = the system chooses.
    pub bind: Option<SocketAddr>,
    /// What the socket is to be like.
    pub socket: SocketOptions,
    /// Called before it is bound or connected.
    pub control: Option<Control>,
    /// Asked about each call, before those of the process.
    pub hooks: Hooks,
}

/// How to listen.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Whom it is for, such as the name of a listener: hooks see it. May be empty.
    pub owner: Arc<str>,
    /// SO_REUSEPORT: other sockets of the same user may listen on the same address, and the kernel
    /// spreads connections over them. Such a socket does not notice a second process on its port;
    /// see [`check_free`](crate::check_free).
    pub reuse_port: bool,
    /// How many connections may wait to be accepted (4096); the system caps it at
    /// `net.core.somaxconn`.
    pub backlog: u32,
    /// What the socket is to be like; its connections inherit most of it.
    pub socket: SocketOptions,
    /// Permissions of a unix socket's file, such as `0o660`; `None` = by the umask.
    pub mode: Option<u32>,
    /// Called before it is bound.
    pub control: Option<Control>,
    /// Asked about each call, and about accepted connections, before those of the process.
    pub hooks: Hooks,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            owner: Arc::default(),
            reuse_port: false,
            backlog: 4096,
            socket: SocketOptions::default(),
            mode: None,
            control: None,
            hooks: Hooks::none(),
        }
    }
}
