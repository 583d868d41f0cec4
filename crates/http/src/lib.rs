//! HTTP/1.1 and HTTP/2 for programs that want to see and own their connections: a client whose every phase can be
//! traced, a server whose connections can be hijacked.
//!
//! # The client
//!
//! [`RoundTrip`] is one request and its response. [`Transport`] does it over connections that it keeps; whatever has to
//! be done to requests or responses on their way is another `RoundTrip` around it. [`client`] adds redirects and
//! cookies. A [`Body`] is read and sent piece by piece, both ways at a time; an [`Error`] says in which [`Phase`] a
//! request failed, and where.
//!
//! What happens to a request is told to the trace in its extensions, event by event, and a context in its extensions
//! ends it: see [`rosn_trace`].
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use http::Request;
//! use rosn_http::{Body, RoundTrip, Transport};
//! use rosn_trace::{RequestContext, RequestTraceExt, Timings};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async move {
//! #     let (mut stream, _) = listener.accept().await?;
//! #     while stream.read(&mut [0; 1000]).await? > 0 {
//! #         stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await?;
//! #     }
//! #     Ok::<_, std::io::Error>(())
//! # });
//! let transport = Transport::builder().build()?;
//! for _ in 0..2 {
//!     let mut request = Request::get(format!("http://{address}/")).body(Body::empty())?;
//!     let timings = Arc::new(Timings::start());
//!     request.with_trace(Arc::clone(&timings));
//!     request.set_context(RequestContext::background().with_timeout(Duration::from_secs(30)));
//!
//!     let response = transport.round_trip(request).await?;
//!     assert_eq!(response.status(), 200);
//!     assert_eq!(response.into_body().bytes(1 << 20).await?, "hello");
//!     println!("{:?}", timings.snapshot());
//! }
//! assert_eq!(transport.idle(), 1); // one connection has served both
//! # Ok(())
//! # }
//! ```
//!
//! [`transport::upgrade`] and [`transport::take_over`] take the connection of a response out of HTTP.
//!
//! # The server
//!
//! [`server`] answers requests by a handler, which may take the connection over: see [`hijack`], where both sides get
//! the same [`Hijacked`](hijack::Hijacked).
//!
//! # Below
//!
//! [`connect`] makes the client's connections: directly or through proxies, with TLS. [`wire`] writes and reads
//! messages on a stream, for the client, the server and a proxy alike. HTTP/2 is spoken by both where TLS agrees on it
//! (ALPN) or where it is known before; its frames are the affair of the `h2` crate.

mod body;
pub mod client;
pub mod connect;
mod error;
mod field_values;
pub mod hijack;
mod http2;
mod round_trip;
pub mod server;
pub mod transport;
pub mod wire;

pub use body::Body;
pub use error::{BoxError, Error, Phase};
pub use http2::Protocol;
pub use round_trip::{BoxFuture, RoundTrip};
pub use transport::Transport;

/// The code of the guide is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/http.md")]
struct Guide;
