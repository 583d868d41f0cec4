//! Earliest deadline first: how weights become an even sequence of picks.
//!
//! Each endpoint has a deadline that moves by 1/weight when it is picked; the earliest is next. Over
//! a full cycle each is picked exactly as often as its weight says, spread as evenly as can be.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Deadlines are moved back once they pass this. Integers are exact far beyond it.
const LATEST: f64 = (1_u64 << 48) as f64;
/// A unit of time beyond this would soon reach [`LATEST`].
const LONGEST_UNIT: u64 = 1 << 32;
/// Keeps a weight from stopping an endpoint's clock, or time itself.
const LEAST_WEIGHT: f64 = 1e-12;

/// A queue of indices by deadline.
#[derive(Debug, Default)]
pub(super) struct Edf {
    queue: BinaryHeap<Entry>,
    /// Kept only for its memory.
    passed_over: Vec<Entry>,
    tickets: u64,
    unit: f64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    deadline: f64,
    /// Of those with the same deadline, the one that has waited longest is first.
    ticket: u64,
    index: u32,
}

impl Edf {
    /// Starts anew with these indices. `unit` is what a weight divides: where it is a multiple of
    /// all weights there are no rounding errors.
    pub(super) fn reset(&mut self, indices: &[u32], unit: u64, mut weight: impl FnMut(u32) -> f64) {
        self.queue.clear();
        self.tickets = 0;
        self.unit = unit as f64;
        for &index in indices {
            let mut entry = self.entry(0.0, index, weight(index));
            // Half a step: the light ones come in the middle of a cycle, not all at its end.
            entry.deadline /= 2.0;
            self.queue.push(entry);
        }
    }

    /// The next index; it is queued again with the weight that it has now.
    pub(super) fn next(&mut self, weight: impl FnOnce(u32) -> f64) -> Option<u32> {
        let Entry { deadline, index, .. } = *self.queue.peek()?;
        let again = self.entry(deadline, index, weight(index));
        if let Some(mut first) = self.queue.peek_mut() {
            *first = again;
        }
        if deadline > LATEST {
            self.move_back(deadline);
        }
        Some(index)
    }

    /// The next index that is not to be passed over; those that are keep their place. If all are,
    /// the first.
    pub(super) fn next_other(
        &mut self,
        pass_over: impl Fn(u32) -> bool,
        weight: impl FnOnce(u32) -> f64,
    ) -> Option<u32> {
        debug_assert!(self.passed_over.is_empty(), "they were put back");
        while let Some(first) = self.queue.peek().copied()
            && pass_over(first.index)
        {
            self.queue.pop();
            self.passed_over.push(first);
        }
        let found = if self.queue.is_empty() {
            self.queue.extend(self.passed_over.drain(..));
            self.next(weight)
        } else {
            self.next(weight)
        };
        self.queue.extend(self.passed_over.drain(..));
        found
    }

    fn entry(&mut self, from: f64, index: u32, weight: f64) -> Entry {
        self.tickets += 1;
        let deadline = from + self.unit / weight.max(LEAST_WEIGHT);
        Entry { deadline, ticket: self.tickets, index }
    }

    fn move_back(&mut self, by: f64) {
        let mut entries = std::mem::take(&mut self.queue).into_vec();
        entries.iter_mut().for_each(|entry| entry.deadline -= by);
        self.queue = BinaryHeap::from(entries);
    }
}

/// Twice the least common multiple of the weights (the first step is half a one), where that is
/// small enough.
pub(super) fn unit(weights: impl Iterator<Item = u32>) -> u64 {
    let mut unit = 2;
    for weight in weights {
        let weight = u64::from(weight.max(1));
        let multiple = unit / common_divisor(unit, 2 * weight) * 2 * weight;
        if multiple > LONGEST_UNIT {
            return LONGEST_UNIT;
        }
        unit = multiple;
    }
    unit
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

impl Ord for Entry {
    /// The earliest is the greatest, as [`BinaryHeap`] wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_deadline = other.deadline.total_cmp(&self.deadline);
        by_deadline.then_with(|| other.ticket.cmp(&self.ticket))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edf(weights: &[u32]) -> Edf {
        let mut edf = Edf::default();
        let indices: Vec<_> = (0..weights.len() as u32).collect();
        let unit = unit(weights.iter().copied());
        edf.reset(&indices, unit, |index| f64::from(weights[index as usize]));
        edf
    }

    fn sequence(edf: &mut Edf, weights: &[u32], count: usize) -> Vec<u32> {
        let weight = |index: u32| f64::from(weights[index as usize]);
        (0..count).map(|_| edf.next(weight).unwrap()).collect()
    }

    #[test]
    fn heavy_ones_are_spread_out() {
        let weights = [5, 1, 1];
        let mut edf = edf(&weights);
        assert_eq!(sequence(&mut edf, &weights, 7), [0, 0, 1, 2, 0, 0, 0]);
        assert_eq!(sequence(&mut edf, &weights, 7), [0, 0, 1, 2, 0, 0, 0]);
        let weights = [2, 1];
        let mut edf = self::edf(&weights);
        assert_eq!(sequence(&mut edf, &weights, 6), [0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn nothing_gives_nothing() {
        let mut edf = edf(&[]);
        assert_eq!(edf.next(|_| 1.0), None);
        assert_eq!(edf.next_other(|_| true, |_| 1.0), None);
    }

    #[test]
    fn those_passed_over_keep_their_place() {
        let weights = [3, 2, 1];
        let mut plain = edf(&weights);
        let mut edf = edf(&weights);
        let weight = |index: u32| f64::from(weights[index as usize]);
        assert_eq!(edf.next_other(|index| index != 2, weight), Some(2));
        assert_eq!(edf.next_other(|_| true, weight), Some(0), "all are: the first");
        // The two go on as if the third had not been there.
        let mut others = sequence(&mut plain, &weights, 12);
        others.retain(|index| *index != 2);
        let mut after = sequence(&mut edf, &weights, 10);
        after.retain(|index| *index != 2);
        assert_eq!(after[..7], others[1..8]);
    }

    #[test]
    fn deadlines_that_grow_large_are_moved_back() {
        let weights = [127, 113, 109, 103, 101]; // their multiple is near the limit
        let mut edf = edf(&weights);
        edf.queue = edf
            .queue
            .into_iter()
            .map(|entry| Entry { deadline: entry.deadline + LATEST, ..entry })
            .collect();
        let sum = weights.iter().sum::<u32>() as usize;
        let picks = sequence(&mut edf, &weights, sum);
        assert!(edf.queue.iter().all(|entry| entry.deadline < LATEST));
        for (index, weight) in weights.iter().enumerate() {
            let count = picks.iter().filter(|pick| **pick == index as u32).count();
            assert_eq!(count as u32, *weight);
        }
    }

    #[test]
    fn weights_that_are_no_numbers_do_no_harm() {
        let mut edf = edf(&[1, 1]);
        for weight in [f64::NAN, 0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, 1.0] {
            assert!(edf.next(|_| weight).is_some());
        }
        assert!(edf.queue.iter().all(|entry| entry.deadline.is_finite()));
    }

    proptest! {
        #[test]
        fn weights_are_exact_over_any_full_cycle(
            weights in prop::collection::vec(1_u32..=128, 1..12),
            skip in 0_usize..500,
        ) {
            let mut edf = edf(&weights);
            sequence(&mut edf, &weights, skip);
            let sum = weights.iter().sum::<u32>() as usize;
            for _ in 0..3 {
                let picks = sequence(&mut edf, &weights, sum);
                for (index, weight) in weights.iter().enumerate() {
                    let count = picks.iter().filter(|pick| **pick == index as u32).count() as u32;
                    if unit(weights.iter().copied()) < LONGEST_UNIT {
                        prop_assert_eq!(count, *weight);
                    } else {
                        // Rounding may move one pick over the edge of the cycle.
                        prop_assert!(count.abs_diff(*weight) <= 1);
                    }
                }
            }
        }
    }
}
