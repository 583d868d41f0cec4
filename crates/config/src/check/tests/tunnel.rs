//! `tunnel` of routes and of `proxy`.

use super::*;

const PROXY: &str = "/servers/0/listeners/0/filter_chains/0/filters/0/config";

/// The rules of the route and of the listener.
fn rules(value: &Value) -> (TunnelRules, TunnelRules) {
    let config = config(value);
    let Service::Http(proxy) = &config.listeners[0].service else { panic!() };
    let Action::Forward(forward) = &config.routers["main"].virtual_hosts[0].routes[0].action else {
        panic!()
    };
    ((*forward.tunnel).clone(), proxy.tunnel.clone())
}

#[test]
fn values_of_tunnel() {
    for (tunnel, expected) in [
        (json!({}), &[][..]),
        (
            json!({ "upgrade": true, "connect": {}, "idle_timeout": "5m", "max_lifetime": "0s" }),
            &[],
        ),
        (json!({ "upgrade": ["websocket", "HTTP/2.0"] }), &[]),
        (json!({ "upgrade": [] }), &[]),
        (json!({ "upgrade": ["h2c"] }), &["warning no-effect"]),
        (json!({ "upgrade": ["web socket", ""] }), &["error bad-protocol", "error bad-protocol"]),
        (json!({ "upgrade": "websocket" }), &["error wrong-type"]),
        (json!({ "upgrade": ["a", 5] }), &["error wrong-type"]),
        (json!({ "connect": true }), &["error wrong-type"]),
        (json!({ "connect": { "ports": [443, "8000-8999", "80,81"], "upstream": "HTTP" } }), &[]),
        (json!({ "connect": { "ports": ["9-8"] } }), &["error bad-ports"]),
        (json!({ "connect": { "ports": [70000] } }), &["error bad-ports"]),
        (json!({ "connect": { "ports": 443 } }), &["error wrong-type"]),
        (json!({ "connect": { "upstream": "socks" } }), &["error unknown-upstream"]),
        (json!({ "idle_timeout": 5 }), &["error bad-duration"]),
        (json!({ "max_lifetim": "5s" }), &["warning unknown-key"]),
    ] {
        check(ACTION, json!({ "tunnel": tunnel.clone() }), expected);
        check(PROXY, json!({ "tunnel": tunnel }), expected);
    }
}

#[test]
fn a_route_says_otherwise_than_its_listener_key_by_key() {
    let (route, listener) = rules(&base());
    assert!(route.allows_upgrade(&listener, b"anything"));
    assert_eq!(route.connect(&listener), None);
    assert_eq!(route.idle_timeout(&listener), Some(Duration::from_secs(3600)));
    assert_eq!(route.max_lifetime(&listener), None);

    let mut value =
        with(ACTION, json!({ "tunnel": { "upgrade": ["WebSocket"], "idle_timeout": "0s" } }));
    value.pointer_mut(PROXY).unwrap()["tunnel"] =
        json!({ "upgrade": false, "connect": {}, "idle_timeout": "5s", "max_lifetime": "1m" });
    let (route, listener) = rules(&value);
    assert!(route.allows_upgrade(&listener, b"websocket"));
    assert!(!route.allows_upgrade(&listener, b"tcp"));
    assert!(!TunnelRules::default().allows_upgrade(&listener, b"websocket"));
    let connect = route.connect(&listener).unwrap();
    assert!(connect.allows(443) && !connect.allows(80) && connect.upstream == ConnectUpstream::Tcp);
    assert_eq!(route.idle_timeout(&listener), None);
    assert_eq!(route.max_lifetime(&listener), Some(Duration::from_secs(60)));
}

#[test]
fn a_changed_tunnel_is_a_difference() {
    let old = config(&base());
    let route = config(&with(ACTION, json!({ "tunnel": { "upgrade": false } })));
    let listener = config(&with(PROXY, json!({ "tunnel": { "connect": {} } })));
    assert!(!diff(&old, &route).is_empty());
    assert!(!diff(&old, &listener).is_empty());
}
