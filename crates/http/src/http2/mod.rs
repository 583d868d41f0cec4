//! Streams of HTTP/2 (RFC 9113), as the client and the server of this crate read and write them. The frames are the
//! affair of the `h2` crate.

mod error;
mod incoming;
mod outgoing;
mod protocol;
mod tunnel;

use http::header::{self, HeaderMap, HeaderName};

pub(crate) use error::{failed, into_io};
pub(crate) use incoming::Incoming;
pub(crate) use outgoing::{Broken, Outgoing};
pub use protocol::Protocol;
pub(crate) use tunnel::{Ends, Tunnel};

/// The bytes of frames, in both directions: what all implementations start with (RFC 9113 section 4.2).
pub(crate) const FRAME: usize = 16 * 1024;

/// What overhead of small DATA frames that nobody has read is borne, in bytes for a connection. A peer that sends more
/// of them is told so, and left.
pub(crate) const SMALL_FRAMES: usize = 16 << 20;

/// Takes out the fields that belong to a connection of HTTP/1.1 (RFC 9113 section 8.2.2), and `Host`, which is
/// `:authority`.
pub(crate) fn strip(headers: &mut HeaderMap) {
    const OF_HTTP1: [HeaderName; 5] = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in OF_HTTP1 {
        headers.remove(name);
    }
    headers.remove(header::HOST);
    if headers.get(header::TE).is_some_and(|te| te != "trailers") {
        headers.remove(header::TE);
    }
}
