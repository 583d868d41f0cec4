//! Handshakes that fail, and what is said of them.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rosn_config::checked::{
    DatagramSecurity, PacketHeader, StreamSettings, TlsSettings, TlsVersion, TlsVersions,
};
use rosn_transport::{Environment, Quic, Transport as _, TransportError, TransportLimits};

use crate::support::*;

/// Who listens and who dials do not fit; both run until the dialer gives up.
async fn refusal(listener: &StreamSettings, dialer: &StreamSettings) -> TransportError {
    let (addr, server) = echo(listen(listener));
    let limits = TransportLimits {
        handshake_timeout: Duration::from_millis(500),
        ..TransportLimits::default()
    };
    let environment = Environment { limits, ..environment() };
    let dialer = Quic.dialer(&Arc::new(dialer.clone()), &environment).unwrap();
    let error = dial_error(&dialer, &addr).await;
    server.abort();
    error
}

#[tokio::test]
async fn a_wrong_key_cipher_or_header_gets_no_answer() {
    use DatagramSecurity::{Aes128Gcm, ChaCha20Poly1305, None};
    let listener = settings(Aes128Gcm, "right", PacketHeader::Srtp);
    for dialer in [
        settings(Aes128Gcm, "wrong", PacketHeader::Srtp),
        settings(ChaCha20Poly1305, "right", PacketHeader::Srtp),
        settings(None, "", PacketHeader::Srtp),
        settings(Aes128Gcm, "right", PacketHeader::Dtls),
    ] {
        let error = refusal(&listener, &dialer).await;
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let text = error.to_string();
        assert!(text.contains("no answer: wrong key") && text.contains("QUIC handshake"), "{text}");
    }
}

#[tokio::test]
async fn nobody_there_is_known_at_once() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = dial_error(&dialer(&plain()), &rosn_base::Addr::Ip(free)).await;
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    assert!(error.to_string().contains("nothing listens there"), "{error}");
}

fn alpn(names: &[&str]) -> (StreamSettings, StreamSettings) {
    let (mut ours, mut theirs) = tls_pair();
    ours.alpn = names.iter().map(|&name| name.to_owned()).collect();
    theirs.alpn = Vec::new();
    (with_tls(plain(), ours), with_tls(plain(), theirs))
}

#[tokio::test]
async fn a_protocol_that_nobody_speaks() {
    let (listener, dialer) = alpn(&["h3"]);
    let error = refusal(&listener, &dialer).await;
    assert!(error.to_string().contains("ALPN"), "{error}");
    assert!(error.to_string().contains("tlsSettings"), "{error}");
}

#[tokio::test]
async fn a_listener_takes_the_protocols_of_all_versions() {
    let (ours, mut theirs) = tls_pair();
    let (addr, _) = echo(listen(&with_tls(plain(), ours)));
    for name in ["h3", "h2", "http/1.1"] {
        theirs.alpn = vec![name.to_owned()];
        let dialer = dialer(&with_tls(plain(), theirs.clone()));
        check_echo(dial(&dialer, &addr).await, 100).await;
    }
}

/// As v2ray 4 does; other implementations may not care to name one.
#[tokio::test]
async fn a_listener_takes_clients_that_name_no_protocol() {
    use rosn_tls::{ClientOptions, Connector};
    let (addr, _) = echo(listen(&plain()));
    let options =
        ClientOptions { system_roots: false, allow_insecure: true, ..ClientOptions::default() };
    let crypto = Connector::new(&options).unwrap().quic_config();
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(crypto).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let connecting = endpoint.connect_with(config, addr.as_ip().unwrap(), "any.test").unwrap();
    let connection = within(connecting).await.unwrap();
    let (mut send, mut recv) = within(connection.open_bi()).await.unwrap();
    send.write_all(b"hello").await.unwrap();
    send.finish().unwrap();
    assert_eq!(within(recv.read_to_end(100)).await.unwrap(), b"hello");
}

#[tokio::test]
async fn certificates_are_verified() {
    let (ours, theirs) = tls_pair();
    let (_, others) = tls_pair();
    let listener = with_tls(plain(), ours.clone());
    let wrong_name = TlsSettings { server_name: "other.test".to_owned(), ..theirs.clone() };
    for (dialer, said) in [(others, "certificate"), (wrong_name, "certificate")] {
        let error = refusal(&listener, &with_tls(plain(), dialer)).await;
        assert!(error.to_string().contains(said), "{error}");
    }
    // A listener without settings shows a certificate that nobody knows.
    let error = refusal(&plain(), &with_tls(plain(), theirs)).await;
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_wanted() {
    let (mut ours, theirs) = tls_pair();
    ours.verify_client = true;
    ours.certificates.extend(theirs.certificates.clone());
    let (addr, _) = echo(listen(&with_tls(plain(), ours)));
    let dialer = dialer(&with_tls(plain(), theirs));
    // In TLS 1.3 the client is done before the server has looked at its certificate.
    let refused = match within(dialer.dial(&addr, &Default::default())).await {
        Err(error) => error.to_string(),
        Ok(mut stream) => {
            use tokio::io::AsyncReadExt as _;
            within(stream.read_u8()).await.unwrap_err().to_string()
        }
    };
    assert!(!refused.is_empty());
}

#[test]
fn settings_that_cannot_be_used() {
    let old = TlsSettings {
        versions: TlsVersions { min: TlsVersion::Tls12, max: TlsVersion::Tls12 },
        ..tls_pair().0
    };
    let error = listen_at("127.0.0.1:0", &with_tls(plain(), old)).err().unwrap();
    assert!(error.to_string().contains("TLS 1.3"), "{error}");
    let empty = with_tls(plain(), TlsSettings::default());
    let error = listen_at("127.0.0.1:0", &empty).err().unwrap();
    assert!(matches!(error, TransportError::Settings { .. }), "{error}");
    let error = listen_at("127.0.0.1:0", &StreamSettings::default()).err().unwrap();
    assert!(matches!(error, TransportError::Settings { .. }), "{error}");
}

#[test]
fn an_address_in_use_is_an_error_of_listening() {
    let first = listen(&plain());
    let error = listen_at(&first.local_addr().to_string(), &plain()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
}
