use std::time::Duration;

use rosn_tls::{
    Acceptor, ClientAuth, ClientOptions, ClientTrust, Connector, KeyPair, Pem, ServerOptions,
    TlsError,
};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn made(folder: &Path, name: &str, change: impl FnOnce(&mut CertArgs)) -> KeyPair {
    let (names, dir) = (vec![name.to_owned()], folder.to_owned());
    let mut args = CertArgs { names, dir, rsa: false, days: 2, expired: false, force: false };
    change(&mut args);
    make(&args, SystemTime::now()).unwrap();
    let file = |end| Pem::File(folder.join(format!("{name}.{end}")));
    KeyPair { certificate: file("pem"), key: file("key") }
}

fn showing(pair: KeyPair) -> ServerOptions {
    ServerOptions { certificates: vec![pair], ..ServerOptions::default() }
}

#[tokio::test]
async fn both_ends_of_mutual_tls_take_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = made(folder.path(), "a.test", |args| args.rsa = true);
    let client = made(folder.path(), "alice", |_| {});
    let roots = vec![Pem::File(folder.path().join("ca.pem"))];
    let trust = ClientTrust { roots: roots.clone(), subject_alt_names: vec!["alice".to_owned()] };
    let server = ServerOptions { client_auth: ClientAuth::Required(trust), ..showing(server) };
    let certificates = vec![client];
    let client =
        ClientOptions { system_roots: false, roots, certificates, ..ClientOptions::default() };
    let (acceptor, connector) = (Acceptor::new(&server).unwrap(), Connector::new(&client).unwrap());
    let (near, far) = tokio::io::duplex(1 << 16);
    let (server, client) = tokio::join!(acceptor.accept(far), connector.connect("a.test", near));
    client.unwrap();
    let session = server.unwrap().session();
    let facts = session.peer_certificate().unwrap().facts().unwrap();
    assert_eq!((&*facts.subject, &*facts.dns_names), ("CN=alice", &["alice".to_owned()][..]));
    let now = SystemTime::now();
    acceptor.check_dates(now).unwrap();
    acceptor.check_dates(now + DAY * 2).unwrap_err();
}

#[test]
fn one_that_has_expired_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let old = made(folder.path(), "old.test", |args| args.expired = true);
    let acceptor = Acceptor::new(&showing(old)).unwrap();
    let error = acceptor.check_dates(SystemTime::now()).unwrap_err();
    assert!(matches!(error, TlsError::Expired { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("old.test.pem has expired: ") && text.contains("CN=old.test"), "{text}");
}

/// Who made the authority once need not see it replaced, however broken it is.
#[test]
fn a_broken_authority_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), "a.test", |_| {});
    std::fs::write(folder.path().join("ca.pem"), "nonsense").unwrap();
    let (names, dir) = (vec!["b.test".to_owned()], folder.path().to_owned());
    let args = CertArgs { names, dir, rsa: false, days: 2, expired: false, force: true };
    let error = make(&args, SystemTime::now()).unwrap_err().to_string();
    assert!(error.contains("ca.pem"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("ca.pem")).unwrap(), b"nonsense");
}

#[test]
fn names_are_what_they_look_like() {
    let host = |name: &str| name.parse::<Name>().unwrap().host();
    assert_eq!(host("a.example").as_deref(), Some("a.example"));
    assert_eq!(host("*.a.example").as_deref(), Some("www.a.example"));
    assert_eq!(host("::1").as_deref(), Some("[::1]"));
    assert_eq!(host("127.0.0.1").as_deref(), Some("127.0.0.1"));
    assert_eq!(host("spiffe://a/b"), None);
    assert_eq!(host("a@b.example"), None);
    let long = "a".repeat(64);
    for wrong in ["", "a..b", "a b", "*", "a.*.b", "-/-", "a/b", "http://a b", "é@b", &long] {
        assert!(wrong.parse::<Name>().is_err(), "{wrong}");
    }
}

#[test]
fn files_are_called_by_their_name_and_stay_in_the_folder() {
    for (name, file) in [
        ("a.example", "a.example"),
        ("*.a.example", "_wildcard.a.example"),
        ("::1", "__1"),
        ("spiffe://td/ns/a", "spiffe_td_ns_a"),
        ("x://../../etc/passwd", "x_.._.._etc_passwd"),
        (".hidden@b", "_.hidden@b"),
    ] {
        assert_eq!(files::stem(name), file);
    }
}

#[test]
fn what_a_shell_would_change_is_quoted() {
    assert_eq!(quoted(Path::new("certs/a.pem")), "certs/a.pem");
    assert_eq!(quoted(Path::new("my certs/it's.pem")), r"'my certs/it'\''s.pem'");
}
