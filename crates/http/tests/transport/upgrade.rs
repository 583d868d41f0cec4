//! Connections that leave HTTP.

use http::{Method, Request, StatusCode};
use rosn_http::transport::{take_over, upgrade};
use rosn_http::{Body, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

fn upgrading(server: &Server, protocol: &str) -> Request<Body> {
    Request::get(server.url("/"))
        .header("connection", "Upgrade")
        .header("upgrade", protocol)
        .body(Body::empty())
        .unwrap()
}

/// A server that answers with `head`, then takes "Client line" for "Server line".
async fn lines(head: &'static str) -> Server {
    Server::start(move |_, mut conn| async move {
        conn.head().await;
        conn.send(head).await;
        assert_eq!(conn.body(12).await.unwrap(), "Client line\n");
        conn.send("Server line\n").await;
        conn.closed().await;
    })
    .await
}

/// Row 70; 1A.2, order 21: both ways after a 101, what came with its head first, and names in any case.
#[tokio::test]
async fn after_a_101() {
    let server = lines(
        "HTTP/1.1 101 Switching Protocols\r\ncOnNeCtIoN: upgrade\r\nUPGRADE: Foo\r\n\r\nEarly\n",
    )
    .await;
    let transport = transport();
    let trace = Recorder::default();
    let response = send(&transport, upgrading(&server, "foo, bar"), &trace).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut hijacked = upgrade(response).unwrap();
    assert_eq!(hijacked.read_buf, "Early\n");
    hijacked.write_all(b"Client line\n").await.unwrap();
    let mut read = [0; 18];
    soon(hijacked.read_exact(&mut read)).await.unwrap();
    assert_eq!(&read, b"Early\nServer line\n");
    assert_eq!(trace.only(&["Upgraded", "PutIdle"]), ["Upgraded", "PutIdle Upgraded"]);
    assert_eq!(transport.idle(), 0);
    drop(hijacked);
    server.no_leak().await;
}

/// Rows 63 and H10: without keep-alive, too, and `Connection: close` is not added.
#[tokio::test]
async fn without_keep_alive() {
    let server = lines(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, close\r\nUpgrade: foo\r\n\r\n",
    )
    .await;
    let transport = Transport::builder().keep_alives(false).build().unwrap();
    let trace = Recorder::with_fields();
    let response = send(&transport, upgrading(&server, "foo"), &trace).await.unwrap();
    let mut hijacked = upgrade(response).unwrap();
    assert_eq!(trace.only(&["Field connection"]), ["Field connection: Upgrade"]);
    hijacked.write_all(b"Client line\n").await.unwrap();
    let mut read = [0; 12];
    soon(hijacked.read_exact(&mut read)).await.unwrap();
    assert_eq!(&read, b"Server line\n");
    drop(hijacked);
    server.no_leak().await;
}

/// Rows 71 and H11: CONNECT, both ways, to a proxy that is named by the URI; the target is in Host.
#[tokio::test]
async fn connect() {
    for status in ["200 OK", "299 Sure\r\nContent-Length: 7\r\nTransfer-Encoding: chunked"] {
        let head: &'static str = format!("HTTP/1.1 {status}\r\n\r\n").leak();
        let server = Server::start(move |_, mut conn| async move {
            let request = conn.head().await.unwrap();
            assert_eq!(request, "CONNECT target:443 HTTP/1.1\r\nhost: target:443\r\n\r\n");
            conn.send(head).await;
            while let Some(line) = conn.body(5).await {
                conn.send(&line).await;
            }
        })
        .await;
        let request = Request::connect(server.url("/"))
            .header("host", "target:443")
            .body(Body::empty())
            .unwrap();
        let response = send(&transport(), request, &Recorder::default()).await.unwrap();
        let mut hijacked = upgrade(response).unwrap();
        for _ in 0..3 {
            hijacked.write_all(b"line\n").await.unwrap();
            let mut read = [0; 5];
            soon(hijacked.read_exact(&mut read)).await.unwrap();
            assert_eq!(&read, b"line\n");
        }
        // The half that was closed leaves the other open.
        hijacked.shutdown().await.unwrap();
        assert_eq!(soon(hijacked.read(&mut [0])).await.unwrap(), 0);
        drop(hijacked);
        server.no_leak().await;
    }
}

/// CONNECT to the server of an authority alone; refused, it is an ordinary response.
#[tokio::test]
async fn connect_refused() {
    let server = Server::always("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
    let transport = transport();
    for _ in 0..2 {
        let request = Request::connect(server.addr.to_string()).body(Body::empty()).unwrap();
        let response = send(&transport, request, &Recorder::default()).await.unwrap();
        assert_eq!(read(response).await, (403, "no".to_owned()));
    }
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}

/// H12, H15: a refused upgrade is an ordinary response; `upgrade` says that it is none.
#[tokio::test]
async fn a_refused_upgrade() {
    let server = Server::always(OK).await;
    let transport = transport();
    for _ in 0..2 {
        let response =
            send(&transport, upgrading(&server, "foo"), &Recorder::default()).await.unwrap();
        assert_eq!(read(response).await, (200, "ok".to_owned()));
    }
    let response = send(&transport, upgrading(&server, "foo"), &Recorder::default()).await.unwrap();
    let error = upgrade(response).unwrap_err();
    assert!(error.to_string().contains("200 OK is no switch"), "{error}");
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}

/// A 101 for what was not asked for: typed errors, and the connection is closed.
#[tokio::test]
async fn a_101_that_was_not_asked_for() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: bar\r\n\r\nx",
        )
        .await;
        conn.closed().await;
    })
    .await;
    let trace = Recorder::default();
    let response = send(&transport(), server.get(), &trace).await.unwrap();
    assert!(upgrade(response).is_err());
    let error = send(&transport(), upgrading(&server, "foo"), &trace).await.unwrap_err();
    assert!(error.is_parse() && error.to_string().contains("not offered"), "{error}");
    let (_pieces, body) = tokio::io::duplex(10);
    let mut request = server.request(Method::POST, Body::from_reader(body));
    *request.headers_mut() = upgrading(&server, "bar").headers().clone();
    let error = send(&transport(), request, &trace).await.unwrap_err();
    assert!(error.is_parse() && error.to_string().contains("before the request"), "{error}");
    assert_eq!(trace.count("PutIdle"), 3);
    server.no_leak().await;
}

/// H17: Docker's raw stream: 200, no framing, and the connection is both ways from then on.
#[tokio::test]
async fn docker_raw_stream() {
    let server =
        lines("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nEarly\n")
            .await;
    for wait in [false, true] {
        let request = server.request(Method::POST, Body::empty());
        let trace = Recorder::default();
        let response = send(&transport(), request, &trace).await.unwrap();
        if wait {
            until(|| trace.count("ResponseHead") == 1).await;
        }
        let mut hijacked = take_over(response).unwrap();
        hijacked.write_all(b"Client line\n").await.unwrap();
        let mut read = [0; 18];
        soon(hijacked.read_exact(&mut read)).await.unwrap();
        assert_eq!(&read, b"Early\nServer line\n");
        assert_eq!(trace.only(&["Upgraded", "PutIdle"]), ["Upgraded", "PutIdle Upgraded"]);
    }
    server.no_leak().await;
    // A response with an end of its own is none.
    let server = Server::always(OK).await;
    let response = send(&transport(), server.get(), &Recorder::default()).await.unwrap();
    assert!(take_over(response).is_err());
    server.no_leak().await;
}

/// An upgraded connection does not count as one of its host's any more.
#[tokio::test]
async fn an_upgraded_connection_makes_room() {
    let server = lines("HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\n\r\n").await;
    let transport = Transport::builder().max_conns_per_host(Some(1)).build().unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        let response =
            send(&transport, upgrading(&server, "foo"), &Recorder::default()).await.unwrap();
        held.push(upgrade(response).unwrap());
    }
    assert_eq!(server.open(), 3);
    drop(held);
    server.no_leak().await;
}
