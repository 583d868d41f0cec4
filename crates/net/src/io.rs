//! Connections that are more than a socket.

use std::fmt::Debug;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::PeerAddr;

/// A byte stream that something makes of a connection: TLS, a WebSocket, a stream of an HTTP/2 connection.
///
/// [`Stream::boxed`](crate::Stream::boxed) makes a connection of it.
///
/// * `poll_shutdown` ends the sending direction where the protocol can do that; where it cannot (WebSocket, mKCP),
///   it closes, and the peer's bytes that are under way may still be read.
/// * Written bytes may be held back until `poll_flush`.
/// * Dropping it closes, in an orderly way where nothing has to be waited for.
pub trait Io: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static {
    /// The address of the other end.
    ///
    /// # Errors
    /// It is not known, or no longer.
    fn peer_addr(&self) -> io::Result<PeerAddr>;

    /// The address of this end.
    ///
    /// # Errors
    /// It is not known, or no longer.
    fn local_addr(&self) -> io::Result<PeerAddr>;

    /// Whether the end of file that reading has met came without the word by which this protocol ends its bytes, such as
    /// the `close_notify` of TLS: what was to follow may have been cut off. False before that, and where the protocol
    /// has no such word.
    fn was_cut_off(&self) -> bool {
        false
    }

    /// Makes dropping it abrupt: the peer is to see an error and not an end of file, where the protocol can say so.
    fn abort(&mut self) {}
}
