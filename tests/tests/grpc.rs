//! gRPC calls through the real program: what the proxy says about them itself, and what it leaves to them.
//!
//! The origin speaks HTTP/1.1 with trailers, which inside of the proxy is the same as HTTP/2, and is easy to script.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, listener, route_to, router};
use rosn_tests::http2::{Answer, Http2};
use rosn_tests::l4::{merge, with};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

const LOG: &str = "%request_path% %response_code% [%response_flags%] %response_code_details% \
                   %grpc_status% %grpc_message% %upstream_tries%";

/// The code of RST_STREAM for what is not whole.
const INTERNAL_ERROR: u32 = 2;

/// A rosn that takes HTTP/2, in front of one origin.
struct Line {
    rosn: Rosn,
    port: u16,
}

impl Line {
    /// Everything goes to the origin, by a route with these keys.
    fn new(origin: &Origin, of_route: Value) -> Self {
        Self::changed(origin, of_route, |_| {})
    }

    /// With a configuration that was changed like this.
    fn changed(origin: &Origin, of_route: Value, change: impl FnOnce(&mut Value)) -> Self {
        let port = free_port();
        let proxy = json!({
            "downstream_protocol": "Http2",
            "upstream_protocol": "Http1",
            "router_config_name": "r",
        });
        let mut listener = listener("in", port, json!({ "type": "proxy", "config": proxy }));
        let log = json!({ "log_path": "access.log", "log_format": LOG });
        merge(&mut listener, json!({ "access_logs": [log] }));
        let mut route = route_to("/", "up");
        merge(&mut route["route"], of_route);
        let routes = [
            json!({ "match": { "path": "/no/Hosts" }, "route": { "cluster_name": "empty" } }),
            json!({ "match": { "path": "/no/Entry" }, "direct_response": { "status": 403, "body": "go 100% away" } }),
            json!({ "match": { "path": "/its/Own" }, "direct_response": { "status": 200 },
                "response_headers_to_add": [] }),
            json!({ "match": { "path": "/else/Where" }, "redirect": { "path_redirect": "/x" } }),
            route,
        ];
        let clusters = [cluster("up", &[origin.port()]), cluster("empty", &[])];
        let mut config = config(&[listener], &[router("r", &routes)], &clusters);
        change(&mut config);
        Self { rosn: Rosn::start_with(&config, &["--workers", "1"]), port }
    }

    /// A unary call.
    fn call(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut client = Http2::connect(self.port);
        let stream = begin(&mut client, path, headers);
        client.data(stream, b"\0\0\0\0\x01x", true);
        client.answer(stream)
    }

    /// The last line of the access log, once there are so many.
    fn log(&self, count: usize) -> String {
        let read = || std::fs::read_to_string(self.rosn.folder().join("access.log"));
        let lines = || read().unwrap_or_default().lines().count();
        wait_until("the access log is written", || lines() >= count);
        read().unwrap().lines().nth(count - 1).unwrap().to_owned()
    }

    fn upstream(&self, key: &str) -> f64 {
        self.rosn.metric(&format!("upstream_{key}"), &[("cluster", "up")])
    }
}

/// Sends the head of a call.
fn begin(client: &mut Http2, path: &str, headers: &[(&str, &str)]) -> u32 {
    let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
    all.extend(headers);
    client.begin("POST", path, &all)
}

/// One message and these trailers.
fn answer(trailers: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\n\0\0\0\0\x01y\r\n0\r\n{trailers}\r\n"
    )
    .into_bytes()
}

/// A response without a message.
fn trailers_only(status: &str) -> Vec<u8> {
    let fields = [("Content-Type", "application/grpc"), ("Grpc-Status", status)];
    response(200, &fields, b"")
}

/// Checks that a call was refused by the proxy itself, in one head.
fn assert_refused(answer: &Answer, status: &str, message: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    assert_eq!(answer.header("grpc-status"), Some(status), "{answer:?}");
    assert_eq!(answer.header("grpc-message"), Some(message));
    assert!(answer.header("content-length").is_none() && answer.body.is_empty());
    assert!(answer.trailers.is_empty() && answer.ended, "{answer:?}");
}

#[test]
fn a_call_passes_with_its_trailers() {
    let origin = Origin::http(|_| answer("grpc-status: 0\r\nx-bin: aGk\r\n"));
    let line = Line::new(&origin, json!({}));
    let answer = line.call("/a.B/C", &[]);
    assert_eq!((answer.status, answer.ended), (200, true));
    assert_eq!(answer.body, b"\0\0\0\0\x01y");
    let trailers: Vec<_> = answer.trailers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(trailers, [("grpc-status", "0"), ("x-bin", "aGk")]);
    assert_eq!(line.log(1), "/a.B/C 200 [-] via_upstream 0 - 1");
}

#[test]
fn what_the_proxy_refuses_has_a_status_of_grpc() {
    let origin = Origin::http(|_| ok("never asked"));
    let line = Line::changed(&origin, json!({}), |config| {
        let hosts = &mut config["servers"][0]["routers"][0]["virtual_hosts"][0];
        hosts["domains"] = json!(["localhost"]);
    });
    for (at, (path, authority, code, message, log)) in [
        (
            "/a.B/C",
            "else.where",
            "12",
            "no route matches the request",
            "404 [NR] route_not_found 12",
        ),
        (
            "/no/Hosts",
            "localhost",
            "14",
            "no healthy upstream",
            "502 [UH] cluster_without_hosts 14",
        ),
        ("/no/Entry", "localhost", "7", "go 100%25 away", "403 [-] direct_response 7"),
        ("/else/Where", "localhost", "2", "", "301 [-] direct_response 2"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Http2::connect(line.port);
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", authority),
            (":path", path),
            ("content-type", "Application/GRPC+proto"),
            ("te", "trailers"),
        ];
        let stream = client.open(&fields, false);
        client.data(stream, b"\0\0\0\0\0", true);
        assert_refused(&client.answer(stream), code, message);
        let said = line.log(at + 1);
        assert!(said.starts_with(&format!("{path} {log} ")), "{said}");
    }
    assert_eq!(origin.requests(), 0);
    // What the configuration says with a 2xx is said as it stands there.
    let own = line.call("/its/Own", &[]);
    assert_eq!((own.status, own.header("grpc-status")), (200, None));
}

/// HTTP/1.1 has no gRPC: there it is a request like any other.
#[test]
fn over_http_1_it_is_a_request_like_any_other() {
    let origin = Origin::http(|_| ok("never asked"));
    let line = Line::changed(&origin, json!({}), |config| {
        let chain = &mut config["servers"][0]["listeners"][0]["filter_chains"][0];
        chain["filters"][0]["config"]["downstream_protocol"] = json!("Http1");
    });
    let headers = [("Content-Type", "application/grpc")];
    let response = Client::connect(line.port).request("POST", "/no/Entry", &headers, b"x");
    assert_eq!((response.status, response.text()), (403, "go 100% away".to_owned()));
}

#[test]
fn a_refused_connection_and_an_overflow_are_unavailable() {
    let origin = Origin::http(|_| ok(""));
    let line = Line::changed(&origin, json!({}), |config| {
        let clusters = &mut config["cluster_manager"]["clusters"];
        clusters[0] = cluster("up", &[free_port()]);
    });
    let refused = line.call("/a.B/C", &[]);
    assert_refused(&refused, "14", "no connection to the upstream could be made");
    assert!(line.log(1).starts_with("/a.B/C 502 [UF] upstream_connect_refused 14 "));
}

/// Nobody answers: the time of the route is over, which for a call is its deadline.
#[test]
fn the_timeout_of_the_route_is_a_deadline() {
    let origin = Origin::raw(|stream| drop(Client::over(stream).read_to_end()));
    let line = Line::new(&origin, json!({ "timeout": "50ms" }));
    let answer = line.call("/a.B/C", &[]);
    assert_refused(&answer, "4", "the upstream did not respond in time");
    assert!(line.log(1).starts_with("/a.B/C 504 [UT] upstream_response_timeout 4 "));
}

#[test]
fn the_deadline_of_the_client_ends_the_call_on_both_sides() {
    let (heads, seen) = std::sync::mpsc::channel();
    let heads = Mutex::new(heads);
    let origin = Origin::raw(move |stream| {
        let mut client = Client::over(stream).without_timeout();
        let head = client.read_head();
        client.read_to_end();
        heads.lock().unwrap().send(head).unwrap();
    });
    let line = Line::new(&origin, json!({ "timeout": "1h" }));
    let answer = line.call("/a.B/C", &[("grpc-timeout", "90m")]);
    assert_refused(&answer, "4", "the deadline of the call has passed");
    let head = seen.recv().unwrap();
    // What is left of it went up, once.
    let timeouts: Vec<&str> =
        head.lines().filter_map(|line| line.strip_prefix("grpc-timeout: ")).collect();
    let left: u64 = timeouts[0].trim_end_matches('n').parse().unwrap();
    assert!(timeouts.len() == 1 && left <= 90_000_000, "{head}");
    assert!(line.log(1).starts_with("/a.B/C 504 [UT] request_deadline_exceeded 4 "));
}

/// Reads a head and its chunked body, and begins a response that then stands still until the peer ends.
fn silent_stream(stream: std::net::TcpStream) {
    let mut client = Client::over(stream).without_timeout();
    client.read_head();
    client.send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\n\0\0\0\0\x01y\r\n",
    );
    client.read_to_end();
}

/// The client is told at once when the time is over, also where its stream had begun: its own clock may be behind.
#[test]
fn a_stream_that_has_begun_is_cut_at_its_deadline() {
    let origin = Origin::raw(silent_stream);
    let line = Line::new(&origin, json!({}));
    let answer = line.call("/a.B/C", &[("grpc-timeout", "80m")]);
    assert_eq!((answer.status, answer.ended), (200, false));
    assert_eq!(answer.body, b"\0\0\0\0\x01y");
    assert_eq!(answer.reset, Some(INTERNAL_ERROR));
    assert!(line.log(1).starts_with("/a.B/C 200 [UT] request_deadline_exceeded 4 "));
}

/// A stream of messages may be silent for longer than anything else may stand still.
#[test]
fn a_silent_stream_is_not_cut_by_the_timeout_of_the_route() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let origin = Origin::raw(move |stream| {
        let mut client = Client::over(stream).without_timeout();
        let head = client.read_head();
        let kind =
            if head.contains("application/grpc") { "application/grpc" } else { "text/plain" };
        client.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
        ));
        if kind == "text/plain" {
            client.read_to_end();
        } else {
            released.lock().unwrap().recv().unwrap();
            client.send("0\r\ngrpc-status: 0\r\n\r\n");
            client.read_to_end();
        }
    });
    let line = Line::new(&origin, json!({ "timeout": "60ms" }));
    let mut client = Http2::connect(line.port);
    // Its request stays open, too: nobody waits for the rest of it.
    let stream = begin(&mut client, "/a.B/Watch", &[]);
    client.until(stream, |answer| !answer.body.is_empty());
    // Two others that stand still, one after the other, are cut meanwhile.
    for _ in 0..2 {
        let plain = client.request("GET", "/plain", &[]);
        assert_eq!(client.answer(plain).reset, Some(INTERNAL_ERROR));
    }
    client.data(stream, b"", true);
    release.send(()).unwrap();
    let answer = client.answer(stream);
    assert_eq!((answer.ended, answer.reset), (true, None));
    assert_eq!(answer.trailers.len(), 1);
}

#[test]
fn a_response_that_breaks_off_is_reset() {
    let origin = Origin::raw(silent_stream);
    let line = Line::new(&origin, json!({}));
    let mut client = Http2::connect(line.port);
    let stream = begin(&mut client, "/a.B/C", &[]);
    client.until(stream, |answer| !answer.body.is_empty());
    origin.close_connections();
    let answer = client.answer(stream);
    assert_eq!((answer.status, answer.ended), (200, false));
    assert_eq!(answer.reset, Some(INTERNAL_ERROR));
    assert!(line.log(1).starts_with("/a.B/C 200 [UC] upstream_response_broken 13 "));
}

/// Answers the first `bad` requests so, and the others well.
fn flaky(bad: usize, answer_of: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::http(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) < bad;
        if first { answer_of() } else { answer("grpc-status: 0\r\n") }
    })
}

fn retrying(statuses: Value) -> Value {
    json!({ "retry_policy":
        { "retry_on": true, "num_retries": 2, "grpc_status_codes": statuses } })
}

#[test]
fn a_status_that_the_policy_names_is_tried_again() {
    let origin = flaky(2, || trailers_only("14"));
    let line = Line::new(&origin, retrying(json!(["unavailable", 8])));
    let answer = line.call("/a.B/C", &[]);
    assert_eq!((answer.body.len(), &*answer.trailers[0].1), (6, "0"));
    assert_eq!(line.log(1), "/a.B/C 200 [-] via_upstream 0 - 3");
    assert_eq!(line.upstream("request_retry"), 2.0);
}

#[test]
fn when_no_try_is_left_the_last_answer_is_passed_on() {
    let origin = flaky(9, || trailers_only("14"));
    let line = Line::new(&origin, retrying(json!(["unavailable"])));
    let answer = line.call("/a.B/C", &[]);
    assert_eq!((answer.header("grpc-status"), answer.ended), (Some("14"), true));
    assert_eq!(origin.requests(), 3);
    assert!(line.log(1).starts_with("/a.B/C 200 [-] via_upstream 14 - 3"));
}

#[test]
fn other_statuses_and_those_that_come_late_are_passed_on() {
    for (name, answer_of) in [
        ("another", trailers_only("5")),
        ("late", answer("grpc-status: 14\r\n")),
        ("without", answer("")),
    ] {
        let origin = flaky(9, move || answer_of.clone());
        let line = Line::new(&origin, retrying(json!(["unavailable"])));
        assert_eq!(line.call("/a.B/C", &[]).status, 200, "{name}");
        assert_eq!(origin.requests(), 1, "{name}");
    }
}

#[test]
fn calls_count_by_their_own_status() {
    let statuses = Mutex::new(["0", "5", "14", "12"].into_iter());
    let origin = Origin::http(move |_| {
        let status = statuses.lock().unwrap().next().unwrap_or("0");
        answer(&format!("grpc-status: {status}\r\ngrpc-message: so%20it%20is\r\n"))
    });
    let line = Line::changed(&origin, json!({}), |config| {
        let listener = &mut config["servers"][0]["listeners"][0];
        *listener = with(listener.take(), json!({ "stream_filters": [{ "type": "grpc_metric" }] }));
    });
    for (at, status) in ["0", "5", "14"].into_iter().enumerate() {
        line.call("/a.B/C", &[]);
        assert_eq!(
            line.log(at + 1),
            format!("/a.B/C 200 [-] via_upstream {status} so%20it%20is 1")
        );
    }
    line.call("/a.B/Unknown", &[]);
    line.log(4);
    // NOT_FOUND says as little about the upstream as 404 does.
    assert_eq!((line.upstream("response_success"), line.upstream("response_failed")), (2.0, 2.0));
    let metric =
        |key: &str, service| line.rosn.metric(&format!("grpc_{key}"), &[("service", service)]);
    for (key, count) in [
        ("request_total", 3.0),
        ("response_succ_total", 1.0),
        ("response_fail_total", 2.0),
        ("status_ok", 1.0),
        ("status_not_found", 1.0),
        ("status_unavailable", 1.0),
        ("cost_time_seconds_count", 3.0),
    ] {
        assert_eq!(metric(key, "/a.B/C"), count, "{key}");
    }
    assert_eq!(metric("request_total", "other"), 1.0, "a method that nobody has is no label");
}

/// Routes go by service and by method, as paths.
#[test]
fn methods_are_routed_by_their_paths() {
    let (b, other) =
        (Origin::http(|_| answer("grpc-status: 0\r\n")), Origin::http(|_| trailers_only("5")));
    let line = Line::changed(&other, json!({}), |config| {
        let routes = &mut config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"];
        let exact = json!({ "match": { "path": "/a.B/One", "case_sensitive": true },
            "route": { "cluster_name": "b" } });
        let all = routes.as_array_mut().unwrap();
        all.insert(0, exact);
        all.insert(1, route_to("/c.D/", "b"));
        let clusters = config["cluster_manager"]["clusters"].as_array_mut().unwrap();
        clusters.push(cluster("b", &[b.port()]));
    });
    for (path, is_b) in
        [("/a.B/One", true), ("/a.B/one", false), ("/a.B/Two", false), ("/c.D/Any", true)]
    {
        let answer = line.call(path, &[]);
        assert_eq!(answer.header("grpc-status").is_none(), is_b, "{path}");
    }
}
