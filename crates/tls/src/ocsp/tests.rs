use std::time::{Duration, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair, SerialNumber};

use super::*;

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// A response about a serial number of an issuer.
fn response(issuer: &[u8], serial: &[u8], status: &[u8], until: Option<&str>) -> Vec<u8> {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, issuer);
    let about = sequence(&[
        sequence(&[element(OID, &[0x2B, 14, 3, 2, 26])]),
        element(OCTETS, hash.as_ref()),
        element(OCTETS, &[0; 20]),
        element(INTEGER, serial),
    ]);
    let mut answer = vec![about, status.to_vec(), element(TIME, b"20200101000000Z")];
    answer.extend(until.map(|until| element(CONTEXT_0, &element(TIME, until.as_bytes()))));
    let data = sequence(&[
        element(0xA2, &element(OCTETS, &[0; 20])),
        element(TIME, b"20200101000000Z"),
        sequence(&[sequence(&answer)]),
    ]);
    let basic = sequence(&[data, sequence(&[element(OID, &[42])]), element(3, &[0, 1])]);
    let bytes = sequence(&[element(OID, BASIC), element(OCTETS, &basic)]);
    sequence(&[element(ENUMERATED, &[0]), element(CONTEXT_0, &bytes)])
}

/// A certificate in DER and its issuer's name.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(SerialNumber::from_slice(&[7, 8]));
    let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let issuer = X509Certificate::from_der(&der).unwrap().1.issuer().as_raw().to_vec();
    (der, issuer)
}

#[test]
fn it_says_of_what_it_speaks_and_until_when() {
    let (der, issuer) = certificate();
    let said = |serial: &[u8], status: &[u8], until| {
        OcspResponse::read(response(&issuer, serial, status, until)).unwrap().of(&der)
    };
    let good = &[GOOD, 0][..];
    let until = UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    assert!(matches!(said(&[7, 8], good, None), Said::Good(None)));
    let limited = said(&[7, 8], good, Some("20300101000000Z"));
    assert!(matches!(limited, Said::Good(Some(time)) if time == until));
    let revoked = element(REVOKED, &element(TIME, b"20200101000000Z"));
    assert!(matches!(said(&[7, 8], &revoked, None), Said::Revoked));
    assert!(matches!(said(&[7, 8], &[0x82, 0], None), Said::Unknown));
    assert!(matches!(said(&[7, 9], good, None), Said::Nothing));
    let others = OcspResponse::read(response(b"another", &[7, 8], good, None)).unwrap();
    assert!(matches!(others.of(&der), Said::Nothing));
}

#[test]
fn what_is_none_is_an_error() {
    let (_, issuer) = certificate();
    let whole = response(&issuer, &[7], &[GOOD, 0], Some("20300101000000Z"));
    for length in 0..whole.len() {
        assert!(OcspResponse::read(whole[..length].to_vec()).is_err());
    }
    let error = |der: Vec<u8>| OcspResponse::read(der).err().unwrap();
    let later = error(sequence(&[element(ENUMERATED, &[3])]));
    assert!(later.contains("tryLater"), "{later}");
    assert!(error(b"nonsense".to_vec()).contains("not an OCSP response"));
    // A length of lengths that no computer has.
    assert!(error(vec![SEQUENCE, 0x88, 255, 255, 255, 255, 255, 255, 255, 255]).contains("not"));
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0xFF;
        let _ = OcspResponse::read(changed);
    }
}
