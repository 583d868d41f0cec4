//! What a listener's options come to: a configuration for each context, and which of them a client meets.

use std::slice;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{Context as Hasher, SHA256};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ServerConfig};
use rustls::sign::CertifiedKey;

use crate::facts::Role;
use crate::issue::Authority;
use crate::names::narrow;
use crate::ocsp::{OcspResponse, Said};
use crate::provider::{alpn, other, provider, versions};
use crate::table::{Names, Shown, Table, names};
use crate::verify::ClientVerifier;
use crate::{
    CertificateFacts, ClientAuth, Pem, ServerOptions, Tickets, TlsError, UsedCertificate, pem,
};

/// All contexts of a listener, never none.
pub(crate) struct Contexts {
    all: Vec<Context>,
    /// Places in `all`: the first that has the name.
    by_name: Names<Option<usize>>,
    used: Vec<UsedCertificate>,
}

pub(crate) struct Context {
    pub(crate) config: Arc<ServerConfig>,
    /// Whether what clients show is verified.
    pub(crate) verifies: bool,
    /// The first URI in its own certificates.
    pub(crate) uri: Option<Arc<str>>,
}

impl Contexts {
    pub(crate) fn new(options: &[ServerOptions], tickets: &Tickets) -> Result<Self, TlsError> {
        if options.is_empty() {
            return Err(TlsError::NothingToShow);
        }
        let mut contexts = Self { all: Vec::new(), by_name: Names::default(), used: Vec::new() };
        for options in options {
            let material = Material::read(options)?;
            let place = contexts.all.len();
            for name in material.own().flat_map(|used| names(&used.facts)) {
                contexts.by_name.entry(name).get_or_insert(place);
            }
            contexts.used.extend(material.used.iter().cloned());
            contexts.all.push(Context::new(options, material, tickets)?);
        }
        Ok(contexts)
    }

    pub(crate) fn used(&self) -> &[UsedCertificate] {
        &self.used
    }

    pub(crate) fn first(&self) -> &Context {
        &self.all[0]
    }

    /// The one that was given at this place, of those that there are.
    pub(crate) fn at(&self, place: usize) -> &Context {
        &self.all[place]
    }

    /// Where there is nothing to choose.
    pub(crate) fn only(&self) -> Option<&Context> {
        match &*self.all {
            [only] => Some(only),
            _ => None,
        }
    }

    /// By name, then by protocol, then the first (MOSN's order).
    pub(crate) fn choose(&self, hello: &ClientHello<'_>) -> &Context {
        let named = hello.server_name().and_then(|name| self.by_name.find(name).flatten().next());
        if let Some(place) = named {
            return &self.all[*place];
        }
        let asked: Vec<_> = hello.alpn().into_iter().flatten().collect();
        let speaks = |context: &&Context| {
            context.config.alpn_protocols.iter().any(|known| asked.contains(&&**known))
        };
        self.all.iter().find(speaks).unwrap_or_else(|| self.first())
    }
}

impl Context {
    fn new(
        options: &ServerOptions,
        material: Material,
        tickets: &Tickets,
    ) -> Result<Self, TlsError> {
        let identity = identity(options, &material);
        let uri = material.own().flat_map(|used| &used.facts.uris).next();
        let uri = uri.map(|uri| Arc::from(uri.as_str()));
        let mut crypto = (*provider()).clone();
        narrow(&mut crypto, &options.cipher_suites, &options.key_exchanges);
        let crypto = Arc::new(crypto);
        let builder = ServerConfig::builder_with_provider(crypto.clone())
            .with_protocol_versions(versions(options.versions)?)
            .map_err(other)?;
        let (builder, verifies) =
            match ClientVerifier::new(&options.client_auth, &material.roots, crypto)? {
                None => (builder.with_no_client_auth(), false),
                Some(verifier) => {
                    let verifies = verifier.verifies();
                    (builder.with_client_cert_verifier(Arc::new(verifier)), verifies)
                }
            };
        let table = Table::new(material.shown, material.issuers);
        let mut config = builder.with_cert_resolver(Arc::new(table));
        config.alpn_protocols = alpn(&options.alpn)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if options.session_resumption {
            config.ticketer = tickets.bound_to(identity);
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), verifies, uri })
    }
}

/// What was read from the files of a context.
#[derive(Default)]
struct Material {
    shown: Vec<(Shown, CertificateFacts)>,
    issuers: Vec<Authority>,
    /// Whom clients are believed by.
    roots: Vec<(Pem, CertificateDer<'static>)>,
    used: Vec<UsedCertificate>,
}

impl Material {
    fn read(options: &ServerOptions) -> Result<Self, TlsError> {
        if options.certificates.is_empty() && options.issuers.is_empty() {
            return Err(TlsError::NothingToShow);
        }
        let provider = provider();
        let mut material = Self::default();
        let mut keys = Vec::new();
        for pair in &options.certificates {
            let key = pem::certified(pair, &provider)?;
            let facts = pem::facts(&pair.certificate, &key.cert, Role::Own)?;
            keys.push((key, material.used.len()));
            material.used.extend(facts);
        }
        let mut stapled = vec![None; keys.len()];
        for file in &options.ocsp_responses {
            let response = pem::ocsp_response(file)?;
            let (place, until) = subject_of(&response, file, &keys)?;
            material.used[keys[place].1].ocsp_until = until;
            let mut key = CertifiedKey::clone(&keys[place].0);
            key.ocsp = Some(response.der);
            stapled[place] = Some((Arc::new(key), until));
        }
        for ((key, place), stapled) in keys.into_iter().zip(stapled) {
            let facts = material.used[place].facts.clone();
            material.shown.push((Shown { key: Arc::new(key), stapled }, facts));
        }
        for pair in &options.issuers {
            material.issuers.push(Authority::new(pair, &provider)?);
            let chain = pem::certificates(&pair.certificate)?;
            material.used.extend(pem::facts(&pair.certificate, &chain, Role::Issuer)?);
        }
        if let ClientAuth::Optional(trust) | ClientAuth::Required(trust) = &options.client_auth {
            material.roots = pem::all_certificates(&trust.roots)?;
            for (file, root) in &material.roots {
                material.used.extend(pem::facts(file, slice::from_ref(root), Role::Root)?);
            }
        }
        Ok(material)
    }

    fn own(&self) -> impl Iterator<Item = &UsedCertificate> {
        self.used.iter().filter(|used| used.role == Role::Own)
    }
}

/// The place of the certificate that the response speaks of, and until when that holds.
fn subject_of(
    response: &OcspResponse,
    file: &Pem,
    keys: &[(CertifiedKey, usize)],
) -> Result<(usize, Option<SystemTime>), TlsError> {
    let bad = |what: &str| TlsError::BadOcsp { file: file.clone(), what: what.to_owned() };
    let said = keys.iter().map(|(key, _)| response.of(&key.cert[0]));
    let said = said.enumerate().find(|(_, said)| !matches!(said, Said::Nothing));
    match said {
        Some((place, Said::Good(until))) => Ok((place, until)),
        Some((_, Said::Revoked)) => Err(bad("it says that the certificate is revoked")),
        Some(_) => Err(bad("it says that the responder does not know the certificate")),
        None => Err(bad("it speaks of none of the certificates here")),
    }
}

/// What two contexts have to have in common that a ticket of the one may be used with the other: whom they believe, and
/// the names that they are known by. A certificate that is renewed changes neither.
fn identity(options: &ServerOptions, material: &Material) -> [u8; 32] {
    let mut hasher = Hasher::new(&SHA256);
    let mut add = |kind: u8, values: &mut Vec<Vec<u8>>| {
        values.sort_unstable();
        values.dedup();
        hasher.update(&[kind]);
        hasher.update(&values.len().to_be_bytes());
        for value in values {
            hasher.update(&value.len().to_be_bytes());
            hasher.update(value);
        }
    };
    let (mode, alternatives) = match &options.client_auth {
        ClientAuth::Off => (0, &[][..]),
        ClientAuth::Unverified => (1, &[][..]),
        ClientAuth::Optional(trust) => (2, &trust.subject_alt_names[..]),
        ClientAuth::Required(trust) => (3, &trust.subject_alt_names[..]),
    };
    let of = |role| material.used.iter().filter(move |used| used.role == role);
    let fingerprints = |role| of(role).map(|used| used.facts.fingerprint.to_vec()).collect();
    add(mode, &mut fingerprints(Role::Root));
    add(4, &mut alternatives.iter().map(|name| name.clone().into_bytes()).collect());
    add(5, &mut fingerprints(Role::Issuer));
    let own = material.own().flat_map(|used| {
        let addresses = used.facts.ip_addresses.iter().map(ToString::to_string);
        names(&used.facts).map(str::to_ascii_lowercase).chain(addresses)
    });
    add(6, &mut own.map(String::into_bytes).collect());
    let mut hash = [0; 32];
    hash.copy_from_slice(hasher.finish().as_ref());
    hash
}
