//! Parts of a configuration. Tests add further keys by indexing the values.

use serde_json::{Value, json};

/// A whole configuration of these listeners, routers and clusters.
#[must_use]
pub fn config(listeners: &[Value], routers: &[Value], clusters: &[Value]) -> Value {
    json!({
        // A slow machine may take longer than the default for what is under way.
        "servers": [{ "listeners": listeners, "routers": routers, "graceful_timeout": "100s" }],
        "cluster_manager": { "clusters": clusters },
    })
}

/// A listener of HTTP/1.1 on 127.0.0.1.
#[must_use]
pub fn http_listener(name: &str, port: u16, router: &str) -> Value {
    let proxy = json!({
        "type": "proxy",
        "config": { "downstream_protocol": "Http1", "router_config_name": router },
    });
    listener(name, port, proxy)
}

/// A listener on 127.0.0.1 whose bytes go to a cluster.
#[must_use]
pub fn tcp_listener(name: &str, port: u16, cluster: &str) -> Value {
    listener(name, port, json!({ "type": "tcp_proxy", "config": { "cluster": cluster } }))
}

/// A listener on 127.0.0.1 with one network filter.
#[must_use]
pub fn listener(name: &str, port: u16, filter: Value) -> Value {
    json!({
        "name": name,
        "address": format!("127.0.0.1:{port}"),
        "bind_port": true,
        "filter_chains": [{ "filters": [filter] }],
    })
}

/// A router that sends everything to one cluster.
#[must_use]
pub fn router_to(name: &str, cluster: &str) -> Value {
    router(name, &[route_to("/", cluster)])
}

/// A router with one virtual host for all domains.
#[must_use]
pub fn router(name: &str, routes: &[Value]) -> Value {
    json!({
        "router_config_name": name,
        "virtual_hosts": [{ "name": "all", "domains": ["*"], "routers": routes }],
    })
}

/// A route by prefix to a cluster.
#[must_use]
pub fn route_to(prefix: &str, cluster: &str) -> Value {
    json!({ "match": { "prefix": prefix }, "route": { "cluster_name": cluster } })
}

/// A cluster of hosts on 127.0.0.1, in turn.
#[must_use]
pub fn cluster(name: &str, ports: &[u16]) -> Value {
    let hosts: Vec<Value> =
        ports.iter().map(|port| json!({ "address": format!("127.0.0.1:{port}") })).collect();
    json!({ "name": name, "type": "SIMPLE", "lb_type": "LB_ROUNDROBIN", "hosts": hosts })
}
