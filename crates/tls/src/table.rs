//! The certificates of a listener, and which of them a client is shown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::CertificateFacts;
use crate::issue::Authority;

/// Names, with and without a wildcard, and what belongs to them.
#[derive(Debug)]
pub(crate) struct Names<T> {
    exact: HashMap<Box<str>, T>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new() }
    }
}

impl<T: Default> Names<T> {
    /// What belongs to a name of a certificate, in which only the whole first label may be a wildcard (RFC 6125 6.4.3).
    pub(crate) fn entry(&mut self, name: &str) -> &mut T {
        let name = name.to_ascii_lowercase();
        let (map, name) = match name.strip_prefix("*.") {
            Some(above) => (&mut self.wildcard, above),
            None => (&mut self.exact, &*name),
        };
        map.entry(name.into()).or_default()
    }
}

impl<T> Names<T> {
    /// The name's own, then the wildcard's; the name is in small letters.
    pub(crate) fn find(&self, name: &str) -> impl Iterator<Item = &T> {
        let above = name.split_once('.').map(|(_, above)| above);
        let wildcard = above.and_then(|above| self.wildcard.get(above));
        self.exact.get(name).into_iter().chain(wildcard)
    }
}

/// The DNS names of a certificate. The common name counts too: that no client believes in it any more is no reason to
/// show another one.
pub(crate) fn names(facts: &CertificateFacts) -> impl Iterator<Item = &str> {
    let common = Some(&facts.common_name).filter(|name| !name.is_empty());
    facts.dns_names.iter().chain(common).map(String::as_str)
}

/// A certificate, as it is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) key: Arc<CertifiedKey>,
    /// With what an OCSP responder said of it, and until when that may be said.
    pub(crate) stapled: Option<(Arc<CertifiedKey>, Option<SystemTime>)>,
}

impl Shown {
    fn key(&self) -> &Arc<CertifiedKey> {
        match &self.stapled {
            // An old response is worse than none: clients take it for an attack.
            Some((stapled, until)) if until.is_none_or(|until| SystemTime::now() < until) => {
                stapled
            }
            _ => &self.key,
        }
    }

    fn is_understood(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }
}

/// Chooses what is shown to a client.
#[derive(Debug, Default)]
pub(crate) struct Table {
    shown: Vec<Shown>,
    /// Places in `shown`, the one to prefer first.
    by_name: Names<Vec<usize>>,
    /// For those who ask for no name that is known.
    default: Vec<usize>,
    issuers: Vec<Authority>,
}

impl Table {
    pub(crate) fn new(shown: Vec<(Shown, CertificateFacts)>, issuers: Vec<Authority>) -> Self {
        let mut table = Self { issuers, ..Self::default() };
        let Some((_, first)) = shown.first() else { return table };
        let first: Vec<_> = names(first).map(str::to_owned).collect();
        for (place, (_, facts)) in shown.iter().enumerate() {
            names(facts).for_each(|name| {
                let places = table.by_name.entry(name);
                // The common name is one of the others, as a rule.
                if places.last() != Some(&place) {
                    places.push(place);
                }
            });
            if place == 0 || names(facts).eq(first.iter().map(String::as_str)) {
                table.default.push(place);
            }
        }
        table.shown = shown.into_iter().map(|(shown, _)| shown).collect();
        table.prefer_cheap_ones();
        table
    }

    /// A signature with RSA costs ten times as much as one with ECDSA, and is taken from those who know no other.
    fn prefer_cheap_ones(&mut self) {
        let is_rsa =
            |place: &usize| self.shown[*place].key.key.algorithm() == SignatureAlgorithm::RSA;
        let exact = self.by_name.exact.values_mut();
        let all = exact.chain(self.by_name.wildcard.values_mut()).chain([&mut self.default]);
        all.for_each(|places| places.sort_by_key(is_rsa));
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let understood = |place: &usize| {
            let shown = &self.shown[*place];
            shown.is_understood(schemes).then(|| shown.key().clone())
        };
        let named = name.into_iter().flat_map(|name| self.by_name.find(name)).flatten();
        // One for all names, where none is asked for.
        let anyone = if name.is_none() { &self.default[..] } else { &[] };
        named
            .chain(anyone)
            .find_map(understood)
            .or_else(|| self.issue(name.unwrap_or_default()))
            .or_else(|| self.default.iter().find_map(understood))
            .or_else(|| (0..self.shown.len()).find_map(|place| understood(&place)))
            .or_else(|| self.shown.first().map(|shown| shown.key().clone()))
    }

    fn issue(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let now = SystemTime::now();
        self.issuers.iter().find_map(|issuer| issuer.certificate(name, now))
    }
}

impl ResolvesServerCert for Table {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // With a single certificate there is nothing to choose.
        if let ([only], []) = (&*self.shown, &*self.issuers) {
            return Some(only.key().clone());
        }
        let name = hello.server_name().map(str::to_ascii_lowercase);
        self.choose(name.as_deref(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests;
