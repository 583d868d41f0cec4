//! `rosn forward`: a tunnel in one line.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use rosn_tests::client::Client;
use rosn_tests::origin::{Origin, ok};
use rosn_tests::{Rosn, free_port};
use serde_json::Value;

fn rosn(arguments: &[&str]) -> Output {
    Rosn::command().args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn a_line_makes_a_tunnel_and_says_so() {
    let origin = Origin::http(|request| ok(&request.target));
    let port = free_port();
    let from = format!("tcp://127.0.0.1:{port}");
    let to = format!("tcp://127.0.0.1:{}", origin.port());
    let mut child =
        Rosn::command().args(["forward", &from, &to]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("->")).unwrap();
    assert_eq!(line.trim(), format!("{from} -> {to}"));
    assert_eq!(Client::connect(port).get("/hello").text(), "/hello");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn faults_name_their_end_and_no_secret() {
    const HERE: &str = "tcp://127.0.0.1:1";
    for (from, to, part) in [
        (HERE, "htp://a:1?seed=s3cret", "TO"),
        ("tcp://127.0.0.1:1?hots=a", HERE, "`hots` means nothing here"),
        ("wss://127.0.0.1:1/x", HERE, "`cert=FILE` and `key=FILE`"),
        (
            HERE,
            "mkcp://a:1?seed=s3cret&mtu=9",
            "kcpSettings.mtu: expected a number from 576 to 1460",
        ),
        (HERE, "wss://a:1/?ca=/none.pem", "/none.pem cannot be read"),
        (HERE, "tcp://a b:1", "TO"),
        ("unix:", HERE, "FROM"),
    ] {
        let done = rosn(&["forward", from, to]);
        assert_eq!(done.status.code(), Some(1), "{from} {to}: {}", said(&done));
        assert!(said(&done).contains(part), "{from} {to}: {}", said(&done));
        assert!(!said(&done).contains("s3cret"), "{}", said(&done));
    }
    assert_eq!(rosn(&["forward", HERE]).status.code(), Some(1));
}

#[test]
fn the_configuration_can_be_shown_and_help_knows_every_transport() {
    let done = rosn(&["forward", "--print", "tcp://:1080", "mkcp://a:1?seed=x"]);
    assert_eq!(done.status.code(), Some(0));
    let config: Value = serde_json::from_slice(&done.stdout).unwrap();
    let stream = &config["cluster_manager"]["clusters"][0]["stream_settings"];
    assert_eq!(stream["kcpSettings"]["seed"], "x");
    let help = said(&rosn(&["forward", "--help"]));
    for scheme in ["tcp", "tls", "ws", "wss", "h2", "h2c", "quic", "mkcp"] {
        assert!(help.contains(&format!(" {scheme}://")), "{scheme}\n{help}");
    }
    assert!(help.contains(" unix:/"));
}
