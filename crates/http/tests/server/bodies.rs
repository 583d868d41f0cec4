//! Bodies of requests and responses.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use rosn_http::Body;
use rosn_http::server::{ServerOptions, handler_fn};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::support::{GET, SOON, exactly, head, start, start_with, text};

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_streamed_body_is_sent_as_it_comes() {
    let (to, mut from) = mpsc::channel::<&'static str>(1);
    let pieces = stream::poll_fn(move |cx| from.poll_recv(cx));
    let body = Body::from_stream(pieces.map(|piece| Ok::<_, io::Error>(Bytes::from(piece))));
    let body = std::sync::Mutex::new(Some(body));
    let running = start(move |_| {
        let body = body.lock().unwrap().take().unwrap_or_default();
        async move { Response::new(body) }
    });
    let mut client = running.send(GET).await;
    let head = client.head().await;
    assert_eq!(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["abc", "de"] {
        to.send(piece).await.unwrap();
        client.expect(&format!("{:x}\r\n{piece}\r\n", piece.len())).await;
    }
    drop(to);
    client.expect("0\r\n\r\n").await;
    client.send(GET).await;
    client.response().await;
    running.stop().await;
}

/// Both ways at once: the response's body is the request's.
#[tokio::test]
async fn a_body_can_be_echoed_while_it_comes() {
    let running = start(async |request: Request<Body>| Response::new(request.into_body()));
    let mut client = running.send(CHUNKED).await;
    client.head().await;
    for chunk in ["3\r\nabc\r\n", "1\r\nd\r\n", "0\r\n\r\n"] {
        client.send(chunk).await;
        client.expect(chunk).await;
    }
    let large = "x".repeat(1 << 20);
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", large.len());
    client.send(request).await;
    let (mut read, mut write) = client.0.split();
    let sends = async { write.write_all(large.as_bytes()).await.unwrap() };
    let reads = async {
        let head = head(&mut read).await;
        assert!(head.contains(&format!("Content-Length: {}", large.len())), "{head}");
        exactly(&mut read, large.len()).await
    };
    let ((), echoed) = tokio::join!(sends, reads);
    assert!(echoed == large);
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn trailers_come_and_go() {
    let running = start(async |request: Request<Body>| {
        let mut body = request.into_body();
        let mut seen = HeaderMap::new();
        while let Some(frame) = body.next().await {
            if let Ok(trailers) = frame.unwrap().into_trailers() {
                seen = trailers;
            }
        }
        seen.insert("x-sent", HeaderValue::from_static("1"));
        seen.insert("content-length", HeaderValue::from_static("1"));
        let frames = [Ok(Frame::data(Bytes::from("a"))), Ok(Frame::trailers(seen))];
        Response::new(Body::new(Frames(stream::iter(frames))))
    });
    let mut client = running.send(format!("{CHUNKED}2\r\nab\r\n0\r\nX-Got: 2\r\n\r\n")).await;
    client.head().await;
    client.expect("1\r\na\r\n0\r\nX-Got: 2\r\nX-Sent: 1\r\n\r\n").await;
    running.stop().await;
}

/// The frames of a stream.
struct Frames<S>(S);

impl<S: Stream<Item = io::Result<Frame<Bytes>>> + Unpin> http_body::Body for Frames<S> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_next_unpin(cx)
    }
}

/// A client that waits for 100 is told to go on when somebody reads, and not before.
#[tokio::test]
async fn continue_is_sent_when_the_body_is_read() {
    let running = start(async |request: Request<Body>| {
        if request.uri().path() == "/refuse" {
            return text("no");
        }
        text(String::from_utf8(request.into_body().bytes(10).await.unwrap().into()).unwrap())
    });
    let head = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = running.send(head("/")).await;
    client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("ab").await;
    assert_eq!(client.response().await.1, "ab");
    // Who has sent the body already is not told.
    client.send(head("/") + "cd").await;
    assert_eq!(client.response().await.1, "cd");
    client.send(head("/refuse")).await;
    let rest = client.rest().await;
    assert!(rest.contains("Connection: close\r\n") && rest.ends_with("no"), "{rest}");
    running.stop().await;
}

/// What the handler has not read is read for the sake of the next request, up to a bound.
#[tokio::test]
async fn a_body_that_nobody_reads() {
    let running = start(async |_| text("x"));
    let mut client =
        running.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab").await;
    assert!(!client.response().await.0.contains("close"));
    client.send(format!("{CHUNKED}2\r\nab\r\n0\r\n\r\n")).await;
    assert!(!client.response().await.0.contains("close"));
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n").await;
    assert!(client.head().await.contains("Connection: close\r\n"));
    client.expect("x").await;
    client.end().await;
    assert_eq!(client.rest().await, "");
    running.stop().await;
}

#[tokio::test]
async fn who_reads_a_body_learns_why_it_ended() {
    let (to, mut errors) = mpsc::unbounded_channel();
    let stall_timeout = Duration::from_millis(100);
    let options = ServerOptions { stall_timeout, ..ServerOptions::default() };
    let handler = handler_fn(move |request: Request<Body>| {
        let to = to.clone();
        async move {
            to.send(request.into_body().bytes(1000).await.unwrap_err()).unwrap();
            text("broken")
        }
    });
    let running = start_with(handler, options);
    let mut client = running.send(format!("{CHUNKED}1\r\na\r\nxyz")).await;
    assert!(client.rest_or_reset().await.ends_with("broken"));
    assert!(errors.recv().await.unwrap().is_parse());

    let mut client = running.send(format!("{CHUNKED}5\r\na")).await;
    client.end().await;
    assert!(client.rest().await.ends_with("broken"));
    let error = errors.recv().await.unwrap();
    let is_told = error.to_string().contains("before the end") || error.is_timeout();
    assert!(error.is_body() && is_told, "{error}");

    let mut client = running.send(format!("{CHUNKED}5\r\na")).await;
    assert!(client.head().await.contains("Connection: close"), "nothing comes any more");
    assert!(errors.recv().await.unwrap().is_timeout());
    drop(client);
    running.stop().await;
}

/// Row 66: a handler may take its time without reading; the deadline of a read does not hit it.
#[tokio::test]
async fn a_slow_handler_is_not_a_stalled_client() {
    let stall_timeout = Duration::from_millis(500);
    let options = ServerOptions { stall_timeout, header_timeout: SOON, ..ServerOptions::default() };
    let handler = handler_fn(move |request: Request<Body>| async move {
        tokio::time::sleep(stall_timeout * 2).await;
        let body = request.into_body().bytes(10).await.unwrap();
        text(format!("{} bytes", body.len()))
    });
    let running = start_with(handler, options);
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
    let mut client = running.send(request).await;
    assert_eq!(client.response().await.1, "2 bytes");
    client.send(GET).await;
    assert_eq!(client.response().await.1, "0 bytes");
    running.stop().await;
}

/// A response that fails in the middle must not look whole.
#[tokio::test]
async fn a_response_that_fails_is_cut() {
    let running = start(async |_| {
        let pieces = [Ok(Bytes::from("abc")), Err(io::Error::other("no more"))];
        Response::new(Body::from_stream(stream::iter(pieces)))
    });
    let mut client = running.send(GET).await;
    let rest = client.rest_or_reset().await;
    assert!(!rest.contains("0\r\n\r\n"), "{rest}");
    running.stop().await;
}
