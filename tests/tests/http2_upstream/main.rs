//! HTTP/2 to endpoints, through the real program: what is said on streams, how they end, and when they are tried again.
#![allow(clippy::unwrap_used, reason = "tests")]

mod chains;
mod connections;
mod failures;
mod messages;
mod tls;
mod tunnels;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, route_to, router};
use rosn_tests::http2::server::Server;
use rosn_tests::l4::{Peer, with};
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};

/// A rosn before an endpoint of HTTP/2 that goes step by step.
struct Line {
    rosn: Rosn,
    port: u16,
    peer: Peer,
}

impl Line {
    fn new() -> Self {
        Self::with(&json!({}), &json!({}))
    }

    /// With keys of the cluster and of the route's action.
    fn with(cluster_keys: &Value, action: &Value) -> Self {
        Self::of("Http1", cluster_keys, action)
    }

    /// For clients of HTTP/2.
    fn of_http2() -> Self {
        Self::of("Http2", &json!({}), &json!({}))
    }

    fn of(downstream: &str, cluster_keys: &Value, action: &Value) -> Self {
        let (port, peer) = (free_port(), Peer::new());
        let mut listener = http_listener("in", port, "r");
        let proxy = &mut listener["filter_chains"][0]["filters"][0]["config"];
        proxy["downstream_protocol"] = downstream.into();
        if downstream == "Http1" {
            proxy["upstream_protocol"] = "Http2".into();
        }
        let mut route = route_to("/", "c");
        route["route"] = with(route["route"].take(), action.clone());
        let cluster = with(cluster("c", &[peer.port()]), cluster_keys.clone());
        let config = config(&[listener], &[router("r", &[route])], &[cluster]);
        Self { rosn: Rosn::start_with(&config, &["--workers", "1"]), port, peer }
    }

    /// A new client of HTTP/1.1.
    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// The next connection at the endpoint.
    fn endpoint(&self) -> Server {
        self.endpoint_with(&[])
    }

    fn endpoint_with(&self, settings: &[(u16, u32)]) -> Server {
        Server::accept(self.peer.accept(), settings)
    }

    /// A new client that has sent this, and the connection on which the endpoint can read it.
    fn begin(&self, bytes: impl AsRef<[u8]>) -> (Client, Server) {
        let mut client = self.client();
        client.send(bytes);
        let endpoint = self.endpoint();
        (client, endpoint)
    }
}

/// A request without a body.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

/// A POST of this body.
fn post(body: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
