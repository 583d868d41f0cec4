//! How connections begin and what state they are in.

use http::{HeaderValue, Request};
use rosn_http::Body;
use rosn_http::Transport;
use rosn_http::connect::{ConnectOptions, Proxies, Versions};
use rosn_http::hijack::Hijacked;
use rosn_http::server::{ConnState, NextProtocols, ServerOptions, handler_fn};
use rosn_tls::{ClientOptions, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{body, client, echo, plain, secure, send};
use crate::support::*;

/// By TLS and ALPN, HTTP/2 and HTTP/1.1 on one port; what was agreed on is in the request.
#[tokio::test]
async fn tls() {
    let (options, tls) = secure(&["h2", "http/1.1"]);
    let server = start_with(
        handler_fn(async |request: Request<Body>| {
            let session = request.extensions().get::<Session>().unwrap();
            assert_eq!(session.server_name(), Some("localhost"));
            let alpn = String::from_utf8(session.alpn().unwrap().to_vec()).unwrap();
            text(format!("{alpn} {:?} {}", request.version(), request.uri()))
        }),
        options,
    );
    let port = server.addr.port();
    let connect = ConnectOptions { proxies: Proxies::none(), tls, ..ConnectOptions::default() };
    for (versions, wanted) in [
        (Versions::Negotiated, format!("h2 HTTP/2.0 https://localhost:{port}/a?b")),
        (Versions::Http1, "http/1.1 HTTP/1.1 /a?b".to_owned()),
    ] {
        let builder = Transport::builder().connect(connect.clone());
        let transport = builder.versions(versions).build().unwrap();
        let uri = format!("https://localhost:{port}/a?b");
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = send(&transport, request).await;
        assert!(response.headers().contains_key("date"));
        assert_eq!(response.headers()["content-length"], wanted.len().to_string());
        assert_eq!(body(response).await, wanted);
    }
    // What is no TLS is no harm.
    let mut client = server.send(GET).await;
    client.rest_or_reset().await;
    assert_eq!(server.stop().await.cut, 0);
}

/// Plain HTTP/2 is spoken where that is wanted, beside HTTP/1.1; row 64: else its preface is refused.
#[tokio::test]
async fn prior_knowledge() {
    let server = start_with(handler_fn(async |_| text("hello")), plain());
    let transport = client().build().unwrap();
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    // In pieces, and what only looks like it.
    let mut client_of_1 = server.send("P").await;
    client_of_1.send("RI / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(client_of_1.response().await.0.starts_with("HTTP/1.1 200"));
    client_of_1.send(GET).await;
    assert_eq!(client_of_1.response().await.1, "hello");
    drop((transport, client_of_1));
    server.stop().await;

    let server = start(async |_| text("hello"));
    let transport = client().build().unwrap();
    assert!(soon(transport.send(server.get("/"))).await.is_err());
    server.stop().await;
}

/// Row 61 for HTTP/2, as in Go: the preface is something, and no request.
#[tokio::test]
async fn states() {
    use ConnState::{Active, Closed, Idle, New};
    let server = start_with(handler_fn(echo), plain());
    let transport = client().build().unwrap();
    body(send(&transport, server.get("/")).await).await;
    server.states.are(1, &[New, Active, Idle, Active, Idle]).await;
    drop(transport);
    server.states.are(1, &[New, Active, Idle, Active, Idle, Closed]).await;
    server.stop().await;
}

/// Row 24 for HTTP/2: without keep-alive, or if the handler says so, the next request has a connection of its own.
#[tokio::test]
async fn without_keep_alive() {
    for keep_alive in [false, true] {
        let handler = handler_fn(async |_| {
            let mut response = text("hello");
            response.headers_mut().insert("connection", HeaderValue::from_static("close"));
            response
        });
        let server = start_with(handler, ServerOptions { keep_alive, ..plain() });
        let transport = client().build().unwrap();
        for number in 1..=3 {
            let response = send(&transport, server.get("/")).await;
            assert!(!response.headers().contains_key("connection"));
            assert_eq!(body(response).await, "hello");
            // The client has heard of it when the connection is closed.
            let closed = || server.states.of(number).last() == Some(&ConnState::Closed);
            until(closed, || "it is open".into()).await;
        }
        server.stop().await;
    }
}

/// Row 67: connections of another protocol are handed over, or closed where nobody speaks it.
#[tokio::test]
async fn another_protocol() {
    use ConnState::{Active, Closed, Hijacked as Taken, HijackedClosed, New};
    let (mut options, tls) = secure(&["tls-0.9", "unknown"]);
    options.next_protocols =
        NextProtocols::default().with("tls-0.9", |mut connection: Hijacked| {
            tokio::spawn(async move {
                connection.write_all(b"hello").await.unwrap();
                connection.shutdown().await.unwrap();
                let _ = connection.read(&mut [0; 1]).await;
            });
        });
    let server = start_with(handler_fn(echo), options);
    for (protocol, wanted) in [("tls-0.9", "hello"), ("unknown", "")] {
        let options = ClientOptions { alpn: vec![protocol.to_owned()], ..tls.clone() };
        let connector = rosn_tls::Connector::new(&options).unwrap();
        let stream = TcpStream::connect(server.addr).await.unwrap();
        let mut stream = soon(connector.connect("localhost", stream)).await.unwrap();
        let mut read = String::new();
        let _ = soon(stream.read_to_string(&mut read)).await;
        assert_eq!(read, wanted);
    }
    server.states.are(1, &[New, Active, Taken, HijackedClosed]).await;
    server.states.are(2, &[New, Closed]).await;
    server.stop().await;
}
