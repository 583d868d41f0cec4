//! Certificates for tests, as files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::l4::merge;

/// An authority and what it has signed.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Pair {
    /// `tls_context` that shows it, with further keys.
    #[must_use]
    pub fn context(&self, further: Value) -> Value {
        let mut context =
            json!({ "status": true, "cert_chain": self.certificate, "private_key": self.key });
        merge(&mut context, further);
        context
    }

    /// The arguments that make curl show it.
    #[must_use]
    pub fn curl(&self) -> [&str; 4] {
        let text = |path: &'_ Path| path.to_str().unwrap().to_owned().leak();
        ["--cert", text(&self.certificate), "--key", text(&self.key)]
    }
}

impl Authority {
    /// Makes one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let folder = TempDir::with_prefix("rosn-ca-").unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    /// The authority's certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these DNS names.
    #[must_use]
    pub fn leaf(&self, names: &[&str]) -> Pair {
        self.issue(names[0], names, |_| {})
    }

    /// One that is valid no longer.
    #[must_use]
    pub fn expired(&self, name: &str) -> Pair {
        self.issue(&format!("{name}-expired"), &[name], |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    /// One of a client, by its common name and a URI.
    #[must_use]
    pub fn client(&self, name: &str, uri: &str) -> Pair {
        self.issue(name, &[], |params| {
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
            params
                .subject_alt_names
                .push(SanType::DnsName(format!("{name}.test").try_into().unwrap()));
        })
    }

    /// A certificate that is as `change` makes it, in files of this name; `names` are DNS names or IP addresses.
    #[must_use]
    pub fn issue(
        &self,
        file: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let place =
            |end: &str| self.folder.path().join(format!("{}.{end}", file.replace('*', "_")));
        let pair = Pair { certificate: place("pem"), key: place("key") };
        fs::write(&pair.certificate, certificate.pem()).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}
