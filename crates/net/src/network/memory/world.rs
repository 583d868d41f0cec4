//! All hosts of a network and what is on them.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use rosn_base::Addr;

use super::MemLink;
use super::backlog::Backlog;
use super::datagrams::Inbox;
use super::table::Table;

/// A host's place in [`World::hosts`].
pub(super) type HostId = usize;

/// The hosts, and the ways between them.
#[derive(Debug, Default)]
pub(super) struct World {
    hosts: Vec<Host>,
    by_ip: HashMap<IpAddr, HostId>,
    links: HashMap<(HostId, HostId), MemLink>,
    /// Errors that the next connects to an address are to have.
    pub(super) connect_faults: Faults,
    /// The same for accepts at an address.
    pub(super) accept_faults: Faults,
    /// Spreads over sockets that share an address.
    pub(super) turn: usize,
}

/// A host.
#[derive(Debug, Default)]
pub(super) struct Host {
    ips: Vec<IpAddr>,
    pub(super) tcp: Table<Backlog>,
    pub(super) udp: Table<Inbox>,
    pub(super) unix: HashMap<PathBuf, Arc<Backlog>>,
}

/// The way to an address.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) to: HostId,
    /// The address to come from.
    pub(super) source: IpAddr,
    pub(super) link: MemLink,
}

/// Errors to come.
#[derive(Debug, Default)]
pub(super) struct Faults(HashMap<Addr, VecDeque<ErrorKind>>);

impl Faults {
    pub(super) fn add(&mut self, addr: Addr, count: usize, kind: ErrorKind) {
        self.0.entry(addr).or_default().extend(std::iter::repeat_n(kind, count));
    }

    pub(super) fn next(&mut self, addr: &Addr) -> Option<io::Error> {
        self.0.get_mut(addr)?.pop_front().map(io::Error::from)
    }
}

impl World {
    /// The host with this address, which is made where it does not exist.
    pub(super) fn host_at(&mut self, ip: IpAddr) -> HostId {
        *self.by_ip.entry(ip).or_insert_with(|| {
            self.hosts.push(Host { ips: vec![ip], ..Host::default() });
            self.hosts.len() - 1
        })
    }

    /// Gives a host one more address. An address that another host has moves.
    pub(super) fn add_ip(&mut self, host: HostId, ip: IpAddr) {
        if let Some(old) = self.by_ip.insert(ip, host) {
            self.hosts[old].ips.retain(|one| *one != ip);
        }
        self.hosts[host].ips.push(ip);
    }

    pub(super) fn host(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[host]
    }

    pub(super) fn link(&mut self, a: HostId, b: HostId) -> MemLink {
        self.links.entry((a.min(b), a.max(b))).or_default().clone()
    }

    /// Whether a socket of the host can have the address.
    pub(super) fn owns(&self, host: HostId, ip: IpAddr) -> bool {
        ip.is_unspecified() || ip.is_loopback() || self.hosts[host].ips.contains(&ip)
    }

    /// The way from a host to an address. A loopback address is the host itself.
    ///
    /// # Errors
    /// No host has it, or the host that asks has no address of that family.
    pub(super) fn route(&mut self, from: HostId, to: IpAddr) -> io::Result<Route> {
        if to.is_loopback() {
            let source = if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { to };
            return Ok(Route { to: from, source, link: self.link(from, from) });
        }
        let ips = &self.hosts[from].ips;
        let own = ips.iter().find(|ip| **ip == to);
        let source = own.or_else(|| ips.iter().find(|ip| ip.is_ipv4() == to.is_ipv4()));
        let source = *source.ok_or(ErrorKind::NetworkUnreachable)?;
        let host = *self.by_ip.get(&to).ok_or(ErrorKind::HostUnreachable)?;
        Ok(Route { to: host, source, link: self.link(from, host) })
    }
}

/// Where a connection to "every address" goes: to the host itself.
pub(super) fn meant(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip.to_canonical(),
    }
}
