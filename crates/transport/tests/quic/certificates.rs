//! Certificates that are read again, and what is known of TLS.

use std::sync::Arc;

use rosn_config::checked::{Certificate, CertificateUsage, Pem, StreamSettings, TlsSettings};
use rosn_transport::{Dialer, Environment, Quic, Transport as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

/// A new certificate for `rosn.test` in these files, and a dialer that trusts it and no other.
fn renew(folder: &std::path::Path) -> Arc<dyn Dialer> {
    let pair = rosn_tls::self_signed(&["rosn.test"]).unwrap();
    for (name, pem) in [("leaf.pem", &pair.certificate), ("leaf.key", &pair.key)] {
        let rosn_tls::Pem::Inline(text) = pem else { panic!("it is made in memory") };
        std::fs::write(folder.join(name), text).unwrap();
    }
    let rosn_tls::Pem::Inline(text) = pair.certificate else { panic!("it is made in memory") };
    let certificate = Pem::Inline(text);
    let trusted = Certificate { usage: CertificateUsage::Verify, certificate, key: None };
    let trust = TlsSettings {
        server_name: "rosn.test".to_owned(),
        disable_system_root: true,
        certificates: vec![trusted],
        ..TlsSettings::default()
    };
    dialer(&with_tls(plain(), trust))
}

fn listening(folder: &std::path::Path, alpn: &[&str]) -> StreamSettings {
    let file = |name| Pem::File(folder.join(name));
    let shown = Certificate {
        usage: CertificateUsage::Encipherment,
        certificate: file("leaf.pem"),
        key: Some(file("leaf.key")),
    };
    let alpn = alpn.iter().map(|&name| name.to_owned()).collect();
    with_tls(plain(), TlsSettings { certificates: vec![shown], alpn, ..TlsSettings::default() })
}

/// With and without a context for clients that name no protocol.
#[tokio::test]
async fn handshakes_show_what_was_read_last() {
    for alpn in [&[][..], &["h2"][..]] {
        let folder = tempfile::tempdir().unwrap();
        let before = renew(folder.path());
        let environment = Environment { owner: "mine".into(), ..environment() };
        let settings = Arc::new(listening(folder.path(), alpn));
        let listener =
            Quic.listen(&"127.0.0.1:0".parse().unwrap(), &settings, &environment).unwrap();
        let (addr, server) = echo(listener);
        let mut open = dial(&before, &addr).await;
        let mut passes = async |byte: u8| {
            open.write_all(&[byte]).await.unwrap();
            assert_eq!(within(open.read_u8()).await.unwrap(), byte);
        };
        passes(1).await;

        let after = renew(folder.path());
        let [handle] = &environment.tls.list()[..] else { panic!("there is one listener") };
        assert_eq!((&**handle.owner(), handle.files().len()), ("mine", 2));
        let error = dial_error(&after, &addr).await.to_string();
        assert!(error.contains("certificate"), "nothing was read yet: {error}");
        handle.reload().unwrap();
        check_echo(dial(&after, &addr).await, 100).await;
        passes(2).await;
        server.abort();
    }
}

/// Its own certificate, where the settings have no TLS, is of no file and says nothing of anybody.
#[tokio::test]
async fn sessions() {
    let folder = tempfile::tempdir().unwrap();
    let secure = renew(folder.path());
    for (settings, dialer, is_known) in
        [(listening(folder.path(), &[]), secure, true), (plain(), dialer(&plain()), false)]
    {
        let environment = environment();
        let at = "127.0.0.1:0".parse().unwrap();
        let mut listener = Quic.listen(&at, &Arc::new(settings), &environment).unwrap();
        assert_eq!(environment.tls.list().len(), usize::from(is_known));
        let to = listener.local_addr();
        let dialing = async {
            let mut stream = dial(&dialer, &to).await;
            stream.write_all(b"x").await.unwrap();
            stream
        };
        let (_client, accepted) = tokio::join!(dialing, accept(&mut listener));
        let Some(session) = accepted.tls else {
            assert!(!is_known);
            continue;
        };
        assert_eq!(session.server_name(), Some("rosn.test"));
        assert_eq!(session.version(), Some(rosn_tls::Version::Tls13));
        assert!(session.alpn().is_some() && session.peer_certificate().is_none());
        assert!(is_known);
    }
}
