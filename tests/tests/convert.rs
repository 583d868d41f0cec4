//! `rosn convert`: configurations of v2ray's become rosn's and run.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Output};

use rosn_tests::client::Client;
use rosn_tests::origin::{Origin, ok};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

fn rosn(folder: &Path, arguments: &[&str]) -> Output {
    Rosn::command().current_dir(folder).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// One tunnel, from a port to a port.
fn tunnel(from: u16, to: u16, inbound: &Value, outbound: &Value) -> Value {
    json!({
        "inbounds": [{ "listen": "127.0.0.1", "port": from, "protocol": "dokodemo-door",
            "settings": { "address": "127.0.0.1", "port": to, "network": "tcp" },
            "streamSettings": inbound }],
        "outbounds": [{ "protocol": "freedom", "streamSettings": outbound }],
    })
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path, name: &str, v2ray: &Value) -> Running {
    let (input, output) = (format!("{name}.v2ray.json"), format!("{name}.json"));
    std::fs::write(folder.join(&input), v2ray.to_string()).unwrap();
    let done = rosn(folder, &["convert", "--from", "v2ray", &input, "-o", &output]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let done = rosn(folder, &["check", "--strict", "-c", &output]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    Running(Rosn::command().current_dir(folder).args(["start", "-c", &output]).spawn().unwrap())
}

#[test]
fn two_that_were_converted_run_side_by_side_and_make_a_tunnel() {
    let origin = Origin::http(|request| ok(&request.target));
    let folder = tempfile::tempdir().unwrap();
    let header = json!({ "network": "tcp", "tcpSettings": { "header": { "type": "http" } } });
    let (entry, middle) = (free_port(), free_port());
    let plain = json!({ "network": "tcp" });
    let far = tunnel(middle, origin.port(), &header, &plain);
    let _far = start(folder.path(), "far", &far);
    let _near = start(folder.path(), "near", &tunnel(entry, middle, &plain, &header));
    let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
    wait_until("both listen", || listens(middle) && listens(entry));
    assert_eq!(Client::connect(entry).get("/hello").text(), "/hello");
    for name in ["far", "near"] {
        assert!(folder.path().join(format!("{name}.run/rosn.pid")).exists(), "{name}");
    }
}

#[test]
fn what_cannot_be_converted_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut value = tunnel(1, 2, &json!({ "network": "grpc" }), &json!({ "security": "tsl" }));
    value["inbounds"][0]["protocol"] = "vmess".into();
    value["routing"] = json!({ "rules": [{ "outboundTag": "x" }] });
    std::fs::write(folder.path().join("v.json"), format!("{value:#} // the end")).unwrap();
    let done = rosn(folder.path(), &["convert", "--from", "v2ray", "v.json", "-o", "r.json"]);
    assert_eq!(done.status.code(), Some(1));
    let text = said(&done);
    for part in [
        "inbounds[0].protocol",
        "`vmess`",
        "inbounds[0].streamSettings.network",
        "outbounds[0].streamSettings.security",
        "did you mean `tls`?",
        "routing.rules[0]",
        "nothing is written",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!folder.path().join("r.json").exists());
}

#[test]
fn the_command_line_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let plain = json!({});
    std::fs::write(folder.path().join("v.json"), tunnel(1, 2, &plain, &plain).to_string()).unwrap();
    for (arguments, part) in [
        (&["convert", "--from", "v2ray", "none.json"][..], "none.json"),
        (&["convert", "--from", "v3ray", "v.json"], "v2ray"),
        (&["convert", "v.json"], "--from"),
        (&["convert", "--from", "v2ray", "v.json", "-o", "v.json"], "overwritten"),
        (&["convert", "--from", "v2ray", "v.json", "-o", "none/r.json"], "cannot write"),
    ] {
        let done = rosn(folder.path(), arguments);
        assert_eq!(done.status.code(), Some(1), "{arguments:?}");
        assert!(said(&done).contains(part), "{arguments:?}: {}", said(&done));
    }
    let done = rosn(folder.path(), &["convert", "--from", "v2ray", "v.json"]);
    assert_eq!(done.status.code(), Some(0));
    let shown: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(shown["servers"][0]["listeners"][0]["address"], "127.0.0.1:1");
}
