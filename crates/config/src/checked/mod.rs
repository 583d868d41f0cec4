//! A configuration whose every reference is resolved and every value is in its own type.
//!
//! All types compare by value, so that two configurations can be told apart piece by piece.

mod cluster;
mod health;
mod http2;
mod listener;
mod router;
mod server;
mod stream;
mod tls;
mod tunnel;

pub use cluster::*;
pub use health::*;
pub use http2::*;
pub use listener::*;
pub use router::*;
pub use server::*;
pub use stream::*;
pub use tls::*;
pub use tunnel::*;

use std::collections::BTreeMap;
use std::sync::Arc;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What concerns the process: workers, limits, logs, files.
    pub server: Server,
    /// In the order of the file. Names are unique.
    pub listeners: Vec<Arc<Listener>>,
    /// By `router_config_name`.
    pub routers: BTreeMap<Arc<str>, Arc<Router>>,
    /// By name.
    pub clusters: BTreeMap<Arc<str>, Arc<Cluster>>,
    /// The admin server; `None` where the configuration has none.
    pub admin: Option<Admin>,
    /// What is measured and where it is shown.
    pub metrics: Metrics,
    /// `sockets` (a key of rosn's): hooks around the socket calls of the process.
    pub sockets: SocketHooks,
}
