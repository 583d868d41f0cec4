//! How long an answer takes (RFC 6298, in microseconds).

/// Before the first answer. v2ray has 100 ms; a path that takes longer must not see everything twice.
const FIRST: u64 = 200_000;
const LOWEST: u64 = 20_000;
const HIGHEST: u64 = 10_000_000;

#[derive(Debug)]
pub(super) struct RoundTrip {
    smoothed: u64,
    variation: u64,
    timeout: u64,
    /// Peers acknowledge late by up to their interval; it is taken to be like ours.
    interval: u64,
}

impl RoundTrip {
    /// `interval`: the tti, in microseconds.
    pub(super) fn new(interval: u64) -> Self {
        Self { smoothed: 0, variation: 0, timeout: FIRST, interval }
    }

    /// An answer took this long.
    pub(super) fn sample(&mut self, time: u64) {
        if time > HIGHEST {
            return;
        }
        if self.smoothed == 0 {
            self.smoothed = time.max(1);
            self.variation = time / 2;
        } else {
            self.variation = (3 * self.variation + self.smoothed.abs_diff(time)) / 4;
            self.smoothed = ((7 * self.smoothed + time) / 8).max(1);
        }
        let spread = (4 * self.variation).max(self.interval);
        self.timeout = (self.smoothed + spread).clamp(LOWEST, HIGHEST);
    }

    /// After this time without an answer a segment is sent again.
    pub(super) fn timeout(&self) -> u64 {
        self.timeout
    }

    /// 0 before the first sample.
    pub(super) fn smoothed(&self) -> u64 {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_what_is_measured() {
        let mut rtt = RoundTrip::new(50_000);
        assert_eq!(rtt.timeout(), FIRST);
        rtt.sample(100_000);
        assert_eq!(rtt.timeout(), 300_000);
        for _ in 0..100 {
            rtt.sample(100_000);
        }
        assert_eq!((rtt.smoothed(), rtt.timeout()), (100_000, 150_000));
        rtt.sample(u64::MAX);
        assert_eq!(rtt.timeout(), 150_000, "nonsense is no measurement");
    }
}
