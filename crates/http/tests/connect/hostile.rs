//! Proxies that answer with whatever they like. Each gives an error, and none a panic or an endless wait.

use std::error::Error as _;

use rosn_http::Error;
use rosn_http::connect::{ConnectOptions, Proxies, ProxyError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::script::{Server, closed, connect, options, read_head, within};

/// What comes of it if a proxy gives its answers, each after it was asked something, and then closes.
async fn answered(
    proxy_url: &str,
    answers: Vec<Vec<u8>>,
    server_url: &str,
) -> (Error, Vec<String>) {
    let is_http = proxy_url.starts_with("http");
    let (ended, mut proxy_ended) = mpsc::unbounded_channel();
    let proxy = Server::new(move |mut stream: TcpStream| {
        let (answers, ended) = (answers.clone(), ended.clone());
        async move {
            if is_http {
                read_head(&mut stream).await;
            }
            for answer in answers {
                if !is_http {
                    let _ = stream.read(&mut [0; 1024]).await;
                }
                let _ = stream.write_all(&answer).await;
            }
            let _ = stream.shutdown().await;
            closed(&mut stream).await;
            ended.send(()).unwrap();
        }
    })
    .await;
    let url = proxy_url.replace("PROXY", &proxy.addr.to_string());
    let options = ConnectOptions { proxies: Proxies::all(&url).unwrap(), ..options(&[]) };
    let (result, log) = connect(options, server_url).await;
    let error = result.map(drop).unwrap_err();
    // The connection to the proxy is not kept.
    within(proxy_ended.recv()).await.unwrap();
    assert!(error.is_proxy(), "{error}");
    assert!(error.source().unwrap().is::<ProxyError>());
    (error, log)
}

async fn to_connect(answer: impl AsRef<[u8]>) -> (Error, Vec<String>) {
    answered("http://PROXY", vec![answer.as_ref().to_vec()], "https://server.test/").await
}

/// What is no answer to CONNECT.
#[tokio::test]
async fn answers_to_connect() {
    let large = |line: &str| format!("HTTP/1.1 200 OK\r\n{}\r\n", line.repeat(70_000 / line.len()));
    for (answer, expected) in [
        (String::new(), "closed the connection before it had answered"),
        ("HTTP/1.1 200".to_owned(), "closed the connection before it had answered"),
        ("HTTP/1.1 200 OK\r\nA: b\r\n".to_owned(), "closed the connection before it had answered"),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), "is not HTTP"),
        ("HTTP/2 200\r\n\r\n".to_owned(), "is not HTTP"),
        ("HTTP/1.1 2x0 OK\r\n\r\n".to_owned(), "is not HTTP"),
        ("HTTP/1.1 200 OK\n\n".to_owned(), "is not HTTP"),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n".to_owned(), "is not HTTP"),
        ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n".to_owned(), "is not HTTP"),
        (large("Aaaaaaaa: bbbbbbbbbbbbbbbbbbbb\r\n"), "too many fields"),
        (large(&format!("A: {}\r\n", "b".repeat(69_000))), "too large"),
        (format!("HTTP/1.1 200 {}", "x".repeat(70_000)), "is not HTTP"),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(9), "interim responses only"),
        ("HTTP/1.1 101 Switching\r\n\r\n".to_owned(), "answered CONNECT with 101 Switching"),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n".to_owned(), "answered CONNECT with 302 Found"),
        ("HTTP/1.1 999\r\n\r\n".to_owned(), "answered CONNECT with 999"),
    ] {
        let (error, log) = to_connect(&answer).await;
        let text = error.to_string();
        assert!(text.contains(expected), "{text} for {}", &answer[..answer.len().min(40)]);
        assert!(log[3].starts_with("proxy done: ") && log[3].contains(expected), "{log:?}");
        assert_eq!(log.len(), 4);
    }
}

/// A refusal is told with its status and reason, as far as they can be shown.
#[tokio::test]
async fn refusals() {
    let (error, log) =
        to_connect("HTTP/1.1 403 Not for \u{7f}you\r\nContent-Length: 5\r\n\r\nno...").await;
    // DEL is refused by the codec; what is no ASCII is not, and not shown.
    assert!(error.is_parse(), "{error}");
    assert!(log[3].starts_with("proxy done: None"), "{log:?}");

    let long = "x".repeat(3000);
    let answer = format!("HTTP/1.1 503 N\u{e4}h {long}\r\nContent-Length: 0\r\n\r\n");
    let (error, log) = to_connect(answer).await;
    let ProxyError::Refused { status, reason } = error.source().unwrap().downcast_ref().unwrap()
    else {
        panic!("{error}")
    };
    assert_eq!((*status, reason.len()), (503, 100));
    assert!(reason.starts_with("N??h xxx"), "{reason}");
    assert!(log[3].starts_with("proxy done: Some(503) the proxy answered CONNECT with 503 N"));

    let answer = "HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
    let (error, _) = to_connect(answer).await;
    let ProxyError::Unauthenticated { scheme } = error.source().unwrap().downcast_ref().unwrap()
    else {
        panic!("{error}")
    };
    assert_eq!(&**scheme, "Basic");
    assert!(error.to_string().contains("give user and password"), "{error}");
    // Also without a word about how.
    let (error, _) = to_connect("HTTP/1.1 407 \r\n\r\n").await;
    assert!(error.to_string().contains("407"), "{error}");
}

/// Passwords of the proxy's URL are in no error.
#[tokio::test]
async fn passwords_are_not_told() {
    let url = "http://user:hunter2@PROXY";
    let answer = b"HTTP/1.1 407 No\r\n\r\n".to_vec();
    let (error, log) = answered(url, vec![answer], "https://server.test/").await;
    let shown = format!("{error} {error:?} {log:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
    let url = "socks5h://user:hunter2@PROXY";
    let (error, log) = answered(url, vec![vec![5, 2], vec![1, 1]], "http://server.test/").await;
    let shown = format!("{error} {error:?} {log:?}");
    assert!(shown.contains("user or password is wrong") && !shown.contains("hunter2"), "{shown}");
}

/// What is no answer of SOCKS, and refusals.
#[tokio::test]
async fn answers_of_socks() {
    let closed = "closed the connection before it had answered";
    let long_name = format!("http://{}.test/", "a".repeat(251));
    let plain = "socks5h://PROXY";
    let user = "socks5h://user:pass@PROXY";
    let name = "http://server.test/";
    let large_user = format!("socks5h://{}:pass@PROXY", "u".repeat(256));
    let large_password = format!("socks5h://u:{}@PROXY", "p".repeat(256));
    for (proxy, server, answers, expected) in [
        (plain, name, vec![], closed),
        (plain, name, vec![&b"\x05"[..]], closed),
        (plain, name, vec![b"\x04\x00"], "does not speak SOCKS 5"),
        (plain, name, vec![b"HTTP/1.1 400 Bad Request\r\n\r\n"], "does not speak SOCKS 5"),
        (plain, name, vec![b"\x05\x02"], "a method that it was not offered"),
        (plain, name, vec![b"\x05\x01"], "a method that it was not offered"),
        (plain, name, vec![b"\x05\xff"], "wants to be told who asks"),
        (user, name, vec![b"\x05\xff"], "takes no user and password"),
        (user, name, vec![b"\x05\x02", b"\x01\x01"], "user or password is wrong"),
        (user, name, vec![b"\x05\x02", b"\x05\x00"], "of another version"),
        (user, name, vec![b"\x05\x02", b"\x01"], closed),
        (&large_user, name, vec![b"\x05\x02"], "up to 255 bytes"),
        (&large_password, name, vec![b"\x05\x02"], "up to 255 bytes"),
        (plain, &long_name, vec![], "more than 255 bytes"),
        (plain, name, vec![b"\x05\x00", b"\x04\x00\x00\x01\x01\x02\x03\x04\x00\x50"], "version"),
        (plain, name, vec![b"\x05\x00", b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"], "refused"),
        (plain, name, vec![b"\x05\x00", b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"], "rules"),
        (plain, name, vec![b"\x05\x00", b"\x05\x63\x00\x01\x00\x00\x00\x00\x00\x00"], "no name"),
        (plain, name, vec![b"\x05\x00", b"\x05\x00\x00\x02\x00\x00"], "an unknown kind"),
        (plain, name, vec![b"\x05\x00", b"\x05\x00\x00\x01\x01\x02\x03"], closed),
        (plain, name, vec![b"\x05\x00", b"\x05\x00\x00\x03\xff\x00"], closed),
        (plain, name, vec![b"\x05\x00", b"\x05\x00\x00\x03"], closed),
        (plain, name, vec![b"\x05\x00", b"\x05\x00\x00\x04\x00"], closed),
    ] {
        let answers = answers.into_iter().map(<[u8]>::to_vec).collect();
        let (error, log) = answered(proxy, answers, server).await;
        assert!(error.to_string().contains(expected), "{error}, not {expected}");
        assert_eq!(log.len(), 4, "{log:?}");
    }
}

/// However an answer is cut into pieces, it is understood, and not a byte behind it is taken for a part of it.
#[tokio::test]
async fn answers_in_pieces() {
    let head = "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nLong: value\r\n\r\n";
    let socks = b"\x05\x00\x00\x03\x04host\x00\x01";
    let proxy = Server::new(move |mut stream: TcpStream| async move {
        stream.set_nodelay(true).unwrap();
        let mut first = [0; 1];
        stream.peek(&mut first).await.unwrap();
        let answer = match first {
            [5] => {
                let _ = stream.read(&mut [0; 100]).await;
                stream.write_all(b"\x05").await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(b"\x00").await.unwrap();
                let _ = stream.read(&mut [0; 100]).await;
                &socks[..]
            }
            _ => {
                read_head(&mut stream).await;
                head.as_bytes()
            }
        };
        for byte in answer.iter().chain(b"hello") {
            // The client goes as soon as it has seen what is no TLS.
            let _ = stream.write_all(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        closed(&mut stream).await;
    })
    .await;
    for (scheme, url) in [("http", "https"), ("socks5h", "http")] {
        let proxies = Proxies::all(&format!("{scheme}://{}", proxy.addr)).unwrap();
        let options = ConnectOptions { proxies, ..options(&[]) };
        let (result, log) = connect(options, &format!("{url}://server.test/")).await;
        assert!(log[3].starts_with("proxy done: ") && log[3].ends_with(" ok"), "{log:?}");
        match result {
            Ok(mut connected) => {
                let mut bytes = [0; 5];
                within(connected.stream.read_exact(&mut bytes)).await.unwrap();
                assert_eq!(&bytes, b"hello");
            }
            // What follows is no TLS.
            Err(error) => assert!(error.is_tls() && url == "https", "{error}"),
        }
    }
}
