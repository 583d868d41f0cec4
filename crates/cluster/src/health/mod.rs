//! Active health checks: every endpoint is asked again and again whether it is well.

mod tally;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::stats::Sharded;
use rosn_config::checked::HealthCheck;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::cluster::Cluster;
use crate::endpoint::{Endpoint, Fault};
use crate::stats::HealthStats;
use tally::Tally;

/// Questions of one cluster that are under way at a time: what a large one costs in sockets.
const AT_A_TIME: usize = 256;

/// A future that is sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How an endpoint is asked.
pub trait Probe: Send + Sync + 'static {
    /// Asks once.
    ///
    /// # Errors
    /// The endpoint is not well: why, in words.
    ///
    /// # Cancel safety
    /// It is dropped when it takes too long, and has to end what it began then.
    fn ask<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, Result<(), String>>;
}

/// An endpoint has become unhealthy, or healthy again.
#[derive(Debug)]
pub struct HealthChange<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// Of which endpoint.
    pub endpoint: &'a Endpoint,
    /// What is wrong; `None` = nothing any more.
    pub reason: Option<&'a str>,
}

/// MOSN's line of an event log, but for the time in front.
impl fmt::Display for HealthChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, result) =
            (u8::from(self.endpoint.is_healthy()), u8::from(self.reason.is_none()));
        write!(
            f,
            "host:{} health_status:{status} current_result:{result} status_changed:1 cluster:{}",
            self.endpoint.label(),
            self.cluster
        )?;
        self.reason.map_or(Ok(()), |reason| write!(f, " reason:{reason}"))
    }
}

/// What is told of each change.
pub type OnHealthChange = Arc<dyn Fn(&HealthChange<'_>) + Send + Sync>;

/// Asks the endpoints of a cluster by its [`health_check`](rosn_config::checked::Cluster::health_check), until it is
/// dropped; it ends at once where there is none. To be run on the control thread, within a tokio runtime with time.
///
/// An endpoint is healthy until enough bad answers came. Those that join the cluster are asked from then on, those
/// that leave it no longer.
///
/// # Cancel safety
/// It may be dropped at any time, which ends all questions. Endpoints stay as healthy as they are.
pub async fn check_health(
    cluster: Arc<Cluster>,
    probe: Arc<dyn Probe>,
    stats: Arc<Sharded<HealthStats>>,
    on_change: OnHealthChange,
) {
    let Some(config) = cluster.config().health_check.clone() else { return };
    let checker = Arc::new(Checker {
        stats,
        config,
        cluster: Arc::clone(&cluster),
        probe,
        on_change,
        slots: Semaphore::new(AT_A_TIME),
    });
    let mut sets = cluster.set_versions();
    // Dropping the set ends the tasks.
    let mut tasks = JoinSet::new();
    let mut asked: HashMap<u64, AbortHandle> = HashMap::new();
    loop {
        sets.mark_unchanged();
        let set = Arc::clone(&*cluster.endpoints());
        asked.retain(|id, task| {
            let stays = set.endpoints().iter().any(|endpoint| endpoint.id() == *id);
            if !stays {
                task.abort();
            }
            stays
        });
        for endpoint in set.endpoints() {
            asked.entry(endpoint.id()).or_insert_with(|| {
                let checker = Arc::clone(&checker);
                tasks.spawn(checker.follow(Arc::clone(endpoint)))
            });
        }
        drop(set);
        while tasks.try_join_next().is_some() {}
        if sets.changed().await.is_err() {
            return;
        }
    }
}

/// What the questions to all endpoints of a cluster share.
struct Checker {
    config: HealthCheck,
    cluster: Arc<Cluster>,
    probe: Arc<dyn Probe>,
    on_change: OnHealthChange,
    stats: Arc<Sharded<HealthStats>>,
    slots: Semaphore,
}

/// What came of a question.
enum Answer {
    Good,
    Bad(String),
    Late,
}

impl Checker {
    /// Asks one endpoint, for ever.
    async fn follow(self: Arc<Self>, endpoint: Arc<Endpoint>) {
        let mut tally = Tally::default();
        let healthy = Healthy::new(&self.stats, !endpoint.has(Fault::ActiveCheck));
        sleep(self.config.initial_delay + self.jitter()).await;
        loop {
            let answer = self.ask(&endpoint).await;
            self.judge(&endpoint, &mut tally, &healthy, answer);
            sleep(self.config.interval + self.jitter()).await;
        }
    }

    async fn ask(&self, endpoint: &Endpoint) -> Answer {
        let _slot = self.slots.acquire().await;
        self.stats().attempt.add(1);
        match timeout(self.config.timeout, self.probe.ask(endpoint)).await {
            Ok(Ok(())) => Answer::Good,
            Ok(Err(reason)) => Answer::Bad(reason),
            Err(_) => Answer::Late,
        }
    }

    fn judge(&self, endpoint: &Endpoint, tally: &mut Tally, healthy: &Healthy, answer: Answer) {
        let stats = self.stats();
        let reason = match answer {
            Answer::Good => None,
            Answer::Bad(reason) => {
                stats.active_failure.add(1);
                Some(reason)
            }
            Answer::Late => {
                stats.network_failure.add(1);
                Some(format!("no answer within {:?}", self.config.timeout))
            }
        };
        let result = if reason.is_none() { &stats.success } else { &stats.failure };
        result.add(1);
        if !tally.turns(reason.is_none(), endpoint.has(Fault::ActiveCheck), &self.config) {
            return;
        }
        let (cluster, host) = (self.cluster.name(), endpoint.label());
        match &reason {
            None => {
                endpoint.recover(Fault::ActiveCheck);
                tracing::info!(cluster, host, "the health check has found it healthy again");
            }
            Some(reason) => {
                endpoint.fail(Fault::ActiveCheck);
                tracing::warn!(cluster, host, %reason, "the health check has found it unhealthy");
            }
        }
        healthy.set(reason.is_none());
        (self.on_change)(&HealthChange { cluster, endpoint, reason: reason.as_deref() });
    }

    /// The control thread's counters.
    fn stats(&self) -> &HealthStats {
        self.stats.shard(0)
    }

    fn jitter(&self) -> Duration {
        self.config.jitter.mul_f64(fastrand::f64())
    }
}

/// The part of an endpoint that is asked in the gauge of healthy ones.
struct Healthy {
    stats: Arc<Sharded<HealthStats>>,
    counted: std::sync::atomic::AtomicBool,
}

impl Healthy {
    fn new(stats: &Arc<Sharded<HealthStats>>, healthy: bool) -> Self {
        let this = Self { stats: Arc::clone(stats), counted: false.into() };
        this.set(healthy);
        this
    }

    fn set(&self, healthy: bool) {
        let counted = self.counted.swap(healthy, std::sync::atomic::Ordering::Relaxed);
        self.stats.shard(0).healty.add(i64::from(healthy) - i64::from(counted));
    }
}

/// An endpoint that is no longer asked does not count.
impl Drop for Healthy {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests;
