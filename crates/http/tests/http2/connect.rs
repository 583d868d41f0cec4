//! CONNECT, extended CONNECT, and proxies on the way.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::server::Builder;
use http::{Method, Request};
use rosn_http::connect::Proxies;
use rosn_http::transport::upgrade;
use rosn_http::{Body, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::peer::{Asked, Peer, serve};
use crate::support::*;

/// Gives back what it gets, until its end; refuses the path `/no`.
async fn echo(mut asked: Asked) {
    if asked.request.uri().path() == "/no" {
        let mut out = asked.answer(403, false);
        out.send_data(Bytes::from_static(b"no"), true).unwrap();
        assert_eq!(asked.body().await.0, "");
        return;
    }
    let mut out = asked.answer(201, false);
    let body = asked.request.body_mut();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        out.send_data(data, false).unwrap();
    }
    out.send_data(Bytes::from_static(b"!"), true).unwrap();
}

async fn peer() -> Peer {
    let mut builder = Builder::new();
    builder.enable_connect_protocol();
    Peer::with(builder, false, |_, conn| serve(conn, echo)).await
}

fn websocket(peer: &Peer, path: &str) -> Request<Body> {
    let mut request = peer.request(Method::CONNECT, Body::empty());
    *request.uri_mut() = peer.url(path).parse().unwrap();
    request.extensions_mut().insert(Protocol::new("websocket"));
    request
}

/// H13, row 71: the stream after any 2xx to CONNECT and to extended CONNECT, both ways, each with its own end; beside
/// other streams of the connection.
#[tokio::test]
async fn tunnels() {
    let peer = peer().await;
    let transport = peer.transport();
    let plain = Request::connect(peer.addr.to_string())
        .header("host", "example.com:443")
        .body(Body::empty())
        .unwrap();
    for request in [plain, websocket(&peer, "/chat")] {
        let trace = Recorder::default();
        let response = send(&transport, request, &trace).await.unwrap();
        assert_eq!(response.status(), 201);
        let mut tunnel = upgrade(response).unwrap();
        tunnel.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        soon(tunnel.read_exact(&mut back)).await.unwrap();
        assert_eq!(&back, b"hello");
        assert_eq!(tunnel.io.peer_addr().unwrap().as_ip(), Some(peer.addr));
        tunnel.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(tunnel.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"!");
        assert_eq!(trace.only(&["Upgraded", "PutIdle"]), ["Upgraded"]);
        drop(tunnel);
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle ok"]);
    }
    assert_eq!((peer.accepted(), transport.idle()), (1, 1));
}

/// A refusal is an ordinary response.
#[tokio::test]
async fn a_refusal() {
    let peer = peer().await;
    let transport = peer.transport();
    let response = soon(transport.send(websocket(&peer, "/no"))).await.unwrap();
    assert_eq!(read(response).await, (403, "no".into()));
    assert_eq!(transport.idle(), 1);
}

/// Where extended CONNECT is not offered, or HTTP/2 not spoken, it is not tried.
#[tokio::test]
async fn without_extended_connect() {
    let peer = Peer::answering(echo).await;
    let error = soon(peer.transport().send(websocket(&peer, "/"))).await.unwrap_err();
    assert!(error.to_string().contains("does not offer extended CONNECT"), "{error}");
    let server = Server::always(OK).await;
    let mut request = server.get();
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::new("websocket"));
    let error = soon(transport().send(request)).await.unwrap_err();
    assert!(error.to_string().contains("needs HTTP/2"), "{error}");
}

/// A proxy that connects to whatever it is asked for.
async fn proxy(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                assert!(head.starts_with(b"CONNECT "));
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    addr
}

/// Row 22 and more: HTTP/2 through a tunnel of an HTTP proxy, with TLS and, as it is known before, without.
#[tokio::test]
async fn through_a_proxy() {
    for tls in [true, false] {
        let answer = |mut asked: Asked| async move { asked.text("ok") };
        let peer = Peer::with(Builder::new(), tls, move |_, conn| serve(conn, answer)).await;
        let mut options = peer.options();
        let url = format!("http://{}", proxy(peer.addr).await);
        options.proxies = Proxies::all(&url).unwrap();
        let transport = peer.builder().connect(options).build().unwrap();
        for reused in [false, true] {
            let trace = Recorder::default();
            let response = send(&transport, peer.get(), &trace).await.unwrap();
            assert_eq!(response.version(), http::Version::HTTP_2);
            assert_eq!(read(response).await.1, "ok");
            assert_eq!(trace.count("ProxyHandshakeDone"), usize::from(!reused));
        }
        assert_eq!(peer.accepted(), 1);
    }
}
