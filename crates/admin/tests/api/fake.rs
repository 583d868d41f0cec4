//! A made-up process.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use rosn_admin::{Change, Control, Outcome, Report, WorkerConnections, stage};
use rosn_config::checked::LogLevel;
use serde_json::{Value, json};

pub(crate) struct Fake {
    pub(crate) state: AtomicU8,
    pub(crate) level: Mutex<LogLevel>,
    pub(crate) enabled: Mutex<bool>,
    pub(crate) stops: Mutex<Vec<bool>>,
    pub(crate) reload_fails: Mutex<bool>,
    pub(crate) faults: Mutex<Value>,
    pub(crate) reloads: AtomicUsize,
    /// A reload waits for this.
    pub(crate) gate: tokio::sync::Semaphore,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            state: AtomicU8::new(stage::RUNNING),
            level: Mutex::default(),
            enabled: Mutex::new(true),
            stops: Mutex::default(),
            reload_fails: Mutex::default(),
            faults: Mutex::new(json!([])),
            reloads: AtomicUsize::new(0),
            gate: tokio::sync::Semaphore::new(1),
        }
    }
}

pub(crate) const LOG: &str = "/var/log/mosn.log";

impl Control for Fake {
    fn version(&self) -> String {
        "0.1.0".into()
    }

    fn pid(&self) -> u32 {
        4711
    }

    fn state(&self) -> u8 {
        self.state.load(SeqCst)
    }

    fn config(&self) -> Arc<Value> {
        Arc::new(json!({
            "servers": [{
                "default_log_path": "stdout",
                "listeners": [{"name": "in", "address": "127.0.0.1:2045"}],
                "routers": [{"router_config_name": "r", "virtual_hosts": []}],
            }],
            "cluster_manager": {"clusters": [{"name": "up", "type": "SIMPLE"}]},
            "admin": {"token": "***REDACTED***"},
        }))
    }

    fn stats(&self, key: Option<&str>) -> Option<String> {
        let stats = json!({"downstream": {"listener.in": {"request_total": "3"}}});
        key.is_none_or(|key| key == "downstream").then(|| stats.to_string())
    }

    fn stats_glob(&self) -> String {
        "request_total:3\n".into()
    }

    fn prometheus(&self) -> String {
        "# TYPE downstream_request_total counter\ndownstream_request_total 3\n".into()
    }

    fn log_levels(&self) -> Vec<(String, LogLevel)> {
        vec![(LOG.into(), *self.level.lock().unwrap())]
    }

    fn set_log_level(&self, path: &str, level: LogLevel) -> bool {
        let known = path.is_empty() || path == LOG;
        if known {
            *self.level.lock().unwrap() = level;
        }
        known
    }

    fn enable_log(&self, path: &str, enabled: bool) -> bool {
        let known = path.is_empty() || path == LOG;
        if known {
            *self.enabled.lock().unwrap() = enabled;
        }
        known
    }

    fn features(&self) -> Vec<(String, bool)> {
        vec![("auto_config".into(), true), ("MultiTenantMode".into(), false)]
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".into())
    }

    fn connections(&self) -> Vec<WorkerConnections> {
        let worker = WorkerConnections { downstream: 2, requests: 1, upstream: 4 };
        vec![worker, worker]
    }

    fn clusters(&self) -> Value {
        json!({ "app": { "health_check": true, "endpoints": [] } })
    }

    fn reload(&self) -> Change<'_> {
        Box::pin(async {
            let _open = self.gate.acquire().await.unwrap();
            let fails = *self.reload_fails.lock().unwrap();
            self.reloads.fetch_add(1, SeqCst);
            let report = |text: &str, ok| Report { text: text.into(), json: json!({"ok": ok}) };
            if fails {
                Err(report("error[unknown-key]: no\n", false))
            } else {
                Ok(report("listeners: 1 added (x)", true))
            }
        })
    }

    fn faults(&self) -> Value {
        self.faults.lock().unwrap().clone()
    }

    fn set_faults(&self, text: &str) -> Outcome {
        let faults: Value = serde_json::from_str(text)
            .map_err(|error| Report { text: error.to_string(), json: json!({}) })?;
        *self.faults.lock().unwrap() = faults.clone();
        Ok(Report { text: faults.to_string(), json: faults })
    }

    fn stop(&self, graceful: bool) {
        self.stops.lock().unwrap().push(graceful);
    }
}
