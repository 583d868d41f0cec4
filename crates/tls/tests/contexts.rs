//! Several contexts behind one address, what they agree on, and what becomes of them when files change.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosn_tls::{
    Acceptor, CipherSuite, ClientAuth, ClientOptions, ClientTrust, Connector, InUse, KeyExchange,
    KeyPair, Pem, Role, ServerOptions, Session, Tickets, TlsError, Version, Versions, is_untrusted,
};
use support::{Authority, error, meet, sessions, showing, text};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn trust(authority: &Authority, alternatives: &[&str]) -> ClientTrust {
    let roots = vec![authority.pem.clone()];
    ClientTrust { roots, subject_alt_names: names(alternatives) }
}

/// Whom the client saw.
fn shown(session: &Session) -> String {
    session.peer_certificate().unwrap().facts().unwrap().dns_names[0].clone()
}

#[tokio::test]
async fn a_context_is_chosen_by_name_then_by_protocol_then_the_first() {
    let authority = Authority::new();
    let pair = |names: &[&str]| authority.issue(names);
    let context =
        |pair: &KeyPair, alpn: &[&str]| ServerOptions { alpn: names(alpn), ..showing(&[pair]) };
    let contexts = vec![
        context(&pair(&["first.test"]), &["http/1.1"]),
        context(&pair(&["*.b.test"]), &["h2", "http/1.1"]),
        context(&pair(&["a.b.test"]), &[]),
    ];
    let acceptor = Acceptor::with_contexts(contexts, &Tickets::new()).unwrap();
    let client = |alpn: &[&str]| {
        // Only to see which one it is.
        let options = ClientOptions { allow_insecure: true, ..authority.client(Vec::new()) };
        Connector::new(&ClientOptions { alpn: names(alpn), ..options }).unwrap()
    };
    for (name, alpn, expected, agreed) in [
        ("first.test", &[][..], "first.test", None),
        ("a.b.test", &["h2"], "a.b.test", None),
        ("x.b.test", &["h2"], "*.b.test", Some(&b"h2"[..])),
        ("x.b.test", &[], "*.b.test", None),
        ("unknown.test", &["h2"], "*.b.test", Some(b"h2")),
        ("unknown.test", &["http/1.1"], "first.test", Some(b"http/1.1")),
        ("127.0.0.1", &[], "first.test", None),
    ] {
        let (server, client) = sessions(&acceptor, &client(alpn), name).await;
        assert_eq!((&*shown(&client), client.alpn()), (expected, agreed), "{name} {alpn:?}");
        assert_eq!(server.alpn(), agreed);
    }
    let wrong = error(&acceptor, &client(&["h3"]), "first.test").await;
    assert!(wrong.contains("ALPN"), "{wrong}");
}

#[tokio::test]
async fn what_is_not_tls_is_called_so_with_several_contexts_too() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let pair = Authority::new().issue(&["a.test"]);
    let contexts = vec![showing(&[&pair]), showing(&[&pair])];
    let acceptor = Acceptor::with_contexts(contexts, &Tickets::new()).unwrap();
    let (mut near, far) = tokio::io::duplex(1024);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let wrong = acceptor.accept(far).await.unwrap_err().to_string();
    assert!(wrong.contains("not TLS"), "{wrong}");
    // It gets an alert.
    let mut alert = Vec::new();
    near.read_to_end(&mut alert).await.unwrap();
    assert_eq!(alert.first(), Some(&21));
}

#[tokio::test]
async fn contexts_verify_clients_each_in_its_way() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let uri = "spiffe://td/a";
    let pair = authority.issue(&["off.test"]);
    let context = |name: &str, client_auth| ServerOptions {
        client_auth,
        ..showing(&[&authority.issue(&[name])])
    };
    let contexts = vec![
        showing(&[&pair]),
        context("any.test", ClientAuth::Unverified),
        context("optional.test", ClientAuth::Optional(trust(&authority, &[]))),
        context("required.test", ClientAuth::Required(trust(&authority, &[]))),
        context("named.test", ClientAuth::Required(trust(&authority, &["me", uri]))),
    ];
    let acceptor = Acceptor::with_contexts(contexts, &Tickets::new()).unwrap();
    let with = |pairs: Vec<KeyPair>| Connector::new(&authority.client(pairs)).unwrap();
    let good = || with(vec![authority.issue(&["me"])]);
    let other = || with(vec![authority.issue(&["you"])]);
    let strange = || with(vec![stranger.issue(&["me"])]);
    let none = || with(Vec::new());
    // Of the client's certificate: none, or whether it is verified; or what the server says.
    for (name, client, expected) in [
        ("off.test", good(), Ok(None)),
        ("any.test", none(), Ok(None)),
        ("any.test", strange(), Ok(Some(false))),
        ("optional.test", none(), Ok(None)),
        ("optional.test", good(), Ok(Some(true))),
        ("optional.test", strange(), Err("was issued by nobody")),
        ("required.test", good(), Ok(Some(true))),
        ("required.test", none(), Err("showed no certificate")),
        ("required.test", strange(), Err("was issued by nobody")),
        ("named.test", good(), Ok(Some(true))),
        (
            "named.test",
            other(),
            Err("none of its names is allowed here (subject alternative names): it has you"),
        ),
    ] {
        let (server, client) = meet(&acceptor, &client, name).await;
        match (server, expected) {
            (Ok(server), Ok(verified)) => {
                client.unwrap();
                let session = server.session();
                let peer = session.peer_certificate();
                assert_eq!(peer.map(|peer| peer.is_verified()), verified, "{name}");
            }
            (Err(error), Err(text)) => {
                assert!(error.to_string().contains(text), "{name}: {error}");
                assert!(is_untrusted(&error), "{error}");
            }
            (result, expected) => panic!("{name}: {result:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_dialer_can_ask_for_other_names_than_the_one_it_dials() {
    let authority = Authority::new();
    let uri = "spiffe://td/a";
    let pair = authority.issue_with(&["a.test"], |params| {
        params.subject_alt_names.push(rcgen::SanType::URI(uri.try_into().unwrap()));
    });
    let acceptor = Acceptor::new(&showing(&[&pair])).unwrap();
    let asking = |alternatives: &[&str], allow_insecure| {
        let subject_alt_names = names(alternatives);
        let options =
            ClientOptions { subject_alt_names, allow_insecure, ..authority.client(Vec::new()) };
        Connector::new(&options).unwrap()
    };
    meet(&acceptor, &asking(&["x", uri], false), "z.test").await.1.unwrap();
    meet(&acceptor, &asking(&["a.test"], false), "z.test").await.1.unwrap();
    for insecure in [false, true] {
        // The name itself does not help.
        let wrong =
            meet(&acceptor, &asking(&["spiffe://td/b"], insecure), "a.test").await.1.unwrap_err();
        assert!(wrong.to_string().contains("none of its names is allowed here"), "{wrong}");
        assert!(is_untrusted(&wrong));
    }
    // The chain counts as ever.
    let stranger = Authority::new();
    let options = ClientOptions { subject_alt_names: names(&[uri]), ..stranger.client(Vec::new()) };
    let wrong = meet(&acceptor, &Connector::new(&options).unwrap(), "a.test").await.1.unwrap_err();
    assert!(wrong.to_string().contains("nobody who is trusted"), "{wrong}");
}

#[tokio::test]
async fn suites_and_key_exchanges_are_those_that_are_named() {
    let authority = Authority::new();
    let pair = authority.issue(&["a.test"]);
    let acceptor = Acceptor::new(&showing(&[&pair])).unwrap();
    let client = Connector::new(&authority.client(Vec::new())).unwrap();
    let (server, there) = sessions(&acceptor, &client, "a.test").await;
    assert_eq!(server.key_exchange(), Some(KeyExchange::X25519MlKem768));
    assert_eq!(there.key_exchange(), server.key_exchange());
    assert_eq!((server.version(), server.server_name()), (Some(Version::Tls13), Some("a.test")));

    let suite = CipherSuite::EcdheEcdsaChaCha20Poly1305;
    let narrow = ServerOptions {
        versions: Versions { min: Version::Tls12, max: Version::Tls12 },
        cipher_suites: vec![CipherSuite::EcdheRsaAes128Gcm, suite],
        key_exchanges: vec![KeyExchange::P384],
        ..showing(&[&pair])
    };
    let (server, _) = sessions(&Acceptor::new(&narrow).unwrap(), &client, "a.test").await;
    assert_eq!((server.cipher_suite(), server.version()), (Some(suite), Some(Version::Tls12)));
    assert_eq!(server.key_exchange(), Some(KeyExchange::P384));

    let wrong = ServerOptions { cipher_suites: vec![CipherSuite::EcdheRsaAes128Gcm], ..narrow };
    error(&Acceptor::new(&wrong).unwrap(), &client, "a.test").await;
}

/// Sessions of TLS 1.2 and 1.3.
#[tokio::test]
async fn tickets_are_good_at_all_that_share_them_and_ask_the_same() {
    let authority = Authority::new();
    let pair = authority.issue(&["a.test"]);
    let renewed = authority.issue(&["a.test"]);
    let elsewhere = authority.issue(&["a.test", "b.test"]);
    let required = |pair: &KeyPair, alternatives: &[&str]| ServerOptions {
        client_auth: ClientAuth::Required(trust(&authority, alternatives)),
        ..showing(&[pair])
    };
    let optional = ServerOptions {
        client_auth: ClientAuth::Optional(trust(&authority, &[])),
        ..showing(&[&pair])
    };
    let unverified = ServerOptions { client_auth: ClientAuth::Unverified, ..showing(&[&pair]) };
    let mut both = trust(&authority, &[]);
    both.roots.push(Authority::new().pem);
    let both = ServerOptions { client_auth: ClientAuth::Required(both), ..showing(&[&pair]) };
    let silent = ServerOptions { session_resumption: false, ..showing(&[&pair]) };
    for version in [Version::Tls12, Version::Tls13] {
        let versions = Versions { min: version, max: version };
        for (first, second, resumes) in [
            (showing(&[&pair]), showing(&[&pair]), true),
            (showing(&[&pair]), showing(&[&renewed]), true),
            (showing(&[&pair]), showing(&[&elsewhere]), false),
            (showing(&[&pair]), silent.clone(), false),
            (required(&pair, &[]), required(&renewed, &[]), true),
            (required(&pair, &[]), required(&pair, &["me"]), false),
            (optional.clone(), required(&pair, &[]), false),
            (unverified.clone(), required(&pair, &[]), false),
            (unverified.clone(), optional.clone(), false),
            (showing(&[&pair]), required(&pair, &[]), false),
            (both.clone(), required(&pair, &[]), false),
        ] {
            let tickets = Tickets::new();
            let made = |options: &ServerOptions, tickets| {
                let options = ServerOptions { versions, ..options.clone() };
                Acceptor::with_contexts(vec![options], tickets).unwrap()
            };
            let with_me = authority.client(vec![authority.issue(&["me"])]);
            let client = Connector::new(&with_me).unwrap();
            sessions(&made(&first, &tickets), &client, "a.test").await;
            let again = sessions(&made(&second, &tickets), &client, "a.test").await;
            assert_eq!(again.0.is_resumed(), resumes, "{version} {first:?} {second:?}");
            // Whoever had to show a certificate is known by it, then and later.
            let known = again.0.peer_certificate().map(|peer| peer.is_verified());
            let asked =
                matches!(&second.client_auth, ClientAuth::Required(_) | ClientAuth::Optional(_));
            assert_eq!(known.is_some_and(|verified| verified), asked);
        }
    }
}

#[tokio::test]
async fn a_secret_makes_tickets_good_at_other_machines() {
    let authority = Authority::new();
    let options = showing(&[&authority.issue(&["a.test"])]);
    let machine = |secret: &[u8]| {
        Acceptor::with_contexts(vec![options.clone()], &Tickets::from_secret(secret)).unwrap()
    };
    let client = Connector::new(&authority.client(Vec::new())).unwrap();
    assert!(!sessions(&machine(b"one"), &client, "a.test").await.0.is_resumed());
    assert!(sessions(&machine(b"one"), &client, "a.test").await.0.is_resumed());
    assert!(!sessions(&machine(b"two"), &client, "a.test").await.0.is_resumed());
    // Those that are made in one place, such as by each worker, know each other's.
    let (place, owner) = (InUse::default(), Arc::from("a"));
    for resumes in [false, true] {
        let one = place.acceptor(&owner, vec![options.clone()]).unwrap();
        assert_eq!(sessions(&one, &client, "a.test").await.0.is_resumed(), resumes);
    }
}

#[tokio::test]
async fn new_files_are_for_new_handshakes_and_bad_ones_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let file = |name: &str| folder.path().join(name);
    let write = |pair: &KeyPair| {
        fs::write(file("a.pem"), text(&pair.certificate)).unwrap();
        fs::write(file("a.key"), text(&pair.key)).unwrap();
    };
    fs::write(file("ca.pem"), text(&authority.pem)).unwrap();
    write(&authority.issue(&["a.test", "old"]));
    let pair = KeyPair { certificate: Pem::File(file("a.pem")), key: Pem::File(file("a.key")) };
    let roots = vec![Pem::File(file("ca.pem"))];
    let client_auth =
        ClientAuth::Optional(ClientTrust { roots: roots.clone(), ..ClientTrust::default() });
    let options = ServerOptions { client_auth, ..showing(&[&pair]) };
    let acceptor = Acceptor::new(&options).unwrap();
    let connector =
        Connector::new(&ClientOptions { roots, ..authority.client(vec![pair]) }).unwrap();
    let all = [file("a.key"), file("a.pem"), file("ca.pem")];
    assert_eq!((acceptor.files(), connector.files()), (all.to_vec(), all.to_vec()));
    let clone = acceptor.clone();

    let (mut before, client) = meet(&acceptor, &connector, "a.test").await;
    let has_name = |session: &Session, name| {
        session.peer_certificate().unwrap().facts().unwrap().has_name(name)
    };
    assert!(has_name(&client.as_ref().unwrap().session(), "old"));

    // Half of a change.
    let renewed = authority.issue(&["a.test", "new"]);
    fs::write(file("a.pem"), text(&renewed.certificate)).unwrap();
    assert!(matches!(acceptor.reload(), Err(TlsError::KeyMismatch { .. })));
    assert!(matches!(connector.reload(), Err(TlsError::KeyMismatch { .. })));
    assert!(has_name(&sessions(&clone, &connector, "a.test").await.1, "old"));
    write(&renewed);
    acceptor.reload().unwrap();
    connector.reload().unwrap();
    // The clone, too; and the client shows the new one.
    let (server, there) = sessions(&clone, &connector, "a.test").await;
    assert!(has_name(&there, "new") && !there.is_resumed() && has_name(&server, "new"));
    assert!(sessions(&clone, &connector, "a.test").await.0.is_resumed());

    // What was open goes on.
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut client = client.unwrap();
    before.as_mut().unwrap().write_all(b"still").await.unwrap();
    before.as_mut().unwrap().flush().await.unwrap();
    let mut read = [0; 5];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"still");

    // Whom to believe changes alike.
    let stranger = Authority::new();
    fs::write(file("ca.pem"), text(&stranger.pem)).unwrap();
    connector.reload().unwrap();
    let wrong = meet(&acceptor, &connector, "a.test").await.1.unwrap_err();
    assert!(wrong.to_string().contains("nobody who is trusted"), "{wrong}");
    fs::remove_file(file("ca.pem")).unwrap();
    let missing = acceptor.reload().unwrap_err().to_string();
    assert!(missing.contains("ca.pem"), "{missing}");
}

#[test]
fn certificates_in_use_are_listed_with_their_dates() {
    let authority = Authority::new();
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    let pair =
        authority.issue_with(&["a.test"], |params| params.not_after = (now + 10 * day).into());
    let chain = format!("{}{}", text(&pair.certificate), text(&authority.pem));
    let pair = KeyPair { certificate: Pem::Inline(chain), key: pair.key };
    let client_auth = ClientAuth::Required(trust(&authority, &[]));
    let acceptor = Acceptor::new(&ServerOptions { client_auth, ..showing(&[&pair]) }).unwrap();
    let used = acceptor.certificates();
    let roles: Vec<_> = used.iter().map(|used| used.role).collect();
    assert_eq!(roles, [Role::Own, Role::Chain, Role::Root]);
    assert_eq!(used[0].facts.dns_names, ["a.test"]);
    assert_eq!(used[0].facts.issuer, used[1].facts.subject);
    acceptor.check_dates(now).unwrap();
    let late = acceptor.check_dates(now + 11 * day).unwrap_err();
    assert!(matches!(late, TlsError::Expired { .. }), "{late}");
    let early = acceptor.check_dates(SystemTime::UNIX_EPOCH).unwrap_err();
    assert!(early.to_string().contains("is not valid before"), "{early}");

    // A bundle of authorities may have some that are over.
    let old = authority.issue_with(&["old"], |params| params.not_after = (now - day).into());
    let bundle = Pem::Inline(format!("{}{}", text(&authority.pem), text(&old.certificate)));
    let roots = |root: Pem| ClientOptions { roots: vec![root], ..authority.client(Vec::new()) };
    Connector::new(&roots(bundle)).unwrap().check_dates(now).unwrap();
    Connector::new(&roots(old.certificate)).unwrap().check_dates(now).unwrap_err();
}

#[test]
fn without_a_context_there_is_nothing_to_show() {
    let none = Acceptor::with_contexts(Vec::new(), &Tickets::new());
    assert!(matches!(none, Err(TlsError::NothingToShow)));
}

#[tokio::test]
async fn a_peers_certificate_can_be_passed_on() {
    let authority = Authority::new();
    let client_auth = ClientAuth::Required(trust(&authority, &[]));
    let server = ServerOptions { client_auth, ..showing(&[&authority.issue(&["a.test"])]) };
    let me = authority.issue_with(&["me"], |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "Me, \"myself\"");
    });
    let pem = text(&me.certificate).replace("\r\n", "\n");
    let client = Connector::new(&authority.client(vec![me])).unwrap();
    let (server, _) = sessions(&Acceptor::new(&server).unwrap(), &client, "a.test").await;
    let peer = server.peer_certificate().unwrap();
    assert_eq!(peer.facts().unwrap().subject, r#"CN=Me\, \"myself\""#);
    assert_eq!(peer.facts().unwrap().fingerprint_hex(), peer.fingerprint_hex());
    let encoded = peer.pem_url_encoded();
    assert!(encoded.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII"), "{encoded}");
    let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
    assert_eq!(decoded, pem);
    assert_eq!(peer.chain_pem_url_encoded(), encoded);
    let shown = format!("{peer:?}");
    assert!(shown.contains("myself") && shown.contains("verified: true"), "{shown}");
}
