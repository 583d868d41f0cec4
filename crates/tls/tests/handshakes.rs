//! Handshakes between both ends, and what they say when they fail.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose,
};
use rosn_tls::{
    Acceptor, ClientAuth, ClientOptions, ClientTrust, Connector, KeyPair, Pem, ServerOptions,
    TlsError, Version, Versions, chain_hash, self_signed,
};
use support::{Ended, inline, meet, text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

async fn handshake(server: &ServerOptions, client: &ClientOptions, name: &str) -> (Ended, Ended) {
    let (acceptor, connector) = (Acceptor::new(server).unwrap(), Connector::new(client).unwrap());
    meet(&acceptor, &connector, name).await
}

async fn errors(server: &ServerOptions, client: &ClientOptions, name: &str) -> (String, String) {
    let (server, client) = handshake(server, client, name).await;
    (server.unwrap_err().to_string(), client.unwrap_err().to_string())
}

fn server(pairs: &[&KeyPair]) -> ServerOptions {
    let certificates = pairs.iter().map(|pair| (*pair).clone()).collect();
    ServerOptions { certificates, ..ServerOptions::default() }
}

fn client(roots: &[&Pem]) -> ClientOptions {
    let roots = roots.iter().map(|root| (*root).clone()).collect();
    ClientOptions { system_roots: false, roots, ..ClientOptions::default() }
}

/// As `openssl req -x509` makes them: an authority's, also where it is a server's.
fn authority(names: &[&str]) -> (KeyPair, Issuer<'static, rcgen::KeyPair>) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, "An authority");
    let key = rcgen::KeyPair::generate().unwrap();
    let pair = inline(&params.self_signed(&key).unwrap(), &key);
    (pair, Issuer::new(params, key))
}

fn issued(
    issuer: &Issuer<'static, rcgen::KeyPair>,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> KeyPair {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    inline(&params.signed_by(&key, issuer).unwrap(), &key)
}

#[tokio::test]
async fn both_versions_are_spoken_and_can_be_left_out() {
    let pair = self_signed(&["a.test"]).unwrap();
    let only = |version| Versions { min: version, max: version };
    for version in [Version::Tls12, Version::Tls13] {
        let server = ServerOptions { versions: only(version), ..server(&[&pair]) };
        let client = client(&[&pair.certificate]);
        let (server, client) = handshake(&server, &client, "a.test").await;
        assert_eq!(server.unwrap().version(), Some(version));
        assert_eq!(client.unwrap().version(), Some(version));
    }
    let server = ServerOptions { versions: only(Version::Tls13), ..server(&[&pair]) };
    let client = ClientOptions { versions: only(Version::Tls12), ..client(&[&pair.certificate]) };
    let (server, client) = errors(&server, &client, "a.test").await;
    assert!(server.contains("no version of TLS in common"), "{server}");
    assert!(client.contains("no version of TLS in common"), "{client}");
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name_and_the_first_is_the_default() {
    let (first, second) = (self_signed(&["a.test"]).unwrap(), self_signed(&["*.b.test"]).unwrap());
    let server = server(&[&first, &second]);
    let any = ClientOptions { allow_insecure: true, ..client(&[]) };
    for (name, shown) in [
        ("a.test", &first),
        ("x.b.test", &second),
        ("X.B.test.", &second),
        ("c.test", &first),
        ("127.0.0.1", &first),
    ] {
        let pinned = vec![hash(shown)];
        let client = ClientOptions { pinned, ..any.clone() };
        handshake(&server, &client, name).await.1.expect(name);
    }
}

fn hash(pair: &KeyPair) -> [u8; 32] {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    let leaf = CertificateDer::from_pem_slice(text(&pair.certificate).as_bytes()).unwrap();
    chain_hash([leaf.as_ref()])
}

#[tokio::test]
async fn an_ip_address_is_verified_and_not_asked_for() {
    let pair = self_signed(&["127.0.0.1", "::1"]).unwrap();
    let options = (server(&[&pair]), client(&[&pair.certificate]));
    for name in ["127.0.0.1", "::1"] {
        let (server, client) = handshake(&options.0, &options.1, name).await;
        client.unwrap();
        assert_eq!(server.unwrap().server_name(), None);
    }
    let (_, client) = errors(&options.0, &options.1, "127.0.0.2").await;
    assert!(client.contains("`127.0.0.2` is for others"), "{client}");
}

#[tokio::test]
async fn a_certificate_that_was_issued_to_somebody_else_or_by_nobody_is_refused() {
    let (root, issuer) = authority(&[]);
    let leaf = issued(&issuer, &["a.test"], |_| {});
    let (_, wrong) = errors(&server(&[&leaf]), &client(&[&root.certificate]), "b.test").await;
    assert!(wrong.contains("certificate of `b.test` is for others: a.test"), "{wrong}");

    let stranger = self_signed(&["stranger"]).unwrap();
    let (far, wrong) = errors(&server(&[&leaf]), &client(&[&stranger.certificate]), "a.test").await;
    assert!(wrong.contains("nobody who is trusted here") && wrong.contains("verify"), "{wrong}");
    assert!(far.contains("unknown_ca"), "{far}");

    let (server, client) =
        handshake(&server(&[&leaf]), &client(&[&root.certificate]), "a.test").await;
    assert_eq!((server.unwrap().alpn(), client.unwrap().peer_certificates().count()), (None, 1));
}

#[tokio::test]
async fn an_expired_certificate_says_since_when() {
    let (root, issuer) = authority(&[]);
    let day = Duration::from_secs(86_400);
    let old = issued(&issuer, &["a.test"], |params| {
        params.not_before = SystemTime::UNIX_EPOCH.into();
        params.not_after = (SystemTime::UNIX_EPOCH + 365 * day).into();
    });
    let (_, wrong) = errors(&server(&[&old]), &client(&[&root.certificate]), "a.test").await;
    assert!(wrong.contains("has expired: Fri, 01 Jan 1971"), "{wrong}");
    // Also where it is trusted itself.
    let (_, wrong) = errors(&server(&[&old]), &client(&[&old.certificate]), "a.test").await;
    assert!(wrong.contains("has expired"), "{wrong}");

    let new = issued(&issuer, &["a.test"], |params| {
        params.not_before = (SystemTime::now() + day).into();
    });
    let (_, wrong) = errors(&server(&[&new]), &client(&[&root.certificate]), "a.test").await;
    assert!(wrong.contains("is not valid before"), "{wrong}");
}

#[tokio::test]
async fn a_certificate_can_be_trusted_itself() {
    let own = authority(&["a.test"]).0;
    handshake(&server(&[&own]), &client(&[&own.certificate]), "a.test").await.1.unwrap();
    let (_, wrong) = errors(&server(&[&own]), &client(&[&own.certificate]), "b.test").await;
    assert!(wrong.contains("is for others"), "{wrong}");
    // One that looks alike is another one.
    let twin = authority(&["a.test"]).0;
    errors(&server(&[&twin]), &client(&[&own.certificate]), "a.test").await;
}

#[tokio::test]
async fn a_pin_counts_besides_trust_and_instead_of_it() {
    let pair = self_signed(&["a.test"]).unwrap();
    let stranger = self_signed(&["a.test"]).unwrap();
    let pinned = |pin, root: &KeyPair| ClientOptions {
        pinned: vec![[7; 32], pin],
        ..client(&[&root.certificate])
    };
    handshake(&server(&[&pair]), &pinned(hash(&pair), &pair), "a.test").await.1.unwrap();
    let (_, wrong) = errors(&server(&[&pair]), &pinned([9; 32], &pair), "a.test").await;
    assert!(wrong.contains("not pinned"), "{wrong}");
    errors(&server(&[&pair]), &pinned(hash(&pair), &stranger), "a.test").await;

    let insecure = |pin| ClientOptions { allow_insecure: true, ..pinned(pin, &stranger) };
    handshake(&server(&[&pair]), &insecure(hash(&pair)), "z.test").await.1.unwrap();
    let (_, wrong) = errors(&server(&[&pair]), &insecure([9; 32]), "z.test").await;
    assert!(wrong.contains("not pinned"), "{wrong}");
}

#[tokio::test]
async fn clients_show_certificates_where_they_are_asked() {
    let pair = self_signed(&["a.test"]).unwrap();
    let (root, issuer) = authority(&[]);
    let good = issued(&issuer, &["client"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let own = authority(&["client"]).0;
    let roots = vec![root.certificate, own.certificate.clone()];
    let client_auth = ClientAuth::Required(ClientTrust { roots, ..ClientTrust::default() });
    let server = ServerOptions { client_auth, ..server(&[&pair]) };
    let with = |certificates| ClientOptions { certificates, ..client(&[&pair.certificate]) };
    for shown in [good, own] {
        let (server, client) = handshake(&server, &with(vec![shown]), "a.test").await;
        client.unwrap();
        assert_eq!(server.unwrap().peer_certificates().count(), 1);
    }
    let (here, there) = errors(&server, &with(vec![]), "a.test").await;
    assert!(here.contains("showed no certificate"), "{here}");
    assert!(there.contains("certificate_required"), "{there}");
    let stranger = self_signed(&["client"]).unwrap();
    let (here, there) = errors(&server, &with(vec![stranger]), "a.test").await;
    assert!(here.contains("client's certificate was issued by nobody"), "{here}");
    assert!(there.contains("unknown_ca"), "{there}");
}

#[tokio::test]
async fn protocols_are_agreed_on_or_refused() {
    let pair = self_signed(&["a.test"]).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let server = ServerOptions { alpn: names(&["h2", "http/1.1"]), ..server(&[&pair]) };
    for (asked, agreed) in [
        (names(&["http/1.1", "h2"]), Some(b"h2".as_slice())),
        (names(&["x", "http/1.1"]), Some(b"http/1.1")),
        (names(&[]), None),
    ] {
        let client = ClientOptions { alpn: asked, ..client(&[&pair.certificate]) };
        assert_eq!(handshake(&server, &client, "a.test").await.1.unwrap().alpn(), agreed);
    }
    let client = ClientOptions { alpn: names(&["h3"]), ..client(&[&pair.certificate]) };
    let (here, there) = errors(&server, &client, "a.test").await;
    assert!(here.contains("ALPN"), "{here}");
    assert!(there.contains("no_application_protocol"), "{there}");
}

#[tokio::test]
async fn an_authority_issues_for_every_name() {
    let (root, _) = authority(&[]);
    let pair = self_signed(&["fixed.test"]).unwrap();
    let server = ServerOptions { issuers: vec![root.clone()], ..server(&[&pair]) };
    let roots = client(&[&root.certificate, &pair.certificate]);
    let (acceptor, connector) = (Acceptor::new(&server).unwrap(), Connector::new(&roots).unwrap());
    for name in ["a.test", "b.test", "A.TEST", "fixed.test"] {
        meet(&acceptor, &connector, name).await.1.expect(name);
    }
    // One certificate is for one name.
    let shown = |name: &'static str| {
        let meeting = meet(&acceptor, &connector, name);
        async { meeting.await.1.unwrap().peer_certificates().map(<[u8]>::to_vec).next() }
    };
    assert_eq!(shown("a.test").await, shown("A.TEST").await);
    assert_ne!(shown("a.test").await, shown("b.test").await);
}

#[tokio::test]
async fn sessions_are_resumed_only_where_both_want_it() {
    let pair = self_signed(&["a.test"]).unwrap();
    for (here, there) in [(true, true), (true, false), (false, true)] {
        let server = ServerOptions { session_resumption: here, ..server(&[&pair]) };
        let client = ClientOptions { session_resumption: there, ..client(&[&pair.certificate]) };
        let ends = (Acceptor::new(&server).unwrap(), Connector::new(&client).unwrap());
        meet(&ends.0, &ends.1, "a.test").await.1.unwrap();
        let second = meet(&ends.0, &ends.1, "a.test").await.1.unwrap();
        assert_eq!(second.is_resumed(), here && there);
    }
}

#[tokio::test]
async fn what_is_not_tls_is_called_so() {
    let pair = self_signed(&["a.test"]).unwrap();
    let acceptor = Acceptor::new(&server(&[&pair])).unwrap();
    let (mut near, far) = duplex(1024);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = acceptor.accept(far).await.unwrap_err().to_string();
    assert!(error.contains("not TLS"), "{error}");

    let (near, far) = duplex(1024);
    drop(near);
    let error = acceptor.accept(far).await.unwrap_err().to_string();
    assert!(error.contains("closed the connection"), "{error}");
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_end_of_which_that_is_known() {
    let pair = self_signed(&["a.test"]).unwrap();
    for says_so in [true, false] {
        let (server, client) =
            handshake(&server(&[&pair]), &client(&[&pair.certificate]), "a.test").await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        server.write_all(b"bytes").await.unwrap();
        server.flush().await.unwrap();
        if says_so {
            server.shutdown().await.unwrap();
        }
        drop(server);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!((&*text, client.was_cut_off()), ("bytes", !says_so));
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0, "it stays so");
        assert_eq!(client.was_cut_off(), !says_so);
    }
}

/// A record of which the rest is missing is an end, too.
#[tokio::test]
async fn an_end_within_a_record_is_known_as_such() {
    let pair = self_signed(&["a.test"]).unwrap();
    let (server, client) =
        handshake(&server(&[&pair]), &client(&[&pair.certificate]), "a.test").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    server.flush().await.unwrap();
    // The head of a record of 256 bytes, and no more.
    server.below_mut().write_all(&[23, 3, 3, 1, 0]).await.unwrap();
    drop(server);
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(client.was_cut_off());
}

#[test]
fn options_that_cannot_be_used_say_where_they_are_wrong() {
    let (one, other) = (self_signed(&["a"]).unwrap(), self_signed(&["b"]).unwrap());
    let error = |options: &ServerOptions| Acceptor::new(options).unwrap_err();
    assert!(matches!(error(&server(&[])), TlsError::NothingToShow));

    let mixed = KeyPair { key: other.key, ..one.clone() };
    assert!(matches!(error(&server(&[&mixed])), TlsError::KeyMismatch { .. }));

    let missing = KeyPair { certificate: Pem::File("/no/such.pem".into()), ..one.clone() };
    assert!(error(&server(&[&missing])).to_string().contains("/no/such.pem"));

    let swapped = KeyPair { certificate: one.key.clone(), key: one.certificate.clone() };
    assert!(matches!(error(&server(&[&swapped])), TlsError::NoCertificate(_)));
    let keyless = KeyPair { key: one.certificate.clone(), ..one.clone() };
    assert!(matches!(error(&server(&[&keyless])), TlsError::NoKey(_)));

    let damaged = text(&one.certificate).replace("MII", "M!I");
    let damaged = KeyPair { certificate: Pem::Inline(damaged), ..one.clone() };
    assert!(matches!(error(&server(&[&damaged])), TlsError::Damaged { .. }));

    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let leaf = inline(&params.self_signed(&key).unwrap(), &key);
    let leaf = ServerOptions { issuers: vec![leaf], ..ServerOptions::default() };
    assert!(matches!(error(&leaf), TlsError::BadIssuer { .. }));

    let versions = Versions { min: Version::Tls13, max: Version::Tls12 };
    let none = ServerOptions { versions, ..server(&[&one]) };
    assert!(matches!(error(&none), TlsError::NoVersion));
    let alpn = ServerOptions { alpn: vec![String::new()], ..server(&[&one]) };
    assert!(matches!(error(&alpn), TlsError::BadAlpn(_)));
    assert!(matches!(Connector::new(&client(&[])), Err(TlsError::NoRoots(..))));
}

#[test]
fn keys_are_not_shown() {
    let pair = self_signed(&["a"]).unwrap();
    let (acceptor, connector) = (
        Acceptor::new(&server(&[&pair])).unwrap(),
        Connector::new(&client(&[&pair.certificate])).unwrap(),
    );
    let broken = text(&pair.key).replace("MIG", "!!!");
    let broken = KeyPair { key: Pem::Inline(broken), ..pair.clone() };
    let error = Acceptor::new(&server(&[&broken])).unwrap_err();
    let shown = format!("{:?} {acceptor:?} {connector:?} {error:?} {error}", server(&[&pair]));
    let key = text(&pair.key).lines().nth(1).unwrap();
    assert!(!shown.contains(&key[3..20]), "{shown}");
}
