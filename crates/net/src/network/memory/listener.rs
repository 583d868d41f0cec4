//! A listener in memory.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rosn_base::Addr;

use super::backlog::Backlog;
use super::{MemHost, MemNet};
use crate::network::NetListener;
use crate::{AcceptAction, BindError, Io as _, ListenOptions, PeerAddr, Stream, accept_error};

/// A TCP or unix listener.
#[derive(Debug)]
pub(super) struct MemListener {
    host: MemHost,
    /// As it was asked for.
    asked: Addr,
    addr: Addr,
    backlog: Arc<Backlog>,
}

impl MemListener {
    pub(super) fn bind(
        host: &MemHost,
        addr: &Addr,
        options: &ListenOptions,
    ) -> Result<Self, BindError> {
        let backlog = Arc::new(Backlog::new(options.backlog));
        let bound = match addr {
            Addr::Ip(ip) => Addr::Ip(bind_tcp(host, *ip, options, &backlog)?),
            Addr::Unix(path) => {
                let mut world = host.net.world();
                let unix = &mut world.host(host.id).unix;
                if unix.contains_key(path) {
                    return Err(BindError::InUse { addr: addr.clone(), holder: None });
                }
                unix.insert(path.clone(), backlog.clone());
                addr.clone()
            }
            Addr::Name(..) => {
                let text = "a name cannot be listened on: write an IP address";
                let source = io::Error::new(io::ErrorKind::InvalidInput, text);
                return Err(BindError::Other { addr: addr.clone(), source });
            }
        };
        Ok(Self { host: host.clone(), asked: addr.clone(), addr: bound, backlog })
    }

    fn net(&self) -> &MemNet {
        &self.host.net
    }
}

fn bind_tcp(
    host: &MemHost,
    addr: SocketAddr,
    options: &ListenOptions,
    backlog: &Arc<Backlog>,
) -> Result<SocketAddr, BindError> {
    let mut world = host.net.world();
    if !world.owns(host.id, addr.ip()) {
        return Err(BindError::NoSuchAddress { addr: Addr::Ip(addr) });
    }
    let bound = world.host(host.id).tcp.bind(addr, options.reuse_port, backlog);
    bound.ok_or_else(|| BindError::InUse { addr: Addr::Ip(addr), holder: None })
}

impl NetListener for MemListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        loop {
            let fault = self.net().world().accept_faults.next(&self.asked);
            match fault {
                Some(error) if accept_error(&error) == AcceptAction::Retry => {}
                Some(error) => return Poll::Ready(Err(error)),
                None => break,
            }
        }
        let connection = ready!(self.backlog.poll_accept(cx));
        let peer = connection.peer_addr()?;
        Poll::Ready(Ok((Stream::boxed(connection), peer)))
    }

    fn local_addr(&self) -> Addr {
        self.addr.clone()
    }
}

impl Drop for MemListener {
    fn drop(&mut self) {
        let mut world = self.net().world();
        let host = world.host(self.host.id);
        match &self.addr {
            Addr::Ip(addr) => host.tcp.unbind(addr.port(), &self.backlog),
            Addr::Unix(path) => {
                host.unix.remove(path);
            }
            Addr::Name(..) => {}
        }
        drop(world);
        self.backlog.close();
    }
}
