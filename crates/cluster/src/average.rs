//! Averages that forget: what `LB_PEAK_EWMA` knows of an endpoint.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// After this long a sample counts for 1/e of what it did.
const DECAY_NANOS: f64 = 10e9;

/// An exponentially weighted moving average over time.
///
/// Any thread may add to it. Two that do so at the same instant may lose one of the samples, which
/// an average bears and a lock on each response would not be worth.
#[derive(Debug, Default)]
pub(crate) struct Average {
    /// The bits of an `f64`.
    value: AtomicU64,
    /// When the last sample came; 0 = never.
    at: AtomicU64,
}

impl Average {
    /// Takes a sample in, at `now` nanoseconds.
    pub(crate) fn add(&self, sample: f64, now: u64) {
        let before = self.at.swap(now.max(1), Relaxed);
        let value = if before == 0 {
            sample
        } else {
            let old = f64::from_bits(self.value.load(Relaxed));
            sample + (old - sample) * kept(now.saturating_sub(before))
        };
        self.value.store(value.to_bits(), Relaxed);
    }

    /// The average at `now` nanoseconds. Without samples it drifts back to `rest`, so that an
    /// endpoint that was slow once is tried again.
    pub(crate) fn value(&self, now: u64, rest: f64) -> f64 {
        let at = self.at.load(Relaxed);
        if at == 0 {
            return rest;
        }
        let value = f64::from_bits(self.value.load(Relaxed));
        rest + (value - rest) * kept(now.saturating_sub(at))
    }
}

/// What is left after that many nanoseconds.
fn kept(nanos: u64) -> f64 {
    (-(nanos as f64) / DECAY_NANOS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_first_sample_is_the_average() {
        let average = Average::default();
        assert_eq!(average.value(SECOND, 7.0), 7.0);
        average.add(3.0, SECOND);
        assert_eq!(average.value(SECOND, 7.0), 3.0);
    }

    #[test]
    fn a_sample_counts_by_the_time_since_the_last() {
        let average = Average::default();
        average.add(0.0, SECOND);
        average.add(1.0, 11 * SECOND); // one decay time later
        let expected = 1.0 - (-1.0_f64).exp();
        assert!((average.value(11 * SECOND, 0.0) - expected).abs() < 1e-12);
    }

    #[test]
    fn it_drifts_back_to_rest_and_time_that_goes_backwards_is_harmless() {
        let average = Average::default();
        average.add(100.0, 20 * SECOND);
        assert!((average.value(220 * SECOND, 5.0) - 5.0).abs() < 1e-6);
        average.add(50.0, SECOND);
        assert_eq!(average.value(0, 5.0), 100.0);
    }
}
