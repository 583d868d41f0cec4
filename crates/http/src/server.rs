//! A server for programs, of HTTP/1.1 and HTTP/2.
//!
//! A [`Handler`] makes a response of a request. A [`Server`] runs it for the connections of a listener, one task for
//! each connection, and ends as a [`Policy`] says; [`serve`] is that for one stream that came from elsewhere. With
//! [`ServerOptions::tls`] connections begin with TLS, which agrees on the version of HTTP as well.
//!
//! ```
//! use http::{Request, Response};
//! use rosn_http::Body;
//! use rosn_http::server::{Policy, Server, handler_fn};
//! use rosn_net::{ListenOptions, Net, OsNet};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = OsNet.listen(&"127.0.0.1:0".parse()?, &ListenOptions::default())?;
//! let server = Server::new(handler_fn(async |request: Request<Body>| {
//!     Response::new(Body::from(format!("{} {}\n", request.method(), request.uri())))
//! }));
//! let serving = tokio::spawn({
//!     let server = server.clone();
//!     async move { server.serve(listener).await }
//! });
//! // ...
//! server.shutdown(Policy::default()).await;
//! serving.await??;
//! # Ok(())
//! # }
//! ```
//!
//! # What a request carries
//!
//! In its extensions are
//!
//! * a [`Hijacker`](crate::hijack::Hijacker), which takes the connection away from HTTP
//!   ([`on_switch`](crate::hijack::on_switch) does so with the response 101, or 2xx to CONNECT);
//! * an [`Informational`], which sends 103 (Early Hints) and its like before the response;
//! * a [`RequestContext`](rosn_trace::RequestContext), which ends when the exchange does, or when the client goes;
//! * the [`ConnInfo`](rosn_net::ConnInfo) of the connection, in an `Arc`, and where it has TLS its
//!   [`Session`](rosn_tls::Session);
//! * the [`Protocol`](crate::Protocol) of an extended CONNECT request.
//!
//! # HTTP/2
//!
//! Each request has a task of its own. Its URI has scheme and authority, and there is no field Host. A stream is no
//! connection, so it cannot be hijacked, but a 2xx to CONNECT makes a tunnel of it, as of a connection of HTTP/1.1. A
//! connection is [`ConnState::Active`] while it has requests or tunnels; when a shutdown finds nothing but tunnels on
//! one, it counts as hijacked.
//!
//! # What it is strict about
//!
//! What two parsers could read differently is refused with 400, and the connection closed: see [`rosn_h1`]. Everything
//! a client can do is bounded, by [`ServerOptions`]: of HTTP/2 also streams that it gives up as soon as they are begun,
//! after which it is told to calm down. A handler that panics is answered for with 500, or by closing the
//! connection if the response had begun; the server goes on.

mod accept;
mod begin;
mod body;
mod connection;
mod drive;
mod end;
mod exchange;
mod handler;
mod http2;
mod incoming;
mod informational;
mod next_protocols;
mod options;
mod registry;
mod request;
mod response;
mod shutdown;
mod state;
mod timer;

pub use accept::Server;
pub use connection::serve;
pub use end::{Ended, ServeError};
pub(crate) use exchange::{Exchange, Taken};
pub use handler::{Handler, HandlerFn, handler_fn};
pub(crate) use http2::Exchange as StreamExchange;
pub use informational::{Informational, InformationalError};
pub use next_protocols::NextProtocols;
pub use options::ServerOptions;
pub use shutdown::{HijackedConnections, Policy, Stopped};
pub use state::{ConnState, StateHook};
