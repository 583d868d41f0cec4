//! Which events a request has, and in which order.

use http::{Method, Request};
use rosn_http::{Body, RoundTrip as _};

use crate::support::*;

/// 1A.2, orders 1 and 2; T5 (no DNS for an address), T11 (fresh, idle), T20.
#[tokio::test]
async fn a_new_connection_and_then_the_same() {
    let server = Server::always("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody").await;
    let transport = transport();
    let trace = Recorder::default();
    let mut request = server.request(Method::POST, "hello");
    *request.uri_mut() = server.url("/a?b").parse().unwrap();
    let response = send(&transport, request, &trace).await.unwrap();
    assert_eq!(read(response).await, (200, "body".to_owned()));
    assert_eq!(
        trace.events(),
        [
            "GetConn 1",
            "ConnectStart",
            "ConnectDone ok",
            "GotConn reused=false was_idle=false before=0",
            "WroteHeaders",
            "WroteRequest 5 body_sent=true ok",
            "FirstResponseByte",
            "ResponseHead 200",
            "ResponseBodyDone 4 ok",
            "PutIdle ok",
        ]
    );
    let trace = Recorder::default();
    read(send(&transport, server.get(), &trace).await.unwrap()).await;
    assert_eq!(trace.events()[..2], ["GetConn 1", "GotConn reused=true was_idle=true before=1"]);
    assert_eq!((server.accepted(), transport.idle()), (1, 1));
    drop(transport);
    server.no_leak().await;
}

/// Row 4: no trace at all.
#[tokio::test]
async fn no_trace() {
    let server = Server::always(OK).await;
    let transport = transport();
    for _ in 0..3 {
        let response = soon(transport.round_trip(server.get())).await.unwrap();
        assert_eq!(read(response).await, (200, "ok".to_owned()));
    }
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}

#[tokio::test]
async fn the_head_on_the_wire() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
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
    drop(transport);
    server.no_leak().await;
}
