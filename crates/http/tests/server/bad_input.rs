//! Clients and handlers that do what they should not. Each gets an answer or a typed error, nothing panics, and no
//! connection is left behind.

use std::time::Duration;

use http::{Request, Response};
use rosn_http::Body;
use rosn_http::hijack::{self, Hijacker};
use rosn_http::server::{ServeError, ServerOptions, handler_fn, serve};
use rosn_net::Stream;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::support::{GET, soon, start, start_with, text};

/// What two parsers could read differently is refused, and the connection closed, whatever else was sent.
#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let running = start(async |_| text("served"));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: x\n\n", 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", 400),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03", 400),
    ] {
        let mut client = running.send(format!("{request}{GET}")).await;
        let rest = client.rest_or_reset().await;
        assert!(rest.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {rest}");
        assert!(rest.contains("Connection: close\r\n"), "{rest}");
        assert!(!rest.contains("served"), "{request:?}: {rest}");
    }
    running.stop().await;
}

/// Row 64: HTTP/2 without having been asked for is closed.
#[tokio::test]
async fn a_preface_of_http_2_is_refused() {
    let running = start(async |_| text("served"));
    let mut client = running.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let rest = client.rest_or_reset().await;
    assert!(rest.starts_with("HTTP/1.1 505 "), "{rest}");
    running.stop().await;
}

#[tokio::test]
async fn heads_have_bounds() {
    let running = start(async |_| text("served"));
    for (head, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(70_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(101)), 431),
    ] {
        let mut client = running.send(head).await;
        let rest = client.rest_or_reset().await;
        assert!(rest.starts_with(&format!("HTTP/1.1 {status} ")), "{rest}");
    }
    // A head of just under 64 KiB, which does not fit into the first buffers, is served.
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(64_000));
    let mut client = running.send(head).await;
    assert_eq!(client.response().await.1, "served");
    running.stop().await;
}

#[tokio::test]
async fn heads_have_to_come_in_time() {
    let options = ServerOptions {
        header_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(100),
        ..ServerOptions::default()
    };
    let running = start_with(handler_fn(async |_| text("served")), options);
    let mut slow = running.send("GET / HT").await;
    assert!(slow.rest().await.starts_with("HTTP/1.1 408 "));
    let mut silent = running.connect().await;
    assert_eq!(silent.rest().await, "");
    let mut idle = running.send(GET).await;
    assert!(idle.rest().await.ends_with("served"), "and then it is closed");
    running.stop().await;
}

/// A client that reads nothing does not hold the response for ever.
#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let stall_timeout = Duration::from_millis(100);
    let options = ServerOptions { stall_timeout, ..ServerOptions::default() };
    let large = bytes::Bytes::from(vec![b'x'; 64 << 20]);
    let handler = handler_fn(move |_| std::future::ready(Response::new(Body::from(large.clone()))));
    let running = start_with(handler, options);
    let client = running.send(GET).await;
    let closed = rosn_http::server::ConnState::Closed;
    let what = || "it is still open".to_owned();
    crate::support::until(|| running.states.of(1).last() == Some(&closed), what).await;
    drop(client);
    running.stop().await;
}

/// What became of a connection that sent this and then ended, or was reset.
async fn outcome(bytes: &[u8], handler: impl rosn_http::server::Handler) -> Result<(), ServeError> {
    let (mut client, server) = UnixStream::pair().unwrap();
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    soon(serve(Stream::from(server), handler, ServerOptions::default())).await.map(|_| ())
}

#[tokio::test]
async fn each_end_has_its_error() {
    let answers = || handler_fn(async |_: Request<Body>| text(""));
    let reads = || {
        handler_fn(async |request: Request<Body>| {
            let _ = request.into_body().bytes(100).await;
            text("")
        })
    };
    let panics = handler_fn(async |_: Request<Body>| panic!("of a test"));
    assert!(outcome(b"", answers()).await.is_ok());
    assert!(outcome(GET.as_bytes(), answers()).await.is_ok());
    let error = outcome(b"GET / HTTP/1.1\r\nHost", answers()).await;
    assert!(matches!(error, Err(ServeError::TruncatedHead)), "{error:?}");
    let error = outcome(b"nonsense\r\n\r\n", answers()).await;
    assert!(matches!(error, Err(ServeError::Request(_))), "{error:?}");
    let truncated = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab";
    let error = outcome(truncated, reads()).await;
    assert!(matches!(error, Err(ServeError::RequestBody(_))), "{error:?}");
    let error = outcome(GET.as_bytes(), panics).await;
    assert!(matches!(error, Err(ServeError::Handler("panicked"))), "{error:?}");
}

/// A panic is a 500, and after the response has begun the end of the connection; the server goes on.
#[tokio::test]
async fn a_handler_that_panics() {
    let running = start(async |request: Request<Body>| match request.uri().path() {
        "/early" => panic!("of a test"),
        "/late" => Response::new(Body::from_stream(futures_util::stream::poll_fn(
            |_| -> std::task::Poll<Option<std::io::Result<bytes::Bytes>>> { panic!("of a test") },
        ))),
        _ => text("served"),
    });
    let mut client = running.send("GET /early HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let rest = client.rest().await;
    assert!(rest.starts_with("HTTP/1.1 500 ") && rest.contains("Connection: close"), "{rest}");
    let mut client = running.send("GET /late HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!client.rest_or_reset().await.contains("\r\n0\r\n"));
    let mut client = running.send(GET).await;
    assert_eq!(client.response().await.1, "served");
    running.stop().await;
}

/// A client that resets in the middle of anything leaves nothing behind.
#[tokio::test]
async fn a_client_that_resets() {
    let running = start(async |mut request: Request<Body>| {
        match request.uri().path() {
            "/hijack" => {
                let hijacker = request.extensions().get::<Hijacker>().unwrap().clone();
                let mut hijacked = hijacker.hijack().await.unwrap();
                let _ = tokio::io::copy(&mut hijacked, &mut tokio::io::sink()).await;
            }
            "/switch" => {
                let switch = hijack::on_switch(&mut request);
                tokio::spawn(async move {
                    if let Ok(mut hijacked) = switch.await {
                        let _ = tokio::io::copy(&mut hijacked, &mut tokio::io::sink()).await;
                    }
                });
                let response = Response::builder().status(101).header("upgrade", "echo");
                return response.body(Body::empty()).unwrap();
            }
            _ => {
                let _ = request.into_body().bytes(1000).await;
            }
        }
        text("x".repeat(100_000))
    });
    let upgrade = "Connection: upgrade\r\nUpgrade: echo\r\n";
    for request in [
        "GET / HT".to_owned(),
        GET.to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".to_owned(),
        "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\nab".to_owned(),
        format!("GET /switch HTTP/1.1\r\nHost: x\r\n{upgrade}\r\nab"),
        format!("POST /switch HTTP/1.1\r\nHost: x\r\n{upgrade}Content-Length: 5\r\n\r\nab"),
    ] {
        for yields in [0, 1, 10] {
            let client = running.send(&request).await;
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            Stream::from(client.0).reset();
        }
    }
    running.stop().await;
}
