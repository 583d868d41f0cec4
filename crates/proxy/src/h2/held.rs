//! What was written and waits to leave in one call.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};
use rosn_base::{Buf, BufPool};

/// Slices that leave in one call.
pub(super) const SLICES: usize = 16;
/// When no more long parts are held, in bytes.
const MAX_LONG: usize = 64 * 1024;

/// Bytes in their order: short ones were copied into one buffer, long ones are shared.
#[derive(Default)]
pub(super) struct Held {
    /// `None` while nothing short is held.
    short: Option<Buf>,
    /// Each with the count of the short bytes between it and the one before.
    long: VecDeque<(usize, Bytes)>,
    /// Short bytes behind the last long part.
    rest: usize,
    long_bytes: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.short.is_none() && self.long.is_empty()
    }

    /// How many short bytes there is room for.
    pub(super) fn room(&self, pool: &BufPool) -> usize {
        pool.size() - self.short.as_ref().map_or(0, Buf::len)
    }

    /// Whether it has enough, so that it should leave before more is held.
    pub(super) fn is_full(&self, pool: &BufPool) -> bool {
        self.room(pool) == 0 || self.long_bytes >= MAX_LONG
    }

    /// Copies as much of this as there is room for, and says how much that was.
    pub(super) fn copy(&mut self, slices: &[IoSlice<'_>], pool: &BufPool) -> usize {
        let room = self.room(pool);
        if room == 0 || slices.iter().all(|slice| slice.is_empty()) {
            return 0;
        }
        let short = self.short.get_or_insert_with(|| pool.take());
        let mut count = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(room - count)];
            short.extend(part);
            count += part.len();
        }
        self.rest += count;
        count
    }

    pub(super) fn share(&mut self, part: Bytes) {
        self.long_bytes += part.len();
        self.long.push_back((std::mem::take(&mut self.rest), part));
    }

    /// The first of what is held, as slices; says how many these are.
    pub(super) fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut short = self.short.as_ref().map_or(&[][..], Buf::unread);
        let mut count = 0;
        let mut put = |slice: &'a [u8]| {
            if !slice.is_empty() && count < SLICES {
                into[count] = IoSlice::new(slice);
                count += 1;
            }
        };
        for (before, long) in self.long.iter().take(SLICES) {
            let (first, behind) = short.split_at(*before);
            put(first);
            put(long);
            short = behind;
        }
        if self.long.len() <= SLICES {
            put(short);
        }
        count
    }

    /// Drops so many bytes from the front; storage that is empty goes to the pool.
    pub(super) fn consume(&mut self, mut count: usize, pool: &BufPool) {
        while let Some((before, long)) = self.long.front_mut() {
            let (first, second) =
                (count.min(*before), (count - count.min(*before)).min(long.len()));
            *before -= first;
            long.advance(second);
            self.long_bytes -= second;
            count -= first + second;
            let is_gone = long.is_empty();
            consume_short(&mut self.short, first, pool);
            if !is_gone {
                return;
            }
            self.long.pop_front();
        }
        self.rest -= count;
        consume_short(&mut self.short, count, pool);
    }

    /// Drops everything.
    pub(super) fn clear(&mut self, pool: &BufPool) {
        if let Some(short) = std::mem::take(self).short {
            pool.give(short);
        }
    }
}

fn consume_short(short: &mut Option<Buf>, count: usize, pool: &BufPool) {
    let Some(bytes) = short else { return };
    bytes.consume(count);
    if bytes.is_empty()
        && let Some(bytes) = short.take()
    {
        pool.give(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 32;

    /// All of it, in as many calls as that takes, each of which takes so much.
    fn written(held: &mut Held, pool: &BufPool, most: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !held.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = held.slices(&mut slices);
            assert!(slices[..count].iter().all(|slice| !slice.is_empty()) && count > 0);
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let taken = &bytes[..most.min(bytes.len())];
            all.extend_from_slice(taken);
            held.consume(taken.len(), pool);
        }
        all
    }

    #[test]
    fn the_order_stays_whatever_is_taken() {
        for most in 1..100 {
            let pool = BufPool::new(SIZE, 1);
            let mut held = Held::default();
            let mut expected = Vec::new();
            // More parts than one call takes, some without short bytes in between.
            for part in 0..20_u8 {
                let short = [part; 2];
                let count = if part % 3 == 0 { 0 } else { 2 };
                assert_eq!(held.copy(&[IoSlice::new(&short[..count])], &pool), count);
                let long = vec![100 + part; usize::from(part) + 1];
                expected.extend_from_slice(&short[..count]);
                expected.extend_from_slice(&long);
                held.share(Bytes::from(long));
            }
            held.copy(&[IoSlice::new(b"en"), IoSlice::new(b"d")], &pool);
            expected.extend_from_slice(b"end");
            assert_eq!(written(&mut held, &pool, most), expected, "{most}");
            assert_eq!((held.rest, held.long_bytes), (0, 0));
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let pool = BufPool::new(SIZE, 1);
        let mut held = Held::default();
        assert_eq!(held.copy(&[IoSlice::new(&[b's'; SIZE + 1])], &pool), SIZE);
        assert!(held.is_full(&pool));
        held.clear(&pool);
        assert!(held.is_empty() && !held.is_full(&pool));
        held.share(Bytes::from(vec![b'l'; MAX_LONG]));
        assert!(held.is_full(&pool));
        held.consume(1, &pool);
        assert!(!held.is_full(&pool));
    }
}
