//! The PROXY protocol of HAProxy, versions 1 and 2: the first bytes of a connection say who the client is and whom it
//! meant, where a proxy stands between (`proxy-protocol.txt`, 2020).
//!
//! [`parse`] and [`write()`] are pure; [`accept_proxy_header`] takes the header from a connection.
//!
//! ```
//! use rosn_net::proxy_protocol::{Header, Progress, Version, parse, write};
//! use rosn_net::PeerAddr;
//!
//! let bytes = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nGET / HTTP/1.1\r\n";
//! let Progress::Complete { header, len } = parse(bytes)? else { panic!("it is whole") };
//! let (source, _) = header.addresses.as_ref().expect("a proxied connection");
//! assert_eq!(source.to_string(), "192.0.2.1:5000");
//! assert!(bytes[len..].starts_with(b"GET /"));
//! assert_eq!(write(&header, Version::V1), &bytes[..len]);
//! # Ok::<(), rosn_net::proxy_protocol::ProxyProtocolError>(())
//! ```

mod accept;
mod crc32c;
mod parse;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use thiserror::Error;

use crate::PeerAddr;
pub use accept::accept_proxy_header;
pub use parse::{Progress, parse};
pub use write::write;

/// Bytes of the longest version 1 line, with its end (section 2.1).
pub const MAX_V1: usize = 107;

/// Bytes of the longest version 2 header that is taken. The format allows 64 KiB; addresses take at most 232, and 4 KiB
/// leave room for a certificate's names, while a stranger cannot have more memory held for it.
pub const MAX_V2: usize = 4096;

/// What begins version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family, and length.
const V2_FIXED: usize = 16;

/// Bytes of a unix address in version 2.
const UNIX_PATH: usize = 108;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The client, and the address that it connected to. `None` = not proxied (`LOCAL`, a health check of the proxy) or
    /// not known (`UNKNOWN`): then the connection's own addresses hold.
    pub addresses: Option<(PeerAddr, PeerAddr)>,
    /// Extensions, in their order. Version 2 only, and only beside addresses.
    pub extensions: Vec<Extension>,
}

/// A type-length-value of version 2 (section 2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its type: one of the constants, or any other.
    pub kind: u8,
    /// Its value as it stands there.
    pub value: Box<[u8]>,
}

impl Extension {
    /// The ALPN protocol that was negotiated.
    pub const ALPN: u8 = 0x01;
    /// The host name that the client asked for, such as that of SNI.
    pub const AUTHORITY: u8 = 0x02;
    /// A checksum of the header.
    pub const CRC32C: u8 = 0x03;
    /// Nothing: padding.
    pub const NOOP: u8 = 0x04;
    /// A number that the proxy gave the connection, of at most 128 bytes.
    pub const UNIQUE_ID: u8 = 0x05;
    /// About TLS between the client and the proxy.
    pub const SSL: u8 = 0x20;
    /// The network namespace.
    pub const NETNS: u8 = 0x30;

    /// Has [`write()`] put in a checksum.
    pub fn checksum() -> Self {
        Self { kind: Self::CRC32C, value: [0; 4].into() }
    }
}

/// Which format to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text; knows IP addresses only.
    V1,
    /// Binary; knows unix sockets and extensions too.
    V2,
}

/// Why there is no header.
#[derive(Debug, Error)]
pub enum ProxyProtocolError {
    /// The connection begins with something else.
    #[error(
        "no PROXY protocol header: the connection begins with something else \
         (let the client send one, or do not demand it of this client)"
    )]
    Missing,
    /// It breaks the format.
    #[error("no PROXY protocol header: it is damaged: {0}")]
    Malformed(&'static str),
    /// It is longer than [`MAX_V1`] or [`MAX_V2`].
    #[error("no PROXY protocol header: it is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The connection has ended first.
    #[error("no PROXY protocol header: the connection ended after {after} bytes of it")]
    Ended {
        /// Bytes that came.
        after: usize,
    },
    /// The connection has failed first.
    #[error("no PROXY protocol header: {0}")]
    Connection(#[from] io::Error),
}
