//! What a balancer that hashes goes by.

use std::hash::Hasher;
use std::net::IpAddr;
use std::time::Duration;

use rosn_config::checked;
use siphasher::sip::SipHasher13;

use crate::Headers;

/// `hash_policy[0]`.
#[derive(Debug)]
pub enum HashPolicy {
    /// The value of this request header (lower case).
    Header(Box<str>),
    /// A cookie.
    Cookie {
        /// Its name, with regard to case.
        name: Box<str>,
        /// `path` of the cookie that is made where the request has none; empty = none is made.
        path: Box<str>,
        /// `ttl` of that cookie; `None` = until the browser is closed.
        ttl: Option<Duration>,
    },
    /// The client's address.
    SourceIp,
}

impl HashPolicy {
    pub(crate) fn compile(policy: &checked::HashPolicy) -> Self {
        match policy {
            checked::HashPolicy::Header(name) => Self::Header(name.to_ascii_lowercase().into()),
            checked::HashPolicy::Cookie { name, path, ttl } => {
                Self::Cookie { name: name.as_str().into(), path: path.as_str().into(), ttl: *ttl }
            }
            checked::HashPolicy::SourceIp => Self::SourceIp,
        }
    }

    /// The hash of a request, the same in every worker and every process. `None` where the request
    /// lacks what the policy asks for.
    pub fn hash(&self, headers: &dyn Headers, source: Option<IpAddr>) -> Option<u64> {
        match self {
            Self::Header(name) => headers.value(name).map(hash_bytes),
            Self::Cookie { name, .. } => {
                cookie(headers.value("cookie")?, name.as_bytes()).map(hash_bytes)
            }
            Self::SourceIp => source.map(hash_address),
        }
    }
}

/// The hash of an address, without its port: what a balancer falls back to. An IPv4 address is the
/// same when it is written as IPv6.
pub fn hash_address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash_bytes(&address.octets()),
        IpAddr::V6(address) => hash_bytes(&address.octets()),
    }
}

/// The hash of a value: SipHash 1-3 with a key of zeros.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The value of a cookie in a `Cookie` header (RFC 6265 section 4.2.1).
fn cookie<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    header.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name)?.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(&'static str, &'static [u8]);

    impl Headers for One {
        fn value(&self, lower_name: &str) -> Option<&[u8]> {
            (lower_name == self.0).then_some(self.1)
        }
    }

    #[test]
    fn headers_cookies_and_addresses() {
        let header = HashPolicy::compile(&checked::HashPolicy::Header("X-User".into()));
        let user = One("x-user", b"ann");
        assert_eq!(header.hash(&user, None), Some(hash_bytes(b"ann")));
        assert_eq!(header.hash(&One("x-other", b"ann"), None), None);

        let cookie = HashPolicy::compile(&checked::HashPolicy::Cookie {
            name: "sid".into(),
            path: String::new(),
            ttl: None,
        });
        for (value, expected) in [
            (&b"sid=1"[..], Some(&b"1"[..])),
            (b"a=b; sid=1=2;c=d", Some(b"1=2")),
            (b"a=b;sid=", Some(b"")),
            (b"xsid=1; Sid=2; sid", None),
            (b"", None),
        ] {
            assert_eq!(cookie.hash(&One("cookie", value), None), expected.map(hash_bytes));
        }
        assert_eq!(cookie.hash(&user, None), None);

        let policy = HashPolicy::compile(&checked::HashPolicy::SourceIp);
        let hash = |text: &str| policy.hash(&user, Some(text.parse().unwrap())).unwrap();
        assert_eq!(hash("10.0.0.1"), hash("::ffff:10.0.0.1"));
        assert_ne!(hash("10.0.0.1"), hash("10.0.0.2"));
        assert_eq!(policy.hash(&user, None), None);
    }

    /// Hashes must never change: they tell which endpoint has a client's session.
    #[test]
    fn the_hash_is_fixed() {
        assert_eq!(hash_bytes(b""), 0xd1fb_a762_150c_532c);
    }
}
