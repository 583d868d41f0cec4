//! Streams that leave HTTP, and shutdowns.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, Version};
use rosn_http::hijack::{self, HijackError, Hijacked, Hijacker};
use rosn_http::server::{Handler, HijackedConnections, Policy, ServerOptions, handler_fn};
use rosn_http::transport::upgrade;
use rosn_http::{Body, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{body, client, plain, send};
use crate::support::*;

/// H13: a stream cannot be hijacked.
#[tokio::test]
async fn no_hijack() {
    let server = start_with(
        handler_fn(async |request: Request<Body>| {
            let hijacker = request.extensions().get::<Hijacker>().unwrap();
            let error = hijacker.hijack().await.unwrap_err();
            assert!(matches!(error, HijackError::NotSupported(Version::HTTP_2)));
            assert!(!hijacker.is_hijacked());
            text("hello")
        }),
        plain(),
    );
    let transport = client().build().unwrap();
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    drop(transport);
    server.stop().await;
}

/// What a handler did with the tunnel that it asked for.
type Tunnels = mpsc::UnboundedReceiver<Result<Hijacked, HijackError>>;

/// Answers CONNECT by the status that its path names; and 200 to others.
fn tunnels(options: ServerOptions) -> (Running<impl Handler>, Tunnels) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = handler_fn(move |mut request: Request<Body>| {
        let tell = tell.clone();
        async move {
            let path = request.uri().path().trim_start_matches('/');
            let status = path.parse().unwrap_or(StatusCode::OK);
            if request.method() == Method::CONNECT && request.uri().path() != "/alone" {
                let switch = hijack::on_switch(&mut request);
                tokio::spawn(async move { tell.send(switch.await) });
            }
            let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
            let mut response = Response::new(Body::empty());
            let protocol = protocol.unwrap_or("none").parse().unwrap();
            response.headers_mut().insert("protocol", protocol);
            *response.status_mut() = status;
            response
        }
    });
    (start_with(handler, options), told)
}

fn websocket<H: Handler>(server: &Running<H>, path: &str) -> Request<Body> {
    let mut request = server.request(Method::CONNECT, path, Body::empty());
    request.extensions_mut().insert(Protocol::new("websocket"));
    request
}

/// H11 to H13: CONNECT and extended CONNECT give the stream, by any 2xx; a refusal is told at once; what nobody waits for
/// is a mistake.
#[tokio::test]
async fn connect() {
    let (server, mut told) = tunnels(plain());
    let transport = client().build().unwrap();
    let plain = Request::connect(server.addr.to_string()).body(Body::empty()).unwrap();
    for (request, status, protocol) in
        [(plain, 200, "none"), (websocket(&server, "/202"), 202, "websocket")]
    {
        let response = send(&transport, request).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["protocol"], protocol);
        assert!(!response.headers().contains_key("content-length"));
        let mut near = upgrade(response).unwrap();
        let mut far = soon(told.recv()).await.unwrap().unwrap();
        near.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        soon(far.read_exact(&mut read)).await.unwrap();
        assert_eq!(&read, b"hello");
        near.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(far.read_to_end(&mut rest)).await.unwrap();
        far.write_all(b"still here").await.unwrap();
        drop(far);
        soon(near.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"still here");
    }
    let response = send(&transport, websocket(&server, "/403")).await;
    assert_eq!(response.status(), 403);
    let refused = soon(told.recv()).await.unwrap().unwrap_err();
    assert!(matches!(refused, HijackError::Refused(StatusCode::FORBIDDEN)));
    assert_eq!(send(&transport, websocket(&server, "/alone")).await.status(), 500);
    drop(transport);
    server.stop().await;
}

/// A tunnel that is aborted on one side is a reset on the other.
#[tokio::test]
async fn a_tunnel_that_is_reset() {
    let (server, mut told) = tunnels(plain());
    let transport = client().build().unwrap();
    let mut near = upgrade(send(&transport, websocket(&server, "/")).await).unwrap();
    let far = soon(told.recv()).await.unwrap().unwrap();
    far.io.reset();
    let error = soon(near.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    drop((near, transport));
    server.stop().await;
}

/// Row 62 and H9 for HTTP/2: a shutdown lets requests end, and does with tunnels as its policy says.
#[tokio::test]
async fn shutdown() {
    for (hijacked, deadline) in [
        (HijackedConnections::Ignore, None),
        (HijackedConnections::Notify, None),
        (HijackedConnections::Wait, None),
        (HijackedConnections::Wait, Some(Duration::from_millis(20))),
    ] {
        let (server, mut told) = tunnels(plain());
        let transport = client().build().unwrap();
        let mut near = upgrade(send(&transport, websocket(&server, "/")).await).unwrap();
        let mut far = soon(told.recv()).await.unwrap().unwrap();
        let stopping = tokio::spawn({
            let server = server.server.clone();
            async move { server.shutdown(Policy { hijacked, deadline }).await }
        });
        if hijacked != HijackedConnections::Ignore {
            soon(far.shutdown.wait()).await;
        }
        if deadline.is_some() {
            soon(far.shutdown.cut()).await;
            assert_eq!(soon(stopping).await.unwrap().hijacked, 1);
            drop(far);
        } else if hijacked == HijackedConnections::Wait {
            let counts = || server.server.hijacked_connections() == 1;
            until(counts, || "it is not counted".into()).await;
            assert!(!stopping.is_finished());
            far.write_all(b"bye").await.unwrap();
            drop(far);
            let mut rest = Vec::new();
            soon(near.read_to_end(&mut rest)).await.unwrap();
            assert_eq!(rest, b"bye");
            drop(near);
            assert_eq!(soon(stopping).await.unwrap().hijacked, 0);
            continue;
        } else {
            let stopped = soon(stopping).await.unwrap();
            assert_eq!((stopped.cut, stopped.hijacked), (0, 1));
            // It goes on.
            far.write_all(b"bye").await.unwrap();
            let mut read = [0; 3];
            soon(near.read_exact(&mut read)).await.unwrap();
            drop(far);
        }
        drop(near);
        let gone = || server.server.hijacked_connections() == 0;
        until(gone, || "a tunnel is still counted".into()).await;
    }
}

/// Row 62: a request that is being answered is answered; a new one finds the connection closed. At the deadline handlers
/// are dropped.
#[tokio::test]
async fn shutdown_of_requests() {
    for in_time in [true, false] {
        let (go, gate) =
            (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (open, asked) = (Arc::clone(&gate), Arc::clone(&go));
        let handler = handler_fn(move |_| {
            let (open, asked) = (Arc::clone(&open), Arc::clone(&asked));
            async move {
                asked.notify_one();
                open.notified().await;
                text("done")
            }
        });
        let server = start_with(handler, plain());
        let transport = client().build().unwrap();
        let request = server.get("/");
        let asking =
            tokio::spawn(async move { transport.send(request).await?.into_body().bytes(9).await });
        soon(go.notified()).await;
        let stopping = tokio::spawn({
            let server = server.server.clone();
            let deadline = (!in_time).then_some(Duration::from_millis(10));
            async move { server.shutdown(Policy { deadline, ..Policy::default() }).await }
        });
        if in_time {
            let mut closing = TcpStream::connect(server.addr).await;
            while closing.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                closing = TcpStream::connect(server.addr).await;
            }
            gate.notify_one();
            assert_eq!(soon(asking).await.unwrap().unwrap(), "done");
            assert_eq!(soon(stopping).await.unwrap().cut, 0);
        } else {
            assert_eq!(soon(stopping).await.unwrap().cut, 1);
            assert!(soon(asking).await.unwrap().is_err());
        }
        assert_eq!(server.server.connections(), 0);
    }
}
