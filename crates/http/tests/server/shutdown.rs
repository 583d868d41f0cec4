//! How a server ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use rosn_http::Body;
use rosn_http::hijack::{Hijacked, Hijacker};
use rosn_http::server::{HijackedConnections, Policy, Server, handler_fn, serve};
use rosn_net::Stream;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, mpsc};

use crate::support::{GET, SOON, exactly, poll_once, soon, start, text};

/// Row 62: idle connections are closed, the request that runs is answered, and nobody is accepted any more.
#[tokio::test]
async fn it_waits_for_what_is_under_way() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let running = start({
        let (begun, go) = (begun.clone(), go.clone());
        move |request: Request<Body>| {
            let (begun, go) = (begun.clone(), go.clone());
            async move {
                if request.uri().path() == "/slow" {
                    begun.notify_one();
                    go.notified().await;
                }
                text("done")
            }
        }
    });
    let calls = Arc::new(AtomicUsize::new(0));
    running.server.on_shutdown({
        let calls = calls.clone();
        move || {
            calls.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut idle = running.send(GET).await;
    idle.response().await;
    let mut slow = running.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    begun.notified().await;
    let server = running.server.clone();
    let mut shutdown = Box::pin(server.shutdown(Policy::default()));
    assert!(poll_once(shutdown.as_mut()).await.is_pending());
    assert_eq!(idle.rest().await, "", "closed at once");
    soon(running.serving).await.unwrap().unwrap();
    assert!(poll_once(shutdown.as_mut()).await.is_pending());
    go.notify_one();
    let rest = soon(async { slow.rest().await }).await;
    assert!(rest.contains("Connection: close\r\n") && rest.ends_with("done"), "{rest}");
    let stopped = soon(shutdown).await;
    assert_eq!((stopped.cut, stopped.hijacked), (0, 0));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(server.shutdown(Policy::default()).await, stopped, "again is nothing new");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// Row 62: a connection that has sent nothing is given 5 s to, and its request is served.
#[tokio::test]
async fn a_new_connection_may_still_send_its_request() {
    let running = start(async |_| text("served"));
    let mut client = running.connect().await;
    running.states.are(1, &[rosn_http::server::ConnState::New]).await;
    let silent = running.connect().await;
    running.states.are(2, &[rosn_http::server::ConnState::New]).await;
    let server = running.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown(Policy::default()).await });
    soon(running.serving).await.unwrap().unwrap();
    client.send(GET).await;
    let rest = client.rest().await;
    // On a machine that takes 5 s to get here it was closed before.
    assert!(rest.is_empty() || rest.ends_with("served"), "{rest}");
    assert_eq!(soon(shutdown).await.unwrap().cut, 0, "the silent one was closed");
    drop(silent);
}

/// A deadline ends what does not end.
#[tokio::test]
async fn a_deadline_cuts() {
    let running = start(async |_| std::future::pending().await);
    let mut client = running.send(GET).await;
    let active = rosn_http::server::ConnState::Active;
    running.states.are(1, &[rosn_http::server::ConnState::New, active]).await;
    let policy = Policy { deadline: Some(Duration::from_millis(50)), ..Policy::default() };
    assert_eq!(running.server.shutdown(policy).await.cut, 1);
    client.rest_or_reset().await;
    assert_eq!(running.server.connections(), 0);
    soon(running.serving).await.unwrap().unwrap();
}

/// A server with one hijacked connection.
async fn with_hijacked()
-> (crate::support::Running<impl rosn_http::server::Handler>, crate::support::Client, Hijacked) {
    let (to, mut taken) = mpsc::unbounded_channel();
    let running = start(move |request: Request<Body>| {
        let to = to.clone();
        async move {
            let hijacker = request.extensions().get::<Hijacker>().unwrap();
            to.send(hijacker.hijack().await.unwrap()).unwrap();
            text("")
        }
    });
    let client = running.send(GET).await;
    let hijacked = soon(taken.recv()).await.unwrap();
    (running, client, hijacked)
}

/// H9: as Go, the shutdown does nothing about hijacked connections.
#[tokio::test]
async fn hijacked_connections_can_be_ignored() {
    let (running, mut client, mut hijacked) = with_hijacked().await;
    let policy = Policy { hijacked: HijackedConnections::Ignore, deadline: None };
    let stopped = soon(running.server.shutdown(policy)).await;
    assert_eq!((stopped.cut, stopped.hijacked), (0, 1));
    assert!(!hijacked.shutdown.is_set());
    hijacked.write_all(b"lives").await.unwrap();
    client.expect("lives").await;
}

/// H9: a handler that talks on its hijacked connection is not cut either when those are ignored.
#[tokio::test]
async fn a_handler_on_an_ignored_connection_goes_on() {
    let (to, mut told) = mpsc::unbounded_channel();
    let running = start(move |request: Request<Body>| {
        let to = to.clone();
        async move {
            if request.uri().path() == "/hang" {
                to.send(()).unwrap();
                std::future::pending::<()>().await;
            }
            let hijacker = request.extensions().get::<Hijacker>().unwrap();
            let mut hijacked = hijacker.hijack().await.unwrap();
            to.send(()).unwrap();
            let (mut read, mut write) = tokio::io::split(&mut hijacked);
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            text("")
        }
    });
    let mut client = running.send(GET).await;
    soon(told.recv()).await.unwrap();
    let mut hangs = running.send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n").await;
    soon(told.recv()).await.unwrap();
    let deadline = Some(Duration::from_millis(50));
    let policy = Policy { hijacked: HijackedConnections::Ignore, deadline };
    let stopped = soon(running.server.shutdown(policy)).await;
    assert_eq!((stopped.cut, stopped.hijacked), (1, 1));
    hangs.rest_or_reset().await;
    client.send("echo").await;
    client.end().await;
    assert_eq!(client.rest().await, "echo");
}

/// H9: they are told.
#[tokio::test]
async fn hijacked_connections_can_be_notified() {
    let (running, _client, mut hijacked) = with_hijacked().await;
    assert!(poll_once(std::pin::pin!(hijacked.shutdown.wait())).await.is_pending());
    let policy = Policy { hijacked: HijackedConnections::Notify, deadline: None };
    assert_eq!(soon(running.server.shutdown(policy)).await.hijacked, 1);
    soon(hijacked.shutdown.wait()).await;
    assert!(hijacked.shutdown.is_set());
    drop(hijacked);
    assert_eq!(running.server.hijacked_connections(), 0);
}

/// H9: they are told, and waited for until their guards go.
#[tokio::test]
async fn hijacked_connections_can_be_waited_for() {
    let (running, mut client, mut hijacked) = with_hijacked().await;
    let server = running.server.clone();
    let policy = Policy { hijacked: HijackedConnections::Wait, deadline: None };
    let mut shutdown = Box::pin(server.shutdown(policy));
    assert!(poll_once(shutdown.as_mut()).await.is_pending());
    soon(hijacked.shutdown.wait()).await;
    hijacked.write_all(b"bye").await.unwrap();
    assert!(poll_once(shutdown.as_mut()).await.is_pending());
    drop(hijacked);
    assert_eq!(client.rest().await, "bye");
    assert_eq!(soon(shutdown).await.hijacked, 0);
}

/// H9: until the deadline. Who holds one is told that the time is up.
#[tokio::test]
async fn waiting_for_hijacked_connections_ends() {
    let (running, _client, mut hijacked) = with_hijacked().await;
    let deadline = Some(Duration::from_millis(50));
    let policy = Policy { hijacked: HijackedConnections::Wait, deadline };
    assert_eq!(soon(running.server.shutdown(policy)).await.hijacked, 1);
    soon(hijacked.shutdown.cut()).await;
}

/// A shutdown before there is anything, and one while connections wait for room.
#[tokio::test]
async fn it_ends_without_connections() {
    let running = start(async |_| text(""));
    assert_eq!(running.stop().await.cut, 0);
}

/// One stream from elsewhere, here of two sockets that never listened.
#[tokio::test]
async fn a_stream_can_be_served_alone() {
    let (client, server) = tokio::net::UnixStream::pair().unwrap();
    let handler = handler_fn(async |_: Request<Body>| text("hello"));
    let serving = tokio::spawn(serve(Stream::from(server), handler, Default::default()));
    let mut client = client;
    client.write_all(GET.as_bytes()).await.unwrap();
    let head = crate::support::head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(exactly(&mut client, 5).await, "hello");
    drop(client);
    let ended = tokio::time::timeout(SOON, serving).await.unwrap().unwrap().unwrap();
    assert_eq!(ended, rosn_http::server::Ended::Closed);
    let idle: Server<_> = Server::new(handler_fn(async |_: Request<Body>| text("")));
    assert_eq!(idle.shutdown(Policy::default()).await.cut, 0);
}
