//! Framing and smuggling: bytes that two parsers could read differently, sent raw to the real program, in
//! both directions. Each row of the tables names the section that it rests on.
#![allow(clippy::unwrap_used, reason = "tests")]

mod chunks;
mod heads;
mod requests;
mod responses;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rosn_tests::config::{cluster, config, http_listener, route_to, router};
use rosn_tests::{Rosn, free_port};
use serde_json::json;

/// A rosn in front of an origin, and its port.
fn rosn_before(origin: u16) -> (Rosn, u16) {
    let port = free_port();
    let asterisk = json!({ "match": { "path": "*" }, "route": { "cluster_name": "c" } });
    let rosn = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        // The target `*` (RFC 9112 section 3.2.4) is no path, and needs a route of its own.
        &[router("r", &[route_to("/", "c"), asterisk])],
        &[cluster("c", &[origin])],
    ));
    (rosn, port)
}

/// Goes through a whole table, and then names all the rows that failed.
fn all<T>(rows: &[T], name: impl Fn(&T) -> String, run: impl Fn(&T)) {
    let failed = rows.iter().map(|row| {
        let result = catch_unwind(AssertUnwindSafe(|| run(row)));
        result.err().map(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            format!("{}: {}", name(row), text.unwrap_or_default())
        })
    });
    let failed: Vec<String> = failed.flatten().collect();
    assert!(failed.is_empty(), "{} rows failed:\n{}", failed.len(), failed.join("\n"));
}
