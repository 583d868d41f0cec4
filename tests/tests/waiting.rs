//! `max_connections` and `max_pending_requests`: who waits, who is turned away, and who gets what is freed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router, router_to};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

/// A cluster of one connection at most, and this many requests that wait for it.
fn narrow(ports: &[u16], pending: u32) -> Value {
    let mut narrow = cluster("narrow", ports);
    narrow["circuit_breakers"] = json!([{ "max_connections": 1, "max_pending_requests": pending }]);
    narrow
}

fn start(narrow: &Value, workers: &str) -> (Rosn, u16) {
    let port = free_port();
    let listener = http_listener("in", port, "r");
    let config = config(&[listener], &[router_to("r", "narrow")], std::slice::from_ref(narrow));
    (Rosn::start_with(&config, &["--workers", workers]), port)
}

/// Answers `/held` when it is told to, or when the sender is gone, and `/slow` after a while.
fn origin() -> (Origin, Sender<()>) {
    let (release, held) = mpsc::channel();
    let held = Mutex::new(held);
    let origin = Origin::http(move |request| {
        if request.target.starts_with("/held") {
            let _ = held.lock().unwrap().recv();
        } else if request.target.starts_with("/slow") {
            thread::sleep(Duration::from_millis(50));
        }
        ok(&request.target)
    });
    (origin, release)
}

#[test]
fn requests_wait_their_turn_on_one_connection() {
    let (origin, _release) = origin();
    let (rosn, port) = start(&narrow(&[origin.port()], 8), "1");
    let clients: Vec<_> = (0..5)
        .map(|number| {
            let target = format!("/slow/{number}");
            thread::spawn(move || {
                let response = Client::connect(port).get(&target);
                assert_eq!((response.status, response.text()), (200, target));
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(origin.connections(), 1, "it was handed on");
    rosn.settled();
}

#[test]
fn without_max_pending_requests_nobody_waits() {
    let (origin, release) = origin();
    let (rosn, port) = start(&narrow(&[origin.port()], 0), "1");
    let held = thread::spawn(move || Client::connect(port).get("/held").status);
    wait_until("the first request is under way", || origin.requests() == 1);
    let refused = Client::connect(port).get("/");
    assert_eq!(refused.status, 503, "{}", refused.text());
    release.send(()).unwrap();
    assert_eq!(held.join().unwrap(), 200);
    let overflow = rosn.metric("upstream_request_pending_overflow", &[("cluster", "narrow")]);
    assert_eq!(overflow, 1.0);
    rosn.settled();
}

#[test]
fn as_many_wait_as_may_and_not_longer_than_their_time() {
    let (origin, release) = origin();
    let (rosn, port) = start(&narrow(&[origin.port()], 1), "1");
    let held = thread::spawn(move || Client::connect(port).get("/held").status);
    wait_until("the first request is under way", || origin.requests() == 1);
    let others: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(move || {
                let timeout = [("x-mosn-global-timeout", "2000")];
                Client::connect(port).request("GET", "/other", &timeout, b"").status
            })
        })
        .collect();
    let mut statuses: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [503, 504], "one is one too many, the other waits in vain");
    release.send(()).unwrap();
    assert_eq!(held.join().unwrap(), 200);
    assert_eq!(origin.requests(), 1);
    rosn.settled();
}

#[test]
fn a_connection_that_the_origin_closes_makes_room() {
    let origin = Origin::http(|_| {
        thread::sleep(Duration::from_millis(50));
        response(200, &[("Connection", "close")], b"once")
    });
    let (rosn, port) = start(&narrow(&[origin.port()], 4), "1");
    let clients: Vec<_> =
        (0..4).map(|_| thread::spawn(move || Client::connect(port).get("/").status)).collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 200);
    }
    assert_eq!(origin.connections(), 4);
    rosn.settled_without_upstream();
}

#[test]
fn an_idle_connection_to_one_host_gives_way_to_another_host() {
    let origins = [origin().0, origin().0];
    let (rosn, port) = start(&narrow(&[origins[0].port(), origins[1].port()], 0), "1");
    let mut client = Client::connect(port);
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(origins.each_ref().map(Origin::requests), [2, 2]);
    drop(client);
    rosn.settled();
}

#[test]
fn an_idle_connection_of_one_worker_gives_way_to_another_worker() {
    let (origin, _release) = origin();
    let mut narrow = narrow(&[origin.port()], 8);
    narrow["connect_timeout"] = json!("5s");
    let (rosn, port) = start(&narrow, "4");
    // Each worker gets some of these; whichever it is, the others' idle connection is in the way.
    let mut clients: Vec<_> = (0..6).map(|_| Client::connect(port)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    drop(clients);
    rosn.settled();
}

#[test]
fn a_protocol_that_is_not_active_is_answered_with_503() {
    let (origin, _release) = origin();
    let (port, other) = (free_port(), free_port());
    let route = |prefix: &str, protocol: &str| {
        json!({
            "match": { "prefix": prefix },
            "route": { "cluster_name": "c", "upstream_protocol": protocol },
        })
    };
    let routes = [
        route("/rpc", "bolt"),
        route("/h1", "Http1"),
        route("/auto", "Auto"),
        json!({ "match": { "prefix": "/" }, "route": { "cluster_name": "c" } }),
    ];
    let mut by_listener = http_listener("other", other, "r");
    by_listener["filter_chains"][0]["filters"][0]["config"]["upstream_protocol"] = json!("bolt");
    let rosn = Rosn::start(&config(
        &[http_listener("in", port, "r"), by_listener],
        &[router("r", &routes)],
        &[cluster("c", &[origin.port()])],
    ));
    let mut client = Client::connect(port);
    for (target, status) in [("/rpc", 503), ("/h1", 200), ("/auto", 200), ("/", 200)] {
        assert_eq!(client.get(target).status, status, "{target}");
    }
    let mut client = Client::connect(other);
    for (target, status) in [("/", 503), ("/h1", 200), ("/rpc", 503)] {
        assert_eq!(client.get(target).status, status, "{target}");
    }
    assert_eq!(origin.requests(), 4);
    wait_until("the log says why", || {
        rosn.log().contains("not yet active: upstream protocol Bolt")
    });
}
