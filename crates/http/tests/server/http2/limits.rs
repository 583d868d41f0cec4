//! What clients may cost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderValue, Method, Request};
use rosn_http::Body;
use rosn_http::server::{ServerOptions, handler_fn};
use rosn_trace::RequestTraceExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::{body, client, echo, plain, send};
use crate::support::*;

/// Streams that are reset as soon as they are begun: a burst is borne, a flood is not, and others are served.
#[tokio::test]
async fn rapid_resets() {
    let server = start_with(
        handler_fn(async |request: Request<Body>| {
            if request.uri().path() == "/slow" {
                request.context().cancelled().await;
            }
            text("hello")
        }),
        plain(),
    );
    let (mut flood, connection) = server.h2().await;
    let asking = async {
        loop {
            let request = Request::get("http://x/slow").body(()).unwrap();
            let Ok((response, _)) = flood.send_request(request, true) else { return };
            drop(response);
            tokio::task::yield_now().await;
            if std::future::poll_fn(|cx| flood.poll_ready(cx)).await.is_err() {
                return;
            }
        }
    };
    soon(asking).await;
    let end = soon(connection).await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{end}");
    let transport = client().build().unwrap();
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    drop(transport);
    server.stop().await;
}

/// RFC 9113 section 5.4.1: a close with unread bytes would be a reset, which takes the reason away from who is still
/// sending.
#[tokio::test]
async fn what_follows_a_mistake_is_no_reason_for_a_reset() {
    let server = start_with(handler_fn(echo), plain());
    let mut client = server.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    // A PING on a stream.
    client.send([0, 0, 8, 6, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    let mut last = [0; 9];
    let mut payload = Vec::new();
    while last[3] != 7 {
        soon(client.0.read_exact(&mut last)).await.unwrap();
        payload = vec![0; usize::from(u16::from_be_bytes([last[1], last[2]]))];
        soon(client.0.read_exact(&mut payload)).await.unwrap();
    }
    assert_eq!(payload[4..8], 1_u32.to_be_bytes(), "it is not PROTOCOL_ERROR");
    for _ in 0..64 {
        client.send([0; 16 << 10]).await;
    }
    assert_eq!(client.rest().await, "");
    drop(client);
    server.stop().await;
}

/// More fields, and larger ones, than allowed: 431, and the connection goes on.
#[tokio::test]
async fn large_heads() {
    let mut options = plain();
    options.limits.fields = 10;
    options.limits.head_bytes = 4096;
    let server = start_with(handler_fn(echo), options);
    let transport = client().build().unwrap();
    let mut many = server.get("/");
    for number in 0..11 {
        many.headers_mut().append("a", HeaderValue::from(number));
    }
    let mut large = server.get("/");
    large.headers_mut().append("a", HeaderValue::try_from("b".repeat(5000)).unwrap());
    for request in [many, large] {
        assert_eq!(send(&transport, request).await.status(), 431);
    }
    assert_eq!(send(&transport, server.get("/")).await.status(), 200);
    assert_eq!(server.states.of(2), []);
    drop(transport);
    server.stop().await;
}

/// Silence: before the preface, between requests, within a body, and before a response that is not read.
#[tokio::test]
async fn silence() {
    let brief = Duration::from_millis(50);
    let options = ServerOptions {
        header_timeout: brief,
        idle_timeout: brief,
        stall_timeout: brief,
        ..plain()
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = start_with(
        handler_fn(move |mut request: Request<Body>| {
            let tell = tell.clone();
            async move {
                if request.uri().path() == "/large" {
                    return text("x".repeat(1 << 20));
                }
                let error = request.body_mut().next().await.unwrap().unwrap_err();
                tell.send(error.is_timeout()).unwrap();
                text("hello")
            }
        }),
        options,
    );
    let mut client_of_no_preface = server.send("PRI * HTTP/2.0\r\n").await;
    client_of_no_preface.rest_or_reset().await;

    let transport = client().build().unwrap();
    let endless = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
    let request = server.request(Method::POST, "/", endless);
    assert_eq!(body(send(&transport, request).await).await, "hello");
    assert_eq!(told.recv().await, Some(true));

    let (mut raw, connection) = server.h2().await;
    let request = Request::get("http://x/large").body(()).unwrap();
    let (response, _) = raw.send_request(request, true).unwrap();
    let mut unread = soon(response).await.unwrap().into_body();
    let error = loop {
        // Nothing is released, so the window stays shut.
        if let Err(error) = soon(unread.data()).await.unwrap() {
            break error;
        }
    };
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    // Then it is idle, and told to go.
    soon(connection).await.unwrap().unwrap();
    until(|| server.server.connections() == 0, || "one is open".into()).await;
    server.stop().await;
}

/// Streams beyond the limit are refused, which a decent client never sees.
#[tokio::test]
async fn streams_at_a_time() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let open = Arc::clone(&gate);
    let handler = handler_fn(move |_| {
        let (open, tell) = (Arc::clone(&open), tell.clone());
        async move {
            tell.send(()).unwrap();
            let _ = open.acquire().await;
            text("hello")
        }
    });
    let server = start_with(handler, ServerOptions { max_streams: 2, ..plain() });
    let transport = client().max_conns_per_host(Some(1)).build().unwrap();
    let asking: Vec<_> = (0..5)
        .map(|_| {
            let (transport, request) = (transport.clone(), server.get("/"));
            tokio::spawn(async move { body(transport.send(request).await.unwrap()).await })
        })
        .collect();
    for _ in 0..2 {
        soon(told.recv()).await.unwrap();
    }
    gate.add_permits(5);
    for asking in asking {
        assert_eq!(soon(asking).await.unwrap(), "hello");
    }
    drop(transport);
    server.stop().await;
}
