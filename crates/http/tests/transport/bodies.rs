//! Bodies, both ways at a time.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request};
use rosn_http::{Body, Transport};
use tokio::sync::mpsc;

use crate::support::*;

/// A body that is sent piece by piece, as the test says.
fn fed() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, mut pieces) = mpsc::channel(1);
    let stream = futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx));
    (sender, Body::from_stream(stream.map(|piece: &str| Ok::<_, std::io::Error>(piece.into()))))
}

/// Row 45: the head goes out while the body is waited for, and each piece of the body as it comes.
#[tokio::test]
async fn head_and_pieces_are_flushed() {
    let (told, mut tell) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut conn| {
        let told = told.clone();
        async move {
            told.send(conn.head().await.unwrap()).unwrap();
            told.send(conn.body(8).await.unwrap()).unwrap();
            told.send(conn.body(8).await.unwrap()).unwrap();
            conn.body(5).await.unwrap();
            conn.send(OK).await;
            conn.closed().await;
        }
    })
    .await;
    let transport = transport();
    let (pieces, body) = fed();
    let trace = Recorder::default();
    let request = spawn(&transport, server.request(Method::POST, body), &trace);
    assert!(soon(tell.recv()).await.unwrap().starts_with("POST / "));
    pieces.send("one").await.unwrap();
    assert_eq!(soon(tell.recv()).await.unwrap(), "3\r\none\r\n");
    pieces.send("two").await.unwrap();
    assert_eq!(soon(tell.recv()).await.unwrap(), "3\r\ntwo\r\n");
    drop(pieces);
    assert_eq!(soon(request).await.unwrap().unwrap().1, "ok");
    assert_eq!(trace.only(&["WroteRequest"]), ["WroteRequest 6 body_sent=true ok"]);
    drop(transport);
    server.no_leak().await;
}

/// Rows 32 and T19; 1A.2, order 19c: a response before the request was sent. It counts, and the connection is closed.
#[tokio::test]
async fn an_early_response() {
    for answer in [
        "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
    ] {
        let server = Server::start(move |_, mut conn| async move {
            conn.head().await;
            conn.send(answer).await;
            conn.closed().await;
        })
        .await;
        let transport = transport();
        let (pieces, body) = fed();
        let trace = Recorder::default();
        let response = send(&transport, server.request(Method::POST, body), &trace).await.unwrap();
        assert_eq!(response.status(), 413);
        trace.note("Done");
        read(response).await;
        until(|| trace.count("PutIdle") == 1).await;
        assert_eq!(
            trace.only(&["FirstResponseByte", "Done", "PutIdle"]),
            ["FirstResponseByte", "Done", "PutIdle WriteUnfinished"]
        );
        until(|| trace.count("WroteRequest") == 1).await;
        assert!(trace.only(&["WroteRequest"])[0].contains("failed"));
        server.no_leak().await;
        drop(pieces);
        assert_eq!(transport.idle(), 0);
    }
}

/// Row 36: the response counts more than the error of sending the request.
#[tokio::test]
async fn the_response_counts_more_than_a_write_error() {
    for _ in 0..10 {
        let server = Server::start(|_, mut conn| async move {
            conn.head().await;
            conn.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
                .await;
            // It closes with much of the body unread, so the client is reset.
        })
        .await;
        let body = Body::from(vec![b'x'; 1 << 20]);
        let sent =
            send(&transport(), server.request(Method::POST, body), &Recorder::default()).await;
        // The reset may have overtaken the response, which nobody can help; it must not hang.
        if let Ok(response) = sent {
            assert_eq!(response.status(), 413);
        }
        server.no_leak().await;
    }
    // Without a reset in between: the server ends its reading side, and so the writing side of the client fails later.
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno").await;
        conn.closed().await;
    })
    .await;
    let body = Body::from_reader(tokio::io::repeat(b'x'));
    let response =
        send(&transport(), server.request(Method::POST, body), &Recorder::default()).await.unwrap();
    assert_eq!(read(response).await, (403, "no".to_owned()));
    server.no_leak().await;
}

/// Streaming both ways: the request goes on after the response has begun, whether or not the response is being read.
#[tokio::test]
async fn both_ways_at_a_time() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for _ in 0..100 {
            assert_eq!(conn.body(9).await.unwrap(), "4\r\nping\r\n");
            conn.send("4\r\npong\r\n").await;
        }
        assert_eq!(conn.body(5).await.unwrap(), "0\r\n\r\n");
        conn.send("0\r\n\r\n").await;
        conn.closed().await;
    })
    .await;
    let transport = transport();
    let (pieces, body) = fed();
    let trace = Recorder::default();
    let response = send(&transport, server.request(Method::POST, body), &trace).await.unwrap();
    let mut body = response.into_body();
    // More than the channel holds: it moves without the response being read.
    for _ in 0..50 {
        soon(pieces.send("ping")).await.unwrap();
    }
    let mut pongs = 0;
    for _ in 0..50 {
        soon(pieces.send("ping")).await.unwrap();
        pongs += soon(body.next()).await.unwrap().unwrap().into_data().unwrap().len();
    }
    drop(pieces);
    while let Some(frame) = soon(body.next()).await {
        pongs += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(pongs, 400);
    until(|| trace.count("PutIdle") == 1).await;
    assert_eq!(
        trace.only(&["WroteRequest", "PutIdle"]),
        ["WroteRequest 400 body_sent=true ok", "PutIdle ok"]
    );
    assert_eq!(transport.idle(), 1);
    drop(transport);
    server.no_leak().await;
}

/// A response whose body is the body of its own request: an echo of itself, which must not lock up.
#[tokio::test]
async fn a_body_made_of_its_own_response() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        assert_eq!(conn.body(9).await.unwrap(), "4\r\nseed\r\n");
        for _ in 0..20 {
            conn.send("4\r\necho\r\n").await;
            assert_eq!(conn.body(9).await.unwrap(), "4\r\necho\r\n");
        }
        conn.send("0\r\n\r\n").await;
        conn.closed().await;
    })
    .await;
    let (sender, receiver) = tokio::sync::oneshot::channel::<Body>();
    let stream = futures_util::stream::once(async { Ok(Bytes::from("seed")) }).chain(
        futures_util::stream::once(async { receiver.await.unwrap() }).flat_map(|body| {
            futures_util::stream::unfold(body, |mut body| async {
                let data = body.next().await?.map(|frame| frame.into_data().unwrap());
                Some((data, body))
            })
        }),
    );
    let transport = transport();
    let request = server.request(Method::POST, Body::from_stream(stream));
    let trace = Recorder::default();
    let response = send(&transport, request, &trace).await.unwrap();
    sender.send(response.into_body()).unwrap();
    until(|| trace.count("PutIdle") == 1).await;
    until(|| trace.count("WroteRequest") == 1).await;
    drop(transport);
    server.no_leak().await;
}

/// A response that is dropped while its request is being sent: sending ends.
#[tokio::test]
async fn a_response_dropped_while_sending() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await;
        conn.closed().await;
    })
    .await;
    let (pieces, body) = fed();
    let trace = Recorder::default();
    let response = send(&transport(), server.request(Method::POST, body), &trace).await.unwrap();
    drop(response);
    until(|| pieces.is_closed()).await;
    until(|| trace.count("WroteRequest") == 1).await;
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle BodyNotDrained"]);
    server.no_leak().await;
}

/// A body to be sent that fails: its error is told, and the server does not get a whole request.
#[tokio::test]
async fn a_body_that_fails() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.closed().await;
        assert!(!conn.unread().ends_with(b"0\r\n\r\n"));
    })
    .await;
    let stream = futures_util::stream::iter([
        Ok(Bytes::from("a piece")),
        Err(std::io::Error::other("the disk is gone")),
    ]);
    let trace = Recorder::default();
    let request = server.request(Method::PUT, Body::from_stream(stream));
    let error = send(&transport(), request, &trace).await.unwrap_err();
    assert!(error.is_body() && error.to_string().contains("the disk is gone"), "{error}");
    assert_eq!((trace.count("WroteRequest"), trace.count("Retry")), (1, 0));
    server.no_leak().await;
}

#[tokio::test]
async fn trailers_come_in() {
    let server = Server::always(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\nHost: forged\r\n\r\n",
    )
    .await;
    let transport = transport();
    for _ in 0..2 {
        let response = send(&transport, server.get(), &Recorder::default()).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(body.next().await.unwrap().unwrap().into_data().unwrap(), "abc");
        let trailers = body.next().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!((&trailers["x-sum"], trailers.len()), (&"9".parse().unwrap(), 1));
        assert!(body.next().await.is_none());
    }
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}

/// Large bodies, in each framing, both ways.
#[tokio::test]
async fn large_bodies() {
    const LEN: usize = 5_000_000;
    for chunked in [false, true] {
        let server = Server::start(move |_, mut conn| async move {
            while let Some(head) = conn.head().await {
                assert_eq!(head.contains("chunked"), chunked);
                let body = match chunked {
                    false => conn.body(LEN).await.unwrap(),
                    true => conn.chunks().await.unwrap(),
                };
                assert_eq!(body.len(), LEN);
                if chunked {
                    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                    conn.send(&format!("{LEN:x}\r\n{body}\r\n0\r\n\r\n")).await;
                } else {
                    conn.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n{body}"))
                        .await;
                }
            }
        })
        .await;
        let transport = transport();
        let text: String = (0..LEN).map(|at| char::from(b'a' + (at * 31 % 26) as u8)).collect();
        for _ in 0..2 {
            let body = match chunked {
                false => Body::from(text.clone()),
                true => Body::from_reader(std::io::Cursor::new(text.clone())),
            };
            let request = server.request(Method::POST, body);
            let response = send(&transport, request, &Recorder::default()).await.unwrap();
            assert!(read(response).await.1 == text);
        }
        assert_eq!(server.accepted(), 1);
        drop(transport);
        server.no_leak().await;
    }
}

/// However a response is cut into reads, it is the same.
#[tokio::test]
async fn any_cut_gives_the_same() {
    const ANSWERS: [&str; 3] = [
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A: b\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX-T: u\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\nhello world",
    ];
    let mut random = 1_u64;
    for answer in ANSWERS {
        let server = Server::start(move |number, mut conn| async move {
            let mut rest = answer;
            let mut random = number as u64 * 7919 + 1;
            if conn.head().await.is_none() {
                return;
            }
            while !rest.is_empty() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (now, later) = rest.split_at(rest.len().min(1 + (random >> 33) as usize % 9));
                conn.send(now).await;
                tokio::task::yield_now().await;
                rest = later;
            }
        })
        .await;
        for _ in 0..40 {
            random = random.wrapping_add(1);
            let request = Request::get(server.url("/")).body(Body::empty()).unwrap();
            let transport = Transport::builder().keep_alives(false).build().unwrap();
            let response = send(&transport, request, &Recorder::default()).await.unwrap();
            assert_eq!(response.headers()["x-a"], "b");
            let mut body = response.into_body();
            let (mut text, mut trailers) = (Vec::new(), 0);
            while let Some(frame) = soon(body.next()).await {
                match frame.unwrap().into_data() {
                    Ok(data) => text.extend_from_slice(&data),
                    Err(_) => trailers += 1,
                }
            }
            assert_eq!(text, b"hello world");
            assert_eq!(trailers, usize::from(answer.contains("X-T")));
        }
        server.no_leak().await;
    }
}
