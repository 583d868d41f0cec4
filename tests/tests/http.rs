//! Where requests go and what becomes of them on the way: routes, rewrites, headers, redirects, direct
//! responses, shares of clusters.

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, route_to, router, router_to};
use rosn_tests::origin::{Origin, Request, ok, response};
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};

/// Answers with the head of the request, as it came.
fn echo() -> Origin {
    Origin::http(|request| ok(&request.head))
}

fn direct(condition: Value, body: &str) -> Value {
    json!({ "match": condition, "direct_response": { "status": 200, "body": body } })
}

#[test]
fn routes_are_chosen_by_all_that_mosn_knows() {
    let port = free_port();
    let header = |name: &str, value: &str, regex: bool| json!({ "name": name, "value": value, "regex": regex });
    let routes = [
        direct(
            json!({ "prefix": "/only", "headers": [header("x-team", "blue", false)] }),
            "header",
        ),
        direct(
            json!({ "prefix": "/only", "headers": [header("X-Team", "^gr.+n$", true)] }),
            "header regex",
        ),
        direct(
            json!({ "prefix": "/only", "headers": [header("method", "DELETE", false)] }),
            "method",
        ),
        direct(json!({ "path": "/Exact" }), "path"),
        direct(json!({ "path": "/cased", "case_sensitive": true }), "cased path"),
        direct(json!({ "regex": "/v[0-9]+/" }), "regex"),
        direct(
            json!({ "variables": [{ "name": "request_arg_kind", "value": "good", "model": "and" },
            { "name": "x-mosn-method", "value": "GET" }] }),
            "variables",
        ),
        direct(json!({ "prefix": "/some" }), "prefix"),
    ];
    let mut hosts = router("r", &routes);
    let host = |name: &str, domains: &[&str]| json!({ "name": name, "domains": domains, "routers": [direct(json!({ "prefix": "/" }), name)] });
    let all = hosts["virtual_hosts"].as_array_mut().unwrap();
    all.push(host("exact", &["www.example.com"]));
    all.push(host("port", &["www.example.com:8080"]));
    all.push(host("suffix", &["*.example.com"]));
    all.push(host("longer suffix", &["*.b.example.com"]));
    let _rosn = Rosn::start(&config(&[http_listener("in", port, "r")], &[hosts], &[]));
    let mut client = Client::connect(port);
    for (method, target, headers, expected) in [
        ("GET", "/only", &[("X-TEAM", "blue")][..], "header"),
        ("GET", "/only/more", &[("x-team", "green")], "header regex"),
        ("DELETE", "/only", &[], "method"),
        ("GET", "/only", &[("x-team", "red")], "no route matches the request\n"),
        ("GET", "/eXact?with=query", &[], "path"),
        ("GET", "/exact/", &[], "no route matches the request\n"),
        ("GET", "/cased", &[], "cased path"),
        ("GET", "/Cased", &[], "no route matches the request\n"),
        ("GET", "/a/v12/b", &[], "regex"),
        ("GET", "/a?x=1&kind=good", &[], "variables"),
        ("PUT", "/a?x=1&kind=good", &[], "no route matches the request\n"),
        ("GET", "/somewhere", &[], "prefix"),
        ("GET", "/Somewhere", &[], "no route matches the request\n"),
        ("GET", "/", &[("Host", "WWW.example.com")], "exact"),
        ("GET", "/", &[("Host", "www.example.com:99")], "exact"),
        ("GET", "/", &[("Host", "www.example.com:8080")], "port"),
        ("GET", "/", &[("Host", "a.example.com")], "suffix"),
        ("GET", "/", &[("Host", "a.b.example.com")], "longer suffix"),
        ("GET", "http://www.example.com/", &[("Host", "other")], "exact"),
    ] {
        let response = client.request(method, target, headers, b"");
        assert_eq!(response.text(), expected, "{method} {target} {headers:?}");
        assert_eq!(response.status, if expected.starts_with("no route") { 404 } else { 200 });
    }
}

#[test]
fn paths_and_hosts_are_rewritten() {
    let origin = echo();
    let port = free_port();
    let route = |condition: Value, extra: Value| {
        let mut route = json!({ "match": condition, "route": { "cluster_name": "c" } });
        for (key, value) in extra.as_object().unwrap() {
            route["route"][key] = value.clone();
        }
        route
    };
    let regex =
        json!({ "pattern": { "regex": "^/r/([a-z]+)/([0-9]+)" }, "substitution": "/\\2/\\1" });
    let routes = [
        route(json!({ "prefix": "/old/" }), json!({ "prefix_rewrite": "/new/" })),
        route(json!({ "path": "/whole" }), json!({ "prefix_rewrite": "/replaced" })),
        route(json!({ "prefix": "/r/" }), json!({ "regex_rewrite": regex })),
        route(json!({ "prefix": "/host" }), json!({ "host_rewrite": "inside.example" })),
        route(json!({ "prefix": "/named" }), json!({ "auto_host_rewrite_header": "X-Host" })),
        route(json!({ "prefix": "/" }), json!({})),
    ];
    let rosn = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        &[router("r", &routes)],
        &[cluster("c", &[origin.port()])],
    ));
    let mut client = Client::connect(port);
    for (target, line, host) in [
        ("/old/a?b=/old/", "GET /new/a?b=/old/ HTTP/1.1", "localhost"),
        ("/old/%2e%2E/x%20y?q#z", "GET /new/%2e%2E/x%20y?q#z HTTP/1.1", "localhost"),
        ("/whole?a", "GET /replaced?a HTTP/1.1", "localhost"),
        ("/r/abc/12/rest?x", "GET /12/abc/rest?x HTTP/1.1", "localhost"),
        ("/host", "GET /host HTTP/1.1", "inside.example"),
        ("/named", "GET /named HTTP/1.1", "from.header"),
        ("//a//b/../c", "GET //a//b/../c HTTP/1.1", "localhost"),
        ("http://absolute:81/x?y", "GET /x?y HTTP/1.1", "absolute:81"),
        ("http://absolute", "GET / HTTP/1.1", "absolute"),
    ] {
        if target.contains('#') {
            continue; // a fragment is not part of a request target
        }
        let seen = client.request("GET", target, &[("X-Host", "from.header")], b"").text();
        assert_eq!(seen.lines().next(), Some(line), "{target}");
        let hosts: Vec<_> = seen
            .lines()
            .filter_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned))
            .collect();
        assert_eq!(hosts, [host], "{target}: {seen}");
    }
    drop(client);
    rosn.settled();
}

fn add(name: &str, value: &str, append: bool) -> Value {
    json!({ "header": { "key": name, "value": value }, "append": append })
}

#[test]
fn headers_are_edited_by_route_then_host_then_router() {
    let origin = Origin::http(|request: &Request| {
        let headers = [("X-Secret", "1"), ("Server", "origin"), ("X-Kept", "As-It-Was")];
        response(200, &headers, request.head.as_bytes())
    });
    let port = free_port();
    let mut route = route_to("/", "c");
    route["name"] = json!("the-route");
    route["route"]["request_headers_to_add"] = json!([
        add("X-Order", "route", true),
        add(
            "X-From",
            "%downstream_remote_address% %x-mosn-method% %request_header_x-in% %request_arg_q% %cookie_c%",
            true
        ),
        add("X-Over", "new", false),
        add("X-Join", "second", true),
        add("X-Nothing", "%request_header_absent%", true),
    ]);
    route["route"]["request_headers_to_remove"] = json!(["X-Gone", "x-order-not"]);
    route["route"]["response_headers_to_add"] = json!([
        add(
            "X-Down",
            "%upstream_host%|%route_name%|%listener_name%|%response_header_x-kept%",
            true
        ),
        add("Server", "rosn", false),
    ]);
    route["route"]["response_headers_to_remove"] = json!(["X-SECRET"]);
    let mut table = router("r", &[route]);
    table["virtual_hosts"][0]["request_headers_to_add"] = json!([add("X-Order", "host", true)]);
    table["request_headers_to_add"] = json!([add("X-Order", "router", true)]);
    table["response_headers_to_add"] = json!([add("X-Last", "router", true)]);
    let _rosn = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        &[table],
        &[cluster("c", &[origin.port()])],
    ));
    let mut client = Client::connect(port);
    let own = client.tcp().local_addr().unwrap();
    let headers = [
        ("x-OVER", "old"),
        ("x-over", "older"),
        ("X-Join", "first"),
        ("x-GONE", "1"),
        ("X-In", "in"),
        ("Cookie", "a=b; c=crumb"),
        ("Connection", "x-hop"),
        ("x-hop", "1"),
    ];
    let answer = client.request("GET", "/a?p=1&q=2", &headers, b"");
    let seen = answer.text();
    let value = |name: &str| {
        let lines = seen.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    assert_eq!(value("X-Order"), ["route,host,router"]);
    assert_eq!(value("X-From"), [format!("{own} GET in 2 crumb")]);
    assert_eq!(value("X-Over"), ["new"]);
    assert!(seen.contains("x-OVER: new"), "a name stays as it was written: {seen}");
    assert_eq!(value("X-Join"), ["first,second"]);
    assert!(
        value("X-Gone").is_empty() && value("X-Hop").is_empty() && value("Connection").is_empty()
    );
    assert!(value("X-Nothing").iter().all(|value| ["-", ""].contains(value)), "{seen}");
    let upstream = format!("127.0.0.1:{}", origin.port());
    assert_eq!(answer.header("x-down"), Some(format!("{upstream}|the-route|in|As-It-Was")));
    assert_eq!(answer.header("server").as_deref(), Some("rosn"));
    assert_eq!(answer.header("x-secret"), None);
    assert_eq!(answer.header("x-last").as_deref(), Some("router"));
    assert!(answer.head.contains("X-Kept: As-It-Was\r\n"));
}

#[test]
fn redirects_and_direct_responses() {
    let port = free_port();
    let redirect = |prefix: &str, redirect: Value| json!({ "match": { "prefix": prefix }, "redirect": redirect });
    let mut edited = direct(json!({ "prefix": "/edited" }), "body");
    edited["route"] = json!({ "response_headers_to_add": [add("X-Added", "%x-mosn-path%", true)] });
    let mut answered = router(
        "r",
        &[
            redirect("/path", json!({ "path_redirect": "/elsewhere" })),
            redirect("/host", json!({ "host_redirect": "other.example", "response_code": 302 })),
            redirect("/tls", json!({ "scheme_redirect": "https", "response_code": 308 })),
            redirect(
                "/all",
                json!({ "scheme_redirect": "https", "host_redirect": "h:444", "path_redirect": "/p", "response_code": 307 }),
            ),
            json!({ "match": { "prefix": "/none" }, "direct_response": { "status": 204 } }),
            json!({ "match": { "prefix": "/teapot" }, "direct_response": { "status": 418, "body": "short and stout" } }),
        ],
    );
    answered["virtual_hosts"][0]["response_headers_to_add"] =
        json!([add("X-Added", "%x-mosn-path%", true)]);
    let rosn = Rosn::start(&config(&[http_listener("in", port, "r")], &[answered], &[]));
    let mut client = Client::connect(port);
    for (target, status, location) in [
        ("/path?a=b", 301, "http://www.example:8000/elsewhere"),
        ("/host/x?a=b", 302, "http://other.example/host/x?a=b"),
        ("/tls/x", 308, "https://www.example:8000/tls/x"),
        ("/all/x", 307, "https://h:444/p"),
    ] {
        let answer = client.request("GET", target, &[("Host", "www.example:8000")], b"");
        assert_eq!(answer.status, status);
        let found = answer.header("location").unwrap();
        // Whether a replaced path keeps the query is left open here.
        assert_eq!(found.trim_end_matches("?a=b"), location.trim_end_matches("?a=b"), "{target}");
        assert_eq!(answer.header("content-length").as_deref(), Some("0"));
    }
    let tls = client.request("GET", "/tls", &[("Host", "www.example:80")], b"");
    assert_eq!(tls.header("location").as_deref(), Some("https://www.example/tls"));
    let none = client.get("/none");
    assert_eq!((none.status, none.header("content-length")), (204, None));
    let teapot = client.get("/teapot");
    assert_eq!((teapot.status, teapot.text().as_str()), (418, "short and stout"));
    assert_eq!(teapot.header("x-added").as_deref(), Some("/teapot"));
    assert!(teapot.header("date").is_some());
    let head = client.request("HEAD", "/teapot", &[], b"");
    assert_eq!(head.header("content-length").as_deref(), Some("15"));
    assert_eq!(client.get("/teapot").status, 418, "the connection is still in step after HEAD");
    // A body that nobody reads does not become the next request.
    let posted = client.request("POST", "/teapot", &[], b"GET /none HTTP/1.1\r\n\r\n");
    assert_eq!(posted.status, 418);
    if posted.header("connection").as_deref() == Some("close") {
        assert!(client.is_closed());
    } else {
        assert_eq!(client.get("/none").status, 204);
    }
    drop(client);
    rosn.settled();
}

#[test]
fn weighted_clusters_get_their_shares() {
    let origins = ["one", "three", "never"].map(|name| Origin::http(move |_| ok(name)));
    let port = free_port();
    let weighted =
        |name: &str, weight: u32| json!({ "cluster": { "name": name, "weight": weight } });
    let route = json!({ "match": { "prefix": "/" }, "route": {
        "weighted_clusters": [weighted("one", 1), weighted("never", 0), weighted("three", 3)] } });
    let clusters: Vec<Value> = ["one", "three", "never"]
        .iter()
        .zip(&origins)
        .map(|(name, origin)| cluster(name, &[origin.port()]))
        .collect();
    let rosn = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        &[router("r", &[route])],
        &clusters,
    ));
    const REQUESTS: usize = 800;
    let mut client = Client::connect(port);
    let answers: Vec<String> = (0..REQUESTS).map(|_| client.get("/").text()).collect();
    let count = |name: &str| answers.iter().filter(|answer| *answer == name).count();
    assert_eq!(count("never"), 0);
    assert_eq!(count("one") + count("three"), REQUESTS);
    // 200 are expected; the standard deviation is 12.
    assert!((120..280).contains(&count("one")), "{} of {REQUESTS}", count("one"));
    drop(client);
    rosn.settled();
}

#[test]
fn a_header_or_a_variable_names_the_cluster() {
    let (a, b) = (Origin::http(|_| ok("a")), Origin::http(|_| ok("b")));
    let port = free_port();
    let by = |prefix: &str, key: &str, value: &str| json!({ "match": { "prefix": prefix }, "route": { key: value } });
    let rosn = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        &[router(
            "r",
            &[
                by("/header", "cluster_header", "X-Cluster"),
                by("/arg", "cluster_variable", "request_arg_to"),
            ],
        )],
        &[cluster("a", &[a.port()]), cluster("b", &[b.port()])],
    ));
    let mut client = Client::connect(port);
    assert_eq!(client.request("GET", "/header", &[("x-cluster", "a")], b"").text(), "a");
    assert_eq!(client.request("GET", "/header", &[("x-cluster", "b")], b"").text(), "b");
    assert_eq!(client.get("/arg?to=b").text(), "b");
    for target in ["/arg?to=c", "/arg", "/header"] {
        assert_eq!(client.get(target).status, 503, "{target}");
    }
    drop(client);
    rosn.settled();
}

#[test]
fn http_comes_and_goes_by_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let origin = Origin::http(|request| ok(&request.target));
    let mut inner = http_listener("inner", 1, "inner");
    inner["address"] = json!(format!("unix:{}", place("inner.sock").display()));
    let mut outer = http_listener("outer", 1, "outer");
    outer["network"] = json!("unix");
    outer["address"] = json!(place("outer.sock").display().to_string());
    let mut to_inner = cluster("inner", &[]);
    to_inner["hosts"] = json!([{ "address": format!("unix:{}", place("inner.sock").display()) }]);
    let rosn = Rosn::start(&config(
        &[inner, outer],
        &[router_to("inner", "origin"), router_to("outer", "inner")],
        &[to_inner, cluster("origin", &[origin.port()])],
    ));
    let mut client = Client::connect_unix(&place("outer.sock"));
    for target in ["/a", "/b?c"] {
        assert_eq!(client.get(target).text(), target);
    }
    let mut rosn = rosn;
    drop(client);
    assert!(rosn.stop(rosn_tests::Signal::TERM).success());
    assert!(!place("inner.sock").exists() && !place("outer.sock").exists(), "sockets are removed");
}
