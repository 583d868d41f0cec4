//! Latencies, kept to within 1.6 % by 64 buckets for each power of two.

const BITS: u32 = 6;
const SUB: u64 = 1 << BITS;

pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { buckets: vec![0; (64 * SUB) as usize], count: 0, max: 0 }
    }

    pub fn record(&mut self, nanoseconds: u64) {
        self.count += 1;
        self.max = self.max.max(nanoseconds);
        self.buckets[index(nanoseconds) as usize] += 1;
    }

    /// The latency that the share `quantile` (0 to 1) of all records does not exceed, in microseconds.
    pub fn quantile(&self, quantile: f64) -> f64 {
        let rank = (self.count as f64 * quantile) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen > rank {
                return lowest(index as u64) as f64 / 1000.0;
            }
        }
        self.max as f64 / 1000.0
    }

    /// In microseconds.
    pub fn max(&self) -> f64 {
        self.max as f64 / 1000.0
    }
}

fn index(value: u64) -> u64 {
    let exponent = 63 - (value | SUB).leading_zeros();
    if exponent <= BITS {
        value
    } else {
        let shift = exponent - BITS;
        (u64::from(shift + 1) << BITS) + ((value >> shift) & (SUB - 1))
    }
}

fn lowest(index: u64) -> u64 {
    if index < 2 * SUB { index } else { (SUB + (index & (SUB - 1))) << ((index >> BITS) - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_at_most_a_sixty_fourth_wide() {
        for value in (0..1_000_000).chain([u64::MAX / 2, u64::MAX]) {
            let low = lowest(index(value));
            assert!(low <= value && value - low <= value / 64, "{value} is put at {low}");
        }
    }

    #[test]
    fn quantiles_of_a_straight_line() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|micros| histogram.record(micros * 1000));
        assert!((histogram.quantile(0.5) - 500.0).abs() < 10.0);
        assert!((histogram.quantile(0.99) - 990.0).abs() < 17.0);
        assert_eq!(histogram.max(), 1000.0);
    }
}
