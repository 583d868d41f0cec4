//! The raw door: connections that are taken without a response.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use rosn_h1::Framing;
use rosn_http::Body;
use rosn_http::hijack::{HijackError, Hijacker, SentResponse};
use rosn_http::server::{Informational, InformationalError, ServerOptions, handler_fn};
use rosn_trace::{ContextError, RequestTraceExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use crate::support::{GET, poll_once, soon, start, start_with, text, until};

fn hijacker(request: &Request<Body>) -> Hijacker {
    request.extensions().get::<Hijacker>().unwrap().clone()
}

/// Row 51: what is written keeps its order, also after the handler has returned.
#[tokio::test]
async fn it_outlives_the_handler() {
    let (go, wait) = oneshot::channel::<()>();
    let wait = Mutex::new(Some(wait));
    let running = start(move |request: Request<Body>| {
        let wait = wait.lock().unwrap().take().unwrap();
        async move {
            let mut hijacked = hijacker(&request).hijack().await.unwrap();
            assert_eq!(hijacked.response, SentResponse::Nothing);
            hijacked.write_all(b"first ").await.unwrap();
            tokio::spawn(async move {
                wait.await.unwrap();
                hijacked.io.write_all(b"second").await.unwrap();
            });
            text("is not sent")
        }
    });
    let mut client = running.send(GET).await;
    client.expect("first ").await;
    go.send(()).unwrap();
    assert_eq!(client.rest().await, "second");
    running.stop().await;
}

/// Row 52, H2.
#[tokio::test]
async fn twice_is_an_error() {
    let (to, mut seen) = mpsc::unbounded_channel();
    let running = start(move |request: Request<Body>| {
        let to = to.clone();
        async move {
            let hijacker = hijacker(&request);
            let other = hijacker.clone();
            let (first, second) = tokio::join!(hijacker.hijack(), other.hijack());
            assert!(matches!(second, Err(HijackError::AlreadyHijacked)), "{second:?}");
            let third = hijacker.hijack().await;
            assert!(matches!(third, Err(HijackError::AlreadyHijacked)), "{third:?}");
            assert!(hijacker.is_hijacked());
            to.send(()).unwrap();
            drop(first.unwrap());
            text("")
        }
    });
    let mut client = running.send(GET).await;
    assert_eq!(client.rest().await, "");
    seen.recv().await.unwrap();
    running.stop().await;
}

/// H5, H14: what would write or read as HTTP after a hijack is an error, or ignored, and never a panic. No 100 is sent
/// any more.
#[tokio::test]
async fn nothing_of_http_is_written_afterwards() {
    let running = start(async |request: Request<Body>| {
        let hints = request.extensions().get::<Informational>().unwrap().clone();
        let hijacker = hijacker(&request);
        let mut body = request.into_body();
        let mut hijacked = hijacker.hijack().await.unwrap();
        let sent = hints.send(StatusCode::EARLY_HINTS, &HeaderMap::new());
        assert_eq!(sent, Err(InformationalError::Hijacked));
        let read = body.next().await.unwrap();
        assert!(read.unwrap_err().to_string().contains("hijacked"));
        assert!(body.next().await.is_none());
        hijacked.write_all(b"mine").await.unwrap();
        drop(hijacked);
        Response::builder().status(500).body(Body::from("not sent")).unwrap()
    });
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let mut client = running.send(request).await;
    assert_eq!(client.rest().await, "mine");
    running.stop().await;
}

/// Rows 53 and 68: a response that is not sent is logged, unless there is nothing in it.
#[tokio::test]
async fn a_response_that_is_not_sent_is_logged() {
    let logged = Logged::default();
    let _guard = tracing::subscriber::set_default(logged.clone());
    let running = start(async |request: Request<Body>| {
        drop(hijacker(&request).hijack().await.unwrap());
        if request.uri().path() == "/nothing" { Response::default() } else { text("something") }
    });
    for (path, lines) in [("/nothing", 0), ("/something", 1)] {
        let mut client = running.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(client.rest().await, "");
        until(|| running.server.hijacked_connections() == 0, || "it is held".into()).await;
        tokio::task::yield_now().await;
        assert_eq!(logged.0.load(Ordering::Relaxed), lines, "{path}");
    }
    running.stop().await;
}

/// Counts the warnings of this thread.
#[derive(Clone, Default)]
struct Logged(Arc<AtomicUsize>);

impl tracing::Subscriber for Logged {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("rosn_http")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// H4: too late is an error.
#[tokio::test]
async fn after_the_end_is_an_error() {
    let kept = Arc::new(Mutex::new(None));
    let running = start({
        let kept = Arc::clone(&kept);
        move |request: Request<Body>| {
            *kept.lock().unwrap() = Some((
                hijacker(&request),
                request.extensions().get::<Informational>().unwrap().clone(),
            ));
            std::future::ready(text("x"))
        }
    });
    let mut client = running.send(GET).await;
    client.response().await;
    let (hijacker, hints) = kept.lock().unwrap().take().unwrap();
    let late = || soon(hijacker.hijack());
    assert!(matches!(late().await, Err(HijackError::Finished)));
    let sent = hints.send(StatusCode::EARLY_HINTS, &HeaderMap::new());
    assert_eq!(sent, Err(InformationalError::TooLate));
    client.send(GET).await;
    client.response().await;
    drop(client);
    assert!(matches!(late().await, Err(HijackError::Finished)));
    running.stop().await;
}

/// Row 54, H3: what was begun goes out first, and the rest goes on in its framing.
#[tokio::test]
async fn a_response_that_has_begun_can_be_taken_over() {
    for (announced, first, wanted, rest) in [
        (None, "5\r\nfirst\r\n", Framing::Chunked, "5\r\nlater\r\n0\r\n\r\n"),
        (Some("10"), "first", Framing::Length(5), "later"),
    ] {
        let (go, wait) = oneshot::channel::<()>();
        let wait = Mutex::new(Some(wait));
        let running = start(move |request: Request<Body>| {
            let hijacker = hijacker(&request);
            let wait = wait.lock().unwrap().take().unwrap();
            tokio::spawn(async move {
                wait.await.unwrap();
                let mut hijacked = hijacker.hijack().await.unwrap();
                assert_eq!(hijacked.response, SentResponse::Started(wanted));
                hijacked.write_all(rest.as_bytes()).await.unwrap();
            });
            let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from("first"))]);
            let mut response = Response::new(Body::from_stream(first.chain(stream::pending())));
            if let Some(length) = announced {
                response.headers_mut().insert("content-length", length.parse().unwrap());
            }
            std::future::ready(response)
        });
        let mut client = running.send(GET).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        client.expect(first).await;
        go.send(()).unwrap();
        assert_eq!(client.rest().await, rest);
        running.stop().await;
    }
}

/// H3: where the end is on its way already, nothing can follow it. The client does not read, so that it cannot go out.
#[tokio::test]
async fn a_response_that_is_whole_cannot_be_taken_over() {
    let (to, mut from) = mpsc::unbounded_channel();
    let large = Bytes::from(vec![b'x'; 64 << 20]);
    let running = start(move |request: Request<Body>| {
        to.send(hijacker(&request)).unwrap();
        std::future::ready(Response::new(Body::from(large.clone())))
    });
    let mut client = running.send(GET).await;
    client.head().await;
    let hijacker = from.recv().await.unwrap();
    assert!(matches!(hijacker.hijack().await, Err(HijackError::ResponseStarted)));
    drop(client);
    running.stop().await;
}

/// Row 55: on the second request of a connection, down to the socket.
#[tokio::test]
async fn the_socket_itself_can_be_had() {
    let running = start(async |request: Request<Body>| {
        if request.uri().path() == "/" {
            return text("x");
        }
        let info = request.extensions().get::<Arc<rosn_net::ConnInfo>>().unwrap().clone();
        let hijacked = hijacker(&request).hijack().await.unwrap();
        let mut socket = hijacked.io.into_tcp().unwrap();
        assert_eq!(Some(socket.peer_addr().unwrap()), info.peer.as_ip());
        socket.write_all(b"by the socket").await.unwrap();
        text("")
    });
    let mut client = running.send(GET).await;
    client.response().await;
    client.send("GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.rest().await, "by the socket");
    running.stop().await;
}

/// Row 56: it does not matter what became of the request and its body before.
#[tokio::test]
async fn the_request_may_be_gone() {
    let running = start(async |request: Request<Body>| {
        let hijacker = hijacker(&request);
        drop(request.map(|_| Body::from("another")));
        let mut hijacked = hijacker.hijack().await.unwrap();
        let mut body = [0; 3];
        hijacked.read_exact(&mut body).await.unwrap();
        hijacked.write_all(&body).await.unwrap();
        text("")
    });
    let mut client =
        running.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(client.rest().await, "abc");
    running.stop().await;
}

/// Rows 57 and 58, H1: not a byte is lost, whatever the body is and however much of it was read; and what came after
/// the request is there too. The client has ended its sending direction, which cancels nothing by then.
#[tokio::test]
async fn every_byte_is_there() {
    let body =
        |size: usize| -> String { (0..size).map(|at| (b'a' + (at % 26) as u8) as char).collect() };
    for size in [0, 1, 3, 8 << 10, 1 << 20] {
        for (chunked, reads) in [(false, false), (true, false), (false, true), (true, true)] {
            for early in [0, 1, 8 << 10, 1 << 20] {
                let (body, early) = (body(size), "E".repeat(early));
                let (to, mut got) = mpsc::unbounded_channel();
                let running = start(move |request: Request<Body>| {
                    let to = to.clone();
                    async move {
                        to.send(everything(request, reads).await).unwrap();
                        text("")
                    }
                });
                let request = if chunked {
                    let (a, b) = body.split_at(size / 2);
                    let chunk = |part: &str| match part.len() {
                        0 => String::new(),
                        len => format!("{len:x}\r\n{part}\r\n"),
                    };
                    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
                    format!("{head}{}{}0\r\n\r\n{early}", chunk(a), chunk(b))
                } else {
                    let head = "POST / HTTP/1.1\r\nHost: x\r\n";
                    format!("{head}Content-Length: {size}\r\n\r\n{body}{early}")
                };
                let mut client = running.connect().await;
                let sends = async {
                    client.send(&request).await;
                    client.end().await;
                };
                let ((), got) = tokio::join!(sends, soon(got.recv()));
                let (got_body, got_early) = got.unwrap();
                let what = || format!("{size} {chunked} {reads} {}", early.len());
                assert!(got_body == body, "{}: {} bytes of body", what(), got_body.len());
                assert!(got_early == early, "{}: {} bytes after it", what(), got_early.len());
                running.stop().await;
            }
        }
    }
}

/// The body and what comes after it. With `reads`, a part of the body is read before the hijack.
async fn everything(request: Request<Body>, reads: bool) -> (String, String) {
    let hijacker = hijacker(&request);
    let mut all = Vec::new();
    let mut body = request.into_body();
    if reads && let Some(frame) = body.next().await {
        all.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    let mut hijacked = hijacker.hijack().await.unwrap();
    while let Some(data) = hijacked.read_body().await.unwrap() {
        all.extend_from_slice(&data);
    }
    let mut rest = Vec::new();
    hijacked.read_to_end(&mut rest).await.unwrap();
    (String::from_utf8(all).unwrap(), String::from_utf8(rest).unwrap())
}

/// H1: a body that was delivered and that nobody has taken is not lost either.
#[tokio::test]
async fn an_untaken_piece_comes_back() {
    for (head, body) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
    {
        let running = start(async |request: Request<Body>| {
            let hijacker = hijacker(&request);
            let mut body = request.into_body();
            // Asks for a piece, and does not take it when it comes.
            let asked = poll_once(pin!(body.next())).await;
            assert!(asked.is_pending());
            tokio::task::yield_now().await;
            let mut hijacked = hijacker.hijack().await.unwrap();
            let mut all = Vec::new();
            while let Some(data) = hijacked.read_body().await.unwrap() {
                all.extend_from_slice(&data);
            }
            all.push(b'|');
            hijacked.read_to_end(&mut all).await.unwrap();
            hijacked.write_all(&all).await.unwrap();
            text("")
        });
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}after");
        let mut client = running.send(request).await;
        client.end().await;
        assert_eq!(client.rest().await, "hello|after");
        running.stop().await;
    }
}

/// Raw bytes within chunks mean nothing by themselves, so they are not given out as if they did.
#[tokio::test]
async fn a_body_cut_within_its_chunks_is_not_read_raw() {
    let running = start(async |request: Request<Body>| {
        let hijacker = hijacker(&request);
        let mut body = request.into_body();
        body.next().await.unwrap().unwrap();
        let mut hijacked = hijacker.hijack().await.unwrap();
        let refused = hijacked.read_u8().await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
        hijacked.write_all(refused.to_string().as_bytes()).await.unwrap();
        text("")
    });
    let mut client = running
        .send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        .await;
    assert!(client.rest_or_reset().await.contains("read its rest first"));
    running.stop().await;
}

/// H6: no deadline of the server's hits a connection that it no longer has.
#[tokio::test]
async fn deadlines_are_gone() {
    let short = Duration::from_millis(200);
    let options = ServerOptions {
        header_timeout: Duration::from_secs(60),
        idle_timeout: short,
        stall_timeout: short,
        ..ServerOptions::default()
    };
    let handler = handler_fn(async |request: Request<Body>| {
        let hijacker = hijacker(&request);
        let mut body = request.into_body();
        // So that the deadline of a read runs.
        let _ = poll_once(pin!(body.next())).await;
        tokio::task::yield_now().await;
        let mut hijacked = hijacker.hijack().await.unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; 4];
            hijacked.read_exact(&mut bytes).await.unwrap();
            hijacked.write_all(&bytes).await.unwrap();
        });
        text("")
    });
    let running = start_with(handler, options);
    let mut client = running.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n").await;
    tokio::time::sleep(short * 3).await;
    client.send("late").await;
    assert_eq!(client.rest().await, "late");
    running.stop().await;
}

/// H7, row 60: who drops it or panics with it closes it, once.
#[tokio::test]
async fn dropping_it_closes_it() {
    let running = start(async |request: Request<Body>| {
        let hijacked = hijacker(&request).hijack().await.unwrap();
        assert_ne!(request.uri().path(), "/panic", "with {hijacked:?}");
        text("")
    });
    for path in ["/drop", "/panic"] {
        let mut client = running.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(client.rest().await, "", "{path}");
    }
    running.stop().await;
}

/// A hijack that nobody waits for any more is none, and the connection goes on.
#[tokio::test]
async fn a_hijack_that_was_given_up() {
    let running = start(async |request: Request<Body>| {
        let hijacker = hijacker(&request);
        {
            let mut first = pin!(hijacker.hijack());
            assert!(poll_once(first.as_mut()).await.is_pending());
        }
        text("still HTTP")
    });
    let mut client = running.send(GET).await;
    for _ in 0..2 {
        assert_eq!(client.response().await.1, "still HTTP");
        client.send(GET).await;
    }
    client.response().await;
    running.stop().await;
}

/// H18: the context lives as long as the handler, hijacked or not, and ends with it.
#[tokio::test]
async fn the_context_ends_with_the_handler() {
    let (to, mut contexts) = mpsc::unbounded_channel();
    let running = start(move |request: Request<Body>| {
        let to = to.clone();
        async move {
            let context = request.context();
            assert_eq!(context.err(), None);
            if request.uri().path() == "/hijack" {
                let hijacked = hijacker(&request).hijack().await.unwrap();
                tokio::task::yield_now().await;
                assert_eq!(context.err(), None);
                to.send((context, Some(hijacked))).unwrap();
            } else {
                to.send((context, None)).unwrap();
            }
            text("")
        }
    });
    for path in ["/", "/hijack"] {
        let mut client = running.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let (context, mut hijacked) = contexts.recv().await.unwrap();
        soon(context.cancelled()).await;
        assert_eq!(context.err(), Some(ContextError::Cancelled));
        if let Some(hijacked) = &mut hijacked {
            hijacked.write_all(b"open").await.unwrap();
            client.expect("open").await;
        }
    }
    running.stop().await;
}

/// Row 65: a client that goes is noticed while it is answered; one that sends another request is not gone.
#[tokio::test]
async fn a_client_that_goes_is_noticed() {
    let (to, mut seen) = mpsc::unbounded_channel();
    let running = start(move |request: Request<Body>| {
        let to = to.clone();
        async move {
            let context = request.context();
            if request.uri().path() == "/wait" {
                to.send("waits".to_owned()).unwrap();
                context.cancelled().await;
                to.send(context.cause().unwrap().to_string()).unwrap();
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                to.send(format!("{:?}", context.err())).unwrap();
            }
            text("")
        }
    });
    let client = running.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(seen.recv().await.unwrap(), "waits");
    drop(client);
    assert_eq!(soon(seen.recv()).await.unwrap(), "the client has ended the connection");
    let mut client = running.send(format!("{GET}{GET}")).await;
    for _ in 0..2 {
        assert_eq!(soon(seen.recv()).await.unwrap(), "None");
        client.response().await;
    }
    running.stop().await;
}
