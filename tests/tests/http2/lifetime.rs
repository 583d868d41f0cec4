//! When a connection ends, and how.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rosn_tests::client::Client;
use rosn_tests::http2::{ACK, Http2, code, kind};
use rosn_tests::l4::{connect, local};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::{Rosn, Signal, wait_until};
use serde_json::{Value, json};

use super::Line;

/// The last id that GOAWAY can name: it refuses nothing.
const ALL: u32 = 0x7fff_ffff;
/// Bytes of a response that the system holds while nobody reads it.
const LONG: usize = 300 << 10;
/// RFC 9113 section 6.5.2.
const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// A line whose origin answers each request when it is told to.
fn held() -> (Line, mpsc::Sender<()>) {
    held_with(json!({}), |_| {})
}

fn held_with(settings: Value, change: impl FnOnce(&mut Value)) -> (Line, mpsc::Sender<()>) {
    let (release, told) = mpsc::channel();
    let told = Arc::new(Mutex::new(told));
    let origin = Origin::http(move |_| {
        let _ = told.lock().unwrap().recv();
        ok("served")
    });
    (Line::changed(origin, settings, change), release)
}

/// Reads frames until one is of this kind; gives its payload.
fn next_of(client: &mut Http2, wanted: u8) -> Vec<u8> {
    loop {
        let frame = client.step().expect("the end came");
        if frame.kind == wanted && !(wanted == kind::PING && frame.flags & ACK != 0) {
            return frame.payload;
        }
    }
}

/// RFC 9113 section 6.8: GOAWAY that refuses nothing yet, and one round trip later the one that does.
#[test]
fn a_drain_says_goaway_in_two_steps_and_loses_nothing() {
    let (line, release) = held();
    let Line { mut rosn, port, .. } = line;
    let mut client = Http2::connect(port);
    let first = client.request("GET", "/", &[]);
    let wait = |count: f64| {
        let labels = [("listener", "in")];
        wait_until("requests", || rosn.metric("downstream_request_active", &labels) == count);
    };
    wait(1.0);
    rosn.signal(Signal::TERM);
    // Not our own answer to the PING yet.
    loop {
        let frame = client.next_frame().expect("the end came");
        if frame.kind == kind::GOAWAY {
            assert_eq!(frame.payload[..8], [&ALL.to_be_bytes()[..], &[0; 4]].concat());
            break;
        }
    }
    let ping = loop {
        let frame = client.next_frame().expect("the end came");
        if frame.kind == kind::PING {
            break frame.payload;
        }
    };
    // What was under way is served, and so is what the client began before it knew.
    let second = client.request("GET", "/", &[]);
    client.frame(kind::PING, ACK, 0, &ping);
    let goaway = next_of(&mut client, kind::GOAWAY);
    assert_eq!(goaway[..8], [&second.to_be_bytes()[..], &[0; 4]].concat());
    // What comes later is not.
    let third = client.request("GET", "/", &[]);
    for _ in 0..2 {
        release.send(()).unwrap();
    }
    assert_eq!(client.answer(first).status, 200);
    assert_eq!(client.answer(second).status, 200);
    let late = client.answer(third);
    assert!(late.status == 0 && client.is_over, "{late:?}");
    assert!(rosn.wait().success());
}

/// RFC 9112 section 9.6: what comes at a closed socket has the system forget what it has not sent. A client that reads
/// makes room in its windows all the time.
#[test]
fn the_end_of_a_last_response_arrives_although_the_client_is_slow() {
    let (release, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let line = Line::new(move |_| {
        let _ = told.lock().unwrap().recv();
        response(200, &[], &[b'x'; LONG])
    });
    let Line { mut rosn, port, .. } = line;
    let mut client = Http2::connect_with(port, &[(SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20)]);
    client.window(0, 1 << 20);
    let stream = client.request("GET", "/", &[]);
    let labels = [("listener", "in")];
    wait_until("a request", || rosn.metric("downstream_request_active", &labels) == 1.0);
    rosn.signal(Signal::TERM);
    // The second one, behind the answer to the PING: the connection ends with the stream.
    for _ in 0..2 {
        let _ = next_of(&mut client, kind::GOAWAY);
    }
    drop(release);
    for _ in 0..60 {
        client.window(0, 1);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.answer(stream).body.len(), LONG);
    drop(client);
    assert!(rosn.wait().success());
}

#[test]
fn an_idle_connection_ends_with_goaway() {
    let line = Line::changed(Origin::http(|_| ok("served")), json!({}), |config| {
        config["servers"][0]["listeners"][0]["connection_idle_timeout"] = json!("300ms");
    });
    let mut client = line.client();
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.end(), Some((1, code::NO_ERROR)));
    assert_eq!(client.goaways, [(ALL, code::NO_ERROR), (1, code::NO_ERROR)]);
    // One that does not even answer the PING is cut.
    let mut silent = line.client();
    while silent.next_frame().is_some() {}
    line.rosn.settled();
}

#[test]
fn an_idle_drain_ends_at_once() {
    let line = Line::new(|_| ok("served"));
    let Line { mut rosn, port, .. } = line;
    let mut client = Http2::connect(port);
    assert_eq!(client.get("/").status, 200);
    rosn.signal(Signal::TERM);
    assert_eq!(client.end(), Some((1, code::NO_ERROR)));
    drop(client);
    assert!(rosn.wait().success());
}

#[test]
fn a_preface_has_to_come_in_time_and_be_one() {
    let line = Line::changed(Origin::http(|_| ok("served")), json!({}), |config| {
        config["servers"][0]["limits"] = json!({ "header_timeout": "300ms" });
    });
    let mut client = Client::connect(line.port);
    client.send("PRI * HTTP/2.0\r\n\r\n");
    client.read_to_end();
    let mut client = Client::connect(line.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_to_end();
    let mut client = Http2::over(Client::connect(line.port));
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.data(1, b"no SETTINGS", false);
    assert_eq!(client.end().map(|(_, why)| why), Some(code::PROTOCOL_ERROR));
    line.rosn.settled();
}

/// What it sent behind that is not left unread: a close would be a reset, which takes our last words away.
#[test]
fn who_says_another_preface_can_read_the_end() {
    let line = Line::new(|_| ok("served"));
    let mut client = connect(local(line.port));
    client.write_all(b"INVALID CONNECTION PREFACE\r\n\r\n").unwrap();
    client.read_to_end(&mut Vec::new()).expect("an end, and no reset");
}

#[test]
fn who_answers_no_ping_is_dead() {
    let settings = json!({ "ping_interval": "200ms", "ping_timeout": "500ms" });
    let (line, release) = held_with(settings, |_| {});
    let mut client = line.client();
    let stream = client.request("GET", "/", &[]);
    // It answers a few.
    for _ in 0..3 {
        next_of(&mut client, kind::PING);
    }
    // And then no more.
    let mut pings = 0;
    while let Some(frame) = client.next_frame() {
        pings += u32::from(frame.kind == kind::PING);
    }
    assert_eq!(pings, 1);
    drop(release);
    assert!(client.answer(stream).status == 0);
    line.rosn.settled();
}

#[test]
fn no_ping_without_streams() {
    let line = Line::with(Origin::http(|_| ok("served")), json!({ "ping_interval": "50ms" }));
    let mut client = line.client();
    assert_eq!(client.get("/").status, 200);
    // A long time for pings.
    thread::sleep(Duration::from_millis(500));
    let stream = client.request("GET", "/", &[]);
    while client.until(stream, |_| true).status == 0 {
        let frame = client.step().expect("the end came");
        assert_ne!(frame.kind, kind::PING);
    }
}

#[test]
fn an_old_connection_takes_no_more_streams() {
    let (line, release) = held_with(json!({ "max_connection_age": "300ms" }), |_| {});
    let mut client = line.client();
    let stream = client.request("GET", "/", &[]);
    while client.goaways.len() < 2 {
        client.step().expect("the end came");
    }
    release.send(()).unwrap();
    assert_eq!(client.answer(stream).status, 200);
    assert_eq!(client.end(), Some((stream, code::NO_ERROR)));
}

#[test]
fn a_reload_without_the_listener_ends_its_connections() {
    let (line, release) = held();
    let mut client = line.client();
    let stream = client.request("GET", "/", &[]);
    wait_until("the request is there", || line.metric("request_active") == 1.0);
    let read = std::fs::read_to_string(line.rosn.config_path()).unwrap();
    let mut config: Value = serde_json::from_str(&read).unwrap();
    config["servers"][0]["listeners"][0]["name"] = json!("other");
    config["servers"][0]["listeners"][0]["address"] =
        json!(format!("127.0.0.1:{}", rosn_tests::free_port()));
    line.rosn.write_config(&config);
    let (done, said) = line.rosn.reload();
    assert!(done, "{said}");
    release.send(()).unwrap();
    assert_eq!(client.answer(stream).status, 200);
    // The next one is the last.
    let stream = client.request("GET", "/", &[]);
    release.send(()).unwrap();
    assert_eq!(client.answer(stream).status, 200);
    assert_eq!(client.end(), Some((stream, code::NO_ERROR)));
    line.rosn.settled();
}

/// An exchange takes up a changed configuration; the connection goes on.
#[test]
fn a_reload_is_taken_up_by_the_next_stream() {
    let line = Line::new(|_| ok("served"));
    let mut client = line.client();
    assert_eq!(client.get("/").text(), "served");
    let read = std::fs::read_to_string(line.rosn.config_path()).unwrap();
    let mut config: Value = serde_json::from_str(&read).unwrap();
    config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"] = json!([{ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": "new" } }]);
    line.rosn.write_config(&config);
    let (done, said) = line.rosn.reload();
    assert!(done, "{said}");
    assert_eq!(client.get("/").text(), "new");
    assert!(client.goaways.is_empty());
}

/// A connection that breaks within a frame, and one that ends in order.
#[test]
fn broken_connections_leave_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(listener);
    let line = Line::new(|_| ok("served"));
    let mut client = line.client();
    client.send(&[0, 0, 100, 0]);
    drop(client);
    let mut client = line.client();
    assert_eq!(client.get("/").status, 200);
    client.client().shutdown_write();
    client.end();
    let mut client = line.client();
    client.frame(kind::GOAWAY, 0, 0, &[0; 8]);
    assert_eq!(client.get("/").status, 200);
    let rosn: &Rosn = &line.rosn;
    drop(client);
    rosn.settled();
}
