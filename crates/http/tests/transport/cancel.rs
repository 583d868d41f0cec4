//! Requests that are given up, in each phase: by dropping the future, by their context, by a timeout. Nothing is left.

use std::time::Duration;

use http::{Method, Request};
use rosn_http::{Body, Phase, Transport};
use rosn_trace::{RequestContext, RequestTraceExt as _};

use crate::support::*;

/// A server that reads the head, sends this, and goes no further.
async fn stuck(answer: &'static str) -> Server {
    Server::start(move |_, mut conn| async move {
        conn.head().await;
        conn.send(answer).await;
        conn.closed().await;
    })
    .await
}

/// How a request is given up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Drop,
    Cancel,
    Deadline,
}

const ALL: [How; 3] = [How::Drop, How::Cancel, How::Deadline];

/// Gives a request up once `event` has come.
async fn give_up(
    how: How,
    event: &str,
    transport: &Transport,
    mut request: Request<Body>,
) -> (Recorder, Option<rosn_http::Error>) {
    let trace = Recorder::default();
    let (context, cancel) = RequestContext::background().with_cancel();
    let context = match how {
        How::Deadline => context.with_timeout(Duration::from_millis(50)),
        _ => context,
    };
    request.set_context(context);
    let task = spawn(transport, request, &trace);
    until(|| trace.count(event) > 0).await;
    match how {
        How::Drop => task.abort(),
        How::Cancel => cancel.cancel_cause("no longer wanted"),
        How::Deadline => {}
    }
    let error = match soon(task).await {
        Ok(result) => Some(result.unwrap_err()),
        Err(_aborted) => None,
    };
    match (how, &error) {
        (How::Drop, error) => assert!(error.is_none()),
        (How::Cancel, Some(error)) => {
            assert!(error.is_cancelled(), "{error}");
            assert!(error.to_string().contains("no longer wanted"), "{error}");
        }
        (How::Deadline, Some(error)) => assert!(error.is_timeout(), "{error}"),
        (how, None) => panic!("{how:?} gave no error"),
    }
    (trace, error)
}

/// Rows 38 and 39, T24, T4: while it is dialed. The dial is given up, too.
#[tokio::test]
async fn while_dialing() {
    for how in ALL {
        let gate = Gate::new(0);
        let transport = Transport::builder().connect(gate.options()).build().unwrap();
        let request = Request::get("http://127.0.0.1:9/").body(Body::empty()).unwrap();
        let (trace, error) = give_up(how, "ConnectStart", &transport, request).await;
        until(|| trace.count("ConnectDone") == 1).await;
        assert_eq!((trace.count("GotConn"), trace.count("GetConnFailed")), (0, 1), "{how:?}");
        if how != How::Deadline {
            assert!(error.is_none_or(|error| error.phase() == Phase::Connect));
            assert_eq!(trace.only(&["ConnectDone"]), ["ConnectDone failed: cancelled"]);
        }
    }
}

/// Rows 38, 39 and 47, T24; 1A.2, order 18d: while the response is waited for.
#[tokio::test]
async fn while_waiting_for_the_response() {
    for how in ALL {
        let server = stuck("").await;
        let transport = transport();
        let (trace, error) = give_up(how, "WroteRequest", &transport, server.get()).await;
        assert!(error.is_none_or(|error| error.phase() == Phase::Wait));
        assert_eq!(trace.only(&["FirstResponseByte", "PutIdle"]), ["PutIdle Broken"], "{how:?}");
        assert_eq!(transport.idle(), 0);
        server.no_leak().await;
    }
}

/// Row 39, T24: in the middle of the response's head.
#[tokio::test]
async fn within_the_head() {
    for how in ALL {
        let server = stuck("HTTP/1.1 200 O").await;
        let (trace, error) = give_up(how, "FirstResponseByte", &transport(), server.get()).await;
        assert!(error.is_none_or(|error| error.phase() == Phase::Head));
        assert_eq!(trace.only(&["ResponseHead", "PutIdle"]), ["PutIdle Broken"]);
        server.no_leak().await;
    }
}

/// Rows 38 and 39, T24: while the request is sent, as the server reads no more of it, or the program gives no more.
#[tokio::test]
async fn while_sending() {
    for how in ALL {
        let server = Server::start(|_, conn| async move {
            // It reads nothing.
            until(|| is_closed(&conn)).await;
        })
        .await;
        for body in [
            Body::from_reader(tokio::io::repeat(7)),
            Body::from_stream(futures_util::stream::pending::<Result<_, std::io::Error>>()),
        ] {
            let request = server.request(Method::POST, body);
            let (trace, error) = give_up(how, "WroteHeaders", &transport(), request).await;
            assert!(error.is_none_or(|error| error.phase() == Phase::Write), "{how:?}");
            assert_eq!((trace.count("WroteRequest"), trace.count("PutIdle Broken")), (1, 1));
        }
        server.no_leak().await;
    }
}

fn is_closed(conn: &Conn) -> bool {
    // A client that goes with unread bytes in between resets, or ends; both are seen without reading.
    let mut byte = [0; 1 << 16];
    loop {
        match conn.stream.try_read(&mut byte) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

/// Row 47, T24: while the body is read. The connection is closed, not kept.
#[tokio::test]
async fn while_reading_the_body() {
    for how in [How::Cancel, How::Deadline] {
        let server = stuck("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
        let trace = Recorder::default();
        let (context, cancel) = RequestContext::background().with_cancel();
        let mut request = server.get();
        request.set_context(match how {
            How::Deadline => context.with_timeout(Duration::from_millis(50)),
            _ => context,
        });
        let transport = transport();
        let mut body = send(&transport, request, &trace).await.unwrap().into_body();
        body.next().await.unwrap().unwrap();
        if how == How::Cancel {
            cancel.cancel();
        }
        let error = soon(body.next()).await.unwrap().unwrap_err();
        assert_eq!(
            (error.is_cancelled(), error.is_timeout()),
            (how == How::Cancel, how == How::Deadline)
        );
        assert!(error.is_body());
        assert!(soon(body.next()).await.is_none());
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle Broken"]);
        assert_eq!(trace.count("ResponseBodyDone 4 failed"), 1);
        server.no_leak().await;
    }
}

/// Row 46: a context that has ended already: its error, and no event.
#[tokio::test]
async fn a_context_that_has_ended() {
    let server = Server::always(OK).await;
    let (context, cancel) = RequestContext::background().with_cancel();
    cancel.cancel();
    for context in [context, RequestContext::background().with_timeout(Duration::ZERO)] {
        let trace = Recorder::default();
        let mut request = server.get();
        request.set_context(context);
        let error = send(&transport(), request, &trace).await.unwrap_err();
        assert!(error.is_cancelled() || error.is_timeout(), "{error}");
        assert_eq!(trace.events(), [""; 0]);
    }
    assert_eq!(server.accepted(), 0);
}

/// Row 50: the time for the response begins when the request was sent.
#[tokio::test]
async fn the_response_takes_too_long() {
    let brief = Duration::from_millis(30);
    let transport = Transport::builder().response_head_timeout(Some(brief)).build().unwrap();
    let server = stuck("HTTP/1.1 103 Early Hints\r\n\r\n").await;
    let trace = Recorder::default();
    let error = send(&transport, server.get(), &trace).await.unwrap_err();
    assert!(error.is_timeout() && error.phase() == Phase::Head, "{error}");
    assert_eq!(trace.count("PutIdle Broken"), 1);
    server.no_leak().await;
    // A body that takes longer than that to be had is no matter.
    let server = Server::always(OK).await;
    let slow = futures_util::stream::once(async move {
        tokio::time::sleep(brief * 4).await;
        Ok::<_, std::io::Error>("late".into())
    });
    let request = server.request(Method::POST, Body::from_stream(slow));
    let response = send(&transport, request, &Recorder::default()).await.unwrap();
    assert_eq!(response.status(), 200);
    drop((response, transport));
    server.no_leak().await;
}

/// Row 38: giving up races with success, at any point; nothing leaks, and the pool goes on working.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giving_up_at_any_time() {
    let server = Server::always(OK).await;
    let transport = Transport::builder().max_conns_per_host(Some(2)).build().unwrap();
    for round in 0..300_u64 {
        let (context, cancel) = RequestContext::background().with_cancel();
        let mut request = server.get();
        request.set_context(context);
        let task = spawn(&transport, request, &Recorder::default());
        for _ in 0..round % 30 {
            tokio::task::yield_now().await;
        }
        if round % 2 == 0 {
            cancel.cancel();
        } else {
            task.abort();
        }
        let _ = soon(task).await;
    }
    let response = send(&transport, server.get(), &Recorder::default()).await.unwrap();
    assert_eq!(read(response).await.1, "ok");
    drop(transport);
    server.no_leak().await;
}
