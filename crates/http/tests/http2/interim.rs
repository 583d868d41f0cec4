//! Interim responses, and bodies that wait for one.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response};
use rosn_http::Body;

use crate::peer::{Asked, Peer};
use crate::support::*;

fn inform(asked: &mut Asked, status: u16, name: &'static str) {
    let mut response = Response::new(());
    *response.status_mut() = status.try_into().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("link", HeaderValue::from_static(name));
    *response.headers_mut() = headers;
    asked.respond.send_informational(response).unwrap();
}

/// Rows 17 and 20 of HTTP/2: interim responses in order, with their fields, whatever their status is.
#[tokio::test]
async fn hints() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        inform(&mut asked, 103, "a");
        inform(&mut asked, 123, "b");
        asked.text("ok");
    })
    .await;
    let trace = Recorder::default();
    let transport = peer.transport();
    assert_eq!(spawn(&transport, peer.get(), &trace).await.unwrap().unwrap().1, "ok");
    assert_eq!(
        trace.only(&["First", "Informational", "ResponseHead"]),
        [
            "FirstResponseByte",
            "Informational 103 link=\"a\"",
            "Informational 123 link=\"b\"",
            "ResponseHead 200"
        ]
    );
}

/// Row 18: not more than five, and a trace may say no. The stream ends, and the connection goes on.
#[tokio::test]
async fn too_many_or_unwanted() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        let count = if asked.request.uri().path() == "/6" { 6 } else { 1 };
        for _ in 0..count {
            inform(&mut asked, 103, "a");
        }
        let mut stream = asked.answer(200, false);
        let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
        assert_eq!(reason.unwrap(), h2::Reason::CANCEL);
    })
    .await;
    let transport = peer.transport();
    let mut request = peer.get();
    *request.uri_mut() = peer.url("/6").parse().unwrap();
    let error = send(&transport, request, &Recorder::default()).await.unwrap_err();
    assert!(error.is_too_large(), "{error}");
    let error = send(&transport, peer.get(), &Recorder::vetoing()).await.unwrap_err();
    assert!(error.is_vetoed(), "{error}");
    assert_eq!((peer.accepted(), transport.idle()), (1, 1));
}

fn expecting(peer: &Peer) -> Request<Body> {
    let mut request = peer.request(Method::POST, "hello");
    request.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
    request
}

/// Rows 3, 21 and 23: the body is sent when the server asks for it; or when it says nothing for too long; and not at all
/// where it answers instead. Got100 comes after the interim response, as in Go's HTTP/2.
#[tokio::test]
async fn a_body_that_waits() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        match asked.request.uri().path() {
            "/continue" => {
                assert!(!asked.request.body().is_end_stream());
                inform(&mut asked, 100, "a");
            }
            "/silent" => {}
            _ => {
                asked.text("no");
                let gone = asked.request.body_mut().data().await;
                let reset = gone.unwrap().unwrap_err();
                assert_eq!(reset.reason(), Some(h2::Reason::CANCEL));
                return;
            }
        }
        assert_eq!(asked.body().await.0, "hello");
        asked.text("ok");
    })
    .await;
    let events = ["Wait", "Informational", "Got100", "WroteRequest"];
    for (path, text, timeout, wanted) in [
        (
            "/continue",
            "ok",
            None,
            &[
                "Wait100",
                "Informational 100 link=\"a\"",
                "Got100",
                "WroteRequest 5 body_sent=true ok",
            ][..],
        ),
        (
            "/silent",
            "ok",
            Some(Duration::from_millis(10)),
            &["Wait100", "WroteRequest 5 body_sent=true ok"],
        ),
        ("/final", "no", None, &["Wait100", "WroteRequest 0 body_sent=false ok"]),
    ] {
        let transport = peer.builder().expect_continue_timeout(timeout).build().unwrap();
        let trace = Recorder::default();
        let mut request = expecting(&peer);
        *request.uri_mut() = peer.url(path).parse().unwrap();
        assert_eq!(spawn(&transport, request, &trace).await.unwrap().unwrap().1, text);
        assert_eq!(trace.only(&events), wanted);
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle ok"]);
    }
}

/// Row 22: a 100 that nobody has asked for.
#[tokio::test]
async fn an_unsolicited_100() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        inform(&mut asked, 100, "a");
        asked.text("ok");
    })
    .await;
    let transport = peer.transport();
    for _ in 0..2 {
        let trace = Recorder::default();
        assert_eq!(spawn(&transport, peer.get(), &trace).await.unwrap().unwrap().1, "ok");
        assert_eq!((trace.count("Informational"), trace.count("Got100")), (1, 0));
    }
    assert_eq!(peer.accepted(), 1);
}
