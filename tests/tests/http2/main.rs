//! HTTP/2 from clients, frame by frame, through the real program.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cancel;
mod floods;
mod lifetime;
mod limits;
mod malformed;
mod messages;
mod tunnels;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, listener, router_to};
use rosn_tests::http2::Http2;
use rosn_tests::l4::merge;
use rosn_tests::origin::{Origin, Request};
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};

/// A rosn that takes HTTP/2 and sends everything to one origin as HTTP/1.1.
struct Line {
    rosn: Rosn,
    port: u16,
    origin: Origin,
}

impl Line {
    fn new(respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::with(Origin::http(respond), json!({}))
    }

    /// With these settings of HTTP/2.
    fn with(origin: Origin, settings: Value) -> Self {
        Self::changed(origin, settings, |_| {})
    }

    /// With a configuration that was changed like this.
    fn changed(origin: Origin, settings: Value, change: impl FnOnce(&mut Value)) -> Self {
        let port = free_port();
        let mut config = config(
            &[http2_listener("in", port, settings)],
            &[router_to("r", "up")],
            &[cluster("up", &[origin.port()])],
        );
        change(&mut config);
        Self { rosn: Rosn::start_with(&config, &["--workers", "1"]), port, origin }
    }

    fn client(&self) -> Http2 {
        Http2::connect(self.port)
    }

    fn metric(&self, name: &str) -> f64 {
        self.rosn.metric(&format!("downstream_{name}"), &[("listener", "in")])
    }
}

/// A listener with access log whose requests go to clusters as HTTP/1.1.
fn http2_listener(name: &str, port: u16, settings: Value) -> Value {
    let proxy = json!({
        "downstream_protocol": "Http2",
        "upstream_protocol": "Http1",
        "router_config_name": "r",
        "extend_config": { "Http2": settings },
    });
    let mut listener = listener(name, port, json!({ "type": "proxy", "config": proxy }));
    let log = json!({ "access_logs": [{
        "log_path": "access.log",
        "log_format": "%request_method% %request_path% %response_code% [%response_flags%] \
                       %response_code_details% %bytes_received% %bytes_sent%",
    }] });
    merge(&mut listener, log);
    listener
}

/// The lines of the access log.
fn log_lines(rosn: &Rosn) -> Vec<String> {
    let log = std::fs::read_to_string(rosn.folder().join("access.log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

/// The connection that comes next to a listener of a test.
fn accept(listener: &std::net::TcpListener) -> Client {
    Client::over(listener.accept().unwrap().0)
}
