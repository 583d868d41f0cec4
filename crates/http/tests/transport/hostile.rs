//! Servers that break the protocol: a typed error each time, never a panic, and no connection left.

use http::Method;
use rosn_http::{Body, Error, Transport};

use crate::support::*;

/// What a server sends to a GET, and whether it closes then.
async fn error_of(answer: String, transport: &Transport) -> (Error, Recorder) {
    let answer: &'static str = answer.leak();
    let server = Server::start(move |_, mut conn| async move {
        conn.head().await;
        conn.send(answer).await;
        conn.stream_end().await;
    })
    .await;
    let trace = Recorder::default();
    let error = match send(transport, server.get(), &trace).await {
        Err(error) => error,
        Ok(response) => soon(response.into_body().bytes(1 << 20)).await.expect_err(answer),
    };
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle Broken"], "{answer:?}");
    assert_eq!(transport.idle(), 0);
    server.no_leak().await;
    (error, trace)
}

#[tokio::test]
async fn heads_that_are_none() {
    let transport = transport();
    for answer in [
        "HTTP/2.0 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\no",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let (error, _) = error_of(answer.to_owned(), &transport).await;
        assert!(error.is_parse(), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn bodies_that_are_broken() {
    let transport = transport();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, is_parse) in [
        ("xyz\r\n", true),
        ("-1\r\n\r\n", true),
        ("ffffffffffffffff1\r\n", true),
        ("3\r\nabcX\r\n", true),
        ("3\nabc\n0\n\n", true),
        ("0\r\nbad trailer\r\n\r\n", true),
        ("5\r\nab", false),
        ("3\r\nabc\r\n", false),
        ("0\r\n", false),
    ] {
        let (error, trace) = error_of(format!("{chunked}{body}"), &transport).await;
        assert!(error.is_body(), "{body:?}: {error}");
        assert_eq!(error.is_parse(), is_parse, "{body:?}: {error}");
        assert_eq!(trace.count("ResponseBodyDone"), 1);
    }
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".to_owned();
    let (error, trace) = error_of(short, &transport).await;
    assert!(error.is_body() && !error.is_closed_early(), "{error}");
    assert_eq!(trace.only(&["ResponseBodyDone"])[0].find("ResponseBodyDone 5 failed"), Some(0));
}

/// What a server may make the client keep is bounded.
#[tokio::test]
async fn more_than_is_allowed() {
    let endless =
        |line: &str, end: &str| format!("HTTP/1.1 200 OK\r\n{}{end}", line.repeat(40_000));
    let ended = |answer: String| answer + "\r\n";
    let transport = transport();
    for answer in [
        format!("HTTP/1.1 200 {}\r\n\r\n", "x".repeat(100_000)),
        ended(endless("A: b\r\n", "")), // too many fields
        ended(format!("HTTP/1.1 200 OK\r\nA: {}\r\n", "x".repeat(1 << 20))),
        ended(format!("HTTP/1.1 103 Hints\r\nA: {}\r\n", "x".repeat(1 << 20))),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: {}\r\n\r\n",
            "x".repeat(1 << 20)
        ),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(10_000)
        ),
    ] {
        let (error, _) = error_of(answer, &transport).await;
        assert!(error.is_too_large() || error.is_parse(), "{error}");
    }
    let small = Transport::builder().max_response_head_bytes(100).max_response_fields(2).build();
    let small = small.unwrap();
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(100));
    assert!(error_of(long, &small).await.0.is_too_large());
    let many = "HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\nA: b\r\n\r\n".to_owned();
    assert!(error_of(many, &small).await.0.is_too_large());
}

/// What comes on a new connection before the request was sent cannot be told from an answer that was on its way: a
/// server that is too busy may say so, and close.
#[tokio::test]
async fn a_response_before_the_request() {
    let server = Server::start(|_, mut conn| async move {
        conn.send("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy").await;
        conn.closed().await;
    })
    .await;
    let response = send(&transport(), server.get(), &Recorder::default()).await.unwrap();
    assert_eq!(read(response).await, (503, "busy".to_owned()));
    server.no_leak().await;
}

/// Bytes after a response are no response to the next request.
#[tokio::test]
async fn more_than_was_asked_for() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged").await;
        conn.closed().await;
    })
    .await;
    let transport = transport();
    for _ in 0..3 {
        let trace = Recorder::default();
        let response = send(&transport, server.get(), &trace).await.unwrap();
        assert_eq!(read(response).await.1, "ok");
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle Broken"]);
    }
    assert_eq!(server.accepted(), 3);
    server.no_leak().await;
}

/// A body where there is none, or an interim response after the final one, is no response to the next request either.
#[tokio::test]
async fn what_follows_a_response_without_a_body() {
    for (method, answer) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nforge"),
        (Method::GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\nforge"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nforge"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"),
        (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n"),
        (Method::GET, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nforge"),
    ] {
        let server = Server::always(answer).await;
        let transport = transport();
        for _ in 0..2 {
            let trace = Recorder::default();
            let request = server.request(method.clone(), Body::empty());
            let response = send(&transport, request, &trace).await.unwrap();
            assert_eq!(read(response).await.1, "", "{answer:?}");
            assert_eq!(trace.count("PutIdle"), 1);
            assert_eq!(trace.count("PutIdle ok"), 0, "{answer:?}");
        }
        assert_eq!(server.accepted(), 2);
        server.no_leak().await;
    }
}

/// A request that waits for the connection does not get it where there is more on it than was asked for.
#[tokio::test]
async fn who_waits_gets_no_forged_response() {
    const FORGED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let hold = Hold::new();
    let held = hold.clone();
    let server = Server::start(move |number, mut conn| {
        let held = held.clone();
        async move {
            conn.head().await;
            held.wait(1).await;
            conn.send(if number == 0 { FORGED } else { OK }).await;
            conn.closed().await;
        }
    })
    .await;
    let transport = Transport::builder().max_conns_per_host(Some(1)).build().unwrap();
    let traces = [Recorder::default(), Recorder::default()];
    let first = spawn(&transport, server.get(), &traces[0]);
    until(|| traces[0].count("WroteRequest") == 1).await;
    let second = spawn(&transport, server.request(Method::POST, "x"), &traces[1]);
    until(|| traces[1].count("PoolWait") == 1).await;
    hold.release();
    for request in [first, second] {
        assert_eq!(soon(request).await.unwrap().unwrap(), (200, "ok".to_owned()));
    }
    assert_eq!(traces[1].only(&["GotConn"]), ["GotConn reused=false was_idle=false before=0"]);
    drop(transport);
    server.no_leak().await;
}

/// As in Go, no connection at all would be no limit to ask for.
#[tokio::test]
async fn a_limit_of_no_connections_is_none() {
    let server = Server::always(OK).await;
    let transport = Transport::builder().max_conns_per_host(Some(0)).build().unwrap();
    let response = send(&transport, server.get(), &Recorder::default()).await.unwrap();
    assert_eq!(read(response).await.0, 200);
    drop(transport);
    server.no_leak().await;
}
