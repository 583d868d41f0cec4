//! What the workers act on: a configuration with everything resolved, immutable and shared.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use rosn_base::stats::Sharded;
use rosn_cluster::Cluster;
use rosn_config::checked::{self, OriginalDst};
use rosn_route::Table;
use rosn_telemetry::AccessLog;
use rosn_tls::{Acceptor, Connector};

use crate::http::grpc::GrpcMetrics;
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
    /// How TLS is spoken to each of them; `None` = plain text.
    pub connectors: Vec<Option<Arc<Connectors>>>,
}

/// TLS to the endpoints of a cluster. What is offered by ALPN depends on what is going to be spoken.
#[derive(Debug)]
pub struct Connectors {
    /// For HTTP/1.1.
    pub http1: Connector,
    /// For HTTP/2.
    pub http2: Connector,
    /// For bytes that are not looked at.
    pub bytes: Connector,
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
    /// Where gRPC calls are counted by their method.
    pub grpc: Option<Arc<GrpcMetrics>>,
    /// In the order of the configuration.
    pub access_logs: Vec<Arc<AccessLog>>,
    /// Open connections over all workers; survives a reload.
    pub open: Arc<AtomicU32>,
    /// Answers TLS handshakes, where TLS is terminated. `None` also where a certificate cannot be loaded and `fall_back` is
    /// on.
    pub tls: Option<Acceptor>,
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
        /// Where what is no protocol of the proxy's goes.
        fallback: Option<StreamProxy>,
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

/// What a client asked for in TLS, as far as it is known.
#[derive(Debug, Default, Clone)]
pub struct Asked {
    /// The name (SNI), in lower case.
    pub server_name: Option<Box<str>>,
    /// The protocols that it offered, or the one that was agreed on (ALPN).
    pub alpn: Vec<Box<[u8]>>,
}

impl StreamProxy {
    /// The cluster of the first route that fits the two addresses and what the client asked for; of unix sockets, only
    /// a route without conditions on that side fits.
    pub fn route(
        &self,
        source: Option<SocketAddr>,
        dest: Option<SocketAddr>,
        asked: &Asked,
    ) -> Option<ClusterIndex> {
        let found = self.proxy.routes.iter().position(|route| {
            fits(source, &route.sources, &route.source_ports)
                && fits(dest, &route.destinations, &route.destination_ports)
                && asked.fits(route)
        });
        found.map(|at| self.clusters[at])
    }
}

impl Asked {
    fn fits(&self, route: &checked::StreamRoute) -> bool {
        let is_below = |name: &str, suffix: &str| {
            name.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        let is_named = |pattern: &String| {
            self.server_name.as_deref().is_some_and(|name| match pattern.strip_prefix("*.") {
                Some(suffix) => is_below(name, suffix),
                None => name == pattern,
            })
        };
        let is_offered = |name: &String| self.alpn.iter().any(|alpn| **alpn == *name.as_bytes());
        (route.server_names.is_empty() || route.server_names.iter().any(is_named))
            && (route.alpn.is_empty() || route.alpn.iter().any(is_offered))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_protocols_of_routes() {
        let route = |names: &[&str], alpn: &[&str]| checked::StreamRoute {
            cluster: "c".into(),
            sources: vec![],
            destinations: vec![],
            source_ports: vec![],
            destination_ports: vec![],
            server_names: names.iter().map(|name| (*name).to_owned()).collect(),
            alpn: alpn.iter().map(|name| (*name).to_owned()).collect(),
        };
        let asked = |name: &str, alpn: &[&str]| Asked {
            server_name: (!name.is_empty()).then(|| name.into()),
            alpn: alpn.iter().map(|name| name.as_bytes().into()).collect(),
        };
        let exact = route(&["a.test", "b.test"], &[]);
        let wild = route(&["*.b.test"], &[]);
        for (route, name, expected) in [
            (&exact, "a.test", true),
            (&exact, "b.test", true),
            (&exact, "x.b.test", false),
            (&exact, "", false),
            (&wild, "x.b.test", true),
            (&wild, "x.y.b.test", true),
            (&wild, "b.test", false),
            (&wild, ".b.test", false),
            (&wild, "xb.test", false),
            (&route(&[], &[]), "", true),
        ] {
            assert_eq!(asked(name, &[]).fits(route), expected, "{name}");
        }
        let h2 = route(&["a.test"], &["h2"]);
        assert!(asked("a.test", &["http/1.1", "h2"]).fits(&h2));
        assert!(!asked("a.test", &["http/1.1"]).fits(&h2));
        assert!(!asked("b.test", &["h2"]).fits(&h2));
    }
}
