//! Requests and responses, and handlers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use rosn_http::Body;
use rosn_http::server::{Informational, InformationalError, handler_fn};
use rosn_trace::{Callbacks, RequestTraceExt as _};
use tokio::sync::mpsc;

use super::{body, client, echo, plain, send};
use crate::support::*;

/// Bodies of both ways at a time, with trailers, larger than any window.
#[tokio::test]
async fn bodies() {
    let server = start_with(handler_fn(echo), plain());
    let transport = client().build().unwrap();
    let sent = "0123456789abcdef".repeat(256 * 1024);
    let request = server.request(Method::POST, "/", sent.clone());
    assert!(body(send(&transport, request).await).await == sent);

    let (feed, receive) = mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::unfold(receive, |mut receive| async {
        let next = receive.recv().await?;
        Some((Ok::<_, std::io::Error>(next), receive))
    });
    let request = server.request(Method::POST, "/", Body::from_stream(stream));
    let response = send(&transport, request).await;
    let mut body = response.into_body();
    for word in ["one", "two"] {
        feed.send(Bytes::from(word)).await.unwrap();
        let frame = soon(body.next()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), word);
    }
    drop(feed);
    assert!(
        soon(body.next()).await.is_none_or(|frame| frame.unwrap().into_data().unwrap().is_empty())
    );
    drop(transport);
    server.stop().await;
}

/// Responses without a body, and with fields that HTTP/2 does not have.
#[tokio::test]
async fn heads() {
    let server = start_with(
        handler_fn(async |request: Request<Body>| {
            let mut response = text("hello");
            for (name, value) in
                [("transfer-encoding", "chunked"), ("keep-alive", "1"), ("upgrade", "h3")]
            {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            if request.uri().path() == "/204" {
                *response.status_mut() = StatusCode::NO_CONTENT;
                *response.body_mut() = Body::empty();
            }
            response
        }),
        plain(),
    );
    let transport = client().build().unwrap();
    let response = send(&transport, server.request(Method::HEAD, "/", Body::empty())).await;
    assert_eq!(response.headers()["content-length"], "5");
    assert_eq!(response.headers().len(), 2);
    assert_eq!(body(response).await, "");
    let response = send(&transport, server.get("/204")).await;
    assert_eq!((response.status().as_u16(), response.headers().len()), (204, 1));
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    drop(transport);
    server.stop().await;
}

/// 103 goes out before the response, 100 when somebody reads the body; not after the response.
#[tokio::test]
async fn interim_responses() {
    let server = start_with(
        handler_fn(async |request: Request<Body>| {
            let interim = request.extensions().get::<Informational>().unwrap().clone();
            let mut headers = HeaderMap::new();
            headers.insert("link", HeaderValue::from_static("a"));
            interim.send(StatusCode::EARLY_HINTS, &headers).unwrap();
            let refused = interim.send(StatusCode::OK, &headers).unwrap_err();
            assert_eq!(refused, InformationalError::Status(StatusCode::OK));
            headers.insert("link", HeaderValue::try_from("b".repeat(70_000)).unwrap());
            let refused = interim.send(StatusCode::EARLY_HINTS, &headers).unwrap_err();
            assert_eq!(refused, InformationalError::TooMany);
            if request.uri().path() == "/unread" {
                return text("no");
            }
            if request.uri().path() == "/late" {
                let mut body = request.into_body();
                tokio::spawn(async move {
                    let error = body.next().await.unwrap().unwrap_err();
                    let why = error.to_string();
                    assert!(error.is_truncated(), "{why}");
                });
                return text("no");
            }
            let body = request.into_body().bytes(9).await.unwrap();
            Response::new(Body::from(body))
        }),
        plain(),
    );
    let transport = client().expect_continue_timeout(None).build().unwrap();
    let paths =
        [("/", "hello", vec![103, 100]), ("/unread", "no", vec![103]), ("/late", "no", vec![103])];
    for (path, wanted, seen) in paths {
        let mut request = server.request(Method::POST, path, "hello");
        request.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
        let (tell, mut told) = mpsc::unbounded_channel();
        request.with_trace(
            Callbacks::new()
                .on_informational(move |status, _| tell.send(status.as_u16()).map_err(Into::into)),
        );
        assert_eq!(body(send(&transport, request).await).await, wanted);
        for status in seen {
            assert_eq!(told.recv().await, Some(status));
        }
        assert_eq!(told.recv().await, None);
    }
    drop(transport);
    server.stop().await;
}

/// Handlers that make mistakes, or panic: 500, or a reset where the response had begun. Other requests go on.
#[tokio::test]
async fn mistakes() {
    let server = start_with(
        handler_fn(async |request: Request<Body>| {
            let broken = |text: &'static str| {
                let pieces = [Ok(Bytes::from_static(b"some")), Err(std::io::Error::other(text))];
                Response::new(Body::from_stream(futures_util::stream::iter(pieces)))
            };
            match request.uri().path() {
                "/panic" => panic!("on purpose"),
                "/101" => {
                    let mut response = text("");
                    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                    response
                }
                "/length" => {
                    let mut response = text("hello");
                    response.headers_mut().insert("content-length", HeaderValue::from_static("4"));
                    response
                }
                "/body" => broken("out of paper"),
                "/short" => {
                    let mut response = Response::new(Body::from_reader(&b"some"[..]));
                    response.headers_mut().insert("content-length", HeaderValue::from_static("5"));
                    response
                }
                _ => text("hello"),
            }
        }),
        plain(),
    );
    let transport = client().build().unwrap();
    for path in ["/panic", "/101", "/length"] {
        assert_eq!(send(&transport, server.get(path)).await.status(), 500, "{path}");
    }
    for path in ["/body", "/short"] {
        let asking = async { transport.send(server.get(path)).await?.into_body().bytes(9).await };
        let error = soon(asking).await.unwrap_err();
        assert!(error.to_string().contains("INTERNAL_ERROR"), "{error}");
    }
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    assert_eq!(server.states.of(2), []);
    drop(transport);
    server.stop().await;
}

/// Row 65 and H18 for HTTP/2: a request that its client gives up is told so, and goes on as far as it likes; what it reads
/// fails.
#[tokio::test]
async fn a_client_that_gives_up() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = start_with(
        handler_fn(move |mut request: Request<Body>| {
            let tell = tell.clone();
            async move {
                tell.send("asked").unwrap();
                let context = request.context();
                context.cancelled().await;
                assert!(request.body_mut().next().await.unwrap().is_err());
                tell.send("cancelled").unwrap();
                text("nobody reads this")
            }
        }),
        plain(),
    );
    let transport = client().build().unwrap();
    for whole in [false, true] {
        let body = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
        let request = server.request(Method::POST, "/", body);
        let asking = tokio::spawn({
            let transport = transport.clone();
            async move { transport.send(request).await }
        });
        assert_eq!(soon(told.recv()).await, Some("asked"));
        if whole {
            // The connection as a whole.
            transport.close_idle();
        }
        asking.abort();
        assert_eq!(soon(told.recv()).await, Some("cancelled"));
    }
    drop(transport);
    server.stop().await;
}
