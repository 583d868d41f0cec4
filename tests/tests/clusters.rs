//! Clusters: names that the DNS resolves, what each balancer promises, and what a reload leaves alone.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rosn_tests::client::{Client, Response};
use rosn_tests::config::{cluster, config, http_listener, router_to, tcp_listener};
use rosn_tests::dns::DnsServer;
use rosn_tests::l4::{Peer, connect, connect_from, local, read_exactly, udp, udp_at, with};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

/// A rosn that sends HTTP requests to one cluster of named origins.
struct Setup {
    rosn: Rosn,
    port: u16,
    config: Value,
    _origins: Vec<Origin>,
}

/// Origins that answer with their letter.
fn letters(count: u8) -> Vec<Origin> {
    let origin = |letter: u8| Origin::http(move |_| ok(&char::from(b'a' + letter).to_string()));
    (0..count).map(origin).collect()
}

impl Setup {
    /// `count` origins, the cluster with further keys, and the route with further keys.
    fn new(count: u8, of_cluster: Value, of_route: Value) -> Self {
        Self::weighted(&vec![1; count.into()], of_cluster, of_route)
    }

    fn weighted(weights: &[u32], of_cluster: Value, of_route: Value) -> Self {
        let origins = letters(u8::try_from(weights.len()).unwrap());
        Self::over(origins, weights, of_cluster, of_route)
    }

    fn over(origins: Vec<Origin>, weights: &[u32], of_cluster: Value, of_route: Value) -> Self {
        let ports: Vec<u16> = origins.iter().map(Origin::port).collect();
        let mut up = with(cluster("up", &ports), of_cluster);
        for (at, weight) in weights.iter().enumerate() {
            up["hosts"][at]["weight"] = json!(weight);
        }
        let mut routes = router_to("r", "up");
        let route = &mut routes["virtual_hosts"][0]["routers"][0]["route"];
        *route = with(route.take(), of_route);
        let port = free_port();
        let mut config = config(&[http_listener("h", port, "r")], &[routes], &[up]);
        config["servers"][0]["processor"] = json!(1);
        let rosn = Rosn::start(&config);
        Self { rosn, port, config, _origins: origins }
    }

    fn get(&self, headers: &[(&str, &str)]) -> Response {
        let response = Client::connect(self.port).request("GET", "/", headers, b"");
        assert_eq!(response.status, 200, "{}", response.text());
        response
    }

    /// How many of so many requests each origin got.
    fn spread(&self, requests: usize) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        let mut client = Client::connect(self.port);
        for _ in 0..requests {
            let response = client.get("/");
            assert_eq!(response.status, 200, "{}", response.text());
            *counts.entry(response.text()).or_default() += 1;
        }
        counts
    }
}

fn count(spread: &HashMap<String, usize>, letter: &str) -> usize {
    spread.get(letter).copied().unwrap_or_default()
}

/// A cluster that asks this server for these hosts ten times a second.
fn dns_cluster(server: &DnsServer, hosts: &[String]) -> Value {
    let hosts: Vec<Value> = hosts.iter().map(|host| json!({ "address": host })).collect();
    json!({
        "name": "up", "type": "STRICT_DNS", "lb_type": "LB_ROUNDROBIN", "hosts": hosts,
        "dns_refresh_rate": "100ms",
        "dns_resolvers": { "servers": ["127.0.0.1"], "port": server.port(), "timeout": 1, "attempts": 2 },
    })
}

/// A peer at this address, on the port that all of them share, that says its address.
fn peers_at(ips: &[&'static str]) -> u16 {
    let port = free_port();
    for &ip in ips {
        let peer = Peer::at(format!("{ip}:{port}").parse().unwrap());
        thread::spawn(move || {
            loop {
                match peer.accept_now() {
                    Some(mut stream) => drop(stream.write_all(ip.as_bytes())),
                    None => thread::sleep(Duration::from_millis(2)),
                }
            }
        });
    }
    port
}

/// What answers a new connection; empty where none does.
fn who(port: u16) -> String {
    let Some(mut stream) = connect_from(local(0), local(port)) else { return String::new() };
    let mut said = String::new();
    let _ = std::io::Read::read_to_string(&mut stream, &mut said);
    said
}

/// Waits until only these answer, each of them.
fn wait_for(port: u16, ips: &[&str]) {
    wait_until(&format!("traffic goes to {ips:?}"), || {
        let mut seen: Vec<String> = (0..12).map(|_| who(port)).collect();
        seen.sort();
        seen.dedup();
        seen == ips
    });
}

#[test]
fn strict_dns_follows_the_answers() {
    let server = DnsServer::new();
    let backend = peers_at(&["127.1.0.1", "127.1.0.2", "127.1.0.3"]);
    server.set("backend.test", &["127.1.0.1"]);
    let port = free_port();
    let up = dns_cluster(&server, &[format!("backend.test:{backend}")]);
    let rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[up]));
    // The first answer is there before the first connection.
    assert_eq!(who(port), "127.1.0.1");
    // Every address is an endpoint.
    server.set("backend.test", &["127.1.0.1", "127.1.0.2", "127.1.0.3"]);
    wait_for(port, &["127.1.0.1", "127.1.0.2", "127.1.0.3"]);
    // Addresses that go get nothing more.
    server.set("backend.test", &["127.1.0.2"]);
    wait_for(port, &["127.1.0.2"]);
    // A server that fails does not take away what was known.
    server.fail(true);
    let asked = server.questions();
    wait_until("it was asked in vain", || server.questions() > asked + 2);
    assert_eq!(who(port), "127.1.0.2");
    server.fail(false);
    server.set("backend.test", &["127.1.0.3"]);
    wait_for(port, &["127.1.0.3"]);
    rosn.settled();
}

#[test]
fn a_connection_outlives_its_address_in_the_dns() {
    let server = DnsServer::new();
    let (port, backend) = (free_port(), free_port());
    let first = Peer::at(format!("127.1.1.1:{backend}").parse().unwrap());
    let second = Peer::at(format!("127.1.1.2:{backend}").parse().unwrap());
    server.set("backend.test", &["127.1.1.1"]);
    let up = dns_cluster(&server, &[format!("backend.test:{backend}")]);
    let rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[up]));
    let (mut client, mut origin) = (connect(local(port)), first.accept());
    client.write_all(b"x").unwrap();
    assert_eq!(read_exactly(&mut origin, 1), b"x");
    server.set("backend.test", &["127.1.1.2"]);
    wait_until("another connection goes elsewhere", || {
        let _other = connect(local(port));
        let mut taken = None;
        wait_until("it is accepted", || {
            taken = second.accept_now().map(|_| 2).or(first.accept_now().map(|_| 1));
            taken.is_some()
        });
        taken == Some(2)
    });
    origin.write_all(b"still here").unwrap();
    assert_eq!(read_exactly(&mut client, 10), b"still here");
    drop((client, origin));
    rosn.settled();
}

#[test]
fn a_name_that_is_not_known_yet_is_no_reason_not_to_start() {
    let server = DnsServer::new();
    let backend = peers_at(&["127.1.2.1", "127.1.2.2"]);
    server.set("known.test", &["127.1.2.1"]);
    let port = free_port();
    let hosts = [format!("unknown.test:{backend}"), format!("known.test:{backend}")];
    let rosn = Rosn::start(&config(
        &[tcp_listener("t", port, "up")],
        &[],
        &[dns_cluster(&server, &hosts)],
    ));
    wait_for(port, &["127.1.2.1"]);
    server.set("unknown.test", &["127.1.2.2"]);
    wait_for(port, &["127.1.2.1", "127.1.2.2"]);
    rosn.settled();
}

#[test]
fn a_family_can_be_asked_for() {
    let server = DnsServer::new();
    let backend = peers_at(&["127.1.3.1", "[::1]"]);
    server.set("both.test", &["127.1.3.1", "::1"]);
    for (family, expected) in
        [("V4_ONLY", &["127.1.3.1"][..]), ("V6_ONLY", &["[::1]"]), ("ALL", &["127.1.3.1", "[::1]"])]
    {
        let port = free_port();
        let up = with(
            dns_cluster(&server, &[format!("both.test:{backend}")]),
            json!({ "dns_lookup_family": family }),
        );
        let _rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[up]));
        wait_for(port, expected);
    }
}

#[test]
fn a_hash_keeps_its_address_when_the_dns_has_more() {
    let server = DnsServer::new();
    let ips = ["127.1.4.1", "127.1.4.2", "127.1.4.3"];
    let backend = peers_at(&ips);
    server.set("backend.test", &ips);
    let port = free_port();
    let up = with(
        dns_cluster(&server, &[format!("backend.test:{backend}")]),
        json!({ "lb_type": "LB_MAGLEV" }),
    );
    let _rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[up]));
    let from = |last: u8| {
        let mut stream = connect_from(([127, 8, 0, last], 0).into(), local(port)).unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stream, &mut said).unwrap();
        said
    };
    let before: Vec<String> = (1..=30).map(from).collect();
    assert!(ips.iter().all(|ip| before.iter().any(|seen| seen == ip)), "{before:?}");
    server.set("backend.test", &ips[..2]);
    wait_until("the third gets nothing", || (1..=30).map(from).all(|seen| seen != ips[2]));
    let after: Vec<String> = (1..=30).map(from).collect();
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| *before != ips[2] && before != after)
        .count();
    assert!(moved <= 4, "{moved} clients of addresses that stayed were moved");
}

#[test]
fn round_robin_takes_turns() {
    let setup = Setup::new(3, json!({ "lb_type": "LB_ROUNDROBIN" }), json!({}));
    let spread = setup.spread(30);
    assert_eq!(["a", "b", "c"].map(|letter| count(&spread, letter)), [10, 10, 10]);
    setup.rosn.settled();
}

#[test]
fn random_reaches_all() {
    let setup = Setup::new(3, json!({ "lb_type": "LB_RANDOM" }), json!({}));
    let spread = setup.spread(300);
    // Below 50 of 300 at a chance of a third: once in a billion runs.
    assert!(["a", "b", "c"].iter().all(|letter| count(&spread, letter) > 50), "{spread:?}");
}

#[test]
fn weights_are_exact() {
    let setup =
        Setup::weighted(&[1, 2, 5], json!({ "lb_type": "LB_WEIGHTED_ROUNDROBIN" }), json!({}));
    let spread = setup.spread(160);
    let counts = ["a", "b", "c"].map(|letter| count(&spread, letter));
    for (count, expected) in counts.into_iter().zip([20_usize, 40, 100]) {
        assert!(count.abs_diff(expected) <= 1, "{spread:?}");
    }
    // And smooth: no run of one host for longer than its share asks for.
    let mut client = Client::connect(setup.port);
    let row: Vec<String> = (0..40).map(|_| client.get("/").text()).collect();
    assert!(row.windows(5).all(|five| five.iter().any(|letter| letter != "c")), "{row:?}");
}

#[test]
fn weights_count_over_workers_too() {
    let mut setup =
        Setup::weighted(&[1, 3], json!({ "lb_type": "LB_WEIGHTED_ROUNDROBIN" }), json!({}));
    setup.config["servers"][0]["processor"] = json!(4);
    setup.rosn = Rosn::start(&{
        // The first one still has the port.
        setup.port = free_port();
        let mut config = setup.config.clone();
        config["servers"][0]["listeners"][0]["address"] =
            json!(format!("127.0.0.1:{}", setup.port));
        config
    });
    let mut of_a = 0;
    for _ in 0..40 {
        of_a += count(&setup.spread(10), "a");
    }
    assert!((80..=120).contains(&of_a), "{of_a} of 400 for a share of a quarter");
}

/// Origins of which the first holds its requests until it is let go.
fn with_slow_first(count: u8) -> (Vec<Origin>, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (release, held) = mpsc::channel::<()>();
    let (held, holding) = (Mutex::new(held), Arc::new(AtomicUsize::new(0)));
    let inside = Arc::clone(&holding);
    let slow = Origin::http(move |request| {
        if request.target == "/hold" {
            inside.fetch_add(1, Ordering::SeqCst);
            let _ = held.lock().unwrap().recv();
        }
        ok("a")
    });
    let mut origins = letters(count);
    origins[0] = slow;
    // The others do not hold.
    (origins, release, holding)
}

/// Sends `/hold` until the first origin holds one of them.
fn hold_first(setup: &Setup, holding: &AtomicUsize) -> Client {
    loop {
        let mut client = Client::connect(setup.port);
        client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut answered = false;
        wait_until("it is held or answered", || {
            answered = !client.is_quiet();
            answered || holding.load(Ordering::SeqCst) > 0
        });
        if !answered {
            return client;
        }
    }
}

#[test]
fn the_least_loaded_is_chosen() {
    for (kind, connections) in [("LB_LEAST_REQUEST", false), ("LB_LEAST_CONNECTION", true)] {
        let (origins, release, holding) = with_slow_first(2);
        let of_cluster = json!({
            "lb_type": kind, "lbconfig": { "choice_count": 2 },
            // So that idle connections do not count.
            "max_request_per_conn": if connections { 1 } else { 1024 },
        });
        let setup = Setup::over(origins, &[1, 1], of_cluster, json!({}));
        let all = setup.spread(60);
        assert!(count(&all, "a") > 0 && count(&all, "b") > 0, "{kind}: {all:?}");
        let mut held = hold_first(&setup, &holding);
        let spread = setup.spread(40);
        assert_eq!((count(&spread, "a"), count(&spread, "b")), (0, 40), "{kind}: one waits at a");
        release.send(()).unwrap();
        assert_eq!(held.read_response().text(), "a");
        let spread = setup.spread(60);
        assert!(count(&spread, "a") > 0, "{kind}: a is free again");
        drop(held);
        setup.rosn.settled();
    }
}

#[test]
fn weights_and_load_count_together() {
    let of_cluster = json!({ "lb_type": "LB_LEAST_REQUEST" });
    let setup = Setup::weighted(&[1, 4], of_cluster, json!({}));
    let spread = setup.spread(100);
    assert!((10..=30).contains(&count(&spread, "a")), "{spread:?}");
}

#[test]
fn peak_ewma_leaves_the_slow_and_the_failing() {
    let slow = Origin::http(|_| {
        thread::sleep(Duration::from_millis(60));
        ok("a")
    });
    let mut origins = letters(2);
    origins[0] = slow;
    let setup = Setup::over(origins, &[1, 1], json!({ "lb_type": "LB_PEAK_EWMA" }), json!({}));
    let _warm = setup.spread(20);
    let spread = setup.spread(60);
    assert!(count(&spread, "b") > 50, "the slow one got {spread:?}");
}

/// A route that hashes.
fn hashed(policy: Value) -> Value {
    json!({ "hash_policy": [policy] })
}

#[test]
fn maglev_keeps_a_header_on_its_host() {
    let setup = Setup::new(
        5,
        json!({ "lb_type": "LB_MAGLEV" }),
        hashed(json!({ "header": { "key": "X-User" } })),
    );
    let of_user = |user: usize| setup.get(&[("x-user", &format!("user-{user}"))]).text();
    let first: Vec<String> = (0..60).map(of_user).collect();
    let second: Vec<String> = (0..60).map(of_user).collect();
    assert_eq!(first, second);
    let mut used = first;
    used.sort();
    used.dedup();
    assert_eq!(used.len(), 5, "sixty users on {used:?}");
    // A request without the header still goes somewhere.
    assert_eq!(setup.get(&[]).status, 200);
    setup.rosn.settled();
}

#[test]
fn maglev_is_the_same_in_all_workers_and_processes_and_moves_little() {
    let of_cluster = json!({ "lb_type": "LB_MAGLEV" });
    let mut setup = Setup::new(5, of_cluster, hashed(json!({ "header": { "key": "x-user" } })));
    setup.config["servers"][0]["processor"] = json!(4);
    let start = |config: &Value| {
        let port = free_port();
        let mut config = config.clone();
        config["servers"][0]["listeners"][0]["address"] = json!(format!("127.0.0.1:{port}"));
        (Rosn::start(&config), port)
    };
    let users = |port: u16| -> Vec<String> {
        let of_user = |user: usize| {
            let user = format!("user-{user}");
            Client::connect(port).request("GET", "/", &[("x-user", &user)], b"").text()
        };
        (0..60).map(of_user).collect()
    };
    let one_worker = users(setup.port);
    let (_four, port) = start(&setup.config);
    assert_eq!(one_worker, users(port), "four workers choose otherwise");
    // One host less: those of the others stay.
    setup.config["cluster_manager"]["clusters"][0]["hosts"].as_array_mut().unwrap().remove(4);
    let (_less, port) = start(&setup.config);
    let after = users(port);
    let moved = one_worker
        .iter()
        .zip(&after)
        .filter(|(before, after)| *before != "e" && before != after)
        .count();
    assert!(moved <= 6, "{moved} of 60 users of hosts that stayed were moved");
}

#[test]
fn maglev_by_cookie_and_by_source() {
    let setup = Setup::new(
        5,
        json!({ "lb_type": "LB_MAGLEV" }),
        hashed(json!({ "cookie": { "name": "sid", "path": "/p", "ttl": "60s" } })),
    );
    for session in 0..20 {
        let cookie = format!("a=b; sid=session-{session}; c=d");
        let first = setup.get(&[("Cookie", &cookie)]);
        assert_eq!(first.text(), setup.get(&[("Cookie", &cookie)]).text());
        assert_eq!(first.header("set-cookie"), None, "it had a cookie");
    }
    // A request without the cookie gets one that leads back to the same host.
    for _ in 0..10 {
        let first = setup.get(&[]);
        let cookie = first.header("set-cookie").expect("a cookie");
        assert!(cookie.contains("Path=/p") && cookie.contains("Max-Age=60"), "{cookie}");
        let value = cookie.split(';').next().unwrap();
        assert_eq!(setup.get(&[("Cookie", value)]).text(), first.text(), "{cookie}");
    }

    let setup =
        Setup::new(5, json!({ "lb_type": "LB_MAGLEV" }), hashed(json!({ "source_ip": {} })));
    let mut used = Vec::new();
    for last in 1..=40_u8 {
        let from = || {
            let stream = connect_from(([127, 9, 0, last], 0).into(), local(setup.port)).unwrap();
            Client::over(stream).get("/").text()
        };
        let host = from();
        assert_eq!(host, from(), "127.9.0.{last}");
        used.push(host);
    }
    used.sort();
    used.dedup();
    assert_eq!(used.len(), 5, "forty clients on {used:?}");
}

#[test]
fn request_round_robin_begins_with_the_first_host_and_goes_on_when_it_fails() {
    let failing = Arc::new(AtomicBool::new(false));
    let mut origins = letters(3);
    let fails = Arc::clone(&failing);
    origins[0] =
        Origin::http(
            move |_| if fails.load(Ordering::SeqCst) { response(503, &[], b"") } else { ok("a") },
        );
    let policy =
        json!({ "retry_policy": { "retry_on": true, "num_retries": 2, "status_codes": [503] } });
    let setup =
        Setup::over(origins, &[1, 1, 1], json!({ "lb_type": "LB_REQUEST_ROUNDROBIN" }), policy);
    assert_eq!(setup.spread(20), HashMap::from([("a".to_owned(), 20)]));
    failing.store(true, Ordering::SeqCst);
    assert_eq!(setup.spread(20), HashMap::from([("b".to_owned(), 20)]));
    failing.store(false, Ordering::SeqCst);
    assert_eq!(setup.spread(20), HashMap::from([("a".to_owned(), 20)]));
}

/// Nobody redirects anything here, so `LB_ORIGINAL_DST` knows no address but those of its hosts.
#[test]
fn all_nine_balancers_carry_http_tcp_and_udp() {
    for kind in [
        "LB_RANDOM",
        "LB_ROUNDROBIN",
        "LB_WEIGHTED_ROUNDROBIN",
        "LB_LEAST_REQUEST",
        "LB_LEAST_CONNECTION",
        "LB_MAGLEV",
        "LB_REQUEST_ROUNDROBIN",
        "LB_PEAK_EWMA",
        "LB_ORIGINAL_DST",
    ] {
        let (origins, tcp, datagrams) = (letters(2), Peer::new(), udp());
        let ports: Vec<u16> = origins.iter().map(Origin::port).collect();
        let balanced = |name: &str, ports: &[u16]| {
            with(
                cluster(name, ports),
                json!({ "lb_type": kind, "slow_start": { "mode": "duration", "slow_start_duration": "10s", "aggression": 1.5 } }),
            )
        };
        let (http_port, tcp_port, udp_port) = (free_port(), free_port(), free_port());
        let listeners = [
            http_listener("h", http_port, "r"),
            tcp_listener("t", tcp_port, "tcp"),
            with(
                rosn_tests::l4::udp_listener("u", udp_port, "udp"),
                json!({ "connection_idle_timeout": "200ms" }),
            ),
        ];
        let clusters = [
            balanced("http", &ports),
            balanced("tcp", &[tcp.port()]),
            balanced("udp", &[datagrams.local_addr().unwrap().port()]),
        ];
        let rosn = Rosn::start(&config(&listeners, &[router_to("r", "http")], &clusters));
        let mut client = Client::connect(http_port);
        for _ in 0..20 {
            assert_eq!(client.get("/").status, 200, "{kind}");
        }
        let mut stream = connect(local(tcp_port));
        stream.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut tcp.accept(), 1), b"x", "{kind}");
        let peer = udp_at(local(0));
        peer.send_to(b"u", local(udp_port)).unwrap();
        assert_eq!(rosn_tests::l4::receive(&datagrams).0, b"u", "{kind}");
        drop((client, stream));
        rosn.settled();
    }
}

#[test]
fn slow_start_gives_a_new_host_its_share_bit_by_bit() {
    // The hosts of a start are all new, so they share alike; one that comes later gets little at first.
    let of_cluster = json!({
        "lb_type": "LB_WEIGHTED_ROUNDROBIN",
        "slow_start": { "mode": "duration", "slow_start_duration": "1h", "min_weight_percent": 0.05 },
    });
    let mut setup = Setup::new(2, of_cluster, json!({}));
    let spread = setup.spread(40);
    assert!((15..=25).contains(&count(&spread, "a")), "{spread:?}");
    setup.config["cluster_manager"]["clusters"][0]["slow_start"]["slow_start_duration"] =
        json!("1ms");
    setup.rosn.write_config(&setup.config);
    let (done, said) = setup.rosn.reload();
    assert!(done, "{said}");
    let spread = setup.spread(40);
    assert!((15..=25).contains(&count(&spread, "a")), "{spread:?}");
}

#[test]
fn a_reload_of_one_cluster_leaves_the_others_alone() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let holding = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&holding);
    let old = Origin::http(move |request| {
        if request.target == "/hold" {
            inside.fetch_add(1, Ordering::SeqCst);
            let _ = held.lock().unwrap().recv();
        }
        ok("old")
    });
    let (new, other, peer) =
        (Origin::http(|_| ok("new")), Origin::http(|_| ok("other")), Peer::new());
    let ports: [u16; 3] = std::array::from_fn(|_| free_port());
    let [changing_port, other_port, tcp_port] = ports;
    let configured = |changing: u16| {
        let mut config = config(
            &[
                http_listener("changing", changing_port, "to-changing"),
                http_listener("other", other_port, "to-other"),
                tcp_listener("tunnel", tcp_port, "tunnel"),
            ],
            &[router_to("to-changing", "changing"), router_to("to-other", "other")],
            &[
                cluster("changing", &[changing]),
                cluster("other", &[other.port()]),
                cluster("tunnel", &[peer.port()]),
            ],
        );
        config["servers"][0]["processor"] = json!(1);
        config
    };
    let rosn = Rosn::start(&configured(old.port()));
    // Open before the reload: an idle client of each, a request in flight, a tunnel.
    let (mut idle, mut beside) = (Client::connect(changing_port), Client::connect(other_port));
    assert_eq!(
        (idle.get("/").text(), beside.get("/").text()),
        ("old".to_owned(), "other".to_owned())
    );
    let mut in_flight = Client::connect(changing_port);
    in_flight.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("it is in flight", || holding.load(Ordering::SeqCst) == 1);
    let (mut tunnel, mut far_end) = (connect(local(tcp_port)), peer.accept());
    let of_other = other.connections();

    rosn.write_config(&configured(new.port()));
    let (done, said) = rosn.reload();
    assert!(done, "{said}");
    assert!(said.contains("changing") && !said.contains("tunnel"), "{said}");

    // The next request of the same client goes to the new host, on the same connection.
    wait_until("the change is in force", || idle.get("/").text() == "new");
    assert_eq!(Client::connect(changing_port).get("/").text(), "new");
    // What is in flight ends where it began.
    release.send(()).unwrap();
    assert_eq!(in_flight.read_response().text(), "old");
    assert_eq!(in_flight.get("/").text(), "new");
    // The tunnel and the pool of the other cluster are the same.
    tunnel.write_all(b"up").unwrap();
    assert_eq!(read_exactly(&mut far_end, 2), b"up");
    far_end.write_all(b"down").unwrap();
    assert_eq!(read_exactly(&mut tunnel, 4), b"down");
    assert_eq!(beside.get("/").text(), "other");
    assert_eq!(other.connections(), of_other, "the other cluster's pool was thrown away");
    drop((idle, beside, in_flight, tunnel, far_end));
    rosn.settled();
    // Nothing is kept to the host that went.
    wait_until("connections to the old host are closed", || rosn.active().2 <= 2);
}

#[test]
fn hosts_that_come_and_go_by_reload() {
    let mut setup = Setup::new(3, json!({}), json!({}));
    let hosts = setup.config["cluster_manager"]["clusters"][0]["hosts"].as_array().unwrap().clone();
    let mut client = Client::connect(setup.port);
    for kept in [&hosts[..1], &hosts[1..], &hosts[..], &hosts[2..]] {
        setup.config["cluster_manager"]["clusters"][0]["hosts"] = json!(kept);
        setup.rosn.write_config(&setup.config);
        let (done, said) = setup.rosn.reload();
        assert!(done, "{said}");
        wait_until("traffic goes to these hosts only", || {
            let mut seen: Vec<String> = (0..6).map(|_| client.get("/").text()).collect();
            seen.sort();
            seen.dedup();
            seen.len() == kept.len()
        });
    }
    assert_eq!(client.get("/").text(), "c");
    drop(client);
    setup.rosn.settled();
}
