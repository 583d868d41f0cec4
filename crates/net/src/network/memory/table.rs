//! Which addresses of a host are taken, and by what.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The first and the last port that the system chooses (Linux: `net.ipv4.ip_local_port_range`).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// Sockets by address: those of TCP, or those of UDP.
#[derive(Debug)]
pub(super) struct Table<T> {
    ports: HashMap<u16, Vec<Bound<T>>>,
    next: u16,
}

#[derive(Debug)]
struct Bound<T> {
    ip: IpAddr,
    /// SO_REUSEPORT
    shared: bool,
    socket: Arc<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { ports: HashMap::new(), next: *EPHEMERAL.start() }
    }
}

impl<T> Table<T> {
    /// Takes an address, whose port may be 0. `None` = somebody has it, or no port is left.
    pub(super) fn bind(
        &mut self,
        addr: SocketAddr,
        shared: bool,
        socket: &Arc<T>,
    ) -> Option<SocketAddr> {
        let port = match addr.port() {
            0 => self.free_port(addr.ip())?,
            port => port,
        };
        let others = self.ports.entry(port).or_default();
        if others.iter().any(|one| overlap(one.ip, addr.ip()) && !(shared && one.shared)) {
            return None;
        }
        others.push(Bound { ip: addr.ip(), shared, socket: socket.clone() });
        Some(SocketAddr::new(addr.ip(), port))
    }

    pub(super) fn unbind(&mut self, port: u16, socket: &Arc<T>) {
        if let Some(bound) = self.ports.get_mut(&port) {
            bound.retain(|one| !Arc::ptr_eq(&one.socket, socket));
            if bound.is_empty() {
                self.ports.remove(&port);
            }
        }
    }

    /// Who gets what is sent to an address. Where several share it, `choice` says which.
    pub(super) fn find(&self, addr: SocketAddr, choice: usize) -> Option<Arc<T>> {
        let bound = self.ports.get(&addr.port())?;
        let of = |ip: IpAddr| {
            let sharing: Vec<_> = bound.iter().filter(|one| one.ip == ip).collect();
            sharing.get(choice.checked_rem(sharing.len())?).map(|one| one.socket.clone())
        };
        let wildcard = |ip: IpAddr| ip.is_unspecified() && overlap(ip, addr.ip());
        of(addr.ip()).or_else(|| of(bound.iter().map(|one| one.ip).find(|ip| wildcard(*ip))?))
    }

    /// The next port that nobody has at this address.
    pub(super) fn free_port(&mut self, ip: IpAddr) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            let taken = |bound: &Vec<Bound<T>>| bound.iter().any(|one| overlap(one.ip, ip));
            if !self.ports.get(&port).is_some_and(taken) {
                return Some(port);
            }
        }
        None
    }
}

/// Whether two sockets on one port would get in each other's way. `[::]` takes IPv4 too.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    let all = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    a == b || all(a, b) || all(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_overlap_are_in_use() {
        for (first, second, free) in [
            ("10.0.0.1:80", "10.0.0.1:80", false),
            ("10.0.0.1:80", "10.0.0.1:81", true),
            ("10.0.0.1:80", "10.0.0.2:80", true),
            ("0.0.0.0:80", "10.0.0.1:80", false),
            ("10.0.0.1:80", "0.0.0.0:80", false),
            ("0.0.0.0:80", "[::1]:80", true),
            ("[::]:80", "10.0.0.1:80", false),
            ("[::]:80", "0.0.0.0:80", false),
        ] {
            let mut table = Table::default();
            table.bind(first.parse().unwrap(), false, &Arc::new(())).unwrap();
            let second = table.bind(second.parse().unwrap(), false, &Arc::new(()));
            assert_eq!(second.is_some(), free, "{first} {second:?}");
        }
    }

    #[test]
    fn the_exact_address_wins_and_sharers_take_turns() {
        let mut table = Table::default();
        let sockets = [Arc::new(0), Arc::new(1), Arc::new(2)];
        let all = "0.0.0.0:80".parse().unwrap();
        let one = "10.0.0.1:80".parse().unwrap();
        table.bind(all, true, &sockets[0]).unwrap();
        table.bind(one, true, &sockets[1]).unwrap();
        table.bind(one, true, &sockets[2]).unwrap();
        assert_eq!(table.bind(one, false, &Arc::new(3)), None);
        let found = [0, 1, 2].map(|choice| *table.find(one, choice).unwrap());
        assert_eq!(found, [1, 2, 1]);
        assert_eq!(*table.find("10.0.0.9:80".parse().unwrap(), 7).unwrap(), 0);
        assert_eq!(table.find("[fd00::1]:80".parse().unwrap(), 0), None);
    }

    #[test]
    fn ports_run_out_and_come_back() {
        let mut table = Table::default();
        let any: SocketAddr = "10.0.0.1:0".parse().unwrap();
        let socket = Arc::new(());
        let first = table.bind(any, false, &socket).unwrap();
        while table.bind(any, false, &Arc::new(())).is_some() {}
        table.unbind(first.port(), &socket);
        assert_eq!(table.bind(any, false, &socket), Some(first));
    }
}
