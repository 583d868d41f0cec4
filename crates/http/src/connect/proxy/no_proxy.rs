//! Which servers are reached without a proxy: `NO_PROXY`.

use std::net::IpAddr;

use url::Host;

/// The servers of a `NO_PROXY` list, and always this host itself.
///
/// The entries, between commas, as in Go:
///
/// * `*`: every server;
/// * `10.0.0.0/8`, `2001:db8::/32`: addresses, where the URL has one; `10.0.0.1`, `10.0.0.1:81`, `[::2]:81`;
/// * `example.com`: this name and those below it; `.example.com` and `*.example.com`: those below it; `example.com:81`.
///
/// Names are not resolved for it. Entries that mean nothing are passed over.
#[derive(Debug, Default)]
pub(super) struct NoProxy {
    all: bool,
    nets: Vec<Net>,
    domains: Vec<Domain>,
}

/// Addresses that begin alike.
#[derive(Debug)]
struct Net {
    ip: IpAddr,
    /// How many bits count.
    bits: u8,
    port: Option<u16>,
}

#[derive(Debug)]
struct Domain {
    /// With a dot in front.
    suffix: String,
    /// The domain itself counts too.
    itself: bool,
    port: Option<u16>,
}

impl NoProxy {
    pub(super) fn parse(list: &str) -> Self {
        let mut parsed = Self::default();
        for entry in list.split(',') {
            parsed.add(&entry.trim().to_lowercase());
        }
        parsed
    }

    /// Whether the server, whose name is in lower case, is reached without a proxy.
    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        let ip = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        if self.all || host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
            return true;
        }
        let right = |wanted: Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        let in_net = |net: &Net| ip.is_some_and(|ip| net.has(ip)) && right(net.port);
        let in_domain = |domain: &Domain| domain.has(host) && right(domain.port);
        self.nets.iter().any(in_net) || self.domains.iter().any(in_domain)
    }

    fn add(&mut self, entry: &str) {
        if entry == "*" {
            self.all = true;
            return;
        }
        if let Some((ip, bits)) = entry.split_once('/')
            && let Some(net) = Net::parse(ip, bits)
        {
            self.nets.push(net);
            return;
        }
        let Some((host, port)) = split_port(entry) else { return };
        if let Ok(ip) = host.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            self.nets.push(Net { ip, bits: width(ip), port });
            return;
        }
        let (name, itself) = match host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
            Some(name) => (name, false),
            None => (host, true),
        };
        if name.is_empty() {
            return;
        }
        let name = match Host::parse(name) {
            Ok(Host::Domain(punycode)) if !name.is_ascii() => punycode,
            _ => name.to_owned(),
        };
        self.domains.push(Domain { suffix: format!(".{name}"), itself, port });
    }
}

/// The host, without brackets, and the port where there is one. `None` = the entry means nothing.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, ""),
        Some((host, port)) => (host, port.strip_prefix(':')?),
        // More than one colon is an IPv6 address without brackets.
        None if entry.bytes().filter(|byte| *byte == b':').count() > 1 => (entry, ""),
        None => entry.split_once(':').unwrap_or((entry, "")),
    };
    if host.is_empty() {
        return None;
    }
    match port {
        "" => Some((host, None)),
        port => Some((host, Some(port.parse().ok()?))),
    }
}

impl Net {
    fn parse(ip: &str, bits: &str) -> Option<Self> {
        let (ip, bits) = (ip.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
        (bits <= width(ip)).then_some(Self { ip, bits, port: None })
    }

    fn has(&self, ip: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let skip = width - u32::from(self.bits);
            one.checked_shr(skip).unwrap_or(0) == other.checked_shr(skip).unwrap_or(0)
        };
        match (self.ip, ip) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                same(u128::from(one.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// Bits of an address.
fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

impl Domain {
    fn has(&self, host: &str) -> bool {
        host.ends_with(&self.suffix) || (self.itself && host == &self.suffix[1..])
    }
}
