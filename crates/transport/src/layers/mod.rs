//! What every transport over a stream socket stands on: the socket, a PROXY header, TLS.
//!
//! On the wire they come in that order, the transport's own bytes after them. [`listen`] and [`Connect`] do all three
//! as the settings say; a transport adds what is its own.

mod connect;
mod listen;
mod proxy;
pub(crate) mod tls;

pub(crate) use connect::{Connect, Connected};
pub(crate) use listen::{Below, listen, listen_with};
