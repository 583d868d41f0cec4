//! Drives connections and streams: what happens between an accepted connection and a cluster.
//!
//! A [`Worker`] is what one thread owns: clock, timers, buffers, connection pools and the present
//! [`Snapshot`] of the configuration. [`spawn`] takes an accepted connection, answers its TLS handshake where there
//! is one, finds out what is spoken, by ALPN or by the first bytes, and serves it: as HTTP/1.1, request after request,
//! or as HTTP/2, with a task for each stream, each request streamed to an endpoint of its route's cluster and back; or
//! as plain bytes for `tcp_proxy`. [`serve_udp`] does the same for datagrams.
//!
//! Each side of an exchange speaks HTTP/1.1 or HTTP/2, whatever the other does. Inside, a head is the text of
//! HTTP/1.1, so that routing, edits, retries and logs know one form.
//!
//! Nothing on the way of a request takes a lock. With HTTP/1.1 on both sides nothing there starts a task or, once the
//! worker is warm, allocates.
//!
//! Everything here runs on the worker's own thread, in a tokio
//! [`LocalRuntime`](tokio::runtime::LocalRuntime):
//!
//! ```
//! use std::sync::Arc;
//! use rosn_base::stats::Sharded;
//! use rosn_proxy::{Shared, Snapshot, Worker};
//! use rosn_transport::{Environment, Registry};
//!
//! let snapshot = Snapshot { version: 1, limits: Default::default(), listeners: vec![], clusters: vec![], connectors: vec![] };
//! let transports = Arc::new(Registry::with_builtin());
//! let stats = Arc::new(Sharded::new(1));
//! let shared = Shared::new(stats, 1, transports, Environment::system());
//! let worker = Worker::new(0, 1, Arc::new(shared), Arc::new(snapshot));
//! assert_eq!(worker.connections(), 0);
//! ```

mod accept;
mod begin;
mod client;
mod context;
mod details;
mod goodbye;
mod h2;
mod http;
mod http2;
mod snapshot;
mod stats;
mod tcp;
mod tunnel;
mod udp;
mod upstream;

pub use accept::{Arrival, spawn};
pub use context::{Serving, Shared, Worker};
pub use http::grpc::{GrpcMetrics, GrpcStats};
pub use snapshot::{Asked, ClusterIndex, Connectors, Listener, Service, Snapshot, StreamProxy};
pub use stats::DownstreamStats;
pub use udp::serve as serve_udp;
