//! Who holds a port, as /proc tells it.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name, such as `nginx`; control characters are replaced.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let this = if self.pid == std::process::id() { ", this process" } else { "" };
        write!(f, "{} (pid {}{this})", self.command, self.pid)
    }
}

/// A table of sockets in /proc/net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Tcp,
    Udp,
}

/// The process with a socket at `addr` that is in the way of another one there; `None` where it
/// cannot be known (a process of another user, another namespace).
pub(crate) fn holder(addr: SocketAddr, table: Table) -> Option<Holder> {
    let files = match table {
        Table::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Table::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let inodes: Vec<u64> = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| inodes(&text, addr, table))
        .collect();
    owner(&inodes)
}

/// The process that holds the unix socket at `path`, if it can be known.
pub(crate) fn unix_holder(path: &Path) -> Option<Holder> {
    let text = fs::read_to_string("/proc/net/unix").ok()?;
    let inodes: Vec<u64> = text.lines().filter_map(|line| unix_inode(line, path)).collect();
    owner(&inodes)
}

/// The inodes of the sockets of a table that conflict with `addr`.
fn inodes(text: &str, addr: SocketAddr, table: Table) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let conflicting = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = parse_address(fields.nth(1)?)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok().filter(|inode| *inode != 0)?;
        let listening = table == Table::Udp || state == LISTEN;
        (listening && overlap(local, addr)).then_some(inode)
    };
    text.lines().skip(1).filter_map(conflicting).collect()
}

/// Reads `0100007F:1F90`: words of 32 bits in the byte order of the machine, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = if ip.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for at in 0..4 {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
        }
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    Some(SocketAddr::new(ip, port))
}

/// Whether two sockets at these addresses are in each other's way. `[::]` counts as both families;
/// at worst a holder that has IPv6 only is named for an IPv4 port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let covers = |wide: IpAddr, narrow: IpAddr| {
        wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    one.port() == other.port() && (a == b || covers(a, b) || covers(b, a))
}

/// Reads a line of /proc/net/unix, whose last two fields are the inode and the path.
fn unix_inode(line: &str, path: &Path) -> Option<u64> {
    const ACCEPTING: &str = "00010000";
    let mut fields = line.split_ascii_whitespace();
    if fields.nth(3)? != ACCEPTING {
        return None;
    }
    let inode = fields.nth(2)?.parse().ok()?;
    let end = line.find(" /").map(|at| &line[at + 1..])?;
    (Path::new(end) == path).then_some(inode)
}

/// The first process that has one of these sockets open.
fn owner(inodes: &[u64]) -> Option<Holder> {
    if inodes.is_empty() {
        return None;
    }
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |link: std::path::PathBuf| links.iter().any(|held| Path::new(held) == link);
        if descriptors.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(holds)) {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Holder { pid, command: printable(command.trim_end()) });
        }
    }
    None
}

/// A process chooses its own name, so what could upset a terminal is taken out.
fn printable(name: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    if name.is_empty() { "a process".to_owned() } else { name.chars().map(clean).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_the_tables() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n\
             1: 0100007F:1F90 0100007F:AAAA 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n\
             2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100\n";
        let find = |addr: &str| inodes(text, addr.parse().unwrap(), Table::Tcp);
        assert_eq!(find("127.0.0.1:8080"), [4711]);
        assert_eq!(find("0.0.0.0:8080"), [4711]);
        assert_eq!(find("[::]:8080"), [4711]);
        assert_eq!(find("127.0.0.2:8080"), []);
        assert_eq!(find("10.0.0.1:80"), [4713]);
        assert_eq!(find("[::1]:80"), []);
        let v6 = parse_address("00000000000000000000000001000000:0050");
        assert_eq!(v6, Some("[::1]:80".parse().unwrap()));
    }

    #[test]
    fn rubbish_is_passed_over() {
        for text in ["", "a\nb c d", "h\n0: :: x", "h\n0: 0G:00 1 0A 1 1 1 1 1 1", "h\n0: é:é"] {
            assert_eq!(inodes(text, "1.2.3.4:5".parse().unwrap(), Table::Tcp), []);
            assert_eq!(unix_inode(text, Path::new("/a")), None);
        }
        assert_eq!(printable("a\u{1b}[2J"), "a?[2J");
    }
}
