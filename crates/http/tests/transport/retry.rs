//! Which requests are sent again, and what the others' errors say.

use http::{Method, Request};
use rosn_http::{Body, Phase, Transport};

use crate::support::*;

/// Serves one request on each connection, and reads the next one before it closes.
async fn closing() -> Server {
    Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send(OK).await;
        conn.head().await;
    })
    .await
}

/// Row 28, T15; 1A.2, order 14: an idle connection that its server closes while the request is sent.
#[tokio::test]
async fn a_stale_connection_is_hidden() {
    let server = closing().await;
    let transport = transport();
    for _ in 0..5 {
        let trace = Recorder::default();
        let response = send(&transport, server.get(), &trace).await.unwrap();
        assert_eq!(read(response).await.1, "ok");
    }
    let trace = Recorder::default();
    let response = send(&transport, server.get(), &trace).await.unwrap();
    assert_eq!(read(response).await.1, "ok");
    assert_eq!(
        trace.only(&["Get", "Got", "First", "Retry", "PutIdle"]),
        [
            "GetConn 1",
            "GotConn reused=true was_idle=true before=1",
            "PutIdle Broken",
            "Retry 1",
            "GetConn 2",
            "GotConn reused=false was_idle=false before=0",
            "FirstResponseByte",
            "PutIdle ok",
        ]
    );
    drop(transport);
    server.no_leak().await;
}

/// Row 30: which requests are sent again when the connection is closed without an answer.
#[tokio::test]
async fn who_is_sent_again() {
    let stream = || Body::from_reader(&b"body"[..]);
    let replayable = || Body::replayable(|| Body::from_reader(&b"body"[..]));
    let keyed = |key: &'static str| move |body: Body| (Method::POST, Some(key), body);
    let plain = |method: Method| move |body: Body| (method.clone(), None, body);
    let cases = [
        (plain(Method::GET)(Body::empty()), true),
        (plain(Method::GET)(Body::from("body")), true),
        (plain(Method::GET)(stream()), false),
        (plain(Method::GET)(replayable()), true),
        (plain(Method::HEAD)(Body::empty()), true),
        (plain(Method::POST)(Body::empty()), false),
        (plain(Method::POST)(Body::from("body")), false),
        (plain(Method::PUT)(Body::empty()), false),
        (plain(Method::DELETE)(Body::empty()), false),
        (keyed("idempotency-key")(Body::from("body")), true),
        (keyed("x-idempotency-key")(replayable()), true),
        (keyed("idempotency-key")(stream()), false),
    ];
    for ((method, key, body), wanted) in cases {
        let server = closing().await;
        let transport = transport();
        let trace = Recorder::default();
        read(send(&transport, server.get(), &trace).await.unwrap()).await;
        let shown = format!("{method} {key:?} {body:?}");
        let mut request = server.request(method, body);
        if let Some(key) = key {
            request.headers_mut().insert(key, "1".parse().unwrap());
        }
        let sent = send(&transport, request, &trace).await;
        assert_eq!(sent.is_ok(), wanted, "{shown}: {sent:?}");
        assert_eq!(trace.count("Retry"), usize::from(wanted), "{shown}");
        if let Err(error) = sent {
            assert!(error.is_closed_early() || error.phase() == Phase::Wait, "{shown}: {error}");
            assert_eq!(trace.count("Failed"), 1);
        }
        drop(transport);
        server.no_leak().await;
    }
}

/// A request that can be sent only once is not given a connection that its server has closed already: the kernel is
/// asked.
#[tokio::test]
async fn a_request_that_cannot_be_sent_twice() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send(OK).await;
    })
    .await;
    let transport = transport();
    for _ in 0..20 {
        let request = server.request(Method::POST, Body::empty());
        let response = send(&transport, request, &Recorder::default()).await.unwrap();
        assert_eq!(read(response).await.1, "ok");
        // The server has closed, but the event loop may not know yet.
        server.no_leak().await;
    }
}

/// Rows 29 and 31: a new connection that is closed is not tried again.
#[tokio::test]
async fn a_new_connection_is_not_tried_again() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
    })
    .await;
    let trace = Recorder::default();
    let error = send(&transport(), server.get(), &trace).await.unwrap_err();
    assert!(error.is_closed_early() && error.phase() == Phase::Wait, "{error}");
    assert!(error.to_string().contains(&server.addr.to_string()), "{error}");
    assert_eq!((trace.count("Retry"), server.accepted()), (0, 1));
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle Broken"]);
    server.no_leak().await;
}

/// Rows 31 and 29: nothing is tried again once a byte of the response has come.
#[tokio::test]
async fn half_a_head_is_not_tried_again() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send(OK).await;
        conn.head().await;
        conn.send("HTTP/1.1 200 O").await;
    })
    .await;
    let transport = transport();
    let trace = Recorder::default();
    read(send(&transport, server.get(), &trace).await.unwrap()).await;
    let error = send(&transport, server.get(), &trace).await.unwrap_err();
    assert!(error.is_closed_early() && error.phase() == Phase::Head, "{error}");
    assert_eq!(trace.count("Retry"), 0);
    drop(transport);
    server.no_leak().await;
}

/// Row 37: what the network says is the source of the error.
#[tokio::test]
async fn the_error_of_the_network() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.reset();
    })
    .await;
    let error = send(&transport(), server.get(), &Recorder::default()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(error.phase(), Phase::Wait);
    server.no_leak().await;
}

/// Row 28 (TestStressSurpriseServerCloses): a server that closes whenever it likes. Every GET succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_whenever_it_likes() {
    let server = Server::start(|number, mut conn| async move {
        for _ in 0..=number % 4 {
            if conn.head().await.is_none() {
                return;
            }
            conn.send(OK).await;
        }
    })
    .await;
    let transport = Transport::builder().max_idle_per_host(4).build().unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (transport, addr) = (transport.clone(), server.addr);
            tokio::spawn(async move {
                for _ in 0..100 {
                    let request = Request::get(format!("http://{addr}/"));
                    let request = request.body(Body::empty()).unwrap();
                    let response = send(&transport, request, &Recorder::default()).await;
                    assert_eq!(read(response.unwrap()).await.1, "ok");
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    drop(transport);
    server.no_leak().await;
}

/// Row 28: as much as one read takes leaves nobody in doubt whether there is more: the end that comes later is noticed.
#[tokio::test]
async fn a_response_that_fills_the_buffer_exactly() {
    const BUFFER: usize = 8 * 1024;
    let close = Hold::new();
    let closing = close.clone();
    let server = Server::start(move |_, mut conn| {
        let close = closing.clone();
        async move {
            conn.head().await;
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 8151\r\n\r\n";
            let response = format!("{head:x<BUFFER$}");
            assert_eq!(response.len() - head.len(), 8151);
            conn.send(&response).await;
            close.wait(1).await;
        }
    })
    .await;
    let transport = transport();
    let response = send(&transport, server.get(), &Recorder::default()).await.unwrap();
    assert_eq!(read(response).await.1.len(), 8151);
    assert_eq!(transport.idle(), 1);
    close.release();
    until(|| transport.idle() == 0).await;
    server.no_leak().await;
}
