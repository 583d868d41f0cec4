//! What a connection is doing, and who is told.

use http::Request;
use rosn_http::Body;
use rosn_http::hijack::Hijacker;
use rosn_http::server::ConnState::{Active, Closed, Hijacked, HijackedClosed, Idle, New};

use crate::support::{GET, start, text};

/// Row 61, H8: the sequences of Go's TestServerConnState, and the end of what was hijacked.
#[tokio::test]
async fn states_follow_each_other() {
    let running = start(async |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        if path == "/" {
            return text("x");
        }
        let hijacked = request.extensions().get::<Hijacker>().unwrap().hijack().await.unwrap();
        assert_ne!(path, "/panic");
        drop(hijacked);
        text("is not sent")
    });
    // 1: a request, and another.
    let mut client = running.send(GET).await;
    client.response().await;
    running.states.are(1, &[New, Active, Idle]).await;
    client.send(GET).await;
    client.response().await;
    running.states.are(1, &[New, Active, Idle, Active, Idle]).await;
    drop(client);
    running.states.are(1, &[New, Active, Idle, Active, Idle, Closed]).await;

    // 2: a request, and the end.
    let mut client = running.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    client.rest().await;
    running.states.are(2, &[New, Active, Closed]).await;

    // 3, 4: hijacked, with a panic too.
    for (id, path) in [(3, "/hijack"), (4, "/panic")] {
        let mut client = running.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(client.rest().await, "");
        running.states.are(id, &[New, Active, Hijacked, HijackedClosed]).await;
    }

    // 5: nothing at all.
    drop(running.connect().await);
    running.states.are(5, &[New, Closed]).await;

    // 6: no HTTP.
    let mut client = running.send("bogus\r\n\r\n").await;
    assert!(client.rest_or_reset().await.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    running.states.are(6, &[New, Active, Closed]).await;
    running.stop().await;
}
