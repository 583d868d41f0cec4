//! Programs at fault: bodies that fail or panic while the response is read, runtimes that end.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use rosn_http::{Body, BoxError, RoundTrip as _};
use rosn_trace::RequestTraceExt as _;

use crate::support::*;

/// A server that begins to answer, and then waits for the rest of the request.
async fn waiting_server() -> Server {
    Server::start(|_, mut conn| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
        conn.closed().await;
    })
    .await
}

/// A body whose second piece, after `hold`, is what `then` gives.
fn body(hold: &Hold, then: fn() -> Result<Bytes, BoxError>) -> Body {
    let hold = hold.clone();
    let second = stream::once(async move {
        hold.wait(1).await;
        then()
    });
    Body::from_stream(stream::once(async { Ok(Bytes::from("x")) }).chain(second))
}

/// The server waits for the rest of the request, and so the response would never end.
#[tokio::test]
async fn a_body_that_fails_ends_the_response_that_is_being_read() {
    for then in [|| Err("no more".into()), || panic!("a body that panics")] {
        let (server, hold, trace) = (waiting_server().await, Hold::new(), Recorder::default());
        let request = server.request(Method::POST, body(&hold, then));
        let mut response = send(&transport(), request, &trace).await.unwrap().into_body();
        assert_eq!(soon(response.next()).await.unwrap().unwrap().into_data().unwrap(), "ok");
        let next = tokio::spawn(async move { response.next().await });
        hold.release();
        let error = soon(next).await.unwrap().unwrap().unwrap_err();
        assert!(error.is_body(), "{error}");
        assert_eq!(trace.only(&["PutIdle"]), ["PutIdle WriteUnfinished"]);
        assert_eq!((trace.count("WroteRequest"), trace.count("ResponseBodyDone")), (1, 1));
        server.no_leak().await;
    }
}

/// As above, where the body has fewer bytes than it announced.
#[tokio::test]
async fn a_body_that_is_too_short_ends_the_response_that_is_being_read() {
    let (server, hold) = (waiting_server().await, Hold::new());
    let mut request = server.request(Method::POST, body(&hold, || Ok(Bytes::from("y"))));
    request.headers_mut().insert("content-length", 9.into());
    let response = send(&transport(), request, &Recorder::default()).await.unwrap();
    let read = tokio::spawn(response.into_body().bytes(100));
    hold.release();
    let error = soon(read).await.unwrap().unwrap_err();
    assert!(error.is_body(), "{error}");
    server.no_leak().await;
}

/// A connection does not outlive the runtime that it was made in: the next request, which could not be sent twice, gets
/// another.
#[tokio::test]
async fn an_idle_connection_of_a_runtime_that_has_ended() {
    let (server, transport) = (Server::always(OK).await, transport());
    let (first, get) = (transport.clone(), server.get());
    let ended = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { read(first.round_trip(get).await.unwrap()).await })
    });
    assert_eq!(soon(ended).await.unwrap(), (200, "ok".to_owned()));
    assert_eq!(transport.idle(), 1);
    let once = stream::iter([Ok::<_, Infallible>(Bytes::new())]);
    let mut request = server.request(Method::POST, Body::from_stream(once));
    let trace = Recorder::default();
    request.with_trace(trace.clone());
    let response = soon(transport.round_trip(request)).await.unwrap();
    assert_eq!(read(response).await.0, 200);
    assert_eq!(trace.only(&["GotConn"]), ["GotConn reused=false was_idle=false before=0"]);
}
