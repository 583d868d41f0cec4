//! What the tests of connections share.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a failed step is a failed test; each file uses some"
)]

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::{Certificate, CertificateUsage, Pem, StreamSettings, TlsSettings};
use rosn_net::Stream;
use rosn_transport::{Accepted, DialRequest, Environment, Listener, Registry, TransportError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) fn environment() -> Environment {
    Environment { owner: "test".into(), ..Environment::system() }
}

pub(crate) fn any() -> Addr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn listen(settings: &StreamSettings) -> Box<dyn Listener> {
    try_listen(settings).map_err(|error| error.to_string()).unwrap()
}

pub(crate) fn try_listen(settings: &StreamSettings) -> Result<Box<dyn Listener>, TransportError> {
    Registry::with_builtin().listen(&any(), &Arc::new(settings.clone()), &environment())
}

pub(crate) async fn dial(settings: &StreamSettings, to: &Addr) -> Result<Stream, TransportError> {
    let dialer = Registry::with_builtin().dialer(&Arc::new(settings.clone()), &environment())?;
    within(dialer.dial(to, &DialRequest::default())).await
}

pub(crate) async fn accept(listener: &mut Box<dyn Listener>) -> Accepted {
    within(poll_fn(|cx| listener.poll_accept(cx))).await.unwrap()
}

/// A dialer and a listener with their settings: the two ends of one connection.
pub(crate) async fn pair(
    listening: &StreamSettings,
    dialing: &StreamSettings,
) -> (Stream, Accepted) {
    let mut listener = listen(listening);
    let to = listener.local_addr();
    let (client, server) = tokio::join!(dial(dialing, &to), accept(&mut listener));
    (client.unwrap(), server)
}

/// The error of a dial. The listener goes on accepting, and must not hand anything out.
pub(crate) async fn refused(listening: &StreamSettings, dialing: &StreamSettings) -> String {
    let mut listener = listen(listening);
    let to = listener.local_addr();
    tokio::select! {
        dialed = dial(dialing, &to) => dialed.expect_err("a refusal").to_string(),
        _ = poll_fn(|cx| listener.poll_accept(cx)) => panic!("it was handed out"),
    }
}

/// Fails a test that hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs")
}

/// Sends so many bytes each way at a time, ends both directions and checks that all came.
pub(crate) async fn exchange(one: Stream, other: Stream, count: usize) {
    let bytes: Arc<Vec<u8>> = Arc::new((0..count).map(|at| (at * 7 + at / 251) as u8).collect());
    let end = |stream: Stream| {
        let bytes = bytes.clone();
        async move {
            let (mut read, mut write) = tokio::io::split(stream);
            let send = async {
                write.write_all(&bytes).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let mut got = Vec::new();
            let receive = async { read.read_to_end(&mut got).await.unwrap() };
            tokio::join!(send, receive);
            assert!(got == *bytes, "{} of {} bytes", got.len(), bytes.len());
        }
    };
    within(async { tokio::join!(end(one), end(other)) }).await;
}

/// A certificate for the names that is signed by itself.
pub(crate) fn certificate(names: &[&str]) -> Certificate {
    let pair = rosn_tls::self_signed(names).unwrap();
    let inline = |pem| match pem {
        rosn_tls::Pem::Inline(text) => Pem::Inline(text),
        rosn_tls::Pem::File(path) => Pem::File(path),
    };
    Certificate {
        usage: CertificateUsage::Encipherment,
        certificate: inline(pair.certificate),
        key: Some(inline(pair.key)),
    }
}

/// The same certificate, for trusting it.
pub(crate) fn trusted(certificate: &Certificate) -> Certificate {
    Certificate { usage: CertificateUsage::Verify, key: None, ..certificate.clone() }
}

/// TLS for a listener that shows the certificate, and for a dialer that trusts it, and nobody else, as `name`.
pub(crate) fn tls_pair(certificate: &Certificate, name: &str) -> (TlsSettings, TlsSettings) {
    let listener =
        TlsSettings { certificates: vec![certificate.clone()], ..TlsSettings::default() };
    let dialer = TlsSettings {
        server_name: name.to_owned(),
        disable_system_root: true,
        certificates: vec![trusted(certificate)],
        ..TlsSettings::default()
    };
    (listener, dialer)
}
