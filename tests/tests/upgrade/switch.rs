//! The switch itself: when it is made, and when it is not.

use std::thread;

use rosn_tests::client::Client;
use rosn_tests::config::route_to;
use rosn_tests::l4::{Pattern, with};
use serde_json::json;

use crate::{AGREE, ASK, Line, routes, says_no_more};

const MIB: usize = 1 << 20;

/// Row 72: a WebSocket handshake as a browser does it, and frames both ways. What the upstream says in its 101 is passed
/// on, and the fields of the route are added.
#[test]
fn websocket() {
    let (port, peer) = (rosn_tests::free_port(), rosn_tests::l4::Peer::new());
    let mut config = Line::config(port, &peer, json!({}));
    let added = json!([{ "header": { "key": "X-Added", "value": "by the route" } }]);
    config["servers"][0]["routers"][0]["response_headers_to_add"] = added;
    let line = Line::start(port, peer, config);
    let mut client = line.client();
    client.send(
        "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\nKeep-Alive: 5\r\n\r\n",
    );
    let mut origin = line.origin();
    let head = origin.read_head();
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /chat?room=1 HTTP/1.1");
    lines.sort_unstable();
    let expected = [
        "Connection: upgrade",
        "Host: example.com",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: chat",
        "Sec-WebSocket-Version: 13",
        "Upgrade: websocket",
    ];
    assert_eq!(lines, expected);
    origin.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
    );
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    let lower = head.to_ascii_lowercase();
    for field in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-accept: s3pp",
        "x-added: by the route\r\n",
    ] {
        assert!(lower.contains(field), "{head}");
    }
    assert!(!lower.contains("length") && !lower.contains("transfer") && !lower.contains("close"));
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    client.send(hello);
    assert_eq!(origin.read_exact(hello.len()), hello);
    origin.send(b"\x81\x05Hello");
    assert_eq!(client.read_exact(7), b"\x81\x05Hello");
    drop((client, origin));
    line.settled();
}

/// H1, H15: what comes with the request, and with the 101, goes first, whole.
#[test]
fn early_bytes_are_kept_in_both_directions() {
    let line = Line::new();
    let mut client = line.client();
    let writer = client.tcp().try_clone().unwrap();
    let sender = thread::spawn(move || {
        let early = Pattern::bytes(1, MIB);
        let mut writer = Client::over(writer);
        writer.send([ASK.as_bytes(), &early].concat());
        writer.shutdown_write();
    });
    let mut origin = line.origin();
    origin.read_head();
    assert!(origin.is_quiet(), "bytes were passed on before the 101");
    let writer = origin.tcp().try_clone().unwrap();
    let answer = thread::spawn(move || {
        let early = Pattern::bytes(2, MIB);
        let mut writer = Client::over(writer);
        writer.send([AGREE.as_bytes(), &early].concat());
        writer.shutdown_write();
    });
    let reader = thread::spawn(move || {
        Pattern::expect(1, MIB, &mut origin);
        assert!(origin.is_closed());
    });
    client.read_head();
    Pattern::expect(2, MIB, &mut client);
    assert!(client.is_closed());
    for thread in [sender, answer, reader] {
        thread.join().unwrap();
    }
    line.settled();
    assert_eq!(line.log(1), [format!("101 {MIB} {MIB} [-] tunnel_ended GET - x/y")]);
    let read = line.metric("bytes_read_total");
    assert_eq!(read, (MIB + ASK.len()) as f64, "early bytes are counted once");
    assert!(line.metric("bytes_write_total") > MIB as f64);
}

/// Docker's exec: a request with a body, which the upstream has whole before the client may go on.
#[test]
fn a_body_is_sent_whole_before_the_switch() {
    for (framing, body) in [
        ("Content-Length: 20\r\n", ["0123456789", "abcdefghij"]),
        ("Transfer-Encoding: chunked\r\n", ["a\r\n0123456789\r\n", "a\r\nabcdefghij\r\n0\r\n\r\n"]),
    ] {
        let line = Line::new();
        let mut client = line.client();
        let ask =
            ASK.replacen("GET", "POST", 1).replace("Host: a\r\n", &format!("Host: a\r\n{framing}"));
        client.send([&*ask, body[0]].concat());
        let mut origin = line.origin();
        origin.read_head();
        origin.read_exact(10);
        // It agrees before it has read all.
        origin.send(AGREE);
        client.send([body[1], "first words"].concat());
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        let mut sent = String::new();
        while !sent.ends_with("first words") {
            sent.push_str(&String::from_utf8(origin.read_some()).unwrap());
        }
        assert!(sent.contains("abcdefghij"), "{sent}");
        assert_eq!(sent.contains("0\r\n\r\nfirst"), framing.starts_with('T'), "{sent}");
        client.send("more");
        assert_eq!(origin.read_exact(4), b"more");
        drop((client, origin));
        line.settled();
    }
}

/// An upstream may say 100 and 103 before its 101.
#[test]
fn interim_responses_come_before_the_switch() {
    let line = Line::new();
    let mut client = line.client();
    client.send(ASK);
    let mut origin = line.origin();
    origin.read_head();
    origin.send(["HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", AGREE, "hello"].concat());
    assert!(client.read_head().starts_with("HTTP/1.1 103 "));
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.read_exact(5), b"hello");
    drop((client, origin));
    line.settled();
}

/// H12: an upstream that does not agree has answered an HTTP request. What the client sent too early may be in the
/// other protocol: it is no request, and the connection ends behind the response.
#[test]
fn without_a_switch_it_stays_http() {
    for (status, early) in
        [(200, ""), (426, ""), (200, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")]
    {
        let line = Line::new();
        let mut client = line.client();
        client.send([ASK, early].concat());
        let mut origin = line.origin();
        origin.read_head();
        origin
            .send(format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\nUpgrade: tcp\r\n\r\nhello"));
        let response = client.read_response();
        assert_eq!((response.status, response.body.as_slice()), (status, &b"hello"[..]));
        // RFC 9110 section 15.5.22 wants Upgrade in 426; elsewhere it concerns the upstream's connection alone.
        let (connection, upgrade) =
            if status == 426 { ("close, upgrade", Some("tcp")) } else { ("close", None) };
        assert_eq!(response.header("connection").as_deref(), Some(connection));
        assert_eq!(response.header("upgrade").as_deref(), upgrade);
        client.shutdown_write();
        assert!(says_no_more(&mut client));
        // The upstream's connection goes on to serve requests, and gets none.
        assert!(origin.is_quiet());
        let mut other = line.client();
        other.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(origin.read_head().starts_with("GET /next "));
        origin.send("HTTP/1.1 204 X\r\n\r\n");
        assert_eq!(other.read_response().status, 204);
        drop((client, other));
        line.rosn.settled();
    }
}

/// Whatever the upstream does wrong: 502, and its connection is closed.
#[test]
fn a_wrong_101_is_a_502() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", AGREE),
        ("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", AGREE),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", AGREE),
        (ASK, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        (ASK, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: tcp, websocket\r\n\r\n"),
        (ASK, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n"),
        (ASK, "HTTP/1.1 101 X\r\n\r\n"),
        (
            ASK,
            "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            ASK,
            "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (ASK, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: t"),
    ];
    let line = Line::new();
    for (ask, answer) in cases {
        let mut client = line.client();
        client.send(ask);
        let mut origin = line.origin();
        let head = origin.read_head();
        assert_eq!(head.to_lowercase().contains("upgrade"), ask == ASK, "{head}");
        origin.send(answer);
        origin.shutdown_write();
        let response = client.read_response();
        assert_eq!(response.status, 502, "{answer}");
        assert!(says_no_more(&mut origin), "{answer}");
        drop(client);
        line.settled();
    }
}

/// An upstream that ends or resets instead of answering.
#[test]
fn no_answer_is_a_502() {
    let line = Line::new();
    for reset in [false, true] {
        let mut client = line.client();
        client.send([ASK, "early"].concat());
        let mut origin = line.origin();
        origin.read_head();
        if reset {
            rosn_tests::l4::reset(origin.tcp().try_clone().unwrap());
        }
        drop(origin);
        assert_eq!(client.read_response().status, 502);
        client.shutdown_write();
        assert!(says_no_more(&mut client));
        drop(client);
        line.settled();
    }
}

/// A client that goes away while its upgrade is awaited.
#[test]
fn a_client_that_goes_away_ends_its_attempt() {
    let line = Line::new();
    let client = {
        let mut client = line.client();
        client.send(ASK);
        client
    };
    let mut origin = line.origin();
    origin.read_head();
    rosn_tests::l4::reset(client.tcp().try_clone().unwrap());
    drop(client);
    assert!(says_no_more(&mut origin));
    drop(origin);
    line.settled();
}

/// The switch of a route: off, some, and only what was offered is asked for.
#[test]
fn a_route_says_which_protocols() {
    let (port, peer) = (rosn_tests::free_port(), rosn_tests::l4::Peer::new());
    let mut config = Line::config(port, &peer, json!({}));
    let route = |path: &str, tunnel| {
        let mut route = route_to(path, "up");
        route["route"] = with(route["route"].clone(), json!({ "tunnel": tunnel }));
        route
    };
    let direct = json!({ "match": { "prefix": "/own" }, "direct_response": { "status": 200, "body": "own" } });
    config["servers"][0]["routers"][0] = routes(&[
        direct,
        route("/off", json!({ "upgrade": false })),
        route("/ws", json!({ "upgrade": ["WebSocket"] })),
        route("/all", json!({ "upgrade": true })),
        route_to("/", "up"),
    ]);
    config["servers"][0]["listeners"][0]["filter_chains"][0]["filters"][0]["config"]["tunnel"] =
        json!({ "upgrade": ["tcp"] });
    let line = Line::start(port, peer, config);
    for (path, offer, passed) in [
        ("/off", "websocket", None),
        ("/ws", "tcp", None),
        ("/ws", "websocket", Some("websocket")),
        ("/ws", "tcp, WEBSOCKET", Some("WEBSOCKET")),
        ("/all", "a, b", Some("a, b")),
        ("/", "tcp", Some("tcp")),
        ("/", "websocket", None),
    ] {
        let ask = ASK.replace("/chat", path).replace("tcp", offer);
        let mut client = line.client();
        client.send(&ask);
        let Some(passed) = passed else {
            let response = client.read_response();
            assert_eq!(response.status, 403, "{ask}");
            assert!(response.text().contains("Upgrade"));
            assert_eq!(response.header("connection").as_deref(), Some("close"));
            continue;
        };
        let mut origin = line.origin();
        let head = origin.read_head();
        assert!(head.contains(&format!("Upgrade: {passed}\r\n")), "{head}");
        let chosen = passed.split(", ").next().unwrap().to_lowercase();
        origin.send(AGREE.replace("tcp", &chosen));
        assert!(client.read_head().contains(&format!("Upgrade: {chosen}\r\n")));
        client.send("x");
        assert_eq!(origin.read_exact(1), b"x");
    }
    let mut client = line.client();
    client.send([&*ASK.replace("/chat", "/own"), "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    let response = client.read_response();
    assert_eq!(
        (response.text().as_str(), response.header("connection").as_deref()),
        ("own", Some("close"))
    );
    client.shutdown_write();
    assert!(says_no_more(&mut client));
    drop(client);
    line.settled();
}

/// Requests on the same connection before it, and a pooled connection to the upstream that leaves the pool.
#[test]
fn a_used_connection_becomes_a_tunnel() {
    let line = Line::new();
    let mut client = line.client();
    client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut origin = line.origin();
    origin.read_head();
    origin.send("HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    client.send(ASK);
    assert!(origin.read_head().starts_with("GET /chat "), "the pooled connection is taken");
    origin.send(AGREE);
    client.read_head();
    let mut other = line.client();
    other.send("GET /two HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut second = line.origin();
    second.read_head();
    second.send("HTTP/1.1 204 X\r\n\r\n");
    assert_eq!(other.read_response().status, 204);
    assert!(origin.is_quiet());
    drop((client, origin, other, second));
    line.settled();
}

/// H1: however the bytes are cut, those of the heads and those behind them are told apart.
#[test]
fn heads_and_early_bytes_may_be_cut_anywhere() {
    let line = Line::new();
    let (ask, agree) = ([ASK, "one"].concat(), [AGREE, "two"].concat());
    for step in [1, 2, 7, ask.len() - 4, ask.len() - 3, ask.len() - 2] {
        let mut client = line.client();
        let pieces = |text: &str, peer: &mut Client| {
            for piece in text.as_bytes().chunks(step) {
                peer.send(piece);
                thread::yield_now();
            }
        };
        pieces(&ask, &mut client);
        let mut origin = line.origin();
        origin.read_head();
        pieces(&agree, &mut origin);
        client.read_head();
        assert_eq!(client.read_exact(3), b"two", "{step}");
        assert_eq!(origin.read_exact(3), b"one", "{step}");
        client.shutdown_write();
        assert!(origin.is_closed(), "{step}");
        drop(origin);
        assert!(client.is_closed(), "{step}");
    }
    line.settled();
}

/// Requests that come at once with it are answered first.
#[test]
fn requests_may_be_sent_in_front_of_it() {
    let line = Line::new();
    let mut client = line.client();
    client.send(["GET /one HTTP/1.1\r\nHost: a\r\n\r\n", ASK, "early"].concat());
    let mut origin = line.origin();
    assert!(origin.read_head().starts_with("GET /one "));
    assert!(origin.is_quiet());
    origin.send("HTTP/1.1 204 X\r\n\r\n");
    assert!(origin.read_head().starts_with("GET /chat "));
    origin.send(AGREE);
    assert_eq!(client.read_response().status, 204);
    assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    assert_eq!(origin.read_exact(5), b"early");
    drop((client, origin));
    line.settled();
}

/// H10: `Connection: close` beside it, on either side, ends HTTP and not the tunnel.
#[test]
fn close_says_nothing_about_a_tunnel() {
    let line = Line::new();
    let mut client = line.client();
    client.send(ASK.replace("Connection: Upgrade", "Connection: close, Upgrade"));
    let mut origin = line.origin();
    origin.read_head();
    origin.send(AGREE.replace("Connection: Upgrade", "Connection: upgrade, close"));
    let head = client.read_head();
    assert!(head.contains("Connection: upgrade\r\n") && !head.contains("close"), "{head}");
    for _ in 0..3 {
        client.send("ping");
        assert_eq!(origin.read_exact(4), b"ping");
        origin.send("pong");
        assert_eq!(client.read_exact(4), b"pong");
    }
    drop((client, origin));
    line.settled();
}

/// An upgrade that the policy says to retry becomes a tunnel when it is tried again.
#[test]
fn an_upgrade_is_retried_like_any_request() {
    let (port, peer) = (rosn_tests::free_port(), rosn_tests::l4::Peer::new());
    let mut config = Line::config(port, &peer, json!({}));
    let policy = json!({ "retry_on": true, "num_retries": 1, "status_codes": [503] });
    config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["route"]["retry_policy"] =
        policy;
    let line = Line::start(port, peer, config);
    for _ in 0..3 {
        let mut client = line.client();
        client.send([ASK, "early"].concat());
        let mut first = line.origin();
        first.read_head();
        first.send("HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let mut origin = line.origin();
        origin.read_head();
        origin.send(AGREE);
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
        assert_eq!(origin.read_exact(5), b"early");
    }
    line.settled();
}
