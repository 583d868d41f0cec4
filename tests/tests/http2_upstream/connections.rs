//! Which connections there are, and when they end.

use rosn_tests::config::{cluster, config, http_listener, router_to};
use rosn_tests::http2::code;
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::json;

use super::{Line, get};

const MAX_CONCURRENT_STREAMS: u16 = 3;

/// The endpoint's limit of streams holds from the first, and more requests have more connections.
#[test]
fn streams_beyond_the_endpoint_s_limit_have_connections_of_their_own() {
    let line = Line::new();
    let mut clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = line.client();
            client.send(get("/"));
            client
        })
        .collect();
    let mut endpoints: Vec<_> =
        (0..2).map(|_| line.endpoint_with(&[(MAX_CONCURRENT_STREAMS, 2)])).collect();
    for endpoint in &mut endpoints {
        let streams = [endpoint.next_request(), endpoint.next_request()];
        for stream in streams {
            endpoint.respond(stream, "200", &[], b"");
        }
    }
    for client in &mut clients {
        assert_eq!(client.read_response().status, 200);
    }
    assert!(line.peer.accept_now().is_none());
}

/// SETTINGS that allow more: who waits is let in.
#[test]
fn a_limit_that_is_raised_lets_those_in_who_wait() {
    let breakers = json!([{ "max_connections": 1, "max_pending_requests": 10 }]);
    let line = Line::with(&json!({ "circuit_breakers": breakers }), &json!({}));
    let mut first = line.client();
    first.send(get("/1"));
    let mut endpoint = line.endpoint_with(&[(MAX_CONCURRENT_STREAMS, 1)]);
    let one = endpoint.next_request();
    let mut second = line.client();
    second.send(get("/2"));
    wait_until("it is under way", || line.rosn.active().1 == 2);
    endpoint.http2.settings(&[(MAX_CONCURRENT_STREAMS, 2)]);
    let two = endpoint.next_request();
    for stream in [one, two] {
        endpoint.respond(stream, "200", &[], b"");
    }
    assert_eq!((first.read_response().status, second.read_response().status), (200, 200));
}

/// `idle_timeout`: GOAWAY and the end, and the counts are back where they were.
#[test]
fn an_idle_connection_is_closed() {
    let line = Line::with(&json!({ "idle_timeout": "100ms" }), &json!({}));
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.read_response().status, 200);
    assert_eq!(endpoint.http2.end().map(|(_, code)| code), Some(code::NO_ERROR));
    let active = || line.rosn.metric("upstream_connection_active", &[("cluster", "c")]);
    wait_until("no connection is counted", || active() == 0.0);
    drop(client);
    line.rosn.settled();
}

/// A reload that changes the cluster: what is under way ends, and its connection with it.
#[test]
fn a_reload_ends_connections_after_their_streams() {
    let (port, old, new) = (free_port(), rosn_tests::l4::Peer::new(), rosn_tests::l4::Peer::new());
    let config = |origin: u16| {
        let mut listener = http_listener("in", port, "r");
        listener["filter_chains"][0]["filters"][0]["config"]["upstream_protocol"] = "Http2".into();
        config(&[listener], &[router_to("r", "c")], &[cluster("c", &[origin])])
    };
    let rosn = Rosn::start_with(&config(old.port()), &["--workers", "1"]);
    let mut client = rosn_tests::client::Client::connect(port);
    client.send(get("/"));
    let mut endpoint = rosn_tests::http2::server::Server::accept(old.accept(), &[]);
    let stream = endpoint.next_request();
    rosn.write_config(&config(new.port()));
    let (done, said) = rosn.reload();
    assert!(done, "{said}");
    endpoint.respond(stream, "200", &[], b"old");
    assert_eq!(client.read_response().text(), "old");
    assert_eq!(endpoint.http2.end().map(|(_, code)| code), Some(code::NO_ERROR));
    client.send(get("/"));
    let mut endpoint = rosn_tests::http2::server::Server::accept(new.accept(), &[]);
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"new");
    assert_eq!(client.read_response().text(), "new");
}

/// An endpoint that dies without a word is found out, and the next request has a connection of its own.
#[test]
fn a_dead_endpoint_is_found_by_a_ping() {
    let keys = json!({ "http2": { "ping_interval": "100ms", "ping_timeout": "2s" } });
    let line = Line::with(&keys, &json!({}));
    let (mut client, mut endpoint) = line.begin(get("/"));
    endpoint.next_request();
    // It reads no more, and says nothing.
    assert_eq!(client.read_response().status, 502);
    wait_until("the log has it", || line.rosn.log().contains("did not answer a ping"));
    let mut client = line.client();
    client.send(get("/"));
    let mut other = line.endpoint();
    let stream = other.next_request();
    other.respond(stream, "200", &[], b"");
    assert_eq!(client.read_response().status, 200);
}
