//! The lookup table of `LB_MAGLEV`.
//!
//! Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016),
//! section 3.4: every endpoint fills the slots of its own permutation in turn, so that each gets
//! the same share and few slots change hands when the set does.

use siphasher::sip::SipHasher13;

/// Slots for a usual set (a prime; MOSN's `SmallM`).
const SMALL: u64 = 65_537;
/// Slots for a set of at least [`MANY`] endpoints (a prime; MOSN's `BigM`).
const BIG: u64 = 655_373;
const MANY: usize = 30_000;
const EMPTY: u32 = u32::MAX;

/// Hash to index, for one set of endpoints.
#[derive(Debug)]
pub(crate) struct Maglev {
    slots: Box<[u32]>,
}

struct Permutation {
    next: u64,
    skip: u64,
}

impl Maglev {
    /// A table over the endpoints with these keys; weights have no influence, as in MOSN.
    pub(crate) fn new<'a>(keys: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let count = keys.len();
        if count == 0 {
            return Self { slots: Box::default() };
        }
        let size = if count < MANY { SMALL } else { BIG };
        let mut permutations: Vec<_> = keys.map(|key| Permutation::new(key, size)).collect();
        let mut slots = vec![EMPTY; size as usize].into_boxed_slice();
        let mut filled = 0;
        'fill: loop {
            for (index, permutation) in permutations.iter_mut().enumerate() {
                *permutation.free_slot(&mut slots) = index as u32;
                filled += 1;
                if filled == size {
                    break 'fill;
                }
            }
        }
        Self { slots }
    }

    /// The endpoint for a hash; `None` if there are none.
    pub(crate) fn index(&self, hash: u64) -> Option<usize> {
        let slot = hash.checked_rem(self.slots.len() as u64)?;
        Some(self.slots[slot as usize] as usize)
    }
}

impl Permutation {
    fn new(key: &str, size: u64) -> Self {
        let hash = |seed| SipHasher13::new_with_keys(seed, 0).hash(key.as_bytes());
        Self { next: hash(0) % size, skip: hash(1) % (size - 1) + 1 }
    }

    /// The next free slot of the permutation. There has to be one.
    fn free_slot<'a>(&mut self, slots: &'a mut [u32]) -> &'a mut u32 {
        let size = slots.len() as u64;
        loop {
            let slot = self.next as usize;
            self.next = (self.next + self.skip) % size;
            if slots[slot] == EMPTY {
                return &mut slots[slot];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("10.0.{}.{}:80", n / 250, n % 250)).collect()
    }

    fn table(keys: &[String]) -> Maglev {
        Maglev::new(keys.iter().map(String::as_str))
    }

    #[test]
    fn the_sizes_are_primes() {
        for size in [SMALL, BIG] {
            assert!((2..1000).all(|n| size % n != 0), "{size}");
        }
    }

    #[test]
    fn an_empty_set_has_no_answer_and_one_key_has_all() {
        assert_eq!(table(&[]).index(5), None);
        let one = table(&keys(1));
        assert!((0..1000).all(|hash| one.index(hash) == Some(0)));
    }

    #[test]
    fn the_shares_are_even() {
        for count in [2, 3, 10, 100] {
            let table = table(&keys(count));
            let mut shares = vec![0_u64; count];
            table.slots.iter().for_each(|index| shares[*index as usize] += 1);
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            assert!(most - least <= 1, "{count} endpoints: {least} to {most} slots");
        }
    }

    #[test]
    fn few_keys_move_when_one_of_n_goes() {
        for (count, gone) in [(3, 0), (10, 9), (50, 25), (100, 1)] {
            let before_keys = keys(count);
            let mut after_keys = before_keys.clone();
            after_keys.remove(gone);
            let (before, after) = (table(&before_keys), table(&after_keys));
            let moved = (0..SMALL)
                .filter(|hash| {
                    let was = &before_keys[before.index(*hash).unwrap()];
                    *was != after_keys[after.index(*hash).unwrap()]
                })
                .count();
            // 1/n has to move; the rest is what the shares cost.
            assert!(moved as u64 * (count as u64) < SMALL * 2, "{count}: {moved} moved");
        }
    }

    #[test]
    fn a_large_set_gets_the_large_table() {
        let keys: Vec<_> = (0..MANY).map(|n| n.to_string()).collect();
        assert_eq!(table(&keys).slots.len() as u64, BIG);
    }
}
