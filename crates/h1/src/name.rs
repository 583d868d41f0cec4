//! Field names that mean something to a proxy.

/// A known field name. Names are compared without regard to case, RFC 9110 section 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the field of that name; `as_str` spells it")]
pub enum Name {
    /// A name that is not in this list.
    #[default]
    Other,
    Accept,
    AcceptEncoding,
    Authorization,
    CacheControl,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    GrpcTimeout,
    Host,
    KeepAlive,
    Location,
    ProxyConnection,
    Referer,
    Server,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    XForwardedClientCert,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRequestId,
}

impl Name {
    /// The known name that these bytes spell, in any case.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        // The length leaves few candidates, mostly one.
        let candidates: &[Self] = match bytes.len() {
            2 => &[Self::Te],
            3 => &[Self::Via],
            4 => &[Self::Host, Self::Date],
            6 => &[Self::Accept, Self::Cookie, Self::Server, Self::Expect],
            7 => &[Self::Referer, Self::Upgrade, Self::Trailer],
            8 => &[Self::Location],
            10 => &[Self::Connection, Self::UserAgent, Self::SetCookie, Self::KeepAlive],
            12 => &[Self::ContentType, Self::XRequestId, Self::GrpcTimeout],
            13 => &[Self::CacheControl, Self::Authorization],
            14 => &[Self::ContentLength],
            15 => &[Self::AcceptEncoding, Self::XForwardedFor],
            16 => &[Self::ContentEncoding, Self::ProxyConnection, Self::XForwardedHost],
            17 => &[Self::TransferEncoding, Self::XForwardedProto],
            23 => &[Self::XForwardedClientCert],
            _ => return Self::Other,
        };
        let (first, last) = ends(bytes);
        for &candidate in candidates {
            let known = &KNOWN[candidate as usize];
            if first | known.case.0 == known.lower.0
                && last | known.case.1 == known.lower.1
                && (bytes.len() <= 16 || bytes.eq_ignore_ascii_case(candidate.as_str().as_bytes()))
            {
                return candidate;
            }
        }
        Self::Other
    }

    /// The name in lower case; empty for [`Name::Other`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other => "",
            Self::Accept => "accept",
            Self::AcceptEncoding => "accept-encoding",
            Self::Authorization => "authorization",
            Self::CacheControl => "cache-control",
            Self::Connection => "connection",
            Self::ContentEncoding => "content-encoding",
            Self::ContentLength => "content-length",
            Self::ContentType => "content-type",
            Self::Cookie => "cookie",
            Self::Date => "date",
            Self::Expect => "expect",
            Self::GrpcTimeout => "grpc-timeout",
            Self::Host => "host",
            Self::KeepAlive => "keep-alive",
            Self::Location => "location",
            Self::ProxyConnection => "proxy-connection",
            Self::Referer => "referer",
            Self::Server => "server",
            Self::SetCookie => "set-cookie",
            Self::Te => "te",
            Self::Trailer => "trailer",
            Self::TransferEncoding => "transfer-encoding",
            Self::Upgrade => "upgrade",
            Self::UserAgent => "user-agent",
            Self::Via => "via",
            Self::XForwardedClientCert => "x-forwarded-client-cert",
            Self::XForwardedFor => "x-forwarded-for",
            Self::XForwardedHost => "x-forwarded-host",
            Self::XForwardedProto => "x-forwarded-proto",
            Self::XRequestId => "x-request-id",
        }
    }

    /// Whether the field is for the next hop only, RFC 9110 section 7.6.1, whatever Connection
    /// says.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::Te
                | Self::Trailer
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}

/// Every known name.
const ALL: &[Name] = &[
    Name::Accept,
    Name::AcceptEncoding,
    Name::Authorization,
    Name::CacheControl,
    Name::Connection,
    Name::ContentEncoding,
    Name::ContentLength,
    Name::ContentType,
    Name::Cookie,
    Name::Date,
    Name::Expect,
    Name::GrpcTimeout,
    Name::Host,
    Name::KeepAlive,
    Name::Location,
    Name::ProxyConnection,
    Name::Referer,
    Name::Server,
    Name::SetCookie,
    Name::Te,
    Name::Trailer,
    Name::TransferEncoding,
    Name::Upgrade,
    Name::UserAgent,
    Name::Via,
    Name::XForwardedClientCert,
    Name::XForwardedFor,
    Name::XForwardedHost,
    Name::XForwardedProto,
    Name::XRequestId,
];

/// The [`ends`] of a known name.
#[derive(Clone, Copy)]
struct Known {
    lower: (u64, u64),
    /// The bits in which the two cases of a letter differ, where there is a letter.
    case: (u64, u64),
}

static KNOWN: [Known; ALL.len() + 1] = {
    let mut all = [Known { lower: (0, 0), case: (0, 0) }; ALL.len() + 1];
    let mut at = 0;
    while at < ALL.len() {
        let lower = ends(ALL[at].as_str().as_bytes());
        all[ALL[at] as usize] = Known { lower, case: (case_bits(lower.0), case_bits(lower.1)) };
        at += 1;
    }
    all
};

/// The first and the last bytes, up to eight of each: with the length all there is to know about a
/// name of up to 16 bytes.
const fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64);
    }
    match *bytes {
        [a, b, c] => (u32::from_le_bytes([a, b, c, 0]) as u64, 0),
        [a, b] => (u16::from_le_bytes([a, b]) as u64, 0),
        _ => (0, 0),
    }
}

const fn case_bits(lower: u64) -> u64 {
    let mut bytes = lower.to_le_bytes();
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = if bytes[at].is_ascii_lowercase() { 0x20 } else { 0 };
        at += 1;
    }
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::{ALL, Name};

    #[test]
    fn every_name_is_found_in_any_case() {
        assert_eq!(ALL.len(), Name::XRequestId as usize);
        for found in ALL {
            assert_eq!(Name::of(found.as_str().as_bytes()), *found);
            assert_eq!(Name::of(found.as_str().to_ascii_uppercase().as_bytes()), *found);
        }
        for other in
            ["", "hos", "hosts", "xost", "content_length", "content-lengtH\0", "keep\ralive"]
        {
            assert_eq!(Name::of(other.as_bytes()), Name::Other, "{other:?}");
        }
    }
}
