//! What the tests of several modules need.

use std::sync::Arc;
use std::time::Duration;

use rosn_config::checked::{self, BalancerKind, Balancing, Discovery, Host};

use crate::cluster::Cluster;
use crate::stats::Unexported;

pub(crate) fn host(address: &str, weight: u32) -> Host {
    Host {
        address: address.parse().unwrap(),
        hostname: String::new(),
        weight,
        metadata: Vec::new(),
        tls_disable: false,
    }
}

/// 10.0.0.1:80, 10.0.0.2:80 and so on.
pub(crate) fn hosts(weights: &[u32]) -> Vec<Host> {
    let numbered = weights.iter().enumerate();
    numbered
        .map(|(n, weight)| host(&format!("10.0.{}.{}:80", n / 250, n % 250 + 1), *weight))
        .collect()
}

pub(crate) fn config(balancer: BalancerKind, hosts: Vec<Host>) -> checked::Cluster {
    checked::Cluster {
        name: "test".into(),
        discovery: Discovery::Static,
        balancer,
        balancing: Balancing::default(),
        slow_start: None,
        subsets: false,
        hosts,
        max_requests_per_connection: None,
        buffer_limit: 16384,
        mark: 0,
        breakers: checked::Breakers::default(),
        connect_timeout: Duration::from_secs(10),
        idle_timeout: None,
        panic_threshold: 50,
        health_check: None,
        stream: None,
        tls: None,
        http2: checked::Http2Settings::for_clusters(),
        inactive: None,
    }
}

pub(crate) fn cluster(config: checked::Cluster) -> Arc<Cluster> {
    Cluster::new(Arc::new(config), 1, Arc::new(Unexported { shards: 1 }))
}
