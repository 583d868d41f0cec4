//! Tunnels over transports, where there is no socket to splice: what one side ends, the other learns.

use std::thread;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router};
use rosn_tests::l4::{Pattern, Peer, cluster_of, merge, with};
use rosn_tests::tunnel::{Link, Pair};
use rosn_tests::{config::route_to, free_port};
use serde_json::json;

const LEN: usize = 3 << 20;

/// H16: bytes arrive whole, and are counted alike, whether they can be spliced or not.
#[test]
fn upgrade_and_connect_go_through_transports() {
    for name in ["tcp+tls", "ws", "http+tls", "quic"] {
        let peer = Peer::new();
        let pair = pair(name, &peer);
        for connect in [false, true] {
            let mut client = Client::connect(pair.port);
            let (ask, agree) = if connect {
                ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "")
            } else {
                (crate::ASK, crate::AGREE)
            };
            client.send([ask, "early"].concat());
            let mut origin = Client::over(peer.accept());
            if !connect {
                origin.read_head();
            }
            origin.send([agree, "first"].concat());
            let head = client.read_head();
            assert!(
                head.starts_with(if connect { "HTTP/1.1 200 " } else { "HTTP/1.1 101 " }),
                "{head}"
            );
            assert_eq!(client.read_exact(5), b"first", "{name}");
            assert_eq!(origin.read_exact(5), b"early", "{name}");
            let sender = thread::spawn(move || {
                Pattern::send(1, LEN, &mut origin.tcp());
                origin
            });
            Pattern::expect(1, LEN, &mut client);
            let mut origin = sender.join().unwrap();
            client.shutdown_write();
            assert!(origin.is_closed(), "{name}");
            drop(origin);
            assert!(client.is_closed(), "{name}");
        }
        pair.settled();
        let written = |rosn: &rosn_tests::Rosn, listener| {
            rosn.metric("downstream_tunnel_bytes_write_total", &[("listener", listener)])
        };
        let expected = 2.0 * (LEN + 5) as f64;
        rosn_tests::wait_until("near has counted", || written(&pair.near, "near") == expected);
        rosn_tests::wait_until("far has counted", || written(&pair.far, "far") == expected);
    }
}

/// HTTP on both sides of a link: near passes CONNECT on, far answers it.
fn pair(name: &str, peer: &Peer) -> Pair {
    let link = Link::new(name);
    let (port, far_port) = (free_port(), free_port());
    let route = |cluster: &str, upstream: &str| {
        let mut route = route_to("/", cluster);
        merge(&mut route["route"], json!({ "tunnel": { "connect": { "upstream": upstream } } }));
        route
    };
    let near = config(
        &[http_listener("near", port, "r")],
        &[router("r", &[route("far", "http")])],
        &[with(cluster("far", &[far_port]), json!({ "stream_settings": link.dial }))],
    );
    let listens =
        with(http_listener("far", far_port, "r"), json!({ "stream_settings": link.listen }));
    let far = config(
        &[listens],
        &[router("r", &[route("up", "tcp")])],
        &[cluster_of("up", &[peer.host()])],
    );
    Pair::start(link, port, far_port, near, far, &[])
}
