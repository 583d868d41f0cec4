use rcgen::{BasicConstraints, IsCa};

use super::*;
use crate::provider::provider;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "An authority");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = Pem::Inline(params.self_signed(&key).unwrap().pem());
    let pair = KeyPair { certificate, key: Pem::Inline(key.serialize_pem()) };
    Authority::new(&pair, &provider()).unwrap()
}

#[test]
fn a_certificate_is_kept_and_renewed_in_time() {
    let authority = authority();
    let now = SystemTime::now();
    let first = authority.certificate("a.test", now).unwrap();
    let again = authority.certificate("a.test", now + AFTER - RENEW - Duration::from_secs(1));
    assert!(Arc::ptr_eq(&first, &again.unwrap()));
    let renewed = authority.certificate("a.test", now + AFTER - RENEW).unwrap();
    assert!(!Arc::ptr_eq(&first, &renewed));
    let other = authority.certificate("b.test", now).unwrap();
    assert_ne!(first.cert[0], other.cert[0]);
    // The root alone need not be sent.
    assert_eq!(first.cert.len(), 1);
}

#[test]
fn what_is_kept_is_bounded() {
    let authority = authority();
    let now = SystemTime::now();
    for number in 0..KEPT + 10 {
        authority.certificate(&format!("n{number}.test"), now).unwrap();
    }
    assert_eq!(authority.issued.lock().unwrap().len(), KEPT);
}

#[test]
fn a_client_that_names_nobody_gets_a_certificate_without_names() {
    assert!(authority().certificate("", SystemTime::now()).is_some());
}
