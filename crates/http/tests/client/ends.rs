//! Responses over TLS that last until their connection ends: RFC 9112 section 9.8.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::Request;
use rosn_http::client::Client;
use rosn_http::connect::{ConnectOptions, Proxies};
use rosn_http::{Body, Error, Transport};
use rosn_tls::{Acceptor, ClientOptions, ServerOptions, self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers each connection with these bytes, ends it with `close_notify` or without, and a client.
async fn line(answer: &'static str, says_so: bool) -> (Client, SocketAddr) {
    let pair = self_signed(&["127.0.0.1"]).unwrap();
    let roots = vec![pair.certificate.clone()];
    let options = ServerOptions { certificates: vec![pair], ..ServerOptions::default() };
    let acceptor = Acceptor::new(&options).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            let mut head = Vec::new();
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                stream.read_buf(&mut head).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            if says_so {
                stream.shutdown().await.unwrap();
            } else {
                stream.below_mut().shutdown().await.unwrap();
            }
            // Until the client closes: a reset would be another end.
            let mut rest = Vec::new();
            let _ = stream.below_mut().read_to_end(&mut rest).await;
        }
    });
    let tls = ClientOptions { system_roots: false, roots, ..ClientOptions::default() };
    let connect = ConnectOptions { proxies: Proxies::none(), tls, ..ConnectOptions::default() };
    (Client::new(Transport::builder().connect(connect).build().unwrap()), addr)
}

async fn ask(client: &Client, addr: SocketAddr, body: Body) -> Result<Bytes, Error> {
    let request = Request::post(format!("https://{addr}/")).body(body).unwrap();
    client.request(request).await?.into_body().bytes(100).await
}

/// A body that is still being sent.
fn endless() -> Body {
    Body::from_stream(futures_util::stream::once(async {
        pending::<()>().await;
        Ok::<_, std::io::Error>(Bytes::new())
    }))
}

#[tokio::test]
async fn a_body_until_the_end_needs_close_notify() {
    for sends in [false, true] {
        let body = || if sends { endless() } else { Body::empty() };
        let (client, addr) = line("HTTP/1.0 200 OK\r\n\r\nall", true).await;
        assert_eq!(ask(&client, addr, body()).await.unwrap(), "all");
        let (client, addr) = line("HTTP/1.0 200 OK\r\n\r\nhalf", false).await;
        let error = ask(&client, addr, body()).await.unwrap_err();
        assert!(error.is_body() && error.is_truncated(), "{error:?}");
        assert!(error.to_string().contains("close_notify"), "{error}");
    }
}

#[tokio::test]
async fn a_body_with_a_length_does_not() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n",
    ] {
        let (client, addr) = line(answer, false).await;
        for _ in 0..2 {
            assert_eq!(ask(&client, addr, Body::empty()).await.unwrap(), "all");
        }
    }
    // That it is truncated is known without TLS.
    let (client, addr) = line("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true).await;
    let error = ask(&client, addr, Body::empty()).await.unwrap_err();
    assert!(error.is_truncated(), "{error:?}");
}
