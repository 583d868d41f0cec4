//! A network in memory.

mod backlog;
mod connection;
mod datagrams;
mod dial;
mod link;
mod listener;
mod pipe;
mod table;
#[cfg(test)]
mod tests;
mod world;

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rosn_base::Addr;

use super::{BoxFuture, Datagrams, Net, NetListener};
use crate::{BindError, DialError, DialOptions, ListenOptions, Stream};
use datagrams::MemDatagrams;
pub use link::MemLink;
use listener::MemListener;
use world::{HostId, World};

/// A network in memory: hosts with TCP, UDP and unix sockets, and faults on demand. Clones are the same network.
///
/// Sockets behave as those of [`OsNet`](super::OsNet) do: the same tests run on both. Of the options, those that a
/// network in memory can have are kept: the address to dial from, the backlog, SO_REUSEPORT. Hooks see the same calls,
/// but for `Control`, which needs a socket of the system.
///
/// ```
/// use rosn_net::{DialOptions, ListenOptions, MemNet, Net as _};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let net = MemNet::new();
/// let (client, server) = (net.host([10, 0, 0, 1]), net.host([10, 0, 0, 2]));
/// let mut listener = server.listen(&":80".parse()?, &ListenOptions::default())?;
///
/// let options = DialOptions::default();
/// let mut there = client.connect(&"10.0.0.2:80".parse()?, &options).await?;
/// let (mut here, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await?;
/// there.write_all(b"hello").await?;
/// drop(there);
///
/// let mut text = String::new();
/// here.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemNet(Arc<Mutex<World>>);

impl MemNet {
    /// A network without hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// The host with this address; it is made where there is none yet. Every host has its own `127.0.0.1` and `::1`
    /// besides, and its own unix sockets.
    pub fn host(&self, ip: impl Into<IpAddr>) -> MemHost {
        let id = self.world().host_at(ip.into());
        MemHost { net: self.clone(), id }
    }

    /// The way between the hosts that have these addresses; equal addresses: the way from a host to itself.
    pub fn link(&self, a: impl Into<IpAddr>, b: impl Into<IpAddr>) -> MemLink {
        let mut world = self.world();
        let (a, b) = (world.host_at(a.into()), world.host_at(b.into()));
        world.link(a, b)
    }

    /// Has the next `count` connects to an address fail, from whichever host.
    pub fn fail_connects(&self, to: &Addr, count: usize, kind: ErrorKind) {
        self.world().connect_faults.add(to.clone(), count, kind);
    }

    /// Has the next `count` accepts of the listener at an address, as it was asked for, fail.
    pub fn fail_accepts(&self, at: &Addr, count: usize, kind: ErrorKind) {
        self.world().accept_faults.add(at.clone(), count, kind);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemNet(..)")
    }
}

/// A host of a [`MemNet`]: its sockets are on that host.
#[derive(Debug, Clone)]
pub struct MemHost {
    net: MemNet,
    id: HostId,
}

impl MemHost {
    /// Gives the host one more address. The first of a family is where its connections come from.
    #[must_use]
    pub fn and(self, ip: impl Into<IpAddr>) -> Self {
        self.net.world().add_ip(self.id, ip.into());
        self
    }
}

impl Net for MemHost {
    fn connect<'a>(
        &'a self,
        addr: &'a Addr,
        options: &'a DialOptions,
    ) -> BoxFuture<'a, Result<Stream, DialError>> {
        Box::pin(dial::connect(self, addr, options))
    }

    fn listen(
        &self,
        addr: &Addr,
        options: &ListenOptions,
    ) -> Result<Box<dyn NetListener>, BindError> {
        MemListener::bind(self, addr, options).map(|listener| Box::new(listener) as _)
    }

    fn bind_udp(
        &self,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Arc<dyn Datagrams>, BindError> {
        MemDatagrams::bind(self, addr, options).map(|socket| Arc::new(socket) as _)
    }

    fn dial_udp(
        &self,
        target: SocketAddr,
        options: &DialOptions,
    ) -> Result<Arc<dyn Datagrams>, DialError> {
        MemDatagrams::connect(self, target, options).map(|socket| Arc::new(socket) as _)
    }
}

/// What hooks are told of a bind.
fn told<T>(bound: &Result<T, BindError>) -> std::io::Result<()> {
    match bound {
        Ok(_) => Ok(()),
        Err(BindError::InUse { .. }) => Err(ErrorKind::AddrInUse.into()),
        Err(_) => Err(ErrorKind::AddrNotAvailable.into()),
    }
}
