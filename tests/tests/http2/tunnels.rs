//! Streams that stop being HTTP: CONNECT, and extended CONNECT (RFC 8441).

use std::net::TcpListener;

use rosn_tests::client::Client;
use rosn_tests::http2::{Http2, code};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::wait_until;
use serde_json::{Value, json};

use super::{Line, accept, log_lines};

/// A line whose origin is this listener, with these rules of tunnels.
fn line_to(listener: &TcpListener, tunnel: Value) -> Line {
    let port = listener.local_addr().unwrap().port();
    Line::changed(Origin::http(|_| ok("")), json!({}), move |config: &mut Value| {
        config["cluster_manager"]["clusters"][0]["hosts"] =
            json!([{ "address": format!("127.0.0.1:{port}") }]);
        let route = &mut config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0];
        if tunnel.get("connect").is_some() {
            route["match"] = json!({ "prefix": "/" });
        }
        route["route"]["tunnel"] = tunnel;
    })
}

const WEBSOCKET: [(&str, &str); 7] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":path", "/chat?x"),
    (":authority", "a.example"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "chat"),
];

/// The two ends of a tunnel by extended CONNECT.
fn websocket(line: &Line, listener: &TcpListener) -> (Http2, u32, Client) {
    let mut client = line.client();
    while client.settings.is_empty() {
        client.step();
    }
    assert_eq!(client.settings.get(&8), Some(&1), "SETTINGS_ENABLE_CONNECT_PROTOCOL");
    let stream = client.open(&WEBSOCKET, false);
    let mut origin = accept(listener);
    let head = origin.read_head().to_lowercase();
    assert!(head.starts_with("get /chat?x http/1.1\r\nhost: a.example\r\n"), "{head}");
    for field in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat",
    ] {
        assert_eq!(head.matches(&format!("\r\n{field}\r\n")).count(), 1, "{field}: {head}");
    }
    let key =
        head.split("sec-websocket-key: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert_eq!(key.len(), 24, "16 bytes in base64: {key}");
    origin.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: abc\r\nSec-WebSocket-Protocol: chat\r\n\r\nearly",
    );
    (client, stream, origin)
}

#[test]
fn a_websocket_goes_over_a_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener, json!({}));
    let (mut client, stream, mut origin) = websocket(&line, &listener);
    let answer = client.until(stream, |answer| answer.body.len() == 5);
    assert_eq!((answer.status, answer.text().as_str(), answer.ended), (200, "early", false));
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"sec-websocket-protocol"), "{names:?}");
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    client.data(stream, b"to the origin", false);
    assert_eq!(origin.read_exact(13), b"to the origin");
    let big = vec![b'x'; 1 << 20];
    origin.send(&big);
    client.until(stream, |answer| answer.body.len() == 5 + big.len());
    assert_eq!(line.metric("tunnel_active"), 1.0);
    // Another stream beside it.
    let other = client.request("GET", "/", &[]);
    let mut second = accept(&listener);
    second.read_head();
    second.send(ok("beside"));
    assert_eq!(client.answer(other).text(), "beside");
    // Ends go on in both directions, each for itself.
    client.data(stream, b"last", true);
    assert_eq!(origin.read_to_end(), b"last");
    origin.send("after");
    origin.shutdown_write();
    let answer = client.answer(stream);
    assert!(
        answer.ended && answer.reset.is_none() && answer.body.ends_with(b"after"),
        "{:?}",
        answer.reset
    );
    wait_until("it is logged", || log_lines(&line.rosn).len() == 2);
    let log = log_lines(&line.rosn).remove(1);
    assert!(log.starts_with("GET /chat 101 [-] tunnel_ended 17 "), "{log}");
    assert_eq!(line.rosn.active().0, 1, "the connection goes on");
    drop((client, second));
    line.rosn.settled();
}

#[test]
fn resets_go_through_a_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener, json!({}));
    let (mut client, stream, mut origin) = websocket(&line, &listener);
    client.until(stream, |answer| answer.body.len() == 5);
    client.reset(stream, code::INTERNAL_ERROR);
    origin.read_to_end();
    drop(client);
    let (mut client, stream, origin) = websocket(&line, &listener);
    client.until(stream, |answer| answer.body.len() == 5);
    socket2::SockRef::from(origin.tcp()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(origin);
    let answer = client.answer(stream);
    assert!(answer.reset.is_some() && !answer.ended, "{answer:?}");
    drop(client);
    // The end of the connection is the end of its tunnels.
    let (client, _, mut origin) = websocket(&line, &listener);
    drop(client);
    origin.read_to_end();
    line.rosn.settled();
}

/// To an extended CONNECT a 2xx says yes: who does not switch must not be understood so.
#[test]
fn what_is_no_switch_does_not_look_like_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener, json!({}));
    for (said, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", 502),
        ("HTTP/1.1 204 No\r\n\r\n", 502),
        ("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", 403),
        ("HTTP/1.1 302 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302),
        ("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", 502),
    ] {
        let mut client = line.client();
        let stream = client.open(&WEBSOCKET, false);
        let mut origin = accept(&listener);
        origin.read_head();
        origin.send(said);
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.ended), (expected, true), "{said}");
    }
}

/// The same of what rosn answers itself, and of `h2c`, which HTTP/1.1 may pass over.
#[test]
fn rosn_itself_does_not_say_yes_either() {
    let origin = Origin::http(|_| ok("no tunnel"));
    let line = Line::changed(origin, json!({}), |config| {
        let routes = &mut config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"];
        let direct = json!({
            "match": { "prefix": "/chat" },
            "direct_response": { "status": 200, "body": "hi" },
        });
        routes.as_array_mut().unwrap().insert(0, direct);
    });
    let mut client = line.client();
    let stream = client.open(&WEBSOCKET, false);
    assert_eq!(client.answer(stream).status, 403);
    let stream = client.request("GET", "/chat", &[]);
    assert_eq!(client.answer(stream).status, 200);
    for protocol in ["h2c", "H2C"] {
        let mut head = WEBSOCKET.to_vec();
        for field in &mut head {
            match field.0 {
                ":protocol" => field.1 = protocol,
                ":path" => field.1 = "/",
                _ => {}
            }
        }
        let stream = client.open(&head, false);
        assert_eq!(client.answer(stream).status, 501, "{protocol}");
    }
    assert_eq!(line.origin.requests(), 0);
    drop(client);
    line.rosn.settled();
}

#[test]
fn a_route_says_which_protocols_may_be_switched_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener, json!({ "upgrade": false }));
    let mut client = line.client();
    let stream = client.open(&WEBSOCKET, false);
    assert_eq!(client.answer(stream).status, 403);
    assert_eq!(line.rosn.active().2, 0, "nobody was asked");
}

#[test]
fn connect_makes_a_tunnel_where_a_route_lets_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = line_to(&listener, json!({ "connect": { "upstream": "tcp" } }));
    let mut client = line.client();
    let stream = client.open(&[(":method", "CONNECT"), (":authority", "a.example:443")], false);
    let mut origin = accept(&listener);
    let answer = client.until(stream, |answer| answer.status > 0);
    assert_eq!((answer.status, answer.ended), (200, false));
    assert!(answer.header("content-length").is_none());
    client.data(stream, b"ping", false);
    assert_eq!(origin.read_exact(4), b"ping");
    origin.send("pong");
    client.until(stream, |answer| answer.body == b"pong");
    origin.shutdown_write();
    assert!(client.answer(stream).ended);
    client.data(stream, b"", true);
    origin.read_to_end();
    // Not for other ports, and not where no route has it.
    let stream = client.open(&[(":method", "CONNECT"), (":authority", "a.example:22")], false);
    assert_eq!(client.answer(stream).status, 403);
    drop(client);
    line.rosn.settled();
    let line = line_to(&listener, json!({}));
    let mut client = line.client();
    let stream = client.open(&[(":method", "CONNECT"), (":authority", "a.example:443")], false);
    assert_eq!(client.answer(stream).status, 405);
}
