//! What others than the log are told: the upstream's side of headers, and clients by `Server-Timing`.

use rosn_tests::config::cluster;
use rosn_tests::origin::{Origin, ok};
use serde_json::{Value, json};

use crate::{Extra, Setup, dead};

fn timed(key: Value, ports: &[u16]) -> Setup {
    let proxy = json!({ "server_timing": key });
    Setup::with(cluster("c", ports), Extra { proxy, ..Extra::default() })
}

/// The names in the field, and what of it has no number.
fn names(field: &str) -> Vec<&str> {
    field.split(", ").map(|metric| metric.split(";dur=").next().unwrap()).collect()
}

#[test]
fn server_timing_is_off_by_default() {
    let origin = Origin::http(|_| ok(""));
    let setup = Setup::new(cluster("c", &[origin.port()]));
    let answer = setup.client().request("GET", "/", &[("x-rosn-timing", "1")], b"");
    assert_eq!(answer.header("server-timing"), None);
    assert_eq!(setup.client().get("/direct").header("server-timing"), None);
}

#[test]
fn server_timing_says_what_happened() {
    let origin = Origin::http(|_| ok(""));
    let setup = timed(json!(true), &[origin.port()]);
    let mut client = setup.client();
    let mut field = |target: &str| client.get(target).header("server-timing").unwrap();
    assert_eq!(names(&field("/")), ["connect", "wait", "total"]);
    assert_eq!(names(&field("/")), ["wait", "connection;desc=reused", "total"]);
    let own = field("/direct");
    assert!(own.starts_with("total;dur=") && own.ends_with(";desc=direct_response"), "{own}");
}

#[test]
fn server_timing_where_it_is_asked_for() {
    let origin = Origin::http(|_| ok(""));
    let setup = timed(json!("on_request"), &[origin.port()]);
    let mut client = setup.client();
    assert_eq!(client.get("/").header("server-timing"), None);
    let mut asked = |value: &str| {
        client.request("GET", "/", &[("X-Rosn-Timing", value)], b"").header("server-timing")
    };
    assert!(asked("1").is_some() && asked("0").is_none());
}

#[test]
fn server_timing_of_a_failure_names_no_address() {
    let port = dead();
    let setup = timed(json!(true), &[port]);
    let field = setup.get().header("server-timing").unwrap();
    assert!(field.contains(";desc=upstream_connect_refused"), "{field}");
    assert!(!field.contains(&port.to_string()), "{field}");
}

#[test]
fn variables_in_headers_of_the_response() {
    let origin = Origin::http(|_| ok(""));
    let header = |name: &str, variable: &str| json!({ "header": { "key": name, "value": format!("%{variable}%") } });
    let route = json!({ "response_headers_to_add": [
        header("x-reused", "upstream_reused"), header("x-wait", "upstream_first_byte_time"),
        header("x-why", "response_code_details"), header("x-addrs", "upstream_addrs"),
    ] });
    let setup = Setup::with(cluster("c", &[origin.port()]), Extra { route, ..Extra::default() });
    let answer = setup.get();
    let value = |name: &str| answer.header(name).unwrap();
    assert_eq!((value("x-reused"), value("x-why")), ("false".into(), "via_upstream".into()));
    assert_eq!(value("x-addrs"), format!("127.0.0.1:{}", origin.port()));
    assert!(crate::nanos(&value("x-wait")).is_some(), "{}", value("x-wait"));
}
