//! Connections that leave HTTP: a WebSocket, a CONNECT tunnel, the streams of a Docker client.
//!
//! Whoever takes a connection over gets a [`Hijacked`], on the client's side as on the server's: the stream, every byte
//! that was read from it and not used, and how much of them still belongs to the request. Nothing is lost, and HTTP has
//! nothing to do with the connection any more: no deadline, no buffer, no task of it is left behind.

mod door;
mod error;
mod io;
mod signal;
mod tunnel;
mod unread;

use bytes::Bytes;
use rosn_net::Stream;

pub use door::{Hijacker, OnSwitch, on_switch};
pub use error::HijackError;
pub(crate) use signal::ShutdownNotice;
pub use signal::{ConnGuard, ShutdownSignal};
pub use tunnel::TunnelOptions;
pub use unread::{UnreadBody, UnreadChunks};

/// A connection that belongs to the program from now on.
///
/// It reads ([`Hijacked::read_buf`] first) and writes by tokio's traits. Dropping it closes the connection.
#[derive(Debug)]
pub struct Hijacked {
    /// The connection. What it reads comes after [`Hijacked::read_buf`].
    pub io: Stream,
    /// Bytes that were read already and not used: what is left of the body, as [`Hijacked::body`] says, then whatever
    /// the peer has sent after it.
    pub read_buf: Bytes,
    /// What of the message's body was not read.
    pub body: UnreadBody,
    /// What was sent of the response.
    pub response: SentResponse,
    /// Comes when the server shuts down; never on a client's connection.
    pub shutdown: ShutdownSignal,
    /// Keeps the connection among those that the server counts, and that its shutdown may wait for. Keep it for as long
    /// as [`Hijacked::io`]; it is nothing on a client's connection.
    pub guard: ConnGuard,
}

/// How much of the response the peer has been sent when a connection was hijacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SentResponse {
    /// Nothing: the one who hijacks writes all of it.
    Nothing,
    /// All there is: the head that switched the protocol.
    Switched,
    /// The head and a part of the body. Who writes on has to go on with its framing.
    Started(rosn_h1::Framing),
}

impl Hijacked {
    /// A connection whose message was read to its end, and which no server counts: a client's.
    pub fn new(io: Stream, read_buf: Bytes) -> Self {
        Self {
            io,
            read_buf,
            body: UnreadBody::None,
            response: SentResponse::Switched,
            shutdown: ShutdownSignal::never(),
            guard: ConnGuard::none(),
        }
    }
}
