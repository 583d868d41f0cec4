use rustls::SignatureScheme as Scheme;

use super::*;
use crate::facts::Role;
use crate::provider::provider;
use crate::{KeyPair, Pem, pem};

/// A certificate for these names, in a table.
fn shown(names: &[&str], rsa: bool) -> (Shown, CertificateFacts) {
    let algorithm = if rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let certificate = Pem::Inline(params.self_signed(&key).unwrap().pem());
    let pair = KeyPair { certificate, key: Pem::Inline(key.serialize_pem()) };
    let key = pem::certified(&pair, &provider()).unwrap();
    let mut used = pem::facts(&pair.certificate, &key.cert, Role::Own).unwrap();
    (Shown { key: Arc::new(key), stapled: None }, used.remove(0).facts)
}

const BOTH: &[Scheme] = &[Scheme::RSA_PSS_SHA256, Scheme::ECDSA_NISTP256_SHA256];
const ONLY_RSA: &[Scheme] = &[Scheme::RSA_PSS_SHA256];
const ONLY_ECDSA: &[Scheme] = &[Scheme::ECDSA_NISTP256_SHA256];

/// Which of the table's certificates it is.
fn place(table: &Table, name: Option<&str>, schemes: &[Scheme]) -> usize {
    let chosen = table.choose(name, schemes).unwrap();
    table.shown.iter().position(|shown| shown.key.cert == chosen.cert).unwrap()
}

#[test]
fn the_very_name_comes_before_a_wildcard_and_that_before_the_first() {
    let all = [&["first.test"][..], &["*.b.test"], &["a.b.test", "b.test"]];
    let table = Table::new(all.map(|names| shown(names, false)).into(), Vec::new());
    for (name, at) in [
        ("first.test", 0),
        ("a.b.test", 2),
        ("b.test", 2),
        ("x.b.test", 1),
        // A wildcard is for one label.
        ("y.x.b.test", 0),
        ("test", 0),
        ("unknown.test", 0),
        ("*.b.test", 1),
    ] {
        assert_eq!(place(&table, Some(name), BOTH), at, "{name}");
    }
    assert_eq!(place(&table, None, BOTH), 0);
}

#[test]
fn rsa_is_for_those_who_know_no_other() {
    let all = [(&["a.test"], true), (&["b.test"], true), (&["a.test"], false)];
    let table = Table::new(all.map(|(names, rsa)| shown(names, rsa)).into(), Vec::new());
    for name in [Some("a.test"), None, Some("unknown.test")] {
        assert_eq!(place(&table, name, BOTH), 2, "{name:?}");
        assert_eq!(place(&table, name, ONLY_ECDSA), 2, "{name:?}");
        assert_eq!(place(&table, name, ONLY_RSA), 0, "{name:?}");
    }
    assert_eq!(place(&table, Some("b.test"), BOTH), 1);
    // It knows none of that name's: better another than none.
    assert_eq!(place(&table, Some("b.test"), ONLY_ECDSA), 2);
}

#[test]
fn an_old_ocsp_response_is_not_stapled() {
    let (shown, facts) = shown(&["a.test"], false);
    let mut stapled = CertifiedKey::clone(&shown.key);
    stapled.ocsp = Some(vec![1]);
    let stapled = Arc::new(stapled);
    let now = SystemTime::now();
    let hour = std::time::Duration::from_secs(3600);
    for (until, is_stapled) in [(None, true), (Some(now + hour), true), (Some(now - hour), false)] {
        let stapled = Some((stapled.clone(), until));
        let shown = Shown { key: shown.key.clone(), stapled };
        let table = Table::new(vec![(shown, facts.clone())], Vec::new());
        assert_eq!(table.choose(None, BOTH).unwrap().ocsp.is_some(), is_stapled);
    }
}
