//! Endpoints that say what a test has them say.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use super::{Endpoint, Exchange, Fixture, run};

/// A frame's header.
fn frame(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes
}

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const PING: u8 = 6;

type Script = Pin<Box<dyn Future<Output = ()>>>;

/// An endpoint that does what the script says with its first connection.
async fn scripted(script: impl FnOnce(TcpStream) -> Script + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await;
    });
    addr
}

/// Reads frames until one of this kind comes; its stream.
async fn read_until(stream: &mut TcpStream, kind: u8) -> u32 {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == kind && head[4] & 1 == u8::from(kind == HEADERS) {
            return u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        }
    }
}

async fn read_preface(stream: &mut TcpStream) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

/// Streams above the last that GOAWAY names were never looked at: the error says so.
#[test]
fn streams_that_were_never_processed_are_told_apart() {
    run(async {
        let addr = scripted(|mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                stream.write_all(&frame(0, SETTINGS, 0, 0)).await.unwrap();
                assert_eq!(read_until(&mut stream, HEADERS).await, 1);
                assert_eq!(read_until(&mut stream, HEADERS).await, 3);
                let mut goaway = frame(8, GOAWAY, 0, 0);
                goaway.extend_from_slice(&1u32.to_be_bytes());
                goaway.extend_from_slice(&0u32.to_be_bytes());
                stream.write_all(&goaway).await.unwrap();
                // The first one is processed, and not answered.
                let mut rest = [0; 1];
                while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let first = fixture.ask().await.unwrap().unwrap();
        let second = fixture.ask().await.unwrap().unwrap();
        let refused = second.status().await.unwrap_err();
        assert!(refused.is_go_away() && refused.is_remote(), "{refused}");
        assert!(first.place.connection.is_retired());
        drop(first);
    });
}

/// An endpoint that takes connections and says nothing is given up after `connect_timeout`.
#[test]
fn an_endpoint_that_never_speaks_is_given_up() {
    run(async {
        let (hold, held) = oneshot::channel::<()>();
        let addr = scripted(|stream| {
            Box::pin(async move {
                let _ = held.await;
                drop(stream);
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, r#", "connect_timeout": "1s""#));
        let exchange = fixture.ask().await.unwrap().unwrap();
        let Exchange { response, place, .. } = exchange;
        assert!(response.unwrap().await.unwrap_err().is_io());
        assert_eq!(place.verdict(), Some("the endpoint did not begin to speak HTTP/2 in time"));
        drop(hold);
    });
}

/// An endpoint that dies without a word is found out by a ping, and its streams fail.
#[test]
fn a_silent_endpoint_is_pinged_and_given_up() {
    run(async {
        let (hold, held) = oneshot::channel::<()>();
        let addr = scripted(|mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                stream.write_all(&frame(0, SETTINGS, 0, 0)).await.unwrap();
                read_until(&mut stream, PING).await;
                let _ = held.await;
            })
        })
        .await;
        let fixture = Rc::new(Fixture::tuned(addr, "", |http2| {
            http2.ping_interval = Some(Duration::from_millis(30));
            http2.ping_timeout = Duration::from_millis(50);
        }));
        let Exchange { response, place, .. } = fixture.ask().await.unwrap().unwrap();
        assert!(response.unwrap().await.unwrap_err().is_io());
        assert_eq!(place.verdict(), Some("the endpoint did not answer a ping"));
        assert_eq!(fixture.active(), 0);
        drop(hold);
    });
}

/// One that answers pings is alive, however long it takes for its response; and it is not pinged again and again.
#[test]
fn an_endpoint_that_answers_pings_is_kept() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Rc::new(Fixture::tuned(addr, "", |http2| {
            http2.ping_interval = Some(Duration::from_millis(10));
            http2.ping_timeout = Duration::from_secs(20);
        }));
        let asked = fixture.ask();
        endpoint.has(1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        endpoint.answer();
        let asked = asked.await.unwrap().unwrap();
        assert_eq!(asked.place.verdict(), None);
        assert_eq!(asked.status().await.unwrap(), 200);
    });
}

/// What speaks HTTP/1.1 is no HTTP/2 endpoint.
#[test]
fn an_endpoint_of_another_protocol_fails_the_stream() {
    run(async {
        let addr = scripted(|mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                let text = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(text).await.unwrap();
                let mut rest = [0; 1];
                while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let exchange = fixture.ask().await.unwrap().unwrap();
        let error = exchange.status().await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::FRAME_SIZE_ERROR), "{error}");
    });
}

/// Nor is it dialed again and again for those who wait.
#[test]
fn an_endpoint_of_another_protocol_fails_for_all_who_wait() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = Rc::new(Cell::new(0));
        let count = Rc::clone(&accepted);
        spawn_local(async move {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.set(count.get() + 1);
                stream.write_all(b"220 mail.test ESMTP ready, or so\r\n").await.unwrap();
                open.push(stream);
            }
        });
        let fixture = Rc::new(Fixture::new(addr, ""));
        let asked: Vec<_> = (0..20).map(|_| fixture.ask()).collect();
        for asked in asked {
            match asked.await.unwrap() {
                Ok(exchange) => assert!(exchange.status().await.unwrap_err().is_library()),
                Err(failed) => {
                    assert_eq!(failed.details(), "upstream_handshake_failure", "{failed}");
                    assert!(failed.hint().unwrap().contains("speak HTTP/2"));
                }
            }
        }
        assert_eq!(accepted.get(), 1);
    });
}

/// A connection that ended while it was idle, which is not known yet: nothing was sent, and so any request may be sent
/// again.
#[test]
fn what_was_never_sent_is_told_apart() {
    run(async {
        let (close, closed) = oneshot::channel::<()>();
        let (taken, socket) = oneshot::channel();
        let addr = scripted(|mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                stream.write_all(&frame(0, SETTINGS, 0, 0)).await.unwrap();
                assert_eq!(read_until(&mut stream, HEADERS).await, 1);
                // :status 200 of the static table.
                let response = [frame(1, HEADERS, 5, 1), vec![0x88]].concat();
                stream.write_all(&response).await.unwrap();
                let _ = taken.send(stream.into_std().unwrap());
                let _ = closed.await;
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        assert_eq!(fixture.ask().await.unwrap().unwrap().status().await.unwrap(), 200);
        let socket = socket.await.unwrap();
        // From here to the end nobody else runs but at the last `await`.
        let place = fixture.obtain().await.unwrap();
        assert!(place.is_reused());
        drop(socket);
        let Exchange { response, place, .. } = Exchange::begin(place);
        assert!(response.unwrap().await.unwrap_err().is_io());
        assert!(!place.may_have_sent());
        drop(close);
    });
}

/// An endpoint that takes no streams for now is waited for, and not dialed again and again.
#[test]
fn an_endpoint_that_allows_no_streams_is_waited_for() {
    run(async {
        let (allow, allowed) = oneshot::channel::<()>();
        let settings = |streams: u32| {
            let mut bytes = frame(6, SETTINGS, 0, 0);
            bytes.extend_from_slice(&3_u16.to_be_bytes());
            bytes.extend_from_slice(&streams.to_be_bytes());
            bytes
        };
        let addr = scripted(move |mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                stream.write_all(&settings(0)).await.unwrap();
                assert_eq!(read_until(&mut stream, HEADERS).await, 1);
                let _ = allowed.await;
                let response = [frame(1, HEADERS, 5, 1), vec![0x88]].concat();
                stream.write_all(&[settings(2), response].concat()).await.unwrap();
                assert_eq!(read_until(&mut stream, HEADERS).await, 3);
                let response = [frame(1, HEADERS, 5, 3), vec![0x88]].concat();
                stream.write_all(&response).await.unwrap();
                std::future::pending::<()>().await;
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        // The first one begins before the endpoint has said that.
        let first = fixture.ask().await.unwrap().unwrap();
        let (late, _) = fixture.obtain_within(20_000_000).await;
        assert_eq!(late.err().unwrap().details(), "upstream_connect_timeout");
        let second = fixture.ask();
        allow.send(()).unwrap();
        assert_eq!(first.status().await.unwrap(), 200);
        assert_eq!(second.await.unwrap().unwrap().status().await.unwrap(), 200);
        assert_eq!(fixture.upstream.stats().connection_total.value(), 1);
    });
}
