//! The door of a switch: 101, and 2xx to CONNECT.

use std::sync::Mutex;

use http::{Request, Response, StatusCode};
use rosn_http::Body;
use rosn_http::hijack::{self, HijackError, Hijacked, Hijacker, SentResponse};
use rosn_http::server::{ServerOptions, handler_fn};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::support::{Running, exactly, soon, start, start_with, text};

type Taken = Result<Hijacked, HijackError>;

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo, Other/2\r\n\r\n";

fn switching(to: &'static str) -> Response<Body> {
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    response.header("upgrade", to).body(Body::empty()).unwrap()
}

/// A server that answers so, and tells what became of the switch.
fn server(
    respond: impl Fn(&Request<Body>) -> Response<Body> + Send + Sync + 'static,
) -> (Running<impl rosn_http::server::Handler>, mpsc::UnboundedReceiver<Taken>) {
    let (to, taken) = mpsc::unbounded_channel();
    let running = start(move |mut request: Request<Body>| {
        let switch = hijack::on_switch(&mut request);
        let to = to.clone();
        tokio::spawn(async move { to.send(switch.await) });
        std::future::ready(respond(&request))
    });
    (running, taken)
}

/// The connection is had after the head was written, with the bytes that came early.
#[tokio::test]
async fn a_switch_gives_the_connection() {
    let (running, mut taken) = server(|_| switching("ECHO"));
    let early = "E".repeat(1 << 20);
    let mut client = running.connect().await;
    let request = format!("{UPGRADE}{early}");
    let (mut read, mut write) = client.0.split();
    let sends = async { write.write_all(request.as_bytes()).await.unwrap() };
    let takes = async {
        let mut hijacked = soon(taken.recv()).await.unwrap().unwrap();
        assert_eq!(hijacked.response, SentResponse::Switched);
        assert!(exactly(&mut hijacked, early.len()).await == early);
        hijacked
    };
    let ((), mut hijacked) = tokio::join!(sends, takes);
    let head = crate::support::head(&mut read).await;
    assert_eq!(
        head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: ECHO\r\nConnection: Upgrade\r\n\r\n"
    );
    hijacked.write_all(b"raw").await.unwrap();
    assert_eq!(exactly(&mut read, 3).await, "raw");
    drop(hijacked);
    running.stop().await;
}

/// H12: who waits for a switch that is refused learns so with the response, while the connection lives on.
#[tokio::test]
async fn a_refused_switch_is_told_at_once() {
    let (running, mut taken) = server(|_| text("stays HTTP"));
    let mut client = running.connect().await;
    for _ in 0..2 {
        client.send(UPGRADE).await;
        let refused = soon(taken.recv()).await.unwrap().unwrap_err();
        assert!(matches!(refused, HijackError::Refused(StatusCode::OK)), "{refused}");
        assert_eq!(client.response().await.1, "stays HTTP");
    }
    running.stop().await;
}

/// Row 63, H10: a switch is one where connections are otherwise closed after the response.
#[tokio::test]
async fn a_switch_without_keep_alive() {
    let options = ServerOptions { keep_alive: false, ..ServerOptions::default() };
    let handler = handler_fn(async |mut request: Request<Body>| {
        let switch = hijack::on_switch(&mut request);
        tokio::spawn(async move { switch.await.unwrap().write_all(b"raw").await });
        let mut response = switching("echo");
        if request.uri().path() == "/own" {
            let own = "close, Upgrade".parse().unwrap();
            response.headers_mut().insert("connection", own);
        }
        response
    });
    let running = start_with(handler, options);
    for (path, connection) in [("/", "Upgrade"), ("/own", "close, Upgrade")] {
        for asks in ["Upgrade", "close, upgrade"] {
            let mut client = running
                .send(format!(
                    "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {asks}\r\nUpgrade: echo\r\n\r\n"
                ))
                .await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            assert!(head.contains(&format!("Connection: {connection}\r\n")), "{head}");
            assert_eq!(client.rest().await, "raw");
        }
    }
    running.stop().await;
}

/// H11: the answer to CONNECT has no framing, and what the client sends early is kept.
#[tokio::test]
async fn connect_is_a_switch() {
    for status in [200, 204, 299] {
        let (running, mut taken) = server(move |request| {
            assert_eq!(request.uri().to_string(), "example.com:443");
            let response = Response::builder().status(status);
            let response = response.header("content-length", "4").header("x-proxy", "1");
            response.body(Body::from("body")).unwrap()
        });
        let mut client = running
            .send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\nearly")
            .await;
        let mut hijacked = soon(taken.recv()).await.unwrap().unwrap();
        let head = client.head().await;
        let fields = head.split_once("\r\n").unwrap().1;
        assert_eq!(fields, "X-Proxy: 1\r\n\r\n", "{status}");
        assert_eq!(exactly(&mut hijacked, 5).await, "early");
        drop(hijacked);
        running.stop().await;
    }
}

#[tokio::test]
async fn connect_that_is_refused_is_http() {
    let (running, mut taken) =
        server(|_| Response::builder().status(403).body(Body::from("no")).unwrap());
    let mut client =
        running.send("CONNECT example.com:25 HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    let (head, body) = client.response().await;
    assert!(head.starts_with("HTTP/1.1 403 ") && body == "no");
    let refused = soon(taken.recv()).await.unwrap().unwrap_err();
    assert!(matches!(refused, HijackError::Refused(StatusCode::FORBIDDEN)));
    running.stop().await;
}

/// A switch that was not asked for, to something that was not offered, or that nobody waits for, is a 500.
#[tokio::test]
async fn switches_that_are_none() {
    let to = ["echo", "other/3", ""];
    for (request, respond) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", to[0]),
        ("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\n\r\n", to[0]),
        ("GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", to[0]),
        (UPGRADE, to[1]),
        (UPGRADE, to[2]),
    ] {
        let (running, mut taken) = server(move |_| switching(respond));
        let mut client = running.send(request).await;
        assert!(client.rest().await.starts_with("HTTP/1.1 500 "), "{request}");
        let refused = soon(taken.recv()).await.unwrap().unwrap_err();
        assert!(matches!(refused, HijackError::Refused(StatusCode::INTERNAL_SERVER_ERROR)));
        running.stop().await;
    }
    let running = start(async |request: Request<Body>| match request.method() {
        &http::Method::CONNECT => text(""),
        _ => switching("echo"),
    });
    for request in [UPGRADE, "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut client = running.send(request).await;
        assert!(client.rest().await.starts_with("HTTP/1.1 500 "), "nobody waits: {request}");
    }
    running.stop().await;
}

/// The new protocol begins after the request, so a body that the handler has left is out of the way by then; one that
/// waits for 100 (Continue) is asked for first (RFC 9110 section 7.8).
#[tokio::test]
async fn a_request_with_a_body_is_read_before_the_switch() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n";
    for body in [
        "Content-Length: 4\r\n\r\nbody",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ] {
        let (running, mut taken) = server(|_| switching("echo"));
        let mut client = running.send(format!("{head}{body}after")).await;
        let mut hijacked = soon(taken.recv()).await.unwrap().unwrap();
        assert_eq!(exactly(&mut hijacked, 5).await, "after");
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        drop(hijacked);
        running.stop().await;
    }
    let (running, mut taken) = server(|_| switching("echo"));
    let mut client =
        running.send(format!("{head}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")).await;
    client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("bodyafter").await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    let mut hijacked = soon(taken.recv()).await.unwrap().unwrap();
    assert_eq!(exactly(&mut hijacked, 5).await, "after");
    drop(hijacked);
    running.stop().await;

    for (body, status) in
        [("Transfer-Encoding: chunked\r\n\r\nx", 400), ("Content-Length: 99999999\r\n\r\n", 413)]
    {
        let (running, mut taken) = server(|_| switching("echo"));
        let mut client = running.send(format!("{head}{body}")).await;
        if status == 413 {
            client.send("x".repeat(300 << 10)).await;
        }
        let refused = soon(taken.recv()).await.unwrap().unwrap_err();
        assert!(matches!(refused, HijackError::Refused(refused) if refused == status), "{refused}");
        assert!(client.head().await.starts_with(&format!("HTTP/1.1 {status} ")));
        drop(client);
        running.stop().await;
    }
}

/// One connection, one owner: who comes second through either door is told.
#[tokio::test]
async fn the_doors_do_not_open_twice() {
    let results = std::sync::Arc::new(Mutex::new(Vec::new()));
    let running = start({
        let results = results.clone();
        move |mut request: Request<Body>| {
            let first = hijack::on_switch(&mut request);
            let second = hijack::on_switch(&mut request);
            let hijacker = request.extensions().get::<Hijacker>().unwrap().clone();
            let results = results.clone();
            async move {
                let second = second.await.unwrap_err();
                let raw = hijacker.hijack().await.unwrap();
                let first = first.await.unwrap_err();
                results.lock().unwrap().extend([second.to_string(), first.to_string()]);
                drop(raw);
                switching("echo")
            }
        }
    });
    let mut client = running.send(UPGRADE).await;
    assert_eq!(client.rest().await, "");
    running.stop().await;
    let results = results.lock().unwrap();
    assert_eq!(*results, ["the connection was hijacked already"; 2]);
}

/// H13: without an HTTP/1 server of ours there is nothing to take.
#[tokio::test]
async fn requests_of_elsewhere_cannot_be_switched() {
    let error = hijack::on_switch(&mut Request::new(())).await.unwrap_err();
    assert!(matches!(error, HijackError::NotSupported(http::Version::HTTP_11)));
}
