//! `rosn forward` and `rosn convert`, as somebody types them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rosn_tests::l4::{Pattern, Peer, connect, local, read_exactly, read_to_end};
use rosn_tests::tunnel::Pki;
use rosn_tests::{Rosn, free_port};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A running `rosn forward`; dropping it ends it.
struct Forward {
    child: Child,
    banner: String,
}

impl Forward {
    fn start(from: &str, to: &str) -> Self {
        let mut child = Rosn::command()
            .args(["forward", from, to])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut banner = String::new();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
        while !banner.contains("stop with") && lines.read_line(&mut banner).unwrap() > 0 {}
        if banner.is_empty() {
            let mut said = String::new();
            child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
            panic!("{from} {to}: {said}");
        }
        Self { child, banner }
    }

    /// Ends it, and says what it wrote to standard error.
    fn end(mut self) -> String {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let mut said = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said.lines()
            .filter(|line| !line.contains("open files"))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `rosn forward` says instead of running.
fn refusal(from: &str, to: &str) -> (Option<i32>, String) {
    let mut command = Rosn::command();
    let mut child = command.args(["forward", from, to]).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + rosn_tests::PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(2));
    }
    let mut said = String::new();
    child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

/// The two ends of a tunnel by URL: the rest behind the address, to listen and to dial.
fn schemes(pki: &Pki, folder: &Path) -> Vec<(&'static str, String, String)> {
    let file = |name| pki.file(name).display().to_string();
    let cert = format!("cert={}&key={}", file("leaf.crt"), file("leaf.key"));
    let ca = format!("ca={}&sni=far.test", file("ca.crt"));
    let sealed = "security=aes-128-gcm&secret=a%20b&header=srtp";
    let socket = folder.join("tunnel.sock").display().to_string();
    let same = |scheme, rest: &str| (scheme, rest.to_owned(), rest.to_owned());
    let tls = |scheme, path: &str| (scheme, format!("{path}?{cert}"), format!("{path}?{ca}"));
    vec![
        same("tcp", ""),
        ("tcp", "?proxy=accept&trusted=127.0.0.0/8".into(), "?proxy=v2".into()),
        ("tcp", "/p?header=http".into(), "/p?header=http".into()),
        tls("tls", ""),
        ("tls", format!("?{cert}"), "?insecure".into()),
        same("ws", "/tunnel"),
        ("ws", "/tunnel".into(), "/tunnel?host=example.com&heartbeat=20".into()),
        tls("wss", "/tunnel"),
        same("h2c", "/tunnel"),
        tls("h2", "/tunnel"),
        same("quic", "?header=srtp"),
        same("quic", &format!("?{sealed}")),
        tls("quic", ""),
        same("mkcp", "?seed=xyz&header=utp"),
        tls("kcp", ""),
        ("unix", format!("{socket}?mode=0600"), socket),
        same("ds", "@rosn-forward-test"),
    ]
}

#[test]
fn every_scheme_makes_a_tunnel() {
    let (pki, folder) = (Pki::new(), tempfile::tempdir().unwrap());
    for (scheme, listen, dial) in schemes(&pki, folder.path()) {
        let (port, between, peer) = (free_port(), free_port(), Peer::new());
        let url = |rest: &str| match scheme {
            "unix" | "ds" => format!("{scheme}:{rest}"),
            _ => format!("{scheme}://127.0.0.1:{between}{rest}"),
        };
        let far = Forward::start(&url(&listen), &format!("tcp://{}", peer.host()));
        let near = Forward::start(&format!("tcp://127.0.0.1:{port}"), &url(&dial));
        assert!(near.banner.contains(scheme) && !near.banner.contains("a%20b"), "{}", near.banner);
        let mut client = connect(local(port));
        client.write_all(b"question").unwrap();
        let mut origin = peer.accept();
        assert_eq!(read_exactly(&mut origin, 8), b"question", "{scheme}{dial}");
        let sender = thread::spawn(move || {
            Pattern::send(1, 1 << 20, &mut origin);
            origin.shutdown(Shutdown::Write).unwrap();
            origin
        });
        Pattern::expect(1, 1 << 20, &mut client);
        assert_eq!(read_to_end(&mut client), b"");
        drop(client);
        let _ = sender.join().unwrap();
        let said = [near.end(), far.end()].concat();
        assert!(!said.contains("WARN") && !said.contains("ERROR"), "{scheme}{dial}: {said}");
    }
}

#[test]
fn faults_are_told_at_once() {
    let pki = Pki::new();
    let (cert, key) =
        (pki.file("leaf.crt").display().to_string(), pki.file("leaf.key").display().to_string());
    let here = format!("tcp://127.0.0.1:{}", free_port());
    let taken = Peer::new();
    let busy = format!("tcp://{}", taken.host());
    for (from, to, code, words) in [
        (&*here, "tcp://127.0.0.1:1?colour=red", 1, &["TO", "colour"][..]),
        (&*here, "gopher://127.0.0.1:1", 1, &["TO", "gopher", "wss"]),
        (&*here, "127.0.0.1:80", 1, &["TO", "tcp://"]),
        (&*here, "tcp://127.0.0.1", 1, &["TO", "port"]),
        (&*here, "tcp://127.0.0.1:http", 1, &["TO", "port"]),
        (&*here, "tcp://127.0.0.1:99999", 1, &["TO", "99999"]),
        (
            &*here,
            "tls://127.0.0.1:1?ca=/nowhere/ca.crt",
            1,
            &["TO", "/nowhere/ca.crt", "No such file"],
        ),
        (&*here, "tls://127.0.0.1:1?alpn=", 1, &["TO", "alpn"]),
        (&*here, "mkcp://127.0.0.1:1?mtu=12", 1, &["TO", "mtu", "576"]),
        (&*here, "mkcp://127.0.0.1:1?header=odd", 1, &["TO", "odd"]),
        (&*here, "quic://127.0.0.1:1?security=odd", 1, &["TO", "odd"]),
        (&*here, "ws://127.0.0.1:1/a b", 1, &["TO"]),
        (&*here, "tcp://127.0.0.1:1?proxy=v3", 1, &["TO", "proxy", "v1"]),
        ("wss://127.0.0.1:0/x", "tcp://127.0.0.1:1", 1, &["FROM", "cert"]),
        (&format!("tls://127.0.0.1:0?cert={key}&key={cert}"), "tcp://127.0.0.1:1", 1, &["FROM"]),
        (&busy, "tcp://127.0.0.1:1", 2, &["in use"]),
        ("tcp://192.0.2.99:1", "tcp://127.0.0.1:1", 2, &["192.0.2.99"]),
        ("unix:/nowhere/x.sock", "tcp://127.0.0.1:1", 2, &["/nowhere/x.sock"]),
    ] {
        let (status, said) = refusal(from, to);
        assert_eq!(status, Some(code), "{from} {to}: {said}");
        println!("{from} {to}\n  {said}");
        for word in words {
            assert!(said.contains(word), "{from} {to}: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn what_goes_wrong_later_is_told_too() {
    let pki = Pki::new();
    let file = |name| pki.file(name).display().to_string();
    let tls = format!("cert={}&key={}", file("leaf.crt"), file("leaf.key"));
    let other = Pki::new();
    let strange = format!("ca={}&sni=far.test", other.file("ca.crt").display());
    for (listen, dial, words) in [
        ("tls", (format!("?{tls}"), format!("?{strange}")), &["TLS handshake", "certificate"][..]),
        (
            "tls",
            (format!("?{tls}"), format!("?ca={}", file("ca.crt"))),
            &["TLS handshake", "127.0.0.1"],
        ),
        ("ws", ("/a".into(), "/b".into()), &["ws", "WebSocket handshake", "404"]),
        ("h2c", ("/a".into(), "/b".into()), &["http"]),
        (
            "tcp",
            ("/a?header=http".into(), "/b?header=http".into()),
            &["WARN", "tcp", "404", "path"],
        ),
        ("mkcp", ("?seed=a".into(), "?seed=b".into()), &["mkcp", "seed"]),
        (
            "quic",
            ("?security=aes-128-gcm&secret=a".into(), "?security=aes-128-gcm&secret=b".into()),
            &["quic"],
        ),
    ] {
        let (port, between, peer) = (free_port(), free_port(), Peer::new());
        let url = |rest: &str| format!("{listen}://127.0.0.1:{between}{rest}");
        let _far = Forward::start(&url(&dial.0), &format!("tcp://{}", peer.host()));
        let near = Forward::start(&format!("tcp://127.0.0.1:{port}"), &url(&dial.1));
        // The tunnel's end may come so soon that connecting already fails.
        match TcpStream::connect(local(port)) {
            Ok(mut client) => {
                client.set_read_timeout(Some(4 * rosn_tests::PATIENCE)).unwrap();
                let _ = client.write_all(b"hello");
                let mut byte = [0];
                assert!(!matches!(client.read(&mut byte), Ok(1)), "{listen}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{listen}"),
        }
        let said = near.end();
        println!("{}\n  {said}", url(&dial.1));
        for word in words.iter().chain(&[&*format!("127.0.0.1:{between}")]) {
            assert!(said.contains(word), "{listen}{}: no {word}: {said}", dial.1);
        }
        assert!(!said.contains("secret=b") && !said.contains("seed=b"), "{said}");
    }
}

#[test]
fn a_configuration_of_v2ray_is_converted_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for (name, settings) in [
        ("tcp", json!({ "network": "tcp" })),
        (
            "ws",
            json!({ "network": "ws", "wsSettings": { "path": "/a", "headers": { "Host": "example.com" } } }),
        ),
        (
            "kcp",
            json!({ "network": "kcp", "kcpSettings": { "seed": "abc", "header": { "type": "utp" } } }),
        ),
        (
            "quic",
            json!({ "network": "quic", "quicSettings": { "security": "aes-128-gcm", "key": "k" } }),
        ),
        ("ds", json!({ "network": "ds", "dsSettings": { "path": file("x.sock") } })),
    ] {
        let (port, between, peer) = (free_port(), free_port(), Peer::new());
        let inbound = |port: u16, to: u16, settings: Value| {
            json!({
                "protocol": "dokodemo-door", "listen": "127.0.0.1", "port": port, "streamSettings": settings,
                "settings": { "address": "127.0.0.1", "port": to, "network": "tcp" },
            })
        };
        let plain = json!({ "network": "tcp" });
        let near = json!({
            "inbounds": [inbound(port, between, plain.clone())],
            "outbounds": [{ "protocol": "freedom", "streamSettings": settings }],
        });
        let far = json!({
            "inbounds": [inbound(between, peer.port(), settings.clone())],
            "outbounds": [{ "protocol": "freedom", "streamSettings": plain }],
        });
        let mut running = Vec::new();
        for (side, config) in [("far", far), ("near", near)] {
            let (from, to) = (file("v2ray.json"), file(&format!("{name}-{side}.json")));
            fs::write(&from, config.to_string()).unwrap();
            let mut convert = Rosn::command();
            let output =
                convert.args(["convert", "--from", "v2ray"]).arg(&from).arg("-o").arg(&to).output();
            let output = output.unwrap();
            assert!(
                output.status.success(),
                "{name} {side}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let mut converted: Value = serde_json::from_slice(&fs::read(&to).unwrap()).unwrap();
            // Its own places are beside the file; the harness has others.
            (converted["pid"], converted["uds_dir"]) = (Value::Null, Value::Null);
            running.push(Rosn::start(&converted));
        }
        let mut client = connect(local(port));
        client.write_all(b"question").unwrap();
        let mut origin = peer.accept();
        assert_eq!(read_exactly(&mut origin, 8), b"question", "{name}");
        origin.write_all(b"answer").unwrap();
        assert_eq!(read_exactly(&mut client, 6), b"answer", "{name}");
    }
}
