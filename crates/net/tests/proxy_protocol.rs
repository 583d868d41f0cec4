//! PROXY headers on connections: exactly the header is taken.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::future::poll_fn;

use rosn_base::Addr;
use rosn_net::proxy_protocol::{Header, ProxyProtocolError, Version, accept_proxy_header, write};
use rosn_net::{DialOptions, ListenOptions, MemNet, Net, OsNet, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Pairs of connected streams: client and server.
async fn pairs() -> Vec<(Stream, Stream)> {
    let mut pairs = Vec::new();
    let networks: [Box<dyn Net>; 2] =
        [Box::new(OsNet), Box::new(MemNet::new().host([10, 0, 0, 1]))];
    for net in networks {
        let any: Addr = "127.0.0.1:0".parse().unwrap();
        let mut listener = net.listen(&any, &ListenOptions::default()).unwrap();
        let addr = listener.local_addr();
        let client = net.connect(&addr, &DialOptions::default()).await.unwrap();
        let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        pairs.push((client, server));
    }
    pairs
}

fn headers() -> Vec<(Header, Vec<u8>)> {
    let client = "192.0.2.1:5000".parse::<std::net::SocketAddr>().unwrap();
    let known = Header { addresses: Some((client.into(), client.into())), ..Header::default() };
    let each = [(Version::V1, Header::default()), (Version::V1, known.clone())];
    let each = each.into_iter().chain([(Version::V2, Header::default()), (Version::V2, known)]);
    each.map(|(version, header)| (header.clone(), write(&header, version))).collect()
}

#[tokio::test]
async fn not_one_byte_more_is_taken() {
    for (header, bytes) in headers() {
        for (mut client, mut server) in pairs().await {
            client.write_all(&[&bytes[..], b"payload"].concat()).await.unwrap();
            drop(client);
            assert_eq!(accept_proxy_header(&mut server).await.unwrap(), header);
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"payload");
        }
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    for (header, bytes) in headers() {
        for (mut client, mut server) in pairs().await {
            let bytes = bytes.clone();
            let writer = tokio::spawn(async move {
                for byte in bytes.iter().chain(b"payload") {
                    client.write_u8(*byte).await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
            assert_eq!(accept_proxy_header(&mut server).await.unwrap(), header);
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"payload");
            writer.await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_no_header_is_told_in_words() {
    for (sent, said) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "begins with something else"),
        (b"", "ended after 0 bytes"),
        (b"PROXY TCP4 1", "ended after 12 bytes"),
        (b"PROXY TCP4 1\r\n", "damaged"),
        (&[b'P'; 1], "ended after 1 bytes"),
    ] {
        for (mut client, mut server) in pairs().await {
            client.write_all(sent).await.unwrap();
            drop(client);
            let error: ProxyProtocolError = accept_proxy_header(&mut server).await.unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("no PROXY protocol header: ") && text.contains(said),
                "{text}"
            );
        }
    }
}
