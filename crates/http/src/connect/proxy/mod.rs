//! Proxies on the way to a server.

mod choose;
mod environment;
pub(super) mod http_connect;
mod no_proxy;
pub(super) mod socks;

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use percent_encoding::percent_decode_str;
use rosn_base::Addr;
use thiserror::Error;
use url::{Host, Url};

use crate::field_values::basic;
pub use choose::Proxies;
pub use http_connect::ProxyHeaders;
pub(super) use socks::Destination;

/// A proxy, as its URL says: `http`, `https`, `socks5` or `socks5h`, with a user and a password where it wants them.
///
/// Without a scheme it is `http`. Without a port it is 80, 443 or 1080. `socks5` has names resolved here, `socks5h` by
/// the proxy, as curl understands them.
///
/// Neither its `Debug` nor its `Display` shows user and password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    scheme: ProxyScheme,
    authority: Box<str>,
    addr: Addr,
    credentials: Option<Credentials>,
}

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProxyScheme {
    Http,
    Https,
    /// Names are resolved here.
    Socks5,
    /// Names are resolved by the proxy.
    Socks5h,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

/// Why a text is not the URL of a proxy. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not the URL of a proxy: {0}")]
pub struct ProxyUrlError(&'static str);

impl Proxy {
    /// Its `host:port`, always with the port; names are in punycode.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Its address, as it is dialed.
    pub fn addr(&self) -> &Addr {
        &self.addr
    }

    /// Its name or address, without brackets.
    pub(super) fn host(&self) -> String {
        match &self.addr {
            Addr::Ip(addr) => addr.ip().to_string(),
            Addr::Name(host, _) => host.to_string(),
            Addr::Unix(path) => path.display().to_string(),
        }
    }

    /// Whether it speaks HTTP, over TLS or not.
    pub fn is_http(&self) -> bool {
        matches!(self.scheme, ProxyScheme::Http | ProxyScheme::Https)
    }

    /// What to send it in Proxy-Authorization (RFC 7617), marked as sensitive.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let Credentials { user, password } = self.credentials.as_ref()?;
        Some(basic(user, password))
    }

    pub(super) fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let url = match text.contains("://") {
            true => Url::parse(text),
            false => Url::parse(&format!("http://{text}")),
        };
        let url = url.map_err(|error| ProxyUrlError(explain(error)))?;
        let (scheme, default_port) = match url.scheme() {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            "socks5" => (ProxyScheme::Socks5, 1080),
            "socks5h" => (ProxyScheme::Socks5h, 1080),
            _ => return Err(ProxyUrlError("its scheme is none of http, https, socks5, socks5h")),
        };
        let port = url.port().unwrap_or(default_port);
        // For schemes that the URL standard does not know it leaves the host as it is.
        let host = Host::parse(url.host_str().unwrap_or_default());
        let addr = match host.map_err(|error| ProxyUrlError(explain(error)))? {
            Host::Ipv4(ip) => Addr::Ip((ip, port).into()),
            Host::Ipv6(ip) => Addr::Ip((ip, port).into()),
            Host::Domain(name) => Addr::Name(name.into(), port),
        };
        let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let credentials = has_credentials.then(|| Credentials {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()),
        });
        Ok(Self { scheme, authority: addr.to_string().into(), addr, credentials })
    }
}

fn explain(error: url::ParseError) -> &'static str {
    match error {
        url::ParseError::EmptyHost => "it has no host",
        url::ParseError::InvalidPort => "its port is no number up to 65535",
        _ => "its host is neither a name nor an address",
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests;
