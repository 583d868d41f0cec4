//! Interim responses, and `Expect: 100-continue`.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use rosn_http::{Body, Transport};

use crate::support::*;

/// Row 17: an unknown interim response is passed over, and seen with its fields.
#[tokio::test]
async fn an_unknown_interim_response() {
    let server = Server::always(
        "HTTP/1.1 123 OneTwoThree\r\nFoo: bar\r\n\r\nHTTP/1.1 200 OK\r\nBar: baz\r\nContent-Length: 5\r\n\r\nHello",
    )
    .await;
    let trace = Recorder::default();
    let response = send(&transport(), server.get(), &trace).await.unwrap();
    assert_eq!(response.headers()["bar"], "baz");
    assert_eq!(read(response).await, (200, "Hello".to_owned()));
    assert_eq!(trace.only(&["Informational"]), ["Informational 123 foo=\"bar\""]);
    server.no_leak().await;
}

/// Rows 18 and T18: no more than five.
#[tokio::test]
async fn too_many_interim_responses() {
    for (count, is_too_many) in [(5, false), (6, true), (100, true)] {
        let server = Server::start(move |_, mut conn| async move {
            conn.head().await;
            conn.send(&"HTTP/1.1 123 x\r\n\r\n".repeat(count)).await;
            conn.send(EMPTY).await;
            conn.closed().await;
        })
        .await;
        let trace = Recorder::default();
        let sent = send(&transport(), server.get(), &trace).await;
        assert_eq!(sent.is_err(), is_too_many);
        assert_eq!(trace.count("Informational"), 5);
        assert_eq!(trace.count("FirstResponseByte"), 1);
        if let Err(error) = sent {
            assert!(error.is_too_large(), "{error}");
        }
        server.no_leak().await;
    }
}

/// Rows 19 and T18: 101 is the final response, also where no upgrade was asked for.
#[tokio::test]
async fn a_101_is_final() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 101 Switching Protocols\r\n\r\nSomething else").await;
        conn.closed().await;
    })
    .await;
    let trace = Recorder::default();
    let response = send(&transport(), server.get(), &trace).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(trace.count("Informational"), 0);
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle PeerAskedClose"]);
    server.no_leak().await;
}

/// Row 20: early hints in their order, before the response. 1A.2, order 5.
#[tokio::test]
async fn early_hints() {
    let server = Server::always(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n\
         HTTP/1.1 200 OK\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let trace = Recorder::default();
    send(&transport(), server.get(), &trace).await.unwrap();
    assert_eq!(
        trace.only(&["FirstResponseByte", "Informational", "ResponseHead"]),
        [
            "FirstResponseByte",
            "Informational 103 link=\"</a>\"",
            "Informational 103 link=\"</a>\" link=\"</b>\"",
            "ResponseHead 200",
        ]
    );
    server.no_leak().await;
}

/// T2: a trace may refuse an interim response, which ends the request; all traces are asked.
#[tokio::test]
async fn a_veto() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        conn.closed().await;
    })
    .await;
    let older = Recorder::default();
    let mut request = server.get();
    rosn_trace::RequestTraceExt::with_trace(&mut request, older.clone());
    let error = send(&transport(), request, &Recorder::vetoing()).await.unwrap_err();
    assert!(error.is_vetoed() && error.to_string().contains("no interim responses"), "{error}");
    assert_eq!(older.count("Informational"), 1);
    server.no_leak().await;
}

fn expecting(server: &Server) -> Request<Body> {
    let mut request = server.request(Method::POST, "body");
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    request
}

/// A transport that waits for a 100 for so long.
fn waiting(timeout: Option<Duration>) -> Transport {
    Transport::builder().expect_continue_timeout(timeout).build().unwrap()
}

/// Row 21, T17: the body is sent after 100.
#[tokio::test]
async fn the_server_asks_for_the_body() {
    let server = Server::start(|_, mut conn| async move {
        while conn.head().await.is_some() {
            assert!(conn.unread().is_empty());
            conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(conn.body(4).await.unwrap(), "body");
            conn.send(OK).await;
        }
    })
    .await;
    let transport = waiting(None);
    let trace = Recorder::default();
    for _ in 0..2 {
        let response = send(&transport, expecting(&server), &trace).await.unwrap();
        assert_eq!(read(response).await, (200, "ok".to_owned()));
    }
    assert_eq!((trace.count("Wait100"), trace.count("Got100")), (2, 2));
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}

/// Row 21, T17, T19; 1A.2, order 13: a final response instead. No byte of the body is sent, whatever the response says,
/// and the connection is not used again.
#[tokio::test]
async fn the_server_does_not_want_the_body() {
    for status in ["200 OK", "500 Oops", "417 Expectation Failed"] {
        for connection in ["close", "keep-alive"] {
            let server = Server::start(move |_, mut conn| async move {
                conn.head().await;
                let head = format!("HTTP/1.1 {status}\r\nConnection: {connection}\r\n");
                conn.send(&format!("{head}Content-Length: 2\r\n\r\nok")).await;
                assert!(conn.body(1).await.is_none(), "a byte of the body came");
            })
            .await;
            let transport = waiting(None);
            let trace = Recorder::default();
            let response = send(&transport, expecting(&server), &trace).await.unwrap();
            assert_eq!(read(response).await, (status[..3].parse().unwrap(), "ok".to_owned()));
            assert_eq!(trace.only(&["WroteRequest"]), ["WroteRequest 0 body_sent=false ok"]);
            assert_eq!(trace.only(&["PutIdle"]), ["PutIdle WriteUnfinished"]);
            assert_eq!((trace.count("Got100"), transport.idle()), (0, 0));
            server.no_leak().await;
        }
    }
}

/// Row 21, T17; 1A.2, order 12: the server does not know of 100.
#[tokio::test]
async fn the_server_says_nothing() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        assert_eq!(conn.body(4).await.unwrap(), "body");
        conn.send(OK).await;
        conn.closed().await;
    })
    .await;
    let trace = Recorder::default();
    let transport = waiting(Some(Duration::from_millis(1)));
    let response = send(&transport, expecting(&server), &trace).await.unwrap();
    assert_eq!(read(response).await, (200, "ok".to_owned()));
    assert_eq!(
        trace.only(&["Wait100", "Got100", "WroteRequest"]),
        ["Wait100", "WroteRequest 4 body_sent=true ok"]
    );
    drop(transport);
    server.no_leak().await;
}

/// T17: the server closes instead of asking.
#[tokio::test]
async fn the_server_closes_instead_of_asking() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
    })
    .await;
    let trace = Recorder::default();
    let error = send(&waiting(None), expecting(&server), &trace).await.unwrap_err();
    assert!(error.is_closed_early(), "{error}");
    assert_eq!((trace.count("WroteRequest"), trace.count("Retry")), (1, 0));
    server.no_leak().await;
}

/// Row 22; 1A.2, order 13b: a 100 that was not asked for, before each response. Both stay in step.
#[tokio::test]
async fn a_100_that_was_not_asked_for() {
    let server = Server::start(|_, mut conn| async move {
        let mut number = 0;
        while conn.head().await.is_some() {
            number += 1;
            conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            conn.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}")).await;
        }
    })
    .await;
    let transport = transport();
    let trace = Recorder::default();
    for number in 1..=9 {
        let response = send(&transport, server.get(), &trace).await.unwrap();
        assert_eq!(read(response).await, (200, number.to_string()));
    }
    assert_eq!((trace.count("Informational 100"), trace.count("Got100")), (9, 0));
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}
