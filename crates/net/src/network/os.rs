//! Sockets of the operating system.

mod answers;
mod datagrams;
mod listener;

use std::net::SocketAddr;
use std::sync::Arc;

use rosn_base::Addr;

use super::{BoxFuture, Datagrams, Net, NetListener};
use crate::{BindError, DialError, DialOptions, ListenOptions, Stream};
use datagrams::OsDatagrams;
use listener::OsListener;

/// The sockets of the operating system.
///
/// ```
/// use rosn_net::{DialOptions, ListenOptions, Net as _, OsNet};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// # runtime.block_on(async {
/// let mut listener = OsNet.listen(&"127.0.0.1:0".parse()?, &ListenOptions::default())?;
/// let options = DialOptions::default();
/// let client = OsNet.connect(&listener.local_addr(), &options).await?;
/// let (server, peer) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await?;
/// assert_eq!(peer, client.local_addr()?);
/// # drop(server);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct OsNet;

impl Net for OsNet {
    /// [`dial`](crate::dial()); the future has to be polled inside of a tokio runtime with I/O enabled.
    fn connect<'a>(
        &'a self,
        addr: &'a Addr,
        options: &'a DialOptions,
    ) -> BoxFuture<'a, Result<Stream, DialError>> {
        Box::pin(crate::dial(addr, options))
    }

    /// [`bind_tcp`](crate::bind_tcp()) or [`bind_unix`](crate::bind_unix()); the file of a unix socket goes with
    /// the listener.
    fn listen(
        &self,
        addr: &Addr,
        options: &ListenOptions,
    ) -> Result<Box<dyn NetListener>, BindError> {
        OsListener::bind(addr, options).map(|listener| Box::new(listener) as _)
    }

    fn bind_udp(
        &self,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Arc<dyn Datagrams>, BindError> {
        OsDatagrams::bind(addr, options).map(|socket| Arc::new(socket) as _)
    }

    fn dial_udp(
        &self,
        target: SocketAddr,
        options: &DialOptions,
    ) -> Result<Arc<dyn Datagrams>, DialError> {
        OsDatagrams::connect(target, options).map(|socket| Arc::new(socket) as _)
    }
}
