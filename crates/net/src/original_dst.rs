//! Where a redirected connection was meant to go.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;

use crate::Stream;
use crate::conn::canonical;

/// The address that the client connected to before `iptables -j REDIRECT` (or DNAT) sent it here:
/// SO_ORIGINAL_DST for IPv4, IP6T_SO_ORIGINAL_DST for IPv6.
///
/// With TPROXY nothing is rewritten: there the address is [`Stream::local_addr`] of a connection
/// that a listener with [`transparent`](crate::SocketOptions::transparent) accepted.
///
/// # Errors
/// `NotFound` for a connection that was not redirected and that connection tracking does not know,
/// `Unsupported` for a unix socket, else what getsockopt(2) says. A connection that is tracked but
/// was not redirected gives its local address.
pub fn original_dst(stream: &Stream) -> io::Result<SocketAddr> {
    let fd = stream.plain_fd().ok_or(io::ErrorKind::Unsupported)?;
    let local = stream.local_addr()?.as_ip().ok_or(io::ErrorKind::Unsupported)?;
    let socket = SockRef::from(&fd);
    // An IPv4 client of a dual-stack socket is tracked as IPv4.
    let dst = match canonical(local) {
        SocketAddr::V4(_) => socket.original_dst_v4()?,
        SocketAddr::V6(_) => socket.original_dst_v6()?,
    };
    dst.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
}
