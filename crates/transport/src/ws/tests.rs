//! Two ends over a socket, and ends that do not keep to the rules.

use std::sync::Arc;
use std::time::Duration;

use rosn_config::checked::WebSocketSettings;
use rosn_net::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::{self, Request};
use super::delayed::Delayed;
use super::handshake::{Shake, accept_key, serve};
use super::server::{Answer, Rules};

/// What v2ray 4.34 sent and got.
const KEY: &str = "/uvK1RPDNKgzs897aveb1w==";
const REQUEST: &str = "GET /tunnel HTTP/1.1\r\nHost: interop.test\r\nUser-Agent: Go-http-client/1.1\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: /uvK1RPDNKgzs897aveb1w==\r\nSec-WebSocket-Version: 13\r\n\
    Upgrade: websocket\r\nX-Probe: 1\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: 3eKACYG+QNsp9yC8btRRETjlzjQ=\r\n\r\n";

fn settings() -> WebSocketSettings {
    WebSocketSettings {
        path: "/tunnel".to_owned(),
        headers: vec![
            ("X-Probe".to_owned(), "1".to_owned()),
            ("Host".to_owned(), "interop.test".to_owned()),
        ],
        ..WebSocketSettings::default()
    }
}

fn early(max: usize, header: &str) -> WebSocketSettings {
    WebSocketSettings { max_early_data: max, early_data_header: header.to_owned(), ..settings() }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

fn shake(settings: &WebSocketSettings) -> Shake {
    Shake {
        request: Arc::new(Request::new(settings).unwrap()),
        to: "192.0.2.1:8080".parse().unwrap(),
        secure: false,
        timeout: Duration::from_secs(8),
        head_bytes: 8192,
        ping_interval: settings.ping_interval,
    }
}

/// Both ends, opened.
async fn connect(settings: &WebSocketSettings) -> (Stream, Stream) {
    let (client, server) = pair().await;
    let rules = Rules::new(settings);
    if settings.max_early_data > 0 {
        let client = Stream::boxed(Delayed::new(client.into(), shake(settings)));
        let server = tokio::spawn(async move { serve(server.into(), &rules, 8192, None).await });
        let mut client = client;
        client.write_all(b"first").await.unwrap();
        return (client, Stream::boxed(server.await.unwrap().unwrap()));
    }
    let (client, server) = tokio::join!(
        shake(settings).run(client.into(), b""),
        serve(server.into(), &rules, 8192, settings.ping_interval)
    );
    (Stream::boxed(client.unwrap()), Stream::boxed(server.unwrap()))
}

/// A raw client whose handshake is done, and the server's end.
async fn raw_client() -> (TcpStream, Stream) {
    let (mut client, server) = pair().await;
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let server = serve(server.into(), &Rules::new(&settings()), 8192, None).await.unwrap();
    let mut response = vec![0; RESPONSE.len()];
    client.read_exact(&mut response).await.unwrap();
    assert_eq!(response, RESPONSE.as_bytes());
    (client, Stream::boxed(server))
}

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn the_request_is_v2rays() {
    let to = "192.0.2.1:8080".parse().unwrap();
    let head = |settings| Request::new(&settings).unwrap().head(&to, false, KEY, b"");
    let mut as_go = settings();
    as_go.headers.push(("User-Agent".to_owned(), "Go-http-client/1.1".to_owned()));
    assert_eq!(head(as_go), REQUEST);
    // All that is rosn's own is its name.
    assert_eq!(head(settings()), REQUEST.replace("Go-http-client/1.1", "rosn"));
}

#[test]
fn the_response_is_v2rays() {
    let answer = Rules::new(&settings()).answer(REQUEST.as_bytes());
    let response = RESPONSE.to_owned();
    let early = bytes::Bytes::new();
    assert_eq!(answer, Answer::Accept { response, early: early.clone(), is_rosn: false });
    assert_eq!(client::check(RESPONSE.as_bytes(), KEY), Ok(false));

    let request = REQUEST.replace("Go-http-client/1.1", "rosn");
    let response = RESPONSE.replace("=\r\n\r\n", "=\r\nServer: rosn\r\n\r\n");
    assert_eq!(client::check(response.as_bytes(), KEY), Ok(true));
    let answer = Rules::new(&settings()).answer(request.as_bytes());
    assert_eq!(answer, Answer::Accept { response, early, is_rosn: true });
}

#[tokio::test]
async fn close_waits_where_the_peer_may_throw_away_what_it_has_read() {
    let (mut client, server) = pair().await;
    let rules = Rules::new(&settings());
    let serving = tokio::spawn(async move { serve(server.into(), &rules, 8192, None).await });
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut response = vec![0; RESPONSE.len()];
    client.read_exact(&mut response).await.unwrap();
    let mut server = Stream::boxed(serving.await.unwrap().unwrap());
    server.write_all(b"last").await.unwrap();
    let mut shutdown = std::pin::pin!(server.shutdown());
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(shutdown.as_mut().poll(cx)));
    assert!(polled.await.is_pending());
    let mut frame = [0; 6];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x82\x04last");
    shutdown.await.unwrap();
    let mut close = [0; 4];
    client.read_exact(&mut close).await.unwrap();
    assert_eq!(&close, b"\x88\x02\x03\xe8");
}

#[test]
fn the_key_of_the_rfc() {
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn the_host_is_the_address_without_a_port_that_is_the_schemes_own() {
    let request = Request::new(&WebSocketSettings { path: "/".to_owned(), ..Default::default() });
    let request = request.unwrap();
    for (to, secure, host) in [
        ("192.0.2.1:80", false, "192.0.2.1"),
        ("192.0.2.1:80", true, "192.0.2.1:80"),
        ("192.0.2.1:443", true, "192.0.2.1"),
        ("[2001:db8::1]:443", true, "[2001:db8::1]"),
        ("[2001:db8::1]:444", true, "[2001:db8::1]:444"),
        ("example.com:443", true, "example.com"),
        ("unix:/run/x", false, "localhost"),
    ] {
        let head = request.head(&to.parse().unwrap(), secure, KEY, b"");
        assert!(head.contains(&format!("\r\nHost: {host}\r\n")), "{head}");
    }
}

#[test]
fn settings_that_would_break_the_request_are_refused() {
    for (name, value) in [("X", "a\r\nEvil: 1"), ("A b", "1"), ("", "1"), ("upgrade", "x")] {
        let headers = vec![(name.to_owned(), value.to_owned())];
        assert!(Request::new(&WebSocketSettings { headers, ..settings() }).is_err(), "{name}");
    }
    assert!(Request::new(&early(1, "Connection")).is_err());
    let path = "a b\r\n\u{e4}".to_owned();
    let request = Request::new(&WebSocketSettings { path, ..settings() }).unwrap();
    let head = request.head(&"192.0.2.1:1".parse().unwrap(), false, KEY, b"");
    assert!(head.starts_with("GET /a%20b%0D%0A%C3%A4 HTTP/1.1\r\n"), "{head}");
}

#[test]
fn answers_to_bad_requests() {
    let rules = Rules::new(&settings());
    let cases = [
        ("/tunnel", "/", "404"),
        ("/tunnel", "/tunnel/", "404"),
        ("/tunnel", "/tunnel?x=1", "101"),
        ("GET", "POST", "405"),
        ("HTTP/1.1", "HTTP/1.0", "400"),
        ("Connection: Upgrade", "Connection: keep-alive", "400"),
        ("Connection: Upgrade", "Connection: keep-alive, upgrade", "101"),
        ("Upgrade: websocket", "Upgrade: h2c", "400"),
        ("Upgrade: websocket", "upgrade: WebSocket", "101"),
        ("Version: 13", "Version: 8", "400"),
        ("Key: /uvK", "Key: uvK", "400"),
        ("Host: interop.test", "Host: elsewhere", "101"),
        ("GET /tunnel", "\0", "400"),
        ("X-Probe: 1", "X-Probe\u{0}: 1", "400"),
    ];
    for (from, to, status) in cases {
        let request = REQUEST.replacen(from, to, 1);
        let (Answer::Accept { response, .. } | Answer::Refuse { response, .. }) =
            rules.answer(request.as_bytes());
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{response}");
        let version = response.contains("\r\nSec-WebSocket-Version: 13\r\n");
        assert_eq!(version, status == "400", "{response}");
    }
}

#[test]
fn answers_that_are_no_websocket() {
    for (from, to, says) in [
        ("101 Switching Protocols", "200 OK", "200 OK, not 101"),
        ("101 Switching Protocols", "404 Not Found", "is the path the same"),
        ("Upgrade: websocket", "Upgrade: h2c", "not for a WebSocket"),
        ("Connection: Upgrade", "Connection: close", "not for a WebSocket"),
        ("3eKA", "4eKA", "another request"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "extensions"),
        ("HTTP/1.1", "SSH-2.0", "not HTTP"),
    ] {
        let what = client::check(RESPONSE.replacen(from, to, 1).as_bytes(), KEY).unwrap_err();
        assert!(what.contains(says), "{what}");
    }
}

#[tokio::test]
async fn both_directions_at_once_carry_every_byte() {
    let (client, server) = connect(&settings()).await;
    let data: Arc<Vec<u8>> = Arc::new((0..8_u32 << 20).map(|at| (at / 7) as u8).collect());
    let mut tasks = Vec::new();
    for stream in [client, server] {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let sent = data.clone();
        tasks.push(tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.flush().await.unwrap();
            let _ = writer;
        }));
        let sent = data.clone();
        tasks.push(tokio::spawn(async move {
            let mut received = vec![0; sent.len()];
            reader.read_exact(&mut received).await.unwrap();
            assert!(received == *sent);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_write_arrives_without_a_flush() {
    let (mut client, mut server) = connect(&settings()).await;
    let mut bytes = [0; 5];
    server.write_all(b"first").await.unwrap();
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"first");
    client.write_all(b"other").await.unwrap();
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"other");
}

#[tokio::test]
async fn a_shutdown_says_close_and_the_rest_can_be_read() {
    let (mut client, mut server) = connect(&settings()).await;
    server.write_all(b"under way").await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    assert!(server.write_all(b"late").await.is_err());
    drop(server);
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"under way");
    assert!(!client.was_cut_off());
    assert_eq!(client.write_all(b"late").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn frames_on_the_wire_are_v2rays() {
    let (mut client, mut server) = raw_client().await;
    // A masked frame of v2ray's dialer, and what its listener echoed.
    let sent = [0x82, 0x8f, 0x5f, 0x0f, 0x14, 0xa0];
    let masked =
        [0x37, 0x6a, 0x78, 0xcc, 0x30, 0x2f, 0x60, 0xd2, 0x3e, 0x61, 0x67, 0xd0, 0x30, 0x7d, 0x60];
    client.write_all(&[&sent[..], &masked[..]].concat()).await.unwrap();
    let mut bytes = [0; 15];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello transport");
    server.write_all(b"hello transport").await.unwrap();
    let mut answer = [0; 17];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"\x82\x0fhello transport");
    // Its Close, and our answer.
    client.write_all(&[0x88, 0x82, 0x30, 0x83, 0x36, 0x1b, 0x33, 0x6b]).await.unwrap();
    assert_eq!(server.read(&mut bytes).await.unwrap(), 0);
    assert!(!server.was_cut_off());
    drop(server);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, [0x88, 0x02, 0x03, 0xe8]);
}

#[tokio::test]
async fn dropping_says_close() {
    let (mut client, server) = raw_client().await;
    drop(server);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, [0x88, 0x02, 0x03, 0xe8]);
}

#[tokio::test]
async fn fragments_text_and_empty_frames_are_one_stream() {
    let (mut client, mut server) = raw_client().await;
    let mut sent = frame(0x02, b"one ");
    sent.extend(frame(0x89, b"ping"));
    sent.extend(frame(0x00, b"two "));
    sent.extend(frame(0x80, b""));
    sent.extend(frame(0x82, b""));
    sent.extend(frame(0x81, b"three"));
    client.write_all(&sent).await.unwrap();
    let mut bytes = [0; 13];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"one two three");
    let mut pong = [0; 6];
    client.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x04ping");
}

#[tokio::test]
async fn frames_that_are_glued_to_the_request_are_not_lost() {
    let (mut client, server) = pair().await;
    let mut sent = REQUEST.as_bytes().to_vec();
    sent.extend(frame(0x82, b"glued"));
    client.write_all(&sent).await.unwrap();
    let mut server = serve(server.into(), &Rules::new(&settings()), 8192, None).await.unwrap();
    let mut bytes = [0; 5];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"glued");
}

#[tokio::test]
async fn frames_against_the_rules_get_the_close_that_says_so() {
    let huge = [&[0x82, 0xff][..], &(1_u64 << 40).to_be_bytes()[..], &[0; 4][..]].concat();
    let mut endless = frame(0x02, &[0; 1 << 19]);
    endless.extend(frame(0x00, &[0; 1 << 19]));
    endless.extend(frame(0x00, b"x"));
    for (name, sent, code) in [
        ("unmasked", b"\x82\x01x".to_vec(), 1002_u16),
        ("reserved bits", frame(0xc2, b"x"), 1002),
        ("reserved opcode", frame(0x83, b"x"), 1002),
        ("long ping", frame(0x89, &[0; 126]), 1002),
        ("continuation of nothing", frame(0x80, b"x"), 1002),
        ("too long", huge, 1009),
        ("too long in fragments", endless, 1009),
    ] {
        let (client, mut server) = raw_client().await;
        let (mut reader, mut writer) = client.into_split();
        let sender = tokio::spawn(async move {
            let _ = writer.write_all(&sent).await;
            writer
        });
        let error = server.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{name}");
        let _writer = sender.await.unwrap();
        let mut close = [0; 4];
        reader.read_exact(&mut close).await.unwrap();
        assert_eq!((close[0], &close[2..]), (0x88, &code.to_be_bytes()[..]), "{name}");
        assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 0, "{name}");
        assert!(server.write(b"x").await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn an_end_without_close_is_an_end() {
    let (mut client, mut server) = raw_client().await;
    client.write_all(&frame(0x82, b"all")).await.unwrap();
    client.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"all");
    assert!(server.was_cut_off(), "and it is known that it came so");
}

#[tokio::test]
async fn a_peer_that_pings_and_never_reads_does_not_fill_memory() {
    let (client, server) = raw_client().await;
    let (_reader, mut writer) = client.into_split();
    let mut reading = server;
    let reader = tokio::spawn(async move { reading.read(&mut [0; 9]).await });
    let pings = frame(0x89, &[b'x'; 125]).repeat(512);
    // It stops taking what nobody reads the answers of, well before this.
    let flood = async {
        for _ in 0..2_000 {
            writer.write_all(&pings).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3), flood).await.is_err());
    reader.abort();
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_pings() {
    let (client, server) = pair().await;
    let ping_interval = Some(Duration::from_secs(20));
    let mut client = client;
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let rules = Rules::new(&settings());
    let mut server = serve(server.into(), &rules, 8192, ping_interval).await.unwrap();
    let reader = tokio::spawn(async move { server.read(&mut [0; 9]).await });
    let mut bytes = vec![0; RESPONSE.len() + 4];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes[RESPONSE.len()..], [0x89, 0, 0x89, 0]);
    reader.abort();
}

#[tokio::test]
async fn early_data_travel_in_the_request() {
    for header in ["", "Sec-WebSocket-Protocol", "X-Early"] {
        let settings = early(3, header);
        let (mut client, mut server) = connect(&settings).await;
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"first", "{header}");
        server.write_all(b"reply").await.unwrap();
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"reply", "{header}");
    }
}

#[tokio::test]
async fn early_data_on_the_wire() {
    for (header, line, extra) in [
        ("", "GET /tunnelZmlyc3Q HTTP/1.1\r\n", ""),
        (
            "Sec-WebSocket-Protocol",
            "GET /tunnel HTTP/1.1\r\n",
            "\r\nSec-WebSocket-Protocol: Zmlyc3Q\r\n",
        ),
    ] {
        let (client, mut server) = pair().await;
        let mut client = Stream::boxed(Delayed::new(client.into(), shake(&early(5, header))));
        let count = client.write(b"first and more").await.unwrap();
        assert_eq!(count, 5);
        let mut head = vec![0; 2048];
        let count = server.read(&mut head).await.unwrap();
        let head = std::str::from_utf8(&head[..count]).unwrap();
        assert!(head.starts_with(line) && head.contains(extra), "{head}");
        let answer = Rules::new(&early(1, header)).answer(head.as_bytes());
        let Answer::Accept { response, early, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(&early[..], b"first");
        assert!(response.contains(extra), "{response}");
    }
    let bad = REQUEST.replacen("/tunnel", "/tunnel*", 1);
    let answer = Rules::new(&early(1, "")).answer(bad.as_bytes());
    assert!(matches!(answer, Answer::Refuse { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard_although_there_might_be_early_data() {
    let settings = early(2048, "");
    let (client, server) = pair().await;
    let mut client = Stream::boxed(Delayed::new(client.into(), shake(&settings)));
    let rules = Rules::new(&settings);
    let server = tokio::spawn(async move {
        let mut server = serve(server.into(), &rules, 8192, None).await.unwrap();
        server.write_all(b"hello").await.unwrap();
        server
    });
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    server.await.unwrap();
}

#[tokio::test]
async fn reader_and_writer_of_a_delayed_handshake_are_both_woken() {
    let settings = early(4, "");
    let (client, server) = pair().await;
    let client = Stream::boxed(Delayed::new(client.into(), shake(&settings)));
    let (mut reader, mut writer) = tokio::io::split(client);
    let read = tokio::spawn(async move {
        let mut bytes = [0; 8];
        reader.read_exact(&mut bytes).await.unwrap();
        bytes
    });
    let write = tokio::spawn(async move { writer.write_all(b"the data").await.map(|()| writer) });
    tokio::task::yield_now().await;
    let mut server = serve(server.into(), &Rules::new(&settings), 8192, None).await.unwrap();
    let mut bytes = [0; 8];
    server.read_exact(&mut bytes).await.unwrap();
    server.write_all(&bytes).await.unwrap();
    assert_eq!(&read.await.unwrap(), b"the data");
    write.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_long_or_torn_or_refused() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000));
    for (sent, status) in [(long.as_str(), "431"), ("GET / HTTP/1.1\r\n\r\n", "404")] {
        let (mut client, server) = pair().await;
        client.write_all(sent.as_bytes()).await.unwrap();
        let rules = Rules::new(&settings());
        let refused = serve(server.into(), &rules, 8192, None).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
        let mut start = [0; 12];
        client.read_exact(&mut start).await.unwrap();
        assert_eq!(&start[9..], status.as_bytes());
    }
    let (mut client, server) = pair().await;
    client.write_all(b"GET / HT").await.unwrap();
    drop(client);
    let torn = serve(server.into(), &Rules::new(&settings()), 8192, None).await.unwrap_err();
    assert_eq!(torn.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up() {
    let (client, _server) = pair().await;
    let error = shake(&settings()).run(client.into(), b"").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
