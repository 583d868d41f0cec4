//! What people who run rosn see of tunnels: counts, logs, drain and reload.

use rosn_tests::l4::Peer;
use rosn_tests::{Signal, free_port, wait_until};
use serde_json::json;

use crate::{ASK, Line, says_no_more};

#[test]
fn tunnels_are_counted_and_logged_when_they_end() {
    let line = Line::new();
    let mut client = line.client();
    client.send(ASK.replace("Host", "X-Tag: blue\r\nHost"));
    let mut origin = line.origin();
    origin.read_head();
    origin.send(crate::AGREE);
    client.read_head();
    let (second, other) = line.tunnel();
    wait_until("both are counted", || line.metric("tunnel_active") == 2.0);
    assert_eq!(line.metric("tunnel_total"), 2.0);
    assert_eq!(line.rosn.active(), (2, 2, 2));
    client.send([b'q'; 1000]);
    assert_eq!(origin.read_exact(1000), [b'q'; 1000]);
    origin.send([b'a'; 3000]);
    assert_eq!(client.read_exact(3000), [b'a'; 3000]);
    assert!(
        std::fs::read_to_string(line.rosn.folder().join("access.log"))
            .unwrap_or_default()
            .is_empty()
    );
    drop((client, origin));
    assert_eq!(line.log(1), ["101 1000 3000 [-] tunnel_ended GET blue x/y"]);
    wait_until("it is counted", || line.metric("tunnel_active") == 1.0);
    assert_eq!(line.metric("tunnel_bytes_read_total"), 1000.0);
    assert_eq!(line.metric("tunnel_bytes_write_total"), 3000.0);
    assert!(line.metric("tunnel_time_total") > 0.0);
    drop((second, other));
    line.settled();
    assert_eq!(line.metric("tunnel_active"), 0.0);
    assert_eq!(line.metric("tunnel_total"), 2.0);
    assert_eq!(line.log(2)[1], "101 0 0 [-] tunnel_ended GET - x/y");
}

/// Tunnels stay as long as a drain lasts, and nothing is said in them.
#[test]
fn a_drain_waits_for_tunnels() {
    let mut line = Line::new();
    let (mut client, mut origin) = line.tunnel();
    line.rosn.signal(Signal::TERM);
    wait_until("it is draining", || line.rosn.log().contains("stopping"));
    assert!(client.is_quiet() && origin.is_quiet());
    client.send("still there?");
    assert_eq!(origin.read_exact(12), b"still there?");
    assert!(line.rosn.is_running());
    drop(origin);
    assert!(client.is_closed());
    drop(client);
    assert!(line.rosn.wait().success(), "{}", line.rosn.log());
}

/// Row 72: at its end tunnels are cut, and logged all the same.
#[test]
fn tunnels_end_with_the_drain() {
    let (port, peer) = (free_port(), Peer::new());
    let mut config = Line::config(port, &peer, json!({}));
    config["servers"][0]["graceful_timeout"] = json!("300ms");
    let mut line = Line::start(port, peer, config);
    let (mut client, mut origin) = line.tunnel();
    client.send("hello");
    assert_eq!(origin.read_exact(5), b"hello");
    let status = line.rosn.stop(Signal::TERM);
    assert_eq!(status.code(), Some(4), "{}", line.rosn.log());
    assert!(says_no_more(&mut client) && says_no_more(&mut origin));
    assert_eq!(line.log(1), ["101 5 0 [-] tunnel_shutdown GET - x/y"]);
}

/// A reload leaves open tunnels alone; what comes after it follows the new rules.
#[test]
fn a_reload_leaves_tunnels_alone() {
    let line = Line::new();
    let (mut client, mut origin) = line.tunnel();
    let (mut kept, _idle) = line.tunnel();
    line.rosn.write_config(&Line::config(line.port, &line.peer, json!({ "upgrade": false })));
    let (ok, said) = line.rosn.reload();
    assert!(ok, "{said}");
    client.send("ping");
    assert_eq!(origin.read_exact(4), b"ping");
    let mut refused = line.client();
    refused.send(ASK);
    assert_eq!(refused.read_response().status, 403);
    // Without its listener and its cluster, too.
    let mut other = Line::config(free_port(), &line.peer, json!({}));
    other["servers"][0]["listeners"][0]["name"] = json!("other");
    line.rosn.write_config(&other);
    let (ok, said) = line.rosn.reload();
    assert!(ok, "{said}");
    origin.send("pong");
    assert_eq!(client.read_exact(4), b"pong");
    kept.send("x");
    drop((client, origin, kept, refused, _idle));
    line.settled();
}

#[test]
fn the_example_is_a_configuration_without_fault() {
    let example = "../examples/configs/websocket_and_connect.json";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
    let checked = rosn_tests::Rosn::command().arg("check").arg("-c").arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.contains("0 errors, 0 warnings"), "{said}");
}
