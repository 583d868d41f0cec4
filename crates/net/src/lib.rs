//! Sockets of a proxy: listen, accept, dial, tunnel, and where a connection was meant to go.
//!
//! The way of a connection through this crate:
//!
//! 1. [`bind_tcp`], [`bind_unix`] and [`bind_udp`] open what is listened on. A [`BindError`] says
//!    what is wrong in words an operator can act on, with the process that holds the port.
//! 2. [`accept_error`] tells an accept loop whether to go on, to wait or to give up.
//! 3. A [`Stream`] is an accepted or dialed connection, [`ConnInfo`] what is known about it, and
//!    [`original_dst`] the address that a redirected client meant. [`proxy_protocol`] reads and
//!    writes what one proxy tells the next about its client.
//! 4. [`dial()`] opens the connection to an address, a [`Dialer`] that to a name (RFC 8305).
//! 5. A [`Tunnel`] moves the bytes between the two until both sides have ended.
//!
//! [`hook`]s see, forbid, delay or undo the calls of sockets. A [`Net`] is where sockets come from: [`OsNet`] is the
//! system's, [`MemNet`] one in memory, for tests.
//!
//! Only the [`Dialer`], hooks that delay and [`MemNet`] have timers: every future is cancelled by dropping it, and the
//! caller knows best when to.
//!
//! ```
//! use rosn_base::Addr;
//! use rosn_net::{DialOptions, ListenOptions, Stream, Tunnel, bind_tcp, dial};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
//! # runtime.block_on(async {
//! let listener = bind_tcp("127.0.0.1:0".parse()?, &ListenOptions::default())?;
//! let addr = Addr::Ip(listener.local_addr()?);
//! let listener = listener.map(tokio::net::TcpListener::from_std)?;
//!
//! // A client that says nothing, and a server that is the same listener.
//! let client = dial(&addr, &DialOptions::default()).await?;
//! let (downstream, _) = listener.accept().await?;
//! let upstream = dial(&addr, &DialOptions::default()).await?;
//! let (server, _) = listener.accept().await?;
//! drop((client, server));
//!
//! let end = Tunnel::new(Stream::from(downstream), upstream, b"early bytes", b"").run().await;
//! assert_eq!(end.a_to_b, 11);
//! # Ok(())
//! # })
//! # }
//! ```

mod accept;
mod acceptor;
mod conn;
mod dial;
mod dialer;
mod holder;
pub mod hook;
mod io;
mod lingering;
mod listen;
mod metered;
mod network;
mod options;
mod original_dst;
mod prefixed;
pub mod proxy_protocol;
mod resolve;
mod stream;
mod sys;
mod tunnel;
mod turn;
#[cfg(unix)]
mod unix;

pub use accept::{AcceptAction, accept_error};
pub use acceptor::TcpAcceptor;
#[cfg(unix)]
pub use acceptor::UnixAcceptor;
pub use conn::{ConnInfo, PeerAddr};
pub use dial::{DialError, dial, dial_udp};
pub use dialer::{DialContext, Dialer};
pub use holder::Holder;
pub use hook::Bound;
pub use io::Io;
pub use lingering::Lingering;
pub use listen::{BindError, bind_tcp, bind_udp, check_free};
pub use metered::{Meter, Metered};
pub use network::{
    Batch, BoxFuture, Datagrams, MemHost, MemLink, MemNet, Net, NetListener, OsNet, Received,
};
pub use options::{Control, DialOptions, KeepAlive, ListenOptions, SocketOptions};
pub use original_dst::original_dst;
pub use prefixed::Prefixed;
pub use resolve::{Coalesced, Network, Resolve, Resolved, SystemResolver};
pub use stream::{Released, Stream};
pub use tunnel::{Side, Tunnel, TunnelEnd, TunnelReason};
#[cfg(unix)]
pub use unix::{SocketFile, UnixBound, bind_unix};
