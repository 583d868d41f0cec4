//! Turns the hosts of the configuration into addresses, and follows their changes.

mod answers;
mod dns;
mod system;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::Discovery;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::Cluster;
pub(crate) use answers::{Answers, described};

/// Answers that come within this time are published together.
const GATHER: Duration = Duration::from_millis(5);
/// A resolver that fails is asked again after this time, then after twice as long, and so on up to
/// the usual interval.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// No name is asked for more often.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// Resolves the cluster's names and goes on doing so, until it is dropped; it ends at once where
/// there are none. To be run on the control thread, within a tokio runtime with time and I/O.
///
/// A name that cannot be resolved keeps the addresses that it had, and the log says so once.
///
/// # Cancel safety
/// It may be dropped at any time, which ends all that it started.
pub async fn discover(cluster: Arc<Cluster>) {
    let hosts = cluster.config().hosts.iter().enumerate();
    let names: Vec<_> = hosts
        .filter_map(|(host, config)| match &config.address {
            Addr::Name(name, port) => Some((host, name.clone(), *port)),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return;
    }
    let changed = Arc::new(Notify::new());
    // Dropping the set ends the tasks.
    let mut tasks = JoinSet::new();
    let resolvers = dns::Resolvers::new();
    for (host, name, port) in names {
        let follower = Follower {
            cluster: Arc::clone(&cluster),
            changed: Arc::clone(&changed),
            host,
            name,
            failures: 0,
        };
        match &cluster.config().discovery {
            Discovery::StrictDns(config) => {
                tasks.spawn(dns::follow(follower, config.clone(), resolvers.clone()));
            }
            Discovery::Static | Discovery::OriginalDst { .. } => {
                tasks.spawn(system::follow(follower, port));
            }
        }
    }
    loop {
        changed.notified().await;
        sleep(GATHER).await;
        if cluster.publish_answers() {
            let set = cluster.endpoints();
            let (name, count) = (cluster.name(), set.endpoints().len());
            tracing::info!(cluster = name, endpoints = count, "the endpoints changed");
        }
    }
}

/// One name that is followed.
struct Follower {
    cluster: Arc<Cluster>,
    changed: Arc<Notify>,
    /// Its place in the configuration.
    host: usize,
    name: Box<str>,
    /// In a row.
    failures: u32,
}

impl Follower {
    /// The last good answer.
    fn answer(&self) -> Vec<IpAddr> {
        self.cluster.with_answers(|answers| answers.of(self.host).to_vec())
    }

    /// The name has these addresses, in their order.
    fn resolved(&mut self, addresses: Vec<IpAddr>) {
        if self.failures > 0 {
            let cluster = self.cluster.name();
            tracing::info!(cluster, host = &*self.name, "the host name is resolved again");
        }
        self.failures = 0;
        self.cluster.with_answers(|answers| answers.set(self.host, addresses));
        self.changed.notify_one();
    }

    /// The name could not be resolved.
    fn failed(&mut self, error: &dyn std::fmt::Display) {
        if self.failures == 0 {
            let cluster = self.cluster.name();
            tracing::warn!(
                cluster,
                host = &*self.name,
                %error,
                "the host name cannot be resolved: its last addresses stay in use"
            );
        }
        self.failures = self.failures.saturating_add(1);
        self.cluster.with_answers(|answers| answers.keep(self.host));
        self.changed.notify_one();
    }

    /// Waits until the name has to be resolved again.
    async fn pause(&self, interval: Duration) {
        let interval = match self.failures {
            0 => interval,
            failures => {
                let doubled = 2_u32.saturating_pow(failures - 1);
                interval.min(FIRST_RETRY.saturating_mul(doubled))
            }
        };
        sleep(interval.max(LEAST_INTERVAL)).await;
    }
}

#[cfg(test)]
mod tests;
