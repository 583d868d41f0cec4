//! What a connection of HTTP/2 may spend on streams that come to nothing.

/// Streams of a connection that may come to nothing at once.
const MOST: u32 = 256;
/// So many more each second.
const EACH_SECOND: u64 = 16;

/// Bounds the work that a client orders and does not want: streams that it resets before their response is whole
/// (CVE-2023-44487), streams that it makes this end reset (CVE-2025-8671), and requests that cannot be served.
///
/// Each costs one; each response that came to its end gives one back, so that a client that cancels half of what it asks
/// for, as hedging ones do, can do so at any rate.
#[derive(Debug)]
pub struct Credit {
    left: u32,
    /// When credit was last given for time, in nanoseconds of the caller's clock.
    given: u64,
}

impl Credit {
    /// All of it. Times are nanoseconds of one clock, whichever.
    pub fn new(now: u64) -> Self {
        Self { left: MOST, given: now }
    }

    /// A stream came to nothing. False when there is no credit left for it.
    pub fn spend(&mut self, now: u64) -> bool {
        const SECOND: u64 = 1_000_000_000;
        let earned = now.saturating_sub(self.given).saturating_mul(EACH_SECOND) / SECOND;
        if earned > 0 {
            self.given = now;
            self.left = self.left.saturating_add(earned.min(u64::from(MOST)) as u32).min(MOST);
        }
        let has_some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        has_some
    }

    /// A response came to its end.
    pub fn earn(&mut self) {
        self.left = (self.left + 1).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_let_through_and_a_flood_is_not() {
        let mut credit = Credit::new(5 * SECOND);
        for _ in 0..MOST {
            assert!(credit.spend(5 * SECOND));
        }
        assert!(!credit.spend(5 * SECOND));
        // Time gives some back, and no more than there was.
        assert!((0..EACH_SECOND).all(|_| credit.spend(6 * SECOND)));
        assert!(!credit.spend(6 * SECOND));
        assert_eq!((0..2 * MOST).filter(|_| credit.spend(10_000 * SECOND)).count(), MOST as usize);
    }

    #[test]
    fn who_cancels_half_of_the_streams_may_go_on_for_ever() {
        let mut credit = Credit::new(0);
        for _ in 0..10 * MOST {
            credit.earn();
            assert!(credit.spend(0));
        }
    }
}
