//! The access log: MOSN's default line, every variable, JSON.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs;
use std::path::PathBuf;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, route_to, router};
use rosn_tests::origin::{Origin, response};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Map, Value, json};

struct Setup {
    rosn: Rosn,
    port: u16,
    origin: Origin,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

/// One worker with a forwarding route `/`, a direct response `/direct`, and this access log.
fn setup(mut log: Value) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    log["log_path"] = json!(path);
    let origin = Origin::http(|request| {
        let headers = [("X-Reply", "Yes"), ("X-Odd", "a\"b\\c\tä")];
        response(200, &headers, if request.method == "HEAD" { b"" } else { b"12345" })
    });
    let port = free_port();
    let mut listener = http_listener("in", port, "r");
    listener["type"] = json!("ingress");
    listener["access_logs"] = json!([log]);
    let mut forward = route_to("/", "c");
    forward["name"] = json!("the-route");
    forward["route"]["timeout"] = json!("7s");
    forward["route"]["prefix_rewrite"] = json!("/out/");
    forward["route"]["host_rewrite"] = json!("rewritten");
    forward["route"]["retry_policy"] = json!({ "retry_on": true, "retry_timeout": "3s" });
    let direct = json!({ "match": { "prefix": "/direct" }, "direct_response": { "status": 203, "body": "own" } });
    let mut hosts = cluster("c", &[origin.port()]);
    hosts["hosts"][0]["hostname"] = json!("the.host");
    let config = config(&[listener], &[router("r", &[direct, forward])], &[hosts]);
    let rosn = Rosn::start_with(&config, &["--workers", "1"]);
    Setup { rosn, port, origin, log: path, _folder: folder }
}

impl Setup {
    fn lines(&self, count: usize) -> Vec<String> {
        let read = || fs::read_to_string(&self.log).unwrap_or_default();
        wait_until("the lines are there", || read().lines().count() >= count);
        read().lines().map(str::to_owned).collect()
    }
}

/// Whether it is what Go prints for a duration.
fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    text.starts_with(|c: char| c.is_ascii_digit()) && ["s", "ms", "µs", "ns"].contains(&unit)
}

fn is_start_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000/00/00 00:00:00.000"
}

#[test]
fn the_default_line_is_mosns() {
    let setup = setup(json!({}));
    let mut client = Client::connect(setup.port);
    let own = client.tcp().local_addr().unwrap();
    assert_eq!(client.get("/a").text(), "12345");
    drop(client);
    let line = setup.lines(1).remove(0);
    let words: Vec<&str> = line.split(' ').collect();
    // start_time has a space in it, and two spaces come after trace_id.
    assert_eq!(words.len(), 19, "{line}");
    assert!(is_start_time(&words[..2].join(" ")), "{line}");
    assert_eq!((words[2], words[3]), ("-", ""), "trace_id: {line}");
    assert!(words[4].parse::<u64>().is_ok(), "connection_id: {line}");
    assert!(words[5].parse::<u64>().is_ok(), "upstream_connection_id: {line}");
    assert!(is_duration(words[6]) && is_duration(words[7]), "{line}");
    assert!(words[8].parse::<u64>().unwrap() >= 5, "bytes_sent: {line}");
    words[9].parse::<u64>().unwrap();
    assert_eq!((words[10], words[11]), ("Http1", "200"), "{line}");
    assert!(is_duration(words[12]), "{line}");
    assert_eq!((words[13], words[14]), ("false", "200"), "{line}");
    let local: std::net::SocketAddr = words[15].parse().expect("upstream_local_address");
    assert!(local.ip().is_loopback() && local.port() != setup.port, "{line}");
    assert_eq!(words[16], format!("127.0.0.1:{}", setup.port));
    assert_eq!(words[17], own.to_string());
    assert_eq!(words[18], "the.host", "upstream_host: {line}");
}

/// Every variable, and what it is for a request that was forwarded; empty where only its shape is known.
const VARIABLES: &[(&str, &str)] = &[
    ("protocol", "Http1"),
    ("response_code", "200"),
    ("response_flag", "false"),
    ("response_flags", "-"),
    ("upstream_host", "the.host"),
    ("upstream_cluster", "c"),
    ("upstream_transport_failure_reason", "-"),
    ("requested_server_name", "-"),
    ("route_name", "the-route"),
    ("proxy_try_timeout", "3000"),
    ("proxy_global_timeout", "7000"),
    ("proxy_hijack_status", "-"),
    ("proxy_direct_response", "-"),
    ("proxy_disable_retry", "-"),
    ("x-mosn-scheme", "http"),
    ("x-mosn-host", "asked:80"),
    ("x-mosn-path", "/out/a%20b"),
    ("x-mosn-path-original", "/a%20b"),
    ("x-mosn-querystring", "q=1&r=%3d"),
    ("x-mosn-method", "POST"),
    ("x-mosn-status", "200"),
    ("authority", "rewritten"),
    ("request_scheme", "http"),
    ("request_method", "POST"),
    ("request_uri", "/a%20b?q=1&r=%3d"),
    ("request_path", "/a%20b"),
    ("request_path_original", "/a%20b"),
    ("request_arg", "q=1&r=%3d"),
    ("request_arg_r", "%3d"),
    ("request_header_x-in", "a value"),
    ("request_header_absent", "-"),
    ("response_header_x-reply", "Yes"),
    ("response_header_absent", "-"),
    ("cookie_session", "s=1"),
    ("Http1_request_method", "POST"),
    ("Http1_request_path", "/a%20b"),
    ("Http1_request_header_x-in", "a value"),
    ("Http1_cookie_session", "s=1"),
    ("Http2_request_method", "-"),
    ("listener_name", "in"),
    ("listener_type", "ingress"),
    ("trace_id", "-"),
    ("downstream_protocol", "Http1"),
    ("upstream_protocol", "Http1"),
    ("upstream_index", "0"),
    ("ori_remote_addr", "-"),
    ("upstream_dns_time", "-"),
    ("upstream_tls_time", "-"),
    ("upstream_pool_wait", "-"),
    ("upstream_reused", "false"),
    ("upstream_tries", "1"),
    ("response_code_details", "via_upstream"),
    ("upstream_connect_time", ""),
    ("upstream_first_byte_time", ""),
    ("upstream_total_time", ""),
    ("upstream_addrs", ""),
    ("x-mosn-rpc-method", "-"),
    ("start_time", ""),
    ("request_received_duration", ""),
    ("response_received_duration", ""),
    ("request_finished_duration", ""),
    ("process_time_duration", ""),
    ("duration", ""),
    ("bytes_sent", ""),
    ("bytes_received", ""),
    ("request_length", ""),
    ("stream_id", ""),
    ("connection_id", ""),
    ("upstream_connection_id", ""),
    ("listener_port", ""),
    ("upstream_local_address", ""),
    ("downstream_local_address", ""),
    ("downstream_remote_address", ""),
];

fn every_variable() -> Map<String, Value> {
    VARIABLES.iter().map(|(name, _)| ((*name).to_owned(), json!(format!("%{name}%")))).collect()
}

#[test]
fn every_variable_has_its_value() {
    let setup = setup(json!({ "json_format": every_variable() }));
    let mut client = Client::connect(setup.port);
    let own = client.tcp().local_addr().unwrap();
    let headers = [("Host", "asked:80"), ("X-In", "a value"), ("Cookie", "a=b; session=s=1")];
    assert_eq!(client.request("POST", "/a%20b?q=1&r=%3d", &headers, b"abc").status, 200);
    let line = setup.lines(1).remove(0);
    let values: Map<String, Value> = serde_json::from_str(&line).unwrap();
    let value =
        |name: &str| values[name].as_str().unwrap_or_else(|| panic!("{name} is no text: {line}"));
    let mut wrong = Vec::new();
    for (name, expected) in VARIABLES {
        let found = value(name);
        let fits = match *name {
            _ if !expected.is_empty() => found == *expected,
            "start_time" => is_start_time(found),
            "bytes_sent"
            | "bytes_received"
            | "request_length"
            | "stream_id"
            | "connection_id"
            | "upstream_connection_id" => found.parse::<u64>().is_ok(),
            "upstream_addrs" => found == format!("127.0.0.1:{}", setup.origin.port()),
            "listener_port" => found == setup.port.to_string(),
            "upstream_local_address" => found.parse::<std::net::SocketAddr>().is_ok(),
            "downstream_local_address" => found == format!("127.0.0.1:{}", setup.port),
            "downstream_remote_address" => found == own.to_string(),
            _ => is_duration(found),
        };
        if !fits {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{line}", wrong.join("\n"));
    drop(client);
    setup.rosn.settled();
}

#[test]
fn what_rosn_answers_itself_says_so() {
    let format = "%response_code% %response_flags% %proxy_direct_response% %proxy_hijack_status% %upstream_host% \
                  %upstream_cluster% %response_received_duration%";
    let setup = setup(json!({ "log_format": format }));
    let mut client = Client::connect(setup.port);
    assert_eq!(client.get("/direct").status, 203);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    let port = setup.origin.port();
    drop(setup.origin);
    assert_eq!(Client::connect(setup.port).get("/").status, 502, "port {port}");
    let read = fs::read_to_string(&setup.log).unwrap_or_default();
    wait_until("three lines", || {
        fs::read_to_string(&setup.log).unwrap_or_default().lines().count() >= 3
    });
    let text = fs::read_to_string(&setup.log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "203 - true 203 - - -", "{read}");
    assert_eq!(lines[1], "400 DPE - 400 - - -");
    assert_eq!(lines[2], "502 UF,URX - 502 the.host c -");
}

#[test]
fn what_peers_send_cannot_forge_a_line() {
    let setup = setup(
        json!({ "log_format": "%request_header_x-in%|%response_header_x-odd%|%x-mosn-path-original%" }),
    );
    let mut client = Client::connect(setup.port);
    assert_eq!(
        client.request("GET", "/\"%0a", &[("X-In", "a\tb\"c\\ \u{1b}[31mé")], b"").status,
        400
    );
    assert_eq!(
        Client::connect(setup.port).request("GET", "/%0a", &[("X-In", "a\tb\"c\\é")], b"").status,
        200
    );
    let lines = setup.lines(2);
    assert_eq!(lines[1], "a\\x09b\"c\\é|a\"b\\c\\x09ä|/%0a");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_json_line_is_json_whatever_comes() {
    let format = json!({ "in": "%request_header_x-in%", "out": "%response_header_x-odd%", "both": "<%x-mosn-method%>" });
    let setup = setup(json!({ "json_format": format }));
    let mut client = Client::connect(setup.port);
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-In: q\"\\\t\xff\xc3\xa4\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    let line: Value = serde_json::from_str(&setup.lines(1)[0]).unwrap();
    assert_eq!(line, json!({ "in": "q\"\\\t\u{fffd}ä", "out": "a\"b\\c\tä", "both": "<GET>" }));
}

#[test]
fn several_logs_and_a_switch() {
    let mut setup = setup(json!({ "log_format": "%x-mosn-path-original%" }));
    assert_eq!(Client::connect(setup.port).get("/one").status, 200);
    setup.lines(1);
    let switch = |setup: &Setup, what: &str| {
        let body = setup.log.display().to_string();
        let mut admin = Client::connect(setup.rosn.admin_port());
        let answer = admin.request("POST", &format!("/api/v1/{what}"), &[], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    switch(&setup, "disable_log");
    assert_eq!(Client::connect(setup.port).get("/two").status, 200);
    setup.rosn.settled(); // the line is written after the response
    switch(&setup, "enable_log");
    assert_eq!(Client::connect(setup.port).get("/three").status, 200);
    assert_eq!(setup.lines(2), ["/one", "/three"]);
    // The lines of the last moment are not lost.
    assert_eq!(Client::connect(setup.port).get("/last").status, 200);
    assert!(setup.rosn.stop(rosn_tests::Signal::TERM).success());
    assert_eq!(setup.lines(3)[2], "/last");
}
