//! What the workers act on: a configuration with everything resolved, immutable and shared.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use rosn_base::stats::Sharded;
use rosn_cluster::Cluster;
use rosn_config::checked::{self, OriginalDst};
use rosn_route::Table;
use rosn_telemetry::AccessLog;

use crate::stats::DownstreamStats;

/// A cluster's place in [`Snapshot::clusters`].
pub type ClusterIndex = usize;

/// One state of the configuration. A reload makes a new one; nothing in it changes.
pub struct Snapshot {
    /// Counts up with each reload.
    pub version: u64,
    /// Limits of the process.
    pub limits: checked::Limits,
    /// All listeners that are active, bound or virtual.
    pub listeners: Vec<Arc<Listener>>,
    /// All clusters, in the order of their names.
    pub clusters: Vec<Arc<Cluster>>,
}

impl Snapshot {
    /// The listener of that name.
    pub fn listener(&self, name: &str) -> Option<&Arc<Listener>> {
        self.listeners.iter().find(|listener| *listener.config.name == *name)
    }

    /// The listener that a connection for `wanted` is handed to: the one with that address, else one
    /// on the same port of every address (or of 127.0.0.1), as in MOSN's `original_dst`. Of those, one
    /// of the same family goes first.
    pub fn listener_for(&self, wanted: SocketAddr, how: OriginalDst) -> Option<&Arc<Listener>> {
        let find = |fits: &dyn Fn(SocketAddr) -> bool| {
            self.listeners.iter().find(|listener| {
                listener.config.network == checked::Network::Tcp
                    && listener.config.address.as_ip().is_some_and(fits)
            })
        };
        let on_port = |addr: SocketAddr| {
            let ip = addr.ip();
            let wide = if how.fallback_to_local { ip.is_loopback() } else { ip.is_unspecified() };
            wide && addr.port() == wanted.port()
        };
        find(&|addr| addr == wanted)
            .or_else(|| find(&|addr| on_port(addr) && addr.is_ipv4() == wanted.is_ipv4()))
            .or_else(|| find(&on_port))
    }
}

/// A listener with what it needs at run time.
pub struct Listener {
    /// As configured.
    pub config: Arc<checked::Listener>,
    /// Survive a reload as long as the name stays.
    pub stats: Arc<Sharded<DownstreamStats>>,
    /// In the order of the configuration.
    pub access_logs: Vec<Arc<AccessLog>>,
    /// Open connections over all workers; survives a reload.
    pub open: Arc<AtomicU32>,
    /// What is done with a connection.
    pub service: Service,
}

/// See [`checked::Service`].
pub enum Service {
    /// HTTP requests by this table.
    Http {
        /// As configured.
        proxy: Box<checked::HttpProxy>,
        /// The compiled router.
        table: Arc<Table<ClusterIndex>>,
    },
    /// Bytes of a connection.
    Tcp(StreamProxy),
    /// Datagrams.
    Udp(StreamProxy),
}

/// A `tcp_proxy` or `udp_proxy` whose clusters are resolved.
pub struct StreamProxy {
    /// As configured.
    pub proxy: checked::StreamProxy,
    /// The cluster of each of its routes.
    pub clusters: Vec<ClusterIndex>,
}

impl StreamProxy {
    /// The cluster of the first route that fits the two addresses; of unix sockets, only a route
    /// without conditions on that side fits.
    pub fn route(
        &self,
        source: Option<SocketAddr>,
        dest: Option<SocketAddr>,
    ) -> Option<ClusterIndex> {
        let found = self.proxy.routes.iter().position(|route| {
            fits(source, &route.sources, &route.source_ports)
                && fits(dest, &route.destinations, &route.destination_ports)
        });
        found.map(|at| self.clusters[at])
    }
}

fn fits(addr: Option<SocketAddr>, ranges: &[checked::CidrRange], ports: &[(u16, u16)]) -> bool {
    if ranges.is_empty() && ports.is_empty() {
        return true;
    }
    let Some(addr) = addr else { return false };
    let ip = addr.ip().to_canonical();
    let in_ranges = ranges.is_empty() || ranges.iter().any(|range| range.contains(ip));
    let port = addr.port();
    in_ranges && (ports.is_empty() || ports.iter().any(|(from, to)| (*from..=*to).contains(&port)))
}
