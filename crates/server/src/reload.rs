//! Puts another configuration into force: the difference, and nothing else.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rosn_admin::{Outcome, Report};
use rosn_cluster::Cluster;
use rosn_config::checked::{self, Config};
use rosn_config::{Diff, Loaded, diff};
use rosn_proxy::Snapshot;
use rosn_worker::{Opened, Workers};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::Load;
use crate::build::Builder;
use crate::health;

/// The configuration in force.
pub(crate) struct Current {
    pub(crate) config: Arc<Config>,
    pub(crate) raw: Arc<Value>,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Files and directories that the configuration is made of.
    pub(crate) sources: Vec<PathBuf>,
    /// Tasks that resolve names and check health, by the cluster's id.
    followers: HashMap<u64, JoinHandle<()>>,
}

impl Current {
    pub(crate) fn new(
        config: Config,
        raw: Value,
        sources: Vec<PathBuf>,
        snapshot: Snapshot,
        builder: &Builder,
    ) -> Self {
        let (config, raw, snapshot) = (Arc::new(config), Arc::new(raw), Arc::new(snapshot));
        let mut current = Self { config, raw, snapshot, sources, followers: HashMap::new() };
        current.follow_clusters(builder);
        current
    }

    /// Resolves the names of all clusters and checks their health, and those of no others. What goes on for a cluster
    /// that has not changed is not disturbed.
    fn follow_clusters(&mut self, builder: &Builder) {
        let clusters = &self.snapshot.clusters;
        self.followers.retain(|id, task| {
            let stays = clusters.iter().any(|cluster| cluster.id() == *id);
            if !stays {
                task.abort();
            }
            stays
        });
        for (cluster, connectors) in clusters.iter().zip(&self.snapshot.connectors) {
            self.followers.entry(cluster.id()).or_insert_with(|| {
                builder.registry.register("upstream", &[("cluster", cluster.name())], cluster);
                let discovery = rosn_cluster::discover(Arc::clone(cluster));
                let checks = health::run(
                    cluster,
                    connectors.as_deref(),
                    builder,
                    self.config.server.log.roller,
                );
                tokio::spawn(async move {
                    tokio::join!(discovery, checks);
                })
            });
        }
    }

    /// Reads the configuration again and puts the difference into force; on any fault, nothing changes.
    pub(crate) fn reload(&mut self, load: &Load, builder: &Builder, workers: &Workers) -> Outcome {
        let Loaded { config, raw, diagnostics, sources } = load();
        // Also where the load failed: the fault may be in a file that was only now included.
        self.sources = sources;
        let Some(config) = config else {
            warn!("the new configuration has errors; the present one stays in force");
            let text = format!(
                "{}the configuration in force was not changed",
                diagnostics.render_text(false)
            );
            return Err(Report { text, json: json!({ "diagnostics": diagnostics.to_json() }) });
        };
        let diff = diff(&self.config, &config);
        match self.apply(config, raw, builder, workers) {
            Ok(()) => {
                info!("reloaded: {}", diff.to_string().replace('\n', "; "));
                let mut text = diagnostics.render_text(false);
                text.push_str(&diff.to_string());
                Ok(Report { text, json: report(&diff) })
            }
            Err(fault) => {
                warn!("the new configuration was not put into force: {fault}");
                let text = format!("{fault}\nthe configuration in force was not changed");
                Err(Report { text, json: json!({ "error": fault }) })
            }
        }
    }

    /// Builds the snapshot of the same configuration again, and puts it into force.
    pub(crate) fn rebuild(&mut self, builder: &Builder, workers: &Workers) -> Result<(), String> {
        let (config, raw) = ((*self.config).clone(), (*self.raw).clone());
        self.apply(config, raw, builder, workers)
    }

    fn apply(
        &mut self,
        config: Config,
        raw: Value,
        builder: &Builder,
        workers: &Workers,
    ) -> Result<(), String> {
        let snapshot =
            builder.build(&config, Some(&self.snapshot)).map_err(|error| error.to_string())?;
        let snapshot = Arc::new(snapshot);
        let gone = self.snapshot.listeners.iter().filter(|old| {
            let new = snapshot.listener(&old.config.name);
            new.is_none_or(|new| !same_socket(&old.config, &new.config))
        });
        let gone: Vec<_> = gone.map(|old| Arc::clone(&old.config)).collect();
        // All that can fail comes before anything is changed.
        let opened = self.open(&snapshot, &gone, workers)?;
        for old in &gone {
            workers.unlisten(&old.name);
        }
        workers.publish(&snapshot);
        for opened in opened {
            workers.listen(opened);
        }
        self.config = Arc::new(config);
        self.raw = Arc::new(raw);
        self.snapshot = snapshot;
        self.follow_clusters(builder);
        Ok(())
    }

    /// Opens the sockets that the new snapshot has and the present one has not.
    fn open(
        &self,
        new: &Snapshot,
        gone: &[Arc<checked::Listener>],
        workers: &Workers,
    ) -> Result<Vec<Opened>, String> {
        let fresh = new.listeners.iter().filter(|listener| {
            let old = self.snapshot.listener(&listener.config.name);
            old.is_none_or(|old| !same_socket(&old.config, &listener.config))
        });
        open_all(fresh.map(|listener| &*listener.config), gone, workers)
    }
}

/// Opens the sockets of these listeners; says all that is in the way. Those that are `gone` may still
/// have a socket on the same port, beside which the new ones open.
pub(crate) fn open_all<'a>(
    listeners: impl Iterator<Item = &'a checked::Listener>,
    gone: &[Arc<checked::Listener>],
    workers: &Workers,
) -> Result<Vec<Opened>, String> {
    let (mut opened, mut faults) = (Vec::new(), Vec::new());
    for listener in listeners {
        let is_heir = gone.iter().any(|old| {
            let key = |listener: &checked::Listener| (listener.network, listener.address.port());
            old.bind && key(old) == key(listener)
        });
        // SO_REUSEPORT would hide another process on the same port.
        if !is_heir && let Err(cause) = rosn_worker::check_free(listener) {
            faults.push(format!("listener `{}`: {cause}", listener.name));
            continue;
        }
        match workers.open(listener) {
            Ok(sockets) => opened.push(sockets),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if faults.is_empty() { Ok(opened) } else { Err(faults.join("\n")) }
}

/// Whether the sockets of the one serve for the other.
fn same_socket(old: &checked::Listener, new: &checked::Listener) -> bool {
    let key = |listener: &checked::Listener| {
        let transparent = listener.original_dst.map(|dst| dst.kind);
        (
            listener.address.clone(),
            listener.localhost,
            listener.network,
            listener.bind,
            listener.reuse_port,
            transparent,
            listener.stream.clone(),
        )
    };
    key(old) == key(new)
}

/// Waits until every name of these clusters was resolved once, or until it has taken too long.
pub(crate) async fn first_resolutions(clusters: &[Arc<Cluster>], limit: std::time::Duration) {
    let deadline = tokio::time::Instant::now() + limit;
    for cluster in clusters {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if !cluster.first_resolution(left).await {
            warn!(
                cluster = cluster.name(),
                "its names are not resolved yet; it starts without endpoints"
            );
        }
    }
}

fn report(diff: &Diff) -> Value {
    let changes = |changes: &rosn_config::Changes| {
        json!({
            "added": changes.added.iter().map(|name| &**name).collect::<Vec<_>>(),
            "removed": changes.removed.iter().map(|name| &**name).collect::<Vec<_>>(),
            "changed": changes.changed.iter()
                .map(|(name, keys)| json!({ "name": &**name, "keys": keys }))
                .collect::<Vec<_>>(),
            "unchanged": changes.unchanged,
        })
    };
    json!({
        "listeners": changes(&diff.listeners),
        "routers": changes(&diff.routers),
        "clusters": changes(&diff.clusters),
        "server": diff.server,
        "restart": diff.restart,
    })
}
