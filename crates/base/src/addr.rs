//! Addresses as configurations write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where to listen or connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Addr {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host name that has to be resolved, and a port.
    Name(Box<str>, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddrError {
    /// The text has no port.
    MissingPort,
    /// The port is not a number from 0 to 65535.
    BadPort(String),
    /// The host part is empty, or holds characters that no host name has.
    BadHost(String),
    /// `unix:` without a path.
    MissingPath,
}

impl Addr {
    /// Parses the text for a socket of the given kind: with `unix`, a bare path is accepted too
    /// (MOSN's `"network": "unix"`).
    ///
    /// # Errors
    /// Returns what is wrong with the text.
    pub fn parse(text: &str, unix: bool) -> Result<Self, AddrError> {
        if unix && !text.starts_with("unix:") {
            return Self::from_path(text);
        }
        text.parse()
    }

    /// The port, which a unix socket does not have.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(addr) => Some(addr.port()),
            Self::Name(_, port) => Some(*port),
            Self::Unix(_) => None,
        }
    }

    /// The IP address and port, if this is one.
    pub fn as_ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(addr) => Some(*addr),
            _ => None,
        }
    }

    /// The path, if this is a unix socket.
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            _ => None,
        }
    }

    fn from_path(path: &str) -> Result<Self, AddrError> {
        if path.is_empty() { Err(AddrError::MissingPath) } else { Ok(Self::Unix(path.into())) }
    }
}

impl FromStr for Addr {
    type Err = AddrError;

    /// Accepts `ip:port`, `[v6]:port`, `:port` (every IPv4 address), `name:port`, `unix:/path` and
    /// an absolute path.
    fn from_str(text: &str) -> Result<Self, AddrError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::from_path(path);
        }
        if text.starts_with('/') {
            return Self::from_path(text);
        }
        if let Ok(addr) = text.parse() {
            return Ok(Self::Ip(addr));
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddrError::MissingPort)?;
        if port.is_empty() {
            return Err(AddrError::MissingPort);
        }
        let port = port.parse().map_err(|_| AddrError::BadPort(port.to_owned()))?;
        if host.is_empty() {
            return Ok(Self::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)));
        }
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // A name made of digits and dots only is a mistyped IPv4 address.
        if !host.chars().all(name) || host.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(AddrError::BadHost(host.to_owned()));
        }
        Ok(Self::Name(host.into(), port))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl fmt::Display for AddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPort => write!(f, "the port is missing: write host:port"),
            Self::BadPort(port) => {
                write!(f, "`{port}` is not a port: use a number from 0 to 65535")
            }
            Self::BadHost(host) => write!(f, "`{host}` is neither an IP address nor a host name"),
            Self::MissingPath => write!(f, "the path of the unix socket is missing"),
        }
    }
}

impl std::error::Error for AddrError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_configurations_write() {
        for (text, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            (":80", "0.0.0.0:80"),
            ("localhost:80", "localhost:80"),
            ("unix:/tmp/a", "unix:/tmp/a"),
            ("/tmp/a", "unix:/tmp/a"),
        ] {
            assert_eq!(text.parse::<Addr>().unwrap().to_string(), shown);
        }
        assert_eq!(Addr::parse("a.sock", true).unwrap(), Addr::Unix("a.sock".into()));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("127.0.0.1", AddrError::MissingPort),
            ("127.0.0.1:", AddrError::MissingPort),
            ("127.0.0.1:99999", AddrError::BadPort("99999".into())),
            ("127.0.0.300:80", AddrError::BadHost("127.0.0.300".into())),
            ("a b:80", AddrError::BadHost("a b".into())),
            ("unix:", AddrError::MissingPath),
        ] {
            assert_eq!(text.parse::<Addr>(), Err(error), "{text}");
        }
    }
}
