//! Connections to servers over TLS.

use std::error::Error as _;
use std::future::pending;
use std::time::Duration;

use rosn_http::connect::{ConnectOptions, Connector};
use rosn_tls::{ClientOptions, Pem};

use crate::script::{Secret, Server, assert_echo, connect, echo, options};

async fn tls_server(secret: &Secret) -> Server {
    let acceptor = secret.acceptor.clone();
    Server::new(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            // A client that does not like the certificate ends it here.
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream, "secret").await;
            }
        }
    })
    .await
}

/// Row 7: one pair of TLS events after connecting; http/1.1 is what is agreed on where nothing else is wanted.
#[tokio::test]
async fn a_handshake() {
    let secret = Secret::new();
    let server = tls_server(&secret).await;
    let options = ConnectOptions { tls: secret.client, ..options(&[server.addr]) };
    let url = format!("https://server.test:{}/", server.addr.port());
    let (connected, log) = connect(options, &url).await;
    let mut connected = connected.unwrap();
    assert_eq!(connected.alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(connected.peer.clone().and_then(|addr| addr.as_ip()), Some(server.addr));
    assert_echo(&mut connected.stream, "secret").await;
    assert_eq!(log[2..4], ["connect 1 127.0.0.1", "connect 1 done: ok"]);
    assert_eq!(log[4..], ["tls server.test", "tls server.test done: http/1.1"]);
}

/// Row 5: a certificate that nobody vouches for: TlsDone once, with the verifier's error, which is the error's source.
#[tokio::test]
async fn a_certificate_that_is_not_trusted() {
    let server = tls_server(&Secret::new()).await;
    // It trusts another one.
    let tls = Secret::new().client;
    let options = ConnectOptions { tls, ..options(&[server.addr]) };
    let url = format!("https://server.test:{}/", server.addr.port());
    let (result, log) = connect(options, &url).await;
    let error = result.unwrap_err();
    assert!(error.is_tls() && !error.is_timeout());
    let source = error.source().unwrap();
    assert!(source.to_string().starts_with("the certificate of `server.test`"), "{source}");
    assert_eq!(log[4..], ["tls server.test".to_owned(), format!("tls server.test done: {source}")]);
    let shown = error.to_string();
    assert!(shown.starts_with("the TLS handshake failed with server.test:"), "{shown}");
}

/// A certificate for another name.
#[tokio::test]
async fn a_certificate_for_others() {
    let secret = Secret::new();
    let server = tls_server(&secret).await;
    let options = ConnectOptions { tls: secret.client, ..options(&[]) };
    let url = format!("https://127.0.0.1:{}/", server.addr.port());
    let (result, log) = connect(options, &url).await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("is for others: localhost, proxy.test, server.test"), "{error}");
    assert_eq!(log[2], "tls 127.0.0.1");
}

/// Row 41: a server that does not answer the handshake.
#[tokio::test]
async fn a_handshake_that_takes_too_long() {
    let server = Server::new(|stream| async move {
        let _stream = stream;
        pending::<()>().await;
    })
    .await;
    let options = ConnectOptions {
        tls: Secret::new().client,
        tls_handshake_timeout: Duration::from_millis(100),
        ..options(&[server.addr])
    };
    let authority = format!("server.test:{}", server.addr.port());
    let (result, log) = connect(options, &format!("https://{authority}/")).await;
    let error = result.unwrap_err();
    assert!(error.is_timeout() && error.is_tls());
    let text = "timeout: it was not done after 100ms";
    let shown = format!("the TLS handshake failed with {authority}: {text}");
    assert_eq!(error.to_string(), shown);
    assert_eq!(log[5], format!("tls server.test done: {text}"));
}

/// 1A.4: a server that does not speak TLS, and one that goes in the middle.
#[tokio::test]
async fn a_handshake_that_fails() {
    for (answer, expected) in
        [("HTTP/1.1 400 Bad Request\r\n\r\n", "what came is not TLS"), ("", "closed")]
    {
        let server = Server::new(move |mut stream| async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let options = ConnectOptions { tls: Secret::new().client, ..options(&[server.addr]) };
        let url = format!("https://server.test:{}/", server.addr.port());
        let (result, log) = connect(options, &url).await;
        let error = result.unwrap_err();
        assert!(error.is_tls() && error.to_string().contains(expected), "{error}");
        assert!(log[5].contains(expected), "{log:?}");
    }
}

/// Files that TLS needs are read when the connector is made.
#[test]
fn files_that_are_not_there() {
    let tls = ClientOptions {
        roots: vec![Pem::File("/nonexistent/ca.pem".into())],
        ..ClientOptions::default()
    };
    let error = Connector::new(ConnectOptions { tls, ..options(&[]) }).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
}
