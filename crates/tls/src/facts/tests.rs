use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType, SerialNumber};

use super::*;

fn made(change: impl FnOnce(&mut CertificateParams)) -> CertificateFacts {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    change(&mut params);
    let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
    CertificateFacts::read(&der).unwrap()
}

#[test]
fn names_numbers_and_times_are_read() {
    let uri = "spiffe://cluster.local/ns/a/sa/b";
    let facts = made(|params| {
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "a.test");
        params.serial_number = Some(SerialNumber::from_slice(&[0x00, 0xA1, 0x0B]));
        params.subject_alt_names = vec![
            SanType::DnsName("a.test".try_into().unwrap()),
            SanType::DnsName("*.b.test".try_into().unwrap()),
            SanType::URI(uri.try_into().unwrap()),
            SanType::Rfc822Name("me@a.test".try_into().unwrap()),
            SanType::IpAddress("127.0.0.1".parse().unwrap()),
            SanType::IpAddress("::1".parse().unwrap()),
        ];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    });
    assert_eq!(facts.subject, "CN=a.test,O=Example,C=DE");
    assert_eq!(facts.issuer, facts.subject);
    assert_eq!((&*facts.serial, &*facts.common_name), ("a10b", "a.test"));
    assert_eq!(facts.dns_names, ["a.test", "*.b.test"]);
    assert_eq!(
        (&*facts.uris, &*facts.emails),
        (&[uri.to_owned()][..], &["me@a.test".to_owned()][..])
    );
    assert_eq!(facts.ip_addresses.len(), 2);
    assert_eq!(facts.not_before, UNIX_EPOCH + Duration::from_secs(1_577_836_800));
    assert_eq!(facts.not_after, UNIX_EPOCH + Duration::from_secs(2_524_521_600));
    assert_eq!(facts.fingerprint_hex().len(), 64);
    for name in ["a.test", "A.TEST", "*.b.test", uri, "me@a.test", "127.0.0.1", "::1"] {
        assert!(facts.has_name(name), "{name}");
    }
    for name in ["x.b.test", "spiffe://cluster.local/ns/a/sa/B", "Me@a.test", "127.0.0.2", ""] {
        assert!(!facts.has_name(name), "{name}");
    }
}

#[test]
fn a_name_can_stand_in_a_header() {
    let facts = made(|params| {
        params.distinguished_name.push(DnType::OrganizationName, "#1, \"A\"+B <C>;\\ ");
        params.distinguished_name.push(DnType::CommonName, "é\r\nx: y");
    });
    assert_eq!(facts.subject, r#"CN=\C3\A9\0D\0Ax: y,O=\#1\, \"A\"\+B \<C\>\;\\\ "#);
}

#[test]
fn every_kind_of_string_is_read_and_unknown_parts_are_shown_in_hex() {
    let facts = made(|params| {
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, DnValue::BmpString("Büro".try_into().unwrap()));
        name.push(DnType::LocalityName, DnValue::PrintableString("Bonn".try_into().unwrap()));
        name.push(DnType::CustomDnType(vec![1, 2, 3, 4]), "x");
    });
    assert_eq!(facts.subject, r"1.2.3.4=#0C0178,L=Bonn,CN=B\C3\BCro");
}

#[test]
fn names_with_bytes_that_no_name_has_are_left_out() {
    let facts = made(|params| {
        params.subject_alt_names = vec![
            SanType::URI("a\r\nb".try_into().unwrap()),
            SanType::DnsName("a test".try_into().unwrap()),
            SanType::DnsName("b.test".try_into().unwrap()),
        ];
    });
    assert_eq!((facts.dns_names, facts.uris), (vec!["b.test".to_owned()], Vec::new()));
}

#[test]
fn what_is_no_certificate_is_an_error() {
    let der = {
        let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    };
    for length in 0..der.len() {
        CertificateFacts::read(&der[..length]).unwrap_err();
    }
    CertificateFacts::read(&[&der[..], b"x"].concat()).unwrap_err();
}
