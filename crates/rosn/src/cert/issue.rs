//! The authority, and what it issues.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SanType,
};

const DAY: Duration = Duration::from_secs(86_400);
/// How long the authority lasts.
const AUTHORITY: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Certificates begin to be valid this long before they are made, for those whose clock is late.
const BEFORE: Duration = Duration::from_secs(3600);

/// A name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(SanType);

impl FromStr for Name {
    type Err = anyhow::Error;

    /// An IP address, a URI, an e-mail address or a DNS name, by what it looks like.
    fn from_str(name: &str) -> anyhow::Result<Self> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(Self(SanType::IpAddress(address)));
        }
        if name.contains("://") {
            let wrong = || format!("`{name}` has characters that a URI cannot have");
            return Ok(Self(SanType::URI(visible(name).with_context(wrong)?.try_into()?)));
        }
        if name.contains('@') {
            let wrong = || format!("`{name}` has characters that an e-mail address cannot have");
            return Ok(Self(SanType::Rfc822Name(visible(name).with_context(wrong)?.try_into()?)));
        }
        let label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(plain)
        };
        let bare = name.strip_prefix("*.").unwrap_or(name);
        if !bare.split('.').all(label) || bare.len() > 253 {
            bail!(
                "`{name}` is no name for a certificate: a host (a.example, *.a.example), an IP address, a URI or an \
                 e-mail address"
            );
        }
        Ok(Self(SanType::DnsName(name.try_into()?)))
    }
}

impl Name {
    /// As a URL may have it; `None` for what is no host.
    pub(super) fn host(&self) -> Option<String> {
        match &self.0 {
            SanType::DnsName(name) => Some(name.as_str().replacen('*', "www", 1)),
            SanType::IpAddress(IpAddr::V6(address)) => Some(format!("[{address}]")),
            SanType::IpAddress(address) => Some(address.to_string()),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match &self.0 {
            SanType::DnsName(name) | SanType::URI(name) | SanType::Rfc822Name(name) => {
                name.to_string()
            }
            SanType::IpAddress(address) => address.to_string(),
            _ => String::new(),
        }
    }
}

fn visible(name: &str) -> Option<&str> {
    name.bytes().all(|byte| byte.is_ascii_graphic()).then_some(name)
}

/// What is to be issued.
pub(super) struct Leaf<'a> {
    pub(super) names: &'a [Name],
    pub(super) rsa: bool,
    pub(super) days: u16,
    pub(super) expired: bool,
}

/// What was issued, in PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// An authority with its key.
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one. No two have the same name, so that no program takes one for the other.
    pub(super) fn new(now: SystemTime) -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(Vec::new())?;
        let number: String =
            key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "rosn cert");
        params.distinguished_name.push(DnType::CommonName, format!("rosn cert {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - BEFORE).into();
        params.not_after = (now + AUTHORITY).into();
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// One that was made before.
    pub(super) fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let text = read(certificate)?;
        let key_text = read(key).with_context(|| {
            let authority = certificate.display();
            format!("{authority} is there, and without its key nothing can be issued")
        })?;
        let pair = rosn_tls::KeyPair {
            certificate: rosn_tls::Pem::File(certificate.to_owned()),
            key: rosn_tls::Pem::File(key.to_owned()),
        };
        // Says what is wrong with them, if they do not belong together or cannot issue.
        let options =
            rosn_tls::ServerOptions { issuers: vec![pair], ..rosn_tls::ServerOptions::default() };
        let acceptor = rosn_tls::Acceptor::new(&options)?;
        acceptor.check_dates(SystemTime::now())?;
        let key = KeyPair::from_pem(&key_text)
            .with_context(|| format!("the key in {} cannot be used", key.display()))?;
        let issuer = Issuer::from_ca_cert_pem(&text, key)?;
        Ok(Self { certificate: text, issuer })
    }

    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// For servers and for clients: who tries mutual TLS has one program that is both.
    pub(super) fn issue(&self, leaf: &Leaf<'_>, now: SystemTime) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.subject_alt_names = leaf.names.iter().map(|name| name.0.clone()).collect();
        params.distinguished_name = DistinguishedName::new();
        let name = leaf.names.first().map(Name::text).unwrap_or_default();
        // A common name has 64 characters at most (RFC 5280 A.1).
        if name.len() <= 64 {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if leaf.rsa {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let days = DAY * u32::from(leaf.days);
        (params.not_before, params.not_after) = match leaf.expired {
            true => ((now - DAY - days).into(), (now - DAY).into()),
            false => ((now - BEFORE).into(), (now + days).into()),
        };
        let key = KeyPair::generate_for(match leaf.rsa {
            true => &PKCS_RSA_SHA256,
            false => &PKCS_ECDSA_P256_SHA256,
        })?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}
