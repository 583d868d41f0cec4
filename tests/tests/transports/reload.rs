//! Changes of the configuration, and the end of the process, while tunnels are open.

use std::fs;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use rosn_tests::l4::{Pattern, Peer, local, merge, read_exactly, read_to_end};
use rosn_tests::tunnel::{Link, Pair};
use rosn_tests::{Signal, wait_until};
use serde_json::{Value, json};

use crate::tcp::open;

const LEN: usize = 512 << 10;

/// Whether bytes still pass in both directions.
pub(crate) fn passes(client: &mut TcpStream, origin: &mut TcpStream) {
    for seed in 1..4 {
        let mut out = client.try_clone().unwrap();
        let sender = thread::spawn(move || Pattern::send(seed, LEN, &mut out));
        Pattern::expect(seed, LEN, origin);
        sender.join().unwrap();
        let mut out = origin.try_clone().unwrap();
        let sender = thread::spawn(move || Pattern::send(seed, LEN, &mut out));
        Pattern::expect(seed, LEN, client);
        sender.join().unwrap();
    }
}

fn reloaded((is_well, said): (bool, String)) {
    assert!(is_well, "{said}");
}

mod removal {
    each!(super::a_tunnel_outlives_its_listener);
}

fn a_tunnel_outlives_its_listener(name: &str) {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new(name), &peer);
    let mut ends: Vec<_> = (0..4).map(|_| open(&pair, &peer)).collect();
    let mut config = pair.far_config.clone();
    config["servers"][0]["listeners"] = json!([]);
    pair.far.write_config(&config);
    reloaded(pair.far.reload());
    for (client, origin) in &mut ends {
        passes(client, origin);
    }
    // A socket that drains still takes those who come in its last moment.
    wait_until("late clients are turned away", || !is_served(pair.port, &peer));
    drop(ends);
    pair.settled_without_upstream();
    // And it comes back; a UDP port once the last peer has learnt of the end.
    pair.far.write_config(&pair.far_config);
    wait_until("the listener is back", || pair.far.reload().0);
    open(&pair, &peer);
}

/// Whether a new client of the port comes through to the origin.
pub(crate) fn is_served(port: u16, peer: &Peer) -> bool {
    let Ok(mut client) = TcpStream::connect(local(port)) else { return false };
    let _ = client.write_all(b"?");
    client.set_nonblocking(true).unwrap();
    let mut origin = None;
    wait_until("the client is served or turned away", || {
        origin = peer.accept_now();
        let waits = |error: Error| error.kind() == ErrorKind::WouldBlock;
        origin.is_some() || !client.read(&mut [0]).is_err_and(waits)
    });
    origin.is_some()
}

mod change {
    // Old and new sockets of one UDP port are one group to the kernel, so there the old connections have to end first.
    each!(super::a_tunnel_outlives_other_settings:
        tcp_http "tcp-http", tcp_tls "tcp+tls", ws "ws", ws_tls "ws+tls", http "http", http_tls "http+tls",
        ds "ds", ds_tls "ds+tls", ds_abstract "ds-abstract");
}

/// Both sides get other settings on the same address; what is open goes on with the old ones.
fn a_tunnel_outlives_other_settings(name: &str) {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new(name), &peer);
    let mut ends: Vec<_> = (0..8).map(|_| open(&pair, &peer)).collect();
    let mut far = pair.far_config.clone();
    change(&mut far["servers"][0]["listeners"][0]["stream_settings"]);
    let mut near = pair.near_config.clone();
    change(&mut near["cluster_manager"]["clusters"][0]["stream_settings"]);
    for (rosn, config) in [(&pair.far, &far), (&pair.near, &near)] {
        rosn.write_config(config);
        reloaded(rosn.reload());
    }
    for (client, origin) in &mut ends {
        passes(client, origin);
    }
    for _ in 0..8 {
        let (mut client, mut origin) = open(&pair, &peer);
        passes(&mut client, &mut origin);
    }
    drop(ends);
    pair.settled_without_upstream();
}

/// Settings that do not fit those before.
fn change(settings: &mut Value) {
    let more = match settings["network"].as_str().unwrap() {
        "ws" => json!({ "wsSettings": { "path": "/other" } }),
        "http" => json!({ "httpSettings": { "host": ["far.test"], "path": "/other" } }),
        "quic" => json!({ "quicSettings": { "security": "aes-128-gcm", "key": "other" } }),
        "mkcp" => json!({ "kcpSettings": { "tti": 20, "seed": "other" } }),
        "tcp" => {
            json!({ "tcpSettings": { "header": { "type": "http", "request": { "path": "/b" } } } })
        }
        // The file has one listener at a time, so the place is another one.
        "domainsocket" => {
            let path = format!("{}2", settings["dsSettings"]["path"].as_str().unwrap());
            let is_abstract = settings["dsSettings"]["abstract"].clone();
            json!({ "dsSettings": { "path": path, "abstract": is_abstract.as_bool().unwrap_or(false) } })
        }
        other => panic!("{other}"),
    };
    merge(settings, more);
}

mod end {
    each!(super::what_ends_in_time_is_not_cut);
}

/// SIGTERM to either side: open tunnels go on until they end, and their last bytes arrive.
fn what_ends_in_time_is_not_cut(name: &str) {
    for side in ["far", "near"] {
        let peer = Peer::new();
        let mut pair = Pair::tcp(Link::new(name), &peer);
        let mut ends: Vec<_> = (0..3).map(|_| open(&pair, &peer)).collect();
        let rosn = if side == "far" { &pair.far } else { &pair.near };
        rosn.signal(Signal::TERM);
        for (client, origin) in &mut ends {
            passes(client, origin);
        }
        for (client, origin) in ends {
            let (mut client, mut origin) = (client, origin);
            let sender = thread::spawn(move || Pattern::send(5, LEN, &mut origin));
            Pattern::expect(5, LEN, &mut client);
            sender.join().unwrap();
            assert_eq!(read_to_end(&mut client), b"", "{side}");
        }
        let rosn = if side == "far" { &mut pair.far } else { &mut pair.near };
        assert!(rosn.wait().success(), "{side}: {}", rosn.log());
    }
}

/// The listener is replaced while a client is in the middle of its handshake.
#[test]
fn a_handshake_that_has_begun_comes_to_its_end() {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new("ws"), &peer);
    let mut client = TcpStream::connect(local(pair.far_port)).unwrap();
    client.write_all(b"GET /tunnel HTTP/1.1\r\nHost: far.test\r\n").unwrap();
    let mut far = pair.far_config.clone();
    change(&mut far["servers"][0]["listeners"][0]["stream_settings"]);
    pair.far.write_config(&far);
    reloaded(pair.far.reload());
    let rest = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    client.write_all(rest).unwrap();
    assert_eq!(read_exactly(&mut client, 12), b"HTTP/1.1 101");
}

#[test]
fn a_certificate_that_cannot_be_read_changes_nothing() {
    for name in ["tcp+tls", "ws+tls", "http+tls"] {
        let peer = Peer::new();
        let pair = Pair::tcp(Link::new(name), &peer);
        let (mut client, mut origin) = open(&pair, &peer);
        let file = pair.link.pki().file("leaf.key");
        let key = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let mut far = pair.far_config.clone();
        far["servers"][0]["listeners"][0]["stream_settings"]["tlsSettings"]["alpn"] =
            json!(["x", "http/1.1", "h2"]);
        pair.far.write_config(&far);
        let (is_well, said) = pair.far.reload();
        assert!(!is_well, "{name}: {said}");
        assert!(said.contains("leaf.key") && said.contains("No such file"), "{name}: {said}");
        assert!(said.contains("not changed"), "{name}: {said}");
        passes(&mut client, &mut origin);
        open(&pair, &peer);
        // A file with something else in it.
        fs::write(&file, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
            .unwrap();
        let (is_well, said) = pair.far.reload();
        assert!(
            !is_well && said.contains("leaf.key") && !said.contains("c2VjcmV0"),
            "{name}: {said}"
        );
        open(&pair, &peer);
        fs::write(&file, key).unwrap();
        reloaded(pair.far.reload());
        open(&pair, &peer);

        // Of a cluster.
        let ca = pair.link.pki().file("ca.crt");
        fs::remove_file(&ca).unwrap();
        let mut near = pair.near_config.clone();
        near["cluster_manager"]["clusters"][0]["stream_settings"]["tlsSettings"]["alpn"] =
            json!(["http/1.1", "h2"]);
        pair.near.write_config(&near);
        let (is_well, said) = pair.near.reload();
        assert!(
            !is_well && said.contains("ca.crt") && said.contains("clusters[0]"),
            "{name}: {said}"
        );
        open(&pair, &peer);
        passes(&mut client, &mut origin);
        assert_eq!(read_exactly(&mut client, 0), b"");
    }
}

#[test]
fn an_acceptor_leaves_transports_to_the_workers() {
    for name in ["tcp", "tcp+tls", "ws+tls", "http", "quic", "mkcp", "ds"] {
        println!("{name}");
        let peer = Peer::new();
        let Pair { near, far, link, port, far_port, near_config, far_config } =
            Pair::tcp(Link::new(name), &peer);
        drop((near, far));
        let balanced = json!({ "accept": "balanced" });
        let (mut near, mut far) = (near_config, far_config);
        for config in [&mut near, &mut far] {
            merge(&mut config["servers"][0], balanced.clone());
        }
        let mut pair = Pair::start(link, port, far_port, near, far, &["--workers", "3"]);
        let ends: Vec<_> = (0..12).map(|_| open(&pair, &peer)).collect();
        pair.far.signal(Signal::TERM);
        for (mut client, mut origin) in ends {
            passes(&mut client, &mut origin);
            drop(client);
            assert_eq!(read_to_end(&mut origin), b"", "{name}");
        }
        assert!(pair.far.wait().success());
        drop(peer);
        pair.settled_without_far();
    }
}
