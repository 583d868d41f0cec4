//! What a trace sees.

use bytes::Bytes;
use h2::server::Builder;
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body::Frame;
use rosn_http::Body;

use crate::peer::{Asked, Peer, serve};
use crate::support::*;

async fn ok(mut asked: Asked) {
    asked.body().await;
    asked.text("ok");
}

/// Row 3 and order 15 of HTTP/2: a first request with a body, by ALPN; and T14: the connection is put back before the
/// end of the body is read.
#[tokio::test]
async fn a_first_request() {
    let peer = Peer::with(Builder::new(), true, |_, conn| serve(conn, ok)).await;
    let transport = peer.transport();
    let trace = Recorder::default();
    let response = send(&transport, peer.request(Method::POST, "hello"), &trace).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(read(response).await, (200, "ok".into()));
    let mut events = trace.events();
    // The order of sending and receiving is not promised: T21.
    let wrote = events.iter().position(|event| event.starts_with("WroteRequest")).unwrap();
    assert_eq!(events.remove(wrote), "WroteRequest 5 body_sent=true ok");
    assert_eq!(events[0], "GetConn 1");
    let tls = events.iter().position(|event| event.starts_with("TlsDone")).unwrap();
    assert!(events[tls].contains("[104, 50]"), "{events:?}"); // h2
    let rest = [
        "GotConn reused=false was_idle=false before=0",
        "WroteHeaders",
        "FirstResponseByte",
        "ResponseHead 200",
        "ResponseBodyDone 2 ok",
        "PutIdle ok",
    ];
    assert_eq!(events[tls + 1..], rest);
    drop(transport);
    peer.no_leak().await;
}

/// Rows 8 and 11 of HTTP/2: names in lower case, pseudo fields first, nothing of HTTP/1.1; a field for each cookie.
#[tokio::test]
async fn the_fields_of_a_request() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        assert_eq!(asked.request.version(), Version::HTTP_2);
        let headers = asked.request.headers();
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert!(!headers.contains_key("connection") && !headers.contains_key("host"));
        assert_eq!(asked.request.uri().authority().unwrap(), "example.com");
        asked.text("ok");
    })
    .await;
    let mut request = peer.request(Method::POST, "hello");
    *request.uri_mut() = format!("{}a?b", peer.url("/")).parse().unwrap();
    for (name, value) in [
        ("host", "example.com"),
        ("connection", "close"),
        ("keep-alive", "1"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip, trailers"),
        ("cookie", "a=1; b=2"),
        ("x-a", "1"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let trace = Recorder::with_fields();
    let transport = peer.transport();
    assert_eq!(read(send(&transport, request, &trace).await.unwrap()).await.0, 200);
    let mut fields = trace.only(&["Field"]);
    fields[4..].sort(); // they have no order
    assert_eq!(
        fields,
        [
            "Field :method: POST",
            "Field :scheme: http",
            "Field :authority: example.com",
            "Field :path: /a?b",
            "Field content-length: 5",
            "Field cookie: a=1",
            "Field cookie: b=2",
            "Field x-a: 1",
        ]
    );
    assert_eq!(trace.count("PutIdle"), 1);
    // Row 11, 24: who asked for a close gets it.
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle RequestAskedClose"]);
    peer.no_leak().await;
}

/// Rows 4 and 9, T21: each stream has one GotConn, and the last of a connection puts it back.
#[tokio::test]
async fn one_got_conn_for_each_stream() {
    let hold = Hold::new();
    let held = hold.clone();
    let peer = Peer::answering(move |mut asked: Asked| {
        let held = held.clone();
        async move {
            held.wait(1).await;
            asked.text("ok");
        }
    })
    .await;
    let transport = peer.transport();
    // Without a trace, too.
    hold.release();
    assert_eq!(read(soon(transport.send(peer.get())).await.unwrap()).await.0, 200);
    let traces = [Recorder::default(), Recorder::default()];
    let hold = Hold::new();
    let (first, second) = (spawn(&transport, peer.get(), &traces[0]), {
        until(|| traces[0].count("GotConn") == 1).await;
        spawn(&transport, peer.get(), &traces[1])
    });
    drop(hold);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    for trace in &traces {
        assert_eq!(trace.count("GotConn"), 1);
        assert_eq!(trace.count("Connect"), 0);
    }
    assert!(traces[0].only(&["GotConn"])[0].starts_with("GotConn reused=true was_idle=true"));
    assert!(traces[1].only(&["GotConn"])[0].starts_with("GotConn reused=true"));
    assert_eq!((peer.accepted(), transport.idle()), (1, 1));
}

/// Trailers go both ways, without those that say how a message is framed.
#[tokio::test]
async fn trailers() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        let (body, trailers) = asked.body().await;
        assert_eq!(body, "hello");
        let trailers = trailers.unwrap();
        assert_eq!((trailers.len(), &trailers["x-sum"]), (1, &HeaderValue::from_static("5")));
        let mut stream = asked.answer(200, false);
        stream.send_data(Bytes::from_static(b"ok"), false).unwrap();
        stream.send_trailers(trailers).unwrap();
    })
    .await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("5"));
    trailers.insert("content-length", HeaderValue::from_static("7"));
    let frames = [Frame::data(Bytes::from_static(b"hello")), Frame::trailers(trailers)];
    let frames = frames.into_iter().map(Ok::<_, std::io::Error>);
    let body = Body::new(Frames(frames.collect::<Vec<_>>().into_iter()));
    let trace = Recorder::default();
    let transport = peer.transport();
    let response = send(&transport, peer.request(Method::POST, body), &trace).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.next().await.unwrap().unwrap().into_data().unwrap(), "ok");
    assert_eq!(trace.count("PutIdle"), 0);
    assert_eq!(body.next().await.unwrap().unwrap().into_trailers().unwrap()["x-sum"], "5");
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle ok"]);
    assert!(body.next().await.is_none());
}

struct Frames(std::vec::IntoIter<std::io::Result<Frame<Bytes>>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<Frame<Bytes>>>> {
        std::task::Poll::Ready(self.get_mut().0.next())
    }
}

/// Row 33 of HTTP/2: without a body the connection is free before the response is there.
#[tokio::test]
async fn responses_without_a_body() {
    let peer = Peer::answering(|mut asked: Asked| async move {
        asked.answer(if asked.request.method() == Method::HEAD { 200 } else { 204 }, true);
    })
    .await;
    let transport = peer.transport();
    for method in [Method::HEAD, Method::GET] {
        let trace = Recorder::default();
        let response = send(&transport, peer.request(method, Body::empty()), &trace).await;
        assert_eq!(trace.only(&["Put", "ResponseBody"]), ["ResponseBodyDone 0 ok", "PutIdle ok"]);
        assert_eq!(read(response.unwrap()).await.1, "");
    }
    assert_eq!(peer.accepted(), 1);
}
