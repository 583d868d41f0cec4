//! What the admin API sees of the process.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rosn_admin::{Change, Control, Outcome, Report, WorkerConnections};
use rosn_cluster::{Cluster, Endpoint, Fault};
use rosn_config::checked::{LogLevel, StatsMatcher};
use rosn_proxy::Shared;
use rosn_telemetry::{Log, Registry, Writer};
use rosn_worker::Workers;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::warn;

use crate::Load;
use crate::build::Builder;
use crate::hooks::Hooks;
use crate::reload::Current;
use crate::signals::Order;

/// The running process.
pub(crate) struct Process {
    pub(crate) current: Mutex<Current>,
    /// Taken when the process stops.
    pub(crate) workers: Mutex<Option<Workers>>,
    pub(crate) builder: Builder,
    pub(crate) load: Load,
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) log: Log,
    pub(crate) hooks: Mutex<Hooks>,
    pub(crate) exclude: StatsMatcher,
    pub(crate) process_metrics: bool,
    pub(crate) features: Vec<(String, bool)>,
    pub(crate) version: &'static str,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) stage: AtomicU8,
}

impl Process {
    /// Reads the configuration again; see [`Current::reload`].
    pub(crate) fn reload_now(&self) -> Outcome {
        let workers = lock(&self.workers);
        match &*workers {
            Some(workers) => {
                let outcome = lock(&self.current).reload(&self.load, &self.builder, workers);
                if outcome.is_ok() {
                    self.log.set_level(lock(&self.current).config.server.log.level);
                }
                outcome
            }
            None => Err(Report {
                text: "the process is stopping".to_owned(),
                json: json!({ "error": "the process is stopping" }),
            }),
        }
    }

    /// Builds the snapshot of the configuration in force again, because of what is beside it.
    pub(crate) fn rebuild(&self) {
        let workers = lock(&self.workers);
        let Some(workers) = &*workers else { return };
        if let Err(fault) = lock(&self.current).rebuild(&self.builder, workers) {
            warn!("{fault}");
        }
    }

    /// Moves to another stage.
    pub(crate) fn enter(&self, stage: u8) {
        self.stage.store(stage, Ordering::Relaxed);
        self.registry.set_state(i64::from(stage));
    }
}

/// A lock that a panic elsewhere does not take from us.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control for Process {
    fn version(&self) -> String {
        self.version.to_owned()
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn state(&self) -> u8 {
        self.stage.load(Ordering::Relaxed)
    }

    fn config(&self) -> Arc<Value> {
        Arc::clone(&lock(&self.current).raw)
    }

    fn stats(&self, key: Option<&str>) -> Option<String> {
        self.registry.stats_json(&self.exclude, key)
    }

    fn stats_glob(&self) -> String {
        self.registry.stats_glob(&self.exclude)
    }

    fn prometheus(&self) -> String {
        self.registry.prometheus(&self.exclude, self.process_metrics)
    }

    fn log_levels(&self) -> Vec<(String, LogLevel)> {
        vec![(self.log.path(), self.log.level())]
    }

    fn set_log_level(&self, path: &str, level: LogLevel) -> bool {
        let known = self.log.is_named(path);
        if known {
            self.log.set_level(level);
        }
        known
    }

    fn enable_log(&self, path: &str, enabled: bool) -> bool {
        if self.log.is_named(path) {
            self.log.set_enabled(enabled);
            return true;
        }
        self.writer.set_enabled(path, enabled)
    }

    fn features(&self) -> Vec<(String, bool)> {
        self.features.clone()
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn connections(&self) -> Vec<WorkerConnections> {
        let clusters = lock(&self.current).snapshot.clusters.clone();
        let count = self.shared.loads.len();
        let of_worker = |index: usize| {
            let upstream: i64 =
                clusters.iter().map(|c| c.stats().shard(index).connection_active.value()).sum();
            WorkerConnections {
                downstream: u64::from(self.shared.loads[index].load(Ordering::Relaxed)),
                requests: positive(self.shared.stats.shard(index).request_active.value()),
                upstream: positive(upstream),
            }
        };
        (0..count).map(of_worker).collect()
    }

    fn clusters(&self) -> Value {
        let clusters = lock(&self.current).snapshot.clusters.clone();
        let of_cluster = |cluster: &Arc<Cluster>| {
            let endpoints: Vec<Value> = cluster
                .endpoints()
                .endpoints()
                .iter()
                .map(|endpoint| health_of(endpoint))
                .collect();
            let checked = cluster.config().health_check.is_some();
            let value = json!({ "health_check": checked, "endpoints": endpoints });
            (cluster.name().to_owned(), value)
        };
        Value::Object(clusters.iter().map(of_cluster).collect())
    }

    fn reload(&self) -> Change<'_> {
        Box::pin(async { self.reload_now() })
    }

    fn faults(&self) -> Value {
        lock(&self.hooks).faults()
    }

    fn set_faults(&self, text: &str) -> Outcome {
        let config = Arc::clone(&lock(&self.current).config);
        let faults = rosn_config::faults(text, &config).map_err(|diagnostics| Report {
            text: format!("{}nothing was changed", diagnostics.render_text(false)),
            json: json!({ "diagnostics": diagnostics.to_json() }),
        })?;
        let mut hooks = lock(&self.hooks);
        hooks.set_faults(faults);
        tracing::warn!("faults are made on purpose now: {}", hooks.faults());
        Ok(Report { text: format!("{:#}", hooks.faults()), json: hooks.faults() })
    }

    fn stop(&self, graceful: bool) {
        let order = if graceful { Order::Drain } else { Order::Stop };
        let _ = self.orders.send(order);
    }
}

fn health_of(endpoint: &Endpoint) -> Value {
    let faults =
        [(Fault::ActiveCheck, "FAILED_ACTIVE_HC"), (Fault::Outlier, "FAILED_OUTLIER_CHECK")];
    let faults = faults.iter().filter(|(fault, _)| endpoint.has(*fault)).map(|(_, name)| *name);
    json!({
        "address": endpoint.addr().to_string(),
        "hostname": endpoint.hostname(),
        "weight": endpoint.weight(),
        "healthy": endpoint.is_healthy(),
        "faults": faults.collect::<Vec<_>>(),
        "connections": endpoint.active_connections(),
    })
}

fn positive(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
