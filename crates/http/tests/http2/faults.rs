//! Servers that break the protocol, or just break.

use std::time::Duration;

use http::Method;
use rosn_http::Phase;
use tokio::io::AsyncWriteExt as _;

use crate::frames::*;
use crate::peer::Peer;
use crate::support::*;

/// What a request to a server comes to that answers its first request so.
async fn answered<F, Fut>(answer: F) -> rosn_http::Error
where
    F: Fn(Frames, u32) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let peer = Peer::raw(None, move |_, stream| {
        let answer = answer.clone();
        async move {
            let mut frames = Frames::new(stream).await;
            if let Some(stream) = frames.request().await {
                answer(frames, stream).await;
            }
        }
    })
    .await;
    let transport = peer.transport();
    let result = match soon(transport.send(peer.get())).await {
        Ok(response) => soon(response.into_body().bytes(1 << 20)).await.map(drop),
        Err(error) => Err(error),
    };
    drop(transport);
    peer.no_leak().await;
    result.unwrap_err()
}

/// A literal field without indexing.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, name.len() as u8];
    bytes.extend(name.as_bytes());
    bytes.push(value.len() as u8);
    bytes.extend(value.as_bytes());
    bytes
}

#[tokio::test]
async fn no_http2_at_all() {
    let peer = Peer::raw(None, |_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let mut frames = Frames::new(stream).await;
        frames.closed().await;
    })
    .await;
    let transport = peer.transport();
    let error = soon(transport.send(peer.get())).await.unwrap_err();
    assert!(error.is_parse(), "{error}");
    until(|| transport.idle() == 0).await;
    peer.no_leak().await;
}

#[tokio::test]
async fn heads() {
    // 101, which HTTP/2 does not have; a field in upper case; no status; a field of HTTP/1.1.
    for fields in [
        field(":status", "101"),
        [STATUS_200.to_vec(), field("A", "b")].concat(),
        field("a", "b"),
        [STATUS_200.to_vec(), field("connection", "close")].concat(),
    ] {
        let error = answered(move |mut frames, stream| {
            let fields = fields.clone();
            async move {
                frames.send(HEADERS, END_HEADERS, stream, &fields).await;
                frames.closed().await;
            }
        })
        .await;
        assert!(error.is_parse(), "{error}");
    }
}

/// More fields than allowed, and more bytes of them.
#[tokio::test]
async fn large_heads() {
    let error = answered(|mut frames, stream| async move {
        let mut fields = STATUS_200.to_vec();
        for _ in 0..1001 {
            fields.extend(field("a", "b"));
        }
        frames.send(HEADERS, END_HEADERS, stream, &fields).await;
        frames.closed().await;
    })
    .await;
    assert!(error.is_too_large(), "{error}");

    let error = answered(|mut frames, stream| async move {
        frames.send(HEADERS, 0, stream, STATUS_200).await;
        let mut block = Vec::new();
        for _ in 0..100 {
            block.extend(field("a", &"b".repeat(100)));
        }
        // A bomb of CONTINUATION frames.
        for _ in 0..1000 {
            frames.send(9, 0, stream, &block).await;
        }
        frames.closed().await;
    })
    .await;
    assert!(error.is_parse() || error.is_closed_early(), "{error}");
}

/// The connection ends before the head, within the body, and within the length that was announced.
#[tokio::test]
async fn an_end_before_its_time() {
    let error = answered(|_, _| async {}).await;
    assert!(error.is_closed_early() && error.phase() == Phase::Wait, "{error}");
    let error = answered(|mut frames, stream| async move {
        frames.send(HEADERS, END_HEADERS, stream, STATUS_200).await;
        frames.send(DATA, 0, stream, b"some").await;
    })
    .await;
    assert!(error.is_truncated(), "{error}");
    let error = answered(|mut frames, stream| async move {
        let fields = [STATUS_200.to_vec(), field("content-length", "5")].concat();
        frames.send(HEADERS, END_HEADERS, stream, &fields).await;
        frames.send(DATA, END_STREAM, stream, b"some").await;
        frames.closed().await;
    })
    .await;
    assert!(error.is_body() && error.is_parse(), "{error}");
}

/// A reset within the body says why.
#[tokio::test]
async fn a_reset() {
    let error = answered(|mut frames, stream| async move {
        frames.send(HEADERS, END_HEADERS, stream, STATUS_200).await;
        frames.send(DATA, 0, stream, b"some").await;
        frames.reset(stream, 2).await;
        frames.closed().await;
    })
    .await;
    assert!(error.is_truncated(), "{error}");
    assert!(error.to_string().ends_with("the stream was reset: INTERNAL_ERROR"), "{error}");
}

/// A server that has gone without a word is found out by a ping, and the next request goes elsewhere.
#[tokio::test]
async fn a_server_that_answers_no_ping() {
    let peer = Peer::raw(None, |number, stream| async move {
        let mut frames = Frames::new(stream).await;
        let stream = frames.request().await.unwrap();
        if number > 0 {
            frames.ok(stream).await;
        }
        while let Some(frame) = frames.next().await {
            if frame.kind == PING && number > 0 {
                frames.send(PING, 1, 0, &frame.payload).await;
            }
        }
    })
    .await;
    let brief = Duration::from_millis(20);
    let transport = peer.builder().ping(Some(brief), brief).build().unwrap();
    let error = soon(transport.send(peer.request(Method::POST, "x"))).await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("ping"), "{error}");
    let transport = peer.builder().ping(Some(brief), PATIENCE).build().unwrap();
    assert_eq!(soon(transport.send(peer.get())).await.unwrap().status(), 200);
    drop(transport);
    peer.no_leak().await;
}

/// Row 50 of HTTP/2.
#[tokio::test]
async fn a_head_that_takes_too_long() {
    let peer = Peer::raw(None, |_, stream| async move {
        let mut frames = Frames::new(stream).await;
        frames.closed().await;
    })
    .await;
    let limit = Some(Duration::from_millis(20));
    let transport = peer.builder().response_head_timeout(limit).build().unwrap();
    let error = soon(transport.send(peer.get())).await.unwrap_err();
    assert!(error.is_timeout() && error.phase() == Phase::Wait, "{error}");
    assert_eq!(transport.idle(), 1);
}
