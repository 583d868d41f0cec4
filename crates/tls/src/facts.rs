//! What certificates say.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::distinguished::display;
use crate::{Pem, TlsError};

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFacts {
    /// Whose it is (RFC 2253, as OpenSSL writes it): `CN=a.example,O=Example`. ASCII without control characters.
    pub subject: String,
    /// Who issued it, in the same form.
    pub issuer: String,
    /// In hexadecimal, small letters, two for each byte.
    pub serial: String,
    /// The last common name of the subject; empty where it has none.
    pub common_name: String,
    /// The DNS names of its subject alternative names. Names with bytes other than visible ASCII, here and below, are
    /// left out.
    pub dns_names: Vec<String>,
    /// The URIs, such as `spiffe://cluster.local/ns/a/sa/b`.
    pub uris: Vec<String>,
    /// The e-mail addresses.
    pub emails: Vec<String>,
    /// The IP addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// When it begins to be valid; years before 1970 count as 1970, here and below.
    pub not_before: SystemTime,
    /// When it ends to be valid.
    pub not_after: SystemTime,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

impl CertificateFacts {
    /// # Errors
    /// Says what is wrong with the certificate.
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes follow the certificate".to_owned());
        }
        let mut facts = Self {
            subject: display(certificate.subject()),
            issuer: display(certificate.issuer()),
            serial: hex(without_zeros(certificate.raw_serial())),
            common_name: common_name(&certificate),
            dns_names: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            ip_addresses: Vec::new(),
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
            fingerprint: sha256(der),
        };
        for extension in certificate.extensions() {
            if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
                names.general_names.iter().for_each(|name| facts.add(name));
            }
        }
        Ok(facts)
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        let (names, name) = match name {
            GeneralName::DNSName(name) => (&mut self.dns_names, name),
            GeneralName::URI(name) => (&mut self.uris, name),
            GeneralName::RFC822Name(name) => (&mut self.emails, name),
            GeneralName::IPAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
                self.ip_addresses.extend(address);
                return;
            }
            _ => return,
        };
        if name.bytes().all(|byte| byte.is_ascii_graphic()) {
            names.push((*name).to_owned());
        }
    }

    /// Whether one of the subject alternative names is this one: a URI or an e-mail address to the letter, a DNS name in
    /// capitals or not, an IP address.
    pub fn has_name(&self, name: &str) -> bool {
        self.uris.iter().chain(&self.emails).any(|known| known == name)
            || self.dns_names.iter().any(|known| known.eq_ignore_ascii_case(name))
            || name.parse().is_ok_and(|address| self.ip_addresses.contains(&address))
    }

    /// [`CertificateFacts::fingerprint`] in hexadecimal, small letters.
    pub fn fingerprint_hex(&self) -> String {
        hex(&self.fingerprint)
    }
}

/// What a certificate is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is shown to peers, as one's own.
    Own,
    /// It is shown to peers, as one that leads to an authority.
    Chain,
    /// Certificates are issued with it.
    Issuer,
    /// Peers are believed that it vouches for.
    Root,
}

/// A certificate in use. Those of the system are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsedCertificate {
    /// Where it is from.
    pub file: Pem,
    /// What for.
    pub role: Role,
    /// What it says.
    pub facts: CertificateFacts,
    /// Until when the OCSP response is valid that is stapled to it.
    pub ocsp_until: Option<SystemTime>,
}

/// # Errors
/// [`TlsError::Expired`] or [`TlsError::NotYetValid`], of the first that is not valid. Of authorities that are believed
/// only one that has expired counts where there is no other in its file: bundles keep old ones.
pub(crate) fn check_dates(used: &[UsedCertificate], now: SystemTime) -> Result<(), TlsError> {
    for one in used {
        let file = || one.file.clone();
        let others = used.iter().filter(|other| other.role == Role::Root && other.file == one.file);
        let is_valid =
            |used: &UsedCertificate| (used.facts.not_before..=used.facts.not_after).contains(&now);
        if is_valid(one) || one.role == Role::Root && others.clone().any(is_valid) {
            if one.ocsp_until.is_some_and(|until| until < now) {
                let what = "it is out of date".to_owned();
                return Err(TlsError::BadOcsp { file: file(), what });
            }
            continue;
        }
        let subject = one.facts.subject.clone();
        return Err(match now < one.facts.not_before {
            true => TlsError::NotYetValid { file: file(), subject, from: one.facts.not_before },
            false => TlsError::Expired { file: file(), subject, since: one.facts.not_after },
        });
    }
    Ok(())
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As numbers are written: what DER puts in front so that they are positive is left out.
fn without_zeros(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros.min(serial.len().saturating_sub(1))..]
}

fn common_name(certificate: &X509Certificate<'_>) -> String {
    let last = certificate.subject().iter_common_name().last();
    last.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}

/// What is before 1970 is 1970.
pub(crate) fn time(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.timestamp().max(0).unsigned_abs())
}

#[cfg(test)]
mod tests;
