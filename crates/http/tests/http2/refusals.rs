//! Requests that a server has not looked at are sent again.

use http::Method;
use rosn_http::Body;

use crate::frames::*;
use crate::peer::Peer;
use crate::support::*;

const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Answers with 200 until the client goes.
async fn answer_all(mut frames: Frames) {
    while let Some(stream) = frames.request().await {
        frames.ok(stream).await;
    }
}

/// GOAWAY below the request's stream: it was not processed, so that any request is sent again, elsewhere.
#[tokio::test]
async fn a_goaway_below() {
    let peer = Peer::raw(None, |number, stream| async move {
        let mut frames = Frames::new(stream).await;
        if number == 0 {
            let first = frames.request().await.unwrap();
            frames.ok(first).await;
            let second = frames.request().await.unwrap();
            assert_eq!((first, second), (1, 3));
            frames.goaway(1, NO_ERROR).await;
            frames.closed().await;
        } else {
            answer_all(frames).await;
        }
    })
    .await;
    let transport = peer.transport();
    spawn(&transport, peer.get(), &Recorder::default()).await.unwrap().unwrap();
    let trace = Recorder::default();
    let again = spawn(&transport, peer.request(Method::POST, "hello"), &trace).await.unwrap();
    assert_eq!(again.unwrap().0, 200);
    assert_eq!(
        trace.only(&["GetConn", "GotConn", "Retry", "PutIdle"]),
        [
            "GetConn 1",
            "GotConn reused=true was_idle=true before=1",
            "PutIdle PeerAskedClose",
            "Retry 1",
            "GetConn 2",
            "GotConn reused=false was_idle=false before=0",
            "PutIdle ok"
        ]
    );
    peer.no_leak_but(1).await;
}

/// A graceful GOAWAY: the streams below go on, and the connection takes no others.
#[tokio::test]
async fn a_graceful_goaway() {
    let go_on = Hold::new();
    let held = go_on.clone();
    let peer = Peer::raw(None, move |number, stream| {
        let held = held.clone();
        async move {
            let mut frames = Frames::new(stream).await;
            if number > 0 {
                return answer_all(frames).await;
            }
            let stream = frames.request().await.unwrap();
            frames.goaway(u32::MAX >> 1, NO_ERROR).await;
            frames.send(HEADERS, END_HEADERS, stream, STATUS_200).await;
            held.wait(1).await;
            frames.send(DATA, END_STREAM, stream, b"ok").await;
            frames.closed().await;
        }
    })
    .await;
    let transport = peer.transport();
    let first = Recorder::default();
    let response = send(&transport, peer.get(), &first).await.unwrap();
    let second = Recorder::default();
    assert_eq!(spawn(&transport, peer.get(), &second).await.unwrap().unwrap().0, 200);
    assert_eq!(second.only(&["GotConn"]), ["GotConn reused=false was_idle=false before=0"]);
    go_on.release();
    assert_eq!(read(response).await, (200, "ok".into()));
    assert_eq!(first.only(&["PutIdle"]), ["PutIdle PeerAskedClose"]);
    assert_eq!(transport.idle(), 1);
    peer.no_leak_but(1).await;
}

/// REFUSED_STREAM: sent again on the same connection, if the body can be had again.
#[tokio::test]
async fn a_refused_stream() {
    let peer = Peer::raw(None, |_, stream| async move {
        let mut frames = Frames::new(stream).await;
        let stream = frames.request().await.unwrap();
        frames.reset(stream, REFUSED_STREAM).await;
        answer_all(frames).await;
    })
    .await;
    let trace = Recorder::default();
    let request = peer.request(Method::POST, "hello");
    let transport = peer.transport();
    assert_eq!(spawn(&transport, request, &trace).await.unwrap().unwrap().0, 200);
    assert_eq!((peer.accepted(), trace.count("Retry")), (1, 1));

    // A body that was begun cannot be had again.
    let body = Body::from_reader(&b"hello"[..]);
    let transport = peer.transport();
    let error = soon(transport.send(peer.request(Method::POST, body))).await.unwrap_err();
    assert!(error.to_string().contains("REFUSED_STREAM"), "{error}");
    assert!(error.is_closed_early());
}

/// A connection that refuses its first request with an error will always do so.
#[tokio::test]
async fn a_connection_that_refuses_its_first_request() {
    let peer = Peer::raw(None, |_, stream| async move {
        let mut frames = Frames::new(stream).await;
        frames.request().await.unwrap();
        frames.goaway(0, ENHANCE_YOUR_CALM).await;
        frames.closed().await;
    })
    .await;
    let transport = peer.transport();
    let error = soon(transport.send(peer.get())).await.unwrap_err();
    assert!(error.to_string().contains("ENHANCE_YOUR_CALM"), "{error}");
    assert_eq!(peer.accepted(), 1);
}

/// Row 29 of HTTP/2, row 28: a connection that was there before and is lost without an answer: GET is sent again, POST is
/// not. PROTOCOL_ERROR counts as that, as servers say so that have forgotten a connection; CANCEL does not.
#[tokio::test]
async fn a_connection_that_is_lost() {
    for (reason, method, again) in [
        (None, Method::GET, true),
        (None, Method::POST, false),
        (Some(PROTOCOL_ERROR), Method::GET, true),
        (Some(PROTOCOL_ERROR), Method::POST, false),
        (Some(CANCEL), Method::GET, false),
    ] {
        let peer = Peer::raw(None, move |number, stream| async move {
            let mut frames = Frames::new(stream).await;
            if number > 0 {
                return answer_all(frames).await;
            }
            let first = frames.request().await.unwrap();
            frames.ok(first).await;
            let second = frames.request().await.unwrap();
            if let Some(reason) = reason {
                frames.reset(second, reason).await;
                answer_all(frames).await;
            }
        })
        .await;
        let transport = peer.transport();
        spawn(&transport, peer.get(), &Recorder::default()).await.unwrap().unwrap();
        let trace = Recorder::default();
        let result = spawn(&transport, peer.request(method, ""), &trace).await.unwrap();
        assert_eq!(result.is_ok(), again, "{reason:?}: {result:?}");
        assert_eq!(trace.count("Retry"), usize::from(again));
        if let Err(error) = result {
            assert!(error.is_closed_early(), "{error}");
        }
    }
}
