//! Which connection a request gets, and which are kept.

use std::time::Duration;

use http::{Method, Request};
use rosn_http::{Body, Transport};

use crate::support::*;

/// A server that answers only when it is let, each time once.
async fn held() -> (Server, Hold) {
    let hold = Hold::new();
    let own = hold.clone();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = Server::start(move |_, mut conn| {
        let (hold, count) = (own.clone(), count.clone());
        async move {
            while conn.head().await.is_some() {
                let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                hold.wait(number).await;
                conn.send(OK).await;
            }
        }
    })
    .await;
    (server, hold)
}

/// Rows 25 and T11, 1A.2, order 7: a request whose dial hangs takes the connection that becomes free. The dial that was
/// not needed goes on; its connection lies idle, and has carried no request (unlike Go's, which is "reused").
#[tokio::test]
async fn late_binding() {
    let (server, hold) = held().await;
    let gate = Gate::new(1);
    let transport = Transport::builder().connect(gate.options()).build().unwrap();
    let (one, two) = (Recorder::default(), Recorder::default());
    let first = spawn(&transport, server.get(), &one);
    until(|| one.count("WroteRequest") == 1).await;
    let second = spawn(&transport, server.get(), &two);
    until(|| gate.dials() == 2).await;
    assert_eq!(two.events(), ["GetConn 1", "ConnectStart"]);
    hold.release();
    soon(first).await.unwrap().unwrap();
    until(|| two.count("GotConn") == 1).await;
    hold.release();
    soon(second).await.unwrap().unwrap();
    assert_eq!(two.only(&["GotConn"]), ["GotConn reused=true was_idle=false before=1"]);
    assert_eq!((server.accepted(), transport.idle()), (1, 1));
    // T10: the dial ends after its request, and is reported as its own.
    gate.allow(2);
    until(|| transport.idle() == 2).await;
    assert_eq!(two.events().last().unwrap(), "ConnectDone ok");
    let three = Recorder::default();
    hold.release();
    soon(spawn(&transport, server.get(), &three)).await.unwrap().unwrap();
    assert_eq!(three.only(&["GotConn"]), ["GotConn reused=false was_idle=true before=0"]);
    drop(transport);
    server.no_leak().await;
}

/// Row 12: a dial that is under way counts.
#[tokio::test]
async fn a_dial_in_progress_counts() {
    let server = Server::always(OK).await;
    let gate = Gate::new(0);
    let transport =
        Transport::builder().connect(gate.options()).max_conns_per_host(Some(1)).build().unwrap();
    let (one, two) = (Recorder::default(), Recorder::default());
    let first = spawn(&transport, server.get(), &one);
    until(|| gate.dials() == 1).await;
    let second = spawn(&transport, server.get(), &two);
    until(|| two.count("PoolWait") == 1).await;
    assert_eq!(two.events(), ["GetConn 1", "PoolWait 2"]);
    gate.allow(1);
    soon(first).await.unwrap().unwrap();
    soon(second).await.unwrap().unwrap();
    assert_eq!((gate.dials(), server.accepted()), (1, 1));
    drop(transport);
    server.no_leak().await;
}

/// Row 13, T12; 1A.2, order 8: no more connections than the limit, and one more after one has been closed.
#[tokio::test]
async fn so_many_connections_for_a_host() {
    let (server, hold) = held().await;
    let gate = Gate::new(usize::MAX);
    let transport = Transport::builder()
        .connect(gate.options())
        .max_conns_per_host(Some(2))
        .max_idle_per_host(10)
        .build()
        .unwrap();
    let traces: Vec<_> = (0..10).map(|_| Recorder::default()).collect();
    let mut requests = Vec::new();
    for trace in &traces {
        requests.push(spawn(&transport, server.get(), trace));
        until(|| trace.count("ConnectStart") + trace.count("PoolWait") == 1).await;
    }
    assert_eq!(traces[9].events(), ["GetConn 1", "PoolWait 8"]);
    for request in requests {
        hold.release();
        hold.release();
        soon(request).await.unwrap().unwrap();
    }
    let got: Vec<_> = traces.iter().flat_map(|trace| trace.only(&["GotConn"])).collect();
    assert_eq!((got.len(), server.accepted(), gate.dials()), (10, 2, 2));
    assert_eq!(got.iter().filter(|got| got.contains("reused=false")).count(), 2);
    transport.close_idle();
    server.no_leak().await;
    (0..10).for_each(|_| hold.release());
    soon(spawn(&transport, server.get(), &traces[0])).await.unwrap().unwrap();
    assert_eq!(server.accepted(), 3);
    drop(transport);
    server.no_leak().await;
}

/// A connection that ends otherwise than by being put back makes room, too, and one who has waited for it dials.
#[tokio::test]
async fn a_closed_connection_makes_room() {
    let server =
        Server::always("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    let transport = Transport::builder().max_conns_per_host(Some(1)).build().unwrap();
    let requests: Vec<_> =
        (0..20).map(|_| spawn(&transport, server.get(), &Recorder::default())).collect();
    for request in requests {
        assert_eq!(soon(request).await.unwrap().unwrap().1, "ok");
    }
    assert_eq!(server.accepted(), 20);
    server.no_leak().await;
}

/// Row 40: one who waits and gives up leaves nothing behind, and takes nothing from the others.
#[tokio::test]
async fn who_gives_up_leaves_nothing() {
    let (server, hold) = held().await;
    let transport = Transport::builder().max_conns_per_host(Some(1)).build().unwrap();
    let trace = Recorder::default();
    let first = spawn(&transport, server.get(), &trace);
    until(|| trace.count("WroteRequest") == 1).await;
    for _ in 0..100 {
        let trace = Recorder::default();
        let given_up = spawn(&transport, server.get(), &trace);
        until(|| trace.count("PoolWait") == 1).await;
        given_up.abort();
        assert!(soon(given_up).await.unwrap_err().is_cancelled());
        assert_eq!(trace.events(), ["GetConn 1", "PoolWait 1", "GetConnFailed: cancelled"]);
    }
    let last = Recorder::default();
    let second = spawn(&transport, server.get(), &last);
    until(|| last.count("PoolWait 1") == 1).await;
    hold.release();
    hold.release();
    soon(first).await.unwrap().unwrap();
    soon(second).await.unwrap().unwrap();
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}

/// Row 15: an idle connection is kept while it is used, and closed after its time.
#[tokio::test]
async fn idle_timeout() {
    let server = Server::always(OK).await;
    let kept = Transport::builder().idle_timeout(None).build().unwrap();
    let brief = Transport::builder().idle_timeout(Some(Duration::from_millis(30))).build().unwrap();
    let trace = Recorder::default();
    for _ in 0..3 {
        read(send(&kept, server.get(), &trace).await.unwrap()).await;
    }
    assert_eq!((server.accepted(), trace.count("PutIdle ok")), (1, 3));
    read(send(&brief, server.get(), &trace).await.unwrap()).await;
    until(|| server.open() == 1).await; // the server sees that it was closed
    assert_eq!((brief.idle(), kept.idle()), (0, 1));
    read(send(&brief, server.get(), &trace).await.unwrap()).await;
    assert_eq!(server.accepted(), 3);
    drop((kept, brief));
    server.no_leak().await;
}

/// Row 26: so many for a host, so many in all; those idle for the longest time go first.
#[tokio::test]
async fn so_many_idle_connections() {
    let (server, hold) = held().await;
    let transport = Transport::builder().max_idle_per_host(2).build().unwrap();
    let traces: Vec<_> = (0..4).map(|_| Recorder::default()).collect();
    let requests: Vec<_> =
        traces.iter().map(|trace| spawn(&transport, server.get(), trace)).collect();
    until(|| traces.iter().all(|trace| trace.count("WroteRequest") == 1)).await;
    (0..4).for_each(|_| hold.release());
    for request in requests {
        soon(request).await.unwrap().unwrap();
    }
    let mut put: Vec<_> = traces.iter().flat_map(|trace| trace.only(&["PutIdle"])).collect();
    put.sort();
    let refused = "PutIdle TooManyIdleForHost";
    assert_eq!(put, [refused, refused, "PutIdle ok", "PutIdle ok"]);
    assert_eq!(transport.idle(), 2);
    drop(transport);
    server.no_leak().await;

    let servers = [Server::always(OK).await, Server::always(OK).await, Server::always(OK).await];
    let transport = Transport::builder().max_idle(2).build().unwrap();
    let trace = Recorder::default();
    for server in &servers {
        read(send(&transport, server.get(), &trace).await.unwrap()).await;
    }
    servers[0].no_leak().await;
    assert_eq!((transport.idle(), servers[1].open(), servers[2].open()), (2, 1, 1));
    // A scheme, a name and a port tell hosts apart, their case and the path do not.
    let port = servers[2].addr.port();
    for uri in [format!("http://LOCALHOST:{port}/a"), format!("http://localhost:{port}/b")] {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        read(send(&transport, request, &trace).await.unwrap()).await;
    }
    assert_eq!(servers[2].accepted(), 2);
    drop(transport);
    for server in servers {
        server.no_leak().await;
    }
}

/// Without room for idle connections none is kept, and each says why.
#[tokio::test]
async fn no_idle_connections() {
    let server = Server::always(OK).await;
    for (builder, reason) in [
        (Transport::builder().max_idle(0), "PutIdle TooManyIdle"),
        (Transport::builder().max_idle_per_host(0), "PutIdle TooManyIdleForHost"),
    ] {
        let transport = builder.build().unwrap();
        let trace = Recorder::default();
        read(send(&transport, server.get(), &trace).await.unwrap()).await;
        assert_eq!(trace.only(&["PutIdle"]), [reason]);
        server.no_leak().await;
    }
}

/// Row 27: what is put back after `close_idle` is closed, until the next request.
#[tokio::test]
async fn close_idle_is_sticky() {
    let (server, hold) = held().await;
    let transport = transport();
    let trace = Recorder::default();
    let request = spawn(&transport, server.get(), &trace);
    until(|| trace.count("WroteRequest") == 1).await;
    transport.close_idle();
    hold.release();
    soon(request).await.unwrap().unwrap();
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle CloseIdle"]);
    server.no_leak().await;
    for _ in 0..2 {
        hold.release();
        soon(spawn(&transport, server.get(), &trace)).await.unwrap().unwrap();
    }
    assert_eq!((transport.idle(), server.accepted()), (1, 2));
    transport.close_idle();
    assert_eq!(transport.idle(), 0);
    server.no_leak().await;
}

/// Row 28: a connection that its server closes leaves the pool by itself, as one does on which something comes unasked.
#[tokio::test]
async fn dead_idle_connections_are_removed() {
    for unasked in ["", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let hold = Hold::new();
        let own = hold.clone();
        let server = Server::start(move |_, mut conn| {
            let hold = own.clone();
            async move {
                conn.head().await;
                conn.send(OK).await;
                hold.wait(1).await;
                conn.send(unasked).await;
                if !unasked.is_empty() {
                    conn.closed().await;
                }
            }
        })
        .await;
        let transport = transport();
        let trace = Recorder::default();
        read(send(&transport, server.get(), &trace).await.unwrap()).await;
        assert_eq!(transport.idle(), 1);
        hold.release();
        until(|| transport.idle() == 0).await;
        server.no_leak().await;
    }
}

/// Row 24: a server that keeps no connection: each is new.
#[tokio::test]
async fn a_server_without_keep_alive() {
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    })
    .await;
    let transport = transport();
    let trace = Recorder::default();
    for _ in 0..3 {
        read(send(&transport, server.get(), &trace).await.unwrap()).await;
    }
    assert_eq!(trace.only(&["GotConn"]), ["GotConn reused=false was_idle=false before=0"; 3]);
    assert_eq!(transport.idle(), 0);
    server.no_leak().await;
}

/// Rows 34 and 35; 1A.2, order 6: reading to the end is enough; a body that is dropped before closes the connection.
#[tokio::test]
async fn bodies_that_are_read_or_not() {
    let server = Server::start(|_, mut conn| async move {
        while conn.head().await.is_some() {
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let piece = format!("400\r\n{}\r\n", "x".repeat(1024));
            for _ in 0..200 {
                conn.send(&piece).await;
            }
            conn.send("0\r\n\r\n").await;
        }
    })
    .await;
    let transport = transport();
    let trace = Recorder::default();
    for _ in 0..3 {
        let response = send(&transport, server.get(), &trace).await.unwrap();
        assert_eq!(read(response).await.1.len(), 200 * 1024);
    }
    assert_eq!((server.accepted(), trace.count("PutIdle ok")), (1, 3));
    let trace = Recorder::default();
    let response = send(&transport, server.get(), &trace).await.unwrap();
    drop(response);
    assert_eq!(
        trace
            .only(&["ResponseBodyDone", "PutIdle"])
            .iter()
            .map(|event| &event[..8])
            .collect::<Vec<_>>(),
        ["Response", "PutIdle "]
    );
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle BodyNotDrained"]);
    assert!(trace.only(&["ResponseBodyDone"])[0].ends_with("failed: cancelled"));
    server.no_leak().await;
}

/// Row 48: a server that says keep-alive and closes leaves nothing behind.
#[tokio::test]
async fn servers_that_lie_about_keep_alive() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=99\r\n\r\nok",
    ] {
        let server = Server::start(move |_, mut conn| async move {
            conn.head().await;
            conn.send(answer).await;
        })
        .await;
        let transport = transport();
        for _ in 0..5 {
            let response = send(&transport, server.get(), &Recorder::default()).await.unwrap();
            assert_eq!(read(response).await.1, "ok");
        }
        until(|| transport.idle() == 0).await;
        server.no_leak().await;
    }
}

/// Row 16: a request that ends while the next one has the connection already does not disturb that.
#[tokio::test]
async fn sharing_a_connection() {
    let (server, hold) = held().await;
    let transport = Transport::builder().max_conns_per_host(Some(1)).build().unwrap();
    let (one, two) = (Recorder::default(), Recorder::default());
    let response = {
        let first = tokio::spawn({
            let (transport, request, one) = (transport.clone(), server.get(), one.clone());
            async move { send(&transport, request, &one).await.unwrap() }
        });
        until(|| one.count("WroteRequest") == 1).await;
        let second = spawn(&transport, server.get(), &two);
        until(|| two.count("PoolWait") == 1).await;
        hold.release();
        let response = soon(first).await.unwrap();
        until(|| two.count("WroteRequest") == 1).await;
        // The first is dropped while the second is under way on its connection.
        drop(response);
        hold.release();
        soon(second).await.unwrap().unwrap()
    };
    assert_eq!(response.1, "ok");
    assert_eq!(server.accepted(), 1);
    drop(transport);
    server.no_leak().await;
}

/// The pool serves tasks on several threads, with nothing lost and nothing mixed up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once() {
    let server = Server::start(|_, mut conn| async move {
        while let Some(head) = conn.head().await {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let len = path.len();
            conn.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{path}")).await;
        }
    })
    .await;
    for limit in [None, Some(3)] {
        let transport =
            Transport::builder().max_conns_per_host(limit).max_idle_per_host(8).build().unwrap();
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let (transport, addr) = (transport.clone(), server.addr);
                tokio::spawn(async move {
                    for number in 0..50 {
                        let path = format!("/{task}/{number}");
                        let request = Request::builder().method(Method::GET);
                        let request = request.uri(format!("http://{addr}{path}"));
                        let request = request.body(Body::empty()).unwrap();
                        let response =
                            send(&transport, request, &Recorder::default()).await.unwrap();
                        assert_eq!(read(response).await.1, path);
                    }
                })
            })
            .collect();
        for task in tasks {
            soon(task).await.unwrap();
        }
        assert!(limit.is_none_or(|limit| server.open() <= limit));
        drop(transport);
        server.no_leak().await;
    }
}
