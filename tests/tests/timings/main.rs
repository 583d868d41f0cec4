//! Where the time of a request went, and why it failed: in the access log, the metrics, the log and `Server-Timing`.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

mod failures;
mod finals;
mod phases;
mod shown;

use std::fs;
use std::path::PathBuf;

use rosn_tests::client::{Client, Response};
use rosn_tests::config::{config, http_listener, route_to, router};
use rosn_tests::l4::with;
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Map, Value, json};

/// What the access log says of each request.
const VARIABLES: [&str; 16] = [
    "response_code",
    "response_code_details",
    "response_flags",
    "upstream_transport_failure_reason",
    "upstream_dns_time",
    "upstream_connect_time",
    "upstream_tls_time",
    "upstream_pool_wait",
    "upstream_first_byte_time",
    "upstream_total_time",
    "upstream_reused",
    "upstream_tries",
    "upstream_addrs",
    "upstream_index",
    "duration",
    "request_path",
];

/// One worker, an HTTP listener whose router sends all to the cluster `c`, and an access log in JSON.
struct Setup {
    rosn: Rosn,
    port: u16,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

/// What differs from that.
#[derive(Default)]
struct Extra {
    /// Further keys of the route's action.
    route: Value,
    /// Further keys of the filter `proxy`.
    proxy: Value,
    /// Further keys of the configuration.
    top: Value,
}

impl Setup {
    fn new(cluster: Value) -> Self {
        Self::with(cluster, Extra::default())
    }

    fn with(cluster: Value, extra: Extra) -> Self {
        let object = |value: Value| if value.is_null() { json!({}) } else { value };
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let port = free_port();
        let format: Map<String, Value> =
            VARIABLES.iter().map(|name| ((*name).to_owned(), json!(format!("%{name}%")))).collect();
        let mut listener = http_listener("in", port, "r");
        listener["access_logs"] = json!([{ "log_path": log, "json_format": format }]);
        let proxy = &mut listener["filter_chains"][0]["filters"][0]["config"];
        *proxy = with(proxy.take(), object(extra.proxy));
        let direct = json!({ "match": { "prefix": "/direct" }, "direct_response": { "status": 203, "body": "own" } });
        let named =
            json!({ "match": { "prefix": "/named" }, "route": { "cluster_header": "x-cluster" } });
        let only = json!({ "match": { "prefix": "/", "headers": [{ "name": "x-nowhere", "value": "1" }] },
            "direct_response": { "status": 200 } });
        let mut forward = route_to("/", "c");
        forward["route"] = with(forward["route"].take(), object(extra.route));
        let config =
            config(&[listener], &[router("r", &[direct, named, only, forward])], &[cluster]);
        let rosn = Rosn::start_with(&with(config, object(extra.top)), &["--workers", "1"]);
        Self { rosn, port, log, _folder: folder }
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    fn get(&self) -> Response {
        self.client().get("/")
    }

    /// What the access log says of the first requests, when there are so many.
    fn lines(&self, count: usize) -> Vec<Line> {
        let read = || fs::read_to_string(&self.log).unwrap_or_default();
        wait_until("the access log has its lines", || read().lines().count() >= count);
        read().lines().map(|line| Line(serde_json::from_str(line).unwrap())).collect()
    }

    fn line(&self) -> Line {
        self.lines(1).remove(0)
    }

    /// How many durations a histogram of the cluster has.
    fn count(&self, phase: &str) -> f64 {
        self.rosn.metric(&format!("upstream_{phase}_seconds_count"), &[("cluster", "c")])
    }

    /// A line of the log that has all of these.
    fn logged(&self, words: &[&str]) {
        let log = || self.rosn.log();
        let has = |line: &str| words.iter().all(|word| line.contains(word));
        if !log().lines().any(has) {
            wait_until(&format!("the log has a line with {words:?}: {}", log()), || {
                log().lines().any(has)
            });
        }
    }
}

/// One line of the access log.
#[derive(Debug)]
struct Line(Map<String, Value>);

impl Line {
    fn value(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    /// Whether these variables have these values; `~` is a duration.
    #[track_caller]
    fn expect(&self, expected: &[(&str, &str)]) {
        for (name, expected) in expected {
            let found = self.value(name);
            let fits = if *expected == "~" { nanos(found).is_some() } else { found == *expected };
            assert!(fits, "{name}: {found:?}, not {expected:?}: {:?}", self.0);
        }
    }

    fn nanos(&self, name: &str) -> f64 {
        nanos(self.value(name)).unwrap_or_else(|| panic!("{name} is no duration: {:?}", self.0))
    }
}

/// What Go prints for a duration, in nanoseconds.
fn nanos(text: &str) -> Option<f64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let scale = match &text[at..] {
        "ns" => 1.0,
        "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Some(text[..at].parse::<f64>().ok()? * scale)
}

/// A port that refuses connections.
fn dead() -> u16 {
    free_port()
}
