//! Where a request goes, and by which way.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::Uri;
use rosn_base::Addr;

use super::Proxy;
use super::error::wrong_uri;
use crate::Error;

/// The schemes that are spoken, the safer one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// 80 or 443.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which versions of HTTP may be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Versions {
    /// HTTP/2 where TLS agrees on it (ALPN), else HTTP/1.1. Without TLS that is HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone. Servers for `http` are known to speak it ("prior knowledge", RFC 9113 section 3.3).
    Http2,
}

/// Where a request goes, and by which way.
///
/// Targets are equal where the same connection serves both: a pool's key. An HTTP proxy takes requests for every
/// `http` server over one connection, so these are all equal (Go's `connectMethodKey`).
#[derive(Debug, Clone)]
pub struct Target {
    /// The scheme.
    pub scheme: Scheme,
    /// The server's `host:port`, always with the port, in lower case; an IPv6 address is in brackets.
    pub authority: Arc<str>,
    /// The proxy on the way there.
    pub proxy: Option<Arc<Proxy>>,
    /// What TLS offers by ALPN there.
    pub versions: Versions,
}

impl Target {
    /// The target of an absolute URI, reached directly and by HTTP/1.1. http::Uri holds no characters but ASCII: a name of others is
    /// in punycode there.
    ///
    /// # Errors
    /// The URI is not absolute, or not one of these schemes; [`Error::is_request`].
    pub fn direct(uri: &Uri) -> Result<Self, Error> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(wrong_uri(uri, "its scheme is neither http nor https")),
            None => return Err(wrong_uri(uri, "it has no scheme")),
        };
        let host = uri.host().unwrap_or_default();
        if host.is_empty() || host == "[]" {
            return Err(wrong_uri(uri, "it has no host"));
        }
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            None if has_port(uri) => {
                return Err(wrong_uri(uri, "its port is no number up to 65535"));
            }
            None => scheme.default_port(),
        };
        if host.starts_with('[') && host[1..host.len() - 1].parse::<Ipv6Addr>().is_err() {
            return Err(wrong_uri(uri, "what is in brackets is no IPv6 address"));
        }
        let authority = match in_normal_form(uri, host) {
            Some(authority) => authority.into(),
            None => format!("{host}:{port}").to_ascii_lowercase().into(),
        };
        Ok(Self { scheme, authority, proxy: None, versions: Versions::Http1 })
    }

    /// The server's name or address; an IPv6 address is without brackets.
    pub fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        let port = self.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_else(|| self.scheme.default_port())
    }

    /// `host:port` of what is dialed: the proxy, or the server where there is none.
    pub fn first_hop(&self) -> &str {
        self.proxy.as_ref().map_or(&*self.authority, |proxy| proxy.authority())
    }

    /// The server's address.
    pub(super) fn addr(&self) -> Addr {
        let (host, port) = (self.host(), self.port());
        match host.parse::<IpAddr>() {
            Ok(ip) => Addr::Ip((ip, port).into()),
            Err(_) => Addr::Name(host.into(), port),
        }
    }

    /// Whether requests name the server in an absolute URI, as those for `http` to an HTTP proxy do, by HTTP/1.1.
    pub fn absolute_form(&self) -> bool {
        self.scheme == Scheme::Http
            && self.versions != Versions::Http2
            && self.proxy.as_ref().is_some_and(|proxy| proxy.is_http())
    }

    /// What tells its connections from others.
    fn key(&self) -> (Scheme, Versions, Option<&Proxy>, Option<&str>) {
        let authority = (!self.absolute_form()).then_some(&*self.authority);
        (self.scheme, self.versions, self.proxy.as_deref(), authority)
    }
}

/// The authority of the URI where it is a target's as it stands.
fn in_normal_form<'a>(uri: &'a Uri, host: &str) -> Option<&'a str> {
    let (authority, port) = (uri.authority()?.as_str(), uri.port()?);
    let is_normal = authority.len() == host.len() + 1 + port.as_str().len()
        && !port.as_str().starts_with('0')
        && !host.bytes().any(|byte| byte.is_ascii_uppercase());
    is_normal.then_some(authority)
}

/// Whether something follows the host that ought to be a port.
fn has_port(uri: &Uri) -> bool {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let (_, after) = authority.rsplit_once(':').unwrap_or_default();
    !after.is_empty() && !after.contains([']', '@'])
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn the_authority_is_in_one_form_however_it_is_written() {
        for (uri, authority) in [
            ("http://a.test:81/b", "a.test:81"),
            ("http://A.Test:81/b", "a.test:81"),
            ("http://a.test", "a.test:80"),
            ("https://A.test/", "a.test:443"),
            ("http://a.test:081/", "a.test:81"),
            ("http://User@a.test:81/", "a.test:81"),
            ("http://[2001:DB8::1]:81/", "[2001:db8::1]:81"),
            ("http://[2001:db8::1]:81/", "[2001:db8::1]:81"),
        ] {
            let target = Target::direct(&uri.parse().unwrap()).unwrap();
            assert_eq!(&*target.authority, authority, "{uri}");
        }
    }
}
