//! Connecting in memory.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use rosn_base::Addr;
use tokio::time::sleep;

use super::backlog::Backlog;
use super::world::{Route, meant};
use super::{MemHost, MemLink, connection};
use crate::hook::{Call, Owner, Role, SocketKind, Tracked};
use crate::{DialError, DialOptions, PeerAddr, Stream};

/// Connects to an address of any kind.
#[track_caller]
pub(super) fn connect<'a>(
    host: &'a MemHost,
    addr: &'a Addr,
    options: &'a DialOptions,
) -> impl Future<Output = Result<Stream, DialError>> + Send + use<'a> {
    let location = Location::caller();
    async move {
        let kind = match addr {
            Addr::Ip(ip) if ip.is_ipv4() => SocketKind::TcpV4,
            Addr::Ip(_) => SocketKind::TcpV6,
            Addr::Unix(_) => SocketKind::Unix,
            Addr::Name(..) => return Err(DialError::Unresolved { target: addr.clone() }),
        };
        let Dialing { tracked, local } = Dialing::begin_at(host, addr, kind, options, location)?;
        let refused = |source| DialError::Connect { target: addr.clone(), source };
        let mut asked = tracked.ask(Call::Connect, Some(addr)).map_err(refused)?;
        if let Some(asked) = &mut asked {
            asked.wait().await;
        }
        let fault = host.net.world().connect_faults.next(addr);
        let connected = match (fault, addr) {
            (Some(error), _) => Err(error),
            (None, Addr::Ip(target)) => {
                if let Some(asked) = &asked {
                    asked.pending();
                }
                let target = SocketAddr::new(meant(target.ip()), target.port());
                tcp(host, target, local).await
            }
            (None, _) => unix(host, addr.as_path().unwrap_or(Path::new(""))),
        };
        let connected = match asked {
            Some(asked) => asked.finish(connected),
            None => connected,
        };
        Ok(connected.map_err(refused)?.track(tracked))
    }
}

/// A socket that hooks have seen made and bound.
pub(super) struct Dialing {
    pub(super) tracked: Tracked,
    /// The address to dial from; its parts are 0 where that is open.
    pub(super) local: Option<SocketAddr>,
}

impl Dialing {
    /// Makes a socket.
    ///
    /// # Errors
    /// A hook forbids it, or the address to dial from is not of this host or of another family.
    #[track_caller]
    pub(super) fn begin(
        host: &MemHost,
        target: &Addr,
        kind: SocketKind,
        options: &DialOptions,
    ) -> Result<Self, DialError> {
        Self::begin_at(host, target, kind, options, Location::caller())
    }

    fn begin_at(
        host: &MemHost,
        target: &Addr,
        kind: SocketKind,
        options: &DialOptions,
        location: &'static Location<'static>,
    ) -> Result<Self, DialError> {
        let failed = |step| {
            let target = target.clone();
            move |source| DialError::Setup { target, step, source }
        };
        let owner = Owner { name: &options.owner, hooks: &options.hooks, location };
        let made = Tracked::make(&owner, kind, Role::Dialer, false, || Ok(()));
        let ((), tracked) = made.map_err(failed("socket"))?;
        let local = options.bind.filter(|_| kind != SocketKind::Unix);
        if let Some(local) = local {
            let bind = || may_bind(host, target, local);
            let bound = tracked.call(Call::Bind, Some(&Addr::Ip(local)), bind);
            bound.map_err(failed("bind"))?;
        }
        Ok(Self { tracked, local })
    }
}

fn may_bind(host: &MemHost, target: &Addr, local: SocketAddr) -> io::Result<()> {
    if target.as_ip().is_some_and(|target| target.is_ipv4() != local.is_ipv4()) {
        return Err(ErrorKind::InvalidInput.into());
    }
    if !host.net.world().owns(host.id, local.ip()) {
        return Err(ErrorKind::AddrNotAvailable.into());
    }
    Ok(())
}

async fn tcp(host: &MemHost, target: SocketAddr, local: Option<SocketAddr>) -> io::Result<Stream> {
    let Route { to, source, link } = host.net.world().route(host.id, target.ip())?;
    let local = source_addr(host, local, source)?;
    half_way(&link).await;
    let (client, server) = connection::pair(local.into(), target.into(), &link);
    let mut server = Some(server);
    loop {
        let Some(backlog) = listener(host, to, target) else {
            half_way(&link).await;
            return Err(ErrorKind::ConnectionRefused.into());
        };
        match poll_fn(|cx| backlog.poll_push(cx, &mut server)).await {
            Ok(()) => break,
            // It has gone away just now; there may be another one.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
    half_way(&link).await;
    Ok(Stream::boxed(client))
}

/// The address of the client's end.
fn source_addr(
    host: &MemHost,
    local: Option<SocketAddr>,
    source: IpAddr,
) -> io::Result<SocketAddr> {
    let local = local.unwrap_or(SocketAddr::new(source, 0));
    let ip = if local.ip().is_unspecified() { source } else { local.ip() };
    let mut world = host.net.world();
    let port = match local.port() {
        0 => world.host(host.id).tcp.free_port(ip).ok_or(ErrorKind::AddrNotAvailable)?,
        port => port,
    };
    Ok(SocketAddr::new(ip, port))
}

fn listener(host: &MemHost, to: usize, target: SocketAddr) -> Option<Arc<Backlog>> {
    let mut world = host.net.world();
    world.turn = world.turn.wrapping_add(1);
    let turn = world.turn;
    world.host(to).tcp.find(target, turn)
}

/// A packet goes from one end to the other, however long it takes.
async fn half_way(link: &MemLink) {
    poll_fn(|cx| link.poll_whole(cx)).await;
    let latency = link.latency();
    if !latency.is_zero() {
        sleep(latency).await;
    }
}

fn unix(host: &MemHost, path: &Path) -> io::Result<Stream> {
    let mut world = host.net.world();
    let link = world.link(host.id, host.id);
    let backlog = world.host(host.id).unix.get(path).cloned();
    drop(world);
    let backlog = backlog.ok_or(ErrorKind::NotFound)?;
    let server = PeerAddr::Unix(Some(path.into()));
    let (client, server) = connection::pair(PeerAddr::Unix(None), server, &link);
    // A full queue is an error here (EAGAIN), as on Linux.
    backlog.push(&mut Some(server))?;
    Ok(Stream::boxed(client))
}
