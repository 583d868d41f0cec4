//! Byte streams over tcp, TLS, WebSocket, HTTP/2, QUIC, domain sockets and mKCP, by name.

#[cfg(unix)]
mod domain_socket;
mod error;
mod handshakes;
mod layers;
mod mkcp;
mod packet_header;
mod quic;
mod registry;
mod socket;
mod tcp;
mod transport;

#[cfg(unix)]
pub use domain_socket::DomainSocket;
pub use error::TransportError;
pub use mkcp::Mkcp;
pub use quic::Quic;
pub use registry::Registry;
pub use socket::{dial_options, listen_options};
pub use tcp::Tcp;
pub use transport::{
    Accepted, BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportLimits,
};
