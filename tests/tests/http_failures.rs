//! When an upstream is slow, gone or mad, and what is tried again. After each case nothing is left open.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rosn_tests::client::{Client, Response};
use rosn_tests::config::{cluster, config, http_listener, route_to, router};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

const ACCESS: &str =
    "%response_code% %response_flags% %response_flag% %upstream_transport_failure_reason%";

/// One worker, one listener with an access log, one cluster.
struct Setup {
    rosn: Rosn,
    port: u16,
    log: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Setup {
    fn new(hosts: &[u16]) -> Self {
        Self::with_route(hosts, json!({}))
    }

    /// With further keys of the route's action.
    fn with_route(hosts: &[u16], extra: Value) -> Self {
        Self::with(cluster("c", hosts), extra)
    }

    fn with(cluster: Value, extra: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let port = free_port();
        let mut listener = http_listener("in", port, "r");
        listener["access_logs"] = json!([{ "log_path": log, "log_format": ACCESS }]);
        let mut route = route_to("/", "c");
        for (key, value) in extra.as_object().unwrap() {
            route["route"][key] = value.clone();
        }
        let config = config(&[listener], &[router("r", &[route])], &[cluster]);
        let rosn = Rosn::start_with(&config, &["--workers", "1"]);
        Self { rosn, port, log, _folder: folder }
    }

    fn get(&self) -> Response {
        self.request("GET", &[], b"")
    }

    fn request(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        Client::connect(self.port).request(method, "/", headers, body)
    }

    /// The lines of the access log, when there are so many.
    fn access(&self, count: usize) -> Vec<String> {
        let read = || std::fs::read_to_string(&self.log).unwrap_or_default();
        wait_until("the access log has its lines", || read().lines().count() >= count);
        read().lines().map(str::to_owned).collect()
    }

    fn upstream(&self, metric: &str) -> f64 {
        self.rosn.metric(&format!("upstream_{metric}"), &[("cluster", "c")])
    }

    fn downstream(&self, metric: &str) -> f64 {
        self.rosn.metric(&format!("downstream_{metric}"), &[("listener", "in")])
    }
}

/// Reads a request's head and calls `answer`.
fn raw(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Origin {
    Origin::raw(move |mut stream| {
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        answer(&mut stream);
    })
}

/// Reads until the peer goes, and says nothing.
fn silent() -> Origin {
    Origin::raw(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// A port that refuses connections.
fn dead() -> u16 {
    free_port()
}

#[test]
fn an_upstream_that_is_down() {
    let port = dead();
    let setup = Setup::new(&[port]);
    let answer = setup.get();
    assert_eq!(answer.status, 502);
    assert!(!answer.text().contains(&port.to_string()), "clients are not told where upstreams are");
    let line = &setup.access(1)[0];
    assert!(line.starts_with("502 UF true ") && line.to_lowercase().contains("refused"), "{line}");
    let log = setup.rosn.log();
    assert!(log.contains(&format!("127.0.0.1:{port}")) && log.contains("flags=UF"), "{log}");
    assert!(log.to_lowercase().contains("refused"), "the log says why: {log}");
    assert!(setup.upstream("connection_con_fail") >= 1.0);
    assert_eq!(setup.downstream("request_502_total"), 1.0);
    assert_eq!(setup.downstream("request_failed"), 1.0);
    // It comes up later.
    let _origin = Origin::http_on(port, |_| ok("up"));
    assert_eq!(setup.get().text(), "up");
    setup.rosn.settled();
}

#[test]
fn a_cluster_without_hosts() {
    let setup = Setup::new(&[]);
    let answer = setup.get();
    assert_eq!((answer.status, answer.text().as_str()), (502, "no healthy upstream\n"));
    assert!(setup.access(1)[0].starts_with("502 UH true no healthy upstream"));
    setup.rosn.settled();
}

#[test]
fn a_connection_that_cannot_be_made_goes_to_the_next_host() {
    let origin = Origin::http(|_| ok("alive"));
    let setup = Setup::new(&[dead(), dead(), origin.port()]);
    for _ in 0..10 {
        assert_eq!(setup.get().text(), "alive");
        // Nothing was sent, so it does not matter what the method is.
        assert_eq!(setup.request("POST", &[], b"body").text(), "alive");
    }
    assert!(setup.upstream("connection_con_fail") > 0.0);
    setup.rosn.settled();
}

#[test]
fn a_slow_upstream() {
    let origin = silent();
    let setup = Setup::with_route(&[origin.port()], json!({ "timeout": "150ms" }));
    let answer = setup.get();
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (504, "the upstream did not respond in time\n")
    );
    assert!(setup.access(1)[0].starts_with("504 UT true "));
    assert_eq!(setup.upstream("request_timeout"), 1.0);
    assert_eq!(setup.downstream("request_504_total"), 1.0);
    setup.rosn.settled_without_upstream();
}

#[test]
fn a_request_brings_its_own_timeout() {
    let origin = silent();
    let setup = Setup::new(&[origin.port()]);
    for header in ["X-Mosn-Global-Timeout", "x-mosn-try-timeout"] {
        assert_eq!(setup.request("GET", &[(header, "100")], b"").status, 504, "{header}");
    }
    setup.rosn.settled_without_upstream();
}

#[test]
fn a_response_that_stands_still() {
    let origin = raw(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let setup = Setup::with_route(&[origin.port()], json!({ "timeout": "150ms" }));
    let mut client = Client::connect(setup.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    assert_eq!(client.read_exact(3), b"abc");
    assert!(client.is_reset(), "what broke off must not look whole");
    assert!(setup.access(1)[0].starts_with("200 UT true "));
    drop(client);
    setup.rosn.settled_without_upstream();
}

/// Each pair: what the upstream sends, and whether it ends the connection.
#[test]
fn an_upstream_that_sends_rubbish() {
    let large = format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(10_000));
    let rubbish: [&[u8]; 10] = [
        b"Hello there\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nA\x00B: c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        large.as_bytes(),
        many.as_bytes(),
    ];
    let rubbish: Vec<Vec<u8>> = rubbish.iter().map(|bytes| bytes.to_vec()).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let (sent, at) = (rubbish.clone(), Arc::clone(&next));
    let origin = raw(move |stream| {
        let _ = stream.write_all(&sent[at.load(Ordering::SeqCst)]);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let setup = Setup::new(&[origin.port()]);
    setup.get();
    let before = setup.rosn.rss();
    for (place, bytes) in rubbish.iter().enumerate() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        next.store(place, Ordering::SeqCst);
        let answer = setup.get();
        assert_eq!(answer.status, 502, "{shown}: {}", answer.head);
        let line = setup.access(place + 2).pop().unwrap();
        assert!(
            line.starts_with("502 UPE true ") || line.starts_with("502 UR true "),
            "{shown}: {line}"
        );
    }
    setup.rosn.settled_without_upstream();
    let grown = setup.rosn.rss().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
}

#[test]
fn an_upstream_that_closes_without_a_word() {
    for part in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let origin = raw(move |stream| {
            let _ = stream.write_all(part.as_bytes());
        });
        let setup = Setup::new(&[origin.port()]);
        assert_eq!(setup.get().status, 502, "after {part:?}");
        assert!(setup.access(1)[0].starts_with("502 UR true "), "{:?}", setup.access(1));
        assert_eq!(origin.connections(), 1, "without a policy it is not sent again");
        setup.rosn.settled_without_upstream();
    }
}

#[test]
fn a_body_shorter_than_announced() {
    let framings = [
        "Content-Length: 10\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ];
    for framing in framings {
        let origin = raw(move |stream| {
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}").as_bytes());
        });
        let setup = Setup::new(&[origin.port()]);
        let mut client = Client::connect(setup.port);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let got = client.read_to_end();
        assert!(got.is_empty() || got.starts_with(b"HTTP/1.1 200 OK\r\n"), "{framing}");
        assert!(!got.ends_with(b"0\r\n\r\n"), "{framing}: it looks whole");
        assert!(setup.access(1)[0].starts_with("200 UC true "), "{framing}: {:?}", setup.access(1));
        drop(client);
        setup.rosn.settled_without_upstream();
    }
}

#[test]
fn a_body_longer_than_announced() {
    let origin = Origin::http(|request| {
        let mut bytes = ok("exact");
        if request.target == "/long" {
            bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
        }
        bytes
    });
    let setup = Setup::new(&[origin.port()]);
    let mut client = Client::connect(setup.port);
    for _ in 0..20 {
        assert_eq!(client.get("/long").text(), "exact");
        assert_eq!(client.get("/short").text(), "exact");
    }
    drop(client);
    assert!(origin.connections() >= 20, "such a connection is not used again");
    setup.rosn.settled();
}

#[test]
fn a_response_without_a_length_ends_with_its_connection() {
    let origin = raw(|stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it");
    });
    let setup = Setup::new(&[origin.port()]);
    let mut client = Client::connect(setup.port);
    let answer = client.get("/");
    assert_eq!(answer.header("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(answer.text(), "all of it");
    assert_eq!(client.get("/").text(), "all of it", "the client's connection stays");
    let mut old = Client::connect(setup.port);
    old.send("GET / HTTP/1.0\r\n\r\n");
    let answer = old.read_response();
    assert_eq!((answer.header("transfer-encoding"), answer.text().as_str()), (None, "all of it"));
    assert!(old.is_closed());
    drop((client, old));
    setup.rosn.settled_without_upstream();
}

fn policy(num_retries: u32, status_codes: &[u16]) -> Value {
    json!({ "retry_policy": { "retry_on": true, "num_retries": num_retries, "status_codes": status_codes } })
}

/// Fails with these statuses, one after the other, then answers.
fn failing(statuses: &[u16]) -> Origin {
    let statuses = Mutex::new(statuses.to_vec());
    Origin::http(move |request| {
        let mut left = statuses.lock().unwrap();
        if left.is_empty() {
            return ok(&String::from_utf8_lossy(&request.body));
        }
        response(left.remove(0), &[], b"failed")
    })
}

#[test]
fn retries_after_the_statuses_that_the_policy_names() {
    let origin = failing(&[503, 429]);
    let setup = Setup::with_route(&[origin.port()], policy(2, &[503, 429]));
    // The body is sent again with it; a named status counts for every method.
    let answer = setup.request("POST", &[], b"the body");
    assert_eq!((answer.status, answer.text().as_str()), (200, "the body"));
    assert_eq!(origin.requests(), 3);
    assert_eq!(setup.upstream("request_retry"), 2.0);
    assert!(setup.access(1)[0].starts_with("200 - false"));
    setup.rosn.settled();
}

#[test]
fn retries_are_counted_exactly() {
    let origin = failing(&[500; 9]);
    let setup = Setup::with_route(&[origin.port()], policy(2, &[]));
    let answer = setup.get();
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (500, "failed"),
        "the last answer is passed on"
    );
    assert_eq!(origin.requests(), 3);
    // Nothing names the status, and a POST may have been carried out.
    assert_eq!(setup.request("POST", &[], b"x").status, 500);
    assert_eq!(origin.requests(), 4);
    setup.rosn.settled();
}

#[test]
fn no_policy_no_retry() {
    let origin = failing(&[503]);
    let setup = Setup::new(&[origin.port()]);
    assert_eq!(setup.get().status, 503);
    assert_eq!(origin.requests(), 1);
    assert_eq!(setup.get().status, 200);
    setup.rosn.settled();
}

#[test]
fn a_try_that_takes_too_long_is_given_up_for_another() {
    let seen = AtomicUsize::new(0);
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let origin = Origin::http(move |_| {
        if seen.fetch_add(1, Ordering::SeqCst) == 0 {
            let _ = held.lock().unwrap().recv(); // until the test is over
        }
        ok("second")
    });
    let mut extra = policy(1, &[]);
    extra["retry_policy"]["retry_timeout"] = json!("150ms");
    let setup = Setup::with_route(&[origin.port()], extra);
    assert_eq!(setup.get().text(), "second");
    assert_eq!(setup.upstream("request_timeout"), 1.0);
    drop(hold);
    setup.rosn.settled();
}

/// Answers the first request of each connection; closes at the second, having read it.
fn answers_once() -> Origin {
    Origin::raw(|stream| {
        let mut client = Client::over(stream);
        client.read_head();
        client.send(ok("fresh"));
        client.read_head();
    })
}

#[test]
fn a_stale_pooled_connection_costs_an_idempotent_request_nothing() {
    let origin = answers_once();
    let setup = Setup::new(&[origin.port()]);
    for request in 1..=5 {
        assert_eq!(setup.get().text(), "fresh", "request {request}");
    }
    assert_eq!(origin.connections(), 5);
    // It was sent, so a POST may have been carried out.
    assert_eq!(setup.request("POST", &[], b"x").status, 502);
    setup.rosn.settled_without_upstream();
}

#[test]
fn a_pooled_connection_that_was_closed_is_not_used() {
    let origin = Origin::http(|_| ok("fresh"));
    let setup = Setup::new(&[origin.port()]);
    for method in ["GET", "POST", "POST", "GET", "POST"] {
        let body: &[u8] = if method == "POST" { b"x" } else { b"" };
        assert_eq!(setup.request(method, &[], body).text(), "fresh");
        origin.close_connections();
    }
    setup.rosn.settled_without_upstream();
}

#[test]
fn connections_are_used_again_and_not_beyond_their_limit() {
    let origin = Origin::http(|_| ok("x"));
    let mut limited = cluster("c", &[origin.port()]);
    limited["max_request_per_conn"] = json!(4);
    let setup = Setup::with(limited, json!({}));
    for _ in 0..12 {
        assert_eq!(setup.get().status, 200);
    }
    assert_eq!(origin.connections(), 3);
    setup.rosn.settled();
}

#[test]
fn a_circuit_breaker_that_is_open() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let origin = Origin::http(move |request| {
        if request.target == "/held" {
            let _ = held.lock().unwrap().recv();
        }
        ok("x")
    });
    let mut limited = cluster("c", &[origin.port()]);
    limited["circuit_breakers"] = json!([{ "max_requests": 1 }]);
    let setup = Setup::with(limited, json!({}));
    let mut holder = Client::connect(setup.port);
    holder.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the first request is there", || origin.requests() == 1);
    assert_eq!(setup.get().status, 503);
    assert!(setup.access(1)[0].starts_with("503 UO true "));
    assert_eq!(setup.upstream("request_pending_overflow"), 1.0);
    release.send(()).unwrap();
    assert_eq!(holder.read_response().status, 200);
    assert_eq!(setup.get().status, 200);
    drop(holder);
    setup.rosn.settled();
}

#[test]
fn an_early_response_reaches_a_client_that_is_still_sending() {
    let origin = raw(|stream| {
        stream
            .write_all(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n",
            )
            .unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let setup = Setup::new(&[origin.port()]);
    let mut client = Client::connect(setup.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    client.send(vec![b'x'; 100_000]);
    let answer = client.read_response();
    assert_eq!((answer.status, answer.text().as_str()), (413, "no\n"));
    assert_eq!(answer.header("connection").as_deref(), Some("close"));
    drop(client);
    setup.rosn.settled_without_upstream();
}

#[test]
fn a_client_that_resets_takes_its_request_with_it() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nabc",
    ] {
        let (head, heads) = mpsc::channel();
        let head = Mutex::new(head);
        let origin = raw(move |stream| {
            head.lock().unwrap().send(()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let setup = Setup::new(&[origin.port()]);
        let mut client = Client::connect(setup.port);
        client.send(request);
        heads.recv().unwrap();
        socket2::SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        let line = &setup.access(1)[0];
        assert!(line.starts_with("499 DC true "), "{request}: {line}");
        setup.rosn.settled_without_upstream();
        assert_eq!(setup.downstream("request_499_total"), 1.0);
        assert_eq!(setup.downstream("request_reset"), 1.0);
    }
}

#[test]
fn requests_that_come_while_another_waits_are_answered_in_order() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let origin = Origin::http(move |request| {
        if request.target == "/0" {
            let _ = held.lock().unwrap().recv();
        }
        ok(&format!("{} {}", request.target, String::from_utf8_lossy(&request.body)))
    });
    for first in [
        "GET /0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let setup = Setup::new(&[origin.port()]);
        let before = origin.requests();
        let mut client = Client::connect(setup.port);
        client.send(first);
        wait_until("the first request is there", || origin.requests() == before + 1);
        for n in 1..100 {
            client.send(format!(
                "POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{:02}",
                n
            ));
        }
        release.send(()).unwrap();
        assert!(client.read_response().text().starts_with("/0 "));
        for n in 1..100 {
            assert_eq!(client.read_response().text(), format!("/{n} {n:02}"));
        }
        drop(client);
        setup.rosn.settled();
    }
}

/// As `printf ... | nc` does.
#[test]
fn a_client_that_only_ends_its_own_direction_is_answered() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let origin = Origin::http(move |_| {
        let _ = held.lock().unwrap().recv();
        ok("late")
    });
    let setup = Setup::new(&[origin.port()]);
    let mut client = Client::connect(setup.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.shutdown_write();
    wait_until("the request is there", || origin.requests() == 1);
    release.send(()).unwrap();
    assert_eq!(client.read_response().text(), "late");
    assert!(client.is_closed());
    drop(client);
    setup.rosn.settled();
}

/// Nothing listens, but the port is taken: connections hang in the queue that is full.
#[test]
fn an_upstream_that_does_not_accept_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = fill_queue(&listener);
    let mut slow = cluster("c", &[port]);
    slow["connect_timeout"] = json!("150ms");
    let setup = Setup::with(slow, json!({}));
    assert_eq!(setup.get().status, 504);
    assert!(setup.access(1)[0].starts_with("504 UF true "), "{:?}", setup.access(1));
    drop((socket, listener));
    setup.rosn.settled_without_upstream();
}

/// Fills the queue of connections that wait to be accepted.
fn fill_queue(listener: &TcpListener) -> Vec<TcpStream> {
    socket2::SockRef::from(listener).listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100));
    std::iter::from_fn(|| connect().ok()).collect()
}
