//! Byte streams over tcp, TLS, WebSocket, HTTP/2, QUIC, domain sockets and mKCP, by name.

mod error;
mod packet_header;
mod transport;

pub use error::TransportError;
pub use transport::{
    Accepted, BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportLimits,
};
