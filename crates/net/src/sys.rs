//! The only place that may hold `unsafe`.

use std::io;
use std::net::TcpListener;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the event loop of this thread watch a listening socket.
#[expect(unsafe_code, reason = "tokio has no safe way to learn that accept(2) would not block")]
pub(crate) fn watch(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a TcpListener owns its descriptor and has the same one until it is dropped, and the
    // AsyncFd owns the TcpListener.
    let watched = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
    watched.map_err(io::Error::from)
}
