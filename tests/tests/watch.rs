//! `rosn start --watch`: what is followed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, route_to, router};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn included_directories_are_followed() {
    let (one, two) = (Origin::http(|_| ok("one")), Origin::http(|_| ok("two")));
    let folder = TempDir::new().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::create_dir(place("clusters")).unwrap();
    let write = |name: &str, port| {
        fs::write(place(name), cluster("c", &[port]).to_string()).unwrap();
    };
    write("clusters/c.json", one.port());
    let port = free_port();
    let listeners = [http_listener("in", port, "r")];
    let mut config = config(&listeners, &[router("r", &[route_to("/", "c")])], &[]);
    config["cluster_manager"] = json!({ "clusters_configs": place("clusters") });
    let rosn = Rosn::start_with(&config, &["--watch"]);
    let answers = |text: &str| Client::connect(port).get("/").text() == text;
    assert!(answers("one"));

    write("clusters/c.json", two.port());
    wait_until("a changed file is put into force", || answers("two"));

    // The way of an editor; then back through another directory, which is followed from then on.
    write("clusters/new", one.port());
    fs::rename(place("clusters/new"), place("clusters/c.json")).unwrap();
    wait_until("a replaced file is put into force", || answers("one"));

    fs::create_dir(place("others")).unwrap();
    fs::write(place("others/c.json"), "{").unwrap();
    config["cluster_manager"] = json!({ "clusters_configs": place("others") });
    rosn.write_config(&config);
    wait_until("the fault is reported", || rosn.log().contains("stays in force"));
    assert!(answers("one"));
    write("others/c.json", two.port());
    wait_until("the directory of the failed load is followed", || answers("two"));
}
