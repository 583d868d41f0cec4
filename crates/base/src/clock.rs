//! One reading of the time per wake-up.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

/// A worker's clock: read once per wake-up, looked at as often as needed.
///
/// Times are nanoseconds since the clock was made, which never go backwards.
#[derive(Debug)]
pub struct Clock {
    epoch: Instant,
    wall: Cell<SystemTime>,
    now: Cell<u64>,
}

impl Clock {
    /// A clock that starts at zero.
    pub fn new() -> Self {
        Self { epoch: Instant::now(), wall: Cell::new(SystemTime::now()), now: Cell::new(0) }
    }

    /// The last reading, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Reads the time anew and returns it, in nanoseconds.
    pub fn refresh(&self) -> u64 {
        let now = nanos(self.epoch.elapsed());
        self.now.set(now);
        now
    }

    /// The wall-clock time of a reading.
    pub fn wall(&self, at: u64) -> SystemTime {
        self.wall.get() + Duration::from_nanos(at)
    }

    /// Takes the wall clock anew, so that a step of the system's time is followed.
    pub fn resync(&self) {
        let elapsed = self.epoch.elapsed();
        let start = SystemTime::now().checked_sub(elapsed).unwrap_or(SystemTime::UNIX_EPOCH);
        self.wall.set(start);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
