//! What an Istio pilot-agent asks of an Envoy, in Envoy's words.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Call;
use crate::control::stage;
use crate::dump::Parts;
use crate::request::{Reply, json_indented, text};

/// `envoy.admin.v3.ServerInfo.State`: its number and name.
fn server_state(state: u8) -> (u8, &'static str) {
    match state {
        stage::NIL..=stage::INITING => (2, "PRE_INITIALIZING"),
        stage::PRE_START..=stage::AFTER_START => (3, "INITIALIZING"),
        stage::RUNNING | stage::STARTING_NEW_SERVER => (0, "LIVE"),
        _ => (1, "DRAINING"),
    }
}

/// The six lines that the agent's readiness probe reads. There is no xDS yet: those counts are 0.
pub(super) fn stats(call: &Call) -> Reply {
    let state = server_state(call.control.state()).0;
    let started = u8::from(state == 0);
    text(
        StatusCode::OK,
        format!(
            "cluster_manager.cds.update_success: 0\n\
             cluster_manager.cds.update_rejected: 0\n\
             listener_manager.lds.update_success: 0\n\
             listener_manager.lds.update_rejected: 0\n\
             server.state: {state}\n\
             listener_manager.workers_started: {started}\n"
        ),
    )
}

pub(super) fn server_info(call: &Call) -> Reply {
    let (_, state) = server_state(call.control.state());
    let info = json!({"version": format!("rosn/{}", call.control.version()), "state": state});
    json_indented(StatusCode::OK, &info)
}

/// `envoy.admin.v3.ConfigDump`, its entries in the form of this process's configuration.
pub(super) fn config_dump(call: &Call) -> Reply {
    let config = call.control.config();
    let parts = Parts::of(&config);
    let bootstrap: Map<String, Value> = ["node", "static_resources", "dynamic_resources", "admin"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), config.get(key)?.clone())))
        .collect();
    let entries = |key: &str, named: &crate::dump::Named<'_>| -> Vec<Value> {
        named.values().map(|entry| json!({ key: entry })).collect()
    };
    let kind = |name: &str| format!("type.googleapis.com/envoy.admin.v3.{name}");
    let dump = json!({"configs": [
        {"@type": kind("BootstrapConfigDump"), "bootstrap": bootstrap},
        {"@type": kind("ClustersConfigDump"), "static_clusters": entries("cluster", &parts.clusters)},
        {"@type": kind("ListenersConfigDump"), "static_listeners": entries("listener", &parts.listeners)},
        {"@type": kind("RoutesConfigDump"), "static_route_configs": entries("route_config", &parts.routers)},
    ]});
    json_indented(StatusCode::OK, &dump)
}
