//! Which virtual host an authority belongs to.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::CompileError;

/// The longest domain there is: DNS names have at most 253 bytes (RFC 1035 section 2.3.4).
const MAX_DOMAIN: usize = 255;

/// Domains, and the number of the virtual host each belongs to.
///
/// Priority (MOSN): exact host and port, exact host, longest suffix with the port, longest suffix,
/// the default. A domain without a port is for every port; `host:*` beside it takes those requests
/// that name a port.
#[derive(Debug)]
pub(crate) struct Hosts {
    exact: HashMap<Box<[u8]>, Ports, RandomState>,
    /// By what stands behind the `*`.
    suffixes: HashMap<Box<[u8]>, Ports, RandomState>,
    /// Which lengths of suffix there are, so that a look-up only tries those.
    lengths: Lengths,
    default: Option<u32>,
}

/// For each length: whether a suffix of that length starts with a dot, or with anything else.
#[derive(Debug)]
struct Lengths {
    kinds: Box<[u8; MAX_DOMAIN + 1]>,
    longest: usize,
}

const DOT: u8 = 1;
const OTHER: u8 = 2;

/// The virtual hosts of one host name.
#[derive(Debug, Default)]
struct Ports {
    /// Sorted by port.
    numbered: Vec<(u16, u32)>,
    /// The domain without a port.
    absent: Option<u32>,
    /// The domain with the port `*`.
    any: Option<u32>,
}

/// The port of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Absent,
    Number(u16),
    /// Something that is no port and equals none.
    Other,
}

impl Hosts {
    /// Compiles the domains, each with the number of its virtual host and that host's name.
    pub(crate) fn compile<'a>(
        domains: impl IntoIterator<Item = (&'a str, u32)>,
    ) -> Result<Self, CompileError> {
        let mut hosts = Self {
            exact: HashMap::default(),
            suffixes: HashMap::default(),
            lengths: Lengths { kinds: Box::new([0; MAX_DOMAIN + 1]), longest: 0 },
            default: None,
        };
        for (domain, number) in domains {
            hosts.insert(domain, number)?;
        }
        Ok(hosts)
    }

    /// The number of the virtual host for the authority of a request, which may be empty.
    pub(crate) fn find(&self, authority: &[u8]) -> Option<u32> {
        if self.exact.is_empty() && self.suffixes.is_empty() {
            return self.default;
        }
        let (host, port) = split(authority);
        let port = Port::parse(port);
        let mut buffer = [0; MAX_DOMAIN];
        // No domain is longer than the buffer, so that the end of a host is enough to tell.
        let tail = &host[host.len().saturating_sub(MAX_DOMAIN)..];
        let folded = &mut buffer[..tail.len()];
        folded.copy_from_slice(tail);
        folded.make_ascii_lowercase();

        if host.len() <= MAX_DOMAIN
            && let Some(ports) = self.exact.get(&*folded)
            && let Some(number) = ports.exactly(port).or_else(|| ports.of_every(port))
        {
            return Some(number);
        }
        self.find_suffix(folded, host.len(), port).or(self.default)
    }

    /// Tries the suffixes that a host could have, longest first. One that names the port wins over
    /// a longer one that does not.
    fn find_suffix(&self, folded: &[u8], host_length: usize, port: Port) -> Option<u32> {
        if self.suffixes.is_empty() || host_length == 0 {
            return None;
        }
        let mut of_every_port = None;
        // The `*` stands for at least one character.
        let longest = self.lengths.longest.min(folded.len()).min(host_length - 1);
        for length in (0..=longest).rev() {
            let suffix = &folded[folded.len() - length..];
            if !self.lengths.may_hold(suffix) {
                continue;
            }
            let Some(ports) = self.suffixes.get(suffix) else { continue };
            if let Some(number) = ports.exactly(port) {
                return Some(number);
            }
            of_every_port = of_every_port.or_else(|| ports.of_every(port));
        }
        of_every_port
    }

    fn insert(&mut self, domain: &str, number: u32) -> Result<(), CompileError> {
        let bad = |reason| CompileError::BadDomain { domain: domain.to_owned(), reason };
        let duplicate = || CompileError::DuplicateDomain { domain: domain.to_owned() };
        let (host, port) = split(domain.as_bytes());
        if host.len() > MAX_DOMAIN {
            return Err(bad("it has more than 255 bytes"));
        }
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        let host = host.to_ascii_lowercase();
        let suffix = host.strip_prefix(b"*");
        if suffix.unwrap_or(&host).contains(&b'*') {
            return Err(bad("`*` stands only at the start, or for the port"));
        }
        let unnumbered = port.is_none_or(|port| port == b"*" || port.is_empty());
        if suffix == Some(b"") && unnumbered {
            return if self.default.replace(number).is_some() { Err(duplicate()) } else { Ok(()) };
        }
        let ports = match suffix {
            Some(suffix) => {
                self.lengths.note(suffix);
                self.suffixes.entry(suffix.into()).or_default()
            }
            None => self.exact.entry(host.into()).or_default(),
        };
        let fresh = match port {
            Some(b"*") => ports.any.replace(number).is_none(),
            _ => match Port::parse(port) {
                Port::Absent => ports.absent.replace(number).is_none(),
                Port::Number(port) => ports.insert(port, number),
                Port::Other => return Err(bad("its port is no number")),
            },
        };
        if fresh { Ok(()) } else { Err(duplicate()) }
    }
}

impl Lengths {
    fn note(&mut self, suffix: &[u8]) {
        self.kinds[suffix.len()] |= Self::kind(suffix);
        self.longest = self.longest.max(suffix.len());
    }

    fn may_hold(&self, suffix: &[u8]) -> bool {
        self.kinds[suffix.len()] & Self::kind(suffix) != 0
    }

    fn kind(suffix: &[u8]) -> u8 {
        if suffix.first() == Some(&b'.') { DOT } else { OTHER }
    }
}

impl Ports {
    /// The virtual host that names this port.
    fn exactly(&self, port: Port) -> Option<u32> {
        let Port::Number(port) = port else { return None };
        let place = self.numbered.binary_search_by_key(&port, |(number, _)| *number).ok()?;
        Some(self.numbered[place].1)
    }

    /// The virtual host for every port.
    fn of_every(&self, port: Port) -> Option<u32> {
        if port == Port::Absent { self.absent.or(self.any) } else { self.any.or(self.absent) }
    }

    /// Returns false where the port is there already.
    fn insert(&mut self, port: u16, virtual_host: u32) -> bool {
        match self.numbered.binary_search_by_key(&port, |(number, _)| *number) {
            Ok(_) => false,
            Err(place) => {
                self.numbered.insert(place, (port, virtual_host));
                true
            }
        }
    }
}

impl Port {
    fn parse(text: Option<&[u8]>) -> Self {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Self::Absent };
        if !text.iter().all(u8::is_ascii_digit) {
            return Self::Other;
        }
        let number = text.iter().try_fold(0_u16, |number, digit| {
            number.checked_mul(10)?.checked_add(u16::from(digit - b'0'))
        });
        number.map_or(Self::Other, Self::Number)
    }
}

/// Splits `host:port`, `[v6]:port`, `host` or `v6` (RFC 3986 section 3.2). The brackets and the dot
/// at the end of a name (the root of DNS) are left out.
pub(crate) fn split(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    if let Some(rest) = authority.strip_prefix(b"[")
        && let Some(end) = memchr::memchr(b']', rest)
    {
        let host = &rest[..end];
        match &rest[end + 1..] {
            b"" => return (host, None),
            [b':', port @ ..] => return (host, Some(port)),
            _ => return (authority, None),
        }
    }
    let (host, port) = match memchr::memchr(b':', authority) {
        // More than one colon without brackets is an IPv6 address.
        Some(colon) if memchr::memchr(b':', &authority[colon + 1..]).is_none() => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    };
    match host {
        [name @ .., b'.'] if !name.is_empty() => (name, port),
        _ => (host, port),
    }
}

#[cfg(test)]
mod tests;
