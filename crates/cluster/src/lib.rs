//! Clusters: the endpoints that requests go to, and which one is next.
//!
//! A [`Cluster`] is shared by all workers. It holds the present [`EndpointSet`], the [`Breakers`]
//! that limit what is in use at a time, and the counters. Each worker has a [`Balancer`] for it, which
//! picks an [`Endpoint`]; connecting to it, and keeping connections, is the caller's part. On the
//! control thread, [`discover`] resolves the names of hosts and publishes new sets; an endpoint whose
//! address stays keeps its identity and its counters. [`check_health`] asks endpoints whether they are well,
//! by a [`Probe`] of the caller's, and balancers leave out those that are not.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rosn_cluster::{Balancer, Cluster, Pick, Unexported};
//! use rosn_config::checked;
//!
//! let config = Arc::new(checked::Cluster {
//!     name: "app".into(),
//!     discovery: checked::Discovery::Static,
//!     balancer: checked::BalancerKind::RoundRobin,
//!     balancing: checked::Balancing::default(),
//!     slow_start: None,
//!     subsets: false,
//!     hosts: ["10.0.0.1:8080", "10.0.0.2:8080"]
//!         .map(|address| checked::Host {
//!             address: address.parse().unwrap(),
//!             hostname: String::new(),
//!             weight: 1,
//!             metadata: Vec::new(),
//!             tls_disable: false,
//!         })
//!         .into(),
//!     max_requests_per_connection: None,
//!     buffer_limit: 16384,
//!     mark: 0,
//!     breakers: checked::Breakers { max_requests: 100, ..Default::default() },
//!     connect_timeout: Duration::from_secs(10),
//!     idle_timeout: None,
//!     panic_threshold: 50,
//!     health_check: None,
//!     stream: None,
//!     tls: None,
//!     http2: checked::Http2Settings::for_clusters(),
//!     inactive: None,
//! });
//! let cluster = Cluster::new(config, 1, Arc::new(Unexported { shards: 1 }));
//! let mut balancer = Balancer::new(cluster.config(), 42);
//!
//! // For each request:
//! let permit = cluster.breakers().try_request().expect("there is room");
//! let endpoints = cluster.endpoints();
//! let first = balancer.pick(&endpoints, &Pick::default()).expect("there are endpoints");
//! // And if that one failed:
//! let retry = Pick { tried: &[first.id()], attempt: 1, ..Pick::default() };
//! let second = balancer.pick(&endpoints, &retry).expect("there are endpoints");
//! assert_ne!(first.addr(), second.addr());
//! drop(permit);
//! ```

mod average;
mod balancer;
mod breakers;
mod cluster;
mod discovery;
mod endpoint;
mod health;
mod maglev;
mod original_dst;
mod set;
mod stats;
#[cfg(test)]
mod testing;

pub use balancer::{Balancer, Pick};
pub use breakers::{Breakers, Permit};
pub use cluster::Cluster;
pub use discovery::discover;
pub use endpoint::{Endpoint, Fault, Outcome};
pub use health::{BoxFuture, HealthChange, OnHealthChange, Probe, check_health};
pub use set::EndpointSet;
pub use stats::{ClusterStats, HealthStats, HostStats, StatsSource, Unexported};
