//! Programs at fault: hooks that panic, interim responses without end, limits that are none.

use std::sync::Mutex;

use http::{HeaderMap, HeaderValue, StatusCode};
use rosn_h1::Limits;
use rosn_http::Body;
use rosn_http::server::{
    Informational, InformationalError, Policy, Server, ServerOptions, StateHook, handler_fn,
};
use rosn_net::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::support::{GET, SOON, soon, start, start_with, text};

/// Interim responses that the client does not read wait in a bounded place, however often the handler lets the
/// connection's task look at them.
#[tokio::test]
async fn interim_responses_that_nobody_reads() {
    const FAR_TOO_MANY: usize = 64 << 20;
    let (to, sent) = oneshot::channel();
    let to = Mutex::new(Some(to));
    let running = start(move |request: http::Request<Body>| {
        let to = to.lock().unwrap().take().expect("there is one request");
        async move {
            let hints = request.extensions().get::<Informational>().unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("x", HeaderValue::try_from("x".repeat(8192)).unwrap());
            let mut sent = 0;
            while sent < FAR_TOO_MANY {
                match hints.send(StatusCode::EARLY_HINTS, &headers) {
                    Ok(()) => sent += 8192,
                    Err(error) => {
                        assert_eq!(error, InformationalError::TooMany);
                        break;
                    }
                }
                tokio::task::yield_now().await;
            }
            to.send(sent).unwrap();
            text("")
        }
    });
    let client = running.send(GET).await;
    assert!(soon(sent).await.unwrap() < FAR_TOO_MANY);
    drop(client);
    running.stop().await;
}

/// A hook that panics is the program's mistake. The server goes on, and forgets no connection.
#[tokio::test]
async fn a_state_hook_that_panics() {
    let state_hook = StateHook::new(|_, state| panic!("{state:?}"));
    let options = ServerOptions { state_hook, ..ServerOptions::default() };
    let server = Server::with_options(handler_fn(async |_| text("served")), options);
    for _ in 0..2 {
        let (mut client, stream) = UnixStream::pair().unwrap();
        client.write_all(GET.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        soon(server.serve_stream(Stream::from(stream))).await.unwrap();
        let mut answer = String::new();
        soon(client.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with("served"), "{answer}");
    }
    let policy = Policy { deadline: Some(SOON), ..Policy::default() };
    assert_eq!(soon(server.shutdown(policy)).await.cut, 0);
}

/// More fields than a map can hold are refused, and longer names than one can have, whatever the limits say.
#[tokio::test]
async fn more_than_a_map_can_hold() {
    let limits = Limits {
        head_bytes: 16 << 20,
        fields: usize::MAX,
        trailer_bytes: 16 << 20,
        ..Limits::default()
    };
    let options = ServerOptions { limits, ..ServerOptions::default() };
    let handler = handler_fn(async |request: http::Request<Body>| {
        let _ = request.into_body().bytes(100).await;
        text("")
    });
    let running = start_with(handler, options);
    let fields: String = (0..40_000).map(|number| format!("a{number}: \r\n")).collect();
    let mut client = running.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).await;
    let answer = client.rest_or_reset().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = "a".repeat(70_000);
    let mut client = running.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{long}: \r\n\r\n")).await;
    let answer = client.rest_or_reset().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let post = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let mut client = running.send(format!("{post}{long}: \r\n{fields}\r\n")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    running.stop().await;
}
