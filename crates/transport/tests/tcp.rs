//! `tcp`, with and without a header.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod tcp_support;

use rosn_base::Addr;
use rosn_config::checked::{
    HttpHeader, HttpHeaderRequest, HttpHeaderResponse, StreamSettings, TcpSettings,
    TransportSettings,
};
use rosn_net::Stream;
use tcp_support::{accept, certificate, exchange, listen, pair, tls_pair, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn one(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

/// The settings of the golden captures.
fn header(path: &str) -> StreamSettings {
    let header = |name: &str, value: &str| (name.to_owned(), one(value));
    let request = HttpHeaderRequest {
        version: "1.1".into(),
        method: "GET".into(),
        paths: one(path),
        headers: vec![
            header("Host", "interop.test"),
            header("User-Agent", "probe/1"),
            header("X-Multi", "one"),
        ],
    };
    let response = HttpHeaderResponse {
        version: "1.1".into(),
        status: "200".into(),
        reason: "OK".into(),
        headers: vec![
            header("Connection", "keep-alive"),
            header("Content-Type", "application/octet-stream"),
        ],
    };
    let header = Some(HttpHeader { request, response });
    let transport = TransportSettings::Tcp(TcpSettings { header });
    StreamSettings { transport, ..StreamSettings::default() }
}

async fn connect(addr: &Addr) -> TcpStream {
    TcpStream::connect(addr.as_ip().unwrap()).await.unwrap()
}

#[tokio::test]
async fn raw_bytes_pass_as_they_are() {
    let settings = StreamSettings::default();
    let (client, server) = pair(&settings, &settings).await;
    assert_eq!(server.peer, client.local_addr().unwrap());
    assert_eq!(server.local, client.peer_addr().unwrap());
    assert!(server.stream.is_tcp());
    exchange(client, server.stream, 8 << 20).await;
}

#[tokio::test]
async fn bytes_pass_behind_a_header_and_behind_tls() {
    let (listener, dialer) = tls_pair(&certificate(&["a.test"]), "a.test");
    for tls in [None, Some((listener, dialer))] {
        let mut settings = (header("/alpha"), header("/alpha"));
        if let Some((listener, dialer)) = tls {
            (settings.0.tls, settings.1.tls) = (Some(listener), Some(dialer));
        }
        let (client, server) = pair(&settings.0, &settings.1).await;
        exchange(client, server.stream, 4 << 20).await;
    }
}

#[tokio::test]
async fn a_listener_answers_v2rays_bytes_with_v2rays_bytes() {
    let mut listener = listen(&header("/alpha"));
    let mut client = connect(&listener.local_addr()).await;
    let request =
        "GET /alpha HTTP/1.1\r\nHost: interop.test\r\nUser-Agent: probe/1\r\nX-Multi: one\r\n\r\n";
    client.write_all(format!("{request}hello transport").as_bytes()).await.unwrap();

    let mut server = accept(&mut listener).await.stream;
    let mut bytes = [0; 15];
    within(server.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"hello transport");
    server.write_all(&bytes).await.unwrap();
    drop(server);

    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    let start = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: application/octet-stream\r\nDate: ";
    let date = answer.strip_prefix(start).expect(&answer);
    assert!(date.ends_with(" GMT\r\n\r\nhello transport"), "{answer}");
}

#[tokio::test]
async fn a_dialer_sends_header_and_payload_in_one_segment() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
    let mut client = tcp_support::dial(&header("/alpha"), &to).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_all(b"hello transport").await.unwrap();
    let mut bytes = vec![0; 1024];
    let count = within(server.read(&mut bytes)).await.unwrap();
    let request = "GET /alpha HTTP/1.1\r\nHost: interop.test\r\nUser-Agent: probe/1\r\nX-Multi: one\r\n\r\nhello transport";
    assert_eq!(String::from_utf8_lossy(&bytes[..count]), request);

    // The answer's head may come in pieces, and whatever the status is that this side would use.
    for piece in ["HTTP/1.1 200 O", "K\r\nX: y\r", "\n\r", "\nbody"] {
        server.write_all(piece.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut body = [0; 4];
    within(client.read_exact(&mut body)).await.unwrap();
    assert_eq!(&body, b"body");
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_read() {
    let mut listener = listen(&header("/alpha"));
    let mut client = connect(&listener.local_addr()).await;
    let mut server = accept(&mut listener).await.stream;
    let reading = tokio::spawn(async move {
        let mut text = String::new();
        server.read_to_string(&mut text).await.map(|_| text)
    });
    for byte in b"GET /alpha?x HTTP/1.0\r\n\r\nbody" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    client.shutdown().await.unwrap();
    assert_eq!(within(reading).await.unwrap().unwrap(), "body");
}

#[tokio::test]
async fn a_server_may_speak_first() {
    let (mut client, server) = pair(&header("/"), &header("/")).await;
    let mut server = server.stream;
    server.write_all(b"220 hello").await.unwrap();
    let mut bytes = [0; 9];
    within(client.read_exact(&mut bytes)).await.unwrap();
    client.write_all(b"EHLO").await.unwrap();
    within(server.read_exact(&mut bytes[..4])).await.unwrap();
    assert_eq!(&bytes, b"EHLOhello");
}

#[tokio::test]
async fn a_side_that_says_nothing_still_ends_well() {
    let (mut client, server) = pair(&header("/"), &header("/")).await;
    let mut server = server.stream;
    client.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    assert_eq!(within(server.read_to_end(&mut bytes)).await.unwrap(), 0);
    server.shutdown().await.unwrap();
    assert_eq!(within(client.read_to_end(&mut bytes)).await.unwrap(), 0);
}

/// What a client reads that sends these bytes to a listener, and the listener's error.
async fn answer(bytes: &[u8]) -> (String, std::io::Error) {
    let mut listener = listen(&header("/alpha"));
    let mut client = connect(&listener.local_addr()).await;
    client.write_all(bytes).await.unwrap();
    let mut server: Stream = accept(&mut listener).await.stream;
    let error = within(server.read(&mut [0; 64])).await.unwrap_err();
    // As a tunnel does that gives up.
    server.reset();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    (answer, error)
}

fn refusal(status: &str, answer: &str) {
    let start = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nCache-Control: private\r\nContent-Length: 0\r\nDate: "
    );
    assert!(answer.starts_with(&start) && answer.ends_with(" GMT\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn another_path_is_not_found() {
    let (text, error) = answer(b"GET /gamma HTTP/1.1\r\nHost: a\r\n\r\nsecret").await;
    refusal("404 Not Found", &text);
    assert!(error.to_string().contains("path"), "{error}");
}

#[tokio::test]
async fn what_is_no_request_is_a_bad_request() {
    let long = [b"GET /alpha HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 9000]].concat();
    for bytes in [b"\x16\x03\x01\x02\x00\x01".as_slice(), b"hello\r\n\r\n", &long] {
        let (text, _) = answer(bytes).await;
        refusal("400 Bad Request", &text);
    }
}

#[tokio::test]
async fn a_port_scan_is_answered_like_a_web_server() {
    let mut listener = listen(&header("/alpha"));
    let mut client = connect(&listener.local_addr()).await;
    client.shutdown().await.unwrap();
    let mut server = accept(&mut listener).await.stream;
    assert_eq!(within(server.read(&mut [0; 64])).await.unwrap(), 0);
    drop(server);
    let mut text = String::new();
    within(client.read_to_string(&mut text)).await.unwrap();
    refusal("400 Bad Request", &text);
}

#[tokio::test]
async fn a_dialer_says_that_it_was_refused() {
    let (mut client, server) = pair(&header("/alpha"), &header("/beta")).await;
    let mut server = server.stream;
    client.write_all(b"hello").await.unwrap();
    within(server.read(&mut [0; 64])).await.unwrap_err();
    drop(server);
    let error = within(client.read(&mut [0; 64])).await.unwrap_err().to_string();
    assert!(error.contains("404 Not Found") && error.contains("path"), "{error}");
}
