//! Bodies: their flow, and their end before their time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::Method;
use http_body::Frame;
use rosn_http::{Body, Phase};
use rosn_trace::{RequestContext, RequestTraceExt as _};
use tokio::sync::mpsc;

use crate::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, STATUS_200};
use crate::peer::{Asked, Peer};
use crate::support::*;

/// A body whose pieces a test hands in.
struct Channel(mpsc::Receiver<Result<Bytes, &'static str>>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = rosn_http::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, rosn_http::BoxError>>> {
        let next = std::task::ready!(self.0.poll_recv(cx));
        Poll::Ready(next.map(|data| data.map(Frame::data).map_err(Into::into)))
    }
}

fn channel() -> (mpsc::Sender<Result<Bytes, &'static str>>, Body) {
    let (send, receive) = mpsc::channel(1);
    (send, Body::new(Channel(receive)))
}

async fn reset_of(stream: &mut SendStream<Bytes>) -> Reason {
    soon(std::future::poll_fn(|cx| stream.poll_reset(cx))).await.unwrap()
}

/// A large body each way, through windows much smaller.
#[tokio::test]
async fn large_bodies() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        let mut out = asked.answer(200, false);
        let body = asked.request.body_mut();
        while let Some(data) = body.data().await {
            let mut data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            while !data.is_empty() {
                out.reserve_capacity(data.len());
                let room = std::future::poll_fn(|cx| out.poll_capacity(cx)).await.unwrap().unwrap();
                out.send_data(data.split_to(room.min(data.len())), false).unwrap();
            }
        }
        out.send_data(Bytes::new(), true).unwrap();
    })
    .await;
    let sent: Vec<u8> = (0..8 << 20).map(|at: u32| (at % 251) as u8).collect();
    let transport = peer.transport();
    let trace = Recorder::default();
    let request = peer.request(Method::POST, sent.clone());
    let response = send(&transport, request, &trace).await.unwrap();
    let got = soon(response.into_body().bytes(1 << 24)).await.unwrap();
    assert!(got == sent);
    until(|| trace.count("PutIdle") == 1).await;
    assert_eq!(trace.only(&["WroteRequest"]), ["WroteRequest 8388608 body_sent=true ok"]);
}

/// Back-pressure: what nobody reads is not sent for ever, and does not stand in the way of others.
#[tokio::test]
async fn a_body_that_is_not_read() {
    let sent = Arc::<AtomicUsize>::default();
    let stalled = Hold::new();
    let (count, full) = (Arc::clone(&sent), stalled.clone());
    let peer = Peer::answering(move |mut asked: Asked| {
        let (count, full) = (Arc::clone(&count), full.clone());
        async move {
            if asked.request.uri().path() == "/short" {
                return asked.text("ok");
            }
            let mut out = asked.answer(200, false);
            let piece = Bytes::from_static(&[0; 16 * 1024]);
            loop {
                out.reserve_capacity(piece.len());
                if count.load(Ordering::SeqCst) >= 4 << 20 {
                    full.release();
                }
                let Some(Ok(room)) = std::future::poll_fn(|cx| out.poll_capacity(cx)).await else {
                    return;
                };
                let data = piece.slice(..room.min(piece.len()));
                count.fetch_add(data.len(), Ordering::SeqCst);
                out.send_data(data, false).unwrap();
            }
        }
    })
    .await;
    let transport = peer.transport();
    let response = soon(transport.send(peer.get())).await.unwrap();
    soon(stalled.wait(1)).await;
    let mut request = peer.get();
    *request.uri_mut() = peer.url("/short").parse().unwrap();
    let short = soon(transport.send(request)).await.unwrap();
    assert_eq!(read(short).await.1, "ok");
    assert_eq!((sent.load(Ordering::SeqCst), peer.accepted()), (4 << 20, 1));
    drop(response);
    until(|| transport.idle() == 1).await;
}

/// The body is still sent when the response is there, and its end is seen whichever ends first.
#[tokio::test]
async fn an_early_response() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        let mut out = asked.answer(200, false);
        let (body, _) = asked.body().await;
        out.send_data(Bytes::from(body), true).unwrap();
    })
    .await;
    let (feed, body) = channel();
    let trace = Recorder::default();
    let transport = peer.transport();
    let response = send(&transport, peer.request(Method::POST, body), &trace).await.unwrap();
    assert_eq!(trace.count("WroteRequest"), 0);
    feed.send(Ok(Bytes::from_static(b"hello "))).await.unwrap();
    feed.send(Ok(Bytes::from_static(b"world"))).await.unwrap();
    drop(feed);
    assert_eq!(read(response).await.1, "hello world");
    until(|| trace.count("PutIdle") == 1).await;
    assert_eq!(trace.only(&["WroteRequest"]), ["WroteRequest 11 body_sent=true ok"]);
}

/// Row 32 of HTTP/2: a whole response before the request is sent. The rest is given up after a while; the connection is
/// as good as before.
#[tokio::test]
async fn a_response_that_does_not_wait_for_the_request() {
    for says_so in [false, true] {
        let peer = Peer::raw(None, move |_, stream| async move {
            let mut frames = Frames::new(stream).await;
            let stream = frames.request().await.unwrap();
            frames.send(HEADERS, END_HEADERS, stream, STATUS_200).await;
            frames.send(DATA, END_STREAM, stream, b"no").await;
            if says_so {
                frames.reset(stream, 0).await;
            }
            frames.closed().await;
        })
        .await;
        let (feed, body) = channel();
        let trace = Recorder::default();
        let transport = peer.transport();
        let response = send(&transport, peer.request(Method::POST, body), &trace).await.unwrap();
        assert_eq!(read(response).await, (200, "no".into()));
        until(|| trace.count("PutIdle") == 1).await;
        assert!(
            trace.only(&["WroteRequest"])[0].starts_with("WroteRequest 0 body_sent=false fail")
        );
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle ok"]);
        soon(feed.closed()).await;
        assert_eq!(transport.idle(), 1);
    }
}

/// Row 35 of HTTP/2: a body that is dropped ends its stream by CANCEL, with the request that is still being sent; the
/// connection is kept.
#[tokio::test]
async fn a_body_that_is_dropped() {
    let resets = Hold::new();
    let seen = resets.clone();
    let peer = Peer::answering(move |mut asked: Asked| {
        let seen = seen.clone();
        async move {
            let mut out = asked.answer(200, false);
            out.send_data(Bytes::from_static(b"some"), false).unwrap();
            assert_eq!(reset_of(&mut out).await, Reason::CANCEL);
            seen.release();
        }
    })
    .await;
    let transport = peer.transport();
    for (number, is_sending) in [(1, false), (2, true)] {
        let trace = Recorder::default();
        let (feed, body) = channel();
        let body = if is_sending { body } else { Body::empty() };
        let response = send(&transport, peer.request(Method::POST, body), &trace).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(body.next().await.unwrap().unwrap().into_data().unwrap(), "some");
        drop(body);
        soon(resets.wait(number)).await;
        if is_sending {
            soon(feed.closed()).await;
        }
        assert_eq!(trace.only(&["ResponseBody"]), ["ResponseBodyDone 4 failed: cancelled"]);
        until(|| trace.count("PutIdle") == 1).await;
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle ok"]);
    }
    assert_eq!((peer.accepted(), transport.idle()), (1, 1));
}

/// Rows 16, 39, 47 and T24 of HTTP/2: whoever is given up ends its own stream, in whichever phase, and no other.
#[tokio::test]
async fn a_request_that_is_given_up() {
    let resets = Hold::new();
    let seen = resets.clone();
    let peer = Peer::answering(move |mut asked: Asked| {
        let seen = seen.clone();
        async move {
            match asked.request.uri().path() {
                "/ok" => asked.text("ok"),
                "/head" => {
                    let reset = std::future::poll_fn(|cx| asked.respond.poll_reset(cx)).await;
                    assert_eq!(reset.unwrap(), Reason::CANCEL);
                    seen.release();
                }
                _ => {
                    assert_eq!(reset_of(&mut asked.answer(200, false)).await, Reason::CANCEL);
                    seen.release();
                }
            }
        }
    })
    .await;
    let transport = peer.transport();
    let at = |path| {
        let mut request = peer.get();
        *request.uri_mut() = peer.url(path).parse().unwrap();
        request
    };
    // By its context, before and after the head.
    for (number, path) in [(1, "/head"), (2, "/body")] {
        let (context, cancel) = RequestContext::background().with_cancel();
        let mut request = at(path);
        request.set_context(context);
        let trace = Recorder::default();
        request.with_trace(trace.clone());
        let task = tokio::spawn({
            let transport = transport.clone();
            async move { transport.send(request).await?.into_body().bytes(10).await }
        });
        let phase = if path == "/head" { "WroteRequest" } else { "ResponseHead" };
        until(|| trace.count(phase) == 1).await;
        assert_eq!(read(soon(transport.send(at("/ok"))).await.unwrap()).await.1, "ok");
        cancel.cancel();
        let error = soon(task).await.unwrap().unwrap_err();
        let phase = if path == "/head" { Phase::Wait } else { Phase::Body };
        assert!(error.is_cancelled() && error.phase() == phase, "{error}");
        soon(resets.wait(number)).await;
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle ok"]);
    }
    // By dropping its future.
    let trace = Recorder::default();
    let task = spawn(&transport, at("/head"), &trace);
    until(|| trace.count("WroteRequest") == 1).await;
    task.abort();
    soon(resets.wait(3)).await;
    assert_eq!((peer.accepted(), transport.idle()), (1, 1));
}

/// The body to be sent fails, before and after the response has begun.
#[tokio::test]
async fn a_body_that_fails() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        if asked.request.uri().path() == "/early" {
            asked.answer(200, false);
        }
        let gone = loop {
            match asked.request.body_mut().data().await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(gone.reason(), Some(Reason::CANCEL));
    })
    .await;
    let transport = peer.transport();
    for path in ["/", "/early"] {
        let (feed, body) = channel();
        let mut request = peer.request(Method::POST, body);
        *request.uri_mut() = peer.url(path).parse().unwrap();
        let trace = Recorder::default();
        let task = spawn(&transport, request, &trace);
        feed.send(Ok(Bytes::from_static(b"hello"))).await.unwrap();
        if path == "/early" {
            until(|| trace.count("ResponseHead") == 1).await;
        }
        feed.send(Err("out of paper")).await.unwrap();
        let error = soon(task).await;
        let Ok(Err(error)) = error else {
            // `read` panics where the body fails.
            assert!(error.is_err() && path == "/early");
            continue;
        };
        assert!(error.is_body() && error.to_string().contains("out of paper"), "{error}");
        assert_eq!(transport.idle(), 1);
    }
}

/// What was announced and what comes are not the same.
#[tokio::test]
async fn a_body_of_another_length() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        while let Some(Ok(_)) = asked.request.body_mut().data().await {}
    })
    .await;
    let transport = peer.transport();
    for length in ["3", "7"] {
        let body = Body::from_reader(&b"hello"[..]);
        let mut request = peer.request(Method::POST, body);
        request.headers_mut().insert("content-length", length.parse().unwrap());
        let error = soon(transport.send(request)).await.unwrap_err();
        assert!(error.is_body() && error.to_string().contains("than announced"), "{error}");
    }
}
