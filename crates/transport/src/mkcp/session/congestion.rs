//! How fast to send.

/// Bytes that may go out at once after a pause are those of this time (µs): timers are not finer.
const BURST: u64 = 2_000;
/// So many bytes may always go out at once, and not more than that.
const BURST_MIN: u64 = 32 << 10;
const BURST_MAX: u64 = 128 << 10;

/// Spreads datagrams over time, so that no queue on the way overflows.
#[derive(Debug)]
pub(super) struct Pacer {
    /// Bytes in a second.
    rate: u64,
    burst: u64,
    /// Bytes that may go out, and when that was so.
    credit: u64,
    at: u64,
}

impl Pacer {
    pub(super) fn new(rate: u64) -> Self {
        let burst = (rate.saturating_mul(BURST) / 1_000_000).clamp(BURST_MIN, BURST_MAX);
        Self { rate, burst, credit: burst, at: 0 }
    }

    pub(super) fn allows(&mut self, now: u64) -> bool {
        if now > self.at {
            // A pause of a second fills it in any case; the product stays small.
            let time = (now - self.at).min(1_000_000);
            self.credit =
                (self.credit + self.rate.saturating_mul(time) / 1_000_000).min(self.burst);
            self.at = now;
        }
        self.credit > 0
    }

    pub(super) fn sent(&mut self, bytes: usize, now: u64) {
        self.at = self.at.max(now);
        self.credit = self.credit.saturating_sub(bytes as u64);
    }

    /// When sending may go on.
    pub(super) fn next(&self) -> u64 {
        if self.credit > 0 { self.at } else { self.at + BURST / 2 }
    }
}

/// Fewest segments in flight.
const WINDOW_MIN: usize = 16;
/// The window grows to this many times its first size.
const GROWTH: usize = 20;

/// Bounds what is in flight by what gets lost (v2ray's `congestion`): 15 of 100 or more shrink the window by a quarter, 5
/// or fewer let it grow by a quarter, once in a round trip.
#[derive(Debug)]
pub(super) struct Congestion {
    /// Segments in flight; `None` = as many as the peer takes.
    window: Option<usize>,
    largest: usize,
    sent: usize,
    lost: usize,
    since: u64,
}

impl Congestion {
    pub(super) fn new(window: Option<usize>) -> Self {
        let window = window.map(|first| first.max(WINDOW_MIN));
        Self { window, largest: window.unwrap_or(0) * GROWTH, sent: 0, lost: 0, since: 0 }
    }

    pub(super) fn allows(&self, in_flight: usize) -> bool {
        self.window.is_none_or(|window| in_flight < window)
    }

    pub(super) fn lost(&mut self, segments: usize) {
        self.lost += segments;
    }

    pub(super) fn sent(&mut self, now: u64, round_trip: u64) {
        self.sent += 1;
        let Some(window) = &mut self.window else { return };
        if now < self.since + round_trip.max(10_000) || self.sent < WINDOW_MIN {
            return;
        }
        match self.lost * 100 / self.sent {
            15.. => *window = (*window * 3 / 4).max(WINDOW_MIN),
            0..=5 => *window = (*window * 5 / 4).min(self.largest),
            _ => {}
        }
        (self.sent, self.lost, self.since) = (0, 0, now);
    }
}
