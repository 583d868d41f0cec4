//! Where sockets come from: the operating system, or memory.

mod memory;
mod os;
mod waiters;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rosn_base::Addr;

use crate::{BindError, DialError, DialOptions, ListenOptions, PeerAddr, Stream};
pub use memory::{MemHost, MemLink, MemNet};
pub use os::OsNet;
use waiters::Waiters;

/// Bytes of the largest datagram: what IPv4 has room for beside its own header and UDP's.
const MAX_DATAGRAM: usize = 65_507;

/// A future that a trait returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where sockets come from.
pub trait Net: Send + Sync + 'static {
    /// Connects to an address that is no name.
    ///
    /// Cancel safety: dropping the future closes the socket.
    ///
    /// # Errors
    /// See [`DialError`].
    fn connect<'a>(
        &'a self,
        addr: &'a Addr,
        options: &'a DialOptions,
    ) -> BoxFuture<'a, Result<Stream, DialError>>;

    /// Listens for connections: TCP, or a unix socket. Bound when this returns. Needs no runtime; polling does.
    ///
    /// # Errors
    /// See [`BindError`].
    fn listen(
        &self,
        addr: &Addr,
        options: &ListenOptions,
    ) -> Result<Box<dyn NetListener>, BindError>;

    /// Opens a UDP socket. Needs no runtime; polling does.
    ///
    /// # Errors
    /// See [`BindError`].
    fn bind_udp(
        &self,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Arc<dyn Datagrams>, BindError>;

    /// Opens a UDP socket for talking with `target`, from an address that the system chooses or that the options say.
    ///
    /// # Errors
    /// See [`DialError`].
    fn dial_udp(
        &self,
        target: SocketAddr,
        options: &DialOptions,
    ) -> Result<Arc<dyn Datagrams>, DialError>;
}

/// A listening socket.
pub trait NetListener: Send {
    /// Accepts a connection. Connections that failed before they were accepted are passed over.
    ///
    /// One task at a time can wait. Cancel safety: no connection is lost.
    ///
    /// # Errors
    /// What accept(2) says of the listener or of the process; see [`accept_error`](crate::accept_error()).
    ///
    /// # Panics
    /// On sockets of the operating system: outside of a tokio runtime with I/O enabled.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>>;

    /// The address that is listened on.
    fn local_addr(&self) -> Addr;
}

/// A UDP socket, with as many datagrams in a system call as the system can.
///
/// Datagrams are not fragmented: one that is larger than the path can carry is an error or is lost, as QUIC wants it
/// (RFC 9000 14).
pub trait Datagrams: Send + Sync + std::fmt::Debug {
    /// Sends datagrams of equal size (the last may be shorter) to one address.
    ///
    /// More than [`Datagrams::max_batch`] take several system calls; if there is room for the first of them only, the
    /// rest is lost, as the network may lose it.
    ///
    /// # Errors
    /// `WouldBlock` where there is no room, see [`Datagrams::poll_writable`]; `InvalidInput` for a segment of no bytes
    /// or, where the socket talks with one peer, another address; else what sendmsg(2) says. Where it talks with one
    /// peer, an ICMP answer to an earlier datagram shows here too.
    fn try_send(&self, batch: &Batch<'_>) -> io::Result<()>;

    /// Waits until there may be room. Any number of tasks can wait.
    ///
    /// # Errors
    /// Fails where the runtime is shutting down.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Receives into the buffers, and says in `received` what is in each. A buffer may hold several datagrams of one
    /// sender, each of `stride` bytes but for the last. Returns how many buffers were used. One task at a time can wait.
    ///
    /// What does not fit into a buffer is lost: with [`Datagrams::max_received`] above 1, use buffers of 64 KiB.
    ///
    /// # Errors
    /// What recvmsg(2) says. Where the socket talks with one peer, an ICMP answer to an earlier send shows here
    /// (`ConnectionRefused`); elsewhere it is passed over.
    ///
    /// # Panics
    /// If there are fewer of `received` than of `buffers`.
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [io::IoSliceMut<'_>],
        received: &mut [Received],
    ) -> Poll<io::Result<usize>>;

    /// The address of this end.
    ///
    /// # Errors
    /// What getsockname(2) says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// How many datagrams of a [`Batch`] go out in one system call; 1 where the system cannot split (GSO), which may
    /// turn out at the first attempt.
    fn max_batch(&self) -> usize;

    /// How many datagrams one buffer of [`Datagrams::poll_receive`] may come to hold; 1 without GRO.
    fn max_received(&self) -> usize;
}

/// Datagrams to send.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// The datagrams, one after the other.
    pub bytes: &'a [u8],
    /// The size of each but the last; `None` = there is one.
    pub segment: Option<usize>,
}

impl Batch<'_> {
    /// Refuses what no socket can send.
    fn check(&self, peer: Option<SocketAddr>) -> io::Result<()> {
        let text = match (self.segment, peer) {
            (Some(0), _) => "a batch of datagrams of no bytes",
            (_, Some(peer)) if peer != self.to => "the socket talks with another peer",
            _ => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

/// What a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// From whom.
    pub from: SocketAddr,
    /// Bytes in the buffer.
    pub len: usize,
    /// The size of each datagram but the last, in bytes.
    pub stride: usize,
}
