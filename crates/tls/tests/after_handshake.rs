//! What a peer asks of a connection after its handshake, and how often it may.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use rosn_tls::{Acceptor, KeyPair, TlsStream, self_signed};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    RootCertStore, SupportedCipherSuite, SupportedProtocolVersion,
};
use support::{showing, text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::timeout;

/// The kinds of records.
const ALERT: u8 = 21;
const BYTES: u8 = 23;
/// More than any wait here takes, on a machine of any speed.
const LONG: Duration = Duration::from_secs(60);

/// rustls without anything around it, so that its keys can be had and its records be sent one by one.
fn client(pair: &KeyPair, version: &'static SupportedProtocolVersion) -> ClientConnection {
    let mut provider = default_provider();
    provider.cipher_suites.retain(|suite| {
        suite.tls13().is_some()
            || suite.suite() == cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256.suite()
    });
    let mut roots = RootCertStore::empty();
    let leaf = CertificateDer::from_pem_slice(text(&pair.certificate).as_bytes()).unwrap();
    roots.add(leaf).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    ClientConnection::new(Arc::new(config), ServerName::try_from("a.test").unwrap()).unwrap()
}

/// Writes what `connection` has to say.
async fn says(connection: &mut ClientConnection, stream: &mut DuplexStream) {
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).unwrap();
    }
    stream.write_all(&bytes).await.unwrap();
}

/// Both ends after a handshake, and an exchange of a byte each way.
async fn met(
    version: &'static SupportedProtocolVersion,
) -> (TlsStream<DuplexStream>, ClientConnection, DuplexStream) {
    let pair = self_signed(&["a.test"]).unwrap();
    let acceptor = Acceptor::new(&showing(&[&pair])).unwrap();
    let (mut near, far) = duplex(1 << 16);
    let server = async {
        let mut stream = acceptor.accept(far).await.unwrap();
        stream.write_all(b"s").await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        stream
    };
    let client = async {
        let mut connection = client(&pair, version);
        connection.writer().write_all(b"c").unwrap();
        let mut read = [0];
        while io::Read::read(&mut connection.reader(), &mut read).is_err() {
            says(&mut connection, &mut near).await;
            let bytes = near.read_u8().await.unwrap();
            connection.read_tls(&mut &[bytes][..]).unwrap();
            connection.process_new_packets().unwrap();
        }
        says(&mut connection, &mut near).await;
        connection
    };
    let (server, connection) = tokio::join!(server, client);
    (server, connection, near)
}

/// Makes the records of a client of TLS 1.2 in its place.
struct Records {
    encrypter: Box<dyn MessageEncrypter>,
    next: u64,
}

impl Records {
    fn of(connection: ClientConnection) -> Self {
        let Some(SupportedCipherSuite::Tls12(suite)) = connection.negotiated_cipher_suite() else {
            panic!("{:?}", connection.negotiated_cipher_suite());
        };
        let (next, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else {
            panic!("another suite")
        };
        Self { encrypter: suite.aead_alg.encrypter(key, iv.as_ref(), &[]), next }
    }

    fn record(&mut self, typ: ContentType, content: &[u8]) -> Vec<u8> {
        let payload = OutboundChunks::Single(content);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let record = self.encrypter.encrypt(message, self.next).unwrap().encode();
        self.next += 1;
        record
    }

    /// A ClientHello that asks for another handshake: no session, no extensions.
    fn renegotiation(&mut self) -> Vec<u8> {
        let mut hello = vec![3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0xcc, 0xa9, 1, 0]);
        let length = u8::try_from(hello.len()).unwrap();
        self.record(ContentType::Handshake, &[&[1, 0, 0, length][..], &hello].concat())
    }
}

/// The kind of the next record that comes.
async fn next_record(stream: &mut DuplexStream) -> u8 {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.unwrap();
    let mut content = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut content).await.unwrap();
    head[0]
}

/// RFC 5246 section 7.2.2: `no_renegotiation` is the answer, at once: a client that asked waits for it, and a server that
/// has nothing to write would be silent until a limit of time. Who asks again is cut off.
#[tokio::test]
async fn who_asks_for_another_handshake_is_answered_while_nothing_is_written() {
    let (mut server, connection, mut near) = met(&rustls::version::TLS12).await;
    let mut records = Records::of(connection);
    let reads = tokio::spawn(async move {
        let mut read = [0; 4];
        server.read_exact(&mut read).await.unwrap();
        server.write_all(&read).await.unwrap();
        server.flush().await.unwrap();
        server.read(&mut [0; 8]).await.unwrap_err().to_string()
    });
    near.write_all(&records.renegotiation()).await.unwrap();
    assert_eq!(timeout(LONG, next_record(&mut near)).await.unwrap(), ALERT);

    // It goes on.
    near.write_all(&records.record(ContentType::ApplicationData, b"more")).await.unwrap();
    assert_eq!(timeout(LONG, next_record(&mut near)).await.unwrap(), BYTES);
    near.write_all(&records.renegotiation()).await.unwrap();
    let error = timeout(LONG, reads).await.unwrap().unwrap();
    assert!(error.contains("TooManyRenegotiationRequests"), "{error}");
    assert!(near.read(&mut [0]).await.is_ok_and(|count| count == 0), "nothing but an end follows");
}

/// RFC 8446 section 4.6.3: as many new keys as a client likes between its bytes, and some without any. What answers them
/// is one message, however many they are.
#[tokio::test]
async fn new_keys_without_any_bytes_are_made_so_often_and_no_more() {
    let (mut server, mut connection, mut near) = met(&rustls::version::TLS13).await;
    let reads = tokio::spawn(async move {
        let mut read = [0; 40];
        server.read_exact(&mut read).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
        server.read(&mut [0; 8]).await.unwrap_err().to_string()
    });
    for _ in 0..40 {
        connection.refresh_traffic_keys().unwrap();
        connection.writer().write_all(b"x").unwrap();
        says(&mut connection, &mut near).await;
    }
    let mut answer = [0; 6];
    let mut filled = 0;
    while filled < answer.len() {
        let byte = timeout(LONG, near.read_u8()).await.unwrap().unwrap();
        connection.read_tls(&mut &[byte][..]).unwrap();
        connection.process_new_packets().unwrap();
        filled += io::Read::read(&mut connection.reader(), &mut answer[filled..]).unwrap_or(0);
    }
    assert_eq!(&answer, b"answer");
    for _ in 0..40 {
        connection.refresh_traffic_keys().unwrap();
        says(&mut connection, &mut near).await;
    }
    let error = timeout(LONG, reads).await.unwrap().unwrap();
    assert!(error.contains("TooManyKeyUpdateRequests"), "{error}");
}
