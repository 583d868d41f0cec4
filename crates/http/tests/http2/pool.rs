//! Which connection a request gets.

use std::time::Duration;

use h2::server::Builder;
use http::Method;
use rosn_http::connect::{ConnectOptions, Versions};
use rosn_http::{Body, Transport};

use crate::peer::{Asked, Peer, serve};
use crate::support::*;

async fn ok(mut asked: Asked) {
    asked.text("ok");
}

/// A server that answers when it is let, and takes so many streams at a time.
async fn holding(hold: &Hold, streams: u32) -> Peer {
    let hold = hold.clone();
    let mut builder = Builder::new();
    builder.max_concurrent_streams(streams);
    Peer::with(builder, false, move |_, conn| {
        let hold = hold.clone();
        serve(conn, move |mut asked| {
            let hold = hold.clone();
            async move {
                hold.wait(1).await;
                asked.text("ok");
            }
        })
    })
    .await
}

fn got(trace: &Recorder) -> String {
    trace.only(&["GotConn"]).join("; ")
}

/// Order 15, T11: of two first requests the one whose dial is slower uses the other's connection, and its own, which
/// nobody needs, is closed.
#[tokio::test]
async fn two_first_requests() {
    let hold = Hold::new();
    let peer = holding(&hold, 100).await;
    let gate = Gate::new(1);
    let options = ConnectOptions { dialer: gate.options().dialer, ..peer.options() };
    let transport = peer.builder().connect(options).build().unwrap();
    let traces = [Recorder::default(), Recorder::default()];
    let tasks = [0, 1].map(|at: usize| spawn(&transport, peer.get(), &traces[at]));
    until(|| gate.dials() == 2 && traces.iter().all(|trace| trace.count("GotConn") == 1)).await;
    let mut all = traces.each_ref().map(got);
    all.sort();
    assert_eq!(
        all,
        [
            "GotConn reused=false was_idle=false before=0",
            "GotConn reused=true was_idle=false before=1"
        ]
    );
    hold.release();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // Both put it back: the first that ends is not the last on it.
    assert_eq!(traces.iter().map(|trace| trace.count("PutIdle")).sum::<usize>(), 1);
    gate.allow(2);
    until(|| peer.accepted() == 2).await;
    until(|| transport.idle() == 1).await;
    drop(transport);
    peer.no_leak().await;
}

/// Rows 12 and 13: a limit counts connections and not requests: one handshake for all of them.
#[tokio::test]
async fn a_limit_of_connections() {
    let hold = Hold::new();
    let peer = holding(&hold, 100).await;
    let transport = peer.builder().max_conns_per_host(Some(1)).build().unwrap();
    let traces: Vec<_> = (0..5).map(|_| Recorder::default()).collect();
    let tasks: Vec<_> = traces.iter().map(|trace| spawn(&transport, peer.get(), trace)).collect();
    until(|| traces.iter().all(|trace| trace.count("GotConn") == 1)).await;
    let fresh = traces.iter().filter(|trace| got(trace).contains("reused=false")).count();
    assert_eq!((fresh, peer.accepted()), (1, 1));
    hold.release();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // Row 14: its place is taken back once, when it is closed, and another can be dialed.
    transport.close_idle();
    assert_eq!(transport.idle(), 0);
    for _ in 0..2 {
        assert_eq!(spawn(&transport, peer.get(), &traces[0]).await.unwrap().unwrap().0, 200);
        transport.close_idle();
    }
    assert_eq!(peer.accepted(), 3);
    peer.no_leak().await;
}

/// Where a server's streams run out there is another connection; with a limit a request waits for a stream.
#[tokio::test]
async fn streams_run_out() {
    for limit in [None, Some(1)] {
        let hold = Hold::new();
        let peer = holding(&hold, 1).await;
        let transport = peer.builder().max_conns_per_host(limit).build().unwrap();
        // The server's settings are known after a request.
        hold.release();
        let trace = Recorder::default();
        spawn(&transport, peer.get(), &trace).await.unwrap().unwrap();
        let traces = [Recorder::default(), Recorder::default()];
        let first = spawn(&transport, peer.get(), &traces[0]);
        until(|| traces[0].count("GotConn") == 1).await;
        let second = spawn(&transport, peer.get(), &traces[1]);
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert!(peer.accepted() <= limit.unwrap_or(2), "{}", peer.accepted());
        drop(transport);
        peer.no_leak().await;
    }
}

/// The same, with a server that makes the first wait.
#[tokio::test]
async fn a_stream_is_waited_for() {
    let hold = Hold::new();
    let held = hold.clone();
    let mut builder = Builder::new();
    builder.max_concurrent_streams(1);
    let peer = Peer::with(builder, false, move |_, conn| {
        let held = held.clone();
        serve(conn, move |mut asked| {
            let held = held.clone();
            async move {
                if asked.request.uri().path() == "/held" {
                    held.wait(1).await;
                }
                asked.text("ok");
            }
        })
    })
    .await;
    let transport = peer.builder().max_conns_per_host(Some(1)).build().unwrap();
    spawn(&transport, peer.get(), &Recorder::default()).await.unwrap().unwrap();
    let traces = [Recorder::default(), Recorder::default()];
    let mut request = peer.get();
    *request.uri_mut() = peer.url("/held").parse().unwrap();
    let first = spawn(&transport, request, &traces[0]);
    until(|| traces[0].count("GotConn") == 1).await;
    let second = spawn(&transport, peer.get(), &traces[1]);
    until(|| traces[1].count("PoolWait") == 1).await;
    hold.release();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(got(&traces[1]), "GotConn reused=true was_idle=false before=2");
    assert_eq!(peer.accepted(), 1);
}

/// Row 15 of HTTP/2: kept while it is used, gone after the timeout.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let peer = Peer::answering(ok).await;
    let transport = peer.builder().idle_timeout(Some(Duration::from_millis(50))).build().unwrap();
    let trace = Recorder::default();
    spawn(&transport, peer.get(), &trace).await.unwrap().unwrap();
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle ok"]);
    peer.no_leak().await;
    until(|| transport.idle() == 0).await;
    spawn(&transport, peer.get(), &trace).await.unwrap().unwrap();
    assert_eq!(peer.accepted(), 2);
}

/// Row 26: limits of idle connections hold for both kinds.
#[tokio::test]
async fn limits_of_idle_connections() {
    let (one, other) = (Peer::answering(ok).await, Peer::answering(ok).await);
    let transport = one.builder().max_idle(1).build().unwrap();
    for peer in [&one, &other] {
        spawn(&transport, peer.get(), &Recorder::default()).await.unwrap().unwrap();
    }
    one.no_leak().await;
    assert_eq!(transport.idle(), 1);
    let transport = one.builder().max_idle_per_host(0).build().unwrap();
    let trace = Recorder::default();
    spawn(&transport, one.get(), &trace).await.unwrap().unwrap();
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle TooManyIdleForHost"]);
    one.no_leak().await;
}

/// Row 27: closed while in use, a connection is not kept.
#[tokio::test]
async fn idle_connections_are_closed() {
    let hold = Hold::new();
    let peer = holding(&hold, 100).await;
    let transport = peer.transport();
    let trace = Recorder::default();
    let task = spawn(&transport, peer.get(), &trace);
    until(|| trace.count("GotConn") == 1).await;
    transport.close_idle();
    hold.release();
    task.await.unwrap().unwrap();
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle CloseIdle"]);
    peer.no_leak().await;
}

/// Without keep-alive each request has a connection of its own.
#[tokio::test]
async fn without_keep_alive() {
    let hold = Hold::new();
    let peer = holding(&hold, 100).await;
    let transport = peer.builder().keep_alives(false).build().unwrap();
    let traces = [Recorder::default(), Recorder::default()];
    let tasks = [0, 1].map(|at: usize| spawn(&transport, peer.get(), &traces[at]));
    until(|| traces.iter().all(|trace| trace.count("GotConn") == 1)).await;
    hold.release();
    for (task, trace) in tasks.into_iter().zip(&traces) {
        task.await.unwrap().unwrap();
        assert_eq!(got(trace), "GotConn reused=false was_idle=false before=0");
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle KeepAliveDisabled"]);
    }
    assert_eq!(peer.accepted(), 2);
    peer.no_leak().await;
}

/// Row 69: a request with Upgrade goes by HTTP/1.1, on a connection of its own kind; the others by HTTP/2.
#[tokio::test]
async fn an_upgrade_goes_by_http_1() {
    let peer = Peer::raw(Some(&["h2", "http/1.1"]), |number, mut stream| async move {
        if number == 1 {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap());
            }
            assert!(head.starts_with(b"GET / HTTP/1.1\r\n"));
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
            tokio::io::AsyncWriteExt::flush(&mut stream).await.unwrap();
        } else if let Ok(conn) = Builder::new().handshake(stream).await {
            serve(conn, ok).await;
        }
    })
    .await;
    let transport = peer.transport();
    let first = soon(transport.send(peer.get())).await.unwrap();
    assert_eq!(first.version(), http::Version::HTTP_2);
    let mut request = peer.get();
    request.headers_mut().insert("connection", "Upgrade".parse().unwrap());
    request.headers_mut().insert("upgrade", "echo".parse().unwrap());
    let response = soon(transport.send(request)).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (101, http::Version::HTTP_11));
    drop(first);
    let last = soon(transport.send(peer.get())).await.unwrap();
    assert_eq!((last.version(), peer.accepted()), (http::Version::HTTP_2, 2));
}

/// What the server chooses is spoken, and what is not to be spoken is not offered.
#[tokio::test]
async fn versions() {
    let peer = Peer::raw(Some(&["h2", "http/1.1"]), |_, mut stream| async move {
        let mut start = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut start).await.unwrap();
        assert_eq!(&start, b"GET");
        tokio::io::AsyncWriteExt::write_all(&mut stream, OK.as_bytes()).await.unwrap();
        tokio::io::AsyncWriteExt::flush(&mut stream).await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    })
    .await;
    let transport = peer.builder().versions(Versions::Http1).build().unwrap();
    let response = soon(transport.send(peer.get())).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_11);

    let peer = Peer::raw(Some(&["http/1.1"]), |_, _| async {}).await;
    let transport = peer.builder().versions(Versions::Http2).build().unwrap();
    let error = soon(transport.send(peer.get())).await.unwrap_err();
    assert!(error.is_tls(), "{error}");
}

/// Row 10: a connection that breaks right after its handshake is not kept, and only the good one is got.
#[tokio::test]
async fn a_connection_that_breaks_at_once() {
    let peer = Peer::raw(Some(&["h2"]), |number, stream| async move {
        if number > 0
            && let Ok(conn) = Builder::new().handshake(stream).await
        {
            serve(conn, ok).await;
        }
    })
    .await;
    let transport = peer.transport();
    let trace = Recorder::default();
    let broken = send(&transport, peer.request(Method::POST, "x"), &trace).await;
    assert!(broken.is_err());
    until(|| transport.idle() == 0).await;
    let trace = Recorder::default();
    assert_eq!(spawn(&transport, peer.get(), &trace).await.unwrap().unwrap().0, 200);
    assert_eq!(got(&trace), "GotConn reused=false was_idle=false before=0");
    assert_eq!(peer.accepted(), 2);
}

/// Many at a time, on a runtime of several threads: nothing is lost, and nothing is counted wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_a_time() {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(10);
    let peer = Peer::with(builder, false, |_, conn| serve(conn, ok)).await;
    let transport = peer.builder().max_conns_per_host(Some(3)).build().unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (transport, url) = (transport.clone(), peer.url("/"));
            tokio::spawn(async move {
                for _ in 0..50 {
                    let request = http::Request::get(&url).body(Body::empty()).unwrap();
                    let response = soon(transport.send(request)).await.unwrap();
                    assert_eq!(read(response).await, (200, "ok".into()));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!((1..=3).contains(&peer.accepted()));
    until(|| (1..=2).contains(&transport.idle())).await;
    drop(transport);
    peer.no_leak().await;
}

/// The transport may be dropped while a response is read.
#[tokio::test]
async fn a_transport_that_is_dropped() {
    let peer = Peer::answering(ok).await;
    let transport: Transport = peer.transport();
    let response = soon(transport.send(peer.get())).await.unwrap();
    drop(transport);
    assert_eq!(read(response).await, (200, "ok".into()));
    peer.no_leak().await;
}
