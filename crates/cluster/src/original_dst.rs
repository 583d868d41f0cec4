//! Endpoints made on the fly, for the addresses that clients meant to reach.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::endpoint::Endpoint;

/// So many are kept. A client that names ever new addresses must not fill the memory.
const MOST: usize = 4096;
/// One that was not asked for this long is dropped.
const EXPIRY_NANOS: u64 = 300_000_000_000;

/// The endpoints of an `ORIGINAL_DST` cluster, by address.
#[derive(Debug, Default)]
pub(crate) struct OriginalDestinations {
    known: Mutex<HashMap<SocketAddr, Known>>,
}

#[derive(Debug)]
struct Known {
    endpoint: Arc<Endpoint>,
    used: u64,
}

impl OriginalDestinations {
    /// The endpoint for the address, made by `make` if there is none. `now` is in nanoseconds.
    pub(crate) fn endpoint(
        &self,
        addr: SocketAddr,
        now: u64,
        make: impl FnOnce() -> Endpoint,
    ) -> Arc<Endpoint> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(&addr) {
            known.used = known.used.max(now);
            return Arc::clone(&known.endpoint);
        }
        if known.len() >= MOST {
            make_room(&mut known, now);
        }
        let endpoint = Arc::new(make());
        known.insert(addr, Known { endpoint: Arc::clone(&endpoint), used: now });
        endpoint
    }
}

/// Drops what has expired, and at least the older half: what that costs is shared by many inserts.
fn make_room(known: &mut HashMap<SocketAddr, Known>, now: u64) {
    let mut used: Vec<_> = known.values().map(|known| known.used).collect();
    let (_, median, _) = used.select_nth_unstable(MOST / 2);
    let oldest = now.saturating_sub(EXPIRY_NANOS).max(*median);
    known.retain(|_, known| known.used > oldest);
}

#[cfg(test)]
mod tests {
    use rosn_config::checked::BalancerKind;

    use super::*;
    use crate::endpoint::tests::endpoint;

    fn addr(n: u32) -> SocketAddr {
        (n.to_be_bytes(), 80).into()
    }

    fn make() -> Endpoint {
        endpoint(BalancerKind::OriginalDst, "10.0.0.1:80")
    }

    #[test]
    fn an_address_keeps_its_endpoint() {
        let cache = OriginalDestinations::default();
        let first = cache.endpoint(addr(1), 1, make);
        let again = cache.endpoint(addr(1), 2, || panic!("it is known"));
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &cache.endpoint(addr(2), 2, make)));
    }

    #[test]
    fn the_number_is_bounded_and_the_latest_stay() {
        let cache = OriginalDestinations::default();
        for n in 0..20_000 {
            cache.endpoint(addr(n), u64::from(n) + 1, make);
            assert!(cache.known.lock().unwrap().len() <= MOST);
        }
        cache.endpoint(addr(19_999), 20_001, || panic!("it is known"));
        // All used at the same time: there is room nevertheless.
        let cache = OriginalDestinations::default();
        for n in 0..20_000 {
            cache.endpoint(addr(n), 1, make);
        }
        assert!(cache.known.lock().unwrap().len() <= MOST);
    }

    #[test]
    fn what_expired_is_dropped_when_room_is_needed() {
        let cache = OriginalDestinations::default();
        for n in 0..MOST as u32 {
            cache.endpoint(addr(n), 1 + u64::from(n % 2), make);
        }
        cache.endpoint(addr(99_999), 10 + EXPIRY_NANOS, make);
        assert_eq!(cache.known.lock().unwrap().len(), 1);
    }
}
