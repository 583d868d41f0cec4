mod tls;
mod tunnel;

use std::time::Duration;

use serde_json::{Value, json};

use crate::checked::*;
use crate::{Diagnostics, Format, LoadOptions, Loaded, Severity, diff, load_text};

/// A configuration with one of everything.
fn base() -> Value {
    json!({
        "servers": [{
            "routers": [{ "router_config_name": "main", "virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routers": [{ "match": { "prefix": "/" }, "route": { "cluster_name": "backend" } }]
            }]}],
            "listeners": [{
                "name": "in", "address": "127.0.0.1:2045", "bind_port": true,
                "filter_chains": [{ "filters": [{ "type": "proxy", "config": {
                    "downstream_protocol": "Http1", "router_config_name": "main" } }] }]
            }]
        }],
        "cluster_manager": { "clusters": [{ "name": "backend", "hosts": [{ "address": "127.0.0.1:8080" }] }] }
    })
}

const LISTENER: &str = "/servers/0/listeners/0";
const CHAIN: &str = "/servers/0/listeners/0/filter_chains/0";
const FILTER: &str = "/servers/0/listeners/0/filter_chains/0/filters/0";
const ROUTER: &str = "/servers/0/routers/0";
const HOST: &str = "/servers/0/routers/0/virtual_hosts/0";
const ROUTE: &str = "/servers/0/routers/0/virtual_hosts/0/routers/0";
const ACTION: &str = "/servers/0/routers/0/virtual_hosts/0/routers/0/route";
const CLUSTER: &str = "/cluster_manager/clusters/0";

/// The base with the keys of `change` at a pointer.
fn with(pointer: &str, change: Value) -> Value {
    let mut value = base();
    let target = value.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    for (key, new) in change.as_object().unwrap() {
        target.insert(key.clone(), new.clone());
    }
    value
}

fn load(value: &Value) -> Loaded {
    let resolve = |host: &str, port| match host {
        "known" => Ok(std::net::SocketAddr::from(([10, 0, 0, 1], port))),
        _ => Err(std::io::Error::other("no such host")),
    };
    let text = serde_json::to_string_pretty(value).unwrap();
    load_text("f.json", &text, Format::Json, &LoadOptions { resolve, ..LoadOptions::default() })
}

fn config(value: &Value) -> Config {
    let loaded = load(value);
    loaded.config.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render_text(false)))
}

/// `severity code` of each finding.
fn found(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics.iter().map(|d| format!("{} {}", d.severity, d.code)).collect()
}

fn check(pointer: &str, change: Value, expected: &[&str]) {
    let loaded = load(&with(pointer, change.clone()));
    let shown = loaded.diagnostics.render_text(false);
    assert_eq!(found(&loaded.diagnostics), expected, "{change}\n{shown}");
}

#[test]
fn the_base_has_no_fault() {
    let loaded = load(&base());
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics.render_text(false));
    let config = loaded.config.unwrap();
    let listener = &config.listeners[0];
    assert!(listener.bind && listener.access_logs.is_empty());
    let Service::Http(proxy) = &listener.service else { panic!() };
    assert_eq!((proxy.protocols.as_slice(), &*proxy.router), (&[Protocol::Http1][..], "main"));
    let route = &config.routers["main"].virtual_hosts[0].routes[0];
    assert_eq!(route.matcher.kind, MatchKind::Prefix("/".into()));
    let Action::Forward(forward) = &route.action else { panic!() };
    assert_eq!(forward.target, Target::Cluster("backend".into()));
    assert_eq!(forward.timeout, Some(Duration::from_secs(60)));
    let cluster = &config.clusters["backend"];
    assert_eq!(cluster.max_requests_per_connection.unwrap().get(), 1024);
    assert_eq!((cluster.panic_threshold, cluster.connect_timeout), (50, Duration::from_secs(10)));
}

#[test]
fn listeners() {
    for (change, expected) in [
        (json!({"address": null}), &["error missing-key"][..]),
        (json!({"address": 5}), &["error wrong-type"]),
        (json!({"address": "127.0.0.1"}), &["error bad-address"]),
        (json!({"address": "127.0.0.1:99999"}), &["error bad-address"]),
        (json!({"address": "known:80"}), &[]),
        (json!({"address": "unknown:80"}), &["error bad-address"]),
        (json!({"address": "/tmp/a.sock", "network": "unix"}), &[]),
        (json!({"network": "tpc"}), &["error unknown-network"]),
        (json!({"network": "udp"}), &["error wrong-network"]),
        (json!({"bind_port": false}), &["warning virtual-listener"]),
        (
            json!({"bind_port": false, "use_original_dst": "redirekt"}),
            &["warning virtual-listener", "error unknown-original-dst"],
        ),
        (json!({"filter_chains": []}), &["error filter-chains"]),
        (json!({"filter_chains": [{"filters": []}]}), &["error nothing-serves"]),
        (
            json!({"filter_chains": [{"filters": [{"type": "foo"}]}]}),
            &["error nothing-serves", "warning unknown-network-filter"],
        ),
        (
            json!({"listener_filters": [{"type": "orignal_dst"}]}),
            &["warning unknown-listener-filter"],
        ),
        (json!({"stream_filters": [{"type": "grpc_metric"}]}), &[]),
        (json!({"stream_filters": [{"type": "healthcheck"}]}), &["warning unknown-stream-filter"]),
        (json!({"stream_filters": [{"type": "gizp"}]}), &["error unknown-stream-filter"]),
        (
            json!({"stream_filters": [{"type": "fault", "config": {"x": 1}}]}),
            &["notice not-yet-active"],
        ),
        (json!({"access_logs": [{"log_format": "%satrt_time%"}]}), &["warning unknown-variable"]),
        (json!({"access_logs": [{}]}), &[]),
    ] {
        check(LISTENER, change, expected);
    }
}

#[test]
fn what_protects_is_never_left_out() {
    for (pointer, change) in [
        (CHAIN, json!({"tls_context": {"status": true, "sds_source": {}}})),
        (CHAIN, json!({"tls_context_set": [{}, {"status": true, "sds_source": {}}]})),
        (LISTENER, json!({"stream_filters": [{"type": "jwt_authn"}]})),
        (LISTENER, json!({"stream_filters": [{"type": "ip_access"}]})),
        (LISTENER, json!({"stream_filters": [{"type": "envoy.filters.http.rbac"}]})),
        (
            LISTENER,
            json!({"stream_filters": [{"type": "jwt_authn", "go_plugin_config": {"so_path": "x"}}]}),
        ),
    ] {
        let loaded = load(&with(pointer, change));
        assert!(
            loaded.diagnostics.iter().any(|d| d.message.contains("this listener is not started"))
        );
        assert!(matches!(loaded.config.unwrap().listeners[0].service, Service::Inactive(_)));
    }
    for change in [
        json!({"tls_context": {}}),
        json!({"tls_context": {"status": false, "min_version": "TLSv1_0"}}),
    ] {
        check(CHAIN, change, &[]);
    }
    let upstream = with(CLUSTER, json!({"tls_context": {"status": true, "sds_source": {}}}));
    assert!(config(&upstream).clusters["backend"].inactive.is_some());
    let mut shared = with(CLUSTER, json!({"cluster_manager_tls": true}));
    shared["cluster_manager"]["tls_context"] = json!({"status": true, "sds_source": {}});
    assert!(config(&shared).clusters["backend"].inactive.is_some());
}

#[test]
fn protocols() {
    for (change, expected) in [
        (
            json!({"downstream_protocol": "http1", "router_config_name": "main"}),
            &["error unknown-protocol"][..],
        ),
        (json!({"router_config_name": "main"}), &["error missing-key"]),
        (json!({"downstream_protocol": "X", "router_config_name": "main"}), &["error missing-key"]),
        (
            json!({"downstream_protocol": "Auto", "router_config_name": "main"}),
            &["notice not-yet-active"],
        ),
        (json!({"downstream_protocol": "Http1,Http2", "router_config_name": "main"}), &[]),
        (
            json!({"downstream_protocol": "X", "extend_config": {"sub_protocol": "bolt"}, "router_config_name": "main"}),
            &["notice not-yet-active"],
        ),
        (
            json!({"downstream_protocol": "Http1", "router_config_name": "mian"}),
            &["error unknown-router"],
        ),
        (json!({"downstream_protocol": "Http1"}), &["error missing-key"]),
        (
            json!({"downstream_protocol": "Http1", "router_config_name": "main", "server_timing": "yes"}),
            &["error wrong-type"],
        ),
    ] {
        check(FILTER, json!({ "config": change }), expected);
    }
    let limits = json!({"downstream_protocol": "Http1", "router_config_name": "main",
        "extend_config": {"max_header_size": 1000, "Http1": {"max_request_body_size": 5}}});
    let limited = config(&with(FILTER, json!({ "config": limits })));
    let Service::Http(proxy) = &limited.listeners[0].service else { panic!() };
    assert_eq!((proxy.max_head_bytes, proxy.max_body_bytes), (Some(1000), Some(5)));
    assert_eq!(proxy.server_timing, ServerTiming::Off);
    for (written, checked) in [
        (json!(true), ServerTiming::On),
        (json!(false), ServerTiming::Off),
        (json!("on_request"), ServerTiming::OnRequest),
    ] {
        let filter = json!({"downstream_protocol": "Http1", "router_config_name": "main", "server_timing": written});
        let timed = config(&with(FILTER, json!({ "config": filter })));
        let Service::Http(proxy) = &timed.listeners[0].service else { panic!() };
        assert_eq!(proxy.server_timing, checked);
    }
}

/// A browser got `h2` from a listener of HTTP/1.1, as v2ray's default offers it.
#[test]
fn a_proxy_agrees_on_the_protocol_that_it_speaks() {
    let pem = |kind: &str| {
        let lines =
            [format!("-----BEGIN {kind}-----"), "AA==".into(), format!("-----END {kind}-----")];
        json!(lines)
    };
    let certificate = json!({ "certificate": pem("CERTIFICATE"), "key": pem("EC PRIVATE KEY") });
    let alpn = |network: &str, mut tls: Value| {
        tls["certificates"] = json!([certificate]);
        let stream = json!({ "network": network, "security": "tls", "tlsSettings": tls });
        let config = config(&with(LISTENER, json!({ "stream_settings": stream })));
        config.listeners[0].stream.as_ref().unwrap().tls.as_ref().unwrap().alpn.clone()
    };
    assert_eq!(alpn("tcp", json!({})), ["http/1.1"]);
    assert_eq!(alpn("tcp", json!({ "alpn": ["h2"] })), ["h2"], "what is written wins");
    assert_eq!(alpn("http", json!({})), [""; 0], "HTTP/2 carries it");
}

#[test]
fn stream_proxies() {
    for (change, expected) in [
        (json!({}), &["error missing-key"][..]),
        (json!({"cluster": "bakcend"}), &["error unknown-cluster"]),
        (
            json!({"routes": [{"cluster": "backend", "source_addrs": ["10.0.0.0/33"]}]}),
            &["error bad-range"],
        ),
        (json!({"routes": [{"cluster": "backend", "SourcePort": "90-80"}]}), &["error bad-ports"]),
        (json!({"cluster": "backend", "idle_timeout": -1}), &["error out-of-range"]),
    ] {
        check(FILTER, json!({ "type": "tcp_proxy", "config": change }), expected);
    }
    let change = json!({"routes": [{"cluster": "backend", "sourceaddrs": [{"Address": "10.0.0.0", "Length": 8}],
        "DestinationPort": "80,90-99"}], "idle_timeout": 1_500_000_000});
    let config = config(&with(FILTER, json!({ "type": "tcp_proxy", "config": change })));
    let Service::Tcp(proxy) = &config.listeners[0].service else { panic!() };
    assert_eq!(proxy.idle_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(proxy.routes[0].sources[0].prefix, 8);
    assert_eq!(proxy.routes[0].destination_ports, [(80, 80), (90, 99)]);
    assert_eq!(proxy.max_connect_attempts, 3);
}

#[test]
fn routes() {
    for (change, expected) in [
        (json!({"match": null}), &["warning missing-match"][..]),
        (json!({"route": null}), &["error missing-key"]),
        (json!({"match": {"regex": "("}}), &["error bad-regex"]),
        (json!({"match": {"regex": "a(?=b)"}}), &["error bad-regex"]),
        (json!({"match": {"path": "foo"}}), &["warning bad-path"]),
        (
            json!({"match": {"headers": [{"name": "a", "value": "[", "regex": true}]}}),
            &["error bad-regex"],
        ),
        (json!({"match": {"headers": [{"value": "a"}]}}), &["error missing-key"]),
        (
            json!({"match": {"variables": [{"name": "protocoll", "value": "a"}]}}),
            &["error unknown-variable"],
        ),
        (
            json!({"match": {"dsl_expressions": [{"expression": "true"}]}}),
            &["notice not-yet-active"],
        ),
        (json!({"redirect": {"response_code": 200, "path_redirect": "/"}}), &["error bad-status"]),
        (json!({"redirect": {}}), &["warning endless-redirect"]),
        (json!({"direct_response": {"status": 99}}), &["error bad-status"]),
        (json!({"direct_response": {"status": 200}}), &[]),
        (
            json!({"request_mirror_policies": {"cluster": "backend", "percent": 5}}),
            &["notice not-yet-active"],
        ),
    ] {
        check(ROUTE, change, expected);
    }
}

#[test]
fn actions() {
    for (change, expected) in [
        (json!({"cluster_name": "nothing"}), &["error unknown-cluster"][..]),
        (json!({"cluster_name": null}), &["error missing-key"]),
        (json!({"cluster_name": null, "cluster_header": "x-cluster"}), &[]),
        (json!({"cluster_name": null, "cluster_variable": "x-mosn-path"}), &[]),
        (
            json!({"weighted_clusters": [{"cluster": {"name": "backend", "weight": 0}}]}),
            &["error bad-weights"],
        ),
        (
            json!({"weighted_clusters": [{"cluster": {"name": "backend", "weight": 4294967295u32}}, {"cluster": {"name": "backend", "weight": 1}}]}),
            &["error bad-weights"],
        ),
        (json!({"retry_policy": {"retry_on": true, "status_codes": [5]}}), &["error bad-status"]),
        (
            json!({"retry_policy": {"retry_on": true, "grpc_status_codes": ["ok", 17, "unavailble"]}}),
            &["error bad-grpc-status", "error bad-grpc-status", "error bad-grpc-status"],
        ),
        (
            json!({"retry_policy": {"retry_on": true,
                "grpc_status_codes": ["unavailable", "RESOURCE_EXHAUSTED", 1]}}),
            &[],
        ),
        (
            json!({"regex_rewrite": {"pattern": {"regex": "^/(a)"}, "substitution": "/\\2"}}),
            &["error bad-substitution"],
        ),
        (json!({"prefix_rewrite": "/a b"}), &["error bad-rewrite"]),
        (json!({"upstream_protocol": "Http3"}), &["error unknown-protocol"]),
        (json!({"upstream_protocol": "Http2"}), &[]),
        (json!({"upstream_protocol": "bolt"}), &["notice not-yet-active"]),
        (json!({"hash_policy": [{}]}), &["error missing-key"]),
        (json!({"hash_policy": [{"source_ip": {}}, {"source_ip": {}}]}), &["warning no-effect"]),
        (
            json!({"request_headers_to_add": [{"header": {"key": "a b", "value": "c"}}]}),
            &["error bad-header-name"],
        ),
        (
            json!({"request_headers_to_add": [{"header": {"key": "a", "value": "b\r\nc: d"}}]}),
            &["error bad-header-value"],
        ),
        (json!({"response_headers_to_remove": ["Content-Length"]}), &["error framing-header"]),
        (json!({"request_headers_to_add": [{"header": {"key": "a", "value": "b%20c%20"}}]}), &[]),
        (
            json!({"request_headers_to_add": [{"header": {"key": "a", "value": "%start_tmie%"}}]}),
            &["warning unknown-variable"],
        ),
    ] {
        check(ACTION, change, expected);
    }
    let config = config(&with(
        ACTION,
        json!({"timeout": "0s", "retry_policy": {"retry_on": true, "num_retries": 0}}),
    ));
    let Action::Forward(forward) = &config.routers["main"].virtual_hosts[0].routes[0].action else {
        panic!()
    };
    assert_eq!(forward.timeout, None);
    assert_eq!(forward.retry.as_ref().unwrap().count, 0);
}

#[test]
fn virtual_hosts() {
    for (change, expected) in [
        (json!({"domains": ["a", "A"]}), &["error duplicate-domain"][..]),
        (json!({"domains": ["a", "a:*"]}), &["error duplicate-domain"]),
        (json!({"domains": ["a", "a:80", "*.a", "*"]}), &[]),
        (json!({"domains": []}), &["warning no-domains"]),
        (json!({"domains": ["a.*"]}), &["warning bad-domain"]),
        (json!({"domains": ["http://a"]}), &["warning bad-domain"]),
        (json!({"require_tls": "ALL"}), &[]),
        (json!({"require_tls": "SOME"}), &["error require-tls"]),
        (
            json!({"routers": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}},
            {"match": {"prefix": "/a"}, "direct_response": {"status": 200}}]}),
            &["warning unreachable-route"],
        ),
    ] {
        check(HOST, change, expected);
    }
    check(ROUTER, json!({"virtual_hosts": []}), &["warning no-virtual-hosts"]);
}

fn http_check(config: Value) -> Value {
    json!({"health_check": {"protocol": "Http1", "check_config": {"http_check_config": config}}})
}

#[test]
fn clusters() {
    for (change, expected) in [
        (json!({"hosts": []}), &["warning no-hosts"][..]),
        (json!({"hosts": [{"address": "1.2.3"}]}), &["error bad-address"]),
        (json!({"hosts": [{"address": "a:80", "weight": 200}]}), &["warning out-of-range"]),
        (json!({"lb_type": "LB_RADNOM"}), &["warning unknown-balancer"]),
        (json!({"type": "SIMPEL"}), &["warning unknown-cluster-type"]),
        (json!({"lb_type": "LB_MAGLEV"}), &["warning maglev-without-hash"]),
        (json!({"health_check": {}}), &[]),
        (json!({"health_check": {"protocol": "SofaRpc", "healthy_threshold": 0}}), &[]),
        (json!({"health_check": {"protocol": "Http1"}}), &["warning no-effect"]),
        (json!({"health_check": {"protocol": "http1"}}), &["warning unknown-check-protocol"]),
        (json!({"health_check": {"interval": "1us"}}), &["warning out-of-range"]),
        (http_check(json!({"path": "health?deep", "codes": [{"Start": 200, "End": 299}]})), &[]),
        (http_check(json!({"port": 70000})), &["error out-of-range"]),
        (http_check(json!({"method": "GET /x"})), &["error bad-method"]),
        (http_check(json!({"path": "/a b"})), &["error bad-path"]),
        (http_check(json!({"domain": "a\r\nb: c"})), &["error bad-value"]),
        (http_check(json!({"scheme": "ftp"})), &["warning unknown-scheme"]),
        (http_check(json!({"codes": [{"Start": 300, "End": 200}]})), &["warning no-effect"]),
        (
            json!({"health_check": {"protocol": "Grpc", "check_config":
                {"grpc_check_config": {"authority": "a b"}}}}),
            &["error bad-value"],
        ),
        (
            json!({"slow_start": {"mode": "duration", "slow_start_duration": "10s", "min_weight_percent": 10}}),
            &["error out-of-range"],
        ),
        (json!({"panic_threshold": 101}), &["error out-of-range"]),
        (
            json!({"type": "STRICT_DNS", "dns_resolvers": {"servers": ["dns.example"]}}),
            &["error bad-address"],
        ),
        (json!({"type": "ORIGINAL_DST", "hosts": []}), &[]),
    ] {
        let loaded = load(&with(CLUSTER, change.clone()));
        assert_eq!(
            found(&loaded.diagnostics),
            expected,
            "{change}\n{}",
            loaded.diagnostics.render_text(false)
        );
    }
}

#[test]
fn addresses_are_claimed_once() {
    let listener = |name: &str, address: &str| {
        let mut listener = base().pointer(LISTENER).unwrap().clone();
        listener["name"] = name.into();
        listener["address"] = address.into();
        listener
    };
    for (second, expected) in [
        (listener("in", "127.0.0.1:1"), &["error duplicate-listener"][..]),
        (listener("other", "127.0.0.1:2045"), &["error duplicate-address"]),
        (listener("other", ":2045"), &["warning overlapping-address"]),
        (listener("other", "[::]:2045"), &["warning overlapping-address"]),
        (listener("other", "127.0.0.2:2045"), &[]),
    ] {
        let mut value = base();
        value["servers"][0]["listeners"].as_array_mut().unwrap().push(second);
        let loaded = load(&value);
        assert_eq!(
            found(&loaded.diagnostics),
            expected,
            "{}",
            loaded.diagnostics.render_text(false)
        );
    }
    let mut value = base();
    value["admin"] =
        json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": 2045}}});
    assert_eq!(found(&load(&value).diagnostics), ["error duplicate-address"]);
}

#[test]
fn the_old_way_to_write_a_router() {
    let router = |cluster: &str| {
        json!({"router_config_name": "main", "virtual_hosts": [{"domains": ["*"], "routers": [
        {"match": {"prefix": "/"}, "route": {"cluster_name": cluster}}]}]})
    };
    let mut value = base();
    let filters = value.pointer_mut(CHAIN).unwrap()["filters"].as_array_mut().unwrap();
    filters.push(json!({"type": "connection_manager", "config": router("backend")}));
    // Both: `routers` wins.
    let loaded = load(&value);
    assert_eq!(found(&loaded.diagnostics), ["warning duplicate-router"]);
    assert_eq!(loaded.config.unwrap().routers["main"].virtual_hosts[0].name, "all");
    // Only the old one.
    value["servers"][0]["routers"] = Value::Null;
    let loaded = load(&value);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.diagnostics.render_text(false));
    assert_eq!(loaded.config.unwrap().routers["main"].virtual_hosts[0].name, "");
    // A fault in it has its place.
    value.pointer_mut(CHAIN).unwrap()["filters"][1]["config"] = router("nothing");
    let loaded = load(&value);
    let path = &loaded.diagnostics.iter().next().unwrap().path;
    assert_eq!(
        path,
        "servers[0].listeners[0].filter_chains[0].filters[1].config.virtual_hosts[0].routers[0].route.cluster_name"
    );
}

#[test]
fn servers_admin_and_metrics() {
    let server = |change: Value| with("/servers/0", change);
    for (value, expected) in [
        (json!({}), &["error missing-server"][..]),
        (json!({"servers": []}), &["error missing-server"]),
        (json!({"servers": [{}, {}]}), &["error many-servers"]),
        (
            json!({"static_resources": {"a": 1}, "dynamic_resources": {"a": 1}}),
            &["notice not-yet-active", "notice not-yet-active"],
        ),
        (server(json!({"global_log_roller": "time=x"})), &["error bad-roller"]),
        (server(json!({"global_log_roller": "time=1 size=100 age=7 keep=10 compress=on"})), &[]),
        (server(json!({"default_log_level": "LOUD"})), &["warning unknown-log-level"]),
        (server(json!({"accept": "balancd"})), &["error unknown-accept"]),
        (
            with(
                "",
                json!({"admin": {"address": {"socket_address": {"address": "0.0.0.0", "port_value": "34901"}}}}),
            ),
            &["warning open-admin", "warning quoted-number"],
        ),
        (with("", json!({"admin": {}})), &["error missing-key"]),
        (
            with(
                "",
                json!({"admin": {"token": "t", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 34901}}}}),
            ),
            &[],
        ),
        (
            with("", json!({"metrics": {"sinks": [{"type": "prometheus", "config": {}}]}})),
            &["error missing-key"],
        ),
        (
            with("", json!({"metrics": {"sinks": [{"type": "prometeus"}]}})),
            &["warning unknown-sink"],
        ),
        (with("", json!({"extends": [{"type": "tunnel_agnet"}]})), &["warning unknown-extension"]),
        (
            with("", json!({"tracing": {"enable": true, "driver": "zipkin"}})),
            &["notice not-yet-active", "warning unknown-tracing-driver"],
        ),
    ] {
        let loaded = load(&value);
        assert_eq!(
            found(&loaded.diagnostics),
            expected,
            "{value}\n{}",
            loaded.diagnostics.render_text(false)
        );
    }
}

#[test]
fn a_diff_names_what_changed() {
    let old = config(&base());
    assert!(diff(&old, &config(&base())).is_empty());
    let mut value = with(LISTENER, json!({"address": "127.0.0.1:2046"}));
    value["servers"][0]["processor"] = 3.into();
    value["servers"][0]["default_log_level"] = "DEBUG".into();
    value["cluster_manager"]["clusters"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "x", "hosts": [{"address": "a:1"}]}));
    let changes = diff(&old, &config(&value));
    assert_eq!(
        changes.to_string(),
        "listeners: 1 changed (in: address), 0 unchanged\n\
         routers: 1 unchanged\n\
         clusters: 1 added (x), 1 unchanged\n\
         server: default_log_level changed\n\
         needs a restart: processor"
    );
    let back = diff(&config(&value), &old);
    assert_eq!(back.clusters.removed, ["x".into()]);
    assert_eq!(diff(&old, &old).to_string(), "nothing changed");
}

#[test]
fn severities_sort_by_weight() {
    assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Notice);
}
