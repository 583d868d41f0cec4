//! A snapshot from a configuration: what did not change is taken over from the one before.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rosn_base::stats::Sharded;
use rosn_cluster::{Cluster, ClusterStats, HostStats, StatsSource};
use rosn_config::checked::{self, Config};
use rosn_proxy::{ClusterIndex, Connectors, GrpcMetrics, Listener, Service, Snapshot, StreamProxy};
use rosn_route::{Clusters, CompileError, Table};
use rosn_telemetry::{AccessLog, OpenError, Registry, Writer};
use rosn_tls::{Acceptor, Tickets, TlsError};
use rosn_transport::{Environment, Registry as Transports, TransportError};
use thiserror::Error;
use tracing::warn;

use crate::tls;

/// Why a configuration could not be put into force.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error("router `{name}`: {cause}")]
    Router { name: Arc<str>, cause: CompileError },
    #[error("cluster `{name}`: {cause}")]
    Transport { name: Arc<str>, cause: TransportError },
    #[error("TLS of listener `{name}`: {cause}")]
    ListenerTls { name: Arc<str>, cause: TlsError },
    #[error("TLS of cluster `{name}`: {cause}")]
    ClusterTls { name: Arc<str>, cause: TlsError },
    #[error("access log of listener `{listener}`: {cause}")]
    AccessLog { listener: Arc<str>, cause: OpenError },
}

/// What snapshots are made with.
pub(crate) struct Builder {
    pub(crate) registry: Arc<Registry>,
    pub(crate) writer: Arc<Writer>,
    /// How many threads count.
    pub(crate) shards: usize,
    pub(crate) transports: Arc<Transports>,
    pub(crate) environment: Environment,
    /// Keys of session tickets: one for all, however often they are reloaded.
    pub(crate) tickets: Tickets,
    /// Made when a listener first counts gRPC calls.
    pub(crate) grpc: OnceLock<Arc<GrpcMetrics>>,
    /// The next cluster's id.
    pub(crate) next_cluster: AtomicU64,
}

impl Builder {
    /// Builds the snapshot of `config`. What is the same as in `before` is shared with it.
    pub(crate) fn build(
        &self,
        config: &Config,
        before: Option<&Snapshot>,
    ) -> Result<Snapshot, BuildError> {
        let clusters = self.clusters(config, before);
        self.check_transports(&clusters, before)?;
        let connectors = self.connectors(&clusters, before)?;
        let places =
            clusters.iter().enumerate().map(|(place, c)| (Arc::clone(&c.config().name), place));
        let places: Arc<Clusters<ClusterIndex>> = Arc::new(places.collect());
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            if let Some(service) = self.service(config, listener, &places)? {
                listeners.push(Arc::new(self.listener(config, listener, service, before)?));
            }
        }
        Ok(Snapshot {
            version: before.map_or(1, |before| before.version + 1),
            limits: config.server.limits,
            listeners,
            clusters,
            connectors,
        })
    }

    fn clusters(&self, config: &Config, before: Option<&Snapshot>) -> Vec<Arc<Cluster>> {
        let source: Arc<dyn StatsSource> =
            Arc::new(Registered { registry: Arc::clone(&self.registry), shards: self.shards });
        let make = |cluster: &Arc<checked::Cluster>| {
            let of_name = |old: &&Arc<Cluster>| old.config().name == cluster.name;
            let old = before.and_then(|before| before.clusters.iter().find(of_name));
            match old {
                Some(old) if old.config() == cluster => Arc::clone(old),
                _ => {
                    let id = self.next_cluster.fetch_add(1, Ordering::Relaxed);
                    let new = Cluster::new(Arc::clone(cluster), id, Arc::clone(&source));
                    if let Some(old) = old {
                        new.inherit(old);
                    }
                    new
                }
            }
        };
        config.clusters.values().map(make).collect()
    }

    /// Whether the transports of new clusters can be used. Each worker makes dialers of its own from the same settings.
    fn check_transports(
        &self,
        clusters: &[Arc<Cluster>],
        before: Option<&Snapshot>,
    ) -> Result<(), BuildError> {
        for cluster in clusters {
            let is_old = |old: &Arc<Cluster>| Arc::ptr_eq(old, cluster);
            let Some(settings) = &cluster.config().stream else { continue };
            if before.is_some_and(|before| before.clusters.iter().any(is_old)) {
                continue;
            }
            let name = Arc::clone(&cluster.config().name);
            let environment = Environment { owner: Arc::clone(&name), ..self.environment.clone() };
            self.transports
                .dialer(settings, &environment)
                .map_err(|cause| BuildError::Transport { name, cause })?;
        }
        Ok(())
    }

    /// TLS to each of the clusters. What is kept reads its files again.
    fn connectors(
        &self,
        clusters: &[Arc<Cluster>],
        before: Option<&Snapshot>,
    ) -> Result<Vec<Option<Arc<Connectors>>>, BuildError> {
        let make = |cluster: &Arc<Cluster>| {
            let Some(context) = &cluster.config().tls else { return Ok(None) };
            let name = &cluster.config().name;
            let old = before.and_then(|before| {
                let place = before.clusters.iter().position(|old| Arc::ptr_eq(old, cluster))?;
                before.connectors[place].as_ref()
            });
            let made = match old {
                Some(old) => tls::reload_connectors(old).map(|()| Arc::clone(old)),
                None => tls::connectors(context, &self.environment.roots).map(Arc::new),
            };
            match made {
                Ok(made) => Ok(Some(made)),
                Err(cause) if context.fall_back && old.is_some() => {
                    warn!(cluster = %name, "its old certificates stay in use: {cause}");
                    Ok(old.cloned())
                }
                Err(cause) if context.fall_back => {
                    warn!(cluster = %name, "plain text is spoken to it (`fall_back`): {cause}");
                    Ok(None)
                }
                Err(cause) => Err(BuildError::ClusterTls { name: Arc::clone(name), cause }),
            }
        };
        clusters.iter().map(make).collect()
    }

    /// How the listener speaks TLS. What is kept reads its files again.
    fn acceptor(
        &self,
        listener: &checked::Listener,
        before: Option<&Snapshot>,
    ) -> Result<Option<Acceptor>, BuildError> {
        let Some(tls) = &listener.tls else { return Ok(None) };
        let old = before.and_then(|before| before.listener(&listener.name));
        let is_same = |old: &Arc<Listener>| old.config.tls == listener.tls && alike(old, listener);
        let old = old.filter(|old| is_same(old)).and_then(|old| old.tls.as_ref());
        let made = match old {
            Some(old) => old.reload().map(|()| old.clone()),
            None => tls::acceptor(tls, &listener.service, &self.tickets),
        };
        let name = &listener.name;
        match made {
            Ok(made) => Ok(Some(made)),
            Err(cause) if tls.fall_back && old.is_some() => {
                warn!(listener = %name, "its old certificates stay in use: {cause}");
                Ok(old.cloned())
            }
            Err(cause) if tls.fall_back => {
                warn!(listener = %name, "it speaks plain text (`fall_back`): {cause}");
                Ok(None)
            }
            Err(cause) => Err(BuildError::ListenerTls { name: Arc::clone(&listener.name), cause }),
        }
    }

    /// What the listener does; `None` where it is not active.
    fn service(
        &self,
        config: &Config,
        listener: &checked::Listener,
        places: &Arc<Clusters<ClusterIndex>>,
    ) -> Result<Option<Service>, BuildError> {
        let stream = |proxy: &checked::StreamProxy| StreamProxy {
            proxy: proxy.clone(),
            clusters: proxy
                .routes
                .iter()
                .filter_map(|route| places.get(&route.cluster).copied())
                .collect(),
        };
        Ok(match &listener.service {
            checked::Service::Inactive(_) => None,
            checked::Service::Tcp(proxy) => Some(Service::Tcp(stream(proxy))),
            checked::Service::Udp(proxy) => Some(Service::Udp(stream(proxy))),
            checked::Service::Http(proxy) => {
                let router = &config.routers[&proxy.router];
                let table = Table::compile(router, Arc::clone(places)).map_err(|cause| {
                    BuildError::Router { name: Arc::clone(&proxy.router), cause }
                })?;
                Some(Service::Http {
                    proxy: proxy.clone(),
                    table: Arc::new(table),
                    fallback: proxy.fallback.as_ref().map(stream),
                })
            }
        })
    }

    fn listener(
        &self,
        config: &Config,
        listener: &Arc<checked::Listener>,
        service: Service,
        before: Option<&Snapshot>,
    ) -> Result<Listener, BuildError> {
        let old = before.and_then(|before| before.listener(&listener.name));
        let same_logs = old.filter(|old| old.config.access_logs == listener.access_logs);
        let access_logs = match same_logs {
            Some(old) => old.access_logs.clone(),
            None => self.access_logs(config, listener)?,
        };
        let labels = [("listener", &*listener.name)];
        Ok(Listener {
            config: Arc::clone(listener),
            stats: self.registry.sharded("downstream", &labels, self.shards),
            grpc: match &listener.service {
                checked::Service::Http(proxy) if proxy.grpc_metric => Some(self.grpc_metrics()),
                _ => None,
            },
            access_logs,
            tls: self.acceptor(listener, before)?,
            open: old.map_or_else(|| Arc::new(AtomicU32::new(0)), |old| Arc::clone(&old.open)),
            service,
        })
    }

    /// The counters of gRPC methods: the same for all listeners, and across reloads.
    fn grpc_metrics(&self) -> Arc<GrpcMetrics> {
        let make = || Arc::new(GrpcMetrics::new(Arc::clone(&self.registry), self.shards));
        Arc::clone(self.grpc.get_or_init(make))
    }

    fn access_logs(
        &self,
        config: &Config,
        listener: &checked::Listener,
    ) -> Result<Vec<Arc<AccessLog>>, BuildError> {
        let roller = config.server.log.roller;
        let open = |log| {
            let opened = AccessLog::open(&self.writer, log, roller, self.shards);
            let listener = Arc::clone(&listener.name);
            opened.map_err(|cause| BuildError::AccessLog { listener, cause })
        };
        listener.access_logs.iter().map(open).collect()
    }
}

/// Whether TLS offers the same protocols for both.
fn alike(old: &Listener, new: &checked::Listener) -> bool {
    let protocols = |service: &checked::Service| match service {
        checked::Service::Http(proxy) => proxy.protocols.clone(),
        _ => Vec::new(),
    };
    protocols(&old.config.service) == protocols(&new.service)
}

/// Counters from the registry: the same ones for the same names.
struct Registered {
    registry: Arc<Registry>,
    shards: usize,
}

impl StatsSource for Registered {
    fn cluster(&self, cluster: &str) -> Arc<Sharded<ClusterStats>> {
        self.registry.sharded("upstream", &[("cluster", cluster)], self.shards)
    }

    fn host(&self, cluster: &str, host: &str) -> Arc<Sharded<HostStats>> {
        self.registry.sharded("upstream", &[("cluster", cluster), ("host", host)], self.shards)
    }
}
