//! Messages on their way through the real program: what flows when, what holds it up, and how it ends.
#![allow(clippy::unwrap_used, reason = "tests")]

mod ends;
mod limits;
mod messages;
mod pressure;
mod timeouts;

use std::time::Duration;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, route_to, router};
use rosn_tests::l4::{Peer, with};
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};
use socket2::SockRef;

/// A rosn before an origin that goes step by step.
struct Line {
    rosn: Rosn,
    port: u16,
    peer: Peer,
}

impl Line {
    fn new() -> Self {
        Self::with(json!({}), json!({}))
    }

    /// With limits of the server and an `extend_config` of the proxy.
    fn with(limits: Value, extend: Value) -> Self {
        let (port, peer) = (free_port(), Peer::new());
        let mut listener = http_listener("in", port, "r");
        listener["filter_chains"][0]["filters"][0]["config"]["extend_config"] = extend;
        let mut short = route_to("/short", "c");
        short["route"]["timeout"] = "300ms".into();
        let routes = [short, route_to("/", "c")];
        let clusters = [cluster("c", &[peer.port()])];
        let mut config = config(&[listener], &[router("r", &routes)], &clusters);
        // One worker: a second client finds the connection that the first one has left.
        let server = json!({ "limits": limits, "processor": 1 });
        config["servers"][0] = with(config["servers"][0].take(), server);
        Self { rosn: Rosn::start(&config), port, peer }
    }

    /// A new client.
    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// The next connection at the origin.
    fn origin(&self) -> Client {
        Client::over(self.peer.accept())
    }

    /// A new client that has sent this, and the connection on which the origin can read it.
    fn begin(&self, bytes: impl AsRef<[u8]>) -> (Client, Client) {
        let mut client = self.client();
        client.send(bytes);
        let origin = self.origin();
        (client, origin)
    }
}

/// A response with a length.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A request without a body.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// The head of a POST with this field.
fn post(field: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")
}

/// Ends a connection with a reset.
fn reset(client: Client) {
    SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
}
