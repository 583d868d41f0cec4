//! What is known about a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use rosn_base::Addr;

/// The address of one end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A unix socket: its path, or `None` where it has none, as for most clients.
    Unix(Option<Box<Path>>),
}

impl PeerAddr {
    /// The IP address and port, if this is one.
    pub fn as_ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// The address as one can listen on or connect to, if it is one.
    pub fn to_addr(&self) -> Option<Addr> {
        match self {
            Self::Ip(addr) => Some(Addr::Ip(*addr)),
            Self::Unix(path) => path.as_ref().map(|path| Addr::Unix(path.to_path_buf())),
        }
    }
}

impl From<SocketAddr> for PeerAddr {
    /// An IPv4 client of an IPv6 socket (`::ffff:1.2.3.4`) is shown as what it is, as Go does.
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(canonical(addr))
    }
}

#[cfg(unix)]
impl From<tokio::net::unix::SocketAddr> for PeerAddr {
    fn from(addr: tokio::net::unix::SocketAddr) -> Self {
        Self::Unix(addr.as_pathname().map(Box::from))
    }
}

impl fmt::Display for PeerAddr {
    /// Writes `ip:port`, `unix:/path`, or `unix:@` for a socket without a path (as Go does).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:@"),
        }
    }
}

/// What is known about an accepted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnInfo {
    /// Tells connections of a process apart; the caller numbers them.
    pub id: u64,
    /// The client.
    pub peer: PeerAddr,
    /// The address that accepted it.
    pub local: PeerAddr,
    /// The address that the client meant, where the connection was redirected here.
    pub original_dst: Option<SocketAddr>,
}

/// Turns an IPv4 address that is mapped into IPv6 back into IPv4.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        IpAddr::V6(_) => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_shown_as_ipv4() {
        let peer = PeerAddr::from("[::ffff:10.0.0.1]:80".parse::<SocketAddr>().unwrap());
        assert_eq!(peer.to_string(), "10.0.0.1:80");
        let peer = PeerAddr::from("[::1]:80".parse::<SocketAddr>().unwrap());
        assert_eq!(peer.to_string(), "[::1]:80");
        assert_eq!(PeerAddr::Unix(None).to_string(), "unix:@");
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<ConnInfo>() <= 112, "{}", size_of::<ConnInfo>());
    }
}
