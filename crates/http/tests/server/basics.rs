//! Requests and responses.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use rosn_http::Body;
use rosn_http::server::{Informational, InformationalError, ServerOptions, handler_fn};

use crate::support::{GET, start, start_with, text};

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let running = start(async |request: Request<Body>| text(request.uri().to_string()));
    let mut client = running.connect().await;
    for path in ["/a", "/b?c", "/"] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let (head, body) = client.response().await;
        assert_eq!(body, path);
        assert_eq!(head, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len()));
    }
    client.send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let rest = client.rest().await;
    assert!(rest.contains("Connection: close\r\n") && rest.ends_with("/last"), "{rest}");
    running.stop().await;
}

/// Row 59: requests that come together are answered in order, and no byte is read twice.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = start(async |request: Request<Body>| {
        tokio::task::yield_now().await;
        let path = request.uri().path().to_owned();
        let body = request.into_body().bytes(100).await.unwrap();
        text(format!("{path}={}", String::from_utf8_lossy(&body)))
    });
    let mut all = String::new();
    for at in 0..100 {
        all += &match at % 3 {
            0 => format!("GET /{at} HTTP/1.1\r\nHost: x\r\n\r\n"),
            1 => format!("POST /{at} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"),
            _ => format!(
                "POST /{at} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                 1\r\nc\r\n1\r\nd\r\n0\r\n\r\n"
            ),
        };
    }
    let mut client = running.send(&all).await;
    for at in 0..100 {
        let body = ["", "ab", "cd"][at % 3];
        assert_eq!(client.response().await.1, format!("/{at}={body}"));
    }
    running.stop().await;
}

#[tokio::test]
async fn heads_come_in_pieces() {
    let running = start(async |request: Request<Body>| text(request.method().to_string()));
    let mut client = running.connect().await;
    client.0.set_nodelay(true).unwrap();
    for byte in GET.as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.response().await.1, "GET");
    running.stop().await;
}

#[tokio::test]
async fn no_body_where_there_must_be_none() {
    let running = start(async |request: Request<Body>| {
        let status = request.uri().path()[1..].parse::<u16>().unwrap();
        Response::builder().status(status).body(Body::from("hello")).unwrap()
    });
    let mut client = running.connect().await;
    client.send("HEAD /200 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    client.send("GET /204 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 204 No Content\r\n\r\n");
    client.send("GET /304 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 304 Not Modified\r\n\r\n");
    client.send("GET /200 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.response().await.1, "hello");
    running.stop().await;
}

#[tokio::test]
async fn http_1_0_ends_with_the_connection_unless_asked() {
    let running = start(async |request: Request<Body>| match request.uri().path() {
        "/stream" => Response::new(Body::from_reader(&b"streamed"[..])),
        _ => text("whole"),
    });
    let mut client = running.send("GET / HTTP/1.0\r\n\r\n").await;
    let rest = client.rest().await;
    assert!(rest.contains("Connection: close") && rest.ends_with("whole"), "{rest}");
    let mut client = running.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    assert!(client.response().await.0.contains("Connection: keep-alive\r\n"));
    client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let rest = client.rest().await;
    assert!(rest.ends_with("Connection: close\r\n\r\nstreamed"), "{rest}");
    running.stop().await;
}

#[tokio::test]
async fn fields_of_the_handler_are_sent_and_framing_is_ours() {
    let running = start(async |_| {
        Response::builder()
            .header("x-a", "1")
            .header("date", "yesterday")
            .header("transfer-encoding", "gzip")
            .header("content-length", "2")
            .body(Body::from("ok"))
            .unwrap()
    });
    let mut client = running.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let rest = client.rest().await;
    let wanted = "HTTP/1.1 200 OK\r\nX-A: 1\r\nDate: yesterday\r\nContent-Length: 2\r\n\
                  Connection: close\r\n\r\nok";
    assert_eq!(rest, wanted);
    running.stop().await;
}

/// A handler's mistake is a 500, and not half a response.
#[tokio::test]
async fn responses_that_cannot_be_sent_are_500() {
    let running = start(async |request: Request<Body>| {
        let response = Response::builder();
        let response = match request.uri().path() {
            "/length" => response.header("content-length", "3").body(Body::from("four")),
            "/number" => response.header("content-length", "+4").body(Body::from("four")),
            "/interim" => response.status(StatusCode::EARLY_HINTS).body(Body::empty()),
            _ => response.status(StatusCode::SWITCHING_PROTOCOLS).body(Body::empty()),
        };
        response.unwrap()
    });
    for path in ["/length", "/number", "/interim", "/switch"] {
        let mut client = running.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let rest = client.rest().await;
        assert!(rest.starts_with("HTTP/1.1 500 "), "{path}: {rest}");
    }
    running.stop().await;
}

#[tokio::test]
async fn keep_alive_can_be_off() {
    let options = ServerOptions { keep_alive: false, ..ServerOptions::default() };
    let running = start_with(handler_fn(async |_| text("x")), options);
    let mut client = running.send(GET).await;
    assert!(client.rest().await.contains("Connection: close\r\n"));
    running.stop().await;
}

#[tokio::test]
async fn interim_responses_come_before_the_response() {
    let running = start(async |request: Request<Body>| {
        let hints = request.extensions().get::<Informational>().unwrap().clone();
        let mut headers = HeaderMap::new();
        headers.insert("link", HeaderValue::from_static("</a>; rel=preload"));
        headers.insert("content-length", HeaderValue::from_static("7"));
        let status = |code| StatusCode::from_u16(code).unwrap();
        if let Err(error) = hints.send(status(103), &headers) {
            return text(error.to_string());
        }
        for wrong in [101, 200] {
            let error = InformationalError::Status(status(wrong));
            assert_eq!(hints.send(status(wrong), &headers), Err(error));
        }
        hints.send(status(102), &HeaderMap::new()).unwrap();
        while hints.send(status(103), &headers) != Err(InformationalError::TooMany) {}
        tokio::task::yield_now().await;
        text("done")
    });
    let mut client = running.send(GET).await;
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
    client.expect(hint).await;
    client.expect("HTTP/1.1 102 Processing\r\n\r\n").await;
    let last = loop {
        let head = client.head().await;
        if head != hint {
            break head;
        }
    };
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{last}");
    client.expect("done").await;
    let mut old = running.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.rest().await.ends_with("the client does not know interim responses"));
    running.stop().await;
}

#[tokio::test]
async fn only_so_many_connections_are_open() {
    let options = ServerOptions { max_connections: 1, ..ServerOptions::default() };
    let running = start_with(handler_fn(async |_| text("x")), options);
    let mut first = running.send(GET).await;
    first.response().await;
    let mut second = running.send(GET).await;
    assert_eq!(running.server.connections(), 1, "the second waits");
    drop(first);
    second.response().await;
    drop(second);
    running.stop().await;
}
