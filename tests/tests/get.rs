//! `rosn get`: what it shows, and its exit codes.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixListener;
use std::process::{Output, Stdio};
use std::thread;

use rosn_tests::client::Client;
use rosn_tests::config::{config, http_listener, router};
use rosn_tests::http2::server::Server;
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::tunnel::Pki;
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};

/// Runs it without the proxies of whoever runs the tests.
fn get(arguments: &[&str]) -> Output {
    get_in(arguments, &[])
}

fn get_in(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Rosn::command();
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.envs(environment.iter().copied());
    command.arg("get").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Each line of JSON.
fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn phases(line: &Value) -> Vec<&str> {
    line["phases"].as_array().unwrap().iter().map(|p| p["phase"].as_str().unwrap()).collect()
}

#[test]
fn a_waterfall_for_people() {
    let origin = Origin::http(|_| ok("hello"));
    let output = get(&[&format!("http://localhost:{}/a", origin.port())]);
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 0, "{shown}");
    assert!(shown.contains("HTTP/1.1 200 OK") && !shown.contains('\x1b'), "{shown}");
    for phase in ["dns localhost", "connect 127.0.0.1:", "send", "wait", "receive", "total"] {
        assert!(shown.contains(phase), "{phase}: {shown}");
    }
    assert!(shown.contains("5 bytes"), "{shown}");
}

#[test]
fn json_tells_new_connections_from_used_ones() {
    let origin = Origin::http(|_| ok("hello"));
    let output = get(&[&format!("127.0.0.1:{}", origin.port()), "--repeat", "3", "--json"]);
    let lines = lines(&output);
    assert_eq!(lines.len(), 3);
    for (before, line) in lines.iter().enumerate() {
        assert_eq!(line["connection"]["reused"], before > 0, "{line}");
        assert_eq!(line["connection"]["requests_before"], before, "{line}");
        assert_eq!(line["response"]["status"], 200);
        assert_eq!(line["response"]["body_bytes"], 5);
        let expected: &[&str] = match before {
            0 => &["connect", "send", "wait", "receive"],
            _ => &["send", "wait", "receive"],
        };
        assert_eq!(phases(line), expected);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn what_is_sent_is_what_was_asked_for() {
    let origin = Origin::http(|request| {
        let seen = |name| request.header(name).unwrap_or_default();
        let body = String::from_utf8_lossy(&request.body);
        ok(&format!("{} {} {} {body}", request.method, seen("x-a"), seen("authorization")))
    });
    let url = format!("http://me:secret@127.0.0.1:{}/", origin.port());
    let output = get(&["-b", "-X", "PUT", "-H", "X-A: 1", "-d", "text", &url]);
    assert_eq!(text(&output.stdout), "PUT 1 Basic bWU6c2VjcmV0 text");
    let shown = text(&output.stderr);
    assert!(shown.contains("200 OK") && !shown.contains("secret"), "{shown}");
}

#[test]
fn redirects_are_followed_if_so_asked() {
    let origin = Origin::http(|request| match &*request.target {
        "/new" => ok("here"),
        "/round" => response(302, &[("Location", "/round")], b""),
        _ => response(302, &[("Location", "/new")], b""),
    });
    let url = format!("http://127.0.0.1:{}/", origin.port());
    assert_eq!(lines(&get(&["--json", &url]))[0]["response"]["status"], 302);
    let followed = get(&["-L", "--json", &url]);
    assert_eq!(lines(&followed)[0]["response"]["status"], 200);
    assert_eq!(lines(&followed)[0]["attempts"], 2);
    assert_eq!(code(&get(&["-L", &format!("{url}round")])), 47);
}

#[test]
fn exit_codes_are_those_of_curl() {
    let origin = Origin::http(|_| response(404, &[], b"no"));
    let url = format!("http://127.0.0.1:{}/", origin.port());
    assert_eq!(code(&get(&[&url])), 0);
    assert_eq!(code(&get(&["--fail", &url])), 22);
    assert_eq!(code(&get(&["ftp://127.0.0.1/"])), 3);
    assert_eq!(code(&get(&["http://name.invalid/", "--connect-timeout", "20"])), 6);
    assert_eq!(code(&get(&[&format!("http://127.0.0.1:{}/", free_port())])), 7);
    let empty = Origin::raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.shutdown(Shutdown::Both);
    });
    assert_eq!(code(&get(&[&format!("http://127.0.0.1:{}/", empty.port())])), 52);
    let silent = Origin::raw(|mut stream| while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {});
    assert_eq!(code(&get(&["-m", "0.3", &format!("http://127.0.0.1:{}/", silent.port())])), 28);
    let other = Origin::raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
    });
    let not_http = get(&["--json", &format!("http://127.0.0.1:{}/", other.port())]);
    assert_eq!(code(&not_http), 8, "{}", text(&not_http.stdout));
    assert_eq!(code(&get(&["https://127.0.0.1:1/", "--cacert", "/none.pem"])), 77);
    assert_eq!(code(&get(&["--json", &url, "--proxy", "gopher://a"])), 2);
}

/// An origin that gives this answer, and ends.
fn saying(answer: &'static [u8]) -> (Origin, String) {
    let origin = Origin::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(Shutdown::Write);
        while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
    });
    let url = format!("http://127.0.0.1:{}/", origin.port());
    (origin, url)
}

/// Compared with curl 7.88.
#[test]
fn exit_codes_of_broken_answers_and_proxies_are_those_of_curl() {
    let (_short, url) = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    let output = get(&[&url]);
    assert_eq!(code(&output), 18);
    let shown = text(&output.stdout);
    assert_eq!(shown.matches("before the end").count(), 2, "in its phase and at the end: {shown}");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    assert_eq!(code(&get(&[&saying(chunked).1])), 18);
    let invalid = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nab";
    assert_eq!(code(&get(&[&saying(invalid).1])), 56);
    let nowhere = b"HTTP/1.1 302 F\r\nLocation: http://[::x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(code(&get(&["-L", &saying(nowhere).1])), 3);

    let through = |proxy: &str, target: &str| {
        let output = get(&["--proxy", proxy, target]);
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(!shown.contains("sekret"), "{shown}");
        code(&output)
    };
    assert_eq!(through("http://u:sekret@name.invalid:1", "http://a.example/"), 5);
    let refusing = format!("http://u:sekret@127.0.0.1:{}", free_port());
    assert_eq!(through(&refusing, "http://a.example/"), 7);
    let (denying, _) = saying(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n");
    let proxy = format!("http://u:sekret@127.0.0.1:{}", denying.port());
    assert_eq!(through(&proxy, "https://a.example/"), 56);
}

/// What a server says may be meant for the terminal.
#[test]
fn control_characters_are_shown_and_not_sent() {
    let answer = b"HTTP/1.1 200 \xc2\x9b31m\r\nX: \xc2\x9b31m\r\nContent-Length: 0\r\n\r\n";
    let (_origin, url) = saying(answer);
    let output = get(&["--json", &url]);
    assert!(output.stdout.is_ascii(), "{}", text(&output.stdout));
    assert_eq!(lines(&output)[0]["response"]["headers"][0], json!(["x", "\u{9b}31m"]));
    let output = get(&["http://127.0.0.1:1/", "--resolve", "a\u{9b}31m\x1b[31m"]);
    assert!(!text(&output.stderr).contains(['\u{9b}', '\x1b']), "{}", text(&output.stderr));
}

/// A body without an end, whose reader goes away.
#[test]
fn what_nobody_reads_is_not_fetched() {
    let origin = Origin::raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let mut child = Rosn::command()
        .args(["get", "--body", "--proxy", "", &format!("http://127.0.0.1:{}/", origin.port())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut [0; 100]).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 23, "{}", text(&output.stderr));
}

#[test]
fn a_proxy_is_used_as_the_flag_and_the_environment_say() {
    let origin = Origin::http(|request| ok(&request.target));
    let proxy = format!("http://127.0.0.1:{}", origin.port());
    let through = |output: &Output| text(&output.stdout) == "http://far.example/x";
    assert!(through(&get(&["-b", "http://far.example/x", "--proxy", &proxy])));
    assert!(through(&get_in(&["-b", "http://far.example/x"], &[("http_proxy", &proxy)])));
    let none = get_in(
        &["-b", &format!("http://127.0.0.1:{}/x", origin.port())],
        &[("http_proxy", "http://127.0.0.1:1")],
    );
    assert_eq!(text(&none.stdout), "/x", "loopback goes through no proxy");
}

#[test]
fn an_address_is_given_by_resolve() {
    let origin = Origin::http(|request| ok(&request.header("host").unwrap_or_default()));
    let port = origin.port();
    let url = format!("http://name.example:{port}/");
    let output = get(&["-b", &url, "--resolve", &format!("name.example:{port}:127.0.0.1")]);
    assert_eq!(text(&output.stdout), format!("name.example:{port}"));
}

#[test]
fn a_unix_socket_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&ok("OK"));
    });
    let output = get(&["-b", "http://docker/_ping", "--unix-socket", path.to_str().unwrap()]);
    assert_eq!(text(&output.stdout), "OK", "{}", text(&output.stderr));
}

/// A listener with TLS, by a transport.
#[test]
fn tls_is_traced_and_its_certificate_checked() {
    let pki = Pki::new();
    let port = free_port();
    let route =
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": "safe" } });
    let mut listener = http_listener("in", port, "r");
    listener["stream_settings"] = json!({ "security": "tls", "tlsSettings": pki.listening() });
    let rosn = Rosn::start(&config(&[listener], &[router("r", &[route])], &[]));
    let url = format!("https://far.test:{port}/");
    let resolve = format!("far.test:{port}:127.0.0.1");
    let ca = pki.file("ca.crt").display().to_string();
    let trusted = get(&["--json", &url, "--resolve", &resolve, "--cacert", &ca]);
    let line = &lines(&trusted)[0];
    assert_eq!(line["response"]["status"], 200, "{line}");
    assert!(phases(line).contains(&"tls"), "{line}");
    assert!(line.to_string().contains("TLSv1.3"), "{line}");
    let untrusted = get(&[&url, "--resolve", &resolve]);
    assert_eq!(code(&untrusted), 60, "{}", text(&untrusted.stdout));
    assert_eq!(code(&get(&["-k", &url, "--resolve", &resolve])), 0);
    let plain = Origin::raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert_eq!(code(&get(&["-k", &format!("https://127.0.0.1:{}/", plain.port())])), 35);
    drop(rosn);
}

/// HTTP/2 where it is known to be spoken, over one connection; and not where it is not wanted.
#[test]
fn http2() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a?b", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let mut server = Server::accept(listener.accept().unwrap().0, &[]);
        for _ in 0..2 {
            let (stream, asked) = server.whole_request();
            assert_eq!(asked.header(":path"), Some("/a?b"));
            server.respond(stream, "200", &[], b"hello");
        }
        // Until the client goes.
        let _ = server.try_next_request();
    });
    let output = get(&["--http2", "-n", "2", "--json", &url]);
    for (before, line) in lines(&output).iter().enumerate() {
        assert_eq!(line["response"]["version"], "HTTP/2.0", "{line}");
        assert_eq!(line["response"]["body_bytes"], 5);
        assert_eq!(line["connection"]["requests_before"], before);
    }
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    serving.join().unwrap();
    let origin = Origin::http(|_| ok("hello"));
    let url = format!("http://127.0.0.1:{}/", origin.port());
    assert_eq!(code(&get(&["--http1.1", &url])), 0);
    assert_ne!(code(&get(&["--http1.1", "--http2", &url])), 0);
}

/// What the proxy measured, and what its client measured of it.
#[test]
fn it_probes_rosn_itself() {
    let port = free_port();
    let route =
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": "hi" } });
    let _rosn =
        Rosn::start(&config(&[http_listener("in", port, "r")], &[router("r", &[route])], &[]));
    assert_eq!(Client::connect(port).get("/").text(), "hi");
    assert_eq!(code(&get(&[&format!("http://127.0.0.1:{port}/")])), 0);
}
