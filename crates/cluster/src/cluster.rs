//! A cluster: its endpoints, limits and counters, shared by all workers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use rosn_base::Addr;
use rosn_base::stats::{Sharded, Source, Value};
use rosn_config::checked::{self, Discovery};
use tokio::sync::watch;

use crate::breakers::{Breakers, Permit};
use crate::discovery::Answers;
use crate::endpoint::{Common, Description, Endpoint, Fault};
use crate::original_dst::OriginalDestinations;
use crate::set::EndpointSet;
use crate::stats::{ClusterStats, StatsSource};

/// How all endpoints that were made for original destinations are labelled together: clients name
/// the addresses, and counters for each would grow without bound.
const ORIGINAL_DST_LABEL: &str = "original_dst";

/// One cluster of one state of the configuration.
///
/// The endpoints come from the configuration at once; those with names appear while
/// [`discover`](crate::discover) runs.
pub struct Cluster {
    id: u64,
    config: Arc<checked::Cluster>,
    breakers: Breakers,
    stats: Arc<Sharded<ClusterStats>>,
    stats_source: Arc<dyn StatsSource>,
    common: Arc<Common>,
    endpoints: ArcSwap<EndpointSet>,
    /// Held while a new set is made.
    answers: Mutex<Answers>,
    resolved: watch::Sender<bool>,
    /// The version of the present set.
    set_version: watch::Sender<u64>,
    originals: OriginalDestinations,
}

impl Cluster {
    /// A cluster as configured. `id` has to be unique in the process, for instance a count of the
    /// clusters that were made.
    pub fn new(
        config: Arc<checked::Cluster>,
        id: u64,
        stats_source: Arc<dyn StatsSource>,
    ) -> Arc<Self> {
        let common = Arc::new(Common::new(config.balancer, first_duration(&config)));
        let empty = EndpointSet::new(1, Vec::new(), config.balancer, Arc::clone(&common));
        let cluster = Self {
            id,
            breakers: Breakers::new(&config.breakers),
            stats: stats_source.cluster(&config.name),
            stats_source,
            common,
            endpoints: ArcSwap::from_pointee(empty),
            answers: Mutex::new(Answers::new(&config)),
            resolved: watch::Sender::new(false),
            set_version: watch::Sender::new(1),
            originals: OriginalDestinations::default(),
            config,
        };
        cluster.publish_answers();
        Arc::new(cluster)
    }

    /// Unique in the process: a reload that changes the cluster makes another one.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// As configured.
    pub fn config(&self) -> &Arc<checked::Cluster> {
        &self.config
    }

    /// The present endpoints. The guard is for the moment, not to be kept.
    pub fn endpoints(&self) -> Guard<Arc<EndpointSet>> {
        self.endpoints.load()
    }

    /// Whom an endpoint is to be in TLS: `server_name` of the configuration, else its name, else its address. A unix
    /// socket has none; it is this host.
    pub fn server_name<'a>(&'a self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        let own = self.config.tls.as_ref().map_or("", |tls| &tls.server_name);
        match (own, endpoint.hostname(), endpoint.addr()) {
            ("", "", Addr::Ip(addr)) => addr.ip().to_string().into(),
            ("", "", Addr::Name(host, _)) => host.to_string().into(),
            ("", "", Addr::Unix(_)) => "localhost".into(),
            ("", name, _) | (name, ..) => name.into(),
        }
    }

    /// Its limits.
    pub fn breakers(&self) -> &Breakers {
        &self.breakers
    }

    /// Its counters.
    pub fn stats(&self) -> &Arc<Sharded<ClusterStats>> {
        &self.stats
    }

    /// Asks to send a request once more; see [`Breakers::try_retry`]. The active requests are those
    /// that the workers count in [`ClusterStats::request_active`].
    pub fn try_retry(&self) -> Option<Permit> {
        let shards = 0..self.stats.shards();
        let active: i64 = shards.map(|at| self.stats.shard(at).request_active.value()).sum();
        self.breakers.try_retry(u64::try_from(active).unwrap_or(0))
    }

    /// The endpoint for the address that a client meant to reach, whatever the discovery; with
    /// `replace_local`, that port of 127.0.0.1. Endpoints are kept for a while, so that connections
    /// can be pooled; they are counted together, under the host `original_dst`.
    pub fn original_dst(&self, addr: SocketAddr) -> Arc<Endpoint> {
        let addr = match self.config.discovery {
            Discovery::OriginalDst { replace_local: true, .. } => {
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port())
            }
            _ => addr,
        };
        self.originals.endpoint(addr, self.common.now(), || {
            let stats = self.stats_source.host(self.name(), ORIGINAL_DST_LABEL);
            let description = Description {
                addr: Addr::Ip(addr),
                label: addr.to_string(),
                hostname: String::new(),
                weight: 1,
                metadata: Vec::new(),
                plain: false,
            };
            Endpoint::new(description, &self.common, stats)
        })
    }
}

/// Updates, from the control thread.
impl Cluster {
    /// Makes these the endpoints, and returns whether anything changed. Of two with one address the
    /// first counts; a host whose address is a name is left out. An endpoint whose address and
    /// [label](Endpoint::label) stay keeps its id, its counters and its health.
    ///
    /// This is for hosts that come from elsewhere; do not run [`discover`](crate::discover) too.
    pub fn update(&self, hosts: &[checked::Host]) -> bool {
        let mut answers = self.lock_answers();
        let changed = self.publish(crate::discovery::described(hosts));
        answers.supersede();
        self.resolved.send_replace(true);
        changed
    }

    /// Takes over from the cluster of that name in the former configuration: the answers of the DNS
    /// for names that are still there, and the health of endpoints whose addresses are. To be called
    /// before the cluster is used.
    pub fn inherit(&self, former: &Self) {
        self.lock_answers().inherit(&self.config, &former.lock_answers(), &former.config);
        self.publish_answers();
        let (set, former) = (self.endpoints(), former.endpoints());
        let former = former.by_addr();
        let is_checked = self.config.health_check.is_some();
        for endpoint in set.endpoints() {
            if let Some(former) = former.get(endpoint.addr()) {
                endpoint.inherit_health(former);
                // Nobody would find out that it is well again.
                if !is_checked {
                    endpoint.recover(Fault::ActiveCheck);
                }
            }
        }
    }

    /// Waits until each name has been asked for once, with or without success, for `limit` at most;
    /// returns whether that is so.
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    pub async fn first_resolution(&self, limit: Duration) -> bool {
        let mut resolved = self.resolved.subscribe();
        let answered = async { resolved.wait_for(|resolved| *resolved).await.is_ok() };
        tokio::time::timeout(limit, answered).await.unwrap_or(false)
    }

    /// Changes with each new set of endpoints.
    pub(crate) fn set_versions(&self) -> watch::Receiver<u64> {
        self.set_version.subscribe()
    }

    pub(crate) fn with_answers<T>(&self, f: impl FnOnce(&mut Answers) -> T) -> T {
        f(&mut self.lock_answers())
    }

    /// Makes the hosts of the configuration, with the answers for their names, the endpoints.
    pub(crate) fn publish_answers(&self) -> bool {
        let answers = self.lock_answers();
        let changed = self.publish(answers.descriptions(&self.config));
        if answers.complete() {
            self.resolved.send_replace(true);
        }
        changed
    }

    fn lock_answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called with the answers locked, so that one set is made at a time.
    fn publish(&self, mut descriptions: Vec<Description>) -> bool {
        let mut seen = HashSet::new();
        descriptions.retain(|description| seen.insert(description.addr.clone()));
        let old = self.endpoints.load_full();
        let same = |(endpoint, new): (&Arc<Endpoint>, _)| endpoint.description() == new;
        if old.endpoints().len() == descriptions.len()
            && old.endpoints().iter().zip(&descriptions).all(same)
        {
            return false;
        }
        let known = old.by_addr();
        let endpoints = descriptions.into_iter().map(|new| match known.get(&new.addr) {
            Some(&endpoint) if *endpoint.description() == new => Arc::clone(endpoint),
            Some(endpoint) if endpoint.label() == new.label => Arc::new(endpoint.described(new)),
            _ => {
                let stats = self.stats_source.host(self.name(), &new.label);
                Arc::new(Endpoint::new(new, &self.common, stats))
            }
        });
        let (version, balancer) = (old.version() + 1, self.config.balancer);
        let common = Arc::clone(&self.common);
        let set = EndpointSet::new(version, endpoints.collect(), balancer, common);
        self.endpoints.store(Arc::new(set));
        self.set_version.send_replace(version);
        true
    }
}

/// How many endpoints there are, and how many of them are healthy.
impl Source for Cluster {
    fn visit(&self, f: &mut dyn FnMut(&'static str, Value)) {
        let set = self.endpoints();
        let healthy = set.endpoints().iter().filter(|endpoint| endpoint.is_healthy()).count();
        let gauge = |count: usize| Value::Gauge(i64::try_from(count).unwrap_or(i64::MAX));
        f("membership_total", gauge(set.endpoints().len()));
        f("membership_healthy", gauge(healthy));
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("id", &self.id)
            .field("name", &self.config.name)
            .field("endpoints", &self.endpoints.load().endpoints())
            .finish_non_exhaustive()
    }
}

/// What `LB_PEAK_EWMA` expects of a request before any has ended: the timeouts, else 10 s.
fn first_duration(config: &checked::Cluster) -> Duration {
    let timeouts = config.connect_timeout.saturating_add(config.idle_timeout.unwrap_or_default());
    if timeouts.is_zero() { Duration::from_secs(10) } else { timeouts }
}

#[cfg(test)]
mod tests;
