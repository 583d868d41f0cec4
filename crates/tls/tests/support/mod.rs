//! Certificates, and both ends of a connection.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(dead_code, reason = "not every test needs all of it")]

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose};
use rosn_tls::{
    Acceptor, ClientOptions, Connector, KeyPair, Pem, ServerOptions, Session, TlsStream,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

pub(crate) type Ended = std::io::Result<TlsStream<DuplexStream>>;

/// Both ends' results. A byte goes each way, because with TLS 1.3 a client learns only then that it was refused.
pub(crate) async fn meet(acceptor: &Acceptor, connector: &Connector, name: &str) -> (Ended, Ended) {
    let (near, far) = duplex(1 << 16);
    let client = async {
        let mut stream = connector.connect(name, near).await?;
        stream.write_all(b"c").await?;
        stream.read_exact(&mut [0]).await?;
        Ok(stream)
    };
    let server = async {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"s").await?;
        stream.read_exact(&mut [0]).await?;
        Ok(stream)
    };
    tokio::join!(server, client)
}

/// What both sides say of it.
pub(crate) async fn sessions(
    acceptor: &Acceptor,
    connector: &Connector,
    name: &str,
) -> (Session, Session) {
    let (server, client) = meet(acceptor, connector, name).await;
    (server.unwrap().session(), client.unwrap().session())
}

/// What the server says of a handshake that fails.
pub(crate) async fn error(acceptor: &Acceptor, connector: &Connector, name: &str) -> String {
    meet(acceptor, connector, name).await.0.unwrap_err().to_string()
}

pub(crate) fn inline(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> KeyPair {
    let key = Pem::Inline(key.serialize_pem());
    KeyPair { certificate: Pem::Inline(certificate.pem()), key }
}

pub(crate) struct Authority {
    pub(crate) pem: Pem,
    issuer: Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = rcgen::KeyPair::generate().unwrap();
        // No two have the same name.
        let number = format!("Authority {:02x?}", &key.public_key_raw()[1..5]);
        params.distinguished_name.push(DnType::CommonName, number);
        let pem = Pem::Inline(params.self_signed(&key).unwrap().pem());
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, rcgen::KeyPair> {
        &self.issuer
    }

    pub(crate) fn issue(&self, names: &[&str]) -> KeyPair {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> KeyPair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        inline(&params.signed_by(&key, &self.issuer).unwrap(), &key)
    }

    /// A client that trusts it, shows these, and remembers sessions.
    pub(crate) fn client(&self, certificates: Vec<KeyPair>) -> ClientOptions {
        ClientOptions {
            system_roots: false,
            roots: vec![self.pem.clone()],
            certificates,
            session_resumption: true,
            ..ClientOptions::default()
        }
    }
}

/// A listener that shows these and makes tickets.
pub(crate) fn showing(pairs: &[&KeyPair]) -> ServerOptions {
    ServerOptions {
        certificates: pairs.iter().map(|pair| (*pair).clone()).collect(),
        session_resumption: true,
        ..ServerOptions::default()
    }
}

pub(crate) fn text(pem: &Pem) -> &str {
    match pem {
        Pem::Inline(text) => text,
        Pem::File(_) => panic!("a file"),
    }
}
