//! Limits of connections, requests, retries and descriptors; and what pools keep.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router, router_to, tcp_listener};
use rosn_tests::l4::{
    DeadPort, Peer, cluster_of, connect, is_turned_away, local, read_exactly, reset, with,
};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::{Rosn, Signal, free_port, wait_until};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

/// A router that answers by itself.
fn direct(name: &str) -> Value {
    router(
        name,
        &[
            json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": "direct" } }),
        ],
    )
}

/// A connection that has been served, so that it is not just waiting to be accepted.
fn served(port: u16) -> Client {
    let mut client = Client::connect(port);
    assert_eq!(client.get("/").status, 200);
    client
}

/// A connection that is not served: closed or reset, whatever it sends.
fn is_refused(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(local(port)) else { return true };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    !matches!(std::io::Read::read(&mut stream, &mut [0]), Ok(1..))
}

fn overflows(rosn: &Rosn, listener: &str) -> f64 {
    rosn.metric("downstream_connection_overflow", &[("listener", listener)])
}

#[test]
fn a_listener_has_its_max_connections() {
    let (narrow, wide) = (free_port(), free_port());
    let listeners = [
        with(http_listener("narrow", narrow, "r"), json!({ "max_connections": 3 })),
        http_listener("wide", wide, "r"),
    ];
    let rosn = Rosn::start(&config(&listeners, &[direct("r")], &[]));
    let mut open: Vec<Client> = (0..3).map(|_| served(narrow)).collect();
    assert!(is_refused(narrow) && is_refused(narrow));
    assert_eq!(overflows(&rosn, "narrow"), 2.0);
    let beside: Vec<Client> = (0..10).map(|_| served(wide)).collect();
    // Those that are open go on, and one that ends makes room.
    open.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    open.pop();
    wait_until("there is room", || {
        rosn.metric("downstream_connection_active", &[("listener", "narrow")]) == 2.0
    });
    open.push(served(narrow));
    assert!(is_refused(narrow));
    drop((open, beside));
    rosn.settled();
    assert_eq!(overflows(&rosn, "wide"), 0.0);
}

#[test]
fn the_process_has_its_max_connections() {
    let (one, two, peer) = (free_port(), free_port(), Peer::new());
    let listeners = [http_listener("one", one, "r"), tcp_listener("two", two, "up")];
    let mut config = config(&listeners, &[direct("r")], &[cluster_of("up", &[peer.host()])]);
    config["servers"][0]["limits"] = json!({ "max_connections": 4 });
    let rosn = Rosn::start(&config);
    let open = [served(one), served(one)];
    let tunnels: Vec<_> = (0..2).map(|_| (connect(local(two)), peer.accept())).collect();
    assert!(is_refused(one));
    assert!(is_refused(two));
    assert_eq!((overflows(&rosn, "one"), overflows(&rosn, "two")), (1.0, 1.0));
    assert_eq!(rosn.metric("downstream_connection_overflow", &[("proxy", "global")]), 2.0);
    // The admin API is not one of them.
    assert_eq!(rosn.admin("GET", "/ready").status, 200);
    drop(tunnels);
    wait_until("there is room", || rosn.active().0 == 2);
    let more = [served(one), served(one)];
    // A reload takes effect for the next connection, and cuts none.
    config["servers"][0]["limits"] = json!({ "max_connections": 5 });
    rosn.write_config(&config);
    let (done, said) = rosn.reload();
    assert!(done, "{said}");
    wait_until("the new limit holds", || !is_refused(one));
    drop((open, more));
    rosn.settled();
}

/// Sets how many descriptors the process may have.
fn limit_descriptors(rosn: &Rosn, count: usize) {
    let pid = Pid::from_raw(i32::try_from(rosn.pid()).unwrap());
    let maximum = getrlimit(Resource::Nofile).maximum; // which it has inherited
    let limit = Rlimit { current: Some(count as u64), maximum };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

/// Processor time that the process has taken, in ticks of 10 ms.
fn ticks(rosn: &Rosn) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", rosn.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn running_out_of_descriptors_is_survived() {
    for accept in ["reuseport", "balanced"] {
        let (port, through, origin) = (free_port(), free_port(), Origin::http(|_| ok("through")));
        let listeners =
            [http_listener("direct", port, "r"), http_listener("through", through, "up")];
        let routers = [direct("r"), router_to("up", "up")];
        let mut config = config(&listeners, &routers, &[cluster("up", &[origin.port()])]);
        config["servers"][0]["accept"] = json!(accept);
        let rosn = Rosn::start(&config);
        let before = rosn.fds();
        limit_descriptors(&rosn, before + 8);
        // More than there are descriptors: the rest waits in the queue of the kernel.
        let mut clients: Vec<Client> = (0..30).map(|_| Client::connect(port)).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        wait_until("it says so", || rosn.log().contains("accepting pauses"));
        let (start, used) = (Instant::now(), ticks(&rosn));
        thread::sleep(Duration::from_millis(1000));
        let spent = ticks(&rosn) - used;
        let wall = start.elapsed().as_millis() as u64 / 10;
        assert!(spent * 3 < wall, "{accept}: it spins: {spent} of {wall} ticks");
        // Each gets its turn when others end.
        let read = |mut client: Client| thread::spawn(move || client.read_response().status);
        let all: Vec<_> = clients.into_iter().map(read).collect();
        for client in all {
            assert_eq!(client.join().unwrap(), 200, "{accept}");
        }
        wait_until("it is served", || Client::connect(through).get("/").status == 200);
        assert_eq!(served(port).get("/").text(), "direct");
        rosn.settled();
    }
}

#[test]
fn an_upstream_connection_without_a_descriptor_is_a_failure_of_that_request() {
    let (port, origin) = (free_port(), Origin::http(|_| ok("through")));
    let listener = http_listener("h", port, "r");
    let config = config(&[listener], &[router_to("r", "up")], &[cluster("up", &[origin.port()])]);
    let rosn = Rosn::start(&config);
    let mut first = Client::connect(port);
    wait_until("it is accepted", || rosn.active().0 == 1);
    limit_descriptors(&rosn, 3); // what is open stays open
    let status = first.get("/").status;
    assert!(matches!(status, 502 | 503), "{status}");
    limit_descriptors(&rosn, 1000);
    assert_eq!(first.get("/").text(), "through");
    drop(first);
    rosn.settled();
}

/// Open connections of each worker.
fn loads(rosn: &Rosn) -> Vec<u64> {
    let text = rosn.admin_get("/api/v1/connections");
    let all: Value = serde_json::from_str(&text).unwrap();
    let workers = all["workers"].as_array().unwrap_or_else(|| panic!("{text}"));
    workers.iter().map(|worker| worker["downstream"].as_u64().unwrap()).collect()
}

fn balanced(listener: Value) -> Rosn {
    let mut config = config(&[listener], &[direct("r")], &[]);
    config["servers"][0]["accept"] = json!("balanced");
    config["servers"][0]["processor"] = json!(4);
    Rosn::start(&config)
}

#[test]
fn balanced_accept_gives_each_worker_the_same() {
    let port = free_port();
    let rosn = balanced(http_listener("h", port, "r"));
    let mut clients: Vec<Client> = (0..40).map(|_| served(port)).collect();
    assert_eq!(loads(&rosn), [10, 10, 10, 10]);
    // What is lost on one worker is filled up there.
    clients.truncate(25);
    wait_until("fifteen are gone", || rosn.active().0 == 25);
    clients.extend((0..15).map(|_| served(port)));
    assert_eq!(loads(&rosn), [10, 10, 10, 10]);
    drop(clients);
    rosn.settled();
    assert_eq!(loads(&rosn), [0, 0, 0, 0]);
}

#[test]
fn balanced_accept_takes_a_burst_evenly() {
    let port = free_port();
    let rosn = balanced(http_listener("h", port, "r"));
    let streams: Vec<TcpStream> = (0..200).map(|_| connect(local(port))).collect();
    wait_until("all are accepted", || rosn.active().0 == 200);
    let loads = loads(&rosn);
    assert!(loads.iter().all(|load| (45..=55).contains(load)), "{loads:?}");
    drop(streams);
    rosn.settled();
}

#[test]
fn balanced_accept_of_a_unix_socket() {
    let folder = tempfile::Builder::new().prefix("rosn-limits-").tempdir_in("/tmp").unwrap();
    let path = folder.path().join("front.sock");
    let rosn =
        balanced(with(http_listener("h", 1, "r"), json!({ "address": path, "network": "unix" })));
    let served = |path: &Path| {
        let mut client = Client::connect_unix(path);
        assert_eq!(client.get("/").status, 200);
        client
    };
    let clients: Vec<Client> = (0..20).map(|_| served(&path)).collect();
    assert_eq!(loads(&rosn), [5, 5, 5, 5]);
    drop(clients);
    rosn.settled();
}

#[test]
fn a_balanced_process_drains_what_was_accepted() {
    let (port, origin) = (
        free_port(),
        Origin::http(|_| {
            thread::sleep(Duration::from_millis(500));
            ok("done")
        }),
    );
    let listener = http_listener("h", port, "r");
    let mut config =
        config(&[listener], &[router_to("r", "up")], &[cluster("up", &[origin.port()])]);
    config["servers"][0]["accept"] = json!("balanced");
    let mut rosn = Rosn::start(&config);
    let mut clients: Vec<Client> = (0..10).map(|_| Client::connect(port)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    wait_until("all are under way", || origin.requests() == 10);
    rosn.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.read_response().text(), "done");
        assert!(client.is_closed());
    }
    assert!(rosn.wait().success(), "{}", rosn.log());
}

/// Requests that wait at the origin until they are let go.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        let _open = self.changed.wait_while(open, |open| !*open).unwrap();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

#[test]
fn max_requests_counts_over_all_workers_and_is_given_back() {
    let gate = Arc::new(Gate::default());
    let at_origin = Arc::clone(&gate);
    let origin = Origin::http(move |_| {
        at_origin.pass();
        ok("x")
    });
    let port = free_port();
    let limited = with(
        cluster("up", &[origin.port()]),
        json!({ "circuit_breakers": [{ "max_requests": 5 }] }),
    );
    let mut config = config(&[http_listener("h", port, "r")], &[router_to("r", "up")], &[limited]);
    config["servers"][0]["processor"] = json!(4);
    let rosn = Rosn::start(&config);
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(port)).collect();
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    wait_until("five are under way", || gate.waiting() == 5);
    for _ in 0..10 {
        assert_eq!(Client::connect(port).get("/").status, 503);
    }
    assert_eq!(rosn.metric("upstream_request_pending_overflow", &[("cluster", "up")]), 10.0);
    // A client that gives up gives its place back.
    let gone = clients.pop().unwrap();
    reset(gone.tcp().try_clone().unwrap());
    drop(gone);
    wait_until("the place is free", || rosn.active().1 == 4);
    let mut fifth = Client::connect(port);
    fifth.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the fifth is under way", || gate.waiting() >= 5);
    gate.open();
    assert_eq!(fifth.read_response().status, 200);
    clients.iter_mut().for_each(|client| assert_eq!(client.read_response().status, 200));
    for _ in 0..10 {
        assert_eq!(served(port).get("/").status, 200);
    }
    drop((clients, fifth));
    rosn.settled();
}

#[test]
fn max_retries_counts_retries_for_as_long_as_they_last() {
    // The first try of each fails at once; the retries wait at the origin.
    let gate = Arc::new(Gate::default());
    let at_origin = Arc::clone(&gate);
    let tried = Mutex::new(Vec::<String>::new());
    let origin = Origin::http(move |request| {
        let first = {
            let mut tried = tried.lock().unwrap();
            let first = !tried.contains(&request.target);
            tried.push(request.target.clone());
            first
        };
        if first {
            return response(503, &[], b"first");
        }
        at_origin.pass();
        ok("second")
    });
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let limited = with(
        cluster("up", &[origin.port()]),
        json!({ "circuit_breakers": [{ "max_retries": 2 }] }),
    );
    let mut routes = router_to("r", "up");
    routes["virtual_hosts"][0]["routers"][0]["route"]["retry_policy"] =
        json!({ "retry_on": true, "num_retries": 1, "status_codes": [503] });
    let listener = with(
        http_listener("h", port, "r"),
        json!({ "access_logs": [{ "log_path": log, "log_format": "%response_code% %response_flags%" }] }),
    );
    let rosn = Rosn::start(&config(&[listener], &[routes], &[limited]));
    let mut retrying: Vec<Client> = Vec::new();
    for number in 0..2 {
        let mut client = Client::connect(port);
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        retrying.push(client);
        wait_until("the retry is under way", || gate.waiting() == number + 1);
    }
    for number in 10..15 {
        let response = Client::connect(port).get(&format!("/{number}"));
        assert_eq!(
            (response.status, response.text()),
            (503, "first".to_owned()),
            "a third retry at a time"
        );
    }
    let count = |name| rosn.metric(name, &[("cluster", "up")]);
    assert_eq!(
        (count("upstream_request_retry"), count("upstream_request_retry_overflow")),
        (2.0, 5.0)
    );
    wait_until("the access log says why", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("503") && line.contains("UO")).count() == 5
    });
    gate.open();
    retrying.iter_mut().for_each(|client| assert_eq!(client.read_response().text(), "second"));
    assert_eq!(Client::connect(port).get("/20").text(), "second", "the places are free again");
    drop(retrying);
    rosn.settled();
}

#[test]
fn a_dead_host_costs_no_request_under_load() {
    // A request that was not sent goes on to the next host, however many do so at a time.
    for policy in [Value::Null, json!({ "retry_on": true, "num_retries": 1 })] {
        let origin = Origin::http(|_| ok("alive"));
        let dead = DeadPort::new();
        let port = free_port();
        let hosts = [dead.host(), local(origin.port()).to_string()];
        let limited = json!({ "circuit_breakers": [{ "max_retries": 1 }] });
        let clusters = [with(cluster_of("up", &hosts), limited)];
        let mut routes = router_to("r", "up");
        routes["virtual_hosts"][0]["routers"][0]["route"]["retry_policy"] = policy;
        let rosn = Rosn::start(&config(&[http_listener("h", port, "r")], &[routes], &clusters));
        let ask = || {
            thread::spawn(move || {
                let mut client = Client::connect(port);
                (0..20).for_each(|_| assert_eq!(client.get("/").text(), "alive"));
            })
        };
        let clients: Vec<_> = (0..24).map(|_| ask()).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        rosn.settled();
    }
}

#[test]
fn a_tcp_proxy_minds_max_connections_of_its_cluster() {
    let (port, peer) = (free_port(), Peer::new());
    let limited = with(
        cluster_of("up", &[peer.host()]),
        json!({ "circuit_breakers": [{ "max_connections": 2 }] }),
    );
    let rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[limited]));
    let mut open: Vec<_> = (0..2).map(|_| (connect(local(port)), peer.accept())).collect();
    assert!(is_turned_away(local(port)));
    open.pop();
    wait_until("the place is free", || rosn.active() == (1, 0, 1));
    let (mut client, mut origin) = (connect(local(port)), peer.accept());
    client.write_all(b"x").unwrap();
    assert_eq!(read_exactly(&mut origin, 1), b"x");
    drop((open, client, origin));
    rosn.settled();
}

/// Many requests at a time, then how many connections the origin has seen.
fn burst(port: u16, clients: usize, requests: usize) {
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            thread::spawn(move || {
                let mut client = Client::connect(port);
                (0..requests).for_each(|_| assert_eq!(client.get("/").status, 200));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn pooled_connections_serve_all_clients() {
    let (port, origin) = (free_port(), Origin::http(|_| ok("x")));
    let mut config = config(
        &[http_listener("h", port, "r")],
        &[router_to("r", "up")],
        &[cluster("up", &[origin.port()])],
    );
    config["servers"][0]["processor"] = json!(1);
    let rosn = Rosn::start(&config);
    for _ in 0..100 {
        assert_eq!(Client::connect(port).get("/").status, 200);
    }
    assert_eq!(origin.connections(), 1, "a hundred clients, one after the other");
    burst(port, 16, 50);
    assert!(origin.connections() <= 17, "{} connections", origin.connections());
    assert_eq!(origin.requests(), 900);
    rosn.settled();
}

#[test]
fn idle_upstream_connections_are_closed_in_time() {
    let (port, origin) = (free_port(), Origin::http(|_| ok("x")));
    let clusters = [with(cluster("up", &[origin.port()]), json!({ "idle_timeout": "1s" }))];
    let rosn =
        Rosn::start(&config(&[http_listener("h", port, "r")], &[router_to("r", "up")], &clusters));
    burst(port, 8, 5);
    assert!(rosn.active().2 >= 1, "nothing was pooled");
    rosn.settled_without_upstream();
    assert_eq!(rosn.metric("upstream_connection_active", &[("cluster", "up")]), 0.0);
    let before = origin.connections();
    assert_eq!(Client::connect(port).get("/").status, 200);
    assert_eq!(origin.connections(), before + 1);
}

#[test]
fn max_idle_upstream_bounds_the_pool() {
    let gate = Arc::new(Gate::default());
    let at_origin = Arc::clone(&gate);
    let origin = Origin::http(move |_| {
        at_origin.pass();
        ok("x")
    });
    let port = free_port();
    let mut config = config(
        &[http_listener("h", port, "r")],
        &[router_to("r", "up")],
        &[cluster("up", &[origin.port()])],
    );
    config["servers"][0]["limits"] = json!({ "max_idle_upstream": 3 });
    config["servers"][0]["processor"] = json!(1);
    let rosn = Rosn::start(&config);
    let mut clients: Vec<Client> = (0..12).map(|_| Client::connect(port)).collect();
    clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    wait_until("twelve at a time", || gate.waiting() == 12);
    gate.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.read_response().status, 200));
    wait_until("three are kept", || rosn.active().2 == 3);
    drop(clients);
    rosn.settled();
}

#[test]
fn an_idle_connection_that_the_upstream_closes_is_noticed() {
    let (port, origin) = (free_port(), Origin::http(|_| ok("x")));
    let rosn = Rosn::start(&config(
        &[http_listener("h", port, "r")],
        &[router_to("r", "up")],
        &[cluster("up", &[origin.port()])],
    ));
    burst(port, 8, 5);
    assert!(rosn.active().2 >= 1, "nothing was pooled");
    origin.close_connections();
    // Its descriptors are given back without anybody asking.
    rosn.settled_without_upstream();
    assert_eq!(served(port).get("/").status, 200);
    rosn.settled();
}

#[test]
fn an_upstream_that_is_gone_for_good_leaves_nothing() {
    let (port, origin) = (free_port(), Origin::http(|_| ok("x")));
    let rosn = Rosn::start(&config(
        &[http_listener("h", port, "r")],
        &[router_to("r", "up")],
        &[cluster("up", &[origin.port()])],
    ));
    burst(port, 4, 5);
    drop(origin);
    for _ in 0..20 {
        assert_eq!(Client::connect(port).get("/").status, 502);
    }
    rosn.settled_without_upstream();
}

#[test]
fn a_burst_leaves_neither_descriptors_nor_memory() {
    let (port, origin) = (free_port(), Origin::http(|_| ok("x")));
    let rosn = Rosn::start(&config(
        &[http_listener("h", port, "r")],
        &[router_to("r", "up")],
        &[cluster("up", &[origin.port()])],
    ));
    burst(port, 64, 5);
    rosn.settled();
    let before = rosn.rss();
    for _ in 0..4 {
        burst(port, 64, 10);
    }
    rosn.settled();
    let grown = rosn.rss().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more after four more bursts");
}

#[test]
fn a_unix_client_counts_as_a_connection() {
    let folder = tempfile::Builder::new().prefix("rosn-limits-").tempdir_in("/tmp").unwrap();
    let path = folder.path().join("front.sock");
    let listener = with(
        http_listener("h", 1, "r"),
        json!({ "address": path, "network": "unix", "max_connections": 1 }),
    );
    let rosn = Rosn::start(&config(&[listener], &[direct("r")], &[]));
    let mut first = Client::connect_unix(&path);
    assert_eq!(first.get("/").status, 200);
    let mut second = UnixStream::connect(&path).unwrap();
    second.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(!matches!(std::io::Read::read(&mut second, &mut [0]), Ok(1..)));
    assert_eq!(overflows(&rosn, "h"), 1.0);
    drop((first, second));
    rosn.settled();
}
