//! Byte streams over tcp, TLS, WebSocket, HTTP/2, QUIC, domain sockets and mKCP, by name.
//!
//! A [`Transport`] makes listeners and dialers from settings; what they hand out are [`Stream`](rosn_net::Stream)s,
//! whatever is below. The wire formats are those of v2ray, so either end may be v2ray. A [`Registry`] knows transports
//! by name: [`Registry::with_builtin`] begins with those of this crate, and [`Registry::register`] adds one's own. It
//! is a value like any other; nothing registers itself.
//!
//! The layers of a connection over TCP, from the wire upwards: the socket with its options, a PROXY header if one is
//! wanted, TLS if the settings have it, then the transport. QUIC and mKCP run over UDP.
//!
//! * A listener is bound when `listen` returns. It runs handshakes side by side and hands out what is ready; how many
//!   strangers it bears with, and for how long, is in [`TransportLimits`].
//! * A dialer owns the connections that it pools; they end with it.
//! * What all of them need from outside, sockets above all, comes with an [`Environment`].
//!
//! ```
//! use std::future::poll_fn;
//! use std::sync::Arc;
//!
//! use rosn_config::checked::StreamSettings;
//! use rosn_transport::{DialRequest, Environment, Registry};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let registry = Registry::with_builtin();
//! let environment = Environment { owner: "example".into(), ..Environment::system() };
//! let settings = Arc::new(StreamSettings::default()); // plain tcp
//!
//! let mut listener = registry.listen(&"127.0.0.1:0".parse()?, &settings, &environment)?;
//! let dialer = registry.dialer(&settings, &environment)?;
//! let (to, request) = (listener.local_addr(), DialRequest::default());
//! let (client, accepted) =
//!     tokio::join!(dialer.dial(&to, &request), poll_fn(|cx| listener.poll_accept(cx)));
//!
//! client?.write_all(b"hello").await?;
//! let mut text = String::new();
//! accepted?.stream.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # })
//! # }
//! ```

#[cfg(unix)]
mod domain_socket;
mod error;
mod handshakes;
mod http;
mod layers;
mod mkcp;
mod packet_header;
mod quic;
mod registry;
mod socket;
mod tcp;
mod transport;
mod ws;

#[cfg(unix)]
pub use domain_socket::DomainSocket;
pub use error::TransportError;
pub use http::{Http, http2_tunnel};
pub use mkcp::Mkcp;
pub use quic::Quic;
pub use registry::Registry;
pub use socket::{dial_options, keep_alive, listen_options};
pub use tcp::Tcp;
pub use transport::{
    Accepted, BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportLimits,
};
pub use ws::{WebSocket, websocket_accept};

/// The code of the guide is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/library.md")]
struct Guide;
