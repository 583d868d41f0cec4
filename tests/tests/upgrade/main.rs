//! Connections that stop being HTTP, through the real program: Upgrade, CONNECT, and the tunnels that come of them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod connect;
mod ends;
mod operations;
mod pressure;
mod switch;
mod transports;

use rosn_tests::client::Client;
use rosn_tests::config::{config, http_listener, router, router_to};
use rosn_tests::l4::{Peer, cluster_of, merge, with};
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};

/// The request of a client that wants another protocol.
const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
/// The response of an upstream that agrees.
const AGREE: &str =
    "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: x/y\r\n\r\n";

/// A rosn that sends all requests to one peer, and writes an access log.
struct Line {
    rosn: Rosn,
    port: u16,
    peer: Peer,
}

impl Line {
    fn new() -> Self {
        Self::with(json!({}))
    }

    /// With these rules of tunnels on its route.
    fn with(tunnel: Value) -> Self {
        let (port, peer) = (free_port(), Peer::new());
        let config = Self::config(port, &peer, tunnel);
        Self::start(port, peer, config)
    }

    /// With this configuration and one worker, so that there is one pool.
    fn start(port: u16, peer: Peer, config: Value) -> Self {
        Self { rosn: Rosn::start_with(&config, &["--workers", "1"]), port, peer }
    }

    fn config(port: u16, peer: &Peer, tunnel: Value) -> Value {
        let mut router = router_to("r", "up");
        let action = &mut router["virtual_hosts"][0]["routers"][0]["route"];
        merge(action, json!({ "tunnel": tunnel }));
        let log = json!({ "access_logs": [{
            "log_path": "access.log",
            "log_format": "%response_code% %bytes_received% %bytes_sent% [%response_flags%] \
                           %response_code_details% %request_method% %request_header_x-tag% \
                           %response_header_content-type%",
        }] });
        let listener = with(http_listener("line", port, "r"), log);
        config(&[listener], &[router], &[cluster_of("up", &[peer.host()])])
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    fn origin(&self) -> Client {
        Client::over(self.peer.accept())
    }

    /// The two ends of a new tunnel by Upgrade.
    fn tunnel(&self) -> (Client, Client) {
        let mut client = self.client();
        client.send(ASK);
        let mut origin = self.origin();
        origin.read_head();
        origin.send(AGREE);
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        (client, origin)
    }

    fn metric(&self, name: &str) -> f64 {
        self.rosn.metric(&format!("downstream_{name}"), &[("listener", "line")])
    }

    /// The lines of the access log, once there are so many.
    fn log(&self, count: usize) -> Vec<String> {
        let path = self.rosn.folder().join("access.log");
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        rosn_tests::wait_until("the access log is written", || read().lines().count() >= count);
        read().lines().map(str::to_owned).collect()
    }

    /// Waits until nothing is left.
    fn settled(&self) {
        self.rosn.settled_without_upstream();
    }
}

/// A router of one virtual host for all hosts, with these routes.
fn routes(all: &[Value]) -> Value {
    router("r", all)
}

/// Whether the end of the connection is what comes next, be it with a reset: nothing more is said.
fn says_no_more(client: &mut Client) -> bool {
    client.read_to_end().is_empty()
}
