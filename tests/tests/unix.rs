//! Unix sockets on both sides, for bytes and for HTTP, and the files that they leave or do not leave.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use rosn_tests::client::Client;
use rosn_tests::config::{config, http_listener, router_to, tcp_listener};
use rosn_tests::l4::{
    Pattern, Peer, cluster_of, connect, is_turned_away, local, read_exactly, read_to_end, with,
};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::{PATIENCE, Rosn, Signal, free_port, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory whose path is short enough for a socket.
fn folder() -> TempDir {
    tempfile::Builder::new().prefix("rosn-unix-").tempdir_in("/tmp").unwrap()
}

fn to(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// The listener, on a unix socket.
fn at_path(listener: Value, path: &Path) -> Value {
    with(listener, json!({ "address": path, "network": "unix" }))
}

fn connect_unix(path: &Path) -> UnixStream {
    let stream =
        UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn accept(listener: &UnixListener) -> UnixStream {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    wait_until("a connection comes", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (stream, _) = accepted.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// An HTTP server on a unix socket that answers each request with its target.
fn http_at(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
}

fn serve(mut stream: UnixStream) {
    let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(read.drain(..end + 4).collect()).unwrap();
            let target = head.split(' ').nth(1).unwrap();
            stream.write_all(&ok(target)).unwrap();
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&chunk[..count]),
        }
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[test]
fn bytes_from_a_unix_socket_to_a_unix_socket() {
    let folder = folder();
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    let origin = UnixListener::bind(&back).unwrap();
    let listener = at_path(tcp_listener("t", 1, "up"), &front);
    let rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &[to(&back)])]));

    // Half-closed by the client, with late bytes.
    let mut client = connect_unix(&front);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut server = accept(&origin);
    assert_eq!(read_to_end(&mut server), b"question");
    server.write_all(b"late").unwrap();
    assert_eq!(read_exactly(&mut client, 4), b"late");
    drop(server);
    assert_eq!(read_to_end(&mut client), b"");

    // Half-closed by the server.
    let mut client = connect_unix(&front);
    let mut server = accept(&origin);
    server.write_all(b"first").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut client), b"first");
    client.write_all(b"late").unwrap();
    drop(client);
    assert_eq!(read_to_end(&mut server), b"late");
    drop(server);

    // Much, both ways at once.
    const LEN: usize = 8 << 20;
    let client = connect_unix(&front);
    let server = accept(&origin);
    let mut threads = Vec::new();
    for (seed, from, to) in [(1, &client, &server), (2, &server, &client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        threads.push(thread::spawn(move || {
            Pattern::send(seed, LEN, &mut from);
            from.shutdown(Shutdown::Write).unwrap();
        }));
        threads.push(thread::spawn(move || {
            Pattern::expect(seed, LEN, &mut to);
            assert_eq!(read_to_end(&mut to), b"");
        }));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop((client, server));
    rosn.settled();
    assert_eq!(rosn.metric("downstream_connection_total", &[("listener", "t")]), 3.0);
}

#[test]
fn bytes_between_unix_and_tcp() {
    let folder = folder();
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    let (port, peer) = (free_port(), Peer::new());
    let origin = UnixListener::bind(&back).unwrap();
    let rosn = Rosn::start(&config(
        &[at_path(tcp_listener("in", 1, "tcp"), &front), tcp_listener("out", port, "unix")],
        &[],
        &[cluster_of("tcp", &[peer.host()]), cluster_of("unix", &[to(&back)])],
    ));
    let mut client = connect_unix(&front);
    client.write_all(b"to tcp").unwrap();
    let mut server = peer.accept();
    assert_eq!(read_exactly(&mut server, 6), b"to tcp");
    Pattern::send(3, 1 << 20, &mut server);
    drop(server);
    Pattern::expect(3, 1 << 20, &mut client);
    assert_eq!(read_to_end(&mut client), b"");
    drop(client);

    let mut client = connect(local(port));
    client.write_all(b"to unix").unwrap();
    let mut server = accept(&origin);
    assert_eq!(read_exactly(&mut server, 7), b"to unix");
    server.write_all(b"back").unwrap();
    drop(server);
    assert_eq!(read_to_end(&mut client), b"back");
    drop(client);
    rosn.settled();
}

#[test]
fn http_from_a_unix_socket_to_a_unix_socket() {
    let folder = folder();
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    http_at(&back);
    let log = folder.path().join("access.log");
    let listener = with(
        http_listener("h", 1, "r"),
        // The scheme alone says what it is.
        json!({ "address": to(&front), "access_logs": [{ "log_path": log }] }),
    );
    let rosn = Rosn::start(&config(
        &[listener],
        &[router_to("r", "up")],
        &[cluster_of("up", &[to(&back)])],
    ));
    let mut client = Client::connect_unix(&front);
    for round in 0..20 {
        let target = format!("/over/unix/{round}");
        let response = client.get(&target);
        assert_eq!((response.status, response.text()), (200, target));
    }
    drop(client);
    wait_until("twenty lines of access log", || {
        fs::read_to_string(&log)
            .is_ok_and(|text| text.lines().filter(|line| line.contains(" 200 ")).count() == 20)
    });
    let pooled = rosn.metric("upstream_connection_total", &[("cluster", "up")]);
    assert_eq!(pooled, 1.0, "connections to a unix socket are reused");
    rosn.settled();
}

#[test]
fn http_between_unix_and_tcp() {
    let folder = folder();
    let (front, back) = (folder.path().join("front.sock"), folder.path().join("back.sock"));
    http_at(&back);
    let origin = Origin::http(|request| ok(&format!("tcp {}", request.target)));
    let port = free_port();
    let rosn = Rosn::start(&config(
        &[at_path(http_listener("in", 1, "to-tcp"), &front), http_listener("out", port, "to-unix")],
        &[router_to("to-tcp", "tcp"), router_to("to-unix", "unix")],
        &[cluster_of("tcp", &[local(origin.port()).to_string()]), cluster_of("unix", &[to(&back)])],
    ));
    assert_eq!(Client::connect_unix(&front).get("/a").text(), "tcp /a");
    assert_eq!(Client::connect(port).get("/b").text(), "/b");
    rosn.settled();
}

#[test]
fn several_workers_share_one_socket() {
    let folder = folder();
    let front = folder.path().join("front.sock");
    let origin = Origin::http(|request| ok(&request.target));
    let mut config = config(
        &[at_path(http_listener("h", 1, "r"), &front)],
        &[router_to("r", "up")],
        &[cluster_of("up", &[local(origin.port()).to_string()])],
    );
    config["servers"][0]["processor"] = json!(4);
    let rosn = Rosn::start(&config);
    let clients: Vec<_> = (0..16)
        .map(|number| {
            let front = front.clone();
            thread::spawn(move || {
                for _ in 0..10 {
                    let target = format!("/{number}");
                    assert_eq!(Client::connect_unix(&front).get(&target).text(), target);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(origin.requests(), 160);
    rosn.settled();
}

#[test]
fn a_socket_that_is_not_there_is_a_failure_until_it_is() {
    let folder = folder();
    let (port, http, back) = (free_port(), free_port(), folder.path().join("back.sock"));
    let rosn = Rosn::start(&config(
        &[tcp_listener("t", port, "up"), http_listener("h", http, "r")],
        &[router_to("r", "up")],
        &[cluster_of("up", &[to(&back)])],
    ));
    assert!(is_turned_away(local(port)));
    assert_eq!(Client::connect(http).get("/").status, 502);
    // A file that nobody listens on.
    drop(UnixListener::bind(&back).unwrap());
    assert_eq!(Client::connect(http).get("/").status, 502);
    wait_until("the log names the socket", || rosn.log().contains(&back.display().to_string()));
    fs::remove_file(&back).unwrap();
    http_at(&back);
    assert_eq!(Client::connect(http).get("/now").text(), "/now");
    rosn.settled();
}

#[test]
fn a_stale_file_is_replaced_and_removed_at_the_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = folder();
        let (front, peer) = (folder.path().join("front.sock"), Peer::new());
        drop(UnixListener::bind(&front).unwrap());
        assert!(is_socket(&front), "a crash leaves the file");
        let listener = at_path(tcp_listener("t", 1, "up"), &front);
        let mut rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &[peer.host()])]));
        let mut client = connect_unix(&front);
        client.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut peer.accept(), 1), b"x");
        drop(client);
        rosn.settled();
        assert!(rosn.stop(signal).success(), "{}", rosn.log());
        assert!(!front.exists(), "the file is left after {signal:?}");
    }
}

#[test]
fn a_killed_process_does_not_prevent_the_next() {
    let folder = folder();
    let (front, peer) = (folder.path().join("front.sock"), Peer::new());
    let config = config(
        &[at_path(tcp_listener("t", 1, "up"), &front)],
        &[],
        &[cluster_of("up", &[peer.host()])],
    );
    drop(Rosn::start(&config)); // killed
    assert!(is_socket(&front));
    let _rosn = Rosn::start(&config);
    let mut client = connect_unix(&front);
    client.write_all(b"x").unwrap();
    assert_eq!(read_exactly(&mut peer.accept(), 1), b"x");
}

/// Starts what cannot start; what it said.
fn refused_start(listener: Value) -> String {
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    let mut config = config(&[listener], &[], &[cluster_of("up", &["127.0.0.1:1".to_owned()])]);
    config["pid"] = json!(place("pid"));
    config["servers"][0]["default_log_path"] = json!("stderr");
    let file = place("config.json");
    fs::write(&file, config.to_string()).unwrap();
    let output = Rosn::command().args(["start", "-c"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

#[test]
fn what_is_in_the_way_is_not_taken_away() {
    let folder = folder();
    let path: PathBuf = folder.path().join("front.sock");
    let listener = at_path(tcp_listener("t", 1, "up"), &path);

    let other = UnixListener::bind(&path).unwrap();
    let said = refused_start(listener.clone());
    assert!(said.contains(&path.display().to_string()) && said.contains("in use"), "{said}");
    assert!(said.contains(&format!("{}", std::process::id())), "who has it: {said}");
    UnixStream::connect(&path).expect("the other one still listens");
    drop(other);
    fs::remove_file(&path).unwrap();

    fs::write(&path, "precious").unwrap();
    let said = refused_start(listener);
    assert!(said.contains(&path.display().to_string()), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    let long = folder.path().join("x".repeat(200));
    let said = refused_start(at_path(tcp_listener("t", 1, "up"), &long));
    assert!(said.contains("xxx"), "{said}");

    let nowhere = folder.path().join("no/such/folder.sock");
    let said = refused_start(at_path(tcp_listener("t", 1, "up"), &nowhere));
    assert!(said.contains("folder.sock"), "{said}");
}

#[test]
fn a_reload_that_takes_the_listener_away_removes_its_file_and_keeps_its_connections() {
    let folder = folder();
    let (front, second, peer) =
        (folder.path().join("front.sock"), folder.path().join("second.sock"), Peer::new());
    let clusters = [cluster_of("up", &[peer.host()])];
    let first_listener = at_path(tcp_listener("one", 1, "up"), &front);
    let second_listener = at_path(tcp_listener("two", 1, "up"), &second);
    let rosn = Rosn::start(&config(&[first_listener, second_listener.clone()], &[], &clusters));
    let mut client = connect_unix(&front);
    client.write_all(b"x").unwrap();
    let mut server = peer.accept();
    assert_eq!(read_exactly(&mut server, 1), b"x");
    rosn.write_config(&config(std::slice::from_ref(&second_listener), &[], &clusters));
    let (done, said) = rosn.reload();
    assert!(done, "{said}");
    wait_until("the file is gone", || !front.exists());
    server.write_all(b"still here").unwrap();
    assert_eq!(read_exactly(&mut client, 10), b"still here");
    let mut other = connect_unix(&second);
    other.write_all(b"y").unwrap();
    assert_eq!(read_exactly(&mut peer.accept(), 1), b"y");
    // And it comes back.
    let first_listener = at_path(tcp_listener("one", 1, "up"), &front);
    rosn.write_config(&config(&[first_listener, second_listener], &[], &clusters));
    let (done, said) = rosn.reload();
    assert!(done, "{said}");
    wait_until("somebody listens", || UnixStream::connect(&front).is_ok());
}
