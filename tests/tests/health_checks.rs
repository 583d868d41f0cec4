//! Health checks of clusters: who is asked how, and what comes of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router_to};
use rosn_tests::l4::with;
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

/// A rosn in front of one cluster.
struct Setup {
    rosn: Rosn,
    port: u16,
    cluster: Value,
}

impl Setup {
    fn new(ports: &[u16], check: Value) -> Self {
        let port = free_port();
        let cluster = with(cluster("up", ports), json!({ "health_check": check }));
        let rosn = Rosn::start(&whole(port, &cluster));
        Self { rosn, port, cluster }
    }

    fn reload(&self, cluster: &Value) {
        self.rosn.write_config(&whole(self.port, cluster));
        let (done, said) = self.rosn.reload();
        assert!(done, "{said}");
    }

    /// Waits until so many endpoints are healthy.
    fn wait_healthy(&self, count: usize) {
        wait_until(&format!("{count} endpoints are healthy"), || self.healthy() == count);
    }

    fn healthy(&self) -> usize {
        let text = self.rosn.admin_get("/api/v1/clusters");
        let all: Value = serde_json::from_str(&text).unwrap();
        let endpoints = all["up"]["endpoints"].as_array().unwrap_or_else(|| panic!("{text}"));
        let healthy = endpoints.iter().filter(|endpoint| endpoint["healthy"] == true).count();
        let shown = self.rosn.metric("upstream_membership_healthy", &[("cluster", "up")]);
        // Between the two looks it may have changed.
        if shown as usize == healthy { healthy } else { usize::MAX }
    }

    /// Who answers.
    fn answers(&self) -> BTreeSet<String> {
        let mut client = Client::connect(self.port);
        (0..12).map(|_| client.get("/")).map(|response| response.text()).collect()
    }
}

fn whole(port: u16, cluster: &Value) -> Value {
    let listener = http_listener("h", port, "r");
    config(&[listener], &[router_to("r", "up")], std::slice::from_ref(cluster))
}

/// Asks often, and soon.
fn often(check: Value) -> Value {
    with(check, json!({ "interval": "20ms", "initial_delay_seconds": "1ms", "timeout": "5s" }))
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An origin that answers with its name, and is well while that is said.
fn origin(name: &'static str, well: &Arc<AtomicBool>, asked: &Arc<AtomicUsize>) -> Origin {
    let (well, asked) = (Arc::clone(well), Arc::clone(asked));
    Origin::http(move |request| {
        if request.target != "/health?deep=1" {
            return ok(name);
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let good = request.method == "HEAD"
            && request.header("host").as_deref() == Some("checks.test")
            && well.load(Ordering::SeqCst);
        response(if good { 204 } else { 503 }, &[("Connection", "close")], b"")
    })
}

fn http_check() -> Value {
    often(json!({
        "protocol": "Http1",
        "service_name": "app",
        "check_config": { "http_check_config": {
            "path": "/health?deep=1",
            "method": "HEAD",
            "domain": "checks.test",
            "codes": [{ "Start": 200, "End": 200 }, { "Start": 204, "End": 299 }],
        } },
    }))
}

#[test]
fn an_endpoint_that_answers_badly_gets_no_requests_until_it_answers_well() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (a_well, b_well) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let (a, b) = (origin("a", &a_well, &asked), origin("b", &b_well, &asked));
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("events.log");
    let check = with(http_check(), json!({ "event_log_path": log }));
    let setup = Setup::new(&[a.port(), b.port()], check);
    wait_until("both were asked", || asked.load(Ordering::SeqCst) > 4);
    assert_eq!(setup.answers(), set(&["a", "b"]));

    b_well.store(false, Ordering::SeqCst);
    setup.wait_healthy(1);
    assert_eq!(setup.answers(), set(&["a"]));
    let metric =
        |key: &str| setup.rosn.metric(&format!("healthcheck_{key}"), &[("service", "app")]);
    wait_until("the gauge follows", || metric("healty") == 1.0);
    assert!(metric("active_failure") >= 1.0);
    // Checks go on meanwhile: what was answered is read first, what was asked can only be more.
    let answered = metric("success") + metric("failure");
    assert!(metric("attempt") >= answered);

    b_well.store(true, Ordering::SeqCst);
    setup.wait_healthy(2);
    assert_eq!(setup.answers(), set(&["a", "b"]));

    let host = format!("host:127.0.0.1:{}", b.port());
    wait_until("both changes are in the event log", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains(&format!("{host} health_status:0 current_result:0 status_changed:1"))
            && text.contains(&format!("{host} health_status:1 current_result:1 status_changed:1"))
    });
    let said = setup.rosn.log();
    assert!(said.contains("the health check has found it unhealthy"), "{said}");
    assert!(said.contains("it answered 503"), "{said}");
}

/// Anything but `Http1` and `Grpc` is a connection, as in MOSN; `SofaRpc` is in its examples.
#[test]
fn a_port_that_refuses_is_unhealthy() {
    let port = free_port();
    let (well, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let a = origin("a", &well, &asked);
    let check = often(json!({ "protocol": "SofaRpc", "unhealthy_threshold": 2 }));
    let setup = Setup::new(&[a.port(), port], check);
    setup.wait_healthy(1);
    // Half of the endpoints are healthy: enough not to ignore what the checks say.
    assert_eq!(setup.answers(), set(&["a"]));
    let _b = Origin::http_on(port, |_| ok("b"));
    setup.wait_healthy(2);
    assert_eq!(setup.answers(), set(&["a", "b"]));
}

/// A host that is served on one port may be asked on another.
#[test]
fn hosts_may_be_asked_on_a_port_of_their_own() {
    let (well, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (app, checks) = (Origin::http(|_| ok("app")), origin("checks", &well, &asked));
    let mut check = with(http_check(), json!({ "healthy_threshold": 2 }));
    check["check_config"]["http_check_config"]["port"] = json!(checks.port());
    let setup = Setup::new(&[app.port()], check);
    setup.wait_healthy(0);
    well.store(true, Ordering::SeqCst);
    setup.wait_healthy(1);
    assert_eq!(setup.answers(), set(&["app"]));
    assert!(setup.rosn.metric("healthcheck_failure", &[("service", "app")]) >= 1.0);
}

/// What is no answer is a bad one, however much of it comes; and so is none in time.
#[test]
fn what_is_no_answer_is_a_bad_one() {
    let endless = || {
        Origin::raw(|stream| {
            let mut client = Client::over(stream);
            while client.try_send(b"HTTP/1.1 200 OK\r\nX: ".repeat(1000)).is_ok() {}
        })
    };
    let silent = || Origin::raw(|stream| drop(Client::over(stream).read_to_end()));
    let closes = || Origin::raw(drop);
    for (origin, reason, count) in [
        (endless(), "its answer is invalid", "active_failure"),
        (closes(), "it closed the connection without an answer", "active_failure"),
        (silent(), "no answer within 50ms", "network_failure"),
    ] {
        let check = with(http_check(), json!({ "timeout": "50ms", "unhealthy_threshold": 1 }));
        let check =
            if count == "active_failure" { with(check, json!({ "timeout": "5s" })) } else { check };
        let setup = Setup::new(&[origin.port()], check);
        setup.wait_healthy(0);
        // The log is written a moment later.
        wait_until(reason, || {
            let said = setup.rosn.log();
            said.contains(reason) || said.contains("the connection broke")
        });
        let metric = format!("healthcheck_{count}");
        assert!(setup.rosn.metric(&metric, &[("service", "app")]) >= 1.0, "{reason}");
    }
}

#[test]
fn a_reload_keeps_what_was_found_out_and_ends_checks_that_are_gone() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (a_well, b_well) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (a, b) = (origin("a", &a_well, &asked), origin("b", &b_well, &asked));
    let setup = Setup::new(&[a.port(), b.port()], http_check());
    setup.wait_healthy(1);

    // The cluster has changed, and its checks begin anew an hour later: what they found out stays.
    let mut slower = setup.cluster.clone();
    slower["health_check"]["initial_delay_seconds"] = json!("1h");
    setup.reload(&slower);
    assert_eq!(setup.healthy(), 1);
    assert_eq!(setup.answers(), set(&["a"]));
    let before = settled(&asked);

    // Without checks, nobody is unhealthy.
    let mut unchecked = setup.cluster.clone();
    unchecked.as_object_mut().unwrap().remove("health_check");
    setup.reload(&unchecked);
    assert_eq!(setup.healthy(), 2);
    assert_eq!(setup.answers(), set(&["a", "b"]));
    assert_eq!(settled(&asked), before, "nobody is asked any more");

    setup.reload(&setup.cluster);
    setup.wait_healthy(1);
    b_well.store(true, Ordering::SeqCst);
    setup.wait_healthy(2);
}

/// The count once it does not change while requests are answered.
fn settled(asked: &AtomicUsize) -> usize {
    let mut last = usize::MAX;
    let mut same = 0;
    wait_until("no more questions come", || {
        let now = asked.load(Ordering::SeqCst);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        std::thread::sleep(std::time::Duration::from_millis(5));
        same > 20
    });
    last
}
