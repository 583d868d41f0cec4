//! Connecting in memory.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rosn_base::Addr;
use tokio::time::sleep;

use super::backlog::Backlog;
use super::world::{Route, meant};
use super::{MemHost, MemLink, connection, unspecified};
use crate::{DialError, DialOptions, PeerAddr, Stream};

/// Connects to an address of any kind.
pub(super) async fn connect(
    host: &MemHost,
    addr: &Addr,
    options: &DialOptions,
) -> Result<Stream, DialError> {
    let refused = |source| DialError::Connect { target: addr.clone(), source };
    let fault = host.net.world().connect_faults.next(addr);
    match (fault, addr) {
        (_, Addr::Name(..)) => Err(DialError::Unresolved { target: addr.clone() }),
        (Some(error), _) => Err(refused(error)),
        (None, Addr::Unix(path)) => unix(host, path).map_err(refused),
        (None, Addr::Ip(target)) => {
            let local = local(host, *target, options)?;
            let target = SocketAddr::new(meant(target.ip()), target.port());
            tcp(host, target, local).await.map_err(refused)
        }
    }
}

/// The address to dial from: its parts are 0 where that is open.
///
/// # Errors
/// It is not of this host, of another family, or there is no port left.
pub(super) fn local(
    host: &MemHost,
    target: SocketAddr,
    options: &DialOptions,
) -> Result<SocketAddr, DialError> {
    let Some(local) = options.bind else {
        return Ok(SocketAddr::new(unspecified(meant(target.ip())), 0));
    };
    let kind = if local.is_ipv4() != target.is_ipv4() {
        ErrorKind::InvalidInput
    } else if !host.net.world().owns(host.id, local.ip()) {
        ErrorKind::AddrNotAvailable
    } else {
        return Ok(local);
    };
    Err(DialError::Setup { target: Addr::Ip(target), step: "bind", source: kind.into() })
}

/// All ports are in use, or the one that was asked for.
pub(super) fn no_port(target: Addr) -> DialError {
    DialError::Setup { target, step: "bind", source: ErrorKind::AddrInUse.into() }
}

async fn tcp(host: &MemHost, target: SocketAddr, local: SocketAddr) -> io::Result<Stream> {
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
fn source_addr(host: &MemHost, local: SocketAddr, source: IpAddr) -> io::Result<SocketAddr> {
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
