//! What requests look like on the wire, and which are refused.

use http::{Method, Request};
use http_body::Frame;
use rosn_http::{Body, Phase};
use tokio::sync::mpsc;

use crate::support::*;

/// A server that tells each head it gets, and answers 204.
async fn telling() -> (Server, mpsc::UnboundedReceiver<String>) {
    let (sender, heads) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut conn| {
        let sender = sender.clone();
        async move {
            while let Some(head) = conn.head().await {
                sender.send(head).unwrap();
                conn.send(EMPTY).await;
            }
        }
    })
    .await;
    (server, heads)
}

#[tokio::test]
async fn the_head_on_the_wire() {
    let (server, mut heads) = telling().await;
    let transport = transport();
    let host = server.addr;
    let trace = Recorder::with_fields();
    let request = Request::get(server.url("/a?b"))
        .header("x-one", "1")
        .header("x-two", "2")
        .body(Body::empty())
        .unwrap();
    send(&transport, request, &trace).await.unwrap();
    assert_eq!(
        heads.recv().await.unwrap(),
        format!("GET /a?b HTTP/1.1\r\nhost: {host}\r\nx-one: 1\r\nx-two: 2\r\n\r\n")
    );
    assert_eq!(
        trace.only(&["Field"]),
        [format!("Field host: {host}"), "Field x-one: 1".to_owned(), "Field x-two: 2".to_owned()]
    );
    let request = Request::post(server.url("?q"))
        .header("host", "other.example")
        .body(Body::empty())
        .unwrap();
    send(&transport, request, &trace).await.unwrap();
    assert_eq!(
        heads.recv().await.unwrap(),
        "POST /?q HTTP/1.1\r\nhost: other.example\r\ncontent-length: 0\r\n\r\n"
    );
    // Neither user nor password of the URI is sent, nor shown.
    let request = Request::options(format!("http://me:secret@{host}")).body(Body::empty()).unwrap();
    send(&transport, request, &trace).await.unwrap();
    assert_eq!(heads.recv().await.unwrap(), format!("OPTIONS / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    assert!(!trace.events().iter().any(|event| event.contains("secret")));
    // Nor is what was sent on a connection that now lies idle.
    let request = Request::get(server.url("/")).header("authorization", "secret");
    send(&transport, request.body(Body::empty()).unwrap(), &trace).await.unwrap();
    let shown = format!("{transport:?}");
    assert!(shown.contains("Connection") && !shown.contains("115, 101, 99, 114"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    drop(transport);
    server.no_leak().await;
}

/// What two readers could take for requests of different lengths is not sent, and nothing is done for it.
#[tokio::test]
async fn requests_that_are_refused() {
    let (server, mut heads) = telling().await;
    let transport = transport();
    let stream = || Body::from_reader(&b"abc"[..]);
    let plain = |method: Method| Request::builder().method(method).uri(server.url("/"));
    let cases = [
        plain(Method::POST).header("content-length", "4").body(Body::from("abc")),
        plain(Method::POST).header("content-length", "+3").body(stream()),
        plain(Method::POST).header("content-length", "3, 3").body(stream()),
        plain(Method::POST).header("content-length", "").body(stream()),
        plain(Method::POST)
            .header("content-length", "3")
            .header("content-length", "3")
            .body(stream()),
        plain(Method::POST)
            .header("content-length", "3")
            .header("transfer-encoding", "chunked")
            .body(stream()),
        plain(Method::POST).header("transfer-encoding", "gzip, chunked").body(stream()),
        plain(Method::POST).header("transfer-encoding", "identity").body(stream()),
        plain(Method::GET).header("host", "a b").body(Body::empty()),
        plain(Method::GET).header("host", "a").header("host", "b").body(Body::empty()),
        plain(Method::CONNECT).body(Body::from("abc")),
        Request::get("/no/authority").body(Body::empty()),
        Request::get("ftp://example.com/").body(Body::empty()),
    ];
    for request in cases {
        let request = request.unwrap();
        let shown = format!("{request:?}");
        let trace = Recorder::default();
        let error = send(&transport, request, &trace).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Request, "{shown}: {error}");
        assert!(error.is_request());
        assert_eq!(trace.events(), [""; 0], "{shown}");
    }
    assert_eq!(server.accepted(), 0);
    assert!(heads.try_recv().is_err());
}

/// A body that announces a length and has another: the server does not get a whole request.
#[tokio::test]
async fn bodies_of_another_length_than_announced() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.closed().await;
    })
    .await;
    for body in ["abc", "abcdef"] {
        let request = Request::post(server.url("/"))
            .header("content-length", "5")
            .body(Body::from_reader(body.as_bytes()))
            .unwrap();
        let trace = Recorder::default();
        let error = send(&transport(), request, &trace).await.unwrap_err();
        assert!(error.is_body() && error.phase() == Phase::Write, "{error}");
        assert_eq!(trace.count("WroteRequest"), 1);
    }
    server.no_leak().await;
}

#[tokio::test]
async fn chunks_and_trailers_go_out() {
    let server = Server::start(|_, mut conn| async move {
        let head = conn.head().await.unwrap();
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        let body = "3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n";
        assert_eq!(conn.body(body.len()).await.unwrap(), body);
        conn.send(OK).await;
        conn.closed().await;
    })
    .await;
    let mut sum = http::HeaderMap::new();
    sum.insert("x-sum", "5".parse().unwrap());
    // What would change the message where trailers are merged into its head.
    for forbidden in ["content-length", "transfer-encoding", "host", "authorization"] {
        sum.insert(forbidden, "forged".parse().unwrap());
    }
    let frames = [Frame::data("abc".into()), Frame::data("de".into()), Frame::trailers(sum)];
    let request = server.request(Method::POST, Body::new(Frames(frames.into())));
    let response = send(&transport(), request, &Recorder::default()).await.unwrap();
    assert_eq!(read(response).await.1, "ok");
    server.no_leak().await;
}

struct Frames(std::collections::VecDeque<Frame<bytes::Bytes>>);

impl http_body::Body for Frames {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.pop_front().map(Ok))
    }
}
