//! Drives connections and streams: what happens between an accepted connection and a cluster.
//!
//! A [`Worker`] is what one thread owns: clock, timers, buffers, connection pools and the present
//! [`Snapshot`] of the configuration. [`spawn`] takes an accepted connection and serves it in one task:
//! as HTTP/1.1, request after request, each streamed to an endpoint of its route's cluster and back; or
//! as plain bytes for `tcp_proxy`. [`serve_udp`] does the same for datagrams.
//!
//! Nothing on the way of a request takes a lock, starts a task, or, once the worker is warm, allocates.
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

pub use accept::spawn;
pub use context::{Serving, Shared, Worker};
pub use http::grpc::{GrpcMetrics, GrpcStats};
pub use snapshot::{
    Asked, ClusterIndex, Connectors, Listener, Service, Snapshot, StreamProxy, Termination,
};
pub use stats::DownstreamStats;
pub use udp::serve as serve_udp;
