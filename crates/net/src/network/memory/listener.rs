//! A listener in memory.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rosn_base::Addr;

use super::backlog::Backlog;
use super::{MemHost, told};
use crate::hook::{Call, Gate, Role, SocketKind, Tracked};
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
    gate: Gate,
    /// Tells hooks that the socket is closed: it is dropped last.
    tracked: Tracked,
}

impl MemListener {
    #[track_caller]
    pub(super) fn bind(
        host: &MemHost,
        addr: &Addr,
        options: &ListenOptions,
    ) -> Result<Self, BindError> {
        let denied = |source| BindError::Other { addr: addr.clone(), source };
        let kind = match addr {
            Addr::Ip(ip) if ip.is_ipv4() => SocketKind::TcpV4,
            Addr::Ip(_) => SocketKind::TcpV6,
            Addr::Unix(_) => SocketKind::Unix,
            Addr::Name(..) => {
                let text = "a name cannot be listened on: write an IP address";
                return Err(denied(io::Error::new(ErrorKind::InvalidInput, text)));
            }
        };
        let made = Tracked::make(&options.owner(), kind, Role::Listener, true, || Ok(()));
        let ((), tracked) = made.map_err(denied)?;
        let asked = tracked.ask(Call::Bind, Some(addr)).map_err(denied)?;
        let backlog = Arc::new(Backlog::new(options.backlog));
        let bound = take(host, addr, options, &backlog);
        let allowed = asked.map_or(Ok(()), |asked| asked.finish(told(&bound)));
        let (host, asked, gate) = (host.clone(), addr.clone(), Gate::default());
        // From here on, dropping it gives the address back.
        let listener = Self { host, asked, addr: bound?, backlog, gate, tracked };
        allowed.map_err(denied)?;
        let listen = listener.tracked.call(Call::Listen, Some(&listener.addr), || Ok(()));
        listen.map_err(denied)?;
        Ok(listener)
    }
}

/// Takes the address for the listener.
fn take(
    host: &MemHost,
    addr: &Addr,
    options: &ListenOptions,
    backlog: &Arc<Backlog>,
) -> Result<Addr, BindError> {
    let in_use = || BindError::InUse { addr: addr.clone(), holder: None };
    let mut world = host.net.world();
    match addr {
        Addr::Ip(ip) if world.owns(host.id, ip.ip()) => {
            let bound = world.host(host.id).tcp.bind(*ip, options.reuse_port, backlog);
            bound.map(Addr::Ip).ok_or_else(in_use)
        }
        Addr::Unix(path) => {
            let unix = &mut world.host(host.id).unix;
            if unix.contains_key(path) {
                return Err(in_use());
            }
            unix.insert(path.clone(), backlog.clone());
            Ok(addr.clone())
        }
        _ => Err(BindError::NoSuchAddress { addr: addr.clone() }),
    }
}

impl NetListener for MemListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        loop {
            let fault = self.host.net.world().accept_faults.next(&self.asked);
            match fault {
                Some(error) if accept_error(&error) == AcceptAction::Retry => {}
                Some(error) => return Poll::Ready(Err(error)),
                None => break,
            }
        }
        self.gate.poll_accept(cx, &self.tracked, |cx| {
            let connection = ready!(self.backlog.poll_accept(cx));
            let peer = connection.peer_addr()?;
            Poll::Ready(Ok((Stream::boxed(connection), peer)))
        })
    }

    fn local_addr(&self) -> Addr {
        self.addr.clone()
    }
}

impl Drop for MemListener {
    fn drop(&mut self) {
        self.tracked.closing();
        let mut world = self.host.net.world();
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
