//! HTTP/2. The client is this crate's, or one of frames.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use rosn_http::connect::{ConnectOptions, Proxies, Versions};
use rosn_http::hijack::{self, HijackError, Hijacked, Hijacker};
use rosn_http::server::{
    ConnState, Handler, HijackedConnections, Informational, InformationalError, NextProtocols,
    Policy, ServerOptions,
};
use rosn_http::transport::{TransportBuilder, upgrade};
use rosn_http::{Body, Protocol, Transport};
use rosn_tls::{Acceptor, ClientOptions, Session, self_signed};
use rosn_trace::{Callbacks, RequestTraceExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::*;

/// Options of a server of plain HTTP/2.
fn plain() -> ServerOptions {
    ServerOptions { plain_http2: true, ..ServerOptions::default() }
}

/// Options of a server with TLS, and of a client that trusts it.
fn secure(protocols: &[&str]) -> (ServerOptions, ClientOptions) {
    let pair = self_signed(&["localhost"]).unwrap();
    let roots = vec![pair.certificate.clone()];
    let client = ClientOptions { system_roots: false, roots, ..ClientOptions::default() };
    let alpn = protocols.iter().map(ToString::to_string).collect();
    let tls = rosn_tls::ServerOptions {
        certificates: vec![pair],
        alpn,
        ..rosn_tls::ServerOptions::default()
    };
    let tls = Some(Acceptor::new(&tls).unwrap());
    (ServerOptions { tls, ..ServerOptions::default() }, client)
}

fn client() -> TransportBuilder {
    let connect = ConnectOptions { proxies: Proxies::none(), ..ConnectOptions::default() };
    Transport::builder().connect(connect).versions(Versions::Http2)
}

impl<H: Handler> Running<H> {
    fn request(&self, method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
        let uri = format!("http://{}{path}", self.addr);
        Request::builder().method(method).uri(uri).body(body.into()).unwrap()
    }

    fn get(&self, path: &str) -> Request<Body> {
        self.request(Method::GET, path, Body::empty())
    }

    /// A client that does what it is told to.
    async fn h2(&self) -> (SendRequest<Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        (send, tokio::spawn(connection))
    }
}

async fn send(transport: &Transport, request: Request<Body>) -> Response<Body> {
    soon(transport.send(request)).await.unwrap()
}

async fn body(response: Response<Body>) -> String {
    let body = soon(response.into_body().bytes(1 << 24)).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Gives back what it gets.
async fn echo(request: Request<Body>) -> Response<Body> {
    let version = request.version();
    assert_eq!(version, Version::HTTP_2);
    Response::new(request.into_body())
}

/// By TLS and ALPN, HTTP/2 and HTTP/1.1 on one port; what was agreed on is in the request.
#[tokio::test]
async fn tls() {
    let (options, tls) = secure(&["h2", "http/1.1"]);
    let server = start_with(
        rosn_http::server::handler_fn(async |request: Request<Body>| {
            let session = request.extensions().get::<Session>().unwrap();
            assert_eq!(session.server_name(), Some("localhost"));
            let alpn = String::from_utf8(session.alpn().unwrap().to_vec()).unwrap();
            text(format!("{alpn} {:?} {}", request.version(), request.uri()))
        }),
        options,
    );
    let port = server.addr.port();
    let connect = ConnectOptions { proxies: Proxies::none(), tls, ..ConnectOptions::default() };
    for (versions, wanted) in [
        (Versions::Negotiated, format!("h2 HTTP/2.0 https://localhost:{port}/a?b")),
        (Versions::Http1, "http/1.1 HTTP/1.1 /a?b".to_owned()),
    ] {
        let builder = Transport::builder().connect(connect.clone());
        let transport = builder.versions(versions).build().unwrap();
        let uri = format!("https://localhost:{port}/a?b");
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = send(&transport, request).await;
        assert!(response.headers().contains_key("date"));
        assert_eq!(response.headers()["content-length"], wanted.len().to_string());
        assert_eq!(body(response).await, wanted);
    }
    // What is no TLS is no harm.
    let mut client = server.send(GET).await;
    client.rest_or_reset().await;
    assert_eq!(server.stop().await.cut, 0);
}

/// Plain HTTP/2 is spoken where that is wanted, beside HTTP/1.1; row 64: else its preface is refused.
#[tokio::test]
async fn prior_knowledge() {
    let server = start_with(rosn_http::server::handler_fn(async |_| text("hello")), plain());
    let transport = client().build().unwrap();
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    // In pieces, and what only looks like it.
    let mut client_of_1 = server.send("P").await;
    client_of_1.send("RI / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(client_of_1.response().await.0.starts_with("HTTP/1.1 200"));
    client_of_1.send(GET).await;
    assert_eq!(client_of_1.response().await.1, "hello");
    drop((transport, client_of_1));
    server.stop().await;

    let server = start(async |_| text("hello"));
    let transport = client().build().unwrap();
    assert!(soon(transport.send(server.get("/"))).await.is_err());
    server.stop().await;
}

/// Bodies of both ways at a time, with trailers, larger than any window.
#[tokio::test]
async fn bodies() {
    let server = start_with(rosn_http::server::handler_fn(echo), plain());
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
        rosn_http::server::handler_fn(async |request: Request<Body>| {
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
        rosn_http::server::handler_fn(async |request: Request<Body>| {
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

/// Row 61 for HTTP/2, as in Go: the preface is something, and no request.
#[tokio::test]
async fn states() {
    use ConnState::{Active, Closed, Idle, New};
    let server = start_with(rosn_http::server::handler_fn(echo), plain());
    let transport = client().build().unwrap();
    body(send(&transport, server.get("/")).await).await;
    server.states.are(1, &[New, Active, Idle, Active, Idle]).await;
    drop(transport);
    server.states.are(1, &[New, Active, Idle, Active, Idle, Closed]).await;
    server.stop().await;
}

/// Row 24 for HTTP/2: without keep-alive, or if the handler says so, the next request has a connection of its own.
#[tokio::test]
async fn without_keep_alive() {
    for keep_alive in [false, true] {
        let handler = rosn_http::server::handler_fn(async |_| {
            let mut response = text("hello");
            response.headers_mut().insert("connection", HeaderValue::from_static("close"));
            response
        });
        let server = start_with(handler, ServerOptions { keep_alive, ..plain() });
        let transport = client().build().unwrap();
        for number in 1..=3 {
            let response = send(&transport, server.get("/")).await;
            assert!(!response.headers().contains_key("connection"));
            assert_eq!(body(response).await, "hello");
            // The client has heard of it when the connection is closed.
            let closed = || server.states.of(number).last() == Some(&ConnState::Closed);
            until(closed, || "it is open".into()).await;
        }
        server.stop().await;
    }
}

/// H13: a stream cannot be hijacked.
#[tokio::test]
async fn no_hijack() {
    let server = start_with(
        rosn_http::server::handler_fn(async |request: Request<Body>| {
            let hijacker = request.extensions().get::<Hijacker>().unwrap();
            let error = hijacker.hijack().await.unwrap_err();
            assert!(matches!(error, HijackError::NotSupported(Version::HTTP_2)));
            assert!(!hijacker.is_hijacked());
            text("hello")
        }),
        plain(),
    );
    let transport = client().build().unwrap();
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    drop(transport);
    server.stop().await;
}

/// What a handler did with the tunnel that it asked for.
type Tunnels = mpsc::UnboundedReceiver<Result<Hijacked, HijackError>>;

/// Answers CONNECT by the status that its path names; and 200 to others.
fn tunnels(options: ServerOptions) -> (Running<impl Handler>, Tunnels) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = rosn_http::server::handler_fn(move |mut request: Request<Body>| {
        let tell = tell.clone();
        async move {
            let path = request.uri().path().trim_start_matches('/');
            let status = path.parse().unwrap_or(StatusCode::OK);
            if request.method() == Method::CONNECT && request.uri().path() != "/alone" {
                let switch = hijack::on_switch(&mut request);
                tokio::spawn(async move { tell.send(switch.await) });
            }
            let protocol = request.extensions().get::<Protocol>().map(Protocol::as_str);
            let mut response = Response::new(Body::empty());
            let protocol = protocol.unwrap_or("none").parse().unwrap();
            response.headers_mut().insert("protocol", protocol);
            *response.status_mut() = status;
            response
        }
    });
    (start_with(handler, options), told)
}

fn websocket<H: Handler>(server: &Running<H>, path: &str) -> Request<Body> {
    let mut request = server.request(Method::CONNECT, path, Body::empty());
    request.extensions_mut().insert(Protocol::new("websocket"));
    request
}

/// H11 to H13: CONNECT and extended CONNECT give the stream, by any 2xx; a refusal is told at once; what nobody waits for
/// is a mistake.
#[tokio::test]
async fn connect() {
    let (server, mut told) = tunnels(plain());
    let transport = client().build().unwrap();
    let plain = Request::connect(server.addr.to_string()).body(Body::empty()).unwrap();
    for (request, status, protocol) in
        [(plain, 200, "none"), (websocket(&server, "/202"), 202, "websocket")]
    {
        let response = send(&transport, request).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["protocol"], protocol);
        assert!(!response.headers().contains_key("content-length"));
        let mut near = upgrade(response).unwrap();
        let mut far = soon(told.recv()).await.unwrap().unwrap();
        near.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        soon(far.read_exact(&mut read)).await.unwrap();
        assert_eq!(&read, b"hello");
        near.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(far.read_to_end(&mut rest)).await.unwrap();
        far.write_all(b"still here").await.unwrap();
        drop(far);
        soon(near.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"still here");
    }
    let response = send(&transport, websocket(&server, "/403")).await;
    assert_eq!(response.status(), 403);
    let refused = soon(told.recv()).await.unwrap().unwrap_err();
    assert!(matches!(refused, HijackError::Refused(StatusCode::FORBIDDEN)));
    assert_eq!(send(&transport, websocket(&server, "/alone")).await.status(), 500);
    drop(transport);
    server.stop().await;
}

/// A tunnel that is aborted on one side is a reset on the other.
#[tokio::test]
async fn a_tunnel_that_is_reset() {
    let (server, mut told) = tunnels(plain());
    let transport = client().build().unwrap();
    let mut near = upgrade(send(&transport, websocket(&server, "/")).await).unwrap();
    let far = soon(told.recv()).await.unwrap().unwrap();
    far.io.reset();
    let error = soon(near.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    drop((near, transport));
    server.stop().await;
}

/// Row 62 and H9 for HTTP/2: a shutdown lets requests end, and does with tunnels as its policy says.
#[tokio::test]
async fn shutdown() {
    for (hijacked, deadline) in [
        (HijackedConnections::Ignore, None),
        (HijackedConnections::Notify, None),
        (HijackedConnections::Wait, None),
        (HijackedConnections::Wait, Some(Duration::from_millis(20))),
    ] {
        let (server, mut told) = tunnels(plain());
        let transport = client().build().unwrap();
        let mut near = upgrade(send(&transport, websocket(&server, "/")).await).unwrap();
        let mut far = soon(told.recv()).await.unwrap().unwrap();
        let stopping = tokio::spawn({
            let server = server.server.clone();
            async move { server.shutdown(Policy { hijacked, deadline }).await }
        });
        if hijacked != HijackedConnections::Ignore {
            soon(far.shutdown.wait()).await;
        }
        if deadline.is_some() {
            soon(far.shutdown.cut()).await;
            assert_eq!(soon(stopping).await.unwrap().hijacked, 1);
            drop(far);
        } else if hijacked == HijackedConnections::Wait {
            let counts = || server.server.hijacked_connections() == 1;
            until(counts, || "it is not counted".into()).await;
            assert!(!stopping.is_finished());
            far.write_all(b"bye").await.unwrap();
            drop(far);
            let mut rest = Vec::new();
            soon(near.read_to_end(&mut rest)).await.unwrap();
            assert_eq!(rest, b"bye");
            drop(near);
            assert_eq!(soon(stopping).await.unwrap().hijacked, 0);
            continue;
        } else {
            let stopped = soon(stopping).await.unwrap();
            assert_eq!((stopped.cut, stopped.hijacked), (0, 1));
            // It goes on.
            far.write_all(b"bye").await.unwrap();
            let mut read = [0; 3];
            soon(near.read_exact(&mut read)).await.unwrap();
            drop(far);
        }
        drop(near);
        let gone = || server.server.hijacked_connections() == 0;
        until(gone, || "a tunnel is still counted".into()).await;
    }
}

/// Row 62: a request that is being answered is answered; a new one finds the connection closed. At the deadline handlers
/// are dropped.
#[tokio::test]
async fn shutdown_of_requests() {
    for in_time in [true, false] {
        let (go, gate) =
            (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (open, asked) = (Arc::clone(&gate), Arc::clone(&go));
        let handler = rosn_http::server::handler_fn(move |_| {
            let (open, asked) = (Arc::clone(&open), Arc::clone(&asked));
            async move {
                asked.notify_one();
                open.notified().await;
                text("done")
            }
        });
        let server = start_with(handler, plain());
        let transport = client().build().unwrap();
        let request = server.get("/");
        let asking =
            tokio::spawn(async move { transport.send(request).await?.into_body().bytes(9).await });
        soon(go.notified()).await;
        let stopping = tokio::spawn({
            let server = server.server.clone();
            let deadline = (!in_time).then_some(Duration::from_millis(10));
            async move { server.shutdown(Policy { deadline, ..Policy::default() }).await }
        });
        if in_time {
            let mut closing = TcpStream::connect(server.addr).await;
            while closing.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                closing = TcpStream::connect(server.addr).await;
            }
            gate.notify_one();
            assert_eq!(soon(asking).await.unwrap().unwrap(), "done");
            assert_eq!(soon(stopping).await.unwrap().cut, 0);
        } else {
            assert_eq!(soon(stopping).await.unwrap().cut, 1);
            assert!(soon(asking).await.unwrap().is_err());
        }
        assert_eq!(server.server.connections(), 0);
    }
}

/// Handlers that make mistakes, or panic: 500, or a reset where the response had begun. Other requests go on.
#[tokio::test]
async fn mistakes() {
    let server = start_with(
        rosn_http::server::handler_fn(async |request: Request<Body>| {
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
        rosn_http::server::handler_fn(move |mut request: Request<Body>| {
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

/// Streams that are reset as soon as they are begun: a burst is borne, a flood is not, and others are served.
#[tokio::test]
async fn rapid_resets() {
    let server = start_with(
        rosn_http::server::handler_fn(async |request: Request<Body>| {
            if request.uri().path() == "/slow" {
                request.context().cancelled().await;
            }
            text("hello")
        }),
        plain(),
    );
    let (mut flood, connection) = server.h2().await;
    let asking = async {
        loop {
            let request = Request::get("http://x/slow").body(()).unwrap();
            let Ok((response, _)) = flood.send_request(request, true) else { return };
            drop(response);
            tokio::task::yield_now().await;
            if std::future::poll_fn(|cx| flood.poll_ready(cx)).await.is_err() {
                return;
            }
        }
    };
    soon(asking).await;
    let end = soon(connection).await.unwrap().unwrap_err();
    // It may be so busy with writing that it does not read why.
    assert!(end.is_io() || end.reason() == Some(Reason::ENHANCE_YOUR_CALM), "{end}");
    let transport = client().build().unwrap();
    assert_eq!(body(send(&transport, server.get("/")).await).await, "hello");
    drop(transport);
    server.stop().await;
}

/// More fields, and larger ones, than allowed: 431, and the connection goes on.
#[tokio::test]
async fn large_heads() {
    let mut options = plain();
    options.limits.fields = 10;
    options.limits.head_bytes = 4096;
    let server = start_with(rosn_http::server::handler_fn(echo), options);
    let transport = client().build().unwrap();
    let mut many = server.get("/");
    for number in 0..11 {
        many.headers_mut().append("a", HeaderValue::from(number));
    }
    let mut large = server.get("/");
    large.headers_mut().append("a", HeaderValue::try_from("b".repeat(5000)).unwrap());
    for request in [many, large] {
        assert_eq!(send(&transport, request).await.status(), 431);
    }
    assert_eq!(send(&transport, server.get("/")).await.status(), 200);
    assert_eq!(server.states.of(2), []);
    drop(transport);
    server.stop().await;
}

/// Silence: before the preface, between requests, within a body, and before a response that is not read.
#[tokio::test]
async fn silence() {
    let brief = Duration::from_millis(50);
    let options = ServerOptions {
        header_timeout: brief,
        idle_timeout: brief,
        stall_timeout: brief,
        ..plain()
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = start_with(
        rosn_http::server::handler_fn(move |mut request: Request<Body>| {
            let tell = tell.clone();
            async move {
                if request.uri().path() == "/large" {
                    return text("x".repeat(1 << 20));
                }
                let error = request.body_mut().next().await.unwrap().unwrap_err();
                tell.send(error.is_timeout()).unwrap();
                text("hello")
            }
        }),
        options,
    );
    let mut client_of_no_preface = server.send("PRI * HTTP/2.0\r\n").await;
    client_of_no_preface.rest_or_reset().await;

    let transport = client().build().unwrap();
    let endless = Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>());
    let request = server.request(Method::POST, "/", endless);
    assert_eq!(body(send(&transport, request).await).await, "hello");
    assert_eq!(told.recv().await, Some(true));

    let (mut raw, connection) = server.h2().await;
    let request = Request::get("http://x/large").body(()).unwrap();
    let (response, _) = raw.send_request(request, true).unwrap();
    let mut unread = soon(response).await.unwrap().into_body();
    let error = loop {
        // Nothing is released, so the window stays shut.
        if let Err(error) = soon(unread.data()).await.unwrap() {
            break error;
        }
    };
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    // Then it is idle, and told to go.
    soon(connection).await.unwrap().unwrap();
    until(|| server.server.connections() == 0, || "one is open".into()).await;
    server.stop().await;
}

/// Streams beyond the limit are refused, which a decent client never sees.
#[tokio::test]
async fn streams_at_a_time() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let open = Arc::clone(&gate);
    let handler = rosn_http::server::handler_fn(move |_| {
        let (open, tell) = (Arc::clone(&open), tell.clone());
        async move {
            tell.send(()).unwrap();
            let _ = open.acquire().await;
            text("hello")
        }
    });
    let server = start_with(handler, ServerOptions { max_streams: 2, ..plain() });
    let transport = client().max_conns_per_host(Some(1)).build().unwrap();
    let asking: Vec<_> = (0..5)
        .map(|_| {
            let (transport, request) = (transport.clone(), server.get("/"));
            tokio::spawn(async move { body(transport.send(request).await.unwrap()).await })
        })
        .collect();
    for _ in 0..2 {
        soon(told.recv()).await.unwrap();
    }
    gate.add_permits(5);
    for asking in asking {
        assert_eq!(soon(asking).await.unwrap(), "hello");
    }
    drop(transport);
    server.stop().await;
}

/// Row 67: connections of another protocol are handed over, or closed where nobody speaks it.
#[tokio::test]
async fn another_protocol() {
    use ConnState::{Active, Closed, Hijacked as Taken, HijackedClosed, New};
    let (mut options, tls) = secure(&["tls-0.9", "unknown"]);
    options.next_protocols =
        NextProtocols::default().with("tls-0.9", |mut connection: Hijacked| {
            tokio::spawn(async move {
                connection.write_all(b"hello").await.unwrap();
                connection.shutdown().await.unwrap();
                let _ = connection.read(&mut [0; 1]).await;
            });
        });
    let server = start_with(rosn_http::server::handler_fn(echo), options);
    for (protocol, wanted) in [("tls-0.9", "hello"), ("unknown", "")] {
        let options = ClientOptions { alpn: vec![protocol.to_owned()], ..tls.clone() };
        let connector = rosn_tls::Connector::new(&options).unwrap();
        let stream = TcpStream::connect(server.addr).await.unwrap();
        let mut stream = soon(connector.connect("localhost", stream)).await.unwrap();
        let mut read = String::new();
        let _ = soon(stream.read_to_string(&mut read)).await;
        assert_eq!(read, wanted);
    }
    server.states.are(1, &[New, Active, Taken, HijackedClosed]).await;
    server.states.are(2, &[New, Closed]).await;
    server.stop().await;
}
