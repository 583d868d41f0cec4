//! What a reload has to change.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::checked::{Cluster, Config, Listener, Router};

/// What is different between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// By name.
    pub listeners: Changes,
    /// By name.
    pub routers: Changes,
    /// By name.
    pub clusters: Changes,
    /// Keys of the server and beside it that changed and take effect at once.
    pub server: Vec<&'static str>,
    /// Keys that changed, but take effect only when the process is started anew.
    pub restart: Vec<&'static str>,
}

/// What is different in one kind of thing. Names are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Only in the new configuration.
    pub added: Vec<Arc<str>>,
    /// Only in the old configuration.
    pub removed: Vec<Arc<str>>,
    /// In both, with the keys that differ.
    pub changed: Vec<(Arc<str>, Vec<&'static str>)>,
    /// How many are the same in both.
    pub unchanged: usize,
}

/// Compares two configurations.
pub fn diff(old: &Config, new: &Config) -> Diff {
    let by_name = |config: &Config| -> BTreeMap<Arc<str>, Arc<Listener>> {
        config.listeners.iter().map(|l| (l.name.clone(), l.clone())).collect()
    };
    Diff {
        listeners: changes(&by_name(old), &by_name(new), listener_keys),
        routers: changes(&old.routers, &new.routers, router_keys),
        clusters: changes(&old.clusters, &new.clusters, cluster_keys),
        server: live_keys(old, new),
        restart: restart_keys(old, new),
    }
}

impl Diff {
    /// Whether the two configurations are the same.
    pub fn is_empty(&self) -> bool {
        let same = |changes: &Changes| {
            changes.added.is_empty() && changes.removed.is_empty() && changes.changed.is_empty()
        };
        [&self.listeners, &self.routers, &self.clusters].into_iter().all(same)
            && self.server.is_empty()
            && self.restart.is_empty()
    }
}

/// Such as `listeners: 1 added (x), 1 changed (y: address), 3 unchanged`, a line for each kind.
impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changed");
        }
        write!(
            f,
            "listeners: {}\nrouters: {}\nclusters: {}",
            self.listeners, self.routers, self.clusters
        )?;
        if !self.server.is_empty() {
            write!(f, "\nserver: {} changed", self.server.join(", "))?;
        }
        if !self.restart.is_empty() {
            write!(f, "\nneeds a restart: {}", self.restart.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |names: &[Arc<str>]| names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        if !self.added.is_empty() {
            parts.push(format!("{} added ({})", self.added.len(), names(&self.added)));
        }
        if !self.removed.is_empty() {
            parts.push(format!("{} removed ({})", self.removed.len(), names(&self.removed)));
        }
        if !self.changed.is_empty() {
            let each =
                self.changed.iter().map(|(name, keys)| format!("{name}: {}", keys.join(", ")));
            let each = each.collect::<Vec<_>>().join("; ");
            parts.push(format!("{} changed ({each})", self.changed.len()));
        }
        parts.push(format!("{} unchanged", self.unchanged));
        f.write_str(&parts.join(", "))
    }
}

fn changes<T: PartialEq>(
    old: &BTreeMap<Arc<str>, Arc<T>>,
    new: &BTreeMap<Arc<str>, Arc<T>>,
    keys: impl Fn(&T, &T) -> Vec<&'static str>,
) -> Changes {
    let mut all = Changes::default();
    for (name, after) in new {
        match old.get(name) {
            None => all.added.push(name.clone()),
            Some(before) if Arc::ptr_eq(before, after) || before == after => all.unchanged += 1,
            Some(before) => all.changed.push((name.clone(), keys(before, after))),
        }
    }
    all.removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
    all
}

/// The names, of those given, whose values differ.
macro_rules! differing {
    ($old:ident, $new:ident; $($name:literal: $($field:ident).+),+ $(,)?) => {{
        let mut keys = Vec::new();
        $(
            if $old.$($field).+ != $new.$($field).+ {
                keys.push($name);
            }
        )+
        keys.dedup();
        keys
    }};
}

fn listener_keys(old: &Listener, new: &Listener) -> Vec<&'static str> {
    differing!(old, new;
        "address": address,
        "address": localhost,
        "network": network,
        "bind_port": bind,
        "reuseport": reuse_port,
        "use_original_dst": original_dst,
        "type": direction,
        "access_logs": access_logs,
        "connection_idle_timeout": idle_timeout,
        "max_connections": max_connections,
        "stream_settings": stream,
        "inspector": inspector,
        "listener_filters": reads_hello,
        "filter_chains": tls,
        "filter_chains": service,
    )
}

fn router_keys(old: &Router, new: &Router) -> Vec<&'static str> {
    differing!(old, new; "headers": edits, "virtual_hosts": virtual_hosts)
}

fn cluster_keys(old: &Cluster, new: &Cluster) -> Vec<&'static str> {
    differing!(old, new;
        "hosts": hosts,
        "type": discovery,
        "lb_type": balancer,
        "lbconfig": balancing,
        "slow_start": slow_start,
        "lb_subset_config": subsets,
        "max_request_per_conn": max_requests_per_connection,
        "conn_buffer_limit_bytes": buffer_limit,
        "mark": mark,
        "circuit_breakers": breakers,
        "connect_timeout": connect_timeout,
        "idle_timeout": idle_timeout,
        "panic_threshold": panic_threshold,
        "health_check": health_check,
        "stream_settings": stream,
        "http2": http2,
        "tls_context": tls,
        "tls_context": inactive,
    )
}

fn live_keys(old: &Config, new: &Config) -> Vec<&'static str> {
    differing!(old, new;
        "mosn_server_name": server.name,
        "graceful_timeout": server.graceful_timeout,
        "limits": server.limits,
        "default_log_path": server.log.target,
        "default_log_level": server.log.level,
        "global_log_roller": server.log.roller,
        "admin": admin,
        "metrics": metrics,
    )
}

fn restart_keys(old: &Config, new: &Config) -> Vec<&'static str> {
    differing!(old, new;
        "processor": server.workers,
        "accept": server.accept,
        "pid": server.pid_file,
        "uds_dir": server.socket_dir,
        "sockets": sockets,
    )
}
