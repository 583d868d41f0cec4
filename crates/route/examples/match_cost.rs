//! How long a match takes, in nanoseconds, in tables of different sizes:
//! `cargo run --release -p rosn-route --example match_cost`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rosn_config::checked::{
    Action, DirectResponse, HeaderEdits, HeaderMatch, Match, MatchKind, Route, Router, ValueMatch,
    VirtualHost,
};
use rosn_config::{Variable, Variables};
use rosn_route::{Clusters, Headers, Input, Table};

const ROUNDS: u32 = 500;
const MATCHES: u32 = 4096;

struct Browser;

impl Headers for Browser {
    fn value(&self, lower_name: &str) -> Option<&[u8]> {
        let headers = [("accept", "*/*"), ("user-agent", "browser"), ("x-version", "2")];
        headers.iter().find(|(name, _)| *name == lower_name).map(|(_, value)| value.as_bytes())
    }
}

impl Variables for Browser {
    fn write(&self, _: &Variable, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// A mix as it is found in gateways: of ten routes, six prefixes, two exact paths, one prefix with
/// a header, one pattern.
fn route(number: usize) -> Arc<Route> {
    let kind = match number % 10 {
        0 | 5 => MatchKind::Path { path: format!("/api/v1/{number}"), case_sensitive: false },
        9 => MatchKind::Regex(format!("^/files/{number}/[0-9]+$")),
        _ => MatchKind::Prefix(format!("/api/v1/service{number}/")),
    };
    let version = HeaderMatch { name: "x-version".into(), value: ValueMatch::Exact("1".into()) };
    let headers = if number % 10 == 7 { vec![version] } else { vec![] };
    Arc::new(Route {
        name: String::new(),
        matcher: Match { kind, headers },
        action: Action::Direct(DirectResponse { status: 200, body: String::new() }),
        edits: HeaderEdits::default(),
    })
}

fn router(hosts: usize, routes: usize, with_patterns: bool) -> Router {
    let numbers = || (0..routes).filter(|number| with_patterns || number % 10 != 9);
    let virtual_hosts = (0..hosts).map(|host| VirtualHost {
        name: host.to_string(),
        domains: vec![format!("host{host}.example.com"), format!("*.wild{host}.example.com")],
        require_tls: false,
        edits: HeaderEdits::default(),
        routes: numbers().map(route).collect(),
    });
    let virtual_hosts = virtual_hosts.collect();
    Router { name: "".into(), edits: HeaderEdits::default(), virtual_hosts }
}

/// Requests in an order that no cache foresees, each of which is answered.
fn requests(hosts: usize, routes: usize) -> Vec<(String, String)> {
    let mut random = fastrand::Rng::with_seed(1);
    let request = |_| {
        let (host, route) = (random.usize(..hosts), random.usize(..routes / 10) * 10);
        let authority = match random.bool() {
            true => format!("Host{host}.example.com:8080"),
            false => format!("a.wild{host}.example.com"),
        };
        let path = match random.u8(..3) {
            0 => format!("/api/v1/{}", route + 5),
            _ => format!("/api/v1/service{}/items/42", route + random.usize(1..5)),
        };
        (authority, path)
    };
    (0..4096).map(request).collect()
}

fn measure(label: &str, hosts: usize, routes: usize, with_patterns: bool) {
    let start = Instant::now();
    let router = router(hosts, routes, with_patterns);
    let table: Table<()> =
        Table::compile(&router, Arc::new(Clusters::default())).expect("the router is valid");
    let compile = start.elapsed();
    let requests = requests(hosts, routes);
    // The shortest of several rounds: what else the machine does only adds.
    let rounds = (0..ROUNDS).map(|_| round(&table, &requests)).min();
    let each = rounds.unwrap_or_default().as_nanos() / u128::from(MATCHES);
    println!("{label:<34}{each:>6} ns per match, compiled in {compile:?}");
}

fn round(table: &Table<()>, requests: &[(String, String)]) -> Duration {
    let start = Instant::now();
    for number in 0..MATCHES {
        let (authority, path) = &requests[number as usize % requests.len()];
        let found = table.find(black_box(&Input {
            authority: authority.as_bytes(),
            path: path.as_bytes(),
            method: b"GET",
            headers: &Browser,
            variables: &Browser,
        }));
        black_box(found).expect("each request has a route");
    }
    start.elapsed()
}

fn main() {
    measure("1 host x 10 routes", 1, 10, false);
    measure("10 hosts x 10 routes", 10, 10, false);
    measure("10,000 hosts x 10 routes", 10_000, 10, false);
    measure("1 host x 10,000 routes", 1, 10_000, false);
    measure("10 hosts x 10 routes, patterns", 10, 10, true);
    measure("10,000 hosts x 10 routes, patterns", 10_000, 10, true);
    measure("1 host x 1,000 routes, patterns", 1, 1_000, true);
}
