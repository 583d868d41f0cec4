//! Which events a request has, and in which order.

use http::{Method, Request};
use rosn_http::{Body, RoundTrip as _, Transport};
use rosn_trace::RequestTraceExt as _;

use crate::support::*;

/// 1A.2, orders 1 and 2; T5 (no DNS for an address), T11 (fresh, idle), T20.
#[tokio::test]
async fn a_new_connection_and_then_the_same() {
    let server = Server::always("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody").await;
    let transport = transport();
    let trace = Recorder::default();
    let response = send(&transport, server.request(Method::POST, "hello"), &trace).await.unwrap();
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

/// Row 3: a POST with Expect to a name, the whole of it; the second request asks for a connection again. 1A.2, order 11.
#[tokio::test]
async fn all_there_is() {
    let server = Server::start(|_, mut conn| async move {
        while conn.head().await.is_some() {
            conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(conn.body(9).await.unwrap(), "some body");
            conn.send(OK).await;
        }
    })
    .await;
    let transport = transport();
    let request = || {
        Request::post(format!("http://localhost:{}/", server.addr.port()))
            .header("expect", "100-continue")
            .body(Body::from("some body"))
            .unwrap()
    };
    let trace = Recorder::default();
    read(send(&transport, request(), &trace).await.unwrap()).await;
    let phases = ["Dns", "Get", "Got", "Wrote", "Wait", "First", "Put", "Informational"];
    assert_eq!(
        trace.only(&phases),
        [
            "GetConn 1",
            "DnsStart localhost",
            "DnsDone ok",
            "GotConn reused=false was_idle=false before=0",
            "WroteHeaders",
            "Wait100",
            "FirstResponseByte",
            "Got100",
            "Informational 100",
            "WroteRequest 9 body_sent=true ok",
            "PutIdle ok",
        ]
    );
    // localhost may have an IPv6 address, at which nothing listens.
    assert_eq!(trace.count("ConnectStart"), trace.count("ConnectDone"));
    assert_eq!(trace.count("ConnectDone ok"), 1);
    read(send(&transport, request(), &trace).await.unwrap()).await;
    assert_eq!((trace.count("GetConn"), trace.count("ConnectDone ok")), (2, 1));
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

/// Row 33, T14; 1A.2, order 3: without a body the connection is back before there is a response.
#[tokio::test]
async fn empty_bodies() {
    for (method, answer) in [
        (Method::GET, EMPTY),
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 17\r\n\r\n"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        let server = Server::always(answer).await;
        let transport = transport();
        let trace = Recorder::default();
        let response =
            send(&transport, server.request(method, Body::empty()), &trace).await.unwrap();
        trace.note("Done");
        assert_eq!(read(response).await.1, "");
        assert_eq!(trace.only(&["PutIdle", "Done"]), ["PutIdle ok", "Done"]);
        assert_eq!(transport.idle(), 1);
        drop(transport);
        server.no_leak().await;
    }
}

/// T14: the connection is back when the end of the body is seen.
#[tokio::test]
async fn the_connection_is_back_before_the_end_is_seen() {
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let server = Server::start(move |_, mut conn| {
        let mut wait = wait.clone();
        async move {
            while conn.head().await.is_some() {
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").await;
                wait.wait_for(|go_on| *go_on).await.unwrap();
                conn.send("dy").await;
            }
        }
    })
    .await;
    let transport = transport();
    let trace = Recorder::default();
    let mut body = send(&transport, server.get(), &trace).await.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap().into_data().unwrap(), "bo");
    assert_eq!(trace.count("PutIdle"), 0);
    go_on.send(true).unwrap();
    while let Some(frame) = soon(body.next()).await {
        frame.unwrap();
    }
    assert_eq!(trace.count("PutIdle ok"), 1);
    assert_eq!(trace.only(&["ResponseBodyDone"]), ["ResponseBodyDone 4 ok"]);
    drop(transport);
    server.no_leak().await;
}

/// T13: why a connection is not kept, in every case.
#[tokio::test]
async fn every_connection_ends_with_a_reason() {
    let closes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let asks = |builder: http::request::Builder| builder.header("connection", "close");
    let cases: [(&'static str, bool, &str); 5] = [
        (closes, false, "PutIdle PeerAskedClose"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "PutIdle PeerAskedClose"),
        (OK, true, "PutIdle RequestAskedClose"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore", false, "PutIdle Broken"),
        (OK, false, "PutIdle ok"),
    ];
    for (answer, close, wanted) in cases {
        let server = Server::always(answer).await;
        let transport = transport();
        let trace = Recorder::default();
        let mut request = Request::get(server.url("/"));
        if close {
            request = asks(request);
        }
        let response = send(&transport, request.body(Body::empty()).unwrap(), &trace).await;
        assert_eq!(read(response.unwrap()).await.1, "ok");
        assert_eq!(trace.only(&["PutIdle"]), [wanted], "{answer:?}");
        drop(transport);
        server.no_leak().await;
    }
    // Until the connection ends.
    let server = Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    })
    .await;
    let trace = Recorder::default();
    let response = send(&transport(), server.get(), &trace).await.unwrap();
    assert_eq!(read(response).await.1, "all of it");
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle BodyUnframed"]);
    server.no_leak().await;
}

/// 1A.2, order 9: without keep-alive the request says so.
#[tokio::test]
async fn keep_alive_disabled() {
    let server = Server::always(OK).await;
    let transport = Transport::builder().keep_alives(false).build().unwrap();
    let trace = Recorder::with_fields();
    for _ in 0..2 {
        read(send(&transport, server.get(), &trace).await.unwrap()).await;
    }
    assert_eq!(trace.count("Field connection: close"), 2);
    assert_eq!(trace.only(&["PutIdle"]), ["PutIdle KeepAliveDisabled"; 2]);
    assert_eq!(server.accepted(), 2);
    server.no_leak().await;
}

/// Row 11: `Connection: close` is reported once where it is wanted, whoever wants it.
#[tokio::test]
async fn close_is_said_once() {
    let server = Server::always(OK).await;
    for (own, keep_alives) in [(false, true), (true, true), (false, false), (true, false)] {
        let transport = Transport::builder().keep_alives(keep_alives).build().unwrap();
        let trace = Recorder::with_fields();
        let mut request = server.get();
        if own {
            request.headers_mut().insert("connection", "close".parse().unwrap());
        }
        read(send(&transport, request, &trace).await.unwrap()).await;
        let wanted = usize::from(own || !keep_alives);
        assert_eq!(trace.count("Field connection: close"), wanted, "{own} {keep_alives}");
    }
    server.no_leak().await;
}

/// 1A.2, order 16; 1A.4: nothing listens there.
#[tokio::test]
async fn refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let trace = Recorder::default();
    let request = Request::get(format!("http://{addr}/")).body(Body::empty()).unwrap();
    let error = send(&transport(), request, &trace).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    let kinds: Vec<_> = trace
        .events()
        .iter()
        .map(|event| event.split([' ', ':']).next().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["GetConn", "ConnectStart", "ConnectDone", "GetConnFailed", "Failed"]);
}

/// T1, T10: traces are composed, the newer first, and neither is changed.
#[tokio::test]
async fn two_traces() {
    let server = Server::always(OK).await;
    let (older, newer) = (Recorder::default(), Recorder::default());
    let mut request = server.get();
    request.with_trace(older.clone());
    let response = send(&transport(), request, &newer).await.unwrap();
    read(response).await;
    assert_eq!(older.events(), newer.events());
    server.no_leak().await;
}
