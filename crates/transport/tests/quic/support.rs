//! A listener that echoes, and what dials it.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::{
    Certificate, CertificateUsage, DatagramSecurity, PacketHeader, Pem, QuicSettings, Secret,
    StreamSettings, TlsSettings, TransportSettings,
};
use rosn_net::Stream;
use rosn_transport::{
    Accepted, DialRequest, Dialer, Environment, Listener, Quic, Transport as _, TransportError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Nothing takes that long.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn environment() -> Environment {
    Environment { owner: "test".into(), ..Environment::system() }
}

pub(crate) fn settings(
    security: DatagramSecurity,
    key: &str,
    header: PacketHeader,
) -> StreamSettings {
    let quic = QuicSettings { security, key: Secret(key.to_owned()), header };
    StreamSettings { transport: TransportSettings::Quic(quic), ..StreamSettings::default() }
}

pub(crate) fn plain() -> StreamSettings {
    settings(DatagramSecurity::None, "", PacketHeader::None)
}

/// A listener's TLS settings, and a dialer's that trusts it. Both know the name `rosn.test`.
pub(crate) fn tls_pair() -> (TlsSettings, TlsSettings) {
    let pair = rosn_tls::self_signed(&["rosn.test"]).unwrap();
    let pem = |pem| match pem {
        rosn_tls::Pem::Inline(text) => Pem::Inline(text),
        rosn_tls::Pem::File(path) => Pem::File(path),
    };
    let (certificate, key) = (pem(pair.certificate), pem(pair.key));
    let shown = Certificate {
        usage: CertificateUsage::Encipherment,
        certificate: certificate.clone(),
        key: Some(key),
    };
    let trusted = Certificate { usage: CertificateUsage::Verify, certificate, key: None };
    let listener = TlsSettings { certificates: vec![shown], ..TlsSettings::default() };
    let dialer = TlsSettings {
        server_name: "rosn.test".to_owned(),
        disable_system_root: true,
        certificates: vec![trusted],
        ..TlsSettings::default()
    };
    (listener, dialer)
}

pub(crate) fn with_tls(mut settings: StreamSettings, tls: TlsSettings) -> StreamSettings {
    settings.tls = Some(tls);
    settings
}

pub(crate) fn listen_at(
    at: &str,
    settings: &StreamSettings,
) -> Result<Box<dyn Listener>, TransportError> {
    Quic.listen(&at.parse().unwrap(), &Arc::new(settings.clone()), &environment())
}

pub(crate) fn listen(settings: &StreamSettings) -> Box<dyn Listener> {
    listen_at("127.0.0.1:0", settings).unwrap()
}

pub(crate) fn dialer(settings: &StreamSettings) -> Arc<dyn Dialer> {
    Quic.dialer(&Arc::new(settings.clone()), &environment()).unwrap()
}

pub(crate) async fn dial(dialer: &Arc<dyn Dialer>, to: &Addr) -> Stream {
    within(dialer.dial(to, &DialRequest::default())).await.unwrap()
}

pub(crate) async fn dial_error(dialer: &Arc<dyn Dialer>, to: &Addr) -> TransportError {
    within(dialer.dial(to, &DialRequest::default())).await.unwrap_err()
}

pub(crate) async fn accept(listener: &mut Box<dyn Listener>) -> Accepted {
    within(poll_fn(|cx| listener.poll_accept(cx))).await.unwrap()
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("nothing hangs")
}

/// Echoes every connection until its end, as long as it runs.
pub(crate) fn echo(mut listener: Box<dyn Listener>) -> (Addr, tokio::task::JoinHandle<()>) {
    let addr = listener.local_addr();
    let task = tokio::spawn(async move {
        loop {
            let accepted = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(accepted.stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    (addr, task)
}

/// Sends and receives so many bytes, both at once, and checks the ends.
pub(crate) async fn check_echo(stream: Stream, length: usize) {
    let bytes: Vec<u8> = (0..251).cycle().take(length).collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let write_all = async {
        write.write_all(&bytes).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut echoed = Vec::new();
    let ((), read) = within(async { tokio::join!(write_all, read.read_to_end(&mut echoed)) }).await;
    read.unwrap();
    assert!(echoed == bytes, "{} of {length} bytes", echoed.len());
}
