//! Session tickets (RFC 5077, RFC 8446 4.6.1): what a client brings so that a handshake can go on with the keys of an
//! earlier one.
//!
//! A ticket holds the session, sealed with AES-256-GCM-SIV: the number of its period, a nonce, what was sealed. The
//! nonces are random, which this cipher bears for far more tickets than a period sees. What is sealed along is the
//! context of the listener (whom it shows and whom it believes): a ticket of one that asks less of clients is nothing
//! but noise to one that asks more.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

/// How long tickets are sealed with one key. It opens them for one more period.
const PERIOD: Duration = Duration::from_secs(6 * 3600);
/// How long clients are told to keep a ticket: as long as it can be opened in any case.
const LIFETIME: u32 = 6 * 3600;
const KEY_LEN: usize = 32;
/// Of the number of a period, before the nonce.
const PERIOD_LEN: usize = 8;

/// The keys that session tickets are sealed with. Clones share them: give the same to all acceptors that should know
/// each other's tickets, and keep it for those that take their place.
///
/// A key seals for 6 hours and opens for 12. Keys are random and forgotten when their time is over, unless they are made
/// from a secret, see [`Tickets::from_secret`].
#[derive(Clone)]
pub struct Tickets(Arc<Shared>);

struct Shared {
    source: Source,
    keys: ArcSwap<Keys>,
    /// Held by the one that changes the keys.
    rotating: Mutex<()>,
}

enum Source {
    Random,
    Secret(Prk),
}

/// The keys of some periods, the one that seals first.
struct Keys(Vec<(u64, Arc<LessSafeKey>)>);

impl Default for Tickets {
    fn default() -> Self {
        Self::new()
    }
}

impl Tickets {
    /// With random keys, of this process alone.
    pub fn new() -> Self {
        Self::with(Source::Random, SystemTime::now())
    }

    /// With keys that every process makes alike that has the same secret, whose clocks may differ by some hours: the key
    /// of a period is HKDF-SHA-256 with the salt `rosn session tickets`, the secret, and as info the number of the
    /// period since 1970, 8 bytes big endian. Who learns the secret can read what was recorded of resumed TLS 1.2
    /// sessions, however old: change it now and then.
    pub fn from_secret(secret: &[u8]) -> Self {
        let salt = Salt::new(HKDF_SHA256, b"rosn session tickets");
        Self::with(Source::Secret(salt.extract(secret)), SystemTime::now())
    }

    fn with(source: Source, now: SystemTime) -> Self {
        let keys = source.keys(period(now), None);
        let keys = ArcSwap::from_pointee(keys);
        Self(Arc::new(Shared { source, keys, rotating: Mutex::default() }))
    }

    /// For a listener's configuration: `context` says whom it shows and whom it believes.
    pub(crate) fn bound_to(&self, context: [u8; 32]) -> Arc<dyn ProducesTickets> {
        Arc::new(Bound { tickets: self.clone(), context })
    }

    /// The keys at this time. A clock that goes back changes nothing.
    fn keys(&self, now: SystemTime) -> Arc<Keys> {
        let shared = &*self.0;
        let keys = shared.keys.load_full();
        if period(now) <= keys.newest() {
            return keys;
        }
        let _rotating = shared.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = shared.keys.load_full();
        if period(now) <= keys.newest() {
            return keys;
        }
        let next = Arc::new(shared.source.keys(period(now), Some(&keys)));
        shared.keys.store(next.clone());
        next
    }

    fn seal(&self, session: &[u8], context: &[u8; 32], now: SystemTime) -> Option<Vec<u8>> {
        let keys = self.keys(now);
        let (period, key) = keys.0.first()?;
        let mut ticket = Vec::with_capacity(PERIOD_LEN + NONCE_LEN + session.len() + 16);
        ticket.extend_from_slice(&period.to_be_bytes());
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(session);
        let sealed = &mut ticket[PERIOD_LEN + NONCE_LEN..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(context), sealed).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn open(&self, ticket: &[u8], context: &[u8; 32], now: SystemTime) -> Option<Vec<u8>> {
        let (period, rest) = ticket.split_first_chunk::<PERIOD_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let period = u64::from_be_bytes(*period);
        let keys = self.keys(now);
        let (_, key) = keys.0.iter().find(|(of, _)| *of == period)?;
        let mut session = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, Aad::from(context), &mut session).ok()?.len();
        session.truncate(length);
        Some(session)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(..)")
    }
}

fn period(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / PERIOD.as_secs()
}

impl Keys {
    fn newest(&self) -> u64 {
        self.0.first().map_or(0, |(period, _)| *period)
    }
}

impl Source {
    /// The keys that seal and open in a period. Machines that share a secret may be in the period before, or after.
    fn keys(&self, period: u64, old: Option<&Keys>) -> Keys {
        match self {
            Self::Secret(secret) => {
                let periods = [period, period.saturating_sub(1), period + 1];
                Keys(periods.map(|period| (period, derived(secret, period))).into())
            }
            Self::Random => {
                let mut key = [0; KEY_LEN];
                rand::fill(&mut key).expect("the system has random bytes: TLS has none without");
                let mut keys = vec![(period, sealing(&key))];
                let old = old.into_iter().flat_map(|old| &old.0);
                keys.extend(old.filter(|(of, _)| of + 1 == period).cloned());
                Keys(keys)
            }
        }
    }
}

fn derived(secret: &Prk, period: u64) -> Arc<LessSafeKey> {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            KEY_LEN
        }
    }
    let mut key = [0; KEY_LEN];
    let info = period.to_be_bytes();
    let info = [&info[..]];
    let expanded = secret.expand(&info, Length).and_then(|expanded| expanded.fill(&mut key));
    expanded.expect("HKDF gives up to 8160 bytes");
    sealing(&key)
}

fn sealing(key: &[u8; KEY_LEN]) -> Arc<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has 32 bytes");
    Arc::new(LessSafeKey::new(key))
}

/// Tickets as one listener's configuration makes and takes them.
#[derive(Debug)]
struct Bound {
    tickets: Tickets,
    context: [u8; 32],
}

impl ProducesTickets for Bound {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.tickets.seal(session, &self.context, SystemTime::now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.tickets.open(ticket, &self.context, SystemTime::now())
    }
}

#[cfg(test)]
mod tests;
